/* Tables of kernels, one for each instruction set of this processor family. */
#ifndef ISHOW_KERNELS_TABLE_H
#define ISHOW_KERNELS_TABLE_H

#include <string.h>

#include "kernels/kernels.h"

/* Rounds to the nearest bf16, ties to even. */
static inline uint32_t bf16_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

#if defined __x86_64__
extern const kernels ishow_kernels_amx, ishow_kernels_avx512, ishow_kernels_avx2;
#elif defined __aarch64__
extern const kernels ishow_kernels_neon;
#endif
extern const kernels ishow_kernels_generic;

#endif
