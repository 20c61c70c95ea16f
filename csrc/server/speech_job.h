/* One synthesis on its way to a client: the form of its answer, the job, and the thread that encodes its samples. */
#ifndef ISHOW_SERVER_SPEECH_JOB_H
#define ISHOW_SERVER_SPEECH_JOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "audio/audio.h"
#include "base/base.h"
#include "base/buffer.h"
#include "engine/engine.h"
#include "service/error_response.h"
#include "service/speech.h"

typedef struct metrics metrics;

/* ---- response_format.c: what an answer looks like ---- */
typedef struct job job;
typedef struct response_format {
    int streams;           /* 1: sent while it is produced; 0: sent whole at the end */
    const char *type;      /* Content-Type; NULL: of the job's audio format */
    void (*begin)(job *j); /* these write to j->out */
    void (*audio)(job *j, const unsigned char *data, size_t n);
    void (*word)(job *j,
                 const ishow_word *word); /* after the audio of the piece in which it begins; NULL: not reported */
    void (*end)(job *j);
    void (*fail)(job *j); /* after begin; NULL: the connection breaks */
} response_format;
extern const response_format response_json, response_file, response_stream, response_events, response_frames,
    response_openai;
/* response_frames writes WebSocket messages one after another to j->out. Reads the first of n bytes and returns its
 * length there; 0: no whole message. */
size_t frame_next(const unsigned char *data, size_t n, int *binary, const unsigned char **message, size_t *n_message);

/* ---- speech_job.c: one synthesis ---- */
struct job {
    struct job *next; /* in the encoder thread's list */
    atomic_int refs;  /* one for the loop, one for the encoder thread */
    const response_format *response;
    ishow_format format;
    _Atomic double give_up; /* ishow_now() at the deadline */
    double patience; /* of a text that comes in pieces: seconds without a piece or audio; 0: the text was whole */
    int open;        /* more pieces are to come; the loop's own */
    atomic_int cancelled;
    char id[ID_MAX + 1];
    char label[128];
    size_t characters; /* of the text */
    double frame_rate; /* mel frames in a second */
    ishow_utterance *utterance;
    /* used by the encoder thread only */
    ishow_encoder *encoder;    /* its sample rate is constant and may be read by any thread */
    uint64_t seq, samples_out; /* events so far, samples in them */
    /* shared, under lock */
    pthread_mutex_t lock;
    ishow_buffer out;      /* output for the client */
    size_t taken;          /* of out */
    atomic_size_t counted; /* unread bytes of `out` that are included in *parked */
    atomic_llong took_ms;  /* when the client last read something */
    atomic_size_t *parked; /* unread bytes of all jobs; NULL: not counted */
    int started, finished; /* there is output; there will be no more */
    fault failure;         /* set together with `finished` */
    ishow_timings timings;
};

job *job_create(const response_format *response, const char *id);
void job_release(job *j);
void job_took(job *j);  /* the client has just read something; any thread */
int job_stalls(job *j); /* 1: it has read nothing for a second; any thread */
void job_count(job *j); /* updates *parked; call under the job's lock after `out` or `taken` changed */

/* ---- encoder_thread.c ---- */
typedef struct encoder_thread encoder_thread;
/* wake(wake_self) is called on the encoder thread when a job has new output. */
ishow_status encoder_thread_create(encoder_thread **out, void (*wake)(void *self), void *wake_self, metrics *m,
                                   ishow_error *error);
void encoder_thread_add(encoder_thread *p, job *j); /* takes one reference */
void encoder_thread_notify(void *self);             /* any thread; the `notify` of submit, self is the encoder thread */
void encoder_thread_stop(encoder_thread *p);        /* waits for its jobs (cancel them before) and joins the thread */
/* After encoder_thread_stop and after the engine is freed, whose threads notify until then. */
void encoder_thread_free(encoder_thread *p);

#endif
