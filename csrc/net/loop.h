/* Connections of one thread: an epoll set, and a libcurl multi handle for name lookup, TLS and HTTP. libcurl resolves
 * names on threads of its own, so nothing here blocks. */
#ifndef ISHOW_NET_LOOP_H
#define ISHOW_NET_LOOP_H

#include <curl/curl.h>
#include <stddef.h>

#include "base/buffer.h"

enum { LOOP_READ_BYTES = 16 * 1024 };

/* An easy handle in the loop: first member of a connection and of an http_call. */
typedef struct loop_task {
    CURL *easy;
    char fault[CURL_ERROR_SIZE];
    void (*done)(struct loop_task *task, CURLcode code); /* may end this task or others */
} loop_task;

typedef struct connection connection;
typedef struct last_call last_call;

typedef struct net_loop {
    int epoll;
    CURLM *multi;
    double curl_due;         /* ishow_now() at which libcurl must be called; INFINITY: never */
    connection *connections; /* those that are connected */
    last_call *last_calls;   /* of http_send_last */
    int unread;              /* a connection may hold decrypted bytes that epoll cannot see */
    char read_buffer[LOOP_READ_BYTES];
} net_loop;

/* Opens a zeroed loop. 0: out of memory or descriptors; call net_loop_close in any case. */
int net_loop_open(net_loop *loop);
void net_loop_close(net_loop *loop); /* after all its connections and calls, except those of http_send_last */
/* ishow_now() at which process must be called although the descriptor is not readable; 0: now, INFINITY: no timer. */
double net_loop_due(const net_loop *loop);
/* Handles all due events without waiting, and calls back. One call handles a bounded amount. */
void net_loop_process(net_loop *loop);

/* Creates an easy handle with the options common to all connections; 0: out of memory. ca_file may be NULL. Free it
 * with loop_end. */
int loop_begin(loop_task *task, const char *url, const char *ca_file, double connect_seconds);
int loop_run(net_loop *loop, loop_task *task); /* 0: out of memory */
void loop_end(net_loop *loop, loop_task *task);
/* Message of a failed transfer, e.g. "Could not resolve host: x"; static or owned by the task. */
const char *loop_fault(const loop_task *task, CURLcode code);

/* ---- connection.c: a TLS or TCP connection ---- */
struct connection {
    loop_task task;
    net_loop *loop;
    connection *prev, *next;
    int connected, fd, unread;                     /* all zero: closed */
    uint32_t watched;                              /* epoll events */
    void (*ready)(connection *w, uint32_t events); /* called by the loop with epoll events; 0: there are unread bytes */
    ishow_buffer out;
    size_t sent;
    void *self;
    /* Connected; bytes received (borrowed); closed, with the reason. Each may close the connection. */
    void (*opened)(void *self);
    void (*data)(void *self, char *data, size_t n);
    void (*closed)(void *self, const char *why);
};

/* url: https:// for TLS, http:// without. self and the three functions are set before. 0: out of memory. */
int connection_open(connection *w, net_loop *loop, const char *url, const char *ca_file, double connect_seconds);
void connection_close(connection *w); /* does not call back; may be repeated */
void connection_send(connection *w, const void *data, size_t n);

/* ---- http.c: one request ---- */
typedef struct http_call {
    loop_task task;
    net_loop *loop;
    struct curl_slist *headers;
    ishow_buffer body;
    size_t most;
    int too_large;
    int (*piece)(void *self, const char *data, size_t n);
    void *self;
    /* status 0: no response, `fault` says why. The body is owned by the call. May start the next call on the same
     * struct. */
    void (*answered)(void *self, long status, const char *fault);
} http_call;

typedef struct http_request {
    const char *url;
    const char *const *headers; /* NULL-terminated "Name: value" list, may hold secrets; NULL: none */
    const char *body;           /* of a POST; NULL: a GET */
    const char *ca_file;
    double seconds; /* limit for the whole response; of a stream, limit of the time without data */
    size_t most;    /* maximum bytes of the response; with `piece`, of a response other than 200 */
    /* Receives the body of a 200 in pieces; it may be endless. Returning 0 aborts the call. Must not end the call.
     * NULL: the body is collected. */
    int (*piece)(void *self, const char *data, size_t n);
} http_request;

/* self and answered are set before; everything of the request is copied. 0: out of memory. */
int http_send(http_call *c, net_loop *loop, const http_request *request);
void http_end(http_call *c); /* cancels, frees the body; may be repeated */

/* Sends a request whose response is ignored, such as the end of a session; the loop owns it. 0: out of memory. */
int http_send_last(net_loop *loop, const http_request *request);
/* Waits at most so long until those requests are answered; the others are cancelled. */
void http_finish(net_loop *loop, double seconds);

#endif
