/* Functions of libnats (3.4 or later) that are used, as its <nats/nats.h> declares them, so that it is needed neither
 * to build nor to run a server without a cluster. tests/c/test_cluster_bus.c compares the two. */
#ifndef ISHOW_CLUSTER_LIBNATS_H
#define ISHOW_CLUSTER_LIBNATS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct __natsConnection natsConnection;
typedef struct __natsSubscription natsSubscription;
typedef struct __natsMsg natsMsg;
typedef struct __natsOptions natsOptions;
typedef struct __jsCtx jsCtx;
typedef struct __kvStore kvStore;
typedef struct __kvEntry kvEntry;
struct jsOptions;
struct kvPurgeOptions;

typedef struct libnats {
    void *library;
    /* statuses are unsigned, as compilers make an enum without negative values: 0 is good */
    unsigned (*options_create)(natsOptions **);
    void (*options_destroy)(natsOptions *);
    unsigned (*options_url)(natsOptions *, const char *);
    unsigned (*options_servers)(natsOptions *, const char **, int);
    unsigned (*options_name)(natsOptions *, const char *);
    unsigned (*options_secure)(natsOptions *, bool);
    unsigned (*options_ca)(natsOptions *, const char *);
    unsigned (*options_chain)(natsOptions *, const char *, const char *);
    unsigned (*options_credentials)(natsOptions *, const char *, const char *);
    unsigned (*options_nkey)(natsOptions *, const char *, const char *);
    unsigned (*options_max_reconnect)(natsOptions *, int);
    unsigned (*options_reconnect_wait)(natsOptions *, int64_t);
    unsigned (*options_send_asap)(natsOptions *, bool);
    unsigned (*options_retry)(natsOptions *, bool, void (*)(natsConnection *, void *), void *);
    unsigned (*options_closed)(natsOptions *, void (*)(natsConnection *, void *), void *);
    unsigned (*connect)(natsConnection **, natsOptions *);
    unsigned (*status)(natsConnection *);
    unsigned (*flush)(natsConnection *, int64_t);
    void (*close)(natsConnection *);
    void (*destroy)(natsConnection *);
    unsigned (*publish)(natsConnection *, const char *, const void *, int);
    unsigned (*subscribe)(natsSubscription **, natsConnection *, const char *,
                          void (*)(natsConnection *, natsSubscription *, natsMsg *, void *), void *);
    unsigned (*on_complete)(natsSubscription *, void (*)(void *), void *);
    void (*unsubscribe)(natsSubscription *);
    const char *(*data)(const natsMsg *);
    int (*length)(const natsMsg *);
    void (*destroy_message)(natsMsg *);
    const char *(*text)(unsigned);
    const char *(*last_error)(unsigned *);
    unsigned (*request)(natsMsg **, natsConnection *, const char *, const void *, int, int64_t);
    unsigned (*jetstream)(jsCtx **, natsConnection *, struct jsOptions *);
    void (*jetstream_destroy)(jsCtx *);
    unsigned (*kv_open)(kvStore **, jsCtx *, const char *);
    void (*kv_close)(kvStore *);
    unsigned (*kv_get)(kvEntry **, kvStore *, const char *);
    unsigned (*kv_put)(uint64_t *, kvStore *, const char *, const void *, int);
    unsigned (*kv_create)(uint64_t *, kvStore *, const char *, const void *, int);
    unsigned (*kv_update)(uint64_t *, kvStore *, const char *, const void *, int, uint64_t);
    unsigned (*kv_purge)(kvStore *, const char *, struct kvPurgeOptions *);
    const void *(*kv_value)(kvEntry *);
    int (*kv_length)(kvEntry *);
    uint64_t (*kv_revision)(kvEntry *);
    void (*kv_entry_destroy)(kvEntry *);
} libnats;

enum { LIBNATS_CONNECTED = 2 }; /* of a connection */

enum { /* of a call */
       LIBNATS_ERROR = 1,
       LIBNATS_SECURE_WANTED = 8,
       LIBNATS_SECURE_REQUIRED = 9,
       LIBNATS_AUTH_FAILED = 11,
       LIBNATS_NOT_PERMITTED = 12,
       LIBNATS_NOT_FOUND = 13,
       LIBNATS_INVALID_ARGUMENT = 16,
       LIBNATS_SSL_ERROR = 29,
       LIBNATS_NO_RESPONDERS = 34
};

#endif
