/* Requests for speech: the JSON that a client sent, checked, in the three shapes in which it may come. A function that
 * returns 0 has set the fault, naming field, limit and value.
 *
 * Each shape is made of tables of fields (engine/field.h); what checks them, what a message says of their limits and
 * what openapi.json says of them are read off the same tables. */
#ifndef ISHOW_SERVICE_SPEECH_H
#define ISHOW_SERVICE_SPEECH_H

#include <jansson.h>

#include "engine/field.h"
#include "service/error_response.h"

enum { ID_MAX = 64 /* characters of the id of a request or a voice */ };

/* A checked request; strings belong to `json`. */
typedef struct speech {
    ishow_request request;
    int format;                  /* ishow_format; -1: none was named */
    int sample_rate;             /* Hz, of the answer; 0: the model's */
    int engine;                  /* by number in the field's choices */
    int events;                  /* OpenAI's: 1: stream_format sse */
    const char *model, *ignored; /* OpenAI's; what is accepted and not used shares a place */
    int ignored_switch;
    json_t *json;
} speech;

/* A shape: its fields, in parts that follow one another; a part may be NULL. A field's offset is one in `speech`, whose
 * first member is the ishow_request that the engine's own table describes. */
enum { SPEECH_PARTS = 3 };
typedef struct speech_form {
    const ishow_fields *parts[SPEECH_PARTS];
} speech_form;
ISHOW_API extern const speech_form
    ishow_speech_own; /* POST /api/tts, /api/tts/stream: text and voice, ishow_request_fields, the answer */
ISHOW_API extern const speech_form ishow_speech_openai; /* POST /v1/audio/speech; `option` of a row is its name in
                                                           /api/tts, NULL where it has none there */

ISHOW_API const ishow_field *ishow_speech_field_at(const speech_form *form, size_t i); /* NULL past the last */

/* The field that says what a row may be: itself, or for a row of the kind ISHOW_FIELD_RENAMED the one of /api/tts. */
ISHOW_API const ishow_field *ishow_speech_meaning(const ishow_field *row);

/* What the fields may be, as a JSON Schema: {"type": "object", "properties": ...}. */
ISHOW_API void ishow_speech_schema(const speech_form *form, ishow_buffer *out);

/* A body. ishow_speech_free in any case; defaults: what fields that are left out are. */
ISHOW_API int ishow_speech_parse(const speech_form *form, const char *body, size_t n, const ishow_request *defaults,
                                 speech *out, fault *f);

/* A body in OpenAI's words. model: the loaded one's name; 404 for others but OpenAI's own, which mean it too. */
ISHOW_API int ishow_speech_parse_openai(const char *body, size_t n, const ishow_request *defaults, const char *model,
                                        speech *out, fault *f);
ISHOW_API void ishow_speech_rename(fault *f); /* the field at fault, as OpenAI calls it */

/* A message of GET /api/tts/ws: a request with a request_id, or {"cancel": request_id}. */
typedef struct speech_message {
    char id[ID_MAX + 1]; /* "": it could not be read; also set where the rest is at fault */
    int cancels;         /* the speech with this id is to end, and `said` is empty */
    speech said;
} speech_message;
ISHOW_API int ishow_speech_parse_message(const char *body, size_t n, const ishow_request *defaults, speech_message *out,
                                         fault *f); /* ishow_speech_free(&out->said) in any case */

/* The same from "name=value" texts ended by NULL, as of ishow_tts_speak. EINVAL with the field; ishow_speech_free in
 * any case. */
ishow_status ishow_speech_from_settings(const char *text, const char *const *settings, const ishow_request *defaults,
                                        speech *out, ishow_error *error);

ISHOW_API void ishow_speech_free(speech *s);

ISHOW_API int ishow_id_is_valid(const char *id); /* of a request: 1 to ID_MAX of A-Z a-z 0-9 . _ - */

#endif
