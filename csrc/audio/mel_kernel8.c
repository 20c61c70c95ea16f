/* Eight frames at once: x86-64 with AVX2 and FMA, chosen at run time by mel.c. */
#include "audio/mel_plan.h"

#if defined __x86_64__
#pragma GCC target("avx2,fma")
#define LANES  8
#define KERNEL ishow_mel_kernel8
#include "audio/mel_kernel.h"
#endif
