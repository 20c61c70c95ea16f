/* A chat with a clock of its own, a synth that makes tones by the clock, and a journal in memory, for tests and the
 * storm. */
#ifndef FAKE_CHAT_H
#define FAKE_CHAT_H

#include <stddef.h>
#include <stdint.h>

#include "chat/chat.h"

enum { FAKE_CHAT_RATE = 1000, FAKE_CHAT_ROWS = 4096 };

typedef struct fake_clock {
    double now;
} fake_clock;
double fake_clock_now(void *self);

/* Clips take as long to hear as `character_seconds` says, and `make_ratio` of that to be made, one after another,
 * urgent ones first. */
typedef struct fake_synth {
    fake_clock *clock;
    double character_seconds, make_ratio;
    double free_at; /* the model is busy until then */
    int busy;       /* start answers EBUSY this many times */
    int fail;       /* clips that fail in the middle */
    int begun, alive;
    char last_text[2048], last_own[2048], last_voice[80];
    const ishow_word *words; /* that come with the first piece of each clip */
    size_t n_words;
} fake_synth;
void fake_synth_init(fake_synth *s, fake_clock *clock);
ishow_chat_synth fake_synth_table(fake_synth *s);

typedef struct fake_row {
    uint64_t number;
    int marked;
    char *record;
} fake_row;
typedef struct fake_journal {
    fake_row rows[FAKE_CHAT_ROWS];
    size_t n;
    int holds; /* sync is answered by fake_journal_answer only */
    int fails; /* sync is answered with EIO */
    struct {
        void (*done)(void *user, uint64_t ticket, ishow_status status);
        void *user;
        uint64_t ticket;
    } held[FAKE_CHAT_ROWS];
    size_t n_held;
    char viewer[80], voice[80]; /* the last one kept */
    char muted[8][80];
    size_t n_muted;
    int voices;
} fake_journal;
ishow_chat_journal fake_journal_table(fake_journal *j);
void fake_journal_answer(fake_journal *j);
void fake_journal_free(fake_journal *j);

/* A message of the text kind on platform "test", channel "room". Strings are borrowed. */
ishow_chat_message fake_message(const char *id, const char *user, const char *text);
ishow_span fake_span(const char *text);

/* Steps the chat until `seconds` have passed on the clock. */
void fake_run(ishow_chat *chat, fake_clock *clock, double seconds);

/* received = spoken + deleted + skipped + dropped + waiting. */
void fake_check_counts(ishow_chat *chat);

#endif
