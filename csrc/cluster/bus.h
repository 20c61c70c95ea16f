/* A connection to NATS: publish and subscribe. libnats is loaded by bus_open.
 *
 * Received messages are put into an inbox, since they arrive on threads of libnats, which must not wait. Messages may
 * be lost when the connection breaks; the protocol (wire.h) retransmits. */
#ifndef ISHOW_CLUSTER_BUS_H
#define ISHOW_CLUSTER_BUS_H

#include "cluster/cluster.h"
#include "cluster/libnats.h"
#include "cluster/wire.h"

typedef struct bus bus;

/* client: the name that `nats-server` shows for the connection. EIO with field "cluster". */
ishow_status bus_open(bus **out, const ishow_cluster_options *options, const char *client, ishow_error *error);
typedef struct bus_subscription bus_subscription;
/* out NULL: until bus_close. */
ishow_status bus_subscribe(bus *b, const char *subject, wire_inbox to, bus_subscription **out, ishow_error *error);
/* A message that was received before may still be put into the inbox, as long as the bus is open. */
void bus_unsubscribe(bus *b, bus_subscription *s);
void bus_publish(bus *b, const char *subject, const void *data, size_t n);
void bus_publish_all(bus *b, wire_event *posted); /* what wire_post appended, as wire_take gave it; frees it */
/* Appends the answer of a part of NATS, such as JetStream; waits up to two seconds. EIO: there is none. Any thread. */
ishow_status bus_request(bus *b, const char *subject, const void *data, size_t n, ishow_buffer *answer,
                         ishow_error *error);
int bus_connected(bus *b);
const libnats *bus_library(const bus *b); /* for bucket.c, like the next */
natsConnection *bus_connection(const bus *b);
/* Flushes and closes; nothing is put into an inbox afterwards. NULL allowed. */
void bus_close(bus *b);

#endif
