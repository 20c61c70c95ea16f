/* A hash table of limited size: a raid of a hundred thousand names must not grow the process. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

enum { BUCKETS = 4096 };

struct viewers {
    viewer *bucket[BUCKETS];
    viewer *oldest, *newest;
    size_t n, most;
};

viewers *viewers_create(size_t most) {
    viewers *v = calloc(1, sizeof *v);
    if (v) v->most = most;
    return v;
}

static void unlink_age(viewers *v, viewer *w) {
    if (w->older)
        w->older->newer = w->newer;
    else
        v->oldest = w->newer;
    if (w->newer)
        w->newer->older = w->older;
    else
        v->newest = w->older;
}

static void append_age(viewers *v, viewer *w) {
    w->newer = NULL;
    w->older = v->newest;
    if (v->newest)
        v->newest->newer = w;
    else
        v->oldest = w;
    v->newest = w;
}

static void remove_viewer(viewers *v, viewer *w) {
    viewer **at = &v->bucket[fold_hash(w->key) % BUCKETS];
    while (*at != w) at = &(*at)->chain;
    *at = w->chain;
    unlink_age(v, w);
    v->n--;
    free(w->key);
    free(w);
}

void viewers_free(viewers *v) {
    if (!v) return;
    while (v->oldest) remove_viewer(v, v->oldest);
    free(v);
}

viewer *viewers_get(viewers *v, const char *key) {
    viewer **bucket = &v->bucket[fold_hash(key) % BUCKETS];
    for (viewer *w = *bucket; w; w = w->chain)
        if (!strcmp(w->key, key)) {
            unlink_age(v, w);
            append_age(v, w);
            return w;
        }
    viewer *w = calloc(1, sizeof *w);
    if (!w || !(w->key = ishow_strdup(key))) {
        free(w);
        return NULL;
    }
    if (v->n >= v->most) remove_viewer(v, v->oldest);
    w->last = w->named = w->window = -1;
    w->chain = *bucket; /* after remove_viewer, which may change the bucket */
    *bucket = w;
    append_age(v, w);
    v->n++;
    return w;
}
