/* The audio thread: the one reader of every utterance. Resampling and encoding a minute of speech takes long enough to be felt by
 * other connections, so it happens here and not on the loop. Engine threads only raise a flag. */
#include <stdlib.h>
#include <string.h>

#include "server/server.h"

struct pump {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int dirty, closing;     /* under lock */
    job *incoming;          /* under lock */
    job *jobs;              /* the thread's own */
    void (*wake)(void *self);
    void *wake_self;
    metrics *metrics;
    pthread_t thread;
};

enum { EVENT_SAMPLES = 24000 }; /* at most in one SSE event, so that clients parse small lines */

static void write_head(const job *j, bytes *out) {
    bytes_text(out, "\"request_id\":");
    bytes_json(out, j->id);
    bytes_text(out, ",\"voice_id\":");
    bytes_json(out, j->timings.voice);
    bytes_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    bytes_json(out, j->label);
    bytes_format(out, ",\"sample_rate\":%d", j->sample_rate);
}

static void write_tail(const job *j, bytes *out) {
    const ishow_timings *t = &j->timings;
    double duration = j->sample_rate ? (double)j->samples / j->sample_rate : 0;
    bytes_format(out, "\"waveform_len\":%llu,\"seed\":%llu,\"duration\":%.4f,\"timings\":{\"queue\":%.4f,\"text\":%.4f,\"first_audio\":%.4f,\"total\":%.4f},\"rtf\":%.4f",
                 (unsigned long long)j->samples, (unsigned long long)t->seed, duration, t->queue, t->text, t->first_audio, t->total,
                 duration > 0 ? t->total / duration : 0.0);
}

/* Under j->lock: what the client sees of new samples in a stream. */
static void stream_samples(job *j, const float *samples, size_t n) {
    if (!j->started) {
        j->started = 1;
        if (j->kind == JOB_STREAM_WAV) encode_wav_header_endless(&j->out, j->sample_rate);
        else {
            bytes_text(&j->out, "event: start\ndata: {");
            write_head(j, &j->out);
            bytes_format(&j->out, ",\"seed\":%llu,\"channels\":1,\"encoding\":\"pcm_s16le\"}\n\n", (unsigned long long)j->timings.seed);
        }
    }
    while (n) {
        size_t m = j->kind == JOB_STREAM_SSE && n > EVENT_SAMPLES ? EVENT_SAMPLES : n;
        if (j->kind == JOB_STREAM_WAV) bytes_s16(&j->out, samples, m);
        else {
            bytes pcm = {0};
            bytes_s16(&pcm, samples, m);
            if (pcm.failed) j->out.failed = 1;
            bytes_format(&j->out, "event: audio\ndata: {\"seq\":%llu,\"t0\":%.4f,\"audio_base64\":\"", (unsigned long long)j->seq++,
                         (double)j->samples / j->sample_rate);
            bytes_base64(&j->out, pcm.data, pcm.n);
            bytes_text(&j->out, "\"}\n\n");
            bytes_free(&pcm);
        }
        j->samples += m;
        samples += m;
        n -= m;
    }
}

/* New samples of the model's, n == 0 with last: the end. */
static ishow_status take_samples(job *j, const float *samples, size_t n, int last, ishow_error *error) {
    if (j->kind == JOB_JSON || j->kind == JOB_WAV) {
        bytes_add(&j->pcm, samples, n * sizeof *samples);
        return j->pcm.failed ? ishow_fail(error, ISHOW_ENOMEM, "", "Memory for audio could not be had.") : ISHOW_OK;
    }
    bytes made = {0};
    ishow_status status = ISHOW_OK;
    if (!j->rate) status = rate_stream_create(&j->rate, j->model_rate, j->sample_rate, error);
    if (status == ISHOW_OK) status = rate_stream_push(j->rate, samples, n, last, &made, error);
    if (status == ISHOW_OK && made.n) {
        pthread_mutex_lock(&j->lock);
        stream_samples(j, (const float *)(void *)made.data, made.n / sizeof(float));
        /* Give back what the client has taken already; then what is parked is bounded. */
        if (j->taken > j->out.n / 2) {
            memmove(j->out.data, j->out.data + j->taken, j->out.n - j->taken);
            j->out.n -= j->taken;
            j->taken = 0;
        }
        if (j->out.failed) status = ishow_fail(error, ISHOW_ENOMEM, "", "Memory for audio could not be had.");
        else if (j->out.n - j->taken > PARKED_MAX) status = ishow_fail(error, ISHOW_ECANCELLED, "", "The listener takes the audio too slowly.");
        pthread_mutex_unlock(&j->lock);
    }
    bytes_free(&made);
    return status;
}

/* The whole answer of a request that is not streamed. */
static ishow_status whole_answer(job *j, bytes *out, ishow_error *error) {
    ishow_pcm at_rate = {0};
    unsigned char *wav = NULL;
    size_t n_wav = 0, n = j->pcm.n / sizeof(float);
    const float *samples = (const float *)(void *)j->pcm.data;
    ishow_status status = ISHOW_OK;
    if (!n) return ishow_fail(error, ISHOW_EMODEL, "", "The model made no audio.");
    if (j->sample_rate != j->model_rate) {
        status = ishow_audio_resample(samples, n, j->model_rate, j->sample_rate, &at_rate, error);
        if (status != ISHOW_OK) goto done;
        samples = at_rate.samples;
        n = at_rate.length;
    }
    j->samples = n;
    status = ishow_wav_encode(samples, n, j->sample_rate, &wav, &n_wav, error);
    if (status != ISHOW_OK) goto done;
    if (j->kind == JOB_WAV) bytes_add(out, wav, n_wav);
    else {
        bytes_text(out, "{");
        write_head(j, out);
        bytes_text(out, ",\"format\":\"audio/wav\",\"audio_base64\":\"");
        bytes_base64(out, wav, n_wav);
        bytes_text(out, "\",");
        write_tail(j, out);
        bytes_text(out, "}");
    }
    if (out->failed) status = ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the answer could not be had.");
done:
    free(wav);
    ishow_pcm_free(&at_rate);
    bytes_free(&j->pcm);
    return status;
}

static void end_job(pump *p, job *j, ishow_status status, const ishow_error *error) {
    bytes whole = {0};
    ishow_error own = error ? *error : (ishow_error){0};
    ishow_utterance_timings(j->utterance, &j->timings);
    int streams = j->kind == JOB_STREAM_WAV || j->kind == JOB_STREAM_SSE;
    if (status == ISHOW_OK) status = streams ? take_samples(j, NULL, 0, 1, &own) : whole_answer(j, &whole, &own);
    if (status == ISHOW_OK && streams && !j->samples) status = ishow_fail(&own, ISHOW_EMODEL, "", "The model made no audio.");
    if (status == ISHOW_OK) metrics_speech(p->metrics, &j->timings);
    else {
        ishow_utterance_cancel(j->utterance);
        own.status = status; /* whatever the engine wrote there */
        if (status != ISHOW_ECANCELLED) ishow_log(status == ISHOW_EINVAL ? ISHOW_LOG_DEBUG : ISHOW_LOG_WARN, "server", "%s failed: %s: %s", j->id, ishow_status_name(status), own.message);
    }
    pthread_mutex_lock(&j->lock);
    if (status != ISHOW_OK) {
        fault_from_error(&j->failure, &own);
        if (j->started && j->kind == JOB_STREAM_SSE) {
            bytes_text(&j->out, "event: error\ndata: ");
            fault_write(&j->out, &j->failure);
            bytes_text(&j->out, "\n\n");
        }
    } else if (!streams) {
        bytes_free(&j->out);
        j->out = whole;
        whole = (bytes){0};
    } else if (j->kind == JOB_STREAM_SSE) {
        bytes_text(&j->out, "event: end\ndata: {\"request_id\":");
        bytes_json(&j->out, j->id);
        bytes_text(&j->out, ",");
        write_tail(j, &j->out);
        bytes_text(&j->out, "}\n\n");
    }
    j->finished = 1;
    pthread_mutex_unlock(&j->lock);
    bytes_free(&whole);
}

/* 1: the job ended. */
static int advance(pump *p, job *j, int *news) {
    ishow_error error = {0};
    for (;;) {
        const float *samples = NULL;
        size_t n = 0;
        ishow_status status = ishow_utterance_next(j->utterance, 0, &samples, &n, &error);
        if (status == ISHOW_ETIMEOUT && ishow_now() < j->give_up) return 0; /* nothing new; past the deadline it is the end */
        if (status == ISHOW_ETIMEOUT)
            ishow_fail(&error, ISHOW_ETIMEOUT, "", "The speech was not finished within the deadline of this server.");
        if (status == ISHOW_OK && n) {
            if (!j->timings.voice[0]) ishow_utterance_timings(j->utterance, &j->timings);
            status = take_samples(j, samples, n, 0, &error);
            if (status == ISHOW_OK) {
                *news = 1;
                continue;
            }
        }
        *news = 1;
        end_job(p, j, status, &error);
        return 1;
    }
}

static void *pump_main(void *self) {
    pump *p = self;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->dirty && !p->incoming && !(p->closing && !p->jobs)) {
            /* The tick notices a deadline even when the engine hangs. */
            struct timespec at;
            ishow_deadline(1.0, &at);
            if (!p->jobs) pthread_cond_wait(&p->changed, &p->lock);
            else if (pthread_cond_timedwait(&p->changed, &p->lock, &at)) break;
        }
        if (p->closing && !p->jobs && !p->incoming) break;
        p->dirty = 0;
        while (p->incoming) {
            job *j = p->incoming;
            p->incoming = j->next;
            j->next = p->jobs;
            p->jobs = j;
        }
        pthread_mutex_unlock(&p->lock);
        int news = 0;
        for (job **at = &p->jobs; *at;) {
            job *j = *at;
            if (!advance(p, j, &news)) {
                at = &j->next;
                continue;
            }
            *at = j->next;
            job_release(j);
        }
        if (news) p->wake(p->wake_self);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

ishow_status pump_create(pump **out, void (*wake)(void *self), void *wake_self, metrics *m, ishow_error *error) {
    pump *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the audio thread could not be had.");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&p->lock, NULL);
    p->wake = wake;
    p->wake_self = wake_self;
    p->metrics = m;
    if (pthread_create(&p->thread, NULL, pump_main, p)) {
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The audio thread could not be started.");
    }
    *out = p;
    return ISHOW_OK;
}

void pump_add(pump *p, job *j) {
    atomic_fetch_add(&j->refs, 1);
    pthread_mutex_lock(&p->lock);
    j->next = p->incoming;
    p->incoming = j;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void pump_notify(void *self) {
    pump *p = self;
    pthread_mutex_lock(&p->lock);
    p->dirty = 1;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* The thread ends here; the pump itself stays until pump_free, since engine threads may still notify. */
void pump_stop(pump *p) {
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
}

void pump_free(pump *p) {
    if (!p) return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
