/* Products with packed weights, for one instruction set. Included by body.h only. */

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

/* coarse: the result will be rounded to bf16 or 8 bits. */
INLINE vec activate(product_end end, int coarse, vec y) {
#if COARSE
    if (end == PRODUCT_GELU_TANH && coarse) return coarse_gelu_tanh(y);
    if (end == PRODUCT_GELU && coarse) return coarse_gelu(y);
#endif
    (void)coarse;
    switch (end) {
    case PRODUCT_GELU_TANH: return vgelu_tanh(y);
    case PRODUCT_GELU: return vgelu(y);
    case PRODUCT_MISH: return vmish(y);
    case PRODUCT_SILU: return vsilu(y);
    default: return y;
    }
}

/* row: even with pairs, where an odd row is added to the one before it, which has the bias. */
INLINE void finish_tile(const vec *tile, size_t row, size_t rows, int pairs, const matrix *w, size_t column, int panels,
                        product_end end, int coarse, const float *gate, float *out, size_t stride) {
    for (int v = 0; v < panels * VPP; v++) {
        size_t at = column + (size_t)v * LANES;
        if (at >= w->n) return;
        vec bias = w->bias ? load(w->bias + at) : splat(0), scale = w->type == WORD_S8 ? load(w->scale + at) : splat(1);
        size_t whole = w->n - at >= LANES ? LANES : w->n - at;
        const vec gates = end == PRODUCT_GATED ? load_some(gate + at, whole) : splat(1);
        vec whole_row = bias;
        for (size_t r = 0; r < rows; r++) {
            whole_row = fma_(tile[r * TILE_VECS + (size_t)v], scale, pairs && r % 2 ? whole_row : bias);
            vec y = activate(end, coarse, whole_row);
            float *place = out + (row + r) * stride + at;
            if (end == PRODUCT_ADD || end == PRODUCT_GATED) {
                const vec before = load_some(place, whole);
                y = end == PRODUCT_GATED ? fma_(gates, y, before) : before + y;
            }
            store_some(place, y, whole);
        }
    }
}

static void finish(const vec *tile, size_t row, size_t rows, int pairs, const matrix *w, size_t column, int panels,
                   product_end end, const float *gate, float *out, size_t stride) {
    const int coarse = w->type == WORD_BF16 || w->type == WORD_S8;
    switch (end) { /* one loop each, without a branch inside */
    case PRODUCT_STORE:
        finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_STORE, 0, gate, out, stride);
        break;
    case PRODUCT_ADD: finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_ADD, 0, gate, out, stride); break;
    case PRODUCT_GATED:
        finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_GATED, 0, gate, out, stride);
        break;
    case PRODUCT_GELU_TANH:
        if (coarse)
            finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_GELU_TANH, 1, gate, out, stride);
        else
            finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_GELU_TANH, 0, gate, out, stride);
        break;
    case PRODUCT_GELU:
        if (coarse)
            finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_GELU, 1, gate, out, stride);
        else
            finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_GELU, 0, gate, out, stride);
        break;
    case PRODUCT_MISH:
        finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_MISH, 0, gate, out, stride);
        break;
    case PRODUCT_SILU:
        finish_tile(tile, row, rows, pairs, w, column, panels, PRODUCT_SILU, 0, gate, out, stride);
        break;
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
                finish(tiles[(row - group) / ROWS], row, end_row - row < ROWS ? end_row - row : ROWS, a->pairs, w,
                       p * PANEL, panels, end, gate, out, stride);
        }
    }
}
