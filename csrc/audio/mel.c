/* Mel spectrogram of F5-TTS and Vocos. Filters are sparse (a bin touches two of them), so each is a short span of
 * weights. Frames are computed several at a time by a kernel (mel_kernel.h); kissfft is used when n_fft is not a
 * power of two. */
#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/mel_plan.h"
#include "base/base.h"

enum { N_FFT_MAX = 16384, N_MELS_MAX = 512 };
static const double PI = 3.14159265358979323846;

ishow_mel_options ishow_mel_options_f5(void) {
    return (ishow_mel_options){.sample_rate = 24000, .n_fft = 1024, .hop = 256, .n_mels = 100};
}

static const ishow_mel_kernel *best_kernel(void) {
#if defined __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &ishow_mel_kernel8;
#endif
    return &ishow_mel_kernel4;
}

static double hz_of(double mel) { return 700.0 * (pow(10.0, mel / 2595.0) - 1.0); }

/* Triangles between neighbouring points of the HTK scale from 0 Hz to half the (whole) sample rate, as torchaudio's
 * melscale_fbanks(norm=None). */
static int make_filters(ishow_mel *mel) {
    const size_t n_mels = (size_t)mel->options.n_mels;
    const double top = mel->options.sample_rate / 2;
    const double step = 2595.0 * log10(1.0 + top / 700.0) / (double)(n_mels + 1);
    mel->filters = ishow_alloc(n_mels, sizeof *mel->filters);
    mel->weights = ishow_alloc(2 * mel->bins + n_mels, sizeof *mel->weights); /* a bin is in two triangles at most */
    if (!mel->filters || !mel->weights) return 0;
    uint32_t used = 0;
    for (size_t j = 0; j < n_mels; j++) {
        const double left = hz_of(step * (double)j), peak = hz_of(step * (double)(j + 1)),
                     right = hz_of(step * (double)(j + 2));
        ishow_mel_filter *f = &mel->filters[j];
        f->weight = used;
        for (size_t k = 0; k < mel->bins; k++) {
            const double hz = top * (double)k / (double)(mel->bins - 1);
            const double weight = fmin((hz - left) / (peak - left), (right - hz) / (right - peak));
            if (weight <= 0) continue;
            if (f->count++ == 0) f->begin = (uint32_t)k;
            mel->weights[used++] = (float)weight;
        }
    }
    return 1;
}

/* Frequency k of a transform of `size` after the passes of mel_kernel.h. */
static size_t place_of(size_t k, size_t size) { return size <= 8 ? k : k % 4 * (size / 4) + place_of(k / 4, size / 4); }

static int make_transform(ishow_mel *mel) {
    const size_t n = (size_t)mel->options.n_fft, half = n / 2;
    mel->twiddles = ishow_alloc(2 * n, sizeof *mel->twiddles);
    mel->turns = ishow_alloc(n / 4 + 1, 2 * sizeof *mel->turns);
    mel->places = ishow_alloc(half, sizeof *mel->places);
    if (!mel->twiddles || !mel->turns || !mel->places) return 0;
    float *w = mel->twiddles;
    for (size_t size = half; size > 8; size /= 4)
        for (size_t j = 0; j < size / 4; j++)
            for (size_t r = 1; r < 4; r++) {
                *w++ = (float)cos(2 * PI * (double)(j * r) / (double)size);
                *w++ = (float)-sin(2 * PI * (double)(j * r) / (double)size);
            }
    for (size_t k = 0; k <= n / 4; k++) {
        mel->turns[2 * k] = (float)cos(2 * PI * (double)k / (double)n);
        mel->turns[2 * k + 1] = (float)-sin(2 * PI * (double)k / (double)n);
    }
    for (size_t k = 0; k < half; k++) mel->places[k] = (uint32_t)place_of(k, half);
    return 1;
}

ishow_status ishow_mel_create(ishow_mel **out, const ishow_mel_options *options, ishow_error *error) {
    if (!out || !options) return ishow_fail(error, ISHOW_EINVAL, "", "a mel spectrogram needs options and a result");
    *out = NULL;
    const ishow_mel_options o = *options;
    if (o.sample_rate < 1000 || o.sample_rate > 384000)
        return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "sample_rate is %d; it must be 1000 to 384000 Hz",
                          o.sample_rate);
    if (o.n_fft < 16 || o.n_fft > N_FFT_MAX || o.n_fft % 2)
        return ishow_fail(error, ISHOW_EINVAL, "n_fft", "n_fft is %d; it must be even, 16 to %d", o.n_fft, N_FFT_MAX);
    if (o.hop < 1 || o.hop > o.n_fft)
        return ishow_fail(error, ISHOW_EINVAL, "hop", "hop is %d; it must be 1 to n_fft (%d)", o.hop, o.n_fft);
    const int n_mels_max = o.n_fft / 2 < N_MELS_MAX ? o.n_fft / 2 : N_MELS_MAX;
    if (o.n_mels < 1 || o.n_mels > n_mels_max)
        return ishow_fail(error, ISHOW_EINVAL, "n_mels", "n_mels is %d; it must be 1 to %d", o.n_mels, n_mels_max);

    ishow_mel *mel = calloc(1, sizeof *mel);
    if (!mel) return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a mel spectrogram");
    ishow_handle_made();
    mel->options = o;
    mel->bins = (size_t)o.n_fft / 2 + 1;
    mel->kernel = best_kernel();
    mel->window = ishow_alloc((size_t)o.n_fft, sizeof *mel->window);
    const int fast = (o.n_fft & (o.n_fft - 1)) == 0;
    if (!mel->window || !make_filters(mel) || (fast && !make_transform(mel))) {
        ishow_mel_free(mel);
        return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a mel spectrogram");
    }
    for (int i = 0; i < o.n_fft; i++) mel->window[i] = (float)((fast ? 0.25 : 0.5) * (1 - cos(2 * PI * i / o.n_fft)));
    *out = mel;
    return ISHOW_OK;
}

void ishow_mel_free(ishow_mel *mel) {
    if (!mel) return;
    free(mel->window);
    free(mel->filters);
    free(mel->weights);
    free(mel->twiddles);
    free(mel->turns);
    free(mel->places);
    free(mel);
    ishow_handle_freed();
}

size_t ishow_mel_frames(const ishow_mel *mel, size_t n) { return n / (size_t)mel->options.hop + 1; }

/* Magnitudes by kissfft, frame after frame. */
static void slow_magnitudes(const ishow_mel *mel, kiss_fftr_cfg fft, const float *frames, float *work,
                            kiss_fft_cpx *spectrum, float *out) {
    const size_t n = (size_t)mel->options.n_fft, hop = (size_t)mel->options.hop, lanes = mel->kernel->lanes;
    for (size_t l = 0; l < lanes; l++) {
        for (size_t i = 0; i < n; i++) work[i] = frames[l * hop + i] * mel->window[i];
        kiss_fftr(fft, work, spectrum);
        for (size_t k = 0; k < mel->bins; k++)
            out[k * lanes + l] = sqrtf(spectrum[k].r * spectrum[k].r + spectrum[k].i * spectrum[k].i);
    }
}

/* Samples [from, from + count) of the reflected signal; zero beyond it. */
static void reflect(const float *samples, size_t n, ptrdiff_t from, size_t count, float *out) {
    const ptrdiff_t end = (ptrdiff_t)n;
    for (size_t i = 0; i < count; i++) {
        ptrdiff_t at = from + (ptrdiff_t)i;
        if (at < 0) at = -at;
        if (at >= end) at = 2 * (end - 1) - at;
        out[i] = at >= 0 && at < end ? samples[at] : 0;
    }
}

ishow_status ishow_mel_compute(const ishow_mel *mel, const float *samples, size_t n, float *out, ishow_error *error) {
    if (!mel || !out || (!samples && n))
        return ishow_fail(error, ISHOW_EINVAL, "", "a mel spectrogram needs samples and a result");
    const size_t n_fft = (size_t)mel->options.n_fft, hop = (size_t)mel->options.hop,
                 n_mels = (size_t)mel->options.n_mels;
    const size_t lanes = mel->kernel->lanes, span = (lanes - 1) * hop + n_fft, frames = ishow_mel_frames(mel, n);
    if (n <= n_fft / 2)
        return ishow_fail(error, ISHOW_EINVAL, "audio", "%zu samples are too few for a mel spectrogram; %zu are needed",
                          n, n_fft / 2 + 1);

    ishow_status status = ISHOW_OK;
    kiss_fftr_cfg fft = NULL; /* holds scratch memory: one a call, so that the plan can be shared by threads */
    float *magnitudes = ishow_alloc(mel->bins * lanes, sizeof(float));
    float *work = ishow_alloc(n_fft * lanes, sizeof(float));
    float *logs = ishow_alloc(n_mels * lanes, sizeof(float));
    float *edge = ishow_alloc(span, sizeof(float));
    kiss_fft_cpx *spectrum = NULL;
    if (!mel->twiddles) {
        fft = kiss_fftr_alloc((int)n_fft, 0, NULL, NULL);
        spectrum = ishow_alloc(mel->bins, sizeof *spectrum);
    }
    if (!magnitudes || !work || !logs || !edge || (!mel->twiddles && (!fft || !spectrum))) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a mel spectrogram");
        goto done;
    }
    for (size_t f = 0; f < frames; f += lanes) {
        const ptrdiff_t from = (ptrdiff_t)(f * hop) - (ptrdiff_t)(n_fft / 2);
        const float *block = edge;
        if (from >= 0 && (size_t)from + span <= n)
            block = samples + from;
        else
            reflect(samples, n, from, span, edge);
        if (mel->twiddles)
            mel->kernel->magnitudes(mel, block, work, magnitudes);
        else
            slow_magnitudes(mel, fft, block, work, spectrum, magnitudes);
        mel->kernel->project(mel, magnitudes, logs);
        for (size_t l = 0; l < lanes && f + l < frames; l++)
            for (size_t j = 0; j < n_mels; j++) out[(f + l) * n_mels + j] = logs[j * lanes + l];
    }
done:
    free(magnitudes);
    free(work);
    free(logs);
    free(edge);
    free(spectrum);
    kiss_fftr_free(fft);
    return status;
}
