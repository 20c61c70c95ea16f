/* libishow: text to speech in the voice of a short reference clip (F5-TTS), on the processor or an NVIDIA GPU.
 *
 * The boundary. Text goes in, mono float32 PCM comes out in pieces while later ones are still being made. Everything
 * between (text normalisation, tokens, durations, sampling, vocoder, cross-fades) is inside; HTTP, sound devices and
 * audio files are outside. An ishow_tts is a loaded model with its voices, an ishow_utterance one text on its way to
 * speech. The text front end is Python: the first open starts an interpreter, or uses the one that runs in the process.
 * It is never finalised, and no thread of the caller holds its lock. The networks run without Python, except in
 * backends that are Python themselves ("eager", "compile").
 *
 *     ishow_error error;
 *     ishow_tts *tts;
 *     ishow_utterance *speech;
 *     const float *samples;
 *     size_t n;
 *     if (ishow_tts_open(&tts, "demo", NULL, &error)) return fail(error.message);
 *     if (ishow_tts_speak(tts, "Hello there.", NULL, &speech, &error)) return fail(error.message);
 *     while (!ishow_utterance_next(speech, ISHOW_WAIT, &samples, &n, &error) && n)
 *         play(samples, n, ishow_tts_sample_rate(tts));
 *     ishow_utterance_free(speech);
 *     ishow_tts_free(tts);
 *
 * Rules that hold everywhere. A function that can fail returns a status and writes one sentence into the caller's
 * ishow_error (NULL is allowed). Strings are UTF-8 and are copied. What a _open or _speak returns is owned by the
 * caller, who gives it to its one _free, which takes NULL. Every function may be called from any thread unless it says
 * otherwise; an object must not be used after its _free has begun. The library does not print, exit, or install signal
 * handlers. Until version 1, a new minor version may change this interface. */
#ifndef ISHOW_H
#define ISHOW_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ISHOW_VERSION_MAJOR 0
#define ISHOW_VERSION_MINOR 1
#define ISHOW_VERSION_PATCH 0

#if defined(__GNUC__)
#define ISHOW_API __attribute__((visibility("default")))
#else
#define ISHOW_API
#endif

/* Version of the library that runs, "MAJOR.MINOR.PATCH"; the macros are those of the header. Static storage. */
ISHOW_API const char *ishow_version(void);

/* ---- errors ---- */

typedef enum ishow_status {
    ISHOW_OK = 0,
    ISHOW_EINVAL,     /* an argument or a user's input is malformed or out of range */
    ISHOW_ENOMEM,     /* out of memory */
    ISHOW_EIO,        /* a file or socket failed */
    ISHOW_EFORMAT,    /* bytes are not what they claim to be (audio, package, checkpoint) */
    ISHOW_ELIMIT,     /* a stated limit is exceeded (size, length, channels) */
    ISHOW_ENOTFOUND,  /* no such voice, file, model */
    ISHOW_EBUSY,      /* a bounded queue is full: try again later */
    ISHOW_EAGAIN,     /* nothing yet: the same call may succeed later */
    ISHOW_ECANCELLED, /* the caller cancelled */
    ISHOW_ETIMEOUT,   /* the deadline passed */
    ISHOW_EMODEL,     /* the model failed (NaN, wrong shape, runtime error) */
    ISHOW_EPYTHON,    /* a Python exception; its traceback is in the log */
    ISHOW_ESTATE,     /* called at the wrong time: closing, not ready */
    ISHOW_EINTERNAL   /* a defect in this library */
} ishow_status;

/* Filled in by a function that fails; left alone otherwise. */
typedef struct ishow_error {
    ishow_status status;
    char field[32];     /* the setting or argument at fault, or "" */
    char message[480];  /* one sentence, UTF-8, NUL-terminated */
    double retry_after; /* of EBUSY: seconds after which the same would probably be accepted; 0: not known */
} ishow_error;

/* Name of a status in upper case without its prefix, for example "EINVAL". Static storage. */
ISHOW_API const char *ishow_status_name(ishow_status status);

/* ---- log ---- */

typedef enum ishow_log_level { ISHOW_LOG_DEBUG, ISHOW_LOG_INFO, ISHOW_LOG_WARN, ISHOW_LOG_ERROR } ishow_log_level;

/* Receives lines of the log. module: the part of the library that speaks; request: the id of the request that it is
 * about, or NULL; text: one line without a line feed. All are valid during the call. May be called from several threads
 * at once; must not call ishow_log_set_sink. */
typedef void (*ishow_log_sink)(void *self, ishow_log_level level, const char *module, const char *request,
                               const char *text);

/* Sends lines of `least` and above to `sink` from now on. NULL, as at first: none. On return no call of the earlier
 * sink is under way. */
ISHOW_API void ishow_log_set_sink(ishow_log_sink sink, void *self, ishow_log_level least);

/* ---- models ---- */

typedef struct ishow_tts ishow_tts;

/* Loads a model with its voices: "demo" (embedded), a folder, or the name of a published model that is on this machine.
 * settings: NULL, or "section.key=value" strings ended by NULL, from the sections [model], [engine], [sampling] and
 * [[voices]] of docs/reference/configuration.md, for example "model.backend=native". Takes a tenth of a second for a
 * small native model, seconds where torch is needed. The first call in a process belongs on the main thread. EINVAL
 * names the setting; ENOTFOUND: no such model, or no Python environment. */
ISHOW_API ishow_status ishow_tts_open(ishow_tts **out, const char *model, const char *const *settings,
                                      ishow_error *error);

/* Cancels what is in flight and frees the model. Utterances that are still held answer ECANCELLED until their own free.
 * */
ISHOW_API void ishow_tts_free(ishow_tts *tts);

/* Of everything it speaks, Hz. */
ISHOW_API int ishow_tts_sample_rate(const ishow_tts *tts);

/* ---- voices ---- */

/* Adds or replaces a voice. samples: 1 to 30 s of clean mono speech, `length` values in [-1, 1] at sample_rate Hz; NULL
 * and 0: the voice is one of the model's own, by its id. text: exactly what they say; NULL for a model that does not
 * need it, such as the embedded one. language: BCP 47, or NULL to detect it. id: 1 to
 * 64 of A-Z a-z 0-9 . _ -. */
ISHOW_API ishow_status ishow_tts_set_voice(ishow_tts *tts, const char *id, const char *text, const char *language,
                                           const float *samples, size_t length, int sample_rate, ishow_error *error);

/* The same with a WAV, FLAC, Ogg Vorbis, Opus or MP3 file. */
ISHOW_API ishow_status ishow_tts_load_voice(ishow_tts *tts, const char *id, const char *text, const char *language,
                                            const char *path, ishow_error *error);

/* Speech that is being made keeps the voice. ENOTFOUND. */
ISHOW_API ishow_status ishow_tts_remove_voice(ishow_tts *tts, const char *id, ishow_error *error);

/* Copies the id of voice number `index`, in order of arrival; the first is the default. ENOTFOUND past the last. */
ISHOW_API ishow_status ishow_tts_voice_id(ishow_tts *tts, size_t index, char id[65], ishow_error *error);

/* ---- speech ---- */

typedef struct ishow_utterance ishow_utterance;

/* Queues a text of 1 to 5000 characters and returns at once. settings: NULL, or "name=value" strings ended by NULL,
 * with the fields of POST /api/tts (docs/reference/http-api.md), for example "voice_id=kerstin", "nfe_step=7",
 * "seed=1". EINVAL names the field, its range and the value; EBUSY: the queue is full. */
ISHOW_API ishow_status ishow_tts_speak(ishow_tts *tts, const char *text, const char *const *settings,
                                       ishow_utterance **out, ishow_error *error);

#define ISHOW_WAIT (-1.0) /* without limit */

/* The next piece of speech, in order; pieces follow one another without gap or overlap. *samples is borrowed until the
 * next call or free; *n == 0 with ISHOW_OK is the end. Waits for up to `timeout` seconds, 0: not at all, ISHOW_WAIT: as
 * long as it takes. EAGAIN: nothing came in that time, call again. Any other status ends the utterance: ECANCELLED,
 * ETIMEOUT (its deadline passed), EMODEL, ... One thread at a time. */
ISHOW_API ishow_status ishow_utterance_next(ishow_utterance *utterance, double timeout, const float **samples,
                                            size_t *n, ishow_error *error);

/* A word of the text and when it is heard. */
typedef struct ishow_word {
    double start, end;     /* seconds from the beginning of the speech */
    size_t offset, length; /* characters of the text, as it was given */
} ishow_word;

/* The words that begin in the piece that ishow_utterance_next gave last, in order; *words is borrowed like the piece.
 * Times are those of the phones where the model predicts them, else estimates within each part of the text. A number or
 * an abbreviation is one word, however many are said for it. */
ISHOW_API void ishow_utterance_words(ishow_utterance *utterance, const ishow_word **words, size_t *n);

/* Ends it at the next step of the model. What is finished and not yet read is dropped, and ishow_utterance_next answers
 * ECANCELLED. */
ISHOW_API void ishow_utterance_cancel(ishow_utterance *utterance);

/* ---- for research: what the solver starts from, and the way that it takes ---- */

/* What the solver is given besides settings; a zeroed one changes nothing. Arrays are copied. */
typedef struct ishow_sampler_input {
    const float *times; /* [n_times] of the steps, increasing from 0 to 1, 2 to 65 of them, instead of nfe_step, grid
                           and sway_sampling_coef; NULL: by these settings */
    size_t n_times;
    const float *noise; /* [n_noise] x at t = 0 as [frames][mels], the reference's frames first, instead of noise from
                           the seed. Each part of the text takes its frames behind those of the part before it; what is
                           left over is not read. NULL: by the seed */
    size_t n_noise;
    int trajectory; /* 1: the states of all steps are kept until the utterance is freed: 4 * (steps + 1) * frames * mels
                  bytes for each part of the text */
} ishow_sampler_input;

/* As ishow_tts_speak. EINVAL names "times" or "noise"; noise that is too short for the text ends the utterance with
 * EINVAL and says how many frames are needed. */
ISHOW_API ishow_status ishow_tts_speak_with(ishow_tts *tts, const char *text, const char *const *settings,
                                            const ishow_sampler_input *input, ishow_utterance **out,
                                            ishow_error *error);

/* The way of one part of a text from noise to speech. Borrowed from the utterance until its free. */
typedef struct ishow_trajectory {
    size_t n_states, frames, ref_frames, mels; /* frames: the reference's, which come first, and those made */
    const float *times;                        /* [n_states] from 0 to 1 */
    const float *states;                       /* [n_states][frames][mels] x at these times, as the network has it:
                                                  standardised log-mel */
    const float *mel; /* [frames - ref_frames][mels] natural log-mel of what was made, as a vocoder takes it */
} ishow_trajectory;

/* The trajectory of part number `part`, 0 for the first, of an utterance that was spoken with trajectory = 1; complete
 * before the first piece of speech of that part is given. EAGAIN: not yet; ENOTFOUND: the text has no such part;
 * ESTATE: no trajectory was asked for. */
ISHOW_API ishow_status ishow_utterance_trajectory(ishow_utterance *utterance, size_t part, ishow_trajectory *out,
                                                  ishow_error *error);

/* ---- text that is spoken while it is written ---- */

/* Like ishow_tts_speak for a text that comes in pieces, as a language model writes it: speech begins when the first
 * sentence or clause is over, and the pieces of speech follow one another as if the text had been whole. settings may
 * also have "idle_ms=N", 50 to 60000: without a piece for so long (a second where it is left out), what has come is
 * spoken as it is. Ends after ishow_speak_end. No fix_duration. */
ISHOW_API ishow_status ishow_speak_begin(ishow_tts *tts, const char *const *settings, ishow_utterance **out,
                                         ishow_error *error);

/* Adds a piece of at most 5000 characters, which may end inside a word but not inside a character, to the text. At most
 * 5000 characters wait to be spoken: a writer that is faster than speech waits for room for up to `timeout` seconds
 * (0: not at all; ISHOW_WAIT), then EAGAIN: nothing of the piece was taken. Speech that nobody reads is not made
 * without end either. ESTATE: the text has ended; a failure of the speech is answered as by ishow_utterance_next. */
ISHOW_API ishow_status ishow_speak_feed(ishow_utterance *utterance, const char *text, double timeout,
                                        ishow_error *error);

/* Replaces all of the text that has not begun to be made into speech. *kept (NULL allowed): characters before it, of
 * all that came, which cannot be replaced any more. Errors as above. */
ISHOW_API ishow_status ishow_speak_set_text(ishow_utterance *utterance, const char *text, size_t *kept,
                                            ishow_error *error);

/* What has come is spoken as it is, without waiting for the end of a sentence. */
ISHOW_API ishow_status ishow_speak_flush(ishow_utterance *utterance, ishow_error *error);

/* The text is complete. A text that holds nothing to speak ends the utterance with EINVAL. */
ISHOW_API ishow_status ishow_speak_end(ishow_utterance *utterance, ishow_error *error);

/* Cancels it where it still runs, and frees it. */
ISHOW_API void ishow_utterance_free(ishow_utterance *utterance);

/* Number of objects of the library that are alive in this process, for leak tests. The text front end may keep one
 * after the first text: compare with the number after a first open and free. */
ISHOW_API long ishow_live_handles(void);

#ifdef __cplusplus
}
#endif
#endif
