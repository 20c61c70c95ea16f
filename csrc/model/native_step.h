/* The parts of a step of the flow, used by native_euler.c and native_prompt.c. Private to model/. */
#ifndef ISHOW_MODEL_NATIVE_STEP_H
#define ISHOW_MODEL_NATIVE_STEP_H

#include "model/native.h"

/* Neighbouring frames of a branch, in every `branches`th row of x from `first` on. */
typedef struct stretch {
    size_t first, rows;
} stretch;

typedef struct stepping {
    native *m;
    const ishow_step_row *row;
    size_t frames, branches, rows, block; /* of a branch, 1 or 2, branches * (frames + unett), rows of a task */
    size_t keys;                          /* rows of a branch that each row attends to */
    size_t layer;
    float *x;                 /* [rows][D] residual stream; with two branches, their rows of a frame are adjacent */
    float *qkv;               /* [rows][pitch(3 I)] */
    float *attended;          /* [rows][I] */
    const float *gains;       /* [2 depth + 1][D] of the norms; DiT: 1 + scale */
    float *skips;             /* UNetT: [depth / 2][rows][D] inputs of the first blocks */
    const stretch *stretches; /* of the position convolutions */
    uint32_t *known;          /* [depth][heads] keys and values of n_known positions: read with `at`, else written;
                                 NULL: neither */
    size_t n_known;
    const uint32_t *at; /* [rows] position of each row, of one branch; NULL: row r is at r */
} stepping;

/* The row in x of a frame. */
float *frame_of(const stepping *s, size_t branch, size_t frame);
/* Takes the memory of a step of s->row for `rows` rows in x, tasks of at most `block` rows, and at most `longest`
 * rows in one stretch or attention. */
ishow_status step_begin(stepping *s, size_t rows, size_t block, size_t longest, ishow_error *error);
/* Runs a task for all blocks of `rows` rows, and sets s->block. */
void step_run(stepping *s, size_t rows, void (*task)(void *self, size_t i, int thread));
/* All layers, on the frames in x as they are after the position convolutions. */
void step_layers(stepping *s);
/* Tasks, for step_run: the input projection to x, and the output with the step itself, both over `frames`. */
void task_input(void *self, size_t i, int thread);
void task_output(void *self, size_t i, int thread);
/* CONV_GROUPS tasks for each stretch. */
void task_positions(void *self, size_t i, int thread);

/* native_prompt.c: a step of a row whose reference is known, which has one branch. */
ishow_status step_after_prompt(native *m, const ishow_step_row *row, ishow_error *error);

#endif
