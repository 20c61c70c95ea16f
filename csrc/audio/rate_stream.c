/* Resamples a signal that arrives in pieces: each piece is resampled with some samples before it, and the last samples
 * wait for the next piece, so there is no audible seam and the whole equals a single resampling. */
#include "audio/rate_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "audio/audio.h"

enum { GUARD = 2048 }; /* input samples; soxr's filter reaches a few hundred */

struct rate_stream {
    int from, to;
    uint64_t unit;     /* input samples after which input and output instants meet again */
    uint64_t base;     /* input index of held[0], a multiple of unit */
    uint64_t emitted;  /* output samples given out */
    ishow_buffer held; /* floats */
};

ishow_status rate_stream_create(rate_stream **out, int from, int to, ishow_error *error) {
    rate_stream *r = calloc(1, sizeof *r);
    *out = r;
    if (!r) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for resampling.");
    int a = from, b = to;
    while (b) {
        int c = a % b;
        a = b;
        b = c;
    }
    r->from = from;
    r->to = to;
    r->unit = (uint64_t)(from / a);
    return ISHOW_OK;
}

void rate_stream_free(rate_stream *r) {
    if (!r) return;
    ishow_buffer_free(&r->held);
    free(r);
}

ishow_status rate_stream_push(rate_stream *r, const float *samples, size_t n, int last, ishow_buffer *out,
                              ishow_error *error) {
    if (r->from == r->to) {
        ishow_buffer_add(out, samples, n * sizeof *samples);
        return out->failed ? ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.") : ISHOW_OK;
    }
    ishow_pcm made = {0};
    ishow_status status = ISHOW_OK;
    ishow_buffer_add(&r->held, samples, n * sizeof *samples);
    if (r->held.failed) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    size_t held = r->held.n / sizeof(float);
    if (!held || (!last && held <= GUARD)) return ISHOW_OK;
    status = ishow_audio_resample((const float *)(void *)r->held.data, held, r->from, r->to, &made, error);
    if (status != ISHOW_OK) goto done;
    uint64_t first = r->base / r->unit * ((uint64_t)r->to * r->unit / (uint64_t)r->from); /* output index of made[0] */
    uint64_t safe = last ? first + made.length : (r->base + held - GUARD) * (uint64_t)r->to / (uint64_t)r->from;
    if (safe > first + made.length) safe = first + made.length;
    if (safe > r->emitted) {
        ishow_buffer_add(out, made.samples + (r->emitted - first), (safe - r->emitted) * sizeof(float));
        r->emitted = safe;
    }
    /* Keep GUARD samples before the next output as context. */
    uint64_t reached = r->emitted * (uint64_t)r->from / (uint64_t)r->to;
    uint64_t keep = reached > GUARD ? (reached - GUARD) / r->unit * r->unit : 0;
    if (keep > r->base) {
        size_t drop = (size_t)(keep - r->base) * sizeof(float);
        memmove(r->held.data, r->held.data + drop, r->held.n - drop);
        r->held.n -= drop;
        r->base = keep;
    }
    if (out->failed) status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
done:
    ishow_pcm_free(&made);
    return status;
}
