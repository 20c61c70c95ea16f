/* The Python backend: ishowtts.model.backend.TorchBackend computes in place on C memory, lent as memoryviews for the
 * length of one call (about a microsecond each; a step takes milliseconds). Tensors made over a view must not outlive
 * the call. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bridge/backend.h"

PyObject *py_view(const void *memory, size_t n, size_t size) {
    void *start = NULL;
    if (!memory) Py_RETURN_NONE;
    memcpy(&start, &memory, sizeof start);
    return PyMemoryView_FromMemory(start, (Py_ssize_t)(n * size), PyBUF_WRITE);
}

ishow_status py_finish(PyObject *result, PyGILState_STATE lock, const char *doing, ishow_error *error) {
    ishow_status status = result ? ISHOW_OK : ishow_py_fail(error, doing);
    Py_XDECREF(result);
    PyGILState_Release(lock);
    return status;
}

PyObject *py_call_encode(const py_backend *model, const char *method, const ishow_encode_in *in, PyObject *more) {
    PyObject *function = PyObject_GetAttrString(model->object, method), *all = NULL, *result = NULL;
    PyObject *given = Py_BuildValue("NNNNnn", py_view(in->tokens, in->n_tokens, sizeof *in->tokens),
                                    py_view(in->cond, in->frames * (size_t)model->info.n_mels, sizeof *in->cond),
                                    py_view(in->index, in->frames, sizeof *in->index),
                                    py_view(in->phase, in->frames, sizeof *in->phase), (Py_ssize_t)in->ref_frames,
                                    (Py_ssize_t)in->frames);
    if (function && given && more && (all = PySequence_Concat(given, more)))
        result = PyObject_CallObject(function, all);
    Py_XDECREF(all);
    Py_XDECREF(more);
    Py_XDECREF(given);
    Py_XDECREF(function);
    return result;
}

ishow_status py_encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error) {
    const py_backend *model = self;
    const size_t n = in->frames * (size_t)model->info.dim;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *out = Py_BuildValue("NN", py_view(h_cond, n, sizeof *h_cond), py_view(h_uncond, n, sizeof *h_uncond));
    return py_finish(py_call_encode(model, "encode", in, out), lock, "Encoding the text", error);
}

static ishow_status modulate(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error) {
    const py_backend *model = self;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = PyObject_CallMethod(model->object, "modulate", "NNN", py_view(t, n, sizeof *t),
                                           py_view(guidance, n, sizeof *guidance),
                                           py_view(mod, n * (size_t)model->info.mod_width, sizeof *mod));
    return py_finish(result, lock, "Modulation", error);
}

ishow_status py_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    const py_backend *model = self;
    const size_t dim = (size_t)model->info.dim, mels = (size_t)model->info.n_mels;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *list = PyList_New((Py_ssize_t)n_rows), *result = NULL;
    for (size_t i = 0; list && i < n_rows; i++) {
        const ishow_step_row *row = &rows[i];
        PyObject *item = Py_BuildValue("NNNNffn", py_view(row->x, row->frames * mels, sizeof(float)),
                                       py_view(row->h_cond, row->frames * dim, sizeof(float)),
                                       py_view(row->h_uncond, row->frames * dim, sizeof(float)),
                                       py_view(row->mod, (size_t)model->info.mod_width, sizeof(float)), row->dt,
                                       row->cfg, (Py_ssize_t)row->frames);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    if (list) result = PyObject_CallMethod(model->object, "step", "N", list);
    return py_finish(result, lock, "A step of the model", error);
}

static ishow_status vocode(void *self, const float *mel, size_t frames, float *real, float *imag, ishow_error *error) {
    const py_backend *model = self;
    const size_t n = ishow_spectrum_frames(&model->info, frames) * ishow_spectrum_bins(&model->info);
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = PyObject_CallMethod(
        model->object, "vocode", "NnNN", py_view(mel, frames * (size_t)model->info.n_mels, sizeof *mel),
        (Py_ssize_t)frames, py_view(real, n, sizeof *real), py_view(imag, n, sizeof *imag));
    return py_finish(result, lock, "The vocoder", error);
}

static ishow_status durations(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error) {
    const py_backend *model = self;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = PyObject_CallMethod(model->object, "durations", "NN", py_view(tokens, n, sizeof *tokens),
                                           py_view(frames_out, n, sizeof *frames_out));
    return py_finish(result, lock, "Predicting durations", error);
}

static void close_backend(void *self) {
    py_backend *model = self;
    ishow_cuda_close(model->steps); /* frees objects of Python by calling it */
    PyGILState_STATE lock = PyGILState_Ensure();
    Py_XDECREF(model->object);
    PyGILState_Release(lock);
    ishow_cuda_driver_close(&model->driver);
    free(model);
    ishow_handle_freed();
}

static int take_text(PyObject *info, const char *key, char *out, size_t size) {
    PyObject *value = PyMapping_GetItemString(info, key);
    const char *text = value ? PyUnicode_AsUTF8(value) : NULL;
    if (text) snprintf(out, size, "%s", text);
    Py_XDECREF(value);
    return text ? 0 : -1;
}

static int take_number(PyObject *info, const char *key, long least, long *out) {
    PyObject *value = PyMapping_GetItemString(info, key);
    *out = value ? PyLong_AsLong(value) : -1;
    Py_XDECREF(value);
    if (PyErr_Occurred()) return -1;
    if (*out >= least) return 0;
    PyErr_Format(PyExc_ValueError, "%s of the model is %ld", key, *out);
    return -1;
}

static int take_real(PyObject *info, const char *key, float *out) {
    PyObject *value = PyMapping_GetItemString(info, key);
    *out = value ? (float)PyFloat_AsDouble(value) : -1;
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

static int take_info(PyObject *info, ishow_model_info *out) {
    char layout[16];
    long rate, n_fft, hop, spectrum_fft, spectrum_hop, mels, dim, width, predicts, prompt, frames, nfe, chunk, rows;
    if (take_text(info, "name", out->name, sizeof out->name) ||
        take_text(info, "backend", out->backend, sizeof out->backend) ||
        take_text(info, "precision", out->precision, sizeof out->precision) ||
        take_text(info, "content_hash", out->content_hash, sizeof out->content_hash) ||
        take_text(info, "text_layout", layout, sizeof layout) || take_number(info, "sample_rate", 1, &rate) ||
        take_number(info, "n_fft", 2, &n_fft) || take_number(info, "hop", 1, &hop) ||
        take_number(info, "spectrum_fft", 2, &spectrum_fft) || take_number(info, "spectrum_hop", 1, &spectrum_hop) ||
        take_number(info, "n_mels", 1, &mels) || take_number(info, "dim", 1, &dim) ||
        take_number(info, "mod_width", 1, &width) || take_number(info, "predicts_durations", 0, &predicts) ||
        take_number(info, "uses_prompt", 0, &prompt) || take_number(info, "max_frames", 2, &frames) ||
        take_number(info, "nfe", 0, &nfe) || take_number(info, "chunk_frames", 0, &chunk) ||
        take_number(info, "max_rows", 1, &rows) || take_real(info, "guidance_max", &out->guidance_max) ||
        take_real(info, "mel_mean", &out->mel_mean) || take_real(info, "mel_std", &out->mel_std))
        return -1;
    if (strcmp(layout, "aligned") == 0)
        out->text_layout = ISHOW_TEXT_ALIGNED;
    else if (strcmp(layout, "average") == 0)
        out->text_layout = ISHOW_TEXT_AVERAGE;
    else
        out->text_layout = ISHOW_TEXT_PADDED;
    out->sample_rate = (int)rate;
    out->n_fft = (int)n_fft;
    out->hop = (int)hop;
    out->spectrum_fft = (int)spectrum_fft;
    out->spectrum_hop = (int)spectrum_hop;
    out->n_mels = (int)mels;
    out->dim = (int)dim;
    out->mod_width = (int)width;
    out->predicts_durations = predicts != 0;
    out->uses_prompt = prompt != 0;
    out->max_frames = (size_t)frames;
    out->nfe = (int)nfe;
    out->chunk_frames = (size_t)chunk;
    out->max_rows = (size_t)rows;
    out->one_branch = 1;
    return 0;
}

ishow_status py_backend_make(py_backend *backend, ishow_backend *out, ishow_error *error) {
    *out = (ishow_backend){0};
    ishow_handle_made();
    PyObject *info = PyObject_GetAttrString(backend->object, "info");
    if (!info || take_info(info, &backend->info) != 0) {
        ishow_status status = ishow_py_fail(error, "Loading the model");
        Py_XDECREF(info);
        close_backend(backend);
        return status;
    }
    Py_DECREF(info);
    *out = (ishow_backend){.self = backend,
                           .info = backend->info,
                           .encode = py_encode,
                           .modulate = modulate,
                           .step = py_step,
                           .vocode = vocode,
                           .close = close_backend};
    if (backend->info.predicts_durations) out->durations = durations;
    return ISHOW_OK;
}

ishow_status ishow_py_backend(ishow_bridge *bridge, const char *model, const char *precision, int compile, int threads,
                              ishow_backend *out, ishow_error *error) {
    ishow_error own = {0};
    *out = (ishow_backend){0};
    py_backend *backend = calloc(1, sizeof *backend);
    if (!backend) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a model.");
    PyGILState_STATE lock = PyGILState_Ensure();
    backend->object = ishow_py_call(bridge, &own, "Loading the model", "backend", "(szOi)", model, precision,
                                    compile ? Py_True : Py_False, threads);
    if (backend->object)
        py_backend_make(backend, out, &own);
    else
        free(backend);
    PyGILState_Release(lock);
    if (error) *error = own;
    return own.status;
}
