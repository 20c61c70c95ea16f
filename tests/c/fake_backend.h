/* A small deterministic model and a front end with one token per byte, for tests of the engine. Both check their
 * arguments. */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "model/model.h"

#define FAKE_MEL_MEAN (-2.0f)
#define FAKE_MEL_STD  3.0f
enum { FAKE_RATE = 8000, FAKE_N_FFT = 256, FAKE_HOP = 64, FAKE_MELS = 20, FAKE_DIM = 4, FAKE_MOD = 3 };

/* Settings and counters. Change settings before the engine runs or with fake_set; read counters with fake_get or after
 * the engine is freed. The struct outlives the engine. */
typedef struct fake_model {
    pthread_mutex_t lock;
    /* knobs */
    int nan_at;          /* a row gets a NaN at this step (1-based) ... */
    int nan_rows;        /* ... while this is positive; each time subtracts one */
    int error_at;        /* a call with some row's step of this number fails ... */
    int error_rows;      /* ... likewise */
    int silent_clips;    /* number of vocoded clips that are to be silent; each subtracts one */
    int nan_clips;       /* number of vocoded clips that are to hold a NaN; each subtracts one */
    int slow_us;         /* duration of each step ... */
    int slow_frame_ns;   /* ... and what each frame of its rows adds */
    int wrong_durations; /* durations returns NaN */
    int broken_modulation;
    float guidance_max; /* set before fake_backend(), like the next */
    int keeps_prompts;  /* the backend has `prompt` */
    /* counters */
    int encodes, modulates, steps, row_steps, most_rows, vocodes, durations, closed;
    int wrong_thread; /* calls from a thread other than the first caller's */
    int malformed;    /* inputs that violate the contract of ishow_backend */
    size_t last_frames, last_ref_frames, last_tokens;
    int both;              /* row steps with both branches of guidance */
    int prompts, prompted; /* calls of prompt, row steps after one */
    size_t known;          /* frames that the last of these left out */
    float guidance;        /* guidance strength at the last time of the last modulate */
    float last_noise;      /* a value of x that the model does not change, of the last vocoded clip */
    int has_thread;
    pthread_t thread;
} fake_model;

typedef struct fake_text {
    pthread_mutex_t lock;
    int slow_us;
    int normalizes, tokenizes, closed, wrong_thread;
    char voice[65];   /* for which the last text was tokenised */
    char parts[4096]; /* all tokenised texts, each followed by "|", as far as they fit */
    int has_thread;
    pthread_t thread;
} fake_text;

void fake_model_init(fake_model *model);
void fake_text_init(fake_text *text);
void fake_set(fake_model *model, int *knob, int value);
int fake_get(fake_model *model, const int *counter);

/* `layout` ALIGNED: durations are predicted. */
ishow_backend fake_backend(fake_model *model, ishow_text_layout layout, int uses_prompt, size_t max_rows,
                           size_t max_frames);

/* One token per byte. A text with "%N" fails in normalize (EPYTHON), one with "%T" in tokenize (EPYTHON); "#" alone has
 * nothing speakable (EINVAL). Markup: parts end with "|" and may begin with "p=SECONDS;", "s=SPEED;", "v=VOICE;". */
ishow_text_frontend fake_frontend(fake_text *text);

/* Adds a voice of 2 s of tone with silence around it, at 16 kHz; level is the tone's amplitude. */
void fake_voice(ishow_engine *engine, const char *id, const char *ref_text, float level);

#endif
