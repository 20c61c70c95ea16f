/* CPU kernels of a network: products with packed weights, attention, norms, convolutions. They do not depend on models
 * or tensors.
 *
 * Operands of a product consist of 32-bit words, each with one fp32, two bf16 or four 8-bit values that are adjacent in
 * the summed dimension. So one loop serves all types: broadcast a word of the left side, multiply it with the words of
 * sixteen columns of the right side, and add; only that instruction differs. Weights are packed once into panels of
 * PANEL columns; sixteen words of one are a tile of AMX.
 *
 * The loops are written once (body.h) and compiled for each instruction set; `ishow_kernels_best` selects one at run
 * time. The generic variant is portable C, the reference that tests compare the others with. Functions are pure and may
 * be called from any thread. */
#ifndef ISHOW_KERNELS_KERNELS_H
#define ISHOW_KERNELS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

enum {
    PANEL = 16,           /* columns of a panel */
    QUERIES_MOST = 32,    /* most queries that a kernel processes at once */
    KERNEL_WIDTH = 16384, /* widest row of an operand, in values */
    S8_GROUP = 256        /* 8-bit values of a row that share a scale and a shift */
};

/* WORD_BF16X3: fp32 as the sum of three bf16 with its leading, middle and last 8 bits, for processors on which bf16
 * products are many times as fast. 32 values are stored as X3_PLANE words of each part. Of the nine products of parts
 * the six largest are added; the others are below fp32's precision (infinities become NaN, subnormal parts 0; Henry,
 * Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations",
 * 2019, section III). */
typedef enum word_type { WORD_F32 = 0, WORD_BF16, WORD_S8, WORD_BF16X3, WORD_TYPES } word_type;
enum { X3_PLANE = 16, X3_WORDS = 3 * X3_PLANE, X3_VALUES = 2 * X3_PLANE };

/* Words of k values of a right side. */
static inline size_t words_of(word_type type, size_t k) {
    if (type == WORD_BF16X3) return (k + X3_VALUES - 1) / X3_VALUES * X3_WORDS;
    return type == WORD_F32 ? k : type == WORD_BF16 ? (k + 1) / 2 : (k + 3) / 4;
}

static inline size_t groups_of(size_t k) { return (k + S8_GROUP - 1) / S8_GROUP; }

/* Affine quantisation: the 8-bit value q in -127 .. 127 stands for scale * q + shift. */
typedef struct quantiser {
    float scale, shift;
} quantiser;

/* The right side of a product: y[n] = sum over k of x[k] w[n][k], + bias. */
typedef struct matrix {
    word_type type;
    size_t n, k, words; /* words: in one column */
    uint32_t *panels;   /* [ceil(n / PANEL)][words][PANEL]; 8-bit values are stored + 128 */
    float *scale;       /* [n, padded], WORD_S8: value = stored * scale */
    float *sums;        /* [groups][n, padded], WORD_S8: of the stored values of a group */
    float *bias;        /* [n, padded] or NULL */
    int borrowed;       /* 1: the memory is not owned, and is only read */
} matrix;

/* Packs w [n][k] (row n at w + n * k) and bias (NULL: none). WORD_S8: symmetric, one scale a column. ENOMEM. */
ishow_status matrix_pack(matrix *out, word_type type, const float *w, const float *bias, size_t n, size_t k,
                         ishow_error *error);
void matrix_free(matrix *m); /* frees and zeroes it; a zeroed one is allowed */
size_t matrix_bytes(const matrix *m);

/* The left side: rows of `left_words` words each. Consecutive rows may overlap (stride < words), which makes the
 * product a convolution. */
typedef struct operand {
    const uint32_t *words;
    size_t stride;               /* words from one row to the next */
    const quantiser *quantisers; /* [rows][groups], WORD_S8 */
    const int32_t *sums;         /* [rows][groups], WORD_S8: of a group's 8-bit values */
    int pairs;                   /* 1: each odd row is the difference from the row before it, by `subtract` */
} operand;

typedef enum product_end {
    PRODUCT_STORE = 0, /* out = y */
    PRODUCT_ADD,       /* out += y */
    PRODUCT_GATED,     /* out += gate * y, gate [n] */
    PRODUCT_GELU_TANH,
    PRODUCT_GELU,
    PRODUCT_MISH,
    PRODUCT_SILU /* out = f(y) */
} product_end;

typedef struct attention {
    const float *q, *k, *v; /* row r at offset r * stride, width values each */
    size_t stride, frames;
    size_t width;           /* of one head, a multiple of PANEL */
    const float *cos, *sin; /* [frames][width / 2] rotary tables; NULL: no rotation */
    word_type type;         /* WORD_F32, or WORD_BF16: products may be computed in bf16 */
    float *out;             /* row r at offset r * out_stride */
    size_t out_stride;
    void *workspace; /* attention_workspace() bytes, 64-byte aligned */
    /* Attention of some frames to all, where keys and values of the others are known. */
    const uint32_t *at; /* [rows] frame of each row of q, k, v and out, increasing; NULL: row f is frame f */
    size_t rows;        /* with `at` */
    const uint32_t *known_keys, *known_values; /* by `keep`, of the leading n_known frames; those of `at` are replaced.
                                                  Every frame is one of these or one of `at` */
    size_t n_known;
} attention;

size_t attention_workspace(size_t frames, size_t width);

typedef struct kernels {
    const char *name;
    size_t rows;  /* rows of a product's tile; blocks of rows should be multiples of it */
    size_t block; /* most rows of a block: more rows read the weights less often, fewer keep the values between two
                     products in a nearer cache */
    size_t spread[WORD_TYPES]; /* words of a left side for one of a right side; 2 where it is widened (bf16 to fp32, 8
                                  to 16 bits), 0 where the type is not supported */
    /* out[r * stride + n] for rows [0, rows). gate: PRODUCT_GATED only. With pairs `rows` is even, and results are
     * those of whole rows. */
    void (*product)(const operand *a, size_t rows, const matrix *w, product_end end, const float *gate, float *out,
                    size_t stride);
    /* Rows of floats to words of a left side: x[r * stride_x + k] to words[r * stride + ...], the last word or stretch
     * padded with zeros. WORD_S8 also writes `quantisers` and `sums`, both [rows][groups]. fixed: the quantiser of
     * every group, values beyond its range saturate (static quantisation); NULL: each group gets the quantiser that
     * spans its smallest to its largest value (dynamic quantisation). rest: NULL, or for WORD_S8 the quantisation
     * error, laid out like x; may be x. */
    void (*to_words)(word_type type, const float *x, size_t stride_x, size_t rows, size_t k, const quantiser *fixed,
                     uint32_t *words, size_t stride, quantiser *quantisers, int32_t *sums, float *rest);
    /* Subtracts from each odd row of k values the row before it, in place, for an operand with pairs. Two rows that are
     * quantised in this way have the same quantisation error but for that of their difference, which is smaller. */
    void (*subtract)(float *x, size_t stride, size_t rows, size_t k);
    /* out = (x - mean) / sqrt(var + eps) * gain + offset, over dim values of each row. */
    void (*norm)(const float *x, size_t stride_x, size_t rows, size_t dim, float eps, const float *gain,
                 const float *offset, float *out, size_t stride);
    /* out = x / sqrt(mean of x * x + eps) * gain, over dim values of each row. */
    void (*rms_norm)(const float *x, size_t stride_x, size_t rows, size_t dim, float eps, const float *gain, float *out,
                     size_t stride);
    /* One head over all frames: softmax(q k' / sqrt(width)) v. */
    void (*attend)(const attention *a);
    /* Writes keys, rotary embedding applied, and values of all frames for a later `attend` by the same kernels with the
     * same type: keys_words() and values_words() words. */
    void (*keep)(const attention *a, uint32_t *keys, uint32_t *values);
    /* Depthwise convolution over rows [begin, begin + rows) of x [total][dim], zero padded: w [taps][dim], taps odd.
     * out [rows][dim]. */
    void (*depthwise)(const float *x, size_t total, size_t begin, size_t rows, size_t dim, const float *w, size_t taps,
                      const float *bias, float *out);
    /* x += dt (c + (c - u) cfg), n values */
    void (*guided_step)(float *x, const float *c, const float *u, float dt, float cfg, size_t n);
    /* log-magnitudes and phases to a complex spectrum, magnitudes at most `most` */
    void (*spectrum)(const float *log_magnitude, const float *phase, float most, float *real, float *imag, size_t n);
    /* out = gelu(x), exact; n values; out may be x */
    void (*gelu)(const float *x, float *out, size_t n);
} kernels;

/* Words of k values of a left side. */
static inline size_t left_words(const kernels *kernels, word_type type, size_t k) {
    return words_of(type, k) * kernels->spread[type];
}

/* Words that `keep` writes for `frames` frames of a head. */
static inline size_t keys_words(const kernels *kernels, word_type type, size_t frames, size_t width) {
    return (frames + PANEL - 1) / PANEL * PANEL * words_of(kernels->spread[type] == 1 ? type : WORD_F32, width);
}
static inline size_t values_words(const kernels *kernels, word_type type, size_t frames, size_t width) {
    return width * words_of(kernels->spread[type] == 1 ? type : WORD_F32, frames);
}

/* The fastest kernels for this processor. */
const kernels *ishow_kernels_best(void);
/* 1 when these multiply bf16 faster than fp32 on this processor. */
int ishow_kernels_bf16_fast(const kernels *k);
/* By name: "generic", "avx2", "avx512", "amx", "neon"; NULL when this processor lacks it. */
const kernels *ishow_kernels_named(const char *name);

/* ---- thread_pool.c ---- */
typedef struct thread_pool thread_pool;
/* threads >= 1, the caller's included. NULL: out of memory, or a thread cannot be created. */
thread_pool *thread_pool_create(int threads);
void thread_pool_free(thread_pool *t); /* NULL allowed */
int thread_pool_threads(const thread_pool *t);
/* Calls task(self, i, thread) once for every i in [0, n), on the pool's workers and the caller's thread; thread is in
 * [0, threads). Returns when all are done. One caller at a time. Which thread runs which i is not defined, so results
 * must not depend on it. */
void thread_pool_run(thread_pool *t, size_t n, void (*task)(void *self, size_t i, int thread), void *self);

#endif
