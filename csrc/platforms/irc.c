/* IRC version 3: [@tags SPACE] [:source SPACE] command params. Parts are found with memchr or in one pass over the
 * tags, and nothing is copied: unescaping makes values shorter, so it is done in place. Several spaces count as one
 * (RFC 1459). */
#include "platforms/irc.h"

#include <string.h>

/* Unescapes [from, end) in place; returns the new end. */
static char *unescape(char *from, char *end) {
    char *to = memchr(from, '\\', (size_t)(end - from));
    if (!to) return end;
    for (char *p = to; p < end; p++) {
        if (*p != '\\') {
            *to++ = *p;
            continue;
        }
        if (++p == end) break; /* a lone backslash at the end is dropped */
        switch (*p) {
        case ':': *to++ = ';'; break;
        case 's': *to++ = ' '; break;
        case 'r': *to++ = '\r'; break;
        case 'n': *to++ = '\n'; break;
        default: *to++ = *p; /* before other characters a backslash is ignored */
        }
    }
    return to;
}

static int parse_tags(char *p, char *end, irc_line *out) {
    while (p < end) {
        char *key = p;
        while (p < end && *p != '=' && *p != ';') p++;
        size_t key_size = (size_t)(p - key);
        char *value = p, *value_end = p;
        if (p < end && *p == '=') {
            value = ++p;
            p = memchr(value, ';', (size_t)(end - value));
            if (!p) p = end;
            value_end = unescape(value, p);
        }
        if (p < end) p++; /* ; */
        if (!key_size) continue;
        if (out->n_tags == IRC_TAGS_MAX) return 0;
        out->tags[out->n_tags++] = (irc_tag){{key, key_size}, {value, (size_t)(value_end - value)}};
    }
    return 1;
}

static void split_source(irc_line *out) {
    const char *source = out->source.data, *end = source + out->source.size;
    const char *at = memchr(source, '@', out->source.size);
    const char *bang = memchr(source, '!', (size_t)((at ? at : end) - source));
    if (at) out->host = (ishow_span){at + 1, (size_t)(end - at - 1)};
    if (bang) out->user = (ishow_span){bang + 1, (size_t)((at ? at : end) - bang - 1)};
    out->nick = (ishow_span){source, (size_t)((bang ? bang : at ? at : end) - source)};
}

/* The word at *p, up to a space; moves *p past the spaces that follow. */
static ishow_span word(char **p, char *end) {
    char *from = *p, *to = memchr(from, ' ', (size_t)(end - from));
    if (!to) to = end;
    *p = to;
    while (*p < end && **p == ' ') (*p)++;
    return (ishow_span){from, (size_t)(to - from)};
}

int ishow_irc_parse(char *line, size_t n, irc_line *out) {
    char *p = line, *end = line + n;
    memset(out, 0, offsetof(irc_line, params)); /* the arrays after it need no reset */
    if (p < end && *p == '@') {
        p++;
        ishow_span tags = word(&p, end);
        char *from = line + 1;
        if (!parse_tags(from, from + tags.size, out)) return 0;
    }
    if (p < end && *p == ':') {
        p++;
        out->source = word(&p, end);
        split_source(out);
    }
    if (p == end) return 0;
    out->command = word(&p, end);
    while (p < end) {
        if (*p == ':' || out->n_params == IRC_PARAMS_MAX - 1) {
            if (*p == ':') p++;
            out->params[out->n_params++] = (ishow_span){p, (size_t)(end - p)};
            break;
        }
        out->params[out->n_params++] = word(&p, end);
    }
    return out->command.size > 0;
}
