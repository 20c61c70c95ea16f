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

/* For ishow_chat_create. What is written together goes to disk together. When the disk fails, the log says so, syncs are answered all the same and chat is read on. */
ishow_chat_journal ishow_journal_table(ishow_journal *journal);

/* Waits until all that was written is on disk. After the chat. NULL allowed. */
void ishow_journal_free(ishow_journal *journal);

#ifdef __cplusplus
}
#endif
#endif
