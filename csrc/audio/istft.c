/* Inverse STFT by overlap-add, divided by the summed squared windows, as torch.istft(center=True). Away from the ends
 * that sum repeats every hop and is kept as a table of reciprocals; near the ends fewer frames overlap and it is summed
 * anew. */
#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "audio/audio.h"

enum { N_FFT_MAX = 16384 };

struct ishow_istft {
    size_t n_fft, hop;
    float *window;  /* [n_fft] */
    float *inverse; /* [hop]: 1 / sum of squared windows, by position modulo hop */
};

ishow_status ishow_istft_create(ishow_istft **out, int n_fft, int hop, ishow_error *error) {
    if (!out) return ishow_fail(error, ISHOW_EINVAL, "", "an inverse STFT needs a result");
    *out = NULL;
    if (n_fft < 4 || n_fft > N_FFT_MAX || n_fft % 2)
        return ishow_fail(error, ISHOW_EINVAL, "n_fft", "n_fft is %d; it must be even, 4 to %d", n_fft, N_FFT_MAX);
    if (hop < 1 || hop > n_fft / 2)
        return ishow_fail(error, ISHOW_EINVAL, "hop",
                          "hop is %d; it must be 1 to n_fft / 2 (%d), or samples are lost between windows", hop,
                          n_fft / 2);
    ishow_istft *istft = calloc(1, sizeof *istft);
    if (!istft) return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for an inverse STFT");
    ishow_handle_made();
    istft->n_fft = (size_t)n_fft;
    istft->hop = (size_t)hop;
    istft->window = ishow_alloc(istft->n_fft, sizeof(float));
    istft->inverse = ishow_alloc(istft->hop, sizeof(float));
    if (!istft->window || !istft->inverse) {
        ishow_istft_free(istft);
        return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for an inverse STFT");
    }
    for (int i = 0; i < n_fft; i++) istft->window[i] = (float)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / n_fft));
    for (size_t i = 0; i < istft->hop; i++) {
        double sum = 0;
        for (size_t k = i; k < istft->n_fft; k += istft->hop)
            sum += (double)istft->window[k] * (double)istft->window[k];
        istft->inverse[i] = (float)(1 / sum);
    }
    *out = istft;
    return ISHOW_OK;
}

void ishow_istft_free(ishow_istft *istft) {
    if (!istft) return;
    free(istft->window);
    free(istft->inverse);
    free(istft);
    ishow_handle_freed();
}

size_t ishow_istft_samples(const ishow_istft *istft, size_t frames) { return frames ? (frames - 1) * istft->hop : 0; }

/* 1 / sum of squared windows at position `at`, counted from the start of the first frame. */
static float inverse_at(const ishow_istft *istft, size_t at, size_t frames) {
    const size_t last = at / istft->hop < frames ? at / istft->hop : frames - 1; /* last frame begun by then */
    double sum = 0;
    for (size_t f = last + 1; f-- > 0 && at - f * istft->hop < istft->n_fft;) {
        const float w = istft->window[at - f * istft->hop];
        sum += (double)w * (double)w;
    }
    return (float)(1 / sum);
}

ishow_status ishow_istft_compute(const ishow_istft *istft, const float *real, const float *imag, size_t frames,
                                 float *out, ishow_error *error) {
    if (!istft || !real || !imag || !out)
        return ishow_fail(error, ISHOW_EINVAL, "", "an inverse STFT needs a spectrum and a result");
    if (frames < 2)
        return ishow_fail(error, ISHOW_EINVAL, "", "an inverse STFT needs 2 frames or more, not %zu", frames);
    const size_t n = istft->n_fft, bins = n / 2 + 1, pad = n / 2, length = ishow_istft_samples(istft, frames);
    const size_t whole = frames * istft->hop; /* positions from n - 1 to here are under as many frames as can be */

    ishow_status status = ISHOW_OK;
    kiss_fftr_cfg fft = kiss_fftr_alloc((int)n, 1, NULL, NULL); /* holds scratch memory: one a call */
    kiss_fft_cpx *spectrum = ishow_alloc(bins, sizeof *spectrum);
    float *frame = ishow_alloc(n, sizeof *frame);
    if (!fft || !spectrum || !frame) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for an inverse STFT");
        goto done;
    }
    memset(out, 0, length * sizeof *out);
    const float scale = 1.0f / (float)n;
    for (size_t f = 0; f < frames; f++) {
        for (size_t k = 0; k < bins; k++) spectrum[k] = (kiss_fft_cpx){real[f * bins + k], imag[f * bins + k]};
        kiss_fftri(fft, spectrum, frame); /* ignores the imaginary parts of the first and last bin, as torch does */
        /* Frame f covers positions f * hop ... f * hop + n; `pad` positions at each end are cut off. */
        const size_t start = f * istft->hop;
        const size_t begin = start < pad ? pad - start : 0;
        size_t end = length + pad > start ? length + pad - start : 0;
        if (end > n) end = n;
        for (size_t i = begin; i < end; i++) out[start + i - pad] += frame[i] * istft->window[i] * scale;
    }
    for (size_t i = 0, place = pad % istft->hop; i < length; i++, place = place + 1 < istft->hop ? place + 1 : 0)
        out[i] *= i + pad + 1 >= n && i + pad < whole ? istft->inverse[place] : inverse_at(istft, i + pad, frames);
done:
    kiss_fftr_free(fft);
    free(spectrum);
    free(frame);
    return status;
}
