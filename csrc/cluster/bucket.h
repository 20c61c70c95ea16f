/* A JetStream key-value bucket: each value has a revision, is stored by NATS, and is the same for every machine.
 * Calls wait for NATS, at most some seconds, and may be made on any thread. EIO: NATS does not respond, or has no
 * JetStream. */
#ifndef ISHOW_CLUSTER_BUCKET_H
#define ISHOW_CLUSTER_BUCKET_H

#include "base/buffer.h"
#include "cluster/bus.h"

typedef struct bucket bucket;

/* Creates the bucket if it does not exist. The bus is borrowed until bucket_close. */
ishow_status bucket_open(bucket **out, bus *b, const char *name, ishow_error *error);

/* Appends the newest value to out; revision may be NULL. ENOTFOUND. */
ishow_status bucket_get(bucket *k, const char *key, ishow_buffer *out, uint64_t *revision, ishow_error *error);
ishow_status bucket_put(bucket *k, const char *key, const void *data, size_t n, ishow_error *error);

/* Writes the value if the newest revision is *revision (0: the key has no value), and sets *revision to the new one.
 * EBUSY: the newest revision is a different one. */
ishow_status bucket_update(bucket *k, const char *key, const void *data, size_t n, uint64_t *revision,
                           ishow_error *error);
ishow_status bucket_drop(bucket *k, const char *key, ishow_error *error); /* also ISHOW_OK when there is no value */
void bucket_close(bucket *k);                                             /* NULL allowed */

#endif
