/* Where speech is, and clips without the pauses. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "audio/frames.h"

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

void ishow_audio_speech_span(const float *samples, size_t n, int sample_rate, float floor_rms, double margin,
                             size_t *begin, size_t *end) {
    ishow_frames frames;
    *begin = 0;
    *end = n;
    if (!ishow_frames_measure(samples, n, sample_rate, floor_rms, &frames))
        return; /* without memory: keep everything */
    widen(&frames, n, samples_of(margin, sample_rate, n), begin, end);
    free(frames.rms);
}

size_t ishow_audio_quiet_cut(const float *samples, size_t n, int sample_rate, double from, double to) {
    enum { WIDTH = 10 }; /* frames, a tenth of a second */
    ishow_frames frames;
    if (!ishow_frames_measure(samples, n, sample_rate, ISHOW_SILENCE_RMS, &frames)) return n;
    size_t last = samples_of(to, sample_rate, n) / frames.size, cut = last;
    float least = INFINITY;
    for (size_t i = samples_of(from, sample_rate, n) / frames.size; i + WIDTH <= last; i++) {
        float level = 0;
        for (size_t k = i; k < i + WIDTH; k++)
            if (frames.rms[k] > frames.threshold) level += frames.rms[k];
        if (level > least) continue;
        least = level;
        cut = i + WIDTH / 2;
    }
    free(frames.rms);
    return cut * frames.size;
}

size_t ishow_audio_remove_silence(float *samples, size_t n, int sample_rate, double max_silence, double margin) {
    ishow_frames frames;
    size_t begin, end, written = 0;
    if (!ishow_frames_measure(samples, n, sample_rate, ISHOW_SILENCE_RMS, &frames))
        return n; /* without memory: unchanged */
    widen(&frames, n, samples_of(margin, sample_rate, n), &begin, &end);
    size_t first, last;
    ishow_frames_span(&frames, &first, &last);
    const size_t keep = samples_of(max_silence, sample_rate, n);
    size_t copied = begin; /* everything before it is already written or dropped */

    for (size_t i = first; i < last;) {
        size_t stop = i;
        while (stop < last && !(frames.rms[stop] > frames.threshold)) stop++;
        const size_t from = i * frames.size,
                     to = stop * frames.size; /* this silence; the last frame of the span is speech */
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
