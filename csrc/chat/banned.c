/* Banned words, also when they are disguised. Word and text are case-folded first (casefold.c). They are then compared
 * by runs; a run is a letter and its number of repetitions. A letter of the text may be repeated, and there may be
 * signs or emoji between letters, or spaces between single letters. Digits, signs and letters of other scripts match
 * the letters that they look like. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/banned.h"
#include "chat/chat_internal.h"

enum {
    BUCKETS = 64,
    STRETCHED = 3,    /* a letter repeated so often is a disguise: "good" is not "god", "goood" is "good" */
    INSIDE_LEAST = 4, /* minimum letters of a word that is also found inside other words */
    BESIDE_LEAST = 3, /* minimum further letters around it there: "hello" and "shell" are different words */
    AROUND_LEAST = 4, /* minimum letters before it when letters follow too: "therapeutic" is a different word */
    TRIED_MOST = 256, /* maximum code points of one comparison; the text that is read has no longer words, since
                         repetitions are shortened */
};

typedef struct run {
    uint32_t letter; /* ' ': between the words of a phrase */
    uint32_t n;
} run;

typedef struct word {
    run *runs;
    size_t n, letters;
    int phrase;
    size_t next; /* next of its bucket, plus one; 0: none */
} word;

/* Words in one spelling: as written, or with similar letters replaced. */
typedef struct spelling {
    word *words;
    size_t n, first[BUCKETS];
} spelling;

struct banned {
    char **folded;
    size_t n;
    ishow_chat_strictness level;
    spelling plain, alike;
};

/* ---- letters ---- */

typedef enum kind { LETTER, NOISE, GAP, WALL } kind;

typedef struct token {
    uint32_t c, other[2]; /* another letter that it may represent; 0: none */
    kind kind;
} token;

/* Letters of other scripts that look like a Latin one. */
static uint32_t alike(uint32_t c) {
    static const struct {
        uint32_t from;
        char to;
    } pairs[] = {/* Latin and phonetic */
                 {0xF0, 'd'},
                 {0xF8, 'o'},
                 {0xFE, 'p'},
                 {0x111, 'd'},
                 {0x127, 'h'},
                 {0x131, 'i'},
                 {0x138, 'k'},
                 {0x142, 'l'},
                 {0x14B, 'n'},
                 {0x167, 't'},
                 {0x180, 'b'},
                 {0x192, 'f'},
                 {0x19A, 'l'},
                 {0x1DD, 'e'},
                 {0x250, 'a'},
                 {0x251, 'a'},
                 {0x253, 'b'},
                 {0x254, 'c'},
                 {0x256, 'd'},
                 {0x257, 'd'},
                 {0x259, 'e'},
                 {0x25B, 'e'},
                 {0x261, 'g'},
                 {0x262, 'g'},
                 {0x266, 'h'},
                 {0x268, 'i'},
                 {0x26A, 'i'},
                 {0x26B, 'l'},
                 {0x26F, 'm'},
                 {0x271, 'm'},
                 {0x272, 'n'},
                 {0x274, 'n'},
                 {0x275, 'o'},
                 {0x280, 'r'},
                 {0x288, 't'},
                 {0x289, 'u'},
                 {0x28F, 'y'},
                 {0x299, 'b'},
                 {0x29C, 'h'},
                 {0x29F, 'l'},
                 {0x1D00, 'a'},
                 {0x1D04, 'c'},
                 {0x1D05, 'd'},
                 {0x1D07, 'e'},
                 {0x1D0A, 'j'},
                 {0x1D0B, 'k'},
                 {0x1D0D, 'm'},
                 {0x1D0F, 'o'},
                 {0x1D18, 'p'},
                 {0x1D1B, 't'},
                 {0x1D1C, 'u'},
                 {0x1D20, 'v'},
                 {0x1D21, 'w'},
                 {0x1D22, 'z'},
                 {0xA730, 'f'},
                 {0xA731, 's'},
                 /* Greek */
                 {0x3B1, 'a'},
                 {0x3B2, 'b'},
                 {0x3B5, 'e'},
                 {0x3B7, 'n'},
                 {0x3B9, 'i'},
                 {0x3BA, 'k'},
                 {0x3BD, 'v'},
                 {0x3BF, 'o'},
                 {0x3C1, 'p'},
                 {0x3C4, 't'},
                 {0x3C5, 'u'},
                 {0x3C7, 'x'},
                 {0x3C9, 'w'},
                 /* Cyrillic */
                 {0x430, 'a'},
                 {0x432, 'b'},
                 {0x435, 'e'},
                 {0x43A, 'k'},
                 {0x43C, 'm'},
                 {0x43D, 'h'},
                 {0x43E, 'o'},
                 {0x440, 'p'},
                 {0x441, 'c'},
                 {0x442, 't'},
                 {0x443, 'y'},
                 {0x445, 'x'},
                 {0x455, 's'},
                 {0x456, 'i'},
                 {0x458, 'j'},
                 {0x501, 'd'},
                 {0x51B, 'q'},
                 {0x51D, 'w'}};
    for (size_t i = 0; c >= 0xF0 && i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].from == c) return (uint32_t)pairs[i].to;
    return c;
}

/* Letters in boxes and flags, which case folding does not change. */
static uint32_t boxed(uint32_t c) {
    static const uint32_t blocks[] = {0x1F130, 0x1F150, 0x1F170, 0x1F1E6};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (c >= blocks[i] && c < blocks[i] + 26) return 'a' + c - blocks[i];
    return 0;
}

/* The letter that a digit or a sign represents inside a word; *second: a second such letter, or unchanged. */
static uint32_t leet(uint32_t c, uint32_t *second) {
    *second = 0;
    switch (c) {
    case '0': return 'o';
    case '1':
    case '|': *second = 'l'; return 'i';
    case '!':
    case 0xA1: return 'i';
    case '2': return 'z';
    case '3':
    case 0x20AC: return 'e';
    case '4':
    case '@': return 'a';
    case '5':
    case '$': return 's';
    case '6': *second = 'g'; return 'b';
    case '7':
    case '+': return 't';
    case '8': return 'b';
    case '9': return 'g';
    case 0xA3: return 'l';
    default: return 0;
    }
}

static int is_significant(uint32_t c) {
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}
static int is_digit(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND; }

static kind kind_of_sign(uint32_t c) {
    if (c == '\'' || c == 0x2019) return WALL; /* "he'll" is two words */
    if (c < 0x80) return strchr(".-_~^`*=|+", (int)c) ? NOISE : GAP;
    const utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    const int symbol = category >= UTF8PROC_CATEGORY_SM && category <= UTF8PROC_CATEGORY_SO; /* symbols include emoji */
    return symbol || c == 0xB7 || c == 0x2022 || (c >= 0x2010 && c <= 0x2015) ? NOISE : GAP;
}

static int same(uint32_t letter, const token *t) {
    return t->kind == LETTER && (t->c == letter || t->other[0] == letter || t->other[1] == letter);
}

/* ---- the text ---- */

typedef struct text {
    token *t;
    size_t n;
} text;

/* 1 when the next code point in this direction, signs skipped, is a letter. */
static int beside(const text *x, size_t from, size_t begin, size_t end, int forward) {
    size_t k = from;
    do {
        if (forward ? k + 1 >= end : k <= begin) return 0;
        k = forward ? k + 1 : k - 1;
    } while (x->t[k].kind == NOISE);
    return x->t[k].kind == LETTER;
}

/* Digits and signs represent letters only in a word that contains letters. */
static void read_leet(text *x) {
    for (size_t i = 0; i < x->n;) {
        size_t end = i, letters = 0;
        for (; end < x->n && x->t[end].kind != WALL && x->t[end].c != ' '; end++)
            letters += x->t[end].kind == LETTER && !is_digit(x->t[end].c);
        for (size_t k = i; letters && k < end; k++) {
            token *t = &x->t[k];
            uint32_t second, first = leet(t->c, &second);
            if (!first) continue;
            if (t->kind == LETTER)
                t->other[0] = first, t->other[1] = second;
            else if (beside(x, k, i, end, 1) || (t->c != '!' && beside(x, k, i, end, 0)))
                *t = (token){first, {second, 0}, LETTER};
        }
        i = end + 1;
    }
}

static int read_text(text *x, const char *folded, int with_leet, int *latin) {
    x->t = malloc((strlen(folded) + 1) * sizeof *x->t);
    x->n = 0;
    *latin = 0;
    if (!x->t) return 0;
    for (const char *p = folded; *p;) {
        uint32_t c = ishow_utf8_next(&p);
        if (c == UINT32_MAX) break;
        const uint32_t letter = with_leet ? boxed(c) : 0;
        if (letter) c = letter;
        *latin |= (c >= 'a' && c <= 'z') || ((c < 0x370 || c >= 0x1D00) && alike(c) != c);
        x->t[x->n++] = (token){c, {0, 0}, letter || is_significant(c) ? LETTER : kind_of_sign(c)};
    }
    if (with_leet) read_leet(x);
    return 1;
}

/* ---- comparing ---- */

typedef struct attempt {
    const word *w;
    const token *t;
    size_t n, i; /* its position */
    size_t piece, real,
        wild;          /* piece: letters since the last gap; real, wild: letters and asterisks matched in total */
    int spaced, whole; /* there were gaps; some part has more than one letter */
    ishow_chat_strictness level;
} attempt;

static int dense(uint32_t c) { return code_is_dense(c) && is_significant(c); }

/* Moves to the next letter, skipping signs and, where the word may be spaced, gaps; 0: it does not match. */
static int step(attempt *a, uint32_t letter) {
    size_t k = a->i;
    int gap = 0;
    for (; k < a->n && (a->t[k].kind == NOISE || (a->t[k].kind == GAP && !a->w->phrase)); k++) {
        if (a->t[k].kind == NOISE) continue;
        if (dense(letter) && a->t[k].c != ' ' && a->level != ISHOW_CHAT_STRICT)
            return 0; /* the boundary of two clauses */
        gap = 1;
    }
    if (k >= a->n || !same(letter, &a->t[k])) return 0;
    if (gap) {
        a->whole |= a->piece > 1;
        a->piece = 0;
        a->spaced = 1;
    }
    a->piece++;
    a->real++;
    a->i = k + 1;
    return 1;
}

/* "b*d" */
static int star(attempt *a) {
    if (a->i >= a->n || a->t[a->i].c != '*' || a->t[a->i].kind != NOISE) return 0;
    a->i++;
    a->piece++;
    a->wild++;
    return 1;
}

static int take_run(attempt *a, const run *r, size_t begin) {
    size_t n = 0;
    while (n < r->n && (step(a, r->letter) || (a->real && star(a)))) n++;
    if (n < r->n) return 0;
    while (a->i < a->n && same(r->letter, &a->t[a->i]) && a->i - begin < TRIED_MOST) a->i++, n++; /* stretched */
    return n == r->n || n >= STRETCHED || dense(r->letter);
}

static int take_gap(attempt *a) {
    const size_t from = a->i;
    int gap = 0;
    while (a->i < a->n && a->t[a->i].kind != LETTER) gap |= a->t[a->i++].kind == GAP;
    return gap && a->i > from;
}

/* 1 when a word ends at i, possibly as a plural. */
static int ends(const attempt *a, uint32_t last) {
    size_t i = a->i;
    for (int k = 0; k < 3; k++) {
        if (i >= a->n || a->t[i].kind != LETTER || dense(last) || dense(a->t[i].c)) return 1;
        if (a->w->letters < 3 || last > 0x24F) return 0;
        if (k == 0 && same('e', &a->t[i]) && i + 1 < a->n && same('s', &a->t[i + 1])) i++;
        if (k || !(same('s', &a->t[i]) || same('z', &a->t[i]))) return 0;
        i++;
    }
    return 0;
}

/* An ending of a form of the same word: "idiotic", "crappy". n: letters from t on. */
static int is_ending(const token *t, size_t n, uint32_t last) {
    static const char *const endings[] = {"y", "ed", "er", "ic", "ie", "in"};
    if (n > 1 && t->c == last) t++, n--; /* doubled before the ending */
    for (size_t k = 0; k < sizeof endings / sizeof *endings; k++)
        if (strlen(endings[k]) == n && t[0].c == (uint32_t)endings[k][0] &&
            (n < 2 || t[1].c == (uint32_t)endings[k][1]))
            return 1;
    return 0;
}

static int is_of_word(const token *t) { return t->kind == LETTER && !dense(t->c); }

/* 1 when the word around t[begin..end) is a compound or a form of it. plural: only a plural ending follows. */
static int is_compound(const text *x, size_t begin, size_t end, uint32_t last, int plural) {
    size_t before = 0, after = 0;
    while (before < begin && is_of_word(&x->t[begin - before - 1])) before++;
    while (!plural && end + after < x->n && is_of_word(&x->t[end + after])) after++;
    return (!before || before >= (after ? AROUND_LEAST : BESIDE_LEAST)) &&
           (!after || after >= BESIDE_LEAST || is_ending(&x->t[end], after, last));
}

static int found_at(const word *w, const text *x, size_t i, ishow_chat_strictness level) {
    attempt a = {.w = w, .t = x->t, .n = x->n, .i = i, .level = level};
    for (size_t r = 0; r < w->n; r++) {
        if (a.i - i >= TRIED_MOST) return 0;
        if (!(w->runs[r].letter == ' ' ? take_gap(&a) : take_run(&a, &w->runs[r], i))) return 0;
    }
    const uint32_t first = w->runs[0].letter, last = w->runs[w->n - 1].letter;
    a.whole |= a.piece > 1;
    if (a.wild && (a.wild > w->letters / 2 || a.real < 2)) return 0;
    const int begins = !i || x->t[i - 1].kind != LETTER || dense(first) || dense(x->t[i - 1].c);
    const int closes = ends(&a, last), strict = level == ISHOW_CHAT_STRICT;
    const int behind_wall = i > 1 && x->t[i - 1].kind == WALL && x->t[i - 2].kind == LETTER; /* "don't it" */
    if (begins && closes) return !a.spaced || !a.whole || dense(first) || (strict && !behind_wall);
    return strict && !a.spaced && w->letters >= INSIDE_LEAST && is_compound(x, i, a.i, last, closes);
}

static int look_up(const spelling *s, const text *x, size_t i, uint32_t letter, ishow_chat_strictness level) {
    for (size_t k = s->first[letter % BUCKETS]; k; k = s->words[k - 1].next)
        if (same(s->words[k - 1].runs[0].letter, &x->t[i]) && found_at(&s->words[k - 1], x, i, level)) return 1;
    return 0;
}

int banned_in(const banned *b, const char *folded) {
    text x;
    int latin, found = 0;
    for (size_t i = 0; i < b->n; i++)
        if (fold_contains(folded, b->folded[i])) return 1;
    if (b->level == ISHOW_CHAT_EXACT || !b->n) return 0;
    if (!read_text(&x, folded, 1, &latin))
        return 1; /* no memory: the text counts as banned, since it cannot be checked */
    const spelling *s = latin ? &b->alike : &b->plain; /* in a text of Cyrillic only, letters are Cyrillic */
    for (size_t i = 0; latin && i < x.n; i++)
        if (x.t[i].kind == LETTER) x.t[i].c = alike(x.t[i].c);
    for (size_t i = 0; i < x.n && !found; i++) {
        const token *t = &x.t[i];
        if (t->kind != LETTER || (i && x.t[i - 1].kind == LETTER && x.t[i - 1].c == t->c)) continue; /* inside a run */
        found = look_up(s, &x, i, t->c, b->level);
        for (int k = 0; k < 2 && !found; k++) found = t->other[k] && look_up(s, &x, i, t->other[k], b->level);
    }
    free(x.t);
    return found;
}

/* ---- the list ---- */

static int add_word(spelling *s, const char *folded, int as_alike) {
    text x;
    int latin, size = 0;
    word *w = &s->words[s->n];
    if (!read_text(&x, folded, 0, &latin)) return 0;
    w->runs = calloc(x.n + 1, sizeof *w->runs);
    for (size_t i = 0; w->runs && i < x.n; i++) {
        const int letter = x.t[i].kind == LETTER;
        const uint32_t c = !letter ? ' ' : as_alike ? alike(x.t[i].c) : x.t[i].c;
        if (!letter && x.t[i].kind != GAP) size = -1; /* it contains a sign, so it is found only as written */
        if (size < 0) break;
        w->letters += letter;
        w->phrase |= !letter;
        if (w->n && w->runs[w->n - 1].letter == c)
            w->runs[w->n - 1].n++;
        else if (letter || w->n)
            w->runs[w->n++] = (run){c, 1};
    }
    free(x.t);
    if (!w->runs) return 0;
    while (w->n && w->runs[w->n - 1].letter == ' ') w->n--;
    if (size < 0 ||
        w->letters < 2) { /* a single letter is found only as written; otherwise it would match everywhere */
        free(w->runs);
        *w = (word){0};
        return 1;
    }
    size_t *first = &s->first[w->runs[0].letter % BUCKETS];
    w->next = *first;
    *first = ++s->n;
    return 1;
}

static void spelling_free(spelling *s) {
    for (size_t i = 0; s->words && i < s->n; i++) free(s->words[i].runs);
    free(s->words);
}

static void trim(char *folded) {
    size_t n = strlen(folded);
    while (n && folded[n - 1] == ' ') folded[--n] = '\0';
    if (*folded == ' ') memmove(folded, folded + 1, n);
}

ishow_status banned_create(banned **out, const ishow_chat_words *words, ishow_chat_strictness level,
                           ishow_error *error) {
    banned *b = calloc(1, sizeof *b);
    ishow_status status = ISHOW_OK;
    *out = NULL;
    if (!b || !(b->folded = calloc(words->n + 1, sizeof *b->folded)) ||
        !(b->plain.words = calloc(words->n + 1, sizeof *b->plain.words)) ||
        !(b->alike.words = calloc(words->n + 1, sizeof *b->alike.words)))
        status = ISHOW_ENOMEM;
    for (size_t i = 0; status == ISHOW_OK && i < words->n; i++) {
        if (ishow_utf8_length(words->item[i]) == SIZE_MAX) {
            status = ishow_fail(error, ISHOW_EINVAL, "banned_words", "chat.banned_words[%zu] is not UTF-8.", i);
            break;
        }
        char *folded = fold_text(words->item[i], strlen(words->item[i]));
        if (folded) trim(folded);
        if (folded && !*folded)
            free(folded);
        else if (!folded || !add_word(&b->plain, folded, 0) || !add_word(&b->alike, folded, 1)) {
            free(folded);
            status = ISHOW_ENOMEM;
        } else
            b->folded[b->n++] = folded;
    }
    if (status == ISHOW_ENOMEM) ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat filter.");
    if (b) b->level = level;
    if (status != ISHOW_OK)
        banned_free(b);
    else
        *out = b;
    return status;
}

void banned_free(banned *b) {
    if (!b) return;
    for (size_t i = 0; i < b->n; i++) free(b->folded[i]);
    free(b->folded);
    spelling_free(&b->plain);
    spelling_free(&b->alike);
    free(b);
}
