/* Steps as launches of CUDA graphs.
 *
 * A graph has a fixed size, so lengths are rounded up to buckets and numbers of rows to powers of two: missing frames
 * are masked, and a missing row is a row of one zero frame. A launch takes rows of similar length, since its time is
 * that of the longest. Its inputs are sent in one copy from page-locked memory, and x is read back in one; h stays on
 * the device, where encode left it. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/grow.h"
#include "model/cuda.h"

#define CU_NON_BLOCKING                                                                                           \
    1u /* CU_STREAM_NON_BLOCKING: does not synchronise with torch's stream, whose work has always finished when a \
          Python call ends */
#define CU_AUTO_FREE                                                                                                   \
    1ull /* CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH, as torch sets it: memory still allocated by a launch does \
            not block the next */
#define CU_OUT_OF_MEMORY 2  /* CUDA_ERROR_OUT_OF_MEMORY */
#define FINE             64 /* step between bucket lengths up to FINE_MAX, COARSE above */
#define FINE_MAX         1024
#define COARSE           256

typedef struct made {
    size_t rows, frames;
    int guided;
    ishow_cuda_graph captured;
    void *exec;
    uint64_t used;
} made;

typedef struct kept {
    const float *cond, *uncond; /* [floats] each; host addresses as keys */
    size_t floats;
    uint64_t device;
    void *owner;
} kept;

struct ishow_cuda_steps {
    const ishow_cuda_driver *driver; /* borrowed */
    ishow_cuda_options options;
    void *stream;
    float *staging; /* page-locked copy of options.inputs */
    made graphs[ISHOW_CUDA_GRAPHS];
    size_t n_graphs, most; /* most: rows of one launch */
    uint64_t clock;
    kept *kept;
    size_t n_kept, kept_cap, dead_cap;
    void **dead; /* owners to drop; [dead_cap], as many as kept rows or more */
    size_t n_dead;
};

static ishow_status check(const ishow_cuda_steps *steps, int result, const char *doing, ishow_error *error) {
    const char *text = NULL;
    if (!result) return ISHOW_OK;
    if (steps->driver->error_text(result, &text) || !text) text = "unknown error";
    return ishow_fail(error, result == CU_OUT_OF_MEMORY ? ISHOW_ENOMEM : ISHOW_EMODEL, "",
                      "%s on the GPU failed: %s (%d)", doing, text, result);
}

static size_t input_floats(const ishow_cuda_options *o, size_t rows, size_t frames) {
    return rows * (frames * o->n_mels + o->mod_width + 3);
}

ishow_status ishow_cuda_open(ishow_cuda_steps **out, const ishow_cuda_driver *driver, const ishow_cuda_options *options,
                             ishow_error *error) {
    ishow_error own = {0};
    *out = NULL;
    ishow_cuda_steps *steps = calloc(1, sizeof *steps);
    if (!steps) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the steps on a GPU");
    ishow_handle_made();
    steps->driver = driver;
    steps->options = *options;
    steps->most = ISHOW_CUDA_ROWS;
    void *memory = NULL;
    const size_t bytes =
        (ISHOW_CUDA_FRAMES * options->n_mels + ISHOW_CUDA_ROWS * (options->mod_width + 3)) * sizeof(float);
    if (options->max_frames > ISHOW_CUDA_FRAMES) {
        ishow_fail(&own, ISHOW_EINVAL, "model",
                   "a model with rows of up to %zu frames does not fit the buffers of the GPU backend (%d)",
                   options->max_frames, ISHOW_CUDA_FRAMES);
        goto done;
    }
    if (check(steps, driver->context_set(driver->context), "Choosing the device", &own) ||
        check(steps, driver->stream_create(&steps->stream, CU_NON_BLOCKING), "Making a stream", &own) ||
        check(steps, driver->host_alloc(&memory, bytes, 0), "Taking page-locked memory", &own))
        goto done;
    steps->staging = memory;
    *out = steps;
    steps = NULL;
done:
    ishow_cuda_close(steps);
    if (error) *error = own;
    return own.status;
}

static void drop_graph(ishow_cuda_steps *steps, size_t i) {
    steps->driver->exec_destroy(steps->graphs[i].exec);
    steps->options.drop(steps->options.self, steps->graphs[i].captured.owner);
    steps->graphs[i] = steps->graphs[--steps->n_graphs];
}

static void bury(ishow_cuda_steps *steps) {
    while (steps->n_dead) steps->options.drop(steps->options.self, steps->dead[--steps->n_dead]);
}

void ishow_cuda_close(ishow_cuda_steps *steps) {
    if (!steps) return;
    const ishow_cuda_driver *driver = steps->driver;
    driver->context_set(driver->context);
    if (steps->stream) driver->stream_synchronize(steps->stream);
    while (steps->n_graphs) drop_graph(steps, steps->n_graphs - 1);
    bury(steps);
    for (size_t i = 0; i < steps->n_kept; i++) steps->options.drop(steps->options.self, steps->kept[i].owner);
    if (steps->staging) driver->host_free(steps->staging);
    if (steps->stream) driver->stream_destroy(steps->stream);
    free(steps->kept);
    free(steps->dead);
    free(steps);
    ishow_handle_freed();
}

/* ---- where h is stored -------------------------------------------------------------------------- */

static void forget(ishow_cuda_steps *steps, size_t i) {
    steps->dead[steps->n_dead++] = steps->kept[i].owner;
    steps->kept[i] = steps->kept[--steps->n_kept];
}

void ishow_cuda_forget(ishow_cuda_steps *steps, const float *h_cond) {
    for (size_t i = 0; i < steps->n_kept; i++)
        if (steps->kept[i].cond == h_cond) {
            forget(steps, i);
            return;
        }
}

static int meet(const float *a, size_t n, const float *b, size_t m) {
    return (uintptr_t)a < (uintptr_t)(b + m) && (uintptr_t)b < (uintptr_t)(a + n);
}

ishow_status ishow_cuda_keep(ishow_cuda_steps *steps, const float *h_cond, const float *h_uncond, size_t frames,
                             uint64_t device, void *owner, ishow_error *error) {
    const kept added = {
        .cond = h_cond, .uncond = h_uncond, .floats = frames * steps->options.dim, .device = device, .owner = owner};
    for (size_t i = steps->n_kept; i-- > 0;) {
        const kept *k = &steps->kept[i];
        if (meet(k->cond, k->floats, h_cond, added.floats) || meet(k->cond, k->floats, h_uncond, added.floats) ||
            meet(k->uncond, k->floats, h_cond, added.floats) || meet(k->uncond, k->floats, h_uncond, added.floats))
            forget(steps, i);
    }
    bury(steps);
    kept *grown = ishow_grow(steps->kept, &steps->kept_cap, steps->n_kept + 1, sizeof *grown);
    if (grown) steps->kept = grown;
    void **dead = ishow_grow(steps->dead, &steps->dead_cap, steps->n_kept + 1, sizeof *dead);
    if (dead) steps->dead = dead;
    if (!grown || !dead) {
        steps->options.drop(steps->options.self, owner);
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory to keep a row of %zu frames", frames);
    }
    steps->kept[steps->n_kept++] = added;
    return ISHOW_OK;
}

/* Device address of n floats of h with host address p; 0: unknown. */
static uint64_t find_h(const ishow_cuda_steps *steps, const float *p, size_t n) {
    for (size_t i = 0; i < steps->n_kept; i++) {
        const kept *k = &steps->kept[i];
        const uintptr_t at = (uintptr_t)p, starts[2] = {(uintptr_t)k->cond, (uintptr_t)k->uncond};
        for (size_t branch = 0; branch < 2; branch++)
            if (at >= starts[branch] && at + n * sizeof *p <= starts[branch] + k->floats * sizeof *p)
                return k->device + branch * k->floats * sizeof *p + (at - starts[branch]);
    }
    return 0;
}

/* ---- graphs -------------------------------------------------------------------------------- */

static size_t bucket(const ishow_cuda_steps *steps, size_t frames) {
    const size_t by = frames <= FINE_MAX ? FINE : COARSE, whole = (frames + by - 1) / by * by;
    return whole < steps->options.max_frames ? whole : steps->options.max_frames;
}

static ishow_status capture(ishow_cuda_steps *steps, size_t rows, size_t frames, int guided, made *out,
                            ishow_error *error) {
    *out = (made){.rows = rows, .frames = frames, .guided = guided};
    ishow_status status = steps->options.capture(steps->options.self, rows, frames, guided, &out->captured, error);
    if (status) return status;
    status = check(steps, steps->driver->instantiate(&out->exec, out->captured.graph, CU_AUTO_FREE),
                   "Making a graph ready", error);
    if (status) steps->options.drop(steps->options.self, out->captured.owner);
    return status;
}

static ishow_status find_graph(ishow_cuda_steps *steps, size_t rows, size_t frames, int guided, made **out,
                               ishow_error *error) {
    size_t oldest = 0;
    *out = NULL;
    for (size_t i = 0; i < steps->n_graphs; i++) {
        made *g = &steps->graphs[i];
        if (g->rows == rows && g->frames == frames && g->guided == guided) *out = g;
        if (g->used < steps->graphs[oldest].used) oldest = i;
    }
    if (!*out) {
        made fresh;
        if (steps->n_graphs == ISHOW_CUDA_GRAPHS) drop_graph(steps, oldest);
        ishow_status status = capture(steps, rows, frames, guided, &fresh, error);
        if (status == ISHOW_ENOMEM && steps->n_graphs) {
            ishow_log(ISHOW_LOG_WARN, "cuda", "no memory for a step of %zu x %zu frames: %zu others are dropped", rows,
                      frames, steps->n_graphs);
            while (steps->n_graphs) drop_graph(steps, steps->n_graphs - 1);
            if (error) ishow_error_clear(error);
            status = capture(steps, rows, frames, guided, &fresh, error);
        }
        if (status) return status;
        steps->graphs[steps->n_graphs] = fresh;
        *out = &steps->graphs[steps->n_graphs++];
    }
    (*out)->used = ++steps->clock;
    return ISHOW_OK;
}

/* ---- a launch ------------------------------------------------------------------------------ */

/* Writes the inputs of n rows in the layout of a graph of `rows` x `frames`. */
static void stage(ishow_cuda_steps *steps, const ishow_step_row *const *row, size_t n, size_t rows, size_t frames) {
    const ishow_cuda_options *o = &steps->options;
    const size_t values = frames * o->n_mels;
    float *x = steps->staging, *mod = x + rows * values, *dt = mod + rows * o->mod_width, *cfg = dt + rows,
          *own = cfg + rows;
    for (size_t r = 0; r < rows; r++) {
        const size_t used = r < n ? row[r]->frames * o->n_mels : 0;
        if (r < n) {
            memcpy(x + r * values, row[r]->x, used * sizeof *x);
            memcpy(mod + r * o->mod_width, row[r]->mod, o->mod_width * sizeof *mod);
        } else {
            memset(mod + r * o->mod_width, 0, o->mod_width * sizeof *mod);
        }
        memset(x + r * values + used, 0,
               (values - used) * sizeof *x); /* values of an earlier row might be NaN, which a mask does not remove */
        dt[r] = r < n ? row[r]->dt : 0;
        cfg[r] = r < n ? row[r]->cfg : 0;
        own[r] = r < n ? (float)row[r]->frames : 1; /* a missing row has one frame: softmax over an empty row is NaN */
    }
}

static ishow_status place_h(const ishow_cuda_steps *steps, const ishow_step_row *row, const float *p, uint64_t to,
                            size_t frames, ishow_error *error) {
    const size_t width = steps->options.dim, used = row ? row->frames : 0;
    if (row) {
        const uint64_t from = find_h(steps, p, used * width);
        if (!from)
            return ishow_fail(error, ISHOW_EINTERNAL, "", "a row of %zu frames was not encoded by the GPU backend",
                              used);
        ishow_status status = check(
            steps, steps->driver->on_device(to, from, used * width * sizeof(float), steps->stream), "A copy", error);
        if (status) return status;
    }
    if (used == frames) return ISHOW_OK;
    return check(steps,
                 steps->driver->fill(to + used * width * sizeof(float), 0, (frames - used) * width, steps->stream),
                 "A fill", error);
}

static ishow_status launch(ishow_cuda_steps *steps, const ishow_step_row *const *row, size_t n, size_t frames,
                           ishow_error *error) {
    const ishow_cuda_driver *driver = steps->driver;
    const ishow_cuda_options *o = &steps->options;
    const size_t values = frames * o->n_mels, branch = frames * o->dim * sizeof(float);
    const int guided = row[0]->h_uncond != NULL;
    size_t rows = 1;
    made *graph;
    while (rows < n) rows *= 2;
    ishow_status status = find_graph(steps, rows, frames, guided, &graph, error);
    if (status) return status;
    stage(steps, row, n, rows, frames);
    status = check(
        steps,
        driver->to_device(o->inputs, steps->staging, input_floats(o, rows, frames) * sizeof(float), steps->stream),
        "A copy", error);
    for (size_t r = 0; !status && r < rows; r++) {
        const ishow_step_row *one = r < n ? row[r] : NULL;
        status = place_h(steps, one, one ? one->h_cond : NULL, o->h + r * branch, frames, error);
        if (!status && guided)
            status = place_h(steps, one, one ? one->h_uncond : NULL, o->h + (rows + r) * branch, frames, error);
    }
    if (!status) status = check(steps, driver->launch(graph->exec, steps->stream), "A step", error);
    if (!status)
        status = check(steps, driver->to_host(steps->staging, o->inputs, rows * values * sizeof(float), steps->stream),
                       "A copy", error);
    ishow_status end = check(steps, driver->stream_synchronize(steps->stream), "A step",
                             status ? NULL : error); /* also after an error, since the staging memory is reused */
    if (!status) status = end;
    if (status) return status;
    for (size_t r = 0; r < n; r++)
        memcpy(row[r]->x, steps->staging + r * values, row[r]->frames * o->n_mels * sizeof(float));
    return ISHOW_OK;
}

/* Sort order: guided before unguided, long before short. */
static int goes_before(const ishow_step_row *a, const ishow_step_row *b) {
    if (!a->h_uncond != !b->h_uncond) return a->h_uncond != NULL;
    return a->frames > b->frames;
}

/* Steps up to ISHOW_CUDA_ROWS sorted rows. */
static ishow_status step_sorted(ishow_cuda_steps *steps, const ishow_step_row *const *row, size_t n,
                                ishow_error *error) {
    for (size_t i = 0; i < n;) {
        const size_t frames = bucket(steps, row[i]->frames);
        size_t m = 1, rows = 1; /* m: of this launch; rows: of its graph */
        while (i + m < n && m < steps->most && !row[i + m]->h_uncond == !row[i]->h_uncond &&
               row[i + m]->frames * ISHOW_SCHEDULER_ALIKE >= row[i]->frames) {
            const size_t grown = m + 1 > rows ? 2 * rows : rows;
            if (grown * frames > ISHOW_CUDA_FRAMES) break;
            rows = grown;
            m++;
        }
        ishow_error own = {0}; /* reported to the caller only when no retry is left */
        ishow_status status = launch(steps, row + i, m, frames, &own);
        if (status == ISHOW_ENOMEM && m > 1) {
            steps->most = m > 2 ? rows / 2 : 1;
            ishow_log(ISHOW_LOG_WARN, "cuda",
                      "the GPU's memory is not enough for %zu rows of %zu frames: from now on at most %zu", m, frames,
                      steps->most);
            continue;
        }
        if (status) {
            if (error) *error = own;
            return status;
        }
        i += m;
    }
    return ISHOW_OK;
}

ishow_status ishow_cuda_step(ishow_cuda_steps *steps, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    const size_t most = steps->options.max_frames;
    for (size_t i = 0; i < n_rows; i++) /* a longer row would not fit in its bucket */
        if (!rows[i].frames || rows[i].frames > most)
            return ishow_fail(error, ISHOW_EINVAL, "", "a row of %zu frames, and the model takes 1 to %zu",
                              rows[i].frames, most);
    ishow_status status =
        check(steps, steps->driver->context_set(steps->driver->context), "Choosing the device", error);
    for (size_t first = 0; !status && first < n_rows; first += ISHOW_CUDA_ROWS) {
        const size_t n = n_rows - first < ISHOW_CUDA_ROWS ? n_rows - first : ISHOW_CUDA_ROWS;
        const ishow_step_row *sorted[ISHOW_CUDA_ROWS];
        for (size_t i = 0; i < n; i++) {
            size_t at = i;
            for (; at > 0 && goes_before(&rows[first + i], sorted[at - 1]); at--) sorted[at] = sorted[at - 1];
            sorted[at] = &rows[first + i];
        }
        status = step_sorted(steps, sorted, n, error);
    }
    return status;
}
