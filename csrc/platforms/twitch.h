/* The meaning of Twitch's IRC lines. */
#ifndef ISHOW_PLATFORMS_TWITCH_H
#define ISHOW_PLATFORMS_TWITCH_H

#include <jansson.h>

#include "platforms/emote_words.h"
#include "platforms/event_sink.h"
#include "platforms/irc.h"

/* What the connection must do after a line; messages and deletions went to the feed. */
typedef enum twitch_verdict {
    TWITCH_NOTHING = 0,
    TWITCH_PING, /* answer PONG with the last parameter */
    TWITCH_PONG,
    TWITCH_CAPABILITIES, /* the answer to CAP REQ */
    TWITCH_WELCOME,      /* logged in as the first parameter */
    TWITCH_JOINED,
    TWITCH_RECONNECT, /* the server asks to reconnect */
    TWITCH_LOST,      /* the server closes the connection; the last parameter is the reason */
    TWITCH_REFUSED    /* permanent: log-in or channel refused; the last parameter is the reason */
} twitch_verdict;

/* Decodes one line without CR LF, whose bytes change. `nick`: ours, to recognise our own JOIN. `scratch` receives the
 * split line, valid until the next call or change of `line`. */
ISHOW_API twitch_verdict ishow_twitch_line(feed *f, ishow_span nick, char *line, size_t n, irc_line *scratch);

/* One event of EventSub, of a type such as "channel.chat.message". */
ISHOW_API void ishow_twitch_event(feed *f, ishow_span type, const json_t *event);

/* ---- twitch_text.c ---- */
/* Removes cheermotes and the mention at the beginning of a reply from the text, and finds the emotes of other services.
 * emotes, bits and reply_id are set before. */
void twitch_text(feed *f, ishow_chat_message *m);

/* ---- twitch.c ---- */
unsigned twitch_badge_role(ishow_span name); /* 0: not a known badge */

#endif
