/* Threads for one piece of work at a time. A network is hundreds of pieces of some ten microseconds, so whoever has
 * nothing to do looks for the next one for a while before it sleeps: waking a thread costs as much as such a piece.
 * Where the team has more threads than the process may use processors, a thread that spins takes the processor (or the
 * quota of a control group) from one that works, so they all sleep at once. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "kernels/kernels.h"

enum { SPINS = 4000 }; /* some fifty microseconds */

struct team {
    int threads, started;
    int spins;         /* turns of looking before sleeping; 0: sleep at once */
    pthread_t *others; /* [threads - 1] */
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    int stopping; /* under lock, like sleepers */
    int sleepers;
    atomic_uint generation; /* rises with each piece of work */
    atomic_size_t next, n;
    atomic_int busy; /* threads that may still touch the work */
    void (*task)(void *self, size_t i, int thread);
    void *self;
};

typedef struct member {
    team *team;
    int thread;
} member;

static inline void relax(void) {
#if defined __x86_64__
    __builtin_ia32_pause();
#endif
}

static void take_part(team *t, int thread) {
    const size_t n = atomic_load_explicit(&t->n, memory_order_relaxed);
    for (size_t i; (i = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed)) < n;) t->task(t->self, i, thread);
}

static void *member_main(void *argument) {
    member me = *(member *)argument;
    team *t = me.team;
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
        take_part(t, me.thread);
        if (atomic_fetch_sub_explicit(&t->busy, 1, memory_order_release) == 1 && !t->spins) {
            pthread_mutex_lock(&t->lock);
            pthread_cond_signal(&t->finished);
            pthread_mutex_unlock(&t->lock);
        }
    }
}

team *team_create(int threads) {
    team *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->threads = threads;
    t->spins = threads > ishow_cores() ? 0 : SPINS;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->finished, NULL);
    t->others = calloc((size_t)threads, sizeof *t->others);
    for (int i = 1; t->others && i < threads; i++) {
        member *m = malloc(sizeof *m);
        if (m) *m = (member){t, i};
        if (!m || pthread_create(&t->others[t->started], NULL, member_main, m)) {
            free(m);
            break;
        }
        t->started++;
    }
    if (t->others && t->started == threads - 1) return t;
    team_free(t);
    return NULL;
}

void team_free(team *t) {
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    t->stopping = 1;
    pthread_cond_broadcast(&t->work);
    pthread_mutex_unlock(&t->lock);
    for (int i = 0; i < t->started; i++) pthread_join(t->others[i], NULL);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->finished);
    pthread_mutex_destroy(&t->lock);
    free(t->others);
    free(t);
}

int team_threads(const team *t) { return t->threads; }

void team_run(team *t, size_t n, void (*task)(void *self, size_t i, int thread), void *self) {
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
    take_part(t, 0);
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
