/* One line an event, to standard error, written by a single write so that lines of several threads never mix. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

static atomic_int minimum = ISHOW_LOG_INFO;

static const char *const names[] = {"debug", "info", "warn", "error"};

int ishow_log_level_find(const char *name, ishow_log_level *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (ishow_log_level)i;
            return 1;
        }
    return 0;
}

void ishow_log_set_level(ishow_log_level level) { atomic_store(&minimum, (int)level); }

void ishow_log(ishow_log_level level, const char *room, const char *format, ...) {
    if ((int)level < atomic_load(&minimum)) return;
    char line[2048];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s: ", now.tv_nsec / 1000000, names[level], room);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - n - 1, format, args);
    va_end(args);
    if (m < 0) return;
    n += (size_t)m < sizeof line - n - 1 ? (size_t)m : sizeof line - n - 2;
    line[n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}
