/* The messages between gateways and workers.
 *
 * A message is a u32, little-endian: the length of a JSON object; that object, the head; and bytes (float32 samples,
 * little-endian). Subjects contain the major version of the protocol; builds with different ones do not receive each
 * other's messages:
 * - ishow.v1.workers: "beat", from each worker, twice a second and when its number of utterances has changed: its
 *   identity, model, voices and outstanding work
 * - ishow.v1.gateways: "gateway", from each gateway, twice a second: its identity
 * - ishow.v1.to.ID: to one worker or one gateway; ids are drawn at each start
 *
 * An utterance is identified by its gateway's id and a number. A gateway may assign it to another worker: that is its
 * next attempt, and messages of an earlier attempt are ignored.
 * - speak, to a worker: the request, its work, and the position to continue from with its tail; the shared data that it
 *   needs (shared.h): "shared", the entry of a voice, and "lexicon", a revision. Repeated until the worker responds
 * - piece, to the gateway: samples, in messages counted by `seq`; the last message of a piece also has the position
 *   behind it, that position's tail behind the samples, and the words of the piece
 * - end, to the gateway, counted likewise: the result
 * - alive, to the gateway: nothing new, with the progress
 * - ack, to the worker: everything up to `seq` has arrived, and more may be sent; repeated while nothing arrives. With
 *   `held`, later messages have arrived too, wait for their reader and are not to be repeated
 * - cancel, to the worker
 * - leave, to a worker or a gateway: refuse what is new, finish the rest, exit
 * - ask, to a worker: a question for its text front end ("verb" and "json"), or how a request is read ("request");
 *   identified by "number"
 * - answer, to the gateway: "json" or "error"
 *
 * A worker keeps the messages that are not acknowledged, up to a window, and repeats them after a timeout. So a message
 * that is lost with its connection only costs time. */
#ifndef ISHOW_CLUSTER_WIRE_H
#define ISHOW_CLUSTER_WIRE_H

#include <jansson.h>
#include <pthread.h>

#include "base/buffer.h"
#include "engine/kind.h"

#define WIRE_WORKERS  "ishow.v1.workers"
#define WIRE_GATEWAYS "ishow.v1.gateways"
#define WIRE_CHAT     "ishow.v1.chat"
#define WIRE_CHATS    "ishow.v1.chats"
#define WIRE_TO       "ishow.v1.to."

#define WIRE_CHAT_MAIN "main" /* the only chat of builds that have one */

/* The minor version of the protocol, in every beat; builds with different ones work together. 1, or none: without
 * shared voices and pronunciations, and without questions. WIRE_OLDEST is the lowest version that this build works
 * with; it is in the beats too, so that an older build can tell that it is too old. */
enum { WIRE_PROTOCOL = 2, WIRE_SHARES = 2, WIRE_OLDEST = 1 };

enum { WIRE_ID = 16, WIRE_SUBJECT = 64 };

/* Seconds */
static const double WIRE_BEAT = 0.5;    /* between two beats of a worker, and two "alive" of an utterance */
static const double WIRE_NEWS = 0.02;   /* between two beats of a worker whose number of utterances has changed */
static const double WIRE_SILENCE = 2;   /* without a message, after which a worker counts as gone */
static const double WIRE_AGAIN = 1;     /* after which a message that is not acknowledged is repeated */
static const double WIRE_PATIENCE = 15; /* without a message, after which a gateway counts as gone */

void wire_draw_id(char id[WIRE_ID + 1]);
void wire_subject(char out[WIRE_SUBJECT], const char *id);

/* Takes head over; NULL head or no memory: out->failed. */
void wire_write(ishow_buffer *out, json_t *head, const void *bytes, size_t n);
/* NULL: not a message. *bytes is borrowed from data and need not be aligned. */
json_t *wire_read(const void *data, size_t n, const unsigned char **bytes, size_t *n_bytes);

const char *wire_text(const json_t *head, const char *key); /* "" where there is none */
double wire_number(const json_t *head, const char *key);    /* 0 */
uint64_t wire_whole(const json_t *head, const char *key);   /* 0; any u64 */
json_t *wire_u64(uint64_t value);

/* All of a request but its `from`, by the tables of engine/field.h. NULL: no memory. */
json_t *wire_request(const ishow_request *request);
void wire_read_request(const json_t *from, ishow_request *out); /* strings are borrowed from it */

json_t *wire_error(const ishow_error *error);
void wire_read_error(const json_t *from, ishow_error *out);
json_t *wire_timings(const ishow_timings *timings);
void wire_read_timings(const json_t *from, ishow_timings *out);
json_t *wire_model(const ishow_model_info *info);
void wire_read_model(const json_t *from, ishow_model_info *out);

/* The words of a piece that begins `before` seconds after the start of the speech: an array with WIRE_WORD numbers for
 * each word; their times count from the start of the piece. */
enum { WIRE_WORD = 4 };
json_t *wire_words(const ishow_word *words, size_t n, double before);
size_t wire_count_words(const json_t *from); /* 0 for NULL */
void wire_read_words(const json_t *from, double before, ishow_word *out);

/* Messages that wait for a thread of ours. */
typedef struct wire_event {
    struct wire_event *next;
    size_t n;
    unsigned char data[];
} wire_event;
typedef struct wire_events {
    wire_event *first, **last;
} wire_events;
typedef struct wire_inbox { /* borrowed; the thread waits for `changed` */
    wire_events *events;
    pthread_mutex_t *lock;
    pthread_cond_t *changed;
} wire_inbox;
void wire_deliver(wire_inbox to, const void *data, size_t n); /* copies, and signals; dropped without memory */
/* Appends a message with its subject in front, for bus_publish_all. Takes head; dropped without memory. Under the
 * caller's lock. */
void wire_post(wire_events *outbox, const char *subject, json_t *head, const void *bytes, size_t n);
wire_event *wire_take(wire_events *events); /* all of them, in order; free() each */
void wire_drop(wire_events *events);        /* frees them */

#endif
