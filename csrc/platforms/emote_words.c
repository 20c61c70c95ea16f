/* Formats of the lists: 7TV's GET /v3/users/twitch/ID and /v3/emote-sets/global, BetterTTV's GET
 * /3/cached/users/twitch/ID and /3/cached/emotes/global, FrankerFaceZ's GET /v1/room/id/ID and /v1/set/global. */
#include "platforms/emote_words.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { SLOTS = 2 * EMOTE_WORDS_MAX }; /* of open addressing, a power of two */

struct emote_words {
    char *word[SLOTS]; /* NULL: free */
    size_t n;
};

static size_t slot_of(const emote_words *w, ishow_span word) {
    size_t i = XXH3_64bits(word.data, word.size) & (SLOTS - 1);
    while (w->word[i] && !span_is(word, w->word[i])) i = (i + 1) & (SLOTS - 1);
    return i;
}

emote_words *ishow_emote_words_create(void) { return calloc(1, sizeof(emote_words)); }

void ishow_emote_words_free(emote_words *w) {
    if (!w) return;
    for (size_t i = 0; i < SLOTS; i++) free(w->word[i]);
    free(w);
}

int ishow_emote_words_has(const emote_words *w, ishow_span word) {
    return word.size && word.size <= EMOTE_WORD_BYTES_MAX && w->word[slot_of(w, word)] != NULL;
}

static size_t add(emote_words *w, const json_t *name) {
    const char *text = json_string_value(name);
    const size_t n = json_string_length(name);
    if (!n || n > EMOTE_WORD_BYTES_MAX || strlen(text) != n || text[strcspn(text, " \t\r\n")]) return 0;
    char **slot = &w->word[slot_of(w, (ishow_span){text, n})];
    if (*slot || w->n >= EMOTE_WORDS_MAX) return 0;
    char *copy = malloc(n + 1);
    if (!copy) return 0;
    *slot = memcpy(copy, text, n + 1);
    w->n++;
    return 1;
}

/* An array of objects with the name under one of two keys. */
static size_t read_list(emote_words *w, const json_t *list) {
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *name = json_object_get(one, "name");
        n += add(w, name ? name : json_object_get(one, "code"));
    }
    return n;
}

size_t ishow_emote_words_read(emote_words *w, const json_t *answer) {
    const char *set_id;
    json_t *set;
    size_t n = read_list(w, answer); /* BetterTTV, global */
    n += read_list(w, json_object_get(answer, "channelEmotes")) + read_list(w, json_object_get(answer, "sharedEmotes"));
    n += read_list(w, json_object_get(answer, "emotes")); /* 7TV, global */
    n += read_list(w, json_object_get(json_object_get(answer, "emote_set"), "emotes"));
    json_object_foreach(json_object_get(answer, "sets"), set_id, set) /* FrankerFaceZ */
        n += read_list(w, json_object_get(set, "emoticons"));
    return n;
}
