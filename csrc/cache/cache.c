/* Cached bytes by key.
 *
 * One mutex guards a hash map of chains and a list from the most to the least recently used entry. Both links are
 * inside the entry, so a hit allocates nothing. References are counted outside the mutex: the cache holds one while an
 * entry is linked, every caller one of its own, and the last release frees the entry. So an evicted entry stays valid
 * for its users. The budget counts the whole size of an entry, its header included, so that many small entries cannot
 * exceed it. Content is copied and hashed with the mutex released. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cache/cache.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define ISHOW_DEBUG 1
#endif

struct ishow_cache_entry {
    atomic_size_t references;
    ishow_cache_key key;
    size_t size;                      /* of the data behind the header */
    ishow_cache_entry *chain;         /* next in the bucket */
    ishow_cache_entry *newer, *older; /* NULL at the ends of the list */
};

enum { ALIGNMENT = 64, BUCKETS_AT_FIRST = 64 };
#define HEADER ((sizeof(ishow_cache_entry) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

struct ishow_cache {
    pthread_mutex_t mutex;
    ishow_cache_entry **buckets;
    size_t bucket_count; /* power of two */
    ishow_cache_entry *newest, *oldest;
    ishow_cache_stats stats;
};

static size_t cost_of(const ishow_cache_entry *entry) {
    return HEADER + (entry->size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static ishow_cache_entry **bucket_of(const ishow_cache *cache, ishow_cache_key key) {
    return &cache->buckets[key.lo & (cache->bucket_count - 1)];
}

/* Checks that list, buckets and counters describe the same entries. Mutex held. */
static void check_consistency(const ishow_cache *cache) {
#ifdef ISHOW_DEBUG
    size_t listed = 0, chained = 0, bytes = 0;
    const ishow_cache_entry *newer = NULL;
    for (const ishow_cache_entry *e = cache->newest; e; newer = e, e = e->older) {
        assert(e->newer == newer && atomic_load(&e->references) > 0);
        const ishow_cache_entry *found = *bucket_of(cache, e->key);
        while (found && found != e) found = found->chain;
        assert(found == e);
        bytes += cost_of(e);
        listed++;
    }
    assert(cache->oldest == newer);
    for (size_t i = 0; i < cache->bucket_count; i++)
        for (const ishow_cache_entry *e = cache->buckets[i]; e; e = e->chain) chained++;
    assert(listed == chained && listed == cache->stats.entries);
    assert(bytes == cache->stats.bytes && bytes <= cache->stats.budget);
#else
    (void)cache;
#endif
}

static void reference(ishow_cache_entry *entry) {
    atomic_fetch_add_explicit(&entry->references, 1, memory_order_relaxed);
}

static void unreference(ishow_cache_entry *entry) {
    if (atomic_fetch_sub_explicit(&entry->references, 1, memory_order_acq_rel) == 1) free(entry);
}

static void list_remove(ishow_cache *cache, ishow_cache_entry *entry) {
    *(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
    entry->newer = entry->older = NULL;
}

static void list_add(ishow_cache *cache, ishow_cache_entry *entry) {
    entry->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

/* Unlinks an entry and drops the cache's reference. Mutex held. */
static void drop(ishow_cache *cache, ishow_cache_entry *entry) {
    ishow_cache_entry **at = bucket_of(cache, entry->key);
    while (*at != entry) at = &(*at)->chain;
    *at = entry->chain;
    list_remove(cache, entry);
    cache->stats.entries--;
    cache->stats.bytes -= cost_of(entry);
    unreference(entry);
}

/* The entry under key, now the most recently used, with a reference for the caller; or NULL. Mutex held. */
static ishow_cache_entry *find(ishow_cache *cache, ishow_cache_key key) {
    ishow_cache_entry *entry = *bucket_of(cache, key);
    while (entry && (entry->key.lo != key.lo || entry->key.hi != key.hi)) entry = entry->chain;
    if (!entry) return NULL;
    list_remove(cache, entry);
    list_add(cache, entry);
    reference(entry);
    return entry;
}

/* Doubles the buckets when chains grow long; without memory the chains stay long. Mutex held. */
static void grow(ishow_cache *cache) {
    const size_t count = cache->bucket_count * 2;
    ishow_cache_entry **buckets = calloc(count, sizeof(ishow_cache_entry *));
    if (!buckets) return;
    free(cache->buckets);
    cache->buckets = buckets;
    cache->bucket_count = count;
    for (ishow_cache_entry *e = cache->newest; e; e = e->older) {
        ishow_cache_entry **bucket = bucket_of(cache, e->key);
        e->chain = *bucket;
        *bucket = e;
    }
}

/* Links an entry that fits the budget, making room first. Mutex held. */
static void insert(ishow_cache *cache, ishow_cache_entry *entry) {
    const size_t cost = cost_of(entry);
    while (cache->stats.budget - cache->stats.bytes < cost) {
        drop(cache, cache->oldest);
        cache->stats.evictions++;
    }
    if (cache->stats.entries >= cache->bucket_count) grow(cache);
    ishow_cache_entry **bucket = bucket_of(cache, entry->key);
    entry->chain = *bucket;
    *bucket = entry;
    list_add(cache, entry);
    reference(entry);
    cache->stats.entries++;
    cache->stats.inserts++;
    cache->stats.bytes += cost;
}

ishow_status ishow_cache_create(ishow_cache **out, size_t budget_bytes, ishow_error *error) {
    if (!out) return ishow_fail(error, ISHOW_EINVAL, "", "a cache needs a result");
    *out = NULL;
    ishow_cache *cache = calloc(1, sizeof *cache);
    if (cache) cache->buckets = calloc(BUCKETS_AT_FIRST, sizeof(ishow_cache_entry *));
    if (!cache || !cache->buckets || pthread_mutex_init(&cache->mutex, NULL) != 0) {
        if (cache) free(cache->buckets);
        free(cache);
        return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a cache");
    }
    cache->bucket_count = BUCKETS_AT_FIRST;
    cache->stats.budget = budget_bytes;
    ishow_handle_made();
    *out = cache;
    return ISHOW_OK;
}

void ishow_cache_clear(ishow_cache *cache) {
    pthread_mutex_lock(&cache->mutex);
    while (cache->oldest) drop(cache, cache->oldest);
    check_consistency(cache);
    pthread_mutex_unlock(&cache->mutex);
}

void ishow_cache_free(ishow_cache *cache) {
    if (!cache) return;
    ishow_cache_clear(cache);
    pthread_mutex_destroy(&cache->mutex);
    free(cache->buckets);
    free(cache);
    ishow_handle_freed();
}

ishow_cache_key ishow_cache_key_add(ishow_cache_key key, const void *bytes, size_t n) {
    /* The part is hashed on its own before it is combined with the key, so ("ab", "c") differs from ("a", "bc"). */
    const XXH128_hash_t part = XXH3_128bits(bytes, n);
    const uint64_t words[4] = {key.lo, key.hi, part.low64, part.high64};
    const XXH128_hash_t all = XXH3_128bits(words, sizeof words);
    return (ishow_cache_key){all.low64, all.high64};
}

ishow_cache_entry *ishow_cache_get(ishow_cache *cache, ishow_cache_key key) {
    pthread_mutex_lock(&cache->mutex);
    ishow_cache_entry *entry = find(cache, key);
    if (entry)
        cache->stats.hits++;
    else
        cache->stats.misses++;
    check_consistency(cache);
    pthread_mutex_unlock(&cache->mutex);
    if (entry) ishow_handle_made();
    return entry;
}

ishow_cache_entry *ishow_cache_put(ishow_cache *cache, ishow_cache_key key, const void *bytes, size_t n) {
    ishow_cache_entry *fresh = NULL;
    pthread_mutex_lock(&cache->mutex);
    ishow_cache_entry *entry = find(cache, key);
    pthread_mutex_unlock(&cache->mutex);
    if (entry) goto done;
    if (n > SIZE_MAX - HEADER - ALIGNMENT) return NULL;
    fresh = aligned_alloc(ALIGNMENT, HEADER + (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (!fresh) return NULL;
    *fresh = (ishow_cache_entry){.key = key, .size = n};
    atomic_init(&fresh->references, 1);
    if (n) memcpy((unsigned char *)fresh + HEADER, bytes, n);

    pthread_mutex_lock(&cache->mutex);
    entry = find(cache, key); /* another thread may have added it meanwhile */
    if (!entry) {
        if (cost_of(fresh) > cache->stats.budget)
            cache->stats.rejected++;
        else
            insert(cache, fresh);
        entry = fresh;
        fresh = NULL;
    }
    check_consistency(cache);
    pthread_mutex_unlock(&cache->mutex);
    if (fresh) unreference(fresh);
done:
    ishow_handle_made();
    return entry;
}

const void *ishow_cache_entry_data(const ishow_cache_entry *entry) { return (const unsigned char *)entry + HEADER; }
size_t ishow_cache_entry_size(const ishow_cache_entry *entry) { return entry->size; }

void ishow_cache_entry_release(ishow_cache_entry *entry) {
    if (!entry) return;
    unreference(entry);
    ishow_handle_freed();
}

void ishow_cache_stats_get(ishow_cache *cache, ishow_cache_stats *out) {
    pthread_mutex_lock(&cache->mutex);
    *out = cache->stats;
    pthread_mutex_unlock(&cache->mutex);
}
