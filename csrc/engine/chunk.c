/* Where a long text is cut. Every place between two code points gets a level (how good a cut there is) and the units up
 * to it; then pieces are taken greedily, the best level first that still makes a piece of decent size. */
#include <math.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/utf8.h"
#include "engine/characters.h"
#include "engine/plan.h"

enum { LEVEL_NEVER = 0, LEVEL_GRAPHEME, LEVEL_SCRIPT, LEVEL_WORD, LEVEL_CLAUSE, LEVEL_SENTENCE, LEVELS };

typedef struct place {
    size_t at;    /* byte offset of the cut */
    double units; /* units before it */
    int level;
} place;

static int is_space(ishow_kind kind) { return kind == ISHOW_KIND_SPACE || kind == ISHOW_KIND_NEWLINE; }
static int is_dense(ishow_kind kind) {
    return kind == ISHOW_KIND_IDEOGRAPH || kind == ISHOW_KIND_KANA;
} /* scripts without spaces */

/* 1 for marks that may not begin a piece. */
static int clings(ishow_kind kind) {
    return kind == ISHOW_KIND_EXTEND || kind == ISHOW_KIND_CLOSER || kind == ISHOW_KIND_SENTENCE ||
           kind == ISHOW_KIND_CLAUSE || kind == ISHOW_KIND_WIDE_SENTENCE || kind == ISHOW_KIND_WIDE_CLAUSE;
}

/* State of the scan before the current position. */
typedef struct reading {
    int pending;    /* level of the last punctuation mark, given to the position after the following space */
    int wide;       /* that mark is full-width: no space is needed */
    int spelt;      /* a letter is before that mark, so no number goes on behind it */
    size_t letters; /* letters of the current word */
    int capital;    /* the word began with an ASCII capital */
    int flags;      /* consecutive regional indicators */
} reading;

/* Level of the position between `code` (just scanned) and `next`. */
static int level_after(reading *r, uint32_t code, uint32_t next) {
    ishow_kind kind = ishow_kind_of(code), following = ishow_kind_of(next);
    size_t letters = r->letters;
    int capital = r->capital, level = LEVEL_GRAPHEME;
    if (kind == ISHOW_KIND_ALPHABET) {
        if (!letters) r->capital = code >= 'A' && code <= 'Z';
        r->letters = letters + 1;
    } else if (kind != ISHOW_KIND_EXTEND) {
        r->letters = 0;
    }
    r->flags = code >= 0x1F1E6 && code <= 0x1F1FF ? r->flags + 1 : 0;

    switch (kind) {
    case ISHOW_KIND_NEWLINE:
        r->pending = LEVEL_SENTENCE;
        level = LEVEL_SENTENCE;
        break;
    case ISHOW_KIND_SPACE:
        if (r->pending == LEVEL_SENTENCE && next >= 'a' && next <= 'z')
            r->pending = LEVEL_WORD; /* an abbreviation: "e.g. this" */
        level = r->pending > LEVEL_WORD ? r->pending : LEVEL_WORD;
        break;
    case ISHOW_KIND_SENTENCE:
    case ISHOW_KIND_WIDE_SENTENCE:
        r->wide = kind == ISHOW_KIND_WIDE_SENTENCE;
        r->pending = code == '.' && letters && letters <= 3 && capital ? LEVEL_WORD : LEVEL_SENTENCE; /* "Mr. Smith" */
        break;
    case ISHOW_KIND_CLAUSE:
    case ISHOW_KIND_WIDE_CLAUSE:
        r->wide = kind == ISHOW_KIND_WIDE_CLAUSE || code == 0x2014;
        r->spelt = letters > 0;
        r->pending = LEVEL_CLAUSE;
        break;
    case ISHOW_KIND_CLOSER:
    case ISHOW_KIND_EXTEND: break; /* the pending level is kept */
    default:
        r->pending = 0;
        r->wide = 0;
        if (is_dense(kind) || (is_dense(following) && kind != ISHOW_KIND_MARK)) level = LEVEL_SCRIPT;
    }
    if (r->wide && r->pending && !is_space(kind)) level = r->pending;

    if (is_space(following) || following == ISHOW_KIND_EXTEND)
        level = LEVEL_NEVER;
    else if (clings(following) && !(is_space(kind) && (next == '"' || next == '\''))) /* a quote after a space opens */
        level = is_space(kind) ? LEVEL_GRAPHEME : LEVEL_NEVER;
    if (code == 0x200D || next == 0x200D) level = LEVEL_NEVER; /* joined emoji */
    if (r->flags % 2 == 1 && next >= 0x1F1E6 && next <= 0x1F1FF) level = LEVEL_NEVER;
    if (code >= 0x1100 && code <= 0x11FF && next >= 0x1160 && next <= 0x11FF) level = LEVEL_NEVER;
    return level;
}

/* Minimum length, as a share of a full piece, for a cut of each level to be preferred to one of a lower level. */
static const double decent[LEVELS] = {
    [LEVEL_SCRIPT] = 0.4, [LEVEL_WORD] = 0.4, [LEVEL_CLAUSE] = 0.4, [LEVEL_SENTENCE] = 0.3};

/* The position of the next cut after `from`, for a piece of at most max_units. */
static size_t choose_cut(const place *places, size_t n, size_t from, double begin, double max_units) {
    size_t best[LEVELS] = {0}, first = 0;
    for (size_t i = from; i < n; i++) {
        if (places[i].level == LEVEL_NEVER) continue;
        if (!first) first = i + 1;
        if (places[i].units - begin > max_units) break;
        best[places[i].level] = i + 1;
    }
    for (int level = LEVELS - 1; level >= LEVEL_SCRIPT; level--)
        if (best[level] && places[best[level] - 1].units - begin >= decent[level] * max_units) return best[level] - 1;
    for (int level = LEVELS - 1; level >= LEVEL_GRAPHEME; level--)
        if (best[level]) return best[level] - 1;
    return first ? first - 1 : n - 1;
}

/* Where an early piece of about `goal` units ends: the last end of a sentence before the goal, else the last end of a
 * clause, else the first of either after it. n when no such place leaves `least` units before it and `rest` after it:
 * an early piece is never cut between words. */
static size_t choose_early_cut(const place *places, size_t n, size_t from, double begin, double least, double goal,
                               double rest, double max_units) {
    size_t sentence = n, clause = n;
    const double whole = places[n - 1].units;
    for (size_t i = from; i < n; i++) {
        const double units = places[i].units - begin;
        if (places[i].level < LEVEL_CLAUSE || units < least) continue;
        if (whole - places[i].units < rest || units > max_units) break;
        const size_t best = sentence < n ? sentence : clause;
        if (units > goal) return best < n ? best : i;
        if (places[i].level == LEVEL_SENTENCE)
            sentence = i;
        else
            clause = i;
    }
    return sentence < n ? sentence : clause;
}

/* Level of the last place of a text that is still being written: what looks like an end may become part of a number, an
 * address or an abbreviation with the next character. */
static int level_at_end(const reading *r, uint32_t code) {
    const ishow_kind kind = ishow_kind_of(code);
    if (kind == ISHOW_KIND_NEWLINE || code == '!' || code == '?') return LEVEL_SENTENCE;
    if (r->pending == LEVEL_CLAUSE && (is_space(kind) || (code == ',' && r->spelt))) return LEVEL_CLAUSE;
    return r->wide ? r->pending : LEVEL_NEVER;
}

/* Fills a place for each of the `length` code points of text. goes_on: more text will follow. Returns the units of the
 * whole text. */
static double mark_places(const char *text, size_t length, const ishow_pace *pace, int goes_on, place *places) {
    reading r = {0};
    double units = 0;
    const char *p = text;
    for (size_t i = 0; i < length; i++) {
        const char *start = p, *ahead;
        const uint32_t code = ishow_utf8_next(&p);
        ahead = p;
        const uint32_t next = i + 1 < length ? ishow_utf8_next(&ahead) : 0;
        units += ishow_pace_units(pace, start, (size_t)(p - start));
        int level = level_after(&r, code, next);
        if (!next) level = goes_on ? level_at_end(&r, code) : LEVEL_SENTENCE;
        places[i] = (place){.at = (size_t)(p - text), .units = units, .level = level};
    }
    return units;
}

ishow_status ishow_feed_cut(const char *text, size_t bytes, int goes_on, const ishow_pace *pace, double least,
                            double goal, double max_units, size_t *out, ishow_error *error) {
    const size_t length = utf8_count(text, bytes);
    *out = 0;
    place *places = calloc(length + 1, sizeof *places);
    if (!places) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory to cut a text of %zu characters", length);
    if (!length) goto done;
    const double units = mark_places(text, length, pace, goes_on, places);
    size_t cut = length;
    if (goes_on || goal < max_units)
        cut = choose_early_cut(places, length, 0, 0, least, fmin(goal, max_units),
                               goes_on ? 0 : ISHOW_EARLY_LEAST * goal, max_units);
    if (cut < length)
        *out = places[cut].at;
    else if (units > 1.15 * max_units)
        *out = places[choose_cut(places, length, 0, 0, max_units)].at;
    else if (!goes_on)
        *out = bytes;
done:
    free(places);
    return ISHOW_OK;
}

ishow_status ishow_chunk_split(const char *text, const ishow_pace *pace, double max_units, double early_units,
                               ishow_span **out, size_t *n_out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    place *places = NULL;
    ishow_span *spans = NULL;
    *out = NULL;
    *n_out = 0;

    size_t length = ishow_utf8_length(text), n_spans = 0;
    if (length == SIZE_MAX) return ishow_fail(error, ISHOW_EINVAL, "text", "text is not valid UTF-8");
    places = calloc(length + 1, sizeof *places);
    spans = calloc(length + 1, sizeof *spans);
    if (!places || !spans) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory to cut a text of %zu characters", length);
        goto done;
    }
    const double units = mark_places(text, length, pace, 0, places);
    size_t from = 0; /* index of the first code point of the piece */
    while (from < length) {
        size_t begin = from ? places[from - 1].at : 0, cut = length - 1;
        double before = from ? places[from - 1].units : 0;
        size_t early = length;
        if (early_units > 0 && early_units < max_units)
            early = choose_early_cut(places, length, from, before, ISHOW_EARLY_LEAST * early_units, early_units,
                                     ISHOW_EARLY_LEAST * early_units, max_units);
        if (early < length)
            cut = early;
        else if (units - before > 1.15 * max_units)
            cut = choose_cut(places, length, from, before, max_units);
        early_units *= ISHOW_EARLY_GROWTH;
        size_t end = places[cut].at;
        for (const char *q = text + begin; begin < end; begin = (size_t)(q - text)) /* leading spaces */
            if (!is_space(ishow_kind_of(ishow_utf8_next(&q)))) break;
        size_t last = cut; /* trailing spaces */
        while (end > begin) {
            size_t previous = last ? places[last - 1].at : 0;
            const char *q = text + previous;
            if (!is_space(ishow_kind_of(ishow_utf8_next(&q)))) break;
            end = previous;
            if (last) last--;
        }
        if (begin < end) spans[n_spans++] = (ishow_span){begin, end};
        from = cut + 1;
    }
    *out = spans;
    *n_out = n_spans;
    spans = NULL;
done:
    free(places);
    free(spans);
    return status;
}
