/* See load_history.h. */
#include "service/load_history.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

double ishow_resident_bytes(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1) pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void ishow_load_history_tick(load_history *h, ishow_engine *engine) {
    const double now = ishow_now();
    if (!engine || now < h->due) return;
    const ishow_engine_stats before = h->before;
    const int first = h->due == 0;
    ishow_engine_stats_get(engine, &h->before);
    const ishow_engine_stats *s = &h->before;
    h->due = now + LOAD_SECONDS;
    if (first) return;
    const double audio = s->audio_seconds - before.audio_seconds, model = s->model_seconds - before.model_seconds;
    const uint64_t heard = s->first_audios - before.first_audios;
    h->samples[h->next] = (load_sample){
        .when = time(NULL),
        .rtf = audio > 0 ? (float)(model / audio) : NAN,
        .first_audio = heard ? (float)((s->first_audio_seconds - before.first_audio_seconds) / (double)heard) : NAN,
        .waiting = (unsigned)s->waiting,
        .in_flight = (unsigned)s->in_flight,
        .completed = (unsigned)(s->completed - before.completed),
        .failed = (unsigned)(s->failed - before.failed),
        .refused = (unsigned)(s->refused - before.refused),
        .cancelled = (unsigned)(s->cancelled - before.cancelled),
        .resident_bytes = ishow_resident_bytes()};
    h->next = (h->next + 1) % LOAD_SAMPLES;
    if (h->n < LOAD_SAMPLES) h->n++;
}

static void write_number(ishow_buffer *out, double value, int digits) {
    if (isnan(value))
        ishow_buffer_text(out, ",null");
    else
        ishow_buffer_format(out, ",%.*f", digits, value);
}

void ishow_load_history_write(const load_history *h, ishow_buffer *out) {
    ishow_buffer_format(out,
                        "{\"every\":%d,\"columns\":[\"when\",\"rtf\",\"first_audio\",\"waiting\",\"in_flight\","
                        "\"completed\",\"failed\",\"refused\",\"cancelled\",\"resident_bytes\"],\"samples\":[",
                        LOAD_SECONDS);
    for (size_t i = 0; i < h->n; i++) {
        const load_sample *s = &h->samples[(h->next + LOAD_SAMPLES - h->n + i) % LOAD_SAMPLES];
        ishow_buffer_format(out, "%s[%lld", i ? "," : "", (long long)s->when);
        write_number(out, (double)s->rtf, 4);
        write_number(out, (double)s->first_audio, 4);
        ishow_buffer_format(out, ",%u,%u,%u,%u,%u,%u,%.0f]", s->waiting, s->in_flight, s->completed, s->failed,
                            s->refused, s->cancelled, s->resident_bytes);
    }
    ishow_buffer_text(out, "]}");
}
