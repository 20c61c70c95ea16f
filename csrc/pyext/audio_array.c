/* Arguments and results of ishowtts._audio: samples by the buffer protocol, `Array` over memory filled by C, errors. */
#include "pyext/audio.h"

PyObject *pyext_raise_audio(PyObject *module, const ishow_error *error) {
    const module_state *state = PyModule_GetState(module);
    if (error->status == ISHOW_ENOMEM) return PyErr_NoMemory();
    PyObject *value = PyObject_CallFunction(state->error_type, "s", error->message), *text = NULL;
    if (!value) return NULL;
    text = PyUnicode_FromString(ishow_status_name(error->status));
    if (!text || PyObject_SetAttrString(value, "status", text) < 0) goto done;
    Py_SETREF(text, PyUnicode_FromString(error->field));
    if (!text || PyObject_SetAttrString(value, "field", text) < 0) goto done;
    PyErr_SetObject(state->error_type, value);
done:
    Py_XDECREF(text);
    Py_DECREF(value);
    return NULL;
}

/* ---- Array ---- */

typedef struct array_object {
    PyObject_HEAD float *data; /* free() */
    int dimensions;
    Py_ssize_t shape[2], strides[2];
} array_object;

PyObject *pyext_array(PyObject *module, float *data, Py_ssize_t rows, Py_ssize_t columns) {
    const module_state *state = PyModule_GetState(module);
    PyTypeObject *type = (PyTypeObject *)state->array_type; /* borrowed */
    array_object *array = (array_object *)type->tp_alloc(type, 0);
    if (!array) {
        free(data);
        return NULL;
    }
    array->data = data;
    array->dimensions = rows < 0 ? 1 : 2;
    array->shape[0] = rows < 0 ? columns : rows;
    array->shape[1] = columns;
    array->strides[0] = rows < 0 ? (Py_ssize_t)sizeof(float) : columns * (Py_ssize_t)sizeof(float);
    array->strides[1] = (Py_ssize_t)sizeof(float);
    return (PyObject *)array;
}

static void array_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    free(((array_object *)self)->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static int array_buffer(PyObject *self, Py_buffer *view, int flags) {
    array_object *array = (array_object *)self;
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && array->dimensions > 1) {
        view->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "the array is C-contiguous");
        return -1;
    }
    *view = (Py_buffer){.buf = array->data,
                        .obj = Py_NewRef(self),
                        .len = array->shape[0] * array->strides[0],
                        .itemsize = (Py_ssize_t)sizeof(float),
                        .ndim = array->dimensions,
                        .format = flags & PyBUF_FORMAT ? (char *)"f" : NULL,
                        .shape = flags & PyBUF_ND ? array->shape : NULL,
                        .strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? array->strides : NULL};
    return 0;
}

static Py_ssize_t array_length(PyObject *self) { return ((array_object *)self)->shape[0]; }

static PyType_Slot array_slots[] = {
    {Py_tp_doc, "float32 memory of one or two dimensions; numpy.asarray() wraps it without a copy."},
    {Py_tp_dealloc, (void *)array_free},
    {Py_sq_length, (void *)array_length},
    {Py_bf_getbuffer, (void *)array_buffer},
    {0, NULL},
};

PyType_Spec pyext_array_spec = {
    .name = "ishowtts._audio.Array",
    .basicsize = sizeof(array_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = array_slots,
};

/* ---- arguments ---- */

int pyext_floats(PyObject *object, const char *name, int dimensions, Py_buffer *view) {
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a float32 array, not %s", name, Py_TYPE(object)->tp_name);
        return 0;
    }
    if (PyObject_GetBuffer(object, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_ValueError, "%s must be C-contiguous", name);
        }
        return 0;
    }
    const char *format = view->format ? view->format : "B";
    if (*format == '<' || *format == '=' || *format == '@') format++;
    if (strcmp(format, "f") != 0)
        PyErr_Format(PyExc_TypeError, "%s must be float32, not of format '%s'", name,
                     view->format ? view->format : "B");
    else if (view->ndim != dimensions)
        PyErr_Format(PyExc_ValueError, "%s must have %d dimension%s, not %d", name, dimensions,
                     dimensions > 1 ? "s" : "", view->ndim);
    else
        return 1;
    PyBuffer_Release(view);
    return 0;
}
