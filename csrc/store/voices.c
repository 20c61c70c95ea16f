/* Rows of voices. Changes are serialised: otherwise a clip that is written but has no row yet could be deleted as an
 * orphan. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/voice_store.h"
#include "base/defaults.h"
#include "store/clips.h"
#include "store/internal.h"

static const char *const steps[] = {
    "CREATE TABLE voices (id TEXT NOT NULL, kind INTEGER NOT NULL, clip TEXT NOT NULL, text TEXT, language TEXT NOT "
    "NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (id, kind)) WITHOUT ROWID",
};
static const ishow_store_schema schema = {"voices", steps, sizeof steps / sizeof *steps};

struct ishow_voice_store {
    ishow_store *store; /* borrowed */
    char folder[4200];
    int fd;
    pthread_mutex_t change;
};

/* ---- closures ---- */

typedef struct listing {
    ishow_voice_row *rows;
    size_t n;
} listing;

static void free_rows(listing *l) {
    ishow_voice_rows_free(l->rows, l->n);
    *l = (listing){0};
}

static int take_row(listing *l, sqlite3_stmt *from) {
    ishow_voice_row *rows = realloc(l->rows, (l->n + 1) * sizeof *rows);
    if (!rows) return 0;
    l->rows = rows;
    ishow_voice_row *row = &rows[l->n++];
    *row = (ishow_voice_row){.kind = (ishow_voice_kind)sqlite3_column_int(from, 1),
                             .updated_at = sqlite3_column_int64(from, 5)};
    snprintf(row->id, sizeof row->id, "%s", (const char *)sqlite3_column_text(from, 0));
    snprintf(row->clip, sizeof row->clip, "%s", (const char *)sqlite3_column_text(from, 2));
    snprintf(row->language, sizeof row->language, "%s", (const char *)sqlite3_column_text(from, 4));
    const char *text = (const char *)sqlite3_column_text(from, 3); /* borrowed from the statement */
    row->text = ishow_strdup(text);
    return !text || row->text;
}

static ishow_status list(void *self, sqlite3 *db, ishow_error *error) {
    listing *l = self;
    sqlite3_stmt *get = NULL;
    int step = SQLITE_ERROR;
    ishow_status status = ISHOW_OK;
    free_rows(l);
    if (sqlite3_prepare_v2(db, "SELECT id, kind, clip, text, language, updated_at FROM voices ORDER BY id, kind", -1,
                           &get, NULL) == SQLITE_OK)
        while ((step = sqlite3_step(get)) == SQLITE_ROW)
            if (!take_row(l, get)) {
                status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
                break;
            }
    if (!status && step != SQLITE_DONE) status = ishow_store_fault(db, "Reading the voices", error);
    sqlite3_finalize(get);
    if (status) free_rows(l);
    return status;
}

static ishow_status put(void *self, sqlite3 *db, ishow_error *error) {
    const ishow_voice_row *row = self;
    sqlite3_stmt *set = NULL;
    int good = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO voices VALUES (?1, ?2, ?3, ?4, ?5, ?6)", -1, &set,
                                  NULL) == SQLITE_OK &&
               sqlite3_bind_text(set, 1, row->id, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_int(set, 2, row->kind) == SQLITE_OK &&
               sqlite3_bind_text(set, 3, row->clip, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_text(set, 4, row->text, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_text(set, 5, row->language, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_int64(set, 6, row->updated_at) == SQLITE_OK && sqlite3_step(set) == SQLITE_DONE;
    ishow_status status = good ? ISHOW_OK : ishow_store_fault(db, "Storing the voice", error);
    sqlite3_finalize(set);
    return status;
}

static ishow_status delete_from(void *self, sqlite3 *db, ishow_error *error) {
    const ishow_voice_row *row = self; /* its id and kind */
    sqlite3_stmt *go = NULL;
    int good = sqlite3_prepare_v2(db, "DELETE FROM voices WHERE id = ?1 AND kind >= ?2", -1, &go, NULL) == SQLITE_OK &&
               sqlite3_bind_text(go, 1, row->id, -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_bind_int(go, 2, row->kind) == SQLITE_OK && sqlite3_step(go) == SQLITE_DONE;
    ishow_status status = good ? ISHOW_OK : ishow_store_fault(db, "Removing the voice", error);
    sqlite3_finalize(go);
    return status;
}

/* ---- clips without a row ---- */

static int named(void *self, const char *name) {
    const listing *l = self;
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(l->rows[i].clip, name)) return 1;
    return 0;
}

static ishow_status sweep(ishow_voice_store *v, ishow_error *error) {
    listing l = {0};
    ishow_status status = ishow_store_run(v->store, list, &l, error);
    if (!status) status = clips_sweep(v->fd, named, &l, error);
    free_rows(&l);
    return status;
}

/* ---- public ---- */

static ishow_status open_folder(ishow_voice_store *v, ishow_error *error) {
    const char *rescued = ishow_store_rescued(v->store);
    if (rescued[0]) {
        char aside[4300];
        snprintf(aside, sizeof aside, "%s.%s", v->folder, rescued);
        if (rename(v->folder, aside) && errno != ENOENT)
            return ishow_fail(error, ISHOW_EIO, "state_dir", "The clips in %s cannot be renamed: %s.", v->folder,
                              strerror(errno));
    }
    ishow_status status = store_make_directory(v->folder, error);
    if (status) return status;
    v->fd = open(v->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return v->fd >= 0 ? ISHOW_OK
                      : ishow_fail(error, ISHOW_EIO, "state_dir", "The folder %s cannot be read: %s.", v->folder,
                                   strerror(errno));
}

ishow_status ishow_voice_store_open(ishow_voice_store **out, ishow_store *store, ishow_error *error) {
    *out = NULL;
    ishow_voice_store *v = calloc(1, sizeof *v);
    if (!v) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
    ishow_handle_made();
    v->store = store;
    v->fd = -1;
    pthread_mutex_init(&v->change, NULL);
    snprintf(v->folder, sizeof v->folder, "%s/voices", ishow_store_dir(store));
    ishow_status status = ishow_store_migrate(store, &schema, error);
    if (!status) status = open_folder(v, error);
    if (!status) status = sweep(v, error);
    if (status)
        ishow_voice_store_close(v);
    else
        *out = v;
    return status;
}

void ishow_voice_store_close(ishow_voice_store *v) {
    if (!v) return;
    if (v->fd >= 0) close(v->fd);
    pthread_mutex_destroy(&v->change);
    free(v);
    ishow_handle_freed();
}

ishow_status ishow_voice_store_list(ishow_voice_store *v, ishow_voice_row **out, size_t *n, ishow_error *error) {
    listing l = {0};
    ishow_status status = ishow_store_run(v->store, list, &l, error);
    *out = l.rows;
    *n = l.n;
    return status;
}

void ishow_voice_rows_free(ishow_voice_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) free(rows[i].text);
    free(rows);
}

static ishow_status count_rows(void *self, sqlite3 *db, ishow_error *error) {
    sqlite3_stmt *get = NULL;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM voices", -1, &get, NULL) != SQLITE_OK ||
        sqlite3_step(get) != SQLITE_ROW) {
        sqlite3_finalize(get);
        return ishow_store_fault(db, "Reading the voices", error);
    }
    *(int64_t *)self = sqlite3_column_int64(get, 0);
    sqlite3_finalize(get);
    return ISHOW_OK;
}

ishow_status ishow_voice_store_has_space(ishow_voice_store *v, int more, size_t n_clip, ishow_error *error) {
    int64_t rows = 0;
    uint64_t size = 0;
    ishow_status status = ishow_store_run(v->store, count_rows, &rows, error);
    if (!status) status = clips_size(v->fd, &size, error);
    if (status) return status;
    if (rows + more > ISHOW_STORED_VOICES_MAX)
        return ishow_fail(error, ISHOW_ELIMIT, "audio",
                          "%d voices and overrides are stored already, which is the most: delete one first.",
                          ISHOW_STORED_VOICES_MAX);
    if (size + n_clip > ISHOW_STORED_BYTES_MAX)
        return ishow_fail(error, ISHOW_ELIMIT, "audio",
                          "The stored clips may have %d MiB together, and this one is beyond that: delete one first.",
                          ISHOW_STORED_BYTES_MAX >> 20);
    return ISHOW_OK;
}

ishow_status ishow_voice_store_put(ishow_voice_store *v, ishow_voice_row *row, const void *clip, size_t n_clip,
                                   ishow_error *error) {
    ishow_error later = {0};
    pthread_mutex_lock(&v->change);
    ishow_status status = clip ? ishow_clip_write(v->fd, clip, n_clip, row->clip, error) : ISHOW_OK;
    if (!status) status = ishow_store_run(v->store, put, row, error);
    if (sweep(v, &later))
        ishow_log(ISHOW_LOG_WARN, "store", "old clips are not removed: %s",
                  later.message); /* tried again at the next start */
    pthread_mutex_unlock(&v->change);
    return status;
}

ishow_status ishow_voice_store_remove(ishow_voice_store *v, const char *id, ishow_voice_kind kind, ishow_error *error) {
    ishow_error later = {0};
    ishow_voice_row row = {.kind = kind};
    snprintf(row.id, sizeof row.id, "%s", id);
    pthread_mutex_lock(&v->change);
    ishow_status status = ishow_store_run(v->store, delete_from, &row, error);
    if (!status && sweep(v, &later)) ishow_log(ISHOW_LOG_WARN, "store", "old clips are not removed: %s", later.message);
    pthread_mutex_unlock(&v->change);
    return status;
}

int ishow_voice_store_path(const ishow_voice_store *v, const char *clip, char *out, size_t n) {
    return snprintf(out, n, "%s/%s", v->folder, clip) < (int)n;
}
