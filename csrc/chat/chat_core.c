/* Functions used by every file of a running chat: clock, lock, events, waking the thread. */
#include <stdlib.h>

#include "chat/chat_internal.h"

double chat_now(const ishow_chat *c) { return c->o.now ? c->o.now(c->o.now_self) : ishow_now(); }

void chat_unlock(ishow_chat *c) {
    pthread_mutex_unlock(&c->lock);
    broadcast_news(c->broadcast);
}

void chat_publish(ishow_chat *c, const char *event, json_t *object) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text) broadcast_publish(c->broadcast, event, text);
    if (text && c->on_event) c->on_event(c->on_event_self, event, text);
    free(text);
    json_decref(object);
}

void ishow_chat_wake(void *self) {
    ishow_chat *c = self;
    pthread_mutex_lock(&c->wake_lock);
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}
