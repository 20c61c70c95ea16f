/* A growing buffer and a small JSON writer on top of it. An append that runs out of memory sets `failed` and later ones
 * do nothing, so a writer checks once at the end. */
#ifndef ISHOW_BASE_BUFFER_H
#define ISHOW_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

typedef struct ishow_buffer {
    unsigned char *data;
    size_t n, capacity;
    int failed;
} ishow_buffer;

ISHOW_API void *ishow_buffer_reserve(ishow_buffer *b,
                                     size_t n); /* space for n more bytes, not counted in n; NULL: failed */
ISHOW_API void ishow_buffer_add(ishow_buffer *b, const void *data, size_t n);
ISHOW_API void ishow_buffer_text(ishow_buffer *b, const char *text);
ISHOW_API void ishow_buffer_format(ishow_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
ISHOW_API void ishow_buffer_json_text(ishow_buffer *b, const char *text); /* a quoted, escaped string; NULL: null */
ISHOW_API void ishow_buffer_base64(ishow_buffer *b, const void *data, size_t n);
int ishow_sample_s16(float sample); /* -32768 to 32767, rounded and clipped; NaN: 0 */
ISHOW_API void ishow_buffer_s16(ishow_buffer *b, const float *samples,
                                size_t n);         /* little-endian 16-bit PCM, clipped */
ISHOW_API void ishow_buffer_free(ishow_buffer *b); /* frees its memory; it is empty and may be used again */

#endif
