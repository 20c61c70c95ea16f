/* Reads untrusted JSON: a value that is missing or of another type is treated as absent, never as an error. */
#ifndef ISHOW_PLATFORMS_JSONSPAN_H
#define ISHOW_PLATFORMS_JSONSPAN_H

#include <jansson.h>

#include "platforms/event_sink.h"

/* Text of a string, or of an integer in decimal; else {NULL, 0}. Borrowed from the value or the feed's arena. */
ishow_span json_span(feed *f, const json_t *value);
/* Value of an integer, a real, true, or of digits in a string; else 0. */
int64_t json_whole(const json_t *value);
int json_set(const json_t *value); /* neither 0, false nor missing */
/* Parses [n] bytes, NUL in strings allowed; NULL when they are not a JSON object or array. */
ISHOW_API json_t *ishow_json_load(const char *bytes, size_t n);
/* RFC 3339 in UTC to ms since 1970; 0 when it is invalid. */
int64_t rfc3339_ms(ishow_span text);

#endif
