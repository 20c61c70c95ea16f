/* A message of live chat and the events around it: what sources hand on (platforms/) and what the chat takes. */
#ifndef ISHOW_CHAT_MESSAGE_H
#define ISHOW_CHAT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

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
typedef struct ishow_chat_emote {
    uint32_t start, end;
    ishow_span id;
} ishow_chat_emote;

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
    ishow_chat_priority priority; /* a hint by kind and role; mentions of the streamer are for the filter to find,
                                     replies to the channel are hinted */
    unsigned roles;               /* ISHOW_CHAT_ROLE_BROADCASTER | ... */
    int guard_level;              /* 0 none, 1 governor, 2 admiral, 3 captain */
    int level;                    /* Bilibili user level, else 0 */
    int months;                   /* subscribed or member for, where known */
    uint64_t bits;                /* Twitch */
    int64_t amount_micros;        /* money: millionths of `currency`, 0 none */
    char currency[4];             /* ISO 4217, "" none */
    ishow_span gift_name;
    uint64_t count; /* gifts, gifted subscriptions, raiders; 0 none */
    const ishow_chat_emote *emotes;
    size_t n_emotes;
    int64_t timestamp_ms;    /* since 1970, the platform's clock; ours where it has none */
    unsigned action : 1;     /* /me */
    unsigned first : 1;      /* first message of this viewer in the channel */
    unsigned emote_only : 1; /* nothing but pictures */
    ishow_span reply_id, reply_user_id, reply_login, reply_text; /* the message this one answers */
    ishow_span room_id;                                          /* numeric room, where there is one */
    ishow_span source_room_id, source_id; /* shared chat: where it was written, and its id there; else empty */
} ishow_chat_message;

/* ---- events ---- */

typedef enum ishow_chat_state {
    ISHOW_CHAT_STATE_CONNECTING = 0, /* looking up, TLS, log-in, join */
    ISHOW_CHAT_STATE_LIVE,
    ISHOW_CHAT_STATE_WAITING, /* lost; tries again in retry_seconds */
    ISHOW_CHAT_STATE_ENDED,   /* the broadcast is over; final */
    ISHOW_CHAT_STATE_FAILED,  /* trying again would not help (bad token, no such room, quota used up); final */
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
    ishow_chat_state state; /* ON_STATE */
    ishow_span text;        /* ON_STATE, ON_NOTICE: one sentence, no secret in it */
} ishow_chat_event;

/* Takes what a source has. Called inside ishow_chat_loop_process only; must not block, must not free a source or the
 * loop. */
typedef struct ishow_chat_sink {
    void *self;
    void (*event)(void *self, ishow_chat_source *source, const ishow_chat_event *event);
} ishow_chat_sink;

typedef enum ishow_chat_platform {
    ISHOW_CHAT_TWITCH = 0,
    ISHOW_CHAT_BILIBILI,
    ISHOW_CHAT_YOUTUBE,
    ISHOW_CHAT_PLATFORMS
} ishow_chat_platform;

/* "twitch", "bilibili", "youtube". Static storage. */
ISHOW_API const char *ishow_chat_platform_name(ishow_chat_platform platform);
/* 1 and *out, or 0 for another name. */
ISHOW_API int ishow_chat_platform_find(const char *name, ishow_chat_platform *out);

/* "connecting", "live", "waiting", "ended", "failed". Static storage. */
ISHOW_API const char *ishow_chat_state_name(ishow_chat_state state);

#ifdef __cplusplus
}
#endif
#endif
