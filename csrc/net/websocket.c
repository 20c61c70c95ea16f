/* RFC 6455, client side. No extension is offered, so none is used. */
#include "net/websocket.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/base.h"
#include "base/span.h"

enum { HEAD_MAX = 16 * 1024, NONCE = 16 };

static void fail(websocket *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(websocket *w, const char *format, ...) {
    char why[200];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    websocket_close(w);
    w->closed(w->self, why);
}

/* ---- callbacks of wslay ---- */

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *data, size_t n, int flags, void *self) {
    websocket *w = self;
    (void)flags;
    size_t left = w->in.n - w->taken;
    if (!left || w->closing) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (n > left) n = left;
    memcpy(data, w->in.data + w->taken, n);
    w->taken += n;
    return (ssize_t)n;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *data, size_t n, int flags, void *self) {
    (void)frames, (void)flags;
    connection_send(&((websocket *)self)->connection, data, n);
    return (ssize_t)n;
}

static int on_mask(wslay_event_context_ptr frames, uint8_t *mask, size_t n, void *self) {
    (void)frames, (void)self;
    return getrandom(mask, n, GRND_NONBLOCK) == (ssize_t)n ? 0 : -1;
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *arg, void *self) {
    websocket *w = self;
    (void)frames;
    if (!w->closing && (arg->opcode == WSLAY_BINARY_FRAME || arg->opcode == WSLAY_TEXT_FRAME))
        w->message(w->self, arg->msg, arg->msg_length);
}

/* ---- handshake ---- */

static void base64(char *out, size_t size, const void *data, size_t n) {
    ishow_buffer text = {0};
    ishow_buffer_base64(&text, data, n);
    snprintf(out, size, "%.*s", (int)text.n, text.n ? (const char *)text.data : "");
    ishow_buffer_free(&text);
}

/* Value of a header in the response's head [n], without surrounding spaces. */
static ishow_span field_of(const char *head, size_t n, const char *name) {
    size_t size = strlen(name);
    const char *end = head + n;
    for (const char *line = memchr(head, '\n', n); line && ++line < end;
         line = memchr(line, '\n', (size_t)(end - line))) {
        if ((size_t)(end - line) <= size || strncasecmp(line, name, size) || line[size] != ':') continue;
        const char *from = line + size + 1, *to = memchr(from, '\r', (size_t)(end - from));
        if (!to) to = end;
        while (from < to && *from == ' ') from++;
        while (to > from && to[-1] == ' ') to--;
        return (ishow_span){from, (size_t)(to - from)};
    }
    return (ishow_span){NULL, 0};
}

static int accepts(const websocket *w, const char *head, size_t n) {
    char joined[96], wanted[64];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int length = snprintf(joined, sizeof joined, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", w->key);
    if (!EVP_Digest(joined, (size_t)length, digest, &size, EVP_sha1(), NULL)) return 0;
    base64(wanted, sizeof wanted, digest, size);
    ishow_span upgrade = field_of(head, n, "Upgrade");
    return span_is(field_of(head, n, "Sec-WebSocket-Accept"), wanted) && upgrade.size == 9 &&
           !strncasecmp(upgrade.data, "websocket", 9);
}

/* 0: the head is incomplete, or the handshake failed. */
static int take_head(websocket *w) {
    static const struct wslay_event_callbacks calls = {on_recv, on_send, on_mask, NULL, NULL, NULL, on_message};
    char *head = (char *)w->in.data, *end = memmem(head, w->in.n, "\r\n\r\n", 4);
    if (!end) {
        if (w->in.n > HEAD_MAX) fail(w, "the answer to the WebSocket handshake is too long");
        return 0;
    }
    size_t n = (size_t)(end - head) + 2;
    if (n < 12 || memcmp(head, "HTTP/1.1 ", 9) || memcmp(head + 9, "101", 3)) {
        int line = (int)strcspn(head, "\r\n");
        char status[64];
        snprintf(status, sizeof status, "%.*s", line, head);
        fail(w, "the server refuses the WebSocket: %s", status);
        return 0;
    }
    if (!accepts(w, head, n)) {
        fail(w, "the server's WebSocket handshake is wrong");
        return 0;
    }
    w->taken = n + 2;
    if (wslay_event_context_client_init(&w->frames, &calls, w)) {
        w->frames = NULL;
        fail(w, "out of memory");
        return 0;
    }
    wslay_event_config_set_max_recv_msg_length(w->frames, w->most);
    return 1;
}

/* ---- callbacks of the connection ---- */

static void on_wire_opened(void *self) {
    websocket *w = self;
    unsigned char nonce[NONCE];
    char request[1280];
    if (getrandom(nonce, sizeof nonce, GRND_NONBLOCK) != (ssize_t)sizeof nonce) {
        fail(w, "no random numbers are available");
        return;
    }
    base64(w->key, sizeof w->key, nonce, sizeof nonce);
    int n =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                 "Sec-WebSocket-Version: 13\r\nUser-Agent: Mozilla/5.0 (X11; Linux) iShowTTS\r\n\r\n",
                 w->path, w->host, w->key);
    connection_send(&w->connection, request, (size_t)n);
}

static void take(websocket *w) {
    if (!w->frames) {
        if (!take_head(w)) return;
        w->opened(w->self);
    }
    if (w->closing) return;
    int fault = wslay_event_recv(w->frames);
    if (w->closing) return;
    if (!fault && wslay_event_want_write(w->frames)) fault = wslay_event_send(w->frames); /* pongs */
    if (w->closing) return;
    if (wslay_event_get_close_received(w->frames)) {
        fail(w, "the server closed the WebSocket (%u)", (unsigned)wslay_event_get_status_code_received(w->frames));
        return;
    }
    if (fault ||
        wslay_event_get_close_sent(w->frames)) { /* wslay sends a close frame when it receives a malformed frame */
        fail(w,
             wslay_event_get_status_code_sent(w->frames) == WSLAY_CODE_MESSAGE_TOO_BIG
                 ? "a message is larger than %zu bytes"
                 : "the server's frames are broken",
             w->most);
        return;
    }
    /* Removes what wslay has read; the rest is the beginning of a frame. */
    size_t left = w->in.n - w->taken;
    if (!left)
        ishow_buffer_free(&w->in);
    else
        memmove(w->in.data, w->in.data + w->taken, w->in.n = left);
    w->taken = 0;
}

static void on_wire_data(void *self, char *data, size_t n) {
    websocket *w = self;
    ishow_buffer_add(&w->in, data, n);
    w->busy = 1;
    w->heard(w->self, n);
    if (!w->closing) {
        if (w->in.failed)
            fail(w, "out of memory");
        else
            take(w);
    }
    w->busy = 0;
    if (w->closing) websocket_close(w);
}

static void on_wire_closed(void *self, const char *why) { fail(self, "%s", why); }

/* 0: url is not the address of a WebSocket, or out of memory. */
static int split_url(websocket *w, const char *url, int *tls) {
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    int good = parts && !curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) &&
               !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) && !curl_url_get(parts, CURLUPART_HOST, &host, 0) &&
               !curl_url_get(parts, CURLUPART_PATH, &path, 0);
    if (good) {
        curl_url_get(parts, CURLUPART_QUERY, &query, 0);
        *tls = !strcmp(scheme, "wss");
        if (curl_url_get(parts, CURLUPART_PORT, &port, 0)) port = NULL;
        good = (*tls || !strcmp(scheme, "ws")) &&
               snprintf(w->host, sizeof w->host, "%s:%s", host,
                        port   ? port
                        : *tls ? "443"
                               : "80") < (int)sizeof w->host &&
               snprintf(w->path, sizeof w->path, "%s%s%s", path, query ? "?" : "", query ? query : "") <
                   (int)sizeof w->path;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(parts);
    return good;
}

int websocket_open(websocket *w, net_loop *loop, const char *url, const char *ca_file, double connect_seconds,
                   size_t most) {
    char where[400];
    int tls = 0;
    if (!split_url(w, url, &tls)) return 0;
    snprintf(where, sizeof where, "%s://%s", tls ? "https" : "http", w->host);
    w->most = most;
    w->connection.self = w;
    w->connection.opened = on_wire_opened;
    w->connection.data = on_wire_data;
    w->connection.closed = on_wire_closed;
    return connection_open(&w->connection, loop, where, ca_file, connect_seconds);
}

void websocket_send(websocket *w, const void *data, size_t n) {
    struct wslay_event_msg message = {WSLAY_BINARY_FRAME, data, n};
    if (!w->frames || w->closing) return;
    if (wslay_event_queue_msg(w->frames, &message) == 0) wslay_event_send(w->frames);
}

void websocket_close(websocket *w) {
    connection_close(&w->connection);
    w->closing = w->busy;
    if (w->busy) return;
    if (w->frames) wslay_event_context_free(w->frames);
    w->frames = NULL;
    ishow_buffer_free(&w->in);
    w->taken = 0;
}
