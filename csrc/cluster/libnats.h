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
    const char *(*subject)(const natsMsg *);
    const char *(*data)(const natsMsg *);
    int (*length)(const natsMsg *);
    void (*destroy_message)(natsMsg *);
    const char *(*text)(unsigned);
} libnats;

enum { LIBNATS_CONNECTED = 2 };

#endif
