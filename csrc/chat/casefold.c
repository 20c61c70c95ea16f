/* Comparing words as people see them. Full-width, circled, upper-case or accented letters must not carry a banned word past the filter, so
 * both sides are folded; dakuten, vowel signs and tone marks of other scripts are letters and stay. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"

/* Scripts whose accents may be left out without making another word. */
static int is_accented(utf8proc_int32_t c) { return (c >= 0x00C0 && c < 0x0530) || (c >= 0x1E00 && c < 0x2000); }
static int is_accent(utf8proc_int32_t c) { return (c >= 0x0300 && c < 0x0370) || (c >= 0x1AB0 && c < 0x1B00) || (c >= 0x1DC0 && c < 0x1E00) || (c >= 0x20D0 && c < 0x2100); }

char *fold_text(const char *text, size_t n) {
    utf8proc_uint8_t *mapped = NULL;
    utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &mapped,
                                           UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    if (length < 0) return NULL;
    /* An accented letter never takes more bytes than its base: in place would do, but the sentinel is simpler in a copy. */
    char *out = malloc((size_t)length + 1);
    size_t used = 0;
    for (utf8proc_ssize_t i = 0; out && i < length;) {
        utf8proc_int32_t code, parts[8];
        utf8proc_ssize_t step = utf8proc_iterate(mapped + i, length - i, &code);
        if (step <= 0) break;
        i += step;
        if (is_accent(code)) continue;
        if (is_accented(code)) {
            int last = UTF8PROC_BOUNDCLASS_START;
            utf8proc_ssize_t m = utf8proc_decompose_char(code, parts, 8, UTF8PROC_DECOMPOSE, &last);
            if (m > 0 && m <= 8) code = parts[0];
            used += (size_t)utf8proc_encode_char(code, (utf8proc_uint8_t *)out + used);
        } else {
            memcpy(out + used, mapped + i - step, (size_t)step);
            used += (size_t)step;
        }
    }
    if (out) out[used] = '\0';
    free(mapped);
    return out;
}

uint64_t fold_hash(const char *folded) { /* FNV-1a */
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *p = (const unsigned char *)folded; *p; p++) h = (h ^ *p) * UINT64_C(0x100000001b3);
    return h;
}

int code_is_dense(uint32_t c) {
    return (c >= 0x0E00 && c < 0x1000) || (c >= 0x1000 && c < 0x10A0) || (c >= 0x1780 && c < 0x1800) || (c >= 0x3040 && c < 0x3100) ||
           (c >= 0x31F0 && c < 0x3200) || (c >= 0x3400 && c < 0x4DC0) || (c >= 0x4E00 && c < 0xA000) || (c >= 0xAC00 && c < 0xD7B0) ||
           (c >= 0xF900 && c < 0xFB00) || (c >= 0x20000 && c < 0x32000);
}

static int is_word_code(uint32_t code) {
    utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)code);
    return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NO;
}

/* Code point that ends before p. */
static uint32_t code_before(const char *begin, const char *p) {
    if (p == begin) return 0;
    do p--;
    while (p > begin && ((unsigned char)*p & 0xC0) == 0x80);
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
        int begins = code_is_dense(first) || !is_word_code(first) || !before || !is_word_code(before) || code_is_dense(before);
        int ends = code_is_dense(last) || !is_word_code(last) || !after || !is_word_code(after) || code_is_dense(after);
        if (begins && ends) return 1;
    }
    return 0;
}

/* ---- language ---- */

static const struct { const char *language, *words; } common[] = {
    {"en", " the and you is are this that what for with have not of to it was my how who why can do does your "},
    {"de", " der die das und ist nicht ich du wie was ein eine mit auch wir sie auf den von zu wer warum "},
    {"fr", " le la les et est je tu pas que qui une des vous pour avec c'est dans quoi mais ce sur "},
    {"es", " el los las es que yo no una con por para como esta muy pero hola porque mi qué del "},
    {"pt", " os uma não que é você com para como muito mas eu isso por está meu do da obrigado "},
    {"it", " il che è non sono una con per come ma di gli della ciao perché mi questo sei ho "},
    {"nl", " de het een en is niet ik je van dat wat met voor hoe maar ook zijn dit "},
    {"pl", " nie jest to się na co jak ale dla tak czy mnie mam ja "},
    {"tr", " bir ve bu ne için çok ama ben sen değil mi nasıl var "},
    {"id", " yang dan itu ini di tidak saya kamu ada apa untuk dengan bisa "},
    {"vi", " là và của không có cho tôi bạn này một được "},
};
enum { COMMON = sizeof common / sizeof *common };

static const char *latin_language(const char *text, const char *otherwise) {
    char *lower = (char *)utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text), word[40];
    size_t best = 0, score[COMMON] = {0};
    const char *found = otherwise;
    for (char *save = NULL, *t = lower ? strtok_r(lower, " \t.,!?;:\"()", &save) : NULL; t; t = strtok_r(NULL, " \t.,!?;:\"()", &save)) {
        if (strlen(t) > sizeof word - 3) continue;
        word[0] = ' ';
        strcpy(word + 1, t);
        strcat(word, " ");
        for (size_t i = 0; i < COMMON; i++) score[i] += strstr(common[i].words, word) != NULL;
    }
    free(lower);
    for (size_t i = 0; i < COMMON; i++) /* a tie is no evidence against the expected language */
        if (score[i] > best || (score[i] == best && best && language_matches(common[i].language, otherwise))) best = score[i], found = common[i].language;
    return found;
}

const char *text_language(const char *text, const char *otherwise) {
    enum { LATIN, HAN, KANA, HANGUL, CYRILLIC, GREEK, ARABIC, HEBREW, THAI, INDIC, SCRIPTS };
    static const char *const names[SCRIPTS] = {"", "zh", "ja", "ko", "ru", "el", "ar", "he", "th", "hi"};
    size_t n[SCRIPTS] = {0}, best = 0;
    for (const char *p = text; *p;) {
        uint32_t c = ishow_utf8_next(&p);
        if (c == UINT32_MAX) return otherwise;
        if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= 0xC0 && c < 0x250) || (c >= 0x1E00 && c < 0x1F00)) n[LATIN]++;
        else if (c >= 0x3040 && c < 0x3100) n[KANA]++;
        else if ((c >= 0x3400 && c < 0xA000) || (c >= 0x20000 && c < 0x32000)) n[HAN] += 2; /* a character is more than a letter */
        else if (c >= 0xAC00 && c < 0xD7B0) n[HANGUL] += 2;
        else if (c >= 0x400 && c < 0x530) n[CYRILLIC]++;
        else if (c >= 0x370 && c < 0x400) n[GREEK]++;
        else if (c >= 0x600 && c < 0x780) n[ARABIC]++;
        else if (c >= 0x590 && c < 0x600) n[HEBREW]++;
        else if (c >= 0xE00 && c < 0xE80) n[THAI]++;
        else if (c >= 0x900 && c < 0x980) n[INDIC]++;
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
