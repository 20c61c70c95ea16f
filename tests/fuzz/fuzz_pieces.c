/* Texts to be spoken: their pieces, their length. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/characters.h"
#include "engine/plan.h"
#include "fuzz.h"

static void check_pieces(const char *text, const ishow_pace *pace, double most, double early) {
    ishow_span *spans = NULL;
    size_t n = 0, end = 0;
    ishow_error error;
    if (ishow_chunk_split(text, pace, most, early, &spans, &n, &error) == ISHOW_OK)
        for (size_t i = 0; i < n; i++) {
            fuzz_must(spans[i].begin >= end && spans[i].end > spans[i].begin && spans[i].end <= strlen(text));
            fuzz_must(ishow_pace_frames(pace, text + spans[i].begin, spans[i].end - spans[i].begin, 1) >= 2);
            end = spans[i].end;
        }
    free(spans);
}

int fuzz_one(const uint8_t *data, size_t n) {
    ishow_error error;
    size_t part = 0;
    char *text = fuzz_text(data, n);
    if (ishow_utf8_length(text) != SIZE_MAX) {
        const ishow_pace pace = ishow_pace_make("A voice that says so.", 200, text, 94);
        fuzz_must(isfinite(pace.frames_per_unit) && pace.frames_per_unit > 0);
        check_pieces(text, &pace, ishow_pace_units(&pace, "some words that are as many as this", 35), 0);
        check_pieces(text, &pace, 1000, 20);
        if (ishow_feed_cut(text, strlen(text), 1, &pace, 10, 30, 300, &part, &error) == ISHOW_OK)
            fuzz_must(part <= strlen(text));
    }
    free(text);
    return 0;
}
