/* Decodes the bytes of a file to mono samples. Uploads are untrusted: only the supported containers are passed to
 * libsndfile, it reads from memory (no file, no seek outside the bytes), lengths in headers are ignored in favour of
 * what can be read, and reading stops at the first block beyond the limit. Not under our control: libmpg123, used by
 * libsndfile, writes warnings about damaged MP3 frames to standard error. */
#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/grow.h"
#include "audio/audio.h"
#include "base/buffer.h"
#include "base/defaults.h"

enum { BLOCK = 4096, FILE_BLOCK = 1 << 16 }; /* frames and bytes read at once */
static const float ABSURD = 16; /* a decoder exceeds full scale slightly; integers stored as floats exceed it far */

void ishow_pcm_free(ishow_pcm *pcm) {
    if (!pcm) return;
    free(pcm->samples);
    memset(pcm, 0, sizeof *pcm);
}

ishow_decode_limits ishow_decode_limits_reference(void) {
    return (ishow_decode_limits){.max_bytes = ISHOW_UPLOAD_BYTES_MAX,
                                 .max_seconds = ISHOW_REFERENCE_SECONDS_MAX,
                                 .min_seconds = ISHOW_REFERENCE_SECONDS_MIN,
                                 .max_channels = 8,
                                 .min_sample_rate = 8000,
                                 .max_sample_rate = 192000};
}

/* libsndfile's view of the bytes. */
typedef struct memory_file {
    const unsigned char *bytes;
    sf_count_t size, at;
} memory_file;

static sf_count_t memory_length(void *user) { return ((memory_file *)user)->size; }
static sf_count_t memory_tell(void *user) { return ((memory_file *)user)->at; }

static sf_count_t memory_seek(sf_count_t offset, int whence, void *user) {
    memory_file *file = user;
    sf_count_t from = whence == SEEK_CUR ? file->at : whence == SEEK_END ? file->size : 0, to;
    if (__builtin_add_overflow(from, offset, &to) || to < 0 || to > file->size) return -1;
    return file->at = to;
}

static sf_count_t memory_read(void *out, sf_count_t n, void *user) {
    memory_file *file = user;
    if (n > file->size - file->at) n = file->size - file->at;
    if (n <= 0) return 0;
    memcpy(out, file->bytes + file->at, (size_t)n);
    file->at += n;
    return n;
}

static sf_count_t memory_write(const void *bytes, sf_count_t n, void *user) {
    (void)bytes, (void)n, (void)user;
    return 0;
}

const char *ishow_audio_type(const void *bytes, size_t n) {
    const unsigned char *b = bytes;
    if (n < 12) return NULL;
    if ((!memcmp(b, "RIFF", 4) || !memcmp(b, "RIFX", 4) || !memcmp(b, "RF64", 4)) && !memcmp(b + 8, "WAVE", 4))
        return "audio/wav";
    if (!memcmp(b, "fLaC", 4)) return "audio/flac";
    if (!memcmp(b, "OggS", 4)) return "audio/ogg";
    return !memcmp(b, "ID3", 3) || (b[0] == 0xFF && (b[1] & 0xE0) == 0xE0) ? "audio/mpeg" : NULL;
}

static int known_format(int format) {
    switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
    case SF_FORMAT_WAVEX:
    case SF_FORMAT_RF64:
    case SF_FORMAT_FLAC:
    case SF_FORMAT_MPEG: return 1;
    case SF_FORMAT_OGG:
        return (format & SF_FORMAT_SUBMASK) == SF_FORMAT_VORBIS || (format & SF_FORMAT_SUBMASK) == SF_FORMAT_OPUS;
    default: return 0;
    }
}

static ishow_status not_audio(ishow_error *error) {
    return ishow_fail(error, ISHOW_EFORMAT, "audio", "audio is not a readable WAV, FLAC, Ogg Vorbis, Opus or MP3 file");
}

static ishow_status check_header(const SF_INFO *info, const ishow_decode_limits *limits, ishow_error *error) {
    if (!known_format(info->format) || info->channels < 1 || info->samplerate < 1) return not_audio(error);
    if (info->channels > limits->max_channels)
        return ishow_fail(error, ISHOW_ELIMIT, "audio", "audio has %d channels; the limit is %d", info->channels,
                          limits->max_channels);
    if (info->samplerate < limits->min_sample_rate || info->samplerate > limits->max_sample_rate)
        return ishow_fail(error, ISHOW_ELIMIT, "audio", "audio has a sample rate of %d Hz; the limits are %d to %d Hz",
                          info->samplerate, limits->min_sample_rate, limits->max_sample_rate);
    return ISHOW_OK;
}

/* Mean of the channels, clipped to full scale. */
static ishow_status mix(const float *block, size_t frames, int channels, float *out, ishow_error *error) {
    const float gain = 1.0f / (float)channels;
    for (size_t i = 0; i < frames; i++) {
        float sum = 0;
        for (int c = 0; c < channels; c++) sum += block[i * (size_t)channels + (size_t)c];
        sum *= gain;
        if (!isfinite(sum))
            return ishow_fail(error, ISHOW_EFORMAT, "audio", "audio contains samples that are not finite numbers");
        if (fabsf(sum) > ABSURD)
            return ishow_fail(error, ISHOW_EFORMAT, "audio", "audio has samples of %g; full scale is 1", (double)sum);
        out[i] = fminf(fmaxf(sum, -1.0f), 1.0f);
    }
    return ISHOW_OK;
}

static ishow_status read_all(SNDFILE *file, const SF_INFO *info, const ishow_decode_limits *limits, ishow_pcm *pcm,
                             ishow_error *error) {
    ishow_status status = ISHOW_OK;
    const double most = limits->max_seconds * info->samplerate;
    size_t capacity = 0;
    float *block = ishow_alloc((size_t)info->channels * BLOCK, sizeof(float));
    if (!block) {
        status = ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while decoding audio");
        goto done;
    }
    for (;;) {
        sf_count_t got = sf_readf_float(file, block, BLOCK);
        if (got <= 0) break;
        float *grown = ishow_grow(pcm->samples, &capacity, pcm->length + (size_t)got, sizeof *grown);
        if (!grown) {
            status = ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while decoding audio");
            goto done;
        }
        pcm->samples = grown;
        status = mix(block, (size_t)got, info->channels, pcm->samples + pcm->length, error);
        if (status != ISHOW_OK) goto done;
        pcm->length += (size_t)got;
        if ((double)pcm->length > most) {
            status = ishow_fail(error, ISHOW_ELIMIT, "audio", "audio is longer than %.2f s; the limit is %g s",
                                (double)(pcm->length - 1) / info->samplerate, limits->max_seconds);
            goto done;
        }
    }
    if (sf_error(file) != SF_ERR_NO_ERROR)
        status = ishow_fail(error, ISHOW_EFORMAT, "audio", "audio is damaged after %.2f s: %s",
                            (double)pcm->length / info->samplerate, sf_strerror(file));
    else if (pcm->length == 0)
        status = ishow_fail(error, ISHOW_EFORMAT, "audio", "audio file holds no samples");
    else if ((double)pcm->length < limits->min_seconds * info->samplerate)
        status = ishow_fail(error, ISHOW_ELIMIT, "audio", "audio lasts %.2f s; at least %g s are needed",
                            (double)pcm->length / info->samplerate, limits->min_seconds);
done:
    free(block);
    return status;
}

ishow_status ishow_audio_decode(const void *bytes, size_t n_bytes, const ishow_decode_limits *limits, ishow_pcm *out,
                                ishow_error *error) {
    if (!out || !limits || (!bytes && n_bytes))
        return ishow_fail(error, ISHOW_EINVAL, "audio", "decode needs bytes, limits and a result");
    memset(out, 0, sizeof *out);
    if (n_bytes > limits->max_bytes)
        return ishow_fail(error, ISHOW_ELIMIT, "audio", "audio has %zu bytes; the limit is %zu", n_bytes,
                          limits->max_bytes);
    if (!ishow_audio_type(bytes, n_bytes)) return not_audio(error);

    ishow_status status;
    memory_file memory = {bytes, (sf_count_t)n_bytes, 0};
    SF_VIRTUAL_IO io = {memory_length, memory_seek, memory_read, memory_write, memory_tell};
    SF_INFO info = {0};
    SNDFILE *file = sf_open_virtual(&io, SFM_READ, &info, &memory);
    if (!file) {
        status = not_audio(error);
        goto done;
    }
    status = check_header(&info, limits, error);
    if (status != ISHOW_OK) goto done;
    out->sample_rate = info.samplerate;
    status = read_all(file, &info, limits, out, error);
done:
    if (file) sf_close(file);
    if (status != ISHOW_OK) ishow_pcm_free(out);
    return status;
}

ishow_status ishow_audio_decode_file(const char *path, const ishow_decode_limits *limits, ishow_pcm *out,
                                     ishow_error *error) {
    if (!path || !limits || !out)
        return ishow_fail(error, ISHOW_EINVAL, "audio", "decode needs a path, limits and a result");
    memset(out, 0, sizeof *out);

    ishow_status status;
    ishow_buffer bytes = {0};
    FILE *file = fopen(path, "rb");
    if (!file) {
        status = ishow_fail(error, ISHOW_EIO, "audio", "cannot open %s: %s", path, strerror(errno));
        goto done;
    }
    for (size_t got = 1; got && bytes.n <= limits->max_bytes;) { /* one byte above the limit: the file is too large */
        void *end = ishow_buffer_reserve(&bytes, FILE_BLOCK);
        if (!end) {
            status = ishow_fail(error, ISHOW_ENOMEM, "audio", "out of memory while reading %s", path);
            goto done;
        }
        got = fread(end, 1, FILE_BLOCK, file);
        bytes.n += got;
    }
    if (ferror(file)) {
        status = ishow_fail(error, ISHOW_EIO, "audio", "cannot read %s: %s", path, strerror(errno));
        goto done;
    }
    status = ishow_audio_decode(bytes.data, bytes.n, limits, out, error);
done:
    if (file) fclose(file);
    ishow_buffer_free(&bytes);
    return status;
}
