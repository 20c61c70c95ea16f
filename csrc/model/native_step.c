/* The layers of a DiT or a UNetT, for both guidance branches in one pass over the rows of both; without
 * guidance over those of one.
 *
 * Everything between two attentions is independent for each row, so one task takes a block of rows through all of it:
 * output product, feed-forward and the next layer's queries, keys and values, whose activations never leave the cache.
 * A layer is two rounds of tasks. */
#include <string.h>

#include "base/base.h"
#include "model/native_step.h"

static const float EPS = 1e-6f, RMS_EPS = 1e-24f;

float *frame_of(const stepping *s, size_t branch, size_t frame) {
    return s->x + ((s->m->unett + frame) * s->branches + branch) * s->m->dim;
}

/* x W + h, for a block of frames; the branches share the product. */
void task_input(void *self, size_t i, int thread) {
    stepping *s = self;
    const native *m = s->m;
    const size_t first = i * s->block, n = block_rows(first, s->block, s->frames), dim = m->dim;
    char *memory = m->workspaces[thread].data;
    float *y = (float *)(void *)memory;
    memory += (n * dim * sizeof *y + 63) / 64 * 64;
    const operand x =
        native_operand(m, m->input.type, s->row->x + first * m->mels, m->mels, n, m->mels, NULL, NULL, &memory);
    m->k->product(&x, n, &m->input, PRODUCT_STORE, NULL, y, dim);
    for (size_t b = 0; b < s->branches; b++) {
        const float *h = (b ? s->row->h_uncond : s->row->h_cond) + first * dim;
        for (size_t f = 0; f < n; f++) {
            float *to = frame_of(s, b, first + f);
            for (size_t k = 0; k < dim; k++) to[k] = h[f * dim + k] + y[f * dim + k];
        }
    }
}

/* Both position convolutions of one group of channels in one stretch. Its channels are laid out side by side with
 * padding at both ends, so that a row of the product is the window around a frame. */
void task_positions(void *self, size_t i, int thread) {
    stepping *s = self;
    const native *m = s->m;
    const size_t group = i % CONV_GROUPS, width = m->dim / CONV_GROUPS, words = left_words(m->k, m->conv, width),
                 half = CONV_TAPS / 2, T = s->stretches[i / CONV_GROUPS].rows, stride = s->branches * m->dim;
    float *x = s->x + s->stretches[i / CONV_GROUPS].first * m->dim + group * width;
    uint32_t *padded = m->workspaces[thread].data;
    float *y = (float *)(void *)(padded + (T + 2 * half) * words);
    const operand window = {.words = padded, .stride = words};
    memset(padded, 0, half * words * sizeof *padded);
    memset(padded + (half + T) * words, 0, half * words * sizeof *padded);
    m->k->to_words(m->conv, x, stride, T, width, NULL, padded + half * words, words, NULL, NULL, NULL);
    m->k->product(&window, T, &m->conv1[group], PRODUCT_MISH, NULL, y, width);
    m->k->to_words(m->conv, y, width, T, width, NULL, padded + half * words, words, NULL, NULL, NULL);
    m->k->product(&window, T, &m->conv2[group], PRODUCT_MISH, NULL, y, width);
    for (size_t f = 0; f < T; f++)
        for (size_t c = 0; c < width; c++) x[f * stride + c] += y[f * width + c];
}

/* One of the six vectors of this step's modulation for a layer: shift, scale, gate; the same for the feed-forward. */
static const float *modulation(const stepping *s, size_t layer, size_t which) {
    return s->row->mod + (6 * layer + which) * s->m->dim;
}

/* One of the norms of all layers, two for each and the last: n rows of x, `from` values apart, to out. */
static void norm_rows(const stepping *s, size_t which, const float *x, size_t from, size_t n, float *out,
                      size_t stride) {
    const size_t dim = s->m->dim, last = which == 2 * s->m->depth;
    const float *gain = s->gains + which * dim;
    if (s->m->unett)
        s->m->k->rms_norm(x, from, n, dim, RMS_EPS, gain, out, stride);
    else
        s->m->k->norm(x, from, n, dim, EPS, gain, s->row->mod + (3 * which + last) * dim, out, stride);
}

/* x += y W, times the gate of a DiT. */
static void add_product(const stepping *s, const operand *y, size_t n, const matrix *w, size_t gate, float *x) {
    if (s->m->unett)
        s->m->k->product(y, n, w, PRODUCT_ADD, NULL, x, s->m->dim);
    else
        s->m->k->product(y, n, w, PRODUCT_GATED, modulation(s, s->layer, gate), x, s->m->dim);
}

/* Before a block of a UNetT: keeps the input of one in the first half; of one in the second half, replaces it by a
 * product of it and the input of the mirrored block, depth - 1 - layer. */
static void skip(const stepping *s, size_t layer, size_t first, size_t n, char *memory) {
    const native *m = s->m;
    const size_t dim = m->dim, half = m->depth / 2, wide = pitch(2 * dim);
    float *x = s->x + first * dim, *rows = (float *)(void *)memory;
    if (layer < half) {
        memcpy(s->skips + (layer * s->rows + first) * dim, x, n * dim * sizeof *x);
        return;
    }
    const float *other = s->skips + ((m->depth - 1 - layer) * s->rows + first) * dim;
    for (size_t r = 0; r < n; r++) {
        memcpy(rows + r * wide, x + r * dim, dim * sizeof *x);
        memcpy(rows + r * wide + dim, other + r * dim, dim * sizeof *x);
    }
    memory += (n * wide * sizeof *rows + 63) / 64 * 64;
    const matrix *w = &m->blocks[layer].skip;
    const operand both = native_operand(m, w->type, rows, wide, n, 2 * dim, NULL, NULL, &memory);
    m->k->product(&both, n, w, PRODUCT_STORE, NULL, x, dim);
}

/* Rows of floats to the left side of a product of a block; may change them. Dynamic 8-bit values of a guided step are
 * those of the conditional branch and of the difference of the branches, because guidance multiplies the difference of
 * their quantisation errors. rest: as in to_words. */
static operand block_operand(const stepping *s, const matrix *w, float *x, size_t stride, size_t n,
                             const quantiser *fixed, float *rest, char **memory) {
    const int pairs = s->branches == 2 && w->type == WORD_S8 && !(fixed && fixed->scale > 0);
    if (pairs) s->m->k->subtract(x, stride, n, w->k);
    operand out = native_operand(s->m, w->type, x, stride, n, w->k, fixed, rest, memory);
    out.pairs = pairs;
    return out;
}

static void queries(const stepping *s, size_t layer, size_t first, size_t n, char *memory) {
    const native *m = s->m;
    const size_t dim = m->dim, inner = m->inner;
    if (m->unett) skip(s, layer, first, n, memory);
    float *normal = (float *)(void *)memory;
    memory += (n * pitch(dim) * sizeof *normal + 63) / 64 * 64;
    norm_rows(s, 2 * layer, s->x + first * dim, dim, n, normal, pitch(dim));
    const block *b = &m->blocks[layer];
    const operand x = block_operand(s, &b->qkv, normal, pitch(dim), n, &b->qkv_in, NULL, &memory);
    const size_t wide = pitch(3 * inner);
    m->k->product(&x, n, &b->qkv, PRODUCT_STORE, NULL, s->qkv + first * wide, wide);
}

static void task_queries(void *self, size_t i, int thread) {
    stepping *s = self;
    queries(s, 0, i * s->block, block_rows(i * s->block, s->block, s->rows), s->m->workspaces[thread].data);
}

static void task_attention(void *self, size_t i, int thread) {
    stepping *s = self;
    const native *m = s->m;
    const size_t branch = i / m->heads, head = i % m->heads, inner = m->inner;
    const float *q = s->qkv + branch * pitch(3 * inner) + head * m->dim_head;
    const size_t words_k = keys_words(m->k, m->attention, s->n_known, m->dim_head),
                 words_v = values_words(m->k, m->attention, s->n_known, m->dim_head);
    uint32_t *known = s->known ? s->known + (s->layer * m->heads + head) * (words_k + words_v) : NULL;
    const attention a = {.q = q,
                         .k = q + inner,
                         .v = q + 2 * inner,
                         .stride = s->branches * pitch(3 * inner),
                         .frames = s->keys,
                         .width = m->dim_head,
                         .cos = head < m->rope_heads ? m->cos : NULL,
                         .sin = m->sin,
                         .type = m->attention,
                         .out = s->attended + branch * pitch(inner) + head * m->dim_head,
                         .out_stride = s->branches * pitch(inner),
                         .workspace = m->workspaces[thread].data,
                         .at = s->at,
                         .rows = s->rows,
                         .known_keys = s->at ? known : NULL,
                         .known_values = s->at ? known + words_k : NULL,
                         .n_known = s->at ? s->n_known : 0};
    if (known && !s->at) m->k->keep(&a, known, known + words_k);
    m->k->attend(&a);
}

static void task_rest(void *self, size_t i, int thread) {
    stepping *s = self;
    const native *m = s->m;
    const block *b = &m->blocks[s->layer];
    const size_t first = i * s->block, n = block_rows(first, s->block, s->rows), dim = m->dim;
    char *const memory = m->workspaces[thread].data, *words = memory;
    float *x = s->x + first * dim;
    float *attended = s->attended + first * pitch(m->inner);
    /* With one branch also the quantisation error of this input, times the same weights: it is the most sensitive input
     * for its cost. */
    const int twice = b->out.type == WORD_S8 && s->branches == 1;
    const operand heads =
        block_operand(s, &b->out, attended, pitch(m->inner), n, NULL, twice ? attended : NULL, &words);
    add_product(s, &heads, n, &b->out, 2, x);
    if (twice) {
        matrix again = b->out;
        again.bias = NULL;
        const operand left = native_operand(m, WORD_S8, attended, pitch(m->inner), n, m->inner, NULL, NULL, &words);
        add_product(s, &left, n, &again, 2, x);
    }

    words = memory;
    float *normal = (float *)(void *)words;
    words += (n * pitch(dim) * sizeof *normal + 63) / 64 * 64;
    float *hidden = (float *)(void *)words;
    words += (n * pitch(m->ff) * sizeof *hidden + 63) / 64 * 64;
    norm_rows(s, 2 * s->layer + 1, x, dim, n, normal, pitch(dim));
    char *const free_words = words;
    const operand wide = block_operand(s, &b->ff1, normal, pitch(dim), n, &b->ff1_in, NULL, &words);
    m->k->product(&wide, n, &b->ff1, PRODUCT_GELU_TANH, NULL, hidden, pitch(m->ff));
    words = free_words;
    const operand back = block_operand(s, &b->ff2, hidden, pitch(m->ff), n, &b->ff2_in, NULL, &words);
    add_product(s, &back, n, &b->ff2, 5, x);
    if (s->layer + 1 < m->depth) queries(s, s->layer + 1, first, n, memory);
}

/* Last norm, velocity of the branches, and the step itself, for a block of frames. */
void task_output(void *self, size_t i, int thread) {
    stepping *s = self;
    const native *m = s->m;
    const size_t first = i * s->block, n = block_rows(first, s->block, s->frames), dim = m->dim;
    char *memory = m->workspaces[thread].data;
    float *v[2];
    for (size_t b = 0; b < s->branches; b++) {
        v[b] = (float *)(void *)memory;
        memory += (n * m->mels * sizeof(float) + 63) / 64 * 64;
        char *words = memory;
        float *normal = (float *)(void *)words;
        words += (n * dim * sizeof *normal + 63) / 64 * 64;
        norm_rows(s, 2 * m->depth, frame_of(s, b, first), s->branches * dim, n, normal, dim);
        const operand x = native_operand(m, m->output, normal, dim, n, dim, NULL, NULL, &words);
        m->k->product(&x, n, &m->proj_out, PRODUCT_STORE, NULL, v[b], m->mels);
    }
    m->k->guided_step(s->row->x + first * m->mels, v[0], v[s->branches - 1], s->row->dt, s->row->cfg, n * m->mels);
}

/* operand_bytes of the largest of the types that products of blocks have. */
static size_t product_bytes(const native *m, size_t rows, size_t k) {
    size_t most = 0;
    for (size_t i = 0; i < PRODUCTS * m->depth; i++) {
        const size_t bytes = operand_bytes(m, m->formats[i].type, rows, k);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* Bytes of a thread's workspace: the most that one of the tasks uses. */
static size_t workspace_bytes(const native *m, size_t frames, size_t block) {
    const size_t dim = m->dim, half = CONV_TAPS / 2, slack = 1024;
    const size_t rest = block * (pitch(dim) + pitch(m->ff)) * sizeof(float) + product_bytes(m, block, m->ff) +
                        product_bytes(m, block, dim) + 2 * product_bytes(m, block, m->inner);
    const size_t output = block * (2 * m->mels + dim) * sizeof(float) + operand_bytes(m, m->output, block, dim);
    const size_t input = block * dim * sizeof(float) + operand_bytes(m, m->input.type, block, m->mels);
    const size_t width = dim / CONV_GROUPS,
                 positions = sizeof(float) * ((frames + 2 * half) * left_words(m->k, m->conv, width) + frames * width);
    const size_t head = attention_workspace(frames, m->dim_head);
    const size_t joined =
        m->unett ? block * pitch(2 * dim) * sizeof(float) + operand_bytes(m, m->vocoder, block, 2 * dim) : 0;
    size_t most = rest + slack;
    const size_t all[] = {output + slack, input + slack, positions + slack, head + slack, joined + slack};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] > most) most = all[i];
    return most;
}

ishow_status step_begin(stepping *s, size_t rows, size_t block, size_t longest, ishow_error *error) {
    native *m = s->m;
    const size_t dim = m->dim;
    s->rows = rows;
    s->x = workspace_floats(&m->a, rows * dim);
    s->qkv = workspace_floats(&m->b, rows * pitch(3 * m->inner));
    s->attended = workspace_floats(&m->c, rows * pitch(m->inner));
    /* gains of the norms, which depend on the time of the row, or skips */
    float *of_row = workspace_floats(&m->d, m->unett ? m->depth / 2 * rows * dim : (2 * m->depth + 1) * dim);
    if (!s->x || !s->qkv || !s->attended || !of_row || !native_workspaces(m, workspace_bytes(m, longest, block)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a row of %zu frames", longest);
    s->gains = m->unett ? m->norms : of_row;
    s->skips = of_row;
    if (m->unett) return ISHOW_OK;
    for (size_t layer = 0; layer < m->depth; layer++)
        for (size_t k = 0; k < dim; k++) {
            of_row[2 * layer * dim + k] = 1.0f + modulation(s, layer, 1)[k];
            of_row[(2 * layer + 1) * dim + k] = 1.0f + modulation(s, layer, 4)[k];
        }
    for (size_t k = 0; k < dim; k++) of_row[2 * m->depth * dim + k] = 1.0f + s->row->mod[6 * m->depth * dim + k];
    return ISHOW_OK;
}

void step_run(stepping *s, size_t rows, void (*task)(void *self, size_t i, int thread)) {
    s->block = native_rows(s->m, rows);
    thread_pool_run(s->m->pool, (rows + s->block - 1) / s->block, task, s);
}

void step_layers(stepping *s) {
    const size_t dim = s->m->dim;
    for (size_t b = 0; s->m->unett && b < s->branches; b++) memcpy(s->x + b * dim, s->row->mod, dim * sizeof *s->x);
    step_run(s, s->rows, task_queries);
    for (s->layer = 0; s->layer < s->m->depth; s->layer++) {
        thread_pool_run(s->m->pool, s->branches * s->m->heads, task_attention, s);
        step_run(s, s->rows, task_rest);
    }
}
