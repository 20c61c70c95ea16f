/* Events of a chat, from its leader to the other gateways. A gateway subscribes to the subject of a chat that another
 * one leads only while it has listeners of that chat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/shared_chats.h"

static const double LOOK_SECONDS = 0.1;  /* between two checks for listeners */
static const double LINGER_SECONDS = 60; /* for which a subscription outlasts the last listener */
static const double JOIN_SECONDS = 1;    /* for which the current state is waited for */

static json_t *event_of(const shared_chat *c, const ishow_chat_published *p) {
    json_t *head = json_pack("{s:s, s:s, s:s}", "type", "event", "from", c->group->id, "chat", c->name);
    json_add(&head, "event", json_string(p->event));
    json_add(&head, "json", json_string(p->json));
    json_add(&head, "rate", json_integer(p->rate));
    json_add(&head, "until", json_real(p->until));
    return head;
}

void chat_events_publish(void *self, const ishow_chat_published *p) {
    shared_chat *c = self;
    chat_group *g = c->group;
    pthread_mutex_lock(&g->lock);
    if (c->leads) group_post(g, c->subject, event_of(c, p), p->pcm, p->pcm ? p->n * sizeof *p->pcm : 0);
    pthread_mutex_unlock(&g->lock);
}

/* State and start in one message, so that no other event can come between them. */
static void publish_now(void *self, const char *state, const char *start) {
    shared_chat *c = self;
    chat_group *g = c->group;
    const ishow_chat_published what = {.event = "state", .json = state};
    pthread_mutex_lock(&g->lock);
    json_t *head = event_of(c, &what);
    json_add(&head, "again", json_true());
    if (start) json_add(&head, "start", json_string(start));
    if (c->leads)
        group_post(g, c->subject, head, NULL, 0);
    else
        json_decref(head);
    pthread_mutex_unlock(&g->lock);
}

void chat_events_answer(chat_group *g, const json_t *head) {
    shared_chat *c = group_chat(g, head);
    if (c && shared_chat_leads(c)) ishow_chat_show(ishow_chat_service_chat(c->service), publish_now, c);
}

void chat_events_take(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    shared_chat *c = group_chat(g, head);
    if (!c || !c->subscription || !strcmp(wire_text(head, "from"), g->id)) return;
    const int again = json_is_true(json_object_get(head, "again"));
    if (again == c->caught_up) return;
    ishow_chat *chat = ishow_chat_service_chat(c->service);
    float *pcm = n ? malloc(n) : NULL;
    if (n && !pcm) return;
    if (pcm) memcpy(pcm, bytes, n); /* aligned */
    const ishow_chat_published what = {.event = wire_text(head, "event"),
                                       .json = wire_text(head, "json"),
                                       .pcm = pcm,
                                       .n = n / sizeof *pcm,
                                       .rate = (int)wire_whole(head, "rate"),
                                       .until = wire_number(head, "until")};
    ishow_chat_follow_event(chat, &what);
    free(pcm);
    if (!again) return;
    c->caught_up = 1;
    const char *start = json_string_value(json_object_get(head, "start"));
    const ishow_chat_published plays = {.event = "start", .json = start};
    if (start) ishow_chat_follow_event(chat, &plays);
}

static void ask_for_now(shared_chat *c, double now) {
    chat_group *g = c->group;
    char subject[WIRE_SUBJECT];
    pthread_mutex_lock(&g->lock);
    if (c->leader[0]) {
        c->joined = now;
        wire_subject(subject, c->leader);
        group_post(g, subject, json_pack("{s:s, s:s, s:s}", "type", "join", "from", g->id, "chat", c->name), NULL, 0);
    }
    pthread_mutex_unlock(&g->lock);
}

void chat_events_end(shared_chat *c) {
    if (!c->subscription) return;
    bus_unsubscribe(c->group->bus, c->subscription);
    c->subscription = NULL;
}

static int begin(shared_chat *c, int caught_up) {
    chat_group *g = c->group;
    ishow_error error = {0};
    if (bus_subscribe(g->bus, c->subject, group_inbox(g), &c->subscription, &error)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "events of the chat %s cannot be received: %s", c->name, error.message);
        return 0;
    }
    c->caught_up = caught_up;
    c->joined = 0;
    return 1;
}

void chat_events_continue(shared_chat *c) {
    if (ishow_chat_listeners(ishow_chat_service_chat(c->service))) begin(c, 1);
}

static void look_at(shared_chat *c, double now) {
    chat_group *g = c->group;
    pthread_mutex_lock(&g->lock);
    const int leads = c->leads, wanted = c->wanted;
    c->wanted = 0;
    pthread_mutex_unlock(&g->lock);
    if (wanted || ishow_chat_listeners(ishow_chat_service_chat(c->service))) c->listened = now;
    const int heard = !leads && c->listened && now - c->listened < LINGER_SECONDS;
    if (!heard && c->subscription) {
        chat_events_end(c);
        if (!leads) ishow_chat_forget(ishow_chat_service_chat(c->service));
    }
    if (!heard) return;
    if (!c->subscription && !begin(c, 0)) return;
    if (c->caught_up) return;
    if (!c->joined)
        ask_for_now(c, now);
    else if (now - c->joined > JOIN_SECONDS)
        c->caught_up = 1; /* the leader's build does not answer this: later events are enough */
}

void chat_events_check(chat_group *g, int woken) {
    const double now = ishow_now();
    if (!woken && now - g->heard < LOOK_SECONDS) return;
    g->heard = now;
    for (shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) look_at(c, now);
}
