/* Gateways that share chats. Each chat is led by one of them: it holds the chat's lease in JetStream, is connected to
 * its platforms, reads its messages aloud, keeps its journal in JetStream (chat_journal.h) and publishes every event on
 * a subject. The others forward these events to their own listeners, and requests to the leader. When the leader is
 * silent, another gateway takes the lease and the journal over. Chats are spread evenly: a gateway that leads more than
 * another hands one over between two clips. Messages:
 * - ishow.v1.chat of the chat "main", ishow.v1.chat.NAME of another: "event", from the leader: "event" and "json" of
 *   it; audio has "rate", "until" and samples. With "again" it is the state, and the "start" of the current clip, for
 *   gateways that have just subscribed
 * - ishow.v1.chats: "leads", from each gateway, three times a second: the chats that it leads, each with the revision
 *   of its lease, and a hash of the names of all its chats
 * - ishow.v1.to.ID: "chat", a request to the leader of "chat" (left out: "main"): "from", "number", "verb" and a body;
 *   "chatted", its answer: "number", "status" and a body; with "moved" another gateway leads. "join": "from" has
 *   subscribed */
#ifndef ISHOW_CLUSTER_CHAT_GROUP_H
#define ISHOW_CLUSTER_CHAT_GROUP_H

#include "cluster/cluster.h"
#include "service/chat.h"

typedef struct chat_group chat_group;

/* Chats are numbered as in the options. */
ISHOW_API ishow_status ishow_chat_group_open(chat_group **out, const ishow_cluster_options *options,
                                             ishow_error *error);

/* For ishow_chat_service_open. */
ISHOW_API const chat_leader *ishow_chat_group_leader(chat_group *g, size_t chat);
/* The service of a chat, borrowed until stop. */
ISHOW_API void ishow_chat_group_join(chat_group *g, size_t chat, chat_service *service);

/* Starts, once every chat has its service. */
ISHOW_API ishow_status ishow_chat_group_run(chat_group *g, ishow_error *error);
ISHOW_API size_t ishow_chat_group_leads(chat_group *g);                                /* how many chats */
ISHOW_API void ishow_chat_group_leader_name(chat_group *g, size_t chat, char out[65]); /* "": none is known */
/* A listener has come: events of the leader are received from now on. */
ISHOW_API void ishow_chat_group_listen(chat_group *g, size_t chat);

/* Gives all leases back; before the services are closed. */
ISHOW_API void ishow_chat_group_stop(chat_group *g);
ISHOW_API void ishow_chat_group_free(chat_group *g); /* after they were closed. NULL allowed */

#endif
