/* Language identification of a line of chat: by script and, for Latin letters, by words.
 *
 * A line is too short for letter statistics alone. Common words score points, less where several languages share them,
 * and words of the expected language count against the others; then letters and word endings that are typical of few
 * languages. One short word is not enough evidence: "no" and "come on" are taken for the channel's language. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"
#include "chat/language_words.h"

enum {
    SLOTS = 8192,   /* of the hash table: a power of two, well above the number of words */
    QUARTERS = 8,   /* points a language needs: two, in quarters */
    LEAD = 3,       /* quarters that it needs more than the expected language */
    EASY = 4,       /* enough when all words of the line are in its list, */
    EASY_ALONE = 3, /* and when the line is a single word */
    LONGEST_WORD = 39,
    LONG_WORD = 4, /* a word of so many letters that only one language has is enough evidence */
};

typedef struct slot {
    const char *word; /* points into the list's text; NULL: empty */
    unsigned char n;
    unsigned languages; /* bit set */
} slot;

static slot table[SLOTS];
static pthread_once_t built = PTHREAD_ONCE_INIT;

static slot *find(const char *word, size_t n) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)word[i]) * UINT64_C(0x100000001b3);
    for (size_t i = h & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1))
        if (!table[i].word || (table[i].n == n && !memcmp(table[i].word, word, n))) return &table[i];
}

static void build(void) {
    for (unsigned i = 0; i < COMMON; i++)
        for (const char *p = common[i].words; *p;) {
            size_t n = strcspn(p, " ");
            slot *s = find(p, n);
            s->word = p;
            s->n = (unsigned char)n;
            s->languages |= 1u << i;
            p += n + (p[n] == ' ');
        }
}

/* Score of a known word in quarters of points: two points for a long word of one language, less for a short or shared
 * one. */
static int weight(const slot *s) {
    int shared = __builtin_popcount(s->languages);
    int letters = 0;
    for (int i = 0; i < s->n; i++) letters += ((unsigned char)s->word[i] & 0xC0) != 0x80;
    if (shared == 1) return letters >= LONG_WORD ? 8 : 4;
    return letters >= LONG_WORD || shared == 2 ? 3 : 1;
}

/* 1 when a word of n bytes contains `part`; ^ and $ in it match the word's beginning and end. */
static int holds(const char *word, size_t n, const char *part) {
    size_t size = strlen(part);
    if (*part == '^') return n >= size - 1 && !memcmp(word, part + 1, size - 1);
    if (part[size - 1] == '$') return n >= size && !memcmp(word + n - (size - 1), part, size - 1);
    for (size_t i = 0; i + size <= n; i++)
        if (!memcmp(word + i, part, size)) return 1;
    return 0;
}

typedef struct tally {
    int score[COMMON], known[COMMON]; /* score in quarters of points, and words found in each language's list */
    int words;                        /* in the line */
} tally;

static void count_word(tally *t, const char *word, size_t n) {
    const slot *known = find(word, n);
    t->words++;
    if (known->word) {
        for (unsigned i = 0; i < COMMON; i++)
            if (known->languages >> i & 1) t->score[i] += weight(known), t->known[i]++;
        return;
    }
    for (size_t k = 0; k < TYPICAL; k++)
        if (holds(word, n, typical[k].part))
            for (unsigned i = 0; i < COMMON; i++)
                if (!strcmp(common[i].language, typical[k].language)) t->score[i] += typical[k].quarters;
}

static const char *latin_language(const char *text, const char *otherwise) {
    static const char between[] = " \t\n.,!?;:\"()";
    char *lower = (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
    tally t = {0};
    size_t best = 0, expected = COMMON;
    pthread_once(&built, build);
    for (const char *p = lower; p && *p;) {
        p += strspn(p, between);
        size_t n = strcspn(p, between);
        if (n && n <= LONGEST_WORD) count_word(&t, p, n);
        p += n;
    }
    free(lower);
    for (size_t i = 0; i < COMMON; i++) {
        if (language_matches(common[i].language, otherwise)) expected = i;
        if (t.score[i] > t.score[best]) best = i;
    }
    int against = expected < COMMON ? t.score[expected] : 0;
    int shared = expected < COMMON ? t.known[expected] : 0;
    /* a line of words all known in one language, and mostly not in the expected one, is evidence even if each is short
     * or shared */
    int all = t.words && t.known[best] == t.words && 2 * shared < t.words &&
              t.score[best] >= (t.words > 1 ? EASY : EASY_ALONE);
    return all || (t.score[best] >= QUARTERS && t.score[best] >= against + LEAD) ? common[best].language : otherwise;
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
            n[HAN] += 2; /* a character carries more than a letter */
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
    if (n[KANA] && n[KANA] * 4 >= n[HAN]) n[KANA] += n[HAN], n[HAN] = 0; /* kana with Han: Japanese */
    for (size_t i = 1; i < SCRIPTS; i++)
        if (n[i] > n[best]) best = i;
    if (best == LATIN) return n[LATIN] ? latin_language(text, otherwise) : otherwise;
    return names[best];
}

int language_matches(const char *a, const char *b) {
    size_t n = strcspn(a, "-_");
    return n == strcspn(b, "-_") && !strncmp(a, b, n);
}
