/* The GPU backend. Python loads the model, encodes, vocodes and captures steps as graphs; C launches the graphs
 * (model/cuda_step.c), so that steps do not need the interpreter. Before the backend is used, some steps are compared
 * with Python's results for the same rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bridge/backend.h"

#define CHECK_FRAMES    96
#define CHECK_TOLERANCE 0.05 /* share of the largest value; products of another shape may round bf16 differently */

/* Reads a device address from an attribute of an object. */
static int take_address(PyObject *object, const char *name, uint64_t *out) {
    PyObject *value = PyObject_GetAttrString(object, name);
    *out = value ? PyLong_AsUnsignedLongLong(value) : 0;
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

static ishow_status capture(void *self, size_t rows, size_t frames, int guided, ishow_cuda_graph *out,
                            ishow_error *error) {
    const py_backend *model = self;
    uint64_t graph = 0;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *captured = PyObject_CallMethod(model->object, "capture", "nnO", (Py_ssize_t)rows, (Py_ssize_t)frames,
                                             guided ? Py_True : Py_False);
    ishow_status status =
        !captured || take_address(captured, "graph", &graph) ? ishow_py_fail(error, "Capturing a step") : ISHOW_OK;
    if (status) Py_CLEAR(captured);
    PyGILState_Release(lock);
    *out = (ishow_cuda_graph){.graph = (void *)(uintptr_t)graph, .owner = captured};
    return status;
}

static void drop(void *self, void *owner) {
    (void)self;
    PyGILState_STATE lock = PyGILState_Ensure();
    Py_XDECREF((PyObject *)owner);
    PyGILState_Release(lock);
}

static ishow_status encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error) {
    const py_backend *model = self;
    unsigned long long device = 0;
    PyObject *owner = NULL; /* borrowed from result, then counted */
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = py_call_encode(model, "encode_kept", in, PyTuple_New(0));
    if (result && PyArg_ParseTuple(result, "KO", &device, &owner))
        Py_INCREF(owner);
    else
        Py_CLEAR(result);
    ishow_status status = py_finish(result, lock, "Encoding the text", error);
    return status ? status : ishow_cuda_keep(model->steps, h_cond, h_uncond, in->frames, device, owner, error);
}

static void release(void *self, const float *h_cond) {
    const py_backend *model = self;
    ishow_cuda_forget(model->steps, h_cond);
}

static ishow_status step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    const py_backend *model = self;
    return ishow_cuda_step(model->steps, rows, n_rows, error);
}

/* Two rows that share a launch and one without guidance, each of which Python computes too. */
static ishow_status compare(const ishow_backend *backend, ishow_error *error) {
    enum { ROWS = 3 };
    const ishow_model_info *info = &backend->info;
    const size_t lengths[ROWS] = {CHECK_FRAMES, CHECK_FRAMES - 29, CHECK_FRAMES / 2}, mels = (size_t)info->n_mels,
                 dim = (size_t)info->dim;
    const size_t per_row = CHECK_FRAMES * (3 * mels + 2 * dim), width = (size_t)info->mod_width;
    const float t = 0.3f, strength = 0;
    ishow_step_row rows[2][ROWS]; /* [0]: stepped on the GPU, [1]: by Python */
    double worst = 0, largest = 1e-3;
    ishow_status status = ISHOW_OK;
    float *memory = ishow_alloc(ROWS * per_row + width, sizeof *memory),
          *phase = ishow_alloc(CHECK_FRAMES, sizeof *phase);
    int64_t *tokens = ishow_alloc(2 * CHECK_FRAMES, sizeof *tokens), *index = tokens + CHECK_FRAMES;
    if (!memory || !phase || !tokens) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory to check the GPU's steps");
        goto done;
    }
    for (size_t i = 0; i < CHECK_FRAMES; i++) {
        tokens[i] = 1;
        index[i] = (int64_t)i;
        phase[i] = 0.5f;
    }
    float *mod = memory + ROWS * per_row;
    status = backend->modulate(backend->self, &t, &strength, 1, mod, error);
    for (size_t r = 0; !status && r < ROWS; r++) {
        const size_t n = lengths[r];
        float *x = memory + r * per_row, *again = x + n * mels, *cond = again + n * mels, *h = cond + n * mels;
        const ishow_encode_in in = {.tokens = tokens,
                                    .n_tokens = n,
                                    .cond = cond,
                                    .index = info->text_layout == ISHOW_TEXT_PADDED ? NULL : index,
                                    .phase = info->text_layout == ISHOW_TEXT_ALIGNED ? phase : NULL,
                                    .frames = n};
        ishow_noise_fill(r, x, n * mels);
        memcpy(again, x, n * mels * sizeof *x);
        status = py_encode(backend->self, &in, h, h + n * dim, error);
        if (!status) status = backend->encode(backend->self, &in, h, h + n * dim, error);
        rows[0][r] = (ishow_step_row){.x = x,
                                      .h_cond = h,
                                      .h_uncond = r < 2 ? h + n * dim : NULL,
                                      .mod = mod,
                                      .dt = 1,
                                      .cfg = r < 2 ? 2 : 0,
                                      .frames = n};
        rows[1][r] = rows[0][r];
        rows[1][r].x = again;
    }
    if (!status) status = backend->step(backend->self, rows[0], ROWS, error);
    for (size_t r = 0; !status && r < ROWS; r++) {
        status = py_step(backend->self, &rows[1][r], 1, error);
        backend->release(backend->self, rows[0][r].h_cond);
        for (size_t i = 0; !status && i < lengths[r] * mels; i++) {
            worst = fmax(worst, fabs((double)rows[0][r].x[i] - (double)rows[1][r].x[i]));
            largest = fmax(largest, fabs((double)rows[1][r].x[i]));
        }
    }
    if (!status && !(worst <= CHECK_TOLERANCE * largest))
        status = ishow_fail(error, ISHOW_EMODEL, "backend",
                            "A step on the GPU differs from the model by %.2g of its largest value.", worst / largest);
    if (!status)
        ishow_log(ISHOW_LOG_DEBUG, "cuda", "steps differ from the model's by %.1e of the largest value",
                  worst / largest);
done:
    free(tokens);
    free(phase);
    free(memory);
    return status;
}

/* Checks that torch and the precision support a GPU and, unless it was requested, that the model is large enough for
 * one. */
static ishow_status ready(ishow_bridge *bridge, const char *model, const char *precision, int needed,
                          ishow_error *error) {
    ishow_error own = {0};
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *why_not = ishow_py_call(bridge, &own, "Looking for a GPU", "cuda_why_not", "(szO)", model, precision,
                                      needed ? Py_True : Py_False);
    const char *text = why_not && why_not != Py_None ? PyUnicode_AsUTF8(why_not) : NULL; /* borrowed */
    if (text) ishow_fail(&own, ISHOW_ENOTFOUND, "backend", "%s", text);
    Py_XDECREF(why_not);
    PyGILState_Release(lock);
    if (error) *error = own;
    return own.status;
}

/* Buffers of the model on the device, and the steps that work on them. */
static ishow_status open_steps(py_backend *backend, ishow_error *error) {
    const ishow_model_info *info = &backend->info;
    ishow_cuda_options options = {.n_mels = (size_t)info->n_mels,
                                  .dim = (size_t)info->dim,
                                  .mod_width = (size_t)info->mod_width,
                                  .max_frames = info->max_frames,
                                  .capture = capture,
                                  .drop = drop,
                                  .self = backend};
    PyGILState_STATE lock = PyGILState_Ensure();
    ishow_status status =
        take_address(backend->object, "inputs", &options.inputs) || take_address(backend->object, "h", &options.h)
            ? ishow_py_fail(error, "Loading the model")
            : ISHOW_OK;
    PyGILState_Release(lock);
    return status ? status : ishow_cuda_open(&backend->steps, &backend->driver, &options, error);
}

ishow_status ishow_cuda_backend(ishow_bridge *bridge, const char *model, const char *precision, int needed, int threads,
                                ishow_backend *out, ishow_error *error) {
    ishow_error own = {0};
    py_backend *backend = NULL;
    *out = (ishow_backend){0};
    if (ready(bridge, model, precision, needed, &own)) goto done;
    backend = calloc(1, sizeof *backend);
    if (!backend) {
        ishow_fail(&own, ISHOW_ENOMEM, "", "There is not enough memory for a model.");
        goto done;
    }
    if (ishow_cuda_driver_open(&backend->driver, &own)) {
        free(backend);
        goto done;
    }
    PyGILState_STATE lock = PyGILState_Ensure();
    backend->object = ishow_py_call(bridge, &own, "Loading the model", "cuda_backend", "(sziii)", model, precision,
                                    threads, ISHOW_CUDA_ROWS, ISHOW_CUDA_FRAMES);
    if (backend->object) {
        py_backend_make(backend, out, &own);
    } else {
        ishow_cuda_driver_close(&backend->driver);
        free(backend);
    }
    PyGILState_Release(lock);
    if (own.status || open_steps(backend, &own)) goto done;
    out->encode = encode;
    out->step = step;
    out->release = release;
    compare(out, &own);
done:
    if (own.status && out->close) {
        out->close(out->self);
        *out = (ishow_backend){0};
    }
    if (error) *error = own;
    return own.status;
}
