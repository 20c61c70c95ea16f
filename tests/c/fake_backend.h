/* A small deterministic model and a front end of bytes, for tests of the engine. Both check how they are called. */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"
#include "model/model.h"

enum { FAKE_RATE = 8000, FAKE_N_FFT = 256, FAKE_HOP = 64, FAKE_MELS = 20, FAKE_DIM = 4, FAKE_MOD = 3 };

/* Knobs and counters. Set knobs before the engine runs or by fake_set; read counters by fake_get or after the engine is
 * gone. The struct outlives the engine. */
typedef struct fake_model {
    pthread_mutex_t lock;
    /* knobs */
    int nan_at;          /* a row gets a NaN at this step (1-based) ... */
    int nan_rows;        /* ... as long as this is positive; each costs one */
    int error_at;        /* the call that holds some row's step of this number fails ... */
    int error_rows;      /* ... likewise */
    int silent_clips;    /* vocoded clips that come out silent; each costs one */
    int nan_clips;       /* vocoded clips that come out with a NaN; each costs one */
    int slow_us;         /* each step takes this long ... */
    int slow_frame_ns;   /* ... and this for each frame of its rows */
    int wrong_durations; /* durations answers NaN */
    int broken_modulation;
    float guidance_max; /* before fake_backend() */
    int keeps_prompts;  /* it has `prompt`; likewise */
    /* counters */
    int encodes, modulates, steps, row_steps, most_rows, vocodes, durations, closed;
    int wrong_thread; /* calls from another thread than the first */
    int malformed;    /* inputs that break the contract */
    size_t last_frames, last_ref_frames, last_tokens;
    int both;              /* rows of steps with both branches */
    int prompts, prompted; /* calls of prompt, rows of steps after one */
    size_t known;          /* frames that the last of these left out */
    float guidance;        /* strength of guidance at the last time of the last modulate */
    float last_noise;      /* a value of x that the model leaves alone, of the last vocoded clip */
    int has_thread;
    pthread_t thread;
} fake_model;

typedef struct fake_text {
    pthread_mutex_t lock;
    int slow_us;
    int normalizes, tokenizes, closed, wrong_thread;
    char voice[65];   /* that the last text was tokenised for */
    char parts[4096]; /* all texts that were tokenised, each followed by "|", as far as they fit */
    int has_thread;
    pthread_t thread;
} fake_text;

void fake_model_init(fake_model *model);
void fake_text_init(fake_text *text);
void fake_set(fake_model *model, int *knob, int value);
int fake_get(fake_model *model, const int *counter);

/* layout decides whether durations are predicted (ALIGNED). */
ishow_backend fake_backend(fake_model *model, ishow_text_layout layout, int uses_prompt, size_t max_rows,
                           size_t max_frames);

/* One token a byte. A text with "%N" fails in normalize (EPYTHON), with "%T" in tokenize (EPYTHON); "#" alone has
 * nothing speakable (EINVAL). Markup: parts end with "|" and may begin with "p=SECONDS;", "s=SPEED;", "v=VOICE;". */
ishow_text_frontend fake_frontend(fake_text *text);

/* Adds a voice of 2 s of tone with silence around it, at 16 kHz; level is the tone's amplitude. */
void fake_voice(ishow_engine *engine, const char *id, const char *ref_text, float level);

#endif
