/* A gateway's outgoing messages, and the reference count with which its utterances keep it. */
#include <stdlib.h>
#include <string.h>

#include "cluster/gateway.h"

void gateway_publish(gateway *g, const char *subject, json_t *head, const void *bytes, size_t n) {
    wire_post(&g->outbox, subject, head, bytes, n);
}

void gateway_post(gateway *g, const char *id, json_t *head, const void *bytes, size_t n) {
    char subject[WIRE_SUBJECT];
    wire_subject(subject, id);
    gateway_publish(g, subject, head, bytes, n);
}

void gateway_release(gateway *g) {
    if (__atomic_sub_fetch(&g->references, 1, __ATOMIC_ACQ_REL)) return;
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}
