/* GET /api/danmaku/stream: the chat's events and audio, as server-sent events or, for a client that asks for an
 * upgrade, over WebSocket. A listener is a reader of the chat's feed and skips what it does not read in time; one that
 * reads nothing is dropped by the connection's time-out. */
#include <sys/socket.h>

#include "server/internal.h"

enum {
    SOCKET_BYTES = 64 * 1024
}; /* otherwise the kernel would buffer megabytes for a listener that does not read, and its audio would be late */

static int stream_news(exchange *x) { return ishow_chat_reader_ready(x->waited); }
static void stream_hang_up(exchange *x) { (void)x; }
static void stream_release(exchange *x) { ishow_chat_reader_close(x->waited); }

static int is_ready(void *reader) { return ishow_chat_reader_ready(reader); }
static size_t read_text(void *reader, char *out, size_t most) { return ishow_chat_reader_text(reader, out, most); }
static void close_reader(void *reader) { ishow_chat_reader_close(reader); }

static enum MHD_Result stream_resume(exchange *x) {
    static const subscriber_kind kind = {.ready = is_ready, .read = read_text, .release = close_reader};
    return subscriber_begin(x, &kind, "text/event-stream");
}

static const wait_kind listening = {
    .endless = 1, .news = stream_news, .resume = stream_resume, .hang_up = stream_hang_up, .release = stream_release};

/* ---- over WebSocket ---- */

static void on_message(ws *w, const unsigned char *data, size_t n, int binary) {
    (void)data, (void)n, (void)binary;
    ws_close(w, 1003, "This stream is for listening; commands go to /api/danmaku over HTTP.");
}

static void on_news(ws *w) {
    const unsigned char *data;
    size_t n;
    int binary;
    while (ws_capacity(w) && ishow_chat_reader_frame(ws_self(w), &data, &n, &binary)) ws_send(w, binary, data, n);
}

static int is_busy(const ws *w) {
    (void)w;
    return 0; /* the stream never ends by itself */
}

static void on_release(ws *w) { ishow_chat_reader_close(ws_self(w)); }

enum MHD_Result answer_danmaku_stream(exchange *x) {
    static const ws_kind kind = {.message = on_message, .news = on_news, .busy = is_busy, .release = on_release};
    ishow_chat_reader *reader;
    ishow_error error = {0};
    if (x->server->chat_group) ishow_chat_group_listen(x->server->chat_group, x->chat_number);
    if (ishow_chat_reader_open(&reader, ishow_chat_service_chat(x->chat), header_get(x, "Last-Event-ID"), &error) !=
        ISHOW_OK) {
        ishow_fault_from_error(&x->fault, &error);
        return respond_fault(x);
    }
    const int most = SOCKET_BYTES;
    if (x->peer) setsockopt(x->peer->fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
    if (ws_wanted(x)) return ws_accept(x, &kind, reader, 1024);
    x->phase = PHASE_WAIT;
    exchange_wait_for(x, &listening, reader);
    server_wake(x->server); /* the first event is `state` */
    return MHD_YES;
}
