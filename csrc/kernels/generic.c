/* Any processor: four lanes of the compiler's own vectors (SSE2, NEON). The twin that the others are tested against. */
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
