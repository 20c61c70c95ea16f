/* Helpers for the tests of kernels. */
#ifndef KERNEL_HELPERS_H
#define KERNEL_HELPERS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { KERNEL_SETS = 5 };
extern const char *const kernel_names[KERNEL_SETS]; /* names for ishow_kernels_named; a processor may lack some */

void kernel_noise_seed(uint32_t seed);
float kernel_noise(void);         /* uniform in [-1, 1), the same sequence in every run */
float *kernel_noise_of(size_t n); /* n of these values; free() */

static inline double exact_gelu(double x) { return x * 0.5 * (1 + erf(x / sqrt(2))); }

#endif
