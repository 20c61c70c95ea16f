/* The last hour of a server's load: one sample every few seconds, taken from the engine's counters. One thread. */
#ifndef ISHOW_SERVICE_LOAD_HISTORY_H
#define ISHOW_SERVICE_LOAD_HISTORY_H

#include <time.h>

#include "base/buffer.h"
#include "engine/engine.h"

enum { LOAD_SECONDS = 5 /* seconds between two samples */, LOAD_SAMPLES = 3600 / LOAD_SECONDS };

typedef struct load_sample {
    time_t when;
    float rtf; /* seconds of the model for a second of speech made since the sample before; NAN: none was made */
    float first_audio; /* mean time to the first audio, in seconds, of utterances whose audio has begun since then; NAN:
                          none has */
    unsigned waiting, in_flight;                    /* at the time of the sample */
    unsigned completed, failed, refused, cancelled; /* utterances since then */
    double resident_bytes;
} load_sample;

typedef struct load_history {
    load_sample samples[LOAD_SAMPLES]; /* a ring */
    size_t n, next;
    double due;                /* ishow_now() of the next sample; 0: take the counters and no sample */
    ishow_engine_stats before; /* at the last one */
} load_history;

/* Takes a sample when one is due; call about once a second. engine NULL: there is none yet. */
ISHOW_API void ishow_load_history_tick(load_history *h, ishow_engine *engine);

/* {"every": seconds, "columns": [name, ...], "samples": [[value, ...], ...]}, oldest first; null where a sample has
 * none. */
ISHOW_API void ishow_load_history_write(const load_history *h, ishow_buffer *out);

ISHOW_API double ishow_resident_bytes(void); /* of this process; 0: not known */

#endif
