/* POST /api/tts/stream: audio while it is made. The status line waits for the first audio, so that whatever goes wrong
 * before it has a status of its own; later failures are an `error` event, or a broken chunked body. */
#include <string.h>

#include "server/internal.h"
#include "service/accept.h"

static ssize_t read_stream(void *self, uint64_t position, char *out, size_t most) {
    exchange *x = self;
    job *j = x->waited;
    (void)position;
    if (x->gone) return MHD_CONTENT_READER_END_WITH_ERROR;
    pthread_mutex_lock(&j->lock);
    size_t n = j->out.n - j->taken;
    if (n > most) n = most;
    if (n) memcpy(out, j->out.data + j->taken, n);
    j->taken += n;
    job_count(j);
    if (n) job_took(j);
    int finished = j->finished, failed = finished && j->failure.status && !j->shape->fail;
    if (j->out.failed) finished = failed = 1;
    pthread_mutex_unlock(&j->lock);
    if (n) return (ssize_t)n;
    if (failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (finished) return MHD_CONTENT_READER_END_OF_STREAM;
    http_wait(x);
    return 0;
}

enum MHD_Result stream_begin(exchange *x) {
    job *j = x->waited;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 * 1024, read_stream, x, NULL);
    if (!response) return MHD_NO;
    if (j->shape->type) {
        MHD_add_response_header(response, "Content-Type", j->shape->type);
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
    } else
        tts_audio_headers(response, j);
    x->phase = PHASE_STREAM;
    return respond_with(x, 200, response);
}

enum MHD_Result answer_tts_stream(exchange *x) {
    const char *accept = header_get(x, "Accept");
    ishow_format format;
    double events = ishow_accept_quality(accept, "text", "event-stream"), audio = ishow_accept_audio(accept, &format);
    int good = events > 0 && events >= audio ? tts_begin(x, &shape_events, ISHOW_FORMAT_PCM)
                                             : tts_begin(x, &shape_stream, format);
    return good ? MHD_YES : respond_fault(x);
}
