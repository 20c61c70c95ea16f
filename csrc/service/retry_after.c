/* See retry_after.h. */
#include "service/retry_after.h"

#include <math.h>

enum { WINDOW = 5 /* minimum seconds of work of one measurement */ };

void ishow_retry_after_tick(retry_estimate *l, ishow_engine *engine) {
    ishow_engine_stats now;
    if (!engine) return;
    ishow_engine_stats_get(engine, &now);
    const uint64_t done = now.completed + now.failed + now.cancelled;
    if (done == l->done || (l->seconds > 0 && now.busy_seconds - l->busy < WINDOW)) return;
    const double recent = (now.busy_seconds - l->busy) / (double)(done - l->done);
    l->seconds = l->seconds > 0 ? 0.5 * (l->seconds + recent) : recent;
    l->busy = now.busy_seconds;
    l->done = done;
}

int ishow_retry_after(retry_estimate *l, ishow_engine *engine, double request_seconds) {
    ishow_engine_stats now;
    if (!engine) return RETRY_SECONDS_UNKNOWN;
    ishow_retry_after_tick(l, engine);
    ishow_engine_stats_get(engine, &now);
    if (l->seconds <= 0) return RETRY_SECONDS_UNKNOWN;
    const double seconds = ceil(l->seconds * (double)(now.waiting + now.in_flight));
    return seconds < 1 ? 1 : seconds > request_seconds ? (int)ceil(request_seconds) : (int)seconds;
}
