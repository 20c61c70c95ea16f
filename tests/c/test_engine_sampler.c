/* Times and noise that a request brings, and the states that are kept of its rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine_rig.h"

enum { FRAMES = 2000, STEPS = 3 };
static const float TIMES[STEPS + 1] = {0, 0.125f, 0.5f, 1};

static float *make_noise(void) {
    float *noise = malloc(FRAMES * FAKE_MELS * sizeof *noise);
    assert_non_null(noise);
    for (int i = 0; i < FRAMES * FAKE_MELS; i++) noise[i] = sinf((float)i);
    return noise;
}

static ishow_trajectory trajectory_of(ishow_utterance *u, size_t part) {
    ishow_trajectory t = {0};
    assert_int_equal(ishow_utterance_trajectory(u, part, &t, NULL), ISHOW_OK);
    return t;
}

static void drain(ishow_utterance *u) {
    ishow_error error = {0};
    size_t n = 0;
    if (engine_drain(u, NULL, &n, &error) != ISHOW_OK) fail_msg("%s", error.message);
    assert_true(n > 0);
}

static void a_request_brings_times_and_noise(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    float *noise = make_noise();
    for (int midpoint = 0; midpoint < 2; midpoint++) {
        const ishow_sampler_input input = {TIMES, STEPS + 1, noise, FRAMES * FAKE_MELS, 1};
        ishow_request request = engine_request("Twenty letters here.");
        request.sampler = &input;
        request.solver = midpoint ? ISHOW_SOLVER_MIDPOINT : ISHOW_SOLVER_EULER;
        const int before = fake_get(&r->model, &r->model.row_steps);
        ishow_utterance *u = engine_submit(r, &request, NULL);
        drain(u);
        assert_int_equal(fake_get(&r->model, &r->model.row_steps) - before, (midpoint ? 2 : 1) * STEPS);
        const ishow_trajectory t = trajectory_of(u, 0);
        const size_t values = t.frames * t.mels;
        assert_true(t.n_states == STEPS + 1 && t.mels == FAKE_MELS && t.ref_frames > 0 && t.ref_frames < t.frames);
        assert_memory_equal(t.times, TIMES, sizeof TIMES);
        assert_memory_equal(t.states, noise, values * sizeof *noise);
        for (size_t i = 1; i <= STEPS; i++)
            assert_memory_not_equal(t.states + i * values, t.states + (i - 1) * values, values * sizeof *noise);
        const float *made = t.states + STEPS * values + t.ref_frames * t.mels;
        for (size_t i = 0; i < (t.frames - t.ref_frames) * t.mels; i++)
            assert_true(t.mel[i] == made[i] * FAKE_MEL_STD + FAKE_MEL_MEAN);
        ishow_trajectory other;
        assert_int_equal(ishow_utterance_trajectory(u, 1, &other, NULL), ISHOW_ENOTFOUND);
        ishow_utterance_free(u);
    }
    free(noise);
    engine_rig_free(r);
}

static void parts_take_their_noise_one_after_another(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    ishow_engine_options options = ishow_engine_options_default();
    options.chunk_seconds = 5;
    assert_int_equal(ishow_engine_configure(r->engine, &options, NULL), ISHOW_OK);
    ishow_request request = engine_request(ENGINE_LONG_TEXT);
    ishow_sampler_input input = {.trajectory = 1};
    request.sampler = &input;
    request.nfe = 2;
    ishow_utterance *u = engine_submit(r, &request, NULL);
    drain(u);
    ishow_timings timings;
    ishow_utterance_timings(u, &timings);
    assert_true(timings.chunks > 1);
    size_t frames = 0;
    for (size_t i = 0; i < (size_t)timings.chunks; i++) frames += trajectory_of(u, i).frames;
    ishow_utterance_free(u);

    float *noise = malloc(frames * FAKE_MELS * sizeof *noise);
    for (size_t i = 0; i < frames * FAKE_MELS; i++) noise[i] = cosf((float)i);
    input = (ishow_sampler_input){.noise = noise, .n_noise = frames * FAKE_MELS, .trajectory = 1};
    u = engine_submit(r, &request, NULL);
    drain(u);
    size_t at = 0;
    for (size_t i = 0; i < (size_t)timings.chunks; i++) {
        const ishow_trajectory t = trajectory_of(u, i);
        assert_memory_equal(t.states, noise + at * FAKE_MELS, t.frames * FAKE_MELS * sizeof *noise);
        at += t.frames;
    }
    ishow_utterance_free(u);

    input.n_noise -= FAKE_MELS; /* one frame is missing */
    ishow_error error = {0};
    u = engine_submit(r, &request, NULL);
    size_t n = 0;
    assert_int_equal(engine_drain(u, NULL, &n, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "noise");
    ishow_utterance_free(u);

    input.n_noise += FAKE_MELS;
    fake_set(&r->model, &r->model.nan_at, 1); /* a second try with the same noise would fail as well */
    fake_set(&r->model, &r->model.nan_rows, 1);
    u = engine_submit(r, &request, NULL);
    assert_int_equal(engine_drain(u, NULL, &n, &error), ISHOW_EMODEL);
    assert_non_null(strstr(error.message, "after 1 tries"));
    ishow_utterance_free(u);
    free(noise);
    engine_rig_free(r);
}

static void wrong_arrays_are_refused(void **state) {
    (void)state;
    static const float late[] = {0.1f, 1}, early[] = {0, 0.9f}, back[] = {0, 0.5f, 0.5f, 1}, nan[] = {0, NAN, 1};
    static const float none[FAKE_MELS] = {0}, broken[FAKE_MELS] = {INFINITY};
    static const struct {
        ishow_sampler_input input;
        const char *field;
    } cases[] = {
        {{.times = late, .n_times = 2}, "times"},
        {{.times = early, .n_times = 2}, "times"},
        {{.times = back, .n_times = 4}, "times"},
        {{.times = nan, .n_times = 3}, "times"},
        {{.times = TIMES, .n_times = 1}, "times"},
        {{.times = TIMES, .n_times = 999}, "times"},
        {{.noise = none, .n_noise = FAKE_MELS - 1}, "noise"},
        {{.noise = none, .n_noise = 0}, "noise"},
        {{.noise = broken, .n_noise = FAKE_MELS}, "noise"},
    };
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ishow_request request = engine_request("Twenty letters here.");
        ishow_error error = {0};
        ishow_utterance *u = NULL;
        request.sampler = &cases[i].input;
        assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, &error), ISHOW_EINVAL);
        assert_string_equal(error.field, cases[i].field);
    }
    engine_rig_free(r);
}

static void a_trajectory_is_there_when_it_was_asked_for_and_is_finished(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    fake_set(&r->model, &r->model.slow_us, 2000);
    ishow_request request = engine_request("Twenty letters here.");
    ishow_trajectory t;
    ishow_utterance *u = engine_submit(r, &request, NULL);
    assert_int_equal(ishow_utterance_trajectory(u, 0, &t, NULL), ISHOW_ESTATE);
    ishow_utterance_free(u);
    const ishow_sampler_input input = {.trajectory = 1};
    request.sampler = &input;
    request.nfe = 64;
    u = engine_submit(r, &request, NULL);
    assert_int_equal(ishow_utterance_trajectory(u, 0, &t, NULL), ISHOW_EAGAIN);
    ishow_utterance_cancel(u);
    assert_int_equal(ishow_utterance_trajectory(u, 0, &t, NULL), ISHOW_ECANCELLED);
    ishow_utterance_free(u);
    fake_set(&r->model, &r->model.slow_us, 0);
    fake_set(&r->model, &r->model.nan_at, 2); /* a row that is made again has the states of the last try */
    fake_set(&r->model, &r->model.nan_rows, 1);
    request.nfe = 4;
    u = engine_submit(r, &request, NULL);
    drain(u);
    t = trajectory_of(u, 0);
    assert_true(t.n_states == 5 && ishow_all_finite(t.states, t.n_states * t.frames * t.mels));
    ishow_utterance_free(u);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_brings_times_and_noise),
        cmocka_unit_test(parts_take_their_noise_one_after_another),
        cmocka_unit_test(wrong_arrays_are_refused),
        cmocka_unit_test(a_trajectory_is_there_when_it_was_asked_for_and_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
