#include "kernel_helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

const char *const kernel_names[KERNEL_SETS] = {"generic", "avx2", "avx512", "amx", "neon"};

static uint32_t state = 1;

void kernel_noise_seed(uint32_t seed) { state = seed; }

float kernel_noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

float *kernel_noise_of(size_t n) {
    float *x = ishow_alloc(n ? n : 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = kernel_noise();
    return x;
}
