/* Flow matching: time grids, paths and the step scheduler.
 *
 * The scheduler is a set of rows. Each row integrates its own ODE (F5-TTS section 3; Euler or midpoint on x_t from t =
 * 0 to 1) with its own grid, guidance, seed and length. Rows join and leave between model calls; one call of
 * ishow_scheduler_step advances a fair selection of rows by one model call each. A row's result does not depend on the
 * other rows of its batch: rows share model calls, never values. The scheduler does not depend on the model: it calls
 * one function. */
#ifndef ISHOW_FLOW_FLOW_H
#define ISHOW_FLOW_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ishow_grid_kind {
    ISHOW_GRID_EPSS = 0, /* EPSS for 5, 6, 7, 10, 12, 16 steps (arXiv 2505.19931), else uniform */
    ISHOW_GRID_UNIFORM
} ishow_grid_kind;

/* Writes nfe + 1 increasing times from 0 to 1 into t: the grid, then sway: t + s * (cos(pi/2 * t) - 1 + t).
 * Computed in float32 as the reference does. nfe 1..ISHOW_NFE_MAX, sway ISHOW_SWAY_MIN..MAX, else EINVAL with field. */
ISHOW_API ishow_status ishow_grid_make(ishow_grid_kind kind, int nfe, double sway, float *t, ishow_error *error);

/* n standard normal values from a seed: Philox4x32-10 (Salmon et al. 2011) with counter = position, then Box-Muller.
 * The value at a position depends on seed and position only, not on n. */
ISHOW_API void ishow_noise_fill(uint64_t seed, float *out, size_t n);

typedef enum ishow_solver {
    ISHOW_SOLVER_EULER = 0,
    ISHOW_SOLVER_MIDPOINT /* explicit, second order: two model calls a step */
} ishow_solver;

ISHOW_API extern const char *const ishow_solver_names[]; /* indexed by ishow_solver */
ISHOW_API ishow_status ishow_solver_read(const char *name, ishow_solver *out,
                                         ishow_error *error); /* EINVAL, field "solver" */

/* The integration of a row from t = 0 to 1. */
typedef struct ishow_path {
    ishow_solver solver;
    const float *t; /* [nfe + 1], borrowed */
    int nfe;
    float cfg; /* v = v_c + (v_c - v_u) * cfg where guided_from <= t < guided_to; elsewhere v = v_c, which needs one
                  branch only */
    float guided_from, guided_to;
    int embedded; /* 1: guidance-conditioned network: cfg is an input (guidance embedding) and the output is the guided
                     v, so one branch suffices */
} ishow_path;

/* One model call of a path: x + dt * v(x, t). */
typedef struct ishow_call {
    float t, dt;
    int guided;     /* both branches are needed */
    float guidance; /* input of the guidance embedding; 0: none */
    int half;       /* first half of a midpoint step: leaves x at the midpoint */
} ishow_call;

#define ISHOW_UNGUIDED_WORK 0.5 /* work of a call with one branch; one with both is 1 */

/* Work of a call for `frames` frames, `known` of which the conditional branch leaves out, and `unguided` the other. */
static inline double ishow_call_work(int guided, size_t frames, size_t known, size_t unguided) {
    return (double)(frames - known) * ISHOW_UNGUIDED_WORK +
           (guided ? (double)(frames - unguided) * (1 - ISHOW_UNGUIDED_WORK) : 0);
}

int ishow_path_calls(const ishow_path *path);
ishow_call ishow_path_call(const ishow_path *path, int number); /* 0 .. calls - 1 */
double ishow_path_work(const ishow_path *path, int first, size_t frames, size_t known,
                       size_t unguided); /* work of the calls from `first` on */

/* The reference at the beginning of a row whose keys and values are known at the time of a call: a step computes the
 * other frames alone, and leaves x of the reference as it is. */
typedef struct ishow_prompt {
    const void *kept;          /* the result of the backend's `prompt` for this time */
    size_t frames;             /* of the reference, less than those of the row */
    const unsigned char *live; /* [frames] 1: computed anyway, because its h depends on the text to be spoken */
} ishow_prompt;

/* One row of one model call. Pointers are borrowed for the call. */
typedef struct ishow_step_row {
    float *x;              /* [frames * n_mels], updated in place: x += dt * v */
    const float *h_cond;   /* [frames * dim], conditional part of the input projection */
    const float *h_uncond; /* [frames * dim]; NULL: no guidance, v = v_c, and cfg is 0 */
    const float *mod;      /* [mod_width], modulation at this row's t */
    float dt;
    float cfg; /* v = v_c + (v_c - v_u) * cfg */
    size_t frames;
    size_t unguided; /* leading frames that the unconditional branch leaves out and that move by v_c; at most frames
                        - 2. ishow_step_split handles them: a backend always gets 0 */
    const ishow_prompt *prompt; /* of the conditional branch; NULL: all frames are computed. Only for backends with
                                   `prompt`, which get it in rows of one branch */
} ishow_step_row;

/* Moves every row by dt along its velocity. Called from the scheduler's thread only. */
typedef ishow_status (*ishow_step_fn)(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error);

/* Replaces one call of `step`, for rows some of which have `unguided` frames, by two: v_c of all rows, then v_u of
 * those rows without these frames. Values (n_mels a frame, dim in h) equal those of branches computed alone. calls:
 * [n_rows], split: [ishow_step_split_floats()], workspaces. After an error x is undefined. */
size_t ishow_step_split_floats(const ishow_step_row *rows, size_t n_rows, size_t n_mels); /* 0: no row needs a split */
ishow_status ishow_step_split(ishow_step_fn step, void *self, const ishow_step_row *rows, size_t n_rows, size_t n_mels,
                              size_t dim, ishow_step_row *calls, float *split, ishow_error *error);

/* Order of rows in flight, and of chunks that wait for a row: the higher priority first; among equals, rows that would
 * otherwise miss their deadline, by deadline; then the smaller `remaining`, so that a short message never waits for the
 * end of a long one and as many as possible finish soon. */
typedef struct ishow_scheduling_key {
    int priority;
    double urgent_by; /* by ishow_now(); INFINITY: not urgent */
    double remaining; /* ishow_remaining_work */
} ishow_scheduling_key;

/* Remaining work (frames x calls; a call without guidance counts half), adjusted for comparison. later: 1 for a chunk
 * after the first of its text, whose listener hears an earlier one meanwhile: `work`, its whole work, is added. others:
 * work done for others since it began to wait, a tenth of which is subtracted, so that newcomers overtake it for at
 * most ten times its own work. */
double ishow_remaining_work(double left, int later, double work, double others);

int ishow_goes_before(ishow_scheduling_key a, ishow_scheduling_key b); /* 0 also for equals */

/* Rows of one batch differ in length by at most this factor: a batch costs what its longest row does, and a short row
 * should not wait for it. */
#define ISHOW_SCHEDULER_ALIKE 2

typedef struct ishow_scheduler ishow_scheduler;
typedef struct ishow_scheduler_options {
    size_t max_rows;      /* rows admitted at once (>= 1) */
    size_t rows_per_step; /* rows one call of step_fn may carry (>= 1; 1 on CPUs, where a batch gains nothing) */
    int n_mels;
    ishow_step_fn step;
    void *step_self; /* borrowed */
} ishow_scheduler_options;

/* A row to integrate. All pointers are borrowed until the row leaves (finished, cancelled or failed). */
typedef struct ishow_row {
    float *x; /* [frames * n_mels], noise at the start, mel at the end */
    const float *h_cond;
    const float *h_uncond;
    const float *mod; /* [calls * mod_width], row i is the modulation at the time of call i of the path */
    size_t mod_width;
    ishow_path path;
    size_t frames;
    size_t unguided;               /* as in ishow_step_row */
    size_t known;                  /* frames that the conditional branch will leave out, as its work is counted */
    int priority;                  /* as in ishow_scheduling_key */
    int later;                     /* as in ishow_remaining_work */
    const double *urgent_by;       /* as in ishow_scheduling_key; borrowed, NULL: never; read between calls */
    const volatile int *cancelled; /* borrowed, may be NULL; read with __atomic between calls */
    void *user;                    /* returned when the row leaves */
} ishow_row;

typedef enum ishow_row_outcome { ISHOW_ROW_DONE = 0, ISHOW_ROW_CANCELLED, ISHOW_ROW_FAILED } ishow_row_outcome;

typedef struct ishow_row_result {
    void *user;
    ishow_row_outcome outcome;
    int calls;         /* model calls made for it */
    ishow_error error; /* for FAILED */
} ishow_row_result;

/* A scheduler is used by one thread. options are copied. */
ISHOW_API ishow_status ishow_scheduler_create(ishow_scheduler **out, const ishow_scheduler_options *options,
                                              ishow_error *error);
ISHOW_API void ishow_scheduler_free(ishow_scheduler *scheduler); /* rows still inside are dropped; NULL allowed */

ISHOW_API size_t ishow_scheduler_rows(const ishow_scheduler *scheduler); /* rows inside */

/* Admits a row; EBUSY when max_rows are inside. */
ISHOW_API ishow_status ishow_scheduler_add(ishow_scheduler *scheduler, const ishow_row *row, ishow_error *error);

/* Takes cancelled rows out, advances up to rows_per_step rows by one model call (those with the highest priority, and
 * among equals the ones with the least work left, ageing considered; those that join the first are of like length),
 * takes finished rows out. Writes at most `capacity` results (capacity >= max_rows takes all); returns their number. A
 * row is FAILED when step returns an error (each row of that call; then rows are retried one by one when the call
 * carried several) or x becomes non-finite. */
ISHOW_API size_t ishow_scheduler_step(ishow_scheduler *scheduler, ishow_row_result *results, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
