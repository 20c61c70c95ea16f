/* FNV-1a, a hash of bytes: fast, the same on every machine, and not made to withstand attacks. */
#ifndef ISHOW_BASE_HASH_H
#define ISHOW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325) /* of no bytes */

/* The hash of what `hash` is of, followed by n bytes. */
static inline uint64_t hash_more(uint64_t hash, const void *data, size_t n) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
