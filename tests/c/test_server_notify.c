/* Messages to a service manager, and its watchdog, which is notified only while both the loop and the inference thread
 * work. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "server/notify.h"
#include "server_rig.h"

/* The socket of a manager, with an abstract name, as systemd gives to user services. */
static int manager_socket(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int abstract = *name == '@';
    snprintf(address.sun_path + abstract, sizeof address.sun_path - 1, "%s", name + abstract);
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&address, length) == 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

/* The next message within `ms` milliseconds; "" when there is none. */
static const char *hear(int fd, int ms) {
    static char message[2048];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    message[0] = '\0';
    if (poll(&p, 1, ms) > 0) {
        const ssize_t n = recv(fd, message, sizeof message - 1, 0);
        message[n > 0 ? n : 0] = '\0';
    }
    return message;
}

static void forget(int fd) {
    close(fd);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void test_messages(void **state) {
    (void)state;
    char place[108], text[3000];
    notify("READY=1"); /* no message is sent */
    snprintf(place, sizeof place, "/tmp/ishow-notify-%d", (int)getpid());
    char abstract[64];
    snprintf(abstract, sizeof abstract, "@ishow-notify-test-%d", (int)getpid());
    for (int i = 0; i < 2; i++) {
        const int fd = manager_socket(i ? place : abstract);
        notify("READY=1\nSTATUS=serving %s", "demo");
        assert_string_equal(hear(fd, 1000), "READY=1\nSTATUS=serving demo");
        memset(text, 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        notify("%s", text);
        assert_int_equal(strlen(hear(fd, 1000)), 1023);
        forget(fd);
    }
    unlink(place);
    setenv("NOTIFY_SOCKET", place, 1); /* the manager's socket is closed */
    notify("READY=1");
    setenv("NOTIFY_SOCKET", "relative", 1);
    notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

static void test_watchdog_seconds(void **state) {
    (void)state;
    char pid[32];
    assert_true(notify_watchdog_seconds() == 0);
    setenv("WATCHDOG_USEC", "1500000", 1);
    assert_true(notify_watchdog_seconds() == 1.5);
    setenv("WATCHDOG_PID", "1", 1); /* for another process */
    assert_true(notify_watchdog_seconds() == 0);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_true(notify_watchdog_seconds() == 1.5);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_true(notify_watchdog_seconds() == 0);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void test_watchdog_is_fed_while_both_threads_live(void **state) {
    (void)state;
    enum { STEP_US = 4000000, LIMIT_MS = 1500 };
    char name[64]; /* the test may run in several builds at the same time */
    snprintf(name, sizeof name, "@ishow-watchdog-test-%d", (int)getpid());
    const int fd = manager_socket(name);
    setenv("WATCHDOG_USEC", "1000000", 1);
    rig *r = rig_ready();
    for (int i = 0; i < 3; i++)
        assert_string_equal(hear(fd, LIMIT_MS), "WATCHDOG=1"); /* an idle server is reported as alive */
    slow_down(r, STEP_US); /* one call of the model that takes longer than the watchdog's limit */
    const int client = dial(r);
    start(client, "/api/tts", "slow");
    wait_in_flight(r, 1);
    const double began = ishow_now();
    int fed = 0;
    while (ishow_now() < began + 1e-6 * STEP_US - 0.5) fed += *hear(fd, 100) != '\0';
    assert_in_range(fed, 0, 4); /* until the call has taken as long as the limit, and then no more */
    assert_string_equal(hear(fd, 100), "");
    close(client);
    slow_down(r, 0);
    int again = 0;
    while (!again && ishow_now() < began + 30) again = *hear(fd, 100) != '\0';
    assert_true(again);
    rig_free(r);
    forget(fd);
}

/* The kernel keeps few messages for a socket that nobody reads. */
static void test_a_manager_that_does_not_read_stalls_nothing(void **state) {
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@ishow-deaf-test-%d", (int)getpid());
    const int fd = manager_socket(name);
    setenv("WATCHDOG_USEC", "1000000", 1);
    alarm(60);
    for (int i = 0; i < 1000; i++) notify_alive();
    rig *r = rig_ready();
    for (int i = 0; i < 4; i++) {
        usleep(400000); /* the loop feeds the watchdog twice a second */
        expect(r, GET("/healthz", ""), 200, "ready");
    }
    assert_string_equal(hear(fd, 0), "WATCHDOG=1");
    rig_free(r);
    alarm(0);
    forget(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_watchdog_seconds),
        cmocka_unit_test(test_watchdog_is_fed_while_both_threads_live),
        cmocka_unit_test(test_a_manager_that_does_not_read_stalls_nothing),
    };
    return cmocka_run_group_tests_name("server_notify", tests, NULL, NULL);
}
