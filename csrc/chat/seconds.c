/* Estimates the seconds that a text takes to speak, and finds where to end a clip that is too long. */
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "chat/chat_internal.h"
#include "engine/duration.h"

static const double SPELLED = 0.23, SIGN = 0.4; /* more than any letter or mark takes */
static const double FADE = 0.05, FRAME = 0.02;  /* seconds */

static int is_vowel(uint32_t c) {
    return c >= 0xC0 || (c && strchr("aeiouyAEIOUY", (int)c)); /* seconds of a letter of another script */
}
static int is_latin(uint32_t c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= 0xC0 && c < 0x250 && c != 0xD7 && c != 0xF7);
}

static int is_said_sign(uint32_t c) {
    return c < 0x80 ? c && strchr("%&+=$@#*/<>", (int)c)
                    : utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_SC;
}

double count_seconds(const char *text, double most, size_t *fits) {
    double seconds = 0;
    size_t letters = 0, good = 0, bytes = 0;
    int vowels = 0;
    for (const char *p = text;;) {
        const char *at = p;
        const uint32_t code = ishow_utf8_next(&p);
        if (is_latin(code)) {
            letters++;
            vowels |= is_vowel(code);
        } else {
            if (letters > 1 && !vowels)
                seconds += SPELLED * (double)letters; /* a word without vowels is spelled letter by letter */
            letters = 0;
            vowels = 0;
        }
        if (!code || code == UINT32_MAX) break;
        if (code == ' ' && seconds <= most) good = (size_t)(at - text);
        seconds += ishow_speech_seconds(at, (size_t)(p - at)) + (is_said_sign(code) ? SIGN : 0);
        if (seconds > most) continue;
        bytes = (size_t)(p - text);
        if (code_is_dense(code)) good = bytes;
    }
    if (fits) *fits = seconds <= most ? strlen(text) : good ? good : bytes; /* a single long word is cut inside */
    return seconds;
}

int cut_seconds(char *text, double most) {
    size_t fits;
    count_seconds(text, most, &fits);
    if (!text[fits]) return 0;
    while (fits && text[fits - 1] == ' ') fits--;
    text[fits] = '\0';
    return 1;
}

static double frame_level(const float *pcm, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)pcm[i] * (double)pcm[i];
    return sqrt(sum / (double)n);
}

size_t fade_end(float *pcm, size_t from, size_t most, int rate) {
    const size_t frame = (size_t)(FRAME * rate) + 1, fade = (size_t)(FADE * rate) + 1;
    const size_t back = (size_t)(CLIP_END_SECONDS * rate);
    size_t begin = most > back ? most - back : 0, end = most;
    if (begin < from) begin = from;
    /* The quietest place, when it is quiet enough to be a pause between words. */
    double loud = 0, least = 0;
    size_t quiet = most;
    for (size_t at = begin; at + frame <= most; at += frame) {
        const double level = frame_level(pcm + at, frame);
        if (level > loud) loud = level;
        if (quiet == most || level < least) least = level, quiet = at;
    }
    if (quiet < most && least < 0.1 * loud) end = quiet + frame;
    size_t first = end > fade ? end - fade : 0;
    if (first < from) first = from;
    for (size_t i = first; i < end; i++) pcm[i] *= (float)(end - i) / (float)(end - first);
    return end;
}
