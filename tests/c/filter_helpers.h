/* A chat filter by itself, for tests of what is read. */
#ifndef FILTER_HELPERS_H
#define FILTER_HELPERS_H

#include "chat/chat_internal.h"
#include "fake_chat.h"

filter *filter_make(const ishow_chat_options *o); /* filter_free */

/* The reason, or -1 when the message passes; *text is then what is read (free()), unless text is NULL. A message
 * without an id gets one. */
int filter_ask(filter *f, ishow_chat_message m, double now, char **text);
int filter_ask_text(filter *f, const char *user, const char *text, double now);

void filter_check_read(const ishow_chat_options *o, const char *text, const char *wanted); /* by a filter of its own */

/* The next of a fixed sequence of pseudorandom numbers, 0 to n - 1 (xorshift64, Marsaglia 2003). */
uint32_t roll(uint32_t n);

#endif
