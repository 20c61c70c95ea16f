/* Time grids compared with the published tables, noise with the published vectors of its generator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "flow/philox.h"
#include "base/defaults.h"
#include "flow/flow.h"

static void epss_tables_are_the_published_ones(void **state) {
    (void)state;
    static const struct {
        int nfe, times[17];
    } published[] = {
        {5, {0, 2, 4, 8, 16, 32}},
        {6, {0, 2, 4, 6, 8, 16, 32}},
        {7, {0, 2, 4, 6, 8, 16, 24, 32}},
        {10, {0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32}},
        {12, {0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32}},
        {16, {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32}},
    };
    for (size_t k = 0; k < sizeof published / sizeof *published; k++) {
        float t[ISHOW_NFE_MAX + 1];
        assert_int_equal(ishow_grid_make(ISHOW_GRID_EPSS, published[k].nfe, 0, t, NULL), ISHOW_OK);
        for (int i = 0; i <= published[k].nfe; i++) assert_true(t[i] == (float)published[k].times[i] / 32);
    }
}

static void grids_rise_from_0_to_1(void **state) {
    (void)state;
    static const double sways[] = {ISHOW_SWAY_MIN, -0.4, 0, 0.3, ISHOW_SWAY_MAX};
    for (int kind = ISHOW_GRID_EPSS; kind <= ISHOW_GRID_UNIFORM; kind++)
        for (int nfe = ISHOW_NFE_MIN; nfe <= ISHOW_NFE_MAX; nfe++)
            for (size_t s = 0; s < sizeof sways / sizeof *sways; s++) {
                float t[ISHOW_NFE_MAX + 1];
                assert_int_equal(ishow_grid_make((ishow_grid_kind)kind, nfe, sways[s], t, NULL), ISHOW_OK);
                assert_true(t[0] == 0);
                assert_true(fabsf(t[nfe] - 1) < 1e-6f);
                for (int i = 0; i < nfe; i++) assert_true(t[i + 1] > t[i]);
            }
}

static void sway_is_the_formula(void **state) {
    (void)state;
    float t[5];
    assert_int_equal(ishow_grid_make(ISHOW_GRID_UNIFORM, 4, -1, t, NULL), ISHOW_OK);
    for (int i = 0; i <= 4; i++) {
        double u = i / 4.0;
        assert_true(fabs(t[i] - (u - (cos(acos(-1.0) / 2 * u) - 1 + u))) < 2e-7);
    }
}

static void grid_refuses_with_field_limit_and_value(void **state) {
    (void)state;
    float t[ISHOW_NFE_MAX + 1];
    ishow_error error;
    assert_int_equal(ishow_grid_make(ISHOW_GRID_EPSS, 0, -1, t, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "nfe_step");
    assert_int_equal(ishow_grid_make(ISHOW_GRID_EPSS, ISHOW_NFE_MAX + 1, -1, t, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "65"));
    assert_int_equal(ishow_grid_make(ISHOW_GRID_EPSS, 7, NAN, t, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "sway_sampling_coef");
    assert_int_equal(ishow_grid_make(ISHOW_GRID_EPSS, 7, -1.01, t, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_grid_make((ishow_grid_kind)9, 7, -1, t, &error), ISHOW_EINVAL);
}

/* Known answers from Random123 (kat_vectors, philox4x32 10). */
static void philox_gives_the_known_answers(void **state) {
    (void)state;
    static const uint32_t vectors[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (size_t i = 0; i < 3; i++) {
        uint32_t out[4];
        ishow_philox4x32_10(vectors[i], vectors[i] + 4, out);
        assert_memory_equal(out, vectors[i] + 6, sizeof out);
    }
}

static void noise_depends_on_seed_and_position_only(void **state) {
    (void)state;
    float full[1003], part[1003], other[1003];
    ishow_noise_fill(42, full, 1003);
    for (size_t n = 0; n < 12; n++) {
        memset(part, 0, sizeof part);
        ishow_noise_fill(42, part, n);
        assert_memory_equal(part, full, n * sizeof *full);
        assert_true(part[n] == 0); /* nothing is written past n */
    }
    ishow_noise_fill(UINT64_C(42) << 32, other, 1003); /* the upper half of the seed matters */
    assert_memory_not_equal(other, full, sizeof full);
}

static void noise_is_standard_normal(void **state) {
    (void)state;
    enum { N = 200000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    ishow_noise_fill(7, x, N);
    double sum = 0, square = 0, cube = 0, fourth = 0, neighbours = 0;
    for (size_t i = 0; i < N; i++) {
        double v = x[i];
        sum += v, square += v * v, cube += v * v * v, fourth += v * v * v * v;
        if (i) neighbours += v * x[i - 1];
    }
    assert_true(fabs(sum / N) < 0.01);
    assert_true(fabs(square / N - 1) < 0.02);
    assert_true(fabs(cube / N) < 0.04);
    assert_true(fabs(fourth / N - 3) < 0.1);
    assert_true(fabs(neighbours / N) < 0.01);
    free(x);
}

enum { MELS = 2, DIM = 3 };

/* A toy model of a small row: the result of a frame depends on the mean of its branch's frames. Counts its inputs. */
typedef struct looking {
    int calls;
    size_t rows, frames;
    ishow_status fails_at_2;
} looking;

static double velocity(const float *x, const float *h, size_t frames, float mod, size_t f, size_t k) {
    double mean = 0;
    for (size_t i = 0; i < frames; i++) mean += (double)x[i * MELS + k] * (double)h[i * DIM] / (double)frames;
    return mean + (double)h[f * DIM + 1] * (double)x[f * MELS + k] + (double)mod;
}

static ishow_status look(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    looking *l = self;
    if (++l->calls == 2 && l->fails_at_2) return ishow_fail(error, l->fails_at_2, "", "as told");
    for (size_t i = 0; i < n_rows; i++) {
        const ishow_step_row *r = &rows[i];
        float before[64];
        l->rows++;
        l->frames += r->frames * (r->h_uncond ? 2 : 1);
        assert_true(r->unguided == 0 && (r->h_uncond || r->cfg == 0) && r->frames * MELS <= 64);
        memcpy(before, r->x, r->frames * MELS * sizeof *before);
        for (size_t f = 0; f < r->frames; f++)
            for (size_t k = 0; k < MELS; k++) {
                double v = velocity(before, r->h_cond, r->frames, *r->mod, f, k);
                if (r->h_uncond) v += (v - velocity(before, r->h_uncond, r->frames, *r->mod, f, k)) * (double)r->cfg;
                r->x[f * MELS + k] += r->dt * (float)v;
            }
    }
    return ISHOW_OK;
}

/* Rows with and without a reference in one call: new frames are guided by the branch without the reference, frames
 * before them have the conditional velocity. */
static void an_unconditional_branch_may_leave_frames_out(void **state) {
    static const size_t frames[] = {9, 7, 11, 8}, unguided[] = {4, 0, 9, 3};
    float x[4][MELS * 11], was[4][MELS * 11], h[2][4][DIM * 11], mod[4], split[MELS * 11 * 2];
    ishow_step_row rows[4], calls[4];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        ishow_noise_fill(10 + i, x[i], MELS * 11);
        ishow_noise_fill(20 + i, h[0][i], DIM * 11);
        ishow_noise_fill(30 + i, h[1][i], DIM * 11);
        mod[i] = 0.1f * (float)i;
        rows[i] = (ishow_step_row){.x = x[i],
                                   .h_cond = h[0][i],
                                   .h_uncond = i == 3 ? NULL : h[1][i],
                                   .mod = &mod[i],
                                   .dt = 0.25f,
                                   .cfg = i == 3 ? 0 : 2,
                                   .frames = frames[i],
                                   .unguided = unguided[i]};
    }
    memcpy(was, x, sizeof x);
    assert_int_equal(ishow_step_split_floats(rows, 4, MELS), (5 + 2) * MELS);
    assert_int_equal(ishow_step_split_floats(rows + 1, 1, MELS), 0);
    looking model = {0};
    assert_int_equal(ishow_step_split(look, &model, rows, 4, MELS, DIM, calls, split, NULL), ISHOW_OK);
    assert_int_equal(model.calls, 2);
    assert_int_equal(model.rows, 6);
    assert_int_equal(model.frames, 9 + 5 + 2 * 7 + 11 + 2 + 8);
    for (size_t i = 0; i < 4; i++)
        for (size_t f = 0; f < frames[i]; f++)
            for (size_t k = 0; k < MELS; k++) {
                const size_t out = unguided[i];
                double v = velocity(was[i], h[0][i], frames[i], mod[i], f, k);
                if (i != 3 && f >= out)
                    v += 2 *
                         (v - velocity(was[i] + out * MELS, h[1][i] + out * DIM, frames[i] - out, mod[i], f - out, k));
                assert_true(fabs((double)was[i][f * MELS + k] + 0.25 * v - (double)x[i][f * MELS + k]) < 1e-5);
            }
    ishow_error error = {0};
    model = (looking){.fails_at_2 = ISHOW_EMODEL};
    assert_int_equal(ishow_step_split(look, &model, rows, 4, MELS, DIM, calls, split, &error), ISHOW_EMODEL);
    assert_string_equal(error.message, "as told");
    assert_true(ishow_call_work(1, 100, 0, 40) == 80 && ishow_call_work(1, 100, 0, 0) == 100 &&
                ishow_call_work(0, 100, 0, 40) == 50 && ishow_call_work(1, 100, 30, 40) == 65 &&
                ishow_call_work(0, 100, 30, 40) == 35);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epss_tables_are_the_published_ones),
        cmocka_unit_test(grids_rise_from_0_to_1),
        cmocka_unit_test(sway_is_the_formula),
        cmocka_unit_test(grid_refuses_with_field_limit_and_value),
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(noise_depends_on_seed_and_position_only),
        cmocka_unit_test(noise_is_standard_normal),
        cmocka_unit_test(an_unconditional_branch_may_leave_frames_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
