/* Heads of requests that servers read differently, and what pages of other sites may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buffer.h"
#include "server/server.h"
#include "server_rig.h"

#define RAW(text) text, sizeof text - 1

/* All that comes until the connection ends. */
static char *everything(const rig *r, const char *data, size_t n) {
    int fd = dial(r);
    size_t have = 0, room = 1 << 16;
    char *all = malloc(room);
    assert_non_null(all);
    send_all(fd, data, n);
    for (ssize_t got; have < room - 1 && (got = read(fd, all + have, room - 1 - have)) > 0;) have += (size_t)got;
    all[have] = '\0';
    close(fd);
    return all;
}

static void answered(const rig *r, const char *data, size_t n, const char *status, const char *holds) {
    char *all = everything(r, data, n);
    if (strncmp(all, status, strlen(status)) || !strstr(all, holds)) fail_msg("%.200s...\nanswered: %s", data, all);
    size_t heads = 0;
    for (const char *p = all; (p = strstr(p, "HTTP/1.1 ")); p++) heads++;
    assert_int_equal(heads, 1);
    free(all);
}

#define REFUSED(r, text, code) answered(r, RAW(text), "HTTP/1.1 400 ", code)

static void lines_must_be_whole(void **state) {
    (void)state;
    rig *r = rig_ready();
    REFUSED(r, "GET /healthz HTTP/1.1\rHost: localhost\r\n\r\n", "Bad Request");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n", "malformed_head");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nX: y\nHost: localhost\r\n\r\n", "malformed_head");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\0.example\r\nX: y\r\n\r\n", "malformed_head");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: y\0z\r\nY: z\r\n\r\n", "malformed_head");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: y\r\n z\r\nY: z\r\n\r\n", "malformed_head");
    REFUSED(r, "GET /healthz\0x HTTP/1.1\r\nHost: localhost\r\n\r\n", "malformed_");
    REFUSED(r, "GET /heal thz HTTP/1.1\r\nHost: localhost\r\n\r\n", "malformed_uri");
    REFUSED(r, "GET /healthz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "malformed_uri");
    REFUSED(r, "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "malformed_head");
    rig_free(r);
}

static void there_is_one_host(void **state) {
    (void)state;
    rig *r = rig_ready();
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "malformed_host");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n", "malformed_host");
    REFUSED(r, "GET /healthz HTTP/1.1\r\nX: y\r\n\r\n", "malformed_host");
    rig_free(r);
}

/* The host of an absolute address counts, not the header (RFC 9112, 3.2.2). */
static void absolute_addresses_name_their_host(void **state) {
    (void)state;
    rig *r = rig_ready();
    answered(r, RAW("GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
             "HTTP/1.1 200 ", "ready");
    answered(r, RAW("GET HTTP://127.0.0.1:80/healthz?x=1 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
             "HTTP/1.1 200 ", "ready");
    answered(r, RAW("GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
             "HTTP/1.1 403 ", "forbidden_host");
    answered(r, RAW("GET http:///healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), "HTTP/1.1 400 ",
             "malformed_host");
    rig_free(r);
}

/* Whatever is wrong, a client reads one answer, and the next client is served. Not here: a Content-Length that is no
 * number, of which libmicrohttpd 0.9.75 writes the head of its own answer twice before it closes the connection. */
static void bad_requests_get_one_head(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\r\n\r\nnonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/3.7\r\nHost: localhost\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n",
        "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: "
        "chunked\r\n\r\n2\r\n{}garbage\r\n",
        "POST /nothing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "POST /api/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: "
        "100-continue\r\nConnection: close\r\n\r\n[]",
    };
    ishow_server_options options = rig_options();
    options.idle_seconds = 1;
    rig *r = rig_make(&options, 1, 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *all = everything(r, bad[i], strlen(bad[i]));
        size_t heads = 0;
        for (const char *p = all; (p = strstr(p, "HTTP/1.")); p++) heads += strncmp(p, "HTTP/1.1 100 ", 13) != 0;
        if (heads > 1 || (heads && strstr(all, " 200 "))) fail_msg("%s\nanswered: %s", bad[i], all);
        free(all);
    }
    expect(r, GET("/healthz", ""), 200, "ready");
    rig_free(r);
}

/* Each part of a head takes a record of libmicrohttpd's memory for a connection. When that is full, the connection
 * ends, and the server goes on. */
static void a_head_of_many_parts_ends_its_connection(void **state) {
    (void)state;
    static const struct {
        const char *before, *part, *after;
    } heads[] = {{"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", "a:\r\n", "\r\n"},
                 {"GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: ", "a=b;", "\r\n\r\n"},
                 {"GET /healthz?", "a&", " HTTP/1.1\r\nHost: localhost\r\n\r\n"}};
    ishow_server_options options = rig_options();
    options.idle_seconds = 1;
    rig *r = rig_make(&options, 1, 4);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        for (size_t parts = 900; parts <= 7200; parts *= 2) {
            ishow_buffer head = {0};
            ishow_buffer_text(&head, heads[i].before);
            for (size_t k = 0; k < parts; k++) ishow_buffer_text(&head, heads[i].part);
            ishow_buffer_text(&head, heads[i].after);
            assert_false(head.failed);
            char *all = everything(r, (const char *)head.data, head.n);
            const char *const status = parts == 900 ? "HTTP/1.1 200 " : "HTTP/1.1 4";
            if (*all && strncmp(all, status, strlen(status))) fail_msg("%zu * %s: %s", parts, heads[i].part, all);
            free(all);
            ishow_buffer_free(&head);
        }
    expect(r, GET("/healthz", ""), 200, "ready");
    rig_free(r);
}

static void other_sites_may_not_use_it_without_an_origin(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    static const char *const all[] = {"*"}, *const one[] = {"https://good.example"};
    rig *r = rig_ready();
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403, "forbidden_origin");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\n"), 403, "forbidden_origin");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\n"), 403, "forbidden_origin");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"), 200,
           "Cross-Origin-Resource-Policy: same-origin");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: same-origin\r\n"), 200, "anna");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: none\r\n"), 200, "anna");
    rig_free(r);
    options.cors_origins = one;
    options.n_cors_origins = 1;
    r = rig_make(&options, 1, 4);
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\nOrigin: https://good.example\r\n"), 200,
           "Cross-Origin-Resource-Policy: cross-origin");
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\nOrigin: https://bad.example\r\n"), 403,
           "forbidden_origin");
    rig_free(r);
    options.cors_origins = all;
    r = rig_make(&options, 1, 4);
    expect(r, GET("/api/voices", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n"), 200, "anna");
    rig_free(r);
}

static void wrong_keys_are_slowed_down(void **state) {
    (void)state;
    ishow_server_options options = rig_options();
    options.api_key = "a key of enough letters";
    rig *r = rig_make(&options, 1, 4);
    expect(r, GET("/api/voices", "Authorization: Bearer a key of enough letters\r\n"), 200, "anna");
    for (int i = 0; i < 11; i++) expect(r, GET("/api/voices", "Authorization: Bearer guess\r\n"), 401, "unauthorized");
    reply a = ask(r, GET("/api/voices", "Authorization: Bearer guess\r\n"));
    const char *wait = strstr(a.all, "Retry-After: ");
    assert_int_equal(a.status, 429);
    assert_non_null(strstr(a.body, "too_many_keys"));
    assert_non_null(wait);
    assert_in_range(atoi(wait + 13), 1, 6);
    free(a.all);
    /* A right key is not treated in another way, or it could be found without a pause. */
    expect(r, GET("/api/voices", "Authorization: Bearer a key of enough letters\r\n"), 429, "too_many_keys");
    expect(r, GET("/healthz", ""), 200, "ready");
    expect(r, GET("/api/voices", ""), 401, "unauthorized");
    rig_free(r);
}

typedef struct lines {
    char text[4096];
} lines;

static void keep_line(void *self, ishow_log_level level, const char *room, const char *id, const char *text) {
    lines *l = self;
    (void)room, (void)id;
    const size_t n = strlen(l->text);
    if (level >= ISHOW_LOG_WARN) snprintf(l->text + n, sizeof l->text - n, "%s\n", text);
}

static void short_keys_are_warned_about(void **state) {
    (void)state;
    static lines l;
    ishow_server_options options = rig_options();
    ishow_log_set_sink(keep_line, &l, ISHOW_LOG_WARN);
    options.api_key = "a key of enough letters";
    rig_free(rig_make(&options, 1, 4));
    assert_string_equal(l.text, "");
    options.api_key = "secret";
    rig_free(rig_make(&options, 1, 4));
    ishow_log_set_sink(NULL, NULL, ISHOW_LOG_ERROR);
    assert_non_null(strstr(l.text, "6 characters"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_must_be_whole),
        cmocka_unit_test(there_is_one_host),
        cmocka_unit_test(absolute_addresses_name_their_host),
        cmocka_unit_test(bad_requests_get_one_head),
        cmocka_unit_test(a_head_of_many_parts_ends_its_connection),
        cmocka_unit_test(other_sites_may_not_use_it_without_an_origin),
        cmocka_unit_test(wrong_keys_are_slowed_down),
        cmocka_unit_test(short_keys_are_warned_about),
    };
    return cmocka_run_group_tests_name("server heads", tests, NULL, NULL);
}
