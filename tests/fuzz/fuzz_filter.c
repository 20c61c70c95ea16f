/* Any text through the chat filter: what it accepts is UTF-8, not empty, within the bounds, and what a cleaned text
 * says does not grow when it is cleaned again. The first bytes choose options, roles, a kind and an emote's place;
 * bytes that are not UTF-8 become question marks, as the filter is only given UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"
#include "fuzz.h"

static char *as_utf8(const uint8_t *data, size_t n) {
    char *text = malloc(n + 1);
    memcpy(text, data, n);
    text[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (!text[i]) text[i] = ' ';
    for (const char *p = text; *p;)
        if (ishow_utf8_next(&p) == UINT32_MAX) text[p - text] = '?';
    return text;
}

static void require(int holds) {
    if (!holds) abort();
}

int fuzz_one(const uint8_t *data, size_t n) {
    static const char *const banned[] = {"bad", "禁", "ß", "two words", "schlecht", "café"}, *const prefixes[] = {"!"};
    static const ishow_chat_voice voices[] = {{"alto", "en"}, {"bass", "zh"}};
    if (n < 4) return 0;
    ishow_chat_options o = ishow_chat_options_default();
    o.links = (ishow_chat_rule)(data[0] % 3);
    o.emotes = data[0] & 4 ? ISHOW_CHAT_READ : ISHOW_CHAT_STRIP;
    o.kaomoji = data[0] & 8 ? ISHOW_CHAT_READ : ISHOW_CHAT_STRIP;
    o.long_texts = data[0] & 16 ? ISHOW_CHAT_REFUSE : ISHOW_CHAT_STRIP;
    o.words_max = 1 + data[1] % 40;
    o.graphemes_max = 1 + data[1];
    o.banned_words = (ishow_chat_words){banned, 6};
    o.command_prefixes = (ishow_chat_words){prefixes, 1};
    o.voice_command = 1;
    o.voice_per_viewer = data[1] & 1;
    o.events = data[1] & 2;
    o.banned_level = (ishow_chat_strictness)(data[0] / 32 % 3);
    o.seconds_max = 2 + data[1] % 16;
    o.voices = voices;
    o.n_voices = 2;
    /* One filter serves all inputs, since its tables are large. Each input has an id of its own, a day after the one
     * before, and the viewer's voice is forgotten, so that it depends on no other input. */
    static filter *f;
    static unsigned long inputs;
    char number[24];
    filter_rules *rules = NULL;
    if (!f && !(f = filter_create())) abort();
    if (filter_rules_create(&rules, &o, NULL) != ISHOW_OK) abort();
    filter_rules_free(filter_exchange(f, rules));
    const ishow_span id = {number, (size_t)snprintf(number, sizeof number, "%lu", ++inputs)};
    char *text = as_utf8(data + 4, n - 4);
    const ishow_chat_emote emote = {data[2], data[2] + (uint32_t)data[3], {"1", 1}};
    const ishow_span span = {text, strlen(text)};
    const ishow_span name = {text, strlen(text) < 60 ? strlen(text) : 0};
    ishow_chat_message m = {.kind = (ishow_chat_kind)(data[3] / 32 % (ISHOW_CHAT_KIND_EVENT + 1)),
                            .roles = data[2],
                            .platform = {"test", 4},
                            .channel = {"room", 4},
                            .id = id,
                            .user_id = {"u", 1},
                            .display_name = name,
                            .gift_name = {"rose", 4},
                            .text = span,
                            .emotes = &emote,
                            .n_emotes = 1};
    filtered r;
    if (filter_message(f, &m, 86400.0 * (double)inputs, &r) && r.accepted) {
        require((*r.text || m.kind != ISHOW_CHAT_KIND_TEXT) && ishow_utf8_length(r.text) != SIZE_MAX);
        require(count_graphemes(r.text) <= (size_t)o.graphemes_max && count_words(r.text) <= (size_t)o.words_max);
        item *it = item_create(&m, r.text, r.key);
        char *said = it ? say_item(it, &o, data[1] & 4 ? "ah" : "", 1) : NULL;
        require(said && ishow_utf8_length(said) != SIZE_MAX);
        cleaned again;
        require(clean_text((ishow_span){r.text, strlen(r.text)}, NULL, 0, &o, &again));
        require(count_graphemes(again.text) <= count_graphemes(r.text));
        free(again.text);
        free(said);
        item_free(it);
    }
    filtered_free(&r);
    filter_remember_voice(f, "test:u", "");
    free(text);
    return 0;
}
