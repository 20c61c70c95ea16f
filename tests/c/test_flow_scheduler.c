/* The step scheduler with a toy model: rows are independent of their batch; turns, priority, cancelling, failing
 * rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toy_rows.h"

/* Each row is computed alone first; then all together, joining at different steps, with every number of rows per
 * call. */
static void a_row_does_not_depend_on_its_batch(void **state) {
    (void)state;
    toy *alone = malloc(ROWS * sizeof *alone), *together = malloc(ROWS * sizeof *together);
    assert_non_null(alone);
    assert_non_null(together);
    toy_model m;
    toy_fill(alone, ROWS);
    for (size_t k = 0; k < ROWS; k++) {
        toy_start(&m, alone, ROWS, 1, 1);
        toy_add(&m, alone, k);
        while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
        assert_int_equal(alone[k].result.outcome, ISHOW_ROW_DONE);
        assert_int_equal(alone[k].result.calls, toy_nfe(k));
        toy_stop(&m);
    }
    for (size_t width = 1; width <= ROWS; width++)
        for (int stride = 0; stride < 4; stride++) {
            toy_fill(together, ROWS);
            toy_start(&m, together, ROWS, ROWS, width);
            size_t joined = 0;
            for (int tick = 0; joined < ROWS || ishow_scheduler_rows(m.scheduler); tick++) {
                while (joined < ROWS && (int)joined * stride <= tick) toy_add(&m, together, joined++);
                toy_advance(&m);
            }
            for (size_t k = 0; k < ROWS; k++) assert_memory_equal(together[k].x, alone[k].x, sizeof alone[k].x);
            toy_stop(&m);
        }
    free(alone);
    free(together);
}

/* A short row among long ones. */
static void a_short_row_is_not_held_up_by_long_ones(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, 1);
    ishow_row longest = toy_row(&rows[0], 0);
    longest.path.nfe = 16;
    ishow_grid_make(ISHOW_GRID_EPSS, 16, -1, rows[0].t, NULL);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &longest, NULL), ISHOW_OK);
    for (int i = 0; i < 3; i++) toy_advance(&m);
    int before = m.calls;
    ishow_row brief = toy_row(&rows[1], 1);
    brief.path.nfe = 5;
    ishow_grid_make(ISHOW_GRID_EPSS, 5, -1, rows[1].t, NULL);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &brief, NULL), ISHOW_OK);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    assert_true(rows[1].finished_at - before <= 2 * 5);
    assert_int_equal(rows[0].finished_at, 16 + 5);
    toy_stop(&m);
    free(rows);
}

/* With batches: a row that is much longer than the one whose turn it is would delay it. */
static void only_rows_of_like_length_share_a_call(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    const size_t lengths[ROWS] = {40, 10, 39, 20, 21, 38};
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, ROWS);
    for (size_t k = 0; k < ROWS; k++) {
        const ishow_row row = toy_row_sized(&rows[k], k, lengths[k], 5);
        assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    }
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    assert_int_equal(rows[1].finished_at, 5); /* together with a row of 20 frames */
    assert_int_equal(rows[3].finished_at, 5);
    assert_int_equal(rows[4].finished_at, 10); /* 21 frames are too long beside 10, and 40 are not beside 21 */
    for (size_t k = 0; k < ROWS; k += 2) assert_int_equal(rows[k].finished_at, 10);
    assert_int_equal(rows[5].finished_at, 10);
    toy_stop(&m);
    free(rows);
}

static void priority_goes_first_then_the_least_work(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, 1);
    ishow_row all[] = {toy_row_sized(&rows[0], 0, 20, 8), toy_row_sized(&rows[1], 1, 10, 8),
                       toy_row_sized(&rows[2], 2, 10, 4), toy_row_sized(&rows[3], 3, 20, 7),
                       toy_row_sized(&rows[4], 4, 10, 4)};
    all[3].priority = 1; /* more work than most, and first nevertheless */
    all[4].later = 1;    /* as short as any, but counts twice */
    for (int k = 0; k < 5; k++) assert_int_equal(ishow_scheduler_add(m.scheduler, &all[k], NULL), ISHOW_OK);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    static const int order[] = {3, 2, 1, 4, 0}, calls[] = {7, 11, 19, 23, 31};
    for (int i = 0; i < 5; i++) assert_int_equal(rows[order[i]].finished_at, calls[i]);
    toy_stop(&m);
    free(rows);
}

/* How many calls are made until a row of 19 frames and 3 steps is done, which joins one of 20 frames that has made
 * `calls` calls of 9. unguided: the longer row computes one branch alone, which is half the work. */
static int calls_until_the_newcomer_ends(int calls, int unguided) {
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, 2, 1);
    ishow_row first = toy_row_sized(&rows[0], 0, 20, 9);
    if (unguided) first.path.guided_to = 0;
    const ishow_row newcomer = toy_row_sized(&rows[1], 1, 19, 3);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &first, NULL), ISHOW_OK);
    for (int i = 0; i < calls; i++) toy_advance(&m);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &newcomer, NULL), ISHOW_OK);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    const int end = rows[1].finished_at;
    toy_stop(&m);
    free(rows);
    return end;
}

/* The newcomer has 57 units of work. */
static void work_that_is_left_decides_and_not_work_that_is_done(void **state) {
    (void)state;
    assert_int_equal(calls_until_the_newcomer_ends(6, 0), 6 + 3); /* 60 units are left: a row's own work is no credit */
    assert_int_equal(calls_until_the_newcomer_ends(7, 0), 9 + 3); /* 40 are left */
    assert_int_equal(calls_until_the_newcomer_ends(3, 1), 3 + 3); /* 60 are left: each call was 10 units, not 20 */
    assert_int_equal(calls_until_the_newcomer_ends(4, 1), 9 + 3); /* 50 are left */
}

/* In an endless stream of short rows, a long one is overtaken for ten times its own work, and then runs to its end. */
static void a_long_row_is_not_starved_by_short_ones(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, 3, 1);
    const ishow_row longest = toy_row_sized(&rows[0], 0, 20, 10);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &longest, NULL), ISHOW_OK);
    const double work = 20 * 10;
    double others = 0;
    for (int k = 1; !rows[0].finished_at && m.calls < 5000;
         k = 3 - k) { /* two short rows alternate in the other slots */
        if (ishow_scheduler_rows(m.scheduler) < 3) {
            toy_fill(&rows[k], 1);
            const ishow_row brief = toy_row_sized(&rows[k], (size_t)k, 2, 4);
            if (ishow_scheduler_add(m.scheduler, &brief, NULL) == ISHOW_OK) others += 2 * 4;
        }
        do toy_advance(&m);
        while (ishow_scheduler_rows(m.scheduler) == 3 && !rows[0].finished_at);
    }
    assert_int_equal(rows[0].result.outcome, ISHOW_ROW_DONE);
    print_message("a row of %g was overtaken by %g\n", work, others);
    assert_true(others > 8 * work && others < 11 * work + 16);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    toy_stop(&m);
    free(rows);
}

static void a_full_scheduler_refuses(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, 2, 4);
    toy_add(&m, rows, 0);
    toy_add(&m, rows, 1);
    ishow_row third = toy_row(&rows[2], 2);
    ishow_error error;
    assert_int_equal(ishow_scheduler_add(m.scheduler, &third, &error), ISHOW_EBUSY);
    ishow_row empty = {0};
    assert_int_equal(ishow_scheduler_add(m.scheduler, &empty, &error), ISHOW_EINVAL);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    toy_stop(&m);
    free(rows);
}

static void a_cancelled_row_takes_no_further_step(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, 2);
    toy_add(&m, rows, 3);
    toy_add(&m, rows, 5);
    toy_advance(&m);
    toy_advance(&m);
    __atomic_store_n(&rows[5].cancelled, 1, __ATOMIC_RELEASE);
    assert_int_equal(toy_advance(&m), 1);
    assert_int_equal(rows[5].result.outcome, ISHOW_ROW_CANCELLED);
    assert_int_equal(rows[5].result.calls, 2);
    assert_int_equal(rows[5].served, 2);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    assert_int_equal(rows[3].result.outcome, ISHOW_ROW_DONE);
    toy_stop(&m);
    free(rows);
}

static void a_failing_row_does_not_affect_others(void **state) {
    (void)state;
    toy *alone = malloc(ROWS * sizeof *alone), *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(alone);
    assert_non_null(rows);
    toy_model m;
    toy_fill(alone, ROWS);
    toy_start(&m, alone, ROWS, ROWS, 1);
    for (size_t k = 0; k < 3; k++) toy_add(&m, alone, k);
    while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
    toy_stop(&m);

    for (int trouble = 0; trouble < 3; trouble++) {
        toy_fill(rows, ROWS);
        toy_start(&m, rows, ROWS, ROWS, 3);
        if (trouble == 0)
            m.nan_x = rows[1].x, m.nan_at = 2;
        else
            m.fail_x = rows[1].x, m.silent_error = trouble == 2;
        for (size_t k = 0; k < 3; k++) toy_add(&m, rows, k);
        while (ishow_scheduler_rows(m.scheduler)) toy_advance(&m);
        assert_int_equal(rows[1].result.outcome, ISHOW_ROW_FAILED);
        assert_int_equal(rows[1].result.error.status, ISHOW_EMODEL);
        assert_int_equal(rows[1].result.calls, trouble == 0 ? 2 : 0);
        static const char *const sentences[] = {"non-finite values at call 2", "toy trouble", "step failed (EMODEL)"};
        assert_non_null(strstr(rows[1].result.error.message, sentences[trouble]));
        for (size_t k = 0; k < 3; k += 2) { /* the others have the same result as without it */
            assert_int_equal(rows[k].result.outcome, ISHOW_ROW_DONE);
            assert_memory_equal(rows[k].x, alone[k].x, sizeof alone[k].x);
        }
        toy_stop(&m);
    }
    free(alone);
    free(rows);
}

static void results_wait_for_capacity(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    toy_model m;
    toy_fill(rows, ROWS);
    toy_start(&m, rows, ROWS, ROWS, ROWS);
    for (size_t k = 0; k < 4; k++) {
        toy_add(&m, rows, k);
        rows[k].cancelled = 1;
    }
    ishow_row_result one;
    for (size_t left = 4; left > 0; left--) {
        assert_int_equal(ishow_scheduler_rows(m.scheduler), left);
        assert_int_equal(ishow_scheduler_step(m.scheduler, &one, 1), 1);
        assert_int_equal(one.outcome, ISHOW_ROW_CANCELLED);
    }
    assert_int_equal(m.calls, 0);
    toy_stop(&m);
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_does_not_depend_on_its_batch),
        cmocka_unit_test(a_short_row_is_not_held_up_by_long_ones),
        cmocka_unit_test(only_rows_of_like_length_share_a_call),
        cmocka_unit_test(priority_goes_first_then_the_least_work),
        cmocka_unit_test(work_that_is_left_decides_and_not_work_that_is_done),
        cmocka_unit_test(a_long_row_is_not_starved_by_short_ones),
        cmocka_unit_test(a_full_scheduler_refuses),
        cmocka_unit_test(a_cancelled_row_takes_no_further_step),
        cmocka_unit_test(a_failing_row_does_not_affect_others),
        cmocka_unit_test(results_wait_for_capacity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
