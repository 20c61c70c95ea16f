/* An engine on the fake model and front end, for the tests of engine/. Any error fails the test. */
#ifndef ENGINE_RIG_H
#define ENGINE_RIG_H

#include "fake_backend.h"

typedef struct engine_rig {
    fake_model model;
    fake_text text;
    ishow_engine *engine;
    long handles; /* live handles before it was created */
} engine_rig;

#define ENGINE_REF "This is the text of the reference voice."

/* One voice, "anna". guidance_max above 0: a guidance-conditioned network. */
engine_rig *engine_rig_make(ishow_text_layout layout, int uses_prompt, const ishow_engine_options *options,
                            size_t max_rows, size_t max_frames, float guidance_max);
engine_rig *engine_rig_plain(ishow_text_layout layout, int uses_prompt); /* default options, one row per call */
/* Checks that the fakes were called correctly and, with the last rig, that no handle is left. A test that has freed the
 * engine sets it to NULL. */
void engine_rig_free(engine_rig *r);

ishow_request engine_request(const char *text); /* defaults, seed 7 */

/* Counts calls of notify. */
typedef struct bell {
    int rings; /* atomic */
} bell;
void engine_ring(void *bell);

ishow_utterance *engine_submit(engine_rig *r, const ishow_request *request, bell *b); /* b: NULL for none */
void engine_wait_for_steps(engine_rig *r, int steps); /* waits until the model has computed so many row steps */

/* Appends the next piece to *all [*n], which is reallocated; its samples, 0: the end. An error fails the test. */
size_t engine_read_piece(ishow_utterance *u, float **all, size_t *n);
/* Reads to the end; samples are appended to *out unless it is NULL. */
ishow_status engine_drain(ishow_utterance *u, float **out, size_t *n_out, ishow_error *error);

typedef struct heard {
    ishow_status status;
    ishow_error error;
    float *samples; /* free() it */
    size_t n;
    int pieces;
} heard;
heard engine_speak(engine_rig *r, const ishow_request *request, ishow_timings *timings); /* timings: NULL for none */

extern const char *const ENGINE_LONG_TEXT; /* a text of eight sentences */

#endif
