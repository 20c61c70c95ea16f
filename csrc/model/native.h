/* The native backend: the networks of F5-TTS written with csrc/kernels/, without torch, without Python, without a
 * compiler.
 *
 *     T frames · D dim · I heads * dim_head · F feed-forward width · M mels
 *
 * native_weights.c and native_load.c read weights, native_text.c what a request needs once (text, reference,
 * modulation, durations), native_step.c the layers, native_euler.c one step of the flow, native_prompt.c the same where
 * a reference's keys and values are known, native_vocos.c the vocoder. Twin: ishowtts/model/{dit,unett,vocos,
 * duration}.py, compared graph by graph in tests/unit/test_native.py. The inference thread calls; a thread pool shares
 * each graph's work. Private to model/. */
#ifndef ISHOW_MODEL_NATIVE_H
#define ISHOW_MODEL_NATIVE_H

#include <kiss_fftr.h>

#include "base/base.h"
#include "kernels/kernels.h"
#include "model/model.h"

/* The products of a block, in the order of a recipe. */
enum { PRODUCT_QKV = 0, PRODUCT_OUT, PRODUCT_FF1, PRODUCT_FF2, PRODUCTS };

/* How the weights of a product are stored. */
typedef struct format {
    word_type type;
    int bits;     /* 0: as the type has them; 2 to 8: rounded to so many bits first */
    size_t group; /* with bits: weights of a column that share a scale and a zero point */
} format;

typedef struct block {
    matrix qkv, out, ff1, ff2;
    matrix skip; /* [D][2 D] of the residual stream and the mirrored block's input: second half of a UNetT */
    quantiser qkv_in, ff1_in, ff2_in; /* static, of 8-bit inputs, from a calibration; scale 0: dynamic */
} block;

/* A ConvNeXt block: V2 (with response norm) in the text encoder, V1 (with a scale of the branch) in the vocoder. */
typedef struct convnext {
    size_t dim, inner;
    float *dw, *dw_bias; /* [7][dim], [dim] */
    float *norm_gain, *norm_offset;
    matrix up, down;
    float *grn_gamma, *grn_beta; /* [inner], V2 */
    float *scale;                /* [dim], V1 */
} convnext;

typedef struct duration_block {
    matrix conv; /* k = taps * dim */
    float *norm_gain, *norm_offset;
} duration_block;

/* Tables of a source-filter vocoder; constant after creation, except each thread's FFT. */
typedef struct native_source native_source;

typedef struct native {
    ishow_model_info info;
    const kernels *k;
    thread_pool *pool;
    format *formats;                   /* [depth][PRODUCTS] of the blocks' products */
    word_type attention, conv, output; /* of attention, of the position convolutions, of the output product */
    word_type embed, vocoder;          /* of the vocoder's input; of its blocks, the projection of x, and skips */
    size_t dim, depth, heads, dim_head, rope_heads, inner, ff, mels, text_dim, n_tokens,
        speakers; /* the last `speakers` tokens name speakers */
    int mask_padding;
    size_t unett; /* 1: a UNetT: the embedding of the time is a row before those of a branch's frames, so this is also
                     the number of such rows; norms are root mean square. 0: a DiT, whose norms the time modulates */
    float mel_mean, mel_std;

    /* text encoder */
    float *embedding; /* [n_tokens][text_dim] */
    float *positions; /* [max_frames][text_dim] */
    size_t n_text;
    convnext *text;   /* [n_text] */
    matrix phase;     /* [text_dim][3], aligned */
    convnext frame;   /* aligned */
    matrix condition; /* [dim][mels + text_dim], with the bias */
    /* time */
    matrix time1, time2, guidance1, guidance2; /* guidance1 and 2: where info.guidance_max is above 0 */
    matrix *ada;                               /* DiT: [depth + 1]: blocks, final norm */
    /* transformer */
    matrix input;          /* [dim][mels] */
    matrix *conv1, *conv2; /* [CONV_GROUPS] */
    block *blocks;
    float *norms; /* UNetT: [2 depth + 1][D] gains: two of each block, that of the output */
    matrix proj_out;
    float *cos, *sin; /* [max_frames + unett][dim_head / 2] */
    /* vocoder */
    size_t vocos_dim, vocos_inner, n_vocos;
    matrix vocos_embed;
    float *vocos_norm_gain, *vocos_norm_offset, *vocos_final_gain, *vocos_final_offset;
    convnext *vocos; /* [n_vocos] */
    matrix head;
    int source_filter;     /* 1: source-filter head (native_source.c) */
    native_source *source; /* NULL: the head gives magnitudes and phases */
    /* durations */
    size_t duration_dim, n_duration, duration_taps;
    float *duration_embedding, *duration_gain, *duration_offset;
    duration_block *duration;
    matrix duration_out;

    struct packed *packed;         /* mapped file of packed matrices; NULL: not used */
    ishow_workspace a, b, c, d, e; /* shared by the tasks of the graph that runs */
    ishow_workspace *workspaces;   /* [threads]: each thread's own */
} native;

enum { CONV_GROUPS = 16, CONV_TAPS = 31, DW_TAPS = 7, TIME_WIDTH = 256 };

/* Reads everything `json` names (see ishow_native_options) into a zeroed native. */
ishow_status native_load(native *m, const char *json, ishow_error *error);
void native_unload(native *m);

/* The type in which these kernels multiply fp32 fastest. */
word_type native_exact(const native *m);
/* Sets m->formats: `all`, or those of a recipe, which is NULL for none. half: for bf16. EFORMAT. */
struct json_t;
ishow_status native_formats(native *m, const struct json_t *recipe, format all, word_type half, ishow_error *error);
/* Rounds each run of as->group weights of a row of w [n][k] to the nearest of 2^bits values between its smallest and
 * its largest. */
void native_round_weights(float *w, size_t n, size_t k, const format *as);

/* The memory of *w, grown to n floats, contents undefined; NULL: out of memory. */
float *workspace_floats(ishow_workspace *w, size_t n);
/* Grows every thread's own workspace to `bytes`; 0: out of memory. */
int native_workspaces(native *m, size_t bytes);
/* Rows of one task, so that tasks are of equal size and consist of whole tiles. */
size_t native_rows(const native *m, size_t rows);
/* Rows of the block that begins at `first`: the last one of `all` may be shorter. */
static inline size_t block_rows(size_t first, size_t block, size_t all) {
    return all - first < block ? all - first : block;
}

/* Words from one row of a left side to the next: with rows a multiple of 4 KiB apart, all would map to the same few
 * sets of the L1 cache. */
static inline size_t pitch(size_t words) { return words % 1024 ? words : words + 16; }

/* Bytes of *memory that native_operand uses for `rows` rows of k values. */
size_t operand_bytes(const native *m, word_type type, size_t rows, size_t k);
/* Converts rows of floats to a left side in `memory` and advances *memory past it; fp32 rows are used in place. fixed:
 * the static quantiser of WORD_S8; NULL or scale 0: dynamic. rest: as in to_words. */
operand native_operand(const native *m, word_type type, const float *x, size_t stride, size_t rows, size_t k,
                       const quantiser *fixed, float *rest, char **memory);

/* ---- source-filter head (native_source.c); threads: of the model's pool ---- */
native_source *native_source_create(size_t n_fft, size_t hop, double sample_rate,
                                    int threads); /* NULL: out of memory */
void native_source_free(native_source *s);
/* Number of values of a frame from the head: log-magnitude and phase of the filter, log-magnitude and phase of the rest
 * [bins each], pitch logits, voicing. */
size_t native_source_width(size_t bins);
size_t native_source_workspace(const native_source *s); /* bytes for each of the two functions below */
/* The pulse train [(frames - 1) * hop + n_fft] of the pitch in parts [frames][width]. */
void native_source_pulses(const native_source *s, const kernels *k, const float *parts, size_t frames, float *workspace,
                          float *wave);
/* One frame's spectrum [bins] from its parts [width] and the whole pulse train. */
void native_source_frame(const native_source *s, const kernels *k, int thread, size_t frame, const float *parts,
                         const float *wave, float *workspace, float *real, float *imag);

ishow_status native_encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error);
ishow_status native_modulate(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error);
ishow_status native_durations(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error);
ishow_status native_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error);
ishow_status native_prompt(void *self, const ishow_prompt_in *in, void *kept, ishow_error *error);
size_t native_prompt_bytes(void *self, size_t frames);
ishow_status native_vocode(void *self, const float *mel, size_t frames, float *real, float *imag, ishow_error *error);

#endif
