/* The inner loops of the mel spectrogram, written once for any vector width and compiled by mel_kernel4.c and
 * mel_kernel8.c, which define LANES and KERNEL. A library FFT works on one frame and leaves most of the vector unit
 * idle; here lane l of every vector belongs to frame l, so all arithmetic of the transform, the magnitudes, the filters
 * and the logarithm is plain vertical vector code. The tests compare it with torch.stft (tests/unit/test_audio.py). */
#include <string.h>
#if defined __SSE2__
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

static inline vec splat(float x) { return x - (vec){0}; }

static inline vec load(const float *p) {
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline vec root(vec x) {
#if LANES == 8
    return (vec)_mm256_sqrt_ps((__m256)x);
#elif defined __SSE2__
    return (vec)_mm_sqrt_ps((__m128)x);
#else
    for (int l = 0; l < LANES; l++) x[l] = __builtin_sqrtf(x[l]);
    return x;
#endif
}

static inline vec choose(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

#if LANES == 8
#define LOW(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define LOW(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* Rows become columns: log2(LANES) rounds of interleaving the two halves. */
static inline void transpose(vec *rows) {
    for (int round = 1; round < LANES; round *= 2) {
        vec next[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            next[2 * i] = LOW(rows[i], rows[i + LANES / 2]);
            next[2 * i + 1] = HIGH(rows[i], rows[i + LANES / 2]);
        }
        for (int i = 0; i < LANES; i++) rows[i] = next[i];
    }
}

typedef struct complex_vec {
    vec re, im;
} complex_vec;

static inline complex_vec add(complex_vec a, complex_vec b) { return (complex_vec){a.re + b.re, a.im + b.im}; }
static inline complex_vec sub(complex_vec a, complex_vec b) { return (complex_vec){a.re - b.re, a.im - b.im}; }
static inline complex_vec times_minus_i(complex_vec a) { return (complex_vec){a.im, -a.re}; }
static inline complex_vec times(complex_vec a, const float *w) {
    return (complex_vec){a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0]};
}

static inline void dft4(complex_vec *y, complex_vec a, complex_vec b, complex_vec c, complex_vec d) {
    const complex_vec t0 = add(a, c), t1 = sub(a, c), t2 = add(b, d), t3 = times_minus_i(sub(b, d));
    y[0] = add(t0, t2);
    y[1] = add(t1, t3);
    y[2] = sub(t0, t2);
    y[3] = sub(t1, t3);
}

/* Forward transform of z[size], size a power of two >= 4, decimated in frequency: after a pass of radix 4 each quarter
 * is a transform of its own and stays in the nearest cache until it is done. */
static void transform(complex_vec *z, size_t size, const float *twiddles) {
    static const float eighth[2] = {0.70710678f, -0.70710678f}, three_eighths[2] = {-0.70710678f, -0.70710678f};
    if (size == 4) {
        complex_vec y[4];
        dft4(y, z[0], z[1], z[2], z[3]);
        for (int i = 0; i < 4; i++) z[i] = y[i];
        return;
    }
    if (size == 8) {
        complex_vec even[4], odd[4];
        dft4(even, z[0], z[2], z[4], z[6]);
        dft4(odd, z[1], z[3], z[5], z[7]);
        odd[1] = times(odd[1], eighth);
        odd[2] = times_minus_i(odd[2]);
        odd[3] = times(odd[3], three_eighths);
        for (int i = 0; i < 4; i++) {
            z[i] = add(even[i], odd[i]);
            z[i + 4] = sub(even[i], odd[i]);
        }
        return;
    }
    const size_t quarter = size / 4;
    for (size_t j = 0; j < quarter; j++, twiddles += 6) {
        complex_vec y[4];
        dft4(y, z[j], z[j + quarter], z[j + 2 * quarter], z[j + 3 * quarter]);
        z[j] = y[0];
        for (size_t r = 1; r < 4; r++) z[j + r * quarter] = times(y[r], twiddles + 2 * r - 2);
    }
    for (size_t r = 0; r < 4; r++) transform(z + r * quarter, quarter, twiddles);
}

static void magnitudes(const struct ishow_mel *mel, const float *frames, float *work, float *out) {
    const size_t n = (size_t)mel->options.n_fft, hop = (size_t)mel->options.hop, half = n / 2;
    vec *samples = (vec *)work, *magnitude = (vec *)out;
    complex_vec *z = (complex_vec *)work; /* even samples are real parts, odd samples imaginary parts */

    for (size_t i = 0; i < n; i += LANES) {
        const vec window = load(mel->window + i);
        vec rows[LANES];
        for (size_t l = 0; l < LANES; l++) rows[l] = load(frames + l * hop + i) * window;
        transpose(rows);
        for (size_t l = 0; l < LANES; l++) samples[i + l] = rows[l];
    }
    transform(z, half, mel->twiddles);

    /* The window is halved: E and O below are the transforms of even and odd samples. X[k] = E + w^k O. */
    const complex_vec first = z[0];
    magnitude[0] = splat(2.0f) * root((first.re + first.im) * (first.re + first.im));
    magnitude[half] = splat(2.0f) * root((first.re - first.im) * (first.re - first.im));
    for (size_t k = 1; k <= half / 2; k++) {
        const complex_vec a = z[mel->places[k]], b = z[mel->places[half - k]];
        const complex_vec e = {a.re + b.re, a.im - b.im};
        const complex_vec o = times((complex_vec){a.im + b.im, b.re - a.re}, mel->turns + 2 * k);
        const complex_vec low = add(e, o), high = sub(e, o);
        magnitude[k] = root(low.re * low.re + low.im * low.im);
        magnitude[half - k] = root(high.re * high.re + high.im * high.im);
    }
}

/* Natural logarithm of x >= 1e-5 to 2 units in the last place: x = m 2^e, m in [sqrt(1/2), sqrt(2)), and the polynomial
 * of Cephes' logf. NaN and infinity pass through. */
static inline vec logarithm(vec x) {
    static const float poly[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                                 -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                                 2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    const ivec bits = (ivec)x;
    /* Subtracting the bits of sqrt(1/2) moves the border of exponents to it. */
    const ivec shifted = bits - 0x3F3504F3;
    const vec e = __builtin_convertvector(shifted >> 23, vec);
    const vec m = (vec)((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0f;
    const vec square = m * m;
    vec p = splat(poly[0]);
    for (size_t i = 1; i < sizeof poly / sizeof *poly; i++) p = p * m + poly[i];
    vec y = m * square * p + e * -2.12194440e-4f;
    y = m + (y - square * 0.5f) + e * 0.693359375f;
    return choose(x < __builtin_inff(), y, x);
}

static void project(const struct ishow_mel *mel, const float *in, float *out) {
    const vec *magnitude = (const vec *)in;
    vec *logs = (vec *)out;
    for (size_t j = 0; j < (size_t)mel->options.n_mels; j++) {
        const ishow_mel_filter f = mel->filters[j];
        const float *w = mel->weights + f.weight;
        vec sum = {0};
        for (size_t i = 0; i < f.count; i++) sum += magnitude[f.begin + i] * w[i];
        const vec floor = splat(1e-5f);
        logs[j] = logarithm(choose(sum < floor, floor, sum)); /* NaN is not below: it stays visible */
    }
}

const ishow_mel_kernel KERNEL = {LANES, magnitudes, project};
