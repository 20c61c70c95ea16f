/* How long what waits will take, by what an utterance took lately: the honest Retry-After. */
#ifndef ISHOW_SERVICE_RETRY_AFTER_H
#define ISHOW_SERVICE_RETRY_AFTER_H

#include <stdint.h>

#include "engine/engine.h"

enum { RETRY_SECONDS_UNKNOWN = 2 /* seconds to wait where nothing better is known */ };

typedef struct retry_estimate {
    double seconds; /* of work that an utterance takes lately; 0: not known */
    double busy;    /* the engine's counters when that was measured */
    uint64_t done;
} retry_estimate;

/* Looks at the engine's counters; now and then, on one thread. */
ISHOW_API void ishow_retry_after_tick(retry_estimate *l, ishow_engine *engine);
/* Seconds, at least 1; request_seconds: nobody waits longer in there. engine NULL: there is none (yet, or any more). */
ISHOW_API int ishow_retry_after(retry_estimate *l, ishow_engine *engine, double request_seconds);

#endif
