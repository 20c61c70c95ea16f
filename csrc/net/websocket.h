/* The client's side of a WebSocket: it does the handshake, wslay reads and writes frames, and a connection transports
 * them. */
#ifndef ISHOW_NET_WEBSOCKET_H
#define ISHOW_NET_WEBSOCKET_H

#include <wslay/wslay.h>

#include "net/loop.h"

typedef struct websocket {
    connection connection;
    wslay_event_context_ptr frames; /* NULL before the handshake is done */
    ishow_buffer in;                /* bytes that wslay has not read, or the response's head */
    size_t taken, most;
    int busy, closing; /* closed from inside one of its own callbacks: freed when that callback returns */
    char key[32], host[280], path[640];
    void *self;
    /* The first two may send and close; `closed` is called when everything is closed. */
    void (*opened)(void *self);
    void (*message)(void *self, const unsigned char *data, size_t n);
    void (*closed)(void *self, const char *why);
    void (*heard)(void *self, size_t n); /* bytes were received; called before anything else */
} websocket;

/* url: wss://host/path, or ws:// without TLS. most: bytes of a message. self and the functions are set before. 0: out
 * of memory, or no such address. */
int websocket_open(websocket *w, net_loop *loop, const char *url, const char *ca_file, double connect_seconds,
                   size_t most);
void websocket_send(websocket *w, const void *data, size_t n); /* one binary message */
void websocket_close(websocket *w);                            /* does not call back; may be repeated */

#endif
