/* Connections: how many one client may have, and which are closed because they send nothing. All on the loop. */
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/internal.h"

/* Connections without a request must not exclude others: where one address, loopback included, has more than half of
 * all connections in this state, its oldest one is closed. Clients that send their request at once are never among the
 * oldest. */
static void make_room(ishow_server *s, const struct sockaddr *address) {
    unsigned idle = 0;
    peer *oldest = NULL;
    for (peer *p = s->peers; p; p = p->next) {
        if (p->exchange || p->dropped || !same_address(&p->address, address)) continue;
        idle++;
        oldest = p; /* the list begins with the newest */
    }
    if (idle < s->connections_max / 2 || !oldest) return;
    oldest->dropped = 1;
    shutdown(oldest->fd, SHUT_RDWR);
}

enum MHD_Result peer_may_connect(void *self, const struct sockaddr *address, socklen_t length) {
    ishow_server *s = self;
    unsigned n = 0;
    (void)length;
    make_room(s, address);
    if (s->rules.loopback || !s->connections_per_client) return MHD_YES;
    for (const peer *p = s->peers; p; p = p->next) n += (unsigned)same_address(&p->address, address);
    n += subscribers_from(s->broadcast_workers, address);
    return n < s->connections_per_client ? MHD_YES : MHD_NO;
}

void peer_changed(void *self, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode what) {
    ishow_server *s = self;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        peer *p = calloc(1, sizeof *p);
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = p;
        if (!p) return;
        p->fd = info ? info->connect_fd : -1;
        p->since = ishow_now();
        socklen_t length = sizeof p->address;
        if (getpeername(p->fd, (struct sockaddr *)&p->address, &length)) p->address.ss_family = AF_UNSPEC;
        p->next = s->peers;
        if (s->peers) s->peers->prev = p;
        s->peers = p;
        s->connections++;
        /* Limits what the kernel buffers: otherwise it would hold megabytes of audio for a slow client. */
        int lowat = 16384;
        setsockopt(p->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
        return;
    }
    peer *p = *context;
    if (!p) return;
    if (p->prev)
        p->prev->next = p->next;
    else
        s->peers = p->next;
    if (p->next) p->next->prev = p->prev;
    s->connections--;
    free(p);
}

/* Seconds within which a whole request must arrive. For an upload they grow with the bytes that have arrived, so a
 * client that sends only a few bytes at a time is closed early. */
static double patience_of(const ishow_server *s, const exchange *x) {
    if (!x || !x->uploads) return s->idle_seconds;
    const double most = s->idle_seconds * ISHOW_UPLOAD_SECONDS / ISHOW_IDLE_SECONDS;
    return fmin(most, s->idle_seconds / 3 + (double)x->received / ISHOW_UPLOAD_RATE_MIN);
}

/* Closes connections that have not sent a whole request in time, and those whose client has shut down its side:
 * libmicrohttpd does not notice a shutdown that arrives together with the last bytes, since it uses edge-triggered
 * epoll and takes a short read for an empty socket. */
void peers_reap(ishow_server *s) {
    double now = ishow_now();
    for (peer *p = s->peers; p; p = p->next) {
        exchange *x = p->exchange;
        if (x && (x->patient || (x->phase != PHASE_HEAD && x->phase != PHASE_BODY && x->phase != PHASE_SWALLOW)))
            continue;
        char next;
        p->ended = recv(p->fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? p->ended + 1 : 0;
        if (now - p->since > patience_of(s, x) ||
            p->ended > 1) { /* at the first tick libmicrohttpd may not have read it yet */
            shutdown(p->fd, SHUT_RDWR);
            p->since = now;
        }
    }
}
