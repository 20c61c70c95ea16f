/* The engine: a loaded model, a text front end, voices, and the utterances in flight.
 *
 * An utterance is one request: it is split into chunks, each with tokens, a duration and a scheduler row, then vocoded
 * and joined to PCM. Two threads run inside: the text thread (the only caller of the front end) and the inference
 * thread (the only caller of the backend; it runs the scheduler). Queues between them are bounded. All functions here
 * may be called from any thread. */
#ifndef ISHOW_ENGINE_ENGINE_H
#define ISHOW_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "audio/audio.h"
#include "cache/cache.h"
#include "flow/flow.h"
#include "model/model.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Tokens of one chunk, owned by the caller of `tokenize`; ids are vocabulary indices (not shifted). free() the
 * arrays. */
typedef struct ishow_tokens {
    int32_t *ids; /* [n] */
    size_t n;
    size_t n_ref;     /* the first n_ref belong to the reference text */
    int32_t *words;   /* [n - n_ref]: index of the word of `text` that each of the other tokens belongs to, -1: none;
                         NULL: not known */
    int32_t *lengths; /* [n - n_ref]: percent of the model's duration that each of the other tokens takes; NULL: 100 */
} ishow_tokens;

/* Words of a text that the voice cannot pronounce and that are left out: their number, and the first (UTF-8, truncated
 * to fit; "": none). */
typedef struct ishow_unspoken {
    size_t count;
    char first[64];
} ishow_unspoken;

/* A stretch of a text between orders of markup. */
typedef struct ishow_part {
    char *text;     /* owned; "": only the pause, at the end */
    size_t start;   /* characters of the whole text before it */
    double pause;   /* seconds of silence before it */
    double speed;   /* 0: the request's */
    char voice[65]; /* "": the request's */
} ishow_part;

void ishow_parts_free(ishow_part *parts, size_t n); /* NULL allowed */
/* A word as it is written and the words that are said for it. */
typedef struct ishow_place {
    uint32_t at;         /* byte in the speakable text at which they begin */
    uint32_t said;       /* how many they are */
    uint32_t begin, end; /* characters of the text as written */
} ishow_place;

/* A speakable text. free() text and places. */
typedef struct ishow_reading {
    char *text;
    ishow_place *places; /* [n_places], in order of `at` */
    size_t n_places;
    ishow_unspoken unspoken;
} ishow_reading;

/* The text front end, implemented by bridge/ (Python) or by a test. Called on the text thread only. */
typedef struct ishow_text_frontend {
    void *self;
    /* Makes text speakable (numbers, symbols, white space). *out is owned by the caller, empty on failure. EINVAL,
     * field "text", when nothing speakable is left. language: BCP 47 or NULL to detect. markup: 1: "[word](/ipa/)" says
     * how a word is said. */
    ishow_status (*normalize)(void *self, const char *text, const char *language, int markup, ishow_reading *out,
                              ishow_error *error);
    /* Cuts a text with markup between its orders; free *out with ishow_parts_free. EINVAL, field "markup", for an
     * order that cannot be obeyed. NULL: no text has markup. */
    ishow_status (*cut)(void *self, const char *text, ishow_part **out, size_t *n, ishow_error *error);
    /* Tokens of ref_text followed by text (F5 tokenises them joined). ref_text NULL: the row has no reference; "": it
     * has one whose words are not part of the row, and whose token names no speaker (ALIGNED). voice: id of the voice,
     * NULL: none; models with named speakers have a token for each. */
    ishow_status (*tokenize)(void *self, const char *ref_text, const char *text, const char *language,
                             const char *voice, ishow_tokens *out, ishow_error *error);
    /* What the front end returns about its reading, or is given: JSON for JSON, which is the caller's (free()). Verbs
     * are those of ishowtts.text.frontend.Frontend.ask; EINVAL names the field. Any thread. NULL: it has none. */
    ishow_status (*ask)(void *self, const char *verb, const char *json, char **out, ishow_error *error);
    void (*close)(void *self);
} ishow_text_frontend;

typedef struct ishow_engine ishow_engine;

typedef struct ishow_engine_options {
    size_t queue_capacity; /* maximum of utterances waiting or in flight; more are refused with EBUSY */
    size_t cache_bytes;
    size_t max_rows;      /* maximum of rows in the scheduler */
    double chunk_seconds; /* approximate maximum of reference + generated audio of one chunk */
    int retries;          /* how often a silent or non-finite chunk is tried again with other noise */
} ishow_engine_options;

ISHOW_API ishow_engine_options ishow_engine_options_default(void);

/* Changes queue_capacity, chunk_seconds and retries for later utterances; cache_bytes and max_rows must be unchanged
 * (EINVAL). */
ISHOW_API ishow_status ishow_engine_configure(ishow_engine *engine, const ishow_engine_options *options,
                                              ishow_error *error);

/* Takes *backend and *frontend (both are closed by ishow_engine_free, also when creation fails). */
ishow_status ishow_engine_create(ishow_engine **out, const ishow_backend *backend, const ishow_text_frontend *frontend,
                                 const ishow_engine_options *options, ishow_error *error);

/* Cancels all utterances, joins the threads, closes backend and front end. Utterances that callers still hold stay
 * valid until freed and answer ECANCELLED. NULL allowed. */
ISHOW_API void ishow_engine_free(ishow_engine *engine);

/* Exchanges the backend as soon as no row is in flight: rows in flight finish on the old one, new ones wait; then the
 * old one is closed. Takes *backend, also on failure. EINVAL when its shapes differ (sample rate, hop, mels, layout,
 * content hash) or it takes fewer frames; ESTATE when the engine is closing. */
ishow_status ishow_engine_swap_backend(ishow_engine *engine, const ishow_backend *backend, ishow_error *error);

/* Asks the text front end: see `ask` there. ESTATE where it answers nothing. Until ishow_engine_free. */
ISHOW_API ishow_status ishow_engine_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                                 ishow_error *error);

/* Copies the active backend's description. */
ISHOW_API void ishow_engine_info(ishow_engine *engine, ishow_model_info *out);

/* A voice: reference audio, decoded, at any rate, and, where ishow_clip_needs_text, its exact text. Everything is
 * copied; the audio is resampled, trimmed and normalised in level here (F5: an RMS below ISHOW_TARGET_RMS is raised to
 * it), and cut in a pause after at most ISHOW_CLIP_SECONDS_USED where no text has to fit it. An existing id is
 * replaced; utterances in flight keep their voice. */
typedef struct ishow_voice {
    const char *id;       /* [A-Za-z0-9._-]{1,64} */
    const char *language; /* BCP 47 or NULL */
    const char *text;     /* reference transcript, UTF-8; NULL: none */
    const float *samples; /* mono; NULL with length 0: the voice is one of the model's own, by its id. Not where a clip
                             needs its text */
    size_t length;
    int sample_rate;
} ishow_voice;

/* Prepares a voice without making it visible, so that it can be stored before it is used: install cannot fail. Each
 * prepared voice must be passed to exactly one of install and discard. */
typedef struct ishow_prepared_voice ishow_prepared_voice;
ishow_status ishow_engine_prepare_voice(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                                        ishow_error *error);
void ishow_engine_install_voice(ishow_engine *engine, ishow_prepared_voice *prepared);
void ishow_prepared_voice_discard(ishow_prepared_voice *prepared); /* NULL allowed */

/* Checks an uploaded reference: 1 to 30 s, neither too quiet nor too loud nor clipped, containing speech, with a text
 * (NULL: none is needed) of a plausible length. EINVAL or ELIMIT with field "audio" or "text" and advice on what to do.
 */
ISHOW_API ishow_status ishow_check_reference(const ishow_pcm *pcm, const char *text, ishow_error *error);

/* prepare and install at once. */
ISHOW_API ishow_status ishow_engine_set_voice(ishow_engine *engine, const ishow_voice *voice, ishow_error *error);
ISHOW_API ishow_status ishow_engine_remove_voice(ishow_engine *engine, const char *id, ishow_error *error);

/* Ids and texts of all voices in order of creation, copied into one block; free with free(*out). */
typedef struct ishow_voice_entry {
    char id[65];
    char language[16];
    char *text;
    double seconds;
} ishow_voice_entry;
ISHOW_API ishow_status ishow_engine_list_voices(ishow_engine *engine, ishow_voice_entry **out, size_t *n,
                                                ishow_error *error);

/* One request. Start from ishow_request_default(); strings are copied by submit. */
typedef struct ishow_request {
    const char *text; /* UTF-8, 1..ISHOW_MAX_TEXT_CHARS characters */
    const char
        *essential; /* the part of text without which it is not worth saying, such as a viewer's own words in a sentence
                       about them: EINVAL, field "text", when it cannot be pronounced. NULL or "": none */
    const char *voice; /* id, or NULL for the first voice */
    int nfe;
    ishow_solver solver;
    double cfg;
    double guidance_from, guidance_to; /* guidance where from <= t < to, each 0..1; elsewhere only the conditional
                                          branch, for half the work */
    int short_guidance; /* 1: the unconditional branch leaves out the frames of the reference, an approximation. No
                           effect where the model has no prompt or computes both branches itself */
    int prompt_cache;   /* 1: what steps compute for the frames of the reference is cached by voice and time, and they
                           compute the new frames alone; implies short_guidance. An approximation. No effect where
                           the model has no prompt, the backend cannot do it, or the cache is too small */
    int embedded_guidance; /* 1: a guidance-conditioned network gets cfg as an input, up to its guidance_max, and
                              predicts the guided velocity itself: half the work of a step */
    double sway;
    ishow_grid_kind grid;
    double speed;
    double target_rms;   /* RMS to which the speech is scaled, 0..1; 0: F5's rule, the level of the reference */
    double cross_fade;   /* seconds */
    double fix_duration; /* seconds of reference + generated audio, as in F5; 0: estimated */
    int remove_silence;
    int markup;  /* 1: "[pause 500ms]", "[speed 1.2]", "[voice:anna]" and "[word](/ipa/)" in the text are orders */
    int open;    /* 1: the text goes on: ishow_speak_feed and the like, `text` may be "" */
    int idle_ms; /* of an open one: without news for so long, what has come is spoken as it is */
    int early; /* 1: a long text begins with a short chunk, so that its first audio comes soon; for who listens while it
                  is made. Other chunks, other samples */
    uint64_t seed;   /* of the noise; chunk i, retry r use derived seeds */
    int has_seed;    /* 0: a random seed is drawn and reported */
    int priority;    /* 0 normal; higher is served first */
    double deadline; /* seconds from now; 0: none. ETIMEOUT when it passes */
    double ahead;    /* seconds of finished, unread audio above which no further chunk is begun; 0: no limit */
    const struct ishow_position *from;  /* where to continue; NULL: at the beginning. Copied */
    const ishow_sampler_input *sampler; /* NULL: nothing. Copied; only for an engine of this process */
} ishow_request;

/* A position between two chunks of the speech of a request. The same request with the same seed, submitted with this
 * position, gives the rest of the samples, on any engine with the same model, precision and kernels. */
typedef struct ishow_position {
    size_t part;       /* chunks before it */
    uint64_t plan;     /* hash of the tokens and lengths of all chunks: an engine that computes another fails, ESTATE */
    const float *tail; /* [n_tail] end of the chunk before it, withheld for the cross-fade with the next */
    size_t n_tail;
} ishow_position;

ISHOW_API ishow_request ishow_request_default(void);

/* How a request would be read, as JSON (free()): tokens, words, phones, what is left out and why. Only text,
 * voice and markup of the request count. ENOTFOUND for an unknown voice. May wait for the interpreter. */
ISHOW_API ishow_status ishow_engine_reading(ishow_engine *engine, const ishow_request *request, char **out,
                                            ishow_error *error);

/* Checks ranges (EINVAL names the field, the limit and the value), finds the voice (ENOTFOUND, field "voice_id"), and
 * queues the request (EBUSY when full). notify(user), which may be NULL, is called on an engine thread whenever
 * ishow_utterance_next has something new (audio or the end), at least once; it must not block, nor call the engine
 * except to wake another thread. ishow_utterance_free waits for a running call, and none follows it: call it without a
 * lock that notify takes. */
ISHOW_API ishow_status ishow_engine_submit(ishow_engine *engine, const ishow_request *request,
                                           void (*notify)(void *user), void *user, ishow_utterance **out,
                                           ishow_error *error);

/* Next piece of PCM at the model's sample rate, in order; chunks are already cross-faded and normalised in level, so
 * pieces are simply concatenated. Returns ISHOW_OK with *samples borrowed until the next call or free, and *n > 0; *n
 * == 0: the end. Waits up to `timeout` seconds (0: does not wait): ETIMEOUT with field "" when nothing is ready. Any
 * other status is the utterance's failure, returned after the audio before it; a passed deadline is ETIMEOUT with field
 * "deadline". One reader. */
ISHOW_API ishow_status ishow_utterance_next(ishow_utterance *utterance, double timeout, const float **samples,
                                            size_t *n, ishow_error *error);

/* Takes effect between two steps; pending audio is dropped, and next answers ECANCELLED. */
ISHOW_API void ishow_utterance_cancel(ishow_utterance *utterance);

typedef struct ishow_timings {
    double queue, text, first_audio, total; /* seconds from submit, of an open text queue and first_audio from when its
                                               first part was taken; first_audio and total are 0 until known; queue:
                                               until the first model work; text: time in the front end */
    double model;                           /* seconds inside the backend */
    double audio;                           /* seconds of PCM */
    int chunks, retries;
    uint64_t seed;
    int sample_rate;
    char voice[65];
    ishow_unspoken unspoken; /* known before the first audio */
} ishow_timings;

ISHOW_API void ishow_utterance_timings(ishow_utterance *utterance, ishow_timings *out);

/* 0..1, from steps taken; for progress bars. */
ISHOW_API double ishow_utterance_progress(ishow_utterance *utterance);

/* Cancels it if it is still running; frees the caller's reference. NULL allowed. */
ISHOW_API void ishow_utterance_free(ishow_utterance *utterance);

typedef struct ishow_engine_stats {
    uint64_t submitted, completed, failed, cancelled, refused;
    uint64_t steps, rows, retries, swaps;
    double audio_seconds, model_seconds, busy_seconds; /* busy: time of the inference thread outside waiting */
    uint64_t first_audios;                             /* utterances that have begun to be heard */
    double first_audio_seconds;                        /* that they took, together */
    size_t waiting, in_flight;
    ishow_cache_stats cache;
} ishow_engine_stats;

ISHOW_API void ishow_engine_stats_get(ishow_engine *engine, ishow_engine_stats *out);

/* Seconds since the inference thread began its current operation, such as one step of the model; 0 while it waits for
 * work. Lock-free, so it answers even when that thread hangs. */
ISHOW_API double ishow_engine_busy_for(ishow_engine *engine);

#ifdef __cplusplus
}
#endif
#endif
