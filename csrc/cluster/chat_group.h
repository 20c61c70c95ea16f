/* Gateways that share chats. Each chat is led by one of them: it holds the chat's lease in JetStream, is connected to
 * its platforms, reads, keeps the journal there (chat_journal.h) and publishes every event on a subject. The others
 * publish these events to their own listeners and ask it what they are asked. When it is silent, another one takes over
 * the journal and leads. Chats are spread evenly: a gateway that leads more than another hands one over between two
 * clips.
 * - ishow.v1.chat of the chat "main", ishow.v1.chat.NAME of another: "event", from the leading gateway: "event" and
 *   "json" of it; audio has "rate", "until" and samples. With "again" it is the state, and the "start" of the clip that
 *   plays, for gateways that have just begun to listen
 * - ishow.v1.chats: "leads", from each gateway, three times a second: the chats that it leads, each with the revision
 *   of its lease
 * - ishow.v1.to.ID: "chat", a request to the leading gateway of "chat" (left out: "main"): "from", "number", "verb" and
 *   a body; "chatted", its answer: "number", "status" and a body; with "moved" another gateway leads. "join": "from"
 *   begins to listen */
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

/* Takes part, once every chat has its service. */
ISHOW_API ishow_status ishow_chat_group_run(chat_group *g, ishow_error *error);
ISHOW_API size_t ishow_chat_group_leads(chat_group *g);                                /* how many chats */
ISHOW_API void ishow_chat_group_leader_name(chat_group *g, size_t chat, char out[65]); /* "": none is known */
/* A listener comes: what another gateway publishes is heard from now on. */
ISHOW_API void ishow_chat_group_listen(chat_group *g, size_t chat);

/* Gives all leases back; before the services are closed. */
ISHOW_API void ishow_chat_group_stop(chat_group *g);
ISHOW_API void ishow_chat_group_free(chat_group *g); /* after they were closed. NULL allowed */

#endif
