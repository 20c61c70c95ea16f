/* Mel, inverse STFT and resampling, compared with direct implementations of their definitions in double precision. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audio/mel_plan.h"
#include "audio/audio.h"

static uint32_t random_state = 7;
static float noise(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (float)((double)(random_state >> 8) / (1 << 23) - 1) * 0.3f;
}

static float *noisy(size_t n) {
    float *x = malloc((n + 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = noise();
    return x;
}

/* Log-mel value of frame f and band j, by the definition. */
static double slow_mel(const ishow_mel_options *o, const float *x, size_t n, size_t f, int j) {
    const double top = o->sample_rate / 2, step = 2595 * log10(1 + top / 700) / (o->n_mels + 1);
    double point[3], sum = 0;
    for (int i = 0; i < 3; i++) point[i] = 700 * (pow(10, step * (j + i) / 2595) - 1);
    for (int k = 0; k <= o->n_fft / 2; k++) {
        const double hz = top * k / (o->n_fft / 2), up = (hz - point[0]) / (point[1] - point[0]),
                     down = (point[2] - hz) / (point[2] - point[1]);
        const double weight = up < down ? up : down;
        if (weight <= 0) continue;
        double re = 0, im = 0;
        for (int i = 0; i < o->n_fft; i++) {
            long at = (long)f * o->hop - o->n_fft / 2 + i;
            if (at < 0) at = -at;
            if (at >= (long)n) at = 2 * ((long)n - 1) - at;
            const double v = (double)x[at] * (0.5 - 0.5 * cos(2 * M_PI * i / o->n_fft)),
                         angle = 2 * M_PI * fmod((double)k * i, o->n_fft) / o->n_fft;
            re += v * cos(angle), im -= v * sin(angle);
        }
        sum += weight * sqrt(re * re + im * im);
    }
    return log(sum > 1e-5 ? sum : 1e-5);
}

static void compare_mel(const ishow_mel_options *o, size_t n, const ishow_mel_kernel *kernel) {
    ishow_mel *mel = NULL;
    float *x = noisy(n);
    assert_int_equal(ishow_mel_create(&mel, o, NULL), ISHOW_OK);
    if (kernel) mel->kernel = kernel;
    const size_t frames = ishow_mel_frames(mel, n), n_mels = (size_t)o->n_mels;
    assert_int_equal(frames, n / (size_t)o->hop + 1);
    float *out = malloc(frames * n_mels * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < frames * n_mels; i++) out[i] = NAN;
    assert_int_equal(ishow_mel_compute(mel, x, n, out, NULL), ISHOW_OK);
    for (size_t i = 0; i < frames * n_mels; i++) assert_true(isfinite(out[i])); /* checks that every value is written */
    for (int check = 0; check < 24; check++) {
        const size_t f = check == 0   ? 0
                         : check == 1 ? frames - 1
                                      : (size_t)(fabsf(noise()) / 0.3f * (float)frames) % frames;
        const int j =
            check < 4 ? check % 2 * (o->n_mels - 1) : (int)(fabsf(noise()) / 0.3f * (float)o->n_mels) % o->n_mels;
        const double expected = slow_mel(o, x, n, f, j);
        if (fabs((double)out[f * n_mels + (size_t)j] - expected) > 1e-4)
            fail_msg("n_fft %d, frame %zu of %zu, mel %d: %g, not %g", o->n_fft, f, frames, j,
                     (double)out[f * n_mels + (size_t)j], expected);
    }
    free(out);
    free(x);
    ishow_mel_free(mel);
}

static void test_mel_equals_its_definition(void **state) {
    (void)state;
    const ishow_mel_options f5 = ishow_mel_options_f5();
    assert_true(f5.sample_rate == 24000 && f5.n_fft == 1024 && f5.hop == 256 && f5.n_mels == 100);
    static const size_t lengths[] = {513, 514, 1023, 1024, 2048, 5000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) compare_mel(&f5, lengths[i], NULL);
    compare_mel(&f5, 5000, &ishow_mel_kernel4); /* both vector widths, not only the one that this machine would use */
    /* every kind of last pass, sizes that need kissfft, hop 1 and hop n_fft */
    static const ishow_mel_options others[] = {{8000, 16, 4, 5},        {8000, 32, 32, 3},     {16000, 64, 1, 8},
                                               {16000, 128, 50, 20},    {16000, 256, 64, 40},  {22050, 512, 128, 80},
                                               {24000, 2048, 300, 100}, {16000, 400, 160, 80}, {24000, 1000, 250, 100},
                                               {44100, 18, 7, 4}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        compare_mel(&others[i], 3001, NULL);
        compare_mel(&others[i], 3001, &ishow_mel_kernel4);
    }
}

static void test_mel_floor_and_faults(void **state) {
    (void)state;
    ishow_mel *mel = NULL;
    const ishow_mel_options o = ishow_mel_options_f5();
    assert_int_equal(ishow_mel_create(&mel, &o, NULL), ISHOW_OK);
    float *x = calloc(6000, sizeof *x), *out = malloc(24 * 100 * sizeof *out);
    assert_true(x && out);
    assert_int_equal(ishow_mel_compute(mel, x, 6000, out, NULL), ISHOW_OK);
    for (size_t i = 0; i < 24 * 100; i++) assert_float_equal(out[i], log(1e-5), 1e-5);
    x[3000] = NAN; /* a NaN stays visible in the frames that contain it, and only there */
    assert_int_equal(ishow_mel_compute(mel, x, 6000, out, NULL), ISHOW_OK);
    assert_true(isnan(out[11 * 100]) && isnan(out[12 * 100 + 99]));
    assert_float_equal(out[20 * 100], log(1e-5), 1e-5);

    ishow_error error = {0};
    for (size_t n = 0; n <= 512; n = n * 2 + 1 + (n == 255))
        assert_int_equal(ishow_mel_compute(mel, x, n, out, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_mel_compute(mel, x, 512, out, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "513 are needed"));
    assert_int_equal(ishow_mel_compute(mel, NULL, 6000, out, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_mel_compute(NULL, x, 6000, out, &error), ISHOW_EINVAL);
    ishow_mel_free(mel);
    ishow_mel_free(NULL);
    free(x);
    free(out);

    static const struct {
        ishow_mel_options o;
        const char *field;
    } bad[] = {
        {{0, 1024, 256, 100}, "sample_rate"}, {{1000000, 1024, 256, 100}, "sample_rate"},
        {{24000, 1023, 256, 100}, "n_fft"},   {{24000, 0, 256, 100}, "n_fft"},
        {{24000, -1024, 256, 100}, "n_fft"},  {{24000, 1 << 20, 256, 100}, "n_fft"},
        {{24000, 1024, 0, 100}, "hop"},       {{24000, 1024, 1025, 100}, "hop"},
        {{24000, 1024, 256, 0}, "n_mels"},    {{24000, 1024, 256, 513}, "n_mels"},
        {{24000, 16, 4, 9}, "n_mels"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ishow_mel_create(&mel, &bad[i].o, &error), ISHOW_EINVAL);
        assert_string_equal(error.field, bad[i].field);
        assert_null(mel);
    }
    assert_int_equal(ishow_mel_create(NULL, &o, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_mel_create(&mel, NULL, &error), ISHOW_EINVAL);
}

typedef struct job {
    const ishow_mel *mel;
    const float *x;
    const float *expected;
    int same;
} job;

static void *compute(void *user) {
    job *j = user;
    float *out = malloc(24 * 100 * sizeof *out);
    j->same = out != NULL;
    for (int i = 0; i < 5 && j->same; i++) {
        j->same = ishow_mel_compute(j->mel, j->x, 6000, out, NULL) == ISHOW_OK &&
                  !memcmp(out, j->expected, 24 * 100 * sizeof *out);
    }
    free(out);
    return NULL;
}

static void test_a_plan_is_shared_by_threads(void **state) {
    (void)state;
    static const int sizes[] = {1024, 1000}; /* once with the kernels, once with kissfft */
    for (int s = 0; s < 2; s++) {
        ishow_mel *mel = NULL;
        const ishow_mel_options o = {24000, sizes[s], 256, 100};
        assert_int_equal(ishow_mel_create(&mel, &o, NULL), ISHOW_OK);
        float *x = noisy(6000), *expected = malloc(24 * 100 * sizeof *expected);
        assert_int_equal(ishow_mel_compute(mel, x, 6000, expected, NULL), ISHOW_OK);
        pthread_t threads[3];
        job jobs[3];
        for (int i = 0; i < 3; i++) {
            jobs[i] = (job){mel, x, expected, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, compute, &jobs[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            assert_true(jobs[i].same);
        }
        free(x);
        free(expected);
        ishow_mel_free(mel);
    }
}

/* Analysis of x by the definition, then synthesis: the result must equal the signal, also at both ends. */
static void round_trip(int n_fft, int hop, size_t frames) {
    ishow_istft *istft = NULL;
    assert_int_equal(ishow_istft_create(&istft, n_fft, hop, NULL), ISHOW_OK);
    const size_t n = ishow_istft_samples(istft, frames), bins = (size_t)n_fft / 2 + 1;
    assert_int_equal(n, (frames - 1) * (size_t)hop);
    float *x = noisy(n), *re = malloc(frames * bins * sizeof *re), *im = malloc(frames * bins * sizeof *im),
          *y = malloc((n + 1) * sizeof *y);
    assert_true(x && re && im && y);
    for (size_t f = 0; f < frames; f++)
        for (size_t k = 0; k < bins; k++) {
            double a = 0, b = 0;
            for (int i = 0; i < n_fft; i++) {
                const long at = (long)f * hop - n_fft / 2 + i;
                if (at < 0 || at >= (long)n) continue;
                const double v = (double)x[at] * (0.5 - 0.5 * cos(2 * M_PI * i / n_fft)),
                             angle = 2 * M_PI * fmod((double)k * i, n_fft) / n_fft;
                a += v * cos(angle), b -= v * sin(angle);
            }
            re[f * bins + k] = (float)a, im[f * bins + k] = (float)b;
        }
    im[0] = 5, im[bins - 1] = -5; /* without meaning for a real signal: ignored */
    y[n] = 12345;
    assert_int_equal(ishow_istft_compute(istft, re, im, frames, y, NULL), ISHOW_OK);
    for (size_t i = 0; i < n; i++)
        if (fabsf(y[i] - x[i]) > 1e-5f)
            fail_msg("n_fft %d hop %d: sample %zu of %zu is %g, not %g", n_fft, hop, i, n, (double)y[i], (double)x[i]);
    assert_true(y[n] == 12345);
    free(x);
    free(re);
    free(im);
    free(y);
    ishow_istft_free(istft);
}

static void test_istft_inverts_the_stft(void **state) {
    (void)state;
    round_trip(1024, 256, 9);
    round_trip(1024, 256, 2); /* shorter than one window */
    round_trip(1024, 512, 4);
    round_trip(64, 1, 70);
    round_trip(30, 7, 20);
    round_trip(4, 2, 3);
}

static void test_istft_errors(void **state) {
    (void)state;
    ishow_istft *istft = NULL;
    ishow_error error = {0};
    static const int bad[][2] = {{1023, 256}, {0, 1}, {-4, 1}, {1 << 20, 256}, {1024, 0}, {1024, 513}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ishow_istft_create(&istft, bad[i][0], bad[i][1], &error), ISHOW_EINVAL);
        assert_string_equal(error.field, i < 4 ? "n_fft" : "hop");
        assert_null(istft);
    }
    assert_int_equal(ishow_istft_create(NULL, 1024, 256, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_istft_create(&istft, 1024, 256, &error), ISHOW_OK);
    float x[513] = {0}, y[1];
    for (size_t frames = 0; frames < 2; frames++) {
        assert_int_equal(ishow_istft_samples(istft, frames), 0);
        assert_int_equal(ishow_istft_compute(istft, x, x, frames, y, &error), ISHOW_EINVAL);
    }
    assert_int_equal(ishow_istft_compute(istft, NULL, x, 2, y, &error), ISHOW_EINVAL);
    ishow_istft_free(istft);
    ishow_istft_free(NULL);
}

static double level_at(const ishow_pcm *pcm, double hz) {
    double re = 0, im = 0;
    const size_t edge = pcm->length / 10;
    for (size_t i = edge; i < pcm->length - edge; i++) {
        re += (double)pcm->samples[i] * cos(2 * M_PI * hz * (double)i / pcm->sample_rate);
        im += (double)pcm->samples[i] * sin(2 * M_PI * hz * (double)i / pcm->sample_rate);
    }
    return 2 * sqrt(re * re + im * im) / (double)(pcm->length - 2 * edge);
}

static void test_resample(void **state) {
    (void)state;
    static const int pairs[][2] = {{48000, 24000}, {44100, 24000}, {16000, 24000},
                                   {24000, 48000}, {8000, 192000}, {24000, 24000}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const int from = pairs[i][0], to = pairs[i][1];
        const size_t n = (size_t)from + 1;
        float *x = malloc(n * sizeof *x);
        assert_non_null(x);
        for (size_t k = 0; k < n; k++) x[k] = (float)(0.5 * sin(2 * M_PI * 1000 * (double)k / from));
        ishow_pcm pcm;
        assert_int_equal(ishow_audio_resample(x, n, from, to, &pcm, NULL), ISHOW_OK);
        assert_int_equal(pcm.sample_rate, to);
        assert_int_equal(pcm.length, llround((double)n * to / from));
        assert_float_equal(level_at(&pcm, 1000), 0.5, 1e-3);
        if (from == to) assert_memory_equal(pcm.samples, x, n * sizeof *x);
        ishow_pcm_free(&pcm);
        /* Frequencies above half of the new rate must be removed and not aliased. */
        if (to == 24000 && from > 2 * 15000) {
            for (size_t k = 0; k < n; k++) x[k] = (float)(0.5 * sin(2 * M_PI * 15000 * (double)k / from));
            assert_int_equal(ishow_audio_resample(x, n, from, to, &pcm, NULL), ISHOW_OK);
            assert_true(level_at(&pcm, 9000) < 0.5e-5); /* -100 dB */
            ishow_pcm_free(&pcm);
        }
        free(x);
    }
}

static void test_resample_edges(void **state) {
    (void)state;
    const float x[3] = {0.1f, 0.2f, 0.3f};
    ishow_pcm pcm;
    ishow_error error = {0};
    for (size_t n = 0; n <= 3; n++) {
        assert_int_equal(ishow_audio_resample(x, n, 24000, 48000, &pcm, NULL), ISHOW_OK);
        assert_int_equal(pcm.length, 2 * n);
        for (size_t i = 0; i < pcm.length; i++) assert_true(isfinite(pcm.samples[i]) && fabsf(pcm.samples[i]) < 1);
        ishow_pcm_free(&pcm);
        assert_int_equal(ishow_audio_resample(x, n, 384000, 4000, &pcm, NULL), ISHOW_OK);
        assert_int_equal(pcm.length, 0);
        ishow_pcm_free(&pcm);
    }
    static const int bad[][2] = {{0, 24000},    {24000, 0},      {-1, 24000},
                                 {3999, 24000}, {24000, 384001}, {INT32_MAX, 24000}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ishow_audio_resample(x, 3, bad[i][0], bad[i][1], &pcm, &error), ISHOW_EINVAL);
        assert_string_equal(error.field, "sample_rate");
        assert_null(pcm.samples);
    }
    assert_int_equal(ishow_audio_resample(NULL, 3, 24000, 48000, &pcm, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_audio_resample(x, SIZE_MAX / 4, 24000, 48000, &pcm, &error), ISHOW_ELIMIT);
}

static void test_no_handle_is_left(void **state) {
    (void)state;
    assert_int_equal(ishow_live_handles(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mel_equals_its_definition),
        cmocka_unit_test(test_mel_floor_and_faults),
        cmocka_unit_test(test_a_plan_is_shared_by_threads),
        cmocka_unit_test(test_istft_inverts_the_stft),
        cmocka_unit_test(test_istft_errors),
        cmocka_unit_test(test_resample),
        cmocka_unit_test(test_resample_edges),
        cmocka_unit_test(test_no_handle_is_left),
    };
    return cmocka_run_group_tests_name("audio mel", tests, NULL, NULL);
}
