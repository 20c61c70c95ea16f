/* HTTP: one request at a time for each caller; libcurl keeps and shares connections. */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "net/loop.h"

enum { STREAM_BYTES_MIN = 1 }; /* bytes per second, measured over `seconds`; a slower stream counts as dead */

static size_t on_body(char *data, size_t one, size_t n, void *self) {
    http_call *c = self;
    long status = 0;
    (void)one;
    curl_easy_getinfo(c->task.easy, CURLINFO_RESPONSE_CODE, &status);
    if (c->piece && status == 200) return c->piece(c->self, data, n) ? n : 0;
    if (n > c->most - c->body.n) {
        c->too_large = 1;
        return 0; /* makes libcurl fail the transfer */
    }
    ishow_buffer_add(&c->body, data, n);
    return c->body.failed ? 0 : n;
}

static void on_answer(loop_task *task, CURLcode code) {
    http_call *c = (http_call *)task;
    long status = 0;
    char fault[CURL_ERROR_SIZE + 1] = "";
    if (code == CURLE_OK)
        curl_easy_getinfo(task->easy, CURLINFO_RESPONSE_CODE, &status);
    else if (c->too_large)
        snprintf(fault, sizeof fault, "the answer is larger than %zu bytes", c->most);
    else
        strcpy(fault, loop_fault(task, code));
    loop_end(c->loop, task);
    c->answered(c->self, status, fault);
}

int http_send(http_call *c, net_loop *loop, const http_request *r) {
    http_end(c);
    c->loop = loop;
    c->most = r->most;
    c->piece = r->piece;
    c->task.done = on_answer;
    if (!loop_begin(&c->task, r->url, r->ca_file, r->seconds)) return 0;
    CURL *easy = c->task.easy;
    for (const char *const *header = r->headers; header && *header; header++) {
        struct curl_slist *longer = curl_slist_append(c->headers, *header);
        if (!longer) {
            http_end(c);
            return 0;
        }
        c->headers = longer;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    if (r->piece) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)STREAM_BYTES_MIN);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(r->seconds < 1 ? 1 : r->seconds));
    } else
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(1000 * r->seconds));
    if (r->body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(r->body));
        curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, r->body);
    }
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    if (loop_run(loop, &c->task)) return 1;
    http_end(c);
    return 0;
}

void http_end(http_call *c) {
    if (c->task.easy) loop_end(c->loop, &c->task);
    curl_slist_free_all(c->headers);
    c->headers = NULL;
    ishow_buffer_free(&c->body);
    c->too_large = 0;
}

struct last_call {
    http_call call;
    last_call *next;
};

static void last_free(last_call *c) {
    last_call **at = &c->call.loop->last_calls;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    http_end(&c->call);
    free(c);
}

static void on_last_answer(void *self, long status, const char *fault) {
    if (status != 200)
        ishow_log(ISHOW_LOG_INFO, "net", "the last request of a session failed: %s (HTTP %ld)",
                  status ? "refused" : fault, status);
    last_free(self);
}

int http_send_last(net_loop *loop, const http_request *request) {
    last_call *c = calloc(1, sizeof *c);
    if (!c) return 0;
    c->call.self = c;
    c->call.answered = on_last_answer;
    if (!http_send(&c->call, loop, request)) {
        free(c);
        return 0;
    }
    c->next = loop->last_calls;
    loop->last_calls = c;
    return 1;
}

void http_finish(net_loop *loop, double seconds) {
    const double end = ishow_now() + seconds;
    for (double now; loop->last_calls && (now = ishow_now()) < end;) {
        struct pollfd ready = {.fd = loop->epoll, .events = POLLIN};
        const double until = fmin(end, net_loop_due(loop));
        poll(&ready, 1, until > now ? (int)ceil(1e3 * (until - now)) : 0);
        net_loop_process(loop);
    }
    while (loop->last_calls) last_free(loop->last_calls);
}
