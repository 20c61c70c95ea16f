/* Pronunciations and readings, by csrc/service/lexicon.h. */
#include "pyext/service.h"

#include "pyext/answer.h"
#include "pyext/handles.h"
#include "service/lexicon.h"

typedef struct lexicon_object {
    PyObject_HEAD PyObject *engine_handle, *store_handle; /* capsules, which keep them open; store: NULL without one */
    ishow_engine *engine;
    lexicon *lexicon; /* closed with the last reference, which every call holds */
} lexicon_object;

static PyObject *lexicon_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"engine", "store", NULL};
    PyObject *engine_handle, *store_handle = Py_None; /* borrowed */
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Lexicon", names, &engine_handle, &store_handle)) return NULL;
    ishow_engine *engine = engine_of(engine_handle);
    ishow_store *store = engine ? store_of(store_handle) : NULL;
    if (PyErr_Occurred()) return NULL;
    lexicon_object *self = (lexicon_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->engine_handle = Py_NewRef(engine_handle);
    self->store_handle = store ? Py_NewRef(store_handle) : NULL;
    self->engine = engine;
    Py_BEGIN_ALLOW_THREADS status = ishow_lexicon_open(&self->lexicon, store, &error);
    if (!status) status = ishow_lexicon_load(self->lexicon, engine, &error);
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise_service(type, status, &error);
}

static void lexicon_dealloc(PyObject *object) {
    lexicon_object *self = (lexicon_object *)object;
    ishow_lexicon_close(self->lexicon);
    Py_CLEAR(self->engine_handle);
    Py_CLEAR(self->store_handle);
    free_object(object);
}

static PyObject *list_entries(PyObject *object, PyObject *unused) {
    const lexicon_object *self = (lexicon_object *)object;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS status = ishow_lexicon_list(self->lexicon, &body, &f) ? 200 : 0;
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static PyObject *put_entry(PyObject *object, PyObject *arg) {
    const lexicon_object *self = (lexicon_object *)object;
    Py_buffer data;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (PyObject_GetBuffer(arg, &data, PyBUF_SIMPLE) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_lexicon_put(self->lexicon, self->engine, data.buf, (size_t)data.len, &body, &f);
    Py_END_ALLOW_THREADS PyBuffer_Release(&data);
    return answer_of(status, &body, &f);
}

static PyObject *remove_entry(PyObject *object, PyObject *arg) {
    const lexicon_object *self = (lexicon_object *)object;
    const char *id = PyUnicode_AsUTF8(arg);
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (!id) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_lexicon_remove(self->lexicon, self->engine, id, &f);
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static PyObject *reading_of(PyObject *object, PyObject *args) {
    const lexicon_object *self = (lexicon_object *)object;
    const ishow_request defaults = ishow_request_default();
    const char *default_voice;
    Py_buffer data;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (!PyArg_ParseTuple(args, "y*s:reading", &data, &default_voice)) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_reading_answer(self->engine, default_voice, &defaults, data.buf, (size_t)data.len, &body, &f) ? 200 : 0;
    Py_END_ALLOW_THREADS PyBuffer_Release(&data);
    return answer_of(status, &body, &f);
}

static PyMethodDef methods[] = {
    {"list", list_entries, METH_NOARGS, "list()\n--\n\n(status, JSON) of all entries."},
    {"put", put_entry, METH_O, "put(body, /)\n--\n\nA new entry, or another reading of a word: (status, JSON)."},
    {"remove", remove_entry, METH_O, "remove(id, /)\n--\n\nThe end of an entry: (status, JSON)."},
    {"reading", reading_of, METH_VARARGS,
     "reading(body, default_voice, /)\n--\n\nHow a request of /api/tts would be read: (status, JSON)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, (void *)(uintptr_t)lexicon_new},
    {Py_tp_dealloc, (void *)(uintptr_t)lexicon_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_doc, "Lexicon(engine, store=None)\n--\n\nThe pronunciations of a server, which the engine reads by from now "
                "on. engine: `Engine.handle()`; store: `Store.handle()`. Any thread; calls wait."},
    {0, NULL},
};

PyType_Spec lexicon_spec = {.name = "ishowtts._service.Lexicon",
                            .basicsize = sizeof(lexicon_object),
                            .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                            .slots = slots};
