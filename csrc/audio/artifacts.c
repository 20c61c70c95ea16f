/* Detectors of what a faulty vocoder, a lost chunk or a stuck buffer leaves in a clip. Each looks for something that
 * does not occur in speech: a jump between two samples, a drop to digital zero within sound, one band missing while its
 * neighbours sound, identical samples twice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frames.h"
#include "audio/repeats.h"
#include "base/base.h"
#include "audio/audio.h"

/* ---- clicks ---- */

#define CLICK_LEAST  0.02f /* of full scale: smaller ones are inaudible in speech */
#define CLICK_RATIO  4.5f  /* to the largest second difference around it; recordings stay under 4 */
#define CLICK_AROUND 0.003 /* seconds on each side */
enum { CLICK_ITSELF = 2 }; /* samples on each side that an impulse or a step affects */

static float second_difference(const float *x, size_t n, size_t i) {
    return i > 0 && i + 1 < n ? fabsf(x[i - 1] - 2 * x[i] + x[i + 1]) : 0;
}

static void find_clicks(const float *x, size_t n, int rate, ishow_audio_artifacts *out) {
    const size_t around = (size_t)(CLICK_AROUND * rate);
    for (size_t i = 0; i < n; i++) {
        const float d = second_difference(x, n, i), limit = d / CLICK_RATIO;
        int stands_out = d >= CLICK_LEAST;
        for (size_t k = CLICK_ITSELF + 1; k <= around && stands_out; k++)
            stands_out = (i < k || second_difference(x, n, i - k) < limit) && second_difference(x, n, i + k) < limit;
        if (!stands_out) continue;
        if (out->clicks++ == 0) out->first_click = (double)i / rate;
        i += (size_t)rate / 500; /* at most one click in 2 ms */
    }
}

/* ---- cuts to nothing, and the end ---- */

#define ZERO         1e-5f /* under half a step of 16 bits */
#define ZERO_SECONDS 0.001 /* a wave crosses zero without staying there */
#define ABRUPT       0.1   /* of the loud frames' level (-20 dB): a drop from there to zero is a cut */
#define EDGE_SECONDS 0.005

static double level(const float *x, size_t from, size_t to) { return (double)ishow_audio_rms(x + from, to - from); }

/* Level of the loud frames: speech threshold without its floor. */
static double loud_level(const ishow_frames *frames) {
    const float *sorted = frames->rms + frames->count;
    return frames->count ? (double)sorted[(frames->count - 1) * 95 / 100] : 0;
}

static void find_dropouts(const float *x, size_t n, int rate, double loud, ishow_audio_artifacts *out) {
    const size_t least = (size_t)(ZERO_SECONDS * rate) + 1, edge = (size_t)(EDGE_SECONDS * rate) + 1;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        while (end < n && fabsf(x[end]) <= ZERO) end++;
        const size_t begin = i;
        i = end > begin ? end : begin + 1;
        if (end - begin < least || begin == 0 || end == n) continue;
        const double before = level(x, begin > edge ? begin - edge : 0, begin);
        const double after = level(x, end, end + edge < n ? end + edge : n);
        if (before <= ABRUPT * loud && after <= ABRUPT * loud) continue;
        out->dropouts++;
        out->dropout_seconds += (double)(end - begin) / rate;
    }
}

static void look_at_end(const float *x, size_t n, int rate, double loud, ishow_audio_artifacts *out) {
    const size_t frame = (size_t)rate / 100 + 1;
    while (n > 0 && fabsf(x[n - 1]) <= ZERO) n--; /* a cut is found before padding too */
    const double last = n ? level(x, n > frame ? n - frame : 0, n) : 0;
    out->end_level = loud > 0 ? 20 * log10(fmax(last / loud, 1e-6)) : -120;
    out->early_end = loud > 0 && last > ABRUPT * loud;
}

static void find_gaps(const ishow_frames *frames, int rate, ishow_audio_artifacts *out) {
    size_t first, last, quiet = 0;
    ishow_frames_span(frames, &first, &last);
    for (size_t i = first; i < last; i++) {
        quiet = frames->rms[i] > frames->threshold ? 0 : quiet + 1;
        const double seconds = (double)(quiet * frames->size) / rate;
        if (seconds > out->longest_gap) out->longest_gap = seconds;
        if (seconds >= ISHOW_GAP_SECONDS && (double)((quiet - 1) * frames->size) / rate < ISHOW_GAP_SECONDS)
            out->gaps++;
    }
}

/* ---- missing bands ---- */

enum { BANDS = 24, REACH = 3 };
#define HOLE_DEPTH 3.45f /* 30 dB, in nats of magnitude, under the bands on both sides */
#define HOLE_HEARD 4.61f /* 40 dB: how far these may be below the clip's loudest band */
#define BAND_HEARD 6.91f /* 60 dB: a band whose mean is further below the loudest has no energy */

/* 1 when a band of this frame is missing between two that sound. */
static int has_hole(const float *band, float heard) {
    for (size_t b = 1; b + 1 < BANDS; b++)
        for (size_t k = 1; k <= REACH && k <= b && b + k < BANDS; k++) {
            const float sides = fminf(band[b - k], band[b + k]);
            if (sides > heard && band[b] < sides - HOLE_DEPTH) return 1;
        }
    return 0;
}

static double mel_to_hz(double mel) { return 700 * (pow(10, mel / 2595) - 1); }

static ishow_status find_holes(const float *x, size_t n, int rate, const ishow_frames *frames,
                               ishow_audio_artifacts *out, ishow_error *error) {
    ishow_mel_options options = {.sample_rate = rate, .n_fft = 256, .hop = (int)frames->size, .n_mels = BANDS};
    while (options.n_fft < rate / 25) options.n_fft *= 2; /* 40 ms or more, to resolve the harmonics of a voice */
    if (n <= (size_t)options.n_fft / 2) return ISHOW_OK;
    ishow_mel *mel = NULL;
    float *bands = NULL;
    ishow_status status = ishow_mel_create(&mel, &options, error);
    if (status != ISHOW_OK) goto done;
    const size_t count = ishow_mel_frames(mel, n) < frames->count ? ishow_mel_frames(mel, n) : frames->count;
    bands = ishow_alloc(ishow_mel_frames(mel, n), BANDS * sizeof *bands);
    if (!bands) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a spectrogram");
        goto done;
    }
    status = ishow_mel_compute(mel, x, n, bands, error);
    if (status != ISHOW_OK) goto done;

    float loudest = -100;
    double mean[BANDS] = {0};
    size_t spoken = 0, holes = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(frames->rms[i] > frames->threshold)) continue;
        spoken++;
        for (size_t b = 0; b < BANDS; b++) {
            loudest = fmaxf(loudest, bands[i * BANDS + b]);
            mean[b] += (double)bands[i * BANDS + b];
        }
    }
    for (size_t i = 0; i < count; i++)
        if (frames->rms[i] > frames->threshold && has_hole(bands + i * BANDS, loudest - HOLE_HEARD)) holes++;
    out->hole_seconds = (double)(holes * frames->size) / rate;

    size_t top = BANDS;
    double best = -1e9;
    for (size_t b = 0; b < BANDS && spoken; b++) best = fmax(best, mean[b] / (double)spoken);
    while (spoken && top > 0 && mean[top - 1] / (double)spoken < best - (double)BAND_HEARD) top--;
    /* band b spans points b to b + 2 of BANDS + 2 points; its centre is reported */
    if (spoken) out->bandwidth = mel_to_hz(2595 * log10(1 + rate / 2.0 / 700) * (double)top / (BANDS + 1));
done:
    ishow_mel_free(mel);
    free(bands);
    return status;
}

ishow_status ishow_audio_find_artifacts(const float *samples, size_t n, int sample_rate, ishow_audio_artifacts *out,
                                        ishow_error *error) {
    memset(out, 0, sizeof *out);
    out->first_click = out->first_repeat = -1;
    out->end_level = -120;
    if (sample_rate < ISHOW_ARTIFACT_RATE_MIN || sample_rate > ISHOW_ARTIFACT_RATE_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "sample_rate must be %d to %d Hz, got %d",
                          ISHOW_ARTIFACT_RATE_MIN, ISHOW_ARTIFACT_RATE_MAX, sample_rate);
    if (n == 0) return ISHOW_OK;
    ishow_frames frames = {0};
    ishow_status status = ISHOW_OK;
    float *x = ishow_alloc(n, sizeof *x);
    if (!x) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for %zu samples", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) x[i] = isfinite(samples[i]) ? samples[i] : 0; /* counted by ishow_audio_check */
    if (!ishow_frames_measure(x, n, sample_rate, ISHOW_SILENCE_RMS, &frames)) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for %zu samples", n);
        goto done;
    }
    const double loud = loud_level(&frames);
    find_clicks(x, n, sample_rate, out);
    find_dropouts(x, n, sample_rate, loud, out);
    look_at_end(x, n, sample_rate, loud, out);
    find_gaps(&frames, sample_rate, out);
    ishow_repeats_find(x, n, sample_rate, frames.threshold, &out->repeat_seconds, &out->first_repeat);
    status = find_holes(x, n, sample_rate, &frames, out, error);
done:
    free(frames.rms);
    free(x);
    return status;
}
