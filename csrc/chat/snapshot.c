/* The chat's state as structs and as JSON, and opening of readers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "chat/chat_internal.h"

enum { HELD_SHOWN = 200 };

static json_t *counts_json(const ishow_chat_counts *n) {
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = {{"received", n->received},   {"spoken", n->spoken},     {"deleted", n->deleted},
                  {"skipped", n->skipped},     {"waiting", n->waiting},   {"merged", n->merged},
                  {"recovered", n->recovered}, {"replayed", n->replayed}, {"cut", n->cut},
                  {"commands", n->commands}};
    json_t *object = json_object(), *dropped = json_object();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        json_object_set_new(object, counts[i].key, json_integer((json_int_t)counts[i].n));
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++)
        if (n->dropped[i])
            json_object_set_new(dropped, ishow_chat_reason_name((ishow_chat_reason)i),
                                json_integer((json_int_t)n->dropped[i]));
    json_object_set_new(object, "dropped", dropped);
    return object;
}

json_t *chat_state(ishow_chat *c) {
    json_t *waiting = json_object(), *playing = json_null();
    for (int p = ISHOW_CHAT_PRIORITY_GIFT; p >= 0; p--)
        json_object_set_new(waiting, ishow_chat_priority_name((ishow_chat_priority)p),
                            json_integer((json_int_t)c->queue.n[p]));
    if (c->playing) playing = json_string(c->playing->id);
    json_t *state = json_pack("{sb,so,so}", "paused", c->paused, "playing", playing, "queue", waiting);
    json_add(&state, "held", json_integer((json_int_t)c->queue.n[QUEUE_HELD]));
    json_add(&state, "listeners", json_integer((json_int_t)broadcast_listeners(c->broadcast)));
    json_add(&state, "counts", counts_json(&c->counts));
    return state;
}

void ishow_chat_counts_get(ishow_chat *c, ishow_chat_counts *out) {
    pthread_mutex_lock(&c->lock);
    *out = c->counts;
    pthread_mutex_unlock(&c->lock);
}

void ishow_chat_status_get(ishow_chat *c, ishow_chat_status *out) {
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    out->counts = c->counts;
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++) {
        out->by_priority[p] = c->queue.n[p];
        for (const item *it = c->queue.first[p]; it; it = it->next)
            if (now - it->arrived > out->oldest_seconds) out->oldest_seconds = now - it->arrived;
    }
    out->held = c->queue.n[QUEUE_HELD];
    out->paused = c->paused;
    out->playing = c->playing != NULL;
    out->position = play_position(c, now);
    out->duration = c->playing ? out->position + play_rest(c) : 0;
    if (!c->playing) out->position = 0;
    out->listeners = broadcast_listeners(c->broadcast);
    pthread_mutex_unlock(&c->lock);
}

char *ishow_chat_queue_json(ishow_chat *c, size_t most) {
    json_t *list = json_array(), *playing = NULL;
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    play_position(c, now);
    if (c->playing && (playing = play_start(c))) {
        json_object_del(playing, "captions");
        json_object_del(playing, "timed");
    }
    const size_t total = c->queue.total;
    if (most > total) most = total;
    item **plan = malloc((most + 1) * sizeof *plan);
    size_t n = plan ? queue_plan(&c->queue, now, plan, most) : 0;
    for (size_t i = 0; i < n; i++) {
        json_t *object = item_json(plan[i]);
        if (!object) continue;
        json_object_set_new(object, "position", json_integer((json_int_t)(i + (c->playing != NULL))));
        json_object_set_new(object, "waited", json_real(round((now - plan[i]->arrived) * 10) / 10));
        json_object_set_new(object, "ready", json_boolean(plan[i]->complete));
        json_array_append_new(list, object);
    }
    json_t *refused = json_deep_copy(c->refused), *held = json_array(), *muted = muted_json(filter_muted(c->filter));
    size_t shown = 0;
    for (const item *it = c->queue.first[QUEUE_HELD]; it && shown < HELD_SHOWN; it = it->next, shown++)
        json_array_append_new(held, item_json(it));
    pthread_mutex_unlock(&c->lock);
    json_t *root = json_pack("{so,so}", "playing", playing ? playing : json_null(), "waiting", list);
    json_add(&root, "held", held);
    json_add(&root, "refused", refused);
    json_add(&root, "muted", muted);
    json_add(&root, "total", json_integer((json_int_t)total));
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    free(plan);
    return text;
}

char *ishow_chat_status_json(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    json_t *state = chat_state(c);
    pthread_mutex_unlock(&c->lock);
    char *text = state ? json_dumps(state, JSON_COMPACT) : NULL;
    json_decref(state);
    return text;
}

void ishow_chat_on_news(ishow_chat *c, void (*news)(void *self), void *self) {
    broadcast_on_news(c->broadcast, news, self);
}

void ishow_chat_on_event(ishow_chat *c, void (*on_event)(void *self, const char *event, const char *json), void *self) {
    c->on_event = on_event;
    c->on_event_self = self;
}

/* With the lock. What a new listener begins with, both to free(); NULL: no clip plays, or no memory. */
static void shown(ishow_chat *c, double now, char **state_text, char **start_text) {
    json_t *state = c->follows ? follow_state(c) : chat_state(c),
           *start = c->follows ? follow_start(c, now) : play_start(c);
    if (!state) state = chat_state(c); /* nothing was heard of the leading one yet */
    *state_text = state ? json_dumps(state, JSON_COMPACT) : NULL;
    *start_text = start ? json_dumps(start, JSON_COMPACT) : NULL;
    json_decref(state);
    json_decref(start);
}

void ishow_chat_show(ishow_chat *c, void (*show)(void *self, const char *state, const char *start), void *self) {
    char *state, *start;
    pthread_mutex_lock(&c->lock);
    shown(c, chat_now(c), &state, &start);
    if (state) show(self, state, start);
    chat_unlock(c);
    free(state);
    free(start);
}

ishow_status ishow_chat_reader_open(ishow_chat_reader **out, ishow_chat *c, const char *last, ishow_error *error) {
    char *state, *start;
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c), position = c->follows ? follow_position(c, now) : play_position(c, now);
    shown(c, now, &state, &start);
    *out = broadcast_reader(c->broadcast, last, state, start, position);
    pthread_mutex_unlock(&c->lock);
    return *out ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a listener.");
}
