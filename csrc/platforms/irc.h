/* IRC version 3 lines, split where they stand. */
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
    ishow_span params[IRC_PARAMS_MAX]; /* a longer list ends in one parameter with the rest */
    irc_tag tags[IRC_TAGS_MAX];        /* values unescaped; of two with one key the last counts */
} irc_line;

/* Splits `line` [n], without its CR LF. Tag values are unescaped in place, so the bytes change; all spans point into
 * them. 0: no command, or more than IRC_TAGS_MAX tags. */
ISHOW_API int ishow_irc_parse(char *line, size_t n, irc_line *out);

#endif
