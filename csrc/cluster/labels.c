/* See labels.h. */
#include "cluster/labels.h"

#include <string.h>
#include <unistd.h>

#include "base/base.h"

int ishow_cluster_role_find(const char *name, ishow_cluster_role *out) {
    static const char *const names[] = {
        [ISHOW_ROLE_ALL] = "all", [ISHOW_ROLE_GATEWAY] = "gateway", [ISHOW_ROLE_WORKER] = "worker"};
    for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
        if (name && !strcmp(name, names[i])) {
            *out = (ishow_cluster_role)i;
            return 1;
        }
    return 0;
}

char *labels_name(const ishow_cluster_options *options) {
    char host[65] = "";
    if (options->name) return ishow_strdup(options->name);
    if (gethostname(host, sizeof host - 1) || !host[0]) strcpy(host, "unnamed");
    return ishow_strdup(host);
}

json_t *labels_make(const ishow_cluster_options *options) {
    json_t *all = json_object();
    for (size_t i = 0; i + 1 < options->n_labels; i += 2)
        json_object_set_new(all, options->labels[i], json_string(options->labels[i + 1]));
    return all;
}

int labels_carry(const json_t *carried, const json_t *wanted) {
    void *at = json_object_iter((json_t *)wanted);
    for (; at; at = json_object_iter_next((json_t *)wanted, at))
        if (!json_equal(json_object_get(carried, json_object_iter_key(at)), json_object_iter_value(at))) return 0;
    return 1;
}
