/* Workers on the fake model, and gateways, for tests of the cluster. Any error fails the test. */
#ifndef CLUSTER_RIG_H
#define CLUSTER_RIG_H

#include "cluster/cluster.h"
#include "engine_rig.h"

typedef struct speaker { /* an engine in this process, with the voice "anna", and its worker */
    fake_model model;
    fake_text text;
    ishow_engine *engine;
    ishow_worker *worker;
    int asked_to_leave; /* atomic: the worker is to leave */
} speaker;

typedef struct speaker_kind {
    const char *name;
    int slow_us;             /* duration of a step of the model */
    size_t queue;            /* capacity, 0: 64 */
    const char *site, *hash; /* value of the label "site", and hash of the model. NULL: no label, the usual hash */
} speaker_kind;

/* url NULL: an engine without a worker. */
void speaker_make(speaker *s, const char *url, speaker_kind kind);
void speaker_end(speaker *s);

/* site: value of the label "site" that its workers must have, NULL: any. */
ishow_engine *gateway_make(const char *url, const char *name, const char *site);
/* 1: the status of the cluster contains these words; `wait`: waits until it does. */
int cluster_shows(ishow_engine *gateway, const char *words, int wait);
/* The number behind this name in the Prometheus text of a gateway, and of a worker. */
double gateway_metric(ishow_engine *gateway, const char *name);
double worker_metric(ishow_worker *worker, const char *name);

ishow_request cluster_request(const char *text); /* defaults, seed 7, early audio */
ishow_utterance *cluster_submit(ishow_engine *e, const char *text);
ishow_status cluster_read(ishow_utterance *u, ishow_error *error); /* to the end */

extern const char *const CLUSTER_TEXT; /* six sentences */

#endif
