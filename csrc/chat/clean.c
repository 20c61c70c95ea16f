/* Prepares a text for reading aloud: removes links, emotes and emoticons or keeps them by option, shortens repeated
 * characters and words, and cuts the rest to the maximum length. Works on code points, each with a flag that it is
 * removed. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"

enum { FACE_MAX = 16, SHORTCODE_MAX = 32, NAME_GRAPHEMES_MAX = 24 };

typedef struct codes {
    uint32_t *c;
    unsigned char *gone;
    size_t n;
} codes;

static utf8proc_category_t kind_of(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }
static int is_letter(uint32_t c) { return kind_of(c) >= UTF8PROC_CATEGORY_LU && kind_of(c) <= UTF8PROC_CATEGORY_LO; }
static int is_spoken(uint32_t c) {
    return is_letter(c) || (kind_of(c) >= UTF8PROC_CATEGORY_ND && kind_of(c) <= UTF8PROC_CATEGORY_NO);
}
static int is_ascii_word(uint32_t c) { return c < 0x80 && is_spoken(c); }

static int is_emoji(uint32_t c) {
    return c >= 0x2000 &&
           (utf8proc_get_property((utf8proc_int32_t)c)->boundclass == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC ||
            (c >= 0x1F1E6 && c <= 0x1F1FF) || (c >= 0x1F3FB && c <= 0x1F3FF) || c == 0x20E3 || c == 0xFE0F ||
            c == 0x200D || (c >= 0xE0020 && c <= 0xE007F));
}

static size_t decode(ishow_span text, codes *out) {
    out->c = malloc((text.size + 1) * sizeof *out->c);
    out->gone = calloc(text.size + 1, 1);
    out->n = 0;
    if (!out->c || !out->gone) return 0;
    for (size_t i = 0; i < text.size;) {
        utf8proc_int32_t code;
        utf8proc_ssize_t step =
            utf8proc_iterate((const utf8proc_uint8_t *)text.data + i, (utf8proc_ssize_t)(text.size - i), &code);
        if (step <= 0) step = 1, code = 0xFFFD;
        out->c[out->n++] = (uint32_t)code;
        i += (size_t)step;
    }
    return 1;
}

/* End of the token that begins at i. */
static size_t token_end(const codes *t, size_t i) {
    while (i < t->n && !code_is_space(t->c[i])) i++;
    return i;
}

static char *encode_range(const codes *t, size_t from, size_t to) {
    char *out = malloc((to - from) * 4 + 1);
    size_t n = 0;
    for (size_t i = from; out && i < to; i++)
        if (!t->gone[i]) n += (size_t)utf8proc_encode_char((utf8proc_int32_t)t->c[i], (utf8proc_uint8_t *)out + n);
    if (out) out[n] = '\0';
    return out;
}

/* ---- links ---- */

/* Top-level domains that are also words: "love this.it" without a path is two sentences with the space missing, not a
 * link. */
static int is_word_end(const char *end, size_t n) {
    static const char *const words[] = {"at",   "be",   "club",  "in",     "it", "link", "live", "me",  "online",
                                        "shop", "site", "store", "stream", "to", "top",  "us",   "vip", "win"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == n && !strncmp(end, words[i], n)) return 1;
    return 0;
}

/* Names of frameworks that look like host names. */
static int is_framework(const char *token, size_t n) {
    static const char *const names[] = {"ado.net", "asp.net", "vb.net"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && !strncmp(token, names[i], n)) return 1;
    return 0;
}

static int looks_like_link(const char *token) {
    static const char *const ends[] = {
        "com",  "net",    "org",  "io",  "tv",  "gg",  "me",   "co",  "uk",    "de",  "fr",   "ru",   "cn",     "jp",
        "kr",   "be",     "ly",   "app", "dev", "xyz", "info", "biz", "eu",    "us",  "ca",   "au",   "br",     "in",
        "it",   "es",     "pl",   "nl",  "se",  "ch",  "at",   "cz",  "to",    "cc",  "link", "live", "stream", "shop",
        "site", "online", "club", "ai",  "fm",  "gl",  "gd",   "moe", "store", "top", "vip",  "win",  "рф"};
    if (strstr(token, "://") || !strncmp(token, "www.", 4) || !strncmp(token, "mailto:", 7)) return 1;
    size_t host = strcspn(token, "/?#:");
    if (memchr(token, '@', host)) { /* an e-mail address, not a mention */
        const char *at = memchr(token, '@', host);
        if (at == token) return 0;
    }
    size_t dot = host;
    while (dot && token[dot - 1] != '.') dot--;
    if (dot < 2 || dot == host) return 0; /* no dot, or nothing before or after it */
    if (token[host] != '/' && (is_word_end(token + dot, host - dot) || is_framework(token, host))) return 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strlen(ends[i]) == host - dot && !strncmp(token + dot, ends[i], host - dot)) return 1;
    return 0;
}

/* End of the part of a token from i on that can be a link: text in Chinese and similar scripts may follow a link
 * without a space. */
static size_t link_end(const codes *t, size_t i, size_t end) {
    while (i < end) { /* full-width letters, dots and slashes may be part of a link */
        uint32_t c = t->c[i];
        if (c >= 0x2E80 && !(c >= 0xFF0E && c <= 0xFF5A && c != 0xFF1B && c != 0xFF1F)) break;
        i++;
    }
    return i;
}

static int remove_links(codes *t, int remove) {
    int found = 0;
    for (size_t i = 0, token = 0; i < t->n;) {
        if (i >= token) token = token_end(t, i);
        size_t end = link_end(t, i, token), from = i, to = end;
        while (from < to && t->c[from] < 0x80 && t->c[from] != '@' && !is_spoken(t->c[from]))
            from++; /* skip brackets and quotes around it */
        while (to > from && t->c[to - 1] < 0x80 && !is_spoken(t->c[to - 1]) && t->c[to - 1] != '/') to--;
        if (to > from) {
            char *raw = encode_range(t, from, to), *folded = raw ? fold_text(raw, strlen(raw)) : NULL;
            if (folded && looks_like_link(folded)) {
                found++;
                if (remove) memset(t->gone + i, 1, end - i);
            }
            free(folded);
            free(raw);
        }
        i = end + 1;
    }
    return found;
}

/* ---- emotes and faces ---- */

static int is_code_char(uint32_t c) { return is_ascii_word(c) || c == '_' || c == '+' || c == '-'; }

/* Shortcodes such as ":wave:" and Bilibili's "[doge]". READ keeps the words of the name. */
static int codes_in_text(codes *t, int strip) {
    int found = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t open = t->c[i], close = open == ':' ? ':' : open == '[' ? ']' : 0;
        if (t->gone[i] || !close || (open == ':' && i && is_spoken(t->c[i - 1]))) continue;
        size_t j = i + 1, letters = 0;
        while (j < t->n && j - i <= SHORTCODE_MAX && (is_code_char(t->c[j]) || (open == '[' && is_letter(t->c[j]))))
            letters += is_letter(t->c[j]) != 0, j++;
        if (j >= t->n || t->c[j] != close || j - i < 2 || !letters || (open == ':' && j - i < 3)) continue;
        found++;
        if (strip)
            memset(t->gone + i, 1, j + 1 - i);
        else
            for (size_t k = i; k <= j; k++)
                if (k == i || k == j || t->c[k] == '_') t->c[k] = ' ';
        i = j;
    }
    return found;
}

static int in_set(uint32_t c, const char *set) {
    while (*set)
        if (ishow_utf8_next(&set) == c) return 1;
    return 0;
}

/* Emoticons in brackets, e.g. (´・ω・`) or ¯\_(ツ)_/¯, with adjacent arms. */
static int remove_bracket_faces(codes *t) {
    static const char parts[] = "ಠωДдಥʖツ˘╯╥◕´｀`･▽∀¬━┻◡﹏≧≦＾°□益꒪ʘ";
    int found = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->gone[i] || !in_set(t->c[i], "(（༼[{")) continue;
        size_t j = i + 1, ascii = 0, signs = 0, carets = 0;
        for (; j < t->n && j - i <= FACE_MAX && !in_set(t->c[j], ")）༽]}"); j++) {
            ascii += is_ascii_word(t->c[j]) != 0;
            signs += in_set(t->c[j], parts);
            carets += t->c[j] == '^' || t->c[j] == '_' || t->c[j] == ';' || t->c[j] == '>' || t->c[j] == '<';
        }
        if (j >= t->n || j - i > FACE_MAX || ascii > 2 || (!signs && carets < 2)) continue;
        size_t from = i, to = j + 1;
        while (from > 0 && !t->gone[from - 1] && !code_is_space(t->c[from - 1]) &&
               (!is_spoken(t->c[from - 1]) || in_set(t->c[from - 1], "ノヽﾉシづ")))
            from--;
        while (to < t->n && !code_is_space(t->c[to]) && (!is_spoken(t->c[to]) || in_set(t->c[to], "ノヽﾉシづ彡"))) to++;
        memset(t->gone + from, 1, to - from);
        found++;
        i = to - 1;
    }
    return found;
}

static int is_prose_mark(uint32_t c) {
    return in_set(c, ".,!?;:-'\"…—–。，！？、；：「」『』《》()（）%&+=/$€£¥#@*¿¡·~") || c == 0x2019 || c == 0x201C ||
           c == 0x201D;
}

/* Tokens that are emoticons: known ones with letters or digits, and any token without a letter that is not plain
 * punctuation, e.g. ^_^ or ┻━┻. */
static int remove_token_faces(codes *t) {
    static const char *const known[] = {":d",  ";d",  "=d",  "xd",  "xdd", ":p",  ";p", "=p",  ":o",
                                        ":-o", ":-d", ":-p", ":3",  "<3",  "</3", ":x", ":s",  ":c",
                                        "o_o", "o.o", "t_t", "u_u", "n_n", "x_x", "d:", ":'(", "qaq",
                                        "orz", "0_0", "=)",  "=(",  ":v",  ":b",  "b)", "8)"};
    int found = 0;
    for (size_t i = 0; i < t->n;) {
        size_t end = token_end(t, i);
        int spoken = 0, odd = 0, smile = 0;
        for (size_t k = i; k < end; k++) {
            spoken |= !t->gone[k] && is_spoken(t->c[k]);
            odd |= !t->gone[k] && !is_prose_mark(t->c[k]);
        }
        smile = end - i >= 2 && in_set(t->c[i], ":;=") &&
                in_set(t->c[end - 1], "()[]\\/|*<>"); /* :-) consists of punctuation only */
        int face = !spoken && end > i && (odd || smile);
        if (spoken && end - i <= 4) {
            char *raw = encode_range(t, i, end), *folded = raw ? fold_text(raw, strlen(raw)) : NULL;
            for (size_t k = 0; folded && k < sizeof known / sizeof *known; k++) face |= !strcmp(folded, known[k]);
            free(folded);
            free(raw);
        }
        if (face) {
            for (size_t k = i; k < end; k++) found += !t->gone[k] && k == i;
            memset(t->gone + i, 1, end - i);
        }
        i = end + 1;
    }
    return found;
}

/* ---- squeezing and writing ---- */

/* Removes control and format characters and marked code points; leaves single spaces. */
static size_t squeeze(codes *t, int keep_joiners) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t c = t->c[i];
        if (t->gone[i])
            c = ' ';
        else if (code_is_space(c))
            c = ' ';
        else if (code_is_unseen(c) && !(keep_joiners && c == 0x200D))
            continue;
        if (c == ' ' && (!n || t->c[n - 1] == ' ')) continue;
        t->c[n++] = c;
    }
    while (n && t->c[n - 1] == ' ') n--;
    return n;
}

/* Shortens long numbers. 0: no memory. */
static int shorten(codes *t, const char *otherwise) {
    const size_t found = long_numbers(t->c, t->n);
    memset(t->gone, 0, t->n);
    if (!found) return 1;
    char *text = encode_range(t, 0, t->n);
    uint32_t *c = text ? shorten_numbers(t->c, &t->n, found, text_language(text, otherwise)) : NULL;
    unsigned char *gone = c ? calloc(t->n + 1, 1) : NULL;
    free(text);
    if (!gone) {
        free(c);
        return 0;
    }
    free(t->c);
    free(t->gone);
    t->c = c;
    t->gone = gone;
    return 1;
}

/* Counts words and graphemes and finds the end of the last whole word within the limits; *fits is the number of code
 * points up to there. */
static void measure(const uint32_t *c, size_t n, size_t words_max, size_t graphemes_max, size_t *words,
                    size_t *graphemes, size_t *fits) {
    utf8proc_int32_t state = 0;
    size_t dense = 0, last_good = 0, last_grapheme = 0;
    *words = *graphemes = 0;
    for (size_t i = 0; i < n; i++) {
        int begins_grapheme =
            !i || utf8proc_grapheme_break_stateful((utf8proc_int32_t)c[i - 1], (utf8proc_int32_t)c[i], &state);
        *graphemes += begins_grapheme;
        int is_dense = code_is_dense(c[i]) && is_letter(c[i]);
        int begins_word =
            c[i] != ' ' && !is_dense && (!i || c[i - 1] == ' ' || (code_is_dense(c[i - 1]) && is_spoken(c[i])));
        if (is_dense) begins_word = dense++ % 2 == 0;
        *words += begins_word;
        if (begins_grapheme && *graphemes <= graphemes_max && *words <= words_max) last_grapheme = i;
        if ((c[i] == ' ' || is_dense) && *graphemes <= graphemes_max && *words <= words_max)
            last_good = is_dense && begins_grapheme ? i + 1 : i;
    }
    /* A single word longer than the limit is cut within. */
    *fits = *graphemes <= graphemes_max && *words <= words_max ? n : last_good ? last_good : last_grapheme;
}

static void count(const char *text, size_t *words, size_t *graphemes) {
    codes t = {0};
    size_t fits;
    *words = *graphemes = 0;
    if (decode((ishow_span){text, strlen(text)}, &t)) measure(t.c, t.n, SIZE_MAX, SIZE_MAX, words, graphemes, &fits);
    free(t.c);
    free(t.gone);
}

size_t count_graphemes(const char *text) {
    size_t words, graphemes;
    count(text, &words, &graphemes);
    return graphemes;
}

size_t count_words(const char *text) {
    size_t words, graphemes;
    count(text, &words, &graphemes);
    return words;
}

int clean_text(ishow_span text, const ishow_chat_emote *emotes, size_t n_emotes, const ishow_chat_options *o,
               cleaned *out) {
    codes t = {0};
    memset(out, 0, sizeof *out);
    if (!decode(text, &t)) goto done;
    int strip = o->emotes == ISHOW_CHAT_STRIP;
    for (size_t i = 0; i < n_emotes; i++) {
        out->emotes++;
        if (strip && emotes[i].start < t.n && emotes[i].end > emotes[i].start)
            memset(t.gone + emotes[i].start, 1, (emotes[i].end < t.n ? emotes[i].end : t.n) - emotes[i].start);
    }
    out->links = remove_links(&t, o->links != ISHOW_CHAT_READ);
    out->emotes += codes_in_text(&t, strip);
    for (size_t i = 0; i < t.n; i++)
        if (is_emoji(t.c[i])) {
            out->emotes++;
            if (strip) t.gone[i] = 1;
        }
    if (o->kaomoji == ISHOW_CHAT_STRIP) out->emotes += remove_bracket_faces(&t) + remove_token_faces(&t);
    t.n = squeeze(&t, !strip);
    t.n = squeeze_repeats(t.c, t.n, NULL);
    if (!shorten(&t, o->language)) goto done;
    int spoken = 0;
    for (size_t i = 0; i < t.n; i++) spoken |= is_spoken(t.c[i]) || is_emoji(t.c[i]);
    if (!spoken) t.n = 0;
    size_t words, graphemes, fits;
    measure(t.c, t.n, (size_t)o->words_max, (size_t)o->graphemes_max, &words, &graphemes, &fits);
    out->too_long = fits < t.n;
    if (out->too_long && o->long_texts != ISHOW_CHAT_REFUSE) {
        t.n = fits;
        while (t.n && t.c[t.n - 1] == ' ') t.n--;
        out->cut = 1;
    }
    out->text = encode_range(&t, 0, t.n);
done:
    free(t.c);
    free(t.gone);
    return out->text != NULL;
}

/* ---- names ---- */

static int same_letter(uint32_t a, uint32_t b) {
    return utf8proc_tolower((utf8proc_int32_t)a) == utf8proc_tolower((utf8proc_int32_t)b);
}

/* "xX_Dark_Lord99_Xx": removes the xX frame, digits at the end, and signs. */
static char *tidy_name(ishow_span name) {
    codes t = {0};
    char *out = NULL;
    if (!decode(name, &t)) goto done;
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++) {
        uint32_t c = t.c[i];
        if (is_spoken(c) || (kind_of(c) >= UTF8PROC_CATEGORY_MN && kind_of(c) <= UTF8PROC_CATEGORY_ME) || c == '\'' ||
            c == 0x2019)
            t.c[n++] = c;
        else if (n && t.c[n - 1] != ' ')
            t.c[n++] = ' ';
    }
    while (n && t.c[n - 1] == ' ') n--;
    t.n = n;
    if (t.n > 5 && same_letter(t.c[0], 'x') && same_letter(t.c[1], 'x') && t.c[2] == ' ')
        memmove(t.c, t.c + 3, (t.n -= 3) * sizeof *t.c);
    if (t.n > 3 && same_letter(t.c[t.n - 1], 'x') && same_letter(t.c[t.n - 2], 'x') && t.c[t.n - 3] == ' ') t.n -= 3;
    n = t.n;
    while (n && kind_of(t.c[n - 1]) == UTF8PROC_CATEGORY_ND) n--;
    if (n && t.n - n >= 2) t.n = n; /* "Dark99" loses its digits; "Agent 7" and "1234" keep theirs */
    size_t words, graphemes, fits;
    measure(t.c, t.n, SIZE_MAX, NAME_GRAPHEMES_MAX, &words, &graphemes, &fits);
    t.n = fits;
    while (t.n && t.c[t.n - 1] == ' ') t.n--;
    memset(t.gone, 0, t.n);
    out = encode_range(&t, 0, t.n);
done:
    free(t.c);
    free(t.gone);
    return out;
}

/* Script of a letter, as named by the text front end: a Latin, h Chinese, k kana, x any other; digits are read by all
 * voices. */
static char script_of(uint32_t c) {
    if (c < 0x250 || (c >= 0x1E00 && c < 0x1F00)) return 'a';
    if (c >= 0x3040 && c < 0x3100) return 'k';
    if (c == 0x3007 || (c >= 0x3400 && c < 0xA000) || (c >= 0xF900 && c < 0xFB00) || (c >= 0x20000 && c < 0x32000))
        return 'h';
    return 'x';
}

/* 1 when a name has a letter or digit that the voices can read; styled letters count as the plain ones. */
static int is_readable(const char *name, const char *scripts) {
    utf8proc_uint8_t *plain = NULL;
    int found = 0;
    if (utf8proc_map((const utf8proc_uint8_t *)name, 0, &plain,
                     UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT) < 0)
        return 1;
    for (const char *p = (const char *)plain; *p && !found;) {
        const uint32_t c = ishow_utf8_next(&p);
        if (c == UINT32_MAX) break;
        found = is_spoken(c) && (kind_of(c) == UTF8PROC_CATEGORY_ND || strchr(scripts, script_of(c)));
    }
    free(plain);
    return found;
}

char *clean_name(ishow_span display, ishow_span login, const char *scripts, int clean) {
    const ishow_span names[] = {display, login};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *name = clean ? tidy_name(names[i]) : span_copy(names[i]);
        if (!name || (*name && (!scripts[0] || is_readable(name, scripts)))) return name;
        free(name);
    }
    return ishow_strdup("Somebody");
}
