/* Connections opened by libcurl (CURLOPT_CONNECT_ONLY: proxy, name lookup, both IP versions, TLS), then read and
 * written here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/base.h"
#include "net/loop.h"

enum { READS_A_TURN = 4 }; /* reads of one connection before others are served */

static void watch(connection *w, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = (uintptr_t)w};
    if (events == w->watched) return;
    if (epoll_ctl(w->loop->epoll, w->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &event) == 0) w->watched = events;
}

static void fail(connection *w, const char *why) {
    connection_close(w);
    w->closed(w->self, why);
}

/* 0: the connection is closed. */
static int flush(connection *w) {
    while (w->sent < w->out.n) {
        size_t n = 0;
        CURLcode code = curl_easy_send(w->task.easy, w->out.data + w->sent, w->out.n - w->sent, &n);
        if (code == CURLE_AGAIN) {
            watch(w, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
            return 1;
        }
        if (code != CURLE_OK) {
            fail(w, "the connection broke while sending");
            return 0;
        }
        w->sent += n;
    }
    ishow_buffer_free(&w->out);
    w->sent = 0;
    watch(w, EPOLLIN | EPOLLRDHUP);
    return 1;
}

static void on_ready(connection *w, uint32_t events) {
    if (!w->connected) return;
    if (w->out.failed) {
        fail(w, "out of memory");
        return;
    }
    if ((events & EPOLLOUT) && !flush(w)) return;
    w->unread = 0;
    for (int i = 0; i < READS_A_TURN; i++) {
        size_t n = 0;
        CURL *easy = w->task.easy;
        CURLcode code = curl_easy_recv(easy, w->loop->read_buffer, sizeof w->loop->read_buffer, &n);
        if (code == CURLE_AGAIN) return;
        if (code != CURLE_OK || !n) {
            fail(w, code == CURLE_OK ? "the server closed the connection" : "the connection broke");
            return;
        }
        w->data(w->self, w->loop->read_buffer, n);
        if (!w->connected || w->task.easy != easy) return; /* closed, and possibly opened again, by the callback */
    }
    w->unread = w->loop->unread = 1;
}

static void on_connected(loop_task *task, CURLcode code) {
    connection *w = (connection *)task;
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (code != CURLE_OK || curl_easy_getinfo(task->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD) {
        char why[CURL_ERROR_SIZE + 1];
        strcpy(why, loop_fault(task, code ? code : CURLE_COULDNT_CONNECT));
        fail(w, why);
        return;
    }
    w->fd = fd;
    w->connected = 1;
    w->next = w->loop->connections;
    if (w->next) w->next->prev = w;
    w->loop->connections = w;
    watch(w, EPOLLIN | EPOLLRDHUP);
    /* Reading at once binds the connection to its handle; otherwise libcurl might close it as idle. */
    w->unread = w->loop->unread = 1;
    w->opened(w->self);
}

int connection_open(connection *w, net_loop *loop, const char *url, const char *ca_file, double connect_seconds) {
    w->loop = loop;
    w->task.done = on_connected;
    w->ready = on_ready;
    if (!loop_begin(&w->task, url, ca_file, connect_seconds)) return 0;
    curl_easy_setopt(w->task.easy, CURLOPT_CONNECT_ONLY, 1L);
    if (loop_run(loop, &w->task)) return 1;
    connection_close(w);
    return 0;
}

void connection_close(connection *w) {
    if (w->connected) {
        if (w->watched) epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL);
        if (w->prev)
            w->prev->next = w->next;
        else
            w->loop->connections = w->next;
        if (w->next) w->next->prev = w->prev;
        w->prev = w->next = NULL;
        w->connected = 0;
        w->watched = 0;
        w->unread = 0;
    }
    if (w->task.easy) loop_end(w->loop, &w->task);
    ishow_buffer_free(&w->out);
    w->sent = 0;
}

void connection_send(connection *w, const void *data, size_t n) {
    if (!w->connected) return;
    ishow_buffer_add(&w->out, data, n);
    /* Sent in the next iteration, so that the connection is never closed within its caller's call. */
    watch(w, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
}
