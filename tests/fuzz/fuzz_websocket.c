/* What a server sends over a WebSocket: the answer to the handshake, then frames. The key is fixed, so that inputs can
 * get past it. */
#include "fuzz_events.h"
#include "net/websocket.h"

static int over;

static void opened(void *self) { websocket_send(self, "hello", 5); }
static void message(void *self, const unsigned char *data, size_t n) {
    if (n && data[0] == 'X') websocket_close(self); /* a caller may end it from inside */
}
static void closed(void *self, const char *why) {
    (void)self, (void)why;
    over = 1;
}
static void heard(void *self, size_t n) { (void)self, (void)n; }

int fuzz_one(const uint8_t *data, size_t n) {
    static net_loop loop;
    static int is_open;
    static const char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                               "Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    websocket w = {.opened = opened, .message = message, .closed = closed, .heard = heard};
    if (!is_open && !(is_open = net_loop_open(&loop))) return 0;
    w.self = &w;
    over = 0;
    /* The connection is begun and never made: the loop does not run, and bytes are handed in by hand. */
    if (!websocket_open(&w, &loop, "ws://127.0.0.1:1/", NULL, 1, 1 << 16)) return 0;
    strcpy(w.key, "dGhlIHNhbXBsZSBub25jZQ=="); /* of RFC 6455 */
    int whole = n && data[0] & 1;
    if (whole) w.connection.data(&w, (char *)(uintptr_t)head, sizeof head - 1);
    for (size_t from = n > 0, step = n ? 1 + data[0] / 2 : 1; from < n && !over && w.connection.task.easy; from += step)
        w.connection.data(&w, (char *)(uintptr_t)data + from, n - from < step ? n - from : step);
    websocket_close(&w);
    return 0;
}
