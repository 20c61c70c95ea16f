/* Four frames at once: what every 64-bit machine can do. */
#include "audio/mel_plan.h"

#define LANES  4
#define KERNEL ishow_mel_kernel4
#include "audio/mel_kernel.h"
