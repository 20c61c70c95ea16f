/* Text that arrives in pieces: callers append to it, and the text thread takes parts off its front. A part is taken
 * only when everything before it has been spoken, so text that has not begun can still be replaced. Parts are as long
 * as the audio ahead of the listener allows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"
#include "base/utf8.h"

static const double UNREAD_SECONDS = 20; /* seconds of unread audio above which no more is synthesised */
static const double MARGIN_SECONDS =
    0.5; /* seconds of audio that are left to play when synthesis of the next part starts */

/* Appends a text and its NUL, which is not counted. 0: out of memory, and *b is as before. */
static int add(ishow_buffer *b, const char *text) {
    ishow_buffer_add(b, text, strlen(text) + 1);
    const int added = !b->failed;
    if (added) b->n--;
    b->failed = 0;
    return added;
}

feed *feed_make(const ishow_request *request) {
    feed *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    if (!add(&f->text, request->text)) {
        feed_free(f);
        return NULL;
    }
    f->open = 1;
    f->characters = ishow_utf8_length(request->text);
    f->idle = 1e-3 * request->idle_ms;
    f->heard = ishow_now();
    return f;
}

void feed_free(feed *f) {
    if (!f) return;
    ishow_buffer_free(&f->text);
    free(f);
}

/* ---- which part comes next ---- */

/* Bytes at the front of an open text that end with a sentence or clause. A part may last as long as the audio that the
 * listener still has, since it is synthesised meanwhile; a shorter one waits for more text while that audio lasts. */
static size_t cut_written(const feed *f, double now, double speed, double first, double limit, double *wake) {
    const ishow_pace ordinary = {.frames_per_unit = 1, .frames_per_second = 1}; /* units are seconds */
    const double left = fmax(f->plays_until - now, 0) * speed, least = ISHOW_EARLY_LEAST * first;
    const double goal = fmax(ISHOW_EARLY_GROWTH * left, first);
    const double wanted = fmin(left - MARGIN_SECONDS * speed, ISHOW_EARLY_LEAST * limit);
    const char *text = (const char *)f->text.data;
    size_t cut = 0;
    if (ishow_feed_cut(text, f->text.n, 1, &ordinary, fmax(wanted, least), goal, limit, &cut, NULL) != ISHOW_OK || cut)
        return cut;
    *wake = fmin(*wake, f->heard + f->idle);
    if (wanted <= least || ishow_feed_cut(text, f->text.n, 1, &ordinary, least, goal, limit, &cut, NULL) != ISHOW_OK)
        return 0;
    if (cut) *wake = fmin(*wake, f->plays_until - MARGIN_SECONDS - ishow_speech_seconds(text, cut) / speed);
    return 0;
}

size_t feed_due(const ishow_utterance *u, double now, double *wake) {
    const feed *f = u->feed;
    const ishow_pace ordinary = {.frames_per_unit = 1, .frames_per_second = 1};
    if (!f->text.n || (double)u->reader.unread > UNREAD_SECONDS * u->reader.timings.sample_rate) return 0;
    double limit;
    __atomic_load(&u->engine->options.chunk_seconds, &limit, __ATOMIC_RELAXED);
    const double reference = u->voice && u->engine->info.uses_prompt ? u->voice->seconds : 0;
    limit = fmax(limit - reference, ISHOW_CHUNK_SECONDS_MIN) * u->speed;
    const double first = ISHOW_EARLY_SECONDS * u->speed;
    const size_t over =
        !f->open || now - f->heard >= f->idle ? f->text.n : f->flush; /* bytes that need not wait for more text */
    if (!over) return cut_written(f, now, u->speed, first, limit, wake);
    const double goal = fmax(ISHOW_EARLY_GROWTH * (f->plays_until - now) * u->speed, first);
    size_t cut = 0;
    return ishow_feed_cut((const char *)f->text.data, over, 0, &ordinary, 0, goal, limit, &cut, NULL) == ISHOW_OK
               ? cut
               : over;
}

char *feed_take(ishow_utterance *u, size_t n) {
    feed *f = u->feed;
    char *part = strndup((const char *)f->text.data, n);
    if (!part) return NULL;
    const size_t characters = utf8_count(part, n);
    f->text.n -= n;
    memmove(f->text.data, f->text.data + n, f->text.n + 1);
    f->characters -= characters;
    f->taken += characters;
    f->flush = f->flush > n ? f->flush - n : 0;
    return part;
}

/* ---- calls of the caller ---- */

/* Checks that more text may be added to u; the lock is held. */
static ishow_status check_open(const ishow_utterance *u, ishow_error *error) {
    if (!u->feed) return ishow_fail(error, ISHOW_ESTATE, "", "this request has its whole text already");
    const ishow_status status = reader_failed(&u->reader, error);
    if (status != ISHOW_OK) return status;
    return u->feed->open ? ISHOW_OK : ishow_fail(error, ISHOW_ESTATE, "", "the text has ended");
}

static ishow_status check_text(const char *text, size_t *characters, ishow_error *error) {
    *characters = ishow_utf8_length(text);
    if (*characters == SIZE_MAX) return ishow_fail(error, ISHOW_EINVAL, "text", "text is not valid UTF-8");
    if (*characters <= ISHOW_MAX_TEXT_CHARS) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EINVAL, "text", "a piece of text must have at most %d characters, got %zu",
                      ISHOW_MAX_TEXT_CHARS, *characters);
}

/* Records a change and wakes the text thread; the lock is held. */
static void changed(ishow_utterance *u) {
    u->feed->heard = ishow_now();
    pthread_cond_signal(&u->engine->text_work);
}

ishow_status local_feed(ishow_utterance *u, const char *text, double timeout, ishow_error *error) {
    size_t characters;
    struct timespec until;
    ishow_status status = check_text(text, &characters, error);
    if (status != ISHOW_OK) return status;
    if (timeout > 0) ishow_deadline(timeout, &until);
    pthread_mutex_lock(&u->engine->lock);
    int waits = timeout != 0;
    while ((status = check_open(u, error)) == ISHOW_OK && u->feed->characters + characters > ISHOW_MAX_TEXT_CHARS &&
           waits) {
        if (timeout < 0)
            pthread_cond_wait(&u->reader.changed, &u->engine->lock);
        else
            waits = pthread_cond_timedwait(&u->reader.changed, &u->engine->lock, &until) == 0;
    }
    feed *f = u->feed;
    if (status != ISHOW_OK) goto done;
    if (f->characters + characters > ISHOW_MAX_TEXT_CHARS) {
        status = ishow_fail(error, ISHOW_EAGAIN, "text",
                            "%zu characters wait to be spoken; with %zu more there would be over %d", f->characters,
                            characters, ISHOW_MAX_TEXT_CHARS);
        goto done;
    }
    if (!add(&f->text, text)) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu bytes", f->text.n + strlen(text));
        goto done;
    }
    f->characters += characters;
    changed(u);
done:
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}

ishow_status local_set_text(ishow_utterance *u, const char *text, size_t *kept, ishow_error *error) {
    size_t characters;
    ishow_status status = check_text(text, &characters, error);
    if (status != ISHOW_OK) return status;
    ishow_buffer own = {0};
    if (!add(&own, text)) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text");
    pthread_mutex_lock(&u->engine->lock);
    if ((status = check_open(u, error)) == ISHOW_OK) {
        feed *f = u->feed;
        const ishow_buffer dropped = f->text;
        f->text = own;
        f->characters = characters;
        f->flush = 0;
        own = dropped;
        if (kept) *kept = f->taken;
        changed(u);
        pthread_cond_broadcast(&u->reader.changed); /* wakes callers that wait until their text fits */
    }
    pthread_mutex_unlock(&u->engine->lock);
    ishow_buffer_free(&own);
    return status;
}

ishow_status local_flush(ishow_utterance *u, ishow_error *error) {
    pthread_mutex_lock(&u->engine->lock);
    const ishow_status status = check_open(u, error);
    if (status == ISHOW_OK) {
        u->feed->flush = u->feed->text.n;
        changed(u);
    }
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}

ishow_status local_end(ishow_utterance *u, ishow_error *error) {
    pthread_mutex_lock(&u->engine->lock);
    const ishow_status status = check_open(u, error);
    if (status == ISHOW_OK) {
        u->feed->open = 0;
        if (!u->feed->text.n && u->state == UTTERANCE_READY) u->complete = 1;
        changed(u);
    }
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}
