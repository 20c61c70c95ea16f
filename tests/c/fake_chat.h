/* Fakes for tests of the chat: a clock, a synthesiser that makes tones by that clock, and a journal in memory. */
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

/* A clip lasts `character_seconds` per character. Its synthesis takes `make_ratio` of that; clips are synthesised one
 * after another, urgent ones first. */
typedef struct fake_synth {
    fake_clock *clock;
    double character_seconds, make_ratio;
    double free_at; /* the time until which the model is busy */
    int busy;       /* number of calls of start that return EBUSY */
    int fail;       /* number of clips that fail in the middle */
    int begun, alive;
    char last_text[2048], last_own[2048], last_voice[80];
    const ishow_word *words; /* that are given with the first piece of each clip */
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
    int holds;          /* sync is answered only by fake_journal_answer */
    ishow_status fails; /* the answer of sync */
    struct {
        void (*done)(void *user, uint64_t ticket, ishow_status status);
        void *user;
        uint64_t ticket;
    } held[FAKE_CHAT_ROWS];
    size_t n_held;
    char viewer[80], voice[80]; /* the last row that was written */
    char muted[8][80];
    size_t n_muted;
    int voices;
} fake_journal;
ishow_chat_journal fake_journal_table(fake_journal *j);
void fake_journal_answer(fake_journal *j);
void fake_journal_free(fake_journal *j);

/* A text message on platform "test", channel "room". Strings are borrowed. */
ishow_chat_message fake_message(const char *id, const char *user, const char *text);
ishow_span fake_span(const char *text);

/* Runs the chat's steps until `seconds` have passed on the clock. */
void fake_run(ishow_chat *chat, fake_clock *clock, double seconds);

/* Checks that received = spoken + deleted + skipped + dropped + waiting. */
void fake_check_counts(ishow_chat *chat);

#endif
