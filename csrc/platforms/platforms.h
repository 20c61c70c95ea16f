/* Sources of live chat: Twitch, Bilibili, YouTube. What a message is, is in chat/message.h; what becomes of it, in
 * chat/chat.h. Threads: a loop, its sources and their sinks belong to one thread, the one that calls
 * ishow_chat_loop_process; nothing here blocks, starts a thread that calls back, or takes a lock. */
#ifndef ISHOW_PLATFORMS_PLATFORMS_H
#define ISHOW_PLATFORMS_PLATFORMS_H

#include <stddef.h>
#include <stdint.h>

#include "chat/message.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the loop ---- */

/* Sockets and timers of any number of sources behind one descriptor, to be nested in the caller's own epoll set:
 *
 *     epoll_ctl(own, EPOLL_CTL_ADD, ishow_chat_loop_fd(loop), EPOLLIN);
 *     for (;;) { epoll_wait(own, ..., min(own timeout, ishow_chat_loop_timeout(loop))); ishow_chat_loop_process(loop);
 * }
 */
typedef struct ishow_chat_loop ishow_chat_loop;

typedef struct ishow_chat_loop_options {
    unsigned logins; /* Twitch: log-ins begun within login_seconds at most; later ones wait their turn */
    double login_seconds;
} ishow_chat_loop_options;

ISHOW_API ishow_chat_loop_options ishow_chat_loop_options_default(void);

ISHOW_API ishow_status ishow_chat_loop_create(ishow_chat_loop **out, const ishow_chat_loop_options *options,
                                              ishow_error *error);
/* After the last of its sources. NULL allowed. */
ISHOW_API void ishow_chat_loop_free(ishow_chat_loop *loop);
/* Readable when process has work. Owned by the loop. */
ISHOW_API int ishow_chat_loop_fd(const ishow_chat_loop *loop);
/* Milliseconds until process must be called although the descriptor is not readable; 0: now, -1: no timer. */
ISHOW_API int ishow_chat_loop_timeout(const ishow_chat_loop *loop);
/* Does what is due without waiting, and calls sinks. One call handles a bounded amount, so that others get their turn.
 */
ISHOW_API void ishow_chat_loop_process(ishow_chat_loop *loop);

/* ---- sources ---- */

/* Start from ishow_chat_source_options_default(platform). Strings are copied by open; NULL: none. */
typedef struct ishow_chat_source_options {
    ishow_chat_platform platform;
    const char *channel; /* Twitch: login, with or without '#', in any case; Bilibili: room number; YouTube: video id */
    const char *token;   /* Twitch: OAuth token, NULL reads anonymously; Bilibili: SESSDATA cookie, NULL reads
                            anonymously;   YouTube: API key, needed. Sent over TLS alone, never logged. */
    const char *login;   /* Twitch with a token: whose it is. Bilibili with a token: the numeric uid. */
    const char *endpoint;   /* Twitch: ircs://host:port (irc:// for this machine, without token). Bilibili and YouTube:
                               base URL of the HTTP API,   https:// (http:// for this machine) */
    const char *ca_file;    /* PEM to trust instead of the system's authorities; NULL: the system's */
    double connect_seconds; /* look-up, TCP, TLS and log-in together */
    double
        heartbeat_seconds; /* own heartbeat after this long without a word of the platform (Bilibili: every so often) */
    double reply_seconds;  /* and the connection is given up when nothing comes this long after it; also a whole HTTP
                              answer */
    double backoff_seconds; /* first pause after a failure; doubles up to backoff_max_seconds, each drawn between half
                               and the whole of it */
    double backoff_max_seconds;
    double poll_seconds_min;  /* YouTube: never asks more often than this, whatever the platform allows */
    size_t frame_bytes_max;   /* Twitch: line; Bilibili: frame; YouTube: answer. More is a protocol error */
    size_t inflate_bytes_max; /* Bilibili: all of a frame's packets, decompressed */
    uint64_t quota_units;     /* YouTube: units that may be used in a run of the source, 0: no bound of ours */
} ishow_chat_source_options;

ISHOW_API ishow_chat_source_options ishow_chat_source_options_default(ishow_chat_platform platform);

/* Begins to connect at the loop's next process; failures later on are states, not errors. EINVAL names the option:
 * "channel", "token", "login", "endpoint", a number out of range. The loop is borrowed until free. */
ISHOW_API ishow_status ishow_chat_source_open(ishow_chat_source **out, ishow_chat_loop *loop,
                                              const ishow_chat_source_options *options, const ishow_chat_sink *sink,
                                              ishow_error *error);
/* Closes at once, without an event. Not from inside a sink. NULL allowed. */
ISHOW_API void ishow_chat_source_free(ishow_chat_source *source);

typedef struct ishow_chat_source_stats {
    ishow_chat_platform platform;
    char channel[64];
    ishow_chat_state state;
    char text[240];        /* the state in words, e.g. "Lost: the server closed the connection. Next try in 4 s." */
    double state_seconds;  /* since it began */
    double silent_seconds; /* since the platform said anything, -1: never */
    double retry_seconds;  /* until the next try in WAITING, else 0 */
    uint64_t attempts;     /* connections begun (YouTube: polls) */
    uint64_t connects;     /* that became live */
    uint64_t losses;       /* of live ones */
    uint64_t bytes;        /* received, before decompression */
    uint64_t lines;        /* IRC lines, packets, items */
    uint64_t messages, deletions, notices; /* handed to the sink */
    uint64_t duplicates; /* shared chat seen before, history not read aloud, ids seen before a reconnect */
    uint64_t ignored;    /* well-formed, of no interest here (joins, gift combos, ...) */
    uint64_t malformed;  /* not what the protocol says; skipped */
    uint64_t heartbeats; /* own ones sent */
    uint64_t quota_used; /* YouTube units in this run */
} ishow_chat_source_stats;

ISHOW_API void ishow_chat_source_stats_get(const ishow_chat_source *source, ishow_chat_source_stats *out);

#ifdef __cplusplus
}
#endif
#endif
