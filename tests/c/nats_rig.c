#include "nats_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_port(int port, int listens) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int bad = listens ? bind(fd, (struct sockaddr *)&at, n) : connect(fd, (struct sockaddr *)&at, n);
    if (!bad && listens) bad = getsockname(fd, (struct sockaddr *)&at, &n);
    close(fd);
    return bad ? 0 : ntohs(at.sin_port);
}

void nats_start(nats_rig *r) {
    char port[16];
    if (!r->port) r->port = open_port(0, 1);
    snprintf(port, sizeof port, "%d", r->port);
    if (r->jetstream && !r->folder[0]) {
        strcpy(r->folder, "/tmp/nats-XXXXXX");
        assert_non_null(mkdtemp(r->folder));
    }
    snprintf(r->url, sizeof r->url, "nats://127.0.0.1:%d", r->port);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (!r->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char *arguments[] = {"nats-server", "-a", "127.0.0.1", "-p", port, "-l", "/dev/null", NULL, NULL, NULL, NULL};
        if (r->jetstream) {
            arguments[7] = "-js";
            arguments[8] = "-sd";
            arguments[9] = r->folder;
        }
        execvp("nats-server", arguments);
        execv("/usr/sbin/nats-server", arguments);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) {
        if (open_port(r->port, 0)) return;
        if (waitpid(r->pid, NULL, WNOHANG)) fail_msg("nats-server did not start; it comes with scripts/setup cluster");
        usleep(20000);
    }
    fail_msg("nats-server does not answer");
}

void nats_kill(nats_rig *r) {
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

void nats_remove(nats_rig *r) {
    nats_kill(r);
    nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
