/* See chat_group.h. One thread holds the lease and handles all messages. */
#include "cluster/chat_group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/json.h"
#include "cluster/bucket.h"
#include "cluster/chat_journal.h"
#include "cluster/labels.h"
#include "cluster/shared.h"
#include "cluster/wire.h"

#define WIRE_CHAT "ishow.v1.chat"
#define LEASE_KEY "chat-leader"

static const double RENEW_SECONDS = 0.3; /* between two writes of the lease, and two looks at it */
static const double FENCE_SECONDS = 1.5; /* after its last write, the leading one writes no journal */
static const double LEASE_SECONDS = 2;   /* of an unchanged lease after which another one takes it */
static const double ANSWER_SECONDS = 10;

typedef struct question {
    struct question *next;
    uint64_t number;
    int status; /* 0: not answered */
    ishow_buffer *out;
} question;

struct chat_group {
    bus *bus;
    bucket *bucket; /* the thread's own, like the next */
    chat_journal *journal;
    chat_service *service; /* borrowed */
    chat_leader table;
    char id[WIRE_ID + 1];
    char *name;
    void (*lost)(void *self);
    void *lost_self;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed, answered;
    /* under the lock */
    int stopping, leads;
    double renewed; /* when the lease was written last */
    wire_events events, outbox;
    char leader[WIRE_ID + 1], leader_name[65]; /* "": none is known */
    question *questions;
    uint64_t numbers;
    /* the thread's own */
    uint64_t revision; /* of the lease */
    double seen;       /* when it was another one, or not connected */
    double looked;
};

/* With the lock, on any thread. Takes head. */
static void post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n) {
    ishow_buffer message = {0};
    ishow_buffer_add(&message, subject, strlen(subject) + 1);
    wire_write(&message, head, bytes, n);
    if (!message.failed) wire_push(&g->outbox, message.data, message.n);
    ishow_buffer_free(&message);
    pthread_cond_signal(&g->changed);
}

static void on_event(void *self, const char *subject, const void *data, size_t n) {
    chat_group *g = self;
    (void)subject;
    pthread_mutex_lock(&g->lock);
    wire_push(&g->events, data, n);
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

int ishow_chat_group_leads(chat_group *g) {
    pthread_mutex_lock(&g->lock);
    const int leads = g->leads;
    pthread_mutex_unlock(&g->lock);
    return leads;
}

void ishow_chat_group_leader_name(chat_group *g, char out[65]) {
    pthread_mutex_lock(&g->lock);
    strcpy(out, g->leader_name);
    pthread_mutex_unlock(&g->lock);
}

static int may_write(void *self) {
    chat_group *g = self;
    pthread_mutex_lock(&g->lock);
    const int may = g->leads && ishow_now() - g->renewed < FENCE_SECONDS;
    pthread_mutex_unlock(&g->lock);
    return may;
}

/* ---- events ---- */

static void on_published(void *self, const ishow_chat_published *p) {
    chat_group *g = self;
    pthread_mutex_lock(&g->lock);
    if (g->leads) {
        json_t *head = json_pack("{s:s, s:s}", "type", "event", "from", g->id);
        json_add(&head, "event", json_string(p->event));
        json_add(&head, "json", json_string(p->json));
        json_add(&head, "rate", json_integer(p->rate));
        json_add(&head, "until", json_real(p->until));
        post(g, WIRE_CHAT, head, p->pcm, p->pcm ? p->n * sizeof *p->pcm : 0);
    }
    pthread_mutex_unlock(&g->lock);
}

static void follow(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    float *pcm = n ? malloc(n) : NULL;
    if (!strcmp(wire_text(head, "from"), g->id) || (n && !pcm)) {
        free(pcm);
        return;
    }
    if (pcm) memcpy(pcm, bytes, n); /* aligned */
    const ishow_chat_published what = {.event = wire_text(head, "event"),
                                       .json = wire_text(head, "json"),
                                       .pcm = pcm,
                                       .n = n / sizeof *pcm,
                                       .rate = (int)wire_whole(head, "rate"),
                                       .until = wire_number(head, "until")};
    ishow_chat_follow_event(ishow_chat_service_chat(g->service), &what);
    free(pcm);
}

/* ---- requests ---- */

typedef struct reply { /* to a gateway that asked */
    chat_group *group;
    int missing; /* atomic: parts of it that are not known yet */
    char to[WIRE_ID + 1];
    uint64_t number;
    int status;
    ishow_buffer body;
    fault fault;
} reply;

/* One part more is known. */
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
    post(g, subject,
         json_pack("{s:s, s:I, s:i}", "type", "chatted", "number", (json_int_t)r->number, "status", r->status),
         r->body.data, r->body.n);
    pthread_mutex_unlock(&g->lock);
    ishow_buffer_free(&r->body);
    free(r);
}

static void on_durable(void *user, ishow_status status) {
    reply *r = user;
    if (status) ishow_chat_service_not_kept(&r->fault);
    complete(r);
}

/* A request of a gateway that follows. */
static void serve(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n) {
    const char *verb = wire_text(head, "verb");
    fault f = {0};
    int waits = 0;
    reply *r = calloc(1, sizeof *r);
    if (!r) return; /* the other gateway times out */
    r->group = g;
    r->missing = 2; /* what the chat says, and that the message is durable */
    snprintf(r->to, sizeof r->to, "%s", wire_text(head, "from"));
    r->number = wire_whole(head, "number");
    if (!ishow_chat_group_leads(g))
        ishow_fault_set(&f, 503, "unavailable", "", "Another gateway leads the chat now.");
    else
        r->status =
            ishow_chat_service_ask(g->service, verb, (const char *)bytes, n, on_durable, r, &waits, &r->body, &f);
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
        if (n) ishow_buffer_add(q->out, bytes, n);
        pthread_cond_broadcast(&g->answered);
    }
    pthread_mutex_unlock(&g->lock);
}

/* The other side of serve: chat_leader's ask. */
static int ask(void *self, const char *verb, const char *body, size_t n, ishow_buffer *out, fault *f) {
    chat_group *g = self;
    struct timespec until;
    question q = {.out = out};
    char subject[WIRE_SUBJECT];
    ishow_deadline(ANSWER_SECONDS, &until);
    pthread_mutex_lock(&g->lock);
    const int known = g->leader[0] && !g->stopping;
    if (known) {
        q.number = ++g->numbers;
        q.next = g->questions;
        g->questions = &q;
        wire_subject(subject, g->leader);
        post(g, subject,
             json_pack("{s:s, s:s, s:I, s:s}", "type", "chat", "from", g->id, "number", (json_int_t)q.number, "verb",
                       verb),
             body, n);
        while (!q.status && !g->stopping && !pthread_cond_timedwait(&g->answered, &g->lock, &until)) continue;
        question **at = &g->questions;
        while (*at != &q) at = &(*at)->next;
        *at = q.next;
    }
    pthread_mutex_unlock(&g->lock);
    if (q.status) return q.status;
    return ishow_fault_set(f, 503, "unavailable", "",
                           known ? "The gateway that leads the chat does not answer."
                                 : "No gateway leads the chat yet: ask again in some seconds.");
}

/* ---- the lease ---- */

static ishow_status write_lease(chat_group *g, ishow_error *error) {
    const double now = ishow_now();
    json_t *lease = json_pack("{s:s, s:s}", "id", g->id, "name", g->name);
    char *text = lease ? json_dumps(lease, JSON_COMPACT) : NULL;
    const ishow_status status = text ? bucket_update(g->bucket, LEASE_KEY, text, strlen(text), &g->revision, error)
                                     : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a lease");
    free(text);
    json_decref(lease);
    if (status) return status;
    pthread_mutex_lock(&g->lock);
    g->renewed = now;
    pthread_mutex_unlock(&g->lock);
    return ISHOW_OK;
}

static void lose(chat_group *g, const char *why) {
    ishow_log(ISHOW_LOG_ERROR, "cluster", "this gateway leads the chat no longer: %s", why);
    ishow_chat_finish(ishow_chat_service_chat(g->service));
    pthread_mutex_lock(&g->lock);
    g->leads = 0;
    pthread_mutex_unlock(&g->lock);
    chat_journal_give_up(g->journal);
    g->lost(g->lost_self);
}

static void lead(chat_group *g) {
    ishow_error error = {0};
    if (!g->journal && chat_journal_open(&g->journal, g->bus, may_write, g, &error)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "the chat cannot be led: %s", error.message);
        return;
    }
    pthread_mutex_lock(&g->lock);
    g->leads = 1;
    strcpy(g->leader, g->id);
    snprintf(g->leader_name, sizeof g->leader_name, "%s", g->name);
    pthread_mutex_unlock(&g->lock);
    ishow_log(ISHOW_LOG_INFO, "cluster", "this gateway leads the chat");
    const ishow_chat_journal table = chat_journal_table(g->journal);
    if (ishow_chat_service_lead(g->service, &table, &error)) lose(g, error.message);
}

/* Whom the lease names; the time of a lease that changes is noted. */
static void read_lease(chat_group *g, double now) {
    ishow_error error = {0};
    uint64_t revision;
    ishow_buffer text = {0};
    const ishow_status status = bucket_get(g->bucket, LEASE_KEY, &text, &revision, &error);
    json_t *lease = status ? NULL : json_loadb((const char *)text.data, text.n, 0, NULL);
    if (status && status != ISHOW_ENOTFOUND) {
        g->seen = now;
    } else if (status) {
        g->revision = 0;
        g->seen = 0; /* it was given back */
    } else if (revision != g->revision) {
        g->revision = revision;
        g->seen = now;
        pthread_mutex_lock(&g->lock);
        if (strcmp(g->leader, wire_text(lease, "id")))
            ishow_log(ISHOW_LOG_INFO, "cluster", "the gateway %s leads the chat", wire_text(lease, "name"));
        snprintf(g->leader, sizeof g->leader, "%s", wire_text(lease, "id"));
        snprintf(g->leader_name, sizeof g->leader_name, "%s", wire_text(lease, "name"));
        pthread_mutex_unlock(&g->lock);
    }
    json_decref(lease);
    ishow_buffer_free(&text);
}

static void look(chat_group *g) {
    ishow_error error = {0};
    const double now = ishow_now();
    g->looked = now;
    if (!bus_connected(g->bus)) {
        g->seen = now; /* silence means nothing */
        return;
    }
    if (!g->bucket && bucket_open(&g->bucket, g->bus, SHARED_BUCKET, &error)) {
        ishow_log(ISHOW_LOG_WARN, "cluster", "no gateway can lead the chat: %s", error.message);
        g->looked = now + 2;
        return;
    }
    if (ishow_chat_group_leads(g)) {
        const ishow_status status = write_lease(g, &error);
        if (status == ISHOW_EBUSY) lose(g, "another one holds the lease");
        return;
    }
    read_lease(g, now);
    if (now - g->seen >= LEASE_SECONDS && !write_lease(g, &error)) lead(g);
}

/* ---- the thread ---- */

static void handle(chat_group *g, const wire_event *e) {
    const unsigned char *bytes;
    size_t n;
    json_t *head = wire_read(e->data, e->n, &bytes, &n);
    const char *type = wire_text(head, "type");
    if (!strcmp(type, "event"))
        follow(g, head, bytes, n);
    else if (!strcmp(type, "chat"))
        serve(g, head, bytes, n);
    else if (!strcmp(type, "chatted"))
        take_answer(g, head, bytes, n);
    json_decref(head);
}

static void send_all(chat_group *g, wire_event *all) {
    for (wire_event *e = all, *next; e; e = next) {
        next = e->next;
        const char *subject = (const char *)e->data;
        const size_t n = strlen(subject) + 1;
        bus_publish(g->bus, subject, e->data + n, e->n - n);
        free(e);
    }
}

static void *group_main(void *self) {
    chat_group *g = self;
    int stopping = 0;
    while (!stopping) {
        struct timespec until;
        ishow_deadline(RENEW_SECONDS, &until);
        pthread_mutex_lock(&g->lock);
        while (!g->stopping && !g->events.first && !g->outbox.first)
            if (pthread_cond_timedwait(&g->changed, &g->lock, &until)) break;
        wire_event *events = wire_take(&g->events), *outbox = wire_take(&g->outbox);
        stopping = g->stopping;
        pthread_mutex_unlock(&g->lock);
        send_all(g, outbox);
        for (wire_event *e = events, *next; e; e = next) {
            next = e->next;
            handle(g, e);
            free(e);
        }
        if (!stopping && ishow_now() - g->looked >= RENEW_SECONDS) look(g);
    }
    return NULL;
}

/* ---- open, run, free ---- */

ishow_status ishow_chat_group_open(chat_group **out, const ishow_cluster_options *options, void (*lost)(void *self),
                                   void *self, ishow_error *error) {
    char client[128], subject[WIRE_SUBJECT];
    *out = NULL;
    chat_group *g = calloc(1, sizeof *g);
    if (!g || !(g->name = labels_name(options))) {
        free(g);
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a shared chat");
    }
    g->lost = lost;
    g->lost_self = self;
    g->table = (chat_leader){.self = g, .ask = ask};
    g->seen = ishow_now();
    pthread_mutex_init(&g->lock, NULL);
    ishow_condition_init(&g->changed);
    ishow_condition_init(&g->answered);
    wire_draw_id(g->id);
    wire_subject(subject, g->id);
    snprintf(client, sizeof client, "ishowtts chat %.64s", g->name);
    ishow_status status = bus_open(&g->bus, options, client, error);
    if (!status) status = bus_subscribe(g->bus, subject, on_event, g, error);
    if (!status) status = bus_subscribe(g->bus, WIRE_CHAT, on_event, g, error);
    if (status)
        ishow_chat_group_free(g);
    else
        *out = g;
    return status;
}

const chat_leader *ishow_chat_group_leader(chat_group *g) { return &g->table; }

ishow_status ishow_chat_group_run(chat_group *g, chat_service *service, ishow_error *error) {
    g->service = service;
    ishow_chat_on_publish(ishow_chat_service_chat(service), on_published, g);
    if (pthread_create(&g->thread, NULL, group_main, g))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The thread of the shared chat could not be started.");
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
    chat_journal_free(g->journal);
    send_all(g, wire_take(&g->outbox)); /* the last events of the clip that was cut off */
    if (g->leads && g->bucket) bucket_drop(g->bucket, LEASE_KEY, NULL);
    bucket_close(g->bucket);
    bus_close(g->bus);
    wire_drop(&g->events);
    free(g->name);
    pthread_cond_destroy(&g->changed);
    pthread_cond_destroy(&g->answered);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
