/* Every format, decoded again with our decoder: the result has the same length, level and sound, and a stream gives its
 * first bytes early. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <string.h>

#include <cmocka.h>

#include "audio/rate_stream.h"
#include "audio/audio.h"

enum { RATE = 24000, SECONDS = 3 };

/* A signal similar to speech, made before the tests: harmonics of a gliding pitch with an envelope and pauses. */
static float speech[SECONDS * RATE];

static int make_speech(void **state) {
    (void)state;
    double phase = 0;
    for (int i = 0; i < SECONDS * RATE; i++) {
        const double t = (double)i / RATE;
        double sum = 0;
        phase += 2 * M_PI * (120 + 30 * sin(2 * M_PI * 0.7 * t)) / RATE;
        for (int h = 1; h <= 20; h++) sum += sin(h * phase) / h;
        speech[i] = (float)(0.15 * sum * pow(fabs(sin(2 * M_PI * 1.5 * t)), 0.5));
    }
    return 0;
}

/* A copy of it, whose bounds sanitizers know. */
static float *voice(void) {
    float *x = malloc(sizeof speech);
    assert_non_null(x);
    memcpy(x, speech, sizeof speech);
    return x;
}

/* Pushes `piece` samples at a time. */
static ishow_buffer encode(ishow_format format, int from, int to, int whole, const float *x, size_t n, size_t piece) {
    const ishow_encoder_options options = {.format = format, .from_rate = from, .sample_rate = to, .whole = whole};
    ishow_encoder *e = NULL;
    ishow_error error = {0};
    ishow_buffer all = {0};
    if (ishow_encoder_create(&e, &options, &error) != ISHOW_OK) fail_msg("%s", error.message);
    assert_int_equal(ishow_encoder_rate(e), to);
    for (size_t at = 0; at < n || !at; at += piece) {
        const size_t m = n - at < piece ? n - at : piece;
        const unsigned char *out;
        size_t n_out;
        if (ishow_encoder_push(e, x + at, m, at + m == n, &out, &n_out, &error) != ISHOW_OK)
            fail_msg("%s", error.message);
        if (whole && at + m < n) assert_int_equal(n_out, 0);
        ishow_buffer_add(&all, out, n_out);
    }
    assert_true(llabs((long long)ishow_encoder_length(e) - llround((double)n * to / from)) <= 1);
    ishow_encoder_free(e);
    assert_false(all.failed);
    return all;
}

static ishow_pcm decode(const ishow_buffer *b, ishow_format format, int rate) {
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    ishow_error error = {0};
    ishow_pcm pcm = {0};
    if (format == ISHOW_FORMAT_PCM) {
        pcm = (ishow_pcm){calloc(b->n / 2, sizeof(float)), b->n / 2, rate};
        for (size_t i = 0; i < pcm.length; i++)
            pcm.samples[i] = (float)(int16_t)(b->data[2 * i] | b->data[2 * i + 1] << 8) / 32768;
    } else if (ishow_audio_decode(b->data, b->n, &limits, &pcm, &error) != ISHOW_OK)
        fail_msg("%s at %d: %s", ishow_format_name(format), rate, error.message);
    return pcm;
}

/* Normalised correlation of a with b from `lag` on: 1 when they are the same sound. */
static double likeness(const float *a, size_t na, const float *b, size_t nb, size_t lag) {
    double ab = 0, aa = 1e-12, bb = 1e-12;
    for (size_t i = 0; i < na && i + lag < nb; i++) {
        ab += (double)a[i] * b[i + lag];
        aa += (double)a[i] * a[i];
        bb += (double)b[i + lag] * b[i + lag];
    }
    return ab / sqrt(aa * bb);
}

/* Mean distance of the log-mel spectra; levels at which 16 bits or a codec have only noise are ignored. */
static double spectral_distance(const float *a, const float *b, size_t n, int rate) {
    ishow_mel_options options = ishow_mel_options_f5();
    ishow_mel *mel = NULL;
    options.sample_rate = rate;
    options.n_mels = 40;
    assert_int_equal(ishow_mel_create(&mel, &options, NULL), ISHOW_OK);
    const size_t values = ishow_mel_frames(mel, n) * 40;
    float *x = malloc(values * sizeof *x), *y = malloc(values * sizeof *y);
    assert_int_equal(ishow_mel_compute(mel, a, n, x, NULL), ISHOW_OK);
    assert_int_equal(ishow_mel_compute(mel, b, n, y, NULL), ISHOW_OK);
    double sum = 0, counted = 1e-9;
    for (size_t i = 0; i < values; i++)
        if (x[i] > -2) sum += fabsf(x[i] - y[i]), counted++;
    free(x), free(y);
    ishow_mel_free(mel);
    return sum / counted;
}

static void check_sound(ishow_format format, int to, int whole) {
    float *x = voice();
    ishow_pcm at_rate = {0};
    ishow_buffer file = encode(format, RATE, to, whole, x, SECONDS * RATE, 7001);
    ishow_pcm back = decode(&file, format, to);
    assert_int_equal(ishow_audio_resample(x, SECONDS * RATE, RATE, to, &at_rate, NULL), ISHOW_OK);
    const int lossless = format <= ISHOW_FORMAT_FLAC,
              delayed =
                  format == ISHOW_FORMAT_MP3 && !whole; /* such a stream cannot tell how many samples to cut off */
    assert_int_equal(back.sample_rate, to);
    const long extra = (long)back.length - (long)at_rate.length;
    if (delayed)
        assert_in_range(extra, 0, 2600);
    else
        assert_true(labs(extra) <= (lossless ? 1 : to / 500));
    size_t lag = 0; /* the best one for the first tenth of the speech, which the rest must agree with */
    double best = 0;
    for (size_t l = 0; l < (delayed ? 1300 : lossless ? 1 : 9); l++) {
        double like = likeness(at_rate.samples, at_rate.length / 10, back.samples, back.length, l);
        if (like > best) best = like, lag = l;
    }
    best = likeness(at_rate.samples, at_rate.length, back.samples, back.length, lag);
    const size_t n = at_rate.length < back.length - lag ? at_rate.length : back.length - lag;
    const double level = (double)ishow_audio_rms(back.samples + lag, n) / (double)ishow_audio_rms(at_rate.samples, n);
    const double far = spectral_distance(at_rate.samples, back.samples + lag, n, to);
    printf("  %-4s %5d Hz %s: %6zu bytes, extra %ld", ishow_format_name(format), to, whole ? "whole " : "stream",
           file.n, extra);
    printf(", lag %zu, likeness %.4f, level %.3f, mel %.3f\n", lag, best, level, far);
    assert_true(best > (lossless ? 0.9999 : 0.97));
    assert_true(fabs(level - 1) < (lossless ? 0.001 : 0.03));
    assert_true(far < (lossless ? 0.01 : 0.2));
    free(x);
    ishow_buffer_free(&file);
    ishow_pcm_free(&at_rate);
    ishow_pcm_free(&back);
}

static void every_format_comes_back(void **state) {
    (void)state;
    static const int rates[] = {8000, 16000, 22050, 24000, 44100, 48000};
    for (int format = 0; format < ISHOW_FORMATS; format++)
        for (size_t r = 0; r < sizeof rates / sizeof *rates; r++)
            for (int whole = 0; whole < 2; whole++)
                if (ishow_format_rate((ishow_format)format, rates[r]) == rates[r])
                    check_sound((ishow_format)format, rates[r], whole);
}

/* Samples that the encoder takes before it gives audio; a header does not count. */
static size_t first_audio(ishow_format format) {
    const ishow_encoder_options options = {.format = format, .from_rate = RATE};
    ishow_encoder *e = NULL;
    const unsigned char *out;
    size_t n_out, header = 0, in = 0;
    float *x = voice();
    assert_int_equal(ishow_encoder_create(&e, &options, NULL), ISHOW_OK);
    assert_int_equal(ishow_encoder_push(e, NULL, 0, 0, &out, &header, NULL), ISHOW_OK);
    do {
        assert_int_equal(ishow_encoder_push(e, x + in, 24, 0, &out, &n_out, NULL), ISHOW_OK);
        in += 24;
    } while (in < RATE && (!n_out || (format == ISHOW_FORMAT_OPUS && !memcmp(out, "OggS", 4) &&
                                      out[5] & 2))); /* the first page of Ogg is the header */
    ishow_encoder_free(e);
    free(x);
    return in;
}

static void streams_begin_early(void **state) {
    (void)state;
    static const size_t most[ISHOW_FORMATS] = {
        24, 24, 1056, 1920, 960}; /* FLAC: one block; Opus: its frames and the resampler; MP3: 40 ms */
    for (int format = 0; format < ISHOW_FORMATS; format++) {
        size_t n = first_audio((ishow_format)format);
        printf("  %-4s: first audio after %zu samples, %.0f ms\n", ishow_format_name((ishow_format)format), n,
               1e3 * (double)n / RATE);
        assert_true(n <= most[format]);
    }
}

static void equal_samples_give_equal_bytes(void **state) {
    (void)state;
    float *x = voice();
    for (int format = 0; format < ISHOW_FORMATS; format++)
        for (int whole = 0; whole < 2; whole++) {
            ishow_buffer a = encode((ishow_format)format, RATE, RATE, whole, x, RATE, 1234),
                         b = encode((ishow_format)format, RATE, RATE, whole, x, RATE, 1234);
            assert_int_equal(a.n, b.n);
            assert_memory_equal(a.data, b.data, a.n);
            ishow_buffer_free(&a), ishow_buffer_free(&b);
        }
    free(x);
}

/* Clips that are shorter than a codec's look-ahead. */
static void the_shortest_clips_are_files(void **state) {
    (void)state;
    float *x = voice();
    for (int format = 0; format < ISHOW_FORMATS; format++)
        for (size_t n = 0; n < 3000; n = n < 4 ? n + 1 : n * 3 / 2) {
            ishow_buffer file = encode((ishow_format)format, RATE, RATE, 1, x, n, RATE),
                         stream = encode((ishow_format)format, RATE, 16000, 0, x, n, 100);
            assert_true(file.n > 0 || format == ISHOW_FORMAT_PCM);
            ishow_buffer_free(&file), ishow_buffer_free(&stream);
        }
    free(x);
}

static void wav_is_exact(void **state) {
    (void)state;
    static const float x[] = {0, 0.5f, -0.5f, 1, -1, 2, -2, NAN, INFINITY, -INFINITY, 1.4f / 32768, 1.6f / 32768};
    static const int16_t expected[] = {0, 16384, -16384, 32767, -32768, 32767, -32768, 0, 32767, -32768, 1, 2};
    enum { N = sizeof x / sizeof *x };
    static const unsigned char header[44] = {'R', 'I', 'F',  'F',  36 + 2 * N, 0,   0,    0,     'W', 'A', 'V',
                                             'E', 'f', 'm',  't',  ' ',        16,  0,    0,     0,   1,   0,
                                             1,   0,   0xC0, 0x5D, 0,          0,   0x80, 0xBB,  0,   0,   2,
                                             0,   16,  0,    'd',  'a',        't', 'a',  2 * N, 0,   0,   0};
    static const unsigned char unknown[4] = {255, 255, 255, 255};
    unsigned char *file = NULL;
    size_t n = 0;
    assert_int_equal(ishow_audio_encode(x, N, RATE, ISHOW_FORMAT_WAV, 0, &file, &n, NULL), ISHOW_OK);
    assert_int_equal(n, 44 + 2 * N);
    assert_memory_equal(file, header, 44);
    for (size_t i = 0; i < N; i++) assert_int_equal((int16_t)(file[44 + 2 * i] | file[45 + 2 * i] << 8), expected[i]);
    free(file);
    ishow_buffer stream = encode(ISHOW_FORMAT_WAV, RATE, RATE, 0, x, N, 5);
    assert_int_equal(stream.n, 44 + 2 * N);
    assert_memory_equal(stream.data + 4, unknown, 4);
    assert_memory_equal(stream.data + 40, unknown, 4);
    ishow_buffer_free(&stream);
    assert_int_equal(ishow_audio_encode(NULL, 0, RATE, ISHOW_FORMAT_WAV, 0, &file, &n, NULL), ISHOW_OK);
    assert_int_equal(n, 44);
    free(file);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    const long handles = ishow_live_handles();
    ishow_encoder *e = NULL;
    ishow_error error = {0};
    const unsigned char *out;
    size_t n_out;
    static const struct {
        ishow_format format;
        int rate;
        const char *says;
    } wrong[] = {
        {ISHOW_FORMAT_OPUS, 44100, "opus takes sample_rate 8000, 12000, 16000, 24000, 48000, not 44100."},
        {ISHOW_FORMAT_MP3, 96000, "mp3 takes sample_rate 8000, 11025,"},
        {ISHOW_FORMAT_WAV, 100, "100"},
        {ISHOW_FORMAT_WAV, -1, "-1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const ishow_encoder_options options = {
            .format = wrong[i].format, .from_rate = RATE, .sample_rate = wrong[i].rate};
        assert_int_equal(ishow_encoder_create(&e, &options, &error), ISHOW_EINVAL);
        assert_string_equal(error.field, "sample_rate");
        if (!strstr(error.message, wrong[i].says)) fail_msg("%s", error.message);
        assert_null(e);
    }
    ishow_encoder_options options = {.format = ISHOW_FORMATS, .from_rate = RATE};
    assert_int_equal(ishow_encoder_create(&e, &options, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "format");
    options = (ishow_encoder_options){.format = ISHOW_FORMAT_OPUS, .from_rate = 22050};
    assert_int_equal(ishow_encoder_create(&e, &options, &error), ISHOW_OK);
    assert_int_equal(ishow_encoder_rate(e), 24000); /* no rate was chosen: the next one that Opus supports */
    assert_int_equal(ishow_encoder_push(e, NULL, 1, 0, &out, &n_out, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_encoder_push(e, NULL, 0, 1, &out, &n_out, &error), ISHOW_OK);
    assert_int_equal(ishow_encoder_push(e, NULL, 0, 1, &out, &n_out, &error), ISHOW_ESTATE);
    ishow_encoder_free(e);
    ishow_encoder_free(NULL);
    assert_int_equal(ishow_live_handles(), handles);
}

static void formats_have_names(void **state) {
    (void)state;
    ishow_format found;
    for (int i = 0; i < ISHOW_FORMATS; i++) {
        assert_true(ishow_format_find(ishow_format_name((ishow_format)i), &found));
        assert_int_equal(found, i);
        assert_memory_equal(ishow_format_mime((ishow_format)i), "audio/", 6);
    }
    assert_false(ishow_format_find("aac", &found));
    assert_int_equal(ishow_format_rate(ISHOW_FORMAT_OPUS, 11025), 12000);
    assert_int_equal(ishow_format_rate(ISHOW_FORMAT_OPUS, 96000), 48000);
    assert_int_equal(ishow_format_rate(ISHOW_FORMAT_MP3, 192000), 48000);
    assert_int_equal(ishow_format_rate(ISHOW_FORMAT_FLAC, 96000), 96000);
}

/* libsoxr does not check the results of malloc: with any limit of memory, the encoder must not crash in it. */
static void resampling_without_memory_fails(void **state) {
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* their allocators ignore such a limit */
#else
    enum { LONG = 1 << 19 };
    float *x = calloc(LONG, sizeof *x);
    int outcomes[2] = {0};
    for (size_t extra = 0; extra < (64u << 20); extra += 1u << 20) {
        int end = 0;
        const pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            ishow_pcm pcm;
            unsigned long pages = 0;
            FILE *statm = fopen("/proc/self/statm", "r");
            if (!statm || fscanf(statm, "%lu", &pages) != 1) _exit(3);
            const struct rlimit limit = {pages * 4096 + extra, RLIM_INFINITY};
            setrlimit(RLIMIT_AS, &limit);
            const ishow_status status = ishow_audio_resample(x, LONG, 44100, 24000, &pcm, NULL);
            _exit(status == ISHOW_OK ? 0 : status == ISHOW_ENOMEM ? 1 : 2);
        }
        assert_int_equal(waitpid(child, &end, 0), child);
        if (!WIFEXITED(end) || WEXITSTATUS(end) > 1)
            fail_msg("with %zu MiB: signal %d, status %d", extra >> 20, WTERMSIG(end), WEXITSTATUS(end));
        outcomes[WEXITSTATUS(end)]++;
    }
    free(x);
    assert_true(outcomes[0] && outcomes[1]);
#endif
}

/* A signal that is resampled in pieces of any size equals one that is resampled at once. */
static void streamed_resampling_equals_the_whole(void **state) {
    (void)state;
    enum { N = 30011 };
    static const int rates[] = {8000, 11025, 16000, 22050, 24000, 44100, 48000};
    static const size_t cuts[] = {1, 999, 4096, 4097, 12000, 29000, N};
    float *x = malloc(N * sizeof *x);
    for (int i = 0; i < N; i++)
        x[i] = (float)(0.4 * sin(0.05 * i) + 0.2 * sin(1.1 * i) + 0.1 * ((i * 2654435761u >> 16 & 255) / 255.0 - 0.5));
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        ishow_pcm whole = {0};
        ishow_error error = {0};
        ishow_buffer out = {0};
        rate_stream *stream = NULL;
        assert_int_equal(ishow_audio_resample(x, N, 24000, rates[r], &whole, &error), ISHOW_OK);
        assert_int_equal(rate_stream_create(&stream, 24000, rates[r], &error), ISHOW_OK);
        size_t at = 0;
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            assert_int_equal(rate_stream_push(stream, x + at, cuts[c] - at, 0, &out, &error), ISHOW_OK);
            at = cuts[c];
        }
        assert_int_equal(rate_stream_push(stream, NULL, 0, 1, &out, &error), ISHOW_OK);
        const float *y = (const float *)(void *)out.data;
        size_t n = out.n / sizeof(float);
        float worst = 0;
        assert_in_range(n, whole.length - 1, whole.length + 1);
        for (size_t i = 0; i < n && i < whole.length; i++) worst = fmaxf(worst, fabsf(y[i] - whole.samples[i]));
        printf("  24000 -> %d: largest difference %.2g\n", rates[r], worst);
        assert_true(worst < 1e-4f);
        rate_stream_free(stream);
        ishow_buffer_free(&out);
        ishow_pcm_free(&whole);
    }
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_back),
        cmocka_unit_test(streams_begin_early),
        cmocka_unit_test(equal_samples_give_equal_bytes),
        cmocka_unit_test(the_shortest_clips_are_files),
        cmocka_unit_test(wav_is_exact),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(resampling_without_memory_fails),
        cmocka_unit_test(streamed_resampling_equals_the_whole),
    };
    return cmocka_run_group_tests_name("audio encode", tests, make_speech, NULL);
}
