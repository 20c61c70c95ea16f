/* Hundreds of listeners of the chat's stream: each gets every message once and in order while others connect and
 * disconnect, and a server that ends closes all of them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server_rig.h"

enum { MESSAGES = 12, STAYING = 60, ROUNDS = 3 };

static rig *chatting(void) {
    const ishow_server_options options = rig_options();
    ishow_chat_options chat = ishow_chat_options_default();
    ishow_error error = {0};
    rig *r = rig_make(&options, 0, 64);
    chat.rate = 0;
    static const char *const names[] = {"main"};
    const ishow_server_chats chats = {.names = names, .n = 1, .options = &chat};
    if (ishow_server_open_chats(r->server, r->engine, "anna", &chats, NULL, &error) != ISHOW_OK)
        fail_msg("chat: %s", error.message);
    ishow_server_ready(r->server, r->engine, "anna");
    reply paused = post(r, "/api/danmaku/pause", "", "{}");
    assert_int_equal(paused.status, 200);
    free(paused.all);
    return r;
}

static int listen_on(const rig *r) {
    static const char request[] = GET("/api/danmaku/stream", "");
    int fd = dial(r);
    send_all(fd, request, sizeof request - 1);
    return fd;
}

static void say(const rig *r, int number) {
    char body[200];
    snprintf(
        body, sizeof body,
        "{\"id\":\"m%d.\",\"platform\":\"test\",\"channel\":\"room\",\"username\":\"u%d\",\"content\":\"Number %d.\"}",
        number, number, number);
    reply answer = post(r, "/api/danmaku/enqueue", "", body);
    if (answer.status != 202) fail_msg("%d: %s", answer.status, answer.body);
    free(answer.all);
}

/* Reads until `mark` has come or the connection ends; returns what was read (free()). */
static char *read_until(int fd, const char *mark) {
    size_t n = 0, capacity = 1 << 16;
    char *text = calloc(1, capacity);
    while (!mark || !strstr(text, mark)) {
        if (n + 4096 > capacity) text = realloc(text, capacity *= 2);
        ssize_t got = recv(fd, text + n, 4000, 0);
        if (got <= 0) break;
        n += (size_t)got;
        text[n] = '\0';
    }
    return text;
}

/* 1: every message is there once, in order. */
static int heard_all(const char *text) {
    const char *at = text;
    for (int i = 0; i < MESSAGES; i++) {
        char id[64];
        snprintf(id, sizeof id, "event: message\ndata: {\"id\":\"m%d.\"", i);
        const char *found = strstr(at, id);
        if (!found || strstr(found + 1, id)) return 0;
        at = found;
    }
    return strstr(text, "missed") == NULL;
}

typedef struct ear {
    const rig *r;
    int fd, good;
} ear;

static void *hear(void *self) {
    ear *e = self;
    char last[32];
    snprintf(last, sizeof last, "\"m%d.\"", MESSAGES - 1);
    char *text = read_until(e->fd, last);
    e->good = strstr(text, "HTTP/1.1 200") == text && heard_all(text);
    free(text);
    return NULL;
}

static void *come_and_go(void *self) {
    ear *e = self;
    for (int i = 0; i < 40; i++) {
        int fd = listen_on(e->r);
        if (i % 2) free(read_until(fd, "event: state"));
        close(fd);
    }
    e->good = 1;
    return NULL;
}

static size_t listeners_of(const rig *r) {
    reply answer = ask(r, GET("/api/danmaku/status", ""));
    const char *found = strstr(answer.body, "\"listeners\":");
    size_t n = found ? strtoul(found + 12, NULL, 10) : SIZE_MAX;
    free(answer.all);
    return n;
}

static void wait_for_listeners(const rig *r, size_t n) {
    for (int i = 0; i < 2000 && listeners_of(r) != n; i++) usleep(5000);
    assert_int_equal(listeners_of(r), n);
}

static void everybody_hears_everything_once(void **state) {
    (void)state;
    rig *r = chatting();
    ear ears[STAYING + ROUNDS] = {0};
    pthread_t threads[STAYING + ROUNDS];
    for (int i = 0; i < STAYING; i++) ears[i] = (ear){r, listen_on(r), 0};
    wait_for_listeners(r, STAYING);
    for (int i = 0; i < STAYING; i++) pthread_create(&threads[i], NULL, hear, &ears[i]);
    for (int i = STAYING; i < STAYING + ROUNDS; i++) {
        ears[i].r = r;
        pthread_create(&threads[i], NULL, come_and_go, &ears[i]);
    }
    for (int i = 0; i < MESSAGES; i++) say(r, i);
    for (int i = 0; i < STAYING + ROUNDS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(ears[i].good);
    }
    for (int i = 0; i < STAYING; i++) close(ears[i].fd);
    wait_for_listeners(r, 0);
    rig_free(r);
}

static void a_server_that_ends_disconnects_all(void **state) {
    (void)state;
    rig *r = chatting();
    int fds[20];
    for (int i = 0; i < 20; i++) fds[i] = listen_on(r);
    for (int i = 0; i < 20; i++) {
        char *text = read_until(fds[i], "event: state");
        assert_non_null(strstr(text, "event: state"));
        free(text);
    }
    say(r, 0);
    rig_free(r); /* also checks that no handle is left */
    for (int i = 0; i < 20; i++) {
        char rest[4096];
        ssize_t n;
        while ((n = recv(fds[i], rest, sizeof rest, 0)) > 0)
            ;
        assert_int_equal(n, 0); /* the connection is closed normally, and in time */
        close(fds[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(everybody_hears_everything_once),
                                       cmocka_unit_test(a_server_that_ends_disconnects_all)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
