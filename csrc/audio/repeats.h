/* Stretches of a clip that are copies of what came just before. */
#ifndef ISHOW_AUDIO_REPEATS_H
#define ISHOW_AUDIO_REPEATS_H

#include <stddef.h>

/* *seconds: length of all sound (above the level `floor_rms`) that is the same, sample for sample, as the sound 30 to
 * 400 ms earlier; *first: where that begins, or -1. Samples must be finite. */
void ishow_repeats_find(const float *samples, size_t n, int sample_rate, float floor_rms, double *seconds,
                        double *first);

#endif
