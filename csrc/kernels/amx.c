/* x86-64 with AVX-512 and AMX: tiles of sixteen rows for bf16 and 8-bit values; the rest is as in avx512.c. */
#include "kernels/table.h"

#if defined __x86_64__
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16")
#define LANES      16
#define ROWS       12
#define PANELS     2
#define TABLE      ishow_kernels_amx
#define NAME       "amx"
#define USE_AVX512 1
#define USE_AMX    1
#include "kernels/body.h"
#endif
