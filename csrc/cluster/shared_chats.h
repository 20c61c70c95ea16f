/* Shared by the files of a chat group. A shared_chat holds what this gateway knows of a chat that gateways share.
 *
 * The group's lock guards what several threads use. Only the group's thread takes and releases leases, publishes and
 * subscribes; everything that the lock does not guard belongs to it. */
#ifndef ISHOW_CLUSTER_SHARED_CHATS_H
#define ISHOW_CLUSTER_SHARED_CHATS_H

#include <pthread.h>

#include "base/base.h"
#include "cluster/bucket.h"
#include "cluster/chat_group.h"
#include "cluster/chat_journal.h"
#include "cluster/wire.h"

enum { CHAT_SUBJECT = 96 }; /* of a subject or a key */

typedef struct shared_chat {
    chat_group *group;
    char name[65], subject[CHAT_SUBJECT], lease_key[CHAT_SUBJECT], sources_key[CHAT_SUBJECT];
    chat_service *service; /* borrowed */
    chat_leader table;
    chat_journal *journal; /* while it leads */
    /* under the lock */
    int leads, wanted;                         /* wanted: a listener has come, and the thread has not seen it yet */
    double renewed;                            /* when the lease was written last */
    char leader[WIRE_ID + 1], leader_name[65]; /* "": none is known */
    /* used by the thread only */
    uint64_t revision;              /* of the lease */
    double beat_at;                 /* time of the last beat in which a gateway leads it */
    double seen;                    /* time at which the lease last changed or NATS was not connected; 0: released */
    double free_at;                 /* time since which the lease could be taken; 0: it cannot */
    double listened;                /* time at which there was a listener last */
    double joined;                  /* time at which the leader was asked for the current state */
    int caught_up;                  /* the state has arrived */
    bus_subscription *subscription; /* to the events of the leader, or NULL */
    char *sources;                  /* as last written to the bucket; owned */
} shared_chat;

typedef struct other_gateway { /* another gateway of the group */
    char id[WIRE_ID + 1];
    int ready; /* a chat may be handed over to it */
    size_t leads;
    double since, heard; /* times of its first and its last beat */
} other_gateway;

typedef struct question {
    struct question *next;
    uint64_t number;
    int status; /* 0: not answered */
    int moved;  /* another gateway leads */
    ishow_buffer *out;
} question;

struct chat_group {
    bus *bus;
    bucket *bucket; /* used by the thread only, like the next eight */
    other_gateway *others;
    size_t n_others;
    double looked, renewed, handed, heard; /* times of the last check and renewal of leases, hand-over, and check for
                                              listeners */
    shared_chat *handing;                  /* is handed over as soon as no clip plays */
    shared_chat *chats;
    size_t n_chats;
    uint64_t names; /* hash of the names of all chats */
    char id[WIRE_ID + 1];
    char *name;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed, answered;
    /* under the lock */
    int stopping, wakes;
    wire_events events, outbox;
    question *questions;
    uint64_t numbers;
};

wire_inbox group_inbox(chat_group *g); /* shared_chats.c, like the next four */
/* With the lock, any thread. Takes head. */
void group_post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n);
void group_send(chat_group *g);                             /* on the group's thread: publishes what was posted */
shared_chat *group_chat(chat_group *g, const json_t *head); /* the chat that "chat" names, or NULL */
int shared_chat_leads(shared_chat *c);

/* leases.c, on the group's thread */
void leases_check(chat_group *g);
void leases_take_beat(chat_group *g, const json_t *beat);
void leases_give_back(chat_group *g); /* before the thread ends */

/* chat_events.c: events of chats that other gateways lead; on the group's thread */
void chat_events_check(chat_group *g, int woken); /* woken: a listener has come */
void chat_events_continue(shared_chat *c);        /* for a chat that this gateway has led until now */
void chat_events_end(shared_chat *c);
void chat_events_take(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n);
void chat_events_answer(chat_group *g, const json_t *head); /* a "join" */
/* For ishow_chat_on_publish, with a shared_chat as its argument; any thread. */
void chat_events_publish(void *self, const ishow_chat_published *what);

#endif
