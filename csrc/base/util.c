/* Clock, files, memory and UTF-8. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/base.h"
#include "base/grow.h"

double ishow_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ishow_deadline(double seconds, struct timespec *out) {
    clock_gettime(CLOCK_MONOTONIC, out);
    if (seconds < 0) seconds = 0;
    if (seconds > 1e8) seconds = 1e8;
    time_t whole = (time_t)seconds;
    out->tv_sec += whole;
    out->tv_nsec += (long)((seconds - (double)whole) * 1e9);
    if (out->tv_nsec >= 1000000000L) {
        out->tv_nsec -= 1000000000L;
        out->tv_sec++;
    }
}

void ishow_condition_init(pthread_cond_t *out) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(out, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

uint64_t ishow_file_stamp(const char *path) {
    struct stat info;
    if (!path || stat(path, &info)) return 0;
    return ((uint64_t)info.st_ino * 1000003u ^ (uint64_t)info.st_size * 8191u ^
            (uint64_t)info.st_mtim.tv_sec * 1000000007u ^ (uint64_t)info.st_mtim.tv_nsec) |
           1;
}

char *ishow_strdup(const char *text) { return text ? strdup(text) : NULL; }

void *ishow_alloc(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n ? n : 1, size, &bytes) || bytes > SIZE_MAX - 63) return NULL;
    bytes = (bytes + 63) & ~(size_t)63;
    void *block = aligned_alloc(64, bytes);
    if (block) memset(block, 0, bytes);
    return block;
}

void *ishow_grow(void *items, size_t *capacity, size_t wanted, size_t size) {
    enum { LEAST = 16 };
    size_t bytes;
    if (wanted <= *capacity) return items;
    if (wanted > SIZE_MAX / 2) return NULL;
    const size_t elements = wanted < LEAST ? LEAST : wanted + wanted / 2;
    if (__builtin_mul_overflow(elements, size, &bytes)) return NULL;
    void *grown = realloc(items, bytes);
    if (grown) *capacity = elements;
    return grown;
}

int ishow_all_finite(const float *values, size_t n) {
    uint32_t broken = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        broken |= (uint32_t)((bits & 0x7F800000u) == 0x7F800000u);
    }
    return !broken;
}

int ishow_workspace_grow(ishow_workspace *w, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) return 0;
    if (w->bytes >= bytes && w->data) return 1;
    const size_t wanted = bytes + bytes / 4;
    void *grown = ishow_alloc(wanted, 1);
    if (!grown) return 0;
    free(w->data);
    *w = (ishow_workspace){grown, wanted};
    return 1;
}

void ishow_workspace_free(ishow_workspace *w) {
    free(w->data);
    *w = (ishow_workspace){0};
}

uint32_t ishow_utf8_next(const char **p) {
    const unsigned char *s = (const unsigned char *)*p;
    if (s[0] < 0x80) {
        if (s[0]) (*p)++;
        return s[0];
    }
    int more;
    uint32_t code, least;
    if ((s[0] & 0xE0) == 0xC0)
        more = 1, code = s[0] & 0x1Fu, least = 0x80;
    else if ((s[0] & 0xF0) == 0xE0)
        more = 2, code = s[0] & 0x0Fu, least = 0x800;
    else if ((s[0] & 0xF8) == 0xF0)
        more = 3, code = s[0] & 0x07u, least = 0x10000;
    else
        return UINT32_MAX;
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) return UINT32_MAX;
        code = code << 6 | (s[i] & 0x3Fu);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return UINT32_MAX;
    *p += more + 1;
    return code;
}

size_t ishow_utf8_length(const char *text) {
    size_t n = 0;
    for (;;) {
        uint32_t code = ishow_utf8_next(&text);
        if (code == UINT32_MAX) return SIZE_MAX;
        if (code == 0) return n;
        n++;
    }
}
