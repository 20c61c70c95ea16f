/* Which requests are accepted, and which must be served by deadline. Private to engine/. */
#ifndef ISHOW_ENGINE_ADMISSION_H
#define ISHOW_ENGINE_ADMISSION_H

#include "engine/internal.h"

/* Measures the engine's rate, frames x calls a second of work. */
void admission_measure(ishow_engine *engine);

/* Accounts for a chunk of u, planned with `planned` work, that becomes a row of `work`. again: it was a row before. */
void admission_row(ishow_engine *engine, ishow_utterance *u, double planned, double work, int again);

/* Estimated work of u, from its text, voice and path. */
double admission_estimate(const ishow_engine *engine, const ishow_utterance *u);

/* EBUSY, with retry_after where it is known: the queue is full, or u, which is not in the list yet, or one that was
 * accepted would be late. */
ishow_status admission_check(const ishow_engine *engine, const ishow_utterance *u, ishow_error *error);

/* Puts u into the list of live utterances, which is in order of `due`. */
void admission_insert(ishow_engine *engine, ishow_utterance *u);

/* Sets urgent_by of all utterances, or returns a waiting one that would be far too late, with EBUSY in *error. */
ishow_utterance *admission_review(ishow_engine *engine, ishow_error *error);

#endif
