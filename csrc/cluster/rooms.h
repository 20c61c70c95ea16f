/* Shared by the files of a chat group. A room is what one gateway knows of a shared chat.
 *
 * The group's lock guards what several threads use. Only the group's thread takes and releases leases, publishes and
 * subscribes; everything that the lock does not guard belongs to it. */
#ifndef ISHOW_CLUSTER_ROOMS_H
#define ISHOW_CLUSTER_ROOMS_H

#include <pthread.h>

#include "base/base.h"
#include "cluster/bucket.h"
#include "cluster/chat_group.h"
#include "cluster/chat_journal.h"
#include "cluster/wire.h"

enum { ROOM_PLACE = 96 }; /* of a subject or a key */

typedef struct room {
    chat_group *group;
    char name[65], subject[ROOM_PLACE], lease_key[ROOM_PLACE], sources_key[ROOM_PLACE];
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
} room;

typedef struct fellow { /* another gateway of the group */
    char id[WIRE_ID + 1];
    int ready; /* a chat may be handed over to it */
    size_t leads;
    double since, heard;
} fellow;

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
    fellow *fellows;
    size_t n_fellows;
    double looked, renewed, handed, heard;
    room *handing; /* is handed over as soon as no clip plays */
    room *rooms;
    size_t n_rooms;
    uint64_t names; /* hash of the names of all rooms */
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

wire_inbox group_inbox(chat_group *g); /* rooms.c, like the next four */
/* With the lock, any thread. Takes head. */
void group_post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n);
void group_send(chat_group *g);                      /* on the group's thread: publishes what was posted */
room *group_room(chat_group *g, const json_t *head); /* that "chat" names; NULL: there is none */
int room_leads(room *r);

/* leases.c, on the group's thread */
void leases_look(chat_group *g);
void leases_hear(chat_group *g, const json_t *beat);
void leases_give_back(chat_group *g); /* before the thread ends */

/* hearing.c: events of chats that other gateways lead; on the group's thread */
void hearing_look(chat_group *g, int woken); /* woken: a listener has come */
void hearing_continue(room *r);              /* for a chat that this gateway has led until now */
void hearing_end(room *r);
void hearing_take(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n);
void hearing_answer(chat_group *g, const json_t *head);             /* a "join" */
void hearing_publish(void *room, const ishow_chat_published *what); /* for ishow_chat_on_publish; any thread */

#endif
