/* Reading JSON that clients sent. A function that returns 0 has set the fault, naming field, limit and value. */
#ifndef ISHOW_SERVER_REQUEST_H
#define ISHOW_SERVER_REQUEST_H

#include <jansson.h>

#include "server/server.h"

/* A JSON object, owned by the caller; NULL: fault set. Whole numbers too big for jansson come as strings of digits. */
json_t *request_object(const char *body, size_t n, fault *f);
int request_number(const json_t *value, const char *field, double least, double most, double *out, fault *f);
int request_format(const json_t *value, const char *field, ishow_format *out, fault *f);
int request_text(const json_t *value, const char *field, const char **out, fault *f);  /* 1 to ISHOW_MAX_TEXT_CHARS characters; borrowed */
int request_voice(const json_t *value, const char *field, const char **out, fault *f); /* borrowed */
/* The fields of POST /api/tts. Takes root over, also on failure; speech_free. */
int speech_read(json_t *root, const ishow_request *defaults, speech *out, fault *f);

#endif
