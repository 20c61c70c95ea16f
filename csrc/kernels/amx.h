/* Products by AMX: a left tile of up to sixteen rows of sixteen words, times sixteen words of a panel, whose memory
 * layout is that of a right tile. Included by body.h only, for the kernels named amx; LANES is 16, a panel one vector.
 *
 * Two left tiles by two panels use the eight registers: 0 to 3 sums, 4 and 5 left, 6 and 7 right. A last block with
 * fewer rows than its tiles begins earlier, so its first rows are computed twice. */
_Static_assert(LANES == PANEL && TILE_VECS == 2, "a panel is one vector, a tile of a product two panels");
/* a layer's weights do not fit in the L2 cache, and with fewer rows the tiles would wait for them from the L3 cache */
#define TASK_ROWS 256
enum {
    STEP = 16 /* words, and rows, of a tile */,
    TILE_BYTES = 64,
    PAIR = 2 * TILE_BYTES,
    BLOCK = 2 * STEP,
    FETCHED = 4
};

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

/* A block: left rows of its halves, `stride` words from row to row, and the words of its panels. ahead: NULL, or
 * words of the next panels, FETCHED for each word of a row, that are moved to the L2 cache meanwhile; those of all
 * blocks of a task are two panels. */
typedef struct block_of {
    const uint32_t *a[2], *w[2], *ahead;
    size_t stride;
    int halves, panels; /* 1 or 2 of each */
} block_of;

INLINE void fetch(const uint32_t *words) {
    for (size_t line = 0; line < FETCHED * STEP / PANEL; line++) __builtin_prefetch(words + line * PANEL, 0, 2);
}

INLINE void zero_sums(int halves, int panels) {
    written(NULL, NULL);
    _tile_zero(0);
    if (panels == 2) _tile_zero(1);
    if (halves == 2) _tile_zero(2);
    if (halves == 2 && panels == 2) _tile_zero(3);
}

/* row: bytes from one row of memory to the next. */
INLINE void load_sums(const void *in, size_t row, int halves, int panels) {
    const char *const from = in;
    _tile_loadd(0, from, row);
    if (panels == 2) _tile_loadd(1, (from + TILE_BYTES), row); /* in parentheses, as older headers do not add them */
    if (halves == 2) _tile_loadd(2, (from + STEP * row), row);
    if (halves == 2 && panels == 2) _tile_loadd(3, (from + STEP * row + TILE_BYTES), row);
}

INLINE void store_sums(void *out, size_t row, int halves, int panels) {
    char *const to = out;
    _tile_stored(0, to, row);
    if (panels == 2) _tile_stored(1, (to + TILE_BYTES), row);
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
        if (b->ahead) fetch(b->ahead + k * FETCHED);
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

/* What S8_ZERO adds to the sums of a row, negative. */
INLINE float start_of(const operand *a, size_t row, size_t groups) {
    float sum = 0;
    for (size_t g = row * groups; g < (row + 1) * groups; g++) sum += (float)a->sums[g] * a->quantisers[g].scale;
    return -S8_ZERO * sum;
}

/* 8-bit values: integer sums for each group, converted to float and added, in the order of whole_block_s8, so that a
 * row does not depend on its place. first: first row of each half of the block. */
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
                const vec start = splat(g ? 0 : start_of(a, first[h] + r, groups));
                for (int p = 0; p < panels; p++) {
                    const vec before = g ? out[row * 2 + (size_t)p] : start;
                    out[row * 2 + (size_t)p] = fma_(__builtin_convertvector(whole[row * 2 + (size_t)p], vec),
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

/* Where a product goes. */
typedef struct target {
    const matrix *w;
    int pairs;
    product_end end;
    const float *gate;
    float *out;
    size_t stride;
} target;

/* One group of a whole block of 8-bit values (two halves of sixteen rows, two panels) that is multiplied, but not yet
 * converted and added. This is done a few rows at a time between the multiplications of the next group, because the
 * processor looks ahead over some hundred instructions only. */
typedef struct pending {
    const ivec *whole; /* [BLOCK][2] integer sums of the group */
    vec *sums;         /* [BLOCK][2] of the groups before */
    const quantiser *quantisers;
    size_t groups; /* from the quantiser of a row to that of the next */
    vec right[2];
    const float *start; /* [BLOCK] the first group is added to these; NULL: it is not the first */
    int complete;       /* 1: with it the sums are complete */
    size_t row, column; /* of the block */
    size_t next;        /* row of the block; BLOCK: all are done */
} pending;

static __attribute__((noinline)) void advance(pending *u, const target *to, size_t rows) {
    if (u->next >= BLOCK) return;
    vec *sums = u->sums + u->next * 2;
    for (size_t r = 0; r < rows; r++) {
        const quantiser on = u->quantisers[(u->next + r) * u->groups];
        for (size_t p = 0; p < 2; p++) {
            const vec before = u->start ? splat(u->start[u->next + r]) : sums[r * 2 + p];
            sums[r * 2 + p] = fma_(__builtin_convertvector(u->whole[(u->next + r) * 2 + p], vec), splat(on.scale),
                                   fma_(u->right[p], splat(on.shift), before));
        }
    }
    if (u->complete)
        finish(sums, u->row + u->next, rows, to->pairs, to->w, u->column, 2, to->end, to->gate, to->out, to->stride);
    u->next += rows;
}

/* whole [2][BLOCK][2]: for the integer sums of two groups. */
static void whole_block_s8(const block_of *b, const operand *a, const float *start, size_t row, size_t panel,
                           const target *to, ivec *whole, pending *u) {
    enum { GROUP_WORDS = S8_GROUP / 4, SLICE = BLOCK * STEP / GROUP_WORDS };
    const matrix *w = to->w;
    const size_t groups = groups_of(w->k), padded = (w->n + PANEL - 1) / PANEL * PANEL;
    for (size_t g = 0; g < groups; g++) {
        const size_t begin = g * GROUP_WORDS, end = w->words - begin < GROUP_WORDS ? w->words : begin + GROUP_WORDS;
        zero_sums(2, 2);
        for (size_t k = begin; k < end; k += STEP) {
            multiply_n(b, STEP, k, end - k < STEP ? end : k + STEP, 1, 2, 2);
            advance(u, to, SLICE);
        }
        while (u->next < BLOCK) advance(u, to, SLICE);
        ivec *const integers = whole + g % 2 * BLOCK * 2;
        store_sums(integers, PAIR, 2, 2);
        written(integers, whole);
        const float *sums = w->sums + g * padded + panel * PANEL;
        u->whole = integers;
        u->quantisers = a->quantisers + row * groups + g;
        u->groups = groups;
        u->right[0] = load(sums), u->right[1] = load(sums + PANEL);
        u->start = g ? NULL : start;
        u->complete = g + 1 == groups;
        u->row = row, u->column = panel * PANEL;
        u->next = 0;
    }
}

/* Moves the lines of the result that a block will write to the L1 cache while it is multiplied. */
INLINE void fetch_target(const target *to, size_t row, size_t rows, size_t column) {
    for (size_t r = row; r < row + rows; r++)
        for (size_t c = column; c < column + 2 * PANEL; c += PANEL) __builtin_prefetch(to->out + r * to->stride + c, 1);
}

static void product_tiles(const operand *a, size_t rows, const matrix *w, product_end end, const float *gate,
                          float *out, size_t stride) {
    enum { LARGE = 8192 /* lines; weights of half a megabyte do not stay in the L2 cache */ };
    if (w->type == WORD_F32 || w->words < STEP) {
        product(a, rows, w, end, gate, out, stride);
        return;
    }
    const target to = {w, a->pairs, end, gate, out, stride};
    const size_t n_panels = (w->n + PANEL - 1) / PANEL, tile_rows = rows < STEP ? rows : STEP;
    const int large = n_panels * w->words > LARGE, s8 = w->type == WORD_S8;
    vec tile[BLOCK * 2] __attribute__((aligned(64)));
    ivec whole[2 * BLOCK * 2] __attribute__((aligned(64)));
    float start[TASK_ROWS];
    pending u = {.sums = tile, .next = BLOCK};
    configure(tile_rows);
    for (size_t chunk = 0; chunk < rows; chunk += TASK_ROWS) {
        const size_t chunk_end = rows - chunk < TASK_ROWS ? rows : chunk + TASK_ROWS;
        while (u.next < BLOCK) advance(&u, &to, STEP);
        for (size_t r = chunk; s8 && r < chunk_end; r++) start[r - chunk] = start_of(a, r, groups_of(w->k));
        for (size_t p = 0; p < n_panels; p += 2)
            for (size_t row = chunk; row < chunk_end; row += BLOCK) {
                const size_t latest = rows - tile_rows,
                             first[2] = {row < latest ? row : latest, row + STEP < latest ? row + STEP : latest};
                const uint32_t *const panel = w->panels + p * w->words * PANEL, *const next = panel + w->words * PANEL;
                const block_of b = {.a = {a->words + first[0] * a->stride, a->words + first[1] * a->stride},
                                    .w = {panel, n_panels - p > 1 ? next : panel},
                                    .ahead = large ? next + w->words * (PANEL + (row - chunk) / BLOCK * FETCHED) : NULL,
                                    .stride = a->stride,
                                    .halves = rows - row > STEP ? 2 : 1,
                                    .panels = n_panels - p > 1 ? 2 : 1};
                if (large) fetch_target(&to, row, chunk_end - row < BLOCK ? chunk_end - row : BLOCK, p * PANEL);
                if (s8 && rows - row >= BLOCK && b.panels == 2) {
                    whole_block_s8(&b, a, start + row - chunk, row, p, &to, whole, &u);
                    continue;
                }
                while (u.next < BLOCK) advance(&u, &to, STEP);
                if (s8)
                    block_s8(&b, tile_rows, a, first, w, p, tile);
                else if (w->type == WORD_BF16)
                    block_bf16(&b, tile_rows, w->words, tile, PAIR);
                else
                    block_x3(&b, w->words, tile, PAIR);
                for (size_t h = 0; h < (size_t)b.halves; h++) {
                    const size_t begin = row + h * STEP, n = rows - begin < STEP ? rows - begin : STEP;
                    finish(tile + (h * STEP + begin - first[h]) * 2, begin, n, a->pairs, w, p * PANEL, b.panels, end,
                           gate, out, stride);
                }
            }
    }
    while (u.next < BLOCK) advance(&u, &to, STEP);
    release();
}

#include "kernels/amx_attention.h"

#define TAKEN   BLOCK
#define PRODUCT product_tiles
#define ATTEND  attend_tiles
#define KEEP    keep_tiles
