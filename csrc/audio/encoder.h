/* What the encoders share. encoder.c clamps and resamples; a codec appends encoded bytes to `out`. */
#ifndef ISHOW_AUDIO_ENCODER_H
#define ISHOW_AUDIO_ENCODER_H

#include "audio/rate_stream.h"
#include "base/base.h"
#include "base/buffer.h"
#include "audio/audio.h"

typedef struct codec {
    ishow_status (*open)(ishow_encoder *e, ishow_error *error);
    ishow_status (*write)(ishow_encoder *e, const float *samples, size_t n,
                          ishow_error *error); /* in [-1, 1] at e->sample_rate, n > 0 */
    ishow_status (*finish)(ishow_encoder *e,
                           ishow_error *error); /* flushes, and writes the lengths to the header of a whole file */
    void (*close)(ishow_encoder *e);            /* frees e->state; NULL: there is none */
} codec;

extern const codec ishow_codec_flac, ishow_codec_opus, ishow_codec_mp3;

struct ishow_encoder {
    const codec *codec;
    void *state;
    ishow_format format;
    int sample_rate, whole, pushed, finished;
    rate_stream *rate;
    ishow_buffer out; /* whole: everything so far; otherwise of the current push */
    uint64_t length;  /* samples written */
};

#endif
