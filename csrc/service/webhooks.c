#include "service/webhooks.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/base.h"
#include "net/loop.h"

enum { SECONDS = 5, ANSWER_BYTES_MAX = 64 * 1024, TURN_MS_MAX = 1000 };

struct webhooks {
    pthread_mutex_t lock; /* guards the next five */
    char urls[WEBHOOKS_MAX][WEBHOOK_URL_MAX + 1];
    size_t n_urls;
    char *events[WEBHOOK_EVENTS_MAX]; /* a ring */
    size_t first, n_events;
    int ending;
    pthread_t thread;
    int runs, waker; /* waker: eventfd */
    net_loop loop;
    http_call calls[WEBHOOKS_MAX]; /* the thread's */
    size_t open;
};

static void wake(webhooks *w) {
    const uint64_t one = 1;
    const ssize_t ignored = write(w->waker, &one, sizeof one);
    (void)ignored;
}

static void on_answered(void *self, long status, const char *fault) {
    webhooks *w = self;
    w->open--;
    if (status < 200 || status > 299)
        ishow_log(ISHOW_LOG_WARN, "chat", "a webhook failed: %s (HTTP %ld)", status ? "refused" : fault, status);
}

/* Sends the oldest event to every address; the next one is sent when all have answered, so that the order is kept. */
static void send_next(webhooks *w) {
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    char urls[WEBHOOKS_MAX][WEBHOOK_URL_MAX + 1];
    char *event = NULL;
    size_t n = 0;
    pthread_mutex_lock(&w->lock);
    if (w->n_events) {
        event = w->events[w->first];
        w->first = (w->first + 1) % WEBHOOK_EVENTS_MAX;
        w->n_events--;
        n = w->n_urls;
        memcpy(urls, w->urls, n * sizeof *urls);
    }
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; event && i < n; i++) {
        w->calls[i].self = w;
        w->calls[i].answered = on_answered;
        w->open += (size_t)http_send(
            &w->calls[i], &w->loop,
            &(http_request){
                .url = urls[i], .headers = headers, .body = event, .seconds = SECONDS, .most = ANSWER_BYTES_MAX});
    }
    free(event);
}

static void *run(void *self) {
    webhooks *w = self;
    struct pollfd files[] = {{.fd = w->loop.epoll, .events = POLLIN}, {.fd = w->waker, .events = POLLIN}};
    for (;;) {
        uint64_t count;
        pthread_mutex_lock(&w->lock);
        const int ending = w->ending, waits = w->n_events > 0;
        pthread_mutex_unlock(&w->lock);
        if (ending) return NULL;
        net_loop_process(&w->loop);
        if (!w->open && waits) {
            send_next(w);
            continue;
        }
        const double due = net_loop_due(&w->loop) - ishow_now();
        poll(files, 2, !w->open ? -1 : due <= 0 ? 0 : due * 1e3 < TURN_MS_MAX ? (int)(due * 1e3) + 1 : TURN_MS_MAX);
        const ssize_t ignored = read(w->waker, &count, sizeof count);
        (void)ignored;
    }
}

webhooks *webhooks_create(void) {
    webhooks *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    pthread_mutex_init(&w->lock, NULL);
    w->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int opened = net_loop_open(&w->loop);
    w->runs = w->waker >= 0 && opened && !pthread_create(&w->thread, NULL, run, w);
    if (w->runs) {
        pthread_setname_np(w->thread, "ishow-webhooks");
        return w;
    }
    webhooks_free(w);
    return NULL;
}

void webhooks_free(webhooks *w) {
    if (!w) return;
    if (w->runs) {
        pthread_mutex_lock(&w->lock);
        w->ending = 1;
        pthread_mutex_unlock(&w->lock);
        wake(w);
        pthread_join(w->thread, NULL);
    }
    for (size_t i = 0; i < WEBHOOKS_MAX; i++) http_end(&w->calls[i]);
    net_loop_close(&w->loop);
    if (w->waker >= 0) close(w->waker);
    for (; w->n_events; w->n_events--, w->first = (w->first + 1) % WEBHOOK_EVENTS_MAX) free(w->events[w->first]);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void webhooks_set(webhooks *w, const ishow_chat_words *urls) {
    pthread_mutex_lock(&w->lock);
    w->n_urls = 0;
    for (size_t i = 0; i < urls->n && w->n_urls < WEBHOOKS_MAX; i++)
        if (strlen(urls->item[i]) <= WEBHOOK_URL_MAX) strcpy(w->urls[w->n_urls++], urls->item[i]);
    pthread_mutex_unlock(&w->lock);
}

void webhooks_event(void *self, const char *event, const char *json) {
    webhooks *w = self;
    if (strcmp(event, "start") && strcmp(event, "end")) return;
    const size_t size = strlen(event) + strlen(json) + 16;
    pthread_mutex_lock(&w->lock);
    char *text = w->n_urls ? malloc(size) : NULL;
    if (text) {
        snprintf(text, size, "{\"event\":\"%s\",%s", event, json + 1); /* behind its opening brace */
        if (w->n_events == WEBHOOK_EVENTS_MAX) {
            free(w->events[w->first]);
            w->first = (w->first + 1) % WEBHOOK_EVENTS_MAX;
            w->n_events--;
        }
        w->events[(w->first + w->n_events++) % WEBHOOK_EVENTS_MAX] = text;
    }
    pthread_mutex_unlock(&w->lock);
    if (text) wake(w);
}
