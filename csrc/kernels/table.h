/* One table for each instruction set that this processor family can have. */
#ifndef ISHOW_KERNELS_TABLE_H
#define ISHOW_KERNELS_TABLE_H

#include "kernels/kernels.h"

#if defined __x86_64__
extern const kernels ishow_kernels_amx, ishow_kernels_avx512, ishow_kernels_avx2;
#elif defined __aarch64__
extern const kernels ishow_kernels_neon;
#endif
extern const kernels ishow_kernels_generic;

#endif
