/* WebSockets at the level of bytes: the handshake, frames, control frames, limits, and that no handle is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "server_rig.h"

#define WS(more) "GET /api/tts/ws HTTP/1.1\r\nHost: localhost\r\n" more "\r\n"
#define UPGRADE                                                                                                 \
    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " \
    "dGhlIHNhbXBsZSBub25jZQ==\r\n"

static int open_ws(const rig *r, const char *early, size_t n_early) {
    int fd = dial(r);
    char hello[1024], got[1024] = "";
    size_t n = strlen(strcpy(hello, WS(UPGRADE)));
    memcpy(hello + n, early, n_early);
    send_all(fd, hello, n + n_early);
    for (n = 0; n < sizeof got - 1 && !strstr(got, "\r\n\r\n"); n++)
        if (recv(fd, got + n, 1, 0) != 1) fail_msg("no handshake: %s", got);
    if (strncmp(got, "HTTP/1.1 101 ", 13) ||
        !strcasestr(got, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        fail_msg("%s", got); /* RFC 6455, 1.3 */
    return fd;
}

static size_t make_frame(unsigned char *out, int head, const void *data, size_t n, int masked) {
    size_t at = 0;
    out[at++] = (unsigned char)head;
    if (n < 126)
        out[at++] = (unsigned char)(n | (masked ? 128u : 0));
    else {
        out[at++] = (unsigned char)(126 | (masked ? 128 : 0));
        out[at++] = (unsigned char)(n >> 8);
        out[at++] = (unsigned char)n;
    }
    static const unsigned char mask[4] = {1, 2, 3, 4};
    if (masked) memcpy(out + at, mask, 4), at += 4;
    for (size_t i = 0; i < n; i++)
        out[at++] = (unsigned char)(((const unsigned char *)data)[i] ^ (masked ? mask[i % 4] : 0));
    return at;
}

static void send_frame(int fd, int head, const void *data, size_t n) {
    unsigned char *out = malloc(n + 16);
    n = make_frame(out, head, data, n, 1);
    send_all(fd, (char *)out, n);
    free(out);
}

static void say(int fd, const char *json) { send_frame(fd, 0x81, json, strlen(json)); }

typedef struct frame {
    int opcode;
    size_t n;
    char *data;
} frame;

static int read_all(int fd, void *out, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(fd, (char *)out + at, n - at, 0);
        if (got <= 0) return 0;
        at += (size_t)got;
    }
    return 1;
}

/* opcode -1: the connection has ended. */
static frame read_frame(int fd) {
    unsigned char head[10];
    frame f = {-1, 0, NULL};
    if (!read_all(fd, head, 2)) return f;
    assert_int_equal(head[0] & 0xF0, 0x80);
    assert_int_equal(head[1] & 0x80, 0);
    f.n = head[1];
    if (f.n >= 126) {
        const size_t more = f.n == 126 ? 2 : 8;
        assert_true(read_all(fd, head + 2, more));
        f.n = 0;
        for (size_t i = 0; i < more; i++) f.n = f.n << 8 | head[2 + i];
    }
    f.data = calloc(1, f.n + 1);
    assert_true(read_all(fd, f.data, f.n));
    f.opcode = head[0] & 15;
    return f;
}

/* The next frame that is not an event of a word. */
static frame read_other(int fd) {
    for (;;) {
        frame f = read_frame(fd);
        if (f.opcode != 1 || !strstr(f.data, "\"event\":\"word\"")) return f;
        free(f.data);
    }
}

static void expect_text(int fd, const char *holds) {
    frame f = read_other(fd);
    if (f.opcode != 1 || !strstr(f.data, holds))
        fail_msg("opcode %d, not \"%s\": %s", f.opcode, holds, f.data ? f.data : "");
    free(f.data);
}

static void expect_close(int fd, int code) {
    frame f = read_frame(fd);
    if (f.opcode != 8 || f.n < 2)
        fail_msg("opcode %d of %zu bytes is no close: %s", f.opcode, f.n, f.data ? f.data : "");
    assert_int_equal((unsigned char)f.data[0] << 8 | (unsigned char)f.data[1], code);
    free(f.data);
}

/* Reads the events of one request to its end; returns the bytes of audio. */
static size_t read_speech(int fd, const char *id) {
    size_t audio = 0, seq = 0;
    char wanted[100];
    snprintf(wanted, sizeof wanted, "\"request_id\":\"%s\"", id);
    for (int started = 0;;) {
        frame f = read_other(fd);
        if (f.opcode == 2) {
            uint32_t head;
            char text[200] = "", place[40];
            memcpy(&head, f.data, 4);
            assert_true(started && head + 4 < f.n && head < sizeof text);
            memcpy(text, f.data + 4, head);
            snprintf(place, sizeof place, "\"seq\":%zu,", seq++);
            assert_non_null(strstr(text, wanted));
            assert_non_null(strstr(text, place));
            audio += f.n - 4 - head;
        } else if (f.opcode == 1 && strstr(f.data, "\"event\":\"start\"")) {
            assert_non_null(strstr(f.data, wanted));
            started = 1;
        } else {
            if (f.opcode != 1 || !started || !strstr(f.data, "\"event\":\"end\""))
                fail_msg("opcode %d: %s", f.opcode, f.data ? f.data : "");
            char length[60];
            snprintf(length, sizeof length, "\"waveform_len\":%zu,", audio / 2);
            assert_non_null(strstr(f.data, length));
            free(f.data);
            return audio;
        }
        free(f.data);
    }
}

static void handshakes_are_checked(void **state) {
    (void)state;
    rig *r = rig_ready();
    expect(r, WS(""), 426, "Upgrade: websocket");
    expect(r, WS("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"), 426,
           "Sec-WebSocket-Version: 13");
    expect(r,
           WS("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n"),
           400, "Sec-WebSocket-Key");
    expect(r, WS(UPGRADE "Origin: https://evil.example\r\n"), 403, "forbidden_origin");
    expect(r, "GET /api/tts/ws HTTP/1.1\r\nHost: evil.example\r\n" UPGRADE "\r\n", 403, "forbidden_host");
    rig_free(r);
    ishow_server_options options = rig_options();
    options.api_key = "secret";
    r = rig_make(&options, 1, 4);
    expect(r, WS(UPGRADE), 401, "unauthorized");
    rig_free(r);
}

static void many_requests_share_a_connection(void **state) {
    (void)state;
    rig *r = rig_ready();
    static const char first[] = "{\"request_id\":\"early\",\"text\":\"Hello there.\",\"seed\":5}";
    unsigned char early[200];
    int fd = open_ws(r, (char *)early,
                     make_frame(early, 0x81, first, strlen(first), 1)); /* sent before the server's answer */
    const size_t n = read_speech(fd, "early");
    assert_true(n > 1000);
    say(fd, "{\"request_id\":\"a\",\"text\":\"Hello there.\",\"seed\":5}");
    assert_int_equal(read_speech(fd, "a"), n);
    for (int i = 0; i < 3; i++)
        say(fd, i == 0   ? "{\"request_id\":\"x\",\"text\":\"One.\"}"
                : i == 1 ? "{\"request_id\":\"y\",\"text\":\"Two.\"}"
                         : "{\"request_id\":\"x\",\"text\":\"Three.\"}");
    int ends = 0, errors = 0;
    while (ends + errors < 3) {
        frame f = read_other(fd);
        assert_true(f.opcode == 1 || f.opcode == 2);
        if (f.opcode == 1 && strstr(f.data, "\"event\":\"end\"")) ends++;
        if (f.opcode == 1 && strstr(f.data, "duplicate_id")) errors++;
        free(f.data);
    }
    assert_int_equal(ends, errors ? 2 : 3); /* the first x may have ended before */
    close(fd);
    rig_free(r);
}

static void errors_are_reported_and_the_connection_continues(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"no json", "malformed_json"},
        {"[1]", "invalid_type"},
        {"{\"text\":\"a\"}", "\"field\":\"request_id\""},
        {"{\"request_id\":\"a b\",\"text\":\"a\"}", "request_id must"},
        {"{\"request_id\":\"q\"}", "\"request_id\":\"q\",\"error\":{\"code\":\"missing_field\""},
        {"{\"request_id\":\"q\",\"text\":\"a\",\"speed\":9}", "speed must be"},
        {"{\"request_id\":\"q\",\"text\":\"a\",\"format\":\"opus\",\"sample_rate\":44100}", "opus takes sample_rate"},
        {"{\"request_id\":\"q\",\"text\":\"%N\"}", "model_failed"},
        {"{\"request_id\":\"q\",\"text\":\"a\",\"voice_id\":\"nobody\"}", "not_found"},
        {"{\"cancel\":\"q\"}", "not_found"},
        {"{\"cancel\":5}", "invalid_type"},
        {"{\"cancel\":\"q\",\"text\":\"a\"}", "unknown_field"},
    };
    rig *r = rig_ready();
    int fd = open_ws(r, "", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        say(fd, cases[i][0]);
        expect_text(fd, cases[i][1]);
    }
    say(fd, "{\"request_id\":\"a\",\"text\":\"Hello.\",\"format\":\"flac\",\"sample_rate\":16000}");
    expect_text(fd, "\"format\":\"audio/flac\"");
    close(fd);
    rig_free(r);
}

static void wait_for_parts(rig *r, const char *wanted) {
    for (int same = 0; !same; usleep(1000)) {
        pthread_mutex_lock(&r->text.lock);
        same = !strcmp(r->text.parts, wanted);
        pthread_mutex_unlock(&r->text.lock);
    }
}

static void a_text_comes_in_pieces(void **state) {
    rig *r = rig_without_voice();
    int fd = open_ws(r, "", 0);
    (void)state;
    say(fd, "{\"request_id\":\"a\",\"more\":true,\"idle_ms\":60000,\"seed\":7}");
    say(fd, "{\"request_id\":\"a\",\"text\":\"Good evening every\",\"more\":true}");
    say(fd, "{\"request_id\":\"a\",\"text\":\"body, I\",\"more\":true}");
    expect_text(fd, "\"event\":\"start\"");
    frame f = read_frame(fd); /* speech while the text continues */
    assert_int_equal(f.opcode, 2);
    free(f.data);
    say(fd, "{\"request_id\":\"a\",\"set_text\":\"We are here\",\"more\":true}");
    say(fd, "{\"request_id\":\"a\",\"more\":true,\"flush\":true}");
    char kept[100];
    snprintf(kept, sizeof kept, "{\"event\":\"text\",\"request_id\":\"a\",\"kept\":%zu}",
             strlen("Good evening everybody, "));
    expect_text(fd, kept);
    wait_for_parts(r, "Good evening everybody,|We are here|"); /* before the end, which lets a part be longer */
    say(fd, "{\"request_id\":\"a\",\"text\":\" today.\"}");
    for (f = read_other(fd); f.opcode == 2; f = read_other(fd)) free(f.data);
    if (!strstr(f.data, "\"event\":\"end\"")) fail_msg("%s", f.data);
    free(f.data);
    assert_string_equal(r->text.parts, "Good evening everybody,|We are here|today.|");
    close(fd);
    rig_free(r);
}

static void wrong_pieces_are_refused(void **state) {
    rig *r = rig_without_voice();
    int fd = open_ws(r, "", 0);
    (void)state;
    static const struct {
        const char *message, *answer;
    } all[] = {
        {"{\"request_id\":\"b\",\"flush\":true}", "\"code\":\"not_found\""},
        {"{\"request_id\":\"b\",\"set_text\":\"a\",\"more\":true}", "\"code\":\"not_found\""},
        {"{\"request_id\":\"b\"}", "\"code\":\"missing_field\""},
        {"{\"request_id\":\"b\",\"text\":\"\"}", "text must have 1 to 5000 characters, not 0."},
        {"{\"request_id\":\"b\",\"text\":\"a\",\"more\":true,\"idle_ms\":1}", "\"field\":\"idle_ms\""},
        {"{\"request_id\":\"b\",\"text\":\"a\",\"more\":true,\"fix_duration\":2}", "\"field\":\"fix_duration\""},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        say(fd, all[i].message);
        expect_text(fd, all[i].answer);
    }
    say(fd, "{\"request_id\":\"b\",\"text\":\"\",\"more\":true,\"idle_ms\":60000}");
    say(fd, "{\"request_id\":\"b\",\"text\":\"a\",\"speed\":2,\"more\":true}"); /* no piece */
    expect_text(fd, "\"code\":\"duplicate_id\"");
    char *long_piece = malloc(6000);
    for (int i = 0; i < 2; i++) { /* little of the first text has been taken: the second has no room */
        int n = sprintf(long_piece, "{\"request_id\":\"b\",\"more\":true,\"text\":\"");
        memset(long_piece + n, 'a', 4000);
        strcpy(long_piece + n + 4000, "\"}");
        if (!i) slow_down(r, 300000);
        say(fd, long_piece);
    }
    free(long_piece);
    say(fd, "{\"cancel\":\"b\"}");
    for (int busy = 0;;) {
        frame f = read_frame(fd);
        busy += f.opcode == 1 && strstr(f.data, "\"code\":\"busy\"") != NULL;
        const int over = f.opcode == 1 && strstr(f.data, "\"code\":\"cancelled\"") != NULL;
        free(f.data);
        if (!over) continue;
        assert_int_equal(busy, 1);
        break;
    }
    slow_down(r, 0);
    say(fd, "{\"request_id\":\"c\",\"text\":\"%N\",\"more\":true}"); /* reading it fails */
    say(fd, "{\"request_id\":\"c\",\"flush\":true,\"more\":true}");
    expect_text(fd, "\"code\":\"model_failed\"");
    say(fd, "{\"request_id\":\"c\",\"text\":\"a\",\"more\":true}"); /* was being sent */
    expect_text(fd, "\"code\":\"ended\"");
    say(fd, "{\"request_id\":\"c\",\"text\":\"a\"}");
    expect_text(fd, "\"code\":\"ended\"");
    say(fd, "{\"request_id\":\"c\",\"text\":\"Again.\"}");
    assert_true(read_speech(fd, "c") > 0);
    close(fd);
    rig_free(r);
}

static void control_frames_are_answered(void **state) {
    (void)state;
    rig *r = rig_ready();
    int fd = open_ws(r, "", 0);
    send_frame(fd, 0x89, "are you there", 13);
    frame pong = read_frame(fd);
    assert_int_equal(pong.opcode, 10);
    assert_string_equal(pong.data, "are you there");
    free(pong.data);
    send_frame(fd, 0x01, "{\"request_id\":\"f\",", 18); /* in two fragments with a ping between them */
    send_frame(fd, 0x89, "", 0);
    send_frame(fd, 0x80, "\"text\":\"a\"}", 11);
    assert_int_equal((pong = read_frame(fd)).opcode, 10);
    free(pong.data);
    assert_true(read_speech(fd, "f") > 0);
    send_frame(fd, 0x88, "\x03\xe8", 2);
    expect_close(fd, 1000);
    assert_int_equal(read_frame(fd).opcode, -1);
    close(fd);
    rig_free(r);
}

static void violations_of_the_protocol_close_the_connection(void **state) {
    (void)state;
    static const struct {
        int head;
        size_t n;
        int masked, code;
    } cases[] = {
        {0x82, 5, 1, 1003},    /* binary */
        {0x81, 2001, 1, 1009}, /* longer than the limit of a body */
        {0x81, 4, 1, 1007},    /* not UTF-8 */
        {0x83, 4, 1, 1002},    /* no such opcode */
        {0x81, 4, 0, 1002},    /* not masked */
    };
    ishow_server_options options = rig_options();
    options.body_bytes_max = 2000;
    rig *r = rig_make(&options, 1, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = open_ws(r, "", 0);
        unsigned char *data = malloc(cases[i].n), *out = malloc(cases[i].n + 16);
        memset(data, cases[i].code == 1009 ? ' ' : 0xFF, cases[i].n);
        size_t n = make_frame(out, cases[i].head, data, cases[i].n, cases[i].masked);
        send_all(fd, (char *)out, n);
        frame f = read_frame(fd);
        if (f.opcode == 8)
            assert_int_equal((unsigned char)f.data[0] << 8 | (unsigned char)f.data[1], cases[i].code);
        else
            assert_int_equal(f.opcode, -1);
        free(f.data);
        close(fd);
        free(data), free(out);
    }
    expect(r, GET("/healthz", ""), 200, "ready");
    rig_free(r);
}

static void cancelling_and_disconnecting_free_the_row(void **state) {
    (void)state;
    rig *r = rig_ready();
    slow_down(r, 50000);
    int fd = open_ws(r, "", 0);
    say(fd, "{\"request_id\":\"a\",\"text\":\"Hello.\",\"nfe_step\":64}");
    wait_in_flight(r, 1);
    say(fd, "{\"cancel\":\"a\"}");
    expect_text(fd, "\"request_id\":\"a\",\"error\":{\"code\":\"cancelled\"");
    wait_in_flight(r, 0);
    say(fd, "{\"request_id\":\"b\",\"text\":\"Hello.\",\"nfe_step\":64}");
    wait_in_flight(r, 1);
    close(fd);
    wait_in_flight(r, 0);
    ishow_engine_stats stats;
    ishow_engine_stats_get(r->engine, &stats);
    assert_int_equal(stats.cancelled, 2);
    rig_free(r);
}

static void a_connection_has_so_many_requests(void **state) {
    (void)state;
    rig *r = rig_ready();
    slow_down(r, 50000);
    int fd = open_ws(r, "", 0);
    for (int i = 0; i < 17; i++) {
        char text[100];
        snprintf(text, sizeof text, "{\"request_id\":\"n%d\",\"text\":\"Hello.\",\"nfe_step\":64}", i);
        say(fd, text);
    }
    expect_text(fd, "\"request_id\":\"n16\",\"error\":{\"code\":\"busy\"");
    close(fd);
    rig_free(r);
}

static void *drain(void *self) {
    ishow_server_drain(((rig *)self)->server, 30);
    return NULL;
}

static void draining_lets_speech_end(void **state) {
    (void)state;
    rig *r = rig_ready();
    pthread_t thread;
    slow_down(r, 5000);
    int busy = open_ws(r, "", 0), idle = open_ws(r, "", 0);
    say(busy, "{\"request_id\":\"last\",\"text\":\"Hello.\",\"nfe_step\":64}");
    wait_in_flight(r, 1);
    pthread_create(&thread, NULL, drain, r);
    expect_close(idle, 1001);
    send_frame(idle, 0x88, "\x03\xe9", 2);
    assert_true(read_speech(busy, "last") > 0);
    expect_close(busy, 1001);
    send_frame(busy, 0x88, "\x03\xe9", 2);
    pthread_join(thread, NULL);
    close(busy), close(idle);
    rig_free(r);
}

static void silent_connections_are_pinged_and_dropped(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.idle_seconds = 1;
    rig *r = rig_make(&options, 1, 4);
    int fd = open_ws(r, "", 0);
    frame f = read_frame(fd);
    assert_int_equal(f.opcode, 9);
    free(f.data);
    assert_int_equal(read_frame(fd).opcode, -1); /* not answered */
    close(fd);
    rig_free(r);
}

/* A client that requests much and reads nothing uses a limited amount of the server's memory, and is then
 * disconnected. */
static void a_slow_reader_is_dropped(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.idle_seconds = 1;
    rig *r = rig_make(&options, 1, 64);
    int fd = open_ws(r, "", 0), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    char text[6000], request[7000];
    memset(text, 0, sizeof text);
    for (int i = 0; i < 150; i++) strcat(text, "A sentence to fill the way. ");
    for (int i = 0; i < 12; i++) {
        snprintf(request, sizeof request,
                 "{\"request_id\":\"n%d\",\"text\":\"%s\",\"nfe_step\":1,\"sample_rate\":48000}", i, text);
        say(fd, request);
    }
    for (int open = 0, i = 0; open != 1; i++) { /* only its own connection ends */
        reply m = ask(r, GET("/metrics", "Connection: close\r\n"));
        const char *at = strstr(m.all, "\nishowtts_connections ");
        assert_non_null(at);
        open = atoi(at + strlen("\nishowtts_connections "));
        free(m.all);
        if (i == 3000) fail_msg("%d connections", open);
        usleep(10000);
    }
    wait_in_flight(r, 0);
    close(fd);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_are_checked),
        cmocka_unit_test(many_requests_share_a_connection),
        cmocka_unit_test(errors_are_reported_and_the_connection_continues),
        cmocka_unit_test(a_text_comes_in_pieces),
        cmocka_unit_test(wrong_pieces_are_refused),
        cmocka_unit_test(control_frames_are_answered),
        cmocka_unit_test(violations_of_the_protocol_close_the_connection),
        cmocka_unit_test(cancelling_and_disconnecting_free_the_row),
        cmocka_unit_test(a_connection_has_so_many_requests),
        cmocka_unit_test(draining_lets_speech_end),
        cmocka_unit_test(silent_connections_are_pinged_and_dropped),
        cmocka_unit_test(a_slow_reader_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
