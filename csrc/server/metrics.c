/* Prometheus text, written by hand. Counts of requests are kept by route name and status, never by what a client made up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ishow/chatqueue.h"
#include "server/server.h"

static const int statuses[] = {101, 200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409, 411, 413, 414, 415, 416, 426, 429, 431, 500, 502, 503, 504, 0};
static const double bounds[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120};
enum { STATUSES = sizeof statuses / sizeof *statuses, BOUNDS = sizeof bounds / sizeof *bounds };

typedef struct histogram { uint64_t below[BOUNDS], count; double sum; } histogram;

struct metrics {
    pthread_mutex_t lock; /* the loop counts requests, the pump counts speech */
    uint64_t requests[ROUTES_MAX][STATUSES];
    histogram first_audio, total;
};

metrics *metrics_create(void) {
    metrics *m = calloc(1, sizeof *m);
    if (m) pthread_mutex_init(&m->lock, NULL);
    return m;
}

void metrics_free(metrics *m) {
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    free(m);
}

void metrics_request(metrics *m, int route, int status) {
    int at = 0;
    while (statuses[at] && statuses[at] != status) at++;
    pthread_mutex_lock(&m->lock);
    m->requests[route][at]++;
    pthread_mutex_unlock(&m->lock);
}

static void observe(histogram *h, double value) {
    for (int i = 0; i < BOUNDS; i++) h->below[i] += value <= bounds[i];
    h->count++;
    h->sum += value;
}

void metrics_speech(metrics *m, const ishow_timings *t) {
    pthread_mutex_lock(&m->lock);
    observe(&m->first_audio, t->first_audio);
    observe(&m->total, t->total);
    pthread_mutex_unlock(&m->lock);
}

static void head(bytes *out, const char *name, const char *type, const char *help) {
    bytes_format(out, "# HELP ishowtts_%s %s\n# TYPE ishowtts_%s %s\n", name, help, name, type);
}

static void one(bytes *out, const char *name, const char *type, const char *help, double value) {
    head(out, name, type, help);
    bytes_format(out, "ishowtts_%s %.15g\n", name, value);
}

static void write_histogram(bytes *out, const char *name, const char *help, const histogram *h) {
    head(out, name, "histogram", help);
    for (int i = 0; i < BOUNDS; i++) bytes_format(out, "ishowtts_%s_bucket{le=\"%g\"} %llu\n", name, bounds[i], (unsigned long long)h->below[i]);
    bytes_format(out, "ishowtts_%s_bucket{le=\"+Inf\"} %llu\nishowtts_%s_sum %.9g\nishowtts_%s_count %llu\n", name, (unsigned long long)h->count,
                 name, h->sum, name, (unsigned long long)h->count);
}

static void label(bytes *out, const char *text) {
    bytes_text(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') bytes_text(out, "\\");
        bytes_add(out, *text == '\n' ? " " : text, 1);
    }
    bytes_text(out, "\"");
}

static void write_engine(bytes *out, ishow_engine *engine) {
    ishow_engine_stats s;
    ishow_model_info info;
    ishow_engine_stats_get(engine, &s);
    ishow_engine_info(engine, &info);
    head(out, "backend_info", "gauge", "The backend that answers now.");
    bytes_text(out, "ishowtts_backend_info{backend=");
    label(out, info.backend);
    bytes_text(out, ",model=");
    label(out, info.name);
    bytes_text(out, ",precision=");
    label(out, info.precision);
    bytes_text(out, "} 1\n");
    head(out, "utterances_total", "counter", "Utterances by outcome.");
    bytes_format(out, "ishowtts_utterances_total{outcome=\"completed\"} %llu\nishowtts_utterances_total{outcome=\"failed\"} %llu\n"
                 "ishowtts_utterances_total{outcome=\"cancelled\"} %llu\nishowtts_utterances_total{outcome=\"refused\"} %llu\n",
                 (unsigned long long)s.completed, (unsigned long long)s.failed, (unsigned long long)s.cancelled, (unsigned long long)s.refused);
    one(out, "submitted_total", "counter", "Utterances accepted by the engine.", (double)s.submitted);
    one(out, "synthesis_seconds_total", "counter", "Seconds inside the model.", s.model_seconds);
    one(out, "audio_seconds_total", "counter", "Seconds of speech made.", s.audio_seconds);
    one(out, "busy_seconds_total", "counter", "Seconds in which the inference thread worked.", s.busy_seconds);
    one(out, "steps_total", "counter", "Steps of the model.", (double)s.steps);
    one(out, "rows_total", "counter", "Rows that entered the scheduler.", (double)s.rows);
    one(out, "retries_total", "counter", "Chunks made again after a bad result.", (double)s.retries);
    one(out, "backend_swaps_total", "counter", "Backends swapped in.", (double)s.swaps);
    one(out, "queue_waiting", "gauge", "Utterances that wait.", (double)s.waiting);
    one(out, "queue_in_flight", "gauge", "Utterances being spoken.", (double)s.in_flight);
    one(out, "cache_hits_total", "counter", "Lookups of cached tensors that hit.", (double)s.cache.hits);
    one(out, "cache_misses_total", "counter", "Lookups of cached tensors that missed.", (double)s.cache.misses);
    one(out, "cache_evictions_total", "counter", "Cached tensors that left for want of room.", (double)s.cache.evictions);
    one(out, "cache_bytes", "gauge", "Bytes of cached tensors.", (double)s.cache.bytes);
    one(out, "cache_entries", "gauge", "Cached tensors.", (double)s.cache.entries);
    one(out, "cache_budget_bytes", "gauge", "Bytes that cached tensors may take.", (double)s.cache.budget);
}

static void write_chat(bytes *out, ishow_chat *chat) {
    ishow_chat_status s;
    ishow_chat_status_get(chat, &s);
    const ishow_chat_counts *n = &s.counts;
    one(out, "chat_received_total", "counter", "Chat messages that came, each of which ends in one of the ways below.", (double)n->received);
    one(out, "chat_spoken_total", "counter", "Chat messages that were read to the end.", (double)n->spoken);
    one(out, "chat_deleted_total", "counter", "Chat messages that a moderator deleted before their end.", (double)n->deleted);
    one(out, "chat_skipped_total", "counter", "Chat messages that were skipped.", (double)n->skipped);
    head(out, "chat_dropped_total", "counter", "Chat messages that were not read, by reason.");
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++)
        bytes_format(out, "ishowtts_chat_dropped_total{reason=\"%s\"} %llu\n", ishow_chat_reason_name((ishow_chat_reason)i), (unsigned long long)n->dropped[i]);
    one(out, "chat_waiting", "gauge", "Chat messages that wait or are being read.", (double)n->waiting);
    head(out, "chat_queue", "gauge", "Entries of the chat queue by priority.");
    for (int i = 0; i < ISHOW_CHAT_PRIORITIES; i++)
        bytes_format(out, "ishowtts_chat_queue{priority=\"%s\"} %zu\n", ishow_chat_priority_name((ishow_chat_priority)i), s.by_priority[i]);
    one(out, "chat_oldest_seconds", "gauge", "How long the oldest chat message has waited.", s.oldest_seconds);
    one(out, "chat_merged_total", "counter", "Chat messages that were read together with the same words of others.", (double)n->merged);
    one(out, "chat_recovered_total", "counter", "Chat messages taken over from the journal.", (double)n->recovered);
    one(out, "chat_replayed_total", "counter", "Clips heard again on request.", (double)n->replayed);
    one(out, "chat_clips_made_total", "counter", "Clips synthesised for chat.", (double)n->clips_made);
    one(out, "chat_clips_wasted_total", "counter", "Clips of chat begun and not heard to the end.", (double)n->clips_wasted);
    one(out, "chat_paused", "gauge", "1 while reading is paused.", s.paused);
    one(out, "chat_playing", "gauge", "1 while a clip plays.", s.playing);
    one(out, "chat_listeners", "gauge", "Listeners of the chat's stream.", (double)s.listeners);
}

static double resident_bytes(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void metrics_write(metrics *m, ishow_engine *engine, ishow_chat *chat, int ready, unsigned connections, bytes *out) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    pthread_mutex_lock(&m->lock);
    head(out, "http_requests_total", "counter", "Answered requests by endpoint and status.");
    for (int r = 0; route_name(r); r++)
        for (int s = 0; s < STATUSES; s++)
            if (m->requests[r][s]) {
                bytes_format(out, "ishowtts_http_requests_total{endpoint=\"%s\",status=\"", route_name(r));
                if (statuses[s]) bytes_format(out, "%d", statuses[s]);
                else bytes_text(out, "aborted");
                bytes_format(out, "\"} %llu\n", (unsigned long long)m->requests[r][s]);
            }
    write_histogram(out, "first_audio_seconds", "From the request to the first audio of an utterance.", &m->first_audio);
    write_histogram(out, "speech_seconds", "From the request to the last audio of an utterance.", &m->total);
    pthread_mutex_unlock(&m->lock);
    if (engine) write_engine(out, engine);
    if (chat) write_chat(out, chat);
    one(out, "ready", "gauge", "1 when speech is served.", ready);
    one(out, "connections", "gauge", "Open connections.", connections);
    one(out, "live_handles", "gauge", "Opaque handles of the library that are alive.", (double)ishow_live_handles());
    one(out, "resident_bytes", "gauge", "Resident memory of the process.", resident_bytes());
    one(out, "cpu_seconds_total", "counter", "Processor time of the process.",
        (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec));
    head(out, "build_info", "gauge", "The version that runs.");
    bytes_format(out, "ishowtts_build_info{version=\"%s\"} 1\n", ishow_version());
}
