/* Connections: limits, slow clients, malformed and pipelined requests. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/defaults.h"
#include "server/server.h"
#include "server_rig.h"

static void long_heads_are_refused(void **state) {
    (void)state;
    rig *r = rig_ready();
    char *text = malloc(40000);
    int n = sprintf(text, "GET /");
    memset(text + n, 'a', 3000);
    strcpy(text + n + 3000, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    expect(r, text, 414, "uri_too_long");
    n = sprintf(text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Much: ");
    memset(text + n, 'a', 20000);
    strcpy(text + n + 20000, "\r\n\r\n");
    expect(r, text, 431, "headers_too_large");
    expect(r, GET("/healthz", ""), 200, "ready");
    free(text);
    rig_free(r);
}

static void megabytes_of_noise_are_refused(void **state) {
    (void)state;
    rig *r = rig_ready();
    size_t n = 10u << 20;
    char *noise = malloc(n), head[200];
    for (size_t i = 0; i < n; i++) noise[i] = (char)(i * 2654435761u >> 13);
    for (int chunked = 0; chunked < 2; chunked++) {
        int fd = dial(r);
        if (chunked)
            sprintf(head, POST_TTS("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n"), n);
        else
            sprintf(head, POST_TTS("Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n"), n);
        send_all(fd, head, strlen(head));
        send_all(fd, noise, n);
        if (chunked) send_all(fd, "\r\n0\r\n\r\n", 7);
        reply a = receive(fd);
        assert_int_equal(a.status, 413);
        free(a.all);
        /* The same connection can be used again. */
        send_all(fd, GET("/healthz", ""), strlen(GET("/healthz", "")));
        a = receive(fd);
        assert_int_equal(a.status, 200);
        free(a.all);
        close(fd);
    }
    free(noise);
    rig_free(r);
}

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    rig *r = rig_ready();
    int fd = dial(r);
    const char *text =
        POST_TTS("X-Request-Id: one\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"text\":\"a\"}")
            GET("/healthz", "X-Request-Id: two\r\n") GET("/nothing", "X-Request-Id: three\r\n");
    send_all(fd, text, strlen(text));
    static const char *const ids[] = {"one", "two", "three"};
    static const int statuses[] = {200, 200, 404};
    for (int i = 0; i < 3; i++) {
        reply a = receive(fd);
        assert_int_equal(a.status, statuses[i]);
        assert_non_null(strstr(a.head, ids[i]));
        free(a.all);
    }
    close(fd);
    rig_free(r);
}

static void one_client_gets_so_many_connections(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    int fd[4];
    options.host = "0.0.0.0";
    options.insecure = 1;
    options.connections_per_client = 3;
    rig *r = rig_make(&options, 1, 4);
    for (int i = 0; i < 4; i++) {
        fd[i] = dial(r);
        send_all(fd[i], GET("/healthz", ""), strlen(GET("/healthz", "")));
        reply a = receive(fd[i]);
        assert_int_equal(a.status, i < 3 ? 200 : 0);
        free(a.all);
    }
    close(fd[0]);
    for (int i = 0, status = 0; status != 200; i++) { /* its place is free as soon as the server notices */
        reply a = ask(r, GET("/healthz", "Connection: close\r\n"));
        status = a.status;
        free(a.all);
        if (i == 500) fail_msg("no place");
        usleep(10000);
    }
    for (int i = 1; i < 4; i++) close(fd[i]);
    rig_free(r);
}

/* Idle connections may not take all places, even from this machine's own address. */
static void silent_connections_make_room(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.connections_max = 40;
    rig *r = rig_make(&options, 1, 4);
    int fd[100];
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++) {
        fd[i] = dial(r);
        if (i % 10 == 9) expect(r, GET("/healthz", ""), 200, "ready"); /* at any moment */
    }
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++) close(fd[i]);
    expect(r, GET("/healthz", ""), 200, "ready");
    rig_free(r);
}

static void count_slow(void *self, ishow_log_level level, const char *module, const char *id, const char *text) {
    (void)module;
    if (level == ISHOW_LOG_WARN && id && strstr(text, "too slowly")) atomic_fetch_add((atomic_int *)self, 1);
}

/* Clients that never read may hold only a limited part of the server's memory together, and do not affect clients that
 * read. */
static void readers_that_never_read_are_dropped(void **state) {
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* libsoxr grows its buffers in small steps, which takes the sanitizers' allocators minutes for audio of
               this length */
#endif
    enum { NEVER = 5 };
    static atomic_int logged;
    ishow_log_set_sink(count_slow, &logged, ISHOW_LOG_WARN);
    rig *r = rig_ready();
    char body[4000] = "{\"nfe_step\":1,\"sample_rate\":48000,\"text\":\"", text[4600];
    while (strlen(body) < 3800) strcat(body, "A sentence of a long text comes. ");
    strcat(body, "\"}");
    snprintf(text, sizeof text,
             "POST /api/tts/stream HTTP/1.1\r\nHost: localhost\r\nAccept: audio/wav\r\nContent-Type: "
             "application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    int fd[NEVER], reads = dial(r);
    slow_down(
        r, 50000); /* speech is sent for some seconds, so a client that does not read is noticed while more is sent */
    send_all(reads, text, strlen(text));
    for (int i = 0; i < NEVER; i++) send_all(fd[i] = dial(r), text, strlen(text));
    reply whole = receive(reads);
    assert_int_equal(whole.status, 200);
    wait_in_flight(r, 0);
    int cut = 0;
    for (int i = 0; i < NEVER; i++) {
        reply part = receive(fd[i]);
        cut += part.n_body <
               whole.n_body / 10 * 9; /* chunks have headers, whose number depends on how the server read the data */
        free(part.all);
        close(fd[i]);
    }
    print_message("%zu bytes each, %d of %d cut off\n", whole.n_body, cut, NEVER);
    assert_true(whole.n_body > 15000000 && (double)whole.n_body * (NEVER - cut) < 90e6 && cut > 0 && cut < NEVER);
    free(whole.all);
    close(reads);
    rig_free(r);
    ishow_log_set_sink(NULL, NULL, ISHOW_LOG_ERROR);
    assert_int_equal(atomic_load(&logged), cut);
}

static double metric(const rig *r, const char *name) {
    reply m = ask(r, GET("/metrics", "Connection: close\r\n"));
    char line[64];
    snprintf(line, sizeof line, "\nishowtts_%s ", name);
    const char *at = strstr(m.body, line);
    assert_non_null(at);
    const double value = strtod(at + strlen(line), NULL);
    free(m.all);
    return value;
}

/* All of the speech is made, and its reader takes nothing of it: it does not keep place and memory for ever. */
static void a_reader_that_stops_after_the_last_chunk_is_dropped(void **state) {
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* as above */
#endif
    ishow_server_options options = rig_options();
    options.idle_seconds = 2;
    rig *r = rig_make(&options, 1, 4);
    char text[2600] = "{\"nfe_step\":1,\"sample_rate\":48000,\"text\":\"", head[300];
    while (strlen(text) < 2400) strcat(text, "A sentence of a long text comes. ");
    strcat(text, "\"}");
    snprintf(head, sizeof head,
             "POST /api/tts/stream HTTP/1.1\r\nHost: localhost\r\nAccept: audio/wav\r\n"
             "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
             strlen(text));
    const int fd = dial(r);
    send_all(fd, head, strlen(head));
    send_all(fd, text, strlen(text));
    for (int i = 0; metric(r, "audio_seconds_total") < 60 || metric(r, "queue_in_flight") > 0; i++) {
        if (i == 500) fail_msg("no speech");
        usleep(20000);
    }
    for (int i = 0; metric(r, "connections") > 1; i++) {
        if (i == 200) fail_msg("the reader is still there");
        usleep(50000);
    }
    reply part = receive(fd);
    assert_true(part.n_body < 60 * 48000 * 2);
    free(part.all);
    close(fd);
    rig_free(r);
}

static void dripping_connections_are_closed(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.idle_seconds = 1;
    rig *r = rig_make(&options, 1, 4);
    int head = dial(r), body = dial(r);
    const char *half = POST_TTS("Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{");
    send_all(body, half, strlen(half));
    char c;
    ssize_t end = -1;
    for (int i = 0; i < 100 && end; i++) { /* a byte from time to time does not keep the connection */
        send_all(head, "G", 1);
        send_all(body, " ", 1);
        end = recv(head, &c, 1, MSG_DONTWAIT);
        if (end < 0 && errno != EAGAIN) end = 0;
        usleep(100000);
    }
    assert_int_equal(end, 0);
    reply rest = receive(body);
    assert_int_equal(rest.status, 0);
    expect(r, GET("/healthz", ""), 200, "ready");
    free(rest.all);
    close(head), close(body);
    rig_free(r);
}

static void half_a_request_ends_with_its_client(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.idle_seconds = 3600;
    rig *r = rig_make(&options, 1, 4);
    static const char *const halves[] = {"\r\n", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: loc",
                                         POST_TTS("Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        int fd = dial(r);
        assert_int_equal(send(fd, halves[i], strlen(halves[i]), MSG_MORE),
                         (ssize_t)strlen(halves[i])); /* is sent in one segment with the end */
        shutdown(fd, SHUT_WR);
        char c;
        assert_int_equal(recv(fd, &c, 1, 0), 0);
        close(fd);
    }
    int whole = dial(r); /* a client that has ended its side gets its response */
    const char *request = GET("/healthz", "");
    assert_int_equal(send(whole, request, strlen(request), MSG_MORE), (ssize_t)strlen(request));
    shutdown(whole, SHUT_WR);
    reply a = receive(whole);
    assert_int_equal(a.status, 200);
    free(a.all);
    close(whole);
    rig_free(r);
}

static void *talk(void *self) {
    rig *r = self;
    for (int i = 0; i < 6; i++) {
        reply a = post(r, i % 2 ? "/api/tts" : "/api/tts/stream", "Connection: close\r\n",
                       "{\"text\":\"Hello there, all of you.\",\"sample_rate\":11025}");
        reply m = ask(r, GET("/metrics", "Connection: close\r\n"));
        int good = a.status == 200 && m.status == 200 && a.n_body > 1000;
        free(a.all), free(m.all);
        if (!good) return r;
    }
    return NULL;
}

static void many_at_once(void **state) {
    (void)state;
    rig *r = rig_ready();
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, talk, r);
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    expect(r, GET("/metrics", ""), 200, "ishowtts_utterances_total{outcome=\"completed\"} 48\n");
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_heads_are_refused),
        cmocka_unit_test(megabytes_of_noise_are_refused),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(one_client_gets_so_many_connections),
        cmocka_unit_test(silent_connections_make_room),
        cmocka_unit_test(readers_that_never_read_are_dropped),
        cmocka_unit_test(a_reader_that_stops_after_the_last_chunk_is_dropped),
        cmocka_unit_test(dripping_connections_are_closed),
        cmocka_unit_test(half_a_request_ends_with_its_client),
        cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests_name("server connections", tests, NULL, NULL);
}
