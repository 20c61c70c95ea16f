/* Rates of the products and of attention on one thread, beside the processor's own rate of fused multiply-adds.
 * Prints lines of kernels,what,type,rows,n,k,giga-operations a second of processor time (median of five turns).
 * Compiled and run by kernels.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "kernels/kernels.h"
#include "model/native.h" /* pitch: as the model lays rows out */

enum { TURNS = 5 };
static const char *const types[] = {"fp32", "bf16", "int8", "bf16x3"};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What one thread can add and multiply: independent accumulators in vectors as wide as the compiler's target allows. */
static double peak(void) {
#if defined __AVX512F__
    enum { LANES = 16, CHAINS = 12, ROUNDS = 8000000 };
#else
    enum { LANES = 8, CHAINS = 12, ROUNDS = 8000000 };
#endif
    typedef float wide __attribute__((vector_size(4 * LANES)));
    wide acc[CHAINS], a, b;
    for (int i = 0; i < LANES; i++) a[i] = 0.999f, b[i] = 1e-3f * (float)(i + 1);
    for (int c = 0; c < CHAINS; c++) acc[c] = a;
    const double start = now();
    for (long r = 0; r < ROUNDS; r++) {
        __asm__ volatile("" : "+x"(a));
        for (int c = 0; c < CHAINS; c++) acc[c] = acc[c] * a + b;
    }
    const double taken = now() - start;
    float sum = 0;
    for (int c = 0; c < CHAINS; c++) sum += acc[c][0];
    if (sum == 12345.0f) printf("never\n");
    return 2.0 * LANES * CHAINS * (double)ROUNDS / taken * 1e-9;
}

static double product_rate(const kernels *k, word_type type, size_t rows, size_t n, size_t depth) {
    const size_t stride = pitch(left_words(k, type, depth));
    float *x = ishow_alloc(rows * depth, sizeof *x), *w = ishow_alloc(n * depth, sizeof *w),
          *out = ishow_alloc(rows * n, sizeof *out);
    uint32_t *words = ishow_alloc(rows * stride, sizeof *words);
    quantiser *quantisers = ishow_alloc(rows * groups_of(depth), sizeof *quantisers);
    int32_t *sums = ishow_alloc(rows * groups_of(depth), sizeof *sums);
    matrix m;
    double rates[TURNS];
    for (size_t i = 0; i < rows * depth; i++) x[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (size_t i = 0; i < n * depth; i++) w[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    if (matrix_pack(&m, type, w, NULL, n, depth, NULL)) exit(1);
    const double operations = 2.0 * (double)(rows * n * depth);
    const int repeats = (int)(4e9 / operations) + 1;
    for (int turn = 0; turn < TURNS; turn++) {
        const double start = now();
        for (int i = 0; i < repeats; i++) { /* quantising the left side is part of the work */
            k->to_words(type, x, depth, rows, depth, NULL, words, stride, quantisers, sums, NULL);
            const operand a = {.words = words, .stride = stride, .quantisers = quantisers, .sums = sums};
            k->product(&a, rows, &m, PRODUCT_STORE, NULL, out, n);
        }
        rates[turn] = operations * repeats / (now() - start) * 1e-9;
    }
    qsort(rates, TURNS, sizeof *rates, ascending);
    matrix_free(&m);
    void *all[] = {x, w, out, words, quantisers, sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return rates[TURNS / 2];
}

static double attention_rate(const kernels *k, word_type type, size_t frames, size_t width) {
    float *qkv = ishow_alloc(frames * 3 * width, sizeof *qkv), *out = ishow_alloc(frames * width, sizeof *out),
          *turn_by = ishow_alloc(frames * width, sizeof *turn_by);
    void *workspace = ishow_alloc(attention_workspace(frames, width), 1);
    double rates[TURNS];
    for (size_t i = 0; i < frames * 3 * width; i++) qkv[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (size_t i = 0; i < frames * width; i++) turn_by[i] = 0.7f;
    const attention a = {.q = qkv,
                         .k = qkv + width,
                         .v = qkv + 2 * width,
                         .stride = 3 * width,
                         .frames = frames,
                         .width = width,
                         .cos = turn_by,
                         .sin = turn_by,
                         .type = type,
                         .out = out,
                         .out_stride = width,
                         .workspace = workspace};
    const double operations = 4.0 * (double)(frames * frames * width); /* both products; the exponentials come on top */
    const int repeats = (int)(2e9 / operations) + 1;
    for (int turn = 0; turn < TURNS; turn++) {
        const double start = now();
        for (int i = 0; i < repeats; i++) k->attend(&a);
        rates[turn] = operations * repeats / (now() - start) * 1e-9;
    }
    qsort(rates, TURNS, sizeof *rates, ascending);
    void *all[] = {qkv, out, turn_by, workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return rates[TURNS / 2];
}

int main(void) {
    static const char *const names[] = {"amx", "avx512", "avx2", "neon", "generic"};
    static const size_t shapes[][3] = {{96, 1024, 1024},  {256, 1024, 1024}, {256, 2048, 1024},
                                       {256, 1024, 2048}, {256, 768, 256},   {256, 256, 768}};
    printf("machine,multiply-add,fp32,,,,%.1f\n", peak());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const kernels *k = ishow_kernels_named(names[i]);
        if (!k) continue;
        for (int type = WORD_F32; type < WORD_TYPES; type++) {
            if (!k->spread[type]) continue;
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
                printf("%s,product,%s,%zu,%zu,%zu,%.1f\n", k->name, types[type], shapes[s][0], shapes[s][1],
                       shapes[s][2], product_rate(k, (word_type)type, shapes[s][0], shapes[s][1], shapes[s][2]));
            if (type == WORD_F32 || type == WORD_BF16)
                printf("%s,attention,%s,%d,,64,%.1f\n", k->name, types[type], 750,
                       attention_rate(k, (word_type)type, 750, 64));
            fflush(stdout);
        }
    }
    return 0;
}
