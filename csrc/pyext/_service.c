/* ishowtts._service: what both servers do behind their HTTP (csrc/service), for the one in Python: the store, requests
 * for speech and their Accept, voices and uploads, the comparison of configurations, Retry-After.
 *
 * Calls that may wait for a disk, a model or another change do so without the interpreter lock. */
#include "pyext/module.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "pyext/answer.h"
#include "pyext/handles.h"
#include "pyext/service.h"
#include "service/config_diff.h"
#include "service/retry_after.h"
#include "service/settings.h"
#include "service/voices.h"
#include "service/file_watch.h"

typedef struct module_state {
    PyObject *store_type, *form_type, *voices_type, *load_type, *watcher_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    const module_state *state = PyType_GetModuleState(type);
    return raise_status(state->from_status, status, error);
}

/* ---- Store ---- */

typedef struct store_object {
    PyObject_HEAD ishow_store *store;
} store_object;

static PyObject *store_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"folder", NULL};
    const char *folder;
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s:Store", names, &folder)) return NULL;
    store_object *self = (store_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_store_open(&self->store, folder, &error);
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise(type, status, &error);
}

static void store_dealloc(PyObject *object) {
    ishow_store *store = ((store_object *)object)->store;
    Py_BEGIN_ALLOW_THREADS ishow_store_close(store);
    Py_END_ALLOW_THREADS free_object(object);
}

static void handle_release(PyObject *capsule) { Py_DECREF((PyObject *)PyCapsule_GetContext(capsule)); }

static PyObject *store_handle(PyObject *object, PyObject *unused) {
    (void)unused;
    PyObject *capsule = PyCapsule_New(((store_object *)object)->store, "ishow_store", handle_release);
    if (capsule) PyCapsule_SetContext(capsule, Py_NewRef(object)); /* cannot fail: the capsule is valid */
    return capsule;
}

static PyObject *store_failing(PyObject *object, PyObject *unused) {
    ishow_error error = {0};
    (void)unused;
    if (ishow_store_health(((store_object *)object)->store, &error) == ISHOW_OK) Py_RETURN_NONE;
    return PyUnicode_FromString(error.message);
}

static PyMethodDef store_methods[] = {
    {"failing", store_failing, METH_NOARGS,
     "failing()\n--\n\nWhy the folder cannot be written at present; None: it can."},
    {"handle", store_handle, METH_NOARGS, "handle()\n--\n\nA capsule for those who keep something in it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot store_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)store_new},
    {Py_tp_dealloc, (void *)(uintptr_t)store_dealloc},
    {Py_tp_methods, store_methods},
    {Py_tp_doc,
     "Store(folder)\n--\n\nWhat outlives the process, for one process at a time; closed with its last user."},
    {0, NULL},
};

static PyType_Spec store_spec = {.name = "ishowtts._service.Store",
                                 .basicsize = sizeof(store_object),
                                 .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                 .slots = store_slots};

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

static PyType_Spec form_spec = {.name = "ishowtts._service.Form",
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
    return raise(type, status, &error);
}

static void voices_dealloc(PyObject *object) {
    voices_object *self = (voices_object *)object;
    voice_registry *b = self->voice_registry;
    Py_BEGIN_ALLOW_THREADS ishow_voice_registry_free(b);
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
        status ? raise(Py_TYPE(object), status, &error) : PyList_New((Py_ssize_t)json_array_size(changed));
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
    const module_state *state = PyType_GetModuleState(Py_TYPE(object));
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
    const module_state *state = PyType_GetModuleState(Py_TYPE(object));
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

static PyObject *clip_of(PyObject *object, PyObject *args) {
    const voices_object *self = (voices_object *)object;
    const char *id, *source, *known, *when, *range;
    clip c;
    clip_part part = {0};
    ishow_buffer body = {0};
    fault f = {0};
    int good;
    if (!PyArg_ParseTuple(args, "szzzz:clip", &id, &source, &known, &when, &range)) return NULL;
    Py_BEGIN_ALLOW_THREADS good = ishow_clip_find(&c, self->voice_registry, id, source, &f) &&
                                  ishow_clip_open(&c, &f) && ishow_clip_choose(&c, known, when, range, &part, &f);
    Py_END_ALLOW_THREADS PyObject *made = NULL, *data = NULL;
    if (!good) {
        ishow_fault_write(&body, &f);
        made = body.failed ? PyErr_NoMemory()
                           : Py_BuildValue("(iy#{ss})", f.status, (const char *)body.data, (Py_ssize_t)body.n,
                                           "Content-Type", "application/json");
        goto done;
    }
    if (!(data = part.status == 304 ? PyBytes_FromStringAndSize("", 0) : read_part(&c, part.from, part.n))) goto done;
    if (part.status == 304)
        made = Py_BuildValue("(iO{ssss})", part.status, data, "ETag", c.etag, "Cache-Control", "no-cache");
    else
        made = Py_BuildValue("(iO{ssssssss})", part.status, data, "ETag", c.etag, "Cache-Control", "no-cache",
                             "Accept-Ranges", "bytes", "Content-Type", c.type);
done:
    Py_XDECREF(data);
    if (made && part.content_range[0]) {
        PyObject *range_text = PyUnicode_FromString(part.content_range);
        if (!range_text || PyDict_SetItemString(PyTuple_GET_ITEM(made, 2), "Content-Range", range_text) < 0)
            Py_CLEAR(made);
        Py_XDECREF(range_text);
    }
    ishow_buffer_free(&body);
    ishow_clip_close(&c);
    return made;
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

static PyType_Spec voices_spec = {.name = "ishowtts._service.Voices",
                                  .basicsize = sizeof(voices_object),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                  .slots = voices_slots};

/* ---- Load ---- */

typedef struct load_object {
    PyObject_HEAD PyObject *handle;
    ishow_engine *engine;
    retry_estimate estimate;
} load_object;

static PyObject *load_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"engine", NULL};
    PyObject *handle; /* borrowed */
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Load", names, &handle)) return NULL;
    ishow_engine *engine = engine_of(handle);
    load_object *self = engine ? (load_object *)type->tp_alloc(type, 0) : NULL;
    if (!self) return NULL;
    self->handle = Py_NewRef(handle);
    self->engine = engine;
    return (PyObject *)self;
}

static void load_dealloc(PyObject *object) {
    Py_CLEAR(((load_object *)object)->handle);
    free_object(object);
}

static PyObject *tick(PyObject *object, PyObject *unused) {
    load_object *self = (load_object *)object;
    (void)unused;
    ishow_retry_after_tick(&self->estimate, self->engine);
    Py_RETURN_NONE;
}

static PyObject *retry_after(PyObject *object, PyObject *arg) {
    load_object *self = (load_object *)object;
    const double most = PyFloat_AsDouble(arg);
    if (PyErr_Occurred()) return NULL;
    return PyLong_FromLong(ishow_retry_after(&self->estimate, self->engine, most));
}

static PyMethodDef load_methods[] = {
    {"tick", tick, METH_NOARGS, "tick()\n--\n\nLook at the engine's counters; now and then, on one thread."},
    {"retry_after", retry_after, METH_O,
     "retry_after(request_seconds, /)\n--\n\nHow long what waits will take, in seconds."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot load_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)load_new},
    {Py_tp_dealloc, (void *)(uintptr_t)load_dealloc},
    {Py_tp_methods, load_methods},
    {Py_tp_doc, "Load(engine)\n--\n\nWhat an utterance took lately. engine: `Engine.handle()`."},
    {0, NULL},
};

static PyType_Spec load_spec = {.name = "ishowtts._service.Load",
                                .basicsize = sizeof(load_object),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                .slots = load_slots};

/* ---- Watcher ---- */

typedef struct watcher_object {
    PyObject_HEAD watcher *watcher;
    int notify;
    _Atomic(const char *) why; /* static storage; NULL: nothing new */
} watcher_object;

/* On the watcher's thread: an event loop of Python's does the rest. */
static int on_change(void *user, const char *why) {
    watcher_object *self = user;
    const uint64_t one = 1;
    atomic_store(&self->why, why);
    const ssize_t ignored = write(self->notify, &one, sizeof one);
    (void)ignored;
    return 1;
}

static PyObject *watcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"file", "notify", NULL};
    const char *file;
    int notify;
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "zi:Watcher", names, &file, &notify)) return NULL;
    watcher_object *self = (watcher_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->notify = notify;
    ishow_status status = ishow_file_watch_start(&self->watcher, file, on_change, self, &error);
    if (status == ISHOW_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise(type, status, &error);
}

static void watcher_dealloc(PyObject *object) {
    watcher *w = ((watcher_object *)object)->watcher;
    Py_BEGIN_ALLOW_THREADS ishow_file_watch_free(w);
    Py_END_ALLOW_THREADS free_object(object);
}

static PyObject *poke(PyObject *object, PyObject *unused) {
    (void)unused;
    ishow_file_watch_poke(((watcher_object *)object)->watcher, 1);
    Py_RETURN_NONE;
}

static PyObject *take_why(PyObject *object, PyObject *unused) {
    (void)unused;
    return Py_BuildValue("z", atomic_exchange(&((watcher_object *)object)->why, NULL));
}

static PyMethodDef watcher_methods[] = {
    {"poke", poke, METH_NOARGS, "poke()\n--\n\nAs if the file had changed; also in a signal's handler."},
    {"take", take_why, METH_NOARGS,
     "take()\n--\n\nWhy the configuration should be read again, once; None: there is no reason."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot watcher_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)watcher_new},
    {Py_tp_dealloc, (void *)(uintptr_t)watcher_dealloc},
    {Py_tp_methods, watcher_methods},
    {Py_tp_doc, "Watcher(file, notify)\n--\n\nNotices that a configuration file is another (None: there is none); "
                "notify: an eventfd that is written to then."},
    {0, NULL},
};

static PyType_Spec watcher_spec = {.name = "ishowtts._service.Watcher",
                                   .basicsize = sizeof(watcher_object),
                                   .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                   .slots = watcher_slots};

/* ---- module ---- */

static PyObject *compare(PyObject *module, PyObject *args) {
    const char *old_json, *new_json;
    int loopback;
    (void)module;
    if (!PyArg_ParseTuple(args, "ssp:compare", &old_json, &new_json, &loopback)) return NULL;
    json_t *old = json_loads(old_json, JSON_REJECT_DUPLICATES, NULL),
           *new = json_loads(new_json, JSON_REJECT_DUPLICATES, NULL);
    json_t *old_shown = json_incref(json_object_get(old, "shown")),
           *new_shown = json_incref(json_object_get(new, "shown"));
    PyObject *made = NULL;
    char *text = NULL;
    if (!old_shown || !new_shown) {
        PyErr_SetString(PyExc_ValueError, "both must be Config.to_json()");
        goto done;
    }
    json_t *parts[] = {old, new};
    for (size_t i = 0; i < 2; i++) json_object_del(parts[i], "shown"), json_object_del(parts[i], "sources");
    config_diff d;
    ishow_config_diff_make(&d, old, old_shown, new, new_shown, loopback);
    json_object_set(d.now, "shown", d.shown);
    json_t *all =
        json_pack("{sO,sO,sO,sb}", "changed", d.changed, "restart_needed", d.restart, "now", d.now, "model", d.model);
    text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    ishow_config_diff_free(&d);
    made = text ? PyUnicode_FromString(text) : PyErr_NoMemory();
done:
    free(text);
    json_decref(old);
    json_decref(new);
    json_decref(old_shown);
    json_decref(new_shown);
    return made;
}

static PyObject *fault_of(PyObject *module, PyObject *args) {
    const char *name, *field;
    (void)module;
    if (!PyArg_ParseTuple(args, "ss:fault_of", &name, &field)) return NULL;
    ishow_error error = {.status = ISHOW_EINTERNAL};
    for (int status = ISHOW_OK; status <= ISHOW_EINTERNAL; status++)
        if (!strcmp(name, ishow_status_name((ishow_status)status))) error.status = (ishow_status)status;
    snprintf(error.field, sizeof error.field, "%s", field);
    fault f = {0};
    ishow_fault_from_error(&f, &error);
    return Py_BuildValue("(iss)", f.status, f.code, f.error.field);
}

static PyMethodDef functions[] = {
    {"compare", compare, METH_VARARGS,
     "compare(old, new, loopback, /)\n--\n\nTwo `Config.to_json()`: JSON of what can change at once (`changed`), what "
     "needs a restart (`restart_needed`), the document that will be in force "
     "(`now`), and whether another model is wanted (`model`)."},
    {"fault_of", fault_of, METH_VARARGS,
     "fault_of(status, field, /)\n--\n\nHTTP status, code and field of a failed call of the core."},
    {"read_speech", read_speech, METH_O, read_speech_doc},
    {"read_openai", read_openai, METH_VARARGS, read_openai_doc},
    {"read_message", read_message, METH_O, read_message_doc},
    {"openai_field", openai_field, METH_O, openai_field_doc},
    {"openai_model", openai_model, METH_VARARGS, openai_model_doc},
    {"openai_voice", openai_voice_of, METH_VARARGS, openai_voice_doc},
    {"accept_quality", quality_of, METH_VARARGS, accept_quality_doc},
    {"accept_audio", audio_of, METH_VARARGS, accept_audio_doc},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const int good =
        (state->from_status = import_from_status()) && (state->store_type = add_type(module, &store_spec)) &&
        (state->form_type = add_type(module, &form_spec)) && (state->voices_type = add_type(module, &voices_spec)) &&
        (state->load_type = add_type(module, &load_spec)) && (state->watcher_type = add_type(module, &watcher_spec));
    return good && !PyModule_AddIntConstant(module, "RETRY_AFTER", RETRY_SECONDS_UNKNOWN) ? add_schemas(module) : -1;
}

PYEXT_MODULE(_service, "What both servers do behind their HTTP.", functions, module_state, 6, NULL)
