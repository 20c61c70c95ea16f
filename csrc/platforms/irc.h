/* IRC version 3 lines, split in place. */
#ifndef ISHOW_PLATFORMS_IRC_H
#define ISHOW_PLATFORMS_IRC_H

#include "platforms/platforms.h"

enum { IRC_TAGS_MAX = 128, IRC_PARAMS_MAX = 15 };

typedef struct irc_tag {
    ishow_span key, value;
} irc_tag;

typedef struct irc_line {
    size_t n_tags, n_params;
    ishow_span source;           /* without its ':' */
    ishow_span nick, user, host; /* parts of source */
    ishow_span command;
    ishow_span params[IRC_PARAMS_MAX]; /* the last one has the rest of a longer list */
    irc_tag tags[IRC_TAGS_MAX];        /* values are unescaped; of two tags with one key the last counts */
} irc_line;

/* Splits `line` [n], without its CR LF. Tag values are unescaped in place, which changes the bytes; all spans point
 * into them.  0: no command, or more than IRC_TAGS_MAX tags. */
ISHOW_API int ishow_irc_parse(char *line, size_t n, irc_line *out);

#endif
