/* The step scheduler.
 *
 * Every model call advances the rows that come first by their scheduling keys. Rows share no accumulator, time or
 * random state. Memory is allocated when a row is added, never in a step.
 *
 * A midpoint step x0 + dt v(xm, tm), with xm = x0 + dt/2 v(x0, t), consists of two calls x += dt v: after the first
 * call x0 - xm is kept, and it is added after the second. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "flow/flow.h"

typedef enum slot_state { SLOT_FREE = 0, SLOT_ACTIVE, SLOT_LEFT } slot_state;

typedef struct slot {
    slot_state state;
    ishow_row row;
    int taken;         /* model calls made */
    double left, done; /* work of the remaining calls and of those made */
    uint64_t arrived;
    double since;           /* the scheduler's work when it was admitted */
    ishow_workspace before; /* x before a batched call, for a retry; only with batches */
    ishow_workspace back;   /* x0 minus the midpoint; only for midpoint rows */
    ishow_row_outcome outcome;
    ishow_error error;
} slot;

struct ishow_scheduler {
    ishow_scheduler_options options;
    slot *slots;           /* [max_rows] */
    slot **chosen;         /* [rows_per_step] */
    ishow_step_row *batch; /* [rows_per_step] */
    size_t rows;
    uint64_t arrivals;
    double work; /* frames x calls taken by all rows so far */
};

ishow_status ishow_scheduler_create(ishow_scheduler **out, const ishow_scheduler_options *options, ishow_error *error) {
    *out = NULL;
    if (options->max_rows < 1 || options->rows_per_step < 1 || options->n_mels < 1 || !options->step)
        return ishow_fail(error, ISHOW_EINVAL, "",
                          "a scheduler needs max_rows, rows_per_step and n_mels of at least 1 and a step function");
    ishow_scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (!scheduler) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a scheduler");
    scheduler->options = *options;
    if (scheduler->options.rows_per_step > options->max_rows) scheduler->options.rows_per_step = options->max_rows;
    scheduler->slots = calloc(options->max_rows, sizeof *scheduler->slots);
    scheduler->chosen = calloc(scheduler->options.rows_per_step, sizeof *scheduler->chosen);
    scheduler->batch = calloc(scheduler->options.rows_per_step, sizeof *scheduler->batch);
    ishow_handle_made();
    if (!scheduler->slots || !scheduler->chosen || !scheduler->batch) {
        ishow_scheduler_free(scheduler);
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a scheduler of %zu rows", options->max_rows);
    }
    *out = scheduler;
    return ISHOW_OK;
}

void ishow_scheduler_free(ishow_scheduler *scheduler) {
    if (!scheduler) return;
    for (size_t i = 0; scheduler->slots && i < scheduler->options.max_rows; i++) {
        ishow_workspace_free(&scheduler->slots[i].before);
        ishow_workspace_free(&scheduler->slots[i].back);
    }
    free(scheduler->slots);
    free(scheduler->chosen);
    free(scheduler->batch);
    free(scheduler);
    ishow_handle_freed();
}

size_t ishow_scheduler_rows(const ishow_scheduler *scheduler) { return scheduler->rows; }

ishow_status ishow_scheduler_add(ishow_scheduler *scheduler, const ishow_row *row, ishow_error *error) {
    if (!row->x || !row->path.t || row->path.nfe < 1 || row->frames < 1)
        return ishow_fail(error, ISHOW_EINVAL, "", "a row needs x, t, frames and nfe of at least 1");
    slot *free_slot = NULL;
    for (size_t i = 0; i < scheduler->options.max_rows && !free_slot; i++)
        if (scheduler->slots[i].state == SLOT_FREE) free_slot = &scheduler->slots[i];
    if (!free_slot) return ishow_fail(error, ISHOW_EBUSY, "", "%zu rows are inside already", scheduler->rows);
    size_t values = row->frames * (size_t)scheduler->options.n_mels;
    if ((scheduler->options.rows_per_step > 1 && !ishow_workspace_grow(&free_slot->before, values, sizeof(float))) ||
        (row->path.solver == ISHOW_SOLVER_MIDPOINT && !ishow_workspace_grow(&free_slot->back, values, sizeof(float))))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a row of %zu frames", row->frames);
    free_slot->state = SLOT_ACTIVE;
    free_slot->row = *row;
    free_slot->taken = 0;
    free_slot->left = ishow_path_work(&row->path, 0, row->frames, row->known, row->unguided);
    free_slot->done = 0;
    free_slot->since = scheduler->work;
    free_slot->arrived = ++scheduler->arrivals;
    scheduler->rows++;
    return ISHOW_OK;
}

static void leave(slot *s, ishow_row_outcome outcome) {
    s->state = SLOT_LEFT;
    s->outcome = outcome;
    if (outcome != ISHOW_ROW_FAILED) ishow_error_clear(&s->error);
}

static ishow_scheduling_key key_of(const ishow_scheduler *scheduler, const slot *s) {
    const double others = scheduler->work - s->since - s->done;
    return (ishow_scheduling_key){s->row.priority, s->row.urgent_by ? *s->row.urgent_by : INFINITY,
                                  ishow_remaining_work(s->left, s->row.later, s->left + s->done, others)};
}

static int goes_before(const ishow_scheduler *scheduler, const slot *a, const slot *b) {
    const ishow_scheduling_key x = key_of(scheduler, a), y = key_of(scheduler, b);
    return ishow_goes_before(x, y) || (!ishow_goes_before(y, x) && a->arrived < b->arrived);
}

/* The row that comes first by its scheduling key; NULL: there is none. */
static slot *lead(const ishow_scheduler *scheduler) {
    slot *best = NULL;
    for (size_t i = 0; i < scheduler->options.max_rows; i++) {
        slot *s = &scheduler->slots[i];
        if (s->state == SLOT_ACTIVE && (!best || goes_before(scheduler, s, best))) best = s;
    }
    return best;
}

/* Fills `chosen` with rows of similar length in scheduling order, by insertion. */
static size_t choose(ishow_scheduler *scheduler) {
    const slot *first = lead(scheduler);
    size_t n = 0, most = scheduler->options.rows_per_step;
    for (size_t i = 0; first && i < scheduler->options.max_rows; i++) {
        slot *s = &scheduler->slots[i];
        if (s->state != SLOT_ACTIVE || s->row.frames > ISHOW_SCHEDULER_ALIKE * first->row.frames ||
            first->row.frames > ISHOW_SCHEDULER_ALIKE * s->row.frames)
            continue;
        size_t at = n;
        while (at > 0 && goes_before(scheduler, s, scheduler->chosen[at - 1])) at--;
        if (at == most) continue;
        if (n < most) n++;
        for (size_t j = n - 1; j > at; j--) scheduler->chosen[j] = scheduler->chosen[j - 1];
        scheduler->chosen[at] = s;
    }
    return n;
}

static ishow_step_row step_row(const slot *s) {
    const ishow_row *row = &s->row;
    const ishow_call call = ishow_path_call(&row->path, s->taken);
    return (ishow_step_row){.x = row->x,
                            .h_cond = row->h_cond,
                            .h_uncond = call.guided ? row->h_uncond : NULL,
                            .mod = row->mod ? row->mod + (size_t)s->taken * row->mod_width : NULL,
                            .dt = call.dt,
                            .cfg = call.guided ? row->path.cfg : 0,
                            .frames = row->frames,
                            .unguided = call.guided ? row->unguided : 0};
}

/* Updates s after a successful call. */
static void advanced(ishow_scheduler *scheduler, slot *s) {
    const ishow_call call = ishow_path_call(&s->row.path, s->taken++);
    const int calls = ishow_path_calls(&s->row.path);
    const size_t values = s->row.frames * (size_t)scheduler->options.n_mels;
    const double work = ishow_call_work(call.guided, s->row.frames, s->row.known, s->row.unguided);
    float *x = s->row.x, *back = s->back.data;
    s->left -= work;
    s->done += work;
    scheduler->work += work;
    if (call.half)
        for (size_t i = 0; i < values; i++) back[i] -= x[i];
    else if (s->row.path.solver == ISHOW_SOLVER_MIDPOINT)
        for (size_t i = 0; i < values; i++) x[i] += back[i];
    if (!ishow_all_finite(x, values)) {
        leave(s, ISHOW_ROW_FAILED);
        ishow_fail(&s->error, ISHOW_EMODEL, "",
                   "the model made non-finite values at call %d of %d, in a row of %zu frames", s->taken, calls,
                   s->row.frames);
    } else if (s->taken == calls) {
        leave(s, ISHOW_ROW_DONE);
    }
}

static void failed(slot *s, ishow_status status, const ishow_error *why) {
    leave(s, ISHOW_ROW_FAILED);
    s->error = *why;
    if (s->error.status == ISHOW_OK) /* the step function returned a status without a message */
        ishow_fail(&s->error, status, "", "the model's step failed (%s)", ishow_status_name(status));
}

size_t ishow_scheduler_step(ishow_scheduler *scheduler, ishow_row_result *results, size_t capacity) {
    const ishow_scheduler_options *options = &scheduler->options;
    for (size_t i = 0; i < options->max_rows; i++) {
        slot *s = &scheduler->slots[i];
        if (s->state == SLOT_ACTIVE && s->row.cancelled && __atomic_load_n(s->row.cancelled, __ATOMIC_ACQUIRE))
            leave(s, ISHOW_ROW_CANCELLED);
    }

    size_t n = choose(scheduler);
    if (n) {
        for (size_t i = 0; i < n; i++) {
            slot *s = scheduler->chosen[i];
            const size_t bytes = s->row.frames * (size_t)options->n_mels * sizeof *s->row.x;
            scheduler->batch[i] = step_row(s);
            if (n > 1) memcpy(s->before.data, s->row.x, bytes);
            if (ishow_path_call(&s->row.path, s->taken).half) memcpy(s->back.data, s->row.x, bytes);
        }
        ishow_error error = {0};
        ishow_status status = options->step(options->step_self, scheduler->batch, n, &error);
        for (size_t i = 0; i < n; i++) {
            slot *s = scheduler->chosen[i];
            if (status == ISHOW_OK) {
                advanced(scheduler, s);
            } else if (n == 1) {
                failed(s, status, &error);
            } else { /* a failing row must not fail the others of its batch */
                ishow_error own = {0};
                memcpy(s->row.x, s->before.data, s->row.frames * (size_t)options->n_mels * sizeof *s->row.x);
                ishow_status alone = options->step(options->step_self, &scheduler->batch[i], 1, &own);
                if (alone == ISHOW_OK)
                    advanced(scheduler, s);
                else
                    failed(s, alone, &own);
            }
        }
    }

    size_t written = 0;
    for (size_t i = 0; i < options->max_rows && written < capacity; i++) {
        slot *s = &scheduler->slots[i];
        if (s->state != SLOT_LEFT) continue;
        results[written++] =
            (ishow_row_result){.user = s->row.user, .outcome = s->outcome, .calls = s->taken, .error = s->error};
        s->state = SLOT_FREE;
        scheduler->rows--;
    }
    return written;
}
