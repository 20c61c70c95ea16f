/* Arrays that grow by appending. */
#ifndef ISHOW_BASE_GROW_H
#define ISHOW_BASE_GROW_H

#include <stddef.h>

#include "ishow.h"

/* `items` with space for at least `wanted` elements of `size` bytes, as realloc gives it, and *capacity in elements;
 * grows by half or more, so that appending n elements copies each a bounded number of times. NULL: out of memory, and
 * `items` and *capacity are as before. items NULL with *capacity 0: a new array. wanted: at least 1. */
void *ishow_grow(void *items, size_t *capacity, size_t wanted, size_t size);

#endif
