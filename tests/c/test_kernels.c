/* The kernels of every instruction set of this processor, compared with plain loops in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "kernel_helpers.h"
#include "kernels/kernels.h"

static const double tolerance[] = {
    [WORD_F32] = 2e-6, [WORD_BF16] = 8e-3, [WORD_S8] = 1e-2, [WORD_BF16X3] = 5e-7}; /* error of a product, relative to
                                                                                       the norms of both sides; without
                                                                                       one of its six parts the last
                                                                                       kernel has 1e-6 */

/* n bytes of NaN directly before an inaccessible page, since sanitizers do not see accesses of AMX tiles. */
static void *guarded(size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (n + page - 1) / page * page;
    char *at = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(at != MAP_FAILED && mprotect(at + whole, page, PROT_NONE) == 0);
    memset(at, 0xff, whole);
    return at + whole - n;
}
static void guarded_free(void *p, size_t n) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (n + page - 1) / page * page;
    assert_int_equal(munmap((char *)p + n - whole, whole + page), 0);
}

/* The larger number; NaN counts as the largest. */
static double larger(double a, double b) { return b <= a ? a : b; }

typedef double (*function)(double);
static double identity(double x) { return x; }
static double gelu_tanh(double x) { return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
static double silu(double x) { return x / (1 + exp(-x)); }
static double mish(double x) { return x * tanh(log1p(exp(x))); }

/* Largest error of a product relative to its scale. */
static double product_error(const kernels *k, word_type type, size_t rows, size_t n, size_t depth, product_end end,
                            function f) {
    float *x = kernel_noise_of(rows * depth), *w = kernel_noise_of(n * depth), *bias = kernel_noise_of(n),
          *gate = kernel_noise_of(n), *out = kernel_noise_of(rows * n + 1), *before = kernel_noise_of(0);
    const size_t stride = left_words(k, type, depth);
    const size_t bytes = rows * stride * sizeof(uint32_t);
    uint32_t *words = guarded(bytes);
    quantiser *quantisers = ishow_alloc(rows * groups_of(depth), sizeof *quantisers);
    int32_t *sums = ishow_alloc(rows * groups_of(depth), sizeof *sums);
    matrix m;
    double worst = 0;
    free(before);
    before = kernel_noise_of(rows * n);
    memcpy(before, out, rows * n * sizeof *out);
    out[rows * n] = 12345.0f; /* checks that nothing is written behind the end */
    assert_int_equal(matrix_pack(&m, type, w, bias, n, depth, NULL), ISHOW_OK);
    assert_true(matrix_bytes(&m) >= n * words_of(type, depth) * 4);
    k->to_words(type, x, depth, rows, depth, NULL, words, stride, quantisers, sums, NULL);
    const operand a = {.words = words, .stride = stride, .quantisers = quantisers, .sums = sums};
    matrix at_the_end = m;
    const size_t panels = (n + PANEL - 1) / PANEL * PANEL * m.words * sizeof *m.panels;
    at_the_end.panels = memcpy(guarded(panels), m.panels, panels);
    k->product(&a, rows, &at_the_end, end, gate, out, n);
    guarded_free(at_the_end.panels, panels);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            double y = (double)bias[c], xx = 0, ww = 0;
            for (size_t i = 0; i < depth; i++) {
                y += (double)x[r * depth + i] * (double)w[c * depth + i];
                xx += (double)x[r * depth + i] * (double)x[r * depth + i];
                ww += (double)w[c * depth + i] * (double)w[c * depth + i];
            }
            y = f(y);
            if (end == PRODUCT_ADD) y += (double)before[r * n + c];
            if (end == PRODUCT_GATED) y = (double)before[r * n + c] + (double)gate[c] * y;
            worst = larger(worst, fabs((double)out[r * n + c] - y) / (sqrt(xx * ww) + 1));
        }
    assert_true(out[rows * n] == 12345.0f);
    matrix_free(&m);
    guarded_free(words, bytes);
    void *all[] = {x, w, bias, gate, out, before, quantisers, sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return worst;
}

static void products_of_every_shape(void **state) {
    static const size_t shapes[][3] = {{1, 1, 1},       {1, 16, 3},     {2, 17, 5},     {12, 32, 64},   {13, 33, 31},
                                       {25, 100, 256},  {7, 1026, 66},  {30, 48, 512},  {16, 64, 96},   {45, 40, 300},
                                       {110, 20, 2100}, {14, 20, 4400}, {500, 32, 200}, {33, 620, 1000}};
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        for (int type = WORD_F32; type < WORD_TYPES; type++)
            for (size_t i = 0; k->spread[type] && i < sizeof shapes / sizeof *shapes; i++) {
                const double error = product_error(k, (word_type)type, shapes[i][0], shapes[i][1], shapes[i][2],
                                                   PRODUCT_STORE, identity);
                if (!(error <= tolerance[type]))
                    fail_msg("%s, type %d, %zu x %zu x %zu: %g", k->name, type, shapes[i][0], shapes[i][1],
                             shapes[i][2], error);
            }
    }
}

/* With the same noise for both: a sum of six bf16 products rounds no worse than a product in fp32. */
static void three_parts_are_as_good_as_fp32(void **state) {
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        for (uint32_t seed = 1; k && k->spread[WORD_BF16X3] && seed <= 5; seed++) {
            kernel_noise_seed(seed);
            const double whole = product_error(k, WORD_F32, 33, 48, 1000, PRODUCT_STORE, identity);
            kernel_noise_seed(seed);
            const double parts = product_error(k, WORD_BF16X3, 33, 48, 1000, PRODUCT_STORE, identity);
            if (!(parts <= 1.5 * whole)) fail_msg("%s, seed %u: %g, fp32 %g", k->name, (unsigned)seed, parts, whole);
        }
    }
}

static void products_end_as_requested(void **state) {
    static const struct {
        product_end end;
        function f;
    } ends[] = {{PRODUCT_ADD, identity},        {PRODUCT_GATED, identity}, {PRODUCT_GELU, exact_gelu},
                {PRODUCT_GELU_TANH, gelu_tanh}, {PRODUCT_SILU, silu},      {PRODUCT_MISH, mish}};
    static const size_t rows[] = {14, 17, 33, 45}; /* last blocks of tiles that overlap those before */
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        for (size_t i = 0; k && i < sizeof ends / sizeof *ends; i++)
            for (int type = WORD_F32; type < WORD_TYPES; type++)
                for (size_t r = 0; k->spread[type] && r < sizeof rows / sizeof *rows; r++) {
                    const double error = product_error(k, (word_type)type, rows[r], 50, 70, ends[i].end, ends[i].f),
                                 limit = fmax(2e-6, 2 * tolerance[type]);
                    if (!(error <= limit))
                        fail_msg("%s, end %d, type %d, %zu rows: %g", k->name, (int)ends[i].end, type, rows[r], error);
                }
    }
}

/* With overlapping rows a product is a convolution; returns the largest error, relative to the norms of both sides. */
static double convolution_error(const kernels *k, word_type type, size_t width) {
    enum { FRAMES = 45, TAPS = 5, OUT = 19, HALF = TAPS / 2 };
    float *x = kernel_noise_of(FRAMES * width), *w = kernel_noise_of(OUT * TAPS * width),
          *out = kernel_noise_of(FRAMES * OUT), *bias = kernel_noise_of(OUT);
    const size_t stride = left_words(k, type, width), bytes = (FRAMES + 2 * HALF) * stride * sizeof(uint32_t);
    uint32_t *words = memset(guarded(bytes), 0, bytes);
    matrix m;
    double worst = 0;
    assert_int_equal(matrix_pack(&m, type, w, bias, OUT, TAPS * width, NULL), ISHOW_OK);
    k->to_words(type, x, width, FRAMES, width, NULL, words + HALF * stride, stride, NULL, NULL, NULL);
    const operand window = {.words = words, .stride = stride};
    k->product(&window, FRAMES, &m, PRODUCT_STORE, NULL, out, OUT);
    for (int f = 0; f < FRAMES; f++)
        for (int o = 0; o < OUT; o++) {
            double y = (double)bias[o], xx = 0, ww = 0;
            for (int t = 0; t < TAPS; t++)
                for (size_t c = 0; c < width; c++) {
                    const int at = f + t - HALF;
                    const double v = at >= 0 && at < FRAMES ? (double)x[(size_t)at * width + c] : 0,
                                 u = (double)w[((size_t)o * TAPS + (size_t)t) * width + c];
                    y += v * u, xx += v * v, ww += u * u;
                }
            worst = larger(worst, fabs((double)out[f * OUT + o] - y) / (sqrt(xx * ww) + 1));
        }
    matrix_free(&m);
    guarded_free(words, bytes);
    free(x), free(w), free(out), free(bias);
    return worst;
}

static void a_convolution_is_a_product_over_windows(void **state) {
    static const size_t widths[] = {6, 32, 64};
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        for (int type = WORD_F32; k && type < WORD_TYPES; type++)
            for (size_t i = 0; type != WORD_S8 && k->spread[type] && i < sizeof widths / sizeof *widths; i++) {
                if (type == WORD_BF16X3 && widths[i] % X3_VALUES) continue; /* a vector must not span two rows */
                const double error = convolution_error(k, (word_type)type, widths[i]);
                if (!(error <= tolerance[type])) fail_msg("%s, type %d, %zu wide: %g", k->name, type, widths[i], error);
            }
    }
}

static double attention_error(const kernels *k, word_type type, size_t T, size_t WIDTH, int rotary) {
    const size_t STRIDE = 3 * WIDTH + 8;
    float *qkv = kernel_noise_of(T * STRIDE), *out = kernel_noise_of(T * WIDTH),
          *cosines = kernel_noise_of(T * WIDTH / 2), *sines = kernel_noise_of(T * WIDTH / 2);
    for (size_t i = 0; i < T * WIDTH / 2; i++) {
        const float angle = 3 * cosines[i];
        cosines[i] = cosf(angle);
        sines[i] = sinf(angle);
    }
    for (size_t i = 0; i < T * STRIDE; i++) qkv[i] *= 3;
    attention a = {.q = qkv,
                   .k = qkv + WIDTH,
                   .v = qkv + 2 * WIDTH,
                   .stride = STRIDE,
                   .frames = T,
                   .width = WIDTH,
                   .cos = rotary ? cosines : NULL,
                   .sin = sines,
                   .type = type,
                   .out = out,
                   .out_stride = WIDTH};
    const size_t bytes = (attention_workspace(T, WIDTH) + 63) / 64 * 64;
    a.workspace = guarded(bytes);
    k->attend(&a);
    double worst = 0, *chance = calloc(T, sizeof *chance);
    double *turn = calloc(2 * T * WIDTH, sizeof *turn); /* queries first, then keys */
    for (size_t f = 0; f < T; f++)
        for (size_t i = 0; i < WIDTH / 2; i++)
            for (size_t side = 0; side < 2; side++) {
                const double x = (double)qkv[f * STRIDE + side * WIDTH + 2 * i],
                             y = (double)qkv[f * STRIDE + side * WIDTH + 2 * i + 1];
                const double c = rotary ? (double)cosines[f * WIDTH / 2 + i] : 1,
                             s = rotary ? (double)sines[f * WIDTH / 2 + i] : 0;
                turn[(side * T + f) * WIDTH + 2 * i] = x * c - y * s;
                turn[(side * T + f) * WIDTH + 2 * i + 1] = y * c + x * s;
            }
    for (size_t f = 0; f < T; f++) {
        double total = 0, most = -1e300;
        for (size_t g = 0; g < T; g++) {
            chance[g] = 0;
            for (size_t i = 0; i < WIDTH; i++) chance[g] += turn[f * WIDTH + i] * turn[(T + g) * WIDTH + i];
            chance[g] /= sqrt((double)WIDTH);
            most = fmax(most, chance[g]);
        }
        for (size_t g = 0; g < T; g++) total += chance[g] = exp(chance[g] - most);
        for (size_t i = 0; i < WIDTH; i++) {
            double y = 0;
            for (size_t g = 0; g < T; g++) y += chance[g] / total * (double)qkv[g * STRIDE + 2 * WIDTH + i];
            worst = larger(worst, fabs(y - (double)out[f * WIDTH + i]));
        }
    }
    guarded_free(a.workspace, bytes);
    void *all[] = {qkv, out, cosines, sines, chance, turn};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return worst;
}

/* Attention of some frames, where keys and values of the others are known, equals theirs in attention of all. */
static void check_known(const kernels *k, word_type type, size_t T, size_t known, size_t live_from, size_t live_to) {
    enum { WIDTH = 64, STRIDE = 3 * WIDTH };
    float *qkv = kernel_noise_of(T * STRIDE), *some = kernel_noise_of(T * STRIDE), *whole = kernel_noise_of(T * WIDTH),
          *out = kernel_noise_of(T * WIDTH), *cosines = kernel_noise_of(T * WIDTH / 2),
          *sines = kernel_noise_of(T * WIDTH / 2);
    uint32_t *at = calloc(T, sizeof *at), *keys = calloc(keys_words(k, type, known, WIDTH), sizeof *keys),
             *values = calloc(values_words(k, type, known, WIDTH), sizeof *values);
    const size_t bytes = (attention_workspace(T, WIDTH) + 63) / 64 * 64;
    attention a = {.q = qkv,
                   .k = qkv + WIDTH,
                   .v = qkv + 2 * WIDTH,
                   .stride = STRIDE,
                   .frames = known,
                   .width = WIDTH,
                   .cos = cosines,
                   .sin = sines,
                   .type = type,
                   .out = whole,
                   .out_stride = WIDTH};
    a.workspace = guarded(bytes);
    memset(a.workspace, 0xff, bytes); /* NaN */
    k->keep(&a, keys, values);
    a.frames = T;
    k->attend(&a);
    for (size_t f = 0; f < T; f++) {
        if (f < known && (f < live_from || f >= live_to)) continue;
        memcpy(some + a.rows * STRIDE, qkv + f * STRIDE, STRIDE * sizeof *some);
        at[a.rows++] = (uint32_t)f;
    }
    a.q = some, a.k = some + WIDTH, a.v = some + 2 * WIDTH;
    a.at = at, a.known_keys = keys, a.known_values = values, a.n_known = known, a.out = out;
    memset(a.workspace, 0xff, bytes);
    k->attend(&a);
    for (size_t r = 0; r < a.rows; r++)
        if (memcmp(out + r * WIDTH, whole + at[r] * WIDTH, WIDTH * sizeof *out))
            fail_msg("%s, type %d, %zu frames, %zu known, %zu to %zu computed: frame %u differs", k->name, type, T,
                     known, live_from, live_to, at[r]);
    guarded_free(a.workspace, bytes);
    void *all[] = {qkv, some, whole, out, cosines, sines, at, keys, values};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void known_frames_are_attended_to(void **state) {
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        for (int type = WORD_F32; k && type <= WORD_BF16; type++)
            for (size_t T = 40; T < 74; T += 11)
                for (size_t known = 15; known < 36; known++)
                    for (size_t from = 0; from < known; from += 7)
                        check_known(k, (word_type)type, T, known, from,
                                    from + from % 5 > known ? known : from + from % 5);
    }
}

static void attention_is_the_formula(void **state) {
    static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 47, 64, 130, 300},
                        widths[] = {64, 16, 32, 48, 96, 128};
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        for (size_t i = 0; k && i < sizeof lengths / sizeof *lengths; i++)
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                for (int rotary = 0; rotary < 2; rotary++) {
                    const double exact = attention_error(k, WORD_F32, lengths[i], widths[w], rotary),
                                 half = attention_error(k, WORD_BF16, lengths[i], widths[w], rotary);
                    if (!(exact < 4e-5) || !(half < 0.12))
                        fail_msg("%s, %zu frames, a head of %zu: fp32 %g, bf16 %g", k->name, lengths[i], widths[w],
                                 exact, half);
                }
    }
}

/* Scores of hundreds, whose exponentials fp32 has not: of a query to its own frame alone, which takes all, or of a
 * query to all frames, far below 0, which take equal parts, as for a query of zeros. */
static void scores_beyond_exponents(void **state) {
    enum { WIDTH = 64, STRIDE = 3 * WIDTH, MOST = 40 };
    static const size_t lengths[] = {5, 40};
    static float qkv[MOST * STRIDE], out[MOST * WIDTH];
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS * 2 * 2; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s / 4]);
        const size_t T = lengths[s % 2];
        if (!k) continue;
        float *noise = kernel_noise_of(T * WIDTH), mean[WIDTH] = {0};
        memset(qkv, 0, sizeof qkv);
        for (size_t f = 0; f < T; f++) {
            float *row = qkv + f * STRIDE;
            if (f % 3 == 0) row[f] = 64;
            if (f % 3 == 1) row[WIDTH - 1] = -64;
            row[WIDTH + f] = row[2 * WIDTH - 1] = 64;
            for (size_t i = 0; i < WIDTH; i++) mean[i] += (row[2 * WIDTH + i] = noise[f * WIDTH + i]) / (float)T;
        }
        const size_t bytes = (attention_workspace(T, WIDTH) + 63) / 64 * 64;
        const attention a = {.q = qkv,
                             .k = qkv + WIDTH,
                             .v = qkv + 2 * WIDTH,
                             .stride = STRIDE,
                             .frames = T,
                             .width = WIDTH,
                             .type = s / 2 % 2 ? WORD_BF16 : WORD_F32,
                             .out = out,
                             .out_stride = WIDTH,
                             .workspace = guarded(bytes)};
        k->attend(&a);
        for (size_t i = 0; i < T * WIDTH; i++) {
            const float right = i / WIDTH % 3 ? mean[i % WIDTH] : noise[i];
            if (!(fabsf(out[i] - right) < 0.01f))
                fail_msg("%s, type %d, %zu frames, frame %zu: %g for %g", k->name, (int)a.type, T, i / WIDTH,
                         (double)out[i], (double)right);
        }
        guarded_free(a.workspace, bytes);
        free(noise);
    }
}

static void norms_and_depthwise_convolutions(void **state) {
    enum { ROWS = 9, DIM = 37, TAPS = 7 };
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        float *x = kernel_noise_of(ROWS * DIM), *gain = kernel_noise_of(DIM), *offset = kernel_noise_of(DIM),
              *out = kernel_noise_of(ROWS * DIM), *w = kernel_noise_of(TAPS * DIM);
        k->norm(x, DIM, ROWS, DIM, 1e-6f, gain, offset, out, DIM);
        for (int r = 0; r < ROWS; r++) {
            double mean = 0, var = 0;
            for (int i = 0; i < DIM; i++) mean += (double)x[r * DIM + i] / DIM;
            for (int i = 0; i < DIM; i++)
                var += ((double)x[r * DIM + i] - mean) * ((double)x[r * DIM + i] - mean) / DIM;
            for (int i = 0; i < DIM; i++)
                assert_true(fabs(((double)x[r * DIM + i] - mean) / sqrt(var + 1e-6) * (double)gain[i] +
                                 (double)offset[i] - (double)out[r * DIM + i]) < 1e-5);
        }
        memset(x, 0, DIM * sizeof *x);
        k->rms_norm(x, DIM, ROWS, DIM, 1e-24f, gain, out, DIM);
        for (int r = 0; r < ROWS; r++) {
            double squares = 0;
            for (int i = 0; i < DIM; i++) squares += (double)x[r * DIM + i] * (double)x[r * DIM + i] / DIM;
            for (int i = 0; i < DIM; i++)
                assert_true(fabs((double)x[r * DIM + i] / sqrt(squares + 1e-24) * (double)gain[i] -
                                 (double)out[r * DIM + i]) < 1e-5);
        }
        k->depthwise(x, ROWS, 2, ROWS - 2, DIM, w, TAPS, offset, out);
        for (int r = 2; r < ROWS; r++)
            for (int i = 0; i < DIM; i++) {
                double y = (double)offset[i];
                for (int t = 0; t < TAPS; t++)
                    if (r + t - TAPS / 2 >= 0 && r + t - TAPS / 2 < ROWS)
                        y += (double)x[(r + t - TAPS / 2) * DIM + i] * (double)w[t * DIM + i];
                assert_true(fabs(y - (double)out[(r - 2) * DIM + i]) < 1e-5);
            }
        free(x), free(gain), free(offset), free(out), free(w);
    }
}

static void steps_and_spectra(void **state) {
    enum { N = 53 };
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        float *x = kernel_noise_of(N), *c = kernel_noise_of(N), *u = kernel_noise_of(N), *real = kernel_noise_of(N),
              *imag = kernel_noise_of(N), *before = kernel_noise_of(N);
        memcpy(before, x, N * sizeof *x);
        k->guided_step(x, c, u, 0.25f, 2.0f, N);
        for (int i = 0; i < N; i++)
            assert_true(fabs((double)before[i] + 0.25 * (3 * (double)c[i] - 2 * (double)u[i]) - (double)x[i]) < 1e-6);
        for (int i = 0; i < N; i++) {
            c[i] *= 6;   /* log-magnitudes, some of them above the limit */
            u[i] *= 400; /* phases of many periods */
        }
        k->spectrum(c, u, 100.0f, real, imag, N);
        for (int i = 0; i < N; i++) {
            const double magnitude = fmin(exp((double)c[i]), 100);
            assert_true(fabs(magnitude * cos((double)u[i]) - (double)real[i]) < 1e-5 * (magnitude + 1) * 4);
            assert_true(fabs(magnitude * sin((double)u[i]) - (double)imag[i]) < 1e-5 * (magnitude + 1) * 4);
        }
        k->gelu(u, real, N);
        for (int i = 0; i < N; i++) assert_true(fabs(exact_gelu((double)u[i]) - (double)real[i]) < 1e-4);
        free(x), free(c), free(u), free(real), free(imag), free(before);
    }
}

/* Whether the processor reports all features in `flags`. */
static int processor_has(const char *const *flags, size_t n) {
    char line[8192] = "";
    size_t found = 0;
    FILE *info = fopen("/proc/cpuinfo", "r");
    while (info && fgets(line, sizeof line, info) && strncmp(line, "flags", 5)) {}
    for (size_t i = 0; i < n; i++) found += strstr(line, flags[i]) != NULL;
    if (info) fclose(info);
    return found == n;
}

/* The best instruction set is found: without this check, tests of a set that is not found would pass without
 * running. */
static void kernels_are_found_by_name(void **state) {
    static const char *const amx[] = {" amx_tile", " amx_bf16", " amx_int8", " avx512_bf16"}, *const avx2[] = {" avx2",
                                                                                                               " fma"};
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++)
        print_message("%s: %s\n", kernel_names[s], ishow_kernels_named(kernel_names[s]) ? "taken" : "not here");
#if defined __x86_64__ /* /proc/cpuinfo is the host's where the processor is emulated */
    if (processor_has(avx2, 2)) assert_non_null(ishow_kernels_named("avx2"));
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    if (processor_has(amx, 4) && !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
        assert_ptr_equal(ishow_kernels_best(), ishow_kernels_named("amx"));
#else
    (void)amx, (void)avx2, (void)processor_has;
#endif
    assert_null(ishow_kernels_named("abacus"));
    assert_non_null(ishow_kernels_named("generic"));
    assert_non_null(ishow_kernels_named(ishow_kernels_best()->name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_found_by_name),
        cmocka_unit_test(products_of_every_shape),
        cmocka_unit_test(three_parts_are_as_good_as_fp32),
        cmocka_unit_test(products_end_as_requested),
        cmocka_unit_test(a_convolution_is_a_product_over_windows),
        cmocka_unit_test(attention_is_the_formula),
        cmocka_unit_test(scores_beyond_exponents),
        cmocka_unit_test(known_frames_are_attended_to),
        cmocka_unit_test(norms_and_depthwise_convolutions),
        cmocka_unit_test(steps_and_spectra),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
