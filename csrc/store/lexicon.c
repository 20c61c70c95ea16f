/* Rows of pronunciations. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/defaults.h"
#include "store/internal.h"
#include "store/lexicon_store.h"

static const char *const steps[] = {
    "CREATE TABLE lexicon (id INTEGER PRIMARY KEY, key TEXT NOT NULL, language TEXT NOT NULL, word TEXT NOT NULL, "
    "said TEXT NOT NULL, UNIQUE (key, language))",
};
static const ishow_store_schema schema = {"lexicon", steps, sizeof steps / sizeof *steps};

ishow_status ishow_lexicon_store_open(ishow_store *store, ishow_error *error) {
    return ishow_store_migrate(store, &schema, error);
}

void ishow_lexicon_rows_free(ishow_lexicon_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        free(rows[i].key);
        free(rows[i].language);
        free(rows[i].word);
        free(rows[i].said);
    }
    free(rows);
}

/* ---- closures ---- */

typedef struct listing {
    ishow_lexicon_row *rows;
    size_t n;
} listing;

static int take_row(listing *l, sqlite3_stmt *from) {
    ishow_lexicon_row *rows = realloc(l->rows, (l->n + 1) * sizeof *rows);
    if (!rows) return 0;
    l->rows = rows;
    ishow_lexicon_row *row = &rows[l->n++];
    *row = (ishow_lexicon_row){.id = sqlite3_column_int64(from, 0),
                               .key = ishow_strdup((const char *)sqlite3_column_text(from, 1)),
                               .language = ishow_strdup((const char *)sqlite3_column_text(from, 2)),
                               .word = ishow_strdup((const char *)sqlite3_column_text(from, 3)),
                               .said = ishow_strdup((const char *)sqlite3_column_text(from, 4))};
    return row->key && row->language && row->word && row->said;
}

static ishow_status list(void *self, sqlite3 *db, ishow_error *error) {
    listing *l = self;
    sqlite3_stmt *get = NULL;
    int step = SQLITE_ERROR;
    ishow_status status = ISHOW_OK;
    ishow_lexicon_rows_free(l->rows, l->n);
    *l = (listing){0};
    if (sqlite3_prepare_v2(db, "SELECT id, key, language, word, said FROM lexicon ORDER BY key, language", -1, &get,
                           NULL) == SQLITE_OK)
        while ((step = sqlite3_step(get)) == SQLITE_ROW)
            if (!take_row(l, get)) {
                status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the pronunciations.");
                break;
            }
    if (!status && step != SQLITE_DONE) status = ishow_store_fault(db, "Reading the pronunciations", error);
    sqlite3_finalize(get);
    return status;
}

static ishow_status count(sqlite3 *db, int64_t *n, ishow_error *error) {
    sqlite3_stmt *get = NULL;
    ishow_status status = ISHOW_OK;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM lexicon", -1, &get, NULL) == SQLITE_OK &&
        sqlite3_step(get) == SQLITE_ROW)
        *n = sqlite3_column_int64(get, 0);
    else
        status = ishow_store_fault(db, "Reading the pronunciations", error);
    sqlite3_finalize(get);
    return status;
}

static ishow_status put(void *self, sqlite3 *db, ishow_error *error) {
    ishow_lexicon_row *row = self;
    sqlite3_stmt *set = NULL;
    int64_t n = 0;
    int step = SQLITE_ERROR;
    if (sqlite3_prepare_v2(db,
                           "INSERT INTO lexicon (key, language, word, said) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key, "
                           "language) DO UPDATE SET word = excluded.word, said = excluded.said RETURNING id",
                           -1, &set, NULL) == SQLITE_OK &&
        sqlite3_bind_text(set, 1, row->key, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(set, 2, row->language, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(set, 3, row->word, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(set, 4, row->said, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(set) == SQLITE_ROW) {
        row->id = sqlite3_column_int64(set, 0);
        step = sqlite3_step(set);
    }
    ishow_status status = step == SQLITE_DONE ? ISHOW_OK : ishow_store_fault(db, "Storing the pronunciation", error);
    sqlite3_finalize(set);
    if (!status) status = count(db, &n, error);
    if (!status && n > ISHOW_LEXICON_MAX)
        status =
            ishow_fail(error, ISHOW_ELIMIT, "word",
                       "%d pronunciations are stored already, which is the most: delete one first.", ISHOW_LEXICON_MAX);
    return status;
}

static ishow_status delete_from(void *self, sqlite3 *db, ishow_error *error) {
    const int64_t id = *(const int64_t *)self;
    sqlite3_stmt *go = NULL;
    const int good = sqlite3_prepare_v2(db, "DELETE FROM lexicon WHERE id = ?1", -1, &go, NULL) == SQLITE_OK &&
                     sqlite3_bind_int64(go, 1, id) == SQLITE_OK && sqlite3_step(go) == SQLITE_DONE;
    ishow_status status = good ? ISHOW_OK : ishow_store_fault(db, "Removing the pronunciation", error);
    sqlite3_finalize(go);
    if (!status && !sqlite3_changes(db))
        status = ishow_fail(error, ISHOW_ENOTFOUND, "id", "There is no pronunciation %lld.", (long long)id);
    return status;
}

/* ---- public ---- */

ishow_status ishow_lexicon_store_list(ishow_store *store, ishow_lexicon_row **out, size_t *n, ishow_error *error) {
    listing l = {0};
    ishow_status status = ishow_store_run(store, list, &l, error);
    if (status) {
        ishow_lexicon_rows_free(l.rows, l.n);
        l = (listing){0};
    }
    *out = l.rows;
    *n = l.n;
    return status;
}

ishow_status ishow_lexicon_store_put(ishow_store *store, ishow_lexicon_row *row, ishow_error *error) {
    return ishow_store_run(store, put, row, error);
}

ishow_status ishow_lexicon_store_remove(ishow_store *store, int64_t id, ishow_error *error) {
    return ishow_store_run(store, delete_from, &id, error);
}
