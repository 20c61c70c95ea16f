/* Shared by the files of a gateway. One mutex guards everything; it is not held while a message is published, nor
 * during a caller's notify. One thread, the gateway's, handles all received messages and is the only one that
 * publishes. */
#ifndef ISHOW_CLUSTER_GATEWAY_H
#define ISHOW_CLUSTER_GATEWAY_H

#include <pthread.h>

#include "base/base.h"
#include "cluster/bus.h"
#include "cluster/directory.h"
#include "cluster/labels.h"
#include "cluster/shared.h"
#include "engine/reader.h"

enum { REFUSED_MAX = 8, UNREAD_MAX = 1 << 20 /* unread samples above which the worker must wait */ };

typedef struct gateway gateway;

typedef enum call_state { CALL_WAITING = 0, CALL_SENT } call_state; /* the states of an utterance until it ends */

/* An utterance of a gateway. */
typedef struct call {
    ishow_engine_head head;
    int references;   /* atomic: of the caller, of the list, of the thread while it handles the utterance */
    gateway *gateway; /* counted */
    struct call *next, *previous;
    uint64_t number;
    json_t *request; /* owned, like the next; constant */
    char *voice;
    json_t *shared;   /* the entry of a voice created over HTTP; voice is then NULL */
    uint64_t lexicon; /* the revision of the pronunciations with which the text is read */
    double work, deadline;
    /* under the gateway's lock */
    reader reader;
    call_state state;
    /* the worker that synthesises it */
    char worker[WIRE_ID + 1];
    uint64_t attempt;
    double share;        /* this worker's share of `work` */
    double progress;     /* progress of that share, 0..1 */
    double sent, heard;  /* times of sending the request and of the last message of this attempt; heard 0: none yet */
    double acknowledged; /* time of the last acknowledgement */
    uint64_t seq;        /* the last message that was received in order */
    uint64_t acked;      /* the last that was acknowledged */
    int ack_due;
    int accepted; /* by any worker: from then on it is not refused */
    double since; /* when it began to wait for a worker; 0: it does not wait */
    char refused[REFUSED_MAX][WIRE_ID + 1];
    size_t n_refused;
    double retry; /* when these workers may be chosen again */
    ishow_error refusal;
    /* received speech */
    ishow_buffer piece; /* fragments of a piece that is not complete */
    size_t given;       /* samples of all complete pieces */
    size_t part;        /* position at which another worker would continue */
    uint64_t plan;
    float *tail;
    size_t n_tail;
} call;

typedef struct question { /* a question for a worker's text front end */
    struct question *next;
    uint64_t number;
    char *json;
    ishow_error error;
    int done;
} question;

struct gateway {
    ishow_engine_head head;
    int references; /* atomic: its own, and each utterance's */
    bus *bus;
    char id[WIRE_ID + 1];
    char *name;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int dirty, stopping, was_connected;
    wire_events events;
    wire_events outbox; /* subject, NUL, message */
    directory directory;
    call *living, *newest;
    size_t n_living;
    uint64_t numbers;
    ishow_engine_stats stats;
    uint64_t dispatched, moved, refused; /* attempts; those of utterances that another worker had begun; refused ones */
    /* what machines share: sharing.c */
    pthread_mutex_t bucket_lock; /* guards opening the bucket */
    bucket *bucket;
    pthread_t sharer;
    int shares; /* the thread runs */
    pthread_cond_t shared_changed;
    json_t *shared;                   /* id: entry of a voice */
    uint64_t lexicon;                 /* revision of the pronunciations */
    json_t *new_voices, *new_lexicon; /* changes of voices and of pronunciations that are not written yet */
    uint64_t asked, written;          /* numbers of changes */
    ishow_error share_error;          /* of the last exchange with the bucket */
    json_t *obsolete; /* used by the thread only: replaced versions, each with its time and number of samples */
    question *questions;
    uint64_t n_questions;
    json_t *gateways; /* by id: the last message and its time (other_gateways.c) */
    double beat_at;   /* time of the last message to them */
    void (*leave)(void *self);
    void *leave_self;
};

/* outbox.c */
void gateway_post(gateway *g, const char *id, json_t *head, const void *bytes, size_t n); /* lock held; takes head */
void gateway_publish(gateway *g, const char *subject, json_t *head, const void *bytes, size_t n); /* likewise */
void gateway_release(gateway *g);

/* other_gateways.c: the other gateways, with the lock */
void gateways_send_beat(gateway *g, double now, const char *state); /* "ready", "leaving", "gone" */
void gateways_take_beat(gateway *g, const json_t *beat, double now);
void gateways_forget_silent(gateway *g, double now);
json_t *gateways_list(const gateway *g, double now);
/* Asks the gateways with this name or id to leave; returns their number. */
size_t gateways_send_away(gateway *g, const char *name);

/* call.c: the functions of an utterance. The lock is held where nothing else is said. */
ishow_status call_submit(ishow_engine *engine, const ishow_request *request, void (*notify)(void *user), void *user,
                         ishow_utterance **out, ishow_error *error); /* without the lock, like the next five */
ishow_status call_next(ishow_utterance *utterance, double timeout, const float **samples, size_t *n,
                       ishow_error *error);
void call_cancel(ishow_utterance *utterance);
void call_timings(ishow_utterance *utterance, ishow_timings *out);
double call_progress(ishow_utterance *utterance);
void call_words(ishow_utterance *utterance, const ishow_word **words, size_t *n);
void call_free(ishow_utterance *utterance);
void call_reference(call *u);
void call_release(call *u);
void call_push(call *u, piece *p);                                               /* releases the lock meanwhile */
void call_end(gateway *g, call *u, ishow_status status, const ishow_error *why); /* likewise */

/* sharing.c: functions of an engine, which take the lock, and what other files need, with the lock */
ishow_status sharing_open(gateway *g, ishow_error *error); /* without the lock, like the next */
void sharing_close(gateway *g);
ishow_status sharing_prepare(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                             ishow_error *error);
void sharing_install(ishow_engine *engine, ishow_prepared_voice *prepared);
void sharing_discard(ishow_prepared_voice *prepared);
ishow_status sharing_remove(ishow_engine *engine, const char *id, ishow_error *error);
ishow_status sharing_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                  ishow_error *error);
ishow_status sharing_reading(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error);
json_t *sharing_voices(const gateway *g); /* of workers, and shared ones */
void sharing_answer(gateway *g, const json_t *head);

/* dispatch.c: assigning utterances to workers, and their messages */
void dispatch_event(gateway *g, const json_t *head, const unsigned char *bytes, size_t n);
void dispatch_sweep(gateway *g, double now);

#endif
