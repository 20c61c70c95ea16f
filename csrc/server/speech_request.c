/* POST /api/tts and /api/tts/stream: a checked request becomes a job. Its answer is sent when the encoder thread has
 * finished it, or with the first audio if it streams: the status line waits until then, so that an error before has a
 * status of its own. Later errors are an `error` event, or a broken chunked body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "service/accept.h"

static int speech_news(exchange *x) {
    job *j = x->waited;
    pthread_mutex_lock(&j->lock);
    int news = j->finished || j->out.n > j->taken;
    pthread_mutex_unlock(&j->lock);
    return news;
}

static void speech_hang_up(exchange *x) { speech_cancel(x->server, x->waited); }

static void speech_release(exchange *x) {
    speech_hang_up(x);
    job_release(x->waited);
}

static enum MHD_Result speech_resume(exchange *x);
static job *speech_job_of(const exchange *x) { return x->waited; }
static const wait_kind speech_wait = {.news = speech_news,
                                      .resume = speech_resume,
                                      .hang_up = speech_hang_up,
                                      .release = speech_release,
                                      .job_of = speech_job_of};

/* The running job with this id, borrowed; NULL when there is none. */
static job *job_running(const ishow_server *s, const char *id) {
    for (const exchange *x = s->waiting; x; x = x->next) {
        job *j = x->wait->job_of ? x->wait->job_of(x) : NULL;
        if (j && !strcmp(j->id, id)) return j;
    }
    return NULL;
}

job *speech_submit(ishow_server *s, speech *said, const response_format *response, ishow_format format, const char *id,
                   fault *f) {
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_error error = {0};
    job *j = NULL;
    ishow_model_info info;
    if (atomic_load(&s->draining)) {
        ishow_fault_set(f, 503, "draining", "", "The server is closing down.");
        return NULL;
    }
    if (!(j = job_create(response, id))) {
        ishow_fault_memory(f);
        return NULL;
    }
    ishow_engine_info(engine, &info);
    ishow_engine_label(engine, j->label, sizeof j->label);
    j->format = said->format >= 0 ? (ishow_format)said->format : format;
    j->give_up = ishow_now() + s->request_seconds;
    j->open = said->request.open;
    j->patience = j->open ? s->request_seconds : 0;
    j->characters = ishow_utf8_length(said->request.text);
    j->frame_rate = (double)info.sample_rate / info.hop;
    const ishow_encoder_options encoder = {.format = j->format,
                                           .from_rate = info.sample_rate,
                                           .sample_rate = said->sample_rate,
                                           .whole = !response->streams};
    said->request.deadline = j->open ? 0 : s->request_seconds;
    said->request.early = response->streams;
    if (!said->request.voice && s->default_voice[0]) said->request.voice = s->default_voice;
    if (ishow_encoder_create(&j->encoder, &encoder, &error) != ISHOW_OK ||
        ishow_engine_submit(engine, &said->request, encoder_thread_notify, s->encoder_thread, &j->utterance, &error) !=
            ISHOW_OK) {
        ishow_fault_from_error(f, &error);
        job_release(j);
        return NULL;
    }
    encoder_thread_add(s->encoder_thread, j);
    return j;
}

int speech_continue(job *j, const speech *said, size_t *kept, fault *f) {
    if (!ishow_speech_continue(j->utterance, said, kept, f)) return 0;
    j->give_up = ishow_now() + j->patience;
    j->open = said->more;
    return 1;
}

void speech_cancel(ishow_server *s, job *j) {
    atomic_store(&j->cancelled, 1);
    ishow_utterance_cancel(j->utterance); /* no effect on one that is finished */
    encoder_thread_notify(s->encoder_thread);
}

job *speech_submit_checked(exchange *x, speech *said, const response_format *response, ishow_format format) {
    if (!job_running(x->server, x->id)) return speech_submit(x->server, said, response, format, x->id, &x->fault);
    ishow_fault_set(&x->fault, 409, "duplicate_id", "X-Request-Id", "A request with the id %s is running.", x->id);
    return NULL;
}

int tts_wait(exchange *x, speech *said, const response_format *response, ishow_format format) {
    job *j = speech_submit_checked(x, said, response, format);
    if (!j) return 0;
    exchange_wait_for(x, &speech_wait, j);
    return 1;
}

int tts_begin(exchange *x, const response_format *response, ishow_format format) {
    speech said = {0};
    int good = ishow_speech_parse(&ishow_speech_own, (const char *)x->body.data, x->body.n, &x->server->sampling, &said,
                                  &x->fault) &&
               tts_wait(x, &said, response, format);
    ishow_speech_free(&said);
    ishow_buffer_free(&x->body);
    return good;
}

enum MHD_Result answer_tts(exchange *x) {
    const char *accept = header_get(x, "Accept");
    ishow_format format;
    double audio = ishow_accept_audio(accept, &format), json = ishow_accept_quality(accept, "application", "json");
    int good = audio > json ? tts_begin(x, &response_file, format) : tts_begin(x, &response_json, ISHOW_FORMAT_WAV);
    return good ? MHD_YES : respond_fault(x);
}

/* The number of words left out and the first of them, percent-encoded, since headers are ASCII. */
static void add_unspoken(struct MHD_Response *response, const ishow_unspoken *unspoken) {
    char text[32 + 3 * sizeof unspoken->first];
    if (!unspoken->count) return;
    int n = snprintf(text, sizeof text, "%zu; first=", unspoken->count);
    for (const char *p = unspoken->first; *p; p++) n += sprintf(text + n, "%%%02X", (unsigned)(unsigned char)*p);
    MHD_add_response_header(response, "X-Unspoken", text);
}

void tts_audio_headers(struct MHD_Response *response, job *j) {
    char text[24];
    MHD_add_response_header(response, "Content-Type", ishow_format_mime(j->format));
    pthread_mutex_lock(&j->lock);
    snprintf(text, sizeof text, "%llu", (unsigned long long)j->timings.seed);
    ishow_unspoken unspoken = j->timings.unspoken;
    pthread_mutex_unlock(&j->lock);
    add_unspoken(response, &unspoken);
    MHD_add_response_header(response, "X-Seed", text);
    snprintf(text, sizeof text, "%d", ishow_encoder_rate(j->encoder));
    MHD_add_response_header(response, "X-Sample-Rate", text);
}

static void add_timing(struct MHD_Response *response, const ishow_timings *t) {
    char text[128];
    snprintf(text, sizeof text, "queue;dur=%.1f, text;dur=%.1f, first;dur=%.1f, total;dur=%.1f", 1e3 * t->queue,
             1e3 * t->text, 1e3 * t->first_audio, 1e3 * t->total);
    MHD_add_response_header(response, "Server-Timing", text);
}

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
    int finished = j->finished, failed = finished && j->failure.status && !j->response->fail;
    if (j->out.failed) finished = failed = 1;
    pthread_mutex_unlock(&j->lock);
    if (n) return (ssize_t)n;
    if (failed) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (finished) return MHD_CONTENT_READER_END_OF_STREAM;
    exchange_wait(x);
    return 0;
}

static enum MHD_Result stream_begin(exchange *x) {
    job *j = x->waited;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 32 * 1024, read_stream, x, NULL);
    if (!response) return MHD_NO;
    if (j->response->type) {
        MHD_add_response_header(response, "Content-Type", j->response->type);
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
    } else
        tts_audio_headers(response, j);
    x->phase = PHASE_STREAM;
    return respond_with(x, 200, response);
}

static enum MHD_Result speech_resume(exchange *x) {
    job *j = x->waited;
    const int streams = j->response->streams;
    ishow_buffer body = {0};
    pthread_mutex_lock(&j->lock);
    int failed = j->finished && j->failure.status && !(streams && j->started);
    int ready = j->finished || (streams && j->out.n > j->taken);
    if (failed)
        x->fault = j->failure;
    else if (ready && !streams) {
        body = j->out;
        j->out = (ishow_buffer){0};
    }
    pthread_mutex_unlock(&j->lock);
    if (failed) return respond_fault(x);
    if (!ready) {
        exchange_wait(x);
        return MHD_YES;
    }
    if (streams) return stream_begin(x);
    struct MHD_Response *response = MHD_create_response_from_buffer(body.n, body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        ishow_buffer_free(&body);
        return MHD_NO;
    }
    if (j->response->type)
        MHD_add_response_header(response, "Content-Type", j->response->type);
    else { /* audio only; the encoder thread no longer uses the job */
        tts_audio_headers(response, j);
        add_timing(response, &j->timings);
    }
    return respond_with(x, 200, response);
}

enum MHD_Result answer_tts_stream(exchange *x) {
    const char *accept = header_get(x, "Accept");
    ishow_format format;
    double events = ishow_accept_quality(accept, "text", "event-stream"), audio = ishow_accept_audio(accept, &format);
    int good = events > 0 && events >= audio ? tts_begin(x, &response_events, ISHOW_FORMAT_PCM)
                                             : tts_begin(x, &response_stream, format);
    return good ? MHD_YES : respond_fault(x);
}

enum MHD_Result answer_tts_cancel(exchange *x) {
    ishow_server *s = x->server;
    job *j = job_running(s, x->segment);
    if (!j) {
        ishow_fault_set(&x->fault, 404, "not_found", "request_id", "No request with this id is running.");
        return respond_fault(x);
    }
    speech_cancel(s, j);
    ishow_buffer none = {0};
    return respond(x, 204, NULL, &none);
}
