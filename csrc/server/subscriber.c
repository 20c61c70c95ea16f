/* Listeners of endless events: connections that only receive, taken over from libmicrohttpd once they are admitted.
 *
 * Ten thousand of them idle most of the time. With libmicrohttpd each keeps tens of kilobytes of its request's memory,
 * and is resumed, asked and suspended again for every event; here one is a socket, a small struct and one send. As all
 * of them get the same at the same moment, and a send costs some microseconds, they are shared out among a few threads,
 * the criers, so that nobody waits for all others and no request waits for a round of them. A listener is its crier's
 * alone. */
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
    SLICE = 128 /* served before sockets are looked at again */,
    EVENTS = 64,
    TICK_MS = 500,
    CRIERS_MAX = 4
};

typedef struct crier crier;
typedef struct listener listener;
struct listener {
    crier *crier;
    const listener_kind *kind;
    void *self;
    listener *prev, *next;
    struct sockaddr_storage address;
    int fd;               /* -1: over, freed at the end of its crier's turn */
    ishow_buffer pending; /* what the socket did not take */
    size_t pending_taken;
    double moved;
};

struct crier {
    criers *all;
    pthread_t thread;
    int runs, epoll, waker;
    pthread_mutex_t lock; /* guards both lists' links, which the crier alone changes but for what is handed over */
    listener *first, *fresh;
    listener *left;  /* over, not freed */
    listener *next;  /* of the round that is going on; NULL: none is */
    int round;       /* another one is wanted */
    atomic_int news; /* there may be something for all; who joins has nothing for the others */
};

struct criers {
    double idle_seconds;
    atomic_uint n; /* listeners */
    atomic_int ending;
    size_t n_criers, turn; /* turn: who gets the next one; the loop's */
    crier crier[CRIERS_MAX];
};

static void end(listener *l) {
    crier *c = l->crier;
    if (l->fd < 0) return;
    close(l->fd); /* leaves the epoll set with it */
    l->fd = -1;
    pthread_mutex_lock(&c->lock);
    if (l->prev)
        l->prev->next = l->next;
    else
        c->first = l->next;
    if (l->next) l->next->prev = l->prev;
    pthread_mutex_unlock(&c->lock);
    if (c->next == l) c->next = l->next;
    atomic_fetch_sub(&c->all->n, 1);
    l->kind->release(l->self);
    ishow_buffer_free(&l->pending);
    l->next = c->left;
    c->left = l;
}

/* Bytes that the socket took, or -1 when the listener is gone. */
static ssize_t give(listener *l, const void *data, size_t n) {
    ssize_t sent = send(l->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) l->moved = ishow_now();
    if (sent >= 0 || errno == EAGAIN || errno == EINTR) return sent < 0 ? 0 : sent;
    end(l);
    return -1;
}

static int watch_for(listener *l, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = l};
    if (!epoll_ctl(l->crier->epoll, how, l->fd, &event)) return 1;
    end(l);
    return 0;
}

/* Sends the next part of what there is: a part in turn, or the last of many would be behind by all that the others get.
 */
static void push(listener *l) {
    char part[PART];
    const size_t n = l->kind->read(l->self, part, sizeof part);
    const ssize_t sent = n ? give(l, part, n) : 0;
    if (sent < 0) return;
    if ((size_t)sent < n) {
        ishow_buffer_add(&l->pending, part + sent, n - (size_t)sent);
        if (l->pending.failed)
            end(l);
        else
            watch_for(l, EPOLL_CTL_MOD, EPOLLRDHUP | EPOLLOUT);
    } else if (n == sizeof part)
        l->crier->round = 1; /* there may be more */
}

static void on_socket(listener *l, uint32_t events) {
    if (l->fd < 0) return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        end(l);
        return;
    }
    ssize_t sent = give(l, l->pending.data + l->pending_taken, l->pending.n - l->pending_taken);
    if (sent < 0) return;
    l->pending_taken += (size_t)sent;
    if (l->pending_taken < l->pending.n) return;
    ishow_buffer_free(&l->pending);
    l->pending_taken = 0;
    if (watch_for(l, EPOLL_CTL_MOD, EPOLLRDHUP)) push(l);
}

/* ---- a crier's thread ---- */

static void wake(crier *c) {
    const uint64_t one = 1;
    const ssize_t ignored = write(c->waker, &one, sizeof one);
    (void)ignored;
}

static listener *take_fresh(crier *c) {
    pthread_mutex_lock(&c->lock);
    listener *l = c->fresh;
    if (l) {
        c->fresh = l->next;
        l->next = c->first;
        if (c->first) c->first->prev = l;
        c->first = l;
    }
    pthread_mutex_unlock(&c->lock);
    return l;
}

static void on_waker(crier *c) {
    uint64_t count;
    const ssize_t ignored = read(c->waker, &count, sizeof count);
    (void)ignored;
    for (listener *l; (l = take_fresh(c));)
        watch_for(l, EPOLL_CTL_ADD,
                  EPOLLRDHUP | EPOLLOUT); /* its head goes when the socket says that it has room: at once */
    if (atomic_exchange(&c->news, 0)) c->round = 1;
}

/* A slice of the round; 1: there is more of it. */
static int step(crier *c) {
    if (!c->next && c->round) {
        c->next = c->first;
        c->round = 0;
    }
    for (int served = 0; served < SLICE && c->next;) {
        listener *l = c->next;
        c->next = l->next;
        if (l->pending.n || !l->kind->ready(l->self)) continue;
        push(l);
        served++;
    }
    return c->next || c->round;
}

/* Who takes nothing for too long goes; those that have heard nothing for long get a sign of life. */
static void tick(crier *c, double now) {
    for (listener *l = c->first, *next; l; l = next) {
        next = l->next;
        if (l->pending.n && now - l->moved > c->all->idle_seconds) end(l);
    }
    c->round = 1;
}

static void reap(crier *c) {
    while (c->left) {
        listener *l = c->left;
        c->left = l->next;
        free(l);
    }
}

static void let_go(crier *c) {
    while (take_fresh(c))
        ;
    while (c->first) end(c->first);
    reap(c);
}

static void *crier_main(void *self) {
    crier *c = self;
    struct epoll_event events[EVENTS];
    double next_tick = 0;
    while (!atomic_load(&c->all->ending)) {
        int n = epoll_wait(c->epoll, events, EVENTS, step(c) ? 0 : TICK_MS);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_socket(events[i].data.ptr, events[i].events);
            else
                on_waker(c);
        }
        const double now = ishow_now();
        if (now >= next_tick) {
            next_tick = now + 1e-3 * TICK_MS;
            tick(c, now);
        }
        reap(c);
    }
    let_go(c);
    return NULL;
}

/* ---- all of them ---- */

static int crier_start(crier *c, criers *all) {
    struct epoll_event event = {.events = EPOLLIN};
    c->all = all;
    pthread_mutex_init(&c->lock, NULL);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    all->n_criers++;
    if (c->epoll < 0 || c->waker < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->waker, &event) ||
        pthread_create(&c->thread, NULL, crier_main, c))
        return 0;
    c->runs = 1;
    pthread_setname_np(c->thread, "ishow-crier");
    return 1;
}

ishow_status criers_create(criers **out, double idle_seconds, ishow_error *error) {
    criers *all = calloc(1, sizeof *all);
    *out = NULL;
    if (!all) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the listeners' threads could not be had.");
    all->idle_seconds = idle_seconds;
    const int wanted = ishow_cores() < CRIERS_MAX ? ishow_cores() : CRIERS_MAX;
    for (int i = 0; i < wanted; i++)
        if (!crier_start(&all->crier[i], all)) {
            criers_free(all);
            return ishow_fail(error, ISHOW_EINTERNAL, "", "The listeners' threads could not be started.");
        }
    *out = all;
    return ISHOW_OK;
}

void criers_wake(criers *all) {
    for (size_t i = 0; i < all->n_criers; i++) {
        atomic_store(&all->crier[i].news, 1);
        wake(&all->crier[i]);
    }
}

void criers_end(criers *all) {
    if (!atomic_exchange(&all->ending, 1)) criers_wake(all);
}

void criers_stop(criers *all) {
    if (!all) return;
    criers_end(all);
    for (size_t i = 0; i < all->n_criers; i++) {
        crier *c = &all->crier[i];
        if (c->runs) pthread_join(c->thread, NULL);
        c->runs = 0;
        let_go(c); /* who was handed over last */
    }
}

void criers_free(criers *all) {
    if (!all) return;
    criers_stop(all);
    for (size_t i = 0; i < all->n_criers; i++) {
        crier *c = &all->crier[i];
        if (c->epoll >= 0) close(c->epoll);
        if (c->waker >= 0) close(c->waker);
        pthread_mutex_destroy(&c->lock);
    }
    free(all);
}

unsigned criers_listeners(const criers *all) { return atomic_load(&all->n); }

unsigned criers_from(criers *all, const struct sockaddr *address) {
    unsigned n = 0;
    for (size_t i = 0; i < all->n_criers; i++) {
        crier *c = &all->crier[i];
        pthread_mutex_lock(&c->lock);
        for (const listener *l = c->first; l; l = l->next) n += (unsigned)same_address(&l->address, address);
        for (const listener *l = c->fresh; l; l = l->next) n += (unsigned)same_address(&l->address, address);
        pthread_mutex_unlock(&c->lock);
    }
    return n;
}

static void hand_over(criers *all, listener *l) {
    crier *c = &all->crier[all->turn++ % all->n_criers];
    l->crier = c;
    atomic_fetch_add(&all->n, 1);
    pthread_mutex_lock(&c->lock);
    l->next = c->fresh;
    c->fresh = l;
    pthread_mutex_unlock(&c->lock);
    wake(c);
}

enum MHD_Result listener_begin(exchange *x, const listener_kind *kind, const char *type) {
    ishow_server *s = x->server;
    ishow_buffer head = {0};
    listener *l = NULL;
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
    if (s->connections + criers_listeners(s->criers) > s->connections_max) {
        ishow_fault_set(&x->fault, 503, "unavailable", "", "%u connections are open, which is the most.",
                        s->connections_max);
        result = respond_fault(x);
        goto done;
    }
    respond_head(x, 200, response, &head);
    if (head.failed || !(l = ishow_alloc(1, sizeof *l))) goto done;
    l->kind = kind;
    l->address = x->peer->address;
    l->moved = ishow_now();
    l->fd = http_take_over(x, &l->self);
    if (l->fd < 0) goto done;
    const int one = 1; /* or an event waits until the one before is acknowledged */
    setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->pending = head; /* goes first */
    head = (ishow_buffer){0};
    hand_over(s->criers, l);
    l = NULL;
done: /* MHD_NO: libmicrohttpd lets its side of the connection go */
    if (response) MHD_destroy_response(response);
    ishow_buffer_free(&head);
    free(l);
    return result;
}
