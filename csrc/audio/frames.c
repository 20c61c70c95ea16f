/* Levels of 10 ms frames. A frame is silence when its level is under -60 dBFS or under 3 % of the clip's loud frames
 * (about -30 dB, so that a noisy room still has pauses). */
#include "audio/frames.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "base/base.h"

float ishow_audio_rms(const float *samples, size_t n) {
    if (n == 0) return 0;
    double sum[4] = {0}; /* independent sums, so that additions do not wait for each other */
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++) sum[k] += (double)samples[i + k] * (double)samples[i + k];
    for (; i < n; i++) sum[0] += (double)samples[i] * (double)samples[i];
    return (float)sqrt((sum[0] + sum[1] + sum[2] + sum[3]) / (double)n);
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int ishow_frames_measure(const float *samples, size_t n, int sample_rate, float floor_rms, ishow_frames *frames) {
    memset(frames, 0, sizeof *frames);
    frames->size = sample_rate >= 100 ? (size_t)sample_rate / 100 : 1;
    frames->count = (n + frames->size - 1) / frames->size;
    frames->threshold = floor_rms;
    frames->rms = ishow_alloc(frames->count, 2 * sizeof(float)); /* second half: sorted copy for the percentile */
    if (!frames->rms) return 0;
    if (frames->count == 0) return 1;
    for (size_t i = 0; i < frames->count; i++) {
        const size_t at = i * frames->size, left = n - at;
        const float rms = ishow_audio_rms(samples + at, left < frames->size ? left : frames->size);
        frames->rms[i] = isnan(rms) ? 0 : rms;
    }
    float *sorted = frames->rms + frames->count;
    memcpy(sorted, frames->rms, frames->count * sizeof(float));
    qsort(sorted, frames->count, sizeof(float), by_value);
    frames->threshold = fmaxf(floor_rms, 0.03f * sorted[(frames->count - 1) * 95 / 100]);
    return 1;
}

void ishow_frames_span(const ishow_frames *frames, size_t *first, size_t *last) {
    *first = 0;
    *last = frames->count;
    while (*first < *last && !(frames->rms[*first] > frames->threshold)) ++*first;
    while (*last > *first && !(frames->rms[*last - 1] > frames->threshold)) --*last;
}
