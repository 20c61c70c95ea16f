/* Requests for speech: the JSON that a client sent, checked, in the three shapes in which it may come. A function that returns 0 has set the fault, naming field, limit and value.
 *
 * Each shape is a table of fields; what checks them, what a message says of their limits and what openapi.json says of them are read off the same table. */
#ifndef ISHOW_SERVICE_SPEECH_H
#define ISHOW_SERVICE_SPEECH_H

#include <jansson.h>

#include "engine/engine.h"
#include "service/error_response.h"

enum { ID_MAX = 64 /* characters of the id of a request or a voice */ };

/* A checked request; strings belong to `json`. */
typedef struct speech {
    ishow_request request;
    int format;               /* ishow_format; -1: none was named */
    int sample_rate;          /* Hz, of the answer; 0: the model's */
    int solver, engine;       /* by number in the field's choices; solver is request's too */
    int events;               /* OpenAI's: 1: stream_format sse */
    const char *model, *instructions; /* OpenAI's; instructions are not followed */
    json_t *json;
} speech;

typedef enum speech_kind {
    SPEECH_STRING,  /* const char *: of least to most characters; most 0: of any length */
    SPEECH_ID,      /* the same, or an object whose only field is an `id` like this */
    SPEECH_NUMBER,  /* double, least to most */
    SPEECH_WHOLE,   /* int, least to most */
    SPEECH_BOOLEAN, /* int */
    SPEECH_SEED,    /* 0 to 2^64 - 1, also as digits in a string */
    SPEECH_CHOICE,  /* int: the number of the word among `choice` */
    SPEECH_RATE     /* int: one of `rates` */
} speech_kind;

typedef struct speech_field {
    const char *name, *own;           /* own: its name in /api/tts; what is only OpenAI's keeps its own */
    speech_kind kind;
    int needed;                       /* 0: null is the same as leaving it out */
    size_t at;                        /* offset in speech */
    double least, most;
    const char *(*choice)(int number); /* NULL past the last */
    const int *rates;                 /* ends with 0 */
} speech_field;

typedef struct speech_form { const speech_field *fields; size_t n; } speech_form;
extern const speech_form speech_own;    /* POST /api/tts, /api/tts/stream */
extern const speech_form speech_openai; /* POST /v1/audio/speech */

/* What the fields may be, as a JSON Schema: {"type": "object", "properties": ...}. */
void speech_schema(const speech_form *form, bytes *out);

/* A body. speech_free in any case; defaults: what fields that are left out are. */
int speech_parse(const char *body, size_t n, const ishow_request *defaults, speech *out, fault *f);

/* A body in OpenAI's words. model: the loaded one's name; 404 for others but OpenAI's own, which mean it too. */
int speech_parse_openai(const char *body, size_t n, const ishow_request *defaults, const char *model, speech *out, fault *f);
void speech_rename(fault *f); /* the field at fault, as OpenAI calls it */

/* A message of GET /api/tts/ws: a request with a request_id, or {"cancel": request_id}. */
typedef struct speech_message {
    char id[ID_MAX + 1]; /* "": it could not be read; also set where the rest is at fault */
    int cancels;         /* the speech with this id is to end, and `said` is empty */
    speech said;
} speech_message;
int speech_parse_message(const char *body, size_t n, const ishow_request *defaults, speech_message *out, fault *f); /* speech_free(&out->said) in any case */

void speech_free(speech *s);

int good_id(const char *id); /* of a request: 1 to ID_MAX of A-Z a-z 0-9 . _ - */

#endif
