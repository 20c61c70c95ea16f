/* Planning before any model call: duration of a text, where it is split, which frame belongs to which token. Pure
 * functions, tested by the tables of tests/c/test_engine_plan.c. Private to engine/. */
#ifndef ISHOW_ENGINE_PLAN_H
#define ISHOW_ENGINE_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "engine/duration.h"
#include "ishow.h"

/* Kinds of script that are spoken at different rates per byte. */
enum {
    ISHOW_SCRIPT_LATIN = 1,
    ISHOW_SCRIPT_ALPHABET = 2, /* Greek, Cyrillic and others: spoken at the rate of Latin letters, two bytes a letter */
    ISHOW_SCRIPT_IDEOGRAPH = 4,
    ISHOW_SCRIPT_KANA = 8,
    ISHOW_SCRIPT_HANGUL = 16,
    ISHOW_SCRIPT_OTHER = 32
};

/* Bits of the scripts in text[0..bytes); digits, spaces and marks have none. */
int ishow_text_scripts(const char *text, size_t bytes);

/* Pace of a voice: frames = units(text) * frames_per_unit / speed. */
typedef struct ishow_pace {
    int by_bytes; /* units are UTF-8 bytes (F5's rule), else estimated seconds */
    double frames_per_unit;
    double frames_per_second;
} ishow_pace;

/* The pace of a voice that takes ref_frames for ref_text. F5 compares UTF-8 bytes; that rule is kept where both texts
 * use the same single script, for which it is accurate. Otherwise both are measured in estimated speech time, since
 * bytes of different scripts take different times. A reference whose text does not fit its length (more than twice or
 * less than half the speed of ordinary speech) is taken at that limit, also in speech time. ref_frames 0: no reference,
 * ordinary speech. */
ishow_pace ishow_pace_make(const char *ref_text, size_t ref_frames, const char *text, double frames_per_second);

double ishow_pace_units(const ishow_pace *pace, const char *text, size_t bytes);

/* Frames for text[0..bytes). F5's rule reads texts under 10 bytes at speed 0.3, whatever was requested, so that "Thank
 * you" takes twice as long as "Thank you!". Here a short text has a minimum length instead: 0.35 s, and 0.18 s for each
 * of its first six syllables, divided by speed. At least 2 frames. */
size_t ishow_pace_frames(const ishow_pace *pace, const char *text, size_t bytes, double speed);

/* Half-open byte range of one chunk. */
typedef struct ishow_span {
    size_t begin, end;
} ishow_span;

/* Cuts valid UTF-8 into pieces of about max_units each (up to 15 % more where a short tail would be left): at the ends
 * of sentences, else at clauses, else between words, else (a text without any such place) between grapheme clusters.
 * Spaces around the pieces are left out. early_units > 0: the first piece is about that long, and each that follows 2.5
 * times as long as the one before, where sentences or clauses end so; 0: all are as long as they may be. *out is owned
 * by the caller (free()); *n may be 0 for a text of spaces. */
ishow_status ishow_chunk_split(const char *text, const ishow_pace *pace, double max_units, double early_units,
                               ishow_span **out, size_t *n, ishow_error *error);

#define ISHOW_CHUNK_SECONDS_MIN 5.0 /* of new speech in a full chunk, however long the reference is */

#define ISHOW_EARLY_LEAST  0.4 /* of the goal of an early piece: shorter ones are not worth a join */
#define ISHOW_EARLY_GROWTH 2.5 /* an early piece is made while the one before it plays, so each may be longer */

/* How much of the front of text[0..bytes), valid UTF-8, is one piece of about `goal` units: bytes in *out. goes_on: the
 * text is still being written, and the piece ends with a sentence or clause that is known to be over and has `least`
 * units; *out is 0 where nothing ends so. Otherwise it is cut like the first piece of ishow_chunk_split, all of it
 * where it is short. */
ishow_status ishow_feed_cut(const char *text, size_t bytes, int goes_on, const ishow_pace *pace, double least,
                            double goal, double max_units, size_t *out, ishow_error *error);

/* Where each token ends, in frames, from predicted frames per token at speed 1. With ref_frames > 0 the first token,
 * which names no speaker, lasts for the frames of the reference; the others take the predicted time / speed. gen_frames
 * > 0 replaces that sum and keeps the proportions. Every token has at least one frame if there are enough. Rounding
 * keeps the sums. ends: [n] out. Returns the total, ends[n - 1]; 0 when a prediction is not a positive finite number,
 * or nothing follows the reference. */
size_t ishow_align_ends(const float *predicted, size_t n, size_t ref_frames, double speed, size_t gen_frames,
                        size_t *ends);

/* index[f] = token of frame f, phase[f] = position of the frame's middle within its token, in (0, 1). Both [ends[n -
 * 1]]. */
void ishow_align_fill(const size_t *ends, size_t n, int64_t *index, float *phase);

/* index for the AVERAGE layout: n tokens spread over `frames` frames, the remainder given to the last ones as F5
 * does. */
void ishow_spread_fill(size_t n, size_t frames, int64_t *index);

/* Seed of the noise for attempt `retry` of chunk `chunk`: the utterance's own for the first attempt of the first chunk,
 * else splitmix64(seed ^ splitmix64(chunk << 32 | retry)). */
uint64_t ishow_noise_seed(uint64_t seed, uint32_t chunk, uint32_t retry);

#endif
