/* Shared by the tests of the bridge: a tiny model, a voice, one utterance from start to end. */
#ifndef BRIDGE_HELPERS_H
#define BRIDGE_HELPERS_H

#include "bridge/bridge.h"
#include "engine/engine.h"

/* Writes the model folder <root>/tiny with tests/tiny.py, and <root>/<fault> for each of `faults`, words with spaces
 * between. 0 on success. */
int tiny_models(const char *root, const char *faults);

/* Makes the embedded interpreter import ishowtts from the source tree. */
void source_tree(void);

/* Starts an interpreter that does so. 0 on success. */
int start_bridge(ishow_bridge **out);

/* Stops it, removes the folder `root`, and checks that no handle is left. 0 on success. */
int stop_bridge(ishow_bridge *bridge, const char *root);

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
