/* 8-bit operands: static and dynamic quantisation, and products of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "kernel_helpers.h"
#include "kernels/kernels.h"

/* 8-bit value i of a left operand: a byte, or 16 bits of the words that hold the even and the odd values of four. */
static int eight_bits(const kernels *k, const uint32_t *words, size_t i) {
    if (k->spread[WORD_S8] == 1) return ((const int8_t *)words)[i];
    return ((const int16_t *)(words + i / 4 * 2 + i % 2))[i % 4 / 2];
}

/* Dynamic quantisation: the smallest value of a group becomes -127 and the largest 127; of equal values only the shift
 * is left; the unused bytes of the last word are zero. */
static void words_of_eight_bits(void **state) {
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        enum { VALUES = 45, STRIDE = 24 }; /* whole vectors and a rest */
        float x[2][VALUES] = {{0}};
        uint32_t words[2][STRIDE];
        quantiser quantisers[2];
        int32_t sums[2];
        for (int i = 0; i < VALUES; i++) x[0][i] = 1.0f + (float)(i - 22) / 22.0f * 2.54f;
        for (int i = 0; i < VALUES; i++) x[1][i] = -0.75f;
        memset(words, 0xff, sizeof words);
        k->to_words(WORD_S8, x[0], VALUES, 2, VALUES, NULL, words[0], STRIDE, quantisers, sums, NULL);
        assert_int_equal(eight_bits(k, words[0], 0), -127);
        assert_int_equal(eight_bits(k, words[0], 44), 127);
        assert_int_equal(eight_bits(k, words[0], 22), 0);
        assert_int_equal(eight_bits(k, words[0], 31), 52); /* 51.95 */
        assert_int_equal(eight_bits(k, words[0], 9), -75); /* -75.05 */
        assert_true(fabsf(quantisers[0].scale - 0.02f) < 1e-7f && fabsf(quantisers[0].shift - 1.0f) < 1e-6f);
        int32_t total = 0;
        for (size_t i = 0; i < VALUES; i++) total += eight_bits(k, words[0], i);
        assert_int_equal(sums[0], total);
        for (size_t i = VALUES; i < 48; i++) assert_int_equal(eight_bits(k, words[0], i), 0);
        assert_true(quantisers[1].scale == 0.0f && quantisers[1].shift == -0.75f && sums[1] == 0);
        for (size_t i = 0; i < 12 * k->spread[WORD_S8]; i++) assert_int_equal(words[1][i], 0);
    }
}

/* Static quantisation: the given scale and shift hold for every row and group; values outside of the range saturate, in
 * whole vectors as in the rest. `rest` is the quantisation error, and may be the array of the values. */
static void words_of_a_given_quantiser(void **state) {
    enum { WIDTH = 301, ROWS = 2, STRIDE = 160, GROUPS = 2 };
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        float *x = kernel_noise_of(ROWS * WIDTH), *rest = kernel_noise_of(ROWS * WIDTH);
        uint32_t words[ROWS][STRIDE];
        const quantiser fixed = {.scale = 0.01f, .shift = 0.3f};
        quantiser quantisers[ROWS * GROUPS];
        int32_t sums[ROWS * GROUPS];
        x[3] = 9.0f, x[WIDTH - 1] = -9.0f, x[WIDTH + 5] = 0.005f, x[2 * WIDTH - 1] = 4.0f;
        memcpy(rest, x, ROWS * WIDTH * sizeof *x);
        k->to_words(WORD_S8, rest, WIDTH, ROWS, WIDTH, &fixed, words[0], STRIDE, quantisers, sums, rest);
        for (size_t r = 0; r < ROWS; r++) {
            int32_t totals[GROUPS] = {0};
            for (size_t i = 0; i < WIDTH; i++) {
                const float value = x[r * WIDTH + i], wanted = fminf(fmaxf((value - 0.3f) / 0.01f, -127.0f), 127.0f),
                            got = (float)eight_bits(k, words[r], i);
                assert_true(fabsf(got - wanted) <= 0.5001f);
                assert_true(fabsf(rest[r * WIDTH + i] - (value - (0.01f * got + 0.3f))) < 1e-6f);
                totals[i / S8_GROUP] += eight_bits(k, words[r], i);
            }
            for (size_t g = 0; g < GROUPS; g++)
                assert_true(sums[r * GROUPS + g] == totals[g] && quantisers[r * GROUPS + g].scale == 0.01f &&
                            quantisers[r * GROUPS + g].shift == 0.3f);
        }
        free(x), free(rest);
    }
}

/* A skewed input of several groups, like the hidden layer of a feed-forward network: every set of kernels has the words
 * and the sums of the generic one, and the sums are the products of the dequantised values. With the product of the
 * quantisation error added, only the error of the 8-bit weights is left. */
static void products_of_skewed_groups(void **state) {
    enum { ROWS = 13, N = 35, DEPTH = 2 * S8_GROUP + 70, GROUPS = 3, STRIDE = DEPTH };
    (void)state;
    float *x = kernel_noise_of(ROWS * DEPTH), *w = kernel_noise_of(N * DEPTH), *rest = kernel_noise_of(ROWS * DEPTH),
          *twin = kernel_noise_of(ROWS * N), *out = kernel_noise_of(ROWS * N);
    static uint32_t words[ROWS * STRIDE];
    quantiser quantisers[ROWS * GROUPS];
    int32_t sums[ROWS * GROUPS];
    matrix m;
    for (size_t i = 0; i < ROWS * DEPTH; i++)
        x[i] = (float)exact_gelu(3 * (double)x[i]) * (i % DEPTH < S8_GROUP ? 1 : 4);
    assert_int_equal(matrix_pack(&m, WORD_S8, w, NULL, N, DEPTH, NULL), ISHOW_OK);
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        const operand a = {.words = words, .stride = STRIDE, .quantisers = quantisers, .sums = sums};
        k->to_words(WORD_S8, x, DEPTH, ROWS, DEPTH, NULL, words, STRIDE, quantisers, sums, rest);
        k->product(&a, ROWS, &m, PRODUCT_STORE, NULL, out, N);
        for (size_t i = 0; i < ROWS * N; i++) {
            double y = 0, size = 0;
            for (size_t j = 0; j < DEPTH; j++) {
                const quantiser *on = &quantisers[i / N * GROUPS + j / S8_GROUP];
                const uint32_t stored =
                    m.panels[(i % N / PANEL * m.words + j / 4) * PANEL + i % N % PANEL] >> 8 * (j % 4) & 255u;
                const double value = (double)on->scale * eight_bits(k, words + i / N * STRIDE, j) + (double)on->shift;
                y += value * (double)m.scale[i % N] * ((int)stored - 128);
                size += fabs(value * (double)m.scale[i % N] * ((int)stored - 128));
            }
            assert_true(fabs((double)out[i] - y) < 1e-5 * size);
            if (s == 0) twin[i] = out[i];
            assert_true(fabs((double)out[i] - (double)twin[i]) < 1e-5 * size);
        }
        for (int both = 0; both < 2; both++) {
            double error = 0, whole = 0;
            for (size_t i = 0; i < ROWS * N; i++) {
                double y = 0;
                for (size_t j = 0; j < DEPTH; j++)
                    y += (double)x[i / N * DEPTH + j] * (double)m.scale[i % N] *
                         lrintf(w[i % N * DEPTH + j] / m.scale[i % N]);
                error += (y - (double)out[i]) * (y - (double)out[i]);
                whole += y * y;
            }
            if (!(sqrt(error / whole) < (both ? 5e-5 : 8e-3)))
                fail_msg("%s, %d: %g", k->name, both, sqrt(error / whole));
            k->to_words(WORD_S8, rest, DEPTH, ROWS, DEPTH, NULL, words, STRIDE, quantisers, sums, NULL);
            k->product(&a, ROWS, &m, PRODUCT_ADD, NULL, out, N);
        }
    }
    matrix_free(&m);
    free(x), free(w), free(rest), free(twin), free(out);
}

/* Pairs of rows that are nearly alike: results are those of whole rows, with the bias and the function at the end, and
 * the errors of the two rows of a pair are alike too, so that they cancel in their difference. The number of rows is
 * none that tiles divide. */
static void products_of_pairs(void **state) {
    enum { ROWS = 54, N = 37, DEPTH = 2 * S8_GROUP + 70, GROUPS = 3, STRIDE = DEPTH };
    static const float APART = 0.05f;
    (void)state;
    float *x = kernel_noise_of(ROWS * DEPTH), *changed = kernel_noise_of(ROWS * DEPTH), *w = kernel_noise_of(N * DEPTH),
          *bias = kernel_noise_of(N), *gate = kernel_noise_of(N), *out = kernel_noise_of(ROWS * N),
          *ended = kernel_noise_of(ROWS * N), *before = kernel_noise_of(ROWS * N);
    static uint32_t words[ROWS * STRIDE];
    static quantiser quantisers[ROWS * GROUPS];
    static int32_t sums[ROWS * GROUPS];
    matrix m;
    for (size_t r = 1; r < ROWS; r += 2)
        for (size_t j = 0; j < DEPTH; j++) x[r * DEPTH + j] = x[(r - 1) * DEPTH + j] + APART * x[r * DEPTH + j];
    assert_int_equal(matrix_pack(&m, WORD_S8, w, bias, N, DEPTH, NULL), ISHOW_OK);
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        const operand a = {.words = words, .stride = STRIDE, .quantisers = quantisers, .sums = sums, .pairs = 1};
        memcpy(changed, x, ROWS * DEPTH * sizeof *x);
        memcpy(ended, before, ROWS * N * sizeof *ended);
        k->subtract(changed, DEPTH, ROWS, DEPTH);
        k->to_words(WORD_S8, changed, DEPTH, ROWS, DEPTH, NULL, words, STRIDE, quantisers, sums, NULL);
        k->product(&a, ROWS, &m, PRODUCT_STORE, NULL, out, N);
        double error[2] = {0}, whole[2] = {0}; /* of rows, of differences */
        for (size_t i = 0; i < ROWS * N; i++) {
            double y = (double)bias[i % N], earlier = y;
            for (size_t j = 0; j < DEPTH; j++) {
                const double weight = (double)m.scale[i % N] * lrintf(w[i % N * DEPTH + j] / m.scale[i % N]);
                y += (double)x[i / N * DEPTH + j] * weight;
                if (i / N % 2) earlier += (double)x[(i / N - 1) * DEPTH + j] * weight;
            }
            error[0] += (y - (double)out[i]) * (y - (double)out[i]), whole[0] += y * y;
            if (i / N % 2 == 0) continue;
            const double apart = (double)out[i] - (double)out[i - N];
            error[1] += (y - earlier - apart) * (y - earlier - apart), whole[1] += (y - earlier) * (y - earlier);
        }
        for (int i = 0; i < 2; i++)
            if (!(sqrt(error[i] / whole[i]) < 0.01)) fail_msg("%s, %d: %g", k->name, i, sqrt(error[i] / whole[i]));
        k->product(&a, ROWS, &m, PRODUCT_GATED, gate, ended, N);
        for (size_t i = 0; i < ROWS * N; i++) assert_true(fabsf(ended[i] - (before[i] + gate[i % N] * out[i])) < 1e-4f);
        k->product(&a, ROWS, &m, PRODUCT_GELU, NULL, ended, N);
        for (size_t i = 0; i < ROWS * N; i++)
            assert_true(fabs((double)ended[i] - exact_gelu((double)out[i])) < 2e-4 * (1 + fabs((double)out[i])));
    }
    matrix_free(&m);
    free(x), free(changed), free(w), free(bias), free(gate), free(out), free(ended), free(before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_eight_bits),
        cmocka_unit_test(words_of_a_given_quantiser),
        cmocka_unit_test(products_of_skewed_groups),
        cmocka_unit_test(products_of_pairs),
    };
    return cmocka_run_group_tests_name("8-bit kernels", tests, NULL, NULL);
}
