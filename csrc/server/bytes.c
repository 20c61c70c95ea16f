/* Own writer instead of a JSON tree: answers carry megabytes of base64 that need not be copied twice, and 64-bit seeds that
 * jansson's signed integers cannot hold. */
#include "server/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *bytes_reserve(bytes *b, size_t n) {
    if (b->failed) return NULL;
    if (n > SIZE_MAX / 4 || b->n > SIZE_MAX / 4) {
        b->failed = 1;
        return NULL;
    }
    if (b->capacity - b->n < n || !b->data) {
        size_t capacity = b->n + n < 256 ? 256 : b->n + n + (b->n + n) / 2;
        unsigned char *data = realloc(b->data, capacity);
        if (!data) {
            b->failed = 1;
            return NULL;
        }
        b->data = data;
        b->capacity = capacity;
    }
    return b->data + b->n;
}

void bytes_add(bytes *b, const void *data, size_t n) {
    void *room = bytes_reserve(b, n);
    if (!room) return;
    if (n) memcpy(room, data, n);
    b->n += n;
}

void bytes_text(bytes *b, const char *text) { bytes_add(b, text, strlen(text)); }

void bytes_format(bytes *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    char *room = n < 0 ? NULL : bytes_reserve(b, (size_t)n + 1);
    if (room) {
        vsnprintf(room, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void bytes_json(bytes *b, const char *text) {
    if (!text) {
        bytes_text(b, "null");
        return;
    }
    bytes_add(b, "\"", 1);
    const char *plain = text; /* start of the run not yet written */
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7F) continue;
        bytes_add(b, plain, (size_t)(p - plain));
        plain = p + 1;
        if (c == '"' || c == '\\') bytes_format(b, "\\%c", c);
        else if (c == '\n') bytes_text(b, "\\n");
        else bytes_format(b, "\\u%04x", c);
    }
    bytes_text(b, plain);
    bytes_add(b, "\"", 1);
}

void bytes_free(bytes *b) {
    free(b->data);
    *b = (bytes){0};
}
