/* Counting and cutting valid UTF-8. */
#ifndef ISHOW_BASE_UTF8_H
#define ISHOW_BASE_UTF8_H

#include <stddef.h>
#include <string.h>

/* 1 for a byte that continues a character. */
static inline int utf8_continues(char byte) { return ((unsigned char)byte & 0xC0) == 0x80; }

/* Code points in text[0..n). */
static inline size_t utf8_count(const char *text, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += !utf8_continues(text[i]);
    return count;
}

/* The largest length up to `most` at which text[0..n) can be cut between two characters. */
static inline size_t utf8_cut(const char *text, size_t n, size_t most) {
    if (n <= most) return n;
    while (most && utf8_continues(text[most])) most--;
    return most;
}

/* Copies text[0..n) to out[0..size), cut where it does not fit, and ends it with a NUL. text: NULL allowed with n 0. */
static inline void utf8_copy(char *out, size_t size, const char *text, size_t n) {
    const size_t fits = utf8_cut(text, n, size - 1);
    if (fits) memcpy(out, text, fits);
    out[fits] = '\0';
}

#endif
