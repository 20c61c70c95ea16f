/* See bus.h. */
#include "cluster/bus.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "cluster/libnats.h"

enum { SERVERS_MAX = 16, REQUEST_MS = 2000 };

struct bus_subscription {
    bus_subscription *next;
    bus *bus;
    natsSubscription *of;
    wire_inbox to;
};

struct bus {
    libnats nats;
    natsConnection *connection;
    bus_subscription *subscriptions; /* under lock, like the next; freed by bus_close, as on_message may still run */
    bus_subscription *left;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int closing; /* atomic */
    void (*refused)(void *self);
    void *refused_self;
    int open;  /* subscriptions for which on_message may run; under lock */
    int ended; /* on_closed was called; under lock */
};

/* Writes the function of this name into *function, a pointer to it of whatever type. */
static int find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (symbol) memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
    return symbol != NULL;
}

static ishow_status load(libnats *out, ishow_error *error) {
    static const char *const names[] = {"libnats.so.3.4", "libnats.so.3.7", "libnats.so.3.8", "libnats.so"};
    const struct {
        const char *name;
        void *function;
    } wanted[] = {
        {"natsOptions_Create", &out->options_create},
        {"natsOptions_Destroy", &out->options_destroy},
        {"natsOptions_SetURL", &out->options_url},
        {"natsOptions_SetServers", &out->options_servers},
        {"natsOptions_SetName", &out->options_name},
        {"natsOptions_SetSecure", &out->options_secure},
        {"natsOptions_LoadCATrustedCertificates", &out->options_ca},
        {"natsOptions_LoadCertificatesChain", &out->options_chain},
        {"natsOptions_SetUserCredentialsFromFiles", &out->options_credentials},
        {"natsOptions_SetNKeyFromSeed", &out->options_nkey},
        {"natsOptions_SetMaxReconnect", &out->options_max_reconnect},
        {"natsOptions_SetReconnectWait", &out->options_reconnect_wait},
        {"natsOptions_SetSendAsap", &out->options_send_asap},
        {"natsOptions_SetRetryOnFailedConnect", &out->options_retry},
        {"natsOptions_SetClosedCB", &out->options_closed},
        {"natsConnection_Connect", &out->connect},
        {"natsConnection_Status", &out->status},
        {"natsConnection_FlushTimeout", &out->flush},
        {"natsConnection_Close", &out->close},
        {"natsConnection_Destroy", &out->destroy},
        {"natsConnection_Publish", &out->publish},
        {"natsConnection_Subscribe", &out->subscribe},
        {"natsSubscription_SetOnCompleteCB", &out->on_complete},
        {"natsSubscription_Destroy", &out->unsubscribe},
        {"natsMsg_GetData", &out->data},
        {"natsMsg_GetDataLength", &out->length},
        {"natsMsg_Destroy", &out->destroy_message},
        {"natsStatus_GetText", &out->text},
        {"nats_GetLastError", &out->last_error},
        {"natsConnection_Request", &out->request},
        {"natsConnection_JetStream", &out->jetstream},
        {"jsCtx_Destroy", &out->jetstream_destroy},
        {"js_KeyValue", &out->kv_open},
        {"kvStore_Destroy", &out->kv_close},
        {"kvStore_Get", &out->kv_get},
        {"kvStore_Put", &out->kv_put},
        {"kvStore_Create", &out->kv_create},
        {"kvStore_Update", &out->kv_update},
        {"kvStore_Purge", &out->kv_purge},
        {"kvEntry_Value", &out->kv_value},
        {"kvEntry_ValueLen", &out->kv_length},
        {"kvEntry_Revision", &out->kv_revision},
        {"kvEntry_Destroy", &out->kv_entry_destroy},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names && !out->library; i++)
        out->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL); /* stays: its threads may outlive a connection */
    if (!out->library)
        return ishow_fail(error, ISHOW_EIO, "cluster",
                          "A cluster needs the library libnats, which is not installed: scripts/setup cluster");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!find(out->library, wanted[i].name, wanted[i].function))
            return ishow_fail(error, ISHOW_EIO, "cluster", "libnats has no function %s: it is older than 3.4.",
                              wanted[i].name);
    return ISHOW_OK;
}

static void on_connected(natsConnection *connection, void *self) {
    (void)connection, (void)self;
    ishow_log(ISHOW_LOG_INFO, "cluster", "connected to NATS");
}

/* libnats reconnects without limit, but not to a server that has refused this machine twice. */
static void on_closed(natsConnection *connection, void *self) {
    bus *b = self;
    (void)connection;
    if (!__atomic_load_n(&b->closing, __ATOMIC_ACQUIRE)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "NATS refuses this machine: the connection has ended for good");
        if (b->refused) b->refused(b->refused_self);
    }
    pthread_mutex_lock(&b->lock);
    b->ended = 1; /* it may be freed from now on */
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* One URL, or several with commas between them. */
static unsigned set_servers(const libnats *nats, natsOptions *o, const char *url) {
    const char *servers[SERVERS_MAX];
    int n = 0;
    char *copy = ishow_strdup(url), *rest = copy, *one;
    while (copy && n < SERVERS_MAX && (one = strsep(&rest, ","))) {
        one += strspn(one, " ");
        one[strcspn(one, " ")] = '\0';
        if (*one) servers[n++] = one;
    }
    const unsigned status = n == 1 ? nats->options_url(o, servers[0]) : nats->options_servers(o, servers, n);
    free(copy);
    return status;
}

static unsigned configure(bus *b, natsOptions *o, const ishow_cluster_options *c, const char *client,
                          const char **what) {
    const libnats *nats = &b->nats;
    unsigned bad;
    *what = "cluster.url";
    if ((bad = set_servers(nats, o, c->url))) return bad;
    *what = "cluster.name";
    if ((bad = nats->options_name(o, client))) return bad;
    *what = "cluster.credentials";
    if (c->credentials && (bad = nats->options_credentials(o, c->credentials, NULL))) return bad;
    *what = "cluster.nkey";
    if (c->nkey && (bad = nats->options_nkey(o, c->nkey, c->nkey_seed))) return bad;
    *what = "cluster.tls_ca";
    if ((c->tls_ca || c->tls_cert) && (bad = nats->options_secure(o, true))) return bad;
    if (c->tls_ca && (bad = nats->options_ca(o, c->tls_ca))) return bad;
    *what = "cluster.tls_cert";
    if (c->tls_cert && (bad = nats->options_chain(o, c->tls_cert, c->tls_key))) return bad;
    *what = "cluster";
    if ((bad = nats->options_max_reconnect(o, -1)) || (bad = nats->options_reconnect_wait(o, 100)) ||
        (bad = nats->options_send_asap(o, true)))
        return bad;
    return nats->options_closed(o, on_closed, b);
}

/* The setting to check when NATS ends the connection for a reason that will not go away; NULL: it may go away. */
static const char *blame(unsigned bad, const ishow_cluster_options *c) {
    switch (bad) {
    case LIBNATS_AUTH_FAILED:
    case LIBNATS_NOT_PERMITTED:
        return c->credentials ? "cluster.credentials" : c->nkey ? "cluster.nkey" : "cluster.url";
    case LIBNATS_SSL_ERROR: return c->tls_ca ? "cluster.tls_ca" : "cluster.tls_cert";
    case LIBNATS_SECURE_WANTED:
    case LIBNATS_SECURE_REQUIRED: return "cluster.url";
    case LIBNATS_ERROR:
    case LIBNATS_INVALID_ARGUMENT: return c->credentials ? "cluster.credentials" : c->nkey ? "cluster.nkey" : NULL;
    default: return NULL;
    }
}

/* One attempt, whose error may be final; then attempts without limit. */
static ishow_status connect(bus *b, natsOptions *o, const ishow_cluster_options *options, ishow_error *error) {
    unsigned bad = b->nats.connect(&b->connection, o);
    if (!bad) {
        ishow_log(ISHOW_LOG_INFO, "cluster", "connected to NATS");
        return ISHOW_OK;
    }
    const char *why = b->nats.last_error(NULL), *what = blame(bad, options);
    char reason[256];
    snprintf(reason, sizeof reason, "%s%s%s", b->nats.text(bad), why && *why ? ": " : "", why ? why : "");
    if (what)
        return ishow_fail(error, ISHOW_EIO, what, "%s: NATS at %s refuses this machine: %s", what, options->url,
                          reason);
    bad = b->nats.options_retry(o, true, on_connected, NULL);
    if (!bad) bad = b->nats.connect(&b->connection, o);
    if (!b->connection)
        return ishow_fail(error, ISHOW_EIO, "cluster.url", "NATS cannot be reached at %s: %s.", options->url,
                          b->nats.text(bad));
    if (bad)
        ishow_log(ISHOW_LOG_WARN, "cluster", "NATS at %s is not reached yet (%s); tried again until it is",
                  options->url, reason);
    return ISHOW_OK;
}

ishow_status bus_open(bus **out, const ishow_cluster_options *options, const char *client, ishow_error *error) {
    natsOptions *o = NULL;
    const char *what = "cluster";
    *out = NULL;
    bus *b = calloc(1, sizeof *b);
    if (!b) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a connection to NATS.");
    pthread_mutex_init(&b->lock, NULL);
    ishow_condition_init(&b->changed);
    b->refused = options->refused;
    b->refused_self = options->refused_self;
    ishow_status status = load(&b->nats, error);
    if (status) goto done;
    unsigned bad = b->nats.options_create(&o);
    if (!bad) bad = configure(b, o, options, client, &what);
    if (bad) {
        status = ishow_fail(error, ISHOW_EIO, what, "%s cannot be used: %s.", what, b->nats.text(bad));
        goto done;
    }
    status = connect(b, o, options, error);
done:
    if (o) b->nats.options_destroy(o);
    if (status)
        bus_close(b);
    else
        *out = b;
    return status;
}

static void on_message(natsConnection *connection, natsSubscription *of, natsMsg *message, void *self) {
    const bus_subscription *s = self;
    const libnats *nats = &s->bus->nats;
    (void)connection, (void)of;
    const int n = nats->length(message);
    wire_deliver(s->to, nats->data(message), n > 0 ? (size_t)n : 0);
    nats->destroy_message(message);
}

static void on_complete(void *self) {
    bus *b = self;
    pthread_mutex_lock(&b->lock);
    b->open--;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

ishow_status bus_subscribe(bus *b, const char *subject, wire_inbox to, bus_subscription **out, ishow_error *error) {
    bus_subscription *s = calloc(1, sizeof *s);
    if (!s) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a subscription");
    *s = (bus_subscription){.bus = b, .to = to};
    unsigned bad = b->nats.subscribe(&s->of, b->connection, subject, on_message, s);
    if (bad) {
        free(s);
        return ishow_fail(error, ISHOW_EIO, "cluster", "NATS refuses to listen: %s.", b->nats.text(bad));
    }
    pthread_mutex_lock(&b->lock);
    s->next = b->subscriptions;
    b->subscriptions = s;
    b->open += !b->nats.on_complete(s->of, on_complete, b);
    pthread_mutex_unlock(&b->lock);
    if (out) *out = s;
    return ISHOW_OK;
}

void bus_unsubscribe(bus *b, bus_subscription *s) {
    pthread_mutex_lock(&b->lock);
    bus_subscription **at = &b->subscriptions;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    s->next = b->left;
    b->left = s;
    pthread_mutex_unlock(&b->lock);
    b->nats.unsubscribe(s->of);
    s->of = NULL;
}

static void drop_subscriptions(bus *b, bus_subscription *all) {
    for (bus_subscription *s = all, *next; s; s = next) {
        next = s->next;
        if (s->of) b->nats.unsubscribe(s->of);
        free(s);
    }
}

void bus_publish(bus *b, const char *subject, const void *data, size_t n) {
    const unsigned bad = b->nats.publish(b->connection, subject, data, (int)n);
    if (bad) ishow_log(ISHOW_LOG_DEBUG, "cluster", "%zu bytes were not sent: %s", n, b->nats.text(bad));
}

void bus_publish_all(bus *b, wire_event *posted) {
    for (wire_event *e = posted, *next; e; e = next) {
        next = e->next;
        const char *subject = (const char *)e->data;
        const size_t n = strlen(subject) + 1;
        bus_publish(b, subject, e->data + n, e->n - n);
        free(e);
    }
}

ishow_status bus_request(bus *b, const char *subject, const void *data, size_t n, ishow_buffer *answer,
                         ishow_error *error) {
    natsMsg *message = NULL;
    const unsigned bad = b->nats.request(&message, b->connection, subject, data, (int)n, REQUEST_MS);
    if (bad == LIBNATS_NO_RESPONDERS)
        return ishow_fail(error, ISHOW_EIO, "cluster", "NATS runs without JetStream (nats-server -js).");
    if (bad) return ishow_fail(error, ISHOW_EIO, "cluster", "NATS does not answer a request: %s.", b->nats.text(bad));
    if (b->nats.length(message) > 0) ishow_buffer_add(answer, b->nats.data(message), (size_t)b->nats.length(message));
    b->nats.destroy_message(message);
    return answer->failed ? ishow_fail(error, ISHOW_ENOMEM, "", "no memory for an answer of NATS") : ISHOW_OK;
}

const libnats *bus_library(const bus *b) { return &b->nats; }

natsConnection *bus_connection(const bus *b) { return b->connection; }

int bus_connected(bus *b) { return b->nats.status(b->connection) == LIBNATS_CONNECTED; }

void bus_close(bus *b) {
    if (!b) return;
    __atomic_store_n(&b->closing, 1, __ATOMIC_RELEASE);
    if (b->connection) {
        if (bus_connected(b)) b->nats.flush(b->connection, 1000);
        b->nats.close(b->connection);
    }
    struct timespec until;
    ishow_deadline(10, &until);
    pthread_mutex_lock(&b->lock);
    while ((b->open > 0 || (b->connection && !b->ended)) && !pthread_cond_timedwait(&b->changed, &b->lock, &until))
        continue;
    pthread_mutex_unlock(&b->lock);
    drop_subscriptions(b, b->subscriptions);
    drop_subscriptions(b, b->left);
    if (b->connection) b->nats.destroy(b->connection);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
