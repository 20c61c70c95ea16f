/* Declarations shared by the files of store/. */
#ifndef ISHOW_STORE_INTERNAL_H
#define ISHOW_STORE_INTERNAL_H

#include <sqlite3.h>

#include "base/base.h"
#include "store/store.h"

/* Opens <dir>/ishowtts.db; a corrupt one is renamed first, and `rescued` (48 bytes) gets the ending of its new name. */
ishow_status store_open_database(const char *dir, sqlite3 **out, char rescued[48], ishow_error *error);

/* mkdir -p with mode 0700. */
ishow_status store_make_directory(const char *dir, ishow_error *error);

/* Copies the open database consistently beside it; `rescued` (48 bytes) gets the ending of its name. Outside a
 * transaction. */
ishow_status store_copy_aside(sqlite3 *db, const char *dir, char rescued[48], ishow_error *error);

/* Runs SQL without results. */
ishow_status store_execute(sqlite3 *db, const char *sql, const char *doing, ishow_error *error);

#endif
