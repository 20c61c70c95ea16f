#include "toy_rows.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ishow_status toy_step(void *self, const ishow_step_row *rows, size_t n, ishow_error *error) {
    toy_model *m = self;
    m->calls++;
    int fails = 0;
    for (size_t i = 0; i < n; i++) {
        const ishow_step_row *r = &rows[i];
        toy *owner = NULL;
        for (size_t k = 0; k < m->n_rows; k++)
            if (m->rows[k].x == r->x) owner = &m->rows[k];
        assert_non_null(owner);
        owner->served++;
        owner->unguided += !r->h_uncond;
        assert_true(r->h_uncond || r->cfg == 0);
        for (size_t f = 0; f < r->frames * MELS; f++) {
            float vc = sinf(r->x[f] + r->mod[f % MOD]) + r->h_cond[f / MELS * DIM];
            float vu = r->h_uncond ? cosf(r->x[f] * r->mod[1]) - r->h_uncond[f / MELS * DIM + 1] : NAN;
            r->x[f] += r->dt * (r->h_uncond ? vc + (vc - vu) * r->cfg : vc);
        }
        if (r->x == m->nan_x && owner->served == m->nan_at) r->x[r->frames * MELS / 2] = NAN;
        fails |= r->x == m->fail_x;
    }
    if (fails && !m->silent_error) {
        error->status = ISHOW_EMODEL;
        strcpy(error->message, "toy trouble");
    }
    return fails ? ISHOW_EMODEL : ISHOW_OK;
}

size_t toy_frames(size_t k) { return 5 + 7 * k % FRAMES_MAX; }

int toy_nfe(size_t k) { return 3 + (int)(5 * k % (NFE_MAX - 3)); }

void toy_fill(toy *toys, size_t n) {
    for (size_t k = 0; k < n; k++) {
        toy *row = &toys[k];
        memset(row, 0, sizeof *row);
        ishow_noise_fill(k, row->x, FRAMES_MAX * MELS);
        ishow_noise_fill(100 + k, row->h, 2 * FRAMES_MAX * DIM);
        ishow_noise_fill(200 + k, row->mod, 2 * NFE_MAX * MOD);
        ishow_grid_make(ISHOW_GRID_EPSS, toy_nfe(k), -1, row->t, NULL);
    }
}

ishow_row toy_row(toy *row, size_t k) {
    return (ishow_row){.x = row->x,
                       .h_cond = row->h,
                       .h_uncond = row->h + toy_frames(k) * DIM,
                       .mod = row->mod,
                       .mod_width = MOD,
                       .path = {.t = row->t, .nfe = toy_nfe(k), .cfg = 2, .guided_to = 1},
                       .frames = toy_frames(k),
                       .cancelled = &row->cancelled,
                       .user = row};
}

void toy_start(toy_model *m, toy *rows, size_t n, size_t max_rows, size_t rows_per_step) {
    memset(m, 0, sizeof *m);
    m->rows = rows;
    m->n_rows = n;
    ishow_scheduler_options options = {
        .max_rows = max_rows, .rows_per_step = rows_per_step, .n_mels = MELS, .step = toy_step, .step_self = m};
    assert_int_equal(ishow_scheduler_create(&m->scheduler, &options, NULL), ISHOW_OK);
}

void toy_stop(toy_model *m) {
    assert_int_equal(ishow_scheduler_rows(m->scheduler), 0);
    ishow_scheduler_free(m->scheduler);
    assert_int_equal(ishow_live_handles(), 0);
}

size_t toy_advance(toy_model *m) {
    ishow_row_result results[ROWS];
    size_t n = ishow_scheduler_step(m->scheduler, results, ROWS);
    for (size_t i = 0; i < n; i++) {
        toy *row = results[i].user;
        row->result = results[i];
        row->finished_at = m->calls;
    }
    return n;
}

void toy_add(toy_model *m, toy *rows, size_t k) {
    ishow_row row = toy_row(&rows[k], k);
    assert_int_equal(ishow_scheduler_add(m->scheduler, &row, NULL), ISHOW_OK);
}

ishow_row toy_row_sized(toy *row, size_t k, size_t frames, int nfe) {
    ishow_row out = toy_row(row, k);
    out.frames = frames;
    out.path.nfe = nfe;
    ishow_grid_make(ISHOW_GRID_EPSS, nfe, -1, row->t, NULL);
    return out;
}
