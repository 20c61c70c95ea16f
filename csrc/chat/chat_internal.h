/* Declarations shared by the files of chat/; the public interface is chat/chat.h.
 *
 *     message ─ filter (clean, viewers) ─ item ─ queue ─ player (clips from a synth) ─ broadcast ─ readers
 *
 * The chat's lock guards everything here except the broadcast, which has a lock of its own. */
#ifndef ISHOW_CHAT_CHAT_INTERNAL_H
#define ISHOW_CHAT_CHAT_INTERNAL_H

#include <jansson.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "chat/chat.h"
#include "base/defaults.h"

enum {
    VOICE_ID_MAX = 64,
    VIEWERS_MAX = 8192, /* viewers that are remembered; the least recently seen one is forgotten first */
    SEEN_MAX = 8192,    /* message ids that are remembered, to detect duplicates */
    OTHERS_MAX = 63,    /* messages that are merged with one message */
};

/* ---- casefold.c: text compared as people see it ---- */
/* Folds a text for comparison: NFKC, case folding, single spaces for white space. Removes invisible code points,
 * accents of Latin, Greek and Cyrillic letters, and marks of one script on letters of another. free() it; NULL: no
 * memory or not UTF-8. */
char *fold_text(const char *text, size_t n);
uint64_t fold_hash(const char *folded);
/* 1 when text contains word (both folded), as a whole word unless its script is written without spaces. */
int fold_contains(const char *text, const char *word);
int code_is_space(uint32_t code);  /* white space, or control codes used as such */
int code_is_unseen(uint32_t code); /* controls, format, private use, unassigned, U+FFFD */
int code_is_dense(uint32_t code);  /* written without spaces between words: Han, kana, Thai, ... */

/* ---- language.c: the language of a line ---- */
/* Language of a text by its scripts and, for Latin, by its words; `otherwise`, the expected language, when these are
 * inconclusive. Static storage or `otherwise`. Any thread. */
const char *text_language(const char *text, const char *otherwise);
/* 1 when the primary subtags are the same ("en-GB" and "en"). */
int language_matches(const char *a, const char *b);

/* ---- clean.c: the part of a text that is read ---- */
typedef struct cleaned {
    char *text;        /* free() it */
    int links, emotes; /* number removed */
    int cut, too_long;
} cleaned;
/* 0: no memory. */
int clean_text(ishow_span text, const ishow_chat_emote *emotes, size_t n_emotes, const ishow_chat_options *o,
               cleaned *out);
/* A name as it is said; free() it. A name with nothing to say, or without a letter of `scripts` (as in
 * ishow_chat_synth), is replaced by the login, and that by "Somebody". */
char *clean_name(ishow_span display, ishow_span login, const char *scripts, int clean);
size_t count_graphemes(const char *text);
size_t count_words(const char *text); /* two characters of a dense script are a word */

/* ---- squeeze.c: repetitions and long numbers ---- */
/* Shortens patterns of any length that occur at least four times in a row, ignoring case, to about three; numbers stay
 * as they are. Returns the new length. steps (may be NULL): comparisons made, in proportion to n. */
size_t squeeze_repeats(uint32_t *c, size_t n, size_t *steps);
size_t long_numbers(const uint32_t *c, size_t n); /* number of numbers with more than 12 digits */
/* A copy in which such numbers are cut, followed by the count of their other digits in words of the language; `found`:
 * the result of long_numbers. free() it; NULL: no memory. */
uint32_t *shorten_numbers(const uint32_t *c, size_t *n, size_t found, const char *language);

/* ---- seconds.c: duration of speech ---- */
/* Estimated seconds at the rate of an ordinary voice. fits (may be NULL): bytes that can be said in `most` seconds, up
 * to the end of a word if possible. */
double count_seconds(const char *text, double most, size_t *fits);
int cut_seconds(char *text, double most); /* cuts the text to what fits; 1: it was longer */
#define CLIP_END_SECONDS 0.5 /* seconds before the latest end of a clip, in which a pause between words is searched */
/* Ends a clip of at most `most` samples in a pause between words shortly before, or at that length. The last 50 ms fade
 * out; nothing before `from` changes. Returns the new length. */
size_t fade_end(float *pcm, size_t from, size_t most, int rate);

/* ---- viewers.c: state of each viewer ---- */
typedef struct viewer {
    struct viewer *chain, *older, *newer;
    char *key;                    /* "platform:user" */
    char voice[VOICE_ID_MAX + 1]; /* "": not assigned yet */
    int chosen;                   /* by the voice command */
    double last;                  /* time of the last message that passed; -1: none */
    double named;                 /* last time the name was read; -1: never */
    double window;                /* beginning of the flood window */
    int in_window;
    uint64_t text_hash; /* of the last message that passed */
} viewer;
typedef struct viewers viewers;
viewers *viewers_create(size_t most);
void viewers_free(viewers *v);
viewer *viewers_get(viewers *v, const char *key); /* created when new; NULL: no memory */

/* ---- muted.c: the set of muted viewers ---- */
enum { MUTED_MAX = 1000 };
typedef struct muted muted;
muted *muted_create(void);
void muted_free(muted *m);                               /* NULL allowed */
char *muted_key(const char *platform, const char *user); /* free() it; NULL: no memory */
int muted_add(muted *m, const char *key);                /* 0: no room */
int muted_remove(muted *m, const char *key);             /* 0: was not muted */
int muted_has(const muted *m, const char *platform, const char *const *users, size_t n); /* folded; any of them */
json_t *muted_json(const muted *m);

/* ---- item: an accepted message (message.c) ---- */
typedef enum item_state { ITEM_HELD /* for approval */, ITEM_WAITING, ITEM_MARKED, ITEM_PLAYING } item_state;
typedef struct other {
    char *id, *user;
} other;
typedef struct item item;
struct item {
    item *prev, *next; /* in the list of its priority */
    uint64_t number;   /* order of arrival; the journal's key */
    double arrived;
    double lift; /* priorities by which it is ahead of messages that arrived at the same time; see queue_lift */
    ishow_chat_priority priority;
    ishow_chat_kind kind;
    unsigned roles;
    int64_t timestamp_ms, amount_micros;
    uint64_t bits, count;
    char currency[4];
    /* never NULL */
    char *platform, *channel, *id, *user_id, *login, *name, *text, *event, *gift;
    char *viewer; /* key */
    uint64_t text_hash;
    other *others; /* senders of the messages merged with it */
    size_t n_others;
    char voice[VOICE_ID_MAX + 1], language[16];
    item_state state;
    /* speech */
    void *clip;        /* being synthesised; NULL: not begun, or complete */
    char *said;        /* sentence of the clip; NULL until it is begun */
    int names;         /* the sentence contains the viewer's name */
    ishow_word *words; /* [n_words] words of `said` that have been synthesised */
    size_t n_words;
    float *pcm;
    size_t n, capacity;
    int complete;
    int cut;         /* the text or the clip was shortened */
    double retry_at; /* when to try again after the engine was full */
};
item *item_create(const ishow_chat_message *m, const char *text, const char *viewer_key);
void item_free(item *it);                                      /* its clip must have been freed */
int item_add_other(item *it, ishow_span id, const char *user); /* 0: OTHERS_MAX reached, or no memory */
int item_remove_other(item *it, const char *id);               /* 0: no message with this id is merged */
char *item_record(const item *it);                             /* JSON for the journal; free() it */
item *item_from_record(const char *record, uint64_t number);
json_t *item_json(const item *it); /* as published to listeners; NULL: no memory */
char *span_copy(ishow_span s);
int64_t item_weight(const item *it);

/* ---- filter.c ---- */
typedef struct filter filter;
typedef struct filter_rules filter_rules; /* compiled from options (borrowed) */
ishow_status filter_rules_create(filter_rules **out, const ishow_chat_options *o, ishow_error *error);
void filter_rules_free(filter_rules *r);
muted *filter_muted(filter *f);
filter *filter_create(void); /* has no rules: call filter_exchange before the first message. NULL: no memory */
void filter_free(filter *f);
/* Takes the new rules, returns the old ones (NULL: none); viewers and ids are kept. */
filter_rules *filter_exchange(filter *f, filter_rules *r);
viewer *filter_viewer(filter *f, const char *key); /* NULL: no memory */
typedef struct filtered {
    int accepted, held;                                     /* held: it needs a moderator's approval */
    enum { OBEYED_NONE, OBEYED_VOICE, OBEYED_SKIP } obeyed; /* a command that was carried out; voice is the choice */
    ishow_chat_reason reason;
    char *text, *key; /* free() both; set when accepted, key also with obeyed */
    char voice[VOICE_ID_MAX + 1], language[16];
    int keep_voice; /* the viewer's voice is new and must be written to the journal */
    ishow_chat_priority priority;
    uint64_t text_hash;
    int cut;
} filtered;
/* 0: no memory. */
int filter_message(filter *f, const ishow_chat_message *m, double now, filtered *out);
void filtered_free(filtered *r);
/* Restores the state that a recovered item implies. */
void filter_remember(filter *f, const item *it);
/* Forgets a message of this id, the viewer's last one, so that it may be sent again. */
void filter_forget(filter *f, const item *it, const char *id, const char *viewer_key);
void filter_set_pace(filter *f, double pace); /* seconds that a second of count_seconds takes */
void filter_remember_voice(filter *f, const char *viewer_key, const char *voice);

/* ---- sentence.c ---- */
/* The sentence that is read for a message; names: with the viewer's name. free() it. */
char *say_item(const item *it, const ishow_chat_options *o, const char *scripts, int names);
double say_seconds(const ishow_chat_message *m,
                   const ishow_chat_options *o); /* estimated seconds of the sentence without the text */
/* The voice of a viewer, chosen by its key among the voices of the options, preferring those of the language; "": there
 * are none. */
const char *voice_for(const ishow_chat_options *o, const char *key, const char *language);

/* ---- money.c ---- */
#define MONEY_LIFT_MAX 16.0
/* Approximate value in USD; bits are used before an amount. 0: no money. */
double money_worth(uint64_t bits, int64_t micros, const char *currency);
double money_lift(double worth); /* priorities, 0 to MONEY_LIFT_MAX: one more for each doubling */

/* ---- queue.c ---- */
enum { QUEUE_HELD = ISHOW_CHAT_PRIORITIES, QUEUE_LISTS }; /* messages held for approval are in a list of their own */
typedef struct queue {
    item *first[QUEUE_LISTS], *last[QUEUE_LISTS];
    size_t n[QUEUE_LISTS], total; /* total: without held messages */
    int urgent_run;               /* consecutive paid messages and gifts */
    double ageing;
} queue;
enum { URGENT_RUN = 3 };
void queue_lift(const queue *q, item *it); /* sets its lift from the messages waiting now; call before queue_add */
void queue_add(queue *q, item *it);
int queue_precedes(const queue *q, const item *a, const item *b); /* 1: a is heard before b */
void queue_set_ageing(queue *q, double ageing);
void queue_remove(queue *q, item *it);
/* Writes the items that would play next at `now`, in order; returns their number. */
size_t queue_plan(const queue *q, double now, item **out, size_t most);
void queue_taken(queue *q, const item *it); /* call when it was removed to play */
item *queue_oldest_below(const queue *q,
                         ishow_chat_priority priority);   /* the item to drop in favour of a message of this priority;
                                                             NULL: drop that message instead */
item *queue_find_number(const queue *q, uint64_t number); /* NULL: it no longer waits */
item *queue_find_text(const queue *q,
                      uint64_t hash); /* a waiting message of the same text, not paid and not yet being synthesised */

/* ---- broadcast.c ---- */
typedef struct broadcast broadcast;
broadcast *broadcast_create(void);
void broadcast_free(broadcast *f);
void broadcast_publish(broadcast *f, const char *name, const char *json); /* json: an object */
void broadcast_audio(broadcast *f, const char *json, const float *pcm, size_t n, int rate,
                     double until); /* until: position in the clip, in seconds, at the end of this piece */
void broadcast_clip(broadcast *f,
                    int plays); /* 1: a clip begins, and later events belong to it; 0: no clip plays any more */
void broadcast_on_publish(broadcast *f, void (*published)(void *self, const ishow_chat_published *what), void *self);
void broadcast_on_news(broadcast *f, void (*news)(void *self), void *self);
void broadcast_news(broadcast *f); /* calls `news` if events were published; call without a lock */
size_t broadcast_listeners(broadcast *f);
/* last: as in ishow_chat_reader_open. The first events are `state` and `start`, JSON to free(), taken also on failure;
 * start may be NULL; a reader that resumes does not get them. The audio of the clip that plays begins at `position`. */
ishow_chat_reader *broadcast_reader(broadcast *f, const char *last, char *state, char *start, double position);

/* ---- options.c ---- */
ishow_chat_settings *ishow_settings_copy(const ishow_chat_options *o); /* NULL: no memory */

typedef struct durable_call durable_call; /* durable.c */

/* ---- a running chat ---- */
struct ishow_chat {
    void (*on_event)(void *self, const char *event, const char *json); /* set before the thread runs */
    void *on_event_self;
    pthread_mutex_t lock;
    ishow_chat_settings *settings; /* own copy of the options */
    ishow_chat_options o;          /* the options in `settings` */
    ishow_chat_synth synth;
    ishow_chat_journal journal;
    int has_journal;
    filter *filter;
    queue queue;
    broadcast *broadcast;
    ishow_chat_counts counts;
    json_t *refused;  /* the last messages that were not read, oldest first */
    json_t *gathered; /* ids of messages that end together, published as one event; NULL: each at once */
    uint64_t numbers, tickets;
    /* while another process leads (follow.c) */
    int follows;
    json_t *followed_state,
        *followed_start;   /* its last state event, and the start event of the clip that plays; NULL: none */
    double followed_at;    /* time at which that start event was received */
    int paused, finishing; /* finishing: no further clip begins */
    int changed;           /* a state event is due, at state_at or later */
    double state_at;
    /* the clip that plays (player.c) */
    item *playing;
    item *last;                   /* the last item that played, for replay; equals `playing` during a replay */
    int again, replaying;         /* a replay was requested; a replay plays */
    double position, position_at; /* position in the clip in seconds, and when it was updated */
    size_t sent;                  /* samples published */
    uint64_t seq;
    uint64_t mark; /* ticket that must be answered before the clip begins */
    double ask_at; /* time to ask for it again */
    double gap_until;
    char *heard; /* key of the viewer whose message played last; NULL: none */
    double heard_at;
    double clip_seconds; /* average, for eta */
    double pace;         /* seconds that a second of count_seconds takes, average */
    /* the thread, and what wakes it */
    pthread_mutex_t wake_lock;
    pthread_cond_t woken;
    int awake, ending, runs;
    uint64_t answered;       /* highest ticket answered; like the next three under wake_lock */
    int lost;                /* the journal may be another process's: nothing begins to play */
    size_t durable_calls;    /* that have not been answered */
    durable_call *unwritten; /* of them, those whose message could not be written; the chat's thread withdraws it */
    pthread_t thread;
};

/* The files of a running chat; each calls only files listed above it. The chat's lock is held unless noted. */

/* ---- chat_core.c ---- */
double chat_now(const ishow_chat *c); /* also without the lock */
void chat_unlock(ishow_chat *c);      /* and notifies the listeners of what was published */
void chat_publish(ishow_chat *c, const char *event, json_t *object); /* takes the object */

/* ---- follow.c ---- */
double follow_position(const ishow_chat *c, double now); /* position in the clip of the leading process */
json_t *follow_state(const ishow_chat *c);               /* NULL: none received yet */
json_t *follow_start(const ishow_chat *c, double now);   /* as of now; NULL: none plays */
void follow_forget(ishow_chat *c);
void follow_end(ishow_chat *c); /* the leading process has ended; ends the clip that played there */

/* ---- outcome.c ---- */
void clip_free(ishow_chat *c, item *it); /* cancels the item's clip and frees its audio; the item waits as before */
/* Ends a message that waits or plays, the only way to do so: adds its weight to *counter and drops it from the journal.
 * Publishes `deleted` unless why is NULL. keep: the item is not freed. */
void chat_settle(ishow_chat *c, item *it, uint64_t *counter, const char *why, int keep);
/* Publishes `deleted` for a list of ids, which it takes. */
void chat_publish_deleted(ishow_chat *c, json_t *ids, const char *why);
/* Between these two calls chat_settle collects its ids, which are published as one event, since listeners keep a
 * limited number of events. */
void chat_gather_deleted(ishow_chat *c);
void chat_publish_gathered(ishow_chat *c, const char *why);
/* Adds a message to the list of recent messages that were not read. */
void chat_refused(ishow_chat *c, const ishow_chat_message *m, ishow_chat_reason reason);

/* ---- durable.c ---- */
int chat_make_room(ishow_chat *c, ishow_chat_priority priority,
                   int held);                                  /* 0: the queue is full of messages that precede it */
void chat_announce(ishow_chat *c, const item *it, double now); /* publishes `message` for one that waits from now on */
void chat_record(ishow_chat *c, const item *it);               /* writes the item to the journal, if there is one */
uint64_t chat_sync(ishow_chat *c);                 /* asks the journal to commit; the ticket that will be answered */
int chat_answered(ishow_chat *c, uint64_t ticket); /* 1: a clip with this mark may begin. Also without the lock */
/* Calls done(user, status) once the message is durable or could not be written, and is then freed. Two steps, as memory
 * is needed before the message is queued. NULL or 0: no memory. */
durable_call *durable_create(ishow_chat *c, ishow_span id, void (*done)(void *user, ishow_status status), void *user);
int durable_set_viewer(durable_call *d, const char *viewer_key);
void durable_free(durable_call *d);                   /* one that has not begun; NULL allowed */
void durable_begin(durable_call *d, uint64_t number); /* takes it; number: of the queued item */
/* Takes messages that could not be written out of the queue and answers their calls. Without the lock. */
void chat_withdraw_unwritten(ishow_chat *c);

/* ---- player.c ---- */
double play_step(ishow_chat *c, double now); /* seconds until it has something to do */
/* Ends the clip that plays; a message that was being read must be settled before. */
void play_end(ishow_chat *c, const char *why);
/* Cuts off the clip that plays and, unless it is a replay, settles its message. */
void play_cut_off(ishow_chat *c, uint64_t *counter, const char *why);
void play_forget_last(ishow_chat *c);  /* frees the clip that a replay would play */
json_t *play_start(ishow_chat *c);     /* the start event of the clip that plays, as of now; NULL: none plays */
double play_rest(const ishow_chat *c); /* seconds left of the clip that plays, about */
double play_position(ishow_chat *c, double now); /* advances the position in the clip to `now` */

/* ---- snapshot.c ---- */
json_t *chat_state(ishow_chat *c);

/* ---- reconfigure.c ---- */
/* Takes over checked options; with the lock, or before any other thread has the chat. */
void chat_adopt(ishow_chat *c, ishow_chat_change *n);

/* receive.c and control.c implement only functions of chat.h; chat.c creates, runs and frees a chat. */

#endif
