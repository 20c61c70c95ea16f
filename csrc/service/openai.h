/* Names of models and voices that OpenAI's clients have built in. */
#ifndef ISHOW_SERVICE_OPENAI_H
#define ISHOW_SERVICE_OPENAI_H

#include "engine/engine.h"

/* 1 when a name means the loaded model: its own name, or one of OpenAI's speech models. */
ISHOW_API int ishow_openai_model_known(const char *asked, const char *loaded);

/* The id of the voice that a name means: a voice of the engine; else the entry of `map` (n strings, name and id in
 * turn); else, for a name of OpenAI's, one of the engine's voices, among which these names are divided. Returns `asked`
 * where it is none of them, else `out`. Any thread. */
ISHOW_API const char *ishow_openai_voice(ishow_engine *engine, const char *const *map, size_t n, const char *asked,
                                         char out[65]);

#endif
