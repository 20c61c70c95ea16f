/* Shared by the tests of the bridge: a tiny model, a voice, one utterance from start to end. */
#ifndef BRIDGE_HELPERS_H
#define BRIDGE_HELPERS_H

#include "engine/engine.h"

/* Writes a model folder <root>/tiny, or <root>/<fault>, with tests/tiny.py. 0 on success. */
int tiny_model(const char *root, const char *fault);

/* Makes the embedded interpreter import ishowtts from the source tree. */
void source_tree(void);

/* The voice "tone", whose reference is a tone of two seconds. */
void add_voice(ishow_engine *engine);

typedef struct spoken {
    float *samples; /* free() */
    size_t n;
    double rms;
    ishow_timings timings;
} spoken;

ishow_status speak(ishow_engine *engine, const char *text, unsigned long long seed, spoken *out, ishow_error *error);

long resident_kib(void);

#endif
