/* Decoding of every documented format, encoded here with libsndfile, and of files with wrong headers. */
#include <dlfcn.h>
#include <math.h>
#include <semaphore.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "audio/audio.h"
#include "resident.h"

enum { RATE = 24000, MEGABYTE = 1024 * 1024 };

/* libsndfile 1.2 leaks one block of libvorbis when the headers of an Ogg file are damaged; it cannot be freed here. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:vorbis_info_init\n"; }

typedef struct bytes {
    unsigned char *data;
    sf_count_t size, at, capacity;
} bytes;

static sf_count_t length(void *user) { return ((bytes *)user)->size; }
static sf_count_t tell(void *user) { return ((bytes *)user)->at; }
static sf_count_t seek(sf_count_t offset, int whence, void *user) {
    bytes *b = user;
    return b->at = offset + (whence == SEEK_CUR ? b->at : whence == SEEK_END ? b->size : 0);
}
static sf_count_t take(void *out, sf_count_t n, void *user) {
    bytes *b = user;
    if (n > b->size - b->at) n = b->size - b->at;
    memcpy(out, b->data + b->at, (size_t)n);
    b->at += n;
    return n;
}
static sf_count_t give(const void *in, sf_count_t n, void *user) {
    bytes *b = user;
    if (b->at + n > b->capacity) {
        b->capacity = 2 * (b->at + n);
        b->data = realloc(b->data, (size_t)b->capacity);
        assert_non_null(b->data);
    }
    memcpy(b->data + b->at, in, (size_t)n);
    b->at += n;
    if (b->at > b->size) b->size = b->at;
    return n;
}

/* A file of `frames` frames of a 440 Hz tone of amplitude 0.5 in every channel. */
static bytes make(int format, int rate, int channels, sf_count_t frames) {
    bytes b = {0};
    SF_VIRTUAL_IO io = {length, seek, take, give, tell};
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *file = sf_open_virtual(&io, SFM_WRITE, &info, &b);
    assert_non_null(file);
    float *samples = malloc((size_t)(frames * channels) * sizeof *samples + 1);
    assert_non_null(samples);
    for (sf_count_t i = 0; i < frames; i++)
        for (int c = 0; c < channels; c++)
            samples[i * channels + c] = (float)(0.5 * sin(2 * M_PI * 440 * (double)i / rate));
    assert_int_equal(sf_writef_float(file, samples, frames), frames);
    sf_close(file);
    free(samples);
    return b;
}

static ishow_status decode(const bytes *b, ishow_pcm *pcm, ishow_error *error) {
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    return ishow_audio_decode(b->data, (size_t)b->size, &limits, pcm, error);
}

/* Checks that the file is refused with this status and an error in the field "audio", and that nothing is returned. */
static void refused(const bytes *b, ishow_status status, const char *part) {
    ishow_pcm pcm;
    ishow_error error = {0};
    assert_int_equal(decode(b, &pcm, &error), status);
    assert_int_equal(error.status, status);
    assert_string_equal(error.field, "audio");
    if (!strstr(error.message, part)) fail_msg("\"%s\" does not say \"%s\"", error.message, part);
    assert_null(pcm.samples);
    assert_int_equal(pcm.length, 0);
}

static void patch32(bytes *b, size_t at, uint32_t value) {
    for (int i = 0; i < 4; i++) b->data[at + (size_t)i] = (unsigned char)(value >> 8 * i);
}

static void test_five_formats(void **state) {
    (void)state;
    static const struct {
        int format, rate;
        double slack;
    } files[] = {
        {SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, 0},   {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 8000, 0},
        {SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 0},   {SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 96000, 0},
        {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 0},  {SF_FORMAT_OGG | SF_FORMAT_VORBIS, RATE, 0},
        {SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000, 0.02}, {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, RATE, 0.1},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int channels = 1; channels <= 2; channels++) {
            const int rate = files[i].rate;
            bytes b = make(files[i].format, rate, channels, 2 * rate);
            ishow_pcm pcm;
            ishow_error error = {0};
            if (decode(&b, &pcm, &error) != ISHOW_OK) fail_msg("format %zu: %s", i, error.message);
            assert_int_equal(pcm.sample_rate, rate);
            assert_true(fabs((double)pcm.length / rate - 2) <= files[i].slack);
            assert_float_equal(ishow_audio_rms(pcm.samples + rate / 2, (size_t)rate), 0.5 / sqrt(2), 0.01);
            ishow_pcm_free(&pcm);
            assert_null(pcm.samples);
            ishow_pcm_free(&pcm); /* may be freed twice */
            free(b.data);
        }
    ishow_pcm_free(NULL);
}

static void test_channels_are_averaged(void **state) {
    (void)state;
    bytes b = make(SF_FORMAT_WAV | SF_FORMAT_FLOAT, RATE, 2, 2 * RATE);
    const size_t header = (size_t)b.size - 2 * RATE * 2 * sizeof(float);
    float *samples = malloc(2 * RATE * 2 * sizeof *samples);
    assert_non_null(samples);
    for (int i = 0; i < 2 * RATE; i++) samples[2 * i] = 0.75f, samples[2 * i + 1] = -0.25f;
    samples[0] = samples[1] = 1.5f; /* overshoots of the decoder are clipped */
    memcpy(b.data + header, samples, 2 * RATE * 2 * sizeof *samples);
    ishow_pcm pcm;
    assert_int_equal(decode(&b, &pcm, NULL), ISHOW_OK);
    assert_int_equal(pcm.length, 2 * RATE);
    assert_true(pcm.samples[0] == 1);
    for (size_t i = 1; i < pcm.length; i++) assert_true(pcm.samples[i] == 0.25f);
    ishow_pcm_free(&pcm);

    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        samples[2 * RATE] = bad[i];
        memcpy(b.data + header, samples, 2 * RATE * 2 * sizeof *samples);
        refused(&b, ISHOW_EFORMAT, "finite");
    }
    samples[2 * RATE] = 32767; /* integers that were encoded as floats */
    memcpy(b.data + header, samples, 2 * RATE * 2 * sizeof *samples);
    refused(&b, ISHOW_EFORMAT, "full scale");
    free(samples);
    free(b.data);
}

static void test_limits(void **state) {
    (void)state;
    const int wav = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    static const struct {
        int rate, channels, seconds_tenths;
        const char *part;
    } over[] = {
        {RATE, 1, 301, "the limit is 30 s"},
        {RATE, 1, 9, "at least 1 s"},
        {RATE, 9, 20, "9 channels; the limit is 8"},
        {4000, 1, 20, "4000 Hz"},
        {200000, 1, 20, "200000 Hz"},
        {RATE, 1000, 10, "channels"},
    };
    for (size_t i = 0; i < sizeof over / sizeof *over; i++) {
        bytes b = make(wav, over[i].rate, over[i].channels,
                       (sf_count_t)over[i].rate * over[i].seconds_tenths / (over[i].channels > 100 ? 100 : 10));
        refused(&b, ISHOW_ELIMIT, over[i].part);
        free(b.data);
    }
    bytes exact = make(wav, RATE, 1, 30 * RATE);
    ishow_pcm pcm;
    assert_int_equal(decode(&exact, &pcm, NULL), ISHOW_OK);
    ishow_pcm_free(&pcm);
    ishow_decode_limits limits = ishow_decode_limits_reference();
    ishow_error error = {0};
    limits.max_bytes = (size_t)exact.size - 1;
    assert_int_equal(ishow_audio_decode(exact.data, (size_t)exact.size, &limits, &pcm, &error), ISHOW_ELIMIT);
    assert_non_null(strstr(error.message, "bytes"));
    free(exact.data);
    bytes empty = make(wav, RATE, 1, 0);
    refused(&empty, ISHOW_EFORMAT, "no samples");
    free(empty.data);
}

static void test_headers_that_lie(void **state) {
    (void)state;
    const int wav = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    ishow_pcm pcm;
    ishow_error error = {0};
    bytes b = make(wav, RATE, 1, 2 * RATE);
    patch32(&b, 4, UINT32_MAX),
        patch32(&b, 40, UINT32_MAX); /* the length that a stream has: the bytes that are there count */
    assert_int_equal(decode(&b, &pcm, &error), ISHOW_OK);
    assert_int_equal(pcm.length, 2 * RATE);
    ishow_pcm_free(&pcm);
    patch32(&b, 40, 4 * RATE + 1000000), b.size = 44 + 3 * RATE; /* truncated in the middle */
    assert_int_equal(decode(&b, &pcm, &error), ISHOW_OK);
    assert_int_equal(pcm.length, RATE * 3 / 2);
    ishow_pcm_free(&pcm);
    free(b.data);

    static const struct {
        size_t at;
        uint32_t value;
    } false_headers[] = {
        {24, 0},          {24, UINT32_MAX},  {24, 0x80000000u}, {16, UINT32_MAX}, {16, 0},          {20, 0x00000001},
        {20, 0x04000001}, {20, 0xFFFF0001u}, {20, 0x0001FFFFu}, {32, 0},          {32, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof false_headers / sizeof *false_headers;
         i++) { /* 0 Hz, very high rates, very large chunks, 0 and 65535 channels, ... */
        b = make(wav, RATE, 1, 2 * RATE);
        patch32(&b, false_headers[i].at, false_headers[i].value);
        const ishow_status status = decode(&b, &pcm, &error);
        if (status != ISHOW_OK) assert_true(status == ISHOW_EFORMAT || status == ISHOW_ELIMIT);
        if (false_headers[i].at == 24) assert_int_not_equal(status, ISHOW_OK);
        ishow_pcm_free(&pcm);
        free(b.data);
    }
    b = make(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, RATE, 1, 2 * RATE);
    b.data[21] |= 0x0F, memset(b.data + 22, 0xFF, 4); /* STREAMINFO: 2^36 - 1 samples */
    const ishow_status status = decode(&b, &pcm, &error);
    if (status == ISHOW_OK) assert_true(pcm.length <= 2 * RATE);
    ishow_pcm_free(&pcm);
    free(b.data);
}

static uint32_t random_state = 1;
static unsigned char noise(void) {
    random_state = random_state * 1664525u + 1013904223u;
    return (unsigned char)(random_state >> 24);
}

static void test_noise_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } heads[] = {
        {"", 0},
        {"RIFF\xff\xff\xff\x7fWAVEfmt ", 16},
        {"RIFF\xff\xff\xff\x7fWAVE", 12},
        {"fLaC", 4},
        {"OggS", 4},
        {"ID3\x03", 4},
        {"\xFF\xFB\x90\x44", 4},
        {"RF64", 4},
        {"FORM\0\0\0\0AIFF", 12},
    };
    bytes b = {.data = malloc(10 * MEGABYTE), .size = 10 * MEGABYTE};
    assert_non_null(b.data);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (sf_count_t k = 0; k < b.size; k++) b.data[k] = noise();
        memcpy(b.data, heads[i].text, heads[i].size);
        if (i == 0) b.data[0] = 'x';
        ishow_pcm pcm;
        ishow_error error = {0};
        const ishow_status status = decode(&b, &pcm, &error);
        assert_true(status == ISHOW_EFORMAT || status == ISHOW_ELIMIT);
        assert_true(strlen(error.message) > 10);
        assert_null(pcm.samples);
    }
    static const sf_count_t sizes[] = {0, 1, 2, 11, 12, 43, 44, 45};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        b.size = sizes[i];
        memcpy(b.data, "RIFF\0\0\0\0WAVEfmt ", 16);
        refused(&b, ISHOW_EFORMAT, "not a readable");
    }
    free(b.data);
    refused(&(bytes){0}, ISHOW_EFORMAT, "not a readable");
}

/* Files that are truncated or have flipped bytes: each is decoded or refused with a clear error. */
static void test_damaged_files(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16,  SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM,
                                  SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS,
                                  SF_FORMAT_OGG | SF_FORMAT_OPUS,    SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        bytes whole = make(formats[f], RATE, 1, RATE * 3 / 2);
        for (int round = 0; round < 60; round++) {
            bytes b = {.data = malloc((size_t)whole.size + 1), .size = whole.size};
            assert_non_null(b.data);
            memcpy(b.data, whole.data, (size_t)whole.size);
            if (round % 2) b.size = whole.size * (round + 1) / 61;
            for (int flips = round % 2 ? 0 : 1 + round; flips > 0; flips--) {
                const sf_count_t reach =
                    round % 4 == 0 && b.size > 200 ? 200 : b.size; /* half of the flipped bytes are in the header */
                b.data[(noise() << 16 | noise() << 8 | noise()) % reach] = noise();
            }
            ishow_pcm pcm;
            ishow_error error = {0};
            const ishow_status status = decode(&b, &pcm, &error);
            if (status == ISHOW_OK) {
                assert_true(pcm.length >= (size_t)pcm.sample_rate);
                for (size_t i = 0; i < pcm.length; i++) assert_true(fabsf(pcm.samples[i]) <= 1);
            } else {
                assert_true(status == ISHOW_EFORMAT || status == ISHOW_ELIMIT);
                assert_string_equal(error.field, "audio");
                assert_null(pcm.samples);
            }
            ishow_pcm_free(&pcm);
            free(b.data);
        }
        free(whole.data);
    }
}

static void test_arguments_and_files(void **state) {
    (void)state;
    ishow_pcm pcm;
    ishow_error error = {0};
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    assert_int_equal(ishow_audio_decode(NULL, 5, &limits, &pcm, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_audio_decode("x", 1, NULL, &pcm, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_audio_decode_file(NULL, &limits, &pcm, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_audio_decode_file("/nonexistent/voice.wav", &limits, &pcm, &error), ISHOW_EIO);
    assert_non_null(strstr(error.message, "/nonexistent/voice.wav: No such file"));
    assert_int_equal(ishow_audio_decode_file("/", &limits, &pcm, &error), ISHOW_EIO);
    assert_int_equal(ishow_audio_decode_file("/dev/zero", &limits, &pcm, &error), ISHOW_ELIMIT); /* endless */

    char path[] = "/tmp/ishow_decode_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    bytes b = make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, 1, 2 * RATE);
    assert_int_equal(write(fd, b.data, (size_t)b.size), b.size);
    close(fd);
    assert_int_equal(ishow_audio_decode_file(path, &limits, &pcm, &error), ISHOW_OK);
    assert_int_equal(pcm.length, 2 * RATE);
    ishow_pcm_free(&pcm);
    unlink(path);
    free(b.data);
}

/* The same samples and errors as here; a decoder that crashes, and one that leaks, leaves nothing behind. */
static void test_decoding_apart(void **state) {
    (void)state;
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                                  SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_OGG | SF_FORMAT_OPUS,
                                  SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
    ishow_pcm here, isolated;
    ishow_error error = {0}, other = {0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        bytes b = make(formats[i], RATE, 2, 2 * RATE);
        assert_int_equal(ishow_audio_decode(b.data, (size_t)b.size, &limits, &here, &error), ISHOW_OK);
        if (ishow_audio_decode_isolated(b.data, (size_t)b.size, &limits, &isolated, &error))
            fail_msg("%s", error.message);
        assert_int_equal(isolated.length, here.length);
        assert_int_equal(isolated.sample_rate, here.sample_rate);
        assert_memory_equal(isolated.samples, here.samples, here.length * sizeof *here.samples);
        ishow_pcm_free(&here);
        ishow_pcm_free(&isolated);
        memset(b.data + b.size / 8, 0xA5, 64);
        const ishow_status status = ishow_audio_decode(b.data, (size_t)b.size, &limits, &here, &error);
        assert_int_equal(ishow_audio_decode_isolated(b.data, (size_t)b.size, &limits, &isolated, &other), status);
        if (status) assert_string_equal(other.message, error.message);
        ishow_pcm_free(&here);
        ishow_pcm_free(&isolated);
        free(b.data);
    }
    const void *nowhere = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(ishow_audio_decode_isolated(nowhere, 1 << 16, &limits, &isolated, &error), ISHOW_EFORMAT);
    assert_string_equal(error.field, "audio");
    assert_null(isolated.samples);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
}

static void test_leaks_of_decoders_end_with_them(void **state) {
    (void)state;
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    bytes b = make(SF_FORMAT_OGG | SF_FORMAT_VORBIS, RATE, 1, RATE);
    ishow_pcm pcm;
    ishow_error error;
    memset(b.data + 0x80, 0xFF, 256); /* its headers: see __lsan_default_suppressions */
    size_t before = 0;
    for (int i = 0; i < 120; i++) {
        assert_int_not_equal(ishow_audio_decode_isolated(b.data, (size_t)b.size, &limits, &pcm, &error), ISHOW_OK);
        if (i == 20) before = resident();
    }
    assert_true(resident() < before + (64 << 10));
    free(b.data);
}

/* Children that decode, shared with them. The first `hanging` ones wait in the library for what never comes, like one
 * that was forked while another thread held a lock; their time is over at once. */
static struct children {
    int hanging;
    atomic_int started;
    unsigned seconds; /* that the last one was given */
    sem_t never;
} * children;

unsigned alarm(unsigned seconds) {
    struct itimerval after = {.it_value.tv_sec = (time_t)seconds};
    if (children) {
        children->seconds = seconds;
        if (atomic_fetch_add(&children->started, 1) < children->hanging)
            after.it_value = (struct timeval){.tv_usec = 50000};
    }
    return (unsigned)setitimer(ITIMER_REAL, &after, NULL);
}

static SNDFILE *(*open_virtual)(SF_VIRTUAL_IO *io, int mode, SF_INFO *info, void *user);

SNDFILE *sf_open_virtual(SF_VIRTUAL_IO *io, int mode, SF_INFO *info, void *user) {
    if (!open_virtual) *(void **)&open_virtual = dlsym(RTLD_NEXT, "sf_open_virtual");
    while (children && atomic_load(&children->started) <= children->hanging) sem_wait(&children->never);
    return open_virtual(io, mode, info, user);
}

static void test_a_child_that_hangs(void **state) {
    (void)state;
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    bytes b = make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, RATE, 1, 2 * RATE);
    ishow_pcm here, isolated;
    ishow_error error = {0};
    assert_int_equal(ishow_audio_decode(b.data, (size_t)b.size, &limits, &here, &error), ISHOW_OK);
    children = mmap(NULL, sizeof *children, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(children != MAP_FAILED && !sem_init(&children->never, 1, 0));
    children->hanging = 1; /* another one decodes */
    if (ishow_audio_decode_isolated(b.data, (size_t)b.size, &limits, &isolated, &error)) fail_msg("%s", error.message);
    assert_int_equal(atomic_load(&children->started), 2);
    assert_in_range(children->seconds, 1, 60);
    assert_int_equal(isolated.length, here.length);
    assert_memory_equal(isolated.samples, here.samples, here.length * sizeof *here.samples);
    ishow_pcm_free(&isolated);
    atomic_store(&children->started, 0);
    children->hanging = 9; /* none does, and it is not tried for ever */
    assert_int_equal(ishow_audio_decode_isolated(b.data, (size_t)b.size, &limits, &isolated, &error), ISHOW_EAGAIN);
    assert_int_equal(atomic_load(&children->started), 2);
    assert_string_equal(error.field, "audio");
    assert_null(isolated.samples);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
    munmap(children, sizeof *children);
    children = NULL;
    ishow_pcm_free(&here);
    free(b.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_five_formats),
        cmocka_unit_test(test_channels_are_averaged),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_headers_that_lie),
        cmocka_unit_test(test_noise_is_refused),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_decoding_apart),
        cmocka_unit_test(test_leaks_of_decoders_end_with_them),
        cmocka_unit_test(test_a_child_that_hangs),
        cmocka_unit_test(test_arguments_and_files),
    };
    return cmocka_run_group_tests_name("audio decode", tests, NULL, NULL);
}
