/* A source: the part common to all platforms (states, pauses, heartbeat, counters), and the functions that a platform
 * implements. */
#ifndef ISHOW_PLATFORMS_SOURCE_H
#define ISHOW_PLATFORMS_SOURCE_H

#include <math.h>

#include "net/loop.h"
#include "platforms/event_sink.h"

struct ishow_chat_loop {
    net_loop net;
    ishow_chat_source *sources, *last_source; /* in the order in which they were opened and are processed */
    seen *seen;
    uint64_t random;
    double *login_times; /* ring of the latest log-ins */
    unsigned logins, login_next;
    double login_seconds;
};

double loop_random(ishow_chat_loop *loop); /* [0, 1) */
/* The time at which the next log-in may begin, `now` or later; it is counted when that is now. */
double loop_login_turn(ishow_chat_loop *loop, double now);

typedef struct source_kind {
    int logs_in;           /* 1: the rate of attempts is limited, see ishow_chat_loop_options */
    int beats_when_silent; /* 1: a heartbeat is sent after silence; 0: at an interval */
    /* Checks the options by the platform's own rules, after defaults are filled in. */
    ishow_status (*check)(const ishow_chat_source_options *options, ishow_error *error);
    /* Writes a checked channel in the form that is shown and compared; NULL: as given. */
    void (*name)(const char *channel, char *out, size_t size);
    size_t session_size;                   /* bytes of zeroed memory at source->session */
    void (*start)(ishow_chat_source *s);   /* begins an attempt */
    void (*stop)(ishow_chat_source *s);    /* ends an attempt: closes everything, keeps what the next attempt needs */
    void (*beat)(ishow_chat_source *s);    /* sends a heartbeat; NULL: none */
    void (*tick)(ishow_chat_source *s);    /* at session_due; NULL: never */
    void (*destroy)(ishow_chat_source *s); /* after stop; NULL: nothing to free */
} source_kind;

#define NEVER ((double)INFINITY) /* for times of events that are not due */

extern const source_kind twitch_kind, bilibili_kind, youtube_kind;

struct ishow_chat_source {
    ishow_chat_loop *loop;
    ishow_chat_source *prev, *next;
    const source_kind *kind;
    ishow_chat_source_options options; /* strings are owned */
    ishow_chat_sink sink;
    feed feed;
    void *session;
    ishow_chat_state state;
    char text[240];
    unsigned failures; /* consecutive failures */
    /* ishow_now() times; INFINITY: never */
    double state_since, heard_at, live_since;
    double begin_at;           /* time of the next attempt */
    double connect_by;         /* deadline for becoming live */
    double beat_at, answer_by; /* our next heartbeat; deadline for data after it */
    double session_due;
    uint64_t attempts, connects, losses, bytes, heartbeats, quota_used;
};

/* Sets the description of the state, emits and logs it. The description is a sentence of its own. */
void source_say(ishow_chat_source *s, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* for the states connecting and live */
void source_live(ishow_chat_source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* These end the attempt; `format` is the reason without a full stop. */
void source_lost(ishow_chat_source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void source_again(ishow_chat_source *s, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* not counted as a failure */
/* Tries again after `seconds`, also not counted as a failure. `format` is the whole text. */
void source_pause(ishow_chat_source *s, double seconds, const char *format, ...) __attribute__((format(printf, 3, 4)));
void source_end(ishow_chat_source *s, ishow_chat_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void source_heard(ishow_chat_source *s, size_t n); /* n bytes were received */

double source_due(const ishow_chat_source *s);
void source_tick(ishow_chat_source *s, double now);

/* ---- endpoint.c ---- */
/* Checks that the endpoint's scheme is `secure`, or `plain` for this machine only and without a token. EINVAL with
 * field "endpoint". */
ishow_status endpoint_check(const ishow_chat_source_options *o, const char *secure, const char *plain,
                            ishow_error *error);

#endif
