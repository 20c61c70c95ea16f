/* _native: the native backend behind the functions of ishowtts.model.backend.TorchBackend, for tests and benchmarks
 * that compare the two. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "model/model.h"

typedef struct native {
    PyObject_HEAD ishow_backend backend;
} native;

static PyObject *raise_error(const ishow_error *error) {
    PyErr_Format(error->status == ISHOW_ENOMEM ? PyExc_MemoryError : PyExc_ValueError, "%s: %s",
                 ishow_status_name(error->status), error->message);
    return NULL;
}

static void native_dealloc(PyObject *self) {
    native *n = (native *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (n->backend.close) n->backend.close(n->backend.self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *native_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"model", "threads", "kernels", NULL};
    ishow_native_options options = {0};
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|iz", names, &options.model, &options.threads, &options.kernels))
        return NULL;
    native *self = (native *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_native_open(&self->backend, &options, &error);
    Py_END_ALLOW_THREADS if (status) {
        Py_DECREF(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

/* Checks that a buffer holds n values of `size` bytes; -1 with an exception when not. */
static int holds(const Py_buffer *view, size_t n, size_t size, const char *name) {
    if (!view->obj || (size_t)view->len == n * size) return 0;
    PyErr_Format(PyExc_ValueError, "%s holds %zd bytes; %zu are needed", name, view->len, n * size);
    return -1;
}

static void release(Py_buffer *views, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (views[i].obj) PyBuffer_Release(&views[i]);
}

PyDoc_STRVAR(encode_doc,
             "encode(tokens, cond, index, phase, ref_frames, frames, h_cond, h_uncond)\n--\n\nAs TorchBackend.encode.");
static PyObject *encode(PyObject *self, PyObject *args) {
    native *n = (native *)self;
    const ishow_model_info *info = &n->backend.info;
    Py_buffer v[6] = {0}; /* tokens, cond, index, phase, h_cond, h_uncond */
    PyObject *result = NULL;
    Py_ssize_t ref_frames, frames;
    ishow_error error = {0};
    if (!PyArg_ParseTuple(args, "y*y*z*z*nnw*w*", &v[0], &v[1], &v[2], &v[3], &ref_frames, &frames, &v[4], &v[5]))
        return NULL;
    const size_t T = (size_t)frames, dim = (size_t)info->dim;
    if (holds(&v[1], T * (size_t)info->n_mels, 4, "cond") || holds(&v[2], T, 8, "index") ||
        holds(&v[3], T, 4, "phase") || holds(&v[4], T * dim, 4, "h_cond") || holds(&v[5], T * dim, 4, "h_uncond"))
        goto done;
    const ishow_encode_in in = {.tokens = v[0].buf,
                                .n_tokens = (size_t)v[0].len / 8,
                                .cond = v[1].buf,
                                .ref_frames = (size_t)ref_frames,
                                .index = v[2].buf,
                                .phase = v[3].buf,
                                .frames = T};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = n->backend.encode(n->backend.self, &in, v[4].buf, v[5].buf, &error);
    Py_END_ALLOW_THREADS result = status ? raise_error(&error) : Py_NewRef(Py_None);
done:
    release(v, 6);
    return result;
}

PyDoc_STRVAR(modulate_doc, "modulate(t, guidance, mod)\n--\n\nAs TorchBackend.modulate.");
static PyObject *modulate(PyObject *self, PyObject *args) {
    native *n = (native *)self;
    Py_buffer v[3] = {0};
    PyObject *result = NULL;
    ishow_error error = {0};
    if (!PyArg_ParseTuple(args, "y*y*w*", &v[0], &v[1], &v[2])) return NULL;
    const size_t times = (size_t)v[0].len / 4;
    if (holds(&v[1], times, 4, "guidance") || holds(&v[2], times * (size_t)n->backend.info.mod_width, 4, "mod"))
        goto done;
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = n->backend.modulate(n->backend.self, v[0].buf, v[1].buf, times, v[2].buf, &error);
    Py_END_ALLOW_THREADS result = status ? raise_error(&error) : Py_NewRef(Py_None);
done:
    release(v, 3);
    return result;
}

PyDoc_STRVAR(prompt_bytes_doc, "prompt_bytes(frames)\n--\n\nSize of what prompt writes for that many frames.");
static PyObject *prompt_bytes(PyObject *self, PyObject *frames) {
    native *n = (native *)self;
    const size_t count = PyLong_AsSize_t(frames);
    if (count == (size_t)-1 && PyErr_Occurred()) return NULL;
    return PyLong_FromSize_t(n->backend.prompt_bytes(n->backend.self, count));
}

PyDoc_STRVAR(
    prompt_doc,
    "prompt(cond, noise, h, mod, t, kept)\n--\n\n"
    "What steps at time t need of a reference alone: its log-mel and noise [frames*mel], h [frames*dim] of the "
    "conditional branch and modulation; kept: bytes out.");
static PyObject *prompt(PyObject *self, PyObject *args) {
    native *n = (native *)self;
    const ishow_model_info *info = &n->backend.info;
    Py_buffer v[5] = {0}; /* cond, noise, h, mod, kept */
    PyObject *result = NULL;
    ishow_error error = {0};
    float t;
    if (!PyArg_ParseTuple(args, "y*y*y*y*fw*", &v[0], &v[1], &v[2], &v[3], &t, &v[4])) return NULL;
    const size_t frames = (size_t)v[0].len / sizeof(float) / (size_t)info->n_mels;
    if (holds(&v[0], frames * (size_t)info->n_mels, 4, "cond") ||
        holds(&v[1], frames * (size_t)info->n_mels, 4, "noise") || holds(&v[2], frames * (size_t)info->dim, 4, "h") ||
        holds(&v[3], (size_t)info->mod_width, 4, "mod") ||
        holds(&v[4], n->backend.prompt_bytes(n->backend.self, frames), 1, "kept"))
        goto done;
    const ishow_prompt_in in = {
        .cond = v[0].buf, .noise = v[1].buf, .h = v[2].buf, .mod = v[3].buf, .t = t, .frames = frames};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = n->backend.prompt(n->backend.self, &in, v[4].buf, &error);
    Py_END_ALLOW_THREADS result = status ? raise_error(&error) : Py_NewRef(Py_None);
done:
    release(v, 5);
    return result;
}

/* Reads the two buffers of a pair; 0 with an exception. */
static int take_reference(PyObject *pair, Py_buffer v[2]) {
    if (PyTuple_Check(pair)) return PyArg_ParseTuple(pair, "y*y*", &v[0], &v[1]);
    return PyErr_SetString(PyExc_TypeError, "a row's reference is a tuple of two buffers"), 0;
}

PyDoc_STRVAR(step_doc, "step(rows)\n--\n\nAs TorchBackend.step. A row of one branch may have an eighth element: what "
                       "prompt computed, and a byte for each frame of the reference, 1: it is computed all the same.");
static PyObject *step(PyObject *self, PyObject *rows) {
    native *n = (native *)self;
    const ishow_model_info *info = &n->backend.info;
    PyObject *list = PySequence_Fast(rows, "step takes a list of rows");
    if (!list) return NULL;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
        Py_buffer v[6] = {0}; /* x, h_cond, h_uncond, mod, kept, live */
        Py_ssize_t frames;
        ishow_step_row row = {0};
        ishow_prompt prompt = {0};
        ishow_error error = {0};
        PyObject *item = PySequence_Fast_GET_ITEM(list, i); /* borrowed */
        PyObject *reference = NULL;                         /* borrowed */
        ishow_status status = ISHOW_EINVAL;
        if (!PyTuple_Check(item))
            PyErr_SetString(PyExc_TypeError, "a row is a tuple");
        else if (PyArg_ParseTuple(item, "w*y*z*y*ffn|O", &v[0], &v[1], &v[2], &v[3], &row.dt, &row.cfg, &frames,
                                  &reference) &&
                 (!reference || take_reference(reference, &v[4]))) {
            row.frames = (size_t)frames;
            const size_t dim = (size_t)info->dim;
            if (!holds(&v[0], row.frames * (size_t)info->n_mels, 4, "x") &&
                !holds(&v[1], row.frames * dim, 4, "h_cond") && !holds(&v[2], row.frames * dim, 4, "h_uncond") &&
                !holds(&v[3], (size_t)info->mod_width, 4, "mod") &&
                !holds(&v[4], n->backend.prompt_bytes(n->backend.self, (size_t)v[5].len), 1, "kept")) {
                row.x = v[0].buf;
                row.h_cond = v[1].buf;
                row.h_uncond = v[2].buf;
                row.mod = v[3].buf;
                prompt = (ishow_prompt){.kept = v[4].buf, .live = v[5].buf, .frames = (size_t)v[5].len};
                row.prompt = v[5].obj ? &prompt : NULL;
                Py_BEGIN_ALLOW_THREADS status = n->backend.step(n->backend.self, &row, 1, &error);
                Py_END_ALLOW_THREADS if (status) raise_error(&error);
            }
        }
        release(v, 6);
        if (status) {
            Py_DECREF(list);
            return NULL;
        }
    }
    Py_DECREF(list);
    Py_RETURN_NONE;
}

PyDoc_STRVAR(vocode_doc, "vocode(mel, frames, real, imag)\n--\n\nAs TorchBackend.vocode.");
static PyObject *vocode(PyObject *self, PyObject *args) {
    native *n = (native *)self;
    const ishow_model_info *info = &n->backend.info;
    Py_buffer v[3] = {0};
    Py_ssize_t frames;
    PyObject *result = NULL;
    ishow_error error = {0};
    if (!PyArg_ParseTuple(args, "y*nw*w*", &v[0], &frames, &v[1], &v[2])) return NULL;
    const size_t T = (size_t)frames, values = T ? ishow_spectrum_frames(info, T) * ishow_spectrum_bins(info) : 0;
    if (holds(&v[0], T * (size_t)info->n_mels, 4, "mel") || holds(&v[1], values, 4, "real") ||
        holds(&v[2], values, 4, "imag"))
        goto done;
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = n->backend.vocode(n->backend.self, v[0].buf, T, v[1].buf, v[2].buf, &error);
    Py_END_ALLOW_THREADS result = status ? raise_error(&error) : Py_NewRef(Py_None);
done:
    release(v, 3);
    return result;
}

PyDoc_STRVAR(durations_doc, "durations(tokens, out)\n--\n\nAs TorchBackend.durations.");
static PyObject *durations(PyObject *self, PyObject *args) {
    native *n = (native *)self;
    Py_buffer v[2] = {0};
    PyObject *result = NULL;
    ishow_error error = {0};
    if (!n->backend.durations) return PyErr_Format(PyExc_ValueError, "this model predicts no durations");
    if (!PyArg_ParseTuple(args, "y*w*", &v[0], &v[1])) return NULL;
    const size_t tokens = (size_t)v[0].len / 8;
    if (holds(&v[1], tokens, 4, "out")) goto done;
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = n->backend.durations(n->backend.self, v[0].buf, tokens, v[1].buf, &error);
    Py_END_ALLOW_THREADS result = status ? raise_error(&error) : Py_NewRef(Py_None);
done:
    release(v, 2);
    return result;
}

static PyMethodDef native_methods[] = {
    {"encode", encode, METH_VARARGS, encode_doc},
    {"modulate", modulate, METH_VARARGS, modulate_doc},
    {"step", step, METH_O, step_doc},
    {"prompt", prompt, METH_VARARGS, prompt_doc},
    {"prompt_bytes", prompt_bytes, METH_O, prompt_bytes_doc},
    {"vocode", vocode, METH_VARARGS, vocode_doc},
    {"durations", durations, METH_VARARGS, durations_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(native_doc,
             "Native(model, threads=0, kernels=None)\n--\n\n"
             "A model run by the C core's own kernels. model: JSON of ishowtts.model.native; kernels: generic, avx2, "
             "avx512, amx, neon or None\n"
             "for the fastest. Calls come from one thread at a time. ValueError when the model cannot be opened.");
static PyType_Slot native_slots[] = {
    {Py_tp_new, (void *)native_new},
    {Py_tp_dealloc, (void *)native_dealloc},
    {Py_tp_methods, native_methods},
    {Py_tp_doc, (void *)native_doc},
    {0, NULL},
};
static PyType_Spec native_spec = {
    .name = "ishowtts._native.Native", .basicsize = sizeof(native), .flags = Py_TPFLAGS_DEFAULT, .slots = native_slots};

static PyObject *is_fast(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyBool_FromLong(ishow_native_fast());
}

static PyObject *multiplies_bf16(PyObject *module, PyObject *nothing) {
    (void)module, (void)nothing;
    return PyBool_FromLong(ishow_native_multiplies_bf16());
}

static PyMethodDef methods[] = {
    {"multiplies_bf16", multiplies_bf16, METH_NOARGS,
     "multiplies_bf16()\n--\n\nWhether these kernels multiply bf16 faster than fp32 on this processor."},
    {"is_fast", is_fast, METH_NOARGS, "is_fast()\n--\n\nWhether there are kernels made for this processor."},
    {NULL, NULL, 0, NULL},
};

static int exec(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &native_spec, NULL);
    int failed = !type || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)(uintptr_t)exec}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "ishowtts._native",
                                        .m_doc = "The native backend of the C core.", .m_methods = methods,
                                        .m_slots = slots};
PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
