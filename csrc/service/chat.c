/* An accepted message is answered with 202 once the journal has written it to disk, and with 503 when that failed. */
#include "service/chat.h"

#include <stdlib.h>
#include <string.h>

#include "service/ingest.h"
#include "service/prometheus.h"
#include "service/webhooks.h"

enum { QUEUE_SHOWN = 200 };

ishow_status ishow_chat_service_open(chat_service **out, ishow_store *store, ishow_engine *engine,
                                     const ishow_request *sampling, const char *default_voice,
                                     const ishow_chat_options *options, const ishow_chat_source_options *sources,
                                     size_t n_sources, const chat_leader *leader, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    chat_service *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for live chat.");
    d->store = store;
    d->entries = sources;
    d->n_entries = n_sources;
    if (leader) {
        d->leader = *leader;
        d->follows = 1;
    }
    if (store && !leader && (status = ishow_journal_create(&d->journal, store, error)) != ISHOW_OK) goto done;
    if ((status = ishow_chat_engine_create(&d->voice, engine, sampling, default_voice, error)) != ISHOW_OK) goto done;
    const ishow_chat_synth synth = ishow_chat_engine_synth(d->voice);
    ishow_chat_journal journal;
    if (d->journal) journal = ishow_journal_table(d->journal);
    if ((status = ishow_chat_create(&d->chat, options, &synth, d->journal ? &journal : NULL, error)) != ISHOW_OK)
        goto done;
    ishow_chat_engine_notify(d->voice, d->chat);
    if ((d->webhooks = webhooks_create())) {
        webhooks_set(d->webhooks, &options->webhooks);
        ishow_chat_on_event(d->chat, webhooks_event, d->webhooks);
    } else
        ishow_log(ISHOW_LOG_ERROR, "chat", "webhooks are not called: their thread could not be started");
    if (leader) {
        status = ishow_chat_follow(d->chat, error);
        goto done;
    }
    sources_open(d);
    status = ishow_chat_run(d->chat, error);
done:
    if (status != ISHOW_OK)
        ishow_chat_service_close(d);
    else
        *out = d;
    return status;
}

ishow_status ishow_chat_service_lead(chat_service *d, const ishow_chat_journal *journal, ishow_error *error) {
    const ishow_status status = ishow_chat_lead(d->chat, journal, error);
    if (status) return status;
    sources_open(d);
    __atomic_store_n(&d->follows, 0, __ATOMIC_RELEASE);
    return ISHOW_OK;
}

ishow_status ishow_chat_service_follow(chat_service *d, ishow_error *error) {
    __atomic_store_n(&d->follows, 1, __ATOMIC_RELEASE);
    sources_leave(d);
    return ishow_chat_follow(d->chat, error);
}

int ishow_chat_service_follows(chat_service *d) { return service_follows(d); }

void ishow_chat_service_close(chat_service *d) {
    if (!d) return;
    sources_close(d);
    ishow_chat_free(d->chat);
    webhooks_free(d->webhooks);
    ishow_chat_engine_free(d->voice);
    ishow_journal_free(d->journal);
    free(d);
}

ishow_chat *ishow_chat_service_chat(chat_service *d) { return d->chat; }

/* ---- other settings ---- */

struct chat_change {
    ishow_chat_change *chat;
    ishow_chat_voicing *voicing;
    char urls[WEBHOOKS_MAX][WEBHOOK_URL_MAX + 1];
    const char *webhooks[WEBHOOKS_MAX];
    size_t n_webhooks;
};

ishow_status ishow_chat_service_prepare(chat_change **out, const ishow_request *sampling, const char *default_voice,
                                        const ishow_chat_options *options, ishow_error *error) {
    chat_change *c = calloc(1, sizeof *c);
    *out = NULL;
    ishow_status status =
        c ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat's settings.");
    for (size_t i = 0; !status && i < options->webhooks.n && i < WEBHOOKS_MAX; i++) {
        snprintf(c->urls[i], sizeof c->urls[i], "%s", options->webhooks.item[i]);
        c->webhooks[c->n_webhooks++] = c->urls[i];
    }
    if (!status) status = ishow_chat_prepare(&c->chat, options, error);
    if (!status) status = ishow_chat_voicing_prepare(&c->voicing, sampling, default_voice, error);
    if (status)
        ishow_chat_service_discard(c);
    else
        *out = c;
    return status;
}

void ishow_chat_service_install(chat_service *d, chat_change *c) {
    ishow_chat_voicing_install(d->voice, c->voicing);
    ishow_chat_install(d->chat, c->chat);
    if (d->webhooks) webhooks_set(d->webhooks, &(ishow_chat_words){c->webhooks, c->n_webhooks});
    free(c);
}

void ishow_chat_service_discard(chat_change *c) {
    if (!c) return;
    ishow_chat_discard(c->chat);
    ishow_chat_voicing_discard(c->voicing);
    free(c);
}

/* ---- requests ---- */

static json_t *object_of(const char *body, size_t n, fault *f) {
    json_error_t error = {0};
    json_t *root = n ? json_loadb(body, n, JSON_REJECT_DUPLICATES, &error) : json_object();
    if (!root)
        ishow_fault_set(f, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", error.line,
                        error.column, error.text);
    else if (!json_is_object(root)) {
        ishow_fault_type(f, "", "an object", root);
        json_decref(root);
        root = NULL;
    }
    return root;
}

void ishow_chat_service_not_kept(fault *f) {
    ishow_fault_set(f, 503, "unavailable", "",
                    "The message could not be written to the disk and will not be read: send it again later.");
}

static int refused(const char *id, ishow_chat_reason reason, ishow_buffer *out) {
    ishow_buffer_format(out, "{\"skipped\":true,\"reason\":\"%s\",\"id\":", ishow_chat_reason_name(reason));
    ishow_buffer_json_text(out, id);
    ishow_buffer_text(out, "}");
    return 200;
}

/* m->id must end with a NUL. */
static int receive(chat_service *d, const ishow_chat_message *m, void (*durable)(void *user, ishow_status status),
                   void *user, int *waits, ishow_buffer *out, fault *f) {
    ishow_chat_verdict v;
    ishow_error error = {0};
    if (ishow_chat_receive(d->chat, m, &v, durable, user, &error) != ISHOW_OK) {
        ishow_fault_from_error(f, &error);
        return 0;
    }
    if (!v.accepted) return refused(m->id.data, v.reason, out);
    *waits = 1;
    ishow_buffer_text(out, "{\"id\":");
    ishow_buffer_json_text(out, m->id.data);
    ishow_buffer_format(out, ",\"position\":%zu,\"eta\":%.1f,\"merged\":%s,\"held\":%s}", v.position, v.eta,
                        v.merged ? "true" : "false", v.held ? "true" : "false");
    return 202;
}

static int enqueue(chat_service *d, json_t *root, void (*durable)(void *user, ishow_status status), void *user,
                   int *waits, ishow_buffer *out, fault *f) {
    ishow_chat_message m;
    return ishow_chat_service_parse(root, &m, f) ? receive(d, &m, durable, user, waits, out, f) : 0;
}

static int ingest(chat_service *d, const char *kind, json_t *root, void (*durable)(void *user, ishow_status status),
                  void *user, int *waits, ishow_buffer *out, fault *f) {
    ingested i;
    const int read = ishow_ingest_read(kind, root, &i, f);
    const int status = read > 0   ? receive(d, &i.message, durable, user, waits, out, f)
                       : read < 0 ? refused(i.id, ISHOW_CHAT_BY_KIND, out)
                                  : 0;
    ishow_ingested_free(&i);
    return status;
}

static int no_message(fault *f) {
    return ishow_fault_set(f, 404, "not_found", "id", "No message with this id waits or plays.");
}

static int skip(chat_service *d, json_t *root, ishow_buffer *out, fault *f) {
    static const char *const known[] = {"id"};
    if (!only_strings(root, known, 1, f)) return 0;
    const char *id = json_string_value(json_object_get(root, "id"));
    int found = ishow_chat_skip(d->chat, id);
    if (!found && id) return no_message(f);
    ishow_buffer_format(out, "{\"skipped\":%s}", found ? "true" : "false");
    return 200;
}

static int mute(chat_service *d, json_t *root, int on, ishow_buffer *out, fault *f) {
    static const char *const known[] = {"platform", "user"};
    const char *value[2];
    ishow_error error = {0};
    size_t dropped = 0;
    int was_muted;
    if (!only_strings(root, known, 2, f)) return 0;
    for (size_t i = 0; i < 2; i++)
        if (!(value[i] = json_string_value(json_object_get(root, known[i]))))
            return ishow_fault_set(f, 400, "missing_field", known[i], "The field %s is needed.", known[i]);
    const ishow_status status = on ? ishow_chat_mute(d->chat, value[0], value[1], &dropped, &error)
                                   : ishow_chat_unmute(d->chat, value[0], value[1], &was_muted, &error);
    if (status != ISHOW_OK) {
        ishow_fault_from_error(f, &error);
        return 0;
    }
    ishow_buffer_format(out, "{\"muted\":%s,\"dropped\":%zu}", on ? "true" : "false", dropped);
    return 200;
}

static int decide(chat_service *d, json_t *root, int approved, ishow_buffer *out, fault *f) {
    static const char *const known[] = {"id"};
    if (!only_strings(root, known, 1, f)) return 0;
    const char *id = json_string_value(json_object_get(root, "id"));
    const size_t n = approved ? ishow_chat_approve(d->chat, id) : ishow_chat_reject(d->chat, id);
    if (!n && id) return ishow_fault_set(f, 404, "not_found", "id", "No message with this id waits for approval.");
    ishow_buffer_format(out, "{\"%s\":%zu}", approved ? "approved" : "rejected", n);
    return 200;
}

static int control(chat_service *d, const char *verb, json_t *root, ishow_buffer *out, fault *f) {
    if (!only_strings(root, NULL, 0, f)) return 0;
    if (!strcmp(verb, "clear"))
        ishow_buffer_format(out, "{\"cleared\":%zu}", ishow_chat_clear(d->chat));
    else if (!strcmp(verb, "replay"))
        ishow_buffer_format(out, "{\"replayed\":%s}", ishow_chat_replay(d->chat) ? "true" : "false");
    else {
        int paused = !strcmp(verb, "pause");
        ishow_chat_pause(d->chat, paused);
        ishow_buffer_format(out, "{\"paused\":%s}", paused ? "true" : "false");
    }
    return 200;
}

static int show(chat_service *d, const char *verb, ishow_buffer *out, fault *f) {
    const int queue = !strcmp(verb, "queue");
    char *json = queue ? ishow_chat_queue_json(d->chat, QUEUE_SHOWN) : ishow_chat_status_json(d->chat);
    if (!json) return ishow_fault_memory(f);
    ishow_buffer_add(out, json, strlen(json) - !queue);
    free(json);
    if (queue) return 200;
    ishow_buffer_text(out, ",\"connections\":"); /* adds a field before the closing brace */
    sources_write(d, out);
    ishow_buffer_text(out, "}");
    return 200;
}

int ishow_chat_service_ask(chat_service *d, const char *verb, const char *body, size_t n,
                           void (*durable)(void *user, ishow_status status), void *user, int *waits, ishow_buffer *out,
                           fault *f) {
    *waits = 0;
    if (service_follows(d)) return d->leader.ask(d->leader.self, verb, body, n, out, f);
    static const char delete[] = "delete/";
    if (!strncmp(verb, delete, sizeof delete - 1))
        return ishow_chat_service_delete(d, verb + sizeof delete - 1, f) ? 204 : 0;
    if (!strcmp(verb, "queue") || !strcmp(verb, "status")) return show(d, verb, out, f);
    json_t *root = object_of(body, n, f);
    if (!root) return 0;
    static const char from[] = "ingest/";
    int status = !strcmp(verb, "enqueue") ? enqueue(d, root, durable, user, waits, out, f)
                 : !strncmp(verb, from, sizeof from - 1)
                     ? ingest(d, verb + sizeof from - 1, root, durable, user, waits, out, f)
                 : !strcmp(verb, "skip")                               ? skip(d, root, out, f)
                 : !strcmp(verb, "mute") || !strcmp(verb, "unmute")    ? mute(d, root, *verb == 'm', out, f)
                 : !strcmp(verb, "approve") || !strcmp(verb, "reject") ? decide(d, root, *verb == 'a', out, f)
                 : !strcmp(verb, "start")                              ? sources_start(d, root, out, f)
                 : !strcmp(verb, "stop")                               ? sources_stop(d, root, out, f)
                                                                       : control(d, verb, root, out, f);
    json_decref(root);
    return status;
}

int ishow_chat_service_delete(chat_service *d, const char *id, fault *f) {
    if (service_follows(d)) {
        char verb[320];
        ishow_buffer answer = {0};
        snprintf(verb, sizeof verb, "delete/%s", id);
        const int status = d->leader.ask(d->leader.self, verb, "", 0, &answer, f);
        ishow_buffer_free(&answer);
        return status == 404 ? no_message(f) : status == 204;
    }
    return ishow_chat_delete(d->chat, NULL, NULL, id) ? 1 : no_message(f);
}

/* ---- metrics ---- */

static void add_counts(ishow_chat_counts *sum, const ishow_chat_counts *n) {
    uint64_t *to = (uint64_t *)sum; /* the struct holds nothing else */
    const uint64_t *from = (const uint64_t *)n;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += from[i];
}

static ishow_chat_status sum_of(chat_service *const *all, size_t n_all) {
    ishow_chat_status sum = {0}, s;
    for (size_t i = 0; i < n_all; i++) {
        ishow_chat_status_get(all[i]->chat, &s);
        add_counts(&sum.counts, &s.counts);
        for (int k = 0; k < ISHOW_CHAT_PRIORITIES; k++) sum.by_priority[k] += s.by_priority[k];
        sum.held += s.held;
        sum.paused += s.paused;
        sum.playing += s.playing;
        if (s.oldest_seconds > sum.oldest_seconds) sum.oldest_seconds = s.oldest_seconds;
        sum.listeners += s.listeners;
    }
    return sum;
}

static void chat_metrics(chat_service *const *all, size_t n_all, ishow_buffer *out) {
    const ishow_chat_status s = sum_of(all, n_all);
    const ishow_chat_counts *n = &s.counts;
    prometheus_one(out, "chat_received_total", "counter",
                   "Chat messages that came, each of which ends in one of the ways below.", (double)n->received);
    prometheus_one(out, "chat_spoken_total", "counter", "Chat messages that were read to the end.", (double)n->spoken);
    prometheus_one(out, "chat_deleted_total", "counter", "Chat messages that a moderator deleted before their end.",
                   (double)n->deleted);
    prometheus_one(out, "chat_skipped_total", "counter", "Chat messages that were skipped.", (double)n->skipped);
    prometheus_head(out, "chat_dropped_total", "counter", "Chat messages that were not read, by reason.");
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++)
        ishow_buffer_format(out, "ishowtts_chat_dropped_total{reason=\"%s\"} %llu\n",
                            ishow_chat_reason_name((ishow_chat_reason)i), (unsigned long long)n->dropped[i]);
    prometheus_one(out, "chat_waiting", "gauge", "Chat messages that wait or are being read.", (double)n->waiting);
    prometheus_head(out, "chat_queue", "gauge", "Entries of the chat queue by priority.");
    for (int i = 0; i < ISHOW_CHAT_PRIORITIES; i++)
        ishow_buffer_format(out, "ishowtts_chat_queue{priority=\"%s\"} %zu\n",
                            ishow_chat_priority_name((ishow_chat_priority)i), s.by_priority[i]);
    prometheus_one(out, "chat_held", "gauge", "Chat messages that wait for approval.", (double)s.held);
    prometheus_one(out, "chat_oldest_seconds", "gauge", "How long the oldest chat message has waited.",
                   s.oldest_seconds);
    prometheus_one(out, "chat_merged_total", "counter",
                   "Chat messages that were read together with the same words of others.", (double)n->merged);
    prometheus_one(out, "chat_recovered_total", "counter", "Chat messages taken over from the journal.",
                   (double)n->recovered);
    prometheus_one(out, "chat_replayed_total", "counter", "Clips heard again on request.", (double)n->replayed);
    prometheus_one(out, "chat_clips_made_total", "counter", "Clips synthesised for chat.", (double)n->clips_made);
    prometheus_one(out, "chat_clips_wasted_total", "counter", "Clips of chat begun and not heard to the end.",
                   (double)n->clips_wasted);
    prometheus_one(out, "chat_paused", "gauge", "Chats of which reading is paused.", s.paused);
    prometheus_one(out, "chat_playing", "gauge", "Chats of which a clip plays.", s.playing);
    prometheus_one(out, "chat_listeners", "gauge", "Listeners of the chat's stream.", (double)s.listeners);
}

void ishow_chat_service_metrics(chat_service *const *all, size_t n, ishow_buffer *out) {
    chat_metrics(all, n, out);
    sources_metrics(all, n, out);
}
