/* Attention: rotary embedding, packing of keys and values, softmax, weighted sum. Included by body.h only. */

/* Rotary position embedding of one row, times factor; values 2 i and 2 i + 1 form a pair. cos NULL: only the factor. */
INLINE void apply_rotary(const float *x, const float *cos, const float *sin, size_t width, float factor, float *out) {
    if (!cos) {
        for (size_t i = 0; i < width; i++) out[i] = x[i] * factor;
        return;
    }
    for (size_t i = 0; i < width / 2; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        out[2 * i] = (a * cos[i] - b * sin[i]) * factor;
        out[2 * i + 1] = (b * cos[i] + a * sin[i]) * factor;
    }
}

enum { MOST_WIDTH = 256 }; /* of a head; checked when a model is loaded */

/* Rows of q, k and v, and the frame of one. */
INLINE size_t rows_of(const attention *a) { return a->at ? a->rows : a->frames; }
INLINE size_t frame_of(const attention *a, size_t r) { return a->at ? a->at[r] : r; }

INLINE void rotary_row(const attention *a, const float *side, size_t r, float factor, float *out) {
    const size_t f = frame_of(a, r);
    apply_rotary(side + r * a->stride, a->cos ? a->cos + f * a->width / 2 : NULL,
                 a->cos ? a->sin + f * a->width / 2 : NULL, a->width, factor, out);
}

/* Packs keys as the right side of a product: [panels of frames][words of a head][PANEL], zeros after the last frame. */
static void pack_keys(const attention *a, word_type type, uint32_t *keys) {
    const size_t panels = (a->frames + PANEL - 1) / PANEL, n = words_of(type, a->width);
    float row[MOST_WIDTH];
    uint32_t words[MOST_WIDTH];
    memset(keys + (panels - 1) * n * PANEL, 0, n * PANEL * sizeof *keys);
    if (a->n_known) memcpy(keys, a->known_keys, (a->n_known + PANEL - 1) / PANEL * n * PANEL * sizeof *keys);
    for (size_t r = 0; r < rows_of(a); r++) {
        const size_t f = frame_of(a, r);
        rotary_row(a, a->k, r, 1.0f, row);
        to_words(type, row, a->width, 1, a->width, NULL, words, n, NULL, NULL, NULL);
        uint32_t *panel = keys + f / PANEL * n * PANEL + f % PANEL;
        for (size_t w = 0; w < n; w++) panel[w * PANEL] = words[w];
    }
}

/* Packs values as the right side of a product: [panels of a head][n words of frames][PANEL]. A word of bf16 has two
 * frames, one of which may be known. */
static void pack_values(const attention *a, word_type type, size_t n, uint32_t *values) {
    const size_t known = words_of(type, a->n_known), rows = rows_of(a);
    for (size_t p = 0; known && p < a->width / PANEL; p++)
        memcpy(values + p * n * PANEL, a->known_values + p * known * PANEL, known * PANEL * sizeof *values);
    for (size_t r = 0, taken; r < rows; r += taken) {
        const size_t f = frame_of(a, r);
        const uint32_t half = type == WORD_F32 ? 0 : f % 2;
        const int both = type != WORD_F32 && !half && r + 1 < rows && frame_of(a, r + 1) == f + 1,
                  beside = type != WORD_F32 && !both && (half || f + 1 < a->frames);
        const float *v0 = a->v + r * a->stride, *v1 = v0 + a->stride;
        taken = both ? 2 : 1;
        for (size_t i = 0; i < a->width; i += LANES) {
            uvec w = (uvec)load(v0 + i);
            uint32_t *to = values + (i / PANEL * n + (type == WORD_F32 ? f : f / 2)) * PANEL + i % PANEL;
            if (type == WORD_BF16) {
                w = __builtin_convertvector(to_bf16((vec)w), uvec) << 16 * half;
                if (both) w |= __builtin_convertvector(to_bf16(load(v1 + i)), uvec) << 16;
            }
            if (beside) {
                uvec other;
                memcpy(&other, to, sizeof other);
                w |= other & (half ? 0xffffu : 0xffff0000u);
            }
            memcpy(to, &w, sizeof w);
        }
    }
}

static void keep(const attention *a, uint32_t *keys, uint32_t *values) {
    const word_type type = BF16_SPREAD == 1 ? a->type : WORD_F32;
    pack_keys(a, type, keys);
    pack_values(a, type, words_of(type, a->frames), values);
}

#if COARSE
/* Softmax of one query's scores, base 2, to bf16 attention weights, not normalised, over `padded` frames, a multiple of
 * 32, with zeros after the last frame; returns the factor that normalises the weighted sum. */
INLINE float coarse_attention_weights(float *scores, size_t frames, size_t padded, uint32_t *words) {
    for (size_t f = frames; f < padded; f++) scores[f] = -1e30f;
    __m512 most = _mm512_loadu_ps(scores), other = most, total = _mm512_setzero_ps(), more = total;
    for (size_t f = 0; f < padded; f += 2 * LANES) {
        most = _mm512_max_ps(most, _mm512_loadu_ps(scores + f));
        other = _mm512_max_ps(other, _mm512_loadu_ps(scores + f + LANES));
    }
    const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(_mm512_max_ps(most, other)));
    for (size_t f = 0; f < padded; f += 2 * LANES) {
        const __m512 low = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + f), peak)),
                     high = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + f + LANES), peak));
        total = _mm512_add_ps(total, low);
        more = _mm512_add_ps(more, high);
        _mm512_storeu_si512(words + f / 2, (__m512i)_mm512_cvtne2ps_pbh(high, low));
    }
    return 1.0f / _mm512_reduce_add_ps(_mm512_add_ps(total, more));
}
#endif

/* Softmax of one query's scores to attention weights, not normalised, over `padded` frames, with zeros after the last
 * frame; returns the factor that normalises the weighted sum. With COARSE, bf16 scores are to base 2. */
static float attention_weights(word_type type, float *scores, size_t frames, size_t padded, uint32_t *words) {
#if COARSE
    if (type == WORD_BF16) return coarse_attention_weights(scores, frames, padded, words);
#endif
    for (size_t f = frames; f < padded; f++) scores[f] = -INFINITY;
    vec most = load(scores), total = splat(0);
    for (size_t f = LANES; f < padded; f += LANES) most = vmax(most, load(scores + f));
    const float peak = max_of(most);
    for (size_t f = 0; f < padded; f += LANES) {
        vec e = vexp(load(scores + f) - peak);
        if (f + LANES > frames)
            for (int l = 0; l < LANES; l++)
                if (f + (size_t)l >= frames) e[l] = 0;
        total += e;
        store(scores + f, e);
    }
    to_words(type, scores, padded, 1, frames, NULL, words, words_of(type, frames), NULL, NULL, NULL);
    return 1.0f / sum_of(total);
}

/* The scores of ROWS queries against all keys fit in the L2 cache, so the softmax needs no running maximum. */
static void attend(const attention *a) {
    const word_type type = BF16_SPREAD == 1 ? a->type : WORD_F32;
    const int coarse = COARSE && type == WORD_BF16;
    const size_t T = a->frames, all = rows_of(a), width = a->width, key_panels = (T + PANEL - 1) / PANEL,
                 padded = coarse ? (T + 2 * LANES - 1) / (2 * LANES) * 2 * LANES : key_panels * PANEL;
    const size_t words_q = words_of(type, width), words_p = words_of(type, T), stride_p = coarse ? padded / 2 : words_p,
                 value_panels = width / PANEL;
    uint32_t *keys = a->workspace, *values = keys + key_panels * words_q * PANEL,
             *weights = values + value_panels * words_p * PANEL, *queries = weights + ROWS * stride_p;
    float *scores = (float *)(void *)(queries + ROWS * words_q);
    float row[MOST_WIDTH];

    pack_keys(a, type, keys);
    pack_values(a, type, words_p, values);
    const float factor = (coarse ? LOG2_E : 1.0f) / sqrtf((float)width);
    vec tile[ROWS * TILE_VECS] __attribute__((aligned(64)));
    for (size_t first = 0; first < all; first += ROWS) {
        const size_t these = all - first < ROWS ? all - first : ROWS;
        const uint32_t *pointers[ROWS];
        for (size_t r = 0; r < ROWS; r++) {
            rotary_row(a, a->q, first + (r < these ? r : these - 1), factor, row);
            to_words(type, row, width, 1, width, NULL, queries + r * words_q, words_q, NULL, NULL, NULL);
            pointers[r] = queries + r * words_q;
        }
        for (size_t p = 0; p < key_panels; p += PANELS) {
            const int panels = key_panels - p < PANELS ? 1 : PANELS;
            tile_any(type, pointers, keys + p * words_q * PANEL, words_q, words_q, panels, 0, tile);
            for (size_t r = 0; r < these; r++)
                for (size_t v = 0; v < (size_t)panels * VPP; v++)
                    store(scores + r * padded + p * PANEL + v * LANES, tile[r * TILE_VECS + v]);
        }
        float share[ROWS];
        for (size_t r = 0; r < these; r++)
            share[r] = attention_weights(type, scores + r * padded, T, padded, weights + r * stride_p);
        for (size_t r = 0; r < ROWS; r++) pointers[r] = weights + (r < these ? r : these - 1) * stride_p;
        for (size_t p = 0; p < value_panels; p += PANELS) {
            const int panels = value_panels - p < PANELS ? 1 : PANELS;
            tile_any(type, pointers, values + p * words_p * PANEL, words_p, words_p, panels, 0, tile);
            for (size_t r = 0; r < these; r++)
                for (int v = 0; v < panels * VPP; v++)
                    store(a->out + (first + r) * a->out_stride + p * PANEL + (size_t)v * LANES,
                          tile[r * TILE_VECS + (size_t)v] * share[r]);
        }
    }
}
