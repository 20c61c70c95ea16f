/* The loop's inside: one epoll set, one libcurl multi handle for look-ups, TLS and HTTP, and the sources' timers. libcurl resolves names on
 * threads of its own, so nothing here waits. */
#ifndef ISHOW_NET_LOOP_H
#define ISHOW_NET_LOOP_H

#include <curl/curl.h>

#include "base/buffer.h"
#include "platforms/event_sink.h"

enum { LOOP_READ_BYTES = 16 * 1024 };

/* What libcurl works on for somebody: first member of a wire and of an http_call. */
typedef struct loop_task {
    CURL *easy;
    char fault[CURL_ERROR_SIZE];
    void (*done)(struct loop_task *task, CURLcode code); /* may end the task or others */
} loop_task;

typedef struct wire wire;

struct ishow_chat_loop {
    int epoll;
    CURLM *multi;
    double curl_due;            /* ishow_now() at which libcurl wants to be called; INFINITY: never */
    ishow_chat_source *sources, *last_source; /* in the order of opening, which is the order of turns */
    wire *wires;                /* those that are connected */
    int unread;                 /* some wire may hold bytes that epoll cannot see */
    seen *seen;
    uint64_t random;
    double *login_times;        /* ring of the latest log-ins */
    unsigned logins, login_next;
    double login_seconds;
    char scratch[LOOP_READ_BYTES]; /* of one read */
};

/* An easy handle with what all connections share; NULL: out of memory. ca_file may be NULL. Give it back to loop_end. */
int loop_begin(loop_task *task, const char *url, const char *ca_file, double connect_seconds);
int loop_run(ishow_chat_loop *loop, loop_task *task); /* 0: out of memory */
void loop_end(ishow_chat_loop *loop, loop_task *task);
/* "Could not resolve host: x", from libcurl; static or the task's own. */
const char *loop_fault(const loop_task *task, CURLcode code);

double loop_random(ishow_chat_loop *loop); /* [0, 1) */
/* When the next log-in may begin, `now` or later; taken when it is now. */
double loop_login_turn(ishow_chat_loop *loop, double now);

/* ---- connection.c: a TLS or TCP connection ---- */
struct wire {
    loop_task task;
    ishow_chat_loop *loop;
    wire *prev, *next;
    int connected, fd, unread;  /* all zero: closed */
    uint32_t watched;           /* epoll events */
    ishow_buffer out;
    size_t sent;
    void *self;
    /* Connected; bytes came (borrowed); it is closed and why. Each may close the wire. */
    void (*opened)(void *self);
    void (*data)(void *self, char *data, size_t n);
    void (*closed)(void *self, const char *why);
};

/* url: https:// for TLS, http:// without. self and the three functions are set before. 0: out of memory. */
int wire_open(wire *w, ishow_chat_loop *loop, const char *url, const char *ca_file, double connect_seconds);
void wire_close(wire *w);       /* without a call; may be repeated */
void wire_send(wire *w, const void *data, size_t n);
void wire_ready(wire *w, uint32_t events);

/* ---- http.c: one GET ---- */
typedef struct http_call {
    loop_task task;
    ishow_chat_loop *loop;
    struct curl_slist *headers;
    ishow_buffer body;
    size_t most;
    int too_large;
    void *self;
    /* status 0: no answer came, fault says why. The body belongs to the call. May start the next call on the same struct. */
    void (*answered)(void *self, long status, const char *fault);
} http_call;

/* headers: NULL-terminated "Name: value" list, may hold secrets. 0: out of memory. */
int http_get(http_call *c, ishow_chat_loop *loop, const char *url, const char *const *headers, const char *ca_file, double seconds, size_t most);
void http_end(http_call *c);    /* cancels, frees the body; may be repeated */

#endif
