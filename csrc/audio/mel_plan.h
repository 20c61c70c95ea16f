/* What an `ishow_mel` holds, shared by mel.c and the kernels it chooses from. */
#ifndef ISHOW_AUDIO_MEL_PLAN_H
#define ISHOW_AUDIO_MEL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "audio/audio.h"

/* One inner loop, compiled for one vector width. All arrays are of groups of `lanes` floats, one float a frame. */
typedef struct ishow_mel_kernel {
    size_t lanes; /* frames computed at once */
    /* Magnitudes[bins][lanes] of the frames that begin at frames + lane * hop; work is float[n_fft * lanes]. Power of
     * two n_fft only. */
    void (*magnitudes)(const struct ishow_mel *mel, const float *frames, float *work, float *magnitudes);
    /* Log-mel[n_mels][lanes] of magnitudes[bins][lanes]. */
    void (*project)(const struct ishow_mel *mel, const float *magnitudes, float *logs);
} ishow_mel_kernel;

extern const ishow_mel_kernel ishow_mel_kernel4, ishow_mel_kernel8; /* 8: x86-64 with AVX2 and FMA only */

typedef struct ishow_mel_filter {
    uint32_t begin, count, weight;
} ishow_mel_filter; /* bins [begin, begin + count), first weight */

struct ishow_mel {
    ishow_mel_options options;
    size_t bins;
    const ishow_mel_kernel *kernel;
    float *window;             /* [n_fft] */
    ishow_mel_filter *filters; /* [n_mels] */
    float *weights;            /* of all filters, one after the other */
    float *twiddles;  /* radix-4 passes, largest first: [size/4][6] = w^j, w^2j, w^3j; NULL unless n_fft is a power of
                         two */
    float *turns;     /* [n_fft/4 + 1][2]: exp(-2 pi i k / n_fft) */
    uint32_t *places; /* [n_fft/2]: where the passes leave frequency k */
};

#endif
