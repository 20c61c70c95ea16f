/* What OpenAI's clients take for granted: names of models and voices that are built into programs. */
#ifndef ISHOW_SERVICE_OPENAI_H
#define ISHOW_SERVICE_OPENAI_H

#include "engine/engine.h"

/* Whether a name means the loaded model: its own, or one of OpenAI's speech models. */
ISHOW_API int ishow_openai_model_known(const char *asked, const char *loaded);

/* The id of the voice that a name means: a voice of the engine; else what `map` says (n strings, name and id in turn);
 * else, where the name is one of OpenAI's, the engine's voices are shared out among these. `asked` itself where it is
 * none of them, else `out`. Any thread. */
ISHOW_API const char *ishow_openai_voice(ishow_engine *engine, const char *const *map, size_t n, const char *asked,
                                         char out[65]);

#endif
