/* A writer instead of a JSON tree: responses have megabytes of base64 that should not be copied twice, and 64-bit seeds
 * that do not fit in jansson's signed integers. */
#include "base/buffer.h"
#include "base/base.h"
#include "base/grow.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *ishow_buffer_reserve(ishow_buffer *b, size_t n) {
    if (b->failed) return NULL;
    const size_t wanted = n > SIZE_MAX - b->n ? SIZE_MAX : b->n + n;
    unsigned char *data = ishow_grow(b->data, &b->capacity, wanted < 128 ? 128 : wanted, 1);
    if (!data) {
        b->failed = 1;
        return NULL;
    }
    b->data = data;
    return b->data + b->n;
}

void ishow_buffer_add(ishow_buffer *b, const void *data, size_t n) {
    void *end = ishow_buffer_reserve(b, n);
    if (!end) return;
    if (n) memcpy(end, data, n);
    b->n += n;
}

void ishow_buffer_text(ishow_buffer *b, const char *text) { ishow_buffer_add(b, text, strlen(text)); }

void ishow_buffer_format(ishow_buffer *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *end = n < 0 ? NULL : ishow_buffer_reserve(b, (size_t)n + 1);
    if (end) {
        vsnprintf(end, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void ishow_buffer_json_text(ishow_buffer *b, const char *text) {
    if (!text) {
        ishow_buffer_text(b, "null");
        return;
    }
    ishow_buffer_add(b, "\"", 1);
    const char *plain = text; /* start of the characters not yet written */
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x80) {
            const char *next = p;
            if (ishow_utf8_next(&next) != UINT32_MAX) {
                p = next - 1;
                continue;
            }
        } else if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F)
            continue;
        ishow_buffer_add(b, plain, (size_t)(p - plain));
        plain = p + 1;
        if (c == '"' || c == '\\')
            ishow_buffer_format(b, "\\%c", c);
        else if (c == '\n')
            ishow_buffer_text(b, "\\n");
        else
            ishow_buffer_format(
                b, "\\u%04x",
                c < 0x80 ? c : 0xFFFD); /* invalid UTF-8, of a client or cut: the output is valid JSON in any case */
    }
    ishow_buffer_text(b, plain);
    ishow_buffer_add(b, "\"", 1);
}

void ishow_buffer_free(ishow_buffer *b) {
    free(b->data);
    *b = (ishow_buffer){0};
}

void ishow_buffer_base64(ishow_buffer *out, const void *data, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *s = data;
    char *p = ishow_buffer_reserve(out, (n + 2) / 3 * 4);
    if (!p) return;
    size_t i = 0;
    for (; i + 3 <= n; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16 | (uint32_t)s[i + 1] << 8 | s[i + 2];
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = digits[v >> 6 & 63];
        *p++ = digits[v & 63];
    }
    if (i < n) {
        uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0);
        *p++ = digits[v >> 18];
        *p++ = digits[v >> 12 & 63];
        *p++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *p++ = '=';
    }
    out->n += (n + 2) / 3 * 4;
}

int ishow_sample_s16(float sample) {
    const float x = sample * 32768.0f;
    return x > -32768.0f ? (int)lrintf(x < 32767.0f ? x : 32767.0f) : x <= -32768.0f ? -32768 : 0;
}

void ishow_buffer_s16(ishow_buffer *out, const float *samples, size_t n) {
    unsigned char *p = ishow_buffer_reserve(out, 2 * n);
    if (!p) return;
    for (size_t i = 0; i < n; i++) {
        int v = ishow_sample_s16(samples[i]);
        *p++ = (unsigned char)(v & 255);
        *p++ = (unsigned char)(v >> 8 & 255);
    }
    out->n += 2 * n;
}
