/* Requests for speech: a client's JSON, checked, in its three forms. A function that returns 0 has set the fault, which
 * names field, limit and value.
 *
 * Each form is made of tables of fields (engine/field.h), from which the checks, their messages and openapi.json are
 * derived. */
#ifndef ISHOW_SERVICE_SPEECH_H
#define ISHOW_SERVICE_SPEECH_H

#include <jansson.h>

#include "engine/field.h"
#include "service/error_response.h"

enum { ID_MAX = 64 /* characters of a request's or a voice's id */ };

/* A checked request; its strings are owned by `json`. */
typedef struct speech {
    ishow_request request;
    int format;                  /* ishow_format; -1: not given */
    int sample_rate;             /* Hz, of the audio sent; 0: the model's */
    int engine;                  /* index in the field's choices */
    int events;                  /* OpenAI's: 1: stream_format sse */
    const char *model, *ignored; /* OpenAI's; all fields that are accepted and ignored share `ignored` */
    int ignored_switch;
    const char
        *set_text;   /* of a text that comes in pieces: replaces the part that has not been begun; NULL: not given */
    int flush, more; /* flush: the text received so far is spoken now; more: more pieces follow */
    json_t *json;
} speech;

/* A form of request: its fields, in parts that follow one another; a part may be NULL. A field's offset is within
 * `speech`, whose first member is the ishow_request that the engine's own table describes. */
enum { SPEECH_PARTS = 5 };
typedef struct speech_form {
    const ishow_fields *parts[SPEECH_PARTS];
} speech_form;
ISHOW_API extern const speech_form
    ishow_speech_own; /* POST /api/tts, /api/tts/stream: text, voice, ishow_request_fields, and the response's format */
ISHOW_API extern const speech_form
    ishow_speech_written; /* messages of /api/tts/ws: the same, and the fields of a text that comes in pieces */
ISHOW_API extern const speech_form
    ishow_speech_openai; /* POST /v1/audio/speech; a row's `option` is the field's name in /api/tts, NULL: none */
ISHOW_API extern const speech_form ishow_speech_openai_begun,
    ishow_speech_openai_piece; /* lines of a body of the same, whose text comes in pieces: the first and the others */

ISHOW_API const ishow_field *ishow_speech_field_at(const speech_form *form, size_t i); /* NULL past the last */

/* The field that defines a row's values: the row itself or, for the kind ISHOW_FIELD_RENAMED, the field of /api/tts. */
ISHOW_API const ishow_field *ishow_speech_meaning(const ishow_field *row);

/* Writes the form as a JSON Schema: {"type": "object", "properties": ...}. */
ISHOW_API void ishow_speech_schema(const speech_form *form, ishow_buffer *out);

/* Parses a body. Call ishow_speech_free in any case. defaults: values of fields that are not given. */
ISHOW_API int ishow_speech_parse(const speech_form *form, const char *body, size_t n, const ishow_request *defaults,
                                 speech *out, fault *f);

/* Its two steps: bytes to a JSON object (NULL: fault set), and the object's fields. read takes root, also on
 * failure. */
json_t *ishow_speech_object(const char *body, size_t n, fault *f);
int ishow_speech_read(json_t *root, const speech_form *form, const ishow_request *defaults, speech *out, fault *f);

/* Parses a body of OpenAI's API. model: name of the loaded model; 404 for other names, except OpenAI's own, which mean
 * the loaded one. */
ISHOW_API int ishow_speech_parse_openai(const char *body, size_t n, const ishow_request *defaults, const char *model,
                                        speech *out, fault *f);
/* The same for a line of a body whose text comes in pieces: the first one is a request whose input may be missing, the
 * others have input and flush alone. `more` is set in each. */
ISHOW_API int ishow_speech_parse_openai_line(const char *line, size_t n, int first, const ishow_request *defaults,
                                             const char *model, speech *out, fault *f);
ISHOW_API void ishow_speech_rename(fault *f); /* renames the fault's field to OpenAI's name */

/* A message on GET /api/tts/ws: a request or a piece of one with a request_id, or {"cancel": request_id}. */
typedef struct speech_message {
    char id[ID_MAX + 1]; /* "": it could not be read; set also when another field is at fault */
    int cancels;         /* 1: a cancel message; `said` is empty */
    int piece;           /* 1: it has no fields but text, set_text, flush, more, so it may continue a running request */
    speech said;
} speech_message;
ISHOW_API int ishow_speech_parse_message(const char *body, size_t n, const ishow_request *defaults, speech_message *out,
                                         fault *f); /* call ishow_speech_free(&out->said) in any case */

/* Checks that a message can begin a request; 0: fault set. One with `more` is open from then on. */
ISHOW_API int ishow_speech_check_start(speech_message *m, fault *f);

/* Applies a piece to its running utterance. *kept: as of ishow_speak_set_text. 0: fault set, and `text` was not taken;
 * status 429: there is no room for it yet. */
ISHOW_API int ishow_speech_continue(ishow_utterance *utterance, const speech *said, size_t *kept, fault *f);

/* The same from "name=value" strings ended by NULL, as of ishow_tts_speak. open: the text comes in pieces, as of
 * ishow_speak_begin. EINVAL with the field; call ishow_speech_free in any case. */
ishow_status ishow_speech_from_settings(const char *text, int open, const char *const *settings,
                                        const ishow_request *defaults, speech *out, ishow_error *error);

ISHOW_API void ishow_speech_free(speech *s);

ISHOW_API int ishow_id_is_valid(const char *id); /* of a request: 1 to ID_MAX of A-Z a-z 0-9 . _ - */

#endif
