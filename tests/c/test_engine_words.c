/* Times of words: those of their tokens, or a share of their chunk. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/internal.h"
#include "fake_backend.h"

/* The words of "It is $5 now." */
static const char SPOKEN[] = "It is five dollars now.";
static ishow_place places[] = {{0, 1, 0, 2}, {3, 1, 3, 5}, {6, 2, 6, 8}, {19, 1, 9, 12}};
/* pause, one token per word but two for "five", full stop */
static const int32_t words[] = {-1, 0, 1, 2, 2, 3, 4, -1};
static const size_t ends[] = {2, 4, 6, 8, 10, 12, 14, 16, 18, 20}; /* two tokens of a reference before them */

static chunk make(const int32_t *token_words) {
    chunk c = {.n_tokens = 10, .n_ref = 2};
    const ishow_reading reading = {.text = (char *)SPOKEN, .places = places, .n_places = 4};
    assert_true(words_take(&c, &reading, (ishow_span){0, strlen(SPOKEN)}, 100));
    assert_int_equal(c.n_words, 4);
    if (!token_words) return c;
    c.token_words = malloc(sizeof words);
    assert_non_null(c.token_words);
    memcpy(c.token_words, token_words, sizeof words);
    return c;
}

static void drop(chunk *c) {
    free(c->words);
    free(c->token_words);
}

static void words_last_as_long_as_their_tokens(void **state) {
    (void)state;
    chunk c = make(words);
    words_place(&c, ends, 4, 20);
    static const double from[] = {2, 4, 6, 12}, to[] = {4, 6, 12, 14};
    for (size_t i = 0; i < 4; i++) {
        assert_true(fabs(c.words[i].from * 16 - from[i]) < 1e-9);
        assert_true(fabs(c.words[i].to * 16 - to[i]) < 1e-9);
    }
    assert_int_equal(c.words[2].offset, 106);
    assert_int_equal(c.words[2].length, strlen("$5"));
    drop(&c);
}

static void words_share_a_chunk_whose_tokens_are_other_words(void **state) {
    (void)state;
    static const int32_t others[] = {-1, 0, 1, 2, 2, 3, 3, -1};
    for (int i = 0; i < 2; i++) {
        chunk c = make(i ? others : NULL);
        words_place(&c, i ? ends : NULL, 4, 20);
        assert_true(c.words[0].from == 0 && fabs(c.words[3].to - 1) < 1e-9);
        for (size_t k = 1; k < 4; k++)
            assert_true(c.words[k].from == c.words[k - 1].to && c.words[k].to > c.words[k].from);
        assert_true(c.words[2].to - c.words[2].from > c.words[1].to - c.words[1].from);
        drop(&c);
    }
}

static void words_come_with_their_pieces(void **state) {
    (void)state;
    fake_model model;
    fake_text text;
    fake_model_init(&model);
    fake_text_init(&text);
    const ishow_engine_options options = ishow_engine_options_default();
    const ishow_backend backend = fake_backend(&model, ISHOW_TEXT_ALIGNED, 0, 1, 20000);
    const ishow_text_frontend frontend = fake_frontend(&text);
    ishow_engine *engine;
    assert_int_equal(ishow_engine_create(&engine, &backend, &frontend, &options, NULL), ISHOW_OK);
    ishow_request request = ishow_request_default();
    request.text = "This is the first sentence of all. Here comes the second one of them.";
    request.early = 1;
    request.cross_fade = 0;
    ishow_utterance *u;
    assert_int_equal(ishow_engine_submit(engine, &request, NULL, NULL, &u, NULL), ISHOW_OK);
    const float *samples;
    const ishow_word *of_piece;
    size_t n, n_words, all = 0, at = 0, pieces = 0;
    double last = -1;
    while (ishow_utterance_next(u, 30, &samples, &n, NULL) == ISHOW_OK && n) {
        ishow_utterance_words(u, &of_piece, &n_words);
        for (size_t i = 0; i < n_words; i++, at++) {
            while (request.text[all] == ' ') all++;
            assert_int_equal(of_piece[i].offset, all);
            assert_int_equal(of_piece[i].length, strcspn(request.text + all, " "));
            all += of_piece[i].length;
            assert_true(of_piece[i].start >= last && of_piece[i].end > of_piece[i].start);
            last = of_piece[i].start;
        }
        pieces++;
    }
    assert_int_equal(at, 14);
    assert_int_equal(pieces, 2);
    ishow_timings t;
    ishow_utterance_timings(u, &t);
    assert_true(last < t.audio);
    ishow_utterance_words(u, &of_piece, &n_words);
    assert_int_equal(n_words, 0);
    ishow_utterance_free(u);
    ishow_engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_last_as_long_as_their_tokens),
        cmocka_unit_test(words_share_a_chunk_whose_tokens_are_other_words),
        cmocka_unit_test(words_come_with_their_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
