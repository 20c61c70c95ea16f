/* How long what waits will take, by what an utterance took lately: the honest Retry-After. */
#include <math.h>

#include "server/server.h"

enum { WINDOW = 5 /* seconds of work that one measurement covers at least */, UNKNOWN = 2 /* seconds */ };

void load_tick(ishow_server *s) {
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_engine_stats now;
    load_estimate *l = &s->load;
    if (!engine) return;
    ishow_engine_stats_get(engine, &now);
    const uint64_t done = now.completed + now.failed + now.cancelled;
    if (done == l->done || (l->seconds > 0 && now.busy_seconds - l->busy < WINDOW)) return;
    const double recent = (now.busy_seconds - l->busy) / (double)(done - l->done);
    l->seconds = l->seconds > 0 ? 0.5 * (l->seconds + recent) : recent;
    l->busy = now.busy_seconds;
    l->done = done;
}

int load_retry_after(ishow_server *s) {
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_engine_stats now;
    if (!engine || atomic_load(&s->draining)) return UNKNOWN; /* until the model is loaded, or another server has come up */
    load_tick(s);
    ishow_engine_stats_get(engine, &now);
    if (s->load.seconds <= 0) return UNKNOWN;
    const double seconds = ceil(s->load.seconds * (double)(now.waiting + now.in_flight));
    return seconds < 1 ? 1 : seconds > s->request_seconds ? (int)ceil(s->request_seconds) : (int)seconds; /* nobody waits longer in there */
}
