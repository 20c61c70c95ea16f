/* Attention by AMX. Included by amx.h only.
 *
 * Everything is transposed: keys are the left side and queries the right one, so that a vector of scores has one key
 * and sixteen queries. Maxima and sums of the softmax then need no operation across lanes, and two vectors of weights
 * become one row of a right tile. The values, transposed once, are the left side of the second product, whose sums are
 * transposed back. */

INLINE void transpose(__m512 r[STEP]) {
    __m512 a[STEP], b[STEP];
    _Pragma("GCC unroll 8") for (int i = 0; i < STEP; i += 2) {
        a[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    _Pragma("GCC unroll 4") for (int i = 0; i < STEP; i += 4) _Pragma("GCC unroll 2") for (int c = 0; c < 2; c++) {
        const __m512d x = _mm512_castps_pd(a[i + c]), y = _mm512_castps_pd(a[i + c + 2]);
        b[i + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y));
        b[i + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
    }
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) {
        const __m512 even[2] = {_mm512_shuffle_f32x4(b[c], b[c + 4], 0x88),
                                _mm512_shuffle_f32x4(b[c + 8], b[c + 12], 0x88)},
                     odd[2] = {_mm512_shuffle_f32x4(b[c], b[c + 4], 0xdd),
                               _mm512_shuffle_f32x4(b[c + 8], b[c + 12], 0xdd)};
        r[c] = _mm512_shuffle_f32x4(even[0], even[1], 0x88);
        r[c + 4] = _mm512_shuffle_f32x4(odd[0], odd[1], 0x88);
        r[c + 8] = _mm512_shuffle_f32x4(even[0], even[1], 0xdd);
        r[c + 12] = _mm512_shuffle_f32x4(odd[0], odd[1], 0xdd);
    }
}

/* Transposes sixteen rows of sixteen words, each `stride` words from the next, to consecutive rows. */
INLINE void transpose_words(const uint32_t *from, size_t stride, uint32_t *to) {
    __m512 r[STEP];
    _Pragma("GCC unroll 16") for (size_t i = 0; i < STEP; i++) r[i] = _mm512_loadu_ps(from + i * stride);
    transpose(r);
    _Pragma("GCC unroll 16") for (size_t i = 0; i < STEP; i++) _mm512_storeu_ps(to + i * STEP, r[i]);
}

/* A row of `side` with its rotary embedding, times factor, to bf16. */
INLINE void rotary_to_bf16(const attention *a, const float *side, size_t r, float factor, uint32_t *words) {
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    const size_t at = frame_of(a, r) * a->width / 2;
    for (size_t i = 0; i < a->width; i += LANES) {
        __m512 x = _mm512_mul_ps(_mm512_loadu_ps(side + r * a->stride + i), _mm512_set1_ps(factor));
        if (a->cos) {
            const __m256 c = _mm256_loadu_ps(a->cos + at + i / 2), s = _mm256_loadu_ps(a->sin + at + i / 2);
            const __m512 sines = _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(s));
            x = _mm512_fmaddsub_ps(x, _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(c)),
                                   _mm512_mul_ps(_mm512_permute_ps(x, 0xb1), sines));
        }
        _mm256_storeu_si256((__m256i *)(void *)(words + i / 2), (__m256i)_mm512_cvtneps_pbh(x));
    }
}

/* Rows of one head are far apart, so the processor does not fetch them ahead by itself. */
INLINE void fetch_row(const attention *a, const float *side, size_t r) {
    if (r >= rows_of(a)) return;
    for (size_t i = 0; i < a->width; i += LANES) __builtin_prefetch(side + r * a->stride + i);
}

/* Keys as a left side: [frames][words of a head]. */
static void pack_key_rows(const attention *a, uint32_t *keys) {
    enum { AHEAD = 12 };
    const size_t words = words_of(WORD_BF16, a->width);
    if (a->n_known) memcpy(keys, a->known_keys, a->n_known * words * sizeof *keys);
    for (size_t r = 0; r < rows_of(a); r++) {
        fetch_row(a, a->k, r + AHEAD);
        fetch_row(a, a->v, r);
        rotary_to_bf16(a, a->k, r, 1.0f, keys + frame_of(a, r) * words);
    }
}

/* Values as a left side, in tiles: [frames / BLOCK][width / STEP][STEP values of a head][STEP words of frames]. Uses
 * `panels` [width][padded / 2]. */
static void pack_value_tiles(const attention *a, size_t padded, uint32_t *panels, uint32_t *values) {
    const size_t words = padded / 2, n = a->width / PANEL;
    for (size_t p = 0; p < n; p++) memset(panels + ((p + 1) * words - STEP) * PANEL, 0, STEP * PANEL * sizeof *panels);
    pack_values(a, WORD_BF16, words, panels);
    for (size_t b = 0; b < padded / BLOCK; b++)
        for (size_t p = 0; p < n; p++)
            transpose_words(panels + (p * words + b * STEP) * PANEL, PANEL, values + (b * n + p) * STEP * STEP);
}

static void keep_tiles(const attention *a, uint32_t *keys, uint32_t *values) {
    if (a->type != WORD_BF16 || words_of(WORD_BF16, a->width) % STEP) {
        keep(a, keys, values);
        return;
    }
    pack_key_rows(a, keys);
    pack_values(a, WORD_BF16, words_of(WORD_BF16, a->frames), values);
}

/* BLOCK queries from row `first` on as a right side: [panel][words of a head][PANEL]. */
INLINE void pack_queries(const attention *a, size_t first, float factor, uint32_t *queries) {
    const size_t words = words_of(WORD_BF16, a->width), left = rows_of(a) - first;
    uint32_t rows[STEP * MOST_WIDTH / 2] __attribute__((aligned(64)));
    for (size_t p = 0; p < 2; p++) {
        for (size_t r = 0; r < STEP; r++) {
            const size_t q = p * STEP + r;
            fetch_row(a, a->q, first + BLOCK + q);
            rotary_to_bf16(a, a->q, first + (q < left ? q : left - 1), factor, rows + r * words);
        }
        for (size_t w = 0; w < words; w += STEP) transpose_words(rows + w, words, queries + (p * words + w) * PANEL);
    }
}

/* Weights of sums in tiles, [BLOCK values][BLOCK queries], to rows of `out`; n queries. */
INLINE void write_queries(const float *sums, const __m512 *share, size_t n, float *out, size_t stride) {
    for (size_t p = 0; p * STEP < n; p++)
        for (size_t h = 0; h < 2; h++) {
            __m512 r[STEP];
            _Pragma("GCC unroll 16") for (size_t i = 0; i < STEP; i++) r[i] =
                _mm512_mul_ps(_mm512_load_ps(sums + (h * STEP + i) * BLOCK + p * PANEL), share[p]);
            transpose(r);
            for (size_t i = 0; i < STEP && p * STEP + i < n; i++)
                _mm512_storeu_ps(out + (p * STEP + i) * stride + h * STEP, r[i]);
        }
}

/* Keys are taken in stretches, whose weights stay in the L1 cache. */
enum { STRETCH = 8 * BLOCK, NEXT_PANEL = STRETCH / 2 * PANEL };

/* Memory of attend_tiles. */
typedef struct attention_tiles {
    uint32_t *keys, *values, *queries;
    uint32_t *weights;                   /* [2][STRETCH / 2][PANEL] */
    float *scores;                       /* [2][BLOCK][BLOCK] */
    float *sums;                         /* [width][BLOCK] */
    size_t frames, padded, words, tiles; /* words of a query; tiles of a head's values */
} attention_tiles;

/* The scores of BLOCK keys: where they are, alternately in two places. */
INLINE float *score(const attention_tiles *t, size_t first, int panels) {
    float *scores = t->scores + first % (2 * BLOCK) * BLOCK;
    const uint32_t *keys = t->keys + first * t->words;
    zero_sums(2, panels);
    for (size_t k = 0; k < t->words; k += STEP)
        step_bf16(keys + k, keys + STEP * t->words + k, 4 * t->words, t->queries + k * PANEL,
                  t->queries + (t->words + k) * PANEL, 2, panels);
    store_sums(scores, PAIR, 2, panels);
    written(scores, scores);
    return scores;
}

/* Of the queries of a panel: the scores to which weights are relative, and the sums of the weights. */
typedef struct softmax {
    __m512 peak, total[2];
    __mmask16 unfit; /* those whose weights relative to 0 are too large or too small for fp32 */
} softmax;

/* Weight of a score, added to a total; relative (a compile-time constant) 0: the peak is 0. */
INLINE __m512i weight_of(const float *score, softmax *s, int i, int relative) {
    __m512 x = _mm512_loadu_ps(score);
    if (relative) x = _mm512_sub_ps(x, s->peak);
    x = power_of_two(x);
    s->total[i] = _mm512_add_ps(s->total[i], x);
    return _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)); /* to be cut off as bf16 */
}

/* Weights of n keys, at most BLOCK, not normalised, then zeros: STEP rows of words of two keys. */
INLINE void weigh(const float *scores, size_t n, int panels, int relative, softmax *s, uint32_t *words) {
    for (size_t j = 0; j < STEP; j++)
        for (int p = 0; p < panels; p++) {
            const float *at = scores + 2 * j * BLOCK + p * PANEL;
            __m512i word = _mm512_setzero_si512();
            if (2 * j < n) word = _mm512_srli_epi32(weight_of(at, &s[p], 0, relative), 16);
            if (2 * j + 1 < n)
                word = _mm512_mask_mov_epi16(word, 0xaaaaaaaa, weight_of(at + BLOCK, &s[p], 1, relative));
            _mm512_storeu_si512(words + p * NEXT_PANEL + j * PANEL, word);
        }
}

/* Adds values of n keys from `first` on, times the weights, to the sums of BLOCK values of the head. */
INLINE void add_values(const attention_tiles *t, size_t d, size_t first, size_t n, int panels) {
    if (first)
        load_sums(t->sums + d * STEP * BLOCK, PAIR, 2, panels);
    else
        zero_sums(2, panels);
    for (size_t f = 0; f < n; f += BLOCK) {
        const uint32_t *left = t->values + ((first + f) / BLOCK * t->tiles + d) * STEP * STEP,
                       *right = t->weights + f / 2 * PANEL;
        step_bf16(left, left + STEP * STEP, TILE_BYTES, right, right + NEXT_PANEL, 2, panels);
    }
    store_sums(t->sums + d * STEP * BLOCK, PAIR, 2, panels);
}

/* Sets the peaks of the unfit queries to their largest score, those of others to 0. */
INLINE void find_peaks(const attention_tiles *t, int panels, softmax *s) {
    for (int p = 0; p < panels; p++) s[p].peak = _mm512_set1_ps(-INFINITY);
    for (size_t first = 0; first < t->padded; first += BLOCK) {
        const float *scores = score(t, first, panels);
        for (size_t f = 0; f < BLOCK && first + f < t->frames; f++)
            for (int p = 0; p < panels; p++)
                s[p].peak = _mm512_max_ps(s[p].peak, _mm512_loadu_ps(scores + f * BLOCK + p * PANEL));
    }
    for (int p = 0; p < panels; p++) s[p].peak = _mm512_maskz_mov_ps(s[p].unfit, s[p].peak);
}

/* The weighted sums of the queries in t->queries. */
INLINE void attend_block(const attention_tiles *t, int panels, int relative, softmax *s) {
    const __m512 most = _mm512_set1_ps(0x1p90f), least = _mm512_set1_ps(0x1p-90f);
    if (relative) find_peaks(t, panels, s);
    for (int p = 0; p < panels; p++) s[p].total[0] = s[p].total[1] = _mm512_setzero_ps();
    float *scores = score(t, 0, panels);
    for (size_t first = 0; first < t->padded; first += STRETCH) {
        const size_t n = t->padded - first < STRETCH ? t->padded - first : STRETCH;
        for (size_t f = 0; f < n; f += BLOCK) {
            const size_t left = t->frames - first - f;
            uint32_t *words = t->weights + f / 2 * PANEL;
            float *const ready = scores;
            if (left > BLOCK) scores = score(t, first + f + BLOCK, panels); /* while vectors work on these */
            if (left >= BLOCK)
                weigh(ready, BLOCK, panels, relative, s, words);
            else
                weigh(ready, left, panels, relative, s, words);
        }
        written(t->weights, t->sums);
        for (size_t d = 0; d < t->tiles; d += 2) add_values(t, d, first, n, panels);
    }
    written(t->sums, t->sums);
    for (int p = 0; p < panels; p++) {
        s[p].total[0] = _mm512_add_ps(s[p].total[0], s[p].total[1]);
        s[p].unfit = _mm512_cmp_ps_mask(s[p].total[0], most, _CMP_NLT_UQ) |
                     _mm512_cmp_ps_mask(s[p].total[0], least, _CMP_NGT_UQ);
    }
}

static __attribute__((noinline)) void attend_block_any(const attention_tiles *t, int panels, int relative, softmax *s) {
    if (panels == 2 && !relative)
        attend_block(t, 2, 0, s);
    else if (panels == 2)
        attend_block(t, 2, 1, s);
    else if (!relative)
        attend_block(t, 1, 0, s);
    else
        attend_block(t, 1, 1, s);
}

/* The n <= BLOCK queries from row `first` on. Weights are 2^score, which needs no maximum, where that fits; where not,
 * the scores are computed once more for it. */
static void attend_queries(const attention *a, const attention_tiles *t, size_t first, size_t n) {
    const int panels = n > STEP ? 2 : 1;
    softmax s[2] = {0};
    __m512 share[2];
    pack_queries(a, first, LOG2_E / sqrtf((float)a->width), t->queries);
    written(t->queries, t->queries);
    attend_block_any(t, panels, 0, s);
    if (s[0].unfit | s[1].unfit) attend_block_any(t, panels, 1, s);
    for (int p = 0; p < panels; p++) share[p] = _mm512_div_ps(_mm512_set1_ps(1.0f), s[p].total[0]);
    for (size_t d = 0; d < t->tiles; d += 2)
        write_queries(t->sums + d * STEP * BLOCK, share, n, a->out + first * a->out_stride + d * STEP, a->out_stride);
}

static void attend_tiles(const attention *a) {
    const size_t all = rows_of(a), width = a->width, words = words_of(WORD_BF16, width);
    if (a->type != WORD_BF16 || words % STEP) {
        attend(a);
        return;
    }
    uint32_t weights[2 * NEXT_PANEL] __attribute__((aligned(64)));
    float scores[2 * BLOCK * BLOCK] __attribute__((aligned(64)));
    attention_tiles t = {.keys = a->workspace,
                         .weights = weights,
                         .scores = scores,
                         .frames = a->frames,
                         .padded = (a->frames + BLOCK - 1) / BLOCK * BLOCK,
                         .words = words,
                         .tiles = width / STEP};
    t.values = t.keys + t.padded * words;
    t.queries = t.values + t.padded * words;
    t.sums = (float *)(void *)(t.queries + BLOCK * words);
    pack_key_rows(a, t.keys);
    pack_value_tiles(a, t.padded, t.queries, t.values); /* before there are queries */
    configure(STEP);
    for (size_t first = 0; first < all; first += BLOCK)
        attend_queries(a, &t, first, all - first < BLOCK ? all - first : BLOCK);
    release();
}
