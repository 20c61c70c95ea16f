/* Times of words: a chunk has the positions of its words in the given text; their times are set once its frames are
 * known. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

int words_take(chunk *c, const ishow_reading *r, ishow_span span, size_t offset) {
    size_t first = 0, last;
    while (first < r->n_places && r->places[first].at < span.begin) first++;
    for (last = first; last < r->n_places && r->places[last].at < span.end;) last++;
    if (first == last) return 1;
    c->words = calloc(last - first, sizeof *c->words);
    if (!c->words) return 0;
    c->n_words = last - first;
    for (size_t i = first; i < last; i++) {
        const ishow_place *place = &r->places[i];
        const size_t next = i + 1 < last ? r->places[i + 1].at : span.end;
        c->words[i - first] = (chunk_word){.offset = offset + place->begin,
                                           .length = place->end - place->begin,
                                           .said = place->said,
                                           .weight = ishow_speech_seconds(r->text + place->at, next - place->at)};
    }
    return 1;
}

/* Sets times by the ends of tokens: word k lasts from its first to its last token. 0: the words of the tokens are not
 * those of the text. */
static int place_by_tokens(chunk *c, const size_t *ends, size_t ref_frames, size_t frames) {
    const double all = (double)(frames - ref_frames);
    const size_t n = c->n_tokens - c->n_ref;
    size_t said = 0, k = 0, begun = 0; /* begun: number of words before word k of the text */
    int32_t last = -1;
    for (size_t i = 0; i < c->n_words; i++) said += c->words[i].said;
    for (size_t i = 0; i < n; i++) last = c->token_words[i] > last ? c->token_words[i] : last;
    if ((size_t)(last + 1) != said) return 0;
    for (size_t i = 0; i < n; i++) {
        if (c->token_words[i] < 0) continue;
        const size_t word = (size_t)c->token_words[i], token = c->n_ref + i;
        while (k + 1 < c->n_words && word >= begun + c->words[k].said) begun += c->words[k++].said;
        chunk_word *w = &c->words[k];
        if (w->to == 0) w->from = ((double)(token ? ends[token - 1] : 0) - (double)ref_frames) / all;
        w->to = ((double)ends[token] - (double)ref_frames) / all;
    }
    return 1;
}

void words_place(chunk *c, const size_t *ends, size_t ref_frames, size_t frames) {
    for (size_t i = 0; i < c->n_words; i++) c->words[i].from = c->words[i].to = 0;
    if (ends && c->token_words && place_by_tokens(c, ends, ref_frames, frames)) return;
    double all = 0, run = 0;
    for (size_t i = 0; i < c->n_words; i++) all += c->words[i].weight;
    for (size_t i = 0; i < c->n_words; i++) {
        c->words[i].from = all > 0 ? run / all : 0;
        run += c->words[i].weight;
        c->words[i].to = all > 0 ? run / all : 1;
    }
}

void words_of_piece(piece *p, const chunk *c, size_t begin, size_t n, int sample_rate) {
    if (!c->n_words || !(p->words = calloc(c->n_words, sizeof *p->words))) return;
    p->n_words = c->n_words;
    for (size_t i = 0; i < c->n_words; i++) {
        const chunk_word *w = &c->words[i];
        p->words[i] = (ishow_word){.start = ((double)begin + w->from * (double)n) / sample_rate,
                                   .end = ((double)begin + w->to * (double)n) / sample_rate,
                                   .offset = w->offset,
                                   .length = w->length};
    }
}
