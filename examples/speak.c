/* Text in, WAV out:  speak "Hello there." hello.wav [name=value ...]
 * cc speak.c $(pkg-config --cflags --libs ishow) -o speak */
#include <stdint.h>
#include <stdio.h>

#include <ishow.h>

static void put(FILE *file, uint32_t value, int bytes) { /* little-endian */
    while (bytes--) fputc((int)(value & 255), file), value >>= 8;
}

static void put_header(FILE *file, uint32_t rate, uint32_t samples) { /* RIFF, mono, 16 bits */
    fputs("RIFF", file), put(file, 36 + 2 * samples, 4), fputs("WAVEfmt ", file), put(file, 16, 4);
    put(file, 1, 2), put(file, 1, 2), put(file, rate, 4), put(file, 2 * rate, 4), put(file, 2, 2), put(file, 16, 2);
    fputs("data", file), put(file, 2 * samples, 4);
}

int main(int argc, char **argv) {
    ishow_error error = {0};
    ishow_tts *tts = NULL;
    ishow_utterance *speech = NULL;
    const float *piece;
    size_t n;
    uint32_t total = 0;
    FILE *file = argc > 2 ? fopen(argv[2], "wb") : NULL;
    if (!file) return fprintf(stderr, "speak: a text and a file that can be written are needed\n"), 2;
    ishow_status status = ishow_tts_open(&tts, "demo", NULL, &error);
    if (!status) put_header(file, (uint32_t)ishow_tts_sample_rate(tts), 0);
    if (!status) status = ishow_tts_speak(tts, argv[1], (const char *const *)argv + 3, &speech, &error);
    while (!status && !(status = ishow_utterance_next(speech, ISHOW_WAIT, &piece, &n, &error)) && n)
        for (size_t i = 0; i < n; i++, total++) {
            const float sample = piece[i] < -1 ? -1 : piece[i] > 1 ? 1 : piece[i];
            put(file, (uint32_t)(int32_t)(32767 * sample), 2);
        }
    if (status)
        fprintf(stderr, "speak: %s\n", error.message);
    else
        rewind(file), put_header(file, (uint32_t)ishow_tts_sample_rate(tts), total);
    ishow_utterance_free(speech);
    ishow_tts_free(tts);
    return fclose(file) || status ? 1 : 0;
}
