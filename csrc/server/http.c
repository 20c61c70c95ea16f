/* The event loop. libmicrohttpd runs in external epoll mode: its epoll descriptor is an entry of our own epoll set,
 * beside the waker and the sockets of suspended exchanges.
 *
 * Life of an exchange: created when the request line is read (on_uri); its head is checked; its body is collected (or
 * read and dropped, so that a refused client sees the answer); it is answered at once or suspended until the encoder
 * thread has output; freed in exchange_ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/internal.h"
#include "server/notify.h"

enum { TICK_MS = 500, LISTENERS_MS = 250, POOL_BYTES = 64 * 1024, EVENTS = 64 };

/* ---- exchanges ---- */

static void choose_id(exchange *x) {
    const char *given = header_get(x, "X-Request-Id");
    if (given && ishow_id_is_valid(given)) {
        strcpy(x->id, given);
        return;
    }
    unsigned char random[12];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) memset(random, 0, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) snprintf(x->id + 2 * i, 3, "%02x", random[i]);
}

static void *on_uri(void *self, const char *uri, struct MHD_Connection *connection) {
    ishow_server *s = self;
    exchange *x = calloc(1, sizeof *x);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (!x) return NULL;
    x->server = s;
    x->connection = connection;
    x->peer = info ? info->socket_context : NULL;
    head_begin(x, uri);
    x->began = ishow_now();
    if (x->peer) x->peer->exchange = x;
    s->exchanges++;
    return x;
}

/* Upload bodies of megabytes are held in memory, so the number of concurrent uploads is limited. */
static int upload_starts(exchange *x) {
    if (x->server->uploads >= ISHOW_UPLOADS_MAX)
        return ishow_fault_set(&x->fault, 429, "busy", "", "%d uploads are on their way already: try again later.",
                               ISHOW_UPLOADS_MAX);
    x->server->uploads++;
    x->uploads = 1;
    return 1;
}

static void upload_ended(exchange *x) {
    if (x->uploads) x->server->uploads--;
    x->uploads = 0;
}

/* Ends an exchange and frees it; cut: it was not answered completely. */
static void exchange_ended(exchange *x, int cut) {
    ishow_server *s = x->server;
    exchange_leave(x);
    if (x->wait) x->wait->release(x);
    metrics_request(s->metrics, route_index(x->route), cut ? 0 : x->status);
    /* ishowtts/traces.py reads this. */
    ishow_log_request(ISHOW_LOG_DEBUG, "server", x->id, "%s %d%s %.1f ms%s", route_name(route_index(x->route)),
                      x->status, cut ? " (cut off)" : "", 1e3 * (ishow_now() - x->began), x->trace);
    if (x->peer) {
        x->peer->exchange = NULL;
        x->peer->since = ishow_now();
    }
    upload_ended(x);
    ws_free(x->socket);
    ishow_buffer_free(&x->body);
    s->exchanges--;
    free(x->origin);
    free(x);
}

static void on_completed(void *self, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why) {
    exchange *x = *context;
    (void)self;
    (void)connection;
    *context = NULL;
    if (x) exchange_ended(x, why != MHD_REQUEST_TERMINATED_COMPLETED_OK && !x->taken_over);
}

/* libmicrohttpd does not complete a request whose address has more arguments than its memory holds. */
static void on_connection(void *self, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what) {
    const peer *p = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED && p && p->exchange) exchange_ended(p->exchange, 1);
    peer_changed(self, connection, context, what);
}

/* Header field names separated by commas (RFC 9110, 5.6.2), short enough to be repeated in an answer. */
static int is_field_list(const char *text) {
    const size_t n = strlen(text);
    return n >= 1 && n <= 1024 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-!#$%&'*+.^_`|~, ") == n;
}

static void take_trace(exchange *x) {
    const char *given = header_get(x, "traceparent");
    if (given && strlen(given) == TRACE_LENGTH && !strncmp(given, "00-", 3) &&
        strspn(given, "0123456789abcdef-") == TRACE_LENGTH)
        snprintf(x->trace, sizeof x->trace, " %s", given);
}

/* Called when the request's head has been read. */
static enum MHD_Result on_head(exchange *x, const char *url, const char *method, const char *version) {
    choose_id(x);
    take_trace(x);
    x->only_head = !strcmp(method, "HEAD");
    int admitted =
        route_admit(x, url, method, version) && (!x->route || !(x->route->flags & ROUTE_UPLOAD) || upload_starts(x));
    const char *length = header_get(x, "Content-Length");
    int has_body = (length && strcmp(length, "0")) || header_get(x, "Transfer-Encoding");
    if (admitted && x->route && (x->route->flags & (ROUTE_JSON | ROUTE_UPLOAD))) {
        x->phase = PHASE_BODY;
        return MHD_YES;
    }
    int certain = admitted || strcmp(x->fault.code, "ambiguous_length");
    int waits = header_get(x, "Expect") != NULL; /* with Expect, the client sends the body only after 100 Continue */
    if (has_body && certain && !waits && (!length || strtoull(length, NULL, 10) <= SWALLOW_MAX)) {
        x->phase = PHASE_SWALLOW;
        return MHD_YES;
    }
    if (!admitted) return respond_fault(x);
    if (x->route) {
        x->phase = PHASE_SWALLOW; /* answered when libmicrohttpd has read the whole request */
        return MHD_YES;
    }
    const char *asked = header_get(x, "Access-Control-Request-Headers");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT); /* a permitted preflight */
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST, DELETE");
    MHD_add_response_header(response, "Access-Control-Allow-Headers",
                            asked && is_field_list(asked) ? asked : "Authorization, Content-Type, X-Request-Id");
    MHD_add_response_header(response, "Access-Control-Max-Age", "600");
    return respond_with(x, 204, response);
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n_data, void **context) {
    exchange *x = *context;
    (void)self, (void)connection;
    if (!x) return MHD_NO;
    switch (x->phase) {
    case PHASE_HEAD: return on_head(x, url, method, version);
    case PHASE_BODY:
    case PHASE_SWALLOW:
        if (x->lines && x->phase == PHASE_BODY && *n_data) {
            const size_t n = *n_data;
            *n_data = 0;
            return written_take(x, data, n);
        }
        if (*n_data) {
            x->received += *n_data;
            if (x->phase == PHASE_BODY) {
                ishow_buffer_add(&x->body, data, *n_data);
                if (x->body.n > route_body_max(x)) { /* chunked: the length was not known before */
                    ishow_fault_set(&x->fault, 413, "too_large", "", "The body may have %zu bytes.", route_body_max(x));
                    ishow_buffer_free(&x->body);
                    x->phase = PHASE_SWALLOW;
                }
            }
            *n_data = 0;
            return x->received > SWALLOW_MAX || x->body.failed ? MHD_NO : MHD_YES;
        }
        upload_ended(x);
        if (x->lines && x->phase == PHASE_BODY) return written_end(x);
        return x->fault.status ? respond_fault(x) : x->route->answer(x);
    case PHASE_WAIT: return x->gone ? MHD_NO : x->wait->resume(x);
    default: return MHD_NO;
    }
}

/* ---- the loop ---- */

static void on_wake(watch *w, uint32_t events) {
    ishow_server *s = (ishow_server *)(void *)((char *)w - offsetof(ishow_server, on_waker));
    uint64_t count;
    ssize_t ignored = read(s->waker, &count, sizeof count);
    (void)ignored, (void)events;
    server_run_calls(s, 0);
    exchanges_resume(s);
    ws_wake_all(s);
}

/* Nothing to do here: MHD_run, called after every epoll_wait, handles it. */
static void on_daemon(watch *w, uint32_t events) { (void)w, (void)events; }

/* Reports to the service manager's watchdog while this thread runs and the inference thread is not stuck in a model
 * call. Without a report the manager restarts the server. */
static void feed_watchdog(ishow_server *s, double now) {
    ishow_engine *engine = atomic_load(&s->engine);
    if (s->watchdog_seconds <= 0 || now < s->watchdog_due ||
        (engine && ishow_engine_busy_for(engine) > s->watchdog_seconds))
        return;
    s->watchdog_due = now + s->watchdog_seconds / 4;
    notify_alive();
}

static void *loop_main(void *self) {
    ishow_server *s = self;
    struct epoll_event events[EVENTS];
    double next_tick = 0, quiet = -1; /* quiet: when the last clip ended while draining */
    for (;;) {
        MHD_UNSIGNED_LONG_LONG wanted = 0;
        int timeout = TICK_MS;
        if (MHD_get_timeout(s->daemon, &wanted) == MHD_YES && wanted < TICK_MS) timeout = (int)wanted;
        int n = epoll_wait(s->epoll, events, EVENTS, timeout);
        for (int i = 0; i < n; i++) {
            watch *w = events[i].data.ptr;
            w->ready(w, events[i].events);
        }
        double now = ishow_now();
        if (now >= next_tick) {
            next_tick = now + 1e-3 * TICK_MS;
            peers_reap(s);
            ws_tick(s, now);
            ishow_retry_after_tick(&s->load, atomic_load(&s->engine));
            ishow_load_history_tick(&s->history, atomic_load(&s->engine));
            feed_watchdog(s, now);
        }
        if (atomic_load(&s->draining)) {
            if (s->listen_fd >= 0) {
                MHD_quiesce_daemon(s->daemon);
                close(s->listen_fd);
                s->listen_fd = -1;
            }
            exchanges_hang_up(s, now < s->drain_until); /* endless ones, and after drain_until all */
            /* The clip that plays is sent to its end; then listeners have LISTENERS_MS to receive the event that says
             * so. */
            const int plays = chats_finish(s);
            quiet = plays ? 1e18 : quiet > now ? now : quiet;
            if (now - quiet > 1e-3 * LISTENERS_MS || now >= s->drain_until) {
                ws_drain(s, now < s->drain_until);
                broadcast_workers_end(s->broadcast_workers);
                if (!s->exchanges || now >= s->drain_until + 2.0) break;
            }
        }
        MHD_run(s->daemon);
    }
    server_run_calls(s, 1);
    /* Suspended exchanges must be resumed before the daemon may stop. */
    exchanges_hang_up(s, 0);
    ws_end_all(s);
    MHD_run(s->daemon);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    return NULL;
}

static void log_line(void *self, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void log_line(void *self, const char *format, va_list args) {
    char line[512];
    (void)self;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    ishow_log(ISHOW_LOG_DEBUG, "http", "%s", line);
}

ishow_status http_start(ishow_server *s, unsigned connections_max, ishow_error *error) {
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->watchdog_seconds = notify_watchdog_seconds();
    s->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll < 0 || s->waker < 0)
        return ishow_fail(error, ISHOW_EIO, "", "The event loop could not be made: %s.", strerror(errno));
    ishow_status status = encoder_thread_create(&s->encoder_thread, server_wake, s, s->metrics, error);
    if (status != ISHOW_OK) return status;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG, 0, peer_may_connect, s,
        on_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL, MHD_OPTION_LISTEN_SOCKET, s->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(s->idle_seconds + 0.999), MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
    if (!s->daemon) return ishow_fail(error, ISHOW_EIO, "", "The HTTP daemon could not be started.");
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    s->on_daemon.ready = on_daemon;
    s->on_waker.ready = on_wake;
    if (!info || !server_watch(s, info->epoll_fd, EPOLLIN, &s->on_daemon) ||
        !server_watch(s, s->waker, EPOLLIN, &s->on_waker))
        return ishow_fail(error, ISHOW_EIO, "", "The event loop could not be made: %s.", strerror(errno));
    if (pthread_create(&s->thread, NULL, loop_main, s))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The event loop's thread could not be started.");
    s->thread_runs = 1;
    return ISHOW_OK;
}
