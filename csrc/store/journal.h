/* The journal of the chat queue in the store's database (chat/chat.h defines its functions). */
#ifndef ISHOW_STORE_JOURNAL_H
#define ISHOW_STORE_JOURNAL_H

#include "chat/chat.h"
#include "store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_journal ishow_journal;

/* Migrates the journal's tables and waits for that. The store is borrowed until free. */
ishow_status ishow_journal_create(ishow_journal **out, ishow_store *store, ishow_error *error);

/* The table for ishow_chat_create. Writes are committed in batches. When the disk fails, syncs are answered with the
 * failure's status and the chat continues; unwritten records stay in memory and are written when the disk works
 * again. */
ishow_chat_journal ishow_journal_table(ishow_journal *journal);

/* Waits until all writes are on disk, or gives up with a line in the log when the disk fails. Free the chat before.
 * NULL allowed. */
void ishow_journal_free(ishow_journal *journal);

#ifdef __cplusplus
}
#endif
#endif
