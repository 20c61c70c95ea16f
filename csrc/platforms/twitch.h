/* What Twitch's IRC lines mean. */
#ifndef ISHOW_PLATFORMS_TWITCH_H
#define ISHOW_PLATFORMS_TWITCH_H

#include "platforms/event_sink.h"
#include "platforms/irc.h"

/* What the connection has to do about a line; messages and deletions went to the feed. */
typedef enum twitch_verdict {
    TWITCH_NOTHING = 0,
    TWITCH_PING, /* answer PONG with the last parameter */
    TWITCH_PONG,
    TWITCH_CAPABILITIES, /* the answer to CAP REQ */
    TWITCH_WELCOME,      /* logged in as the first parameter */
    TWITCH_JOINED,
    TWITCH_RECONNECT, /* the server asks for it */
    TWITCH_LOST,      /* the server gives up; the last parameter says why */
    TWITCH_REFUSED    /* for good: log-in or channel; the last parameter says why */
} twitch_verdict;

/* Decodes one line without CR LF, whose bytes change. `nick`: ours, to know our own JOIN. `scratch` keeps the split
 * line for the caller, valid until the next call or change of `line`. */
ISHOW_API twitch_verdict ishow_twitch_line(feed *f, ishow_span nick, char *line, size_t n, irc_line *scratch);

#endif
