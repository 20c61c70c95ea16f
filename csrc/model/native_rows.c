/* Workspaces, blocks of rows and their operands, for the graphs of the native backend. */
#include "model/native.h"

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
