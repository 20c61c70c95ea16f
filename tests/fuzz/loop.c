#include "loop.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "server/internal.h"

static const double BUSY_MAX = 0.05; /* seconds, though sanitizers make it about ten times slower */

static struct {
    rig *rig;
    clockid_t clock;
    unsigned long inputs;
    double before, most, all;
} loop;

static double used(void) {
    struct timespec t;
    fuzz_must(!clock_gettime(loop.clock, &t));
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* scripts/fuzz reads this. */
static void report(void) {
    fprintf(stderr, "loop: at most %.3f ms, all %.3f ms, %lu inputs\n", 1e3 * loop.most, 1e3 * loop.all, loop.inputs);
}

rig *loop_server(void) {
    static const char *const hosts[] = {"tts.example"}, *const origins[] = {"http://app.example"};
    if (loop.rig) return loop.rig;
    ishow_server_options options = rig_options();
    options.allowed_hosts = hosts;
    options.n_allowed_hosts = 1;
    options.cors_origins = origins;
    options.n_cors_origins = 1;
    loop.rig = rig_make(&options, 1, 64);
    expect(loop.rig, GET("/healthz", ""), 200, "ready"); /* what is done once is done */
    fuzz_must(!pthread_getcpuclockid(loop.rig->server->thread, &loop.clock));
    loop.before = used();
    atexit(report);
    return loop.rig;
}

void loop_settle(void) {
    static const char question[] = GET("/healthz", "");
    static int fd = -1;
    for (int status = 0; !status;) {
        if (fd < 0) fd = dial(loop.rig);
        send_all(fd, question, sizeof question - 1);
        reply a = receive(fd);
        status = a.status;
        fuzz_must(!status || status == 200);
        free(a.all);
        if (status) continue;
        close(fd); /* by the server, when it was silent for long */
        fd = -1;
    }
}

void loop_check(size_t n) {
    loop_settle();
    const double now = used(), busy = now - loop.before;
    loop.before = now;
    loop.inputs++;
    loop.all += busy;
    loop.most = fmax(loop.most, busy);
    if (busy <= BUSY_MAX) return;
    fprintf(stderr, "%zu bytes keep the server's loop busy for %.3f s\n", n, busy);
    abort();
}
