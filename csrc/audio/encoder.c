/* Samples to a file or a stream of one of five formats. WAV and raw PCM are written here, the others by their
 * libraries: FLAC by libFLAC, Ogg Opus by libopusenc, MP3 by LAME, one file each. */
#include "audio/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- formats ---- */

static const struct format {
    const char *name, *mime;
    int rates[9]; /* ascending, up to a 0; none: any */
} formats[ISHOW_FORMATS] = {
    [ISHOW_FORMAT_WAV] = {"wav", "audio/wav", {0}},
    [ISHOW_FORMAT_PCM] = {"pcm", "audio/pcm", {0}},
    [ISHOW_FORMAT_FLAC] = {"flac", "audio/flac", {0}},
    [ISHOW_FORMAT_OPUS] = {"opus", "audio/ogg", {8000, 12000, 16000, 24000, 48000, 0}},
    [ISHOW_FORMAT_MP3] = {"mp3", "audio/mpeg", {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000}},
};
enum { RATES_MAX = sizeof formats->rates / sizeof *formats->rates };

const char *ishow_format_name(ishow_format format) { return formats[format].name; }
const char *ishow_format_mime(ishow_format format) { return formats[format].mime; }

int ishow_format_find(const char *name, ishow_format *out) {
    for (int i = 0; i < ISHOW_FORMATS; i++)
        if (!strcmp(formats[i].name, name)) {
            *out = (ishow_format)i;
            return 1;
        }
    return 0;
}

int ishow_format_rate(ishow_format format, int sample_rate) {
    const int *rates = formats[format].rates;
    if (!rates[0]) return sample_rate;
    int i = 0;
    while (i + 1 < RATES_MAX && rates[i + 1] && rates[i] < sample_rate) i++;
    return rates[i];
}

static ishow_status check_rate(ishow_format format, int sample_rate, ishow_error *error) {
    if (ishow_format_rate(format, sample_rate) == sample_rate) return ISHOW_OK;
    char list[80] = "";
    const int *rates = formats[format].rates;
    for (int i = 0, n = 0; i < RATES_MAX && rates[i]; i++)
        n += snprintf(list + n, sizeof list - (size_t)n, "%s%d", i ? ", " : "", rates[i]);
    return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "%s takes sample_rate %s, not %d.", formats[format].name,
                      list, sample_rate);
}

/* ---- WAV and raw PCM ---- */

enum { WAV_HEADER = 44 };

static unsigned char *put32(unsigned char *p, uint32_t value) {
    for (int i = 0; i < 4; i++) *p++ = (unsigned char)(value >> 8 * i);
    return p;
}

/* An unknown length is written as the largest. */
static void wav_header(unsigned char *p, int sample_rate, uint32_t data_bytes, uint32_t riff_bytes) {
    static const unsigned char fixed[WAV_HEADER] = {'R', 'I', 'F', 'F', 0,  0, 0, 0, 'W', 'A', 'V', 'E',
                                                    'f', 'm', 't', ' ', 16, 0, 0, 0, 1,   0,   1,   0,
                                                    0,   0,   0,   0,   0,  0, 0, 0, 2,   0,   16,  0,
                                                    'd', 'a', 't', 'a', 0,  0, 0, 0}; /* PCM, mono, 16 bit */
    memcpy(p, fixed, sizeof fixed);
    put32(p + 4, riff_bytes);
    put32(put32(p + 24, (uint32_t)sample_rate), (uint32_t)sample_rate * 2);
    put32(p + 40, data_bytes);
}

static ishow_status wav_open(ishow_encoder *e, ishow_error *error) {
    unsigned char *p = ishow_buffer_reserve(&e->out, WAV_HEADER);
    if (!p) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    wav_header(p, e->sample_rate, UINT32_MAX, UINT32_MAX);
    e->out.n += WAV_HEADER;
    return ISHOW_OK;
}

static ishow_status s16_write(ishow_encoder *e, const float *samples, size_t n, ishow_error *error) {
    if (e->whole && e->out.n + 2 * n > UINT32_MAX)
        return ishow_fail(error, ISHOW_ELIMIT, "", "%zu samples more do not fit into a WAV file.", n);
    ishow_buffer_s16(&e->out, samples, n);
    return e->out.failed ? ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.") : ISHOW_OK;
}

static ishow_status wav_finish(ishow_encoder *e, ishow_error *error) {
    (void)error;
    if (e->whole) wav_header(e->out.data, e->sample_rate, (uint32_t)(e->out.n - WAV_HEADER), (uint32_t)(e->out.n - 8));
    return ISHOW_OK;
}

static ishow_status pcm_open(ishow_encoder *e, ishow_error *error) {
    (void)e, (void)error;
    return ISHOW_OK;
}

static const codec wav = {wav_open, s16_write, wav_finish, NULL}, pcm = {pcm_open, s16_write, pcm_open, NULL};

/* ---- encoders ---- */

static const codec *const codecs[ISHOW_FORMATS] = {&wav, &pcm, &ishow_codec_flac, &ishow_codec_opus, &ishow_codec_mp3};

ishow_status ishow_encoder_create(ishow_encoder **out, const ishow_encoder_options *options, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    *out = NULL;
    if ((unsigned)options->format >= ISHOW_FORMATS)
        return ishow_fail(error, ISHOW_EINVAL, "format", "There is no audio format %d.", (int)options->format);
    const int to = options->sample_rate ? options->sample_rate : ishow_format_rate(options->format, options->from_rate);
    if (options->from_rate < 1)
        return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "A sample_rate of %d is not possible.",
                          options->from_rate);
    if (to != options->from_rate) status = rates_check(options->from_rate, to, error);
    if (status == ISHOW_OK) status = check_rate(options->format, to, error);
    if (status != ISHOW_OK) return status;
    ishow_encoder *e = calloc(1, sizeof *e);
    if (!e) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    ishow_handle_made();
    e->codec = codecs[options->format];
    e->format = options->format;
    e->sample_rate = to;
    e->whole = options->whole;
    status = rate_stream_create(&e->rate, options->from_rate, to, error);
    if (status == ISHOW_OK) status = e->codec->open(e, error);
    if (status == ISHOW_OK)
        *out = e;
    else
        ishow_encoder_free(e);
    return status;
}

ishow_status ishow_encoder_push(ishow_encoder *e, const float *samples, size_t n, int last, const unsigned char **out,
                                size_t *n_out, ishow_error *error) {
    ishow_buffer made = {0};
    ishow_status status = ISHOW_OK;
    *out = NULL;
    *n_out = 0;
    if (e->finished) return ishow_fail(error, ISHOW_ESTATE, "", "The encoder has finished.");
    if (!samples && n) return ishow_fail(error, ISHOW_EINVAL, "", "Encoding needs samples.");
    if (!e->whole && e->pushed) e->out.n = 0; /* the header that `open` wrote is returned by the first push */
    e->pushed = 1;
    status = rate_stream_push(e->rate, samples, n, last, &made, error);
    if (status != ISHOW_OK) goto done;
    float *x = (float *)(void *)made.data;
    const size_t length = made.n / sizeof *x;
    for (size_t i = 0; i < length; i++) x[i] = x[i] >= -1 ? fminf(x[i], 1) : isnan(x[i]) ? 0 : -1;
    if (length && (status = e->codec->write(e, x, length, error)) != ISHOW_OK) goto done;
    e->length += length;
    if (last) {
        e->finished = 1;
        if ((status = e->codec->finish(e, error)) != ISHOW_OK) goto done;
    }
    if (e->out.failed)
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for audio.");
    else if (last || !e->whole)
        *out = e->out.data, *n_out = e->out.n;
done:
    ishow_buffer_free(&made);
    return status;
}

int ishow_encoder_rate(const ishow_encoder *e) { return e->sample_rate; }
uint64_t ishow_encoder_length(const ishow_encoder *e) { return e->length; }

void ishow_encoder_free(ishow_encoder *e) {
    if (!e) return;
    if (e->codec->close) e->codec->close(e);
    rate_stream_free(e->rate);
    ishow_buffer_free(&e->out);
    free(e);
    ishow_handle_freed();
}

ishow_status ishow_audio_encode(const float *samples, size_t n, int from_rate, ishow_format format, int sample_rate,
                                unsigned char **out, size_t *n_out, ishow_error *error) {
    const ishow_encoder_options options = {
        .format = format, .from_rate = from_rate, .sample_rate = sample_rate, .whole = 1};
    const unsigned char *made; /* borrowed */
    ishow_encoder *e = NULL;
    *out = NULL;
    *n_out = 0;
    ishow_status status = ishow_encoder_create(&e, &options, error);
    if (status == ISHOW_OK) status = ishow_encoder_push(e, samples, n, 1, &made, n_out, error);
    if (status == ISHOW_OK) { /* owned by the caller */
        *out = e->out.data;
        e->out = (ishow_buffer){0};
    }
    ishow_encoder_free(e);
    return status;
}
