/* Words that are shown to a channel's viewers as pictures: the emotes of 7TV, BetterTTV and FrankerFaceZ, by name. */
#ifndef ISHOW_PLATFORMS_EMOTE_WORDS_H
#define ISHOW_PLATFORMS_EMOTE_WORDS_H

#include <jansson.h>

#include "base/span.h"
#include "ishow.h"

enum { EMOTE_WORDS_MAX = 16384, EMOTE_WORD_BYTES_MAX = 64 };

typedef struct emote_words emote_words;

ISHOW_API emote_words *ishow_emote_words_create(void); /* NULL: out of memory */
ISHOW_API void ishow_emote_words_free(emote_words *w); /* NULL allowed */
/* Adds every name in a response of one of the three services, in any of their formats; returns how many were new. Names
 * beyond EMOTE_WORDS_MAX, names that are too long, and names with spaces are left out. */
ISHOW_API size_t ishow_emote_words_read(emote_words *w, const json_t *answer);
int ishow_emote_words_has(const emote_words *w, ishow_span word);

#endif
