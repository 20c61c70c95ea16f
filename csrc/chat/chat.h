/* Live chat: filter, queue, reading aloud, listeners, and what survives a crash.
 *
 * A chat takes messages (ishow_chat_receive, or the sink of a source), refuses or queues each, has the next ones
 * synthesised while one plays, and publishes events in a feed that all readers share. It is the clock: a clip plays for
 * its duration from its `start` event. Sockets, model and database are reached through three small tables of functions,
 * ishow_chat_synth, ishow_chat_journal and `news`, so the same chat runs in the server, in Python, and in tests with a
 * clock of their own.
 *
 * Every message ends in exactly one way, and at any moment
 *     received = spoken + deleted + skipped + sum of dropped + waiting
 * holds for ishow_chat_counts. All functions may be called from any thread; none blocks on a model, a database or a
 * listener. */
#ifndef ISHOW_CHAT_CHAT_H
#define ISHOW_CHAT_CHAT_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "chat/message.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ISHOW_CHAT_PRIORITIES = ISHOW_CHAT_PRIORITY_GIFT + 1 };

/* "Normal", "Mention", "Moderator", "Paid", "Gift". Static storage. */
ISHOW_API const char *ishow_chat_priority_name(ishow_chat_priority priority);
int ishow_chat_priority_find(const char *name, ishow_chat_priority *out); /* 0: no such name */

/* ISHOW_CHAT_ROLE_... of "broadcaster", "moderator", "vip", "subscriber", "member", "guard", "staff", "bot"; 0: no such
 * role. */
unsigned ishow_chat_role_find(const char *name);
enum { ISHOW_CHAT_ROLES = 8 };
ISHOW_API const char *ishow_chat_role_name(int bit); /* of 1 << bit. Static storage */

/* ---- why a message was not spoken ---- */
typedef enum ishow_chat_reason {
    /* the filter */
    ISHOW_CHAT_BY_PLATFORM = 0, /* not one of `platforms` */
    ISHOW_CHAT_BY_CHANNEL,
    ISHOW_CHAT_BY_DUPLICATE, /* a message with this id was received before */
    ISHOW_CHAT_BY_BLOCKLIST,
    ISHOW_CHAT_BY_MUTED, /* by a moderator, while it runs */
    ISHOW_CHAT_BY_BOT,
    ISHOW_CHAT_BY_ROLE,
    ISHOW_CHAT_BY_KIND, /* an event, and events are off */
    ISHOW_CHAT_BY_COMMAND,
    ISHOW_CHAT_BY_BANNED_WORD,
    ISHOW_CHAT_BY_LINK,  /* links are refused, or there is nothing but links */
    ISHOW_CHAT_BY_EMOTE, /* nothing but emotes */
    ISHOW_CHAT_BY_EMPTY, /* nothing that can be read */
    ISHOW_CHAT_BY_LANGUAGE,
    ISHOW_CHAT_BY_LENGTH,
    ISHOW_CHAT_BY_FLOOD, /* too many messages of one viewer */
    ISHOW_CHAT_BY_COOLDOWN,
    ISHOW_CHAT_BY_REPEAT, /* the same text again */
    ISHOW_CHAT_BY_RATE,   /* more than `rate` messages a second */
    /* the queue */
    ISHOW_CHAT_BY_FULL,
    ISHOW_CHAT_BY_EXPIRED,
    ISHOW_CHAT_BY_CLEAR,
    ISHOW_CHAT_BY_REJECTED,     /* a moderator did not approve */
    ISHOW_CHAT_BY_UNSPEAKABLE,  /* the model cannot pronounce any of it */
    ISHOW_CHAT_BY_FAILURE,      /* the model failed */
    ISHOW_CHAT_BY_INTERRUPTION, /* the program ended while it was being spoken */
    ISHOW_CHAT_BY_STORAGE,      /* it was to be durable and could not be written */
    ISHOW_CHAT_REASONS
} ishow_chat_reason;

/* A lower-case word such as "banned_word". Static storage. */
ISHOW_API const char *ishow_chat_reason_name(ishow_chat_reason reason);

/* ---- options ---- */
typedef enum ishow_chat_strictness { ISHOW_CHAT_EXACT = 0, ISHOW_CHAT_NORMAL, ISHOW_CHAT_STRICT } ishow_chat_strictness;
typedef enum ishow_chat_rule { ISHOW_CHAT_READ = 0, ISHOW_CHAT_STRIP, ISHOW_CHAT_REFUSE } ishow_chat_rule;

typedef struct ishow_chat_words {
    const char *const *item;
    size_t n;
} ishow_chat_words;
typedef struct ishow_chat_voice {
    const char *id, *language;
} ishow_chat_voice; /* language: BCP 47 or NULL */
typedef struct ishow_chat_role_voice {
    unsigned roles;
    int paid;
    const char *voice;
} ishow_chat_role_voice; /* paid: of paid messages and gifts */

/* Start from ishow_chat_options_default(). create copies everything. */
typedef struct ishow_chat_options {
    /* which messages are read */
    ishow_chat_words platforms, channels; /* empty: all */
    ishow_chat_words banned_words; /* words or phrases, compared after NFKC and without case and accents of Latin, Greek
                                      and Cyrillic letters; CJK also within words */
    ishow_chat_strictness banned_level; /* EXACT: as they are; NORMAL: also stretched, spelled with digits, signs or
                                           letters that look alike, letter by letter, as plurals; STRICT: also inside
                                           longer words and cut by spaces */
    ishow_chat_words bots;              /* logins or names */
    ishow_chat_words blocklist;         /* logins, names or user ids, alone or as "platform:user" */
    ishow_chat_words rewards;   /* Twitch: read only what was written with one of these channel-point rewards (ids, or
                                   "highlighted"), and what is paid; none: any */
    ishow_chat_words webhooks;  /* addresses that are called when a clip begins and ends; not for the chat itself */
    ishow_chat_words mentions;  /* names whose @mention raises the priority, besides the channel's own name */
    ishow_chat_words languages; /* BCP 47; empty: all */
    unsigned roles;             /* roles that are read; 0: all. Paid messages and gifts always pass */
    ishow_chat_rule links;      /* STRIP removes them */
    ishow_chat_rule emotes;     /* codes and emoji: READ or STRIP */
    ishow_chat_rule kaomoji;    /* READ or STRIP */
    ishow_chat_rule long_texts; /* STRIP cuts at a word, REFUSE refuses */
    int events;                 /* subscriptions, raids and other events are read */
    int words_max, graphemes_max;
    double seconds_max, seconds_max_paid; /* of a clip: its text is cut to it by an estimate, its audio ends there */
    ishow_chat_words command_prefixes;    /* none: no commands */
    int voice_command;                    /* "!voice ID" chooses the viewer's voice; "!skip" is for moderators always */
    int approval; /* messages wait until a moderator approves them, but those of moderators and the broadcaster */
    double cooldown_seconds; /* minimum time between two messages of one viewer; 0: none */
    double repeat_seconds;   /* the same text is not read again within this time; 0: it is */
    int flood_messages;      /* maximum of one viewer within flood_seconds */
    double flood_seconds;
    double rate; /* messages a second of all viewers, in bursts of up to two seconds' worth; paid, gifts and moderators
                    always pass. 0: unlimited */
    /* how it is read */
    const ishow_chat_voice *voices; /* voices that are assigned to viewers; none: the default voice */
    size_t n_voices;
    int voice_per_viewer;
    const ishow_chat_role_voice *role_voices;
    size_t n_role_voices;
    const char *language; /* assumed for Latin text whose language is not recognised */
    const char *template_text, *template_paid, *template_gift, *template_member,
        *template_event;       /* {user} {text} {amount} {count} {gift} {event} {platform} {channel} */
    int clean_names;           /* "xX_Dark_99" is read "Dark" */
    double name_again_seconds; /* the last viewer's name is not repeated within this time; 0: always read */
    /* the queue */
    size_t queue_max;
    double ageing_seconds; /* waiting for so long raises a message by one priority; paid messages and gifts still
                              precede the rest, except at every fourth turn */
    double expire_seconds; /* Normal messages older than this are dropped; 0: never */
    size_t prefetch;       /* clips synthesised ahead */
    double gap_seconds;    /* between clips */
    /* Clock; NULL: monotonic time. For tests and simulations. */
    double (*now)(void *self);
    void *now_self;
} ishow_chat_options;

ishow_chat_options ishow_chat_options_default(void);

/* Reads options from the checked [chat] section of the configuration as JSON: an object with every key. The result owns
 * its strings. */
typedef struct ishow_chat_settings ishow_chat_settings;
ishow_status ishow_chat_settings_read(ishow_chat_settings **out, const char *json, ishow_error *error);
ISHOW_API const ishow_chat_options *ishow_chat_settings_options(const ishow_chat_settings *settings);
void ishow_chat_settings_free(ishow_chat_settings *settings);

/* ---- speech ---- */
/* Synthesises clips. Called with the chat's lock held: must not wait nor call back. */
typedef struct ishow_chat_synth {
    void *self;
    /* Begins a clip; EBUSY: try again later, other errors are final. voice: an id or NULL. urgent: a paid message or
     * gift. soon: 1 when nothing plays, so that the first audio is needed at once. own: the part of text without which
     * it is not worth reading, NULL: none. */
    ishow_status (*start)(void *self, const char *text, const char *own, const char *voice, int urgent, int soon,
                          void **clip, ishow_error *error);
    /* As ishow_utterance_next with timeout 0. */
    ishow_status (*next)(void *self, void *clip, const float **samples, size_t *n, ishow_error *error);
    /* As ishow_utterance_words, for what `next` gave last; NULL: no times of words are known. */
    void (*words)(void *self, void *clip, const ishow_word **words, size_t *n);
    void (*free)(void *self, void *clip); /* cancels it if it is still running */
    int sample_rate;
    char scripts[8]; /* letters that are read: a Latin, h Chinese, k kana, x any other; "": all of them */
} ishow_chat_synth;

/* ---- journal ---- */
/* Survives a crash. Calls are handled in order and must not wait. `sync` calls done once, on any thread, perhaps before
 * it returns and then under the chat's lock: ISHOW_OK when all calls before it are durable, ISHOW_ECANCELLED when
 * another process may use the journal now, which ends reading, else the reason. The journal itself repeats writes that
 * failed.
 */
typedef struct ishow_chat_journal {
    void *self;
    void (*put)(void *self, uint64_t number,
                const char *record);           /* adds a waiting message, or replaces it and removes its mark */
    void (*mark)(void *self, uint64_t number); /* the message is about to play */
    void (*drop)(void *self, uint64_t number); /* the message has ended */
    void (*voice)(void *self, const char *viewer, const char *voice); /* stores a viewer's voice */
    void (*mute)(void *self, const char *viewer, int muted);          /* stores or removes a muted viewer */
    void (*sync)(void *self, void (*done)(void *user, uint64_t ticket, ishow_status status), void *user,
                 uint64_t ticket);
    /* Calls back for everything stored, messages in order of number; waits. */
    ishow_status (*load)(void *self, void (*message)(void *user, uint64_t number, int marked, const char *record),
                         void (*viewer)(void *user, const char *viewer, const char *voice), void *user,
                         ishow_error *error);
    /* Calls back for every muted viewer; waits. */
    ishow_status (*load_muted)(void *self, void (*viewer)(void *user, const char *viewer), void *user,
                               ishow_error *error);
} ishow_chat_journal;

/* ---- the chat ---- */
typedef struct ishow_chat ishow_chat;

/* synth is required, its self borrowed until free. journal may be NULL (nothing survives), else its self is borrowed
 * until free; its messages are recovered: those that waited wait again, one that was playing is counted as dropped by
 * interruption. */
ishow_status ishow_chat_create(ishow_chat **out, const ishow_chat_options *options, const ishow_chat_synth *synth,
                               const ishow_chat_journal *journal, ishow_error *error);

/* Stops the thread and cancels clips. Waiting messages stay in the journal; one that plays is cut off and counted as
 * dropped by interruption. Close readers before; the journal must answer its syncs. NULL allowed. */
void ishow_chat_free(ishow_chat *chat);

/* Exchanges the options of a running chat: prepare checks and may fail, install cannot. Waiting messages keep their
 * place and voice; new messages are filtered by the new rules, sentences not yet begun use the new templates, and a
 * queue longer than the new limit drops one message for each that arrives. `now` does not change. */
typedef struct ishow_chat_change ishow_chat_change;
ishow_status ishow_chat_prepare(ishow_chat_change **out, const ishow_chat_options *options, ishow_error *error);
void ishow_chat_install(ishow_chat *chat, ishow_chat_change *change);
void ishow_chat_discard(ishow_chat_change *change); /* NULL allowed */

/* Starts a thread that calls ishow_chat_step when it is due, until free. */
ishow_status ishow_chat_run(ishow_chat *chat, ishow_error *error);

/* Without ishow_chat_run: does what is due. Returns the seconds until it must be called again (at most 1). */
double ishow_chat_step(ishow_chat *chat);

/* Signals that a clip has new audio; the `notify` of ishow_engine_submit, self is the chat. Does not take the chat's
 * lock. */
void ishow_chat_wake(void *chat);

typedef struct ishow_chat_verdict {
    int accepted;
    int merged;               /* merged with a message of the same text */
    int held;                 /* waits for approval; position and eta are 0 */
    ishow_chat_reason reason; /* when not accepted */
    uint64_t number;          /* of the accepted message, or of the one it was merged with */
    size_t position;          /* messages before it, including the one that plays */
    double eta;               /* estimated seconds until it plays */
} ishow_chat_verdict;

/* EINVAL when the message has no platform, channel or id, or is not UTF-8; otherwise *verdict is set. durable (may be
 * NULL) is called once for an accepted message, on any thread, possibly before this returns: ISHOW_OK when the message
 * survives a crash (or plays already); otherwise it could not be written and was removed from the queue, so that it may
 * be sent again with the same id. */
ishow_status ishow_chat_receive(ishow_chat *chat, const ishow_chat_message *message, ishow_chat_verdict *verdict,
                                void (*durable)(void *user, ishow_status status), void *user, ishow_error *error);

/* The sink for a source: receives messages, applies deletions, publishes states and notices. */
ishow_chat_sink ishow_chat_sink_of(ishow_chat *chat);

/* Deletes messages that wait or play; returns the number that will not be heard. channel NULL: any. */
size_t ishow_chat_delete(ishow_chat *chat, const char *platform, const char *channel, const char *id);
size_t ishow_chat_delete_user(ishow_chat *chat, const char *platform, const char *channel,
                              const char *user); /* user id or login */
size_t ishow_chat_delete_all(ishow_chat *chat, const char *platform, const char *channel);

/* Skips the clip that plays or, with an id (of any platform), that message. 1: there was one. */
int ishow_chat_skip(ishow_chat *chat, const char *id);
void ishow_chat_pause(ishow_chat *chat, int paused);
/* Drops all waiting messages, not the one that plays; returns their number. */
size_t ishow_chat_clear(ishow_chat *chat);
int ishow_chat_replay(ishow_chat *chat); /* plays the current or else the last clip again, next. 0: there is none */

/* ---- moderation ---- */
/* Refuses all messages of a viewer until unmute, across restarts when there is a journal, and drops those that wait or
 * play; *dropped is their number (NULL allowed). user: id, login or name, compared without case. EINVAL: one is empty
 * or not UTF-8; EBUSY: too many viewers are muted. */
ishow_status ishow_chat_mute(ishow_chat *chat, const char *platform, const char *user, size_t *dropped,
                             ishow_error *error);
ishow_status ishow_chat_unmute(ishow_chat *chat, const char *platform, const char *user, int *was_muted,
                               ishow_error *error);

/* Queues or drops a held message; id NULL: all of them. Returns how many there were. */
size_t ishow_chat_approve(ishow_chat *chat, const char *id);
size_t ishow_chat_reject(ishow_chat *chat, const char *id);

/* Begins no further clip. 1: one still plays; 0: none plays, or it is paused. */
ISHOW_API int ishow_chat_finish(ishow_chat *chat);

typedef struct ishow_chat_counts {
    uint64_t received, spoken, deleted, skipped, dropped[ISHOW_CHAT_REASONS],
        waiting;                       /* waiting: queued, being synthesised or playing */
    uint64_t merged;                   /* of received, merged with another */
    uint64_t recovered;                /* of received, recovered from the journal */
    uint64_t replayed, cut, commands;  /* cut: shortened; commands: obeyed */
    uint64_t clips_made, clips_wasted; /* wasted: synthesised and not played to the end */
} ishow_chat_counts;
void ishow_chat_counts_get(ishow_chat *chat, ishow_chat_counts *out);

typedef struct ishow_chat_status {
    ishow_chat_counts counts;
    size_t by_priority[ISHOW_CHAT_PRIORITIES]; /* waiting, the one that plays not included */
    size_t held;                               /* for approval */
    int paused, playing;
    double position, duration; /* of the clip that plays, seconds; duration is estimated until it is complete */
    double oldest_seconds;     /* waiting time of the oldest message */
    size_t listeners;
} ishow_chat_status;
void ishow_chat_status_get(ishow_chat *chat, ishow_chat_status *out);

/* JSON, for free(): what plays, and at most `most` waiting messages in order. NULL: no memory. */
char *ishow_chat_queue_json(ishow_chat *chat, size_t most);
/* JSON of counts and state; the server adds more. NULL: no memory. */
char *ishow_chat_status_json(ishow_chat *chat);

/* ---- the feed ---- */
/* Events: message, start, audio, end, deleted, state. Data are JSON objects; audio also has 16-bit PCM. The unread
 * events of a reader are limited to ISHOW_CHAT_READER_BYTES: beyond that events are skipped, audio first, and the next
 * `state` event says how many. */
typedef struct ishow_chat_reader ishow_chat_reader;

/* news(self) is called, on any thread and without the chat's lock, when readers may have something to read. One
 * callback for all readers; NULL: none. */
ISHOW_API void ishow_chat_on_news(ishow_chat *chat, void (*news)(void *self), void *self);

/* on_event(self, event, json) is called for every event but audio, under the chat's lock: it must neither wait nor call
 * the chat. Before ishow_chat_run. */
void ishow_chat_on_event(ishow_chat *chat, void (*on_event)(void *self, const char *event, const char *json),
                         void *self);

/* ---- several processes, one of which leads ---- */
/* What is published; pcm: of an audio event, [n], else NULL; until: seconds of the clip that it reaches. */
typedef struct ishow_chat_published {
    const char *event, *json;
    const float *pcm;
    size_t n;
    int rate;
    double until;
} ishow_chat_published;

/* published(self, what) is called for every event, under the chat's lock, as ishow_chat_on_event. Before the chat
 * runs. */
ISHOW_API void ishow_chat_on_publish(ishow_chat *chat, void (*published)(void *self, const ishow_chat_published *what),
                                     void *self);

/* From now on, until ishow_chat_lead, the chat does not run, refuses messages (ESTATE), and publishes what another one
 * has published instead. One that ran cuts off the clip that plays; what waits stays in the journal, which must answer
 * its syncs and is not used any more. Not at the same time as ishow_chat_lead. */
ISHOW_API ishow_status ishow_chat_follow(ishow_chat *chat, ishow_error *error);
ISHOW_API void ishow_chat_follow_event(ishow_chat *chat, const ishow_chat_published *what);
/* Calls now(self, state, start) under the chat's lock, as `published`, with the JSON of what a new listener begins
 * with; start: NULL, none plays. */
ISHOW_API void ishow_chat_show(ishow_chat *chat, void (*now)(void *self, const char *state, const char *start),
                               void *self);

/* Nothing more is heard of the other one: the clip that plays ends. */
ISHOW_API void ishow_chat_forget(ishow_chat *chat);
ISHOW_API size_t ishow_chat_listeners(ishow_chat *chat); /* readers that are open */

/* Takes over what waits in the journal, borrowed until ishow_chat_follow or free, and runs. */
ISHOW_API ishow_status ishow_chat_lead(ishow_chat *chat, const ishow_chat_journal *journal, ishow_error *error);

/* last: the id of the last event that a client received ("Last-Event-ID"); NULL: a new listener. A new listener, and
 * one whose events are no longer kept, begins with `state` and, when a clip plays, with its `start` (`at` is the
 * position) and the audio from there. */
ISHOW_API ishow_status ishow_chat_reader_open(ishow_chat_reader **out, ishow_chat *chat, const char *last,
                                              ishow_error *error);
ISHOW_API void ishow_chat_reader_close(ishow_chat_reader *reader); /* NULL allowed */
ISHOW_API int ishow_chat_reader_ready(ishow_chat_reader *reader);

/* Reads server-sent events: up to `most` bytes; 0: nothing now. */
ISHOW_API size_t ishow_chat_reader_text(ishow_chat_reader *reader, char *out, size_t most);

/* Reads one event for a WebSocket: text is JSON {"event": ..., "id": ..., ...}; binary is the u32 little-endian length
 * of the JSON, the JSON, a WAV file. *data is owned by the reader until the next call. 0: nothing now. Do not mix with
 * reader_text. */
ISHOW_API int ishow_chat_reader_frame(ishow_chat_reader *reader, const unsigned char **data, size_t *n, int *binary);

/* ---- the engine as synth ---- */
typedef struct ishow_chat_engine ishow_chat_engine;
/* Synthesises clips by `engine` (borrowed) with `sampling`. Call ishow_chat_engine_notify once the chat exists. */
ishow_status ishow_chat_engine_create(ishow_chat_engine **out, ishow_engine *engine, const ishow_request *sampling,
                                      const char *default_voice, ishow_error *error);
ishow_chat_synth ishow_chat_engine_synth(ishow_chat_engine *engine);
void ishow_chat_engine_notify(ishow_chat_engine *engine, ishow_chat *chat);
void ishow_chat_engine_free(ishow_chat_engine *engine); /* after the chat. NULL allowed */

/* Changes sampling and default voice of later clips. */
typedef struct ishow_chat_voicing ishow_chat_voicing;
ishow_status ishow_chat_voicing_prepare(ishow_chat_voicing **out, const ishow_request *sampling,
                                        const char *default_voice, ishow_error *error);
void ishow_chat_voicing_install(ishow_chat_engine *engine, ishow_chat_voicing *voicing); /* any thread */
void ishow_chat_voicing_discard(ishow_chat_voicing *voicing);                            /* NULL allowed */

#ifdef __cplusplus
}
#endif
#endif
