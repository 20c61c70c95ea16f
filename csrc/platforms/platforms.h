/* Live chat: connections to platforms, and the messages that come out of them in one shape.
 *
 * Part A, this file: what a message is, and sources (Twitch, Bilibili, YouTube). What becomes of a message (filter, queue, journal)
 * is in chat.h. Threads: a loop, its sources and their sinks belong to one thread, the one that calls
 * ishow_chat_loop_process; nothing here blocks, starts a thread that calls back, or takes a lock. */
#ifndef ISHOW_PLATFORMS_PLATFORMS_H
#define ISHOW_PLATFORMS_PLATFORMS_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes, not NUL-terminated. {NULL, 0} where a platform says nothing. Every span of a message or an event is valid UTF-8
 * without NUL (bad bytes were replaced by U+FFFD), and dies when the sink returns: copy what is kept. */
typedef struct ishow_span { const char *data; size_t size; } ishow_span;

/* ---- messages ---- */

/* Who wrote it; several at once. */
enum {
    ISHOW_CHAT_ROLE_BROADCASTER = 1 << 0,
    ISHOW_CHAT_ROLE_MODERATOR = 1 << 1,
    ISHOW_CHAT_ROLE_VIP = 1 << 2,
    ISHOW_CHAT_ROLE_SUBSCRIBER = 1 << 3, /* Twitch: founders too */
    ISHOW_CHAT_ROLE_MEMBER = 1 << 4,     /* YouTube sponsor; Bilibili: wears this room's medal */
    ISHOW_CHAT_ROLE_GUARD = 1 << 5,      /* Bilibili, see guard_level */
    ISHOW_CHAT_ROLE_STAFF = 1 << 6,      /* of the platform; YouTube: verified */
    ISHOW_CHAT_ROLE_BOT = 1 << 7         /* where the platform says so */
};

/* What it is about. */
typedef enum ishow_chat_kind {
    ISHOW_CHAT_KIND_TEXT = 0,     /* words of a viewer */
    ISHOW_CHAT_KIND_PAID,         /* words with money: super chat, bits, see amount_micros and bits */
    ISHOW_CHAT_KIND_GIFT,         /* a thing with a name and a count: gift, super sticker, gifted subscriptions */
    ISHOW_CHAT_KIND_SUBSCRIPTION, /* subscribed again or anew, membership, milestone, guard; text may be empty */
    ISHOW_CHAT_KIND_RAID,         /* count: viewers */
    ISHOW_CHAT_KIND_ANNOUNCEMENT, /* of a moderator */
    ISHOW_CHAT_KIND_EVENT         /* others; system_text says what */
} ishow_chat_kind;

/* In which order it should be served. */
typedef enum ishow_chat_priority {
    ISHOW_CHAT_PRIORITY_NORMAL = 0,
    ISHOW_CHAT_PRIORITY_MENTION,
    ISHOW_CHAT_PRIORITY_MODERATOR,
    ISHOW_CHAT_PRIORITY_PAID,
    ISHOW_CHAT_PRIORITY_GIFT
} ishow_chat_priority;

/* Code points [start, end) of text show a picture; clamped to the text, in order, without overlap. */
typedef struct ishow_chat_emote { uint32_t start, end; ishow_span id; } ishow_chat_emote;

typedef struct ishow_chat_message {
    ishow_span platform;     /* "twitch", "bilibili", "youtube", or a client's own word */
    ishow_span channel;      /* as in the source's options */
    ishow_span id;           /* unique in its platform; never empty from a source */
    ishow_span user_id;      /* stable; empty where the platform hides it (Bilibili without a login) */
    ishow_span login;        /* as typed after @; empty where there is none */
    ishow_span display_name; /* never empty from a source, but "" may stand for an anonymous gift on Bilibili */
    ishow_span text;         /* what the viewer wrote, without protocol wrapping; may be empty unless kind is TEXT */
    ishow_span system_text;  /* the platform's own sentence about an event, e.g. "ann subscribed for 3 months" */
    ishow_span language;     /* BCP 47 where the platform says it */
    ishow_chat_kind kind;
    ishow_chat_priority priority; /* a hint by kind and role; mentions of the streamer are for the filter to find, replies to the channel are hinted */
    unsigned roles;          /* ISHOW_CHAT_ROLE_BROADCASTER | ... */
    int guard_level;         /* 0 none, 1 governor, 2 admiral, 3 captain */
    int level;               /* Bilibili user level, else 0 */
    int months;              /* subscribed or member for, where known */
    uint64_t bits;           /* Twitch */
    int64_t amount_micros;   /* money: millionths of `currency`, 0 none */
    char currency[4];        /* ISO 4217, "" none */
    ishow_span gift_name;
    uint64_t count;          /* gifts, gifted subscriptions, raiders; 0 none */
    const ishow_chat_emote *emotes;
    size_t n_emotes;
    int64_t timestamp_ms;    /* since 1970, the platform's clock; ours where it has none */
    unsigned action : 1;     /* /me */
    unsigned first : 1;      /* first message of this viewer in the channel */
    unsigned emote_only : 1; /* nothing but pictures */
    ishow_span reply_id, reply_user_id, reply_login, reply_text; /* the message this one answers */
    ishow_span room_id;      /* numeric room, where there is one */
    ishow_span source_room_id, source_id; /* shared chat: where it was written, and its id there; else empty */
} ishow_chat_message;

/* ---- events ---- */

typedef enum ishow_chat_state {
    ISHOW_CHAT_STATE_CONNECTING = 0, /* looking up, TLS, log-in, join */
    ISHOW_CHAT_STATE_LIVE,
    ISHOW_CHAT_STATE_WAITING,        /* lost; tries again in retry_seconds */
    ISHOW_CHAT_STATE_ENDED,          /* the broadcast is over; final */
    ISHOW_CHAT_STATE_FAILED,         /* trying again would not help (bad token, no such room, quota used up); final */
    ISHOW_CHAT_STATES
} ishow_chat_state;

typedef enum ishow_chat_event_type {
    ISHOW_CHAT_ON_MESSAGE = 0, /* message */
    ISHOW_CHAT_ON_DELETE,      /* message_id: must not be spoken (any more) */
    ISHOW_CHAT_ON_DELETE_USER, /* user_id and login: nothing they wrote so far; seconds: time-out, 0: for good */
    ISHOW_CHAT_ON_CLEAR,       /* nothing written so far in the channel */
    ISHOW_CHAT_ON_STATE,       /* state, text */
    ISHOW_CHAT_ON_NOTICE       /* text: the platform says something to people (slow mode, ...) */
} ishow_chat_event_type;

typedef struct ishow_chat_source ishow_chat_source;

typedef struct ishow_chat_event {
    ishow_chat_event_type type;
    ishow_span platform, channel;
    const ishow_chat_message *message; /* ON_MESSAGE only, else NULL */
    ishow_span message_id;             /* ON_DELETE */
    ishow_span user_id, login;         /* ON_DELETE_USER, and ON_DELETE where known */
    uint64_t seconds;
    ishow_chat_state state;            /* ON_STATE */
    ishow_span text;                   /* ON_STATE, ON_NOTICE: one sentence, no secret in it */
} ishow_chat_event;

/* Takes what a source has. Called inside ishow_chat_loop_process only; must not block, must not free a source or the loop. */
typedef struct ishow_chat_sink {
    void *self;
    void (*event)(void *self, ishow_chat_source *source, const ishow_chat_event *event);
} ishow_chat_sink;

/* ---- the loop ---- */

/* Sockets and timers of any number of sources behind one descriptor, to be nested in the caller's own epoll set:
 *
 *     epoll_ctl(own, EPOLL_CTL_ADD, ishow_chat_loop_fd(loop), EPOLLIN);
 *     for (;;) { epoll_wait(own, ..., min(own timeout, ishow_chat_loop_timeout(loop))); ishow_chat_loop_process(loop); }
 */
typedef struct ishow_chat_loop ishow_chat_loop;

typedef struct ishow_chat_loop_options {
    unsigned logins;      /* Twitch: log-ins begun within login_seconds at most; later ones wait their turn */
    double login_seconds;
} ishow_chat_loop_options;

ISHOW_API ishow_chat_loop_options ishow_chat_loop_options_default(void);

ISHOW_API ishow_status ishow_chat_loop_create(ishow_chat_loop **out, const ishow_chat_loop_options *options, ishow_error *error);
/* After the last of its sources. NULL allowed. */
ISHOW_API void ishow_chat_loop_free(ishow_chat_loop *loop);
/* Readable when process has work. Owned by the loop. */
ISHOW_API int ishow_chat_loop_fd(const ishow_chat_loop *loop);
/* Milliseconds until process must be called although the descriptor is not readable; 0: now, -1: no timer. */
ISHOW_API int ishow_chat_loop_timeout(const ishow_chat_loop *loop);
/* Does what is due without waiting, and calls sinks. One call handles a bounded amount, so that others get their turn. */
ISHOW_API void ishow_chat_loop_process(ishow_chat_loop *loop);

/* ---- sources ---- */

typedef enum ishow_chat_platform { ISHOW_CHAT_TWITCH = 0, ISHOW_CHAT_BILIBILI, ISHOW_CHAT_YOUTUBE, ISHOW_CHAT_PLATFORMS } ishow_chat_platform;

/* "twitch", "bilibili", "youtube". Static storage. */
ISHOW_API const char *ishow_chat_platform_name(ishow_chat_platform platform);
/* 1 and *out, or 0 for another name. */
ISHOW_API int ishow_chat_platform_find(const char *name, ishow_chat_platform *out);

/* Start from ishow_chat_source_options_default(platform). Strings are copied by open; NULL: none. */
typedef struct ishow_chat_source_options {
    ishow_chat_platform platform;
    const char *channel;   /* Twitch: login, with or without '#', in any case; Bilibili: room number; YouTube: video id */
    const char *token;     /* Twitch: OAuth token, NULL reads anonymously; Bilibili: SESSDATA cookie, NULL reads anonymously;
                              YouTube: API key, needed. Sent over TLS alone, never logged. */
    const char *login;     /* Twitch with a token: whose it is. Bilibili with a token: the numeric uid. */
    const char *endpoint;  /* Twitch: ircs://host:port (irc:// for this machine, without token). Bilibili and YouTube: base URL of the HTTP API,
                              https:// (http:// for this machine) */
    const char *ca_file;   /* PEM to trust instead of the system's authorities; NULL: the system's */
    double connect_seconds;   /* look-up, TCP, TLS and log-in together */
    double heartbeat_seconds; /* own heartbeat after this long without a word of the platform (Bilibili: every so often) */
    double reply_seconds;     /* and the connection is given up when nothing comes this long after it; also a whole HTTP answer */
    double backoff_seconds;   /* first pause after a failure; doubles up to backoff_max_seconds, each drawn between half and the whole of it */
    double backoff_max_seconds;
    double poll_seconds_min;  /* YouTube: never asks more often than this, whatever the platform allows */
    size_t frame_bytes_max;   /* Twitch: line; Bilibili: frame; YouTube: answer. More is a protocol error */
    size_t inflate_bytes_max; /* Bilibili: all of a frame's packets, decompressed */
    uint64_t quota_units;     /* YouTube: units that may be used in a run of the source, 0: no bound of ours */
} ishow_chat_source_options;

ISHOW_API ishow_chat_source_options ishow_chat_source_options_default(ishow_chat_platform platform);

/* Begins to connect at the loop's next process; failures later on are states, not errors. EINVAL names the option: "channel", "token",
 * "login", "endpoint", a number out of range. The loop is borrowed until free. */
ISHOW_API ishow_status ishow_chat_source_open(ishow_chat_source **out, ishow_chat_loop *loop, const ishow_chat_source_options *options,
                                    const ishow_chat_sink *sink, ishow_error *error);
/* Closes at once, without an event. Not from inside a sink. NULL allowed. */
ISHOW_API void ishow_chat_source_free(ishow_chat_source *source);

typedef struct ishow_chat_source_stats {
    ishow_chat_platform platform;
    char channel[64];
    ishow_chat_state state;
    char text[240];          /* the state in words, e.g. "Lost: the server closed the connection. Next try in 4 s." */
    double state_seconds;    /* since it began */
    double silent_seconds;   /* since the platform said anything, -1: never */
    double retry_seconds;    /* until the next try in WAITING, else 0 */
    uint64_t attempts;       /* connections begun (YouTube: polls) */
    uint64_t connects;       /* that became live */
    uint64_t losses;         /* of live ones */
    uint64_t bytes;          /* received, before decompression */
    uint64_t lines;          /* IRC lines, packets, items */
    uint64_t messages, deletions, notices; /* handed to the sink */
    uint64_t duplicates;     /* shared chat seen before, history not read aloud, ids seen before a reconnect */
    uint64_t ignored;        /* well-formed, of no interest here (joins, gift combos, ...) */
    uint64_t malformed;      /* not what the protocol says; skipped */
    uint64_t heartbeats;     /* own ones sent */
    uint64_t quota_used;     /* YouTube units in this run */
} ishow_chat_source_stats;

ISHOW_API void ishow_chat_source_stats_get(const ishow_chat_source *source, ishow_chat_source_stats *out);

/* "connecting", "live", "waiting", "ended", "failed". Static storage. */
ISHOW_API const char *ishow_chat_state_name(ishow_chat_state state);

#ifdef __cplusplus
}
#endif
#endif
