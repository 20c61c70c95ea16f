/* The journal of a chat's queue in a stream of JetStream, so that it outlives the gateway that leads the chat. The
 * stream "ishowtts-chat" has one message for each subject: m.NUMBER is a waiting message (a digit that says whether it
 * is marked, then its record), voices and muted are JSON objects. Before these stands "ishow.chat.of.NAME.", for the
 * chat WIRE_CHAT_MAIN "ishow.chat.". */
#ifndef ISHOW_CLUSTER_CHAT_JOURNAL_H
#define ISHOW_CLUSTER_CHAT_JOURNAL_H

#include "chat/chat.h"
#include "cluster/bus.h"

typedef struct chat_journal chat_journal;

/* Makes the stream where there is none. The bus is borrowed until free. leads(self): whether this process may write
 * now; while it may not, writes wait. Any thread. */
ishow_status chat_journal_open(chat_journal **out, bus *b, const char *name, int (*leads)(void *self), void *self,
                               ishow_error *error);
ishow_chat_journal chat_journal_table(chat_journal *j);

/* Writes are not waited for any more: syncs are answered with EIO. For a process that has ceased to lead. */
void chat_journal_give_up(chat_journal *j);

/* Writes are tried for a second more, and then answered with EIO. Before the chat, which waits for them, is to follow.
 */
void chat_journal_hurry(chat_journal *j);

/* Waits a second for writes. Free the chat before. NULL allowed. */
void chat_journal_free(chat_journal *j);

#endif
