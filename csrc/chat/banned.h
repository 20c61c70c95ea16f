/* Banned words, also where they are written to be overlooked. */
#ifndef ISHOW_CHAT_BANNED_H
#define ISHOW_CHAT_BANNED_H

#include "chat/chat.h"

typedef struct banned banned;

/* Words and phrases are copied. EINVAL: one is not UTF-8; ENOMEM. */
ishow_status banned_create(banned **out, const ishow_chat_words *words, ishow_chat_strictness level,
                           ishow_error *error);
void banned_free(banned *b); /* NULL allowed */

/* 1 when one of them stands in a text that fold_text made. Work in proportion to the text, for each word that begins
 * with a letter of it. Any thread. */
int banned_in(const banned *b, const char *folded);

#endif
