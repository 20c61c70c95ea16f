/* Pronunciations created over HTTP: one row for each word and language. Functions wait for the database thread and may
 * be called from any other thread. */
#ifndef ISHOW_STORE_LEXICON_STORE_H
#define ISHOW_STORE_LEXICON_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

/* Strings are malloc'd, UTF-8, never NULL. */
typedef struct ishow_lexicon_row {
    int64_t id;
    char *key;      /* the word in the form in which words are compared */
    char *language; /* BCP 47; "": all */
    char *word, *said;
} ishow_lexicon_row;

ishow_status ishow_lexicon_store_open(ishow_store *store, ishow_error *error); /* migrates the table */

/* All rows by their keys; free with ishow_lexicon_rows_free. */
ishow_status ishow_lexicon_store_list(ishow_store *store, ishow_lexicon_row **out, size_t *n, ishow_error *error);
void ishow_lexicon_rows_free(ishow_lexicon_row *rows, size_t n);

/* Adds the row or replaces the one of its key and language, durable on return; sets row->id. ELIMIT beyond
 * ISHOW_LEXICON_MAX rows. */
ishow_status ishow_lexicon_store_put(ishow_store *store, ishow_lexicon_row *row, ishow_error *error);

/* ENOTFOUND, field "id". */
ishow_status ishow_lexicon_store_remove(ishow_store *store, int64_t id, ishow_error *error);

#endif
