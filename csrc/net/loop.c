/* The event loop of net/. */
#include "net/loop.h"

#include <math.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/base.h"

enum { EVENTS_A_TURN = 64, DNS_SECONDS = 60 };

/* ---- libcurl ---- */

static void global_init(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

/* epoll's data is an odd number for descriptors of libcurl, and the (even) address for connections. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *unused) {
    net_loop *loop = self;
    struct epoll_event event = {.events = 0, .data.u64 = (uint64_t)fd << 1 | 1};
    (void)easy, (void)unused;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &event)) epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *self) {
    net_loop *loop = self;
    (void)multi;
    loop->curl_due = ms < 0 ? (double)INFINITY : ishow_now() + 1e-3 * (double)ms;
    return 0;
}

int loop_begin(loop_task *task, const char *url, const char *ca_file, double connect_seconds) {
    CURL *easy = task->easy = curl_easy_init();
    if (!easy) return 0;
    task->fault[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, task);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, task->fault);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name lookup that was abandoned */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * connect_seconds));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_SECONDS);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)LOOP_READ_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "Mozilla/5.0 (X11; Linux) iShowTTS");
    if (ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    return 1;
}

int loop_run(net_loop *loop, loop_task *task) { return curl_multi_add_handle(loop->multi, task->easy) == CURLM_OK; }

void loop_end(net_loop *loop, loop_task *task) {
    curl_multi_remove_handle(loop->multi, task->easy);
    curl_easy_cleanup(task->easy);
    task->easy = NULL;
}

const char *loop_fault(const loop_task *task, CURLcode code) {
    return task->fault[0] ? task->fault : curl_easy_strerror(code);
}

static void take_results(net_loop *loop) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        char *task = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE ||
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &task) != CURLE_OK || !task)
            continue;
        ((loop_task *)(void *)task)->done((loop_task *)(void *)task, code);
    }
}

/* ---- the loop ---- */

int net_loop_open(net_loop *loop) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    loop->curl_due = (double)INFINITY;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->multi = curl_multi_init();
    if (loop->epoll < 0 || !loop->multi) return 0;
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    return 1;
}

void net_loop_close(net_loop *loop) {
    if (loop->multi) curl_multi_cleanup(loop->multi);
    if (loop->epoll >= 0) close(loop->epoll);
}

double net_loop_due(const net_loop *loop) { return loop->unread ? 0 : loop->curl_due; }

void net_loop_process(net_loop *loop) {
    struct epoll_event events[EVENTS_A_TURN];
    int running, n = epoll_wait(loop->epoll, events, EVENTS_A_TURN, 0);
    for (int i = 0; i < n; i++) {
        uint64_t whose = events[i].data.u64;
        if (whose & 1) {
            uint32_t what = events[i].events;
            int mask = (what & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (what & EPOLLERR ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(loop->multi, (curl_socket_t)(whose >> 1), mask, &running);
        } else { /* not freed meanwhile: owners free connections outside this loop */
            connection *w = (connection *)(uintptr_t)whose;
            w->ready(w, events[i].events);
        }
    }
    if (loop->unread) {
        loop->unread = 0;
        for (connection *w = loop->connections, *next; w; w = next) {
            next = w->next; /* reading one connection never closes another */
            if (w->unread) w->ready(w, 0);
        }
    }
    if (loop->curl_due <= ishow_now()) {
        loop->curl_due = (double)INFINITY;
        curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_results(loop);
}
