/* Products by AMX: a left tile of up to sixteen rows of sixteen words, times sixteen words of a panel, whose memory
 * layout is that of a right tile. Included by body.h only, for the kernels named amx; LANES is 16, a panel one vector.
 *
 * Two left tiles by two panels use the eight registers: 0 to 3 sums, 4 and 5 left, 6 and 7 right. A last block with
 * fewer rows than its tiles begins earlier, so its first rows are computed twice. */
_Static_assert(LANES == PANEL && TILE_VECS == 2, "a panel is one vector, a tile of a product two panels");
enum { STEP = 16 /* words, and rows, of a tile */, TILE_BYTES = 64, PAIR = 2 * TILE_BYTES, BLOCK = 2 * STEP };

/* GCC's tile intrinsics do not declare which memory they read, so this barrier makes the compiler finish all writes
 * before them, also those to the local arrays a and b. */
INLINE void written(const void *a, const void *b) { __asm__ volatile("" ::"r"(a), "r"(b) : "memory"); }

/* Configures tiles of `rows` rows on the left side, 1 to 16. The tile registers stay part of the thread's state until
 * release(). */
INLINE void configure(size_t rows) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } on = {.palette = 1};
    for (int t = 0; t < 8; t++) on.bytes[t] = TILE_BYTES, on.rows[t] = t < 6 ? (uint8_t)rows : STEP;
    written(&on, &on);
    _tile_loadconfig(&on);
}
INLINE void release(void) { _tile_release(); }

/* A block: left rows of its halves, `stride` words from row to row, and the words of its panels. */
typedef struct block_of {
    const uint32_t *a[2], *w[2];
    size_t stride;
    int halves, panels; /* 1 or 2 of each */
} block_of;

INLINE void zero_sums(int halves, int panels) {
    written(NULL, NULL);
    _tile_zero(0);
    if (panels == 2) _tile_zero(1);
    if (halves == 2) _tile_zero(2);
    if (halves == 2 && panels == 2) _tile_zero(3);
}

/* row: bytes from one row of `out` to the next. */
INLINE void store_sums(void *out, size_t row, int halves, int panels) {
    char *const to = out;
    _tile_stored(0, to, row);
    if (panels == 2) _tile_stored(1, (to + TILE_BYTES), row); /* in parentheses, as older headers do not add them */
    if (halves == 2) _tile_stored(2, (to + STEP * row), row);
    if (halves == 2 && panels == 2) _tile_stored(3, (to + STEP * row + TILE_BYTES), row);
}

#define DEFINE_STEP(name, dot)                                                                                     \
    INLINE void name(const uint32_t *a0, const uint32_t *a1, size_t bytes, const uint32_t *w0, const uint32_t *w1, \
                     int halves, int panels) {                                                                     \
        _tile_loadd(4, a0, bytes);                                                                                 \
        _tile_loadd(6, w0, TILE_BYTES);                                                                            \
        dot(0, 4, 6);                                                                                              \
        if (panels == 2) {                                                                                         \
            _tile_loadd(7, w1, TILE_BYTES);                                                                        \
            dot(1, 4, 7);                                                                                          \
        }                                                                                                          \
        if (halves == 2) {                                                                                         \
            _tile_loadd(5, a1, bytes);                                                                             \
            dot(2, 5, 6);                                                                                          \
        }                                                                                                          \
        if (halves == 2 && panels == 2) dot(3, 5, 7);                                                              \
    }
DEFINE_STEP(step_bf16, _tile_dpbf16ps)
DEFINE_STEP(step_s8, _tile_dpbsud) /* left signed, right stored + 128 */

/* Adds the products of words [begin, end) to the sums. A last step of fewer than sixteen words is padded with zeros. */
INLINE void multiply_n(const block_of *b, size_t rows, size_t begin, size_t end, int s8, int halves, int panels) {
    size_t k = begin;
    for (; k + STEP <= end; k += STEP) {
        const uint32_t *a1 = b->a[1] + k, *w1 = b->w[1] + k * PANEL;
        if (s8)
            step_s8(b->a[0] + k, a1, b->stride * 4, b->w[0] + k * PANEL, w1, halves, panels);
        else
            step_bf16(b->a[0] + k, a1, b->stride * 4, b->w[0] + k * PANEL, w1, halves, panels);
    }
    if (k == end) return;
    uint32_t left[2][STEP * STEP] __attribute__((aligned(64))), right[2][STEP * PANEL] __attribute__((aligned(64)));
    const size_t rest = end - k;
    const __mmask16 mask = (__mmask16)((1u << rest) - 1);
    for (int h = 0; h < halves; h++)
        for (size_t r = 0; r < rows; r++)
            _mm512_store_si512(left[h] + r * STEP, _mm512_maskz_loadu_epi32(mask, b->a[h] + r * b->stride + k));
    for (int p = 0; p < panels; p++) {
        memset(right[p] + rest * PANEL, 0, (STEP - rest) * PANEL * sizeof *right[p]);
        memcpy(right[p], b->w[p] + k * PANEL, rest * PANEL * sizeof *right[p]);
    }
    written(left, right);
    if (s8)
        step_s8(left[0], left[1], TILE_BYTES, right[0], right[1], halves, panels);
    else
        step_bf16(left[0], left[1], TILE_BYTES, right[0], right[1], halves, panels);
}

/* The product of a block; rows: of a tile. */
INLINE void block_bf16_n(const block_of *b, size_t rows, size_t words, void *out, size_t row, int halves, int panels) {
    zero_sums(halves, panels);
    multiply_n(b, rows, 0, words, 0, halves, panels);
    store_sums(out, row, halves, panels);
}

/* fp32 in three parts: leading times all three, middle times leading and middle, last times leading. */
INLINE void block_x3_n(const block_of *b, size_t words, void *out, size_t row, int halves, int panels) {
    zero_sums(halves, panels);
    for (size_t k = 0; k < words; k += X3_WORDS) {
        _Pragma("GCC unroll 3") for (size_t i = 0; i < 3; i++)
            _Pragma("GCC unroll 3") for (size_t j = 0; i + j < 3; j++) {
            const size_t left = k + i * X3_PLANE, right = (k + j * X3_PLANE) * PANEL;
            step_bf16(b->a[0] + left, b->a[1] + left, b->stride * 4, b->w[0] + right, b->w[1] + right, halves, panels);
        }
    }
    store_sums(out, row, halves, panels);
}

/* 8-bit values: integer sums for each group, converted to float and added. first: first row of each half of the
 * block. */
INLINE void block_s8_n(const block_of *b, size_t rows, const operand *a, const size_t *first, const matrix *w,
                       size_t panel, vec *out, int halves, int panels) {
    enum { GROUP_WORDS = S8_GROUP / 4 };
    ivec whole[BLOCK * 2] __attribute__((aligned(64)));
    const size_t groups = groups_of(w->k), padded = (w->n + PANEL - 1) / PANEL * PANEL;
    for (size_t g = 0; g < groups; g++) {
        const size_t begin = g * GROUP_WORDS, end = w->words - begin < GROUP_WORDS ? w->words : begin + GROUP_WORDS;
        zero_sums(halves, panels);
        multiply_n(b, rows, begin, end, 1, halves, panels);
        store_sums(whole, PAIR, halves, panels);
        const float *sums = w->sums + g * padded + panel * PANEL;
        const vec right[2] = {load(sums), panels == 2 ? load(sums + PANEL) : splat(0)};
        for (int h = 0; h < halves; h++)
            for (size_t r = 0; r < rows; r++) {
                const size_t at = (first[h] + r) * groups + g, row = (size_t)h * STEP + r;
                const quantiser on = a->quantisers[at];
                const ivec start = isplat(-S8_ZERO * a->sums[at]);
                for (int p = 0; p < panels; p++) {
                    const vec before = g ? out[row * 2 + (size_t)p] : splat(0);
                    out[row * 2 + (size_t)p] = fma_(__builtin_convertvector(whole[row * 2 + (size_t)p] + start, vec),
                                                    splat(on.scale), fma_(right[p], splat(on.shift), before));
                }
            }
    }
}

/* One specialised call for each number of halves and panels. */
#define FOR_BLOCK(b, name, ...)                   \
    do {                                          \
        if ((b)->halves == 2 && (b)->panels == 2) \
            name(b, __VA_ARGS__, 2, 2);           \
        else if ((b)->halves == 2)                \
            name(b, __VA_ARGS__, 2, 1);           \
        else if ((b)->panels == 2)                \
            name(b, __VA_ARGS__, 1, 2);           \
        else                                      \
            name(b, __VA_ARGS__, 1, 1);           \
    } while (0)

static __attribute__((noinline)) void block_bf16(const block_of *b, size_t rows, size_t words, void *out, size_t row) {
    FOR_BLOCK(b, block_bf16_n, rows, words, out, row);
}
static __attribute__((noinline)) void block_x3(const block_of *b, size_t words, void *out, size_t row) {
    FOR_BLOCK(b, block_x3_n, words, out, row);
}
static __attribute__((noinline)) void block_s8(const block_of *b, size_t rows, const operand *a, const size_t *first,
                                               const matrix *w, size_t panel, vec *out) {
    FOR_BLOCK(b, block_s8_n, rows, a, first, w, panel, out);
}

static void product_tiles(const operand *a, size_t rows, const matrix *w, product_end end, const float *gate,
                          float *out, size_t stride) {
    if (w->type == WORD_F32 || w->words < STEP) {
        product(a, rows, w, end, gate, out, stride);
        return;
    }
    vec tile[BLOCK * 2] __attribute__((aligned(64)));
    const size_t n_panels = (w->n + PANEL - 1) / PANEL, tile_rows = rows < STEP ? rows : STEP;
    configure(tile_rows);
    for (size_t p = 0; p < n_panels; p += 2)
        for (size_t row = 0; row < rows; row += BLOCK) {
            const size_t latest = rows - tile_rows,
                         first[2] = {row < latest ? row : latest, row + STEP < latest ? row + STEP : latest};
            const block_of b = {
                .a = {a->words + first[0] * a->stride, a->words + first[1] * a->stride},
                .w = {w->panels + p * w->words * PANEL, w->panels + (n_panels - p > 1 ? p + 1 : p) * w->words * PANEL},
                .stride = a->stride,
                .halves = rows - row > STEP ? 2 : 1,
                .panels = n_panels - p > 1 ? 2 : 1};
            if (w->type == WORD_S8)
                block_s8(&b, tile_rows, a, first, w, p, tile);
            else if (w->type == WORD_BF16)
                block_bf16(&b, tile_rows, w->words, tile, PAIR);
            else
                block_x3(&b, w->words, tile, PAIR);
            for (size_t h = 0; h < (size_t)b.halves; h++) {
                const size_t begin = row + h * STEP, n = rows - begin < STEP ? rows - begin : STEP;
                finish(tile + (h * STEP + begin - first[h]) * 2, begin, n, w, p * PANEL, b.panels, end, gate, out,
                       stride);
            }
        }
    release();
}

/* The memory after the last query and the last key may have any contents: rows of a product are independent, and scores
 * of such keys are overwritten. */
static void attend_tiles(const attention *a) {
    const size_t T = a->frames, all = rows_of(a), width = a->width, words_q = words_of(WORD_BF16, width),
                 padded = (T + BLOCK - 1) / BLOCK * BLOCK, words_p = padded / 2;
    if (a->type != WORD_BF16 || words_q % STEP) {
        attend(a);
        return;
    }
    uint32_t *keys = a->workspace, *values = keys + padded * words_q, *weights = values + width * words_p,
             *queries = weights + BLOCK * words_p;
    float *scores = (float *)(void *)(queries + BLOCK * words_q), row[MOST_WIDTH], share[BLOCK];
    vec tile[BLOCK * 2] __attribute__((aligned(64)));
    const float factor = LOG2_E / sqrtf((float)width);

    pack_keys(a, WORD_BF16, keys);
    for (size_t p = 0; p < width / PANEL; p++)
        memset(values + ((p + 1) * words_p - STEP) * PANEL, 0, STEP * PANEL * sizeof *values);
    pack_values(a, WORD_BF16, words_p, values);
    configure(STEP);
    for (size_t first = 0; first < all; first += BLOCK) {
        const size_t these = all - first < BLOCK ? all - first : BLOCK;
        block_of b = {
            .a = {queries, queries + STEP * words_q}, .stride = words_q, .halves = these > STEP ? 2 : 1, .panels = 2};
        for (size_t r = 0; r < these; r++) {
            rotary_row(a, a->q, first + r, factor, row);
            row_to_bf16(row, width, queries + r * words_q);
        }
        for (size_t f = 0; f < padded; f += BLOCK) {
            b.w[0] = keys + f * words_q, b.w[1] = b.w[0] + PANEL * words_q;
            block_bf16(&b, STEP, words_q, scores + f, padded * sizeof *scores);
        }
        for (size_t r = 0; r < these; r++)
            share[r] = coarse_attention_weights(scores + r * padded, T, padded, weights + r * words_p);
        b.a[0] = weights, b.a[1] = weights + STEP * words_p, b.stride = words_p;
        for (size_t p = 0; p < width / PANEL; p += 2) {
            b.w[0] = values + p * words_p * PANEL, b.w[1] = b.w[0] + words_p * PANEL;
            block_bf16(&b, STEP, words_p, tile, PAIR);
            for (size_t r = 0; r < these; r++)
                for (size_t v = 0; v < 2; v++)
                    store(a->out + (first + r) * a->out_stride + (p + v) * PANEL, tile[r * 2 + v] * share[r]);
        }
    }
    release();
}

#define TAKEN BLOCK
#define TASK_ROWS                                                                                                      \
    256 /* a layer's weights do not fit in the L2 cache, and with fewer rows the tiles would wait for them from the L3 \
           cache */
#define PRODUCT product_tiles
#define ATTEND  attend_tiles
