/* The server's side of a WebSocket (RFC 6455): libmicrohttpd does the handshake and hands over the socket, wslay
 * encodes and decodes frames, and the loop's epoll set waits.
 *
 * A connection lives as long as its exchange: libmicrohttpd ends the exchange (on_completed) some time after the socket
 * was closed, so nothing is freed while an event may still be delivered. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "server/internal.h"

enum {
    QUEUE_MAX = 256 * 1024,    /* bytes queued for the client; more stays with its producer */
    FLOOD_MAX = 4 * QUEUE_MAX, /* limit of queued answers to pings, for a client that does not read */
    READ_MAX = 64 * 1024,      /* bytes read at one event, so that one client does not block the loop */
    CLOSE_SECONDS = 5          /* to wait for the client's answer to a close */
};

struct ws {
    watch watch; /* must be first */
    exchange *x;
    const ws_kind *kind;
    void *self;
    ws *prev, *next;                          /* in the server's list of open connections */
    struct MHD_UpgradeResponseHandle *handle; /* NULL before the upgrade and after the end */
    wslay_event_context_ptr frames;
    int fd;
    uint32_t events;    /* watched */
    size_t budget;      /* bytes that may still be read at this event */
    ishow_buffer early; /* bytes that libmicrohttpd read after the request's head */
    size_t early_taken;
    size_t message_max;
    int pinged, closing;
    double heard, moved, close_by;
};

/* ---- the end ---- */

static void ws_end(ws *w) {
    ishow_server *s = w->x->server;
    if (!w->handle) return;
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    if (w->prev)
        w->prev->next = w->next;
    else
        s->sockets = w->next;
    if (w->next) w->next->prev = w->prev;
    w->kind->release(w);
    w->self = NULL;
    MHD_upgrade_action(w->handle, MHD_UPGRADE_ACTION_CLOSE);
    w->handle = NULL;
}

void ws_free(ws *w) {
    if (!w) return;
    if (w->self) w->kind->release(w); /* the upgrade did not happen */
    if (w->frames) wslay_event_context_free(w->frames);
    ishow_buffer_free(&w->early);
    free(w);
}

/* ---- receiving and sending ---- */

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *out, size_t n, int flags, void *self) {
    ws *w = self;
    (void)flags;
    if (w->early_taken < w->early.n) {
        size_t m = w->early.n - w->early_taken;
        if (m > n) m = n;
        memcpy(out, w->early.data + w->early_taken, m);
        w->early_taken += m;
        return (ssize_t)m;
    }
    if (n > w->budget) n = w->budget;
    ssize_t got = n ? recv(w->fd, out, n, 0) : -1;
    if (got > 0) {
        w->budget -= (size_t)got;
        w->heard = ishow_now();
        w->pinged = 0;
        return got;
    }
    wslay_event_set_error(frames, got < 0 && (!n || errno == EAGAIN || errno == EINTR) ? WSLAY_ERR_WOULDBLOCK
                                                                                       : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *data, size_t n, int flags, void *self) {
    ws *w = self;
    ssize_t sent = send(w->fd, data, n, MSG_NOSIGNAL | (flags & WSLAY_MSG_MORE ? MSG_MORE : 0));
    if (sent >= 0) {
        w->moved = ishow_now();
        return sent;
    }
    wslay_event_set_error(frames,
                          errno == EAGAIN || errno == EINTR ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *arg, void *self) {
    ws *w = self;
    (void)frames;
    if (w->closing || (arg->opcode != WSLAY_TEXT_FRAME && arg->opcode != WSLAY_BINARY_FRAME)) return;
    w->kind->message(w, arg->msg, arg->msg_length, arg->opcode == WSLAY_BINARY_FRAME);
}

/* Sends queued frames and watches the socket for what is needed next. */
static void ws_flush(ws *w) {
    if (!w->handle) return;
    if (wslay_event_want_write(w->frames) && wslay_event_send(w->frames) != 0) {
        ws_end(w);
        return;
    }
    const int reads = wslay_event_want_read(w->frames), writes = wslay_event_want_write(w->frames);
    if ((!reads && !writes) || wslay_event_get_queued_msg_length(w->frames) > FLOOD_MAX) {
        ws_end(w);
        return;
    }
    const uint32_t events = EPOLLIN | (writes ? (uint32_t)EPOLLOUT : 0);
    if (events == w->events) return;
    struct epoll_event event = {.events = events, .data.ptr = &w->watch};
    if (epoll_ctl(w->x->server->epoll, EPOLL_CTL_MOD, w->fd, &event))
        ws_end(w);
    else
        w->events = events;
}

static void on_ready(watch *watch, uint32_t events) {
    ws *w = (ws *)(void *)watch; /* `watch` is the first member */
    if (!w->handle) return;
    w->budget = READ_MAX;
    if ((events & ~(uint32_t)EPOLLOUT) && wslay_event_recv(w->frames) != 0) {
        ws_end(w);
        return;
    }
    if (w->handle && !w->closing) w->kind->news(w); /* the queue may have space again */
    ws_flush(w);
}

void *ws_self(const ws *w) { return w->self; }
const exchange *ws_exchange(const ws *w) { return w->x; }

size_t ws_capacity(const ws *w) {
    size_t queued = w->handle && !w->closing ? wslay_event_get_queued_msg_length(w->frames) : QUEUE_MAX;
    return queued < QUEUE_MAX ? QUEUE_MAX - queued : 0;
}

void ws_send(ws *w, int binary, const void *data, size_t n) {
    if (!w->handle || w->closing) return;
    if (!wslay_event_get_queued_msg_length(w->frames)) w->moved = ishow_now(); /* the wait for the client begins now */
    const struct wslay_event_msg message = {
        .opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME, .msg = data, .msg_length = n};
    if (wslay_event_queue_msg(w->frames, &message) != 0)
        ws_close(w, WSLAY_CODE_INTERNAL_SERVER_ERROR, "Out of memory.");
}

void ws_close(ws *w, int code, const char *why) {
    if (!w->handle || w->closing) return;
    w->closing = 1;
    w->close_by = ishow_now() + CLOSE_SECONDS;
    wslay_event_queue_close(w->frames, (uint16_t)code, (const uint8_t *)why, strlen(why));
}

/* ---- called by the loop ---- */

void ws_wake_all(ishow_server *s) {
    for (ws *w = s->sockets, *next; w; w = next) {
        next = w->next;
        if (!w->closing) w->kind->news(w);
        ws_flush(w);
    }
}

void ws_tick(ishow_server *s, double now) {
    for (ws *w = s->sockets, *next; w; w = next) {
        next = w->next;
        const int stuck = wslay_event_get_queued_msg_length(w->frames) && now - w->moved > s->idle_seconds;
        if (stuck || now - w->heard > 2 * s->idle_seconds || (w->closing && now > w->close_by)) {
            ws_end(w);
            continue;
        }
        if (!w->pinged && now - w->heard > s->idle_seconds) {
            const struct wslay_event_msg ping = {.opcode = WSLAY_PING};
            w->pinged = 1;
            wslay_event_queue_msg(w->frames, &ping);
            ws_flush(w);
        }
    }
}

void ws_drain(ishow_server *s, int patient) {
    for (ws *w = s->sockets, *next; w; w = next) {
        next = w->next;
        if (patient && w->kind->busy(w)) continue;
        ws_close(w, WSLAY_CODE_GOING_AWAY, "The server is closing down.");
        ws_flush(w);
    }
}

void ws_end_all(ishow_server *s) {
    while (s->sockets) ws_end(s->sockets);
}

/* ---- the handshake ---- */

/* libmicrohttpd calls this when the 101 response has been sent. */
static void on_upgrade(void *self, struct MHD_Connection *connection, void *context, const char *early, size_t n_early,
                       MHD_socket fd, struct MHD_UpgradeResponseHandle *handle) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message};
    ws *w = self;
    ishow_server *s = w->x->server;
    const int one = 1, zero = 0;
    (void)connection, (void)context;
    ishow_buffer_add(&w->early, early, n_early);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &zero, sizeof zero);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    w->fd = fd;
    w->watch.ready = on_ready;
    w->events = EPOLLIN;
    w->heard = w->moved = ishow_now();
    if (w->early.failed || wslay_event_context_server_init(&w->frames, &callbacks, w) != 0 ||
        !server_watch(s, fd, w->events, &w->watch)) {
        MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        return;
    }
    wslay_event_config_set_max_recv_msg_length(w->frames, w->message_max);
    w->handle = handle;
    w->next = s->sockets;
    if (s->sockets) s->sockets->prev = w;
    s->sockets = w;
    on_ready(&w->watch, EPOLLIN); /* handles the early bytes, and lets the kind send its first messages */
}

/* Whether a comma-separated header names `token`. */
static int header_names(exchange *x, const char *header, const char *token) {
    const char *at = header_get(x, header);
    while (at && *at) {
        at += strspn(at, ", \t");
        size_t n = strcspn(at, ", \t");
        if (n == strlen(token) && !strncasecmp(at, token, n)) return 1;
        at += n;
    }
    return 0;
}

int ws_wanted(exchange *x) {
    return header_names(x, "Upgrade", "websocket") && header_names(x, "Connection", "upgrade");
}

static int check_handshake(exchange *x, const char **key) {
    if (!ws_wanted(x))
        return ishow_fault_set(&x->fault, 426, "upgrade_required", "Upgrade",
                               "This address speaks WebSocket: it needs Connection: Upgrade and Upgrade: websocket.");
    const char *version = header_get(x, "Sec-WebSocket-Version");
    if (!version || strcmp(version, "13"))
        return ishow_fault_set(&x->fault, 426, "upgrade_required", "Sec-WebSocket-Version",
                               "The Sec-WebSocket-Version must be 13, not %.16s.", version ? version : "missing");
    *key = header_get(x, "Sec-WebSocket-Key");
    if (!*key || strlen(*key) != 24 ||
        strspn(*key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != 24)
        return ishow_fault_set(&x->fault, 400, "malformed_key", "Sec-WebSocket-Key",
                               "The Sec-WebSocket-Key must be 16 bytes in base64.");
    if (atomic_load(&x->server->draining))
        return ishow_fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
    return 1;
}

enum MHD_Result ws_accept(exchange *x, const ws_kind *kind, void *self, size_t message_max) {
    static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char joined[24 + sizeof magic - 1], digest[SHA_DIGEST_LENGTH];
    const char *key = NULL;
    ishow_buffer accept = {0};
    struct MHD_Response *response = NULL;
    enum MHD_Result result = MHD_NO;
    ws *w = ishow_alloc(1, sizeof *w);
    if (!w) {
        ws unborn = {.x = x, .kind = kind, .self = self};
        kind->release(&unborn);
        return MHD_NO;
    }
    w->x = x;
    w->kind = kind;
    w->self = self;
    w->message_max = message_max;
    x->socket = w; /* freed together with the exchange */
    if (!check_handshake(x, &key)) return respond_fault(x);
    memcpy(joined, key, 24);
    memcpy(joined + 24, magic, sizeof magic - 1);
    SHA1(joined, sizeof joined, digest);
    ishow_buffer_base64(&accept, digest, sizeof digest);
    ishow_buffer_add(&accept, "", 1);
    response = MHD_create_response_for_upgrade(on_upgrade, w);
    if (!response || accept.failed) goto done;
    MHD_add_response_header(response, "Upgrade", "websocket");
    MHD_add_response_header(response, "Sec-WebSocket-Accept", (const char *)accept.data);
    result = respond_with(x, 101, response);
    response = NULL;
done:
    if (response) MHD_destroy_response(response);
    ishow_buffer_free(&accept);
    return result;
}
