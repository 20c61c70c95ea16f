/* The source-filter head of the vocoder: a pulse train at the predicted pitch, filtered in the STFT domain, and the
 * spectrum of what is not periodic. The same in Python, with the formulas: ishowtts/model/source_filter.py. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "model/native.h"

enum { F0_BINS = 128, F0_SPREAD = 4 };
static const double F0_LOW = 50, F0_HIGH = 600, TOP_HARMONIC = 11000;
static const float MAX_MAGNITUDE = 1e3f;
static const float MAX_EXP = 1e9f; /* where the hyperbolic tangent is 1 in single precision */

struct native_source {
    size_t bins, n_fft, hop;
    double sample_rate;
    float *window; /* [n_fft]: Hann, scaled so that a cosine of 1 peaks at 1 */
    float *zeros;  /* [bins] */
    int threads;
    kiss_fftr_cfg *fft; /* one each, as it has a workspace */
};

size_t native_source_width(size_t bins) { return 4 * bins + F0_BINS + 1; }

void native_source_free(native_source *s) {
    if (!s) return;
    for (int i = 0; s->fft && i < s->threads; i++) kiss_fftr_free(s->fft[i]);
    free(s->fft);
    free(s->window);
    free(s->zeros);
    free(s);
}

native_source *native_source_create(size_t n_fft, size_t hop, double sample_rate, int threads) {
    native_source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (native_source){
        .bins = n_fft / 2 + 1, .n_fft = n_fft, .hop = hop, .sample_rate = sample_rate, .threads = threads};
    s->window = ishow_alloc(n_fft, sizeof *s->window);
    s->zeros = calloc(s->bins, sizeof *s->zeros);
    s->fft = calloc((size_t)threads, sizeof *s->fft);
    if (!s->window || !s->zeros || !s->fft) goto fail;
    for (int i = 0; i < threads; i++)
        if (!(s->fft[i] = kiss_fftr_alloc((int)n_fft, 0, NULL, NULL))) goto fail;
    for (size_t i = 0; i < n_fft; i++)
        s->window[i] = (float)((0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)n_fft)) / ((double)n_fft / 4));
    return s;
fail:
    native_source_free(s);
    return NULL;
}

/* Pitch in Hz of one frame's logits [F0_BINS] and voicing; 0: unvoiced. It is the mean over the bins next to the most
 * likely one. */
static double pitch_of(const float *logits, float voicing) {
    int top = 0;
    double sum = 0, mean = 0;
    if (!(voicing > 0)) return 0;
    for (int i = 1; i < F0_BINS; i++)
        if (logits[i] > logits[top]) top = i;
    for (int i = top > F0_SPREAD ? top - F0_SPREAD : 0; i < F0_BINS && i <= top + F0_SPREAD; i++) {
        double p = exp((double)(logits[i] - logits[top]));
        sum += p;
        mean += p * i;
    }
    return F0_LOW * pow(F0_HIGH / F0_LOW, mean / sum / (F0_BINS - 1));
}

/* The pulses of one hop of samples, from *cycles of the phase on, which is advanced; the pitch changes from left to
 * right, in Hz, 0: unvoiced. A pulse is the sum of the cosines of all its harmonics, sin((H + 1/2) t) / (2 sin(t / 2))
 * - 1/2. workspace: [5 * hop]. */
static void pulses_of_hop(const native_source *s, const kernels *k, double left, double right, double *cycles,
                          float *workspace, float *out) {
    const size_t hop = s->hop;
    const int glides = left > 0 && right > 0;
    const double share = 1 / (double)hop;
    float *narrow = workspace, *wide = narrow + hop, *low = wide + hop, *high = low + hop, *unused = high + hop;
    double at = *cycles;
    for (size_t i = 0; i < hop; i++) {
        const double hz = glides ? left + (right - left) * ((double)i * share) : 2 * i < hop ? left : right;
        const double harmonics = (double)(int)(TOP_HARMONIC / fmax(hz, F0_LOW));
        at += hz / s->sample_rate;
        if (at >= 1) at -= 1;                          /* a pitch is far below the sample rate */
        const double nearest = at > 0.5 ? at - 1 : at; /* both sines change their sign, and small ones are exact */
        const double turns = (harmonics + 0.5) * nearest;
        narrow[i] = (float)(M_PI * nearest);
        wide[i] = (float)(2 * M_PI * (turns - (double)(int)turns));
        out[i] = hz > 0 ? (float)harmonics : 0;
    }
    *cycles = at;
    k->spectrum(s->zeros, narrow, MAX_MAGNITUDE, unused, low, hop);
    k->spectrum(s->zeros, wide, MAX_MAGNITUDE, unused, high, hop);
    for (size_t i = 0; i < hop; i++) /* the limit of a pulse at its centre is H */
        if (out[i] > 0 && fabsf(low[i]) >= 1e-3f) out[i] = high[i] / (2 * low[i]) - 0.5f;
}

void native_source_pulses(const native_source *s, const kernels *k, const float *parts, size_t frames, float *workspace,
                          float *wave) {
    const size_t width = native_source_width(s->bins), pad = s->n_fft / 2, last = (frames - 1) * s->hop;
    double cycles = 0, left = pitch_of(parts + 4 * s->bins, parts[width - 1]);
    memset(wave, 0, pad * sizeof *wave);
    memset(wave + pad + last, 0, pad * sizeof *wave);
    for (size_t f = 0; f + 1 < frames; f++) {
        const float *next = parts + (f + 1) * width;
        const double right = pitch_of(next + 4 * s->bins, next[width - 1]);
        pulses_of_hop(s, k, left, right, &cycles, workspace, wave + pad + f * s->hop);
        left = right;
    }
}

size_t native_source_workspace(const native_source *s) {
    const size_t frame = s->n_fft + 2 * (s->bins + 1) + 3 * s->bins, hop = 5 * s->hop;
    return (frame > hop ? frame : hop) * sizeof(float);
}

void native_source_frame(const native_source *s, const kernels *k, int thread, size_t frame, const float *parts,
                         const float *wave, float *workspace, float *real, float *imag) {
    const size_t bins = s->bins;
    const float *from = wave + frame * s->hop;
    kiss_fft_cpx *pulses = (kiss_fft_cpx *)(void *)workspace;
    float *windowed = workspace + 2 * (bins + 1), *a = windowed + s->n_fft, *b = a + bins, *phase = b + bins;
    for (size_t i = 0; i < s->n_fft; i++) windowed[i] = from[i] * s->window[i];
    kiss_fftr(s->fft[thread], windowed, pulses);
    for (size_t i = 0; i < bins; i++) phase[i] = 2 * parts[bins + i];
    k->spectrum(phase, s->zeros, MAX_EXP, a, b, bins); /* the phase is pi * tanh(x) = pi * (1 - 2 / (exp(2x) + 1)) */
    for (size_t i = 0; i < bins; i++) phase[i] = (float)M_PI * (1 - 2 / (a[i] + 1));
    k->spectrum(parts, phase, MAX_MAGNITUDE, a, b, bins);
    k->spectrum(parts + 2 * bins, parts + 3 * bins, MAX_MAGNITUDE, real, imag, bins);
    for (size_t i = 0; i < bins; i++) {
        real[i] += a[i] * pulses[i].r - b[i] * pulses[i].i;
        imag[i] += a[i] * pulses[i].i + b[i] * pulses[i].r;
    }
}
