#include "fuzz_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"

#define MUST fuzz_must

/* An input may take this long, by its length: what a stranger sends must not cost more than linear time. Sanitizers
 * are about ten times slower than the server. */
static const double SECONDS = 0.05, SECONDS_A_BYTE = 20e-6;

static double took(const uint8_t *data, size_t n) {
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    fuzz_one(data, n);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

/* What was freed is kept from use over many inputs still. The default, 256 MiB, makes every allocation a fresh page. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "quarantine_size_mb=8"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const double most = SECONDS + SECONDS_A_BYTE * (double)n;
    double seconds = took(data, n);
    for (int again = 0; seconds > most && again < 3; again++) seconds = took(data, n); /* the first one fills caches */
    if (seconds > most) {
        fprintf(stderr, "%zu bytes take %.3f s\n", n, seconds);
        abort();
    }
    return 0;
}

char *fuzz_text(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    if (!text) abort();
    memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

static void check_text(ishow_span s) {
    if (!s.size) return;
    MUST(!memchr(s.data, '\0', s.size));
    char *copy = malloc(s.size + 1);
    memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    MUST(ishow_utf8_length(copy) != SIZE_MAX);
    free(copy);
}

static void check_message(const ishow_chat_message *m) {
    const ishow_span texts[] = {m->platform,       m->channel,       m->id,          m->user_id,    m->login,
                                m->display_name,   m->text,          m->system_text, m->language,   m->gift_name,
                                m->reply_id,       m->reply_user_id, m->reply_login, m->reply_text, m->room_id,
                                m->source_room_id, m->source_id};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_text(texts[i]);
    MUST(m->id.size);
    MUST(m->timestamp_ms >= 0);
    MUST(m->amount_micros >= 0);
    MUST(m->kind != ISHOW_CHAT_KIND_TEXT || m->text.size);
    MUST(!m->currency[3]);
    uint32_t length = 0, from = 0;
    for (size_t i = 0; i < m->text.size; i++) length += ((unsigned char)m->text.data[i] & 0xC0) != 0x80;
    for (size_t i = 0; i < m->n_emotes; i++) {
        MUST(m->emotes[i].start >= from && m->emotes[i].start < m->emotes[i].end && m->emotes[i].end <= length);
        from = m->emotes[i].end;
        check_text(m->emotes[i].id);
    }
}

void fuzz_check_event(void *self, const ishow_chat_event *event) {
    (void)self;
    check_text(event->message_id);
    check_text(event->user_id);
    check_text(event->login);
    check_text(event->text);
    MUST((event->type == ISHOW_CHAT_ON_MESSAGE) == (event->message != NULL));
    if (event->message) check_message(event->message);
}

void fuzz_inside(ishow_span span, const char *bytes, size_t n) {
    MUST(!span.size || (span.data >= bytes && span.data + span.size <= bytes + n));
}
