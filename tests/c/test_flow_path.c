/* The paths of rows: midpoint steps, guidance on an interval, and their work. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toy_rows.h"

/* The midpoint rule in double precision, for the velocity of the toy model. */
static void midpoint_by_hand(const toy *row, size_t k, double *x) {
    const size_t values = toy_frames(k) * MELS;
    for (size_t f = 0; f < values; f++) x[f] = (double)row->x[f];
    for (int i = 0; i < toy_nfe(k); i++)
        for (size_t f = 0; f < values; f++) {
            const double dt = (double)row->t[i + 1] - (double)row->t[i];
            double at = x[f], v = 0;
            for (int half = 0; half < 2; half++) {
                const float *mod = row->mod + (2 * i + half) * MOD;
                const double vc = sin(at + (double)mod[f % MOD]) + (double)row->h[f / MELS * DIM];
                const double vu = cos(at * (double)mod[1]) - (double)row->h[toy_frames(k) * DIM + f / MELS * DIM + 1];
                v = vc + (vc - vu) * 2;
                at = x[f] + dt / 2 * v;
            }
            x[f] += dt * v;
        }
}

static void a_midpoint_step_is_two_calls(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    double *expected = malloc(FRAMES_MAX * MELS * sizeof *expected);
    assert_non_null(rows);
    assert_non_null(expected);
    toy_model m;
    for (size_t width = 1; width <= 3;
         width++) { /* alone, and with Euler rows; with a call that fails and is repeated */
        toy_fill(rows, ROWS);
        midpoint_by_hand(&rows[1], 1, expected);
        toy_start(&m, rows, ROWS, ROWS, width);
        if (width > 1) m.fail_x = rows[2].x;
        for (size_t k = 0; k < width; k++) {
            ishow_row row = toy_row(&rows[k + (width == 1)], k + (width == 1));
            if (row.x == rows[1].x) row.path.solver = ISHOW_SOLVER_MIDPOINT;
            assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
        }
        while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
        assert_int_equal(rows[1].result.outcome, ISHOW_ROW_DONE);
        assert_int_equal(rows[1].result.calls, 2 * toy_nfe(1));
        for (size_t f = 0; f < toy_frames(1) * MELS; f++)
            assert_true(fabs((double)rows[1].x[f] - expected[f]) <= 1e-5 * (1 + fabs(expected[f])));
        toy_stop(&m);
    }
    /* Checked between its two calls. */
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, 1);
    ishow_row row = toy_row(&rows[1], 1);
    row.path.solver = ISHOW_SOLVER_MIDPOINT;
    assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    toy_advance(&m);
    __atomic_store_n(&rows[1].cancelled, 1, __ATOMIC_RELEASE);
    assert_int_equal(toy_advance(&m), 1);
    assert_int_equal(rows[1].result.outcome, ISHOW_ROW_CANCELLED);
    assert_int_equal(rows[1].result.calls, 1);
    toy_stop(&m);
    free(expected);
    free(rows);
}

static void run_guided(toy *rows, float cfg, float from, float to, ishow_solver solver) {
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, 2);
    for (size_t k = 0; k < ROWS; k++) {
        ishow_row row = toy_row(&rows[k], k);
        row.path.cfg = cfg, row.path.guided_from = from, row.path.guided_to = to, row.path.solver = solver;
        assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    }
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    toy_stop(&m);
}

static void guidance_can_be_an_interval(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows), *others = malloc(ROWS * sizeof *others);
    assert_non_null(rows);
    assert_non_null(others);
    for (int solver = 0; solver < 2; solver++) {
        const int per_step = solver + 1;
        run_guided(rows, 0, 0, 1, (ishow_solver)solver);
        run_guided(others, 2, 0.5f, 0.5f, (ishow_solver)solver); /* empty */
        for (size_t k = 0; k < ROWS; k++) {
            assert_int_equal(rows[k].unguided, per_step * toy_nfe(k)); /* strength 0 needs one branch */
            assert_int_equal(others[k].unguided, per_step * toy_nfe(k));
            assert_memory_equal(rows[k].x, others[k].x, sizeof rows[k].x);
        }
        run_guided(rows, 2, 0, 1, (ishow_solver)solver);
        for (size_t k = 0; k < ROWS; k++) {
            assert_int_equal(rows[k].unguided, 0);
            assert_memory_not_equal(rows[k].x, others[k].x, sizeof rows[k].x);
        }
        run_guided(others, 2, 0.25f, 0.75f, (ishow_solver)solver);
        for (size_t k = 0; k < ROWS; k++) {
            int outside = 0;
            for (int i = 0; i < toy_nfe(k); i++) {
                const float a = others[k].t[i], b = others[k].t[i + 1], middle = a + 0.5f * (b - a);
                outside += a < 0.25f || a >= 0.75f;
                if (solver) outside += middle < 0.25f || middle >= 0.75f;
            }
            assert_int_equal(others[k].unguided, outside);
            assert_true(outside > 0);
        }
    }
    free(rows);
    free(others);
}

/* Work is counted in model calls, half for those without guidance: a midpoint row of 5 steps waits for an Euler row of
 * 9, and goes before it when it is unguided. */
static void work_is_counted_in_calls(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    for (int unguided = 0; unguided < 2; unguided++) {
        toy_model m;
        toy_fill(rows, ROWS);
        toy_start(&m, rows, ROWS, ROWS, 1);
        ishow_row middle = toy_row_sized(&rows[0], 0, 20, 5), euler = toy_row_sized(&rows[1], 1, 20, 9);
        middle.path.solver = ISHOW_SOLVER_MIDPOINT;
        if (unguided) middle.path.guided_to = 0;
        assert_int_equal(ishow_scheduler_add(m.scheduler, &middle, NULL), ISHOW_OK);
        assert_int_equal(ishow_scheduler_add(m.scheduler, &euler, NULL), ISHOW_OK);
        while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
        assert_int_equal(rows[0].finished_at, unguided ? 10 : 19);
        assert_int_equal(rows[1].finished_at, unguided ? 19 : 9);
        toy_stop(&m);
    }
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_midpoint_step_is_two_calls),
        cmocka_unit_test(guidance_can_be_an_interval),
        cmocka_unit_test(work_is_counted_in_calls),
    };
    return cmocka_run_group_tests_name("flow path", tests, NULL, NULL);
}
