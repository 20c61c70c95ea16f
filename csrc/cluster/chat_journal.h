/* The journal of the chat queue in a stream of JetStream, so that it outlives the gateway that leads the chat. The
 * stream "ishowtts-chat" has one message for each subject: ishow.chat.m.NUMBER is a waiting message (a digit that says
 * whether it is marked, then its record), ishow.chat.voices and ishow.chat.muted are JSON objects. */
#ifndef ISHOW_CLUSTER_CHAT_JOURNAL_H
#define ISHOW_CLUSTER_CHAT_JOURNAL_H

#include "chat/chat.h"
#include "cluster/bus.h"

typedef struct chat_journal chat_journal;

/* Makes the stream where there is none. The bus is borrowed until free. leads(self): whether this process may write
 * now; while it may not, writes wait. Any thread. */
ishow_status chat_journal_open(chat_journal **out, bus *b, int (*leads)(void *self), void *self, ishow_error *error);
ishow_chat_journal chat_journal_table(chat_journal *j);

/* Writes are not waited for any more: syncs are answered with EIO. For a process that has ceased to lead. */
void chat_journal_give_up(chat_journal *j);

/* Waits some seconds for writes. Free the chat before. NULL allowed. */
void chat_journal_free(chat_journal *j);

#endif
