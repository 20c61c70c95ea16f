/* x86-64 with AVX2 and FMA: bf16 and 8-bit values are widened before use, but still take half or a quarter of the
 * memory bandwidth. */
#include "kernels/table.h"

#if defined __x86_64__
#pragma GCC target("avx2,fma")
#define LANES    8
#define ROWS     6
#define PANELS   1
#define TABLE    ishow_kernels_avx2
#define NAME     "avx2"
#define USE_AVX2 1
#include "kernels/body.h"
#endif
