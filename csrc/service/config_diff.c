/* See config_diff.h. */
#include "service/config_diff.h"

#include <stdio.h>
#include <string.h>

#include "engine/field.h"

/* Settings of [server] that can change while requests run. */
static const char *const live[] = {"api_key",        "api_key_file",    "allowed_hosts", "cors_origins",
                                   "body_bytes_max", "request_seconds", "drain_seconds", "connections_per_client",
                                   "log_level",      "log_format"};

static int is_live_field(const ishow_fields *fields, const char *key) {
    for (size_t i = 0; i < fields->n; i++)
        if (fields->rows[i].setting && !strcmp(fields->rows[i].setting, key)) return !fields->rows[i].restart;
    return 0;
}

static int is_live(const char *section, const char *key) {
    if (!strcmp(section, "chat")) return strcmp(key, "sources") != 0; /* a change of sources needs a restart */
    if (!strcmp(section, "openai")) return 1;
    if (!strcmp(section, "sampling")) return is_live_field(&ishow_request_fields, key);
    if (!strcmp(section, "engine")) return is_live_field(&ishow_engine_fields, key);
    for (size_t i = 0; !strcmp(section, "server") && i < sizeof live / sizeof *live; i++)
        if (!strcmp(live[i], key)) return 1;
    return 0;
}

/* 1: the change would give anyone access: it removes the key of a server that other machines can reach, or allows every
 * origin without a key. */
static int unlocks(const char *name, json_t *value, json_t *now, int loopback) {
    json_t *server = json_object_get(now, "server"), *origin;
    size_t i;
    if (loopback) return 0;
    if (!strcmp(name, "server.api_key"))
        return !json_is_string(value) && !json_is_true(json_object_get(server, "insecure"));
    if (strcmp(name, "server.cors_origins") || json_is_string(json_object_get(server, "api_key"))) return 0;
    json_array_foreach(value, i, origin) if (!strcmp(json_string_value(origin), "*")) return 1;
    return 0;
}

/* 1: the setting names voices, which belong to the loaded model. */
static int names_voices(const char *name) {
    return !strcmp(name, "openai.voices") || !strcmp(name, "chat.voices") || !strcmp(name, "chat.role_voices");
}

static void compare_section(config_diff *d, const char *section, json_t *old, json_t *new, json_t *new_shown,
                            json_t *now, int loopback) {
    const char *key;
    json_t *value;
    json_object_foreach(new, key, value) {
        char name[128];
        if (json_equal(value, json_object_get(old, key))) continue;
        snprintf(name, sizeof name, "%s.%s", section, key);
        int at_once =
            is_live(section, key) && !unlocks(name, value, now, loopback) && !(d->model && names_voices(name));
        json_array_append_new(at_once ? d->changed : d->restart, json_string(name));
        if (!at_once) continue;
        json_object_set(json_object_get(d->now, section), key, value);
        json_object_set(json_object_get(d->shown, section), key, json_object_get(new_shown, key));
    }
}

void ishow_config_diff_make(config_diff *d, json_t *now, json_t *shown, json_t *new, json_t *new_shown, int loopback) {
    const char *section;
    json_t *value;
    d->changed = json_array();
    d->restart = json_array();
    d->now = json_deep_copy(now);
    d->shown = json_deep_copy(shown);
    d->model = !json_equal(json_object_get(json_object_get(new, "model"), "name"),
                           json_object_get(json_object_get(now, "model"), "name"));
    json_object_foreach(new, section, value) if (json_is_object(value)) compare_section(
        d, section, json_object_get(now, section), value, json_object_get(new_shown, section), now, loopback);
    static const char *const voices[] = {"voices", "default_voice"};
    for (size_t i = 0; i < 2; i++) {
        json_t *wanted = json_object_get(new, voices[i]);
        int same = json_equal(wanted, json_object_get(now, voices[i]));
        if (d->model) {
            if (!same) json_array_append_new(d->restart, json_string(voices[i]));
            continue;
        }
        if (!same && i) json_array_append_new(d->changed, json_string(voices[i]));
        json_object_set(d->now, voices[i], wanted);
        json_object_set(d->shown, voices[i], json_object_get(new_shown, voices[i]));
    }
    json_t *pronounce =
        json_object_get(new, "pronounce"); /* in use already: the text front end has read it from the file */
    if (!json_equal(pronounce, json_object_get(now, "pronounce"))) {
        json_array_append_new(d->changed, json_string("pronounce"));
        json_object_set(d->now, "pronounce", pronounce);
        json_object_set(d->shown, "pronounce", json_object_get(new_shown, "pronounce"));
    }
}

void ishow_config_diff_free(config_diff *d) {
    json_decref(d->changed);
    json_decref(d->restart);
    json_decref(d->now);
    json_decref(d->shown);
}
