/* The journal of a chat's queue in a JetStream stream, so that it outlives the gateway that leads the chat. The stream
 * "ishowtts-chat" keeps one message for each subject: m.NUMBER is a waiting message (a digit, 1 when it is marked, then
 * its record), voices and muted are JSON objects. The subjects begin with "ishow.chat.of.NAME.", those of the chat
 * WIRE_CHAT_MAIN with "ishow.chat.". */
#ifndef ISHOW_CLUSTER_CHAT_JOURNAL_H
#define ISHOW_CLUSTER_CHAT_JOURNAL_H

#include "chat/chat.h"
#include "cluster/bus.h"

typedef struct chat_journal chat_journal;

/* Creates the stream if it does not exist. The bus is borrowed until free. leads(self): whether this process may write
 * now; while it may not, writes wait; called on any thread. */
ishow_status chat_journal_open(chat_journal **out, bus *b, const char *name, int (*leads)(void *self), void *self,
                               ishow_error *error);
ishow_chat_journal chat_journal_table(chat_journal *j);

/* Nothing is written any more, and syncs are answered with ECANCELLED. For a process that does not lead any more. */
void chat_journal_give_up(chat_journal *j);

/* Writes are repeated for one more second, and then answered with ECANCELLED. Call it before the chat follows, which
 * waits for them. */
void chat_journal_hurry(chat_journal *j);

/* Waits up to a second for writes. Free the chat first. NULL allowed. */
void chat_journal_free(chat_journal *j);

#endif
