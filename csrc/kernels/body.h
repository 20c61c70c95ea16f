/* The loops of kernels.h for one instruction set, with body_product.h and body_attention.h. Included by amx.c,
 * avx512.c, avx2.c, neon.c and generic.c, which define LANES (floats of a vector), ROWS and PANELS (what a tile of a
 * product holds in registers), TABLE and NAME. */
#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/table.h"
#include "kernels/vector.h"

_Static_assert(ROWS % 2 == 0, "a pair of rows is in one tile");
enum { VPP = PANEL / LANES, TILE_VECS = PANELS * VPP, TILE_WIDTH = PANELS * PANEL };

#include "kernels/body_product.h"

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

static void subtract(float *x, size_t stride, size_t rows, size_t k) {
    for (size_t r = 1; r < rows; r += 2) {
        float *row = x + r * stride;
        const float *before = row - stride;
        size_t i = 0;
        for (; i + LANES <= k; i += LANES) store(row + i, load(row + i) - load(before + i));
        for (; i < k; i++) row[i] -= before[i];
    }
}

/* ---- norms and convolutions ---- */

/* The sum of n values, or of the squares of their differences from `mean`, in four chains of additions. */
INLINE float sum_all(const float *x, size_t n, float mean, int squares) {
    vec total[4] = {splat(0), splat(0), splat(0), splat(0)};
    float rest = 0;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) _Pragma("GCC unroll 4") for (size_t c = 0; c < 4; c++) {
            const vec v = load(x + i + c * LANES), d = v - mean;
            total[c] = squares ? fma_(d, d, total[c]) : total[c] + v;
        }
    for (; i + LANES <= n; i += LANES) {
        const vec v = load(x + i), d = v - mean;
        total[0] = squares ? fma_(d, d, total[0]) : total[0] + v;
    }
    for (; i < n; i++) rest += squares ? (x[i] - mean) * (x[i] - mean) : x[i];
    return sum_of((total[0] + total[1]) + (total[2] + total[3])) + rest;
}

static void norm(const float *x, size_t stride_x, size_t rows, size_t dim, float eps, const float *gain,
                 const float *offset, float *out, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * stride_x;
        float *to = out + r * stride;
        const float mean = sum_all(in, dim, 0, 0) / (float)dim,
                    factor = 1.0f / sqrtf(sum_all(in, dim, mean, 1) / (float)dim + eps);
        size_t i = 0;
        for (; i + LANES <= dim; i += LANES)
            store(to + i, fma_((load(in + i) - mean) * factor, load(gain + i), load(offset + i)));
        for (; i < dim; i++) to[i] = (in[i] - mean) * factor * gain[i] + offset[i];
    }
}

static void rms_norm(const float *x, size_t stride_x, size_t rows, size_t dim, float eps, const float *gain, float *out,
                     size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        const float *in = x + r * stride_x;
        float *to = out + r * stride;
        const float factor = 1.0f / sqrtf(sum_all(in, dim, 0, 1) / (float)dim + eps);
        size_t i = 0;
        for (; i + LANES <= dim; i += LANES) store(to + i, load(in + i) * factor * load(gain + i));
        for (; i < dim; i++) to[i] = in[i] * factor * gain[i];
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

#include "kernels/body_attention.h"

#if defined USE_AMX
#include "kernels/amx.h"
#else
#define TAKEN     ROWS
#define TASK_ROWS 96
#define PRODUCT   product
#define ATTEND    attend
#define KEEP      keep
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
                       .subtract = subtract,
                       .norm = norm,
                       .rms_norm = rms_norm,
                       .attend = ATTEND,
                       .keep = KEEP,
                       .depthwise = depthwise,
                       .guided_step = guided_step,
                       .spectrum = spectrum,
                       .gelu = gelu};
