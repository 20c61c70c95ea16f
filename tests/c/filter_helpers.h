/* A chat filter without a chat, for tests of the text that is read. */
#ifndef FILTER_HELPERS_H
#define FILTER_HELPERS_H

#include "chat/chat_internal.h"
#include "fake_chat.h"

filter *filter_make(const ishow_chat_options *o); /* filter_free */

/* The reason for which a message is dropped, or -1 when it passes; *text is then the text that is read (free()), unless
 * `text` is NULL. A message without an id gets one. */
int filter_ask(filter *f, ishow_chat_message m, double now, char **text);
int filter_ask_text(filter *f, const char *user, const char *text, double now);

void filter_check_read(const ishow_chat_options *o, const char *text, const char *wanted); /* by a new filter */

/* The next number, 0 to n - 1, of a fixed pseudorandom sequence (xorshift64, Marsaglia 2003). */
uint32_t roll(uint32_t n);

#endif
