/* English phones through libflite.
 *
 * Only the text stages of flite run (tokens, words, part of speech, phrases, lexicon, pauses, post-lexical rules); no
 * waveform is made, so no flite voice is linked. The text is first folded to plain ASCII here: flite reads bytes, and
 * a chat line may contain anything. Sentences are cut by flite's own rule, which knows abbreviations, and each keeps
 * its closing mark as a symbol: the model learns the melody of a sentence from it.
 *
 * libflite holds global state and is not thread-safe; one lock guards every use of it. Its fatal errors would leave
 * through exit(); the jump buffer it offers turns them into an ordinary status. */
#include "text/phones.h"

#include "base/base.h"
#include "base/grow.h"

#include <ctype.h>
#include <flite/flite.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Debian ships these two libraries without their headers. */
void usenglish_init(cst_voice *voice);
cst_lexicon *cmu_lex_init(void);

#define LONGEST_TOKEN        48 /* bytes between two spaces; longer runs are broken up: flite's rules recurse on them */
#define TOKENS_PER_UTTERANCE 300

struct ishow_phones {
    cst_voice *voice;
};

static pthread_mutex_t flite_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- text to ASCII ------------------------------------------------------------------------------------------- */

/* Letters of U+00C0..U+017F without their marks; '*' stands for "two letters or none, see below", '~' for "drop". */
static const char latin[] =
    "AAAAAA*CEEEEIIIIDNOOOOO~OUUUUY**aaaaaa*ceeeeiiiidnooooo~ouuuuy*y"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIi**JjKkkLlLlLlLlLlNnNnNnnNnOoOoOo**RrRrRrSsSsSsSsTtTtTt"
    "UuUuUuUuUuUuWwYyYZzZzZzs";

static const struct fold {
    uint32_t code;
    const char *text;
} folds[] = {
    {0x00A0, " "},    {0x00A3, " pounds "}, {0x00B0, " degrees "}, {0x00C6, "AE"}, {0x00DE, "Th"},      {0x00DF, "ss"},
    {0x00E6, "ae"},   {0x00FE, "th"},       {0x0132, "IJ"},        {0x0133, "ij"}, {0x0152, "OE"},      {0x0153, "oe"},
    {0x2010, "-"},    {0x2011, "-"},        {0x2012, "-"},         {0x2013, ", "}, {0x2014, ", "},      {0x2015, ", "},
    {0x2018, "'"},    {0x2019, "'"},        {0x201A, "'"},         {0x201C, "\""}, {0x201D, "\""},      {0x201E, "\""},
    {0x2026, "... "}, {0x2028, " "},        {0x2029, " "},         {0x2032, "'"},  {0x20AC, " euros "}, {0x3001, ", "},
    {0x3002, ". "},   {0xFF01, "! "},       {0xFF0C, ", "},        {0xFF0E, ". "}, {0xFF1A, ": "},      {0xFF1B, "; "},
    {0xFF1F, "? "},
};

/* Decodes one code point of at most `left` bytes; a byte that begins none counts as one unreadable character. */
static size_t decode(const unsigned char *s, size_t left, uint32_t *code) {
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xC2 && s[0] < 0xE0 ? 2
               : s[0] >= 0xE0 && s[0] < 0xF0 ? 3
               : s[0] >= 0xF0 && s[0] < 0xF5 ? 4
                                             : 0;

    *code = 0xFFFD;
    if (n == 0 || n > left) {
        return 1;
    }
    uint32_t c = n == 1 ? s[0] : n == 2 ? s[0] & 0x1Fu : n == 3 ? s[0] & 0x0Fu : s[0] & 0x07u;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 1;
        }
        c = c << 6 | (s[i] & 0x3Fu);
    }
    *code = c;
    return n;
}

/* The ASCII text for one code point; `one` is space for a single character. */
static const char *fold_code(uint32_t c, char one[2]) {
    one[0] = '\0';
    one[1] = '\0';
    if (c < 0x20) {
        one[0] = ' ';
    } else if (c == '&') {
        return " and ";
    } else if (c < 0x7F) {
        one[0] = strchr("<>[]{}|\\^`~_*", (int)c) ? ' ' : (char)c; /* signs whose names flite would spell out */
    } else if (c >= 0xFF10 && c <= 0xFF5A && c < 0x10000) {
        one[0] = (char)(c - 0xFEE0); /* full-width digits and letters; the marks between are in the table above */
        if (!isalnum((unsigned char)one[0])) {
            one[0] = '\0';
        }
    }
    if (one[0]) {
        return one;
    }
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++) {
        if (folds[i].code == c) {
            return folds[i].text;
        }
    }
    if (c >= 0xC0 && c < 0xC0 + sizeof latin - 1 && latin[c - 0xC0] != '*' && latin[c - 0xC0] != '~') {
        one[0] = latin[c - 0xC0];
    } else if (c >= 0x2000) {
        one[0] = ' '; /* emoji and letters of other scripts separate words */
    }
    return one;
}

/* Folds a text to a new string; NULL: out of memory. */
static char *to_ascii(const char *text, size_t bytes) {
    char *out = malloc(bytes * 10 + 1); /* the longest fold, " degrees ", is 9 bytes for 2; breaking adds 1 in 48 */
    size_t n = 0, run = 0;

    if (!out) {
        return NULL;
    }
    for (size_t i = 0; i < bytes;) {
        uint32_t code;
        char one[2];
        i += decode((const unsigned char *)text + i, bytes - i, &code);
        for (const char *p = fold_code(code, one); *p; p++) {
            run = *p == ' ' ? 0 : run + 1;
            if (run > LONGEST_TOKEN) {
                out[n++] = ' ';
                run = 1;
            }
            out[n++] = *p;
        }
    }
    out[n] = '\0';
    return out;
}

/* ---- flite --------------------------------------------------------------------------------------------------- */

typedef struct phone_list {
    ishow_phone *items;
    size_t count, capacity;
    int32_t words;
    bool readable;
    bool failed; /* out of memory */
} phone_list;

static void append(phone_list *list, const char *name, const char *stress, int32_t word) {
    ishow_phone *items = ishow_grow(list->items, &list->capacity, list->count + 1, sizeof *items);
    if (!items) {
        list->failed = true;
        return;
    }
    list->items = items;
    ishow_phone *p = &list->items[list->count++];
    memset(p, 0, sizeof *p);
    size_t n = strlen(name), s = strlen(stress);
    if (n + s >= sizeof p->name) {
        n = sizeof p->name - 1 - s;
    }
    memcpy(p->name, name, n);
    memcpy(p->name + n, stress, s);
    p->word = word;
}

/* Appends the phones of one analysed sentence: "pau", then the segments without pauses at either end, then the closing
 * mark. */
static void read_segments(phone_list *list, cst_utterance *utt, const char *mark) {
    cst_item *word = NULL;
    bool spoken = false, pause = false;

    for (cst_item *s = relation_head(utt_relation(utt, "Segment")); s; s = item_next(s)) {
        const char *name = item_feat_string(s, "name");
        if (strcmp(name, "pau") == 0) {
            pause = spoken;
            continue;
        }
        cst_item *in_syllables = item_as(s, "SylStructure");
        cst_item *syllable = in_syllables ? item_parent(in_syllables) : NULL;
        cst_item *own = syllable ? item_parent(syllable) : NULL;
        if (!spoken || pause) {
            append(list, "pau", "", -1);
        }
        if (!spoken || !own || !item_equal(own, word)) {
            list->words++;
            word = own;
        }
        spoken = true;
        pause = false;
        const char *stress = strchr("aeiou", name[0]) && syllable ? item_feat_string(syllable, "stress") : "";
        append(list, name, stress, list->words - 1);
    }
    if (spoken) {
        append(list, mark, "", -1);
        list->readable = true;
    }
}

static void analyse(phone_list *list, cst_voice *voice, cst_utterance *utt) {
    static const cst_synth_module stages[] = {
        {"textanalysis_func", default_textanalysis},
        {"pos_tagger_func", default_pos_tagger},
        {"phrasing_func", default_phrasing},
        {"lexical_insertion_func", default_lexical_insertion},
        {"pause_insertion_func", default_pause_insertion},
        {"postlex_func", NULL},
        {NULL, NULL},
    };
    cst_item *last = relation_tail(utt_relation(utt, "Token"));
    const char *punctuation = last ? item_feat_string(last, "punc") : "";
    const char *mark = strchr(punctuation, '?') ? "?" : strchr(punctuation, '!') ? "!" : ".";

    utt_init(utt, voice);
    if (apply_synth_method(utt, stages)) {
        read_segments(list, utt, mark);
    }
}

/* Converts one text, with the lock held. Pointers are volatile because their values must survive the error jump of
 * libflite. */
static bool convert_locked(phone_list *list, cst_voice *voice, const char *ascii) {
    jmp_buf jump, *outer = cst_errjmp;
    cst_tokenstream *volatile stream = NULL;
    cst_utterance *volatile utt = NULL;
    volatile bool fine = false;

    cst_errjmp = &jump;
    if (setjmp(jump) == 0) {
        stream = ts_open_string(ascii, cst_ts_default_whitespacesymbols, "", cst_ts_default_prepunctuationsymbols,
                                cst_ts_default_postpunctuationsymbols);
        int tokens = 0;
        bool more = stream != NULL;
        while (more && !list->failed) {
            const char *token = ts_eof(stream) ? "" : ts_get(stream);
            more = token[0] != '\0' || !ts_eof(stream);
            cst_relation *relation = utt ? utt_relation(utt, "Token") : NULL;
            if (utt && (!more || tokens >= TOKENS_PER_UTTERANCE || default_utt_break(stream, token, relation))) {
                analyse(list, voice, utt);
                delete_utterance(utt);
                utt = NULL;
            }
            if (!more) {
                break;
            }
            if (!utt) {
                utt = new_utterance();
                relation = utt_relation_create(utt, "Token");
                tokens = 0;
            }
            cst_item *item = relation_append(relation, NULL);
            item_set_string(item, "name", token);
            item_set_string(item, "whitespace", stream->whitespace);
            item_set_string(item, "prepunctuation", stream->prepunctuation);
            item_set_string(item, "punc", stream->postpunctuation);
            tokens++;
        }
        fine = true;
    }
    cst_errjmp = outer;
    if (utt) {
        delete_utterance(utt);
    }
    if (stream) {
        ts_close(stream);
    }
    return fine;
}

ishow_status ishow_phones_create(ishow_phones **out, ishow_error *error) {
    *out = NULL;
    ishow_phones *phones = calloc(1, sizeof *phones);
    if (!phones) {
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the phone converter");
    }
    pthread_mutex_lock(&flite_lock);
    flite_init();
    phones->voice = new_voice();
    if (phones->voice) {
        usenglish_init(phones->voice);
        cst_lexicon *lexicon = cmu_lex_init(); /* borrowed: one static lexicon in the library */
        feat_set(phones->voice->features, "lexicon", lexicon_val(lexicon));
        feat_set(phones->voice->features, "postlex_func", uttfunc_val(lexicon->postlex));
    }
    pthread_mutex_unlock(&flite_lock);
    if (!phones->voice) {
        free(phones);
        return ishow_fail(error, ISHOW_ENOMEM, "", "libflite could not make its English voice");
    }
    ishow_handle_made();
    *out = phones;
    return ISHOW_OK;
}

void ishow_phones_free(ishow_phones *phones) {
    if (!phones) {
        return;
    }
    pthread_mutex_lock(&flite_lock);
    delete_voice(phones->voice);
    pthread_mutex_unlock(&flite_lock);
    free(phones);
    ishow_handle_freed();
}

ishow_status ishow_phones_convert(ishow_phones *phones, const char *text, size_t bytes, ishow_phone **out,
                                  size_t *count, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    phone_list list = {0};
    char *ascii = NULL;

    *out = NULL;
    *count = 0;
    if (bytes > ISHOW_PHONES_MAX_TEXT) {
        status =
            ishow_fail(error, ISHOW_EINVAL, "text", "text of %zu bytes is too long to convert at once (at most %d)",
                       bytes, ISHOW_PHONES_MAX_TEXT);
        goto done;
    }
    ascii = to_ascii(text, bytes);
    if (!ascii) {
        status = ishow_fail(error, ISHOW_ENOMEM, "text", "no memory for %zu bytes of text", bytes);
        goto done;
    }
    pthread_mutex_lock(&flite_lock);
    bool fine = convert_locked(&list, phones->voice, ascii);
    pthread_mutex_unlock(&flite_lock);
    if (list.failed) {
        status = ishow_fail(error, ISHOW_ENOMEM, "text", "no memory for the phones of %zu bytes of text", bytes);
        goto done;
    }
    if (!fine || !list.readable) {
        status =
            ishow_fail(error, ISHOW_EINVAL, "text",
                       fine ? "the text has nothing that can be read aloud" : "libflite could not analyse the text");
        goto done;
    }
    *out = list.items;
    *count = list.count;
    list.items = NULL;
done:
    free(list.items);
    free(ascii);
    return status;
}
