/* Duration of a text. The reference rule is F5's (f5_tts.infer.utils_infer: frames in proportion to UTF-8 bytes);
 * plan.h describes where and why this differs. */
#include <math.h>

#include "base/base.h"
#include "engine/characters.h"
#include "engine/plan.h"

/* Seconds per code point of ordinary speech (English about 15 characters a second, spaces included; Mandarin five
 * syllables; Japanese seven and a half morae). */
static double seconds_of(ishow_kind kind) {
    switch (kind) {
    case ISHOW_KIND_SPACE:
    case ISHOW_KIND_ALPHABET: return 0.068;
    case ISHOW_KIND_IDEOGRAPH: return 0.21;
    case ISHOW_KIND_KANA: return 0.13;
    case ISHOW_KIND_HANGUL: return 0.19;
    case ISHOW_KIND_LETTER: return 0.08;
    case ISHOW_KIND_DIGIT: return 0.3;
    case ISHOW_KIND_SENTENCE:
    case ISHOW_KIND_WIDE_SENTENCE:
    case ISHOW_KIND_NEWLINE: return 0.25;
    case ISHOW_KIND_CLAUSE:
    case ISHOW_KIND_WIDE_CLAUSE: return 0.15;
    case ISHOW_KIND_CLOSER:
    case ISHOW_KIND_MARK:
    case ISHOW_KIND_EXTEND: return 0;
    }
    return 0;
}

/* Next code point of text[0..bytes); malformed bytes count as one mark each. 0 at the end. */
static uint32_t next_code(const char **p, const char *end) {
    if (*p >= end) return 0;
    uint32_t code = ishow_utf8_next(p);
    if (code == UINT32_MAX) (*p)++;
    return code;
}

int ishow_text_scripts(const char *text, size_t bytes) {
    const char *end = text + bytes;
    int scripts = 0;
    for (uint32_t code; (code = next_code(&text, end));) {
        switch (ishow_kind_of(code)) {
        case ISHOW_KIND_ALPHABET: scripts |= code < 0x370 ? ISHOW_SCRIPT_LATIN : ISHOW_SCRIPT_ALPHABET; break;
        case ISHOW_KIND_IDEOGRAPH: scripts |= ISHOW_SCRIPT_IDEOGRAPH; break;
        case ISHOW_KIND_KANA: scripts |= ISHOW_SCRIPT_KANA; break;
        case ISHOW_KIND_HANGUL: scripts |= ISHOW_SCRIPT_HANGUL; break;
        case ISHOW_KIND_LETTER: scripts |= ISHOW_SCRIPT_OTHER; break;
        default: break;
        }
    }
    return scripts;
}

double ishow_speech_seconds(const char *text, size_t bytes) {
    const char *end = text + bytes;
    double seconds = 0;
    for (uint32_t code; (code = next_code(&text, end));) seconds += seconds_of(ishow_kind_of(code));
    return seconds;
}

/* Approximate number of syllables: groups of vowels in alphabetic scripts (at least one a word), one for each character
 * elsewhere. */
static int syllables(const char *text, size_t bytes) {
    const char *end = text + bytes;
    int count = 0, in_word = 0, in_vowels = 0, in_this_word = 0;
    for (uint32_t code; (code = next_code(&text, end));) {
        ishow_kind kind = ishow_kind_of(code);
        if (kind == ISHOW_KIND_EXTEND) continue;
        if (kind == ISHOW_KIND_ALPHABET) {
            uint32_t lower = code < 0x80 ? code | 0x20 : code;
            int vowel = lower == 'a' || lower == 'e' || lower == 'i' || lower == 'o' || lower == 'u' || lower == 'y' ||
                        (code >= 0xC0 && code < 0x250);
            if (!in_word) in_this_word = 0;
            if (vowel && !in_vowels) count++, in_this_word++;
            in_word = 1;
            in_vowels = vowel;
            continue;
        }
        if (in_word && !in_this_word) count++;
        in_word = in_vowels = 0;
        if (kind == ISHOW_KIND_IDEOGRAPH || kind == ISHOW_KIND_KANA || kind == ISHOW_KIND_HANGUL ||
            kind == ISHOW_KIND_DIGIT || kind == ISHOW_KIND_LETTER)
            count++;
    }
    return count + (in_word && !in_this_word);
}

double ishow_pace_units(const ishow_pace *pace, const char *text, size_t bytes) {
    return pace->by_bytes ? (double)bytes : ishow_speech_seconds(text, bytes);
}

static size_t length_of(const char *text) {
    size_t n = 0;
    while (text[n]) n++;
    return n;
}

ishow_pace ishow_pace_make(const char *ref_text, size_t ref_frames, const char *text, double frames_per_second) {
    ishow_pace pace = {.by_bytes = 0, .frames_per_unit = frames_per_second, .frames_per_second = frames_per_second};
    size_t ref_bytes = length_of(ref_text);
    double ordinary = ishow_speech_seconds(ref_text, ref_bytes);
    if (!ref_frames || ordinary <= 0) return pace;
    int ref_scripts = ishow_text_scripts(ref_text, ref_bytes), scripts = ishow_text_scripts(text, length_of(text));
    double slowness = (double)ref_frames / frames_per_second / ordinary;
    double taken = fmin(fmax(slowness, 0.5), 2.0);
    pace.by_bytes = taken == slowness && ref_scripts == scripts && scripts && !(scripts & (scripts - 1));
    pace.frames_per_unit = pace.by_bytes ? (double)ref_frames / (double)ref_bytes : taken * frames_per_second;
    return pace;
}

size_t ishow_pace_frames(const ishow_pace *pace, const char *text, size_t bytes, double speed) {
    int count = syllables(text, bytes);
    double least = (0.35 + 0.18 * (count < 6 ? count : 6)) * pace->frames_per_second;
    double frames = floor(fmax(ishow_pace_units(pace, text, bytes) * pace->frames_per_unit, least) / speed);
    return frames < 2 ? 2 : (size_t)frames;
}

/* Computes ends[from..n) from predicted[from..n), distributing exactly `frames` frames after `begin`. */
static void fill_ends(const float *predicted, size_t from, size_t n, size_t begin, size_t frames, size_t *ends) {
    double sum = 0, run = 0;
    size_t last = begin;
    for (size_t i = from; i < n; i++) sum += (double)predicted[i];
    for (size_t i = from; i < n; i++) {
        run += (double)predicted[i];
        size_t end = begin + (size_t)llround(run / sum * (double)frames);
        if (frames >= n - from) { /* at least one frame for this token and for each that follows */
            size_t most = begin + frames - (n - 1 - i);
            if (end < last + 1) end = last + 1;
            if (end > most) end = most;
        }
        ends[i] = last = end;
    }
    ends[n - 1] = begin + frames;
}

size_t ishow_align_ends(const float *predicted, size_t n, size_t ref_frames, double speed, size_t gen_frames,
                        size_t *ends) {
    const size_t n_ref = ref_frames > 0;
    double sum = 0;
    if (n <= n_ref) return 0;
    for (size_t i = n_ref; i < n; i++) {
        if (!isfinite(predicted[i]) || predicted[i] <= 0) return 0;
        sum += (double)predicted[i];
    }
    if (!gen_frames) {
        gen_frames = (size_t)fmin(round(sum / speed), 1e7);
        if (gen_frames < n - n_ref) gen_frames = n - n_ref;
    }
    if (gen_frames < 2) gen_frames = 2;
    if (n_ref) ends[0] = ref_frames;
    fill_ends(predicted, n_ref, n, ref_frames, gen_frames, ends);
    return ends[n - 1];
}

void ishow_align_fill(const size_t *ends, size_t n, int64_t *index, float *phase) {
    size_t begin = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t f = begin; f < ends[i]; f++) {
            index[f] = (int64_t)i;
            phase[f] = ((float)(f - begin) + 0.5f) / (float)(ends[i] - begin);
        }
        begin = ends[i];
    }
}

void ishow_spread_fill(size_t n, size_t frames, int64_t *index) {
    size_t each = frames / n, rest = frames % n, f = 0;
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < each + (j >= n - rest ? 1 : 0); k++) index[f++] = (int64_t)j;
}

static uint64_t splitmix64(uint64_t x) {
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t ishow_noise_seed(uint64_t seed, uint32_t chunk, uint32_t retry) {
    uint64_t which = (uint64_t)chunk << 32 | retry;
    return which ? splitmix64(seed ^ splitmix64(which)) : seed;
}
