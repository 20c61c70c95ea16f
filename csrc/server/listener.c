/* Listeners of endless events: connections that only receive, taken over from libmicrohttpd once they are admitted.
 *
 * Ten thousand of them idle most of the time. With libmicrohttpd each keeps tens of kilobytes of its request's memory, and is resumed, asked and
 * suspended again for every event; here one is a socket, a small struct and one send. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/server.h"

enum { PART = 16 * 1024, SLICE = 128 /* listeners served before others get their turn on the loop */ };

struct listener {
    watch watch;            /* first: of its socket */
    ishow_server *server;
    const listener_kind *kind;
    void *self;
    listener *prev, *next;
    struct sockaddr_storage address;
    int fd;                 /* -1: over, freed at the end of the loop's round */
    bytes pending;          /* what the socket did not take */
    size_t pending_taken;
    double moved;
};

static void end(listener *l) {
    ishow_server *s = l->server;
    if (l->fd < 0) return;
    close(l->fd); /* leaves the epoll set with it */
    l->fd = -1;
    if (l->prev) l->prev->next = l->next;
    else s->listeners = l->next;
    if (l->next) l->next->prev = l->prev;
    if (s->next_listener == l) s->next_listener = l->next;
    s->n_listeners--;
    l->kind->release(l->self);
    bytes_free(&l->pending);
    l->next = s->left;
    s->left = l;
}

/* Bytes that the socket took, or -1 when the listener is gone. */
static ssize_t give(listener *l, const void *data, size_t n) {
    ssize_t sent = send(l->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) l->moved = ishow_now();
    if (sent >= 0 || errno == EAGAIN || errno == EINTR) return sent < 0 ? 0 : sent;
    end(l);
    return -1;
}

static int watch_for(listener *l, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = &l->watch};
    if (!epoll_ctl(l->server->epoll, EPOLL_CTL_MOD, l->fd, &event)) return 1;
    end(l);
    return 0;
}

/* Sends the next part of what there is: a part in turn, or the last of many would be behind by all that the others get. */
static void push(listener *l) {
    char part[PART];
    const size_t n = l->kind->read(l->self, part, sizeof part);
    const ssize_t sent = n ? give(l, part, n) : 0;
    if (sent < 0) return;
    if ((size_t)sent < n) {
        bytes_add(&l->pending, part + sent, n - (size_t)sent);
        if (l->pending.failed) end(l);
        else watch_for(l, EPOLLRDHUP | EPOLLOUT);
    } else if (n == sizeof part) l->server->listeners_round = 1; /* there may be more */
}

static void on_ready(watch *w, uint32_t events) {
    listener *l = (listener *)(void *)w; /* its first member */
    if (l->fd < 0) return;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        end(l);
        return;
    }
    ssize_t sent = give(l, l->pending.data + l->pending_taken, l->pending.n - l->pending_taken);
    if (sent < 0) return;
    l->pending_taken += (size_t)sent;
    if (l->pending_taken < l->pending.n) return;
    bytes_free(&l->pending);
    l->pending_taken = 0;
    if (watch_for(l, EPOLLRDHUP)) push(l);
}

void listeners_wake(ishow_server *s) { s->listeners_round = 1; }

int listeners_step(ishow_server *s) {
    if (!s->next_listener && s->listeners_round) {
        s->next_listener = s->listeners;
        s->listeners_round = 0;
    }
    for (int served = 0; served < SLICE && s->next_listener;) {
        listener *l = s->next_listener;
        s->next_listener = l->next;
        if (l->pending.n || !l->kind->ready(l->self)) continue;
        push(l);
        served++;
    }
    return s->next_listener || s->listeners_round;
}

void listeners_tick(ishow_server *s, double now) {
    for (listener *l = s->listeners, *next; l; l = next) {
        next = l->next;
        if (l->pending.n && now - l->moved > s->idle_seconds) end(l);
    }
    listeners_wake(s); /* those that have heard nothing for long get a sign of life */
}

void listeners_end(ishow_server *s) {
    while (s->listeners) end(s->listeners);
}

void listeners_reap(ishow_server *s) {
    while (s->left) {
        listener *l = s->left;
        s->left = l->next;
        free(l);
    }
}

unsigned listeners_from(const ishow_server *s, const struct sockaddr *address) {
    unsigned n = 0;
    for (const listener *l = s->listeners; l; l = l->next) n += (unsigned)same_address(&l->address, address);
    return n;
}

enum MHD_Result listener_begin(exchange *x, const listener_kind *kind, const char *type) {
    ishow_server *s = x->server;
    bytes head = {0};
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
    if (s->connections + s->n_listeners > s->connections_max) {
        fault_set(&x->fault, 503, "unavailable", "", "%u connections are open, which is the most.", s->connections_max);
        result = respond_fault(x);
        goto done;
    }
    respond_head(x, 200, response, &head);
    if (head.failed || !(l = ishow_alloc(1, sizeof *l))) goto done;
    l->server = s;
    l->kind = kind;
    l->address = x->peer->address;
    l->watch.ready = on_ready;
    l->moved = ishow_now();
    l->fd = http_take_over(x, &l->self);
    if (l->fd < 0) goto done;
    l->next = s->listeners;
    if (s->listeners) s->listeners->prev = l;
    s->listeners = l;
    s->n_listeners++;
    l->pending = head; /* goes first, when the socket says that it has room: at once */
    head = (bytes){0};
    if (!http_watch(s, l->fd, EPOLLRDHUP | EPOLLOUT, &l->watch)) end(l);
    l = NULL;
done: /* MHD_NO: libmicrohttpd lets its side of the connection go */
    if (response) MHD_destroy_response(response);
    bytes_free(&head);
    free(l);
    return result;
}
