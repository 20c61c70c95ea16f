/* Tables of fields: the fields of a request for speech and the sizes of an engine, each defined once.
 *
 * Everything that has these fields reads its table: defaults and range checks (here), JSON over HTTP and its schema
 * (service/speech.h), the configuration and its reload (service/settings.h, service/config_diff.h), the keyword
 * arguments of Python (pyext/_engine.c), and through ishowtts._engine.REQUEST_FIELDS and ENGINE_FIELDS the checks of
 * the configuration file, the command line, the axes of a sweep and openapi.json. Tables are constant and may be read
 * by any thread. */
#ifndef ISHOW_ENGINE_FIELD_H
#define ISHOW_ENGINE_FIELD_H

#include "engine/engine.h"

typedef enum ishow_field_kind {
    ISHOW_FIELD_NUMBER,  /* double, least to most */
    ISHOW_FIELD_WHOLE,   /* int, least to most */
    ISHOW_FIELD_SIZE,    /* size_t, least to most */
    ISHOW_FIELD_BOOLEAN, /* int, 0 or 1 */
    ISHOW_FIELD_CHOICE,  /* enum or int: index of the word in `choice` */
    ISHOW_FIELD_SEED,    /* ishow_request.seed: 0 to 2^64 - 1, also as digits in a string; random when not given */
    /* Fields of a request over HTTP that are not settings of the engine: */
    ISHOW_FIELD_STRING, /* const char *, least to most characters; most 0: of any length */
    ISHOW_FIELD_ID,     /* the same, or an object whose only member is such an `id` */
    ISHOW_FIELD_RATE,   /* int: one of `rates` */
    ISHOW_FIELD_RENAMED /* the field named `option`, under another name */
} ishow_field_kind;

typedef struct ishow_field {
    const char *name;     /* in a request over HTTP, and in errors */
    const char *option;   /* keyword in Python, option of the command line, axis of a sweep. Two fields with the same
                             option are the first and second element of its pair */
    const char *setting;  /* key in the configuration's section; NULL: only a request sets it */
    const char *negation; /* command-line option that switches a boolean off; NULL: its option switches it on */
    ishow_field_kind kind;
    int needed;                        /* 1: required in a request */
    int restart;                       /* 1: a change needs a restart */
    size_t at;                         /* offset in the struct that the table describes */
    double least, most, initial;       /* initial: the default, as a number */
    const char *(*choice)(int number); /* NULL past the last word */
    const int *rates;                  /* ends with 0 */
    const char *help;                  /* begins with a small letter, ends without a full stop */
} ishow_field;

typedef struct ishow_fields {
    const ishow_field *rows;
    size_t n;
} ishow_fields;

ISHOW_API extern const ishow_fields
    ishow_request_fields; /* of ishow_request. Rows with a setting are the section [sampling] */
ISHOW_API extern const ishow_fields
    ishow_feed_fields; /* also of ishow_request: further fields of a text that arrives in pieces */
ISHOW_API extern const ishow_fields
    ishow_engine_fields; /* of ishow_engine_options: the section [engine]; name, option and setting are the same */

/* The value, as a number, of a field of a kind up to ISHOW_FIELD_CHOICE in the struct `of`. */
ISHOW_API double ishow_field_get(const ishow_field *field, const void *of);
ISHOW_API void ishow_field_set(const ishow_field *field, void *of, double value);

ISHOW_API int ishow_field_find_choice(const ishow_field *field, const char *word); /* index of a word; -1: unknown */

/* Sets every field that has a default. */
void ishow_fields_default(const ishow_fields *fields, void *of);

/* EINVAL with the field, its limits and the number when the number is not a valid value. */
ISHOW_API ishow_status ishow_field_check(const ishow_field *field, double value, ishow_error *error);

/* EINVAL names the first field that is out of range, its limits and the value. */
ishow_status ishow_fields_check(const ishow_fields *fields, const void *of, ishow_error *error);

#endif
