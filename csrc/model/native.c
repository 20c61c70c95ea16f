/* Creation and end of the native backend, and functions shared by its files. */
#include "model/native.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

float *workspace_floats(ishow_workspace *w, size_t n) {
    return ishow_workspace_grow(w, n, sizeof(float)) ? w->data : NULL;
}

int native_workspaces(native *m, size_t bytes) {
    for (int i = 0; i < thread_pool_threads(m->pool); i++)
        if (!workspace_floats(&m->workspaces[i], bytes / sizeof(float) + 64)) return 0;
    return 1;
}

size_t native_rows(const native *m, size_t rows) {
    const size_t threads = (size_t)thread_pool_threads(m->pool), most = m->k->block;
    const size_t turns = (rows + threads * most - 1) / (threads * most);
    const size_t even = (rows + threads * turns - 1) / (threads * turns);
    return (even + m->k->rows - 1) / m->k->rows * m->k->rows;
}

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

size_t operand_bytes(const native *m, word_type type, size_t rows, size_t k) {
    return type == WORD_F32 ? 0
                            : aligned(4 * rows * pitch(left_words(m->k, type, k))) +
                                  (type == WORD_S8 ? aligned(rows * groups_of(k) * sizeof(quantiser)) +
                                                         aligned(rows * groups_of(k) * sizeof(int32_t))
                                                   : 0);
}

operand native_operand(const native *m, word_type type, const float *x, size_t stride, size_t rows, size_t k,
                       const quantiser *fixed, float *rest, char **memory) {
    if (type == WORD_F32) return (operand){.words = (const uint32_t *)(const void *)x, .stride = stride};
    const size_t words = pitch(left_words(m->k, type, k));
    uint32_t *to = (uint32_t *)(void *)*memory;
    quantiser *quantisers = NULL;
    int32_t *sums = NULL;
    *memory += aligned(4 * rows * words);
    if (type == WORD_S8) {
        quantisers = (quantiser *)(void *)*memory;
        *memory += aligned(rows * groups_of(k) * sizeof *quantisers);
        sums = (int32_t *)(void *)*memory;
        *memory += aligned(rows * groups_of(k) * sizeof *sums);
    }
    m->k->to_words(type, x, stride, rows, k, fixed && fixed->scale > 0 ? fixed : NULL, to, words, quantisers, sums,
                   rest);
    return (operand){.words = to, .stride = words, .quantisers = quantisers, .sums = sums};
}

static void close_model(void *self) {
    native *m = self;
    if (!m) return;
    native_unload(m);
    ishow_workspace *const shared[] = {&m->a, &m->b, &m->c, &m->d, &m->e};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) ishow_workspace_free(shared[i]);
    for (int i = 0; m->workspaces && i < thread_pool_threads(m->pool); i++) ishow_workspace_free(&m->workspaces[i]);
    free(m->workspaces);
    thread_pool_free(m->pool);
    free(m);
    ishow_handle_freed();
}

ishow_status ishow_native_open(ishow_backend *out, const ishow_native_options *options, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    memset(out, 0, sizeof *out);
    if (options->threads < 0)
        return ishow_fail(error, ISHOW_EINVAL, "threads", "threads is %d; it must be 0 (all cores) or more.",
                          options->threads);
    const kernels *chosen = options->kernels ? ishow_kernels_named(options->kernels) : ishow_kernels_best();
    if (!chosen)
        return ishow_fail(error, ISHOW_EINVAL, "kernels", "This processor has no kernels named \"%s\".",
                          options->kernels);
    native *m = calloc(1, sizeof *m);
    if (!m) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a model");
    ishow_handle_made();
    m->k = chosen;
    m->pool = thread_pool_create(options->threads ? options->threads : ishow_cores());
    m->workspaces = m->pool ? calloc((size_t)thread_pool_threads(m->pool), sizeof *m->workspaces) : NULL;
    if (!m->workspaces) status = ishow_fail(error, ISHOW_ENOMEM, "", "The threads of the model could not be had.");
    if (!status) status = native_load(m, options->model, error);
    if (status) {
        close_model(m);
        return status;
    }
    *out = (ishow_backend){.self = m,
                           .info = m->info,
                           .encode = native_encode,
                           .modulate = native_modulate,
                           .step = native_step,
                           .vocode = native_vocode,
                           .prompt = native_prompt,
                           .prompt_bytes = native_prompt_bytes,
                           .close = close_model};
    if (m->info.predicts_durations) out->durations = native_durations;
    return ISHOW_OK;
}

int ishow_native_multiplies_bf16(void) { return ishow_kernels_bf16_fast(ishow_kernels_best()); }

int ishow_native_fast(void) { return ishow_kernels_best() != ishow_kernels_named("generic"); }
