/* x86-64 with AVX-512: VNNI for 8-bit values, BF16 for pairs of bf16. Sixteen lanes, so a panel is one register. */
#include "kernels/table.h"

#if defined __x86_64__
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")
#define LANES      16
#define ROWS       12
#define PANELS     2
#define TABLE      ishow_kernels_avx512
#define NAME       "avx512"
#define USE_AVX512 1
#include "kernels/body.h"
#endif
