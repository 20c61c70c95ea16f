/* The step scheduler with a toy model: company independence, turns, priority, cancelling, broken rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow.h"

enum { MELS = 3, DIM = 2, MOD = 4, ROWS = 6, FRAMES_MAX = 40, NFE_MAX = 20 };

/* A row with everything it borrows. */
typedef struct toy {
    float x[FRAMES_MAX * MELS], h[2 * FRAMES_MAX * DIM], mod[2 * NFE_MAX * MOD], t[NFE_MAX + 1];
    int cancelled;
    int served;      /* calls the model saw */
    int unguided;    /* of those, with one branch */
    int finished_at; /* call number at which it left */
    ishow_row_result result;
} toy;

typedef struct model {
    ishow_scheduler *scheduler;
    toy *rows; /* all of them, to count */
    size_t n_rows;
    int calls;
    const float *fail_x; /* any call that carries this row fails (after spoiling x) */
    const float *nan_x;  /* this row gets a NaN ... */
    int nan_at;          /* ... at this service */
    int silent_error;    /* fail without a sentence */
} model;

static ishow_status toy_step(void *self, const ishow_step_row *rows, size_t n, ishow_error *error) {
    model *m = self;
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

static size_t frames_of(size_t k) { return 5 + 7 * k % FRAMES_MAX; }
static int nfe_of(size_t k) { return 3 + (int)(5 * k % (NFE_MAX - 3)); }

static void fill(toy *toys, size_t n) {
    for (size_t k = 0; k < n; k++) {
        toy *row = &toys[k];
        memset(row, 0, sizeof *row);
        ishow_noise_fill(k, row->x, FRAMES_MAX * MELS);
        ishow_noise_fill(100 + k, row->h, 2 * FRAMES_MAX * DIM);
        ishow_noise_fill(200 + k, row->mod, 2 * NFE_MAX * MOD);
        ishow_grid_make(ISHOW_GRID_EPSS, nfe_of(k), -1, row->t, NULL);
    }
}

static ishow_row row_of(toy *row, size_t k) {
    return (ishow_row){.x = row->x,
                       .h_cond = row->h,
                       .h_uncond = row->h + frames_of(k) * DIM,
                       .mod = row->mod,
                       .mod_width = MOD,
                       .path = {.t = row->t, .nfe = nfe_of(k), .cfg = 2, .guided_to = 1},
                       .frames = frames_of(k),
                       .cancelled = &row->cancelled,
                       .user = row};
}

static void start(model *m, toy *rows, size_t n, size_t max_rows, size_t rows_per_step) {
    memset(m, 0, sizeof *m);
    m->rows = rows;
    m->n_rows = n;
    ishow_scheduler_options options = {
        .max_rows = max_rows, .rows_per_step = rows_per_step, .n_mels = MELS, .step = toy_step, .step_self = m};
    assert_int_equal(ishow_scheduler_create(&m->scheduler, &options, NULL), ISHOW_OK);
}

static void stop(model *m) {
    assert_int_equal(ishow_scheduler_rows(m->scheduler), 0);
    ishow_scheduler_free(m->scheduler);
    assert_int_equal(ishow_live_handles(), 0);
}

static size_t step(model *m) {
    ishow_row_result results[ROWS];
    size_t n = ishow_scheduler_step(m->scheduler, results, ROWS);
    for (size_t i = 0; i < n; i++) {
        toy *row = results[i].user;
        row->result = results[i];
        row->finished_at = m->calls;
    }
    return n;
}

static void add(model *m, toy *rows, size_t k) {
    ishow_row row = row_of(&rows[k], k);
    assert_int_equal(ishow_scheduler_add(m->scheduler, &row, NULL), ISHOW_OK);
}

/* Each row alone gives the reference; then all together, joining at different steps, at every width of a call. */
static void company_does_not_change_a_bit(void **state) {
    (void)state;
    toy *alone = malloc(ROWS * sizeof *alone), *together = malloc(ROWS * sizeof *together);
    assert_non_null(alone);
    assert_non_null(together);
    model m;
    fill(alone, ROWS);
    for (size_t k = 0; k < ROWS; k++) {
        start(&m, alone, ROWS, 1, 1);
        add(&m, alone, k);
        while (ishow_scheduler_rows(m.scheduler)) step(&m);
        assert_int_equal(alone[k].result.outcome, ISHOW_ROW_DONE);
        assert_int_equal(alone[k].result.calls, nfe_of(k));
        stop(&m);
    }
    for (size_t width = 1; width <= ROWS; width++)
        for (int stride = 0; stride < 4; stride++) {
            fill(together, ROWS);
            start(&m, together, ROWS, ROWS, width);
            size_t joined = 0;
            for (int tick = 0; joined < ROWS || ishow_scheduler_rows(m.scheduler); tick++) {
                while (joined < ROWS && (int)joined * stride <= tick) add(&m, together, joined++);
                step(&m);
            }
            for (size_t k = 0; k < ROWS; k++) assert_memory_equal(together[k].x, alone[k].x, sizeof alone[k].x);
            stop(&m);
        }
    free(alone);
    free(together);
}

/* A short row among long ones. */
static void a_short_row_is_not_held_up_by_long_ones(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, 1);
    ishow_row longest = row_of(&rows[0], 0);
    longest.path.nfe = 16;
    ishow_grid_make(ISHOW_GRID_EPSS, 16, -1, rows[0].t, NULL);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &longest, NULL), ISHOW_OK);
    for (int i = 0; i < 3; i++) step(&m);
    int before = m.calls;
    ishow_row brief = row_of(&rows[1], 1);
    brief.path.nfe = 5;
    ishow_grid_make(ISHOW_GRID_EPSS, 5, -1, rows[1].t, NULL);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &brief, NULL), ISHOW_OK);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    assert_true(rows[1].finished_at - before <= 2 * 5);
    assert_int_equal(rows[0].finished_at, 16 + 5);
    stop(&m);
    free(rows);
}

static ishow_row sized(toy *row, size_t k, size_t frames, int nfe) {
    ishow_row out = row_of(row, k);
    out.frames = frames;
    out.path.nfe = nfe;
    ishow_grid_make(ISHOW_GRID_EPSS, nfe, -1, row->t, NULL);
    return out;
}

/* Where calls are shared: a row that is much longer than the one whose turn it is would make it wait. */
static void only_rows_of_like_length_share_a_call(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    const size_t lengths[ROWS] = {40, 10, 39, 20, 21, 38};
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, ROWS);
    for (size_t k = 0; k < ROWS; k++) {
        const ishow_row row = sized(&rows[k], k, lengths[k], 5);
        assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    }
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    assert_int_equal(rows[1].finished_at, 5); /* with the 20 frames of one other */
    assert_int_equal(rows[3].finished_at, 5);
    assert_int_equal(rows[4].finished_at, 10); /* 21 is too long for 10, and 40 not for 21 */
    for (size_t k = 0; k < ROWS; k += 2) assert_int_equal(rows[k].finished_at, 10);
    assert_int_equal(rows[5].finished_at, 10);
    stop(&m);
    free(rows);
}

static void priority_goes_first_then_the_least_work(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, 1);
    ishow_row all[] = {sized(&rows[0], 0, 20, 8), sized(&rows[1], 1, 10, 8), sized(&rows[2], 2, 10, 4),
                       sized(&rows[3], 3, 20, 7), sized(&rows[4], 4, 10, 4)};
    all[3].priority = 1; /* more work than most, and first all the same */
    all[4].later = 1;    /* as short as any, and counts twice */
    for (int k = 0; k < 5; k++) assert_int_equal(ishow_scheduler_add(m.scheduler, &all[k], NULL), ISHOW_OK);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    static const int order[] = {3, 2, 1, 4, 0}, calls[] = {7, 11, 19, 23, 31};
    for (int i = 0; i < 5; i++) assert_int_equal(rows[order[i]].finished_at, calls[i]);
    stop(&m);
    free(rows);
}

/* Under an endless stream of short rows a long one is overtaken for ten times its own work, and then goes on to its
 * end. */
static void a_long_row_is_not_starved_by_short_ones(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, 3, 1);
    const ishow_row longest = sized(&rows[0], 0, 20, 10);
    assert_int_equal(ishow_scheduler_add(m.scheduler, &longest, NULL), ISHOW_OK);
    const double work = 20 * 10;
    double others = 0;
    for (int k = 1; !rows[0].finished_at && m.calls < 5000;
         k = 3 - k) { /* two short rows take turns in the other slots */
        if (ishow_scheduler_rows(m.scheduler) < 3) {
            fill(&rows[k], 1);
            const ishow_row brief = sized(&rows[k], (size_t)k, 2, 4);
            if (ishow_scheduler_add(m.scheduler, &brief, NULL) == ISHOW_OK) others += 2 * 4;
        }
        do step(&m);
        while (ishow_scheduler_rows(m.scheduler) == 3 && !rows[0].finished_at);
    }
    assert_int_equal(rows[0].result.outcome, ISHOW_ROW_DONE);
    print_message("a row of %g was overtaken by %g\n", work, others);
    assert_true(others > 8 * work && others < 11 * work + 16);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    stop(&m);
    free(rows);
}

static void a_full_scheduler_refuses(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, 2, 4);
    add(&m, rows, 0);
    add(&m, rows, 1);
    ishow_row third = row_of(&rows[2], 2);
    ishow_error error;
    assert_int_equal(ishow_scheduler_add(m.scheduler, &third, &error), ISHOW_EBUSY);
    ishow_row empty = {0};
    assert_int_equal(ishow_scheduler_add(m.scheduler, &empty, &error), ISHOW_EINVAL);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    stop(&m);
    free(rows);
}

static void a_cancelled_row_takes_no_further_step(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, 2);
    add(&m, rows, 3);
    add(&m, rows, 5);
    step(&m);
    step(&m);
    __atomic_store_n(&rows[5].cancelled, 1, __ATOMIC_RELEASE);
    assert_int_equal(step(&m), 1);
    assert_int_equal(rows[5].result.outcome, ISHOW_ROW_CANCELLED);
    assert_int_equal(rows[5].result.calls, 2);
    assert_int_equal(rows[5].served, 2);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    assert_int_equal(rows[3].result.outcome, ISHOW_ROW_DONE);
    stop(&m);
    free(rows);
}

static void a_broken_row_leaves_alone(void **state) {
    (void)state;
    toy *alone = malloc(ROWS * sizeof *alone), *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(alone);
    assert_non_null(rows);
    model m;
    fill(alone, ROWS);
    start(&m, alone, ROWS, ROWS, 1);
    for (size_t k = 0; k < 3; k++) add(&m, alone, k);
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    stop(&m);

    for (int trouble = 0; trouble < 3; trouble++) {
        fill(rows, ROWS);
        start(&m, rows, ROWS, ROWS, 3);
        if (trouble == 0)
            m.nan_x = rows[1].x, m.nan_at = 2;
        else
            m.fail_x = rows[1].x, m.silent_error = trouble == 2;
        for (size_t k = 0; k < 3; k++) add(&m, rows, k);
        while (ishow_scheduler_rows(m.scheduler)) step(&m);
        assert_int_equal(rows[1].result.outcome, ISHOW_ROW_FAILED);
        assert_int_equal(rows[1].result.error.status, ISHOW_EMODEL);
        assert_int_equal(rows[1].result.calls, trouble == 0 ? 2 : 0);
        static const char *const sentences[] = {"non-finite values at call 2", "toy trouble", "step failed (EMODEL)"};
        assert_non_null(strstr(rows[1].result.error.message, sentences[trouble]));
        for (size_t k = 0; k < 3; k += 2) { /* the others as if it had never been there */
            assert_int_equal(rows[k].result.outcome, ISHOW_ROW_DONE);
            assert_memory_equal(rows[k].x, alone[k].x, sizeof alone[k].x);
        }
        stop(&m);
    }
    free(alone);
    free(rows);
}

/* The midpoint rule, written out in double, for the toy's velocity. */
static void midpoint_by_hand(const toy *row, size_t k, double *x) {
    const size_t values = frames_of(k) * MELS;
    for (size_t f = 0; f < values; f++) x[f] = (double)row->x[f];
    for (int i = 0; i < nfe_of(k); i++)
        for (size_t f = 0; f < values; f++) {
            const double dt = (double)row->t[i + 1] - (double)row->t[i];
            double at = x[f], v = 0;
            for (int half = 0; half < 2; half++) {
                const float *mod = row->mod + (2 * i + half) * MOD;
                const double vc = sin(at + (double)mod[f % MOD]) + (double)row->h[f / MELS * DIM];
                const double vu = cos(at * (double)mod[1]) - (double)row->h[frames_of(k) * DIM + f / MELS * DIM + 1];
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
    model m;
    for (size_t width = 1; width <= 3;
         width++) { /* alone, and with Euler rows; with a call that fails and is tried again */
        fill(rows, ROWS);
        midpoint_by_hand(&rows[1], 1, expected);
        start(&m, rows, ROWS, ROWS, width);
        if (width > 1) m.fail_x = rows[2].x;
        for (size_t k = 0; k < width; k++) {
            ishow_row row = row_of(&rows[k + (width == 1)], k + (width == 1));
            if (row.x == rows[1].x) row.path.solver = ISHOW_SOLVER_MIDPOINT;
            assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
        }
        while (ishow_scheduler_rows(m.scheduler)) step(&m);
        assert_int_equal(rows[1].result.outcome, ISHOW_ROW_DONE);
        assert_int_equal(rows[1].result.calls, 2 * nfe_of(1));
        for (size_t f = 0; f < frames_of(1) * MELS; f++)
            assert_true(fabs((double)rows[1].x[f] - expected[f]) <= 1e-5 * (1 + fabs(expected[f])));
        stop(&m);
    }
    /* Seen between its two calls. */
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, 1);
    ishow_row row = row_of(&rows[1], 1);
    row.path.solver = ISHOW_SOLVER_MIDPOINT;
    assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    step(&m);
    __atomic_store_n(&rows[1].cancelled, 1, __ATOMIC_RELEASE);
    assert_int_equal(step(&m), 1);
    assert_int_equal(rows[1].result.outcome, ISHOW_ROW_CANCELLED);
    assert_int_equal(rows[1].result.calls, 1);
    stop(&m);
    free(expected);
    free(rows);
}

static void run_guided(toy *rows, float cfg, float from, float to, ishow_solver solver) {
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, 2);
    for (size_t k = 0; k < ROWS; k++) {
        ishow_row row = row_of(&rows[k], k);
        row.path.cfg = cfg, row.path.guided_from = from, row.path.guided_to = to, row.path.solver = solver;
        assert_int_equal(ishow_scheduler_add(m.scheduler, &row, NULL), ISHOW_OK);
    }
    while (ishow_scheduler_rows(m.scheduler)) step(&m);
    stop(&m);
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
            assert_int_equal(rows[k].unguided, per_step * nfe_of(k)); /* strength 0 asks for one branch */
            assert_int_equal(others[k].unguided, per_step * nfe_of(k));
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
            for (int i = 0; i < nfe_of(k); i++) {
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

/* Work is model calls, those without guidance half: a midpoint row of 5 steps waits for an Euler row of 9, and passes
 * it when unguided. */
static void work_is_counted_in_calls(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    for (int unguided = 0; unguided < 2; unguided++) {
        model m;
        fill(rows, ROWS);
        start(&m, rows, ROWS, ROWS, 1);
        ishow_row middle = sized(&rows[0], 0, 20, 5), euler = sized(&rows[1], 1, 20, 9);
        middle.path.solver = ISHOW_SOLVER_MIDPOINT;
        if (unguided) middle.path.guided_to = 0;
        assert_int_equal(ishow_scheduler_add(m.scheduler, &middle, NULL), ISHOW_OK);
        assert_int_equal(ishow_scheduler_add(m.scheduler, &euler, NULL), ISHOW_OK);
        while (ishow_scheduler_rows(m.scheduler)) step(&m);
        assert_int_equal(rows[0].finished_at, unguided ? 10 : 19);
        assert_int_equal(rows[1].finished_at, unguided ? 19 : 9);
        stop(&m);
    }
    free(rows);
}

static void results_wait_for_room(void **state) {
    (void)state;
    toy *rows = malloc(ROWS * sizeof *rows);
    assert_non_null(rows);
    model m;
    fill(rows, ROWS);
    start(&m, rows, ROWS, ROWS, ROWS);
    for (size_t k = 0; k < 4; k++) {
        add(&m, rows, k);
        rows[k].cancelled = 1;
    }
    ishow_row_result one;
    for (size_t left = 4; left > 0; left--) {
        assert_int_equal(ishow_scheduler_rows(m.scheduler), left);
        assert_int_equal(ishow_scheduler_step(m.scheduler, &one, 1), 1);
        assert_int_equal(one.outcome, ISHOW_ROW_CANCELLED);
    }
    assert_int_equal(m.calls, 0);
    stop(&m);
    free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_does_not_change_a_bit),
        cmocka_unit_test(a_short_row_is_not_held_up_by_long_ones),
        cmocka_unit_test(only_rows_of_like_length_share_a_call),
        cmocka_unit_test(priority_goes_first_then_the_least_work),
        cmocka_unit_test(a_long_row_is_not_starved_by_short_ones),
        cmocka_unit_test(a_full_scheduler_refuses),
        cmocka_unit_test(a_cancelled_row_takes_no_further_step),
        cmocka_unit_test(a_broken_row_leaves_alone),
        cmocka_unit_test(a_midpoint_step_is_two_calls),
        cmocka_unit_test(guidance_can_be_an_interval),
        cmocka_unit_test(work_is_counted_in_calls),
        cmocka_unit_test(results_wait_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
