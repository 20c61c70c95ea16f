/* A WAV file in memory: the 44-byte header written by hand, since nothing else of a container is needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "ishow/audio.h"

enum { HEADER = 44 };

static unsigned char *put16(unsigned char *p, unsigned value) {
    *p++ = (unsigned char)value;
    *p++ = (unsigned char)(value >> 8);
    return p;
}

static unsigned char *put32(unsigned char *p, uint32_t value) { return put16(put16(p, value & 0xFFFF), value >> 16); }

static unsigned char *put_tag(unsigned char *p, const char *tag) {
    memcpy(p, tag, 4);
    return p + 4;
}

ishow_status ishow_wav_encode(const float *samples, size_t n, int sample_rate, unsigned char **out, size_t *n_out, ishow_error *error) {
    if (!out || !n_out || (!samples && n)) return ishow_fail(error, ISHOW_EINVAL, "", "WAV encoding needs samples and a result");
    *out = NULL;
    *n_out = 0;
    if (sample_rate < 1) return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "a sample rate of %d Hz is not possible", sample_rate);
    if (n > (UINT32_MAX - HEADER) / 2) return ishow_fail(error, ISHOW_ELIMIT, "", "%zu samples do not fit into a WAV file", n);
    const size_t bytes = HEADER + 2 * n;
    unsigned char *file = malloc(bytes);
    if (!file) return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for a WAV file of %zu bytes", bytes);

    unsigned char *p = file;
    p = put32(put_tag(p, "RIFF"), (uint32_t)(bytes - 8));
    p = put32(put_tag(put_tag(p, "WAVE"), "fmt "), 16);
    p = put16(put16(p, 1), 1); /* PCM, mono */
    p = put32(put32(p, (uint32_t)sample_rate), (uint32_t)sample_rate * 2);
    p = put16(put16(p, 2), 16); /* bytes and bits of a frame */
    p = put32(put_tag(p, "data"), (uint32_t)(2 * n));
    for (size_t i = 0; i < n; i++) {
        float x = samples[i] * 32768.0f;
        x = x > 32767.0f ? 32767.0f : x > -32768.0f ? x : x <= -32768.0f ? -32768.0f : 0; /* NaN: 0 */
        p = put16(p, (unsigned)(int)lrintf(x) & 0xFFFFu);
    }
    *out = file;
    *n_out = bytes;
    return ISHOW_OK;
}
