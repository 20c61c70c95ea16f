/* Events of a chat, from its leader to the other gateways. A gateway subscribes to the subject of a chat that another
 * one leads only while it has listeners of that chat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/rooms.h"

static const double LOOK_SECONDS = 0.1;  /* between two checks for listeners */
static const double LINGER_SECONDS = 60; /* for which a subscription outlasts the last listener */
static const double JOIN_SECONDS = 1;    /* for which the current state is waited for */

static json_t *event_of(const room *r, const ishow_chat_published *p) {
    json_t *head = json_pack("{s:s, s:s, s:s}", "type", "event", "from", r->group->id, "chat", r->name);
    json_add(&head, "event", json_string(p->event));
    json_add(&head, "json", json_string(p->json));
    json_add(&head, "rate", json_integer(p->rate));
    json_add(&head, "until", json_real(p->until));
    return head;
}

void hearing_publish(void *self, const ishow_chat_published *p) {
    room *r = self;
    chat_group *g = r->group;
    pthread_mutex_lock(&g->lock);
    if (r->leads) group_post(g, r->subject, event_of(r, p), p->pcm, p->pcm ? p->n * sizeof *p->pcm : 0);
    pthread_mutex_unlock(&g->lock);
}

/* State and start in one message, so that no other event can come between them. */
static void publish_now(void *self, const char *state, const char *start) {
    room *r = self;
    chat_group *g = r->group;
    const ishow_chat_published what = {.event = "state", .json = state};
    pthread_mutex_lock(&g->lock);
    json_t *head = event_of(r, &what);
    json_add(&head, "again", json_true());
    if (start) json_add(&head, "start", json_string(start));
    if (r->leads)
        group_post(g, r->subject, head, NULL, 0);
    else
        json_decref(head);
    pthread_mutex_unlock(&g->lock);
}

void hearing_answer(chat_group *g, const json_t *head) {
    room *r = group_room(g, head);
    if (r && room_leads(r)) ishow_chat_show(ishow_chat_service_chat(r->service), publish_now, r);
}

void hearing_take(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    room *r = group_room(g, head);
    if (!r || !r->subscription || !strcmp(wire_text(head, "from"), g->id)) return;
    const int again = json_is_true(json_object_get(head, "again"));
    if (again == r->caught_up) return;
    ishow_chat *chat = ishow_chat_service_chat(r->service);
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
    r->caught_up = 1;
    const char *start = json_string_value(json_object_get(head, "start"));
    const ishow_chat_published plays = {.event = "start", .json = start};
    if (start) ishow_chat_follow_event(chat, &plays);
}

static void ask_for_now(room *r, double now) {
    chat_group *g = r->group;
    char subject[WIRE_SUBJECT];
    pthread_mutex_lock(&g->lock);
    if (r->leader[0]) {
        r->joined = now;
        wire_subject(subject, r->leader);
        group_post(g, subject, json_pack("{s:s, s:s, s:s}", "type", "join", "from", g->id, "chat", r->name), NULL, 0);
    }
    pthread_mutex_unlock(&g->lock);
}

void hearing_end(room *r) {
    if (!r->subscription) return;
    bus_unsubscribe(r->group->bus, r->subscription);
    r->subscription = NULL;
}

static int begin(room *r, int caught_up) {
    chat_group *g = r->group;
    ishow_error error = {0};
    if (bus_subscribe(g->bus, r->subject, group_inbox(g), &r->subscription, &error)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "the chat %s is not heard: %s", r->name, error.message);
        return 0;
    }
    r->caught_up = caught_up;
    r->joined = 0;
    return 1;
}

void hearing_continue(room *r) {
    if (ishow_chat_listeners(ishow_chat_service_chat(r->service))) begin(r, 1);
}

static void look_at(room *r, double now) {
    chat_group *g = r->group;
    pthread_mutex_lock(&g->lock);
    const int leads = r->leads, wanted = r->wanted;
    r->wanted = 0;
    pthread_mutex_unlock(&g->lock);
    if (wanted || ishow_chat_listeners(ishow_chat_service_chat(r->service))) r->listened = now;
    const int heard = !leads && r->listened && now - r->listened < LINGER_SECONDS;
    if (!heard && r->subscription) {
        hearing_end(r);
        if (!leads) ishow_chat_forget(ishow_chat_service_chat(r->service));
    }
    if (!heard) return;
    if (!r->subscription && !begin(r, 0)) return;
    if (r->caught_up) return;
    if (!r->joined)
        ask_for_now(r, now);
    else if (now - r->joined > JOIN_SECONDS)
        r->caught_up = 1; /* the leader's build does not answer this: later events are enough */
}

void hearing_look(chat_group *g, int woken) {
    const double now = ishow_now();
    if (!woken && now - g->heard < LOOK_SECONDS) return;
    g->heard = now;
    for (room *r = g->rooms; r < g->rooms + g->n_rooms; r++) look_at(r, now);
}
