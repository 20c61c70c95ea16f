/* Text that comes in pieces: what callers add, and how much of it the text thread takes. A part is taken when
 * everything before it is spoken, so that text that has not begun can still be replaced. Parts are as long as the audio
 * ahead of the listener allows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

static const double UNREAD_SECONDS = 20;  /* audio that waits for its reader before no more is made */
static const double MARGIN_SECONDS = 0.5; /* of audio that is left to play when synthesis of the next part starts */

feed *feed_make(const ishow_request *request) {
    feed *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->text = ishow_strdup(request->text);
    if (!f->text) {
        free(f);
        return NULL;
    }
    f->open = 1;
    f->n = strlen(f->text);
    f->characters = ishow_utf8_length(f->text);
    f->idle = 1e-3 * request->idle_ms;
    f->heard = ishow_now();
    return f;
}

void feed_free(feed *f) {
    if (!f) return;
    free(f->text);
    free(f);
}

/* ---- what is due ---- */

/* Bytes at the front of an open text that end with a sentence or clause. A part may last as long as the audio that the
 * listener still has, since it is synthesised meanwhile; a shorter one waits for more text while that audio lasts. */
static size_t cut_written(const feed *f, double now, double speed, double first, double limit, double *wake) {
    const ishow_pace ordinary = {.frames_per_unit = 1, .frames_per_second = 1}; /* units are seconds */
    const double left = fmax(f->plays_until - now, 0) * speed, least = ISHOW_EARLY_LEAST * first;
    const double goal = fmax(ISHOW_EARLY_GROWTH * left, first);
    const double wanted = fmin(left - MARGIN_SECONDS * speed, ISHOW_EARLY_LEAST * limit);
    size_t cut = 0;
    if (ishow_feed_cut(f->text, f->n, 1, &ordinary, fmax(wanted, least), goal, limit, &cut, NULL) != ISHOW_OK || cut)
        return cut;
    *wake = fmin(*wake, f->heard + f->idle);
    if (wanted <= least || ishow_feed_cut(f->text, f->n, 1, &ordinary, least, goal, limit, &cut, NULL) != ISHOW_OK)
        return 0;
    if (cut) *wake = fmin(*wake, f->plays_until - MARGIN_SECONDS - ishow_speech_seconds(f->text, cut) / speed);
    return 0;
}

size_t feed_due(const ishow_utterance *u, double now, double *wake) {
    const feed *f = u->feed;
    const ishow_pace ordinary = {.frames_per_unit = 1, .frames_per_second = 1};
    if (!f->n || (double)u->reader.unread > UNREAD_SECONDS * u->reader.timings.sample_rate) return 0;
    double limit;
    __atomic_load(&u->engine->options.chunk_seconds, &limit, __ATOMIC_RELAXED);
    const double reference = u->voice && u->engine->info.uses_prompt ? u->voice->seconds : 0;
    limit = fmax(limit - reference, ISHOW_CHUNK_SECONDS_MIN) * u->speed;
    const double first = ISHOW_EARLY_SECONDS * u->speed;
    const size_t over =
        !f->open || now - f->heard >= f->idle ? f->n : f->flush; /* bytes that need not wait for more text */
    if (!over) return cut_written(f, now, u->speed, first, limit, wake);
    const double goal = fmax(ISHOW_EARLY_GROWTH * (f->plays_until - now) * u->speed, first);
    size_t cut = 0;
    return ishow_feed_cut(f->text, over, 0, &ordinary, 0, goal, limit, &cut, NULL) == ISHOW_OK ? cut : over;
}

static size_t count(const char *text, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

char *feed_take(ishow_utterance *u, size_t n) {
    feed *f = u->feed;
    char *part = strndup(f->text, n);
    if (!part) return NULL;
    const size_t characters = count(part, n);
    memmove(f->text, f->text + n, f->n - n + 1);
    f->n -= n;
    f->characters -= characters;
    f->taken += characters;
    f->flush = f->flush > n ? f->flush - n : 0;
    return part;
}

/* ---- what callers do ---- */

/* Whether more may be said to u; the lock is held. */
static ishow_status check_open(const ishow_utterance *u, ishow_error *error) {
    if (!u->feed) return ishow_fail(error, ISHOW_ESTATE, "", "this text was whole from the beginning");
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

/* Looks again at what is due; the lock is held. */
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
        status =
            ishow_fail(error, ISHOW_EAGAIN, "text", "%zu characters wait to be spoken: %zu more have no room within %d",
                       f->characters, characters, ISHOW_MAX_TEXT_CHARS);
        goto done;
    }
    const size_t bytes = strlen(text);
    char *longer = realloc(f->text, f->n + bytes + 1);
    if (!longer) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu bytes", f->n + bytes);
        goto done;
    }
    memcpy(longer + f->n, text, bytes + 1);
    f->text = longer;
    f->n += bytes;
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
    char *own = ishow_strdup(text);
    if (!own) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text");
    pthread_mutex_lock(&u->engine->lock);
    if ((status = check_open(u, error)) == ISHOW_OK) {
        feed *f = u->feed;
        char *dropped = f->text;
        f->text = own;
        f->n = strlen(own);
        f->characters = characters;
        f->flush = 0;
        own = dropped;
        if (kept) *kept = f->taken;
        changed(u);
        pthread_cond_broadcast(&u->reader.changed); /* wakes callers that wait until their text fits */
    }
    pthread_mutex_unlock(&u->engine->lock);
    free(own);
    return status;
}

ishow_status local_flush(ishow_utterance *u, ishow_error *error) {
    pthread_mutex_lock(&u->engine->lock);
    const ishow_status status = check_open(u, error);
    if (status == ISHOW_OK) {
        u->feed->flush = u->feed->n;
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
        if (!u->feed->n && u->state == UTTERANCE_READY) u->complete = 1;
        changed(u);
    }
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}
