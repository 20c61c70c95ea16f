/* Sources of live chat without Python: decoders on buffers of exact size, and sources connected to servers on threads
 * of this process, so that the sanitizers check both sides. */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/buffer.h"
#include "platforms/bilibili.h"
#include "platforms/irc.h"
#include "platforms/twitch.h"

/* ---- what a sink received ---- */

typedef struct heard {
    char texts[4096]; /* texts of messages and deletions, each with a newline */
    int messages, deletions, states[5];
} heard;

static void add_text(heard *h, ishow_span text) {
    size_t n = strlen(h->texts);
    snprintf(h->texts + n, sizeof h->texts - n, "%.*s\n", (int)text.size, text.size ? text.data : "");
}

static void take(heard *h, const ishow_chat_event *event) {
    if (event->type == ISHOW_CHAT_ON_MESSAGE) {
        h->messages++;
        add_text(h, event->message->text);
    } else if (event->type == ISHOW_CHAT_ON_DELETE) {
        h->deletions++;
        add_text(h, event->message_id);
    } else if (event->type == ISHOW_CHAT_ON_STATE)
        h->states[event->state]++;
}

static void on_decoded(void *self, const ishow_chat_event *event) { take(self, event); }
static void on_event(void *self, ishow_chat_source *source, const ishow_chat_event *event) {
    assert_non_null(source);
    take(self, event);
}

/* ---- decoders ---- */

static void test_irc_in_place(void **state) {
    (void)state;
    static const char text[] = "@a=\\s\\:\\\\x\\;b=;c :nick!user@host PRIVMSG #chan :hi :) \\s";
    const size_t n = sizeof text - 1;
    char *copy = malloc(n); /* of the exact size: nothing behind it may be accessed */
    memcpy(copy, text, n);
    irc_line line;
    assert_true(ishow_irc_parse(copy, n, &line));
    assert_int_equal(line.n_tags, 3);
    assert_memory_equal(line.tags[0].value.data, " ;\\x", 4);
    assert_int_equal(line.tags[0].value.size, 4);
    assert_int_equal(line.tags[1].value.size, 0);
    assert_true(span_is(line.nick, "nick") && span_is(line.user, "user") && span_is(line.host, "host"));
    assert_true(span_is(line.params[1], "hi :) \\s")); /* escapes are decoded only in tags */
    free(copy);
    char many[64 * IRC_PARAMS_MAX] = "X";
    for (int i = 0; i < IRC_PARAMS_MAX + 5; i++) strcat(many, " p");
    assert_true(ishow_irc_parse(many, strlen(many), &line));
    assert_int_equal(line.n_params, IRC_PARAMS_MAX);
    assert_true(span_is(line.params[IRC_PARAMS_MAX - 1], "p p p p p p"));
}

static void test_seen(void **state) {
    (void)state;
    seen *s = seen_create(100);
    assert_non_null(s);
    const ishow_span here = span_of("here"), there = span_of("there");
    char id[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "%d", i);
        assert_true(seen_add(s, here, span_of(id)));
        assert_true(seen_add(s, there, span_of(id)));        /* ids of two platforms are different */
        for (int back = 0; back < 49 && back <= i; back++) { /* the latest 100 ids of both platforms together */
            snprintf(id, sizeof id, "%d", i - back);
            assert_false(seen_add(s, here, span_of(id)));
        }
    }
    assert_true(seen_add(s, here, span_of("0"))); /* forgotten long ago */
    seen_free(s);
}

static int take_packet(void *self, const bilibili_packet *packet) {
    static bilibili_room room = {.number = "5050", .owner = "7"};
    ishow_bilibili_command(self, &room, 0, packet->body, packet->n);
    return 1;
}

static const char DANMU[] = "{\"cmd\":\"DANMU_MSG:1\",\"info\":[[0,1,25,0,1700000000000,9,0,\"crc\"],"
                            "\"\xe4\xbd\xa0\xe5\xa5\xbd\",[7,\"n\",0],[],[3]]}";

static void test_bilibili_frames(void **state) {
    (void)state;
    heard h = {0};
    feed f = {.platform = span_of("bilibili"), .channel = span_of("6"), .event = on_decoded, .self = &h};
    unsigned char plain[512], packed[1024], frame[2048];
    size_t n = BILIBILI_HEADER + sizeof DANMU - 1;
    ishow_bilibili_pack(plain, BILIBILI_COMMAND, DANMU, sizeof DANMU - 1);
    uLongf m = sizeof packed;
    assert_int_equal(compress(packed, &m, plain, n), Z_OK);
    ishow_bilibili_pack(frame, BILIBILI_COMMAND, packed, (uint32_t)m);
    frame[7] = 2; /* zlib */
    unsigned char *exact = malloc(BILIBILI_HEADER + m);
    memcpy(exact, frame, BILIBILI_HEADER + m);
    assert_null(ishow_bilibili_unpack(exact, BILIBILI_HEADER + m, 4096, 1, take_packet, &f));
    assert_string_equal(h.texts, "\xe4\xbd\xa0\xe5\xa5\xbd\n");
    assert_non_null(strstr(ishow_bilibili_unpack(exact, BILIBILI_HEADER + m, n - 1, 1, take_packet, &f), "limit"));
    for (size_t cut = 0; cut < BILIBILI_HEADER + m; cut++)
        assert_non_null(ishow_bilibili_unpack(exact, cut, 4096, 1, take_packet, &f));
    assert_int_equal(h.messages, 1);
    /* The limit holds for all packets together, and so does the time. */
    unsigned char *twice = malloc(2 * (BILIBILI_HEADER + m));
    memcpy(twice, frame, BILIBILI_HEADER + m);
    memcpy(twice + BILIBILI_HEADER + m, frame, BILIBILI_HEADER + m);
    assert_null(ishow_bilibili_unpack(twice, 2 * (BILIBILI_HEADER + m), 2 * n + 1, 1, take_packet, &f));
    assert_non_null(
        strstr(ishow_bilibili_unpack(twice, 2 * (BILIBILI_HEADER + m), 2 * n - 1, 1, take_packet, &f), "limit"));
    assert_ptr_equal(ishow_bilibili_unpack(plain, n, 4096, -1, take_packet, &f), ishow_bilibili_too_slow);
    assert_ptr_equal(ishow_bilibili_unpack(twice, BILIBILI_HEADER + m, 4096, -1, take_packet, &f),
                     ishow_bilibili_too_slow);
    free(twice);
    free(exact);
    ishow_arena_free(&f.arena);
}

/* ---- servers ---- */

typedef struct server {
    int listener, port;
    pthread_t thread;
    void (*serve)(struct server *s, int fd);
    atomic_int clients;
} server;

static void *serve_main(void *self) {
    server *s = self;
    int fd;
    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        atomic_fetch_add(&s->clients, 1);
        s->serve(s, fd);
        close(fd);
    }
    return NULL;
}

static void server_start(server *s, void (*serve)(server *s, int fd)) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    s->serve = serve;
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&at, &size), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_main, s), 0);
}

static void server_stop(server *s) {
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
}

/* A client may disconnect at any moment, and a failed assertion on this thread would end the program: so the other side
 * checks what arrives. */
static void give(int fd, const void *data, size_t n) {
    const ssize_t ignored = send(fd, data, n, MSG_NOSIGNAL);
    (void)ignored;
}

static void say(int fd, const char *text) { give(fd, text, strlen(text)); }

/* Reads until `wanted` has come; 0: the client has disconnected. */
static int read_until(int fd, char *text, size_t size, const char *wanted) {
    size_t n = 0;
    text[0] = '\0';
    while (!strstr(text, wanted)) {
        ssize_t got = n + 1 < size ? recv(fd, text + n, size - 1 - n, 0) : 0;
        if (got <= 0) return 0;
        n += (size_t)got;
        text[n] = '\0';
    }
    return 1;
}

/* Runs the loop until the condition holds; fails when it does not in time. */
#define UNTIL(loop, condition)                                                   \
    for (double end_ = ishow_now() + 60; !(condition);) {                        \
        struct pollfd one_ = {.fd = ishow_chat_loop_fd(loop), .events = POLLIN}; \
        int timer_ = ishow_chat_loop_timeout(loop);                              \
        poll(&one_, 1, timer_<0 || timer_> 50 ? 50 : timer_);                    \
        ishow_chat_loop_process(loop);                                           \
        assert_true(ishow_now() < end_);                                         \
    }

static ishow_chat_loop *new_loop(void) {
    ishow_chat_loop *loop = NULL;
    ishow_chat_loop_options options = ishow_chat_loop_options_default();
    options.login_seconds = 0;
    assert_int_equal(ishow_chat_loop_create(&loop, &options, NULL), ISHOW_OK);
    return loop;
}

static ishow_chat_source *open_source(ishow_chat_loop *loop, ishow_chat_platform platform, const char *channel,
                                      const char *scheme, int port, heard *h) {
    ishow_chat_source_options o = ishow_chat_source_options_default(platform);
    ishow_chat_source *source = NULL;
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "%s://127.0.0.1:%d", scheme, port);
    o.channel = channel;
    o.endpoint = endpoint; /* copied */
    o.backoff_seconds = 0.02;
    o.backoff_max_seconds = 0.05;
    const ishow_chat_sink sink = {h, on_event};
    assert_int_equal(ishow_chat_source_open(&source, loop, &o, &sink, NULL), ISHOW_OK);
    return source;
}

static ishow_chat_source_stats stats_of(const ishow_chat_source *source) {
    ishow_chat_source_stats s;
    ishow_chat_source_stats_get(source, &s);
    return s;
}

/* ---- Twitch ---- */

static void serve_irc(server *s, int fd) {
    char text[4096];
    if (!read_until(fd, text, sizeof text, "USER")) return;
    say(fd, ":t CAP * ACK :twitch.tv/tags\r\n:t 001 justinfan1 :hi\r\n");
    if (!read_until(fd, text, sizeof text, "JOIN #chan\r\n")) return;
    say(fd, ":t ROOMSTATE #chan\r\nPING :x y\r\n");
    if (!read_until(fd, text, sizeof text, "PONG :x y\r\n")) return;
    char line[128];
    snprintf(line, sizeof line,
             "@id=m-%d :a!a@a PRIVMSG #chan :turn %d\r\n@target-msg-id=m-%d :t CLEARMSG #chan :x\r\n",
             atomic_load(&s->clients), atomic_load(&s->clients), atomic_load(&s->clients));
    for (char *p = line; *p; p++) give(fd, p, 1); /* byte by byte */
    if (atomic_load(&s->clients) == 1)
        say(fd, ":t RECONNECT\r\n");
    else if (atomic_load(&s->clients) == 3)
        say(fd, ":t NOTICE * :Login authentication failed\r\n");
    read_until(fd, text, sizeof text, "never"); /* until the client disconnects, or the test ends */
}

static void test_twitch_life(void **state) {
    (void)state;
    long handles = ishow_live_handles();
    heard h = {0};
    server s = {0};
    server_start(&s, serve_irc);
    ishow_chat_loop *loop = new_loop();
    ishow_chat_source *source = open_source(loop, ISHOW_CHAT_TWITCH, "#chan", "irc", s.port, &h);
    assert_int_equal(stats_of(source).attempts, 0); /* nothing happens before the loop runs */
    UNTIL(loop, h.messages == 2);                   /* the second connection, after RECONNECT */
    assert_int_equal(stats_of(source).losses, 1);
    assert_int_equal(stats_of(source).connects, 2);
    assert_int_equal(h.states[ISHOW_CHAT_STATE_WAITING], 1);
    UNTIL(loop, h.deletions == 2);
    ishow_chat_source_free(source);
    source = open_source(loop, ISHOW_CHAT_TWITCH, "chan", "irc", s.port, &h);
    UNTIL(loop, stats_of(source).state == ISHOW_CHAT_STATE_FAILED);
    assert_string_equal(h.texts, "turn 1\nm-1\nturn 2\nm-2\nturn 3\nm-3\n");
    assert_int_equal(ishow_chat_loop_timeout(loop), -1); /* in a final state there is nothing to do */
    ishow_chat_source_free(source);
    ishow_chat_loop_free(loop);
    server_stop(&s);
    assert_int_equal(ishow_live_handles(), handles);
}

static void test_freed_in_the_middle(void **state) {
    (void)state;
    heard h = {0};
    server s = {0};
    server_start(&s, serve_irc);
    for (int turns = 0; turns < 12; turns++) { /* in any state */
        ishow_chat_loop *loop = new_loop();
        ishow_chat_source *source = open_source(loop, ISHOW_CHAT_TWITCH, "chan", "irc", s.port, &h);
        for (int i = 0; i < turns; i++) {
            struct pollfd one = {.fd = ishow_chat_loop_fd(loop), .events = POLLIN};
            poll(&one, 1, 5);
            ishow_chat_loop_process(loop);
        }
        ishow_chat_source_free(source);
        ishow_chat_loop_free(loop);
    }
    server_stop(&s);
}

/* ---- Bilibili ---- */

static void answer(int fd, const char *body) {
    char head[160];
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             strlen(body));
    say(fd, head);
    say(fd, body);
}

static void send_frame(int fd, const unsigned char *packet, size_t n) {
    unsigned char head[4] = {0x82, 126, (unsigned char)(n >> 8), (unsigned char)n};
    const size_t m = n < 126 ? 2 : 4;
    if (n < 126) head[1] = (unsigned char)n;
    give(fd, head, m);
    give(fd, packet, n);
}

static void upgrade(int fd, const char *request) {
    char joined[128], head[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const char *key = strstr(request, "Sec-WebSocket-Key: ") + 19;
    snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    assert_true(EVP_Digest(joined, strlen(joined), digest, &size, EVP_sha1(), NULL));
    ishow_buffer accept = {0};
    ishow_buffer_base64(&accept, digest, size);
    snprintf(head, sizeof head,
             "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
             "%.*s\r\n\r\n",
             (int)accept.n, (char *)accept.data);
    ishow_buffer_free(&accept);
    say(fd, head);
}

static void serve_room(server *s, int fd) {
    static const char KEYS[] = "{\"code\":-101,\"data\":{\"isLogin\":false,\"wbi_img\":{\"img_url\":\"https://x/"
                               "7cd084941338484aae1ad9425b84077c.png\","
                               "\"sub_url\":\"https://x/4932caff0ff746eab6f01bf08b70ac45.png\"}}}";
    char text[4096], hosts[256];
    unsigned char packet[512];
    if (!read_until(fd, text, sizeof text, "\r\n\r\n")) return;
    if (strstr(text, "GET /x/frontend"))
        answer(fd, "{\"code\":0,\"data\":{\"b_3\":\"BUVID\"}}");
    else if (strstr(text, "GET /x/web-interface/nav"))
        answer(fd, KEYS);
    else if (strstr(text, "GET /room/v1"))
        answer(fd, "{\"code\":0,\"data\":{\"room_id\":5050,\"uid\":7}}");
    else if (strstr(text, "getDanmuInfo")) {
        snprintf(hosts, sizeof hosts,
                 "{\"code\":0,\"data\":{\"token\":\"t\",\"host_list\":[{\"host\":\"127.0.0.1\",\"ws_port\":%d}]}}",
                 s->port);
        answer(fd, hosts);
    } else if (strstr(text, "GET /sub")) {
        upgrade(fd, text);
        if (recv(fd, text, sizeof text, 0) <= 0) return; /* the auth packet, masked */
        ishow_bilibili_pack(packet, BILIBILI_AUTH_REPLY, "{\"code\":0}", 10);
        send_frame(fd, packet, BILIBILI_HEADER + 10);
        ishow_bilibili_pack(packet, BILIBILI_COMMAND, DANMU, sizeof DANMU - 1);
        send_frame(fd, packet, BILIBILI_HEADER + sizeof DANMU - 1);
        static const unsigned char ping[] = {0x89, 2, 'p', 'i'}, bye[] = {0x88, 2, 0x03, 0xE8};
        give(fd, ping, sizeof ping);
        if (recv(fd, text, sizeof text, 0) <= 0) return; /* a heartbeat or a pong */
        send(fd, bye, sizeof bye, MSG_NOSIGNAL);
        while (recv(fd, text, sizeof text, 0) > 0) continue;
    }
}

static void test_bilibili_life(void **state) {
    (void)state;
    long handles = ishow_live_handles();
    heard h = {0};
    server s = {0};
    server_start(&s, serve_room);
    ishow_chat_loop *loop = new_loop();
    ishow_chat_source *source = open_source(loop, ISHOW_CHAT_BILIBILI, "6", "http", s.port, &h);
    UNTIL(loop, stats_of(source).connects == 2 &&
                    stats_of(source).duplicates == 1); /* closed, reconnected, and the same message again */
    assert_string_equal(h.texts, "\xe4\xbd\xa0\xe5\xa5\xbd\n");
    assert_true(stats_of(source).heartbeats >= 1);
    assert_int_equal(stats_of(source).malformed, 0);
    ishow_chat_source_free(source);
    ishow_chat_loop_free(loop);
    server_stop(&s);
    assert_int_equal(ishow_live_handles(), handles);
}

int main(void) {
    ishow_log_set_level(ISHOW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_irc_in_place),    cmocka_unit_test(test_seen),
        cmocka_unit_test(test_bilibili_frames), cmocka_unit_test(test_twitch_life),
        cmocka_unit_test(test_bilibili_life),   cmocka_unit_test(test_freed_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
