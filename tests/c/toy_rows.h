/* Rows of a toy model for the tests of the scheduler. */
#ifndef TOY_ROWS_H
#define TOY_ROWS_H

#include "flow/flow.h"

enum { MELS = 3, DIM = 2, MOD = 4, ROWS = 6, FRAMES_MAX = 40, NFE_MAX = 20 };

/* A row with all its buffers. */
typedef struct toy {
    float x[FRAMES_MAX * MELS], h[2 * FRAMES_MAX * DIM], mod[2 * NFE_MAX * MOD], t[NFE_MAX + 1];
    int cancelled;
    int served;      /* calls of the model */
    int unguided;    /* calls with one branch */
    int finished_at; /* number of the call at which it ended */
    ishow_row_result result;
} toy;

typedef struct toy_model {
    ishow_scheduler *scheduler;
    toy *rows; /* all calls so far */
    size_t n_rows;
    int calls;
    const float *fail_x; /* every call with this row fails (after changing x) */
    const float *nan_x;  /* this row gets a NaN ... */
    int nan_at;          /* ... at this call of it */
    int silent_error;    /* fail without an error message */
} toy_model;

size_t toy_frames(size_t k);
int toy_nfe(size_t k);
/* Fills rows with noise and a grid. */
void toy_fill(toy *toys, size_t n);
/* Row k for the scheduler: its length, schedule and guidance depend on k. */
ishow_row toy_row(toy *row, size_t k);
ishow_row toy_row_sized(toy *row, size_t k, size_t frames, int nfe); /* the same with another length and schedule */
void toy_start(toy_model *m, toy *rows, size_t n, size_t max_rows, size_t rows_per_step);
/* Checks that no row and no handle is left. */
void toy_stop(toy_model *m);
/* One step of the scheduler; records the results, and returns their number. */
size_t toy_advance(toy_model *m);
void toy_add(toy_model *m, toy *rows, size_t k);

#endif
