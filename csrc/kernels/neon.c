/* AArch64 with the dot products of Armv8.2 (Cortex-A76 and A78, Neoverse, Apple): 8-bit products by sdot, bf16 is
 * widened to fp32. */
#include "kernels/table.h"

#if defined __aarch64__
#pragma GCC target("arch=armv8.2-a+dotprod")
#define LANES    4
#define ROWS     6
#define PANELS   1
#define TABLE    ishow_kernels_neon
#define NAME     "neon"
#define USE_NEON 1
#include "kernels/body.h"
#endif
