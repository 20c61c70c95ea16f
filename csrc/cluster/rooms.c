/* Helpers of a chat group; see rooms.h. */
#include "cluster/rooms.h"

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

int room_leads(room *r) {
    pthread_mutex_lock(&r->group->lock);
    const int leads = r->leads;
    pthread_mutex_unlock(&r->group->lock);
    return leads;
}

room *group_room(chat_group *g, const json_t *head) {
    const char *name = wire_text(head, "chat");
    if (!*name) name = WIRE_CHAT_MAIN; /* from a build with one chat */
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++)
        if (!strcmp(r->name, name)) return r;
    return NULL;
}

void group_send(chat_group *g) {
    pthread_mutex_lock(&g->lock);
    wire_event *all = wire_take(&g->outbox);
    pthread_mutex_unlock(&g->lock);
    bus_publish_all(g->bus, all);
}
