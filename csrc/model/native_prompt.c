/* Steps without the reference's frames: their keys and values are computed once for a time, from the reference alone,
 * and read by every step at that time. An approximation: in a whole row the reference attends to the new frames too.
 *
 * Kept for a time: x of the reference [frames][M] in whole cache lines, then [depth][heads] keys and values as
 * kernels.keep writes them; in a UNetT those of the time come first, at position 0, and frame f is at position 1 + f. x
 * is needed for the position convolutions, which reach over the edges of what is computed. */
#include <string.h>

#include "base/base.h"
#include "model/native_step.h"

enum { CONV_REACH = 2 * (CONV_TAPS / 2) }; /* of both position convolutions together */

static size_t x_bytes(const native *m, size_t frames) { return (frames * m->mels * sizeof(float) + 63) / 64 * 64; }

size_t native_prompt_bytes(void *self, size_t frames) {
    const native *m = self;
    const size_t length = m->unett + frames;
    return x_bytes(m, frames) + m->depth * m->heads * sizeof(uint32_t) *
                                    (keys_words(m->k, m->attention, length, m->dim_head) +
                                     values_words(m->k, m->attention, length, m->dim_head));
}

ishow_status native_prompt(void *self, const ishow_prompt_in *in, void *kept, ishow_error *error) {
    native *m = self;
    const size_t T = in->frames, length = m->unett + T;
    const stretch all = {m->unett, T};
    float *x = kept;
    if (T < 2 || T > m->info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "A reference of %zu frames was given; this model takes 2 to %zu.", T,
                          m->info.max_frames);
    for (size_t i = 0; i < T * m->mels; i++)
        x[i] = (1 - in->t) * in->noise[i] + in->t * ((in->cond[i] - m->mel_mean) / m->mel_std);
    const ishow_step_row row = {.x = x, .h_cond = in->h, .mod = in->mod, .frames = T};
    stepping s = {
        .m = m, .row = &row, .frames = T, .keys = length, .branches = 1, .stretches = &all, .n_known = length};
    s.known = (uint32_t *)(void *)((char *)kept + x_bytes(m, T));
    const size_t frames = native_rows(m, T), rows = native_rows(m, length);
    ishow_status status = step_begin(&s, length, frames > rows ? frames : rows, length, error);
    if (status) return status;
    step_run(&s, T, task_input);
    thread_pool_run(m->pool, CONV_GROUPS, task_positions, &s);
    step_layers(&s);
    return ISHOW_OK;
}

/* Frames of a row that are computed, and those that the position convolutions read for them. */
typedef struct selection {
    uint32_t *at, *row; /* [computed] frame of each, and its row among those that are read */
    stretch *stretches; /* of rows that are read */
    size_t computed, read, n_stretches;
} selection;

/* Fills the selection; read_at [frames]: the frame of each row that is read. */
static void select_frames(const ishow_prompt *p, size_t frames, selection *out, uint32_t *read_at) {
    size_t reached = 0; /* frames before it are read already */
    for (size_t f = 0; f < frames; f++) {
        if (f < p->frames && !p->live[f]) continue;
        const size_t from = f > CONV_REACH ? f - CONV_REACH : 0,
                     to = frames - f > CONV_REACH ? f + CONV_REACH + 1 : frames;
        if (!out->n_stretches || from > reached) {
            out->stretches[out->n_stretches++] = (stretch){.first = out->read};
            reached = from;
        }
        for (; reached < to; reached++) read_at[out->read++] = (uint32_t)reached;
        stretch *last = &out->stretches[out->n_stretches - 1];
        last->rows = out->read - last->first;
        out->row[out->computed] = (uint32_t)(out->read - (to - f));
        out->at[out->computed++] = (uint32_t)f;
    }
}

ishow_status step_after_prompt(native *m, const ishow_step_row *row, ishow_error *error) {
    const ishow_prompt *p = row->prompt;
    const size_t T = row->frames, dim = m->dim, reference = p->frames * m->mels;
    if (T > m->info.max_frames || p->frames < 2 || p->frames >= T || row->h_uncond)
        return ishow_fail(error, ISHOW_EINVAL, "",
                          "A row of %zu frames after a reference of %zu, with %d branches, was given.", T, p->frames,
                          row->h_uncond ? 2 : 1);
    const size_t before = m->unett, length = before + T, most = T / CONV_REACH + 1;
    const size_t lists_floats = most * sizeof(stretch) / sizeof(float) + 2 * T + length;
    float *memory = workspace_floats(&m->e, lists_floats + T * (m->mels + dim) + length * dim);
    if (!memory) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a row of %zu frames", T);
    selection chosen = {.stretches = (stretch *)(void *)memory};
    uint32_t *positions = (uint32_t *)(void *)(chosen.stretches + most);
    chosen.at = positions + before;
    chosen.row = chosen.at + T;
    uint32_t *read_at = chosen.row + T;
    float *x = memory + lists_floats, *h = x + T * m->mels, *stream = h + T * dim;
    select_frames(p, T, &chosen, read_at);
    const size_t rows = before + chosen.computed;
    if (before) positions[0] = 0; /* the time */
    for (size_t r = 0; r < chosen.computed; r++) chosen.at[r] += (uint32_t)before;
    for (size_t i = 0; i < chosen.n_stretches; i++) chosen.stretches[i].first += before;
    for (size_t r = 0; r < chosen.read; r++) {
        const size_t f = read_at[r];
        const float *from = f < p->frames ? (const float *)p->kept : row->x;
        memcpy(x + r * m->mels, from + f * m->mels, m->mels * sizeof *x);
        memcpy(h + r * dim, row->h_cond + f * dim, dim * sizeof *h);
    }
    const ishow_step_row read = {.x = x, .h_cond = h, .mod = row->mod, .frames = chosen.read};
    stepping s = {.m = m, .row = &read, .frames = chosen.read, .branches = 1, .stretches = chosen.stretches};
    const size_t sizes[] = {chosen.read, rows, T - p->frames};
    size_t block = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (native_rows(m, sizes[i]) > block) block = native_rows(m, sizes[i]);
    ishow_status status = step_begin(&s, rows, block, length, error);
    if (status) return status;
    float *const computed = s.x;
    s.x = stream;
    step_run(&s, chosen.read, task_input);
    thread_pool_run(m->pool, chosen.n_stretches * CONV_GROUPS, task_positions, &s);
    for (size_t r = 0; r < chosen.computed; r++)
        memcpy(computed + (before + r) * dim, stream + (before + chosen.row[r]) * dim, dim * sizeof *computed);
    s.x = computed;
    s.frames = chosen.computed;
    s.keys = length;
    s.at = positions;
    s.known = (uint32_t *)(void *)((char *)(uintptr_t)p->kept + x_bytes(m, p->frames)); /* is only read */
    s.n_known = before + p->frames;
    step_layers(&s);
    const ishow_step_row made = {.x = row->x + reference, .mod = row->mod, .dt = row->dt, .frames = T - p->frames};
    s.row = &made;
    s.frames = made.frames;
    s.x = computed + (chosen.computed - made.frames) * dim;
    step_run(&s, made.frames, task_output);
    return ISHOW_OK;
}
