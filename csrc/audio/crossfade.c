/* Joining two chunks of speech. They are unrelated signals, so their powers add: gains cos and sin keep the
 * loudness. */
#include <math.h>
#include <string.h>

#include "audio/audio.h"

size_t ishow_audio_cross_fade(const float *a, size_t na, const float *b, size_t nb, size_t overlap, float *out) {
    if (overlap > na) overlap = na;
    if (overlap > nb) overlap = nb;
    const size_t head = na - overlap;
    if (head) memcpy(out, a, head * sizeof(float));
    const double step = 1.5707963267948966 / (double)(overlap ? overlap : 1);
    for (size_t i = 0; i < overlap; i++) {
        const double angle = step * ((double)i + 0.5);
        out[head + i] = (float)(cos(angle) * (double)a[head + i] + sin(angle) * (double)b[i]);
    }
    if (nb > overlap) memcpy(out + na, b + overlap, (nb - overlap) * sizeof(float));
    return na + nb - overlap;
}

size_t ishow_audio_join_apart(const float *a, size_t na, const float *b, size_t nb, size_t pause, size_t edge,
                              float *out) {
    const double step = 1.5707963267948966 / (double)(edge ? edge : 1);
    const size_t leaves = edge < na ? edge : na, enters = edge < nb ? edge : nb;
    float *second = out + na + pause;
    if (na) memcpy(out, a, na * sizeof *out);
    for (size_t i = 0; i < pause; i++) out[na + i] = 0;
    if (nb) memcpy(second, b, nb * sizeof *out);
    for (size_t i = 0; i < leaves; i++) out[na - 1 - i] *= (float)sin(step * ((double)i + 0.5));
    for (size_t i = 0; i < enters; i++) second[i] *= (float)sin(step * ((double)i + 0.5));
    return na + pause + nb;
}
