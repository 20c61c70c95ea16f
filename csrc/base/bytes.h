/* A growing buffer and a small JSON writer on top of it. An append that finds no memory sets `failed` and later ones do nothing, so a
 * writer checks once at the end. */
#ifndef ISHOW_BASE_BYTES_H
#define ISHOW_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

typedef struct bytes {
    unsigned char *data;
    size_t n, capacity;
    int failed;
} bytes;

ISHOW_API void *bytes_reserve(bytes *b, size_t n);    /* room for n more, uncounted; NULL: failed */
ISHOW_API void bytes_add(bytes *b, const void *data, size_t n);
ISHOW_API void bytes_text(bytes *b, const char *text);
ISHOW_API void bytes_format(bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
ISHOW_API void bytes_json(bytes *b, const char *text); /* a quoted, escaped string; NULL: null */
ISHOW_API void bytes_base64(bytes *b, const void *data, size_t n);
int sample_s16(float sample);               /* -32768 to 32767, rounded and clipped; NaN: 0 */
void bytes_s16(bytes *b, const float *samples, size_t n); /* little-endian 16-bit PCM, clipped */
ISHOW_API void bytes_free(bytes *b);                   /* empty again and usable */

#endif
