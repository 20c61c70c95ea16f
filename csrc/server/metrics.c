/* Requests are counted by route name and status, so that clients cannot create new label values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server/internal.h"
#include "service/prometheus.h"

static const int statuses[] = {101, 200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405, 409,
                               411, 413, 414, 415, 416, 426, 429, 431, 500, 502, 503, 504, 0};
static const double bounds[] = {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120};
enum { STATUSES = sizeof statuses / sizeof *statuses, BOUNDS = sizeof bounds / sizeof *bounds };

typedef struct histogram {
    uint64_t below[BOUNDS], count;
    double sum;
} histogram;

struct metrics {
    pthread_mutex_t lock; /* the loop counts requests, the encoder thread counts speech */
    uint64_t requests[ROUTES_MAX][STATUSES];
    histogram first_audio, total;
    uint64_t unspoken;
    const char *(*route_name)(int index);
};

metrics *metrics_create(const char *(*route_name)(int index)) {
    metrics *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->route_name = route_name;
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
    m->unspoken += t->unspoken.count;
    pthread_mutex_unlock(&m->lock);
}

static void write_histogram(ishow_buffer *out, const char *name, const char *help, const histogram *h) {
    prometheus_head(out, name, "histogram", help);
    for (int i = 0; i < BOUNDS; i++)
        ishow_buffer_format(out, "ishowtts_%s_bucket{le=\"%g\"} %llu\n", name, bounds[i],
                            (unsigned long long)h->below[i]);
    ishow_buffer_format(out, "ishowtts_%s_bucket{le=\"+Inf\"} %llu\nishowtts_%s_sum %.9g\nishowtts_%s_count %llu\n",
                        name, (unsigned long long)h->count, name, h->sum, name, (unsigned long long)h->count);
}

static void label(ishow_buffer *out, const char *text) {
    ishow_buffer_text(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') ishow_buffer_text(out, "\\");
        ishow_buffer_add(out, *text == '\n' ? " " : text, 1);
    }
    ishow_buffer_text(out, "\"");
}

static void write_engine(ishow_buffer *out, ishow_engine *engine) {
    ishow_engine_stats s;
    ishow_model_info info;
    ishow_engine_stats_get(engine, &s);
    ishow_engine_info(engine, &info);
    prometheus_head(out, "backend_info", "gauge", "The backend in use.");
    ishow_buffer_text(out, "ishowtts_backend_info{backend=");
    label(out, info.backend);
    ishow_buffer_text(out, ",model=");
    label(out, info.name);
    ishow_buffer_text(out, ",precision=");
    label(out, info.precision);
    ishow_buffer_text(out, "} 1\n");
    prometheus_head(out, "utterances_total", "counter", "Utterances by outcome.");
    ishow_buffer_format(
        out,
        "ishowtts_utterances_total{outcome=\"completed\"} %llu\nishowtts_utterances_total{outcome=\"failed\"} %llu\n"
        "ishowtts_utterances_total{outcome=\"cancelled\"} %llu\nishowtts_utterances_total{outcome=\"refused\"} %llu\n",
        (unsigned long long)s.completed, (unsigned long long)s.failed, (unsigned long long)s.cancelled,
        (unsigned long long)s.refused);
    prometheus_one(out, "submitted_total", "counter", "Utterances accepted by the engine.", (double)s.submitted);
    prometheus_one(out, "synthesis_seconds_total", "counter", "Seconds inside the model.", s.model_seconds);
    prometheus_one(out, "audio_seconds_total", "counter", "Seconds of speech made.", s.audio_seconds);
    prometheus_one(out, "busy_seconds_total", "counter", "Seconds in which the inference thread worked.",
                   s.busy_seconds);
    prometheus_one(out, "steps_total", "counter", "Steps of the model.", (double)s.steps);
    prometheus_one(out, "rows_total", "counter", "Rows that entered the scheduler.", (double)s.rows);
    prometheus_one(out, "retries_total", "counter", "Chunks synthesised again after a bad result.", (double)s.retries);
    prometheus_one(out, "backend_swaps_total", "counter", "Backends swapped in.", (double)s.swaps);
    prometheus_one(out, "queue_waiting", "gauge", "Utterances that wait.", (double)s.waiting);
    prometheus_one(out, "queue_in_flight", "gauge", "Utterances being spoken.", (double)s.in_flight);
    prometheus_one(out, "cache_hits_total", "counter", "Lookups of cached tensors that hit.", (double)s.cache.hits);
    prometheus_one(out, "cache_misses_total", "counter", "Lookups of cached tensors that missed.",
                   (double)s.cache.misses);
    prometheus_one(out, "cache_evictions_total", "counter", "Cached tensors that were evicted.",
                   (double)s.cache.evictions);
    prometheus_one(out, "cache_bytes", "gauge", "Bytes of cached tensors.", (double)s.cache.bytes);
    prometheus_one(out, "cache_entries", "gauge", "Cached tensors.", (double)s.cache.entries);
    prometheus_one(out, "cache_budget_bytes", "gauge", "Bytes that cached tensors may take.", (double)s.cache.budget);
}

void metrics_write(metrics *m, ishow_engine *engine, int ready, unsigned connections, ishow_buffer *out) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    pthread_mutex_lock(&m->lock);
    prometheus_head(out, "http_requests_total", "counter", "Answered requests by endpoint and status.");
    for (int r = 0; m->route_name(r); r++)
        for (int s = 0; s < STATUSES; s++)
            if (m->requests[r][s]) {
                ishow_buffer_format(out, "ishowtts_http_requests_total{endpoint=\"%s\",status=\"", m->route_name(r));
                if (statuses[s])
                    ishow_buffer_format(out, "%d", statuses[s]);
                else
                    ishow_buffer_text(out, "aborted");
                ishow_buffer_format(out, "\"} %llu\n", (unsigned long long)m->requests[r][s]);
            }
    write_histogram(out, "first_audio_seconds", "From the request to the first audio of an utterance.",
                    &m->first_audio);
    write_histogram(out, "speech_seconds", "From the request to the last audio of an utterance.", &m->total);
    prometheus_one(out, "unspoken_words_total", "counter", "Words that the voice could not read.", (double)m->unspoken);
    pthread_mutex_unlock(&m->lock);
    if (engine) write_engine(out, engine);
    prometheus_one(out, "ready", "gauge", "1 when speech is served.", ready);
    prometheus_one(out, "connections", "gauge", "Open connections.", connections);
    prometheus_one(out, "live_handles", "gauge", "Opaque handles of the library that are alive.",
                   (double)ishow_live_handles());
    prometheus_one(out, "resident_bytes", "gauge", "Resident memory of the process.", ishow_resident_bytes());
    prometheus_one(out, "cpu_seconds_total", "counter", "Processor time of the process.",
                   (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                       1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec));
    prometheus_head(out, "build_info", "gauge", "The running version.");
    ishow_buffer_format(out, "ishowtts_build_info{version=\"%s\"} 1\n", ishow_version());
}
