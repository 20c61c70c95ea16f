/* Pronunciations that came over HTTP, and how a text is read: JSON in, JSON out. All of it may wait for a disk or the
 * interpreter. */
#ifndef ISHOW_SERVICE_LEXICON_H
#define ISHOW_SERVICE_LEXICON_H

#include "engine/engine.h"
#include "service/error_response.h"
#include "store/store.h"

typedef struct lexicon lexicon;

ISHOW_API ishow_status ishow_lexicon_open(lexicon **out, ishow_store *store, ishow_error *error); /* store NULL: none */
ISHOW_API void ishow_lexicon_close(lexicon *l); /* NULL allowed; before the store */

/* Sends the stored entries to the engine's front end. */
ISHOW_API ishow_status ishow_lexicon_load(lexicon *l, ishow_engine *engine, ishow_error *error);

ISHOW_API int ishow_lexicon_list(lexicon *l, ishow_buffer *out, fault *f); /* 0: the fault is set */

/* A body {"word", "said", "language"?}: checked by the front end, stored, then in use. *out: the entry. Returns the
 * HTTP status; 0: the fault is set. */
ISHOW_API int ishow_lexicon_put(lexicon *l, ishow_engine *engine, const char *body, size_t n, ishow_buffer *out,
                                fault *f);
ISHOW_API int ishow_lexicon_remove(lexicon *l, ishow_engine *engine, const char *id, fault *f);

/* A body as of /api/tts: how that request would be read. default_voice: "" for the first. 0: the fault is set. */
ISHOW_API int ishow_reading_answer(ishow_engine *engine, const char *default_voice, const ishow_request *defaults,
                                   const char *body, size_t n, ishow_buffer *out, fault *f);

#endif
