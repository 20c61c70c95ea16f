/* See reader.h. */
#include "engine/reader.h"

#include <stdlib.h>
#include <time.h>

#include "base/base.h"

piece *piece_make(size_t n) {
    piece *p = malloc(sizeof *p + n * sizeof *p->samples);
    if (p) *p = (piece){.n = n};
    return p;
}

void piece_free(piece *p) {
    if (!p) return;
    free(p->words);
    free(p);
}

static void drop_pieces(reader *r) {
    while (r->first) {
        piece *next = r->first->next;
        piece_free(r->first);
        r->first = next;
    }
    r->last = NULL;
    r->unread = 0;
}

void reader_init(reader *r, pthread_mutex_t *lock, ishow_engine_stats *stats, void (*notify)(void *user), void *user) {
    *r = (reader){.lock = lock, .stats = stats, .notify = notify, .user = user};
    ishow_condition_init(&r->changed);
    r->submitted = r->began = ishow_now();
}

void reader_destroy(reader *r) {
    drop_pieces(r);
    piece_free(r->current);
    pthread_cond_destroy(&r->changed);
}

void reader_tell(reader *r) {
    pthread_cond_broadcast(&r->changed);
    if (!r->notify) return;
    void (*notify)(void *) = r->notify;
    void *user = r->user;
    r->notifying++;
    r->notifier = pthread_self();
    pthread_mutex_unlock(r->lock);
    notify(user);
    pthread_mutex_lock(r->lock);
    r->notifying--;
    pthread_cond_broadcast(&r->changed);
}

void reader_push(reader *r, piece *p) {
    p->next = NULL;
    if (r->last)
        r->last->next = p;
    else
        r->first = p;
    r->last = p;
    r->unread += p->n;
    if (r->timings.first_audio == 0) {
        r->timings.first_audio = ishow_now() - r->began;
        r->stats->first_audios++;
        r->stats->first_audio_seconds += r->timings.first_audio;
    }
    const double seconds = (double)p->n / r->timings.sample_rate;
    r->timings.audio += seconds;
    r->stats->audio_seconds += seconds;
    reader_tell(r);
}

void reader_end(reader *r, ishow_status status, const ishow_error *error) {
    r->ended = 1;
    r->status = status;
    if (error) r->error = *error;
    r->error.status = status;
    r->timings.total = ishow_now() - r->submitted;
    if (status == ISHOW_OK)
        r->stats->completed++;
    else if (status == ISHOW_ECANCELLED)
        r->stats->cancelled++;
    else if (status == ISHOW_EBUSY)
        r->stats->refused++;
    else
        r->stats->failed++;
}

ishow_status reader_failed(const reader *r, ishow_error *error) {
    if (r->cancelled) return ishow_fail(error, ISHOW_ECANCELLED, "", "the utterance was cancelled");
    if (!r->ended || r->status == ISHOW_OK) return ISHOW_OK;
    if (error) *error = r->error;
    return r->status;
}

ishow_status reader_next(reader *r, double timeout, const float **samples, size_t *n, ishow_error *error) {
    struct timespec until;
    int waits = timeout != 0;
    *samples = NULL;
    *n = 0;
    if (timeout > 0) ishow_deadline(timeout, &until);
    while (!r->cancelled && !r->first && !r->ended && waits) {
        if (timeout < 0)
            pthread_cond_wait(&r->changed, r->lock);
        else
            waits = pthread_cond_timedwait(&r->changed, r->lock, &until) == 0;
    }
    piece_free(r->current);
    r->current = NULL;
    if (r->first) { /* not after a cancel, which drops them */
        r->current = r->first;
        r->first = r->first->next;
        if (!r->first) r->last = NULL;
        r->unread -= r->current->n;
        *samples = r->current->samples;
        *n = r->current->n;
        return ISHOW_OK;
    }
    if (!r->cancelled && !r->ended) return ishow_fail(error, ISHOW_EAGAIN, "", "no audio came within %g s", timeout);
    return reader_failed(r, error);
}

void reader_cancel(reader *r) {
    r->cancelled = 1;
    drop_pieces(r);
    pthread_cond_broadcast(&r->changed);
}

void reader_detach(reader *r) {
    r->notify = NULL;
    while (r->notifying && !pthread_equal(r->notifier, pthread_self())) pthread_cond_wait(&r->changed, r->lock);
}

void reader_timings(reader *r, ishow_timings *out) {
    pthread_mutex_lock(r->lock);
    *out = r->timings;
    pthread_mutex_unlock(r->lock);
}

void reader_words(const reader *r, const ishow_word **words, size_t *n) {
    *words = r->current ? r->current->words : NULL; /* only the caller's thread changes `current` */
    *n = r->current ? r->current->n_words : 0;
}
