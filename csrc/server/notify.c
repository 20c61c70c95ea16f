/* sd_notify(3) is a datagram to a Unix socket, so no library is needed for it. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "server/notify.h"

enum { MESSAGE_MAX = 1024 };

static void deliver(const char *message, size_t n, int flags) {
    const char *place = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!place || (*place != '/' && *place != '@') || strlen(place) >= sizeof address.sun_path) return;
    memcpy(address.sun_path, place, strlen(place));
    if (*place == '@') address.sun_path[0] = '\0'; /* an abstract socket name */
    const socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(place));
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, message, n, MSG_NOSIGNAL | flags, (struct sockaddr *)&address, length) < 0)
        ishow_log(ISHOW_LOG_DEBUG, "server", "the service manager cannot be notified: %s", strerror(errno));
    if (fd >= 0) close(fd);
}

void notify(const char *format, ...) {
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n < 0) return;
    if (n >= MESSAGE_MAX) n = MESSAGE_MAX - 1;
    deliver(message, (size_t)n, 0);
}

void notify_alive(void) {
    static const char message[] = "WATCHDOG=1";
    deliver(message, sizeof message - 1, MSG_DONTWAIT);
}

double notify_watchdog_seconds(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid())) return 0;
    const double seconds = 1e-6 * strtod(usec, NULL);
    return seconds > 0 && seconds < 1e9 ? seconds : 0;
}
