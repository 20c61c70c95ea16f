/* A job outlives whichever of its two owners leaves first: the loop when the client hangs up, the pump when the speech is done. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

job *job_create(const shape *shape, const char *id) {
    job *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    if (pthread_mutex_init(&j->lock, NULL)) {
        free(j);
        return NULL;
    }
    atomic_init(&j->refs, 1);
    j->shape = shape;
    strcpy(j->id, id); /* both are ID_MAX + 1 */
    return j;
}

void job_release(job *j) {
    if (!j || atomic_fetch_sub(&j->refs, 1) > 1) return;
    ishow_utterance_free(j->utterance);
    ishow_encoder_free(j->encoder);
    bytes_free(&j->out);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
