/* A job has two owners, the loop and the encoder thread, and lives until both have released it: the loop may do so
 * first when the client hangs up, the encoder thread when the speech is finished. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

enum { STALL_MS = 1000 };

job *job_create(const response_format *response, const char *id) {
    job *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    if (pthread_mutex_init(&j->lock, NULL)) {
        free(j);
        return NULL;
    }
    atomic_init(&j->refs, 1);
    j->response = response;
    strcpy(j->id, id); /* both arrays have ID_MAX + 1 bytes */
    return j;
}

static long long now_ms(void) { return (long long)(1e3 * ishow_now()); }
void job_took(job *j) { atomic_store(&j->took_ms, now_ms()); }
int job_stalls(job *j) { return now_ms() - atomic_load(&j->took_ms) > STALL_MS; }

void job_count(job *j) {
    const size_t unread = j->out.n - j->taken;
    if (!j->parked) return;
    atomic_fetch_add(
        j->parked,
        unread - atomic_exchange(&j->counted, unread)); /* the difference may be negative: unsigned arithmetic wraps */
}

void job_release(job *j) {
    if (!j || atomic_fetch_sub(&j->refs, 1) > 1) return;
    if (j->parked) atomic_fetch_sub(j->parked, atomic_load(&j->counted));
    ishow_utterance_free(j->utterance);
    ishow_encoder_free(j->encoder);
    ishow_buffer_free(&j->out);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
