/* Several machines as one server, on NATS: gateways answer HTTP and have no model, workers have a model and synthesise
 * for every gateway. Both connect to a NATS server only. A gateway knows the workers from which it received a beat in
 * the last two seconds.
 *
 * ishow_gateway_open returns an engine that is used like any other. ishow_worker_open makes an engine of this process
 * available to gateways. libnats is loaded at run time: without it these two functions fail. All functions may be
 * called from any thread. csrc/cluster/wire.h describes the messages. */
#ifndef ISHOW_CLUSTER_CLUSTER_H
#define ISHOW_CLUSTER_CLUSTER_H

#include "base/buffer.h"
#include "engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ishow_cluster_role { ISHOW_ROLE_ALL, ISHOW_ROLE_GATEWAY, ISHOW_ROLE_WORKER } ishow_cluster_role;

/* "all", "gateway", "worker"; 0: no such name. */
ISHOW_API int ishow_cluster_role_find(const char *name, ishow_cluster_role *out);

/* Strings are copied. NULL: none. */
typedef struct ishow_cluster_options {
    ishow_cluster_role role;
    const char *url;                         /* one or several with "," between them: nats://host:4222, tls://... */
    const char *name;                        /* of this machine, for people; NULL: its host name */
    const char *credentials;                 /* file of a JWT and its seed */
    const char *nkey, *nkey_seed;            /* public key, and file of its seed */
    const char *tls_ca, *tls_cert, *tls_key; /* PEM files; any of them: TLS is used */
    int shared_chat;                         /* a gateway: see chat_group.h */
    const char *const *chats;                /* names of the chats of a gateway, at least one */
    size_t n_chats;
    const char *const *labels;   /* name and value in turn. A gateway uses only workers that have all of
                                    its labels */
    size_t n_labels;             /* strings, twice the labels */
    void (*refused)(void *self); /* called, on any thread, when NATS has ended the connection for good; it
                                    must not wait. NULL: that is only logged */
    void *refused_self;
} ishow_cluster_options;

/* The section [cluster] of the checked configuration, and what its options point into. */
typedef struct ishow_cluster_settings {
    ishow_cluster_options options;
    void *json; /* json_t *: owns the strings */
    const char **labels, **chats;
} ishow_cluster_settings;
ISHOW_API ishow_status ishow_cluster_settings_read(ishow_cluster_settings *out, const char *json, ishow_error *error);
ISHOW_API void ishow_cluster_settings_free(ishow_cluster_settings *s);

/* ---- a gateway ---- */

/* An engine whose utterances are synthesised by workers. EIO when libnats is not installed or an option cannot be used;
 * connecting to the NATS server is retried without limit. Freed by ishow_engine_free. Its model is that of the first
 * worker that it receives a beat from; only workers with the same weights are used until none of these is left. */
ISHOW_API ishow_status ishow_gateway_open(ishow_engine **out, const ishow_cluster_options *options, ishow_error *error);

/* 1 once a beat of a worker was received: from then on ishow_engine_info returns its model. */
ISHOW_API int ishow_gateway_ready(ishow_engine *gateway);

/* Workers, gateways and what they do, as JSON. chats: of the same, a JSON array that is added. */
ISHOW_API void ishow_gateway_status(ishow_engine *gateway, const char *chats, ishow_buffer *out);

/* leave(self) is called on the gateway's thread, with its lock held, when ishow_gateway_drain names this gateway; it
 * must not block. */
ISHOW_API void ishow_gateway_on_leave(ishow_engine *gateway, void (*leave)(void *self), void *self);

/* Tells the workers and gateways with this name or id to refuse what is new, finish what they have begun, and exit.
 * ENOTFOUND. */
ISHOW_API ishow_status ishow_gateway_drain(ishow_engine *gateway, const char *worker, ishow_error *error);

/* Prometheus text. */
ISHOW_API void ishow_gateway_metrics(ishow_engine *gateway, ishow_buffer *out);

/* ---- a worker ---- */

typedef struct ishow_worker ishow_worker;

/* Makes an engine, borrowed until ishow_worker_free, available to gateways. leave(self) is called on the worker's
 * thread when a gateway calls ishow_gateway_drain for it; it must not block. Fails as ishow_gateway_open does. */
ISHOW_API ishow_status ishow_worker_open(ishow_worker **out, ishow_engine *engine, const ishow_cluster_options *options,
                                         void (*leave)(void *self), void *self, ishow_error *error);

/* Refuses new utterances from now on, and waits up to `seconds` until the running ones are acknowledged to their
 * end. */
ISHOW_API void ishow_worker_drain(ishow_worker *worker, double seconds);

ISHOW_API void ishow_worker_metrics(ishow_worker *worker, ishow_buffer *out); /* Prometheus text */

/* Running utterances are cancelled; their gateways continue them at other workers. NULL allowed. */
ISHOW_API void ishow_worker_free(ishow_worker *worker);

#ifdef __cplusplus
}
#endif
#endif
