/* The encoders of ishowtts._audio: a whole file at once, and a stream piece by piece. */
#include "pyext/audio.h"

/* The name of a format, or ValueError. */
static int format_of(const char *name, ishow_format *out) {
    if (ishow_format_find(name, out)) return 1;
    PyErr_Format(PyExc_ValueError, "format must be wav, pcm, flac, opus or mp3, not '%s'", name);
    return 0;
}

const char pyext_encode_doc[] =
    "encode(samples, sample_rate, format='wav', *, out_rate=0)\n--\n\n"
    "Bytes of a mono file. out_rate 0: sample_rate, or the next rate that the format takes.";

PyObject *pyext_encode(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "format", "out_rate", NULL};
    PyObject *object; /* borrowed */
    const char *name = "wav";
    int sample_rate, out_rate = 0;
    ishow_format format;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi|s$i:encode", names, &object, &sample_rate, &name, &out_rate) ||
        !format_of(name, &format) || !pyext_floats(object, "samples", 1, &view))
        return NULL;
    ishow_error error = {0};
    ishow_status status;
    unsigned char *file = NULL;
    size_t bytes = 0;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_audio_encode(view.buf, length_of(&view), sample_rate, format, out_rate, &file, &bytes, &error);
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    if (status != ISHOW_OK) return pyext_raise_audio(module, &error);
    PyObject *result = PyBytes_FromStringAndSize((const char *)file, (Py_ssize_t)bytes);
    free(file);
    return result;
}

typedef struct encoder_object {
    PyObject_HEAD ishow_encoder *encoder;
    int busy; /* a push runs without the interpreter lock */
} encoder_object;

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sample_rate", "format", "out_rate", NULL};
    const char *name;
    ishow_encoder_options options = {0};
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "is|$i:Encoder", names, &options.from_rate, &name,
                                     &options.sample_rate) ||
        !format_of(name, &options.format))
        return NULL;
    encoder_object *self = (encoder_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (ishow_encoder_create(&self->encoder, &options, &error) == ISHOW_OK) return (PyObject *)self;
    pyext_raise_audio(PyType_GetModule(type), &error);
    Py_DECREF(self);
    return NULL;
}

static void encoder_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ishow_encoder_free(((encoder_object *)self)->encoder);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(
    push_doc,
    "push(samples=None, *, last=False)\n--\n\nBytes that are ready after these samples [n]; `last` ends the stream.");

static PyObject *push(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "last", NULL};
    encoder_object *self = (encoder_object *)object;
    PyObject *samples = Py_None; /* borrowed */
    int last = 0;
    Py_buffer view = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$p:push", names, &samples, &last)) return NULL;
    if (samples != Py_None && !pyext_floats(samples, "samples", 1, &view)) return NULL;
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    PyObject *result = NULL;
    const unsigned char *out; /* borrowed from the encoder */
    size_t n;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread pushes into this encoder");
        goto done;
    }
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_encoder_push(self->encoder, view.buf, length_of(&view), last, &out, &n, &error);
    Py_END_ALLOW_THREADS self->busy = 0;
    if (status == ISHOW_OK)
        result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)n);
    else
        pyext_raise_audio(PyType_GetModule(Py_TYPE(self)), &error);
done:
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

static PyObject *encoder_rate(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(ishow_encoder_rate(((encoder_object *)self)->encoder));
}

static PyObject *encoder_length(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(ishow_encoder_length(((encoder_object *)self)->encoder));
}

static PyMethodDef encoder_methods[] = {{"push", WITH_KEYWORDS(push), push_doc}, {NULL, NULL, 0, NULL}};
static PyGetSetDef encoder_fields[] = {{"sample_rate", encoder_rate, NULL, "Hz, of the result", NULL},
                                       {"length", encoder_length, NULL, "samples encoded so far, at sample_rate", NULL},
                                       {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot encoder_slots[] = {
    {Py_tp_doc,
     "Encoder(sample_rate, format, *, out_rate=0)\n--\n\nA stream of one format, byte by byte as it is made."},
    {Py_tp_new, (void *)encoder_new},
    {Py_tp_dealloc, (void *)encoder_free},
    {Py_tp_methods, encoder_methods},
    {Py_tp_getset, encoder_fields},
    {0, NULL},
};

PyType_Spec pyext_encoder_spec = {.name = "ishowtts._audio.Encoder",
                                  .basicsize = sizeof(encoder_object),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                  .slots = encoder_slots};

PyObject *pyext_formats(void) {
    PyObject *all = PyDict_New();
    for (int i = 0; all && i < ISHOW_FORMATS; i++) {
        PyObject *mime = PyUnicode_FromString(ishow_format_mime((ishow_format)i));
        if (!mime || PyDict_SetItemString(all, ishow_format_name((ishow_format)i), mime) < 0) Py_CLEAR(all);
        Py_XDECREF(mime);
    }
    return all;
}
