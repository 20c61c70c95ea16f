/* ishowtts._service: the parts of csrc/service that both servers use, for the server in Python: the store, requests
 * for speech and content negotiation, voices and uploads, comparison of configurations, Retry-After.
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
#include "service/load_history.h"
#include "service/retry_after.h"
#include "service/settings.h"
#include "service/file_watch.h"

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
    return raise_service(type, status, &error);
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

/* ---- Load ---- */

typedef struct load_object {
    PyObject_HEAD PyObject *handle;
    ishow_engine *engine;
    retry_estimate estimate;
    load_history history;
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
    ishow_load_history_tick(&self->history, self->engine);
    Py_RETURN_NONE;
}

static PyObject *history(PyObject *object, PyObject *unused) {
    ishow_buffer text = {0};
    (void)unused;
    ishow_load_history_write(&((load_object *)object)->history, &text);
    PyObject *made =
        text.failed ? PyErr_NoMemory() : PyUnicode_FromStringAndSize((const char *)text.data, (Py_ssize_t)text.n);
    ishow_buffer_free(&text);
    return made;
}

static PyObject *retry_after(PyObject *object, PyObject *arg) {
    load_object *self = (load_object *)object;
    const double most = PyFloat_AsDouble(arg);
    if (PyErr_Occurred()) return NULL;
    return PyLong_FromLong(ishow_retry_after(&self->estimate, self->engine, most));
}

static PyMethodDef load_methods[] = {
    {"tick", tick, METH_NOARGS, "tick()\n--\n\nLook at the engine's counters; now and then, on one thread."},
    {"history", history, METH_NOARGS, "history()\n--\n\nThe last hour of samples, as JSON."},
    {"retry_after", retry_after, METH_O,
     "retry_after(request_seconds, /)\n--\n\nHow long what waits will take, in seconds."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot load_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)load_new},
    {Py_tp_dealloc, (void *)(uintptr_t)load_dealloc},
    {Py_tp_methods, load_methods},
    {Py_tp_doc,
     "Load(engine)\n--\n\nWhat utterances took lately, and the load of the last hour. engine: `Engine.handle()`."},
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
    _Atomic(const char *) why; /* static storage; NULL: no change */
} watcher_object;

/* Called on the watcher's thread; wakes an event loop of Python, which does the rest. */
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
    return raise_service(type, status, &error);
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
    {"read_openai_line", read_openai_line, METH_VARARGS, read_openai_line_doc},
    {"read_message", read_message, METH_VARARGS, read_message_doc},
    {"openai_field", openai_field, METH_O, openai_field_doc},
    {"openai_model", openai_model, METH_VARARGS, openai_model_doc},
    {"openai_voice", openai_voice_of, METH_VARARGS, openai_voice_doc},
    {"accept_quality", quality_of, METH_VARARGS, accept_quality_doc},
    {"accept_audio", audio_of, METH_VARARGS, accept_audio_doc},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    service_state *state = PyModule_GetState(module);
    const int good =
        (state->from_status = import_from_status()) && (state->store_type = add_type(module, &store_spec)) &&
        (state->form_type = add_type(module, &form_spec)) && (state->voices_type = add_type(module, &voices_spec)) &&
        (state->load_type = add_type(module, &load_spec)) && (state->watcher_type = add_type(module, &watcher_spec)) &&
        (state->lexicon_type = add_type(module, &lexicon_spec)) &&
        (state->guesses_type = add_type(module, &guesses_spec));
    return good && !PyModule_AddIntConstant(module, "RETRY_AFTER", RETRY_SECONDS_UNKNOWN) ? add_schemas(module) : -1;
}

PYEXT_MODULE(_service, "What both servers do behind their HTTP.", functions, service_state, 8, NULL)
