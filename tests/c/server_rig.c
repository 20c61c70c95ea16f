#include "server_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static rig *make(const ishow_server_options *options, int ready, size_t queue, const char *voice) {
    rig *r = calloc(1, sizeof *r);
    ishow_error error = {0};
    ishow_engine_options engine = ishow_engine_options_default();
    engine.queue_capacity = queue;
    r->handles = ishow_live_handles();
    fake_model_init(&r->model);
    fake_text_init(&r->text);
    const ishow_backend backend = fake_backend(&r->model, ISHOW_TEXT_PADDED, voice != NULL, 1, 4000);
    const ishow_text_frontend frontend = fake_frontend(&r->text);
    if (ishow_engine_create(&r->engine, &backend, &frontend, &engine, &error) != ISHOW_OK)
        fail_msg("engine: %s", error.message);
    if (voice) fake_voice(r->engine, voice, "This is the text of the reference voice.", 0.05f);
    if (ishow_server_create(&r->server, options, &error) != ISHOW_OK) fail_msg("server: %s", error.message);
    if (ready) ishow_server_ready(r->server, r->engine, voice);
    return r;
}

rig *rig_make(const ishow_server_options *options, int ready, size_t queue) {
    return make(options, ready, queue, "anna");
}

rig *rig_without_voice(void) {
    const ishow_server_options options = rig_options();
    return make(&options, 1, 64, NULL);
}

ishow_server_options rig_options(void) {
    ishow_server_options options = ishow_server_options_default();
    options.port = 0;
    return options;
}

rig *rig_ready(void) {
    const ishow_server_options options = rig_options();
    return rig_make(&options, 1, 64);
}

void rig_free(rig *r) {
    ishow_server_drain(r->server, 10);
    ishow_engine_free(r->engine);
    ishow_server_free(r->server);
    assert_int_equal(r->model.closed, 1);
    assert_int_equal(ishow_live_handles(), r->handles);
    free(r);
}

int dial(const rig *r) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)ishow_server_port(r->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 60};
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void send_all(int fd, const char *data, size_t n) {
    while (n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the server may have closed the connection: the response shows it */
        data += sent;
        n -= (size_t)sent;
    }
}

/* How many of the next bytes, at most `most`, belong to the head that begins with the n in `all`; behind those it is
 * overwritten. 0: the connection has ended. */
static size_t of_head(int fd, char *all, size_t n, size_t most) {
    const ssize_t seen = recv(fd, all + n, most, MSG_PEEK);
    if (seen <= 0) return 0;
    const size_t from = n < 3 ? 0 : n - 3;
    const char *end = memmem(all + from, n + (size_t)seen - from, "\r\n\r\n", 4);
    return end ? (size_t)(end + 4 - all) - n : (size_t)seen;
}

/* Reads until the connection ends, or until a body of known length is complete. */
reply receive(int fd) {
    reply r = {0};
    size_t n = 0, capacity = 4096, need = SIZE_MAX;
    r.all = malloc(capacity);
    for (;;) {
        if (n + 1 >= capacity) r.all = realloc(r.all, capacity *= 2);
        size_t next = capacity - n - 1;
        if (!r.head) next = of_head(fd, r.all, n, next);
        if (next > need - n) next = need - n;
        const ssize_t got = next ? recv(fd, r.all + n, next, 0) : 0;
        if (got <= 0) break;
        n += (size_t)got;
        r.all[n] = '\0';
        if (!r.head && n >= 4 && !strcmp(r.all + n - 4, "\r\n\r\n")) {
            const char *length = strcasestr(r.all, "\r\nContent-Length:");
            need = n + (length ? strtoul(length + 17, NULL, 10) : strstr(r.all, " 204 ") ? 0 : SIZE_MAX / 2);
            r.head = (char *)1;
            r.n_body = n;
        }
        if (n >= need) break;
    }
    r.all[n] = '\0';
    size_t split = r.n_body;
    r.head = r.all;
    r.body = r.all + split;
    r.n_body = n - split;
    if (split && sscanf(r.all, "HTTP/1.1 %d", &r.status) != 1) r.status = -1;
    return r;
}

reply ask(const rig *r, const char *text) {
    int fd = dial(r);
    send_all(fd, text, strlen(text));
    reply answer = receive(fd);
    close(fd);
    return answer;
}

reply post(const rig *r, const char *path, const char *fields, const char *body) {
    char text[4096];
    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n%s",
             path, strlen(body), fields, body);
    return ask(r, text);
}

void expect(const rig *r, const char *text, int status, const char *holds) {
    reply a = ask(r, text);
    if (a.status != status || !strstr(a.all, holds)) fail_msg("%.200s...\nanswered %d: %s", text, a.status, a.all);
    if (status >= 400 && (strncmp(a.body, "{\"error\":{\"code\":\"", 18) || !strcasestr(a.all, "X-Request-Id: ")))
        fail_msg("not an error: %s", a.all);
    free(a.all);
}

void slow_down(rig *r, int us) { fake_set(&r->model, &r->model.slow_us, us); }

void wait_in_flight(rig *r, size_t n) {
    ishow_engine_stats stats;
    for (int i = 0; i < 2000; i++) {
        ishow_engine_stats_get(r->engine, &stats);
        if (stats.waiting + stats.in_flight == n) return;
        usleep(5000);
    }
    fail_msg("%zu utterances, not %zu", stats.waiting + stats.in_flight, n);
}

void start(int fd, const char *path, const char *id) {
    char text[400];
    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %s\r\nContent-Type: "
             "application/json\r\nContent-Length: 31\r\n\r\n{\"text\":\"Hello.\",\"nfe_step\":64}",
             path, id);
    send_all(fd, text, strlen(text));
}
