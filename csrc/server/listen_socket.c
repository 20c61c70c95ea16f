/* The listening socket is opened here, not by libmicrohttpd, to make it close-on-exec (the compiler process must not
 * inherit the port) and to report errors in plain sentences. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "server/internal.h"

static int is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Prefers IPv4, so that "localhost" is 127.0.0.1 as the log prints it. */
static const struct addrinfo *preferred(const struct addrinfo *found) {
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        if (a->ai_family == AF_INET) return a;
    return found;
}

ishow_status listen_socket(const char *host, int port, const char *option, int *fd, int *loopback, ishow_error *error) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found = NULL;
    char service[8];
    const int one = 1;
    *fd = -1;
    if (port < 0 || port > 65535)
        return ishow_fail(error, ISHOW_EINVAL, option, "The port must be between 0 and 65535, not %d.", port);
    snprintf(service, sizeof service, "%d", port);
    const int wrong = getaddrinfo(host, service, &hints, &found);
    if (wrong)
        return ishow_fail(error, ISHOW_EIO, "host", "The host %s cannot be resolved: %s.", host, gai_strerror(wrong));
    const struct addrinfo *at = preferred(found);
    ishow_status status = ISHOW_OK;
    *loopback = is_loopback(at->ai_addr);
    *fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        status = ishow_fail(error, ISHOW_EIO, "host", "No socket could be opened: %s.", strerror(errno));
        goto done;
    }
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(*fd, at->ai_addr, at->ai_addrlen) || listen(*fd, 512)) {
        if (errno == EADDRINUSE)
            status =
                ishow_fail(error, ISHOW_EIO, option,
                           "Port %d on %s is in use by another program; choose another with --%s.", port, host, option);
        else
            status = ishow_fail(error, ISHOW_EIO, errno == EACCES ? option : "host",
                                "%s port %d cannot be listened on: %s.", host, port, strerror(errno));
    }
done:
    freeaddrinfo(found);
    return status;
}

ishow_status listen_open(ishow_server *s, const char *host, int port, int insecure, ishow_error *error) {
    char shown[64];
    struct sockaddr_storage real;
    socklen_t length = sizeof real;
    ishow_status status = listen_socket(host, port, "port", &s->listen_fd, &s->rules.loopback, error);
    if (status != ISHOW_OK) return status;
    if (!s->rules.loopback && !s->rules.key_needed && !insecure)
        return ishow_fail(error, ISHOW_EINVAL, "host",
                          "To serve other machines on %s set server.api_key, or server.insecure if everyone on the "
                          "network may use it.",
                          host);
    getsockname(s->listen_fd, (struct sockaddr *)&real, &length);
    s->port = ntohs(real.ss_family == AF_INET ? ((struct sockaddr_in *)&real)->sin_port
                                              : ((struct sockaddr_in6 *)&real)->sin6_port);
    if (getnameinfo((struct sockaddr *)&real, length, shown, sizeof shown, NULL, 0, NI_NUMERICHOST))
        snprintf(shown, sizeof shown, "%s", host);
    snprintf(s->url, sizeof s->url, real.ss_family == AF_INET6 ? "http://[%s]:%d" : "http://%s:%d", shown, s->port);
    return ISHOW_OK;
}
