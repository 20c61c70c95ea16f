/* Packing of weights, and selection of kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "kernels/table.h"

#if defined __x86_64__
#include <cpuid.h>
#if defined __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined __aarch64__ && defined __linux__
#include <sys/auxv.h>
#endif

static int32_t stored(float value, float scale) { return scale > 0 ? (int32_t)lrintf(value / scale) : 0; }

/* Part 0, 1 or 2 of the three bf16 whose sum is x. */
static uint32_t x3_part(float x, size_t part) {
    for (;; part--) {
        const uint32_t bits = bf16_bits(x), wide = bits << 16;
        float lead;
        if (part == 0) return bits;
        memcpy(&lead, &wide, sizeof lead);
        x -= lead;
    }
}

static uint32_t word_at(const matrix *m, const float *w, size_t n, size_t word) {
    uint32_t out = 0;
    const float *row = w + n * m->k;
    switch (m->type) {
    case WORD_F32: memcpy(&out, row + word, sizeof out); break;
    case WORD_BF16:
        for (size_t i = 0; i < 2 && 2 * word + i < m->k; i++) out |= bf16_bits(row[2 * word + i]) << 16 * i;
        break;
    case WORD_BF16X3:
        for (size_t i = 0, at = word / X3_WORDS * X3_VALUES + word % X3_PLANE * 2; i < 2 && at + i < m->k; i++)
            out |= x3_part(row[at + i], word % X3_WORDS / X3_PLANE) << 16 * i;
        break;
    case WORD_TYPES: break;
    case WORD_S8:
        for (size_t i = 0; i < 4; i++)
            out |= (uint32_t)((4 * word + i < m->k ? stored(row[4 * word + i], m->scale[n]) : 0) + 128) << 8 * i;
        break;
    }
    return out;
}

ishow_status matrix_pack(matrix *out, word_type type, const float *w, const float *bias, size_t n, size_t k,
                         ishow_error *error) {
    const size_t n_panels = (n + PANEL - 1) / PANEL, padded = n_panels * PANEL;
    *out = (matrix){.type = type, .n = n, .k = k, .words = words_of(type, k)};
    out->panels = ishow_alloc(padded * out->words, sizeof *out->panels);
    if (bias) out->bias = ishow_alloc(padded, sizeof *out->bias);
    if (type == WORD_S8) {
        out->scale = ishow_alloc(padded, sizeof *out->scale);
        out->sums = ishow_alloc(groups_of(k) * padded, sizeof *out->sums);
    }
    if (!out->panels || (bias && !out->bias) || (type == WORD_S8 && (!out->scale || !out->sums))) {
        matrix_free(out);
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for weights of %zu by %zu", n, k);
    }
    for (size_t i = 0; bias && i < padded; i++) out->bias[i] = i < n ? bias[i] : 0.0f;
    for (size_t i = 0; type == WORD_S8 && i < padded; i++) {
        float peak = 0;
        for (size_t j = 0; i < n && j < k; j++) peak = fmaxf(peak, fabsf(w[i * k + j]));
        out->scale[i] = peak / 127.0f;
    }
    for (size_t g = 0; type == WORD_S8 && g < groups_of(k); g++)
        for (size_t i = 0; i < padded; i++) {
            int32_t sum = 0;
            for (size_t j = g * S8_GROUP; i < n && j < k && j < (g + 1) * S8_GROUP; j++)
                sum += stored(w[i * k + j], out->scale[i]);
            out->sums[g * padded + i] = (float)sum;
        }
    for (size_t p = 0; p < n_panels; p++)
        for (size_t lane = 0; lane < PANEL; lane++) {
            uint32_t *panel = out->panels + p * out->words * PANEL + lane;
            for (size_t word = 0; word < out->words; word++)
                panel[word * PANEL] = p * PANEL + lane < n ? word_at(out, w, p * PANEL + lane, word) : 0;
        }
    return ISHOW_OK;
}

void matrix_free(matrix *m) {
    if (!m->borrowed) {
        free(m->panels);
        free(m->scale);
        free(m->sums);
        free(m->bias);
    }
    *m = (matrix){0};
}

size_t matrix_bytes(const matrix *m) {
    const size_t padded = (m->n + PANEL - 1) / PANEL * PANEL;
    return sizeof(float) * padded *
           (m->words + (m->scale != NULL) + (m->sums != NULL ? groups_of(m->k) : 0) + (m->bias != NULL));
}

size_t attention_workspace(size_t frames, size_t width) {
    const size_t padded = (frames + 2 * PANEL - 1) / (2 * PANEL) * 2 *
                          PANEL; /* enough for fp32 words, the largest type, and tiles of two panels */
    return sizeof(uint32_t) * (padded * width + width * padded + QUERIES_MOST * (padded + width + padded)) + 64;
}

#if defined __x86_64__
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}
/* 1 when this process may use the tile registers. Linux grants them on request, permanently and for all threads
 * (Documentation/arch/x86/xstate.rst); afterwards it rejects signal stacks that are too small for 8 KiB more. */
static int has_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, TILES = 1 << 24, BF16 = 1 << 22, INT8 = 1 << 25 };
    unsigned a, b, c, d;
    if (!has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        (d & (TILES | BF16 | INT8)) != (TILES | BF16 | INT8))
        return 0;
#if defined __linux__
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return 0;
#endif
}
#elif defined __aarch64__
static int has_dot_products(void) {
#if defined __linux__
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return 0;
#endif
}
#endif

const kernels *ishow_kernels_named(const char *name) {
#if defined __x86_64__
    if (!strcmp(name, ishow_kernels_amx.name)) return has_amx() ? &ishow_kernels_amx : NULL;
    if (!strcmp(name, ishow_kernels_avx512.name)) return has_avx512() ? &ishow_kernels_avx512 : NULL;
    if (!strcmp(name, ishow_kernels_avx2.name)) return has_avx2() ? &ishow_kernels_avx2 : NULL;
#elif defined __aarch64__
    if (!strcmp(name, ishow_kernels_neon.name)) return has_dot_products() ? &ishow_kernels_neon : NULL;
#endif
    return strcmp(name, ishow_kernels_generic.name) ? NULL : &ishow_kernels_generic;
}

int ishow_kernels_bf16_fast(const kernels *k) {
#if defined __x86_64__
    /* Intel's AVX-512 multiplies bf16 at half the rate of fp32, AMD's at twice. */
    return k == &ishow_kernels_amx || (k == &ishow_kernels_avx512 && !__builtin_cpu_is("intel"));
#else
    (void)k;
    return 0;
#endif
}

const kernels *ishow_kernels_best(void) {
    static const char *const names[] = {"amx", "avx512", "avx2", "neon"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const kernels *found = ishow_kernels_named(names[i]);
        if (found) return found;
    }
    return &ishow_kernels_generic;
}
