/* Shortens repetitions and long numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"

enum {
    PERIOD_MAX = 700,     /* longest pattern; the longest text that is read has room for fewer than three longer ones */
    DIGITS_MAX = 12,      /* digits of a number that are read; of the rest the count is read */
    GROUPED_MAX = 18,     /* the same for a number with separators, such as 1,000,000,000,000, which is read as words */
    DIGITS_NOTE_MAX = 40, /* code points of the note about the rest */
};

static int is_digit(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND; }
static int is_digit_mark(uint32_t c) { return c == ',' || c == '.' || c == '\'' || c == '_' || c == 0x2019; }

/* 1 when all of it belongs to a number, whose value would change. */
static int is_number(const uint32_t *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!is_digit(c[i]) && !is_digit_mark(c[i])) return 0;
    return is_digit(c[0]) || n > 1;
}

static int holds_space(const uint32_t *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c[i] == ' ') return 1;
    return 0;
}

/* Marks in `gone` the surplus of each run with one period, that is, text whose code points equal those one period
 * before. Every run that is long enough contains a multiple of `need`, so only these places are checked first. */
static int mark_runs(const uint32_t *c, const uint32_t *low, size_t n, size_t period, unsigned char *gone,
                     size_t *steps) {
    const size_t need =
        period > 1 ? 3 * period - 1 : 3; /* equal code points in a row: four copies, the last without its space */
    size_t floor = period;
    int found = 0;
    for (size_t at = period + need - 1; at < n; at += need) {
        ++*steps;
        if (low[at] != low[at - period] || at < floor) continue;
        size_t from = at, to = at + 1;
        while (from > floor && low[from - 1] == low[from - 1 - period]) from--, ++*steps;
        while (to < n && low[to] == low[to - period]) to++, ++*steps;
        const size_t length = to - from + period;
        floor = to;
        if (to - from < need || (length < 4 * period && !holds_space(c + to - period, period)) ||
            is_number(c + to - period, period))
            continue;
        const size_t surplus = (length - 2 * period - 1) / period * period;
        memset(gone + to - surplus, 1, surplus);
        found = 1;
    }
    return found;
}

static size_t drop_marked(uint32_t *c, uint32_t *low, unsigned char *gone, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (gone[i]) continue;
        c[kept] = c[i];
        low[kept++] = low[i];
    }
    memset(gone, 0, n);
    return kept;
}

size_t squeeze_repeats(uint32_t *c, size_t n, size_t *steps) {
    uint32_t *low = malloc((n + 1) * sizeof *low);
    unsigned char *gone = calloc(n + 1, 1);
    size_t looked = 0;
    if (!low || !gone) goto done;
    for (size_t i = 0; i < n; i++) low[i] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c[i]);
    /* Short patterns first: "xDxDxD! xDxDxD! ..." is a pattern of shortened ones. */
    for (size_t period = 1; period <= PERIOD_MAX && 4 * period - 1 <= n; period++)
        if (mark_runs(c, low, n, period, gone, &looked)) n = drop_marked(c, low, gone, n);
done:
    if (steps) *steps = looked;
    free(low);
    free(gone);
    return n;
}

/* ---- long numbers ---- */

static const char *note_of(const char *language) {
    static const struct {
        const char *language, *note;
    } notes[] = {{"en", " and %zu more digits"},
                 {"de", " und %zu weitere Ziffern"},
                 {"zh", "还有%zu位数字"},
                 {"ja", "とあと%zu桁"},
                 {"fr", " et encore %zu chiffres"},
                 {"es", " y %zu cifras más"},
                 {"it", " e altre %zu cifre"},
                 {"pt", " e mais %zu dígitos"},
                 {"nl", " en nog %zu cijfers"},
                 {"ru", " и ещё %zu знаков"},
                 {"ko", " 외 %zu자리"}};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (language_matches(notes[i].language, language)) return notes[i].note;
    return notes[0].note;
}

/* The index behind the number that begins at i, the number of its digits, and how many of them are read. */
static size_t number_end(const uint32_t *c, size_t n, size_t i, size_t *digits, size_t *read) {
    size_t marks = 0;
    *digits = 0;
    for (; i < n && (is_digit(c[i]) || (is_digit_mark(c[i]) && i + 1 < n && is_digit(c[i + 1]))); i++)
        if (is_digit(c[i]))
            ++*digits;
        else
            marks++;
    const size_t most = marks > 1 ? GROUPED_MAX : DIGITS_MAX;
    /* at least two are left out, since the note has a plural */
    *read = *digits <= most ? *digits : *digits > DIGITS_MAX + 1 ? DIGITS_MAX : DIGITS_MAX - 1;
    return i;
}

size_t long_numbers(const uint32_t *c, size_t n) {
    size_t found = 0, digits, read;
    for (size_t i = 0; i < n;) {
        if (!is_digit(c[i])) {
            i++;
            continue;
        }
        i = number_end(c, n, i, &digits, &read);
        found += digits > read;
    }
    return found;
}

uint32_t *shorten_numbers(const uint32_t *c, size_t *n, size_t found, const char *language) {
    uint32_t *out = malloc((*n + found * DIGITS_NOTE_MAX + 1) * sizeof *out);
    size_t used = 0;
    if (!out) return NULL;
    for (size_t i = 0; i < *n;) {
        size_t digits = 0, read = 0, end = i + 1;
        if (is_digit(c[i])) end = number_end(c, *n, i, &digits, &read);
        const size_t rest = digits - read;
        for (; i < end && (read || !rest); i++) {
            if (is_digit(c[i]) && rest) read--;
            out[used++] = c[i];
        }
        i = end;
        if (!rest) continue;
        char note[2 * DIGITS_NOTE_MAX];
        snprintf(note, sizeof note, note_of(language), rest);
        for (const char *p = note; *p;) out[used++] = ishow_utf8_next(&p);
    }
    *n = used;
    return out;
}
