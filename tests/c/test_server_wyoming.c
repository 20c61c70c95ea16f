/* The Wyoming protocol with a fake model: responses, several clients at once, and the end of the server while a client
 * reads. tests/api uses the protocol's own package. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

#include "base/buffer.h"
#include "server_rig.h"

static int port;

static struct sockaddr_in address(void) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static rig *speaking(int ready) {
    ishow_server_options options = rig_options();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    port = 0;
    struct sockaddr_in any = address();
    socklen_t length = sizeof any;
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &length), 0);
    options.wyoming_port = port = ntohs(any.sin_port);
    close(fd);
    return rig_make(&options, ready, 64);
}

static int call(const char *event) {
    const struct sockaddr_in to = address();
    const struct timeval limit = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    send_all(fd, event, strlen(event));
    return fd;
}

static int count(const ishow_buffer *all, const char *text) {
    const char *at = (const char *)all->data, *end = at + all->n;
    int found = 0;
    while (at && (at = memmem(at, (size_t)(end - at), text, strlen(text)))) found++, at += strlen(text);
    return found;
}

/* Receives until `text` has come `often` times; 0: the connection ended before. */
static int hears(int fd, const char *text, int often) {
    ishow_buffer all = {0};
    char part[4096];
    ssize_t n;
    int found = 0;
    while (!found && (n = recv(fd, part, sizeof part, 0)) > 0) {
        ishow_buffer_add(&all, part, (size_t)n);
        found = count(&all, text) >= often;
    }
    ishow_buffer_free(&all);
    return found;
}

#define SAY(text) "{\"type\":\"synthesize\",\"data\":{\"text\":\"" text "\"}}\n"

#define START(voice) "{\"type\":\"synthesize-start\",\"data\":{" voice "}}\n"
#define PIECE(text)  "{\"type\":\"synthesize-chunk\",\"data\":{\"text\":\"" text "\"}}\n"
#define STOP         "{\"type\":\"synthesize-stop\"}\n"

static void events_are_answered(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"type\":\"describe\"}\n", "\"name\":\"anna\""},
        {"{\"type\":\"run-pipeline\",\"payload_length\":3}\nabc{\"type\":\"ping\",\"data_length\":15}\n{\"text\":"
         "\"here\"}",
         "\"text\":\"here\""},
        {SAY("Hello."), "\"type\":\"audio-stop\""},
        {"{\"type\":\"synthesize\",\"data\":{\"text\":\"Hello.\",\"voice\":{\"name\":\"nobody\"}}}\n",
         "there is no voice 'nobody'; there are anna"},
        {"{\"type\":\"synthesize\",\"data\":{}}\n", "needs a text"},
        {START("") PIECE("Hello, every") PIECE("body. And") PIECE(" good evening.") STOP, "\"type\":\"audio-stop\""},
        {START("") PIECE("Hello.") SAY("Hello.") STOP SAY("One."), "\"type\":\"synthesize-stopped\""},
        {START("\"voice\":{\"name\":\"nobody\"}") PIECE("Hello.") STOP, "there is no voice 'nobody'"},
        {START("\"voice\":{\"name\":\"nobody\"}") PIECE("Hello.") STOP, "\"type\":\"synthesize-stopped\""},
        {START("") "{\"type\":\"synthesize-chunk\"}\n" STOP, "synthesize-chunk needs a text"},
    };
    rig *r = speaking(1);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        int fd = call(pairs[i][0]);
        assert_true(hears(fd, pairs[i][1], 1));
        close(fd);
    }
    int together = call(SAY("One.") SAY("Two.")); /* one after the other */
    assert_true(hears(together, "\"type\":\"audio-stop\"", 2));
    close(together);
    rig_free(r);
}

static void what_is_malformed_ends_the_connection(void **state) {
    (void)state;
    static const char *const wrong[] = {"no json\n",
                                        "[]\n",
                                        "{\"data\":{}}\n",
                                        "{\"type\":\"ping\",\"data_length\":-1}\n",
                                        "{\"type\":\"ping\",\"data_length\":3}\n[1]",
                                        "{\"type\":\"ping\",\"payload_length\":999999999}\n"};
    rig *r = speaking(1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int fd = call(wrong[i]);
        assert_false(hears(fd, "type", 1));
        close(fd);
    }
    rig_free(r);
}

static void a_server_without_a_model_says_so(void **state) {
    (void)state;
    rig *r = speaking(0);
    int fd = call(SAY("Hello."));
    assert_true(hears(fd, "The model is being loaded.", 1));
    close(fd);
    rig_free(r);
}

static void the_server_ends_while_clients_listen(void **state) {
    (void)state;
    rig *r = speaking(1);
    int fds[6], left = call(SAY("Hello.")), half = call(START("") PIECE("Hello, every"));
    slow_down(r, 20000);
    close(left); /* clients that disconnect are forgotten, also within a text */
    close(half);
    for (size_t i = 0; i < 6; i++) {
        fds[i] =
            call(i < 3 ? SAY("This takes a while. It takes a while more.") : START("") PIECE("It takes a while. And"));
        assert_true(hears(fds[i], "\"type\":\"audio-start\"", 1));
    }
    rig_free(r);
    for (size_t i = 0; i < 6; i++) {
        hears(fds[i], "never", 1);
        close(fds[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_answered),
        cmocka_unit_test(what_is_malformed_ends_the_connection),
        cmocka_unit_test(a_server_without_a_model_says_so),
        cmocka_unit_test(the_server_ends_while_clients_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
