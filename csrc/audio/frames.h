/* Level over 10 ms frames: what all of audio/ means by "silence". */
#ifndef ISHOW_AUDIO_FRAMES_H
#define ISHOW_AUDIO_FRAMES_H

#include <stddef.h>

#define ISHOW_SILENCE_RMS 1e-3f /* -60 dBFS */

/* RMS of each 10 ms frame (the last may be shorter; NaN counts as silence) with the level above which one is speech. */
typedef struct ishow_frames {
    float *rms;
    size_t count, size; /* frames, and samples of each */
    float threshold;    /* max(floor_rms, 3 % of the 95th percentile) */
} ishow_frames;

/* Returns 0 when out of memory; otherwise free frames->rms. */
int ishow_frames_measure(const float *samples, size_t n, int sample_rate, float floor_rms, ishow_frames *frames);

/* First and one past the last frame of speech; equal when there is none. */
void ishow_frames_span(const ishow_frames *frames, size_t *first, size_t *last);

#endif
