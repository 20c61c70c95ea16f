/* A model as a table of functions. engine/ uses only this; model/ (native, AOTInductor) and bridge/ (Python, CUDA)
 * implement it, and C tests use a fake one. All functions are called on one thread, the inference thread. */
#ifndef ISHOW_MODEL_MODEL_H
#define ISHOW_MODEL_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "flow/flow.h"
#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ishow_text_layout {
    ISHOW_TEXT_PADDED = 0, /* tokens padded with filler to the number of frames (released F5 models) */
    ISHOW_TEXT_AVERAGE,    /* the same, then spread evenly over the frames by index */
    ISHOW_TEXT_ALIGNED     /* one token a phone; each frame has its phone (index) and its position within it (phase) */
} ishow_text_layout;

typedef struct ishow_model_info {
    char name[64];           /* e.g. "demo", "F5TTS_v1_Base" */
    char backend[32];        /* "native", "aotinductor", "cuda", "eager", "torch.compile", "fake" */
    char precision[16];      /* "fp32", "bf16", "int8-dynamic", "int8-static" */
    char content_hash[65];   /* of the weights, hex */
    int sample_rate;         /* Hz, 24000 */
    int n_fft, hop;          /* of the mel in samples: 1024, 256 */
    int spectrum_fft;        /* window of the vocoder's spectrum in samples, even */
    int spectrum_hop;        /* hop of the vocoder's spectrum in samples */
    int n_mels;              /* 100 */
    float mel_mean, mel_std; /* log-mel = x * mel_std + mel_mean */
    int dim;                 /* width of h */
    int mod_width;           /* values of one modulation row */
    ishow_text_layout text_layout;
    int predicts_durations; /* 1 when `durations` works */
    int uses_prompt;        /* 0: the reference is not part of the sequence: the model speaks in its own voices only */
    size_t max_frames;      /* most frames of one row, including the reference */
    int nfe;                /* recommended steps of the solver; 0: not given */
    size_t chunk_frames;    /* recommended most frames of a row, as in training; 0: not given */
    float guidance_max;     /* highest strength of guidance that modulate takes; 0: not guidance-conditioned */
    size_t max_rows;        /* most rows of one step; 1 where a batch is not faster */
    int one_branch; /* 1: a row without guidance takes half the work, since the other branch is not computed; 0: both
                       are always computed */
} ishow_model_info;

/* 1 when a clip of a voice comes with its words, which are part of the row; 0: the model takes the clip alone, or none.
 */
static inline int ishow_clip_needs_text(const ishow_model_info *info) {
    return info->uses_prompt && info->text_layout != ISHOW_TEXT_ALIGNED;
}

static inline size_t ishow_spectrum_bins(const ishow_model_info *info) { return (size_t)info->spectrum_fft / 2 + 1; }

/* Frames of the vocoder's spectrum for `frames` (1 or more) of the mel: the last one begins at the end of the mel's
 * last hop or behind it. */
static inline size_t ishow_spectrum_frames(const ishow_model_info *info, size_t frames) {
    const size_t hop = (size_t)info->spectrum_hop;
    return ((frames - 1) * (size_t)info->hop + hop - 1) / hop + 1;
}

/* Input of encode; all pointers are borrowed. */
typedef struct ishow_encode_in {
    const int64_t *tokens; /* [n_tokens], already shifted: 0 is filler. PADDED and AVERAGE: n_tokens == frames */
    size_t n_tokens;
    const float *cond;    /* [frames * n_mels] raw log-mel, reference first; what follows is ignored */
    size_t ref_frames;    /* frames of cond that are reference; may be 0 */
    const int64_t *index; /* [frames] token of each frame (AVERAGE, ALIGNED), else NULL */
    const float *phase;   /* [frames] in (0, 1) (ALIGNED), else NULL */
    size_t frames;
} ishow_encode_in;

/* Input of prompt: a reference alone, as a row without frames to be made; all pointers are borrowed. */
typedef struct ishow_prompt_in {
    const float *cond;  /* [frames * n_mels] raw log-mel */
    const float *noise; /* [frames * n_mels] its x at t = 0; at t it is on the straight line from there to the mel */
    const float *h;     /* [frames * dim] of the conditional branch */
    const float *mod;   /* [mod_width], modulation at t */
    float t;
    size_t frames; /* 2 or more */
} ishow_prompt_in;

typedef struct ishow_backend {
    void *self;
    ishow_model_info info;
    /* h_cond, h_uncond: [frames * dim] out. A backend may leave them unwritten and keep what a step needs elsewhere,
     * with these addresses as keys; it then implements `release`, which is called when a row's h is no longer
     * needed. */
    ishow_status (*encode)(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error);
    /* mod: [n * mod_width] out, for n times in [0, 1]. guidance: [n] strengths for guidance-conditioned networks: a
     * step with that modulation gives the guided velocity from the conditional branch alone; 0: no guidance. Not read
     * where guidance_max is 0. */
    ishow_status (*modulate)(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error);
    /* one Euler step of up to info.max_rows rows */
    ishow_step_fn step;
    /* mel: [frames * n_mels] in the model's own units as step leaves it; real, imag: [ishow_spectrum_frames(frames) *
     * ishow_spectrum_bins()] out */
    ishow_status (*vocode)(void *self, const float *mel, size_t frames, float *real, float *imag, ishow_error *error);
    /* frames_out: [n] frames per token at speed 1, > 0. NULL when not predicted. tokens shifted as in encode. */
    ishow_status (*durations)(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error);
    void (*release)(void *self, const float *h_cond); /* NULL: nothing to release */
    /* Keys and values of all layers for the frames of a reference, prompt_bytes() bytes, 64-byte aligned, for
     * ishow_prompt.kept. Both NULL: steps compute all frames of a row. */
    ishow_status (*prompt)(void *self, const ishow_prompt_in *in, void *kept, ishow_error *error);
    size_t (*prompt_bytes)(void *self, size_t frames);
    /* Frees self. Called once, on the thread that owns the backend. */
    void (*close)(void *self);
} ishow_backend;

typedef struct ishow_aoti_options {
    const char *package_dir;   /* folder with manifest.json and one folder a graph */
    const char *torch_lib_dir; /* folder that holds libtorch_cpu.so */
    int threads;               /* OpenMP threads, 0: all cores */
} ishow_aoti_options;

/* Opens a package made by `python -m ishowtts.model.compile` through the C ABI of AOTInductor: no Python in the loop.
 * Shapes are checked here because the package does not. EFORMAT when the manifest is malformed, names another torch
 * version or another processor; EIO when a library cannot be loaded. Fills *out; call out->close(out->self) to free. */
ishow_status ishow_aoti_open(ishow_backend *out, const ishow_aoti_options *options, ishow_error *error);

typedef struct ishow_native_options {
    const char *model;   /* JSON: info, dit, mel, vocos, duration, and the weight files, as
                            ishowtts.model.source.native_json writes it */
    int threads;         /* 0: all cores */
    const char *kernels; /* "generic", "avx2", "avx512", "amx", "neon"; NULL: the fastest on this processor */
} ishow_native_options;

/* Opens a model whose networks run in this library's own kernels: nothing is compiled, and neither torch nor Python is
 * needed. Weights are .safetensors, read and packed here. ENOTFOUND, EFORMAT with file and tensor; EINVAL when the
 * architecture has parts that only torch runs. Fills *out; call out->close(out->self) to free. precision "fp32", "bf16"
 * (weights and products of the transformer and the vocoder), or "int8-dynamic" (weights of the transformer's blocks,
 * one scale a column, activations quantised in groups of 256 of a row, each between its smallest and largest value, and
 * twice before the output product of attention; attention, vocoder and input in bf16; modulation and output in fp32),
 * or "int8-static" (the same, but activations, except before that product, by quantisers that a calibration found,
 * whose file the description names: EFORMAT when it is of another model). */
ISHOW_API ishow_status ishow_native_open(ishow_backend *out, const ishow_native_options *options, ishow_error *error);

/* 1 when there are kernels for this processor's instruction set, so that the native backend should be used. */
ISHOW_API int ishow_native_fast(void);
/* 1 when they multiply bf16 faster than fp32. */
ISHOW_API int ishow_native_multiplies_bf16(void);

#ifdef __cplusplus
}
#endif
#endif
