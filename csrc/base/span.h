/* Borrowed text. */
#ifndef ISHOW_BASE_SPAN_H
#define ISHOW_BASE_SPAN_H

#include <stddef.h>
#include <string.h>

/* Borrowed bytes, not NUL-terminated; {NULL, 0}: absent. Every span of a message or an event is valid UTF-8 without NUL
 * (invalid bytes were replaced by U+FFFD) and is valid until the sink returns: copy what is kept. */
typedef struct ishow_span {
    const char *data;
    size_t size;
} ishow_span;

static inline ishow_span span_of(const char *text) { return (ishow_span){text, text ? strlen(text) : 0}; }
static inline int span_is(ishow_span s, const char *text) {
    return s.size == strlen(text) && !memcmp(s.data, text, s.size);
}
static inline int span_same(ishow_span a, ishow_span b) {
    return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

#endif
