/* Releases a reference to an engine: its own (ishow_engine_free), or that of an utterance that outlives it. */
#include <stdlib.h>

#include "engine/internal.h"

void engine_release(ishow_engine *engine) {
    if (__atomic_sub_fetch(&engine->references, 1, __ATOMIC_ACQ_REL)) return;
    pthread_cond_destroy(&engine->text_work);
    pthread_cond_destroy(&engine->model_work);
    pthread_mutex_destroy(&engine->lock);
    free(engine);
}
