/* The language of a line of chat, from its script and, for Latin letters, its words and their letters.
 *
 * Seven languages are distinguished by the likelihood of the line's trigrams in each, together with lists of common
 * words; four more by lists of words and by letters that only they have. The expected language is kept unless another
 * one is clearly more likely: a single short word, names, and words used in every language are not evidence. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/hash.h"
#include "chat/chat_internal.h"
#include "chat/language_ngrams.h"
#include "chat/language_words.h"

enum {
    SLOTS = 8192,   /* of either hash table: a power of two, well over the number of entries */
    QUARTERS = 8,   /* a language without trigrams must have two points, in quarters */
    LEAD = 3,       /* and so many quarters more than any other */
    EASY = 4,       /* what is enough where the language has every word of the line, */
    EASY_ALONE = 3, /* and where the line is one word */
    LONG_WORD = 4,  /* letters from which a word that one language has is evidence enough */
    LETTERS_MAX = 40,
    NOT_LISTED = 24, /* penalty where only one other language lists a word; half for two, a quarter for more */
    KNOWN = 8,       /* least lead over the expected language where a word is listed, */
    SEVERAL = 12,    /* where none of several words is, */
    ALONE = 28,      /* and where there is one word, */
    NAMES = 60,      /* or all of them have capitals */
    SPANISH = 24     /* of a mark that only Spanish has */
};

typedef struct slot {
    const char *word; /* in the table's text; NULL: empty */
    unsigned char n;
    unsigned languages; /* a bit each; NEUTRAL: used in every language */
} slot;
enum { NEUTRAL = 1 << 30 };

typedef struct gram {
    uint64_t key; /* 0: empty */
    unsigned char penalty[MODELLED];
} gram;

static slot table[SLOTS];
static gram grams[SLOTS];
static int place_of[COMMON]; /* of a listed language among the modelled ones; -1: it has no trigrams */
static pthread_once_t built = PTHREAD_ONCE_INIT;

static slot *find(const char *word, size_t n) {
    for (size_t i = hash_more(HASH_START, word, n) & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1))
        if (!table[i].word || (table[i].n == n && !memcmp(table[i].word, word, n))) return &table[i];
}

static uint64_t key_of(const uint32_t letters[3]) {
    return (uint64_t)letters[0] << 42 | (uint64_t)letters[1] << 21 | letters[2];
}

/* The place of a trigram; its key is 0 where it is not there. */
static gram *find_gram(uint64_t key) {
    for (size_t i = (key * UINT64_C(0x9E3779B97F4A7C15)) >> 51;; i = (i + 1) & (SLOTS - 1))
        if (!grams[i].key || grams[i].key == key) return &grams[i];
}

static void list_words(const char *words, unsigned bit) {
    for (const char *p = words; *p;) {
        size_t n = strcspn(p, " ");
        slot *s = find(p, n);
        s->word = p;
        s->n = (unsigned char)n;
        s->languages |= bit;
        p += n + (p[n] == ' ');
    }
}

static void build(void) {
    for (unsigned i = 0; i < COMMON; i++) {
        list_words(common[i].words, 1u << i);
        place_of[i] = -1;
        for (int m = 0; m < MODELLED; m++)
            if (!strcmp(modelled[m], common[i].language)) place_of[i] = m;
    }
    list_words(neutral, NEUTRAL);
    for (int row = 0; row < TRIGRAM_ROWS; row++)
        for (const char *p = trigrams[row]; *p;) {
            uint32_t letters[3];
            for (int k = 0; k < 3; k++) letters[k] = ishow_utf8_next(&p);
            gram *g = find_gram(key_of(letters));
            g->key = key_of(letters);
            for (int m = 0; m < MODELLED; m++) g->penalty[m] = (unsigned char)(*p++ - '0');
        }
}

/* A word of the line, folded. */
typedef struct word {
    uint32_t letters[LETTERS_MAX];
    size_t n;
    char text[4 * LETTERS_MAX + 1];
    size_t bytes;
} word;

typedef struct tally {
    int penalty[MODELLED], known[MODELLED]; /* of the trigrams and lists; listed words */
    int score[COMMON], listed[COMMON];      /* quarters of points, and words in the list of each language */
    int words, counted;                     /* of the line; those that tell something */
    int accented;                           /* letters that are not ASCII */
    int weight;                             /* of the last listed word */
} tally;

/* Quarters of points of one listed word: two points for a long word of one language, less for a short or shared one. */
static int weight(const slot *s, size_t letters) {
    const int shared = __builtin_popcount(s->languages);
    if (letters == 1) return 1;
    if (shared == 1) return letters >= LONG_WORD ? 8 : 4;
    return letters >= LONG_WORD || shared == 2 ? 3 : 1;
}

static int holds(const word *w, const char *part) { return strstr(w->text, part) != NULL; }

static void count_listed(tally *t, const word *w, const slot *known) {
    const int shared = __builtin_popcount(known->languages);
    const int penalty = NOT_LISTED / (shared < 2 ? 1 : shared < 3 ? 2 : 4);
    for (unsigned i = 0; i < COMMON; i++) {
        const int has = known->languages >> i & 1, m = place_of[i];
        if (has) t->score[i] += t->weight = weight(known, w->n), t->listed[i]++;
        if (m >= 0 && has) t->known[m]++;
        if (m >= 0 && !has) t->penalty[m] += penalty;
    }
}

static void count_word(tally *t, const word *w) {
    const slot *known = find(w->text, w->bytes);
    t->words++;
    if (known->word && known->languages & NEUTRAL) return;
    if (known->word) count_listed(t, w, known);
    for (size_t k = 0; !known->word && k < TYPICAL; k++)
        if (holds(w, typical[k].part))
            for (unsigned i = 0; i < COMMON; i++)
                if (!strcmp(common[i].language, typical[k].language)) t->score[i] += typical[k].quarters;
    if (!known->word && w->n < 3) return;
    t->counted++;
    for (size_t i = 0; i < w->n; i++) { /* the word's ends are letters too */
        if (w->n == 1) break;
        const uint32_t letters[3] = {i ? w->letters[i - 1] : '^', w->letters[i],
                                     i + 1 < w->n ? w->letters[i + 1] : '$'};
        const gram *g = find_gram(key_of(letters));
        for (int m = 0; m < MODELLED; m++) t->penalty[m] += g->penalty[m] * (known->word ? 1 : 2);
    }
}

static int is_latin(uint32_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= 0xC0 && c < 0x250) || (c >= 0x1E00 && c < 0x1F00);
}

/* The next word of a folded line; *p moves behind it. 0: there is none. */
static int next_word(tally *t, const char **p, word *w) {
    *w = (word){0};
    while (**p) {
        const char *before = *p;
        const uint32_t c = ishow_utf8_next(p);
        if (c == UINT32_MAX) return 0;
        if (c == 0xBF || c == 0xA1) /* an opening mark */
            for (int m = 0; m < MODELLED; m++) t->penalty[m] += strcmp(modelled[m], "es") ? SPANISH : 0;
        const char *ahead = *p;
        const int joins = (c == '\'' || c == 0x2019) && w->n && is_latin(ishow_utf8_next(&ahead));
        if (!is_latin(c) && !joins) {
            if (w->n) return *p = before, 1;
            continue;
        }
        if (w->n == LETTERS_MAX) continue;
        t->accented += c > 0x7F && c != 0x2019;
        w->letters[w->n++] = c == 0x2019 ? '\'' : c;
        w->bytes += (size_t)utf8proc_encode_char(c == 0x2019 ? '\'' : (utf8proc_int32_t)c,
                                                 (utf8proc_uint8_t *)w->text + w->bytes);
    }
    return w->n > 0;
}

/* Words of the line as written that begin with a capital. */
static int capitals_of(const char *text) {
    int count = 0, inside = 0;
    for (const char *p = text; *p;) {
        const uint32_t c = ishow_utf8_next(&p);
        if (c == UINT32_MAX) break;
        if (!inside && is_latin(c)) count += utf8proc_isupper((utf8proc_int32_t)c) != 0;
        inside = is_latin(c) || c == '\'' || c == 0x2019;
    }
    return count;
}

/* One of the languages without trigrams, where its words are evidence; COMMON: none. */
static size_t rare_language(const tally *t) {
    size_t best = 0;
    int other = 0;
    for (size_t i = 1; i < COMMON; i++)
        if (t->score[i] > t->score[best]) best = i;
    if (place_of[best] >= 0) return COMMON;
    for (size_t i = 0; i < COMMON; i++)
        if (i != best && t->score[i] > other) other = t->score[i];
    const int all = t->words && t->listed[best] == t->words && t->score[best] > other &&
                    t->score[best] >= (t->words > 1 ? EASY : EASY_ALONE);
    return all || (t->score[best] >= QUARTERS && t->score[best] >= other + LEAD) ? best : COMMON;
}

static const char *latin_language(const char *text, const char *otherwise) {
    char *lower = (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
    tally t = {0};
    word w;
    int best = 0, expected = -1;
    pthread_once(&built, build);
    for (const char *p = lower; p && next_word(&t, &p, &w);) count_word(&t, &w);
    free(lower);
    const size_t rare = rare_language(&t);
    if (rare < COMMON) return common[rare].language;
    for (int m = 0; m < MODELLED; m++) {
        if (language_matches(modelled[m], otherwise)) expected = m;
        if (t.penalty[m] < t.penalty[best]) best = m;
    }
    if (!t.counted) return otherwise;
    const int names = t.words > 1 && t.known[best] < t.words && capitals_of(text) == t.words;
    const int certain = t.known[best] && (t.words > 1 || t.weight >= QUARTERS);
    int least = certain ? KNOWN : t.counted > 1 || t.accented ? SEVERAL : ALONE;
    if (names) least = NAMES;
    if (expected < 0) return t.known[best] && !names ? modelled[best] : otherwise;
    return t.penalty[expected] - t.penalty[best] >= least ? modelled[best] : otherwise;
}

const char *text_language(const char *text, const char *otherwise) {
    enum { LATIN, HAN, KANA, HANGUL, CYRILLIC, GREEK, ARABIC, HEBREW, THAI, INDIC, SCRIPTS };
    static const char *const names[SCRIPTS] = {"", "zh", "ja", "ko", "ru", "el", "ar", "he", "th", "hi"};
    size_t n[SCRIPTS] = {0}, best = 0;
    for (const char *p = text; *p;) {
        uint32_t c = ishow_utf8_next(&p);
        if (c == UINT32_MAX) return otherwise;
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= 0xC0 && c < 0x250) || (c >= 0x1E00 && c < 0x1F00))
            n[LATIN]++;
        else if ((c >= 0x3040 && c < 0x3100) || (c >= 0xFF66 && c < 0xFFA0))
            n[KANA]++;
        else if ((c >= 0x3400 && c < 0xA000) || (c >= 0x20000 && c < 0x32000))
            n[HAN] += 2; /* more than a letter */
        else if (c >= 0xAC00 && c < 0xD7B0)
            n[HANGUL] += 2;
        else if (c >= 0x400 && c < 0x530)
            n[CYRILLIC]++;
        else if (c >= 0x370 && c < 0x400)
            n[GREEK]++;
        else if (c >= 0x600 && c < 0x780)
            n[ARABIC]++;
        else if (c >= 0x590 && c < 0x600)
            n[HEBREW]++;
        else if (c >= 0xE00 && c < 0xE80)
            n[THAI]++;
        else if (c >= 0x900 && c < 0x980)
            n[INDIC]++;
    }
    if (n[KANA] && n[KANA] * 4 >= n[HAN]) n[KANA] += n[HAN], n[HAN] = 0; /* Japanese is written with both */
    for (size_t i = 1; i < SCRIPTS; i++)
        if (n[i] > n[best]) best = i;
    if (best == LATIN) return n[LATIN] ? latin_language(text, otherwise) : otherwise;
    return names[best];
}

int language_matches(const char *a, const char *b) {
    size_t n = strcspn(a, "-_");
    return n == strcspn(b, "-_") && !strncmp(a, b, n);
}
