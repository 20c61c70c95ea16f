/* Speech that continues where another utterance stopped, on the same engine or another, and speech that waits for its
 * reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kind.h"
#include "engine_rig.h"

static const char *const TEXT =
    "The first sentence is a long one, so that it fills a part. The second sentence is as long, and fills another. "
    "The third sentence goes on and on, as sentences do. The fourth sentence is not the last of them, by far. "
    "The fifth sentence says that the end is near, as it is. The sixth sentence ends the text, and so the speech.";

static engine_rig *make(double chunk_seconds) {
    ishow_engine_options options = ishow_engine_options_default();
    options.chunk_seconds = chunk_seconds;
    return engine_rig_make(ISHOW_TEXT_PADDED, 1, &options, 1, 4000, 0);
}

static ishow_request request_of(const char *text) {
    ishow_request request = engine_request(text);
    request.early = 1;
    return request;
}

static void continued_speech_is_the_same_on_another_engine(void **state) {
    (void)state;
    engine_rig *here = make(5), *there = make(5);
    float *whole = NULL, *joined = NULL;
    ishow_request request = request_of(TEXT);
    ishow_utterance *u = engine_submit(here, &request, NULL);
    size_t n_whole = 0, pieces = 0;
    while (engine_read_piece(u, &whole, &n_whole)) pieces++;
    ishow_utterance_free(u);
    assert_true(pieces >= 4);
    for (size_t stop = 0; stop < pieces; stop++) {
        size_t n = 0;
        ishow_position at;
        u = engine_submit(here, &request, NULL);
        for (size_t i = 0; i < stop; i++) engine_read_piece(u, &joined, &n);
        ishow_utterance_position(u, &at);
        assert_int_equal(at.part, stop);
        ishow_request rest = request;
        rest.from = &at;
        ishow_utterance *v = engine_submit(there, &rest, NULL); /* copies the tail of the position */
        ishow_utterance_free(u);
        while (engine_read_piece(v, &joined, &n)) continue;
        ishow_utterance_free(v);
        assert_int_equal(n, n_whole);
        assert_memory_equal(joined, whole, n * sizeof *whole);
    }
    free(whole);
    free(joined);
    engine_rig_free(there);
    engine_rig_free(here);
}

static void another_plan_is_refused(void **state) {
    (void)state;
    engine_rig *here = make(5), *there = make(12); /* longer parts */
    float *all = NULL;
    ishow_request request = request_of(TEXT);
    ishow_utterance *u = engine_submit(here, &request, NULL);
    size_t n = 0;
    ishow_position at;
    ishow_error error = {0};
    const float *samples;
    engine_read_piece(u, &all, &n);
    ishow_utterance_position(u, &at);
    request.from = &at;
    ishow_utterance *v = engine_submit(there, &request, NULL);
    ishow_utterance_free(u);
    assert_int_equal(ishow_utterance_next(v, ISHOW_WAIT, &samples, &n, &error), ISHOW_ESTATE);
    assert_non_null(strstr(error.message, "divided or read differently"));
    ishow_utterance_free(v);
    free(all);
    engine_rig_free(there);
    engine_rig_free(here);
}

static void no_part_is_begun_ahead_of_a_reader_that_waits(void **state) {
    (void)state;
    engine_rig *r = make(5);
    float *all = NULL;
    ishow_request request = request_of(TEXT);
    request.ahead = 0.5;
    ishow_utterance *u = engine_submit(r, &request, NULL);
    size_t n = 0, pieces = 0;
    ishow_engine_stats stats;
    for (int i = 0; i < 2000 && !fake_get(&r->model, &r->model.vocodes); i++) usleep(1000);
    usleep(50000); /* time in which parts could start that should not */
    ishow_engine_stats_get(r->engine, &stats);
    assert_int_equal(stats.rows, 1);
    ishow_timings first, last;
    engine_read_piece(u, &all, &n);
    ishow_utterance_timings(u, &first);
    while (engine_read_piece(u, &all, &n)) pieces++;
    assert_true(pieces >= 3);
    ishow_utterance_timings(u, &last); /* later pieces do not change when the first one came */
    ishow_engine_stats_get(r->engine, &stats);
    assert_true(last.first_audio == first.first_audio && first.first_audio > 0 && stats.first_audios == 1);
    ishow_utterance_free(u);
    free(all);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continued_speech_is_the_same_on_another_engine),
        cmocka_unit_test(another_plan_is_refused),
        cmocka_unit_test(no_part_is_begun_ahead_of_a_reader_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
