/* The loops of kernels.h for one instruction set. Included by amx.c, avx512.c, avx2.c, neon.c and generic.c, which
 * define LANES (floats of a vector), ROWS and PANELS (what a tile of a product holds in registers), TABLE and NAME. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/table.h"
#include "kernels/vector.h"

enum { VPP = PANEL / LANES, TILE_VECS = PANELS * VPP, TILE_WIDTH = PANELS * PANEL };

/* ---- products ---- */

INLINE vec dot_f32(vec acc, const uint32_t *a, ivec w) {
    float x;
    memcpy(&x, a, sizeof x);
    return fma_(splat(x), (vec)w, acc);
}

/* A word of the left side may be widened to two, from which products are faster: without bf16 instructions values are
 * kept as fp32; without 8-bit dot products they become even and odd ones of 16 bits, for vpmaddwd (the 16-bit sums of
 * vpmaddubsw would saturate). */
#if defined USE_AVX512
#define BF16_SPREAD 1
INLINE vec dot_bf16(vec acc, const uint32_t *a, ivec w) {
    return (vec)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)isplat((int32_t)*a));
}
#else
#define BF16_SPREAD 2
INLINE vec dot_bf16(vec acc, const uint32_t *a, ivec w) {
    acc = dot_f32(acc, a, (ivec)((uvec)w << 16));
    return dot_f32(acc, a + 1, w & (int32_t)0xffff0000u);
}
#endif

/* left: four signed bytes; right: four in each lane, stored + 128. S8_ZERO: the offset that each right value thereby
 * adds to the sums. */
#define S8_ZERO 128
#if defined USE_AVX512
#define S8_SPREAD 1
INLINE ivec dot_s8(ivec acc, const uint32_t *a, ivec w) {
    return (ivec)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)isplat((int32_t)*a));
}
#elif defined USE_AVX2
#define S8_SPREAD 2
INLINE ivec dot_s8(ivec acc, const uint32_t *a, ivec w) {
    __m256i even =
        _mm256_madd_epi16((__m256i)isplat((int32_t)a[0]), _mm256_and_si256((__m256i)w, _mm256_set1_epi16(255)));
    __m256i odd = _mm256_madd_epi16((__m256i)isplat((int32_t)a[1]), _mm256_srli_epi16((__m256i)w, 8));
    return acc + (ivec)_mm256_add_epi32(even, odd);
}
#elif defined USE_NEON
#define S8_SPREAD 1
#undef S8_ZERO
#define S8_ZERO 0
INLINE ivec dot_s8(ivec acc, const uint32_t *a, ivec w) {
    return (ivec)vdotq_s32((int32x4_t)acc, vreinterpretq_s8_s32((int32x4_t)(w ^ (int32_t)0x80808080u)),
                           vreinterpretq_s8_u32(vdupq_n_u32(*a)));
}
#else
#define S8_SPREAD 1
INLINE ivec dot_s8(ivec acc, const uint32_t *a, ivec w) {
    for (int byte = 0; byte < 32; byte += 8) acc += (int32_t)(int8_t)(*a >> byte) * (ivec)(((uvec)w >> byte) & 255u);
    return acc;
}
#endif

/* One tile: ROWS rows by `panels` panels of `length` words, of which `words` are multiplied; out [ROWS][TILE_VECS]
 * receives the sums, or is increased by them with `more`. */
#define DEFINE_TILE(name, spread, dot)                                                                             \
    INLINE void name##_n(const uint32_t *const *a, const uint32_t *w, size_t length, size_t words, int panels,     \
                         int more, vec *out) {                                                                     \
        vec acc[ROWS][TILE_VECS];                                                                                  \
        memset(acc, 0, sizeof acc);                                                                                \
        if (more)                                                                                                  \
            _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)                                                \
                _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) acc[r][v] = out[r * TILE_VECS + v]; \
        const size_t next = length * PANEL;                                                                        \
        for (size_t k = 0; k < words; k++) {                                                                       \
            ivec column[TILE_VECS];                                                                                \
            _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) column[v] =                             \
                iload(w + (size_t)(v / VPP) * next + k * PANEL + (size_t)(v % VPP) * LANES);                       \
            _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)                                                \
                _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) acc[r][v] =                         \
                    dot(acc[r][v], a[r] + k * spread, column[v]);                                                  \
        }                                                                                                          \
        _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)                                                    \
            _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) out[r * TILE_VECS + v] = acc[r][v];     \
    }                                                                                                              \
    static __attribute__((noinline)) void name(const uint32_t *const *a, const uint32_t *w, size_t length,         \
                                               size_t words, int panels, int more, vec *out) {                     \
        if (PANELS == 2 && panels == 2)                                                                            \
            name##_n(a, w, length, words, PANELS, more, out);                                                      \
        else                                                                                                       \
            name##_n(a, w, length, words, 1, more, out);                                                           \
    }

DEFINE_TILE(tile_f32, 1, dot_f32)
DEFINE_TILE(tile_bf16, BF16_SPREAD, dot_bf16)
/* Per row of a group: the start of its integer sum, which cancels S8_ZERO, and its quantiser. */
typedef struct share {
    int32_t start[ROWS];
    float scale[ROWS], shift[ROWS];
} share;

/* The same for one group of 8-bit values, whose integer sums are converted to float; sums: of the right side, from the
 * tile's first column on. */
INLINE void tile_s8_n(const uint32_t *const *a, const share *s, const uint32_t *w, const float *sums, size_t length,
                      size_t words, int panels, int more, vec *out) {
    ivec acc[ROWS][TILE_VECS];
    _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)
        _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) acc[r][v] = isplat(s->start[r]);
    const size_t next = length * PANEL;
    for (size_t k = 0; k < words; k++) {
        ivec column[TILE_VECS];
        _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) column[v] =
            iload(w + (size_t)(v / VPP) * next + k * PANEL + (size_t)(v % VPP) * LANES);
        _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)
            _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) acc[r][v] =
                dot_s8(acc[r][v], a[r] + k * S8_SPREAD, column[v]);
    }
    _Pragma("GCC unroll 12") for (int r = 0; r < ROWS; r++)
        _Pragma("GCC unroll 8") for (int v = 0; v < panels * VPP; v++) {
        vec before = more ? out[r * TILE_VECS + v] : splat(0);
        before = fma_(load(sums + v * LANES), splat(s->shift[r]), before);
        out[r * TILE_VECS + v] = fma_(__builtin_convertvector(acc[r][v], vec), splat(s->scale[r]), before);
    }
}
static __attribute__((noinline)) void tile_s8(const uint32_t *const *a, const share *s, const uint32_t *w,
                                              const float *sums, size_t length, size_t words, int panels, int more,
                                              vec *out) {
    if (PANELS == 2 && panels == 2)
        tile_s8_n(a, s, w, sums, length, words, PANELS, more, out);
    else
        tile_s8_n(a, s, w, sums, length, words, 1, more, out);
}

/* For fp32 or bf16. */
INLINE void tile_any(word_type type, const uint32_t *const *a, const uint32_t *w, size_t length, size_t words,
                     int panels, int more, vec *out) {
    if (type == WORD_F32)
        tile_f32(a, w, length, words, panels, more, out);
    else
        tile_bf16(a, w, length, words, panels, more, out);
}

INLINE vec activate(product_end end, vec y) {
    switch (end) {
    case PRODUCT_GELU_TANH: return vgelu_tanh(y);
    case PRODUCT_GELU: return vgelu(y);
    case PRODUCT_MISH: return vmish(y);
    case PRODUCT_SILU: return vsilu(y);
    default: return y;
    }
}

INLINE void finish_tile(const vec *tile, size_t row, size_t rows, const matrix *w, size_t column, int panels,
                        product_end end, const float *gate, float *out, size_t stride) {
    for (int v = 0; v < panels * VPP; v++) {
        size_t at = column + (size_t)v * LANES;
        if (at >= w->n) return;
        vec bias = w->bias ? load(w->bias + at) : splat(0), scale = w->type == WORD_S8 ? load(w->scale + at) : splat(1);
        size_t whole = w->n - at >= LANES ? LANES : w->n - at;
        const vec gates = end == PRODUCT_GATED ? load_some(gate + at, whole) : splat(1);
        for (size_t r = 0; r < rows; r++) {
            vec y = tile[r * TILE_VECS + (size_t)v];
            y = activate(end, fma_(y, scale, bias));
            float *place = out + (row + r) * stride + at;
            if (end == PRODUCT_ADD || end == PRODUCT_GATED) {
                const vec before = load_some(place, whole);
                y = end == PRODUCT_GATED ? fma_(gates, y, before) : before + y;
            }
            store_some(place, y, whole);
        }
    }
}

static void finish(const vec *tile, size_t row, size_t rows, const matrix *w, size_t column, int panels,
                   product_end end, const float *gate, float *out, size_t stride) {
    switch (end) { /* one loop each, without a branch inside */
    case PRODUCT_STORE: finish_tile(tile, row, rows, w, column, panels, PRODUCT_STORE, gate, out, stride); break;
    case PRODUCT_ADD: finish_tile(tile, row, rows, w, column, panels, PRODUCT_ADD, gate, out, stride); break;
    case PRODUCT_GATED: finish_tile(tile, row, rows, w, column, panels, PRODUCT_GATED, gate, out, stride); break;
    case PRODUCT_GELU_TANH:
        finish_tile(tile, row, rows, w, column, panels, PRODUCT_GELU_TANH, gate, out, stride);
        break;
    case PRODUCT_GELU: finish_tile(tile, row, rows, w, column, panels, PRODUCT_GELU, gate, out, stride); break;
    case PRODUCT_MISH: finish_tile(tile, row, rows, w, column, panels, PRODUCT_MISH, gate, out, stride); break;
    case PRODUCT_SILU: finish_tile(tile, row, rows, w, column, panels, PRODUCT_SILU, gate, out, stride); break;
    }
}

INLINE share share_of(const operand *a, size_t groups, size_t group, size_t row, size_t rows) {
    share s;
    for (size_t r = 0; r < ROWS; r++) {
        const size_t at = (row + (r < rows ? r : rows - 1)) * groups + group;
        s.start[r] = -S8_ZERO * a->sums[at], s.scale[r] = a->quantisers[at].scale, s.shift[r] = a->quantisers[at].shift;
    }
    return s;
}

/* Panels are processed in blocks of DEPTH words, 16 KiB, which stay in the L1 cache for GROUP rows; for 8-bit values,
 * in groups. */
static void product(const operand *a, size_t rows, const matrix *w, product_end end, const float *gate, float *out,
                    size_t stride) {
    enum { DEPTH = 256 / PANELS, TILES = 8, GROUP = TILES * ROWS, KEPT = 16 };
    vec tiles[TILES][ROWS * TILE_VECS] __attribute__((aligned(64)));
    share shares[TILES][KEPT]; /* the same for all columns; for the first KEPT groups, usually all */
    const int s8 = w->type == WORD_S8;
    const size_t n_panels = (w->n + PANEL - 1) / PANEL, spread = TABLE.spread[w->type], groups = groups_of(w->k),
                 depth = s8 ? S8_GROUP / 4 : DEPTH;
    for (size_t group = 0; group < rows; group += GROUP) {
        const size_t end_row = rows - group < GROUP ? rows : group + GROUP;
        for (size_t row = group; s8 && row < end_row; row += ROWS)
            for (size_t g = 0; g < groups && g < KEPT; g++)
                shares[(row - group) / ROWS][g] =
                    share_of(a, groups, g, row, end_row - row < ROWS ? end_row - row : ROWS);
        for (size_t p = 0; p < n_panels; p += PANELS) {
            const int panels = n_panels - p < PANELS ? 1 : PANELS;
            const uint32_t *panel = w->panels + p * w->words * PANEL;
            for (size_t k = 0; k < w->words; k += depth)
                for (size_t row = group; row < end_row; row += ROWS) {
                    const size_t these = end_row - row < ROWS ? end_row - row : ROWS, t = (row - group) / ROWS;
                    const uint32_t *pointers[ROWS];
                    for (size_t r = 0; r < ROWS; r++)
                        pointers[r] = a->words + (row + (r < these ? r : these - 1)) * a->stride + k * spread;
                    const size_t words = w->words - k < depth ? w->words - k : depth;
                    if (s8) {
                        share own;
                        if (k / depth >= KEPT) own = share_of(a, groups, k / depth, row, these);
                        tile_s8(pointers, k / depth < KEPT ? &shares[t][k / depth] : &own, panel + k * PANEL,
                                w->sums + (k / depth * n_panels + p) * PANEL, w->words, words, panels, k > 0, tiles[t]);
                    } else {
                        tile_any(w->type, pointers, panel + k * PANEL, w->words, words, panels, k > 0, tiles[t]);
                    }
                }
            for (size_t row = group; row < end_row; row += ROWS)
                finish(tiles[(row - group) / ROWS], row, end_row - row < ROWS ? end_row - row : ROWS, w, p * PANEL,
                       panels, end, gate, out, stride);
        }
    }
}

/* ---- words ---- */

#if defined USE_AVX512
INLINE hvec to_bf16(vec x) { return (hvec)_mm512_cvtneps_pbh((__m512)x); }
#else
INLINE hvec to_bf16(vec x) {
    ivec u = (ivec)x;
    u = (ivec)(((uvec)u + 0x7fffu + (((uvec)u >> 16) & 1u)) >> 16);
    return __builtin_convertvector((uvec)u, hvec);
}
#endif

static void row_to_bf16(const float *x, size_t k, uint32_t *words) {
    uint16_t *out = (uint16_t *)words;
    size_t i = 0;
    for (; i + LANES <= k; i += LANES) {
        hvec h = to_bf16(load(x + i));
        memcpy(out + i, &h, sizeof h);
    }
    for (; i < k; i++) out[i] = (uint16_t)bf16_bits(x[i]);
    if (k % 2) out[k] = 0;
}

#if defined USE_AMX
#define X3_SPREAD 1
/* Converts a row to three bf16 a value, padded with zeros. */
static void row_to_x3(const float *x, size_t k, uint32_t *words) {
    for (size_t i = 0; i < k; i += X3_VALUES, words += X3_WORDS) {
        float part[X3_VALUES] = {0};
        memcpy(part, x + i, (k - i < X3_VALUES ? k - i : X3_VALUES) * sizeof *part);
        for (size_t p = 0; p < 3; p++)
            for (size_t l = 0; l < X3_VALUES; l += LANES) {
                const vec v = load(part + l);
                const hvec h = to_bf16(v);
                memcpy((uint16_t *)(words + p * X3_PLANE) + l, &h, sizeof h);
                store(part + l, v - (vec)(__builtin_convertvector(h, uvec) << 16));
            }
    }
}
#else
#define X3_SPREAD 0
static void row_to_x3(const float *x, size_t k, uint32_t *words) {
    (void)x, (void)k, (void)words;
} /* never called: its spread is 0 */
#endif

/* Quantises k values to the nearest q and returns the sum of all q. saturate (a compile-time constant): values may be
 * outside the quantiser's range and are clamped to it. rest: NULL, or receives the quantisation errors. */
INLINE int32_t quantise(const float *x, size_t k, quantiser on, int saturate, int8_t *out, float *rest) {
    const float factor = on.scale > 0 ? 1.0f / on.scale : 0.0f;
    ivec total = {0};
    size_t i = 0;
    for (; i + LANES <= k; i += LANES) {
        vec v = load(x + i), place = (v - on.shift) * factor;
        if (saturate) place = vmin(vmax(place, splat(-127.0f)), splat(127.0f));
        ivec q = (ivec)(place + MAGIC) - MAGIC_BITS;
        bvec b = __builtin_convertvector(q, bvec);
        memcpy(out + i, &b, sizeof b);
        total += q;
        if (rest) store(rest + i, v - fma_(__builtin_convertvector(q, vec), splat(on.scale), splat(on.shift)));
    }
    int32_t s = 0;
    for (int l = 0; l < LANES; l++) s += total[l];
    for (; i < k; i++) {
        const float v = x[i], place = (v - on.shift) * factor;
        out[i] = (int8_t)lrintf(saturate ? fminf(fmaxf(place, -127.0f), 127.0f) : place);
        s += out[i];
        if (rest) rest[i] = v - (out[i] * on.scale + on.shift);
    }
    for (; i % 4; i++) out[i] = 0;
    return s;
}

/* The quantiser whose range is the smallest to the largest of k >= 1 values. */
INLINE quantiser quantiser_of(const float *x, size_t k) {
    vec low = splat(x[0]), high = low;
    size_t i = 0;
    for (; i + LANES <= k; i += LANES) {
        vec v = load(x + i);
        low = vmin(v, low);
        high = vmax(v, high);
    }
    float least = -max_of(-low), most = max_of(high);
    for (; i < k; i++) least = fminf(least, x[i]), most = fmaxf(most, x[i]);
    return (quantiser){.scale = (most - least) / 254.0f, .shift = 0.5f * (most + least)};
}

static void row_to_s8(const float *x, size_t k, const quantiser *fixed, uint32_t *words, quantiser *quantisers,
                      int32_t *sums, float *rest) {
    for (size_t first = 0, g = 0; first < k; first += S8_GROUP, g++) {
        const size_t n = k - first < S8_GROUP ? k - first : S8_GROUP;
        float *left = rest ? rest + first : NULL;
        int8_t *out = (int8_t *)words + first;
        quantisers[g] = fixed ? *fixed : quantiser_of(x + first, n);
        if (fixed)
            sums[g] = quantise(x + first, n, quantisers[g], 1, out, left);
        else if (left)
            sums[g] = quantise(x + first, n, quantisers[g], 0, out, left);
        else
            sums[g] = quantise(x + first, n, quantisers[g], 0, out, NULL);
    }
}

#if defined USE_AVX2
/* Widens the four bytes of each word in place to its even and its odd ones, 16 bits each. */
static void spread_s8(uint32_t *words, size_t n) {
    size_t k = n;
    for (; k % 8; k--) {
        const int32_t w = (int32_t)words[k - 1];
        words[2 * k - 1] = ((uint32_t)(w >> 24) << 16) | (uint16_t)((int32_t)((uint32_t)w << 16) >> 24);
        words[2 * k - 2] =
            ((uint32_t)((int32_t)((uint32_t)w << 8) >> 24) << 16) | (uint16_t)((int32_t)((uint32_t)w << 24) >> 24);
    }
    for (; k; k -= 8) {
        const __m256i w = (__m256i)iload(words + k - 8), even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8),
                      odd = _mm256_srai_epi16(w, 8);
        const __m256i low = _mm256_unpacklo_epi32(even, odd), high = _mm256_unpackhi_epi32(even, odd);
        _mm256_storeu_si256((__m256i *)(void *)(words + 2 * k - 8), _mm256_permute2x128_si256(low, high, 0x31));
        _mm256_storeu_si256((__m256i *)(void *)(words + 2 * k - 16), _mm256_permute2x128_si256(low, high, 0x20));
    }
}
#else
static void spread_s8(uint32_t *words, size_t n) { (void)words, (void)n; }
#endif

static void to_words(word_type type, const float *x, size_t stride_x, size_t rows, size_t k, const quantiser *fixed,
                     uint32_t *words, size_t stride, quantiser *quantisers, int32_t *sums, float *rest) {
    for (size_t r = 0; r < rows; r++) {
        if (type == WORD_F32)
            memcpy(words + r * stride, x + r * stride_x, k * sizeof *x);
        else if (type == WORD_BF16X3)
            row_to_x3(x + r * stride_x, k, words + r * stride);
        else if (type == WORD_BF16 && BF16_SPREAD == 1)
            row_to_bf16(x + r * stride_x, k, words + r * stride);
        else if (type == WORD_BF16) {
            memcpy(words + r * stride, x + r * stride_x, k * sizeof *x);
            if (k % 2) words[r * stride + k] = 0;
        } else {
            row_to_s8(x + r * stride_x, k, fixed, words + r * stride, quantisers + r * groups_of(k),
                      sums + r * groups_of(k), rest ? rest + r * stride_x : NULL);
            spread_s8(words + r * stride, words_of(type, k));
        }
    }
}

/* ---- norms and convolutions ---- */

static void norm(const float *x, size_t stride_x, size_t rows, size_t dim, float eps, const float *gain,
                 const float *offset, float *out, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * stride_x;
        float *to = out + r * stride;
        vec total = splat(0), squares = splat(0);
        float rest = 0, rest_squares = 0;
        size_t i = 0;
        for (; i + LANES <= dim; i += LANES) total += load(in + i);
        for (; i < dim; i++) rest += in[i];
        const float mean = (sum_of(total) + rest) / (float)dim;
        for (i = 0; i + LANES <= dim; i += LANES) {
            vec d = load(in + i) - mean;
            squares = fma_(d, d, squares);
        }
        for (; i < dim; i++) rest_squares += (in[i] - mean) * (in[i] - mean);
        const float factor = 1.0f / sqrtf((sum_of(squares) + rest_squares) / (float)dim + eps);
        for (i = 0; i + LANES <= dim; i += LANES)
            store(to + i, fma_((load(in + i) - mean) * factor, load(gain + i), load(offset + i)));
        for (; i < dim; i++) to[i] = (in[i] - mean) * factor * gain[i] + offset[i];
    }
}

static void depthwise(const float *x, size_t total, size_t begin, size_t rows, size_t dim, const float *w, size_t taps,
                      const float *bias, float *out) {
    const size_t half = taps / 2;
    for (size_t r = 0; r < rows; r++) {
        const size_t at = begin + r, first = at < half ? half - at : 0;
        const size_t last = at + half >= total ? taps - (at + half - total + 1) : taps; /* end of the taps */
        float *to = out + r * dim;
        size_t i = 0;
        for (; i + LANES <= dim; i += LANES) {
            vec y = load(bias + i);
            for (size_t t = first; t < last; t++)
                y = fma_(load(x + (at + t - half) * dim + i), load(w + t * dim + i), y);
            store(to + i, y);
        }
        for (; i < dim; i++) {
            float y = bias[i];
            for (size_t t = first; t < last; t++) y += x[(at + t - half) * dim + i] * w[t * dim + i];
            to[i] = y;
        }
    }
}

/* ---- attention ---- */

/* Rotary position embedding of one row, times factor; values 2 i and 2 i + 1 form a pair. cos NULL: only the factor. */
INLINE void apply_rotary(const float *x, const float *cos, const float *sin, size_t width, float factor, float *out) {
    if (!cos) {
        for (size_t i = 0; i < width; i++) out[i] = x[i] * factor;
        return;
    }
    for (size_t i = 0; i < width / 2; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = (a * cos[i] - b * sin[i]) * factor;
        out[2 * i + 1] = (b * cos[i] + a * sin[i]) * factor;
    }
}

enum { MOST_WIDTH = 256 }; /* of a head; checked when a model is loaded */

INLINE void rotary_frame(const attention *a, const float *side, size_t f, float factor, float *out) {
    apply_rotary(side + f * a->stride, a->cos ? a->cos + f * a->width / 2 : NULL,
                 a->cos ? a->sin + f * a->width / 2 : NULL, a->width, factor, out);
}

/* Packs keys as the right side of a product: [panels of frames][words of a head][PANEL], zeros after the last frame. */
static void pack_keys(const attention *a, word_type type, uint32_t *keys) {
    const size_t panels = (a->frames + PANEL - 1) / PANEL, n = words_of(type, a->width);
    float row[MOST_WIDTH];
    uint32_t words[MOST_WIDTH];
    memset(keys + (panels - 1) * n * PANEL, 0, n * PANEL * sizeof *keys);
    for (size_t f = 0; f < a->frames; f++) {
        rotary_frame(a, a->k, f, 1.0f, row);
        to_words(type, row, a->width, 1, a->width, NULL, words, n, NULL, NULL, NULL);
        uint32_t *panel = keys + f / PANEL * n * PANEL + f % PANEL;
        for (size_t w = 0; w < n; w++) panel[w * PANEL] = words[w];
    }
}

/* Packs values as the right side of a product: [panels of a head][n words of frames][PANEL]. */
static void pack_values(const attention *a, word_type type, size_t n, uint32_t *values) {
    for (size_t f = 0; f < a->frames; f += type == WORD_F32 ? 1 : 2) {
        const float *v0 = a->v + f * a->stride, *v1 = f + 1 < a->frames ? v0 + a->stride : NULL;
        for (size_t i = 0; i < a->width; i += LANES) {
            uvec w = (uvec)load(v0 + i);
            if (type == WORD_BF16) {
                w = __builtin_convertvector(to_bf16((vec)w), uvec);
                if (v1) w |= __builtin_convertvector(to_bf16(load(v1 + i)), uvec) << 16;
            }
            memcpy(values + (i / PANEL * n + (type == WORD_F32 ? f : f / 2)) * PANEL + i % PANEL, &w, sizeof w);
        }
    }
}

#define LOG2_E 1.44269504f /* e^x = 2^(x log2 e) */
#if defined USE_AVX512
#define COARSE 1
/* 2^x for x <= 0 with a relative error of 8e-5, a fiftieth of bf16's rounding error: x is split into the nearest
 * integer and a rest in [-1/2, 1/2], for which a minimax cubic is used. */
INLINE __m512 power_of_two(__m512 x) {
    const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                 part = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_fmadd_ps(_mm512_set1_ps(0.0551716649f), part, _mm512_set1_ps(0.242611122f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(0.693260986f));
    return _mm512_scalef_ps(_mm512_fmadd_ps(y, part, _mm512_set1_ps(0.999928074f)), whole);
}

/* Softmax of one query's scores, base 2, to bf16 attention weights, not normalised, over `padded` frames, a multiple of
 * 32, with zeros after the last frame; returns the factor that normalises the weighted sum. */
INLINE float coarse_attention_weights(float *scores, size_t frames, size_t padded, uint32_t *words) {
    for (size_t f = frames; f < padded; f++) scores[f] = -1e30f;
    __m512 most = _mm512_loadu_ps(scores), other = most, total = _mm512_setzero_ps(), more = total;
    for (size_t f = 0; f < padded; f += 2 * LANES) {
        most = _mm512_max_ps(most, _mm512_loadu_ps(scores + f));
        other = _mm512_max_ps(other, _mm512_loadu_ps(scores + f + LANES));
    }
    const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(most, other)));
    for (size_t f = 0; f < padded; f += 2 * LANES) {
        const __m512 low = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + f), peak)),
                     high = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + f + LANES), peak));
        total = _mm512_add_ps(total, low);
        more = _mm512_add_ps(more, high);
        _mm512_storeu_si512(words + f / 2, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    return 1.0f / _mm512_reduce_add_ps(_mm512_add_ps(total, more));
}
#else
#define COARSE 0
#endif

/* Softmax of one query's scores to attention weights, not normalised, over `padded` frames, with zeros after the last
 * frame; returns the factor that normalises the weighted sum. With COARSE, bf16 scores are to base 2. */
static float attention_weights(word_type type, float *scores, size_t frames, size_t padded, uint32_t *words) {
#if COARSE
    if (type == WORD_BF16) return coarse_attention_weights(scores, frames, padded, words);
#endif
    for (size_t f = frames; f < padded; f++) scores[f] = -INFINITY;
    vec most = load(scores), total = splat(0);
    for (size_t f = LANES; f < padded; f += LANES) most = vmax(most, load(scores + f));
    const float peak = max_of(most);
    for (size_t f = 0; f < padded; f += LANES) {
        vec e = vexp(load(scores + f) - peak);
        if (f + LANES > frames)
            for (int l = 0; l < LANES; l++)
                if (f + (size_t)l >= frames) e[l] = 0;
        total += e;
        store(scores + f, e);
    }
    to_words(type, scores, padded, 1, frames, NULL, words, words_of(type, frames), NULL, NULL, NULL);
    return 1.0f / sum_of(total);
}

/* The scores of ROWS queries against all keys fit in the L2 cache, so the softmax needs no running maximum. */
static void attend(const attention *a) {
    const word_type type = BF16_SPREAD == 1 ? a->type : WORD_F32;
    const int coarse = COARSE && type == WORD_BF16;
    const size_t T = a->frames, width = a->width, key_panels = (T + PANEL - 1) / PANEL,
                 padded = coarse ? (T + 2 * LANES - 1) / (2 * LANES) * 2 * LANES : key_panels * PANEL;
    const size_t words_q = words_of(type, width), words_p = words_of(type, T), stride_p = coarse ? padded / 2 : words_p,
                 value_panels = width / PANEL;
    uint32_t *keys = a->workspace, *values = keys + key_panels * words_q * PANEL,
             *weights = values + value_panels * words_p * PANEL, *queries = weights + ROWS * stride_p;
    float *scores = (float *)(void *)(queries + ROWS * words_q);
    float row[MOST_WIDTH];

    pack_keys(a, type, keys);
    pack_values(a, type, words_p, values);
    const float factor = (coarse ? LOG2_E : 1.0f) / sqrtf((float)width);
    vec tile[ROWS * TILE_VECS] __attribute__((aligned(64)));
    for (size_t first = 0; first < T; first += ROWS) {
        const size_t these = T - first < ROWS ? T - first : ROWS;
        const uint32_t *pointers[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            const size_t f = first + (r < these ? r : these - 1);
            rotary_frame(a, a->q, f, factor, row);
            to_words(type, row, width, 1, width, NULL, queries + r * words_q, words_q, NULL, NULL, NULL);
            pointers[r] = queries + r * words_q;
        }
        for (size_t p = 0; p < key_panels; p += PANELS) {
            const int panels = key_panels - p < PANELS ? 1 : PANELS;
            tile_any(type, pointers, keys + p * words_q * PANEL, words_q, words_q, panels, 0, tile);
            for (size_t r = 0; r < these; r++)
                for (size_t v = 0; v < (size_t)panels * VPP; v++)
                    store(scores + r * padded + p * PANEL + v * LANES, tile[r * TILE_VECS + v]);
        }
        float share[ROWS];
        for (size_t r = 0; r < these; r++)
            share[r] = attention_weights(type, scores + r * padded, T, padded, weights + r * stride_p);
        for (size_t r = 0; r < ROWS; r++) pointers[r] = weights + (r < these ? r : these - 1) * stride_p;
        for (size_t p = 0; p < value_panels; p += PANELS) {
            const int panels = value_panels - p < PANELS ? 1 : PANELS;
            tile_any(type, pointers, values + p * words_p * PANEL, words_p, words_p, panels, 0, tile);
            for (size_t r = 0; r < these; r++)
                for (int v = 0; v < panels * VPP; v++)
                    store(a->out + (first + r) * a->out_stride + p * PANEL + (size_t)v * LANES,
                          tile[r * TILE_VECS + (size_t)v] * share[r]);
        }
    }
}

#if defined USE_AMX
#include "kernels/amx.h"
#else
#define TAKEN     ROWS
#define TASK_ROWS 96
#define PRODUCT   product
#define ATTEND    attend
#endif

/* ---- the rest ---- */

static void guided_step(float *x, const float *c, const float *u, float dt, float cfg, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec vc = load(c + i), v = fma_(vc - load(u + i), splat(cfg), vc);
        store(x + i, fma_(splat(dt), v, load(x + i)));
    }
    for (; i < n; i++) x[i] += dt * (c[i] + (c[i] - u[i]) * cfg);
}

static void spectrum(const float *log_magnitude, const float *phase, float most, float *real, float *imag, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        const size_t these = n - i < LANES ? n - i : LANES;
        const vec m = vmin(vexp(load_some(log_magnitude + i, these)), splat(most));
        vec s, c;
        vsincos(load_some(phase + i, these), &s, &c);
        store_some(real + i, c * m, these);
        store_some(imag + i, s * m, these);
    }
}

static void gelu(const float *x, float *out, size_t n) {
    for (size_t i = 0; i < n; i += LANES) {
        const size_t these = n - i < LANES ? n - i : LANES;
        store_some(out + i, vgelu(load_some(x + i, these)), these);
    }
}

const kernels TABLE = {.name = NAME,
                       .rows = TAKEN,
                       .block = TASK_ROWS,
                       .spread = {1, BF16_SPREAD, S8_SPREAD, X3_SPREAD},
                       .product = PRODUCT,
                       .to_words = to_words,
                       .norm = norm,
                       .attend = ATTEND,
                       .depthwise = depthwise,
                       .guided_step = guided_step,
                       .spectrum = spectrum,
                       .gelu = gelu};
