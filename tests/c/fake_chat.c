#include "fake_chat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

double fake_clock_now(void *self) { return ((fake_clock *)self)->now; }

typedef struct fake_clip {
    double ready;
    size_t left;
    int fails, pieces;
    float samples[FAKE_CHAT_RATE];
} fake_clip;

void fake_synth_init(fake_synth *s, fake_clock *clock) {
    memset(s, 0, sizeof *s);
    s->clock = clock;
    s->character_seconds = 0.06;
    s->make_ratio = 0.1;
}

static ishow_status start(void *self, const char *text, const char *own, const char *voice, int urgent, int soon,
                          void **clip, ishow_error *error) {
    fake_synth *s = self;
    (void)soon;
    if (s->busy > 0) {
        s->busy--;
        error->status = ISHOW_EBUSY;
        return ISHOW_EBUSY;
    }
    if (strstr(text, "%U")) {
        error->status = ISHOW_EINVAL;
        return ISHOW_EINVAL;
    }
    fake_clip *c = calloc(1, sizeof *c);
    assert_non_null(c);
    const double seconds = s->character_seconds * (double)strlen(text);
    if (s->free_at < s->clock->now) s->free_at = s->clock->now;
    s->free_at += s->make_ratio * seconds;
    c->ready = urgent ? s->clock->now + s->make_ratio * seconds : s->free_at;
    c->left = (size_t)(seconds * FAKE_CHAT_RATE);
    c->fails = s->fail > 0 && s->fail--;
    for (size_t i = 0; i < FAKE_CHAT_RATE; i++) c->samples[i] = 0.1f;
    s->begun++;
    s->alive++;
    snprintf(s->last_text, sizeof s->last_text, "%s", text);
    snprintf(s->last_own, sizeof s->last_own, "%s", own ? own : "");
    snprintf(s->last_voice, sizeof s->last_voice, "%s", voice ? voice : "");
    *clip = c;
    return ISHOW_OK;
}

static ishow_status next(void *self, void *clip, const float **samples, size_t *n, ishow_error *error) {
    fake_synth *s = self;
    fake_clip *c = clip;
    *n = 0;
    error->field[0] = '\0';
    if (s->clock->now + 1e-9 < c->ready) return error->status = ISHOW_EAGAIN;
    if (c->fails) return error->status = ISHOW_EMODEL;
    *n = c->left < FAKE_CHAT_RATE ? c->left : FAKE_CHAT_RATE;
    *samples = c->samples;
    c->left -= *n;
    c->pieces++;
    return ISHOW_OK;
}

static void words(void *self, void *clip, const ishow_word **out, size_t *n) {
    const fake_synth *s = self;
    *out = s->words;
    *n = ((fake_clip *)clip)->pieces == 1 ? s->n_words : 0;
}

static void release(void *self, void *clip) {
    ((fake_synth *)self)->alive--;
    free(clip);
}

ishow_chat_synth fake_synth_table(fake_synth *s) {
    return (ishow_chat_synth){
        .self = s, .start = start, .next = next, .words = words, .free = release, .sample_rate = FAKE_CHAT_RATE};
}

/* ---- journal ---- */

static fake_row *row_of(fake_journal *j, uint64_t number) {
    for (size_t i = 0; i < j->n; i++)
        if (j->rows[i].number == number) return &j->rows[i];
    return NULL;
}

static void put(void *self, uint64_t number, const char *record) {
    fake_journal *j = self;
    fake_row *row = row_of(j, number);
    if (!row) {
        assert_true(j->n < FAKE_CHAT_ROWS);
        row = &j->rows[j->n++];
        *row = (fake_row){.number = number};
    }
    free(row->record);
    row->record = strdup(record);
    row->marked = 0;
}

static void mark(void *self, uint64_t number) {
    fake_row *row = row_of(self, number);
    assert_non_null(row);
    row->marked = 1;
}

static void drop(void *self, uint64_t number) {
    fake_journal *j = self;
    fake_row *row = row_of(j, number);
    assert_non_null(row);
    free(row->record);
    *row = j->rows[--j->n];
}

static void keep_voice(void *self, const char *viewer, const char *voice) {
    fake_journal *j = self;
    snprintf(j->viewer, sizeof j->viewer, "%s", viewer);
    snprintf(j->voice, sizeof j->voice, "%s", voice);
    j->voices++;
}

static void keep_muted(void *self, const char *viewer, int muted) {
    fake_journal *j = self;
    size_t i = 0;
    while (i < j->n_muted && strcmp(j->muted[i], viewer)) i++;
    if (muted && i == j->n_muted && i < 8)
        snprintf(j->muted[j->n_muted++], sizeof j->muted[0], "%s", viewer);
    else if (!muted && i < j->n_muted)
        memmove(j->muted[i], j->muted[i + 1], (--j->n_muted - i) * sizeof j->muted[0]);
}

static ishow_status load_muted(void *self, void (*viewer)(void *user, const char *viewer), void *user,
                               ishow_error *error) {
    const fake_journal *j = self;
    (void)error;
    for (size_t i = 0; i < j->n_muted; i++) viewer(user, j->muted[i]);
    return ISHOW_OK;
}

static void sync_journal(void *self, void (*done)(void *user, uint64_t ticket, ishow_status status), void *user,
                         uint64_t ticket) {
    fake_journal *j = self;
    if (!j->holds) {
        done(user, ticket, j->fails);
        return;
    }
    assert_true(j->n_held < FAKE_CHAT_ROWS);
    j->held[j->n_held].done = done;
    j->held[j->n_held].user = user;
    j->held[j->n_held++].ticket = ticket;
}

void fake_journal_answer(fake_journal *j) {
    for (size_t i = 0; i < j->n_held; i++) j->held[i].done(j->held[i].user, j->held[i].ticket, j->fails);
    j->n_held = 0;
}

static int by_number(const void *a, const void *b) {
    const fake_row *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static ishow_status load(void *self, void (*message)(void *user, uint64_t number, int marked, const char *record),
                         void (*viewer)(void *user, const char *viewer, const char *voice), void *user,
                         ishow_error *error) {
    fake_journal *j = self;
    (void)error;
    static fake_row rows[FAKE_CHAT_ROWS];
    size_t n = j->n;
    qsort(j->rows, n, sizeof *j->rows, by_number);
    memcpy(rows, j->rows, n * sizeof *rows);
    if (j->voices) viewer(user, j->viewer, j->voice);
    for (size_t i = 0; i < n; i++) {
        char *record = strdup(rows[i].record); /* the chat may delete the row meanwhile */
        message(user, rows[i].number, rows[i].marked, record);
        free(record);
    }
    return ISHOW_OK;
}

ishow_chat_journal fake_journal_table(fake_journal *j) {
    return (ishow_chat_journal){.self = j,
                                .put = put,
                                .mark = mark,
                                .drop = drop,
                                .voice = keep_voice,
                                .mute = keep_muted,
                                .sync = sync_journal,
                                .load = load,
                                .load_muted = load_muted};
}

void fake_journal_free(fake_journal *j) {
    for (size_t i = 0; i < j->n; i++) free(j->rows[i].record);
    j->n = 0;
}

/* ---- messages ---- */

ishow_span fake_span(const char *text) { return (ishow_span){text, strlen(text)}; }

ishow_chat_message fake_message(const char *id, const char *user, const char *text) {
    return (ishow_chat_message){.platform = fake_span("test"),
                                .channel = fake_span("room"),
                                .id = fake_span(id),
                                .user_id = fake_span(user),
                                .login = fake_span(user),
                                .display_name = fake_span(user),
                                .text = fake_span(text)};
}

void fake_run(ishow_chat *chat, fake_clock *clock, double seconds) {
    const double end = clock->now + seconds;
    while (clock->now < end) {
        double wait = ishow_chat_step(chat);
        if (wait < 0.01) wait = 0.01;
        if (wait > 0.05) wait = 0.05; /* the chat is not woken when a clip is ready */
        clock->now = clock->now + wait < end ? clock->now + wait : end;
    }
    ishow_chat_step(chat);
}

void fake_check_counts(ishow_chat *chat) {
    ishow_chat_counts n;
    ishow_chat_counts_get(chat, &n);
    uint64_t sum = n.spoken + n.deleted + n.skipped + n.waiting;
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++) sum += n.dropped[i];
    assert_int_equal(n.received, sum);
}
