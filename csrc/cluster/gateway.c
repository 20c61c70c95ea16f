/* A gateway's engine: its thread, its functions as an engine, its status and metrics. */
#include "cluster/gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "engine/field.h"
#include "service/prometheus.h"

static gateway *of(ishow_engine *engine) { return (gateway *)(void *)engine; }

/* ---- the thread ---- */

/* The lock is held. */
static void handle(gateway *g, const wire_event *e) {
    const unsigned char *bytes;
    size_t n;
    json_t *head = wire_read(e->data, e->n, &bytes, &n);
    const char *type = wire_text(head, "type");
    if (!strcmp(type, "beat"))
        g->dirty |= directory_hear(&g->directory, json_incref(head), g->id, ishow_now());
    else if (!strcmp(type, "answer"))
        sharing_answer(g, head);
    else if (!strcmp(type, "gateway"))
        gateways_take_beat(g, head, ishow_now());
    else if (!strcmp(type, "leave")) {
        ishow_log(ISHOW_LOG_INFO, "cluster", "asked to leave");
        if (g->leave) g->leave(g->leave_self);
    } else if (head)
        dispatch_event(g, head, bytes, n);
    json_decref(head);
}

/* Publishing may wait for a socket, so the lock is released. */
static void send_outbox(gateway *g) {
    wire_event *all = wire_take(&g->outbox);
    if (!all) return;
    pthread_mutex_unlock(&g->lock);
    bus_publish_all(g->bus, all);
    pthread_mutex_lock(&g->lock);
}

static void *gateway_main(void *self) {
    gateway *g = self;
    pthread_mutex_lock(&g->lock);
    while (!g->stopping || g->living) {
        if (!g->events.first && !g->dirty) {
            struct timespec until;
            ishow_deadline(g->living ? 0.05 : 0.25, &until);
            pthread_cond_timedwait(&g->changed, &g->lock, &until);
        }
        g->dirty = 0;
        for (wire_event *e = wire_take(&g->events), *next; e; e = next) {
            next = e->next;
            handle(g, e);
            free(e);
        }
        const double now = ishow_now();
        dispatch_sweep(g, now);
        gateways_forget_silent(g, now);
        if (now - g->beat_at >= WIRE_BEAT) gateways_send_beat(g, now, g->stopping ? "leaving" : "ready");
        send_outbox(g);
    }
    gateways_send_beat(g, ishow_now(), "gone");
    send_outbox(g);
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* ---- an engine's functions ---- */

static ishow_status gateway_configure(ishow_engine *engine, const ishow_engine_options *options, ishow_error *error) {
    (void)engine; /* sizes are the workers' own */
    return ishow_fields_check(&ishow_engine_fields, options, error);
}

static void gateway_info(ishow_engine *engine, ishow_model_info *out) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    *out = g->directory.model;
    pthread_mutex_unlock(&g->lock);
    strcpy(out->backend, "cluster");
}

static ishow_status gateway_list_voices(ishow_engine *engine, ishow_voice_entry **out, size_t *n_out,
                                        ishow_error *error) {
    gateway *g = of(engine);
    size_t bytes = 0, i;
    json_t *one;
    pthread_mutex_lock(&g->lock);
    json_t *all = sharing_voices(g);
    const size_t n = json_array_size(all);
    json_array_foreach(all, i, one) bytes += strlen(wire_text(one, "text")) + 1;
    ishow_voice_entry *entries = ishow_alloc(n * sizeof *entries + bytes + 1, 1);
    char *texts = entries ? (char *)(entries + n) : NULL;
    json_array_foreach(all, i, one) {
        if (!entries) break;
        snprintf(entries[i].id, sizeof entries[i].id, "%s", wire_text(one, "id"));
        snprintf(entries[i].language, sizeof entries[i].language, "%s", wire_text(one, "language"));
        entries[i].seconds = wire_number(one, "seconds");
        entries[i].text = strcpy(texts, wire_text(one, "text"));
        texts += strlen(texts) + 1;
    }
    json_decref(all);
    pthread_mutex_unlock(&g->lock);
    *out = entries;
    *n_out = entries ? n : 0;
    return entries ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a list of %zu voices", n);
}

static void gateway_stats(ishow_engine *engine, ishow_engine_stats *out) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    *out = g->stats;
    out->busy_seconds = g->directory.busy;
    for (const call *u = g->living; u; u = u->next) ++*(u->progress > 0 ? &out->in_flight : &out->waiting);
    pthread_mutex_unlock(&g->lock);
}

static double gateway_busy_for(ishow_engine *engine) {
    (void)engine;
    return 0;
}

static void gateway_free(ishow_engine *engine) {
    gateway *g = of(engine);
    if (g->runs) {
        pthread_mutex_lock(&g->lock);
        g->stopping = 1;
        pthread_cond_signal(&g->changed);
        pthread_mutex_unlock(&g->lock);
        pthread_join(g->thread, NULL);
    }
    sharing_close(g);
    bus_close(g->bus);
    wire_drop(&g->events);
    wire_drop(&g->outbox);
    directory_free(&g->directory);
    json_decref(g->gateways);
    free(g->name);
    gateway_release(g);
    ishow_handle_freed();
}

static const ishow_engine_kind gateway_kind = {.configure = gateway_configure,
                                               .free = gateway_free,
                                               .info = gateway_info,
                                               .prepare_voice = sharing_prepare,
                                               .install_voice = sharing_install,
                                               .discard_voice = sharing_discard,
                                               .remove_voice = sharing_remove,
                                               .ask_frontend = sharing_ask_frontend,
                                               .reading = sharing_reading,
                                               .list_voices = gateway_list_voices,
                                               .submit = call_submit,
                                               .stats = gateway_stats,
                                               .busy_for = gateway_busy_for,
                                               .next = call_next,
                                               .cancel = call_cancel,
                                               .timings = call_timings,
                                               .progress = call_progress,
                                               .words = call_words,
                                               .free_utterance = call_free};

ishow_status ishow_gateway_open(ishow_engine **out, const ishow_cluster_options *options, ishow_error *error) {
    char client[128], subject[WIRE_SUBJECT];
    *out = NULL;
    gateway *g = calloc(1, sizeof *g);
    if (!g) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a gateway.");
    g->head.kind = &gateway_kind;
    g->references = 1;
    g->directory.turn = (unsigned)getpid(); /* several gateways begin with different workers */
    pthread_mutex_init(&g->lock, NULL);
    ishow_condition_init(&g->changed);
    ishow_handle_made();
    wire_draw_id(g->id);
    wire_subject(subject, g->id);
    ishow_status status = ISHOW_OK;
    g->name = labels_name(options);
    g->directory.wanted = labels_make(options);
    g->gateways = json_object();
    if (!g->name || !g->directory.wanted || !g->gateways) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a gateway.");
        goto done;
    }
    const wire_inbox inbox = {.events = &g->events, .lock = &g->lock, .changed = &g->changed};
    snprintf(client, sizeof client, "ishowtts gateway %.64s", g->name);
    if ((status = bus_open(&g->bus, options, client, error)) ||
        (status = bus_subscribe(g->bus, subject, inbox, NULL, error)) ||
        (status = bus_subscribe(g->bus, WIRE_WORKERS, inbox, NULL, error)) ||
        (status = bus_subscribe(g->bus, WIRE_GATEWAYS, inbox, NULL, error)))
        goto done;
    if ((status = sharing_open(g, error))) goto done;
    if (pthread_create(&g->thread, NULL, gateway_main, g))
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The gateway's thread could not be started.");
    else
        g->runs = 1;
done:
    if (status)
        gateway_free((ishow_engine *)(void *)g);
    else
        *out = (ishow_engine *)(void *)g;
    return status;
}

/* ---- status, drain, metrics ---- */

int ishow_gateway_ready(ishow_engine *engine) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    const int known = g->directory.known;
    pthread_mutex_unlock(&g->lock);
    return known;
}

static json_t *describe(const gateway *g, const peer *p, double now) {
    size_t here = 0;
    double work = p->others;
    for (const call *u = g->living; u; u = u->next)
        if (u->state == CALL_SENT && !strcmp(u->worker, p->id)) {
            here++;
            work += u->share * (1 - u->progress);
        }
    json_t *all = json_object();
    json_add(&all, "id", json_string(p->id));
    json_add(&all, "name", json_string(wire_text(p->beat, "name")));
    json_add(&all, "state", json_string(directory_state(&g->directory, p)));
    json_add(&all, "version", json_string(wire_text(p->beat, "version")));
    json_add(&all, "model", json_string(p->model.name));
    json_add(&all, "precision", json_string(p->model.precision));
    json_add(&all, "backend", json_string(p->model.backend));
    json_add(&all, "labels", json_deep_copy(json_object_get(p->beat, "labels"))); /* the next beat frees those of p */
    json_add(&all, "from_here", wire_u64(here));
    json_add(&all, "utterances", wire_u64(wire_whole(p->beat, "living")));
    json_add(&all, "spoken", wire_u64(wire_whole(p->beat, "spoken")));
    json_add(&all, "waiting_seconds", json_real(p->rate > 0 ? work / p->rate : 0.0));
    json_add(&all, "busy_seconds", json_real(p->busy));
    json_add(&all, "heard_seconds", json_real(now - p->heard));
    return all;
}

void ishow_gateway_on_leave(ishow_engine *engine, void (*leave)(void *self), void *self) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    g->leave = leave;
    g->leave_self = self;
    pthread_mutex_unlock(&g->lock);
}

void ishow_gateway_status(ishow_engine *engine, const char *chats, ishow_buffer *out) {
    gateway *g = of(engine);
    const double now = ishow_now();
    json_t *workers = json_array();
    pthread_mutex_lock(&g->lock);
    for (const peer *p = g->directory.peers; p; p = p->next) json_array_append_new(workers, describe(g, p, now));
    json_t *all = json_pack("{s:s, s:s, s:b}", "role", "gateway", "name", g->name, "connected", bus_connected(g->bus));
    json_add(&all, "model", json_string(g->directory.known ? g->directory.model.name : ""));
    json_add(&all, "utterances", wire_u64(g->n_living));
    json_add(&all, "workers", workers);
    json_add(&all, "gateways", gateways_list(g, now));
    json_add(&all, "chats", json_loads(chats, 0, NULL));
    pthread_mutex_unlock(&g->lock);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (text)
        ishow_buffer_text(out, text);
    else
        out->failed = 1;
    free(text);
}

ishow_status ishow_gateway_drain(ishow_engine *engine, const char *worker, ishow_error *error) {
    gateway *g = of(engine);
    size_t n = 0;
    pthread_mutex_lock(&g->lock);
    for (const peer *p = g->directory.peers; p; p = p->next)
        if (!strcmp(p->id, worker) || !strcmp(wire_text(p->beat, "name"), worker)) {
            gateway_post(g, p->id, json_pack("{s:s}", "type", "leave"), NULL, 0);
            n++;
        }
    n += gateways_send_away(g, worker);
    g->dirty = 1;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
    return n ? ISHOW_OK
             : ishow_fail(error, ISHOW_ENOTFOUND, "worker", "There is no worker or gateway '%.64s'.", worker);
}

void ishow_gateway_metrics(ishow_engine *engine, ishow_buffer *out) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    prometheus_head(out, "cluster_workers", "gauge", "Workers from which beats are received.");
    for (size_t i = 0; i < sizeof directory_states / sizeof *directory_states; i++) {
        size_t n = 0;
        for (const peer *p = g->directory.peers; p; p = p->next)
            n += directory_state(&g->directory, p) == directory_states[i];
        ishow_buffer_format(out, "ishowtts_cluster_workers{state=\"%s\"} %zu\n", directory_states[i], n);
    }
    prometheus_one(out, "cluster_connected", "gauge", "1 while NATS is reached.", bus_connected(g->bus));
    prometheus_one(out, "cluster_dispatched_total", "counter", "Times an utterance was given to a worker.",
                   (double)g->dispatched);
    prometheus_one(out, "cluster_moved_total", "counter", "Those of utterances that another worker had begun.",
                   (double)g->moved);
    prometheus_one(out, "cluster_refused_total", "counter", "Utterances that a worker refused.", (double)g->refused);
    pthread_mutex_unlock(&g->lock);
}
