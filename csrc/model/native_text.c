/* What is computed once a request: text and reference as the part of the input projection that is the same in all
 * steps, the modulation of its times, and the durations of its phones. All in fp32. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "model/native.h"

static const float EPS = 1e-6f;

/* ---- ConvNeXt V2 over a sequence ---- */

typedef struct encoding {
    native *m;
    const convnext *c;
    float *x;      /* [n][dim] */
    float *hidden; /* [n][inner] */
    float *factor; /* [inner] */
    size_t n, block;
} encoding;

static void task_up(void *self, size_t i, int thread) {
    encoding *e = self;
    const native *m = e->m;
    const convnext *c = e->c;
    const size_t first = i * e->block, n = block_rows(first, e->block, e->n);
    float *y = m->workspaces[thread].data;
    m->k->depthwise(e->x, e->n, first, n, c->dim, c->dw, DW_TAPS, c->dw_bias, y);
    m->k->norm(y, c->dim, n, c->dim, EPS, c->norm_gain, c->norm_offset, y, c->dim);
    const operand x = {.words = (const uint32_t *)(const void *)y, .stride = c->dim};
    m->k->product(&x, n, &c->up, PRODUCT_GELU, NULL, e->hidden + first * c->inner, c->inner);
}

static void task_down(void *self, size_t i, int thread) {
    encoding *e = self;
    const convnext *c = e->c;
    const size_t first = i * e->block, n = block_rows(first, e->block, e->n);
    float *hidden = e->hidden + first * c->inner;
    (void)thread;
    for (size_t r = 0; r < n; r++)
        for (size_t k = 0; k < c->inner; k++) {
            float *h = hidden + r * c->inner + k;
            *h += c->grn_gamma[k] * (*h * e->factor[k]) + c->grn_beta[k];
        }
    const operand x = {.words = (const uint32_t *)(const void *)hidden, .stride = c->inner};
    e->m->k->product(&x, n, &c->down, PRODUCT_ADD, NULL, e->x + first * c->dim, c->dim);
}

/* x [n][dim] through one block. seen [n]: rows included in the global response norm; NULL: all. Uses workspaces d and
 * e. */
static ishow_status convnext_run(native *m, const convnext *c, float *x, size_t n, const unsigned char *seen,
                                 ishow_error *error) {
    encoding e = {.m = m, .c = c, .x = x, .n = n, .block = native_rows(m, n)};
    e.hidden = workspace_floats(&m->d, n * c->inner);
    e.factor = workspace_floats(&m->e, c->inner);
    if (!e.hidden || !e.factor || !native_workspaces(m, e.block * c->dim * sizeof(float)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu frames", n);
    const size_t tasks = (n + e.block - 1) / e.block;
    thread_pool_run(m->pool, tasks, task_up, &e);
    memset(e.factor, 0, c->inner * sizeof *e.factor);
    for (size_t r = 0; r < n; r++)
        for (size_t k = 0; (!seen || seen[r]) && k < c->inner; k++)
            e.factor[k] += e.hidden[r * c->inner + k] * e.hidden[r * c->inner + k];
    double mean = 0;
    for (size_t k = 0; k < c->inner; k++) mean += (double)(e.factor[k] = sqrtf(e.factor[k]));
    for (size_t k = 0; k < c->inner; k++) e.factor[k] /= (float)(mean / (double)c->inner) + EPS;
    thread_pool_run(m->pool, tasks, task_down, &e);
    return ISHOW_OK;
}

/* ---- text ---- */

static void hide_rows(float *x, size_t n, size_t dim, const unsigned char *keep) {
    for (size_t r = 0; keep && r < n; r++)
        if (!keep[r]) memset(x + r * dim, 0, dim * sizeof *x);
}

/* Adds to each token the vector of the last speaker token before it. x [n][dim] has rows of `table`. */
static void add_speakers(const native *m, const int64_t *tokens, size_t n, const float *table, size_t dim, float *x) {
    const float *speaker = NULL;
    for (size_t i = 0; m->speakers && i < n; i++) {
        if ((size_t)tokens[i] >= m->n_tokens - m->speakers)
            speaker = table + (size_t)tokens[i] * dim;
        else if (speaker && tokens[i])
            for (size_t k = 0; k < dim; k++) x[i * dim + k] += speaker[k];
    }
}

/* Embeds tokens as vectors [n][text_dim] in x. known [n]: tokens that are not filler. hidden: 1 for the unconditional
 * branch, whose tokens are all filler. */
static ishow_status embed_text(native *m, const int64_t *tokens, size_t n, const unsigned char *known, int hidden,
                               float *x, ishow_error *error) {
    const size_t dim = m->text_dim;
    const int aligned = m->info.text_layout == ISHOW_TEXT_ALIGNED;
    const unsigned char *keep = m->mask_padding ? known : NULL;
    for (size_t i = 0; i < n; i++)
        memcpy(x + i * dim, m->embedding + (size_t)(hidden ? 0 : tokens[i]) * dim, dim * sizeof *x);
    if (!hidden) add_speakers(m, tokens, n, m->embedding, dim, x);
    if (!m->n_text) {
        hide_rows(x, n, dim, aligned ? known : NULL);
        return ISHOW_OK;
    }
    for (size_t i = 0; i < n * dim; i++) x[i] += m->positions[i];
    hide_rows(x, n, dim, keep);
    for (size_t i = 0; i < m->n_text; i++) {
        ishow_status status = convnext_run(m, &m->text[i], x, n, aligned ? known : NULL, error);
        if (status) return status;
        hide_rows(x, n, dim, keep);
    }
    return ISHOW_OK;
}

/* Spreads text vectors over frames, into to [frames][text_dim]. */
static ishow_status spread(native *m, const ishow_encode_in *in, const float *text, float *to, ishow_error *error) {
    const size_t dim = m->text_dim, T = in->frames;
    if (m->info.text_layout == ISHOW_TEXT_PADDED) {
        memcpy(to, text, T * dim * sizeof *to);
        return ISHOW_OK;
    }
    for (size_t f = 0; f < T; f++) memcpy(to + f * dim, text + (size_t)in->index[f] * dim, dim * sizeof *to);
    if (m->info.text_layout == ISHOW_TEXT_AVERAGE) return ISHOW_OK;
    float *place = workspace_floats(&m->e, T * 3);
    if (!place) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu frames", T);
    for (size_t f = 0; f < T; f++) {
        place[3 * f] = in->phase[f];
        place[3 * f + 1] = 1 - in->phase[f];
        place[3 * f + 2] = sinf((float)M_PI * in->phase[f]);
    }
    const operand x = {.words = (const uint32_t *)(const void *)place, .stride = 3};
    m->k->product(&x, T, &m->phase, PRODUCT_ADD, NULL, to, dim);
    return convnext_run(m, &m->frame, to, T, NULL, error);
}

static ishow_status check_encode(const native *m, const ishow_encode_in *in, ishow_error *error) {
    const int aligned = m->info.text_layout == ISHOW_TEXT_ALIGNED, indexed = m->info.text_layout != ISHOW_TEXT_PADDED;
    if (in->frames < 2 || in->frames > m->info.max_frames || in->ref_frames > in->frames || !in->n_tokens ||
        in->n_tokens > m->info.max_frames || (!aligned && in->n_tokens != in->frames) || (indexed && !in->index) ||
        (aligned && !in->phase))
        return ishow_fail(error, ISHOW_EINVAL, "",
                          "%zu tokens with %zu of %zu frames of reference do not fit this model's text layout.",
                          in->n_tokens, in->ref_frames, in->frames);
    for (size_t i = 0; i < in->n_tokens; i++)
        if (in->tokens[i] < 0 || (uint64_t)in->tokens[i] >= m->n_tokens)
            return ishow_fail(error, ISHOW_EINVAL, "", "Token %lld is not one of this model's %zu.",
                              (long long)in->tokens[i], m->n_tokens);
    for (size_t i = 0; indexed && i < in->frames; i++)
        if (in->index[i] < 0 || (uint64_t)in->index[i] >= in->n_tokens)
            return ishow_fail(error, ISHOW_EINVAL, "", "Frame %zu belongs to token %lld of %zu.", i,
                              (long long)in->index[i], in->n_tokens);
    return ISHOW_OK;
}

typedef struct conditioning {
    native *m;
    const float *rows; /* [T][mels + text_dim] */
    float *h;
    size_t frames, block;
} conditioning;

static void task_condition(void *self, size_t i, int thread) {
    conditioning *c = self;
    const size_t first = i * c->block, n = block_rows(first, c->block, c->frames), width = c->m->mels + c->m->text_dim;
    const operand x = {.words = (const uint32_t *)(const void *)(c->rows + first * width), .stride = width};
    (void)thread;
    c->m->k->product(&x, n, &c->m->condition, PRODUCT_STORE, NULL, c->h + first * c->m->dim, c->m->dim);
}

ishow_status native_encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error) {
    native *m = self;
    const size_t T = in->frames, td = m->text_dim, width = m->mels + td;
    ishow_status status = check_encode(m, in, error);
    if (status) return status;
    float *text = workspace_floats(&m->a, in->n_tokens * td + in->n_tokens), *framed = workspace_floats(&m->b, T * td),
          *rows = workspace_floats(&m->c, T * width);
    if (!text || !framed || !rows) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu frames", T);
    unsigned char *known = (unsigned char *)(text + in->n_tokens * td);
    for (size_t i = 0; i < in->n_tokens; i++) known[i] = in->tokens[i] != 0;
    for (int hidden = 0; hidden < 2; hidden++) {
        float *h = hidden ? h_uncond : h_cond;
        if (hidden &&
            m->info.text_layout == ISHOW_TEXT_ALIGNED) { /* without text and reference only the bias is left */
            for (size_t f = 0; f < T; f++) memcpy(h + f * m->dim, m->condition.bias, m->dim * sizeof *h);
            continue;
        }
        if ((status = embed_text(m, in->tokens, in->n_tokens, known, hidden, text, error)) ||
            (status = spread(m, in, text, framed, error)))
            return status;
        for (size_t f = 0; f < T; f++) {
            float *row = rows + f * width;
            for (size_t i = 0; i < m->mels; i++)
                row[i] = !hidden && f < in->ref_frames ? (in->cond[f * m->mels + i] - m->mel_mean) / m->mel_std : 0.0f;
            memcpy(row + m->mels, framed + f * td, td * sizeof *row);
        }
        conditioning c = {.m = m, .rows = rows, .h = h, .frames = T, .block = native_rows(m, T)};
        thread_pool_run(m->pool, (T + c.block - 1) / c.block, task_condition, &c);
    }
    return ISHOW_OK;
}

/* ---- time ---- */

typedef struct timing {
    native *m;
    const float *time; /* [n][dim] */
    float *mod;
    size_t n;
} timing;

static void task_modulation(void *self, size_t i, int thread) {
    timing *t = self;
    const operand x = {.words = (const uint32_t *)(const void *)t->time, .stride = t->m->dim};
    (void)thread;
    t->m->k->product(&x, t->n, &t->m->ada[i], PRODUCT_STORE, NULL, t->mod + i * 6 * t->m->dim,
                     (size_t)t->m->info.mod_width);
}

/* Strength of guidance that is 1 for the network; the same number is in ishowtts/model/config.py. */
static const float GUIDANCE_UNIT = 10.0f;

/* Sinusoidal embedding of [n] numbers from 0 to 1, through two layers: out [n][dim]. Uses workspaces a and b. */
static ishow_status sinusoids(native *m, const float *values, float unit, size_t n, const matrix *up,
                              const matrix *down, float *out, ishow_error *error) {
    const size_t half = TIME_WIDTH / 2;
    float *waves = workspace_floats(&m->a, n * TIME_WIDTH), *hidden = workspace_floats(&m->b, n * m->dim);
    if (!waves || !hidden) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu times", n);
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < half; i++) {
            const float angle = 1000.0f * (values[r] / unit) * expf((float)i * -(logf(10000.0f) / (float)(half - 1)));
            waves[r * TIME_WIDTH + i] = sinf(angle);
            waves[r * TIME_WIDTH + half + i] = cosf(angle);
        }
    const operand x = {.words = (const uint32_t *)(const void *)waves, .stride = TIME_WIDTH};
    m->k->product(&x, n, up, PRODUCT_SILU, NULL, hidden, m->dim);
    const operand y = {.words = (const uint32_t *)(const void *)hidden, .stride = m->dim};
    m->k->product(&y, n, down, PRODUCT_STORE, NULL, out, m->dim);
    return ISHOW_OK;
}

ishow_status native_modulate(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error) {
    native *m = self;
    if (!n) return ishow_fail(error, ISHOW_EINVAL, "", "no times were given");
    float *time = m->unett ? mod : workspace_floats(&m->c, n * m->dim),
          *more = m->info.guidance_max > 0 ? workspace_floats(&m->d, n * m->dim) : NULL;
    if (!time || (m->info.guidance_max > 0 && !more))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu times", n);
    ishow_status status = sinusoids(m, t, 1, n, &m->time1, &m->time2, time, error);
    if (!status && more) status = sinusoids(m, guidance, GUIDANCE_UNIT, n, &m->guidance1, &m->guidance2, more, error);
    if (status) return status;
    for (size_t r = 0; r < n; r++)
        for (size_t k = r * m->dim; k < (r + 1) * m->dim; k++) {
            if (more && guidance[r] > 0) time[k] += more[k];
            if (!m->unett) time[k] /= 1.0f + expf(-time[k]); /* every adaptive norm begins with SiLU */
        }
    if (m->unett) return ISHOW_OK;
    timing run = {.m = m, .time = time, .mod = mod, .n = n};
    thread_pool_run(m->pool, m->depth + 1, task_modulation, &run);
    return ISHOW_OK;
}

/* ---- durations ---- */

ishow_status native_durations(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error) {
    native *m = self;
    const size_t dim = m->duration_dim, half = m->duration_taps / 2;
    if (!n || n > m->info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "%zu phones were given; this model takes 1 to %zu.", n,
                          m->info.max_frames);
    float *padded = workspace_floats(&m->a, (n + 2 * half) * dim), *y = workspace_floats(&m->b, n * dim);
    if (!padded || !y) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu phones", n);
    float *x = padded + half * dim; /* surrounded by zeros, the convolution's padding */
    memset(padded, 0, (n + 2 * half) * dim * sizeof *padded);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (uint64_t)tokens[i] >= m->n_tokens)
            return ishow_fail(error, ISHOW_EINVAL, "", "Token %lld is not one of this model's %zu.",
                              (long long)tokens[i], m->n_tokens);
        memcpy(x + i * dim, m->duration_embedding + (size_t)tokens[i] * dim, dim * sizeof *x);
    }
    add_speakers(m, tokens, n, m->duration_embedding, dim, x);
    const operand window = {.words = (const uint32_t *)(const void *)padded, .stride = dim};
    for (size_t layer = 0; layer < m->n_duration; layer++) {
        const duration_block *b = &m->duration[layer];
        m->k->product(&window, n, &b->conv, PRODUCT_STORE, NULL, y, dim);
        m->k->norm(y, dim, n, dim, 1e-5f, b->norm_gain, b->norm_offset, y, dim);
        m->k->gelu(y, y, n * dim);
        for (size_t i = 0; i < n * dim; i++) x[i] += y[i];
    }
    m->k->norm(x, dim, n, dim, 1e-5f, m->duration_gain, m->duration_offset, y, dim);
    const operand last = {.words = (const uint32_t *)(const void *)y, .stride = dim};
    m->k->product(&last, n, &m->duration_out, PRODUCT_STORE, NULL, frames_out, 1);
    for (size_t i = 0; i < n; i++) frames_out[i] = expf(frames_out[i]);
    return ISHOW_OK;
}
