/* Subscribers of an endless event stream: connections that only receive, taken over from libmicrohttpd once they are
 * admitted.
 *
 * Up to ten thousand of them are idle most of the time. In libmicrohttpd each would hold tens of kilobytes of request
 * memory and would be resumed, polled and suspended for every event; here each is a socket, a small struct and one send
 * an event. All receive the same event at the same moment and a send takes some microseconds, so they are divided among
 * a few broadcast workers: threads with an epoll set each. A subscriber is accessed by its own worker only, and
 * requests never wait for the sends. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/internal.h"

enum {
    PART = 16 * 1024,
    SLICE = 128 /* subscribers served between two calls of epoll_wait */,
    EVENTS = 64,
    TICK_MS = 500,
    WORKERS_MAX = 4
};

typedef struct broadcast_worker broadcast_worker;
typedef struct subscriber subscriber;
struct subscriber {
    broadcast_worker *worker;
    const subscriber_kind *kind;
    void *self;
    subscriber *prev, *next;
    struct sockaddr_storage address;
    int fd;               /* -1: ended; freed at the end of the worker's iteration */
    ishow_buffer pending; /* bytes that the socket has not accepted */
    size_t pending_taken;
    double moved;
};

struct broadcast_worker {
    broadcast_workers *all;
    pthread_t thread;
    int runs, epoll, waker;
    /* Guards the links of both lists; only the worker changes them, but for subscribers handed over. */
    pthread_mutex_t lock;
    subscriber *first, *fresh;
    subscriber *left; /* ended, not freed */
    subscriber *next; /* to be served next in this round; NULL: no round is running */
    int round;        /* another round is wanted */
    atomic_int news;  /* there may be a new event for all; not set when a subscriber joins */
};

struct broadcast_workers {
    double idle_seconds;
    atomic_uint n; /* subscribers */
    atomic_int ending;
    size_t n_workers, turn; /* turn: the worker of the next subscriber; used by the loop only */
    broadcast_worker worker[WORKERS_MAX];
};

static void end(subscriber *sub) {
    broadcast_worker *w = sub->worker;
    if (sub->fd < 0) return;
    close(sub->fd); /* also removes it from the epoll set */
    sub->fd = -1;
    pthread_mutex_lock(&w->lock);
    if (sub->prev)
        sub->prev->next = sub->next;
    else
        w->first = sub->next;
    if (sub->next) sub->next->prev = sub->prev;
    pthread_mutex_unlock(&w->lock);
    if (w->next == sub) w->next = sub->next;
    atomic_fetch_sub(&w->all->n, 1);
    sub->kind->release(sub->self);
    ishow_buffer_free(&sub->pending);
    sub->next = w->left;
    w->left = sub;
}

/* Sends n bytes; returns the number that the socket accepted, or -1 when the subscriber has ended. */
static ssize_t give(subscriber *sub, const void *data, size_t n) {
    ssize_t sent = send(sub->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) sub->moved = ishow_now();
    if (sent >= 0 || errno == EAGAIN || errno == EINTR) return sent < 0 ? 0 : sent;
    end(sub);
    return -1;
}

static int watch_for(subscriber *sub, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = sub};
    if (!epoll_ctl(sub->worker->epoll, how, sub->fd, &event)) return 1;
    end(sub);
    return 0;
}

/* Sends the next part, at most PART bytes, so that a subscriber far behind does not delay the others. */
static void push(subscriber *sub) {
    char part[PART];
    const size_t n = sub->kind->read(sub->self, part, sizeof part);
    const ssize_t sent = n ? give(sub, part, n) : 0;
    if (sent < 0) return;
    if ((size_t)sent < n) {
        ishow_buffer_add(&sub->pending, part + sent, n - (size_t)sent);
        if (sub->pending.failed)
            end(sub);
        else
            watch_for(sub, EPOLL_CTL_MOD, EPOLLRDHUP | EPOLLOUT);
    } else if (n == sizeof part)
        sub->worker->round = 1; /* the reader may have more */
}

static void on_socket(subscriber *sub, uint32_t events) {
    if (sub->fd < 0) return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        end(sub);
        return;
    }
    ssize_t sent = give(sub, sub->pending.data + sub->pending_taken, sub->pending.n - sub->pending_taken);
    if (sent < 0) return;
    sub->pending_taken += (size_t)sent;
    if (sub->pending_taken < sub->pending.n) return;
    ishow_buffer_free(&sub->pending);
    sub->pending_taken = 0;
    if (watch_for(sub, EPOLL_CTL_MOD, EPOLLRDHUP)) push(sub);
}

/* ---- a worker's thread ---- */

static void wake(broadcast_worker *w) {
    const uint64_t one = 1;
    const ssize_t ignored = write(w->waker, &one, sizeof one);
    (void)ignored;
}

static subscriber *take_fresh(broadcast_worker *w) {
    pthread_mutex_lock(&w->lock);
    subscriber *sub = w->fresh;
    if (sub) {
        w->fresh = sub->next;
        sub->next = w->first;
        if (w->first) w->first->prev = sub;
        w->first = sub;
    }
    pthread_mutex_unlock(&w->lock);
    return sub;
}

static void on_waker(broadcast_worker *w) {
    uint64_t count;
    const ssize_t ignored = read(w->waker, &count, sizeof count);
    (void)ignored;
    for (subscriber *sub; (sub = take_fresh(w));)
        watch_for(sub, EPOLL_CTL_ADD,
                  EPOLLRDHUP | EPOLLOUT); /* EPOLLOUT is reported at once and sends the response's head */
    if (atomic_exchange(&w->news, 0)) w->round = 1;
}

/* Serves a slice of the round; 1: the round is not finished. */
static int step(broadcast_worker *w) {
    if (!w->next && w->round) {
        w->next = w->first;
        w->round = 0;
    }
    for (int served = 0; served < SLICE && w->next;) {
        subscriber *sub = w->next;
        w->next = sub->next;
        if (sub->pending.n || !sub->kind->ready(sub->self)) continue;
        push(sub);
        served++;
    }
    return w->next || w->round;
}

/* Drops subscribers that accepted nothing for idle_seconds, and starts a round for keep-alive comments. */
static void tick(broadcast_worker *w, double now) {
    for (subscriber *sub = w->first, *next; sub; sub = next) {
        next = sub->next;
        if (sub->pending.n && now - sub->moved > w->all->idle_seconds) end(sub);
    }
    w->round = 1;
}

static void reap(broadcast_worker *w) {
    while (w->left) {
        subscriber *sub = w->left;
        w->left = sub->next;
        free(sub);
    }
}

static void let_go(broadcast_worker *w) {
    while (take_fresh(w))
        ;
    while (w->first) end(w->first);
    reap(w);
}

static void *worker_main(void *self) {
    broadcast_worker *w = self;
    struct epoll_event events[EVENTS];
    double next_tick = 0;
    while (!atomic_load(&w->all->ending)) {
        int n = epoll_wait(w->epoll, events, EVENTS, step(w) ? 0 : TICK_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_socket(events[i].data.ptr, events[i].events);
            else
                on_waker(w);
        }
        const double now = ishow_now();
        if (now >= next_tick) {
            next_tick = now + 1e-3 * TICK_MS;
            tick(w, now);
        }
        reap(w);
    }
    let_go(w);
    return NULL;
}

/* ---- all workers ---- */

static int worker_start(broadcast_worker *w, broadcast_workers *all) {
    struct epoll_event event = {.events = EPOLLIN};
    w->all = all;
    pthread_mutex_init(&w->lock, NULL);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    all->n_workers++;
    if (w->epoll < 0 || w->waker < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->waker, &event) ||
        pthread_create(&w->thread, NULL, worker_main, w))
        return 0;
    w->runs = 1;
    pthread_setname_np(w->thread, "ishow-broadcast");
    return 1;
}

ishow_status broadcast_workers_create(broadcast_workers **out, double idle_seconds, ishow_error *error) {
    broadcast_workers *all = calloc(1, sizeof *all);
    *out = NULL;
    if (!all) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the listeners' threads.");
    all->idle_seconds = idle_seconds;
    const int wanted = ishow_cores() < WORKERS_MAX ? ishow_cores() : WORKERS_MAX;
    for (int i = 0; i < wanted; i++)
        if (!worker_start(&all->worker[i], all)) {
            broadcast_workers_free(all);
            return ishow_fail(error, ISHOW_EINTERNAL, "", "The listeners' threads could not be started.");
        }
    *out = all;
    return ISHOW_OK;
}

void broadcast_workers_wake(broadcast_workers *all) {
    for (size_t i = 0; i < all->n_workers; i++) {
        atomic_store(&all->worker[i].news, 1);
        wake(&all->worker[i]);
    }
}

void broadcast_workers_end(broadcast_workers *all) {
    if (!atomic_exchange(&all->ending, 1)) broadcast_workers_wake(all);
}

void broadcast_workers_stop(broadcast_workers *all) {
    if (!all) return;
    broadcast_workers_end(all);
    for (size_t i = 0; i < all->n_workers; i++) {
        broadcast_worker *w = &all->worker[i];
        if (w->runs) pthread_join(w->thread, NULL);
        w->runs = 0;
        let_go(w); /* subscribers handed over after its last iteration */
    }
}

void broadcast_workers_free(broadcast_workers *all) {
    if (!all) return;
    broadcast_workers_stop(all);
    for (size_t i = 0; i < all->n_workers; i++) {
        broadcast_worker *w = &all->worker[i];
        if (w->epoll >= 0) close(w->epoll);
        if (w->waker >= 0) close(w->waker);
        pthread_mutex_destroy(&w->lock);
    }
    free(all);
}

unsigned subscribers_count(const broadcast_workers *all) { return atomic_load(&all->n); }

unsigned subscribers_from(broadcast_workers *all, const struct sockaddr *address) {
    unsigned n = 0;
    for (size_t i = 0; i < all->n_workers; i++) {
        broadcast_worker *w = &all->worker[i];
        pthread_mutex_lock(&w->lock);
        for (const subscriber *sub = w->first; sub; sub = sub->next)
            n += (unsigned)same_address(&sub->address, address);
        for (const subscriber *sub = w->fresh; sub; sub = sub->next)
            n += (unsigned)same_address(&sub->address, address);
        pthread_mutex_unlock(&w->lock);
    }
    return n;
}

static void hand_over(broadcast_workers *all, subscriber *sub) {
    broadcast_worker *w = &all->worker[all->turn++ % all->n_workers];
    sub->worker = w;
    atomic_fetch_add(&all->n, 1);
    pthread_mutex_lock(&w->lock);
    sub->next = w->fresh;
    w->fresh = sub;
    pthread_mutex_unlock(&w->lock);
    wake(w);
}

enum MHD_Result subscriber_begin(exchange *x, const subscriber_kind *kind, const char *type) {
    ishow_server *s = x->server;
    ishow_buffer head = {0};
    subscriber *sub = NULL;
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (!response || !x->peer) goto done;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    if (x->only_head) {
        result = respond_with(x, 200, response);
        response = NULL;
        goto done;
    }
    if (s->connections + subscribers_count(s->broadcast_workers) > s->connections_max) {
        ishow_fault_set(&x->fault, 503, "unavailable", "", "%u connections are open, which is the most.",
                        s->connections_max);
        result = respond_fault(x);
        goto done;
    }
    respond_head(x, 200, response, "", &head);
    if (head.failed || !(sub = ishow_alloc(1, sizeof *sub))) goto done;
    sub->kind = kind;
    sub->address = x->peer->address;
    sub->moved = ishow_now();
    sub->fd = exchange_take_over(x, &sub->self);
    if (sub->fd < 0) goto done;
    const int one = 1; /* Nagle's algorithm would delay an event until the previous one is acknowledged */
    setsockopt(sub->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sub->pending = head; /* is sent first */
    head = (ishow_buffer){0};
    hand_over(s->broadcast_workers, sub);
    sub = NULL;
done: /* MHD_NO: libmicrohttpd closes its side of the connection */
    if (response) MHD_destroy_response(response);
    ishow_buffer_free(&head);
    free(sub);
    return result;
}
