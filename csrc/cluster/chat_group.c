/* See chat_group.h: requests between gateways, and the thread that holds the leases and handles all messages. */
#include "cluster/chat_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/json.h"
#include "cluster/labels.h"
#include "cluster/shared_chats.h"

static const double TURN_SECONDS = 0.1;
static const double ANSWER_SECONDS = 10;
static const double MOVED_SECONDS = 0.1; /* after which the new leader of a chat is asked */
static const double UNLED_SECONDS = 3;   /* for which a request waits for a leader */

size_t ishow_chat_group_leads(chat_group *g) {
    size_t n = 0;
    pthread_mutex_lock(&g->lock);
    for (const shared_chat *c = g->chats; c < g->chats + g->n_chats; c++) n += (size_t)c->leads;
    pthread_mutex_unlock(&g->lock);
    return n;
}

void ishow_chat_group_leader_name(chat_group *g, size_t chat, char out[65]) {
    pthread_mutex_lock(&g->lock);
    strcpy(out, g->chats[chat].leader_name);
    pthread_mutex_unlock(&g->lock);
}

void ishow_chat_group_listen(chat_group *g, size_t chat) {
    pthread_mutex_lock(&g->lock);
    g->chats[chat].wanted = g->wakes = 1;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

/* ---- requests ---- */

typedef struct reply { /* to a gateway that asked */
    chat_group *group;
    int missing; /* atomic: number of parts that are not known yet */
    char to[WIRE_ID + 1];
    uint64_t number;
    int status, moved;
    ishow_buffer body;
    fault fault;
} reply;

/* One more part is known; sends the reply after the last one. */
static void complete(reply *r) {
    chat_group *g = r->group;
    char subject[WIRE_SUBJECT];
    if (__atomic_sub_fetch(&r->missing, 1, __ATOMIC_ACQ_REL)) return;
    if (r->fault.status) {
        r->status = r->fault.status;
        r->body.n = 0;
        ishow_fault_write(&r->body, &r->fault);
    }
    wire_subject(subject, r->to);
    pthread_mutex_lock(&g->lock);
    json_t *head =
        json_pack("{s:s, s:I, s:i}", "type", "chatted", "number", (json_int_t)r->number, "status", r->status);
    if (r->moved) json_add(&head, "moved", json_true());
    group_post(g, subject, head, r->body.data, r->body.n);
    pthread_mutex_unlock(&g->lock);
    ishow_buffer_free(&r->body);
    free(r);
}

static void on_durable(void *user, ishow_status status) {
    reply *r = user;
    if (status) ishow_chat_service_not_kept(&r->fault);
    complete(r);
}

/* Handles a request of a gateway that does not lead. */
static void serve(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    const char *verb = wire_text(head, "verb");
    fault f = {0};
    int waits = 0;
    reply *r = calloc(1, sizeof *r);
    if (!r) return; /* the other gateway times out */
    r->group = g;
    r->missing = 2; /* the answer of the chat, and whether the message is durable */
    snprintf(r->to, sizeof r->to, "%s", wire_text(head, "from"));
    r->number = wire_whole(head, "number");
    shared_chat *of = group_chat(g, head);
    if (!of || !shared_chat_leads(of)) {
        r->moved = 1;
        ishow_fault_set(&f, 503, "unavailable", "", "Another gateway leads the chat now.");
    } else
        r->status =
            ishow_chat_service_ask(of->service, verb, (const char *)bytes, n, on_durable, r, &waits, &r->body, &f);
    if (!waits) {
        if (!r->status) r->fault = f;
        r->missing = 1;
    }
    complete(r);
}

static void take_answer(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    pthread_mutex_lock(&g->lock);
    question *q = g->questions;
    while (q && q->number != wire_whole(head, "number")) q = q->next;
    if (q && !q->status) {
        q->status = (int)wire_whole(head, "status");
        q->moved = json_is_true(json_object_get(head, "moved"));
        if (n && !q->moved) ishow_buffer_add(q->out, bytes, n);
        pthread_cond_broadcast(&g->answered);
    }
    pthread_mutex_unlock(&g->lock);
}

/* With the lock. Asks the leader and waits for its answer, or until another gateway leads; status 0: no answer. */
static void ask_once(shared_chat *c, question *q, const char *verb, const char *body, size_t n,
                     const struct timespec *until) {
    chat_group *g = c->group;
    char subject[WIRE_SUBJECT], asked[WIRE_ID + 1];
    strcpy(asked, c->leader);
    q->number = ++g->numbers;
    q->status = q->moved = 0;
    q->next = g->questions;
    g->questions = q;
    wire_subject(subject, c->leader);
    json_t *head = json_pack("{s:s, s:s, s:s}", "type", "chat", "from", g->id, "chat", c->name);
    json_add(&head, "number", wire_u64(q->number));
    json_add(&head, "verb", json_string(verb));
    group_post(g, subject, head, body, n);
    while (!q->status && !g->stopping && !strcmp(asked, c->leader) &&
           !pthread_cond_timedwait(&g->answered, &g->lock, until))
        continue;
    q->moved |= !q->status && strcmp(asked, c->leader);
    question **at = &g->questions;
    while (*at != q) at = &(*at)->next;
    *at = q->next;
}

/* chat_leader's ask; the leader's side is serve. While a chat moves to another gateway, that one is asked next. */
static int ask(void *self, const char *verb, const char *body, size_t n, ishow_buffer *out, fault *f) {
    shared_chat *c = self;
    chat_group *g = c->group;
    struct timespec until, unled;
    const double end = ishow_now() + ANSWER_SECONDS;
    question q = {.out = out};
    int known = 1;
    ishow_deadline(ANSWER_SECONDS, &until);
    ishow_deadline(UNLED_SECONDS, &unled);
    pthread_mutex_lock(&g->lock);
    for (;;) {
        while (!c->leader[0] && !g->stopping && !pthread_cond_timedwait(&g->answered, &g->lock, &unled)) continue;
        known = c->leader[0] && !g->stopping;
        if (known) ask_once(c, &q, verb, body, n, &until);
        if (!q.moved || g->stopping) break;
        struct timespec moved;
        ishow_deadline(MOVED_SECONDS, &moved);
        while (!g->stopping && !pthread_cond_timedwait(&g->answered, &g->lock, &moved)) continue;
        if (ishow_now() >= end) break;
    }
    pthread_mutex_unlock(&g->lock);
    if (q.status && !q.moved) return q.status;
    return ishow_fault_set(f, 503, "unavailable", "",
                           known ? "The gateway that leads the chat does not answer."
                                 : "No gateway leads the chat yet: ask again in some seconds.");
}

/* ---- the thread ---- */

static void handle(chat_group *g, const wire_event *e) {
    const unsigned char *bytes;
    size_t n;
    json_t *head = wire_read(e->data, e->n, &bytes, &n);
    const char *type = wire_text(head, "type");
    if (!strcmp(type, "event"))
        chat_events_take(g, head, bytes, n);
    else if (!strcmp(type, "join"))
        chat_events_answer(g, head);
    else if (!strcmp(type, "leads"))
        leases_take_beat(g, head);
    else if (!strcmp(type, "chat"))
        serve(g, head, bytes, n);
    else if (!strcmp(type, "chatted"))
        take_answer(g, head, bytes, n);
    json_decref(head);
}

static void *group_main(void *self) {
    chat_group *g = self;
    int stopping = 0;
    while (!stopping) {
        struct timespec until;
        ishow_deadline(TURN_SECONDS, &until);
        pthread_mutex_lock(&g->lock);
        while (!g->stopping && !g->wakes && !g->events.first && !g->outbox.first)
            if (pthread_cond_timedwait(&g->changed, &g->lock, &until)) break;
        const int woken = g->wakes;
        g->wakes = 0;
        wire_event *events = wire_take(&g->events);
        stopping = g->stopping;
        pthread_mutex_unlock(&g->lock);
        chat_events_check(g, woken); /* subscribes before a request is sent whose events are to be received */
        group_send(g);
        for (wire_event *e = events, *next; e; e = next) {
            next = e->next;
            handle(g, e);
            free(e);
        }
        if (!stopping) leases_check(g);
    }
    if (g->bucket) leases_give_back(g);
    group_send(g);
    return NULL;
}

/* ---- open, run, free ---- */

static void shared_chat_init(shared_chat *c, chat_group *g, const char *name) {
    const int main = !strcmp(name, WIRE_CHAT_MAIN);
    *c = (shared_chat){.group = g, .table = {.self = c, .ask = ask}, .seen = ishow_now()};
    snprintf(c->name, sizeof c->name, "%s", name);
    snprintf(c->subject, sizeof c->subject, main ? WIRE_CHAT : WIRE_CHAT ".%s", c->name);
    snprintf(c->lease_key, sizeof c->lease_key, main ? "chat-leader" : "chat-leader.%s", c->name);
    snprintf(c->sources_key, sizeof c->sources_key, "chat-sources.%s", c->name);
}

ishow_status ishow_chat_group_open(chat_group **out, const ishow_cluster_options *options, ishow_error *error) {
    char client[128], subject[WIRE_SUBJECT];
    *out = NULL;
    chat_group *g = calloc(1, sizeof *g);
    if (!g || !(g->name = labels_name(options)) || !(g->chats = calloc(options->n_chats, sizeof *g->chats))) {
        if (g) free(g->name);
        free(g);
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a shared chat");
    }
    g->n_chats = options->n_chats;
    g->names = HASH_START;
    for (size_t i = 0; i < g->n_chats; i++) {
        shared_chat_init(&g->chats[i], g, options->chats[i]);
        g->names = hash_more(g->names, options->chats[i], strlen(options->chats[i]) + 1);
    }
    pthread_mutex_init(&g->lock, NULL);
    ishow_condition_init(&g->changed);
    ishow_condition_init(&g->answered);
    wire_draw_id(g->id);
    wire_subject(subject, g->id);
    snprintf(client, sizeof client, "ishowtts chat %.64s", g->name);
    ishow_status status = bus_open(&g->bus, options, client, error);
    if (!status) status = bus_subscribe(g->bus, subject, group_inbox(g), NULL, error);
    if (!status) status = bus_subscribe(g->bus, WIRE_CHATS, group_inbox(g), NULL, error);
    if (status)
        ishow_chat_group_free(g);
    else
        *out = g;
    return status;
}

const chat_leader *ishow_chat_group_leader(chat_group *g, size_t chat) { return &g->chats[chat].table; }

void ishow_chat_group_join(chat_group *g, size_t chat, chat_service *service) {
    g->chats[chat].service = service;
    ishow_chat_on_publish(ishow_chat_service_chat(service), chat_events_publish, &g->chats[chat]);
}

ishow_status ishow_chat_group_run(chat_group *g, ishow_error *error) {
    if (pthread_create(&g->thread, NULL, group_main, g))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The thread of the shared chats could not be started.");
    g->runs = 1;
    return ISHOW_OK;
}

void ishow_chat_group_stop(chat_group *g) {
    if (!g->runs) return;
    pthread_mutex_lock(&g->lock);
    g->stopping = 1;
    pthread_cond_broadcast(&g->changed);
    pthread_cond_broadcast(&g->answered);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->thread, NULL);
    g->runs = 0;
}

void ishow_chat_group_free(chat_group *g) {
    if (!g) return;
    ishow_chat_group_stop(g);
    bucket_close(g->bucket);
    bus_close(g->bus);
    wire_drop(&g->events);
    wire_drop(&g->outbox);
    for (size_t i = 0; i < g->n_chats; i++) free(g->chats[i].sources);
    free(g->chats);
    free(g->others);
    free(g->name);
    pthread_cond_destroy(&g->changed);
    pthread_cond_destroy(&g->answered);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
