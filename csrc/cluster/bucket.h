/* A bucket of JetStream: values by key, each with a revision, which outlive those who wrote them and are the same for
 * every machine. Calls wait for NATS, at most some seconds, and may come from any thread. EIO: NATS does not answer, or
 * has no JetStream. */
#ifndef ISHOW_CLUSTER_BUCKET_H
#define ISHOW_CLUSTER_BUCKET_H

#include "base/buffer.h"
#include "cluster/bus.h"

typedef struct bucket bucket;

/* Makes the bucket where there is none. The bus is borrowed until bucket_close. */
ishow_status bucket_open(bucket **out, bus *b, const char *name, ishow_error *error);

/* Appends the newest value to out; revision may be NULL. ENOTFOUND. */
ishow_status bucket_get(bucket *k, const char *key, ishow_buffer *out, uint64_t *revision, ishow_error *error);
ishow_status bucket_put(bucket *k, const char *key, const void *data, size_t n, ishow_error *error);

/* Writes only where the newest revision is *revision (0: there is no value), and sets it to the new one. EBUSY: it is
 * another one. */
ishow_status bucket_update(bucket *k, const char *key, const void *data, size_t n, uint64_t *revision,
                           ishow_error *error);
ishow_status bucket_drop(bucket *k, const char *key, ishow_error *error); /* ISHOW_OK where there is no value */
void bucket_close(bucket *k);                                             /* NULL allowed */

#endif
