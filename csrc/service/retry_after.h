/* Retry-After, estimated from the recent mean time of an utterance and the number that wait. */
#ifndef ISHOW_SERVICE_RETRY_AFTER_H
#define ISHOW_SERVICE_RETRY_AFTER_H

#include <stdint.h>

#include "engine/engine.h"

enum { RETRY_SECONDS_UNKNOWN = 2 /* answered before there is a measurement */ };

typedef struct retry_estimate {
    double seconds; /* recent mean seconds of work of an utterance; 0: unknown */
    double busy;    /* the engine's counters at that measurement */
    uint64_t done;
} retry_estimate;

/* Measures from the engine's counters; call regularly, on one thread. */
ISHOW_API void ishow_retry_after_tick(retry_estimate *l, ishow_engine *engine);
/* Seconds, at least 1 and at most request_seconds, the deadline of every request. engine NULL: there is none. */
ISHOW_API int ishow_retry_after(retry_estimate *l, ishow_engine *engine, double request_seconds);

#endif
