/* Level, check, trim, cross-fade, on signals whose result is known by construction. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/audio.h"

enum { RATE = 24000 };

static void tone(float *out, size_t n, double hz, double peak) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(peak * sin(2 * M_PI * hz * (double)i / RATE));
}

static float *silence(size_t n) {
    float *samples = calloc(n ? n : 1, sizeof *samples);
    assert_non_null(samples);
    return samples;
}

static void test_rms_and_scale(void **state) {
    (void)state;
    float x[7] = {1, -1, 1, -1, 1, -1, 1};
    assert_true(ishow_audio_rms(x, 0) == 0);
    assert_true(ishow_audio_rms(x, 1) == 1);
    assert_float_equal(ishow_audio_rms(x, 7), 1, 1e-7);
    ishow_audio_scale(x, 7, 0.25f);
    assert_float_equal(ishow_audio_rms(x, 7), 0.25, 1e-7);
    ishow_audio_scale(x, 0, 0);
    float *sine = silence(RATE);
    tone(sine, RATE, 440, 0.5);
    assert_float_equal(ishow_audio_rms(sine, RATE), 0.5 / sqrt(2), 1e-5);
    free(sine);
}

static void test_check_finds_planted_faults(void **state) {
    (void)state;
    float *x = silence(3 * RATE);
    ishow_audio_faults faults;
    tone(x, 3 * RATE, 200, 0.5);
    ishow_audio_check(x, 3 * RATE, RATE, &faults);
    assert_int_equal(faults.non_finite, 0);
    assert_int_equal(faults.clipped, 0);
    assert_false(faults.silent);
    assert_float_equal(faults.peak, 0.5, 1e-3);
    assert_float_equal(faults.dc, 0, 1e-5);
    assert_true(faults.longest_silence == 0);

    x[5] = NAN, x[6] = INFINITY, x[7] = -INFINITY;
    for (int i = 100; i < 105; i++) x[i] = 1;  /* a run of 5 */
    for (int i = 200; i < 203; i++) x[i] = -1; /* a run of 3 */
    x[300] = x[301] = 1;                       /* too short */
    memset(x + RATE, 0, RATE / 2 * sizeof *x); /* half a second */
    ishow_audio_check(x, 3 * RATE, RATE, &faults);
    assert_int_equal(faults.non_finite, 3);
    assert_int_equal(faults.clipped, 8);
    assert_true(faults.peak == 1);
    assert_float_equal(faults.longest_silence, 0.5, 0.011);
    assert_true(isfinite(faults.rms) && isfinite(faults.dc));

    for (int i = 0; i < 3 * RATE; i++) x[i] = 0.0005f; /* below -60 dBFS, nothing but a DC offset */
    ishow_audio_check(x, 3 * RATE, RATE, &faults);
    assert_true(faults.silent);
    assert_float_equal(faults.dc, 0.0005, 1e-7);
    free(x);
}

static void test_check_of_tiny_clips(void **state) {
    (void)state;
    const float x[2] = {0.5f, 0.5f};
    ishow_audio_faults faults;
    ishow_audio_check(x, 0, RATE, &faults);
    assert_true(faults.silent && faults.rms == 0 && faults.peak == 0 && faults.longest_silence == 0);
    for (size_t n = 1; n <= 2; n++) {
        ishow_audio_check(x, n, RATE, &faults);
        assert_false(faults.silent);
        assert_float_equal(faults.dc, 0.5, 1e-7);
    }
}

static void test_speech_span(void **state) {
    (void)state;
    const size_t n = 3 * RATE;
    float *x = silence(n);
    size_t begin, end;
    tone(x + RATE, RATE, 300, 0.3);
    ishow_audio_speech_span(x, n, RATE, 1e-3f, 0, &begin, &end);
    assert_int_equal(begin, RATE);
    assert_int_equal(end, 2 * RATE);
    ishow_audio_speech_span(x, n, RATE, 1e-3f, 0.1, &begin, &end);
    assert_int_equal(begin, RATE - RATE / 10);
    assert_int_equal(end, 2 * RATE + RATE / 10);
    ishow_audio_speech_span(x, n, RATE, 1e-3f, 1e9, &begin, &end);
    assert_true(begin == 0 && end == n);
    ishow_audio_speech_span(x, n, RATE, 0.5f, 0.1, &begin, &end); /* noise floor above the tone */
    assert_true(begin == end);
    ishow_audio_speech_span(x, RATE, RATE, 0, 0.1, &begin, &end); /* digital silence */
    assert_true(begin == end);
    ishow_audio_speech_span(x, 0, RATE, 0, 0.1, &begin, &end);
    assert_true(begin == 0 && end == 0);
    /* Noise 40 dB below the speech is not taken for speech, although it is above the noise floor. */
    for (size_t i = 0; i < n; i++) x[i] += (i % 2 ? 0.002f : -0.002f);
    ishow_audio_speech_span(x, n, RATE, 1e-3f, 0, &begin, &end);
    assert_int_equal(begin, RATE);
    assert_int_equal(end, 2 * RATE);
    x[10] = NAN; /* is not taken for speech */
    ishow_audio_speech_span(x, n, RATE, 1e-3f, 0, &begin, &end);
    assert_int_equal(begin, RATE);
    free(x);
}

static void test_remove_silence(void **state) {
    (void)state;
    const size_t n = 5 * RATE;
    float *x = silence(n);
    tone(x + RATE, RATE, 300, 0.3);                /* 1..2 s */
    tone(x + 3 * RATE + RATE / 2, RATE, 300, 0.3); /* 3.5..4.5 s */
    float *copy = silence(n);
    memcpy(copy, x, n * sizeof *x);

    /* Margins are 0.1 s, and the pause of 1.5 s becomes 0.4 s. */
    size_t left = ishow_audio_remove_silence(x, n, RATE, 0.4, 0.1);
    assert_int_equal(left, RATE / 10 + RATE + RATE * 4 / 10 + RATE + RATE / 10);
    ishow_audio_faults faults;
    ishow_audio_check(x, left, RATE, &faults);
    assert_float_equal(faults.longest_silence, 0.4, 0.011);
    assert_memory_equal(x + RATE / 10, copy + RATE, RATE * sizeof *x); /* speech is unchanged */
    assert_memory_equal(x + RATE / 10 + RATE * 14 / 10, copy + 3 * RATE + RATE / 2, RATE * sizeof *x);

    /* A pause shorter than the limit stays; only silence at the ends is removed. */
    memcpy(x, copy, n * sizeof *x);
    assert_int_equal(ishow_audio_remove_silence(x, n, RATE, 2.0, 0), 3 * RATE + RATE / 2);
    /* Without a pause. */
    memcpy(x, copy, n * sizeof *x);
    assert_int_equal(ishow_audio_remove_silence(x, n, RATE, 0, 0), 2 * RATE);
    /* Only silence, and no samples. */
    memset(x, 0, n * sizeof *x);
    assert_int_equal(ishow_audio_remove_silence(x, n, RATE, 0.4, 0.1), 0);
    assert_int_equal(ishow_audio_remove_silence(x, 0, RATE, 0.4, 0.1), 0);
    x[0] = 0.5f;
    assert_int_equal(ishow_audio_remove_silence(x, 1, RATE, 0.4, 0.1), 1);
    free(x);
    free(copy);
}

static void test_removed_silence_fades_at_the_cut(void **state) {
    (void)state;
    const size_t n = 3 * RATE, hum = RATE / 200;
    float *x = silence(n);
    tone(x, RATE, 300, 0.5);
    tone(x + 2 * RATE, RATE, 300, 0.5);
    for (size_t i = RATE; i < 2 * RATE; i++) x[i] = 0.004f; /* background noise below the threshold */
    const size_t left = ishow_audio_remove_silence(x, n, RATE, 0.2, 0);
    assert_int_equal(left, 2 * RATE + RATE / 5);
    const size_t cut = RATE + RATE / 10;
    assert_true(x[cut - 1] < 0.0001f && x[cut] < 0.0001f);             /* the joint is near zero */
    assert_true(x[cut - 1 - hum] == 0.004f && x[cut + hum] == 0.004f); /* and 5 ms away the samples are unchanged */
    for (size_t i = 1; i < hum; i++) assert_true(x[cut + i] > x[cut + i - 1] && x[cut - 1 - i] > x[cut - i]);
    free(x);
}

static void test_cross_fade(void **state) {
    (void)state;
    enum { N = 4000, OVERLAP = 1000 };
    float *a = silence(N), *b = silence(N), *out = silence(2 * N);
    for (int i = 0; i < N; i++) a[i] = 1, b[i] = 0;
    assert_int_equal(ishow_audio_cross_fade(a, N, b, N, OVERLAP, out), 2 * N - OVERLAP);
    float *gain_a = silence(OVERLAP);
    memcpy(gain_a, out + N - OVERLAP, OVERLAP * sizeof *out);
    assert_int_equal(ishow_audio_cross_fade(b, N, a, N, OVERLAP, out), 2 * N - OVERLAP);
    for (int i = 0; i < OVERLAP; i++) {
        const float gain_b = out[N - OVERLAP + i];
        assert_float_equal(gain_a[i] * gain_a[i] + gain_b * gain_b, 1, 1e-6); /* equal power */
        assert_true(gain_a[i] > 0 && gain_a[i] < 1);
        if (i) assert_true(gain_a[i] < gain_a[i - 1]);
    }
    for (int i = 0; i < N - OVERLAP; i++)
        assert_true(out[i] == 0 && out[N + i] == 1); /* samples outside are unchanged */

    /* No overlap, an overlap that is clamped, empty sides. */
    assert_int_equal(ishow_audio_cross_fade(a, 2, b, 3, 0, out), 5);
    assert_true(out[0] == 1 && out[1] == 1 && out[2] == 0 && out[4] == 0);
    assert_int_equal(ishow_audio_cross_fade(a, 2, b, 3, 100, out), 3);
    assert_int_equal(ishow_audio_cross_fade(a, 3, b, 1, 100, out), 3);
    assert_true(out[0] == 1 && out[1] == 1);
    assert_int_equal(ishow_audio_cross_fade(NULL, 0, a, 2, 5, out), 2);
    assert_int_equal(ishow_audio_cross_fade(a, 2, NULL, 0, 5, out), 2);
    assert_int_equal(ishow_audio_cross_fade(NULL, 0, NULL, 0, 5, out), 0);
    free(a);
    free(b);
    free(out);
    free(gain_a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rms_and_scale),       cmocka_unit_test(test_check_finds_planted_faults),
        cmocka_unit_test(test_check_of_tiny_clips), cmocka_unit_test(test_speech_span),
        cmocka_unit_test(test_remove_silence),      cmocka_unit_test(test_removed_silence_fades_at_the_cut),
        cmocka_unit_test(test_cross_fade),
    };
    return cmocka_run_group_tests_name("audio", tests, NULL, NULL);
}
