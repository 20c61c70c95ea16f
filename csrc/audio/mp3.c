/* MP3 by LAME at a constant bit rate. Without the bit reservoir every frame can be decoded when it arrives, and the
 * first one is complete after 40 ms. A whole file begins with LAME's tag, which tells players the exact length and what
 * to cut off. */
#include <lame/lame.h>
#include <stdlib.h>
#include <string.h>

#include "audio/encoder.h"

enum {
    PART = 1 << 12,
    ROOM = PART + PART / 4 + 7200,
    TAG_MAX = 2880,
    KBPS_LOW = 48,
    KBPS = 96,
    KBPS_HIGH = 128
}; /* ROOM: LAME's worst case */

typedef struct mp3 {
    lame_global_flags *lame;
    float gain; /* compensates the gain of LAME's presets, which would make speech quieter than in the other formats */
} mp3;

static void quiet(const char *format, va_list args) { (void)format, (void)args; }

static ishow_status open_encoder(ishow_encoder *e, ishow_error *error) {
    mp3 *m = e->state = ishow_alloc(1, sizeof *m);
    lame_global_flags *lame = m ? m->lame = lame_init() : NULL;
    if (!lame) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for an MP3 encoder.");
    lame_set_errorf(lame, quiet);
    lame_set_msgf(lame, quiet);
    lame_set_debugf(lame, quiet);
    lame_set_num_channels(lame, 1);
    lame_set_mode(lame, MONO);
    lame_set_in_samplerate(lame, e->sample_rate);
    lame_set_out_samplerate(lame, e->sample_rate);
    lame_set_brate(lame, e->sample_rate < 16000 ? KBPS_LOW : e->sample_rate < 32000 ? KBPS : KBPS_HIGH);
    lame_set_disable_reservoir(lame, 1);
    lame_set_bWriteVbrTag(lame, e->whole);
    if (lame_init_params(lame) < 0)
        return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "MP3 cannot be made at a sample_rate of %d.",
                          e->sample_rate);
    m->gain = 1 / lame_get_scale(lame);
    return ISHOW_OK;
}

/* `made`: what LAME returned after it was given the space reserved in e->out. */
static ishow_status take(ishow_encoder *e, int made, ishow_error *error) {
    if (made < 0) return ishow_fail(error, ISHOW_EINTERNAL, "", "Encoding MP3 failed with LAME's code %d.", made);
    e->out.n += (size_t)made;
    return ISHOW_OK;
}

static ishow_status write_samples(ishow_encoder *e, const float *samples, size_t n, ishow_error *error) {
    const mp3 *m = e->state;
    ishow_status status = ISHOW_OK;
    float part[PART];
    while (n && status == ISHOW_OK) {
        const size_t now = n < PART ? n : PART;
        for (size_t i = 0; i < now; i++) part[i] = m->gain * samples[i];
        unsigned char *space = ishow_buffer_reserve(&e->out, ROOM);
        if (!space) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
        status = take(e, lame_encode_buffer_ieee_float(m->lame, part, part, (int)now, space, ROOM), error);
        samples += now;
        n -= now;
    }
    return status;
}

static ishow_status finish(ishow_encoder *e, ishow_error *error) {
    const mp3 *m = e->state;
    unsigned char *space = ishow_buffer_reserve(&e->out, ROOM), tag[TAG_MAX];
    if (!space) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    ishow_status status = take(e, lame_encode_flush(m->lame, space, ROOM), error);
    if (status != ISHOW_OK || !e->whole) return status;
    const size_t n =
        lame_get_lametag_frame(m->lame, tag, sizeof tag); /* takes the place of the empty frame that LAME began with */
    if (n > sizeof tag || n > e->out.n)
        return ishow_fail(error, ISHOW_EINTERNAL, "", "LAME's tag of %zu bytes does not fit.", n);
    if (n) memcpy(e->out.data, tag, n);
    return ISHOW_OK;
}

static void close_encoder(ishow_encoder *e) {
    mp3 *m = e->state;
    if (m && m->lame) lame_close(m->lame);
    free(m);
}

const codec ishow_codec_mp3 = {open_encoder, write_samples, finish, close_encoder};
