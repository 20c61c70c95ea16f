/* Viewers who were muted while the chat runs, as "platform:user", folded; user is an id, a login or a name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

struct muted {
    struct {
        uint64_t hash;
        char *key;
    } * viewers;
    size_t n;
};

muted *muted_create(void) {
    muted *m = calloc(1, sizeof *m);
    if (m && !(m->viewers = calloc(MUTED_MAX, sizeof *m->viewers))) {
        free(m);
        m = NULL;
    }
    return m;
}

void muted_free(muted *m) {
    if (!m) return;
    for (size_t i = 0; i < m->n; i++) free(m->viewers[i].key);
    free(m->viewers);
    free(m);
}

char *muted_key(const char *platform, const char *user) {
    char *both = malloc(strlen(platform) + strlen(user) + 2), *key = NULL;
    if (both) {
        sprintf(both, "%s:%s", platform, user);
        key = fold_text(both, strlen(both));
    }
    free(both);
    return key;
}

static size_t find(const muted *m, const char *key) {
    const uint64_t hash = fold_hash(key);
    size_t i = 0;
    while (i < m->n && (m->viewers[i].hash != hash || strcmp(m->viewers[i].key, key))) i++;
    return i;
}

int muted_add(muted *m, const char *key) {
    if (find(m, key) < m->n) return 1;
    char *copy = m->n < MUTED_MAX ? ishow_strdup(key) : NULL;
    if (!copy) return 0;
    m->viewers[m->n].hash = fold_hash(copy);
    m->viewers[m->n++].key = copy;
    return 1;
}

int muted_remove(muted *m, const char *key) {
    const size_t i = find(m, key);
    if (i == m->n) return 0;
    free(m->viewers[i].key);
    memmove(&m->viewers[i], &m->viewers[i + 1], (m->n - i - 1) * sizeof *m->viewers);
    m->n--;
    return 1;
}

int muted_has(const muted *m, const char *platform, const char *const *users, size_t n) {
    char key[1024];
    for (size_t i = 0; m->n && i < n; i++)
        if (*users[i] && snprintf(key, sizeof key, "%s:%s", platform, users[i]) < (int)sizeof key &&
            find(m, key) < m->n)
            return 1;
    return 0;
}

json_t *muted_json(const muted *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->n; i++) {
        const char *user = strchr(m->viewers[i].key, ':');
        json_array_append_new(list, json_pack("{ss%,ss}", "platform", m->viewers[i].key,
                                              (size_t)(user - m->viewers[i].key), "user", user + 1));
    }
    return list;
}
