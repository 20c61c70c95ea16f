/* Exchanges that are suspended while something else works for them, and calls that other threads want made on the loop.
 * It knows no endpoint: what an exchange waits for is described by its wait_kind. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/internal.h"

int server_watch(ishow_server *s, int fd, uint32_t events, watch *w) {
    struct epoll_event event = {.events = events, .data.ptr = w};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* ---- calls from other threads ---- */

struct loop_call {
    loop_call *next;
    void (*fn)(void *self);
    void *self;
    int over; /* under call_lock */
    pthread_cond_t ended;
};

void server_wake(void *server) {
    ishow_server *s = server;
    uint64_t one = 1;
    ssize_t ignored = write(s->waker, &one, sizeof one);
    (void)ignored;
}

void server_call(ishow_server *s, void (*fn)(void *self), void *self) {
    loop_call call = {.fn = fn, .self = self, .ended = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&s->call_lock);
    if (s->loop_ended) {
        fn(self);
    } else {
        call.next = s->calls;
        s->calls = &call;
        server_wake(s);
        while (!call.over) pthread_cond_wait(&call.ended, &s->call_lock);
    }
    pthread_mutex_unlock(&s->call_lock);
    pthread_cond_destroy(&call.ended);
}

void server_run_calls(ishow_server *s, int last) {
    pthread_mutex_lock(&s->call_lock);
    for (loop_call *call = s->calls; call;) {
        loop_call *next = call->next; /* the caller frees it once it is over */
        call->fn(call->self);
        call->over = 1;
        pthread_cond_signal(&call->ended);
        call = next;
    }
    s->calls = NULL;
    if (last) s->loop_ended = 1;
    pthread_mutex_unlock(&s->call_lock);
}

/* ---- suspended exchanges ---- */

static void resume(exchange *x) {
    if (!x->suspended) return;
    x->suspended = 0;
    MHD_resume_connection(x->connection);
}

static void hang_up(exchange *x) {
    x->gone = 1;
    if (x->wait) x->wait->hang_up(x);
    resume(x);
}

static void on_socket(watch *w, uint32_t events) {
    exchange *x = (exchange *)(void *)w; /* its first member */
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        hang_up(x);
    else if (x->wait->news(x)) /* the socket can be written to again */
        resume(x);
}

static void watch_socket(exchange *x, uint32_t events) {
    x->watch.ready = on_socket;
    if (!x->watched && x->peer)
        x->watched = server_watch(x->server, x->peer->fd, events | EPOLLRDHUP | EPOLLET, &x->watch);
}

static void enter(exchange *x, const wait_kind *kind, void *waited) {
    ishow_server *s = x->server;
    x->wait = kind;
    x->waited = waited;
    x->next = s->waiting;
    if (s->waiting) s->waiting->prev = x;
    s->waiting = x;
}

void exchange_leave(exchange *x) {
    ishow_server *s = x->server;
    if (x->watched && x->peer) epoll_ctl(s->epoll, EPOLL_CTL_DEL, x->peer->fd, NULL);
    x->watched = 0;
    if (!x->wait) return;
    if (x->prev)
        x->prev->next = x->next;
    else
        s->waiting = x->next;
    if (x->next) x->next->prev = x->prev;
    x->prev = x->next = NULL;
}

void exchange_wait(exchange *x) {
    watch_socket(x, 0);
    x->suspended = 1;
    MHD_suspend_connection(x->connection);
}

void exchange_wait_for(exchange *x, const wait_kind *kind, void *waited) {
    enter(x, kind, waited);
    x->phase = PHASE_WAIT;
    exchange_wait(x);
}

void exchange_attend(exchange *x, const wait_kind *kind, void *waited) {
    enter(x, kind, waited);
    watch_socket(x, EPOLLOUT);
}

void exchanges_resume(ishow_server *s) {
    for (exchange *x = s->waiting; x; x = x->next)
        if ((x->suspended || x->wait->attends) && (x->gone || x->wait->news(x))) resume(x);
}

void exchanges_hang_up(ishow_server *s, int endless_only) {
    for (exchange *x = s->waiting; x; x = x->next)
        if (!x->gone && (x->wait->endless || !endless_only)) hang_up(x);
}

/* libmicrohttpd can hand over a socket only by an upgrade. So its descriptor is replaced by that of an unused socket,
 * which it closes, and the duplicate is ours; a suspended connection is not in libmicrohttpd's epoll set, so no event
 * is lost. */
int exchange_take_over(exchange *x, void **waited) {
    int fd = fcntl(x->peer->fd, F_DUPFD_CLOEXEC, 0), dummy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || dummy < 0) {
        if (fd >= 0) close(fd);
        if (dummy >= 0) close(dummy);
        return -1;
    }
    exchange_leave(x);
    dup3(dummy, x->peer->fd, O_CLOEXEC);
    close(dummy);
    *waited = x->waited;
    x->wait = NULL;
    x->taken_over = 1;
    return fd;
}
