/* HTTP GET: one at a time for each caller; libcurl keeps and shares connections. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "net/loop.h"

static size_t on_body(char *data, size_t one, size_t n, void *self) {
    http_call *c = self;
    (void)one;
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

int http_get(http_call *c, net_loop *loop, const char *url, const char *const *headers, const char *ca_file,
             double seconds, size_t most) {
    http_end(c);
    c->loop = loop;
    c->most = most;
    c->task.done = on_answer;
    if (!loop_begin(&c->task, url, ca_file, seconds)) return 0;
    CURL *easy = c->task.easy;
    for (; headers && *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(c->headers, *headers);
        if (!longer) {
            http_end(c);
            return 0;
        }
        c->headers = longer;
    }
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(1000 * seconds));
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
