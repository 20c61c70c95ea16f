/* Between a platform's data and the sink: memory for one packet, text validation, counters. Decoders (twitch.c,
 * bilibili.c, youtube.c) depend only on this, so tests, fuzzers and Python run them without a socket. */
#ifndef ISHOW_PLATFORMS_EVENT_SINK_H
#define ISHOW_PLATFORMS_EVENT_SINK_H

#include "platforms/platforms.h"

/* Memory that is valid until the next reset; blocks are reused, up to a limit. */
typedef struct arena {
    struct arena_block *block;
} arena;

void *ishow_arena_take(arena *a, size_t n); /* 16-byte aligned; NULL: out of memory */
ISHOW_API void ishow_arena_reset(arena *a);
ISHOW_API void ishow_arena_free(arena *a);

/* Recent ids, as hashes in two generations: at least the latest `n` are remembered. */
typedef struct seen seen;
seen *seen_create(size_t n); /* NULL: out of memory */
void seen_free(seen *s);
int seen_add(seen *s, ishow_span platform, ishow_span id); /* 1: new, 0: known */

typedef struct feed {
    ishow_span platform, channel;
    void (*event)(void *self, const ishow_chat_event *event);
    void *self;
    seen *seen; /* borrowed, may be NULL */
    arena arena;
    const struct emote_words *emote_words; /* Twitch: of other services; borrowed, may be NULL */
    int keeps_mentions;                    /* Twitch: "@name" at the beginning of a reply stays */
    uint64_t sequence;                     /* of generated ids */
    uint64_t lines, messages, deletions, notices, duplicates, ignored, malformed;
} feed;

/* Counts a message and passes it to the sink, with its priority and, where the platform gave none, a time and an id. */
void feed_message(feed *f, ishow_chat_message *message);
/* 1: the id is new. A message that is held back is checked when it arrives, and passed on later with a new id. */
int feed_first(feed *f, ishow_span id);
void feed_delete(feed *f, ishow_span message_id, ishow_span login);
void feed_delete_user(feed *f, ishow_span user_id, ishow_span login, uint64_t seconds);
void feed_clear(feed *f);
void feed_notice(feed *f, ishow_span text);

int64_t feed_clock_ms(void); /* since 1970 */

/* The same bytes when they are UTF-8 without NUL, else a copy in the arena with U+FFFD for every invalid byte. {NULL,
 * 0}: out of memory. */
ishow_span feed_text(feed *f, ishow_span text);
/* A copy with a space for every control character, CR and LF included, for a state or a log line. */
ishow_span feed_one_line(feed *f, ishow_span text);
ishow_span feed_format(feed *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Turns start and end into code points of text: clamped, in order, without overlap. */
void feed_emotes(ishow_chat_message *message, ishow_chat_emote *emotes, size_t n);

/* Removes ranges of code points, in order and without overlap, from the text, each with the space after it; positions
 * of emotes are adjusted. */
void feed_cut(feed *f, ishow_chat_message *message, const ishow_chat_emote *cuts, size_t n);

uint64_t span_u64(ishow_span s); /* value of the leading digits; UINT64_MAX on overflow */

#endif
