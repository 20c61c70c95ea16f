/* Voices and uploads of ishowtts._service. */
#include "pyext/module.h"

#include <string.h>
#include <unistd.h>

#include "pyext/answer.h"
#include "pyext/handles.h"
#include "pyext/service.h"
#include "service/settings.h"
#include "service/voices.h"

/* ---- Form ---- */

typedef struct form_object {
    PyObject_HEAD form form;
} form_object;

static PyObject *form_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"new_voice", NULL};
    int new_voice;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "p:Form", names, &new_voice)) return NULL;
    form_object *self = (form_object *)type->tp_alloc(type, 0);
    if (self) self->form.allowed = new_voice ? FORM_NEW_VOICE : FORM_REFERENCE;
    return (PyObject *)self;
}

static void form_dealloc(PyObject *object) {
    ishow_form_close(&((form_object *)object)->form);
    free_object(object);
}

static PyObject *add_field(PyObject *object, PyObject *args) {
    const char *key, *encoding;
    unsigned long long offset;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "zzKy*:add", &key, &encoding, &offset, &data)) return NULL;
    int good = ishow_form_add(&((form_object *)object)->form, key, encoding, data.buf, offset, (size_t)data.len);
    PyBuffer_Release(&data);
    return PyBool_FromLong(good);
}

static PyObject *end_form(PyObject *object, PyObject *arg) {
    form *f = &((form_object *)object)->form;
    const int whole = PyObject_IsTrue(arg);
    ishow_buffer body = {0};
    if (whole < 0) return NULL;
    if (ishow_form_end(f, whole)) Py_RETURN_NONE;
    return answer_of(0, &body, &f->fault);
}

static PyObject *form_id(PyObject *object, void *unused) {
    const form *f = &((form_object *)object)->form;
    (void)unused;
    return PyUnicode_DecodeUTF8(f->given & FORM_ID ? (const char *)f->id.data : "",
                                f->given & FORM_ID ? (Py_ssize_t)strnlen((const char *)f->id.data, f->id.n) : 0,
                                "replace");
}

static PyMethodDef form_methods[] = {
    {"add", add_field, METH_VARARGS,
     "add(key, encoding, offset, data, /)\n--\n\nMore bytes of a field, of which `offset` came before. False: the form "
     "is refused."},
    {"end", end_form, METH_O, "end(whole, /)\n--\n\nNone, or the (status, JSON) of what is wrong with the form."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef form_properties[] = {
    {"id", form_id, NULL, "The field id.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot form_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)form_new},
    {Py_tp_dealloc, (void *)(uintptr_t)form_dealloc},
    {Py_tp_methods, form_methods},
    {Py_tp_getset, form_properties},
    {Py_tp_doc, "Form(new_voice)\n--\n\nFields of an upload: those of a new voice, or of a reference."},
    {0, NULL},
};

PyType_Spec form_spec = {.name = "ishowtts._service.Form",
                         .basicsize = sizeof(form_object),
                         .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                         .slots = form_slots};

/* ---- Voices ---- */

typedef struct voices_object {
    PyObject_HEAD PyObject *engine_handle, *store_handle; /* capsules, which keep them open; store: NULL without one */
    ishow_engine *engine;
    voice_registry *voice_registry; /* closed with the last reference, which every call holds */
} voices_object;

static PyObject *voices_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"engine", "store", NULL};
    PyObject *engine_handle, *store_handle = Py_None; /* borrowed */
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Voices", names, &engine_handle, &store_handle)) return NULL;
    ishow_engine *engine = engine_of(engine_handle);
    ishow_store *store = engine ? store_of(store_handle) : NULL;
    if (PyErr_Occurred()) return NULL;
    voices_object *self = (voices_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->engine_handle = Py_NewRef(engine_handle);
    self->store_handle = store ? Py_NewRef(store_handle) : NULL;
    self->engine = engine;
    Py_BEGIN_ALLOW_THREADS status = ishow_voice_registry_create(&self->voice_registry, store, &error);
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise_service(type, status, &error);
}

static void voices_dealloc(PyObject *object) {
    voices_object *self = (voices_object *)object;
    voice_registry *r = self->voice_registry;
    Py_BEGIN_ALLOW_THREADS ishow_voice_registry_free(r);
    Py_END_ALLOW_THREADS Py_CLEAR(self->engine_handle);
    Py_CLEAR(self->store_handle);
    free_object(object);
}

static PyObject *load_voices(PyObject *object, PyObject *arg) {
    voices_object *self = (voices_object *)object;
    const char *config = PyUnicode_AsUTF8(arg);
    json_t *changed = config ? json_array() : NULL;
    ishow_error error = {0};
    ishow_status status;
    if (!changed) return config ? PyErr_NoMemory() : NULL;
    Py_BEGIN_ALLOW_THREADS settings s;
    status = ishow_settings_read(&s, config, &error);
    if (!status) {
        status = ishow_voice_registry_load(self->voice_registry, self->engine, s.voices, s.n_voices, changed, &error);
        ishow_settings_free(&s);
    }
    Py_END_ALLOW_THREADS PyObject *list =
        status ? raise_service(Py_TYPE(object), status, &error) : PyList_New((Py_ssize_t)json_array_size(changed));
    for (size_t i = 0; list && i < json_array_size(changed); i++) {
        PyObject *name = PyUnicode_FromString(json_string_value(json_array_get(changed, i)));
        if (name)
            PyList_SET_ITEM(list, (Py_ssize_t)i, name);
        else
            Py_CLEAR(list);
    }
    json_decref(changed);
    return list;
}

static PyObject *list_voices(PyObject *object, PyObject *unused) {
    const voices_object *self = (voices_object *)object;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS status = ishow_voices_list(self->voice_registry, self->engine, &body, &f) ? 200 : 0;
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static PyObject *create_voice(PyObject *object, PyObject *args) {
    const voices_object *self = (voices_object *)object;
    const service_state *state = PyType_GetModuleState(Py_TYPE(object));
    PyObject *from;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (!PyArg_ParseTuple(args, "O!:create", state->form_type, &from)) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_voices_create(self->voice_registry, self->engine, &((form_object *)from)->form, &body, &f) ? 201 : 0;
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static PyObject *override_voice(PyObject *object, PyObject *args) {
    const voices_object *self = (voices_object *)object;
    const service_state *state = PyType_GetModuleState(Py_TYPE(object));
    const char *id;
    PyObject *from;
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (!PyArg_ParseTuple(args, "sO!:override", &id, state->form_type, &from)) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_voices_override(self->voice_registry, self->engine, id, &((form_object *)from)->form, &body, &f) ? 200
                                                                                                               : 0;
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static PyObject *by_id(PyObject *object, PyObject *arg,
                       int (*work)(const voices_object *self, const char *id, ishow_buffer *body, fault *f)) {
    const char *id = PyUnicode_AsUTF8(arg);
    ishow_buffer body = {0};
    fault f = {0};
    int status;
    if (!id) return NULL;
    Py_BEGIN_ALLOW_THREADS status = work((voices_object *)object, id, &body, &f);
    Py_END_ALLOW_THREADS return answer_of(status, &body, &f);
}

static int refer(const voices_object *self, const char *id, ishow_buffer *body, fault *f) {
    return ishow_voices_reference(self->voice_registry, self->engine, id, body, f) ? 200 : 0;
}

static int restore(const voices_object *self, const char *id, ishow_buffer *body, fault *f) {
    (void)body;
    return ishow_voice_registry_restore(self->voice_registry, self->engine, id, f) ? 204 : 0;
}

static int erase(const voices_object *self, const char *id, ishow_buffer *body, fault *f) {
    (void)body;
    return ishow_voice_registry_remove(self->voice_registry, self->engine, id, f) ? 204 : 0;
}

static PyObject *reference_of(PyObject *object, PyObject *id) { return by_id(object, id, refer); }
static PyObject *restore_voice(PyObject *object, PyObject *id) { return by_id(object, id, restore); }
static PyObject *remove_voice(PyObject *object, PyObject *id) { return by_id(object, id, erase); }

/* n bytes of an open clip from `from` on; NULL with an exception. */
static PyObject *read_part(const clip *c, uint64_t from, uint64_t n) {
    PyObject *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n);
    size_t got = 0;
    if (!data) return NULL;
    char *to = PyBytes_AS_STRING(data);
    Py_BEGIN_ALLOW_THREADS for (ssize_t some = 1; some > 0 && got<n; got += some> 0 ? (size_t)some : 0) some =
        pread(c->fd, to + got, n - got, (off_t)(from + got));
    Py_END_ALLOW_THREADS if (got == n) return data;
    Py_DECREF(data);
    return PyErr_Format(PyExc_OSError, "%s cannot be read", c->path);
}

/* Adds a header; 0: an exception is set. value NULL or "": none. */
static int set_header(PyObject *headers, const char *name, const char *value) {
    if (!value || !value[0]) return 1;
    PyObject *text = PyUnicode_FromString(value);
    const int good = text && !PyDict_SetItemString(headers, name, text);
    Py_XDECREF(text);
    return good;
}

static PyObject *clip_of(PyObject *object, PyObject *args) {
    const voices_object *self = (voices_object *)object;
    const char *id, *source, *known, *when, *range;
    clip c;
    clip_part part = {0};
    ishow_buffer body = {0};
    fault f = {0};
    int good;
    if (!PyArg_ParseTuple(args, "szzzz:clip", &id, &source, &known, &when, &range)) return NULL;
    PyObject *headers = PyDict_New(), *data = NULL, *result = NULL;
    if (!headers) return NULL;
    Py_BEGIN_ALLOW_THREADS good = ishow_clip_find(&c, self->voice_registry, id, source, &f) &&
                                  ishow_clip_open(&c, &f) && ishow_clip_choose(&c, known, when, range, &part, &f);
    Py_END_ALLOW_THREADS if (!good) {
        ishow_fault_write(&body, &f);
        data = body.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize((const char *)body.data, (Py_ssize_t)body.n);
        part.status = f.status;
        good = set_header(headers, "Content-Type", "application/json");
    }
    else {
        const int whole = part.status != 304;
        data = whole ? read_part(&c, part.from, part.n) : PyBytes_FromStringAndSize("", 0);
        good = set_header(headers, "ETag", c.etag) && set_header(headers, "Cache-Control", "no-cache") &&
               set_header(headers, "Accept-Ranges", whole ? "bytes" : NULL) &&
               set_header(headers, "Content-Type", whole ? c.type : NULL);
    }
    if (data && good && set_header(headers, "Content-Range", part.content_range))
        result = Py_BuildValue("(iOO)", part.status, data, headers);
    Py_XDECREF(data);
    Py_DECREF(headers);
    ishow_buffer_free(&body);
    ishow_clip_close(&c);
    return result;
}

static PyMethodDef voices_methods[] = {
    {"load", load_voices, METH_O,
     "load(config, /)\n--\n\nThe engine's voices become those of `Config.to_json()` and those that are kept; "
     "\"voices.ID\" of what is another now."},
    {"list", list_voices, METH_NOARGS, "list()\n--\n\n(status, JSON) of all voices."},
    {"create", create_voice, METH_VARARGS, "create(form, /)\n--\n\nA new voice: (status, JSON)."},
    {"reference", reference_of, METH_O, "reference(id, /)\n--\n\nWhat a voice is cloned from: (status, JSON)."},
    {"override", override_voice, METH_VARARGS,
     "override(id, form, /)\n--\n\nAnother clip or other words: (status, JSON)."},
    {"restore", restore_voice, METH_O, "restore(id, /)\n--\n\nThe voice as it was made or configured: (status, JSON)."},
    {"remove", remove_voice, METH_O, "remove(id, /)\n--\n\nThe end of a voice that came over HTTP: (status, JSON)."},
    {"clip", clip_of, METH_VARARGS,
     "clip(id, source, if_none_match, if_range, range, /)\n--\n\nThe clip or a part of it: (status, bytes, header "
     "fields)."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot voices_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)voices_new},
    {Py_tp_dealloc, (void *)(uintptr_t)voices_dealloc},
    {Py_tp_methods, voices_methods},
    {Py_tp_doc, "Voices(engine, store=None)\n--\n\nThe voices of a server. engine: `Engine.handle()`; store: "
                "`Store.handle()`. Any thread."},
    {0, NULL},
};

PyType_Spec voices_spec = {.name = "ishowtts._service.Voices",
                           .basicsize = sizeof(voices_object),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                           .slots = voices_slots};
