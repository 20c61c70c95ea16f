/* What must outlive the process: one SQLite database in a state directory, and one thread that alone touches it.
 *
 * Work is handed over as small closures through a bounded queue. What is queued together is committed together, so a
 * burst costs one sync of the disk; `done` is called after the commit, when nothing can take the work back any more,
 * not even SIGKILL. Each user of the database brings its own tables (ishow_store_schema) and knows nothing of the
 * others'. */
#ifndef ISHOW_STORE_STORE_H
#define ISHOW_STORE_STORE_H

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
typedef struct ishow_store ishow_store;

/* Tables of one user. steps[i] is SQL that brings them from version i to i + 1; steps are only ever added. */
typedef struct ishow_store_schema {
    const char *name;
    const char *const *steps;
    int n_steps;
} ishow_store_schema;

/* Runs on the database thread, inside a transaction; anything but ISHOW_OK undoes what it did, and only that. It must
 * not begin, commit or roll back itself. It may be run a second time, when the transaction it was part of could not be
 * committed. */
typedef ishow_status (*ishow_store_fn)(void *self, struct sqlite3 *db, ishow_error *error);

/* Opens <dir>/ishowtts.db, made with the directory (mode 0700) when missing. A database that is broken is moved aside
 * with a line in the log, and a new one begun. EBUSY when another process has the directory, EIO with the reason; field
 * "state_dir". */
ISHOW_API ishow_status ishow_store_open(ishow_store **out, const char *dir, ishow_error *error);

/* Finishes what is queued, then closes. NULL allowed. */
ISHOW_API void ishow_store_close(ishow_store *store);

const char *ishow_store_dir(const ishow_store *store); /* absolute; owned by the store */

/* Ending of the names under which a broken database was put aside by open or migrate, e.g. "broken-20260131T120000Z";
 * "" when it was sound. */
const char *ishow_store_rescued(const ishow_store *store);

/* Brings the tables of `schema` up to date, waiting for it. ESTATE when they were written by a newer version of the
 * program. Tables that are not what their version says (logical damage, which SQLite cannot see) begin anew, after the
 * whole database was copied aside with a line in the log; the other users' tables stay. */
ishow_status ishow_store_migrate(ishow_store *store, const ishow_store_schema *schema, ishow_error *error);

/* Queues `run`; done(self, ...) follows on the database thread once it is committed or has failed, and may be NULL.
 * `self` is borrowed until then. EBUSY when the queue is full. Any thread. */
ishow_status ishow_store_submit(ishow_store *store, ishow_store_fn run,
                                void (*done)(void *self, ishow_status status, const ishow_error *error), void *self,
                                ishow_error *error);

/* The same, waiting for a place in the queue and for the end. Not on the database thread. */
ishow_status ishow_store_run(ishow_store *store, ishow_store_fn run, void *self, ishow_error *error);

/* Whether the disk takes what is written: ISHOW_OK, or what the last commit failed with and, in *error (NULL allowed),
 * the sentence. While it fails the database thread tries once a second by itself, so this becomes ISHOW_OK again
 * without a restart. Any thread. */
ISHOW_API ishow_status ishow_store_health(ishow_store *store, ishow_error *error);

/* recovered(self) is called on the database thread whenever a commit succeeds after one that failed. One for all; NULL:
 * none, and none runs any more. */
void ishow_store_on_recovery(ishow_store *store, void (*recovered)(void *self), void *self);

/* For closures: the last failure of db as a status and a sentence, "<doing> failed: ...". Never ISHOW_OK. */
ishow_status ishow_store_fault(struct sqlite3 *db, const char *doing, ishow_error *error);

#ifdef __cplusplus
}
#endif
#endif
