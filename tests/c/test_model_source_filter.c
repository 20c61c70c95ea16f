/* The source-filter head of the vocoder against its formulas in double precision, and the frames of a spectrum whose
 * hop is not that of the mel. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/native.h"

enum { N_FFT = 96, HOP = 24, BINS = N_FFT / 2 + 1, FRAMES = 7, PITCHES = 128, WAVE = (FRAMES - 1) * HOP + N_FFT };
static const double RATE = 24000, TAU = 6.283185307179586;

static void a_spectrum_covers_the_samples_of_the_mel(void **state) {
    (void)state;
    const ishow_model_info same = {.hop = 256, .spectrum_fft = 1024, .spectrum_hop = 256};
    const ishow_model_info own = {.hop = 256, .spectrum_fft = 1200, .spectrum_hop = 300};
    for (size_t frames = 1; frames < 500; frames++) {
        assert_int_equal(ishow_spectrum_frames(&same, frames), frames);
        const size_t samples = (frames - 1) * 256, spectrum = (ishow_spectrum_frames(&own, frames) - 1) * 300;
        assert_in_range(spectrum, samples, samples + 299);
    }
    assert_int_equal(ishow_spectrum_bins(&own), 601);
}

/* Pitch of a frame, for which `fill` has a likely bin; one frame is unvoiced. */
static const size_t bins_of[FRAMES] = {60, 60, 71, 40, 0, 90, 60};
static double pitch_of(size_t frame) { return bins_of[frame] ? 50 * pow(12, (double)bins_of[frame] / 127) : 0; }

/* Outputs of the network for a frame. */
static void fill(float *parts, size_t width, int frame) {
    for (size_t i = 0; i < width; i++) parts[i] = 0.4f * sinf((float)(i * 7 + (size_t)frame * 13));
    for (size_t i = 0; i < 4; i++) parts[BINS + i] = (float[]){-20, 20, 3, -0.01f}[i]; /* where tanh is flat or not */
    for (size_t i = 0; i < PITCHES; i++) parts[4 * BINS + i] = i == bins_of[frame] ? 30 : 0;
    parts[width - 1] = bins_of[frame] ? 1 : -1;
}

static void a_frame_is_what_the_formulas_say(void **state) {
    (void)state;
    const size_t width = native_source_width(BINS);
    assert_int_equal(width, 4 * BINS + PITCHES + 1);
    native_source *s = native_source_create(N_FFT, HOP, RATE, 1);
    float *parts = calloc(FRAMES * width, sizeof *parts), *wave = calloc(WAVE, sizeof *wave);
    assert_non_null(s);
    assert_non_null(parts);
    assert_non_null(wave);
    float *workspace = malloc(native_source_workspace(s)), real[BINS], imag[BINS];
    assert_non_null(workspace);
    for (int f = 0; f < FRAMES; f++) fill(parts + (size_t)f * width, width, f);
    native_source_pulses(s, ishow_kernels_named("generic"), parts, FRAMES, workspace, wave);

    double cycles = 0;
    for (size_t i = 0; i < WAVE; i++) {
        double wanted = 0;
        if (i >= N_FFT / 2 && i < WAVE - N_FFT / 2) {
            const size_t frame = (i - N_FFT / 2) / HOP, place = (i - N_FFT / 2) % HOP;
            const double left = pitch_of(frame), right = pitch_of(frame + 1), share = (double)place / HOP;
            const double hz = left > 0 && right > 0 ? left + (right - left) * share : share < 0.5 ? left : right;
            cycles += hz / RATE;
            for (int h = 1; hz > 0 && h <= floor(11000 / hz); h++) wanted += cos(TAU * h * cycles);
            assert_true(fabs(wave[i] - wanted) < 1e-3 * (hz > 0 ? 11000 / hz : 1));
        } else {
            assert_true(wave[i] == 0);
        }
    }
    for (size_t f = 0; f < FRAMES; f++) {
        const float *p = parts + f * width;
        native_source_frame(s, ishow_kernels_named("generic"), 0, f, p, wave, workspace, real, imag);
        for (size_t k = 0; k < BINS; k++) {
            double re = 0, im = 0;
            for (size_t i = 0; i < N_FFT; i++) {
                const double window = (0.5 - 0.5 * cos(TAU * (double)i / N_FFT)) / (N_FFT / 4.0);
                re += wave[f * HOP + i] * window * cos(TAU * (double)(i * k) / N_FFT);
                im -= wave[f * HOP + i] * window * sin(TAU * (double)(i * k) / N_FFT);
            }
            const double phase = TAU / 2 * tanh(p[BINS + k]), a = exp(p[k]) * cos(phase), b = exp(p[k]) * sin(phase);
            const double rest = exp(p[2 * BINS + k]), turn = p[3 * BINS + k];
            assert_true(fabs(real[k] - (a * re - b * im + rest * cos(turn))) < 1e-3);
            assert_true(fabs(imag[k] - (a * im + b * re + rest * sin(turn))) < 1e-3);
        }
    }
    native_source_free(s);
    free(workspace);
    free(parts);
    free(wave);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spectrum_covers_the_samples_of_the_mel),
        cmocka_unit_test(a_frame_is_what_the_formulas_say),
    };
    return cmocka_run_group_tests_name("source-filter head", tests, NULL, NULL);
}
