/* Assigning utterances to workers, and handling what workers send. Runs on the gateway's thread with the lock held;
 * call_push and call_end release the lock for the caller's notify, so a walk of the list restarts after call_end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/gateway.h"

static const double NOBODY_SECONDS = 10; /* seconds that an utterance waits for a suitable worker */
static const double RETRY_SECONDS =
    0.5; /* seconds after which a worker that was full or did not respond may be chosen again */

static json_t *head_of(const gateway *g, const call *u, const char *type) {
    return json_pack("{s:s, s:s, s:I, s:I}", "type", type, "gateway", g->id, "utterance", (json_int_t)u->number,
                     "attempt", (json_int_t)u->attempt);
}

static void send_ack(gateway *g, call *u, double now) {
    json_t *head = head_of(g, u, "ack");
    if (u->reader.unread <= UNREAD_MAX) u->acked = u->seq;
    json_object_set_new(head, "seq", wire_u64(u->acked));
    json_object_set_new(head, "held", json_boolean(u->acked < u->seq));
    gateway_post(g, u->worker, head, NULL, 0);
    u->ack_due = 0;
    u->acknowledged = now;
}

static void send_request(gateway *g, call *u, double now) {
    json_t *head = head_of(g, u, "speak"), *request = json_copy(u->request);
    if (u->deadline > 0)
        json_object_set_new(request, "deadline", json_real(u->deadline > now ? u->deadline - now : 0.001));
    json_object_set_new(head, "request", request);
    json_object_set_new(head, "work", json_real(u->share));
    json_object_set_new(head, "part", wire_u64(u->part));
    json_object_set_new(head, "plan", wire_u64(u->plan));
    if (u->shared) json_object_set(head, "shared", u->shared);
    if (u->lexicon) json_object_set_new(head, "lexicon", wire_u64(u->lexicon));
    gateway_post(g, u->worker, head, u->tail, u->n_tail * sizeof *u->tail);
    u->sent = now;
}

/* Queues an utterance for another assignment. */
static void put_back(gateway *g, call *u, const char *why, double now) {
    ishow_log(ISHOW_LOG_INFO, "cluster", "utterance %llu of worker %s %s, %zu part(s) are spoken",
              (unsigned long long)u->number, u->worker, why, u->part);
    u->state = CALL_WAITING;
    u->since = now;
    g->dirty = 1;
}

static void late(const call *u, ishow_error *error) {
    ishow_fail(error, ISHOW_ETIMEOUT, "deadline", "the deadline of %g s passed", u->deadline - u->reader.submitted);
}

static void refuse_worker(call *u, double now) {
    u->retry = now + RETRY_SECONDS;
    if (u->n_refused < REFUSED_MAX) strcpy(u->refused[u->n_refused++], u->worker);
}

/* ---- received messages ---- */

/* Numbered messages are handled once and in order. 1: this one is next. */
static int in_order(gateway *g, call *u, const json_t *head, double now) {
    const uint64_t seq = wire_whole(head, "seq");
    if (seq == u->seq + 1) {
        u->seq = seq;
        return 1;
    }
    if (seq <= u->seq) send_ack(g, u, now); /* the last acknowledgement may have been lost */
    return 0;
}

/* Gives a piece that begins `before` seconds after the speech does its words; without memory it has none. */
static void take_words(piece *p, const json_t *words, double before) {
    const size_t n = wire_count_words(words);
    if (!n || !(p->words = calloc(n, sizeof *p->words))) return;
    p->n_words = n;
    wire_read_words(words, before, p->words);
}

/* The last message of a piece holds the rest of its samples and the tail of the place behind it. */
static void take_piece(gateway *g, call *u, const json_t *head, const unsigned char *bytes, size_t n) {
    const size_t n_tail = (size_t)wire_whole(head, "tail");
    ishow_buffer_add(&u->piece, bytes, n);
    if (!json_object_get(head, "part")) return;
    const size_t all = u->piece.n / sizeof(float);
    float *tail = malloc((n_tail + 1) * sizeof *tail);
    piece *p = n_tail <= all ? piece_make(all - n_tail) : NULL;
    if (!tail || !p || u->piece.failed) {
        ishow_error error;
        ishow_fail(&error, ISHOW_ENOMEM, "", "no memory for %zu samples", all);
        free(tail);
        piece_free(p);
        gateway_post(g, u->worker, head_of(g, u, "cancel"), NULL, 0);
        call_end(g, u, ISHOW_ENOMEM, &error);
        return;
    }
    memcpy(p->samples, u->piece.data, p->n * sizeof *p->samples);
    if (n_tail) memcpy(tail, u->piece.data + p->n * sizeof *p->samples, n_tail * sizeof *tail);
    u->piece.n = 0;
    free(u->tail);
    u->tail = tail;
    u->n_tail = n_tail;
    u->part = (size_t)wire_whole(head, "part");
    u->plan = wire_whole(head, "plan");
    u->progress = wire_number(head, "progress");
    const double model = u->reader.timings.model;
    wire_read_timings(json_object_get(head, "timings"), &u->reader.timings);
    if (u->reader.timings.model < model) u->reader.timings.model = model; /* a new worker's timings start at 0 */
    u->refusal = (ishow_error){0};
    take_words(p, json_object_get(head, "words"), (double)u->given / u->reader.timings.sample_rate);
    u->given += p->n;
    call_push(u, p);
}

static void take_end(gateway *g, call *u, const json_t *head, double now) {
    ishow_error error;
    wire_read_error(json_object_get(head, "error"), &error);
    send_ack(g, u, now);
    if (error.status == ISHOW_OK) {
        call_end(g, u, ISHOW_OK, NULL);
        return;
    }
    const int refused =
        u->seq == 1 && (error.status == ISHOW_EBUSY || error.status == ISHOW_ESTATE || error.status == ISHOW_ENOTFOUND);
    if (refused ||
        error.status == ISHOW_ECANCELLED) { /* not cancelled by this gateway, so the worker is shutting down */
        g->refused += refused != 0;
        if (refused) u->refusal = error;
        refuse_worker(u, now);
        put_back(g, u, refused ? "is refused" : "is given up", now);
        return;
    }
    if (error.status == ISHOW_ETIMEOUT) late(u, &error); /* the worker has noticed it first */
    call_end(g, u, error.status, &error);
}

/* Cancels at the worker an utterance that has ended here, or an earlier attempt. */
static void stop_stale(gateway *g, const json_t *head) {
    json_t *stop =
        json_pack("{s:s, s:s, s:I, s:I}", "type", "cancel", "gateway", g->id, "utterance",
                  (json_int_t)wire_whole(head, "utterance"), "attempt", (json_int_t)wire_whole(head, "attempt"));
    gateway_post(g, wire_text(head, "worker"), stop, NULL, 0);
}

void dispatch_event(gateway *g, const json_t *head, const unsigned char *bytes, size_t n) {
    const char *type = wire_text(head, "type");
    const uint64_t number = wire_whole(head, "utterance");
    const double now = ishow_now();
    call *u = g->living;
    while (u && u->number != number) u = u->next;
    if (!u || u->state != CALL_SENT || u->attempt != wire_whole(head, "attempt")) {
        stop_stale(g, head);
        return;
    }
    call_reference(u);
    u->heard = now;
    if (!strcmp(type, "alive")) {
        u->progress = wire_number(head, "progress");
        u->accepted = 1;
    } else if (!strcmp(type, "piece") && in_order(g, u, head, now)) {
        take_piece(g, u, head, bytes, n);
        u->ack_due |= u->state == CALL_SENT && u->reader.unread <= UNREAD_MAX;
    } else if (!strcmp(type, "end") && in_order(g, u, head, now)) {
        take_end(g, u, head, now);
    }
    call_release(u); /* this may free u */
}

/* ---- assignment and timers ---- */

static void dispatch(gateway *g, call *u, double now) {
    if (g->directory.model.sample_rate != u->reader.timings.sample_rate)
        return; /* the model of the cluster has changed */
    for (peer *p = g->directory.peers; p; p = p->next) p->mine = 0;
    for (const call *o = g->living; o; o = o->next) {
        peer *p = o->state == CALL_SENT ? directory_find(&g->directory, o->worker) : NULL;
        if (p) p->mine += o->share * (1 - o->progress);
    }
    const double share =
        u->reader.timings.chunks > 0 ? u->work * (1 - (double)u->part / u->reader.timings.chunks) : u->work;
    peer *p = directory_choose(&g->directory, u->voice, u->shared ? wire_text(u->shared, "version") : NULL,
                               u->shared ? WIRE_SHARES : 0, share, u->refused, u->n_refused);
    if (!p) return;
    g->moved += u->attempt > 0;
    g->dispatched++;
    strcpy(u->worker, p->id);
    u->attempt++;
    u->share = share;
    u->progress = u->heard = u->since = 0;
    u->seq = u->acked = 0;
    u->ack_due = 0;
    u->piece.n = 0;
    u->acknowledged = now;
    u->state = CALL_SENT;
    send_request(g, u, now);
}

/* Handles timers and assignment of u. 1: it has ended, and the lock was released meanwhile. */
static int look_after(gateway *g, call *u, double now) {
    ishow_error error;
    if (u->reader.cancelled)
        ishow_fail(&error, ISHOW_ECANCELLED, "", "the utterance was cancelled");
    else if (g->stopping)
        ishow_fail(&error, ISHOW_ECANCELLED, "", "the engine is closing");
    else if (u->deadline > 0 && now >= u->deadline)
        late(u, &error);
    else if (u->state == CALL_WAITING) {
        dispatch(g, u, now);
        if (u->state == CALL_SENT) return 0;
        if (u->refusal.status && !(u->refusal.status == ISHOW_EBUSY && u->accepted)) {
            error = u->refusal;
        } else if (u->n_refused &&
                   now >= u->retry) { /* an utterance that was accepted before waits until a worker has capacity */
            u->n_refused = 0;
            g->dirty = 1;
            return 0;
        } else if (now - u->since > NOBODY_SECONDS)
            ishow_fail(&error, ISHOW_ESTATE, "", "There is no worker that could speak this.");
        else
            return 0;
    } else {
        if (!directory_find(&g->directory, u->worker))
            put_back(g, u, "is left", now);
        else if (!u->heard && now - u->sent > WIRE_AGAIN)
            send_request(g, u, now);
        else if (u->heard && now - u->heard > WIRE_SILENCE) {
            refuse_worker(u, now); /* the directory notices missing beats only later */
            put_back(g, u, "does not respond", now);
        } else if (u->ack_due || now - u->acknowledged > WIRE_AGAIN)
            send_ack(g, u, now);
        return 0;
    }
    if (u->state == CALL_SENT) gateway_post(g, u->worker, head_of(g, u, "cancel"), NULL, 0);
    call_end(g, u, error.status, &error);
    return 1;
}

/* While NATS is not connected, silence does not count: restarts the timers. */
static void forgive(gateway *g, double now) {
    for (peer *p = g->directory.peers; p; p = p->next) p->heard = now;
    for (call *u = g->living; u; u = u->next) {
        u->sent = now;
        if (u->heard) u->heard = now;
        if (u->since) u->since = now;
    }
}

void dispatch_sweep(gateway *g, double now) {
    if (!bus_connected(g->bus)) forgive(g, now);
    if (directory_forget(&g->directory, now)) g->dirty = 1;
    for (call *u = g->living; u;) u = look_after(g, u, now) ? g->living : u->next;
}
