/* A worker: one thread receives requests, reads finished speech from the engine and sends it. A task is one utterance
 * of one gateway, used by this thread only. The engine's notify sets a flag, libnats' threads enqueue events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster/labels.h"
#include "cluster/worker.h"
#include "service/prometheus.h"

enum {
    WINDOW = 1 << 20,     /* bytes of an utterance that may wait to be acknowledged */
    FRAGMENT = 64 * 1024, /* samples of one message */
    AHEAD_SECONDS = 30    /* of speech made before the gateway takes it */
};
static const double TICK = 0.05;

static void notify(void *self) {
    ishow_worker *w = self;
    pthread_mutex_lock(&w->lock);
    w->dirty = 1;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* On the loader's thread: it answers questions for the front end, and passes requests on to the worker's thread. */
static void on_loaded(void *self, const void *data, size_t n) {
    ishow_worker *w = self;
    const unsigned char *bytes;
    size_t n_bytes;
    json_t *head = wire_read(data, n, &bytes, &n_bytes);
    if (!strcmp(wire_text(head, "type"), "ask")) {
        worker_answer(w, head);
    } else {
        const wire_inbox inbox = {.events = &w->loaded, .lock = &w->lock, .changed = &w->changed};
        wire_deliver(inbox, data, n);
    }
    json_decref(head);
}

static void count(ishow_worker *w, uint64_t *counter, uint64_t n) {
    pthread_mutex_lock(&w->lock);
    *counter += n;
    pthread_mutex_unlock(&w->lock);
}

/* ---- sending ---- */

static json_t *head_of(const ishow_worker *w, const task *t, const char *type) {
    return json_pack("{s:s, s:s, s:I, s:I}", "type", type, "worker", w->id, "utterance", (json_int_t)t->number,
                     "attempt", (json_int_t)t->attempt);
}

static void publish(ishow_worker *w, const task *t, const ishow_buffer *message) {
    char subject[WIRE_SUBJECT];
    wire_subject(subject, t->gateway);
    if (!message->failed) bus_publish(w->bus, subject, message->data, message->n);
}

/* Sends a counted message and keeps it until it is acknowledged. Takes head. */
static void send_counted(ishow_worker *w, task *t, json_t *head, const void *bytes, size_t n) {
    parcel *p = calloc(1, sizeof *p);
    if (!p) { /* the gateway times out and asks another worker */
        json_decref(head);
        t->gone = 1;
        return;
    }
    p->seq = ++t->seq;
    json_object_set_new(head, "seq", wire_u64(p->seq));
    wire_write(&p->message, head, bytes, n);
    *t->last = p;
    t->last = &p->next;
    t->waiting += p->message.n;
    t->sent = t->shown_alive = ishow_now();
    publish(w, t, &p->message);
    count(w, &w->bytes, p->message.n);
}

static void send_end(ishow_worker *w, task *t, const ishow_error *error) {
    ishow_timings timings = {0};
    json_t *head = head_of(w, t, "end");
    if (t->utterance) ishow_utterance_timings(t->utterance, &timings);
    json_object_set_new(head, "error", wire_error(error));
    json_object_set_new(head, "timings", wire_timings(&timings));
    t->ended = 1;
    send_counted(w, t, head, NULL, 0);
}

static void send_alive(ishow_worker *w, task *t) {
    ishow_buffer message = {0};
    t->shown_alive = ishow_now();
    if (t->ended) return; /* the end was sent instead */
    json_t *head = head_of(w, t, "alive");
    json_object_set_new(head, "progress", json_real(ishow_utterance_progress(t->utterance)));
    wire_write(&message, head, NULL, 0);
    publish(w, t, &message);
    ishow_buffer_free(&message);
}

/* Sends the next message of the current piece; its last one has the position behind the piece, with the tail. */
static void send_fragment(ishow_worker *w, task *t) {
    const size_t left = t->n - t->at, n = left < FRAGMENT ? left : FRAGMENT;
    json_t *head = head_of(w, t, "piece");
    if (n < left) {
        send_counted(w, t, head, t->samples + t->at, n * sizeof *t->samples);
        t->at += n;
        return;
    }
    ishow_position at;
    ishow_timings timings;
    ishow_buffer both = {0};
    ishow_utterance_position(t->utterance, &at);
    ishow_utterance_timings(t->utterance, &timings);
    const ishow_word *words;
    size_t n_words;
    ishow_utterance_words(t->utterance, &words, &n_words);
    if (n_words) json_object_set_new(head, "words", wire_words(words, n_words, (double)t->given / timings.sample_rate));
    t->given += t->n;
    json_object_set_new(head, "part", wire_u64(at.part));
    json_object_set_new(head, "plan", wire_u64(at.plan));
    json_object_set_new(head, "tail", wire_u64(at.n_tail));
    json_object_set_new(head, "timings", wire_timings(&timings));
    json_object_set_new(head, "progress", json_real(ishow_utterance_progress(t->utterance)));
    ishow_buffer_add(&both, t->samples + t->at, n * sizeof *t->samples);
    if (at.n_tail) ishow_buffer_add(&both, at.tail, at.n_tail * sizeof *at.tail);
    if (both.failed) {
        json_decref(head);
        t->gone = 1;
    } else
        send_counted(w, t, head, both.data, both.n);
    ishow_buffer_free(&both);
    t->samples = NULL;
}

/* Sends finished speech until the window is full. */
static void send_speech(ishow_worker *w, task *t) {
    while (!t->ended && !t->gone && t->waiting < WINDOW) {
        if (t->samples) {
            send_fragment(w, t);
            continue;
        }
        ishow_error error = {0};
        ishow_status status = ishow_utterance_next(t->utterance, 0, &t->samples, &t->n, &error);
        t->at = 0;
        if (status == ISHOW_EAGAIN) return;
        if (status == ISHOW_OK && t->n) continue;
        t->samples = NULL;
        error.status = status;
        send_end(w, t, &error);
    }
}

/* ---- tasks ---- */

static task *find_task(ishow_worker *w, const char *gateway, uint64_t number) {
    for (task *t = w->tasks; t; t = t->next)
        if (t->number == number && !strcmp(t->gateway, gateway) && !t->gone) return t;
    return NULL;
}

static void free_task(ishow_worker *w, task *t) {
    if (t->utterance) w->finished += t->work * ishow_utterance_progress(t->utterance);
    ishow_utterance_free(t->utterance);
    while (t->first) {
        parcel *next = t->first->next;
        ishow_buffer_free(&t->first->message);
        free(t->first);
        t->first = next;
    }
    free(t);
}

/* 1: the number of tasks has changed since the last beat. */
static int drop_gone(ishow_worker *w) {
    size_t n = 0;
    for (task **at = &w->tasks; *at;) {
        task *t = *at;
        if (!t->gone) {
            at = &t->next;
            n++;
            continue;
        }
        *at = t->next;
        free_task(w, t);
    }
    pthread_mutex_lock(&w->lock);
    const int changed = n != w->beat_tasks;
    w->living = n;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    return changed;
}

static int has_what_it_needs(ishow_worker *w, const json_t *head) {
    return loader_has(w->loader, json_object_get(head, "shared"), wire_whole(head, "lexicon"));
}

static void speak(ishow_worker *w, const json_t *head, const unsigned char *bytes, size_t n) {
    const char *gateway = wire_text(head, "gateway");
    const uint64_t number = wire_whole(head, "utterance"), attempt = wire_whole(head, "attempt");
    task *t = find_task(w, gateway, number);
    if (t && t->attempt >= attempt) { /* a repeated request */
        t->heard = ishow_now();
        if (t->attempt == attempt) send_alive(w, t);
        return;
    }
    if (t) t->gone = 1;
    if (strlen(gateway) != WIRE_ID || !(t = calloc(1, sizeof *t))) return;
    strcpy(t->gateway, gateway);
    t->number = number;
    t->attempt = attempt;
    t->work = wire_number(head, "work");
    t->last = &t->first;
    t->heard = ishow_now();
    t->next = w->tasks;
    w->tasks = t;

    ishow_request request;
    ishow_error error = {0};
    float *tail = n ? malloc(n) : NULL;
    if (tail) memcpy(tail, bytes, n); /* aligned */
    ishow_position from = {.part = (size_t)wire_whole(head, "part"),
                           .plan = wire_whole(head, "plan"),
                           .tail = tail,
                           .n_tail = tail ? n / sizeof *tail : 0};
    wire_read_request(json_object_get(head, "request"), &request);
    request.ahead = AHEAD_SECONDS;
    if (from.part) request.from = &from;
    pthread_mutex_lock(&w->lock);
    const int draining = w->draining;
    w->taken += !draining;
    w->resumed += !draining && from.part;
    w->living++;
    pthread_mutex_unlock(&w->lock);
    if (json_object_get(head, "shared")) request.voice = wire_text(json_object_get(head, "shared"), "version");
    if (draining)
        ishow_fail(&error, ISHOW_ESTATE, "", "The worker is leaving.");
    else if (!has_what_it_needs(w, head))
        ishow_fail(&error, ISHOW_ENOTFOUND, "voice_id", "The voice or the pronunciations could not be loaded.");
    else
        ishow_engine_submit(w->engine, &request, notify, w, &t->utterance, &error);
    free(tail);
    if (t->utterance) {
        send_alive(w, t);
        return;
    }
    count(w, &w->refused, 1);
    send_end(w, t, &error);
}

static void acknowledge(task *t, uint64_t seq, int held) {
    int news = held;
    while (t->first && t->first->seq <= seq) {
        parcel *p = t->first;
        t->first = p->next;
        if (!t->first) t->last = &t->first;
        t->waiting -= p->message.n;
        news = 1;
        ishow_buffer_free(&p->message);
        free(p);
    }
    t->heard = ishow_now();
    if (news) t->sent = t->heard; /* the connection works, so the others are repeated later */
    if (t->ended && !t->first) t->gone = 1;
}

/* waited: the loader has loaded what the message needs, or could not. */
static void take_event(ishow_worker *w, const wire_event *e, int waited) {
    const unsigned char *bytes;
    size_t n;
    json_t *head = wire_read(e->data, e->n, &bytes, &n);
    const char *type = wire_text(head, "type");
    if (!strcmp(type, "ask") || (!strcmp(type, "speak") && !waited && !has_what_it_needs(w, head))) {
        loader_ask(w->loader, json_object_get(head, "shared"), wire_whole(head, "lexicon"), e->data, e->n);
    } else if (!strcmp(type, "speak")) {
        speak(w, head, bytes, n);
    } else if (!strcmp(type, "leave")) {
        ishow_log(ISHOW_LOG_INFO, "cluster", "asked to leave");
        w->leave(w->leave_self);
    } else {
        task *t = find_task(w, wire_text(head, "gateway"), wire_whole(head, "utterance"));
        if (t && t->attempt == wire_whole(head, "attempt")) {
            if (!strcmp(type, "ack"))
                acknowledge(t, wire_whole(head, "seq"), json_is_true(json_object_get(head, "held")));
            if (!strcmp(type, "cancel")) t->gone = 1;
        }
    }
    json_decref(head);
}

/* ---- timers ---- */

/* Retransmits, reports progress, and drops the tasks of silent gateways. Silence does not count while NATS is not
 * connected. */
static void look_after(ishow_worker *w, double now) {
    const int connected = bus_connected(w->bus);
    for (task *t = w->tasks; t; t = t->next) {
        if (!connected) {
            t->heard = now;
        } else if (now - t->heard > WIRE_PATIENCE) {
            ishow_log(ISHOW_LOG_WARN, "cluster", "gateway %s is silent: its utterance %llu is dropped", t->gateway,
                      (unsigned long long)t->number);
            t->gone = 1;
        } else if (t->first && now - t->sent > WIRE_AGAIN) {
            for (const parcel *p = t->first; p; p = p->next) {
                publish(w, t, &p->message);
                count(w, &w->again, 1);
            }
            t->sent = t->shown_alive = now;
        } else if (now - t->shown_alive > WIRE_BEAT) {
            send_alive(w, t);
        }
    }
}

static void *worker_main(void *self) {
    ishow_worker *w = self;
    int was_draining = 0, changed = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        if (!w->events.first && !w->loaded.first && !w->dirty && w->draining == was_draining) {
            struct timespec until;
            ishow_deadline(w->tasks || changed ? TICK : WIRE_BEAT / 2, &until);
            pthread_cond_timedwait(&w->changed, &w->lock, &until);
        }
        wire_event *events[] = {wire_take(&w->events), wire_take(&w->loaded)};
        const int draining = w->draining, news = draining != was_draining;
        w->dirty = 0;
        was_draining = draining;
        pthread_mutex_unlock(&w->lock);
        for (int waited = 0; waited < 2; waited++)
            for (wire_event *e = events[waited], *next; e; e = next) {
                next = e->next;
                take_event(w, e, waited);
                free(e);
            }
        const double now = ishow_now();
        for (task *t = w->tasks; t; t = t->next) send_speech(w, t);
        look_after(w, now);
        changed = drop_gone(w);
        if (news || now - w->beat_at >= (changed ? WIRE_NEWS : WIRE_BEAT))
            worker_beat(w, draining ? "leaving" : "ready");
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    for (task *t = w->tasks; t; t = t->next) t->gone = 1;
    drop_gone(w);
    worker_beat(w, "gone");
    return NULL;
}

/* ---- create, drain, free ---- */

ishow_status ishow_worker_open(ishow_worker **out, ishow_engine *engine, const ishow_cluster_options *options,
                               void (*leave)(void *self), void *self, ishow_error *error) {
    char client[128], subject[WIRE_SUBJECT];
    *out = NULL;
    ishow_worker *w = calloc(1, sizeof *w);
    if (!w) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a worker.");
    w->engine = engine;
    w->leave = leave;
    w->leave_self = self;
    pthread_mutex_init(&w->lock, NULL);
    ishow_condition_init(&w->changed);
    ishow_handle_made();
    wire_draw_id(w->id);
    wire_subject(subject, w->id);
    ishow_status status = ISHOW_OK;
    w->name = labels_name(options);
    w->labels = labels_make(options);
    if (!w->name || !w->labels) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a worker.");
        goto done;
    }
    const wire_inbox inbox = {.events = &w->events, .lock = &w->lock, .changed = &w->changed};
    snprintf(client, sizeof client, "ishowtts worker %.64s", w->name);
    if ((status = bus_open(&w->bus, options, client, error)) ||
        (status = loader_open(&w->loader, engine, w->bus, on_loaded, w, error)) ||
        (status = bus_subscribe(w->bus, subject, inbox, NULL, error)))
        goto done;
    if (pthread_create(&w->thread, NULL, worker_main, w))
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The worker's thread could not be started.");
    else
        w->runs = 1;
done:
    if (status)
        ishow_worker_free(w);
    else
        *out = w;
    return status;
}

void ishow_worker_drain(ishow_worker *w, double seconds) {
    struct timespec until;
    ishow_deadline(seconds, &until);
    pthread_mutex_lock(&w->lock);
    w->draining = 1;
    pthread_cond_broadcast(&w->changed);
    while (w->living && !pthread_cond_timedwait(&w->changed, &w->lock, &until)) continue;
    pthread_mutex_unlock(&w->lock);
}

void ishow_worker_metrics(ishow_worker *w, ishow_buffer *out) {
    pthread_mutex_lock(&w->lock);
    prometheus_one(out, "cluster_connected", "gauge", "1 while NATS is reached.", bus_connected(w->bus));
    prometheus_one(out, "cluster_utterances", "gauge", "Utterances of gateways that are here.", (double)w->living);
    prometheus_one(out, "cluster_taken_total", "counter", "Utterances taken from gateways.", (double)w->taken);
    prometheus_one(out, "cluster_resumed_total", "counter", "Those that another worker had begun.", (double)w->resumed);
    prometheus_one(out, "cluster_refused_total", "counter", "Utterances refused.", (double)w->refused);
    prometheus_one(out, "cluster_sent_bytes_total", "counter", "Bytes of speech sent.", (double)w->bytes);
    prometheus_one(out, "cluster_sent_again_total", "counter", "Messages sent again.", (double)w->again);
    pthread_mutex_unlock(&w->lock);
}

void ishow_worker_free(ishow_worker *w) {
    if (!w) return;
    if (w->runs) {
        pthread_mutex_lock(&w->lock);
        w->stopping = 1;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    loader_close(w->loader);
    bus_close(w->bus);
    wire_drop(&w->events);
    wire_drop(&w->loaded);
    json_decref(w->labels);
    free(w->name);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
    ishow_handle_freed();
}
