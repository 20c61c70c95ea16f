/* Lines of IRC: the parser alone, and what Twitch means by them. Every text handed on must be UTF-8 without NUL. */
#include <stdlib.h>

#include "fuzz_events.h"
#include "platforms/twitch.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static feed f = {.platform = {"twitch", 6}, .channel = {"chan", 4}, .event = fuzz_check_event};
    static irc_line line;
    /* Copies of the exact size, so that a step beyond the end is seen. */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    if (ishow_irc_parse(copy, n, &line)) {
        fuzz_inside(line.command, copy, n);
        for (size_t i = 0; i < line.n_params; i++) fuzz_inside(line.params[i], copy, n);
        for (size_t i = 0; i < line.n_tags; i++) {
            fuzz_inside(line.tags[i].key, copy, n);
            fuzz_inside(line.tags[i].value, copy, n);
        }
    }
    memcpy(copy, data, n);
    ishow_twitch_line(&f, span_of("justinfan1"), copy, n, &line);
    free(copy);
    return 0;
}
