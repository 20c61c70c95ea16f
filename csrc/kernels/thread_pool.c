/* A thread pool that runs one parallel loop at a time. A network is hundreds of loops of about ten microseconds each,
 * so an idle worker spins for a while before it sleeps: waking a thread costs as much as such a loop. Where the pool
 * has more threads than the process may use processors (or than a cgroup's CPU quota allows), a spinning thread would
 * take processor time from a working one, so workers sleep at once. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "kernels/kernels.h"

enum { SPINS = 4000 }; /* about fifty microseconds */

struct thread_pool {
    int threads, started;
    int spins;          /* iterations before a worker sleeps; 0: sleep at once */
    pthread_t *workers; /* [threads - 1] */
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    int stopping; /* under lock, like sleepers */
    int sleepers;
    atomic_uint generation; /* incremented by each loop */
    atomic_size_t next, n;
    atomic_int busy; /* workers that may still run tasks of this loop */
    void (*task)(void *self, size_t i, int thread);
    void *self;
};

typedef struct worker {
    thread_pool *pool;
    int thread;
} worker;

static inline void relax(void) {
#if defined __x86_64__
    __builtin_ia32_pause();
#endif
}

static void run_tasks(thread_pool *t, int thread) {
    const size_t n = atomic_load_explicit(&t->n, memory_order_relaxed);
    for (size_t i; (i = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed)) < n;) t->task(t->self, i, thread);
}

static void *worker_main(void *argument) {
    worker me = *(worker *)argument;
    thread_pool *t = me.pool;
    unsigned seen = 0;
    free(argument);
    for (;;) {
        unsigned now = seen;
        for (int i = 0; i < t->spins && (now = atomic_load_explicit(&t->generation, memory_order_acquire)) == seen; i++)
            relax();
        if (now == seen) {
            pthread_mutex_lock(&t->lock);
            t->sleepers++;
            while (!t->stopping && (now = atomic_load_explicit(&t->generation, memory_order_acquire)) == seen)
                pthread_cond_wait(&t->work, &t->lock);
            t->sleepers--;
            int stop = t->stopping;
            pthread_mutex_unlock(&t->lock);
            if (stop) return NULL;
        }
        seen = now;
        run_tasks(t, me.thread);
        if (atomic_fetch_sub_explicit(&t->busy, 1, memory_order_release) == 1 && !t->spins) {
            pthread_mutex_lock(&t->lock);
            pthread_cond_signal(&t->finished);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

thread_pool *thread_pool_create(int threads) {
    thread_pool *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->threads = threads;
    t->spins = threads > ishow_cores() ? 0 : SPINS;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->finished, NULL);
    t->workers = calloc((size_t)threads, sizeof *t->workers);
    for (int i = 1; t->workers && i < threads; i++) {
        worker *w = malloc(sizeof *w);
        if (w) *w = (worker){t, i};
        if (!w || pthread_create(&t->workers[t->started], NULL, worker_main, w)) {
            free(w);
            break;
        }
        t->started++;
    }
    if (t->workers && t->started == threads - 1) return t;
    thread_pool_free(t);
    return NULL;
}

void thread_pool_free(thread_pool *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->stopping = 1;
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->started; i++) pthread_join(t->workers[i], NULL);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->finished);
    pthread_mutex_destroy(&t->lock);
    free(t->workers);
    free(t);
}

int thread_pool_threads(const thread_pool *t) { return t->threads; }

void thread_pool_run(thread_pool *t, size_t n, void (*task)(void *self, size_t i, int thread), void *self) {
    if (t->threads == 1 || n <= 1) {
        for (size_t i = 0; i < n; i++) task(self, i, 0);
        return;
    }
    t->task = task;
    t->self = self;
    atomic_store_explicit(&t->n, n, memory_order_relaxed);
    atomic_store_explicit(&t->next, 0, memory_order_relaxed);
    atomic_store_explicit(&t->busy, t->threads - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->generation, 1, memory_order_release);
    pthread_mutex_lock(&t->lock);
    if (t->sleepers) pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    run_tasks(t, 0);
    if (!t->spins) {
        pthread_mutex_lock(&t->lock);
        while (atomic_load_explicit(&t->busy, memory_order_acquire)) pthread_cond_wait(&t->finished, &t->lock);
        pthread_mutex_unlock(&t->lock);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&t->busy, memory_order_acquire); spins++) {
        if (spins < SPINS)
            relax();
        else
            sched_yield();
    }
}
