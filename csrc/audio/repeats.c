/* Finds copies by comparing a short window with all of the 400 ms before it, sample by sample. That is cheap: a
 * comparison stops once the difference is larger than a copy allows, nearly always after one or two samples. A voice is
 * periodic too, but never so exactly over 30 ms or more: successive periods differ by about one percent. */
#include <math.h>
#include <string.h>

#include "audio/repeats.h"
#include "audio/audio.h"

#define WINDOW    0.030 /* seconds compared at once, the length of the shortest copy that is found */
#define HOP       0.010
#define LAG_MIN   0.030
#define LAG_MAX   0.400
#define DIFFERENT 1e-3f /* energy of the difference against that of the window */

/* 1 when the window at x equals the one `lag` samples earlier; begins at its loudest sample, where differences are
 * largest. */
static int is_copy(const float *x, size_t window, size_t loudest, size_t lag, float limit) {
    float sum = 0;
    for (size_t k = 0; k < window; k++) {
        const size_t i = loudest + k < window ? loudest + k : loudest + k - window;
        const float d = x[i] - x[(ptrdiff_t)i - (ptrdiff_t)lag];
        sum += d * d;
        if (sum > limit) return 0;
    }
    return 1;
}

static int has_copy_before(const float *x, size_t window, size_t shortest, size_t longest, float rms) {
    const float limit = DIFFERENT * rms * rms * (float)window;
    size_t loudest = 0;
    for (size_t i = 1; i < window; i++)
        if (fabsf(x[i]) > fabsf(x[loudest])) loudest = i;
    for (size_t lag = shortest; lag <= longest; lag++)
        if (is_copy(x, window, loudest, lag, limit)) return 1;
    return 0;
}

void ishow_repeats_find(const float *samples, size_t n, int sample_rate, float floor_rms, double *seconds,
                        double *first) {
    const size_t window = (size_t)(WINDOW * sample_rate), hop = (size_t)(HOP * sample_rate);
    const size_t shortest = (size_t)(LAG_MIN * sample_rate), longest = (size_t)(LAG_MAX * sample_rate);
    size_t marked = 0, copies = 0; /* samples before `marked` are counted already */
    *first = -1;
    for (size_t at = shortest; at + window <= n; at += hop) {
        const float rms = ishow_audio_rms(samples + at, window);
        if (!(rms > floor_rms) || !has_copy_before(samples + at, window, shortest, at < longest ? at : longest, rms))
            continue;
        if (copies == 0) *first = (double)at / sample_rate;
        copies += at + window - (at > marked ? at : marked);
        marked = at + window;
    }
    *seconds = (double)copies / sample_rate;
}
