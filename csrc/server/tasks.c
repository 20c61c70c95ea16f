/* Worker threads for what must not block the loop: decoding, disk access, the interpreter. An exchange hands over a
 * task and is suspended; the worker uses the task only, never the exchange, which may be freed before. A task always
 * runs to its end: a client that hangs up after an upload still has its voice. */
#include <stdlib.h>

#include "server/internal.h"

enum { WORKERS = 2, WAITING_MAX = 64 };

struct tasks {
    void (*wake)(void *self);
    void *wake_self;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t came;
    task *first, **last;
    size_t n;
    int stopping;
    pthread_t workers[WORKERS];
    int n_workers;
};

static void task_release(task *t) {
    if (atomic_fetch_sub(&t->refs, 1) == 1) t->dispose(t);
}

static void *worker_main(void *self) {
    tasks *p = self;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        while (!p->first && !p->stopping) pthread_cond_wait(&p->came, &p->lock);
        task *t = p->first;
        if (t) {
            p->first = t->next;
            if (!p->first) p->last = &p->first;
            p->n--;
        }
        pthread_mutex_unlock(&p->lock);
        if (!t) return NULL;
        t->work(t);
        atomic_store(&t->done, 1);
        p->wake(p->wake_self);
        task_release(t);
    }
}

ishow_status tasks_create(tasks **out, void (*wake)(void *self), void *wake_self, ishow_error *error) {
    tasks *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the workers.");
    p->wake = wake;
    p->wake_self = wake_self;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->came, NULL);
    while (p->n_workers < WORKERS && !pthread_create(&p->workers[p->n_workers], NULL, worker_main, p))
        pthread_setname_np(p->workers[p->n_workers++], "ishow-worker");
    if (p->n_workers < WORKERS) {
        tasks_free(p);
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The workers' threads could not be started.");
    }
    *out = p;
    return ISHOW_OK;
}

void tasks_stop(tasks *p) {
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->stopping = 1;
    pthread_cond_broadcast(&p->came);
    pthread_mutex_unlock(&p->lock);
    while (p->n_workers) pthread_join(p->workers[--p->n_workers], NULL);
}

void tasks_free(tasks *p) {
    if (!p) return;
    tasks_stop(p);
    pthread_cond_destroy(&p->came);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- what the loop does ---- */

static int task_news(exchange *x) { return atomic_load(&((task *)x->waited)->done); }
static void task_hang_up(exchange *x) { (void)x; }
static void task_leave(exchange *x) { task_release(x->waited); }

static enum MHD_Result task_resume(exchange *x) {
    task *t = x->waited;
    if (!atomic_load(&t->done)) {
        exchange_wait(x);
        return MHD_YES;
    }
    if (!t->fault.status) return t->answer(x, t);
    x->fault = t->fault;
    return respond_fault(x);
}

static const wait_kind task_wait = {
    .news = task_news, .resume = task_resume, .hang_up = task_hang_up, .release = task_leave};

enum MHD_Result task_begin(exchange *x, task *t) {
    tasks *p = x->server->tasks;
    atomic_store(&t->refs, 2); /* one for the worker, one for the exchange */
    pthread_mutex_lock(&p->lock);
    int accepted = p->n < WAITING_MAX && !p->stopping;
    if (accepted) {
        t->next = NULL;
        *p->last = t;
        p->last = &t->next;
        p->n++;
        pthread_cond_signal(&p->came);
    }
    pthread_mutex_unlock(&p->lock);
    if (!accepted) {
        t->dispose(t);
        ishow_fault_set(&x->fault, 429, "busy", "", "%d uploads and files are waiting already: try again later.",
                        (int)WAITING_MAX);
        return respond_fault(x);
    }
    exchange_wait_for(x, &task_wait, t);
    return MHD_YES;
}
