/* What machines share beside speech: voices and pronunciations that came over HTTP at any gateway, in a bucket of
 * JetStream.
 * - voices: {id: entry}; an entry has `id`, `version`, `language`, `text`, `seconds`, `rate`, `samples` and `by`, the
 *   name of its gateway
 * - lexicon: {name of a gateway: [what the front end is told]}
 * - VERSION.I: samples of a voice, SHARED_PART each. VERSION is the hash of all that makes it
 *
 * A gateway writes and reads the first two; each of its requests says which voice and which revision of the lexicon it
 * needs, and a worker loads what it lacks. A worker knows such a voice by its version, so that one which is replaced is
 * another voice. */
#ifndef ISHOW_CLUSTER_SHARED_H
#define ISHOW_CLUSTER_SHARED_H

#include "cluster/bucket.h"
#include "cluster/wire.h"

#define SHARED_BUCKET  "ishowtts"
#define SHARED_VOICES  "voices"
#define SHARED_LEXICON "lexicon"

enum { SHARED_VERSION = 32, SHARED_PART = 64 * 1024 /* samples */ };

static inline void shared_part_key(char out[64], const char *version, size_t part) {
    snprintf(out, 64, "%.*s.%zu", SHARED_VERSION, version, part);
}

/* The value as JSON; an empty object where there is none. NULL: the error is set. */
json_t *shared_read(bucket *k, const char *key, uint64_t *revision, ishow_error *error);

/* ---- a worker ---- */

/* A thread that loads what requests need. All of it may be called from any thread. */
typedef struct loader loader;

/* loaded(self, message, n) is called on that thread with the message that waited, when it may go on. */
ishow_status loader_open(loader **out, ishow_engine *engine, bus *b,
                         void (*loaded)(void *self, const void *message, size_t n), void *self, ishow_error *error);

/* 1: what a request needs is here. */
int loader_has(loader *l, const json_t *voice, uint64_t lexicon);
/* The message is copied, and given to `loaded` when what it needs is here or cannot be had. */
void loader_ask(loader *l, const json_t *voice, uint64_t lexicon, const void *message, size_t n);

/* The versions of the voices that are loaded, as a JSON array. */
json_t *loader_voices(loader *l);
void loader_close(loader *l); /* NULL allowed */

#endif
