/* A cache of tensors: reference mels, modulation tables, and other results that depend only on their key. Least
 * recently used entries are evicted when the byte budget is exceeded; entries are reference counted, so one in use is
 * never freed. The cache does not interpret the bytes. All functions may be called from any thread. */
#ifndef ISHOW_CACHE_CACHE_H
#define ISHOW_CACHE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_cache ishow_cache;
typedef struct ishow_cache_entry ishow_cache_entry; /* a counted reference to one entry */

typedef struct ishow_cache_key {
    uint64_t lo, hi;
} ishow_cache_key; /* XXH3-128 of content and parameters */

typedef struct ishow_cache_stats {
    uint64_t hits, misses, inserts, evictions, rejected; /* rejected: larger than the whole budget */
    size_t bytes, entries, budget;
} ishow_cache_stats;

ISHOW_API ishow_status ishow_cache_create(ishow_cache **out, size_t budget_bytes, ishow_error *error);
/* Frees the cache; entries that are still referenced are freed by their last release. NULL allowed. */
ISHOW_API void ishow_cache_free(ishow_cache *cache);

/* Key of several parts: start from {0,0} and fold each part in; order matters. */
ISHOW_API ishow_cache_key ishow_cache_key_add(ishow_cache_key key, const void *bytes, size_t n);

/* NULL when absent (counted as a miss). The returned reference must be released. */
ISHOW_API ishow_cache_entry *ishow_cache_get(ishow_cache *cache, ishow_cache_key key);

/* Copies n bytes under key and returns a counted reference. An existing entry with this key is returned unchanged
 * instead, since two results for one key are equal. An entry larger than the budget is not cached but still returned.
 * NULL only when out of memory. */
ISHOW_API ishow_cache_entry *ishow_cache_put(ishow_cache *cache, ishow_cache_key key, const void *bytes, size_t n);

ISHOW_API const void *ishow_cache_entry_data(const ishow_cache_entry *entry); /* 64-byte aligned, immutable, borrowed */
ISHOW_API size_t ishow_cache_entry_size(const ishow_cache_entry *entry);
ISHOW_API void ishow_cache_entry_release(ishow_cache_entry *entry); /* NULL allowed */

ISHOW_API void ishow_cache_clear(ishow_cache *cache);
ISHOW_API void ishow_cache_stats_get(ishow_cache *cache, ishow_cache_stats *out);

#ifdef __cplusplus
}
#endif
#endif
