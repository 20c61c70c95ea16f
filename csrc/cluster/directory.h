/* The workers that send beats, and the choice of one for an utterance. Not thread-safe: the gateway's lock guards
 * it. */
#ifndef ISHOW_CLUSTER_DIRECTORY_H
#define ISHOW_CLUSTER_DIRECTORY_H

#include "cluster/wire.h"

typedef struct peer {
    struct peer *next;
    char id[WIRE_ID + 1];
    json_t *beat; /* the last; owned */
    ishow_model_info model;
    double heard, rate, busy;
    double others; /* its outstanding work for other gateways */
    double mine;   /* and for this one: set by the owner before it chooses */
    int leaving, protocol;
    int understood; /* this build works with its protocol, and it with that of this build */
} peer;

typedef struct directory {
    peer *peers;    /* in order of arrival */
    json_t *wanted; /* labels that a worker must carry; owned */
    int known;      /* model is set */
    ishow_model_info model;
    double busy;   /* seconds that an average worker has been busy, since the first was heard */
    unsigned turn; /* among workers that would finish at the same time, such as idle ones, each is chosen in turn */
} directory;

/* Takes beat. 1: a worker was added or removed. */
int directory_hear(directory *d, json_t *beat, const char *own_id, double now);
int directory_forget(directory *d, double now); /* removes the silent ones; 1: there were some */
peer *directory_find(directory *d, const char *id);

/* Whether the protocol, the model and the labels of a worker suit. */
int directory_suits(const directory *d, const peer *p);
/* "ready", or the first reason why new utterances are not given to it, as the HTTP API names them. */
const char *directory_state(const directory *d, const peer *p);
extern const char *const directory_states[5]; /* all of them */

/* The worker that would finish the speech first: its outstanding work plus `work`, divided by its measured rate, and
 * the time to load a shared voice that it has not loaded. voice: of a worker's own, or NULL; version: of a shared
 * voice, or NULL. protocol: the least that the worker must know. NULL: no suitable worker has the voice and is none of
 * `but`, [n_but]. */
peer *directory_choose(directory *d, const char *voice, const char *version, int protocol, double work,
                       char (*but)[WIRE_ID + 1], size_t n_but);

/* The voice of this id, or the first for NULL, of any suitable worker; borrowed until the next beat. NULL: none. */
const json_t *directory_voice(const directory *d, const char *id);
json_t *directory_voices(const directory *d); /* all of them once, owned by the caller */
void directory_free(directory *d);

#endif
