/* A chat that another process leads: it publishes what the leading one publishes, and reads nothing itself until it
 * leads. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

void ishow_chat_on_publish(ishow_chat *c, void (*published)(void *self, const ishow_chat_published *what), void *self) {
    broadcast_on_publish(c->broadcast, published, self);
}

static void keep(json_t **at, const char *json) {
    json_decref(*at);
    *at = json ? json_loads(json, 0, NULL) : NULL;
}

void ishow_chat_follow_event(ishow_chat *c, const ishow_chat_published *p) {
    pthread_mutex_lock(&c->lock);
    if (c->follows) {
        if (!strcmp(p->event, "state")) keep(&c->followed_state, p->json);
        if (!strcmp(p->event, "start")) {
            keep(&c->followed_start, p->json);
            c->followed_at = chat_now(c);
            broadcast_clip(c->broadcast, 1);
        }
        if (p->pcm)
            broadcast_audio(c->broadcast, p->json, p->pcm, p->n, p->rate, p->until);
        else
            broadcast_publish(c->broadcast, p->event, p->json);
        if (!strcmp(p->event, "end")) {
            keep(&c->followed_start, NULL);
            broadcast_clip(c->broadcast, 0);
        }
    }
    chat_unlock(c);
}

double follow_position(const ishow_chat *c, double now) {
    return json_number_value(json_object_get(c->followed_start, "at")) + now - c->followed_at;
}

size_t ishow_chat_listeners(ishow_chat *c) { return broadcast_listeners(c->broadcast); }

json_t *follow_state(const ishow_chat *c) { return json_deep_copy(c->followed_state); }

json_t *follow_start(const ishow_chat *c, double now) {
    json_t *start = json_deep_copy(c->followed_start);
    if (start) json_object_set_new(start, "at", json_real(round(follow_position(c, now) * 1e3) / 1e3));
    return start;
}

void follow_forget(ishow_chat *c) {
    keep(&c->followed_state, NULL);
    keep(&c->followed_start, NULL);
}

void follow_end(ishow_chat *c) {
    if (c->followed_start) {
        json_t *id = json_incref(json_object_get(c->followed_start, "id"));
        chat_publish(c, "end",
                     json_pack("{so,ss,sf,sb}", "id", id ? id : json_null(), "reason", "closing", "at",
                               follow_position(c, chat_now(c)), "replay", 0));
        broadcast_clip(c->broadcast, 0);
    }
    follow_forget(c);
}

void ishow_chat_forget(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    if (c->follows) follow_end(c);
    chat_unlock(c);
}
