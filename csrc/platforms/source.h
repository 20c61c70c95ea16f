/* One source: what all platforms share (states, pauses, heartbeat, counting), and what a platform fills in. */
#ifndef ISHOW_PLATFORMS_SOURCE_H
#define ISHOW_PLATFORMS_SOURCE_H

#include "net/loop.h"
#include "platforms/event_sink.h"

struct ishow_chat_loop {
    net_loop net;
    ishow_chat_source *sources, *last_source; /* in the order of opening, which is the order of turns */
    seen *seen;
    uint64_t random;
    double *login_times; /* ring of the latest log-ins */
    unsigned logins, login_next;
    double login_seconds;
};

double loop_random(ishow_chat_loop *loop); /* [0, 1) */
/* When the next log-in may begin, `now` or later; taken when it is now. */
double loop_login_turn(ishow_chat_loop *loop, double now);

typedef struct source_kind {
    int logs_in;           /* attempts take turns, see ishow_chat_loop_options */
    int beats_when_silent; /* the heartbeat waits for silence; else it is sent every so often */
    /* The platform's own rules for the options, which are filled in. */
    ishow_status (*check)(const ishow_chat_source_options *options, ishow_error *error);
    size_t session_size;                   /* of zeroed memory behind source->session */
    void (*start)(ishow_chat_source *s);   /* an attempt begins */
    void (*stop)(ishow_chat_source *s);    /* ends it: closes everything, keeps what the next attempt needs */
    void (*beat)(ishow_chat_source *s);    /* sends a heartbeat; NULL: none */
    void (*tick)(ishow_chat_source *s);    /* at session_due; NULL: never */
    void (*destroy)(ishow_chat_source *s); /* after stop; NULL: nothing is left */
} source_kind;

extern const source_kind twitch_kind, bilibili_kind, youtube_kind;

struct ishow_chat_source {
    ishow_chat_loop *loop;
    ishow_chat_source *prev, *next;
    const source_kind *kind;
    ishow_chat_source_options options; /* strings are ours */
    ishow_chat_sink sink;
    feed feed;
    void *session;
    ishow_chat_state state;
    char text[240];
    unsigned failures; /* in a row */
    /* ishow_now() times; INFINITY: never */
    double state_since, heard_at, live_since;
    double begin_at;           /* the next attempt */
    double connect_by;         /* live until then */
    double beat_at, answer_by; /* own heartbeat; something must be heard until then */
    double session_due;
    uint64_t attempts, connects, losses, bytes, heartbeats, quota_used;
};

/* The state in words; emitted and logged. The words come first in a sentence of their own. */
void source_say(ishow_chat_source *s, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* still connecting, or live */
void source_live(ishow_chat_source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* These stop the attempt; `format` is the reason without a full stop. */
void source_lost(ishow_chat_source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void source_again(ishow_chat_source *s, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* not counted as a failure */
void source_end(ishow_chat_source *s, ishow_chat_state state, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void source_heard(ishow_chat_source *s, size_t n); /* n bytes came */

double source_due(const ishow_chat_source *s);
void source_tick(ishow_chat_source *s, double now);

/* ---- endpoint.c ---- */
/* Scheme of url is one of two, secure or plain; plain only for this machine, and not with a token. EINVAL with field
 * "endpoint". */
ishow_status endpoint_check(const ishow_chat_source_options *o, const char *secure, const char *plain,
                            ishow_error *error);

#endif
