/* Speech that goes on where another utterance stopped, on the same engine or another, and speech that waits for its
 * reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kind.h"
#include "fake_backend.h"

enum { SAMPLES_MAX = 4000000 };

static const char *const TEXT =
    "The first sentence is a long one, so that it fills a part. The second sentence is as long, and fills another. "
    "The third sentence goes on and on, as sentences do. The fourth sentence is not the last of them, by far. "
    "The fifth sentence says that the end is near, as it is. The sixth sentence ends the text, and so the speech.";

typedef struct rig {
    fake_model model;
    fake_text text;
    ishow_engine *engine;
} rig;

static void make(rig *r, double chunk_seconds) {
    ishow_engine_options options = ishow_engine_options_default();
    ishow_error error = {0};
    options.chunk_seconds = chunk_seconds;
    fake_model_init(&r->model);
    fake_text_init(&r->text);
    const ishow_backend backend = fake_backend(&r->model, ISHOW_TEXT_PADDED, 1, 1, 4000);
    const ishow_text_frontend frontend = fake_frontend(&r->text);
    if (ishow_engine_create(&r->engine, &backend, &frontend, &options, &error) != ISHOW_OK)
        fail_msg("create: %s", error.message);
    fake_voice(r->engine, "anna", "This is the text of the reference voice.", 0.05f);
}

static ishow_request request_of(const char *text) {
    ishow_request request = ishow_request_default();
    request.text = text;
    request.has_seed = 1;
    request.seed = 7;
    request.early = 1;
    return request;
}

static ishow_utterance *submit(rig *r, const ishow_request *request) {
    ishow_utterance *u;
    ishow_error error = {0};
    if (ishow_engine_submit(r->engine, request, NULL, NULL, &u, &error) != ISHOW_OK) fail_msg("%s", error.message);
    return u;
}

/* One piece, appended. 0: the end. */
static size_t read_piece(ishow_utterance *u, float *all, size_t *n_all) {
    const float *samples;
    size_t n;
    ishow_error error = {0};
    if (ishow_utterance_next(u, ISHOW_WAIT, &samples, &n, &error) != ISHOW_OK) fail_msg("next: %s", error.message);
    assert_true(*n_all + n <= SAMPLES_MAX);
    if (n) memcpy(all + *n_all, samples, n * sizeof *all);
    *n_all += n;
    return n;
}

static void speech_that_goes_on_elsewhere_is_the_same(void **state) {
    (void)state;
    rig here, there;
    make(&here, 5);
    make(&there, 5);
    float *whole = malloc(SAMPLES_MAX * sizeof *whole), *joined = malloc(SAMPLES_MAX * sizeof *joined);
    ishow_request request = request_of(TEXT);
    ishow_utterance *u = submit(&here, &request);
    size_t n_whole = 0, pieces = 0;
    while (read_piece(u, whole, &n_whole)) pieces++;
    ishow_utterance_free(u);
    assert_true(pieces >= 4);
    for (size_t stop = 0; stop < pieces; stop++) {
        size_t n = 0;
        ishow_position at;
        u = submit(&here, &request);
        for (size_t i = 0; i < stop; i++) read_piece(u, joined, &n);
        ishow_utterance_position(u, &at);
        assert_int_equal(at.part, stop);
        ishow_request rest = request;
        rest.from = &at;
        ishow_utterance *v = submit(&there, &rest); /* copies the tail */
        ishow_utterance_free(u);
        while (read_piece(v, joined, &n)) continue;
        ishow_utterance_free(v);
        assert_int_equal(n, n_whole);
        assert_memory_equal(joined, whole, n * sizeof *whole);
    }
    free(whole);
    free(joined);
    ishow_engine_free(here.engine);
    ishow_engine_free(there.engine);
}

static void another_plan_is_refused(void **state) {
    (void)state;
    rig here, there;
    make(&here, 5);
    make(&there, 12); /* longer parts */
    float *all = malloc(SAMPLES_MAX * sizeof *all);
    ishow_request request = request_of(TEXT);
    ishow_utterance *u = submit(&here, &request);
    size_t n = 0;
    ishow_position at;
    ishow_error error = {0};
    const float *samples;
    read_piece(u, all, &n);
    ishow_utterance_position(u, &at);
    request.from = &at;
    ishow_utterance *v = submit(&there, &request);
    ishow_utterance_free(u);
    assert_int_equal(ishow_utterance_next(v, ISHOW_WAIT, &samples, &n, &error), ISHOW_ESTATE);
    assert_non_null(strstr(error.message, "cut or read otherwise"));
    ishow_utterance_free(v);
    free(all);
    ishow_engine_free(here.engine);
    ishow_engine_free(there.engine);
}

static void no_part_is_begun_ahead_of_a_reader_that_waits(void **state) {
    (void)state;
    rig r;
    make(&r, 5);
    float *all = malloc(SAMPLES_MAX * sizeof *all);
    ishow_request request = request_of(TEXT);
    request.ahead = 0.5;
    ishow_utterance *u = submit(&r, &request);
    size_t n = 0, pieces = 0;
    ishow_engine_stats stats;
    for (int i = 0; i < 2000 && !fake_get(&r.model, &r.model.vocodes); i++) usleep(1000);
    usleep(50000); /* time for parts that should not be begun */
    ishow_engine_stats_get(r.engine, &stats);
    assert_int_equal(stats.rows, 1);
    while (read_piece(u, all, &n)) pieces++;
    assert_true(pieces >= 4);
    ishow_utterance_free(u);
    free(all);
    ishow_engine_free(r.engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_that_goes_on_elsewhere_is_the_same),
        cmocka_unit_test(another_plan_is_refused),
        cmocka_unit_test(no_part_is_begun_ahead_of_a_reader_that_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
