/* Helpers of a chat group; see shared_chats.h. */
#include "cluster/shared_chats.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

wire_inbox group_inbox(chat_group *g) {
    return (wire_inbox){.events = &g->events, .lock = &g->lock, .changed = &g->changed};
}

void group_post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n) {
    wire_post(&g->outbox, subject, head, bytes, n);
    pthread_cond_signal(&g->changed);
}

int shared_chat_leads(shared_chat *c) {
    pthread_mutex_lock(&c->group->lock);
    const int leads = c->leads;
    pthread_mutex_unlock(&c->group->lock);
    return leads;
}

shared_chat *group_chat(chat_group *g, const json_t *head) {
    const char *name = wire_text(head, "chat");
    if (!*name) name = WIRE_CHAT_MAIN; /* from a build with one chat */
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

void group_send(chat_group *g) {
    pthread_mutex_lock(&g->lock);
    wire_event *all = wire_take(&g->outbox);
    pthread_mutex_unlock(&g->lock);
    bus_publish_all(g->bus, all);
}
