/* The thread pool that the kernels share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "kernels/kernels.h"

typedef struct counting {
    atomic_int done[1000];
    atomic_int wrong;
    int threads;
    int plain[64]; /* written by a task and read after thread_pool_run: the pool must synchronise that */
} counting;

static void count(void *self, size_t i, int thread) {
    counting *c = self;
    atomic_fetch_add(&c->done[i], 1);
    if (thread < 0 || thread >= c->threads) atomic_fetch_add(&c->wrong, 1);
    if (i < 64) c->plain[i]++;
}

static void a_pool_runs_every_task_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        thread_pool *t = thread_pool_create(threads);
        assert_non_null(t);
        assert_int_equal(thread_pool_threads(t), threads);
        counting *c = calloc(1, sizeof *c);
        c->threads = threads;
        for (int round = 0; round < 200; round++) {
            const size_t n = (size_t)(round * 7 % 1000);
            for (size_t i = 0; i < 1000; i++) atomic_store(&c->done[i], 0);
            memset(c->plain, 0, sizeof c->plain);
            thread_pool_run(t, n, count, c);
            for (size_t i = 0; i < 1000; i++) assert_int_equal(atomic_load(&c->done[i]), i < n);
            for (size_t i = 0; i < 64; i++) assert_int_equal(c->plain[i], i < n);
        }
        assert_int_equal(atomic_load(&c->wrong), 0);
        free(c);
        thread_pool_free(t);
    }
}

/* Only the workers compute: the caller waits until one of them has started, then inside thread_pool_run for its end. */
static void workers_work(void *self, size_t i, int thread) {
    atomic_int *begun = self;
    (void)i;
    if (thread) {
        atomic_store(begun, 1);
        usleep(200000);
    } else
        while (!atomic_load(begun)) usleep(100);
}

static double processor_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* More threads than processors: threads without work must not take the processor from the one that has some. */
static void a_pool_with_more_threads_than_cores_does_not_spin(void **state) {
    (void)state;
    const int threads = ishow_cores() + 3;
    thread_pool *t = thread_pool_create(threads);
    assert_non_null(t);
    const double before = processor_seconds();
    for (int round = 0; round < 3; round++) {
        atomic_int begun = 0;
        thread_pool_run(t, 2, workers_work, &begun);
    }
    const double used = processor_seconds() - before;
    thread_pool_free(t);
    if (used > 0.1) fail_msg("%.3f s of processor time for 0.6 s in which nothing was to be done", used);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_runs_every_task_once),
        cmocka_unit_test(a_pool_with_more_threads_than_cores_does_not_spin),
    };
    return cmocka_run_group_tests_name("thread pool", tests, NULL, NULL);
}
