/* Writes are collected in a list, and one closure at a time takes the whole list to the database thread. So a burst of
 * messages is one transaction, the caller never waits, and at most one entry of the store's bounded queue is used. A
 * batch that could not be committed returns to the head of the list, without writes that have become obsolete, so a
 * disk that fails for hours costs no more memory than the waiting messages. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/journal.h"
#include "store/internal.h"
#include "base/grow.h"

enum { VIEWERS_KEPT = 20000, VOICES_RETRIED = 1000 };

typedef enum write_kind {
    WRITE_PUT,
    WRITE_MARK,
    WRITE_DROP,
    WRITE_VOICE,
    WRITE_MUTE,
    WRITE_UNMUTE,
    WRITE_SYNC
} write_kind;

typedef struct note {
    struct note *next;
    write_kind kind;
    uint64_t number; /* of the message; for SYNC: the ticket */
    char *text, *key;
    void (*done)(void *user, uint64_t ticket, ishow_status status);
    void *user;
} note;

struct ishow_journal {
    ishow_store *store;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    note *first, **last; /* not yet taken by a closure */
    note *batch;         /* being written by the database thread */
    int busy;            /* a closure is queued or runs */
    int closing;         /* failed writes are not tried again */
    uint64_t written;    /* highest number of a message that has a row */
};

static const char *const steps[] = {
    "CREATE TABLE chat_message (number INTEGER PRIMARY KEY, marked INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL);"
    "CREATE TABLE chat_viewer (viewer TEXT PRIMARY KEY, voice TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX chat_viewer_used ON chat_viewer (used);",
    "CREATE TABLE chat_muted (viewer TEXT PRIMARY KEY) WITHOUT ROWID;",
};

/* ---- on the database thread ---- */

enum { STATEMENTS = WRITE_SYNC + 1 };
static const char *const sql[STATEMENTS] = {
    [WRITE_PUT] = "INSERT INTO chat_message (number, record) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET record "
                  "= ?2, marked = 0",
    [WRITE_MARK] = "UPDATE chat_message SET marked = 1 WHERE number = ?1",
    [WRITE_DROP] = "DELETE FROM chat_message WHERE number = ?1",
    [WRITE_VOICE] = "INSERT INTO chat_viewer (viewer, voice, used) VALUES (?3, ?2, (SELECT coalesce(max(used), 0) + 1 "
                    "FROM chat_viewer)) "
                    "ON CONFLICT (viewer) DO UPDATE SET voice = ?2, used = excluded.used",
    [WRITE_MUTE] = "INSERT OR IGNORE INTO chat_muted (viewer) VALUES (?3)",
    [WRITE_UNMUTE] = "DELETE FROM chat_muted WHERE viewer = ?3",
    [WRITE_SYNC] =
        "DELETE FROM chat_viewer WHERE used <= (SELECT max(used) FROM chat_viewer) - ?1", /* deletes the oldest viewers,
                                                                                             at the end of a batch */
};

static ishow_status one(sqlite3 *db, sqlite3_stmt **statement, write_kind kind, uint64_t number, const char *text,
                        const char *key, ishow_error *error) {
    sqlite3_stmt *s = statement[kind];
    if (!s && sqlite3_prepare_v2(db, sql[kind], -1, &statement[kind], NULL))
        return ishow_store_fault(db, "Writing the journal of the chat", error);
    s = statement[kind];
    const int about_viewer = kind == WRITE_VOICE || kind == WRITE_MUTE || kind == WRITE_UNMUTE;
    if (!about_viewer) sqlite3_bind_int64(s, 1, (sqlite3_int64)number);
    if (kind == WRITE_PUT || kind == WRITE_VOICE) sqlite3_bind_text(s, 2, text, -1, SQLITE_STATIC);
    if (about_viewer) sqlite3_bind_text(s, 3, key, -1, SQLITE_STATIC);
    int result = sqlite3_step(s);
    sqlite3_reset(s);
    return result == SQLITE_DONE ? ISHOW_OK : ishow_store_fault(db, "Writing the journal of the chat", error);
}

/* May run twice for the same batch, which is harmless: every write is idempotent. */
static ishow_status write_batch(void *self, sqlite3 *db, ishow_error *error) {
    ishow_journal *j = self;
    sqlite3_stmt *statement[STATEMENTS] = {0};
    ishow_status status = ISHOW_OK;
    int voices = 0;
    pthread_mutex_lock(&j->lock);
    if (!j->batch) {
        j->batch = j->first;
        j->first = NULL;
        j->last = &j->first;
    }
    pthread_mutex_unlock(&j->lock);
    for (const note *n = j->batch; n && status == ISHOW_OK; n = n->next) {
        if (n->kind != WRITE_SYNC) status = one(db, statement, n->kind, n->number, n->text, n->key, error);
        voices += n->kind == WRITE_VOICE;
    }
    if (voices && status == ISHOW_OK) status = one(db, statement, WRITE_SYNC, VIEWERS_KEPT, NULL, NULL, error);
    for (size_t i = 0; i < STATEMENTS; i++) sqlite3_finalize(statement[i]);
    return status;
}

static void hand_over(ishow_journal *j);

static void note_free(note *n) {
    free(n->text);
    free(n->key);
    free(n);
}

/* Calls back the syncs of the batch and frees its notes: all of them, or after a failure those that are not tried
 * again. The rest is returned in *kept. */
static size_t settle_batch(note *batch, ishow_status status, int retries, note **kept) {
    size_t lost = 0;
    note *next, **last = kept;
    *kept = NULL;
    for (note *n = batch; n; n = next) {
        next = n->next;
        if (n->done) n->done(n->user, n->number, status);
        if (status != ISHOW_OK && n->kind != WRITE_SYNC && retries) {
            n->next = NULL;
            *last = n;
            last = &n->next;
            continue;
        }
        lost += status != ISHOW_OK && n->kind != WRITE_SYNC;
        note_free(n);
    }
    return lost;
}

/* Removes the notes of one message from the list; for WRITE_VOICE, the `most` oldest notes of voices. */
static void strike(note **list, write_kind kind, uint64_t number, size_t most) {
    for (note **at = list; *at && most;) {
        note *n = *at;
        if (kind == WRITE_VOICE ? n->kind != WRITE_VOICE : n->kind == WRITE_VOICE || n->number != number) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        note_free(n);
        most--;
    }
}

/* Removes all notes of messages that were dropped before they had a row: nothing needs to be written for them. */
static void compact(ishow_journal *j, note **list) {
    size_t voices = 0;
    for (note *n = *list, *next; n; n = next) {
        next = n->next;
        voices += n->kind == WRITE_VOICE;
        if (n->kind != WRITE_DROP || n->number <= j->written) continue;
        const uint64_t number = n->number;
        while (next && next->number == number && next->kind != WRITE_VOICE) next = next->next; /* strike may free it */
        strike(list, WRITE_DROP, number, SIZE_MAX);
    }
    if (voices > VOICES_RETRIED) strike(list, WRITE_VOICE, 0, voices - VOICES_RETRIED);
}

static void batch_done(void *self, ishow_status status, const ishow_error *error) {
    ishow_journal *j = self;
    note *kept;
    pthread_mutex_lock(&j->lock);
    const int closing = j->closing;
    note *batch = j->batch;
    j->batch = NULL;
    for (const note *n = batch; n && status == ISHOW_OK; n = n->next)
        if (n->kind == WRITE_PUT && n->number > j->written) j->written = n->number;
    pthread_mutex_unlock(&j->lock);
    const size_t lost = settle_batch(batch, status, !closing, &kept);
    if (lost) ishow_log(ISHOW_LOG_ERROR, "store", "%zu changes of the chat's queue are lost: %s", lost, error->message);
    compact(j, &kept);
    pthread_mutex_lock(&j->lock);
    int asked = 0; /* a sync was added meanwhile and waits for an answer */
    for (const note *n = j->first; n; n = n->next) asked |= n->kind == WRITE_SYNC;
    if (kept) {
        note *last = kept;
        while (last->next) last = last->next;
        last->next = j->first;
        if (!j->first) j->last = &last->next;
        j->first = kept;
    }
    j->busy = 0;
    if (j->first && (status == ISHOW_OK || asked))
        hand_over(j); /* otherwise the list is submitted with the next write, or when the disk works again */
    pthread_cond_broadcast(&j->idle);
    pthread_mutex_unlock(&j->lock);
}

static void on_recovery(void *self) {
    ishow_journal *j = self;
    pthread_mutex_lock(&j->lock);
    if (j->first) hand_over(j);
    pthread_mutex_unlock(&j->lock);
}

/* ---- on any thread ---- */

/* Submits the list to the store; lock held. When the store's queue is full, the next write tries again; the chat
 * repeats syncs that are not answered. */
static void hand_over(ishow_journal *j) {
    ishow_error error = {0};
    if (!j->busy) j->busy = ishow_store_submit(j->store, write_batch, batch_done, j, &error) == ISHOW_OK;
}

static void add(ishow_journal *j, note with) {
    note *n = malloc(sizeof *n);
    if (n) *n = with;
    if (!n || (with.kind == WRITE_PUT && !n->text) || (with.kind == WRITE_VOICE && (!n->text || !n->key)) ||
        ((with.kind == WRITE_MUTE || with.kind == WRITE_UNMUTE) && !n->key)) {
        ishow_log(ISHOW_LOG_ERROR, "store", "no memory: a message of the chat would be lost in a crash");
        free(with.text);
        free(with.key);
        free(n);
        if (with.done) with.done(with.user, with.number, ISHOW_ENOMEM);
        return;
    }
    pthread_mutex_lock(&j->lock);
    n->next = NULL;
    *j->last = n;
    j->last = &n->next;
    hand_over(j);
    pthread_mutex_unlock(&j->lock);
}

static void put(void *self, uint64_t number, const char *record) {
    add(self, (note){.kind = WRITE_PUT, .number = number, .text = ishow_strdup(record)});
}
static void mark(void *self, uint64_t number) { add(self, (note){.kind = WRITE_MARK, .number = number}); }
static void drop(void *self, uint64_t number) { add(self, (note){.kind = WRITE_DROP, .number = number}); }
static void voice(void *self, const char *viewer, const char *id) {
    add(self, (note){.kind = WRITE_VOICE, .text = ishow_strdup(id), .key = ishow_strdup(viewer)});
}

static void mute(void *self, const char *viewer, int muted) {
    add(self, (note){.kind = muted ? WRITE_MUTE : WRITE_UNMUTE, .key = ishow_strdup(viewer)});
}

static void sync_all(void *self, void (*done)(void *user, uint64_t ticket, ishow_status status), void *user,
                     uint64_t ticket) {
    add(self, (note){.kind = WRITE_SYNC, .number = ticket, .done = done, .user = user});
}

typedef struct row {
    uint64_t number;
    int marked;
    char *a, *b;
} row;
typedef struct rows {
    row *item;
    size_t n, capacity;
    enum { OF_MESSAGES, OF_VIEWERS, OF_MUTED } table;
} rows;

static ishow_status read_rows(void *self, sqlite3 *db, ishow_error *error) {
    rows *all = self;
    sqlite3_stmt *s = NULL;
    ishow_status status = ISHOW_OK;
    int result;
    for (size_t i = 0; i < all->n; i++) free(all->item[i].a), free(all->item[i].b);
    all->n = 0;
    static const char *const selects[] = {
        [OF_MESSAGES] = "SELECT number, marked, record, '' FROM chat_message ORDER BY number",
        [OF_VIEWERS] = "SELECT 0, 0, viewer, voice FROM chat_viewer ORDER BY used",
        [OF_MUTED] = "SELECT 0, 0, viewer, '' FROM chat_muted ORDER BY viewer",
    };
    if (sqlite3_prepare_v2(db, selects[all->table], -1, &s, NULL))
        return ishow_store_fault(db, "Reading the journal of the chat", error);
    while ((result = sqlite3_step(s)) == SQLITE_ROW) {
        row *more = ishow_grow(all->item, &all->capacity, all->n + 1, sizeof *more);
        if (!more) {
            status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the journal of the chat.");
            break;
        }
        all->item = more;
        const char *a = (const char *)sqlite3_column_text(s, 2), *b = (const char *)sqlite3_column_text(s, 3);
        all->item[all->n++] = (row){(uint64_t)sqlite3_column_int64(s, 0), sqlite3_column_int(s, 1),
                                    ishow_strdup(a ? a : ""), ishow_strdup(b ? b : "")};
    }
    sqlite3_finalize(s);
    return status != ISHOW_OK      ? status
           : result == SQLITE_DONE ? ISHOW_OK
                                   : ishow_store_fault(db, "Reading the journal of the chat", error);
}

static ishow_status load(void *self, void (*message)(void *user, uint64_t number, int marked, const char *record),
                         void (*viewer)(void *user, const char *viewer, const char *voice), void *user,
                         ishow_error *error) {
    ishow_journal *j = self;
    ishow_status status = ISHOW_OK;
    for (int viewers = 1; viewers >= 0 && status == ISHOW_OK; viewers--) {
        rows all = {.table = viewers ? OF_VIEWERS : OF_MESSAGES};
        status = ishow_store_run(j->store, read_rows, &all, error);
        for (size_t i = 0; i < all.n; i++) {
            const row *r = &all.item[i];
            if (status == ISHOW_OK && r->a && r->b) {
                if (viewers)
                    viewer(user, r->a, r->b);
                else {
                    if (r->number > j->written)
                        j->written = r->number; /* before the first write, so no lock is needed */
                    message(user, r->number, r->marked, r->a);
                }
            }
            free(r->a);
            free(r->b);
        }
        free(all.item);
    }
    return status;
}

static ishow_status load_muted(void *self, void (*viewer)(void *user, const char *viewer), void *user,
                               ishow_error *error) {
    ishow_journal *j = self;
    rows all = {.table = OF_MUTED};
    const ishow_status status = ishow_store_run(j->store, read_rows, &all, error);
    for (size_t i = 0; i < all.n; i++) {
        if (status == ISHOW_OK && all.item[i].a) viewer(user, all.item[i].a);
        free(all.item[i].a);
        free(all.item[i].b);
    }
    free(all.item);
    return status;
}

ishow_status ishow_journal_create(ishow_journal **out, ishow_store *store, ishow_error *error) {
    static const ishow_store_schema schema = {"chat", steps, sizeof steps / sizeof *steps};
    *out = NULL;
    ishow_status status = ishow_store_migrate(store, &schema, error);
    if (status != ISHOW_OK) return status;
    ishow_journal *j = calloc(1, sizeof *j);
    if (!j) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the journal of the chat.");
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->idle, NULL);
    j->store = store;
    j->last = &j->first;
    ishow_store_on_recovery(store, on_recovery, j);
    ishow_handle_made();
    *out = j;
    return ISHOW_OK;
}

ishow_chat_journal ishow_journal_table(ishow_journal *j) {
    return (ishow_chat_journal){.self = j,
                                .put = put,
                                .mark = mark,
                                .drop = drop,
                                .voice = voice,
                                .mute = mute,
                                .sync = sync_all,
                                .load = load,
                                .load_muted = load_muted};
}

void ishow_journal_free(ishow_journal *j) {
    if (!j) return;
    ishow_store_on_recovery(j->store, NULL, NULL);
    pthread_mutex_lock(&j->lock);
    j->closing = 1;
    while (j->first || j->busy) {
        hand_over(j);
        if (j->busy)
            pthread_cond_wait(&j->idle, &j->lock);
        else { /* the store's queue is full: wait for it */
            pthread_mutex_unlock(&j->lock);
            usleep(1000);
            pthread_mutex_lock(&j->lock);
        }
    }
    pthread_mutex_unlock(&j->lock);
    pthread_mutex_destroy(&j->lock);
    pthread_cond_destroy(&j->idle);
    free(j);
    ishow_handle_freed();
}
