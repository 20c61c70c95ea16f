/* The encoder thread, the only reader of all utterances. Encoding a minute of speech would delay other connections
 * noticeably, so it is done here and not on the loop. Engine threads only set a flag. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

struct encoder_thread {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int dirty, closing; /* under lock */
    job *incoming;      /* under lock */
    job *jobs;          /* used by this thread only */
    void (*wake)(void *self);
    void *wake_self;
    metrics *metrics;
    atomic_size_t parked; /* bytes for the clients of all jobs that they have not read */
    pthread_t thread;
};

/* Frees output that the client has read and checks the limits of unread output. j->lock is held. */
static ishow_status check_parked(encoder_thread *p, job *j, ishow_error *error) {
    if (j->taken > j->out.n / 2) {
        memmove(j->out.data, j->out.data + j->taken, j->out.n - j->taken);
        j->out.n -= j->taken;
        j->taken = 0;
    }
    if (j->out.failed) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    job_count(j);
    const size_t unread = j->out.n - j->taken;
    int largest = atomic_load(&p->parked) > PARKED_ALL_MAX && job_stalls(j);
    for (job *o = p->jobs; o && largest; o = o->next) largest = atomic_load(&o->counted) <= unread || !job_stalls(o);
    if (unread <= PARKED_MAX && !largest) return ISHOW_OK;
    ishow_buffer_free(&j->out); /* at once, so that other jobs can go on */
    j->taken = 0;
    job_count(j);
    return ishow_fail(error, ISHOW_ECANCELLED, "", "The listener takes the audio too slowly.");
}

/* Encodes new samples of the model; n == 0 with last: the end of the speech. */
static ishow_status take_samples(encoder_thread *p, job *j, const float *samples, size_t n, int last,
                                 ishow_error *error) {
    const unsigned char *made; /* borrowed from the encoder */
    size_t n_made;
    ishow_status status = ishow_encoder_push(j->encoder, samples, n, last, &made, &n_made, error);
    if (status == ISHOW_OK && last && !ishow_encoder_length(j->encoder))
        status = ishow_fail(error, ISHOW_EMODEL, "", "The model made no audio.");
    if (status != ISHOW_OK || !n_made) return status;
    pthread_mutex_lock(&j->lock);
    if (!j->started) {
        j->started = 1;
        j->response->begin(j);
    }
    j->response->audio(j, made, n_made);
    j->samples_out = ishow_encoder_length(j->encoder);
    if (j->response->streams) status = check_parked(p, j, error);
    pthread_mutex_unlock(&j->lock);
    return status;
}

/* Reports the words of the piece that was read last. */
static void tell_words(job *j) {
    const ishow_word *words;
    size_t n;
    if (!j->response->word) return;
    ishow_utterance_words(j->utterance, &words, &n);
    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; j->started && i < n; i++) j->response->word(j, &words[i]);
    pthread_mutex_unlock(&j->lock);
}

/* Under the lock, since the loop may be writing an answer from them. */
static void record_timings(job *j) {
    ishow_timings timings;
    ishow_utterance_timings(j->utterance, &timings);
    pthread_mutex_lock(&j->lock);
    j->timings = timings;
    pthread_mutex_unlock(&j->lock);
}

static void end_job(encoder_thread *p, job *j, ishow_status status, const ishow_error *error) {
    ishow_error own = error ? *error : (ishow_error){0};
    record_timings(j);
    if (status == ISHOW_OK) status = take_samples(p, j, NULL, 0, 1, &own);
    if (status == ISHOW_OK) {
        const ishow_timings *t = &j->timings;
        metrics_speech(p->metrics, t);
        /* ishowtts/traces.py reads this. */
        ishow_log_request(ISHOW_LOG_DEBUG, "server", j->id,
                          "spoken by %s: seed %llu, queue %.4f, text %.4f, first audio %.4f, model %.4f, audio %.3f s",
                          t->voice, (unsigned long long)t->seed, t->queue, t->text, t->first_audio, t->model, t->audio);
    } else {
        ishow_utterance_cancel(j->utterance);
        own.status = status; /* the engine may have left another status there */
        if (!atomic_load(&j->cancelled))
            ishow_log_request(status == ISHOW_EINVAL ? ISHOW_LOG_DEBUG : ISHOW_LOG_WARN, "server", j->id,
                              "failed: %s: %s", ishow_status_name(status), own.message);
    }
    pthread_mutex_lock(&j->lock);
    if (status == ISHOW_OK)
        j->response->end(j);
    else {
        ishow_fault_from_error(&j->failure, &own);
        if (j->started && j->response->fail) j->response->fail(j);
    }
    if (j->out.failed && !j->failure.status)
        ishow_fault_set(&j->failure, 500, "internal", "", "There is not enough memory for the answer.");
    j->finished = 1;
    pthread_mutex_unlock(&j->lock);
}

/* Returns 1 when the job's client sends its text in pieces and does not read the speech. Nothing more is then read from
 * the engine, which stops synthesising. */
static int holds_back(job *j) {
    if (!j->patience || atomic_load(&j->cancelled) || ishow_now() >= j->give_up) return 0;
    pthread_mutex_lock(&j->lock);
    const int full = j->out.n - j->taken > WRITTEN_PARKED_MAX;
    pthread_mutex_unlock(&j->lock);
    return full;
}

/* Returns 1 when the job has ended. */
static int advance(encoder_thread *p, job *j, int *news) {
    ishow_error error = {0};
    for (;;) {
        const float *samples = NULL;
        size_t n = 0;
        if (holds_back(j)) return 0;
        ishow_status status = ishow_utterance_next(j->utterance, 0, &samples, &n, &error);
        if (status == ISHOW_EAGAIN && ishow_now() < j->give_up) return 0;
        if (status == ISHOW_EAGAIN || status == ISHOW_ETIMEOUT)
            status = ishow_fail(&error, ISHOW_ETIMEOUT, "",
                                "The speech was not finished within the deadline of this server.");
        if (status == ISHOW_OK && n) {
            if (j->patience) j->give_up = ishow_now() + j->patience;
            if (!j->started) record_timings(j);
            status = take_samples(p, j, samples, n, 0, &error);
            if (status == ISHOW_OK) {
                tell_words(j);
                *news = 1;
                continue;
            }
        }
        *news = 1;
        end_job(p, j, status, &error);
        return 1;
    }
}

static void *encoder_thread_main(void *self) {
    encoder_thread *p = self;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->dirty && !p->incoming && !(p->closing && !p->jobs)) {
            /* The timed wait notices deadlines even when the engine hangs. */
            struct timespec at;
            ishow_deadline(1.0, &at);
            if (!p->jobs)
                pthread_cond_wait(&p->changed, &p->lock);
            else if (pthread_cond_timedwait(&p->changed, &p->lock, &at))
                break;
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

ishow_status encoder_thread_create(encoder_thread **out, void (*wake)(void *self), void *wake_self, metrics *m,
                                   ishow_error *error) {
    encoder_thread *p = calloc(1, sizeof *p);
    *out = NULL;
    if (!p) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the audio thread.");
    ishow_condition_init(&p->changed);
    pthread_mutex_init(&p->lock, NULL);
    p->wake = wake;
    p->wake_self = wake_self;
    p->metrics = m;
    if (pthread_create(&p->thread, NULL, encoder_thread_main, p)) {
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The audio thread could not be started.");
    }
    *out = p;
    return ISHOW_OK;
}

void encoder_thread_add(encoder_thread *p, job *j) {
    atomic_fetch_add(&j->refs, 1);
    j->parked = &p->parked;
    job_took(j);
    pthread_mutex_lock(&p->lock);
    j->next = p->incoming;
    p->incoming = j;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

void encoder_thread_notify(void *self) {
    encoder_thread *p = self;
    pthread_mutex_lock(&p->lock);
    p->dirty = 1;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* Joins the thread. The struct stays valid until encoder_thread_free, since engine threads may still notify. */
void encoder_thread_stop(encoder_thread *p) {
    pthread_mutex_lock(&p->lock);
    p->closing = 1;
    pthread_cond_signal(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
}

void encoder_thread_free(encoder_thread *p) {
    if (!p) return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
