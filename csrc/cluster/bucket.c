/* See bucket.h. */
#include "cluster/bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cluster/libnats.h"

static const int copies[] = {3, 1}; /* number of replicas: three, or as many as there are servers */

struct bucket {
    const libnats *nats;
    jsCtx *stream;
    kvStore *store;
};

static ishow_status failed(const bucket *k, unsigned bad, const char *doing, ishow_error *error) {
    const char *why = k->nats->last_error(NULL);
    if (bad == LIBNATS_NO_RESPONDERS)
        return ishow_fail(error, ISHOW_EIO, "cluster", "%s: NATS runs without JetStream (nats-server -js).", doing);
    return ishow_fail(error, ISHOW_EIO, "cluster", "%s: NATS says %s%s%s.", doing, k->nats->text(bad),
                      why && *why ? ": " : "", why ? why : "");
}

/* The response is ignored: an error in it, such as too few servers or an existing bucket with other replicas, shows
 * when the bucket is opened. */
static ishow_status make(bus *b, const char *name, int copies, ishow_error *error) {
    char subject[128], config[512];
    ishow_buffer answer = {0};
    snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.KV_%s", name);
    snprintf(config, sizeof config,
             "{\"name\":\"KV_%s\",\"subjects\":[\"$KV.%s.>\"],\"retention\":\"limits\",\"storage\":\"file\","
             "\"max_msgs_per_subject\":1,\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_msg_size\":-1,"
             "\"discard\":\"new\",\"num_replicas\":%d,\"allow_rollup_hdrs\":true,\"deny_delete\":true,"
             "\"allow_direct\":true}",
             name, name, copies);
    const ishow_status status = bus_request(b, subject, config, strlen(config), &answer, error);
    ishow_buffer_free(&answer);
    return status;
}

ishow_status bucket_open(bucket **out, bus *b, const char *name, ishow_error *error) {
    *out = NULL;
    bucket *k = calloc(1, sizeof *k);
    if (!k) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a bucket.");
    k->nats = bus_library(b);
    ishow_status status = ISHOW_OK;
    unsigned bad = k->nats->jetstream(&k->stream, bus_connection(b), NULL);
    if (!bad) bad = k->nats->kv_open(&k->store, k->stream, name);
    for (size_t i = 0; !status && bad == LIBNATS_NOT_FOUND && i < sizeof copies / sizeof *copies; i++)
        if (!(status = make(b, name, copies[i], error))) bad = k->nats->kv_open(&k->store, k->stream, name);
    if (!status && bad) status = failed(k, bad, "The shared voices and pronunciations cannot be opened", error);
    if (status)
        bucket_close(k);
    else
        *out = k;
    return status;
}

ishow_status bucket_get(bucket *k, const char *key, ishow_buffer *out, uint64_t *revision, ishow_error *error) {
    kvEntry *entry = NULL;
    const unsigned bad = k->nats->kv_get(&entry, k->store, key);
    if (revision) *revision = 0;
    if (bad == LIBNATS_NOT_FOUND)
        return ishow_fail(error, ISHOW_ENOTFOUND, "cluster", "The bucket shared by the machines has no %s.", key);
    if (bad) return failed(k, bad, "The shared voices and pronunciations cannot be read", error);
    ishow_buffer_add(out, k->nats->kv_value(entry), (size_t)k->nats->kv_length(entry));
    if (revision) *revision = k->nats->kv_revision(entry);
    k->nats->kv_entry_destroy(entry);
    return out->failed ? ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %s", key) : ISHOW_OK;
}

ishow_status bucket_put(bucket *k, const char *key, const void *data, size_t n, ishow_error *error) {
    const unsigned bad = k->nats->kv_put(NULL, k->store, key, data, (int)n);
    return bad ? failed(k, bad, "The shared voices and pronunciations cannot be written", error) : ISHOW_OK;
}

ishow_status bucket_update(bucket *k, const char *key, const void *data, size_t n, uint64_t *revision,
                           ishow_error *error) {
    const unsigned bad = *revision ? k->nats->kv_update(revision, k->store, key, data, (int)n, *revision)
                                   : k->nats->kv_create(revision, k->store, key, data, (int)n);
    if (bad == LIBNATS_ERROR) /* libnats reports a different revision in this way */
        return ishow_fail(error, ISHOW_EBUSY, "cluster", "Another machine has changed %s at the same time.", key);
    return bad ? failed(k, bad, "The shared voices and pronunciations cannot be written", error) : ISHOW_OK;
}

ishow_status bucket_drop(bucket *k, const char *key, ishow_error *error) {
    const unsigned bad = k->nats->kv_purge(k->store, key, NULL);
    return bad && bad != LIBNATS_NOT_FOUND
               ? failed(k, bad, "The shared voices and pronunciations cannot be removed", error)
               : ISHOW_OK;
}

void bucket_close(bucket *k) {
    if (!k) return;
    k->nats->kv_close(k->store);
    k->nats->jetstream_destroy(k->stream);
    free(k);
}
