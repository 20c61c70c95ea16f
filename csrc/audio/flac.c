/* FLAC by libFLAC: libsndfile would seek back in the file at the end, which a stream cannot. */
#include <FLAC/stream_encoder.h>
#include <stdlib.h>
#include <string.h>

#include "audio/encoder.h"

enum {
    STREAM_BLOCK = 1024,
    PART = 4096
}; /* samples: of a block while streaming (a whole file takes libFLAC's choice), and handed over at once */

typedef struct flac {
    FLAC__StreamEncoder *encoder;
    size_t at; /* libFLAC's position in a whole file */
} flac;

static FLAC__StreamEncoderWriteStatus on_write(const FLAC__StreamEncoder *encoder, const FLAC__byte data[], size_t n,
                                               uint32_t samples, uint32_t frame, void *self) {
    ishow_encoder *e = self;
    flac *f = e->state;
    (void)encoder, (void)samples, (void)frame;
    if (!e->whole || f->at >= e->out.n)
        ishow_buffer_add(&e->out, data, n);
    else if (n <= e->out.n - f->at)
        memcpy(e->out.data + f->at, data, n); /* the header once more */
    else
        return FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR;
    f->at += n;
    return e->out.failed ? FLAC__STREAM_ENCODER_WRITE_STATUS_FATAL_ERROR : FLAC__STREAM_ENCODER_WRITE_STATUS_OK;
}

static FLAC__StreamEncoderSeekStatus on_seek(const FLAC__StreamEncoder *encoder, FLAC__uint64 offset, void *self) {
    const ishow_encoder *e = self;
    (void)encoder;
    if (offset > e->out.n) return FLAC__STREAM_ENCODER_SEEK_STATUS_ERROR;
    ((flac *)e->state)->at = (size_t)offset;
    return FLAC__STREAM_ENCODER_SEEK_STATUS_OK;
}

static FLAC__StreamEncoderTellStatus on_tell(const FLAC__StreamEncoder *encoder, FLAC__uint64 *offset, void *self) {
    const ishow_encoder *e = self;
    (void)encoder;
    *offset = ((const flac *)e->state)->at;
    return FLAC__STREAM_ENCODER_TELL_STATUS_OK;
}

static ishow_status open_encoder(ishow_encoder *e, ishow_error *error) {
    flac *f = ishow_alloc(1, sizeof *f);
    e->state = f;
    if (f) f->encoder = FLAC__stream_encoder_new();
    if (!f || !f->encoder) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a FLAC encoder.");
    FLAC__stream_encoder_set_channels(f->encoder, 1);
    FLAC__stream_encoder_set_bits_per_sample(f->encoder, 16);
    FLAC__stream_encoder_set_sample_rate(f->encoder, (uint32_t)e->sample_rate);
    FLAC__stream_encoder_set_compression_level(f->encoder, 5);
    if (!e->whole) FLAC__stream_encoder_set_blocksize(f->encoder, STREAM_BLOCK);
    FLAC__StreamEncoderInitStatus begun = FLAC__stream_encoder_init_stream(
        f->encoder, on_write, e->whole ? on_seek : NULL, e->whole ? on_tell : NULL, NULL, e);
    if (begun == FLAC__STREAM_ENCODER_INIT_STATUS_OK) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "FLAC cannot be made at a sample_rate of %d: %s.",
                      e->sample_rate, FLAC__StreamEncoderInitStatusString[begun]);
}

static ishow_status failed(const flac *f, ishow_error *error) {
    return ishow_fail(error, ISHOW_EINTERNAL, "", "Encoding FLAC failed: %s.",
                      FLAC__stream_encoder_get_resolved_state_string(f->encoder));
}

static ishow_status write_samples(ishow_encoder *e, const float *samples, size_t n, ishow_error *error) {
    flac *f = e->state;
    FLAC__int32 part[PART];
    while (n) {
        const size_t m = n < PART ? n : PART;
        for (size_t i = 0; i < m; i++) part[i] = ishow_sample_s16(samples[i]);
        if (!FLAC__stream_encoder_process_interleaved(f->encoder, part, (uint32_t)m)) return failed(f, error);
        samples += m;
        n -= m;
    }
    return ISHOW_OK;
}

static ishow_status finish(ishow_encoder *e, ishow_error *error) {
    flac *f = e->state;
    return FLAC__stream_encoder_finish(f->encoder) ? ISHOW_OK : failed(f, error);
}

static void close_encoder(ishow_encoder *e) {
    flac *f = e->state;
    if (f && f->encoder) FLAC__stream_encoder_delete(f->encoder);
    free(f);
}

const codec ishow_codec_flac = {open_encoder, write_samples, finish, close_encoder};
