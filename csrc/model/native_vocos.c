/* The vocoder: log-mel to the complex spectrum that the inverse STFT of audio/ turns into sound. */
#include <math.h>
#include <string.h>

#include "base/base.h"
#include "model/native.h"

typedef struct vocoding {
    native *m;
    const uint32_t *mel;         /* words of the log-mel, DW_TAPS / 2 frames of padding at both ends */
    size_t frames, block, layer; /* frames: T, those of the spectrum */
    float *from, *to;            /* [T][dim]; a layer reads neighbouring rows, so it writes to another buffer */
    float *parts, *wave;         /* of a source-filter head: [T][width], [(T - 1) * hop + n_fft] */
    float *real, *imag;
} vocoding;

static const float EPS = 1e-6f;
static const float MAX_MAGNITUDE = 1e2f; /* limits the exponential */

static void task_embed(void *self, size_t i, int thread) {
    vocoding *v = self;
    const native *m = v->m;
    const size_t first = i * v->block, n = block_rows(first, v->block, v->frames), dim = m->vocos_dim,
                 words = left_words(m->k, m->embed, m->mels);
    const operand window = {.words = v->mel + first * words, .stride = words};
    float *y = m->workspaces[thread].data;
    m->k->product(&window, n, &m->vocos_embed, PRODUCT_STORE, NULL, y, dim);
    m->k->norm(y, dim, n, dim, EPS, m->vocos_norm_gain, m->vocos_norm_offset, v->from + first * dim, dim);
}

static void task_block(void *self, size_t i, int thread) {
    vocoding *v = self;
    const native *m = v->m;
    const convnext *c = &m->vocos[v->layer];
    const size_t first = i * v->block, n = block_rows(first, v->block, v->frames), dim = c->dim;
    float *y = m->workspaces[thread].data, *hidden = y + n * dim;
    char *memory = (char *)(hidden + n * c->inner), *words = memory;
    m->k->depthwise(v->from, v->frames, first, n, dim, c->dw, DW_TAPS, c->dw_bias, y);
    m->k->norm(y, dim, n, dim, EPS, c->norm_gain, c->norm_offset, y, dim);
    const operand x = native_operand(m, m->vocoder, y, dim, n, dim, NULL, NULL, &words);
    m->k->product(&x, n, &c->up, PRODUCT_GELU, NULL, hidden, c->inner);
    words = memory;
    const operand back = native_operand(m, m->vocoder, hidden, c->inner, n, c->inner, NULL, NULL, &words);
    memcpy(v->to + first * dim, v->from + first * dim, n * dim * sizeof *v->to);
    m->k->product(&back, n, &c->down, PRODUCT_GATED, c->scale, v->to + first * dim, dim);
}

static void task_head(void *self, size_t i, int thread) {
    vocoding *v = self;
    const native *m = v->m;
    const size_t first = i * v->block, n = block_rows(first, v->block, v->frames), dim = m->vocos_dim,
                 bins = ishow_spectrum_bins(&m->info);
    float *y = m->workspaces[thread].data, *both = y + n * dim;
    m->k->norm(v->from + first * dim, dim, n, dim, EPS, m->vocos_final_gain, m->vocos_final_offset, y, dim);
    char *memory = (char *)(both + v->block * 2 * bins); /* aligned, of a whole block */
    const operand x = native_operand(m, m->head.type, y, dim, n, dim, NULL, NULL, &memory);
    m->k->product(&x, n, &m->head, PRODUCT_STORE, NULL, both, 2 * bins);
    for (size_t f = 0; f < n; f++)
        m->k->spectrum(both + f * 2 * bins, both + f * 2 * bins + bins, MAX_MAGNITUDE, v->real + (first + f) * bins,
                       v->imag + (first + f) * bins, bins);
}

static void task_parts(void *self, size_t i, int thread) {
    vocoding *v = self;
    const native *m = v->m;
    const size_t first = i * v->block, n = block_rows(first, v->block, v->frames), dim = m->vocos_dim;
    const size_t width = native_source_width(ishow_spectrum_bins(&m->info));
    float *y = m->workspaces[thread].data;
    m->k->norm(v->from + first * dim, dim, n, dim, EPS, m->vocos_final_gain, m->vocos_final_offset, y, dim);
    char *memory = (char *)(y + v->block * dim); /* aligned, of a whole block */
    const operand x = native_operand(m, m->head.type, y, dim, n, dim, NULL, NULL, &memory);
    m->k->product(&x, n, &m->head, PRODUCT_STORE, NULL, v->parts + first * width, width);
}

static void task_filter(void *self, size_t i, int thread) {
    vocoding *v = self;
    const native *m = v->m;
    const size_t first = i * v->block, n = block_rows(first, v->block, v->frames), bins = ishow_spectrum_bins(&m->info);
    const size_t width = native_source_width(bins);
    for (size_t f = first; f < first + n; f++)
        native_source_frame(m->source, m->k, thread, f, v->parts + f * width, v->wave, m->workspaces[thread].data,
                            v->real + f * bins, v->imag + f * bins);
}

/* The mel [frames][mels] of the transformer as log-mel [T][mels] at the hop of the spectrum, linear in between; frames
 * behind the last one repeat it. */
static void to_spectrum_frames(const native *m, const float *mel, size_t frames, size_t T, float *out) {
    const size_t hop = (size_t)m->info.hop, step = (size_t)m->info.spectrum_hop, last = frames - 1;
    for (size_t t = 0; t < T; t++) {
        const size_t at = t * step, left = at / hop < last ? at / hop : last, right = left < last ? left + 1 : last;
        const float share = fminf((float)(at - left * hop) / (float)hop, 1);
        const float *a = mel + left * m->mels, *b = mel + right * m->mels;
        for (size_t i = 0; i < m->mels; i++)
            out[t * m->mels + i] = (a[i] + (b[i] - a[i]) * share) * m->mel_std + m->mel_mean;
    }
}

ishow_status native_vocode(void *self, const float *mel, size_t mel_frames, float *real, float *imag,
                           ishow_error *error) {
    native *m = self;
    const size_t half = DW_TAPS / 2, words = left_words(m->k, m->embed, m->mels), dim = m->vocos_dim,
                 bins = ishow_spectrum_bins(&m->info);
    if (mel_frames < 2 || mel_frames > m->info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "%zu frames were given; this model takes 2 to %zu.", mel_frames,
                          m->info.max_frames);
    const size_t frames = ishow_spectrum_frames(&m->info, mel_frames);
    vocoding v = {.m = m, .frames = frames, .real = real, .imag = imag, .block = native_rows(m, frames)};
    float *plain = workspace_floats(&m->a, frames * m->mels);
    uint32_t *padded = (uint32_t *)(void *)workspace_floats(&m->b, (frames + 2 * half) * words);
    v.from = workspace_floats(&m->c, frames * dim);
    v.to = workspace_floats(&m->d, frames * dim);
    const size_t workspace = sizeof(float) * v.block * (dim + (m->vocos_inner > 2 * bins ? m->vocos_inner : 2 * bins)) +
                             operand_bytes(m, m->vocoder, v.block, m->vocos_inner) +
                             operand_bytes(m, m->vocoder, v.block, dim) + operand_bytes(m, m->head.type, v.block, dim) +
                             1024;
    const size_t width = native_source_width(bins);
    if (m->source) {
        v.parts = workspace_floats(&m->e, frames * width + (frames - 1) * (size_t)m->info.spectrum_hop +
                                              (size_t)m->info.spectrum_fft);
        v.wave = v.parts ? v.parts + frames * width : NULL;
    }
    if (!plain || !padded || !v.from || !v.to ||
        (m->source && (!v.parts || !native_workspaces(m, native_source_workspace(m->source)))) ||
        !native_workspaces(m, workspace))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu frames of sound", frames);
    to_spectrum_frames(m, mel, mel_frames, frames, plain);
    memset(padded, 0, half * words * sizeof *padded);
    memset(padded + (half + frames) * words, 0, half * words * sizeof *padded);
    m->k->to_words(m->embed, plain, m->mels, frames, m->mels, NULL, padded + half * words, words, NULL, NULL, NULL);
    v.mel = padded;

    const size_t tasks = (frames + v.block - 1) / v.block;
    thread_pool_run(m->pool, tasks, task_embed, &v);
    for (v.layer = 0; v.layer < m->n_vocos; v.layer++) {
        thread_pool_run(m->pool, tasks, task_block, &v);
        float *swap = v.from;
        v.from = v.to;
        v.to = swap;
    }
    if (m->source) {
        thread_pool_run(m->pool, tasks, task_parts, &v);
        native_source_pulses(m->source, m->k, v.parts, frames, m->workspaces[0].data, v.wave);
        thread_pool_run(m->pool, tasks, task_filter, &v);
        return ISHOW_OK;
    }
    thread_pool_run(m->pool, tasks, task_head, &v);
    return ISHOW_OK;
}
