/* Separates a message's own words from the rest of its text: the mention at the beginning of a reply, cheermotes, and
 * the emotes of other services. */
#include "platforms/twitch.h"
#include "base/utf8.h"

/* Cheermotes that every channel has; a channel's own ones are recognised by their sum. */
static const char *const cheer_prefixes[] = {
    "cheer",     "biblethump",    "cheerwhal", "corgo",     "uni",         "showlove", "party",
    "seemsgood", "pride",         "kappa",     "frankerz",  "heyguys",     "dansgame", "elegiggle",
    "trihard",   "kreygasm",      "4head",     "swiftrage", "notlikethis", "failfish", "vohiyo",
    "pjsalt",    "mrdestructoid", "bday",      "ripcheer",  "shamrock",    "bitboss",  "streamlabs",
    "muxy",      "holidaycheer",  "goal",      "anon",      "scoops",      "charity",  "doodlecheer"};

static int is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static int is_digit(char c) { return c >= '0' && c <= '9'; }

/* "Cheer100": the bits, 0: the word is no cheermote. *known: every channel has it. */
static uint64_t cheer_of(ishow_span word, int *known) {
    size_t n = word.size;
    while (n && is_digit(word.data[n - 1])) n--;
    *known = 0;
    if (!n || n == word.size || word.size - n > 7 || word.data[n] == '0' || !is_letter(word.data[n - 1])) return 0;
    for (size_t i = 0; i < n; i++)
        if (!is_letter(word.data[i]) && !is_digit(word.data[i])) return 0;
    for (size_t i = 0; i < sizeof cheer_prefixes / sizeof *cheer_prefixes; i++)
        *known |= strlen(cheer_prefixes[i]) == n && !strncasecmp(cheer_prefixes[i], word.data, n);
    return span_u64((ishow_span){word.data + n, word.size - n});
}

typedef struct words {
    const char *p, *end;
    uint32_t point; /* code points before p */
} words;

/* The next word between spaces, its place in code points in *start and *stop. 0: none. */
static int next_word(words *w, ishow_span *word, uint32_t *start, uint32_t *stop) {
    while (w->p < w->end && *w->p == ' ') w->p++, w->point++;
    const char *from = w->p;
    *start = w->point;
    for (; w->p < w->end && *w->p != ' '; w->p++) w->point += !utf8_continues(*w->p);
    *stop = w->point;
    *word = (ishow_span){from, (size_t)(w->p - from)};
    return word->size > 0;
}

/* Finds cheermotes: all words that look like one, if their sum is the message's bits, else those that every channel
 * has. */
static size_t find_cheers(const ishow_chat_message *m, ishow_chat_emote *out) {
    uint64_t sum = 0;
    ishow_span word;
    uint32_t start, stop;
    int known;
    for (words w = {m->text.data, m->text.data + m->text.size, 0}; next_word(&w, &word, &start, &stop);)
        sum += cheer_of(word, &known);
    size_t n = 0;
    for (words w = {m->text.data, m->text.data + m->text.size, 0}; next_word(&w, &word, &start, &stop);)
        if (cheer_of(word, &known) && (known || sum == m->bits)) out[n++] = (ishow_chat_emote){start, stop, word};
    return n;
}

/* "@name " at the beginning of an answer to name, whichever way it is written. */
static size_t find_mention(const ishow_chat_message *m, ishow_chat_emote *out) {
    words w = {m->text.data, m->text.data + m->text.size, 0};
    ishow_span word;
    uint32_t start, stop;
    if (!m->reply_id.size || !next_word(&w, &word, &start, &stop) || word.data[0] != '@') return 0;
    *out = (ishow_chat_emote){start, stop, word};
    return 1;
}

void twitch_text(feed *f, ishow_chat_message *m) {
    if (!m->text.size) return;
    size_t most = 2;
    for (size_t i = 0; i < m->text.size; i++) most += m->text.data[i] == ' ';
    if ((m->reply_id.size && !f->keeps_mentions) || m->bits) {
        ishow_chat_emote *cuts = ishow_arena_take(&f->arena, most * sizeof *cuts);
        if (!cuts) return;
        size_t n = f->keeps_mentions ? 0 : find_mention(m, cuts);
        if (m->bits) n += find_cheers(m, cuts + n);
        feed_cut(f, m, cuts, n);
    }
    if (!f->emote_words) return;
    ishow_chat_emote *all = NULL;
    size_t n = 0;
    ishow_span word;
    uint32_t start, stop;
    for (words w = {m->text.data, m->text.data + m->text.size, 0}; next_word(&w, &word, &start, &stop);) {
        if (!ishow_emote_words_has(f->emote_words, word)) continue;
        if (!all) {
            if (!(all = ishow_arena_take(&f->arena, (most + m->n_emotes) * sizeof *all))) return;
            if (m->n_emotes) memcpy(all, m->emotes, m->n_emotes * sizeof *all);
            n = m->n_emotes;
        }
        all[n++] = (ishow_chat_emote){start, stop, word};
    }
    if (all) feed_emotes(m, all, n);
}
