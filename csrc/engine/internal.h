/* What the files of engine/ share.
 *
 * One mutex, the engine's, guards everything that two threads use; it is never held during a call into the model, the
 * front end or a caller's notify. Data of one thread are marked with that thread.
 *
 * References to an utterance are held by its caller, the list of live utterances, the text thread while it prepares
 * it, and each of its jobs. It holds a reference to its engine, so that its functions stay valid after
 * ishow_engine_free. */
#ifndef ISHOW_ENGINE_INTERNAL_H
#define ISHOW_ENGINE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/buffer.h"
#include "engine/plan.h"
#include "base/defaults.h"
#include "engine/engine.h"
#include "engine/kind.h"
#include "engine/reader.h"

/* A voice prepared for the model. Immutable once in the list, except `spoken`. Referenced by the list and by
 * utterances. */
typedef struct ishow_prepared_voice {
    ishow_engine_head head;
    int references; /* atomic */
    struct ishow_prepared_voice *next;
    char id[65], language[16];
    char *text;   /* as given */
    char *spoken; /* normalised, ending with punctuation; created at first use by the text thread and used by it only */
    float *samples; /* at the model's rate, trimmed, RMS raised to ISHOW_TARGET_RMS; NULL: the model has the voice */
    size_t mapped;  /* bytes of samples that are in a file; 0: they are in memory */
    size_t length, frames; /* 0 without samples */
    double seconds;
    float restore;       /* factor that restores the reference's own level in the result (F5) */
    ishow_cache_key key; /* of samples and mel parameters */
} voice;

/* The text of an utterance that is still being written. Guarded by the engine's lock. */
typedef struct feed {
    int open;           /* more may come */
    ishow_buffer text;  /* received and not taken yet; a NUL that is not counted follows */
    size_t characters;  /* of it */
    size_t flush;       /* leading bytes of it that wait for no place to cut */
    size_t taken;       /* characters that left it: they are spoken */
    double idle;        /* seconds without news after which all of it is taken */
    double heard;       /* when the last news came */
    unsigned parts;     /* taken so far that were spoken */
    double plays_until; /* when a listener who began at the first audio has heard all that is made */
} feed;

/* A word of a chunk. */
typedef struct chunk_word {
    size_t offset, length; /* characters of the utterance's text */
    size_t said;           /* words that are said for it */
    double weight;         /* seconds of ordinary speech to the next one */
    double from, to;       /* share of the chunk's new frames at which it begins and ends; set when frames are known */
} chunk_word;

/* Part of a text that is one row. Made by the text thread, then used by the inference thread alone. */
typedef struct chunk {
    int64_t *tokens; /* [n_tokens], shifted, reference first */
    size_t n_tokens, n_ref;
    size_t gen_frames; /* 0: by the model's predicted durations */
    voice *voice;      /* counted; NULL when the engine has none and needs none */
    double speed;
    size_t pause;      /* samples of silence before it */
    int apart;         /* it does not overlap with the chunk before: another voice speaks, or a pause is between */
    double work;       /* frames x calls, about */
    chunk_word *words; /* [n_words], owned */
    size_t n_words;
    int32_t *token_words, *token_lengths; /* as of ishow_tokens */
    float *pcm;                           /* finished, waiting for its turn; owned */
    size_t n_pcm;
    int finished;
} chunk;

/* The states of one row (ishow_trajectory). */
typedef struct trajectory {
    struct trajectory *next;
    size_t part, n_states, frames, ref_frames, mels;
    float values[]; /* [n_states][frames][mels], then [frames - ref_frames][mels] of mel */
} trajectory;

typedef enum utterance_state {
    UTTERANCE_WAITING = 0, /* for the text thread; one that is fed comes back to it when what was taken is spoken */
    UTTERANCE_PREPARING,
    UTTERANCE_READY
} utterance_state;

struct ishow_utterance {
    ishow_engine_head head;
    int references;                   /* atomic */
    ishow_engine *engine;             /* counted */
    ishow_utterance *next, *previous; /* in the list of live utterances */

    /* the request; constant */
    char *text;
    char *essential; /* NULL for none */
    voice *voice;    /* counted; NULL when the engine has none and needs none */
    int priority, remove_silence, early, short_guidance, prompt_cache, markup;
    float t[ISHOW_NFE_MAX + 1];
    ishow_path path; /* over t */
    double speed, target_rms, cross_fade, fix_duration;
    uint64_t seed;
    double deadline; /* by ishow_now(); 0: none */
    double due;      /* the deadline; without one, when a listener has waited long enough */
    double ahead;    /* seconds; 0: any */
    size_t resumed;  /* parts that another utterance has spoken */
    uint64_t resumed_plan;
    float *noise; /* [noise_frames][mels] instead of the seed's; owned, NULL: by the seed */
    size_t noise_frames;
    int keeps_states; /* the states of its rows are kept */

    /* guarded by the engine's lock */
    reader reader;
    utterance_state state;    /* until it has ended */
    uint64_t plan;            /* of ishow_position */
    feed *feed;               /* owned; NULL: the text was whole from the beginning */
    trajectory *trajectories; /* of finished chunks; owned */
    int complete;             /* no chunks follow those that are there */
    double since;             /* the engine's work when its next chunk began to wait */
    double share;             /* the engine's, by which `left` counts chunks that wait */
    double left; /* frames x calls that it still needs, about; of a fed one those of the text that was taken */

    int stop;         /* atomic; read by the scheduler between steps */
    int calls;        /* atomic; model calls so far */
    double urgent_by; /* `due` while it is served by deadline, else INFINITY; the inference thread's */

    /* set before READY, then the inference thread's until the utterance waits for text again */
    chunk *chunks;
    size_t n_chunks;
    size_t pause;               /* samples of silence at the end */
    size_t before;              /* chunks of the text that were spoken and left `chunks` */
    size_t admitted, delivered; /* chunks given to rows (guarded), chunks joined */
    size_t in_flight;
    size_t joined;      /* samples of all pieces so far */
    size_t noise_taken; /* frames of `noise` that rows have */
    float *tail;        /* last samples of the joined PCM, held back for the next cross-fade; owned */
    size_t n_tail;
};

/* One row in flight, used by the inference thread. Buffers are reused and grow. */
typedef struct job {
    ishow_utterance *utterance; /* counted; NULL: free */
    size_t index;               /* of the chunk */
    int retry, calls;
    size_t frames, ref_frames;
    float *x, *h; /* [frames * n_mels], [2 * frames * dim], in: */
    ishow_workspace x_space, h_space;
    ishow_cache_entry *mod; /* counted */
    trajectory *trajectory; /* being filled, owned; NULL: none */
    int prompted;           /* steps leave the reference's frames out, except those in: */
    size_t known;           /* frames that are left out */
    ishow_workspace live;   /* of ishow_prompt */
} job;

struct ishow_engine {
    ishow_engine_head head;
    int references; /* atomic */
    ishow_engine_options
        options; /* queue_capacity: under the lock; chunk_seconds, retries: atomic; the rest is constant */
    ishow_text_frontend frontend; /* the text thread's */
    pthread_t text_thread, inference_thread;

    pthread_mutex_t lock;
    pthread_cond_t text_work, model_work;
    int stopping;
    ishow_model_info info;  /* of the active backend; its shapes are constant */
    ishow_backend incoming; /* to be swapped in */
    int has_incoming;
    voice *voices;                    /* counted, in order of arrival */
    ishow_utterance *living, *newest; /* in order of `due` */
    size_t n_living;
    double work;                         /* frames x calls taken so far; one without guidance is half */
    double rate;                         /* work a second of busy time, recently; 0: not known */
    double measured_work, measured_busy; /* up to the last measurement */
    double share;              /* of the work of chunks as planned that rows take, recently: references may be known */
    _Atomic double busy_since; /* when the inference thread began what it does now; 0: it waits */
    ishow_engine_stats stats;  /* cache, waiting and in_flight are filled in when asked */

    ishow_cache *cache; /* thread-safe */
    ishow_mel *mel;     /* immutable; NULL for models without prompt */
    ishow_istft *istft; /* immutable */

    /* the inference thread's */
    ishow_backend backend;
    ishow_scheduler *scheduler;
    size_t n_slots;            /* max_rows, and one more for a chunk much shorter than all in flight */
    ishow_row_result *results; /* [n_slots] */
    job *jobs;                 /* [n_slots] */
    size_t n_jobs;             /* in flight */
    ishow_workspace tokens, index, phase, cond, frames, ends, real, imag, pcm, mod, calls, split;
    /* of prompt.c: rows of a call with their prompts; encoding, noise, keys and values of a reference */
    ishow_workspace prompted_rows, prompts, prompt_h, prompt_noise, kept;
    ishow_cache_key prompt_of; /* of what prompt_h holds */
    int prompt_warned;         /* that the cache is too small */
};

/* utterance.c; the lock is held where said */
void utterance_reference(ishow_utterance *utterance);
void utterance_release(ishow_utterance *utterance); /* may free it; a caller's thread must not hold the lock */
void utterance_end(ishow_engine *engine, ishow_utterance *utterance, ishow_status status,
                   const ishow_error *error);                  /* lock held, released during notify */
void utterance_push(ishow_utterance *utterance, piece *piece); /* lock held, likewise; takes piece over */
void chunks_free(chunk *chunks, size_t n);

/* words.c */
/* Gives a chunk, the bytes `span` of a reading, its words; offset: characters of the utterance's text before the text
 * that was read. The text thread. 0: out of memory. */
int words_take(chunk *chunk, const ishow_reading *reading, ishow_span span, size_t offset);
/* Sets from and to of its words in a row of `frames` frames, of which ref_frames are the reference's. ends: [n_tokens],
 * where each token ends; NULL: not known. The inference thread. */
void words_place(chunk *chunk, const size_t *ends, size_t ref_frames, size_t frames);
/* Gives a piece the words of a chunk of n samples that begins at the sample `begin` of the speech. Without memory it
 * has none. */
void words_of_piece(piece *piece, const chunk *chunk, size_t begin, size_t n, int sample_rate);

/* feed.c; the lock is held */
feed *feed_make(const ishow_request *request); /* NULL: out of memory */
void feed_free(feed *f);                       /* NULL allowed */
/* Bytes of its text that are to be spoken now, 0: none. *wake: lowered to when that changes by itself. */
size_t feed_due(const ishow_utterance *utterance, double now, double *wake);
/* Takes n bytes off the front; owned by the caller, NULL: out of memory. */
char *feed_take(ishow_utterance *utterance, size_t n);

/* The engine of this process, as engine/kind.h wants it: engine.c, voice.c, utterance.c */
void local_info(ishow_engine *engine, ishow_model_info *out);
ishow_status local_prepare_voice(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                                 ishow_error *error);
void local_discard_voice(ishow_prepared_voice *prepared);
void local_install_voice(ishow_engine *engine, ishow_prepared_voice *prepared);
ishow_status local_remove_voice(ishow_engine *engine, const char *id, ishow_error *error);
ishow_status local_list_voices(ishow_engine *engine, ishow_voice_entry **out, size_t *n, ishow_error *error);
ishow_status local_submit(ishow_engine *engine, const ishow_request *request, void (*notify)(void *user), void *user,
                          ishow_utterance **out, ishow_error *error);
ishow_status local_next(ishow_utterance *utterance, double timeout, const float **samples, size_t *n,
                        ishow_error *error);
void local_cancel(ishow_utterance *utterance);
ishow_status local_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                ishow_error *error); /* reading.c, like the next */
ishow_status local_reading(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error);
void local_timings(ishow_utterance *utterance, ishow_timings *out);
double local_progress(ishow_utterance *utterance);
void local_free_utterance(ishow_utterance *utterance);
ishow_status local_feed(ishow_utterance *utterance, const char *text, double timeout, ishow_error *error); /* feed.c */
ishow_status local_set_text(ishow_utterance *utterance, const char *text, size_t *kept, ishow_error *error);
ishow_status local_flush(ishow_utterance *utterance, ishow_error *error);
ishow_status local_end(ishow_utterance *utterance, ishow_error *error);
void local_words(ishow_utterance *utterance, const ishow_word **words, size_t *n);

/* sampler_input.c */
ishow_status sampler_input_check(const ishow_sampler_input *in, ishow_error *error);
/* Copies what is given into u; n_mels: the model's. The utterance stays releasable after an error. */
ishow_status sampler_input_take(ishow_utterance *u, const ishow_sampler_input *in, size_t n_mels, ishow_error *error);
/* The inference thread: x of a row at t = 0, and memory for its trajectory. */
ishow_status sampler_input_start(ishow_engine *engine, job *job, ishow_error *error);
void trajectory_state(const job *job); /* before a call: keeps x, unless it is in the middle of a step */
void trajectory_finish(ishow_engine *engine, job *job); /* hands the trajectory to the utterance */
void trajectories_free(trajectory *first);              /* with all that follow; NULL allowed */
ishow_status local_trajectory(ishow_utterance *utterance, size_t part, ishow_trajectory *out, ishow_error *error);

/* references.c */
void engine_release(ishow_engine *engine);

/* voice_samples.c */
void voice_samples_put_aside(voice *v);  /* from memory into a file, where that is possible */
void voice_samples_used(const voice *v); /* they are not needed for a while */
void voice_samples_free(voice *v);

/* voice.c */
voice *voice_find(ishow_engine *engine, const char *id); /* lock held; counted; NULL when absent. id NULL: the first */
void voice_release(voice *voice);                        /* NULL allowed */
ishow_status voice_missing(const ishow_engine *engine, const char *asked,
                           ishow_error *error); /* lock held; ENOTFOUND with the ids that there are */
/* The text ending with punctuation, as F5 requires of a reference. Owned by the caller; NULL: out of memory. */
char *voice_close_text(const char *text);

/* prepare.c: the text thread */
void *text_main(void *engine);

/* inference.c: the other one */
void *inference_main(void *engine);
ishow_status inference_scheduler(ishow_engine *engine, const ishow_model_info *info, ishow_scheduler **out,
                                 ishow_error *error); /* for a backend of this description */

/* encode.c: the inference thread, without the lock */
/* Log-mel of a voice's reference; *out is counted. */
ishow_status encode_reference(ishow_engine *engine, const voice *voice, ishow_cache_entry **out, ishow_error *error);
/* Frames of each of n tokens by the model's prediction, into engine->frames. */
ishow_status encode_durations(ishow_engine *engine, const int64_t *tokens, size_t n, ishow_error *error);
/* Runs the model's encode for `frames` frames, ref_frames of them the voice's reference, into h [2][frames * dim];
 * engine->ends says where each token ends, if the layout is aligned. Sets engine->index. */
ishow_status encode_frames(ishow_engine *engine, const voice *voice, const int64_t *tokens, size_t n_tokens,
                           size_t ref_frames, size_t frames, float *h, ishow_error *error);

/* render.c: the inference thread, without the lock */
ishow_status render_start(ishow_engine *engine, job *job,
                          ishow_error *error); /* prepares a row and adds it to the scheduler */
void render_finish(ishow_engine *engine, job *job,
                   const ishow_row_result *result);                     /* takes the row's result; may start it again */
void render_drop(ishow_engine *engine, job *job);                       /* frees the slot; buffers stay */
void render_conclude(ishow_engine *engine, ishow_utterance *utterance); /* ends one whose chunks are all joined; lock
                                                                           held, and let go meanwhile */
ishow_status render_step(void *engine, const ishow_step_row *rows, size_t n_rows,
                         ishow_error *error); /* the scheduler's step_fn */

/* prompt.c: the inference thread, without the lock */
/* Decides whether a row's steps leave its reference out, after encode_frames. 0: out of memory. */
int prompt_plan(ishow_engine *engine, job *job);
/* Copies of the rows of a call, with the prompts of those that leave it out, computed where the cache lacks them.
 * prompt_release after the call. */
ishow_status prompt_attach(ishow_engine *engine, const ishow_step_row *rows, size_t n, const ishow_step_row **out,
                           ishow_error *error);
void prompt_release(ishow_engine *engine, size_t n);

#endif
