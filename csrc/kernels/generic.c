/* Any processor: vectors of four lanes by GCC's vector extension (SSE2, NEON). The reference that tests compare the
 * others with. */
#define LANES 4
#if defined __aarch64__
#define ROWS 4
#else
#define ROWS 2
#endif
#define PANELS 1
#define TABLE  ishow_kernels_generic
#define NAME   "generic"
#include "kernels/body.h"
