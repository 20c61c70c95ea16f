/* The caller's side of an utterance of either kind of engine: pieces of samples that wait to be read, how it ended, and
 * who is notified.
 *
 * One mutex, the engine's, guards a reader; its functions are called with it held where nothing else is said, and
 * release it while they wait or notify. */
#ifndef ISHOW_ENGINE_READER_H
#define ISHOW_ENGINE_READER_H

#include <pthread.h>

#include "engine/engine.h"

/* Samples ready to be read. */
typedef struct piece {
    struct piece *next;
    ishow_word *words; /* [n_words] that begin in it, or shortly behind it; owned */
    size_t n_words;
    size_t n;
    size_t parts, n_tail; /* ishow_position of its end; the tail follows the n samples */
    float samples[];
} piece;

/* A piece with room for n samples; NULL: out of memory. */
piece *piece_make(size_t n);
void piece_free(piece *piece); /* NULL allowed */

typedef struct reader {
    pthread_mutex_t *lock;     /* the engine's */
    ishow_engine_stats *stats; /* likewise */
    pthread_cond_t changed;    /* signalled when there is something new for the caller; uses CLOCK_MONOTONIC */
    void (*notify)(void *user);
    void *user;
    int notifying; /* running calls of notify */
    pthread_t notifier;
    int cancelled; /* by the caller */
    int ended;
    ishow_status status; /* once ended */
    ishow_error error;
    piece *first, *last, *current;
    size_t unread;    /* samples in first..last */
    double submitted; /* by ishow_now(), like the next */
    double began;     /* `submitted`, or the time at which the first part of a text that arrives in pieces was taken */
    ishow_timings timings;
} reader;

void reader_init(reader *r, pthread_mutex_t *lock, ishow_engine_stats *stats, void (*notify)(void *user), void *user);
void reader_destroy(reader *r); /* without the lock, by its last user */

/* For the engine's threads. */
void reader_tell(reader *r);           /* wakes and notifies the caller */
void reader_push(reader *r, piece *p); /* takes the piece, counts its audio, and calls reader_tell */
/* Sets the final status and counts it; the caller of this function then calls reader_tell. `error` NULL: none. */
void reader_end(reader *r, ishow_status status, const ishow_error *error);

/* For the caller, as engine.h says. */
ishow_status reader_next(reader *r, double timeout, const float **samples, size_t *n, ishow_error *error);
void reader_cancel(reader *r);                      /* drops what is unread */
void reader_detach(reader *r);                      /* after it returns, notify neither runs nor is called */
void reader_timings(reader *r, ishow_timings *out); /* without the lock, like the next */
void reader_words(const reader *r, const ishow_word **words, size_t *n); /* of the last piece that was read */
ishow_status reader_failed(
    const reader *r, ishow_error *error); /* the status by which it was cancelled or has failed; ISHOW_OK: neither */

#endif
