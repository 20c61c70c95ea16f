/* Voices created over HTTP, stored across restarts: rows in the database, and clips as files named by their content
 * under <state>/voices.
 *
 * A clip is on disk (synced, renamed into place) before a row names it, and is deleted only when no row names it. So
 * every row has its clip, whenever the process ends; clips without a row are deleted at the next start. */
#ifndef ISHOW_STORE_VOICE_STORE_H
#define ISHOW_STORE_VOICE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_voice_store ishow_voice_store;

/* A voice of the configuration. audio: path of a clip, NULL: none; language: may be NULL; speaker: 1: the model knows
 * the voice by its id, and the clip is only to be listened to. */
typedef struct ishow_voice_setting {
    const char *id, *audio, *text, *language;
    int speaker;
} ishow_voice_setting;

/* A row is either a voice that was created, or the override of a voice's clip or text. A created voice may have both
 * rows. */
typedef enum ishow_voice_kind { ISHOW_VOICE_CREATED = 0, ISHOW_VOICE_OVERRIDE = 1 } ishow_voice_kind;

typedef struct ishow_voice_row {
    char id[65];
    ishow_voice_kind kind;
    char clip[48];      /* file name under <state>/voices; "": the text alone is overridden */
    char *text;         /* NULL: the clip alone is overridden */
    char language[16];  /* "": detected */
    int64_t updated_at; /* seconds since 1970 */
} ishow_voice_row;

/* The store is borrowed and must be closed later. Migrates the tables and deletes clips that no row names; after the
 * database was found corrupt these are moved to a folder with the same ending instead. */
ishow_status ishow_voice_store_open(ishow_voice_store **out, ishow_store *store, ishow_error *error);
void ishow_voice_store_close(ishow_voice_store *voices); /* NULL allowed */

/* All rows, by id; free with ishow_voice_rows_free. */
ishow_status ishow_voice_store_list(ishow_voice_store *voices, ishow_voice_row **out, size_t *n, ishow_error *error);
void ishow_voice_rows_free(ishow_voice_row *rows, size_t n);

/* Adds or replaces the row of (id, kind); durable on return. With `clip` (encoded audio, n_clip bytes) the file is
 * written first and row->clip set to its name; without, row->clip must be "" or a name that another row has. A replaced
 * file is deleted. On failure nothing has changed. */
ishow_status ishow_voice_store_put(ishow_voice_store *voices, ishow_voice_row *row, const void *clip, size_t n_clip,
                                   ishow_error *error);

/* ELIMIT (field "audio") when `rows` more rows (0: one is replaced) or n_clip more bytes would exceed the limits of
 * this store. */
ishow_status ishow_voice_store_has_space(ishow_voice_store *voices, int rows, size_t n_clip, ishow_error *error);

/* Removes the override of id or, with kind CREATED, the voice and its override. ISHOW_OK when there was none. */
ishow_status ishow_voice_store_remove(ishow_voice_store *voices, const char *id, ishow_voice_kind kind,
                                      ishow_error *error);

/* Path of a clip in this store. 0: it does not fit in n bytes. */
int ishow_voice_store_path(const ishow_voice_store *voices, const char *clip, char *out, size_t n);

#ifdef __cplusplus
}
#endif
#endif
