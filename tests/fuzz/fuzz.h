/* What fuzzers share: an input may take linear time, and promises are kept. */
#ifndef ISHOW_FUZZ_H
#define ISHOW_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

int fuzz_one(const uint8_t *data, size_t n); /* what a fuzzer does with an input */

/* The bytes with a NUL behind them; free(). */
char *fuzz_text(const uint8_t *data, size_t n);

/* Aborts where a promise is broken. */
#define fuzz_must(condition)                                     \
    do {                                                         \
        if (!(condition)) {                                      \
            fprintf(stderr, "broken promise: %s\n", #condition); \
            abort();                                             \
        }                                                        \
    } while (0)

#endif
