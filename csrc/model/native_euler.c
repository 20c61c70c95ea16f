/* One step of the flow: x += dt (c + (c - u) cfg); without guidance x += dt c. */
#include "base/base.h"
#include "model/native_step.h"

static ishow_status step_row(native *m, const ishow_step_row *row, ishow_error *error) {
    const size_t T = row->frames, branches = row->h_uncond ? 2 : 1;
    const size_t length = m->unett + T; /* of a branch */
    const stretch stretches[] = {{branches * m->unett, T}, {branches * m->unett + 1, T}};
    if (T < 2 || T > m->info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "A row of %zu frames was given; this model takes 2 to %zu.", T,
                          m->info.max_frames);
    stepping s = {.m = m, .row = row, .frames = T, .keys = length, .branches = branches, .stretches = stretches};
    const size_t one = native_rows(m, T), all = native_rows(m, branches * length);
    ishow_status status = step_begin(&s, branches * length, one > all ? one : all, length, error);
    if (status) return status;
    step_run(&s, T, task_input);
    thread_pool_run(m->pool, branches * (size_t)CONV_GROUPS, task_positions, &s);
    step_layers(&s);
    step_run(&s, T, task_output);
    return ISHOW_OK;
}

ishow_status native_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    for (size_t i = 0; i < n_rows; i++) {
        ishow_status status =
            rows[i].prompt ? step_after_prompt(self, &rows[i], error) : step_row(self, &rows[i], error);
        if (status) return status;
    }
    return ISHOW_OK;
}
