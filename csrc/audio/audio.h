/* Audio: everything between bytes of a file and frames of a mel, and back. Knows nothing of tensors or models.
 * All samples are mono float32 in [-1, 1] unless said; lengths count samples. Functions are pure and may run on
 * any thread at once; an `ishow_mel` or `ishow_istft` is immutable after creation and may be shared by threads. */
#ifndef ISHOW_AUDIO_AUDIO_H
#define ISHOW_AUDIO_AUDIO_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Owned samples. Free with ishow_pcm_free; a zeroed struct is empty and may be freed. */
typedef struct ishow_pcm {
    float *samples;
    size_t length;
    int sample_rate; /* Hz */
} ishow_pcm;

void ishow_pcm_free(ishow_pcm *pcm);

typedef struct ishow_decode_limits {
    size_t max_bytes;   /* of the encoded input */
    double max_seconds; /* of the decoded audio */
    double min_seconds;
    int max_channels;
    int min_sample_rate, max_sample_rate; /* Hz */
} ishow_decode_limits;

/* The limits of an uploaded reference: ISHOW_UPLOAD_BYTES_MAX, 1-30 s, 8 channels, 8-192 kHz. */
ISHOW_API ishow_decode_limits ishow_decode_limits_reference(void);

/* The MIME type of a container that is decoded here, by its first bytes: "audio/wav", "audio/flac", "audio/ogg",
 * "audio/mpeg". NULL: another. Static. */
const char *ishow_audio_type(const void *bytes, size_t n);

/* Decodes WAV, FLAC, Ogg Vorbis, Opus or MP3 from memory by libsndfile and mixes channels to mono by their mean.
 * Refuses what exceeds `limits` (ELIMIT, field "audio", naming limit and value), what is not audio (EFORMAT), and
 * non-finite samples (EFORMAT). The header's claim is not trusted: frames are read in blocks. */
ISHOW_API ishow_status ishow_audio_decode(const void *bytes, size_t n_bytes, const ishow_decode_limits *limits,
                                          ishow_pcm *out, ishow_error *error);

/* The same in a child process with limited time, memory and system calls, for untrusted input. EFORMAT also when the
 * decoder crashes; EAGAIN: the process could not be created, or did not end in time. */
ishow_status ishow_audio_decode_isolated(const void *bytes, size_t n_bytes, const ishow_decode_limits *limits,
                                         ishow_pcm *out, ishow_error *error);

/* The same for a file. EIO with the path and reason when it cannot be read. */
ishow_status ishow_audio_decode_file(const char *path, const ishow_decode_limits *limits, ishow_pcm *out,
                                     ishow_error *error);

/* Resamples by soxr at HQ. `out` is owned by the caller; from == to copies. Rates 4000..384000 Hz.
 * Output length is round(n * to / from). */
ISHOW_API ishow_status ishow_audio_resample(const float *samples, size_t n, int from, int to, ishow_pcm *out,
                                            ishow_error *error);

/* Root mean square of n samples; 0 for n = 0. */
ISHOW_API float ishow_audio_rms(const float *samples, size_t n);

/* Multiplies in place. */
void ishow_audio_scale(float *samples, size_t n, float factor);

/* Half-open span [*begin, *end) of `samples` that is speech: frames of 10 ms whose RMS is above max(`floor_rms`,
 * 3 % of the 95th percentile of frame RMS), widened by `margin` seconds on both sides. Empty span (begin == end)
 * when nothing is above the floor. */
ISHOW_API void ishow_audio_speech_span(const float *samples, size_t n, int sample_rate, float floor_rms, double margin,
                                       size_t *begin, size_t *end);

/* Where to cut a clip that is too long: samples up to the middle of its quietest tenth of a second between `from` and
 * `to` seconds, the last one among pauses. At most n. */
ISHOW_API size_t ishow_audio_quiet_cut(const float *samples, size_t n, int sample_rate, double from, double to);

/* Shortens every silence longer than `max_silence` seconds to that length in place, with a 5 ms fade at each cut;
 * leading and trailing silence is trimmed to `margin`. Returns the new length. */
ISHOW_API size_t ishow_audio_remove_silence(float *samples, size_t n, int sample_rate, double max_silence,
                                            double margin);

/* Equal-power cross-fade: writes a followed by b into out, the last `overlap` samples of a mixed with the first of b
 * (cos^2 / sin^2 power law: gains cos and sin). overlap is clamped to both lengths. out has na + nb - overlap
 * samples; returns that number. out may not alias. */
ISHOW_API size_t ishow_audio_cross_fade(const float *a, size_t na, const float *b, size_t nb, size_t overlap,
                                        float *out);

/* Writes a, `pause` samples of silence and b into out. The last `edge` samples of a fade out and the first of b fade
 * in, so that neither ends in a click; edge is clamped to each length. Returns na + pause + nb. out may not alias. */
ISHOW_API size_t ishow_audio_join_apart(const float *a, size_t na, const float *b, size_t nb, size_t pause, size_t edge,
                                        float *out);

/* Faults a listener would hear, found in a finished clip. */
typedef struct ishow_audio_faults {
    size_t non_finite; /* samples that are NaN or infinite */
    size_t clipped;    /* samples at or over full scale in runs of 3 or more */
    float dc;          /* mean */
    float rms;
    float peak;
    double longest_silence; /* seconds below -60 dBFS inside the speech span */
    int silent;             /* no frame above -60 dBFS */
} ishow_audio_faults;

/* Measures by which speech differs from noise, hum and silence. */
typedef struct ishow_speech_measure {
    size_t begin, end;     /* the speech span, without margin; equal when the clip is silent */
    float rms;             /* inside the span */
    double clipped;        /* share of samples cut off at full scale */
    double active_seconds; /* that are not silent */
    double voiced_seconds; /* of these: periodic at 60 to 400 Hz */
    float level_spread;    /* standard deviation of the level of 10 ms frames that are not silent, dB */
} ishow_speech_measure;

ishow_status ishow_audio_speech_measure(const float *samples, size_t n, int sample_rate, ishow_speech_measure *out,
                                        ishow_error *error);

ISHOW_API void ishow_audio_check(const float *samples, size_t n, int sample_rate, ishow_audio_faults *out);

/* What a faulty vocoder, a lost chunk or a stuck buffer leaves in a clip of speech. */
#define ISHOW_ARTIFACT_RATE_MIN 8000 /* Hz */
#define ISHOW_ARTIFACT_RATE_MAX 192000
#define ISHOW_GAP_SECONDS       1.0 /* a longer pause within speech is a gap */

typedef struct ishow_audio_artifacts {
    size_t clicks;      /* samples whose second difference is 4.5 times any other within 3 ms; one a 2 ms */
    size_t dropouts;    /* falls to digital zero, 1 ms or longer, in the middle of sound */
    size_t gaps;        /* pauses of ISHOW_GAP_SECONDS or more inside the speech span */
    double first_click; /* seconds, -1: none */
    double dropout_seconds;
    double longest_gap;    /* seconds */
    double hole_seconds;   /* seconds of speech in which one band is 30 dB below both of its neighbours */
    double bandwidth;      /* Hz up to which speech has energy, in steps of a 24-band mel scale; 0: no speech */
    double repeat_seconds; /* seconds of sound that is a copy of the sound 30 to 400 ms before */
    double first_repeat;   /* seconds, -1: none */
    double end_level;      /* dB: last 10 ms of sound against the loud frames */
    int early_end;         /* end_level over -20 dB: the clip stops abruptly */
} ishow_audio_artifacts;

/* Non-finite samples count as zero here. EINVAL, field "sample_rate", outside ISHOW_ARTIFACT_RATE_MIN..MAX; ENOMEM. */
ISHOW_API ishow_status ishow_audio_find_artifacts(const float *samples, size_t n, int sample_rate,
                                                  ishow_audio_artifacts *out, ishow_error *error);

/* Mel spectrogram of F5-TTS / Vocos: periodic Hann of n_fft, centred with reflection, magnitude, HTK mel scale without
 * area norm, log(max(mel, 1e-5)). Reference: torchaudio.transforms.MelSpectrogram(power=1, norm=None,
 * mel_scale="htk", center=True). */
typedef struct ishow_mel ishow_mel;
typedef struct ishow_mel_options {
    int sample_rate; /* 24000 */
    int n_fft;       /* 1024, even */
    int hop;         /* 256 */
    int n_mels;      /* 100 */
} ishow_mel_options;

ISHOW_API ishow_mel_options ishow_mel_options_f5(void);
ISHOW_API ishow_status ishow_mel_create(ishow_mel **out, const ishow_mel_options *options, ishow_error *error);
ISHOW_API void ishow_mel_free(ishow_mel *mel);

/* Frames of n samples: n / hop + 1. n must be > n_fft / 2 (reflection). */
ISHOW_API size_t ishow_mel_frames(const ishow_mel *mel, size_t n);

/* Fills out[frames * n_mels], row-major by frame. EINVAL when n is too short. */
ISHOW_API ishow_status ishow_mel_compute(const ishow_mel *mel, const float *samples, size_t n, float *out,
                                         ishow_error *error);

/* Inverse STFT, periodic Hann, centre padding: equals torch.istft(..., center=True). */
typedef struct ishow_istft ishow_istft;
ISHOW_API ishow_status ishow_istft_create(ishow_istft **out, int n_fft, int hop, ishow_error *error);
ISHOW_API void ishow_istft_free(ishow_istft *istft);

/* Samples made by `frames` frames: (frames - 1) * hop. */
ISHOW_API size_t ishow_istft_samples(const ishow_istft *istft, size_t frames);

/* real and imag are [frames * (n_fft/2+1)] row-major by frame; out has ishow_istft_samples(frames) samples. frames
 * >= 2. */
ISHOW_API ishow_status ishow_istft_compute(const ishow_istft *istft, const float *real, const float *imag,
                                           size_t frames, float *out, ishow_error *error);

/* ---- encoding ---- */

/* WAV and raw PCM are 16-bit little-endian, FLAC is 16-bit, Opus is in Ogg; all are mono. */
typedef enum ishow_format {
    ISHOW_FORMAT_WAV,
    ISHOW_FORMAT_PCM,
    ISHOW_FORMAT_FLAC,
    ISHOW_FORMAT_OPUS,
    ISHOW_FORMAT_MP3,
    ISHOW_FORMATS
} ishow_format;

/* "wav", "pcm", "flac", "opus", "mp3"; "audio/wav", "audio/pcm", "audio/flac", "audio/ogg", "audio/mpeg". Static
 * storage. */
ISHOW_API const char *ishow_format_name(ishow_format format);
ISHOW_API const char *ishow_format_mime(ishow_format format);

/* 0: no format has this name. */
ISHOW_API int ishow_format_find(const char *name, ishow_format *out);

/* The lowest rate the format takes that is not below sample_rate, or its highest. */
int ishow_format_rate(ishow_format format, int sample_rate);

typedef struct ishow_encoder_options {
    ishow_format format;
    int from_rate;   /* Hz, of the input */
    int sample_rate; /* Hz, of the result; 0: ishow_format_rate of from_rate */
    int whole; /* 1: all bytes are returned by the last push, and the header has the length; 0: bytes are returned as
                  they are encoded */
} ishow_encoder_options;

/* One encoder makes one file or stream; one thread at a time. */
typedef struct ishow_encoder ishow_encoder;

/* EINVAL, field "sample_rate", when the format does not take it. */
ISHOW_API ishow_status ishow_encoder_create(ishow_encoder **out, const ishow_encoder_options *options,
                                            ishow_error *error);

/* Takes n samples (may be 0); clips to full scale, NaN becomes 0. `last` ends the file; a push after it is ESTATE.
 * *out, of *n_out bytes, is borrowed until the next push or free. After a failure only free is allowed. */
ISHOW_API ishow_status ishow_encoder_push(ishow_encoder *encoder, const float *samples, size_t n, int last,
                                          const unsigned char **out, size_t *n_out, ishow_error *error);

ISHOW_API int ishow_encoder_rate(const ishow_encoder *encoder);        /* Hz, of the result */
ISHOW_API uint64_t ishow_encoder_length(const ishow_encoder *encoder); /* samples encoded so far, at that rate */
ISHOW_API void ishow_encoder_free(ishow_encoder *encoder);             /* NULL allowed */

/* A whole file at once; *out is owned by the caller (free()). */
ISHOW_API ishow_status ishow_audio_encode(const float *samples, size_t n, int from_rate, ishow_format format,
                                          int sample_rate, unsigned char **out, size_t *n_out, ishow_error *error);

#ifdef __cplusplus
}
#endif
#endif
