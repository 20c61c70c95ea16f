/* See accept.h. */
#include "service/accept.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

double ishow_accept_quality(const char *accept, const char *type, const char *subtype) {
    const size_t n_type = strlen(type), n_subtype = strlen(subtype);
    double best = 0;
    while (accept && *accept) {
        accept += strspn(accept, ", \t");
        const size_t n = strcspn(accept, ","), end = strcspn(accept, ",; \t");
        const char *slash = memchr(accept, '/', end);
        if (slash && (size_t)(slash - accept) == n_type && !strncasecmp(accept, type, n_type)) {
            const char *rest = slash + 1;
            const size_t n_rest = end - n_type - 1;
            const int matches =
                (n_rest == 1 && *rest == '*') || (n_rest == n_subtype && !strncasecmp(rest, subtype, n_rest));
            double q = 1;
            for (const char *p = accept + end; p < accept + n; p++)
                if ((p[0] == 'q' || p[0] == 'Q') && p[1] == '=' && strchr("; \t", p[-1])) q = strtod(p + 2, NULL);
            if (q > 1) q = 1;
            if (matches && q > best) best = q;
        }
        accept += n;
    }
    return best;
}

double ishow_accept_audio(const char *accept, ishow_format *out) {
    static const struct {
        const char *subtype;
        ishow_format format;
    } names[] = {
        {"wav", ISHOW_FORMAT_WAV},   {"x-wav", ISHOW_FORMAT_WAV},   {"mpeg", ISHOW_FORMAT_MP3},
        {"mp3", ISHOW_FORMAT_MP3},   {"ogg", ISHOW_FORMAT_OPUS},    {"opus", ISHOW_FORMAT_OPUS},
        {"flac", ISHOW_FORMAT_FLAC}, {"x-flac", ISHOW_FORMAT_FLAC}, {"pcm", ISHOW_FORMAT_PCM},
    };
    double best = 0;
    *out = ISHOW_FORMAT_WAV;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double q = ishow_accept_quality(accept, "audio", names[i].subtype);
        if (q > best) best = q, *out = names[i].format;
    }
    return best;
}
