/* Shared by the files of a worker. */
#ifndef ISHOW_CLUSTER_WORKER_H
#define ISHOW_CLUSTER_WORKER_H

#include <pthread.h>

#include "base/base.h"
#include "cluster/bus.h"
#include "cluster/shared.h"
#include "cluster/wire.h"

typedef struct parcel { /* a message that is not acknowledged yet */
    struct parcel *next;
    uint64_t seq;
    ishow_buffer message;
} parcel;

typedef struct task {
    struct task *next;
    char gateway[WIRE_ID + 1];
    uint64_t number, attempt, seq;
    double work;
    ishow_utterance *utterance;
    const float *samples; /* of the piece that is being sent, borrowed from utterance */
    size_t n, at;
    size_t given; /* samples of the pieces before it */
    parcel *first, **last;
    size_t waiting; /* bytes of all parcels */
    double heard, sent,
        shown_alive; /* times of the last message received, of the last one sent, and of the last "alive" */
    int ended;       /* the end has been sent */
    int gone;        /* to be freed */
} task;

struct ishow_worker {
    ishow_engine *engine;
    bus *bus;
    loader *loader;
    char id[WIRE_ID + 1];
    char *name;
    json_t *labels;
    void (*leave)(void *self);
    void *leave_self;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int dirty, stopping, draining;                  /* under lock, like the next two */
    wire_events events, loaded;                     /* loaded: requests that waited for the loader */
    size_t living;                                  /* tasks */
    uint64_t taken, refused, resumed, bytes, again; /* under lock */
    /* used by the thread only */
    task *tasks;
    double beat_at;
    size_t beat_tasks;                         /* at the last beat */
    double finished, done_before, busy_before; /* work; seconds */
    double recent_work, recent_busy;
};

/* Answers an "ask"; any thread. */
void worker_answer(ishow_worker *w, const json_t *head);

/* Publishes a beat; state: "ready", "leaving", "gone". The worker's thread. */
void worker_beat(ishow_worker *w, const char *state);

#endif
