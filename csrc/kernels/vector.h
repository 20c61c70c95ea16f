/* Vectors of LANES floats and elementwise functions, for one instruction set. Included by body.h only, after its file
 * has defined LANES. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined USE_AVX512 || defined USE_AVX2
#include <immintrin.h>
#elif defined USE_NEON
#include <arm_neon.h>
#endif

#pragma GCC optimize("O3")

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));
typedef int16_t svec __attribute__((vector_size(4 * LANES)));
typedef int8_t bvec __attribute__((vector_size(LANES)));
typedef uint16_t hvec __attribute__((vector_size(2 * LANES)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec splat(float x) { return x - (vec){0}; }
INLINE ivec isplat(int32_t x) { return x - (ivec){0}; }
INLINE vec load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE ivec iload(const void *p) {
    ivec v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store(float *p, vec v) { memcpy(p, &v, sizeof v); }
/* Loads the first n of LANES values; the full vector is a case of its own, as a copy of variable length is a slow
 * loop. */
INLINE vec load_some(const float *p, size_t n) {
    vec v = {0};
    if (n == LANES) return load(p);
    memcpy(&v, p, n * sizeof *p);
    return v;
}
INLINE void store_some(float *p, vec v, size_t n) {
    if (n == LANES)
        store(p, v);
    else
        memcpy(p, &v, n * sizeof *p);
}
INLINE vec choose(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
/* Maximum and minimum; b when either is NaN. */
#if defined USE_AVX512
INLINE vec vmin(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec vmax(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined USE_AVX2
INLINE vec vmin(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec vmax(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
#else
INLINE vec vmin(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec vmax(vec a, vec b) { return choose(a > b, a, b); }
#endif
INLINE vec vabs(vec a) { return (vec)((ivec)a & 0x7fffffff); }

INLINE vec fma_(vec a, vec b, vec c) {
#if defined USE_AVX512
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined USE_AVX2
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined USE_NEON
    return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* 1 / x for x from 2^-126 to 2^127 with a relative error of 2^-23: a 14-bit approximation and one Newton step take a
 * third of the time of a division. */
INLINE vec inverse(vec x) {
#if defined USE_AVX512
    const vec r = (vec)_mm512_rcp14_ps((__m512)x);
    return r * fma_(-x, r, splat(2.0f));
#else
    return 1.0f / x;
#endif
}

#if defined USE_AVX512
INLINE float sum_of(vec v) { return _mm512_reduce_add_ps((__m512)v); }
INLINE float max_of(vec v) { return _mm512_reduce_max_ps((__m512)v); }
#else
INLINE float sum_of(vec v) {
    float s = 0;
    for (int l = 0; l < LANES; l++) s += v[l];
    return s;
}
INLINE float max_of(vec v) {
    float s = v[0];
    for (int l = 1; l < LANES; l++) s = v[l] > s ? v[l] : s;
    return s;
}
#endif

/* ---- functions of one variable ---- */

/* Adding 1.5 * 2^23 rounds to the nearest integer, which is then in the low bits; subtracting it again gives the
 * rounded float. */
#define MAGIC      12582912.0f
#define MAGIC_BITS 0x4B400000

/* e^x, relative error 2e-7; saturates below -87 and above 88. Cephes' reduction and polynomial. */
INLINE vec vexp(vec x) {
    x = vmin(vmax(x, splat(-87.0f)), splat(88.0f));
    vec t = fma_(x, splat(1.44269504f), splat(MAGIC));
    ivec n = (ivec)t - MAGIC_BITS;
    t = t - MAGIC;
    vec r = fma_(t, splat(-0.693359375f), x);
    r = fma_(t, splat(2.12194440e-4f), r);
    vec p = splat(1.9875691500e-4f);
    p = fma_(p, r, splat(1.3981999507e-3f));
    p = fma_(p, r, splat(8.3334519073e-3f));
    p = fma_(p, r, splat(4.1665795894e-2f));
    p = fma_(p, r, splat(1.6666665459e-1f));
    p = fma_(p, r, splat(5.0000001201e-1f));
    p = fma_(p * r, r, r + 1.0f);
    return p * (vec)((n + 127) << 23);
}

#define LOG2_E 1.44269504f /* e^x = 2^(x log2 e) */
#if defined USE_AVX512
#define COARSE 1 /* functions with an error far below bf16's rounding */
/* 2^x for |x| < 2^22 with a relative error of 1.1e-4, a thirtieth of bf16's rounding error: a minimax cubic of the
 * fraction; scalef rounds the exponent down by itself. */
INLINE __m512 power_of_two(__m512 x) {
    const __m512 part = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 y = _mm512_fmadd_ps(_mm512_set1_ps(0.0780245f), part, _mm512_set1_ps(0.2260672f));
    y = _mm512_fmadd_ps(y, part, _mm512_set1_ps(0.6958335f));
    return _mm512_scalef_ps(_mm512_fmadd_ps(y, part, _mm512_set1_ps(0.9998926f)), x);
}
/* vgelu_tanh with a relative error of 1.7e-4 at most: 1.1e-4 of the power and 6e-5 of the reciprocal. */
INLINE vec coarse_gelu_tanh(vec x) {
    const vec u = x * fma_(x * x, splat(-2 * LOG2_E * 0.044715f * 0.79788456f), splat(-2 * LOG2_E * 0.79788456f));
    return x * (vec)_mm512_rcp14_ps((__m512)(1.0f + (vec)power_of_two((__m512)u)));
}
/* vgelu with a relative error of 1.7e-4 and an absolute one of 2.6e-5 at most: x / (1 + 2^(x p(x^2))), with p for the
 * least maximum of the absolute error. Beyond |x| = 6 p is constant, as it would change its sign at 10. */
INLINE vec coarse_gelu(vec x) {
    const vec z = vmin(x * x, splat(36.0f));
    const vec p = fma_(fma_(splat(1.014286e-3f), z, splat(-0.1067759f)), z, splat(-2.301121f));
    return x * (vec)_mm512_rcp14_ps((__m512)(1.0f + (vec)power_of_two((__m512)(x * p))));
}
#else
#define COARSE 0
#endif

/* x Phi(x) with erf by Abramowitz and Stegun 7.1.26, absolute error 1.5e-7. */
INLINE vec vgelu(vec x) {
    vec z = vabs(x) * 0.70710678f, t = inverse(fma_(z, splat(0.3275911f), splat(1.0f)));
    vec p = splat(1.061405429f);
    p = fma_(p, t, splat(-1.453152027f));
    p = fma_(p, t, splat(1.421413741f));
    p = fma_(p, t, splat(-0.284496736f));
    p = fma_(p, t, splat(0.254829592f));
    vec tail = 0.5f * p * t * vexp(-z * z); /* 1 - Phi(|x|) */
    return x * choose(x > 0.0f, 1.0f - tail, tail);
}

/* 0.5 x (1 + tanh(u)) = x / (1 + e^(-2u)) */
INLINE vec vgelu_tanh(vec x) {
    vec u = x * fma_(x * x, splat(0.044715f * 0.79788456f), splat(0.79788456f));
    return x * inverse(1.0f + vexp(-2.0f * u));
}
INLINE vec vsilu(vec x) { return x * inverse(1.0f + vexp(-x)); }
/* x tanh(log(1 + e^x)); with e = e^x, tanh is (e^2 + 2e) / (e^2 + 2e + 2). */
INLINE vec vmish(vec x) {
    vec e = vexp(vmin(x, splat(20.0f))), q = e * (e + 2.0f);
    return x * q * inverse(q + 2.0f);
}

/* sin and cos, absolute error 1e-6 for |x| up to some thousand: reduction by pi/2 in three parts, Cephes'
 * polynomials. */
INLINE void vsincos(vec x, vec *sine, vec *cosine) {
    vec t = fma_(x, splat(0.636619772f), splat(MAGIC));
    ivec n = (ivec)t - MAGIC_BITS;
    t = t - MAGIC;
    vec r = fma_(t, splat(-1.5703125f), x);
    r = fma_(t, splat(-4.837512969970703125e-4f), r);
    r = fma_(t, splat(-7.549789948768648e-8f), r);
    vec z = r * r, s = splat(-1.9515295891e-4f), c = splat(2.443315711809948e-5f);
    s = fma_(s, z, splat(8.3321608736e-3f));
    s = fma_(s, z, splat(-1.6666654611e-1f));
    s = fma_(s * z, r, r);
    c = fma_(c, z, splat(-1.388731625493765e-3f));
    c = fma_(c, z, splat(4.166664568298827e-2f));
    c = fma_(c * z, z, 1.0f - 0.5f * z);
    ivec odd = (n & 1) != 0;
    vec a = choose(odd, c, s), b = choose(odd, s, c);
    *sine = (vec)((ivec)a ^ ((n & 2) << 30));
    *cosine = (vec)((ivec)b ^ (((n + 1) & 2) << 30));
}
