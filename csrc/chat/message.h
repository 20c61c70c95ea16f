/* A message of live chat and other events: what sources (platforms/) deliver and the chat receives. */
#ifndef ISHOW_CHAT_MESSAGE_H
#define ISHOW_CHAT_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Roles of the sender, a bit set. */
enum {
    ISHOW_CHAT_ROLE_BROADCASTER = 1 << 0,
    ISHOW_CHAT_ROLE_MODERATOR = 1 << 1,
    ISHOW_CHAT_ROLE_VIP = 1 << 2,
    ISHOW_CHAT_ROLE_SUBSCRIBER = 1 << 3, /* Twitch: founders too */
    ISHOW_CHAT_ROLE_MEMBER = 1 << 4,     /* YouTube sponsor; Bilibili: wears this room's medal */
    ISHOW_CHAT_ROLE_GUARD = 1 << 5,      /* Bilibili, see guard_level */
    ISHOW_CHAT_ROLE_STAFF = 1 << 6,      /* of the platform; YouTube: verified */
    ISHOW_CHAT_ROLE_BOT = 1 << 7         /* only where the platform marks bots */
};

/* Kind of message. */
typedef enum ishow_chat_kind {
    ISHOW_CHAT_KIND_TEXT = 0,     /* text of a viewer */
    ISHOW_CHAT_KIND_PAID,         /* text with money: super chat, bits; see amount_micros and bits */
    ISHOW_CHAT_KIND_GIFT,         /* an item with a name and a count: gift, super sticker, gifted subscriptions */
    ISHOW_CHAT_KIND_SUBSCRIPTION, /* subscribed again or anew, membership, milestone, guard; text may be empty */
    ISHOW_CHAT_KIND_RAID,         /* count: viewers */
    ISHOW_CHAT_KIND_ANNOUNCEMENT, /* of a moderator */
    ISHOW_CHAT_KIND_EVENT         /* others; see system_text */
} ishow_chat_kind;

/* Suggested priority. */
typedef enum ishow_chat_priority {
    ISHOW_CHAT_PRIORITY_NORMAL = 0,
    ISHOW_CHAT_PRIORITY_MENTION,
    ISHOW_CHAT_PRIORITY_MODERATOR,
    ISHOW_CHAT_PRIORITY_PAID,
    ISHOW_CHAT_PRIORITY_GIFT
} ishow_chat_priority;

/* Code points [start, end) of text are an emote; clamped to the text, in order, not overlapping. */
typedef struct ishow_chat_emote {
    uint32_t start, end;
    ishow_span id;
} ishow_chat_emote;

typedef struct ishow_chat_message {
    ishow_span platform;     /* "twitch", "bilibili", "youtube", or a client's own name */
    ishow_span channel;      /* as in the source's options */
    ishow_span id;           /* unique in its platform; never empty from a source */
    ishow_span user_id;      /* stable; empty where the platform hides it (Bilibili without a login) */
    ishow_span login;        /* name used in @mentions; empty where there is none */
    ishow_span display_name; /* not empty from a source, except for an anonymous gift on Bilibili */
    ishow_span text;         /* text of the viewer, without protocol wrapping; may be empty unless kind is TEXT */
    ishow_span system_text;  /* the platform's own sentence about an event, e.g. "ann subscribed for 3 months" */
    ishow_span language;     /* BCP 47, where the platform gives it */
    ishow_chat_kind kind;
    ishow_chat_priority
        priority;          /* suggested by kind and role, with replies to the channel; the filter finds mentions */
    unsigned roles;        /* ISHOW_CHAT_ROLE_BROADCASTER | ... */
    int guard_level;       /* 0 none, 1 governor, 2 admiral, 3 captain */
    int level;             /* Bilibili user level, else 0 */
    int months;            /* months of subscription or membership, where known */
    uint64_t bits;         /* Twitch */
    int64_t amount_micros; /* money: millionths of `currency`, 0 none */
    char currency[4];      /* ISO 4217, "" none */
    ishow_span gift_name;
    ishow_span reward; /* Twitch: id of the channel-point reward it was written with, or "highlighted"; else empty */
    uint64_t count;    /* gifts, gifted subscriptions, raiders; 0 none */
    const ishow_chat_emote *emotes;
    size_t n_emotes;
    int64_t timestamp_ms;    /* since 1970, by the platform's clock or, without one, ours */
    unsigned action : 1;     /* /me */
    unsigned first : 1;      /* first message of this viewer in the channel */
    unsigned emote_only : 1; /* emotes only */
    unsigned masked : 1;     /* the platform masks the name, so several viewers have the same one */
    ishow_span reply_id, reply_user_id, reply_login, reply_text; /* the message this one answers */
    ishow_span room_id;                                          /* numeric room, where there is one */
    ishow_span source_room_id, source_id; /* shared chat: channel of origin, and the id there; else empty */
} ishow_chat_message;

/* ---- events ---- */

typedef enum ishow_chat_state {
    ISHOW_CHAT_STATE_CONNECTING = 0, /* name lookup, TLS, log-in, join */
    ISHOW_CHAT_STATE_LIVE,
    ISHOW_CHAT_STATE_WAITING, /* connection lost; retries in retry_seconds */
    ISHOW_CHAT_STATE_ENDED,   /* the broadcast is over; final */
    ISHOW_CHAT_STATE_FAILED,  /* final error: bad token, no such room, quota used up */
    ISHOW_CHAT_STATES
} ishow_chat_state;

typedef enum ishow_chat_event_type {
    ISHOW_CHAT_ON_MESSAGE = 0, /* message */
    ISHOW_CHAT_ON_DELETE,      /* message_id: delete the message */
    ISHOW_CHAT_ON_DELETE_USER, /* user_id and login: delete all their messages; seconds: duration of the time-out, 0:
                                  permanent */
    ISHOW_CHAT_ON_CLEAR,       /* delete all messages of the channel */
    ISHOW_CHAT_ON_STATE,       /* state, text */
    ISHOW_CHAT_ON_NOTICE       /* text: a notice of the platform (slow mode, ...) */
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
    ishow_span text;        /* ON_STATE, ON_NOTICE: one sentence without secrets */
} ishow_chat_event;

/* Receives the events of a source. Called within ishow_chat_loop_process only; must not block, and must not free a
 * source or the loop. */
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
/* Sets *out and returns 1, or returns 0 for an unknown name. */
ISHOW_API int ishow_chat_platform_find(const char *name, ishow_chat_platform *out);

/* "connecting", "live", "waiting", "ended", "failed". Static storage. */
ISHOW_API const char *ishow_chat_state_name(ishow_chat_state state);

#ifdef __cplusplus
}
#endif
#endif
