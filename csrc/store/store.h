/* Persistent state: one SQLite database in a state directory, accessed by one thread only.
 *
 * Work is submitted as closures through a bounded queue. What is queued together is committed together, so a burst
 * costs one sync of the disk; `done` is called after the commit, when the work survives even SIGKILL. Each user of the
 * database brings its own tables (ishow_store_schema) and does not depend on those of others. */
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

/* Runs on the database thread inside a transaction; any status but ISHOW_OK undoes its own writes only. It must not
 * begin, commit or roll back. It may run a second time when its transaction could not be committed. */
typedef ishow_status (*ishow_store_fn)(void *self, struct sqlite3 *db, ishow_error *error);

/* Opens <dir>/ishowtts.db, created with its directory (mode 0700) when missing. A corrupt database is renamed with a
 * line in the log, and a new one is created. EBUSY when another process uses the directory, EIO with the reason; field
 * "state_dir". */
ISHOW_API ishow_status ishow_store_open(ishow_store **out, const char *dir, ishow_error *error);

/* Finishes what is queued, then closes. NULL allowed. */
ISHOW_API void ishow_store_close(ishow_store *store);

const char *ishow_store_dir(const ishow_store *store); /* absolute; owned by the store */

/* Ending of the names of a corrupt database that open or migrate renamed or copied, e.g. "broken-20260131T120000Z"; "":
 * none was. */
const char *ishow_store_rescued(const ishow_store *store);

/* Migrates the tables of `schema` and waits for that. ESTATE when a newer version of the program wrote them. Tables
 * that do not match their version (damage that SQLite cannot detect) are created anew after the whole database was
 * copied, with a line in the log; tables of other users stay. */
ishow_status ishow_store_migrate(ishow_store *store, const ishow_store_schema *schema, ishow_error *error);

/* Queues `run`; done(self, ...), which may be NULL, is called on the database thread once it is committed or has
 * failed. `self` is borrowed until then. EBUSY when the queue is full. Any thread. */
ishow_status ishow_store_submit(ishow_store *store, ishow_store_fn run,
                                void (*done)(void *self, ishow_status status, const ishow_error *error), void *self,
                                ishow_error *error);

/* The same, but waits for space in the queue and for the end. Not on the database thread. */
ishow_status ishow_store_run(ishow_store *store, ishow_store_fn run, void *self, ishow_error *error);

/* ISHOW_OK, or the status of the last commit, which failed, with its message in *error (NULL allowed). While commits
 * fail the database thread tries once a second, so this becomes ISHOW_OK again without a restart. Any thread. */
ISHOW_API ishow_status ishow_store_health(ishow_store *store, ishow_error *error);

/* recovered(self) is called on the database thread when a commit succeeds after one that failed. One callback for all
 * users; NULL: none, and returns only when no call is running. */
void ishow_store_on_recovery(ishow_store *store, void (*recovered)(void *self), void *self);

/* For closures: the last error of db as a status and a message, "<doing> failed: ...". Never ISHOW_OK. */
ishow_status ishow_store_fault(struct sqlite3 *db, const char *doing, ishow_error *error);

#ifdef __cplusplus
}
#endif
#endif
