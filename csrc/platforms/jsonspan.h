/* Reading JSON that another party wrote: a missing or oddly typed value is nothing, never a failure. */
#ifndef ISHOW_PLATFORMS_JSONSPAN_H
#define ISHOW_PLATFORMS_JSONSPAN_H

#include <jansson.h>

#include "platforms/event_sink.h"

/* Text of a string, of a whole number in decimal; else {NULL, 0}. Borrowed from the value or the feed's arena. */
ishow_span json_span(feed *f, const json_t *value);
/* A whole number, a real, true, or digits in a string; else 0. */
int64_t json_whole(const json_t *value);
int json_set(const json_t *value); /* neither 0, false nor missing */
/* Parses [n] bytes, NUL in strings allowed; NULL when they are no JSON object or array. */
ISHOW_API json_t *ishow_json_load(const char *bytes, size_t n);
/* RFC 3339 in UTC to ms since 1970, 0 when it is none. */
int64_t rfc3339_ms(ishow_span text);

#endif
