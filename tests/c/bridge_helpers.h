/* Shared by the tests of the bridge: a tiny model, a voice, one utterance from start to end. */
#ifndef BRIDGE_HELPERS_H
#define BRIDGE_HELPERS_H

#include "engine/engine.h"

/* Makes <root>/tiny, or <root>/<fault>, by tests/tiny.py. 0 on success. */
int tiny_model(const char *root, const char *fault);

/* Lets the embedded interpreter find ishowtts here, in the source tree. */
void source_tree(void);

/* A voice "tone" of two seconds. */
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
