/* What gateways and workers send each other.
 *
 * A message is a u32, little-endian, the length of a JSON object; that object, the head; and bytes (float32 samples,
 * little-endian). Subjects carry the version of all this, so that builds with different ones do not hear each other:
 * - ishow.v1.workers: from each worker, twice a second and when utterances come or go: who it is, its model, voices and
 *   work ("beat")
 * - ishow.v1.gateways: from each gateway, twice a second: who it is ("gateway")
 * - ishow.v1.to.ID: to one worker or one gateway; ids are drawn at each start
 *
 * An utterance is named by its gateway's id and a number. A gateway may begin it again at another worker: that is its
 * next attempt, and whatever belongs to an earlier one is ignored.
 * - speak, to a worker: the request, its work, and the place to go on from with its tail; what it needs of what
 *   machines share (shared.h): "shared", the entry of a voice, and "lexicon", a revision. Sent again until the worker
 *   says something of it
 * - piece, to the gateway: samples, in messages counted by `seq`; the last of a piece has the place after it, that
 *   place's tail behind the samples, and its words
 * - end, to the gateway, counted likewise: how it ended
 * - alive, to the gateway: nothing new, and how far it is
 * - ack, to the worker: all up to `seq` has arrived and may be followed; sent again while nothing comes. With `held`
 *   what came after waits for its reader and is not to be sent again
 * - cancel, to the worker
 * - leave, to a worker or a gateway: finish and leave
 * - ask, to a worker: a question for its text front end ("verb" and "json"), or how a request is read ("request");
 *   "number" names it
 * - answer, to the gateway: "json" or "error"
 *
 * A worker keeps what is not acknowledged, at most a window of it, and sends it again after a while. So a message that
 * is lost with its connection costs time and nothing else. */
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

#define WIRE_CHAT_MAIN "main" /* the chat that builds with one chat have */

/* What a build knows of this, told in its beats; builds with different numbers work together. 1, or no number: no
 * shared voices and pronunciations, and no questions. WIRE_OLDEST is the least that this build works with: also told,
 * so that an older build knows that it is too old. */
enum { WIRE_PROTOCOL = 2, WIRE_SHARES = 2, WIRE_OLDEST = 1 };

enum { WIRE_ID = 16, WIRE_SUBJECT = 64 };

static const double WIRE_NEWS = 0.02;   /* the same when its number of utterances has changed */
static const double WIRE_BEAT = 0.5;    /* seconds between two beats of a worker, and two "alive" of an utterance */
static const double WIRE_SILENCE = 2;   /* of silence after which a worker is gone */
static const double WIRE_AGAIN = 1;     /* after which what is not acknowledged is sent again */
static const double WIRE_PATIENCE = 15; /* of silence after which a gateway is gone */

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

/* The words of a piece that begins `before` seconds after the speech does: numbers, WIRE_WORD for each word, in which
 * times count from the piece. */
enum { WIRE_WORD = 4 };
json_t *wire_words(const ishow_word *words, size_t n, double before);
size_t wire_count_words(const json_t *from); /* 0 for NULL */
void wire_read_words(const json_t *from, double before, ishow_word *out);

/* A message on its way to a thread of ours. */
typedef struct wire_event {
    struct wire_event *next;
    size_t n;
    unsigned char data[];
} wire_event;
typedef struct wire_events {
    wire_event *first, **last;
} wire_events;
int wire_push(wire_events *events, const void *data, size_t n); /* copies; 0: no memory. Under the caller's lock */
/* Appends a message with its subject in front, for bus_publish later. Takes head; dropped without memory. Under the
 * caller's lock. */
void wire_post(wire_events *outbox, const char *subject, json_t *head, const void *bytes, size_t n);
wire_event *wire_take(wire_events *events); /* all of them, in order; free() each */
void wire_drop(wire_events *events);        /* frees them */

#endif
