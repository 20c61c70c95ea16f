/* Loudness, and the faults a listener would hear. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/frames.h"
#include "audio/audio.h"

void ishow_audio_scale(float *samples, size_t n, float factor) {
    for (size_t i = 0; i < n; i++) samples[i] *= factor;
}

void ishow_audio_check(const float *samples, size_t n, int sample_rate, ishow_audio_faults *out) {
    static const float full_scale = 32767.0f / 32768.0f; /* the largest positive 16-bit sample */
    memset(out, 0, sizeof *out);
    double sum = 0, energy = 0;
    size_t run = 0;
    for (size_t i = 0; i < n; i++) {
        const float x = samples[i], level = fabsf(x);
        if (!isfinite(x)) {
            out->non_finite++;
            run = 0;
            continue;
        }
        sum += (double)x;
        energy += (double)x * (double)x;
        if (level > out->peak) out->peak = level;
        run = level >= full_scale ? run + 1 : 0;
        if (run >= 3) out->clipped += run == 3 ? 3 : 1;
    }
    const size_t finite = n - out->non_finite;
    if (finite) {
        out->dc = (float)(sum / (double)finite);
        out->rms = (float)sqrt(energy / (double)finite);
    }
    out->silent = 1;
    ishow_frames frames;
    if (!ishow_frames_measure(samples, n, sample_rate, ISHOW_SILENCE_RMS, &frames)) {
        out->silent = out->rms <= ISHOW_SILENCE_RMS; /* without memory for frames: the whole clip's level */
        return;
    }
    size_t first, last, quiet = 0, longest = 0;
    ishow_frames_span(&frames, &first, &last);
    for (size_t i = 0; i < frames.count && out->silent; i++) out->silent = frames.rms[i] <= ISHOW_SILENCE_RMS;
    for (size_t i = first; i < last; i++) {
        quiet = frames.rms[i] < ISHOW_SILENCE_RMS ? quiet + 1 : 0;
        if (quiet > longest) longest = quiet;
    }
    if (longest) out->longest_silence = (double)(longest * frames.size) / sample_rate;
    free(frames.rms);
}
