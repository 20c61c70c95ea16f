/* Sources of live chat: Twitch, Bilibili, YouTube. Messages are defined in chat/message.h, their handling in
 * chat/chat.h. Threads: a loop, its sources and their sinks belong to the thread that calls ishow_chat_loop_process.
 * Nothing here blocks, takes a lock, or starts threads that call back. */
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
 * } */
typedef struct ishow_chat_loop ishow_chat_loop;

typedef struct ishow_chat_loop_options {
    unsigned logins; /* Twitch: maximum log-ins begun within login_seconds; further ones wait */
    double login_seconds;
} ishow_chat_loop_options;

ISHOW_API ishow_chat_loop_options ishow_chat_loop_options_default(void);

ISHOW_API ishow_status ishow_chat_loop_create(ishow_chat_loop **out, const ishow_chat_loop_options *options,
                                              ishow_error *error);
/* Free all its sources before. NULL allowed. */
ISHOW_API void ishow_chat_loop_free(ishow_chat_loop *loop);
/* Readable when process has work. Owned by the loop. */
ISHOW_API int ishow_chat_loop_fd(const ishow_chat_loop *loop);
/* Milliseconds until process must be called although the descriptor is not readable; 0: now, -1: no timer. */
ISHOW_API int ishow_chat_loop_timeout(const ishow_chat_loop *loop);
/* Handles what is due without waiting, and calls sinks. One call handles a bounded amount, so that others are not
 * delayed. */
ISHOW_API void ishow_chat_loop_process(ishow_chat_loop *loop);

/* ---- sources ---- */

/* Start from ishow_chat_source_options_default(platform). Strings are copied by open; NULL: none. */
typedef struct ishow_chat_source_options {
    ishow_chat_platform platform;
    const char *channel; /* Twitch: login, with or without '#', in any case; Bilibili: room number; YouTube: video id */
    const char *token;   /* Twitch: OAuth token, NULL reads anonymously; Bilibili: SESSDATA cookie, NULL reads
                            anonymously;   YouTube: API key, needed. Sent over TLS alone, never logged. */
    const char *login;   /* Twitch with a token: its user's name. Bilibili with a token: the numeric uid. */
    const char *app_id;  /* Bilibili's open platform: number of the project; `login` is then the id of the access key,
                            `token` its secret. NULL: read like the web page. */
    const char *code;    /* and the streamer's identity code; as secret as the token */
    int keeps_mentions;  /* Twitch: "@name" at the beginning of a reply stays in its text */
    int third_party_emotes;      /* Twitch: words that 7TV, BetterTTV and FrankerFaceZ show as pictures are emotes */
    const char *emotes_endpoint; /* Twitch: base URL for the lists of these emotes; NULL: the services' own */
    const char *endpoint; /* Twitch: ircs://host:port (irc:// for this machine, without token), or https:// for EventSub
                             only. Bilibili and YouTube: base URL of the HTTP API, https:// (http:// for this machine)
                           */
    const char *ca_file;  /* PEM to trust instead of the system's authorities; NULL: the system's */
    double connect_seconds;   /* limit for name lookup, TCP, TLS and log-in together */
    double heartbeat_seconds; /* a heartbeat is sent after this time without data from the platform (Bilibili: at this
                                 interval) */
    double reply_seconds;     /* the connection is closed when nothing arrives within this time after it; also limits a
                                 whole HTTP response */
    double backoff_seconds;   /* first pause after a failure; doubles up to backoff_max_seconds; the actual pause is
                                 random between half and all of it */
    double backoff_max_seconds;
    double poll_seconds_min;  /* YouTube: minimum interval of polls, whatever the platform allows */
    size_t frame_bytes_max;   /* Twitch: line; Bilibili: frame; YouTube: response. More is a protocol error */
    size_t inflate_bytes_max; /* Bilibili: all packets of a frame, decompressed */
    uint64_t quota_units;     /* YouTube: most units used by a source; 0: unlimited */
} ishow_chat_source_options;

/* The channel as a source shows it: Twitch's without '#' in small letters, YouTube's id or handle out of an address. */
ISHOW_API void ishow_chat_channel(ishow_chat_platform platform, const char *given, char *out, size_t size);

ISHOW_API ishow_chat_source_options ishow_chat_source_options_default(ishow_chat_platform platform);

/* Connects from the loop's next process on; later failures are states, not errors. EINVAL names the option: "channel",
 * "token", "login", "endpoint", or a number out of range. The loop is borrowed until free. */
ISHOW_API ishow_status ishow_chat_source_open(ishow_chat_source **out, ishow_chat_loop *loop,
                                              const ishow_chat_source_options *options, const ishow_chat_sink *sink,
                                              ishow_error *error);
/* Closes at once, without an event. Not within a sink. NULL allowed. */
ISHOW_API void ishow_chat_source_free(ishow_chat_source *source);

typedef struct ishow_chat_source_stats {
    ishow_chat_platform platform;
    char channel[64];
    ishow_chat_state state;
    char text[240]; /* description of the state, e.g. "Lost: the server closed the connection. Next try in 4 s." */
    double state_seconds;                  /* since the state began */
    double silent_seconds;                 /* since data arrived from the platform; -1: never */
    double retry_seconds;                  /* until the next attempt in WAITING, else 0 */
    uint64_t attempts;                     /* connections begun (YouTube: polls) */
    uint64_t connects;                     /* connections that became live */
    uint64_t losses;                       /* live connections lost */
    uint64_t bytes;                        /* received, before decompression */
    uint64_t lines;                        /* IRC lines, packets, items */
    uint64_t messages, deletions, notices; /* handed to the sink */
    uint64_t duplicates; /* shared chat received before, history not read aloud, ids received before a reconnect */
    uint64_t ignored;    /* valid but not used (joins, gift combos, ...) */
    uint64_t malformed;  /* violating the protocol; skipped */
    uint64_t heartbeats; /* heartbeats sent */
    uint64_t quota_used; /* YouTube units in this run */
} ishow_chat_source_stats;

ISHOW_API void ishow_chat_source_stats_get(const ishow_chat_source *source, ishow_chat_source_stats *out);

#ifdef __cplusplus
}
#endif
#endif
