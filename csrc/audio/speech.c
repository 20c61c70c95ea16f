/* Detects speech in a clip. Three properties tell it from noise, hum and tones without a model: part of it is periodic
 * at the pitch of a voice, its level varies with syllables, and it is well above silence. The pitch is found by
 * normalised autocorrelation at 8 kHz of the first difference of the signal, which removes rumble and slow noise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frames.h"
#include "base/base.h"
#include "audio/audio.h"

enum { RATE = 8000, STEP = RATE / 100, WINDOW = 320, LAG_MIN = RATE / 400, LAG_MAX = RATE / 60 };
static const float VOICED = 0.5f;

/* Dot product; independent partial sums let the compiler vectorise it. */
static float dot(const float *a, const float *b) {
    float sum[8] = {0};
    for (int i = 0; i < WINDOW; i += 8)
        for (int k = 0; k < 8; k++) sum[k] += a[i + k] * b[i + k];
    return (sum[0] + sum[4]) + (sum[1] + sum[5]) + (sum[2] + sum[6]) + (sum[3] + sum[7]);
}

/* Whether the normalised autocorrelation of x[0..WINDOW) with x[lag..lag + WINDOW) has a peak above VOICED over the
 * lags of a voice's pitch: the first one will do, and speech has it early. */
static int is_voiced(const float *x) {
    const float own = dot(x, x);
    float before = 1, at = 0;
    double other = (double)dot(x + LAG_MIN - 1, x + LAG_MIN - 1);
    for (int lag = LAG_MIN - 1; lag <= LAG_MAX + 1; lag++) {
        float r = own > 0 && other > 0 ? dot(x, x + lag) / sqrtf(own * (float)other) : 0;
        if (lag > LAG_MIN && at > before && at >= r && at > VOICED) return 1; /* `at` is a peak */
        before = at;
        at = r;
        other += (double)x[lag + WINDOW] * (double)x[lag + WINDOW] - (double)x[lag] * (double)x[lag];
    }
    return 0;
}

/* Standard deviation in dB of the level of frames above the threshold. */
static float level_spread(const ishow_frames *frames) {
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < frames->count; i++) {
        if (!(frames->rms[i] > frames->threshold)) continue;
        double db = 20 * log10((double)frames->rms[i]);
        sum += db;
        squares += db * db;
        n++;
    }
    if (n < 2) return 0;
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return variance > 0 ? (float)sqrt(variance) : 0;
}

ishow_status ishow_audio_speech_measure(const float *samples, size_t n, int sample_rate, ishow_speech_measure *out,
                                        ishow_error *error) {
    ishow_pcm low = {0};
    ishow_frames frames = {0};
    ishow_audio_faults faults;
    memset(out, 0, sizeof *out);
    ishow_audio_check(samples, n, sample_rate, &faults);
    ishow_audio_speech_span(samples, n, sample_rate, ISHOW_SILENCE_RMS, 0, &out->begin, &out->end);
    out->clipped = n ? (double)faults.clipped / (double)n : 0;
    out->rms = ishow_audio_rms(samples + out->begin, out->end - out->begin);
    ishow_status status = ishow_audio_resample(samples, n, sample_rate, RATE, &low, error);
    if (status) goto done;
    for (size_t i = low.length; i-- > 1;) low.samples[i] -= low.samples[i - 1];
    if (!ishow_frames_measure(low.samples, low.length, RATE, 0.1f * ISHOW_SILENCE_RMS, &frames)) {
        status = ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while measuring audio");
        goto done;
    }
    size_t active = 0, voiced = 0;
    for (size_t i = 0; i < frames.count; i++) {
        if (!(frames.rms[i] > frames.threshold)) continue;
        active++;
        if (i % 2 == 0 && i * STEP + WINDOW + LAG_MAX + 2 < low.length)
            voiced += 2 * (size_t)is_voiced(low.samples + i * STEP); /* windows overlap, so every other one suffices */
    }
    out->active_seconds = (double)active / 100;
    out->voiced_seconds = (double)voiced / 100;
    out->level_spread = level_spread(&frames);
done:
    free(frames.rms);
    ishow_pcm_free(&low);
    return status;
}
