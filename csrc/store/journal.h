/* The journal of the chat queue in the store's database (chat.h says what it keeps and why). */
#ifndef ISHOW_STORE_JOURNAL_H
#define ISHOW_STORE_JOURNAL_H

#include "chat/chat.h"
#include "store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_journal ishow_journal;

/* Brings the journal's tables up to date, waiting for it. The store is borrowed until free. */
ishow_status ishow_journal_create(ishow_journal **out, ishow_store *store, ishow_error *error);

/* For ishow_chat_create. What is written together goes to disk together. When the disk fails, syncs are answered with
 * the status of the failure and chat is read on; what was not written is kept in memory and written as soon as the disk
 * takes it. */
ishow_chat_journal ishow_journal_table(ishow_journal *journal);

/* Waits until all that was written is on disk, or gives it up with a line in the log when the disk fails. After the
 * chat. NULL allowed. */
void ishow_journal_free(ishow_journal *journal);

#ifdef __cplusplus
}
#endif
#endif
