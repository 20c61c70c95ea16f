/* Messages of the gateways that share chats, and the chats themselves; see rooms.h. */
#include "cluster/rooms.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

void group_post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n) {
    ishow_buffer message = {0};
    ishow_buffer_add(&message, subject, strlen(subject) + 1);
    wire_write(&message, head, bytes, n);
    if (!message.failed) wire_push(&g->outbox, message.data, message.n);
    ishow_buffer_free(&message);
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
    for (wire_event *e = all, *next; e; e = next) {
        next = e->next;
        const char *subject = (const char *)e->data;
        const size_t n = strlen(subject) + 1;
        bus_publish(g->bus, subject, e->data + n, e->n - n);
        free(e);
    }
}
