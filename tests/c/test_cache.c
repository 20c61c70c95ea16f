/* The cache: keys, order of eviction, budget, lifetime of references, and concurrent use. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/cache.h"

static ishow_cache_key key_of(const char *text) {
    return ishow_cache_key_add((ishow_cache_key){0, 0}, text, strlen(text));
}

static ishow_cache_stats stats_of(ishow_cache *cache) {
    ishow_cache_stats stats;
    ishow_cache_stats_get(cache, &stats);
    return stats;
}

static void put(ishow_cache *cache, const char *name, const void *bytes, size_t n) {
    ishow_cache_entry *entry = ishow_cache_put(cache, key_of(name), bytes, n);
    assert_non_null(entry);
    assert_int_equal(ishow_cache_entry_size(entry), n);
    ishow_cache_entry_release(entry);
}

static int has(ishow_cache *cache, const char *name) {
    ishow_cache_entry *entry = ishow_cache_get(cache, key_of(name));
    ishow_cache_entry_release(entry);
    return entry != NULL;
}

/* The part of the budget that an entry of n bytes takes. */
static size_t cost_of(size_t n) {
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, 1u << 24, NULL), ISHOW_OK);
    unsigned char *bytes = calloc(n + 1, 1);
    put(cache, "x", bytes, n);
    const size_t cost = stats_of(cache).bytes;
    free(bytes);
    ishow_cache_free(cache);
    assert_true(cost >= n);
    return cost;
}

static void test_keys(void **state) {
    (void)state;
    const ishow_cache_key none = {0, 0};
    const ishow_cache_key ab_c = ishow_cache_key_add(ishow_cache_key_add(none, "ab", 2), "c", 1);
    const ishow_cache_key a_bc = ishow_cache_key_add(ishow_cache_key_add(none, "a", 1), "bc", 2);
    const ishow_cache_key c_ab = ishow_cache_key_add(ishow_cache_key_add(none, "c", 1), "ab", 2);
    const ishow_cache_key again = ishow_cache_key_add(ishow_cache_key_add(none, "ab", 2), "c", 1);
    const ishow_cache_key abc = ishow_cache_key_add(none, "abc", 3), empty = ishow_cache_key_add(none, "", 0);
    const ishow_cache_key nothing = ishow_cache_key_add(none, NULL, 0);
    assert_memory_equal(&ab_c, &again, sizeof again);
    assert_memory_equal(&empty, &nothing, sizeof empty);
    const ishow_cache_key x_c =
        ishow_cache_key_add(ishow_cache_key_add(none, "x", 1), "c", 1); /* differs only in its first part */
    const ishow_cache_key all[] = {none, ab_c, a_bc, c_ab, x_c, abc, empty};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(&all[i], &all[k], sizeof *all);
}

static void test_get_and_put(void **state) {
    (void)state;
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, 1 << 20, NULL), ISHOW_OK);
    assert_false(has(cache, "a"));
    unsigned char bytes[3] = {1, 2, 3};
    put(cache, "a", bytes, 3);
    bytes[0] = 9; /* the cache holds a copy */
    ishow_cache_entry *entry = ishow_cache_get(cache, key_of("a"));
    assert_non_null(entry);
    assert_int_equal((uintptr_t)ishow_cache_entry_data(entry) % 64, 0);
    assert_memory_equal(ishow_cache_entry_data(entry), "\1\2\3", 3);
    ishow_cache_entry *second = ishow_cache_put(cache, key_of("a"), bytes, 2); /* the first one is kept */
    assert_ptr_equal(second, entry);
    assert_int_equal(ishow_cache_entry_size(second), 3);
    ishow_cache_entry_release(second);
    ishow_cache_entry_release(entry);
    put(cache, "empty", NULL, 0);
    assert_true(has(cache, "empty"));
    const ishow_cache_stats stats = stats_of(cache);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 1);
    assert_int_equal(stats.inserts, 2);
    assert_int_equal(stats.entries, 2);
    assert_int_equal(stats.evictions, 0);
    assert_int_equal(stats.rejected, 0);
    assert_int_equal(stats.budget, 1 << 20);
    ishow_cache_clear(cache);
    assert_false(has(cache, "a"));
    assert_int_equal(stats_of(cache).entries, 0);
    assert_int_equal(stats_of(cache).bytes, 0);
    put(cache, "a", bytes, 3); /* the cache is usable afterwards */
    assert_true(has(cache, "a"));
    ishow_cache_free(cache);
    ishow_cache_free(NULL);
    ishow_cache_entry_release(NULL);
    ishow_error error = {0};
    assert_int_equal(ishow_cache_create(NULL, 1, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_live_handles(), 0);
}

static void test_least_recently_used_leaves_first(void **state) {
    (void)state;
    enum { N = 1000 };
    unsigned char bytes[3 * N] = {0};
    const size_t cost = cost_of(N);
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, 3 * cost, NULL), ISHOW_OK);
    put(cache, "a", bytes, N);
    put(cache, "b", bytes, N);
    put(cache, "c", bytes, N);
    assert_int_equal(stats_of(cache).bytes, 3 * cost); /* exactly full */
    assert_true(has(cache, "a"));                      /* from least to most recently used: b c a */
    put(cache, "d", bytes, N);
    assert_false(has(cache, "b"));
    put(cache, "c", bytes, N); /* putting an existing key counts as a use: now a d c */
    put(cache, "e", bytes, N);
    assert_false(has(cache, "a"));
    assert_true(has(cache, "d") && has(cache, "c") && has(cache, "e"));
    assert_int_equal(stats_of(cache).evictions, 2);
    put(cache, "big", bytes, 2 * N); /* costs less than two entries, so two are evicted: d c */
    assert_true(has(cache, "e") && has(cache, "big"));
    assert_int_equal(stats_of(cache).entries, 2);
    assert_int_equal(stats_of(cache).evictions, 4);
    assert_true(stats_of(cache).bytes <= 3 * cost);
    ishow_cache_free(cache);
}

static void test_too_large_is_returned_but_not_kept(void **state) {
    (void)state;
    static const size_t budgets[] = {0, 500};
    unsigned char bytes[1000];
    memset(bytes, 7, sizeof bytes);
    for (size_t i = 0; i < 2; i++) {
        ishow_cache *cache = NULL;
        assert_int_equal(ishow_cache_create(&cache, budgets[i], NULL), ISHOW_OK);
        if (i) put(cache, "small", bytes, 10);
        ishow_cache_entry *entry = ishow_cache_put(cache, key_of("large"), bytes, sizeof bytes);
        assert_non_null(entry);
        assert_memory_equal(ishow_cache_entry_data(entry), bytes, sizeof bytes);
        assert_false(has(cache, "large"));
        if (i) assert_true(has(cache, "small")); /* nothing was evicted for it */
        assert_int_equal(stats_of(cache).rejected, 1);
        ishow_cache_free(cache);
        assert_int_equal(ishow_live_handles(), 1);
        assert_memory_equal(ishow_cache_entry_data(entry), bytes, sizeof bytes); /* the reference outlives the cache */
        ishow_cache_entry_release(entry);
        assert_int_equal(ishow_live_handles(), 0);
    }
}

static void test_references_outlive_eviction_and_cache(void **state) {
    (void)state;
    unsigned char bytes[1000];
    memset(bytes, 1, sizeof bytes);
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, cost_of(sizeof bytes), NULL), ISHOW_OK); /* room for one */
    ishow_cache_entry *old = ishow_cache_put(cache, key_of("old"), bytes, sizeof bytes);
    memset(bytes, 2, sizeof bytes);
    ishow_cache_entry *young = ishow_cache_put(cache, key_of("young"), bytes, sizeof bytes); /* evicts old */
    assert_false(has(cache, "old"));
    assert_int_equal(*(const unsigned char *)ishow_cache_entry_data(old), 1);
    ishow_cache_entry *other = ishow_cache_get(cache, key_of("young"));
    assert_ptr_equal(other, young);
    ishow_cache_clear(cache);
    assert_int_equal(*(const unsigned char *)ishow_cache_entry_data(young), 2);
    ishow_cache_entry *renewed = ishow_cache_put(cache, key_of("young"), "x", 1); /* the key can be used again */
    assert_ptr_not_equal(renewed, young);
    ishow_cache_free(cache);
    assert_int_equal(ishow_live_handles(), 4);
    assert_int_equal(((const unsigned char *)ishow_cache_entry_data(other))[999], 2);
    assert_int_equal(*(const unsigned char *)ishow_cache_entry_data(renewed), 'x');
    ishow_cache_entry_release(old);
    ishow_cache_entry_release(young);
    ishow_cache_entry_release(other);
    ishow_cache_entry_release(renewed);
    assert_int_equal(ishow_live_handles(), 0);
}

static void test_many_entries(void **state) {
    (void)state;
    enum { N = 600 }; /* the hash table grows several times */
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, 1 << 24, NULL), ISHOW_OK);
    char name[16];
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(cache, name, &i, sizeof i);
    }
    assert_int_equal(stats_of(cache).entries, N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        ishow_cache_entry *entry = ishow_cache_get(cache, key_of(name));
        assert_non_null(entry);
        assert_memory_equal(ishow_cache_entry_data(entry), &i, sizeof i);
        ishow_cache_entry_release(entry);
    }
    ishow_cache_free(cache);
}

enum { THREADS = 4, ROUNDS = 3000, NAMES = 40 };

typedef struct worker {
    ishow_cache *cache;
    unsigned seed;
    int wrong;
} worker;

/* The bytes of an entry contain its key, so every reader can check them; references that are held are read again
 * later. */
static void *hammer(void *user) {
    worker *w = user;
    ishow_cache_entry *held = NULL;
    int held_name = 0;
    for (int round = 0; round < ROUNDS; round++) {
        w->seed = w->seed * 1664525u + 1013904223u;
        const int name = (int)(w->seed >> 16) % NAMES;
        const size_t size = 16 + (size_t)name * 8;
        unsigned char bytes[16 + NAMES * 8];
        memset(bytes, name, size);
        const ishow_cache_key key = ishow_cache_key_add((ishow_cache_key){0, 0}, &name, sizeof name);
        ishow_cache_entry *entry = ishow_cache_get(w->cache, key);
        if (!entry) entry = ishow_cache_put(w->cache, key, bytes, size);
        if (!entry || ishow_cache_entry_size(entry) != size || memcmp(ishow_cache_entry_data(entry), bytes, size))
            w->wrong++;
        if (round % 5 == 0) {
            if (held && *(const unsigned char *)ishow_cache_entry_data(held) != held_name) w->wrong++;
            ishow_cache_entry_release(held);
            held = entry;
            held_name = name;
        } else {
            ishow_cache_entry_release(entry);
        }
        if (round % 700 == 699) ishow_cache_clear(w->cache);
        if (round % 100 == 0 && stats_of(w->cache).bytes > stats_of(w->cache).budget) w->wrong++;
    }
    ishow_cache_entry_release(held);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    ishow_cache *cache = NULL;
    assert_int_equal(ishow_cache_create(&cache, 5000, NULL),
                     ISHOW_OK); /* too small for all entries, so some are evicted all the time */
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (worker){cache, i + 1, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
    }
    const ishow_cache_stats stats = stats_of(cache);
    assert_int_equal(stats.hits + stats.misses, THREADS * ROUNDS);
    assert_true(stats.evictions > 0 && stats.hits > 0);
    ishow_cache_free(cache);
    assert_int_equal(ishow_live_handles(), 0);
}

typedef struct racer {
    ishow_cache *cache;
    pthread_barrier_t *start;
    const void *bytes;
    size_t n;
    ishow_cache_entry *entry;
} racer;

static void *race(void *user) {
    racer *r = user;
    pthread_barrier_wait(r->start);
    r->entry = ishow_cache_put(r->cache, key_of("same"), r->bytes, r->n);
    return NULL;
}

/* Several threads put the same key at the same moment: one copy is kept, all get that one, the others are freed. */
static void test_one_of_several_puts_wins(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    unsigned char *bytes = calloc(N, 1);
    assert_non_null(bytes);
    for (int round = 0; round < 5; round++) {
        ishow_cache *cache = NULL;
        pthread_barrier_t start;
        pthread_t threads[THREADS];
        racer racers[THREADS];
        assert_int_equal(ishow_cache_create(&cache, 4 * N, NULL), ISHOW_OK);
        assert_int_equal(pthread_barrier_init(&start, NULL, THREADS), 0);
        for (int i = 0; i < THREADS; i++) {
            racers[i] = (racer){cache, &start, bytes, N, NULL};
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_ptr_equal(racers[i].entry, racers[0].entry);
            assert_non_null(racers[i].entry);
        }
        assert_int_equal(stats_of(cache).inserts, 1);
        for (int i = 0; i < THREADS; i++) ishow_cache_entry_release(racers[i].entry);
        pthread_barrier_destroy(&start);
        ishow_cache_free(cache);
    }
    free(bytes);
    assert_int_equal(ishow_live_handles(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_get_and_put),
        cmocka_unit_test(test_least_recently_used_leaves_first),
        cmocka_unit_test(test_too_large_is_returned_but_not_kept),
        cmocka_unit_test(test_references_outlive_eviction_and_cache),
        cmocka_unit_test(test_many_entries),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_one_of_several_puts_wins),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
