/* Functions at the end of a product: as exact as the type of its operands needs. */
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

enum { VALUES = 2561 };

static double gelu_tanh(double x) { return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

/* The largest error of `end` for values from -20 to 20, in units of the one that is allowed, which is a share of the
 * result and a constant. The product is the value itself, which is exact in bf16. */
static double error_of(const kernels *k, word_type type, product_end end, double (*f)(double), double share,
                       double constant) {
    const float one = 1;
    const size_t stride = left_words(k, type, 1);
    float *x = ishow_alloc(VALUES, sizeof *x), *out = ishow_alloc(VALUES, sizeof *out);
    uint32_t *words = ishow_alloc(VALUES * stride, sizeof *words);
    matrix m;
    double worst = 0;
    assert_true(x && out && words);
    assert_int_equal(matrix_pack(&m, type, &one, NULL, 1, 1, NULL), ISHOW_OK);
    for (int r = 0; r < VALUES; r++) {
        const float value = (float)(r - VALUES / 2) / 64;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits &= 0xffff0000u;
        memcpy(&x[r], &bits, sizeof bits);
    }
    k->to_words(type, x, 1, VALUES, 1, NULL, words, stride, NULL, NULL, NULL);
    const operand a = {.words = words, .stride = stride};
    k->product(&a, VALUES, &m, end, NULL, out, 1);
    for (int r = 0; r < VALUES; r++) {
        const double wanted = f((double)x[r]),
                     error = fabs((double)out[r] - wanted) / (share * fabs(wanted) + constant);
        worst = error <= worst ? worst : error; /* NaN is the worst */
    }
    matrix_free(&m);
    free(x), free(out), free(words);
    return worst;
}

static void functions_keep_the_precision_of_their_type(void **state) {
    (void)state;
    for (size_t s = 0; s < KERNEL_SETS; s++) {
        const kernels *k = ishow_kernels_named(kernel_names[s]);
        if (!k) continue;
        const double errors[] = {error_of(k, WORD_F32, PRODUCT_GELU, exact_gelu, 1e-6, 4e-6),
                                 error_of(k, WORD_F32, PRODUCT_GELU_TANH, gelu_tanh, 1e-5, 1e-7),
                                 error_of(k, WORD_BF16, PRODUCT_GELU, exact_gelu, 1.8e-4, 2.6e-5),
                                 error_of(k, WORD_BF16, PRODUCT_GELU_TANH, gelu_tanh, 1.8e-4, 1e-7)};
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            if (!(errors[i] <= 1)) fail_msg("%s, %zu: %g of the error that is allowed", k->name, i, errors[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(functions_keep_the_precision_of_their_type)};
    return cmocka_run_group_tests_name("functions at the end of products", tests, NULL, NULL);
}
