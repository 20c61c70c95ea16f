/* Voices and pronunciations that were created over HTTP at any gateway, shared by all machines in a JetStream bucket.
 * Its keys:
 * - voices: {id: entry}; an entry has `id`, `version`, `language`, `text`, `seconds`, `rate`, `samples`, and in `by`
 *   the name of its gateway
 * - lexicon: {name of a gateway: [questions for the front end]}
 * - VERSION.I: samples of a voice, SHARED_PART in each. VERSION is the hash of everything that makes the voice
 *
 * Gateways write and read the first two. Each of their requests names the voice and the revision of the lexicon that it
 * needs, and a worker loads what it lacks. A worker identifies such a voice by its version, so a replaced voice counts
 * as a different one. */
#ifndef ISHOW_CLUSTER_SHARED_H
#define ISHOW_CLUSTER_SHARED_H

#include "cluster/bucket.h"
#include "cluster/wire.h"

#define SHARED_BUCKET  "ishowtts"
#define SHARED_VOICES  "voices"
#define SHARED_LEXICON "lexicon"

enum {
    SHARED_VERSION = 32,
    SHARED_PART = 64 * 1024,   /* samples */
    SHARED_LIST_MAX = 1000000, /* bytes of all voices' entries, and of the lexicon; NATS' default limit is 1 MiB */
};

static inline void shared_part_key(char out[64], const char *version, size_t part) {
    snprintf(out, 64, "%.*s.%zu", SHARED_VERSION, version, part);
}

/* The value as JSON, an empty object when there is no value. NULL: the error is set. */
json_t *shared_read(bucket *k, const char *key, uint64_t *revision, ishow_error *error);

/* ---- a worker ---- */

/* A thread that loads the voices and pronunciations that requests need. All functions may be called from any thread. */
typedef struct loader loader;

/* loaded(self, message, n) is called on that thread with each message given to loader_ask, once its voice and
 * pronunciations are loaded, or cannot be. */
ishow_status loader_open(loader **out, ishow_engine *engine, bus *b,
                         void (*loaded)(void *self, const void *message, size_t n), void *self, ishow_error *error);

/* 1: the voice and pronunciations of a request are loaded. */
int loader_has(loader *l, const json_t *voice, uint64_t lexicon);
/* Loads the voice and pronunciations of a message, which is copied and given to `loaded` afterwards, also on
 * failure. */
void loader_ask(loader *l, const json_t *voice, uint64_t lexicon, const void *message, size_t n);

/* The versions of the voices that are loaded, as a JSON array. */
json_t *loader_voices(loader *l);
void loader_close(loader *l); /* NULL allowed */

#endif
