/* Gateways that share one chat. One of them leads: it holds a lease in JetStream, is connected to the platforms, reads,
 * keeps the journal there (chat_journal.h) and publishes every event on a subject. The others publish these events to
 * their own listeners and ask it what they are asked. When it is silent, another one takes over the journal and leads.
 * - ishow.v1.chat: "event", from the leading gateway: "event" and "json" of it; audio has "rate", "until" and samples
 * - ishow.v1.to.ID: "chat", a request to the leading one: "from", "number", "verb" and a body; "chatted", its answer:
 *   "number", "status" and a body */
#ifndef ISHOW_CLUSTER_CHAT_GROUP_H
#define ISHOW_CLUSTER_CHAT_GROUP_H

#include "cluster/cluster.h"
#include "service/chat.h"

typedef struct chat_group chat_group;

/* lost(self) is called, on a thread of the group, when another gateway leads instead of this one: this program must
 * end. */
ISHOW_API ishow_status ishow_chat_group_open(chat_group **out, const ishow_cluster_options *options,
                                             void (*lost)(void *self), void *self, ishow_error *error);

/* For ishow_chat_service_open. */
ISHOW_API const chat_leader *ishow_chat_group_leader(chat_group *g);

/* Takes part with this service, borrowed until stop. */
ISHOW_API ishow_status ishow_chat_group_run(chat_group *g, chat_service *service, ishow_error *error);
ISHOW_API int ishow_chat_group_leads(chat_group *g);
ISHOW_API void ishow_chat_group_leader_name(chat_group *g, char out[65]); /* "": none is known */

/* Before the service is closed. */
ISHOW_API void ishow_chat_group_stop(chat_group *g);
/* After it was closed. Gives the lease back. NULL allowed. */
ISHOW_API void ishow_chat_group_free(chat_group *g);

#endif
