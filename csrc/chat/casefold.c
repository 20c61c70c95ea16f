/* Comparison of words as people read them. A banned word must be found in full-width, circled, upper-case or accented
 * letters too, so both sides are folded; dakuten, vowel signs and tone marks of other scripts are letters and are
 * kept. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"
#include "base/hash.h"
#include "base/utf8.h"

/* Scripts in which a word without its accents is still the same word. */
static int is_accented(utf8proc_int32_t c) { return (c >= 0x00C0 && c < 0x0530) || (c >= 0x1E00 && c < 0x2000); }

int code_is_space(uint32_t c) {
    const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || (kind >= UTF8PROC_CATEGORY_ZS && kind <= UTF8PROC_CATEGORY_ZP);
}

int code_is_unseen(uint32_t c) {
    const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)c);
    return kind >= UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CN || c == 0xFFFD;
}

static int is_mark(utf8proc_int32_t c) {
    const utf8proc_category_t kind = utf8proc_category(c);
    return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

/* 1 when a mark is kept: it is on a letter of its own script, and not an accent of a script whose accents are
 * removed. */
static int belongs(utf8proc_int32_t mark, utf8proc_int32_t base) { return base >= 0x590 && mark >> 8 == base >> 8; }

/* Folds a text of ASCII only; 0: it has other characters. */
static int fold_ascii(const char *text, size_t n, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) return 0;
        if (c > ' ' && c < 0x7F)
            out[used++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        else if (!used || out[used - 1] != ' ')
            out[used++] = ' ';
    }
    out[used] = '\0';
    return 1;
}

char *fold_text(const char *text, size_t n) {
    utf8proc_uint8_t *mapped = NULL;
    char *out = malloc(n + 1);
    if (!out || fold_ascii(text, n, out)) return out;
    utf8proc_ssize_t length =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &mapped,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    char *whole = length < 0 ? NULL : realloc(out, (size_t)length + 1);
    if (!whole) {
        free(out);
        free(mapped);
        return NULL;
    }
    out = whole;
    size_t used = 0;
    utf8proc_int32_t base = 0, code, parts[8];
    for (utf8proc_ssize_t i = 0, step; i < length; i += step) {
        if ((step = utf8proc_iterate(mapped + i, length - i, &code)) <= 0) break;
        if (code_is_space((uint32_t)code)) {
            if (!used || out[used - 1] != ' ') out[used++] = ' ';
            base = 0;
        } else if (code_is_unseen((uint32_t)code) || (is_mark(code) && !belongs(code, base))) {
            continue;
        } else {
            int last = UTF8PROC_BOUNDCLASS_START;
            const utf8proc_ssize_t m =
                is_accented(code) ? utf8proc_decompose_char(code, parts, 8, UTF8PROC_DECOMPOSE, &last) : 0;
            if (m > 0 && m <= 8) code = parts[0]; /* folding a part never gives more bytes than folding the whole */
            used += (size_t)utf8proc_encode_char(code, (utf8proc_uint8_t *)out + used);
            if (!is_mark(code)) base = code;
        }
    }
    out[used] = '\0';
    free(mapped);
    return out;
}

uint64_t fold_hash(const char *folded) { return hash_more(HASH_START, folded, strlen(folded)); }

int code_is_dense(uint32_t c) {
    return (c >= 0x0E00 && c < 0x1000) || (c >= 0x1000 && c < 0x10A0) || (c >= 0x1780 && c < 0x1800) ||
           (c >= 0x3040 && c < 0x3100) || (c >= 0x31F0 && c < 0x3200) || (c >= 0x3400 && c < 0x4DC0) ||
           (c >= 0x4E00 && c < 0xA000) || (c >= 0xAC00 && c < 0xD7B0) || (c >= 0xF900 && c < 0xFB00) ||
           (c >= 0x20000 && c < 0x32000);
}

static int is_word_code(uint32_t code) {
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)code);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NO;
}

/* The code point before p. */
static uint32_t code_before(const char *begin, const char *p) {
    if (p == begin) return 0;
    do p--;
    while (p > begin && utf8_continues(*p));
    return ishow_utf8_next(&p);
}

int fold_contains(const char *text, const char *word) {
    size_t n = strlen(word);
    if (!n) return 0;
    const char *p = word;
    uint32_t first = ishow_utf8_next(&p), last = code_before(word, word + n);
    for (const char *at = text; (at = strstr(at, word)); at++) {
        const char *end = at + n;
        uint32_t before = code_before(text, at), after = ishow_utf8_next(&end);
        int begins =
            code_is_dense(first) || !is_word_code(first) || !before || !is_word_code(before) || code_is_dense(before);
        int ends = code_is_dense(last) || !is_word_code(last) || !after || !is_word_code(after) || code_is_dense(after);
        if (begins && ends) return 1;
    }
    return 0;
}
