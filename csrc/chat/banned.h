/* Banned words, also when they are disguised. */
#ifndef ISHOW_CHAT_BANNED_H
#define ISHOW_CHAT_BANNED_H

#include "chat/chat.h"

typedef struct banned banned;

/* Words and phrases are copied. EINVAL: one is not UTF-8; ENOMEM. */
ishow_status banned_create(banned **out, const ishow_chat_words *words, ishow_chat_strictness level,
                           ishow_error *error);
void banned_free(banned *b); /* NULL allowed */

/* 1 when one of them occurs in a text that fold_text made. The time is proportional to the text, for each word that
 * begins with one of its letters. Any thread. */
int banned_in(const banned *b, const char *folded);

#endif
