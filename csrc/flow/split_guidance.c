/* Split CFG: one branch in each call, so that the unconditional branch can leave out the frames of a row's
 * reference. */
#include <string.h>

#include "base/base.h"
#include "flow/flow.h"

/* Values of a row's unconditional branch; 0 when it is computed with the conditional one. */
static size_t values_of(const ishow_step_row *row, size_t n_mels) {
    return row->unguided && row->h_uncond ? (row->frames - row->unguided) * n_mels : 0;
}

size_t ishow_step_split_floats(const ishow_step_row *rows, size_t n_rows, size_t n_mels) {
    size_t values = 0;
    for (size_t i = 0; i < n_rows; i++) values += values_of(&rows[i], n_mels);
    return values;
}

ishow_status ishow_step_split(ishow_step_fn step, void *self, const ishow_step_row *rows, size_t n_rows, size_t n_mels,
                              size_t dim, ishow_step_row *calls, float *split, ishow_error *error) {
    size_t n = 0;
    float *const begin = split;
    for (size_t i = 0; i < n_rows; i++) {
        calls[i] = rows[i];
        calls[i].unguided = 0;
        const size_t values = values_of(&rows[i], n_mels);
        if (!values) continue;
        memcpy(split, rows[i].x + rows[i].unguided * n_mels, values * sizeof *split);
        split += values;
        calls[i].h_uncond = NULL;
        calls[i].cfg = 0;
    }
    ishow_status status = step(self, calls, n_rows, error);
    split = begin;
    for (size_t i = 0; i < n_rows; i++) {
        const ishow_step_row *row = &rows[i];
        const size_t values = values_of(row, n_mels);
        if (!values) continue;
        calls[n++] = (ishow_step_row){.x = split,
                                      .h_cond = row->h_uncond + row->unguided * dim,
                                      .mod = row->mod,
                                      .dt = row->dt,
                                      .frames = row->frames - row->unguided};
        split += values;
    }
    if (!status && n) status = step(self, calls, n, error);
    split = begin;
    for (size_t i = 0; !status && i < n_rows; i++) {
        const size_t values = values_of(&rows[i], n_mels);
        float *x = rows[i].x + rows[i].unguided * n_mels;
        for (size_t k = 0; k < values; k++)
            x[k] += rows[i].cfg * (x[k] - split[k]); /* x + dt v_c and x + dt v_u: their difference is dt (v_c - v_u) */
        split += values;
    }
    return status;
}
