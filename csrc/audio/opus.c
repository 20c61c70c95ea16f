/* Ogg Opus by libopusenc. Its two delays are reduced; by default it buffers seconds of audio to decide on modes and to
 * fill pages. */
#include <opusenc.h>

#include "audio/encoder.h"

enum {
    BITRATE = 48000, /* bit/s: speech in mono without audible loss */
    DELAY = 960,     /* samples at 48 kHz: one frame of 20 ms, the least that both delays can be */
    SERIAL = 1       /* of the Ogg stream, always one alone: equal samples give equal bytes */
};

static int on_write(void *self, const unsigned char *data, opus_int32 n) {
    ishow_encoder *e = self;
    ishow_buffer_add(&e->out, data, (size_t)n);
    return e->out.failed;
}

static int on_close(void *self) {
    (void)self;
    return 0;
}

static ishow_status failed(int code, ishow_error *error) {
    return ishow_fail(error, code == OPE_ALLOC_FAIL ? ISHOW_ENOMEM : ISHOW_EINTERNAL, "", "Encoding Opus failed: %s.",
                      ope_strerror(code));
}

static ishow_status open_encoder(ishow_encoder *e, ishow_error *error) {
    static const OpusEncCallbacks callbacks = {on_write, on_close};
    OggOpusComments *comments = ope_comments_create();
    int code = comments ? OPE_OK : OPE_ALLOC_FAIL;
    if (comments) e->state = ope_encoder_create_callbacks(&callbacks, e, comments, e->sample_rate, 1, 0, &code);
    if (comments) ope_comments_destroy(comments); /* was copied */
    if (!e->state) return failed(code, error);
    code = ope_encoder_ctl(e->state, OPUS_SET_BITRATE(BITRATE));
    if (code == OPE_OK) code = ope_encoder_ctl(e->state, OPE_SET_SERIALNO(SERIAL));
    if (code == OPE_OK && !e->whole) code = ope_encoder_ctl(e->state, OPE_SET_DECISION_DELAY(DELAY));
    if (code == OPE_OK && !e->whole) code = ope_encoder_ctl(e->state, OPE_SET_MUXING_DELAY(DELAY));
    return code == OPE_OK ? ISHOW_OK : failed(code, error);
}

static ishow_status write_samples(ishow_encoder *e, const float *samples, size_t n, ishow_error *error) {
    enum { PART = 1 << 20 };
    for (; n; n -= n < PART ? n : PART, samples += PART) {
        int code = ope_encoder_write_float(e->state, samples, (int)(n < PART ? n : PART));
        if (code != OPE_OK) return failed(code, error);
    }
    return ISHOW_OK;
}

static ishow_status finish(ishow_encoder *e, ishow_error *error) {
    int code = e->length ? ope_encoder_drain(e->state)
                         : ope_encoder_flush_header(e->state); /* draining an empty encoder would fail an assertion */
    return code == OPE_OK ? ISHOW_OK : failed(code, error);
}

static void close_encoder(ishow_encoder *e) {
    if (e->state) ope_encoder_destroy(e->state);
}

const codec ishow_codec_opus = {open_encoder, write_samples, finish, close_encoder};
