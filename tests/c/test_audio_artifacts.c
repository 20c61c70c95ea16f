/* Artifacts that are inserted into a signal, so that their places are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/audio.h"

enum { RATE = 24000, N = 2 * RATE };

/* Harmonics of a gliding pitch with faint noise and fades at both ends: no two periods are equal. */
static float *voice(size_t room) {
    float *x = calloc(N + room, sizeof *x);
    assert_non_null(x);
    double phase = 0;
    uint32_t random = 1;
    for (size_t i = 0; i < N; i++) {
        const double t = (double)i / RATE, fade = fmin(1, fmin(t, 2 - t) * 10);
        phase += 2 * M_PI * (130 + 60 * sin(2 * M_PI * 0.9 * t) + 25 * sin(2 * M_PI * 3.1 * t)) / RATE;
        random = random * 1664525u + 1013904223u;
        for (int k = 1; k < 60; k++)
            x[i] += (float)(0.08 * fade * sin(k * phase + k * k) /
                            k); /* k * k: spreads the phases, otherwise each period would be a click */
        x[i] += (float)(fade * 0.01 * ((double)random / 4294967296.0 - 0.5));
    }
    return x;
}

static ishow_audio_artifacts find(const float *x, size_t n) {
    ishow_audio_artifacts found;
    ishow_error error = {0};
    assert_int_equal(ishow_audio_find_artifacts(x, n, RATE, &found, &error), ISHOW_OK);
    return found;
}

static void test_sound_signal(void **state) {
    (void)state;
    float *x = voice(0);
    const ishow_audio_artifacts found = find(x, N);
    assert_true(found.clicks == 0 && found.dropouts == 0 && found.gaps == 0 && !found.early_end);
    assert_true(found.first_click == -1 && found.first_repeat == -1);
    assert_true(found.hole_seconds <= 0.05 && found.repeat_seconds == 0 && found.dropout_seconds == 0);
    assert_true(found.bandwidth > 9000 && found.end_level < -20);
    free(x);
}

static void test_click_and_dropout(void **state) {
    (void)state;
    float *x = voice(0);
    x[RATE / 2] += 0.5f;
    x[RATE] -= 0.5f;
    memset(x + RATE * 3 / 2, 0, 480 * sizeof *x);
    const ishow_audio_artifacts found = find(x, N);
    assert_in_range(found.clicks, 2, 4); /* the dropout has hard edges */
    assert_float_equal(found.first_click, 0.5, 1e-3);
    assert_int_equal(found.dropouts, 1);
    assert_float_equal(found.dropout_seconds, 0.02, 2e-4);
    free(x);
}

static void test_repeat_and_gap(void **state) {
    (void)state;
    float *x = voice(2 * RATE);
    memmove(x + RATE + 2400, x + RATE, (N - RATE) * sizeof *x);
    memcpy(x + RATE, x + RATE - 2400, 2400 * sizeof *x); /* 100 ms twice */
    ishow_audio_artifacts found = find(x, N + 2400);
    assert_float_equal(found.repeat_seconds, 0.1, 0.021);
    assert_float_equal(found.first_repeat, 1, 0.021);
    assert_int_equal(found.gaps, 0);
    memmove(x + RATE + RATE * 11 / 10, x + RATE, N / 4 * sizeof *x);
    memset(x + RATE, 0, RATE * 11 / 10 * sizeof *x);
    found = find(x, RATE + RATE * 11 / 10 + N / 4);
    assert_int_equal(found.gaps, 1);
    assert_float_equal(found.longest_gap, 1.1, 0.02);
    assert_true(found.early_end && found.end_level > -20);
    free(x);
}

static void test_any_input(void **state) {
    (void)state;
    float *x = voice(0);
    ishow_audio_artifacts found;
    ishow_error error = {0};
    for (size_t i = 0; i < N; i += 7) x[i] = i % 2 ? NAN : -INFINITY;
    for (size_t n = 0; n < N; n = n * 2 + 1) find(x, n);
    for (size_t i = 0; i < N; i++) x[i] = i % 3 ? 3e38f : -3e38f; /* its squares overflow */
    find(x, N);
    static const int rates[] = {INT32_MIN, 0, ISHOW_ARTIFACT_RATE_MIN - 1, ISHOW_ARTIFACT_RATE_MAX + 1};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ishow_audio_find_artifacts(x, N, rates[i], &found, &error), ISHOW_EINVAL);
        assert_string_equal(error.field, "sample_rate");
    }
    assert_int_equal(ishow_audio_find_artifacts(x, N, ISHOW_ARTIFACT_RATE_MIN, &found, &error), ISHOW_OK);
    assert_int_equal(ishow_audio_find_artifacts(x, N, ISHOW_ARTIFACT_RATE_MAX, &found, &error), ISHOW_OK);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound_signal),
        cmocka_unit_test(test_click_and_dropout),
        cmocka_unit_test(test_repeat_and_gap),
        cmocka_unit_test(test_any_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
