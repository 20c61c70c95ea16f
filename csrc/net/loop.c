/* Sockets and timers of all sources. */
#include "net/loop.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/source.h"

enum { EVENTS_A_TURN = 64, SEEN_IDS = 8192, DNS_SECONDS = 60 };

/* ---- libcurl ---- */

static void global_init(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

/* Descriptors of libcurl's carry an odd number in epoll's data; wires, their (even) address. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *self, void *unused) {
    ishow_chat_loop *loop = self;
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
    ishow_chat_loop *loop = self;
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
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a look-up that is given up is not waited for */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(1000 * connect_seconds));
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_SECONDS);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)LOOP_READ_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "Mozilla/5.0 (X11; Linux) iShowTTS");
    if (ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    return 1;
}

int loop_run(ishow_chat_loop *loop, loop_task *task) { return curl_multi_add_handle(loop->multi, task->easy) == CURLM_OK; }

void loop_end(ishow_chat_loop *loop, loop_task *task) {
    curl_multi_remove_handle(loop->multi, task->easy);
    curl_easy_cleanup(task->easy);
    task->easy = NULL;
}

const char *loop_fault(const loop_task *task, CURLcode code) { return task->fault[0] ? task->fault : curl_easy_strerror(code); }

static void take_results(ishow_chat_loop *loop) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        char *task = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE || curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &task) != CURLE_OK || !task) continue;
        ((loop_task *)(void *)task)->done((loop_task *)(void *)task, code);
    }
}

/* ---- the public side ---- */

ishow_chat_loop_options ishow_chat_loop_options_default(void) {
    return (ishow_chat_loop_options){.logins = ISHOW_CHAT_LOGINS, .login_seconds = ISHOW_CHAT_LOGIN_SECONDS};
}

ishow_status ishow_chat_loop_create(ishow_chat_loop **out, const ishow_chat_loop_options *options, ishow_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    *out = NULL;
    if (options->logins < 1 || options->logins > 100000)
        return ishow_fail(error, ISHOW_EINVAL, "logins", "logins must be from 1 to 100000, not %u.", options->logins);
    if (!(options->login_seconds >= 0 && options->login_seconds <= ISHOW_CHAT_SECONDS_MAX))
        return ishow_fail(error, ISHOW_EINVAL, "login_seconds", "login_seconds must be from 0 to %d, not %g.", ISHOW_CHAT_SECONDS_MAX, options->login_seconds);
    pthread_once(&once, global_init);
    ishow_chat_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for live chat could not be had.");
    ishow_handle_made();
    ishow_status status = ISHOW_OK;
    loop->curl_due = (double)INFINITY;
    loop->logins = options->logins;
    loop->login_seconds = options->login_seconds;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->multi = curl_multi_init();
    loop->seen = seen_create(SEEN_IDS);
    loop->login_times = calloc(options->logins, sizeof *loop->login_times);
    if (getrandom(&loop->random, sizeof loop->random, GRND_NONBLOCK) < 0) loop->random = (uint64_t)(1e9 * ishow_now());
    loop->random |= 1;
    if (loop->epoll < 0 || !loop->multi || !loop->seen || !loop->login_times) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "Memory or descriptors for live chat could not be had.");
        goto done;
    }
    for (unsigned i = 0; i < loop->logins; i++) loop->login_times[i] = -(double)INFINITY;
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
done:
    if (status != ISHOW_OK) ishow_chat_loop_free(loop);
    else *out = loop;
    return status;
}

void ishow_chat_loop_free(ishow_chat_loop *loop) {
    if (!loop) return;
    if (loop->multi) curl_multi_cleanup(loop->multi);
    if (loop->epoll >= 0) close(loop->epoll);
    seen_free(loop->seen);
    free(loop->login_times);
    free(loop);
    ishow_handle_freed();
}

int ishow_chat_loop_fd(const ishow_chat_loop *loop) { return loop->epoll; }

int ishow_chat_loop_timeout(const ishow_chat_loop *loop) {
    if (loop->unread) return 0;
    double due = loop->curl_due;
    for (const ishow_chat_source *s = loop->sources; s; s = s->next) due = fmin(due, source_due(s));
    double ms = ceil(1e3 * (due - ishow_now()));
    return isinf(due) ? -1 : ms <= 0 ? 0 : ms > 1e9 ? 1000000000 : (int)ms;
}

void ishow_chat_loop_process(ishow_chat_loop *loop) {
    struct epoll_event events[EVENTS_A_TURN];
    int running, n = epoll_wait(loop->epoll, events, EVENTS_A_TURN, 0);
    for (int i = 0; i < n; i++) {
        uint64_t whose = events[i].data.u64;
        if (whose & 1) {
            uint32_t what = events[i].events;
            int mask = (what & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (what & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (what & EPOLLERR ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(loop->multi, (curl_socket_t)(whose >> 1), mask, &running);
        } else wire_ready((wire *)(uintptr_t)whose, events[i].events); /* wires live as long as their source */
    }
    if (loop->unread) {
        loop->unread = 0;
        for (wire *w = loop->wires, *next; w; w = next) {
            next = w->next; /* reading one wire closes no other */
            if (w->unread) wire_ready(w, 0);
        }
    }
    if (loop->curl_due <= ishow_now()) {
        loop->curl_due = (double)INFINITY;
        curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_results(loop);
    double now = ishow_now();
    for (ishow_chat_source *s = loop->sources; s; s = s->next)
        if (source_due(s) <= now) source_tick(s, now);
}

double loop_random(ishow_chat_loop *loop) {
    loop->random ^= loop->random << 13;
    loop->random ^= loop->random >> 7;
    loop->random ^= loop->random << 17;
    return (double)(loop->random >> 11) * 0x1p-53;
}

double loop_login_turn(ishow_chat_loop *loop, double now) {
    double free_at = loop->login_times[loop->login_next] + loop->login_seconds; /* the oldest of the latest */
    if (free_at > now) return free_at;
    loop->login_times[loop->login_next] = now;
    loop->login_next = (loop->login_next + 1) % loop->logins;
    return now;
}
