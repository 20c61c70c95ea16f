/* The loop of live chat: sources and their timers on top of a net_loop. */
#include <math.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/source.h"

enum { SEEN_IDS = 8192 };

ishow_chat_loop_options ishow_chat_loop_options_default(void) {
    return (ishow_chat_loop_options){.logins = ISHOW_CHAT_LOGINS, .login_seconds = ISHOW_CHAT_LOGIN_SECONDS};
}

ishow_status ishow_chat_loop_create(ishow_chat_loop **out, const ishow_chat_loop_options *options, ishow_error *error) {
    *out = NULL;
    if (options->logins < 1 || options->logins > 100000)
        return ishow_fail(error, ISHOW_EINVAL, "logins", "logins must be from 1 to 100000, not %u.", options->logins);
    if (!(options->login_seconds >= 0 && options->login_seconds <= ISHOW_CHAT_SECONDS_MAX))
        return ishow_fail(error, ISHOW_EINVAL, "login_seconds", "login_seconds must be from 0 to %d, not %g.",
                          ISHOW_CHAT_SECONDS_MAX, options->login_seconds);
    ishow_chat_loop *loop = calloc(1, sizeof *loop);
    if (!loop) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for live chat.");
    ishow_handle_made();
    ishow_status status = ISHOW_OK;
    loop->logins = options->logins;
    loop->login_seconds = options->login_seconds;
    const int opened = net_loop_open(&loop->net);
    loop->seen = seen_create(SEEN_IDS);
    loop->login_times = calloc(options->logins, sizeof *loop->login_times);
    if (getrandom(&loop->random, sizeof loop->random, GRND_NONBLOCK) < 0) loop->random = (uint64_t)(1e9 * ishow_now());
    loop->random |= 1;
    if (!opened || !loop->seen || !loop->login_times) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is no memory or file descriptor for live chat.");
        goto done;
    }
    for (unsigned i = 0; i < loop->logins; i++) loop->login_times[i] = -(double)INFINITY;
done:
    if (status != ISHOW_OK)
        ishow_chat_loop_free(loop);
    else
        *out = loop;
    return status;
}

void ishow_chat_loop_free(ishow_chat_loop *loop) {
    if (!loop) return;
    http_finish(&loop->net, ISHOW_CHAT_LAST_SECONDS);
    net_loop_close(&loop->net);
    seen_free(loop->seen);
    free(loop->login_times);
    free(loop);
    ishow_handle_freed();
}

int ishow_chat_loop_fd(const ishow_chat_loop *loop) { return loop->net.epoll; }

int ishow_chat_loop_timeout(const ishow_chat_loop *loop) {
    double due = net_loop_due(&loop->net);
    for (const ishow_chat_source *s = loop->sources; s; s = s->next) due = fmin(due, source_due(s));
    double ms = ceil(1e3 * (due - ishow_now()));
    return isinf(due) ? -1 : ms <= 0 ? 0 : ms > 1e9 ? 1000000000 : (int)ms;
}

void ishow_chat_loop_process(ishow_chat_loop *loop) {
    net_loop_process(&loop->net);
    double now = ishow_now();
    for (ishow_chat_source *s = loop->sources; s; s = s->next)
        if (source_due(s) <= now) source_tick(s, now);
}
