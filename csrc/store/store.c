/* The queue and its thread. A batch is one transaction with a savepoint around each closure, so that a closure that
 * fails undoes only its own writes. When the commit of a batch fails, its closures are run again one by one, since one
 * of them may be the cause. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/internal.h"

enum { QUEUE = 1024, BATCH = 64 };
static const double PROBE_SECONDS = 1; /* seconds between two attempts to write while the disk fails */
static const double LOG_SECONDS = 60; /* seconds in which at most one line is logged for a disk that fails repeatedly */

typedef struct work {
    int bare; /* runs alone and outside a transaction */
    ishow_store_fn run;
    void (*done)(void *self, ishow_status status, const ishow_error *error);
    void *self;
} work;

struct ishow_store {
    char *dir;
    char rescued[48];
    int lock_file;
    sqlite3 *db; /* used by the thread only, once it runs */
    pthread_t thread;
    int thread_runs;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t came, went;
    work queue[QUEUE];
    size_t first, n;
    int closing;
    ishow_error failing;             /* status ISHOW_OK: the last commit succeeded */
    double failing_since, logged_at; /* 0: never */
    int logged;                      /* the failure was logged, so its end will be */
    pthread_mutex_t recovery_lock;   /* held while `recovered` runs */
    void (*recovered)(void *self);
    void *recovered_self;
};

typedef struct outcome {
    ishow_status status;
    ishow_error error;
} outcome;

static ishow_status one(sqlite3 *db, const work *w, ishow_error *error) {
    ishow_status status = store_execute(db, "SAVEPOINT work", "Writing to the database", error);
    if (status) return status;
    status = w->run(w->self, db, error);
    if (status) sqlite3_exec(db, "ROLLBACK TO work", NULL, NULL, NULL);
    sqlite3_exec(db, "RELEASE work", NULL, NULL, NULL);
    return status;
}

/* Runs works[0..n) in one transaction; any status but ISHOW_OK: nothing was written. */
static ishow_status transaction(sqlite3 *db, const work *works, size_t n, outcome *outcomes, ishow_error *error) {
    ishow_status status = store_execute(db, "BEGIN IMMEDIATE", "Writing to the database", error);
    for (size_t i = 0; !status && i < n; i++) {
        ishow_error_clear(&outcomes[i].error);
        outcomes[i].status = one(db, &works[i], &outcomes[i].error);
        if (sqlite3_get_autocommit(db)) { /* SQLite has rolled back the whole transaction, as on a full disk */
            status = outcomes[i].status ? outcomes[i].status : ISHOW_EIO;
            if (outcomes[i].status) *error = outcomes[i].error;
        }
    }
    if (!status) status = store_execute(db, "COMMIT", "Writing to the database", error);
    if (status && !sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static int is_of_the_disk(ishow_status status) { return status == ISHOW_EIO || status == ISHOW_EFORMAT; }

/* Records the result of the last commit; logs when the disk begins to fail and when it works again. A commit that wrote
 * nothing is ignored. */
static void note_health(ishow_store *s, const ishow_error *failed, int wrote) {
    const double now = ishow_now();
    if (!failed && !wrote) return;
    pthread_mutex_lock(&s->lock);
    const int was_failing = s->failing.status != ISHOW_OK;
    if (failed)
        s->failing = *failed;
    else
        ishow_error_clear(&s->failing);
    if (failed && !was_failing) {
        s->failing_since = now;
        if ((s->logged = !s->logged_at || now - s->logged_at >= LOG_SECONDS)) s->logged_at = now;
    }
    const int says = s->logged && was_failing == !failed;
    const double seconds = now - s->failing_since;
    pthread_mutex_unlock(&s->lock);
    if (says && failed)
        ishow_log(ISHOW_LOG_ERROR, "store",
                  "%s cannot be written: %s Requests that need it are refused until it can; attempts are repeated "
                  "automatically.",
                  s->dir, failed->message);
    else if (says)
        ishow_log(ISHOW_LOG_WARN, "store", "%s can be written again after %.0f s", s->dir, seconds);
    if (failed || !was_failing) return;
    pthread_mutex_lock(&s->recovery_lock);
    if (s->recovered) s->recovered(s->recovered_self);
    pthread_mutex_unlock(&s->recovery_lock);
}

static void perform_bare(ishow_store *s, const work *w) {
    outcome o = {0};
    o.status = w->run(w->self, s->db, &o.error);
    if (w->done) w->done(w->self, o.status, &o.error);
}

static void perform(ishow_store *s, const work *works, size_t n) {
    sqlite3 *db = s->db;
    const ishow_error *failed = NULL;
    const int changes = sqlite3_total_changes(db);
    outcome outcomes[BATCH] = {0};
    ishow_error why = {0};
    if (transaction(db, works, n, outcomes, &why)) {
        for (size_t i = 0; i < n; i++) {
            ishow_status status = n == 1 ? why.status : transaction(db, &works[i], 1, &outcomes[i], &why);
            if (status) outcomes[i] = (outcome){status, why};
        }
    }
    for (size_t i = 0; i < n; i++)
        if (is_of_the_disk(outcomes[i].status)) failed = &outcomes[i].error;
    note_health(s, failed, sqlite3_total_changes(db) != changes);
    for (size_t i = 0; i < n; i++) {
        if (works[i].done) works[i].done(works[i].self, outcomes[i].status, &outcomes[i].error);
    }
}

/* Writes one page, to notice that the disk works again when nothing else is written. */
static ishow_status probe(void *self, sqlite3 *db, ishow_error *error) {
    (void)self;
    return store_execute(db,
                         "INSERT INTO schemas VALUES ('', 0) ON CONFLICT (name) DO UPDATE SET version = 1 - version",
                         "Writing to the database", error);
}

/* Waits for work; lock held. 1: it is time for a probe. */
static int wait_for_work(ishow_store *s) {
    struct timespec until;
    ishow_deadline(PROBE_SECONDS, &until);
    while (!s->n && !s->closing) {
        if (s->failing.status == ISHOW_OK)
            pthread_cond_wait(&s->came, &s->lock);
        else if (pthread_cond_timedwait(&s->came, &s->lock, &until))
            return 1;
    }
    return 0;
}

static void *store_main(void *self) {
    static const work probing = {.run = probe};
    ishow_store *s = self;
    work batch[BATCH];
    for (;;) {
        size_t n = 0;
        pthread_mutex_lock(&s->lock);
        if (wait_for_work(s)) batch[n++] = probing;
        while (s->n && n < BATCH && !(n && (batch[0].bare || s->queue[s->first].bare))) {
            batch[n++] = s->queue[s->first];
            s->first = (s->first + 1) % QUEUE;
            s->n--;
        }
        pthread_cond_broadcast(&s->went);
        pthread_mutex_unlock(&s->lock);
        if (!n) return NULL; /* closing and the queue is empty */
        if (batch[0].bare)
            perform_bare(s, &batch[0]);
        else
            perform(s, batch, n);
    }
}

/* Locks the directory for this process: two processes would delete each other's files. */
static ishow_status take_directory(ishow_store *s, ishow_error *error) {
    char path[4200], holder[32] = "";
    snprintf(path, sizeof path, "%s/lock", s->dir);
    s->lock_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock_file < 0)
        return ishow_fail(error, ISHOW_EIO, "state_dir", "The state directory %s cannot be written: %s.", s->dir,
                          strerror(errno));
    if (flock(s->lock_file, LOCK_EX | LOCK_NB)) {
        ssize_t n = pread(s->lock_file, holder, sizeof holder - 1, 0);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        return ishow_fail(
            error, ISHOW_EBUSY, "state_dir",
            "The state directory %s is in use by another server (process %s): give each its own server.state_dir.",
            s->dir, holder[0] ? holder : "unknown");
    }
    int n = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_file, 0) || pwrite(s->lock_file, holder, (size_t)n, 0) != n)
        return ishow_fail(error, ISHOW_EIO, "state_dir", "The state directory %s cannot be written: %s.", s->dir,
                          strerror(errno));
    return ISHOW_OK;
}

ishow_status ishow_store_open(ishow_store **out, const char *dir, ishow_error *error) {
    *out = NULL;
    ishow_store *s = calloc(1, sizeof *s);
    if (!s) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the store.");
    ishow_handle_made();
    s->lock_file = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->recovery_lock, NULL);
    ishow_condition_init(&s->came);
    pthread_cond_init(&s->went, NULL);
    ishow_status status = ISHOW_OK;
    if (!(s->dir = ishow_strdup(dir))) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the store.");
        goto done;
    }
    if ((status = store_make_directory(dir, error)) || (status = take_directory(s, error)) ||
        (status = store_open_database(dir, &s->db, s->rescued, error)))
        goto done;
    if (pthread_create(&s->thread, NULL, store_main, s)) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The database's thread could not be started.");
        goto done;
    }
    s->thread_runs = 1;
    pthread_setname_np(s->thread, "ishow-store");
    *out = s;
done:
    if (status) ishow_store_close(s);
    return status;
}

void ishow_store_close(ishow_store *s) {
    if (!s) return;
    if (s->thread_runs) {
        pthread_mutex_lock(&s->lock);
        s->closing = 1;
        pthread_cond_broadcast(&s->came);
        pthread_cond_broadcast(&s->went);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    sqlite3_close(s->db);
    if (s->lock_file >= 0) close(s->lock_file);
    pthread_cond_destroy(&s->came);
    pthread_cond_destroy(&s->went);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->recovery_lock);
    free(s->dir);
    free(s);
    ishow_handle_freed();
}

const char *ishow_store_dir(const ishow_store *s) { return s->dir; }
const char *ishow_store_rescued(const ishow_store *s) { return s->rescued; }

ishow_status ishow_store_health(ishow_store *s, ishow_error *error) {
    pthread_mutex_lock(&s->lock);
    const ishow_error failing = s->failing;
    pthread_mutex_unlock(&s->lock);
    if (error) *error = failing;
    return failing.status;
}

void ishow_store_on_recovery(ishow_store *s, void (*recovered)(void *self), void *self) {
    pthread_mutex_lock(&s->recovery_lock);
    s->recovered = recovered;
    s->recovered_self = self;
    pthread_mutex_unlock(&s->recovery_lock);
}

static ishow_status queue(ishow_store *s, const work *w, int wait, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    pthread_mutex_lock(&s->lock);
    while (wait && s->n == QUEUE && !s->closing) pthread_cond_wait(&s->went, &s->lock);
    if (s->closing)
        status = ishow_fail(error, ISHOW_ESTATE, "", "The database is being closed.");
    else if (s->n == QUEUE)
        status =
            ishow_fail(error, ISHOW_EBUSY, "", "%d writes are waiting for the database: try again later.", (int)QUEUE);
    else {
        s->queue[(s->first + s->n++) % QUEUE] = *w;
        pthread_cond_signal(&s->came);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

ishow_status ishow_store_submit(ishow_store *s, ishow_store_fn run,
                                void (*done)(void *self, ishow_status status, const ishow_error *error), void *self,
                                ishow_error *error) {
    return queue(s, &(work){.run = run, .done = done, .self = self}, 0, error);
}

/* ---- work with a waiting caller ---- */

typedef struct waited {
    ishow_store_fn run;
    void *self;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int over;
    outcome outcome;
} waited;

static ishow_status waited_run(void *self, sqlite3 *db, ishow_error *error) {
    waited *w = self;
    return w->run(w->self, db, error);
}

static void waited_done(void *self, ishow_status status, const ishow_error *error) {
    waited *w = self;
    pthread_mutex_lock(&w->lock);
    w->outcome = (outcome){status, *error};
    w->over = 1;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->lock);
}

static ishow_status run_waiting(ishow_store *s, int bare, ishow_store_fn run, void *self, ishow_error *error) {
    waited w = {.run = run, .self = self, .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    ishow_status status = queue(s, &(work){bare, waited_run, waited_done, &w}, 1, error);
    if (!status) {
        pthread_mutex_lock(&w.lock);
        while (!w.over) pthread_cond_wait(&w.ended, &w.lock);
        pthread_mutex_unlock(&w.lock);
        status = w.outcome.status;
        if (status && error) *error = w.outcome.error;
    }
    pthread_cond_destroy(&w.ended);
    pthread_mutex_destroy(&w.lock);
    return status;
}

ishow_status ishow_store_run(ishow_store *s, ishow_store_fn run, void *self, ishow_error *error) {
    return run_waiting(s, 0, run, self, error);
}

/* ---- migration ---- */

static ishow_status damaged(const ishow_store_schema *schema, const char *what, ishow_error *error) {
    return ishow_fail(error, ISHOW_EFORMAT, "state_dir", "the database's part \"%s\" is damaged: %s.", schema->name,
                      what);
}

/* Creates the schema's tables and indexes in a database in memory; sqlite3_close it. */
static ishow_status make_model(const ishow_store_schema *schema, sqlite3 **out, ishow_error *error) {
    ishow_status status = sqlite3_open(":memory:", out) == SQLITE_OK
                              ? ISHOW_OK
                              : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the database.");
    for (int i = 0; !status && i < schema->n_steps; i++)
        status = store_execute(*out, schema->steps[i], "Migrating the database", error);
    return status;
}

/* Calls each(self, name, sql, type) for every object that the steps create, until it returns another status than
 * ISHOW_OK. */
static ishow_status each_object(const ishow_store_schema *schema,
                                ishow_status (*each)(void *self, const char *name, const char *sql, const char *type),
                                void *self, ishow_error *error) {
    sqlite3 *model = NULL;
    sqlite3_stmt *all = NULL;
    ishow_status status = make_model(schema, &model, error);
    if (!status &&
        sqlite3_prepare_v2(model, "SELECT name, sql, type FROM sqlite_schema WHERE sql NOT NULL", -1, &all, NULL))
        status = ishow_store_fault(model, "Migrating the database", error);
    while (!status && sqlite3_step(all) == SQLITE_ROW)
        status = each(self, (const char *)sqlite3_column_text(all, 0), (const char *)sqlite3_column_text(all, 1),
                      (const char *)sqlite3_column_text(all, 2));
    sqlite3_finalize(all);
    sqlite3_close(model);
    return status;
}

typedef struct part {
    sqlite3 *db;
    const ishow_store_schema *schema;
    ishow_store *store;
    ishow_error *error;
} part;

static ishow_status is_there(void *self, const char *name, const char *sql, const char *type) {
    part *p = self;
    sqlite3_stmt *get = NULL;
    (void)type;
    const int good = sqlite3_prepare_v2(p->db, "SELECT 1 FROM sqlite_schema WHERE name = ?1 AND sql = ?2", -1, &get,
                                        NULL) == SQLITE_OK &&
                     sqlite3_bind_text(get, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
                     sqlite3_bind_text(get, 2, sql, -1, SQLITE_STATIC) == SQLITE_OK;
    const int found = good && sqlite3_step(get) == SQLITE_ROW;
    sqlite3_finalize(get);
    return found ? ISHOW_OK : damaged(p->schema, "a table is missing or has other columns", p->error);
}

static ishow_status drop(void *self, const char *name, const char *sql, const char *type) {
    part *p = self;
    char text[256];
    (void)sql;
    if (strcmp(type, "table") || snprintf(text, sizeof text, "DROP TABLE IF EXISTS \"%s\"", name) >= (int)sizeof text)
        return ISHOW_OK;
    if (sqlite3_exec(p->db, text, NULL, NULL, NULL) == SQLITE_OK) return ISHOW_OK;
    snprintf(text, sizeof text, "DROP VIEW IF EXISTS \"%s\"", name); /* another kind of object of that name */
    return store_execute(p->db, text, "Creating a part of the database again", p->error);
}

static ishow_status set_version(sqlite3 *db, const char *name, int version, ishow_error *error) {
    sqlite3_stmt *set = NULL;
    int good =
        sqlite3_prepare_v2(db, "INSERT INTO schemas VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET version = ?2", -1,
                           &set, NULL) == SQLITE_OK &&
        sqlite3_bind_text(set, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_int(set, 2, version) == SQLITE_OK && sqlite3_step(set) == SQLITE_DONE;
    ishow_status status = good ? ISHOW_OK : ishow_store_fault(db, "Migrating the database", error);
    sqlite3_finalize(set);
    return status;
}

static ishow_status migrate(void *self, sqlite3 *db, ishow_error *error) {
    const ishow_store_schema *schema = self;
    sqlite3_stmt *get = NULL;
    if (sqlite3_prepare_v2(db, "SELECT version FROM schemas WHERE name = ?1", -1, &get, NULL) != SQLITE_OK ||
        sqlite3_bind_text(get, 1, schema->name, -1, SQLITE_STATIC) != SQLITE_OK) {
        sqlite3_finalize(get);
        return ishow_store_fault(db, "Migrating the database", error);
    }
    const int known = sqlite3_step(get) == SQLITE_ROW, whole = !known || sqlite3_column_type(get, 0) == SQLITE_INTEGER;
    const sqlite3_int64 stored = known ? sqlite3_column_int64(get, 0) : 0;
    sqlite3_finalize(get);
    if (!whole || stored < 0 || stored > INT32_MAX) return damaged(schema, "its version is not valid", error);
    const int version = (int)stored;
    if (version > schema->n_steps)
        return ishow_fail(
            error, ISHOW_ESTATE, "state_dir",
            "The database's part \"%s\" was written by a newer version of iShowTTS (%d; this one knows %d).",
            schema->name, version, schema->n_steps);
    ishow_status status = ISHOW_OK;
    for (int i = version; !status && i < schema->n_steps; i++)
        status = store_execute(db, schema->steps[i], "Migrating the database", error);
    if (status == ISHOW_EINTERNAL)
        return damaged(schema, sqlite3_errmsg(db), error); /* the steps are correct, so the tables are damaged */
    if (!status) status = each_object(schema, is_there, &(part){.db = db, .schema = schema, .error = error}, error);
    return status || version == schema->n_steps ? status : set_version(db, schema->name, schema->n_steps, error);
}

/* Runs outside the batch's transaction, in its own. */
static ishow_status renew(void *self, sqlite3 *db, ishow_error *error) {
    part *p = self;
    sqlite3_stmt *forget = NULL;
    char rescued[48];
    ishow_status status = store_copy_aside(db, p->store->dir, rescued, error);
    if (status || (status = store_execute(db, "BEGIN IMMEDIATE", "Creating a part of the database again", error)))
        return status;
    p->db = db;
    p->error = error;
    status = each_object(p->schema, drop, p, error);
    if (!status &&
        (sqlite3_prepare_v2(db, "DELETE FROM schemas WHERE name = ?1", -1, &forget, NULL) ||
         sqlite3_bind_text(forget, 1, p->schema->name, -1, SQLITE_STATIC) || sqlite3_step(forget) != SQLITE_DONE))
        status = ishow_store_fault(db, "Creating a part of the database again", error);
    sqlite3_finalize(forget);
    if (!status) status = migrate((void *)(uintptr_t)p->schema, db, error);
    if (!status) status = store_execute(db, "COMMIT", "Creating a part of the database again", error);
    if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    if (!status) strcpy(p->store->rescued, rescued); /* not read before this call returns */
    return status;
}

ishow_status ishow_store_migrate(ishow_store *s, const ishow_store_schema *schema, ishow_error *error) {
    ishow_store_schema copy = *schema; /* closures take a pointer that is not const */
    ishow_error why = {0};
    ishow_status status = ishow_store_run(s, migrate, &copy, &why);
    if (status == ISHOW_EFORMAT) {
        part p = {.schema = &copy, .store = s};
        if ((status = run_waiting(s, 1, renew, &p, error))) return status;
        ishow_log(ISHOW_LOG_ERROR, "store",
                  "%s/ishowtts.db: %s It is kept as ishowtts.db.%s, and this part is created again", s->dir,
                  why.message, s->rescued);
        return ISHOW_OK;
    }
    if (status && error) *error = why;
    return status;
}
