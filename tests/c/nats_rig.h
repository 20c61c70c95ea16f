/* A real nats-server on a free port, for tests of the cluster. */
#ifndef NATS_RIG_H
#define NATS_RIG_H

#include <sys/types.h>

typedef struct nats_rig {
    pid_t pid;
    int port;
    int jetstream; /* set before nats_start: it has JetStream, in `folder` */
    char url[64], folder[64];
} nats_rig;

void nats_start(nats_rig *r);  /* on r->port, 0: any free one; returns when the server answers */
void nats_kill(nats_rig *r);   /* SIGKILL; the folder stays */
void nats_remove(nats_rig *r); /* and removes the folder */

#endif
