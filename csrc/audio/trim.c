/* Where speech is, and clips without the pauses. A frame of 10 ms is silence when its level is under -60 dBFS or under
 * 3 % of the clip's loud frames (about -30 dB, so that a noisy room still has pauses). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frames.h"
#include "base/base.h"
#include "audio/audio.h"

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

/* Seconds to samples, 0..limit. */
static size_t samples_of(double seconds, int sample_rate, size_t limit) {
    const double count = seconds * sample_rate + 0.5;
    return count >= (double)limit ? limit : count > 0 ? (size_t)count : 0; /* NaN: 0 */
}

/* Samples of frames [first, last), widened by `margin` samples on both sides; empty stays empty. */
static void widen(const ishow_frames *frames, size_t n, size_t margin, size_t *begin, size_t *end) {
    size_t first, last;
    *begin = *end = 0;
    ishow_frames_span(frames, &first, &last);
    if (first == last) return;
    *begin = first * frames->size > margin ? first * frames->size - margin : 0;
    *end = last * frames->size < n ? last * frames->size : n;
    *end = n - *end > margin ? *end + margin : n;
}

void ishow_audio_speech_span(const float *samples, size_t n, int sample_rate, float floor_rms, double margin, size_t *begin, size_t *end) {
    ishow_frames frames;
    *begin = 0;
    *end = n;
    if (!ishow_frames_measure(samples, n, sample_rate, floor_rms, &frames)) return; /* without memory: keep everything */
    widen(&frames, n, samples_of(margin, sample_rate, n), begin, end);
    free(frames.rms);
}

size_t ishow_audio_remove_silence(float *samples, size_t n, int sample_rate, double max_silence, double margin) {
    ishow_frames frames;
    size_t begin, end, written = 0;
    if (!ishow_frames_measure(samples, n, sample_rate, ISHOW_SILENCE_RMS, &frames)) return n; /* without memory: unchanged */
    widen(&frames, n, samples_of(margin, sample_rate, n), &begin, &end);
    size_t first, last;
    ishow_frames_span(&frames, &first, &last);
    const size_t keep = samples_of(max_silence, sample_rate, n);
    size_t copied = begin; /* everything before it is already written or dropped */

    for (size_t i = first; i < last;) {
        size_t stop = i;
        while (stop < last && !(frames.rms[stop] > frames.threshold)) stop++;
        const size_t from = i * frames.size, to = stop * frames.size; /* this silence; the last frame of the span is speech */
        i = stop > i ? stop : i + 1;
        if (to <= from || to - from <= keep) continue;
        /* Keep the silence's two ends, meeting in a fade to nothing. */
        const size_t head = keep / 2, tail = keep - head;
        const size_t length = from + head - copied;
        memmove(samples + written, samples + copied, length * sizeof(float));
        written += length;
        copied = to - tail;
        size_t fade = (size_t)sample_rate / 200;
        for (size_t k = 0; k < fade && k < head; k++) samples[written - 1 - k] *= (float)(k + 1) / (float)(fade + 1);
        for (size_t k = 0; k < fade && k < tail; k++) samples[copied + k] *= (float)(k + 1) / (float)(fade + 1);
    }
    memmove(samples + written, samples + copied, (end - copied) * sizeof(float));
    written += end - copied;
    free(frames.rms);
    return written;
}
