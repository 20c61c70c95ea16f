/* Section [cluster] of the checked configuration. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cluster/cluster.h"

ishow_status ishow_cluster_settings_read(ishow_cluster_settings *out, const char *json, ishow_error *error) {
    *out = (ishow_cluster_settings){0};
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
    json_t *section = json_object_get(root, "cluster"), *labels = json_object_get(section, "labels"), *value;
    const json_t *chats = json_object_get(section, "chats");
    ishow_cluster_options *o = &out->options;
    const struct {
        const char *key, **to;
    } texts[] = {{"url", &o->url},           {"name", &o->name},           {"credentials", &o->credentials},
                 {"nkey", &o->nkey},         {"nkey_seed", &o->nkey_seed}, {"tls_ca", &o->tls_ca},
                 {"tls_cert", &o->tls_cert}, {"tls_key", &o->tls_key}};
    const char *name;
    out->json = root;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i].to = json_string_value(json_object_get(section, texts[i].key)); /* null: NULL */
    out->labels = calloc(2 * json_object_size(labels) + 1, sizeof *out->labels);
    out->chats = calloc(json_array_size(chats) + 1, sizeof *out->chats);
    if (!out->labels || !out->chats ||
        !ishow_cluster_role_find(json_string_value(json_object_get(section, "role")), &o->role)) {
        const int memory = !out->labels || !out->chats;
        ishow_cluster_settings_free(out);
        return memory ? ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.")
                      : ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read: cluster.");
    }
    const char *chat = json_string_value(json_object_get(section, "chat"));
    o->shared_chat = chat && !strcmp(chat, "shared");
    json_object_foreach(labels, name, value) {
        out->labels[o->n_labels++] = name;
        out->labels[o->n_labels++] = json_string_value(value);
    }
    o->labels = out->labels;
    for (size_t i = 0; i < json_array_size(chats); i++)
        out->chats[o->n_chats++] = json_string_value(json_array_get(chats, i));
    o->chats = out->chats;
    return ISHOW_OK;
}

void ishow_cluster_settings_free(ishow_cluster_settings *s) {
    free(s->labels);
    free(s->chats);
    json_decref(s->json);
    *s = (ishow_cluster_settings){0};
}
