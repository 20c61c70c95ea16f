/* Shared by the files of a chat group. A room is one of the chats that gateways share, as one gateway sees it.
 *
 * The group's lock guards what several threads use. The group's thread is the only one that takes and gives back
 * leases, publishes, and subscribes; all else of a room is its own. */
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
    int leads, wanted;                         /* wanted: a listener has come */
    double renewed;                            /* when the lease was written last */
    char leader[WIRE_ID + 1], leader_name[65]; /* "": none is known */
    /* the thread's own */
    uint64_t revision;              /* of the lease */
    double beat_at;                 /* when a gateway said that it leads */
    double seen;                    /* when the lease was another one, or NATS not connected; 0: it was given back */
    double free_at;                 /* since when it could be taken; 0: it cannot */
    double listened;                /* when somebody listened last */
    double joined;                  /* when the leading one was asked for what plays */
    int caught_up;                  /* that has come */
    bus_subscription *subscription; /* NULL: what is published elsewhere is not heard */
    char *sources;                  /* as written last; owned */
} room;

typedef struct fellow { /* another gateway of the group */
    char id[WIRE_ID + 1];
    int ready;
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
    bucket *bucket; /* the thread's own, like the next eight */
    fellow *fellows;
    size_t n_fellows;
    double looked, renewed, handed, heard;
    room *handing; /* is to be led by another one as soon as no clip plays */
    room *rooms;
    size_t n_rooms;
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

/* rooms.c; with the lock, on any thread. Takes head. */
void group_post(chat_group *g, const char *subject, json_t *head, const void *bytes, size_t n);
void group_send(chat_group *g);                      /* the thread: publishes what was posted */
room *group_room(chat_group *g, const json_t *head); /* of its "chat"; NULL: not one of these */
int room_leads(room *r);

/* leases.c: the thread's */
void leases_look(chat_group *g);
void leases_hear(chat_group *g, const json_t *beat);
void leases_give_back(chat_group *g); /* before the thread ends */

/* hearing.c: what is published elsewhere; the thread's */
void hearing_look(chat_group *g, int woken); /* woken: a listener has come */
void hearing_continue(room *r);              /* of a chat that this gateway led until now */
void hearing_end(room *r);
void hearing_take(chat_group *g, const json_t *head, const unsigned char *bytes, size_t n);
void hearing_answer(chat_group *g, const json_t *head);             /* a "join" */
void hearing_publish(void *room, const ishow_chat_published *what); /* for ishow_chat_on_publish; any thread */
void hearing_on_event(void *group, const char *subject, const void *data, size_t n);

#endif
