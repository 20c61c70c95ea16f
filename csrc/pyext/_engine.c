/* ishowtts._engine: the C engine inside `python`, over the same bridge that the server embeds (see engine/engine.h,
 * bridge/bridge.h).
 *
 * Every call into the core is made without the interpreter lock: the core's threads need it for the text front end and
 * for the Python backend. The lock also guards the small counters here: an engine that is closed while another thread
 * is inside a call is freed by the last one to leave. Each engine attaches a bridge of its own. */
#include "pyext/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"
#include "bridge/bridge.h"
#include "pyext/handles.h"
#include "pyext/text.h"

typedef struct engine_object {
    PyObject_HEAD ishow_bridge *bridge;
    ishow_engine *engine;
    char *model, *precision;
    int threads, pending;
    int closing, users; /* guarded by the interpreter lock */
} engine_object;

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    return raise_status(state_of(type)->from_status, status, error);
}

/* 0, or -1 with an exception. */
static int take_floats(PyObject *values, const char *name, Py_buffer *buffer) {
    if (PyObject_GetBuffer(values, buffer, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return -1;
    if (buffer->ndim == 1 && buffer->format && strcmp(buffer->format, "f") == 0) return 0;
    PyBuffer_Release(buffer);
    PyErr_Format(PyExc_TypeError, "%s must be a one-dimensional, contiguous float32 buffer", name);
    return -1;
}

/* ---- Engine ---- */

static void engine_release(engine_object *self) {
    ishow_bridge *bridge = self->bridge;
    ishow_engine *engine = self->engine;
    self->bridge = NULL;
    self->engine = NULL;
    if (!bridge && !engine) return;
    Py_BEGIN_ALLOW_THREADS if (bridge) ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
    ishow_bridge_stop(bridge);
    Py_END_ALLOW_THREADS
}

static int enter(engine_object *self) {
    if (!self->closing && self->engine) return self->users++, 0;
    const ishow_error error = {.message = "The engine is closed."};
    raise(Py_TYPE(self), ISHOW_ESTATE, &error);
    return -1;
}

static void leave(engine_object *self) {
    if (--self->users == 0 && self->closing) engine_release(self);
}

/* Ends a call: None, or the exception. */
static PyObject *leave_with(engine_object *self, ishow_status status, const ishow_error *error) {
    leave(self);
    if (status) return raise(Py_TYPE(self), status, error);
    Py_RETURN_NONE;
}

/* NULL with the exception that arguments raised. */
static PyObject *refuse_overflow(void) {
    pyext_refuse_overflow();
    return NULL;
}

/* The options of a call without those of a table, which are read into `of`: a new dict, or NULL with an exception. */
static PyObject *split_options(PyTypeObject *type, PyObject *kwargs, const ishow_fields *fields, int all, void *of) {
    ishow_error error = {0};
    PyObject *rest = kwargs ? PyDict_Copy(kwargs) : PyDict_New();
    if (rest && pyext_take_fields(fields, rest, all, of, &error) < 0) {
        Py_CLEAR(rest);
        if (!PyErr_Occurred()) raise(type, error.status, &error);
    }
    return rest;
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"model", "precision", "threads", "backend", NULL};
    ishow_engine_options options = ishow_engine_options_default();
    text_argument model = {.field = "model"}, precision = {.field = "precision"},
                  backend = {.field = "backend", .utf8 = "auto"};
    int threads = 0;
    ishow_error error = {0};
    PyObject *rest = split_options(type, kwargs, &ishow_engine_fields, 0, &options);
    const int good =
        rest && PyArg_ParseTupleAndKeywords(args, rest, "O&|O&i$O&:Engine", names, pyext_take_text, &model,
                                            pyext_take_text_or_none, &precision, &threads, pyext_take_text, &backend);
    Py_XDECREF(rest); /* the strings belong to their objects, which the caller holds */
    if (!good) return refuse_overflow();
    engine_object *self = (engine_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->model = ishow_strdup(model.utf8);
    self->precision = ishow_strdup(precision.utf8);
    self->threads = threads;
    if (!self->model || (precision.utf8 && !self->precision)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    ishow_status status = ishow_bridge_attach(&self->bridge, &error);
    if (!status) {
        Py_BEGIN_ALLOW_THREADS status = ishow_bridge_engine(self->bridge, self->model, self->precision, backend.utf8,
                                                            threads, &options, &self->engine, &self->pending, &error);
        Py_END_ALLOW_THREADS
    }
    if (status) {
        Py_DECREF(self);
        return raise(type, status, &error);
    }
    return (PyObject *)self;
}

static PyObject *engine_close(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    self->closing = 1;
    if (self->users == 0) engine_release(self);
    Py_RETURN_NONE;
}

static void engine_dealloc(PyObject *object) {
    engine_object *self = (engine_object *)object;
    engine_release(self);
    free(self->model);
    free(self->precision);
    free_object(object);
}

static PyObject *engine_set_voice(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"id", "text", "samples", "sample_rate", "language", NULL};
    engine_object *self = (engine_object *)object;
    PyObject *given_id, *given_text, *samples, *given_language = Py_None; /* borrowed */
    Py_buffer buffer = {0};
    text_argument id = {.field = "voice_id"}, text = {.field = "text"}, language = {.field = "language"};
    int sample_rate = 0;
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|iO:set_voice", names, &given_id, &given_text, &samples,
                                     &sample_rate, &given_language) ||
        !pyext_take_text(given_id, &id) || !pyext_take_text(given_text, &text) ||
        !pyext_take_text_or_none(given_language, &language))
        return refuse_overflow();
    ishow_voice voice = {.id = id.utf8, .text = text.utf8, .language = language.utf8, .sample_rate = sample_rate};
    if (samples != Py_None) {
        if (take_floats(samples, "samples", &buffer) != 0) return NULL;
        voice.samples = buffer.buf;
        voice.length = (size_t)buffer.len / sizeof(float);
    }
    PyObject *result = NULL;
    if (enter(self) == 0) {
        Py_BEGIN_ALLOW_THREADS status = ishow_engine_set_voice(self->engine, &voice, &error);
        Py_END_ALLOW_THREADS result = leave_with(self, status, &error);
    }
    if (buffer.obj) PyBuffer_Release(&buffer);
    return result;
}

static PyObject *engine_configure(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {NULL};
    engine_object *self = (engine_object *)object;
    ishow_engine_options options;
    ishow_error error = {0};
    ishow_status status;
    PyObject *rest = split_options(Py_TYPE(self), kwargs, &ishow_engine_fields, 1, &options);
    const int good = rest && PyArg_ParseTupleAndKeywords(args, rest, ":configure", names);
    Py_XDECREF(rest);
    if (!good || enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_engine_configure(self->engine, &options, &error);
    Py_END_ALLOW_THREADS return leave_with(self, status, &error);
}

static PyObject *engine_remove_voice(PyObject *object, PyObject *arg) {
    engine_object *self = (engine_object *)object;
    text_argument id = {.field = "voice_id"};
    ishow_error error = {0};
    ishow_status status;
    if (!pyext_take_text(arg, &id) || enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_engine_remove_voice(self->engine, id.utf8, &error);
    Py_END_ALLOW_THREADS return leave_with(self, status, &error);
}

static PyObject *engine_voices(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_voice_entry *entries = NULL;
    ishow_error error = {0};
    ishow_status status;
    size_t n = 0;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_engine_list_voices(self->engine, &entries, &n, &error);
    Py_END_ALLOW_THREADS leave(self);
    if (status) return raise(Py_TYPE(self), status, &error);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = Py_BuildValue("{ss,ss,ss,sd}", "id", entries[i].id, "language", entries[i].language, "text",
                                       entries[i].text, "seconds", entries[i].seconds);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    free(entries);
    return list;
}

/* Called on an engine's thread, which must not take the interpreter lock: an eventfd tells an event loop of
 * Python's. */
static void notify_fd(void *user) {
    const uint64_t one = 1;
    const ssize_t ignored =
        write((int)(intptr_t)user, &one, sizeof one); /* fails only when the count is full, and then it is readable */
    (void)ignored;
}

/* notify: a file descriptor, below 0: none. */
static PyObject *submit(engine_object *self, const ishow_request *request, int notify) {
    ishow_error error = {0};
    ishow_status status;
    PyTypeObject *type = (PyTypeObject *)state_of(Py_TYPE(self))->utterance_type; /* borrowed */
    utterance_object *utterance = (utterance_object *)type->tp_alloc(type, 0);
    if (!utterance) return NULL;
    utterance->notify = notify < 0 ? -1 : fcntl(notify, F_DUPFD_CLOEXEC, 0);
    if (notify >= 0 && utterance->notify < 0) {
        status =
            ishow_fail(&error, ISHOW_EINVAL, "notify", "notify must be an open file descriptor: %s", strerror(errno));
        Py_DECREF(utterance);
        return raise(Py_TYPE(self), status, &error);
    }
    if (enter(self) != 0) {
        Py_DECREF(utterance);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS status =
        ishow_engine_submit(self->engine, request, notify < 0 ? NULL : notify_fd, (void *)(intptr_t)utterance->notify,
                            &utterance->utterance, &error);
    Py_END_ALLOW_THREADS leave(self);
    if (status) {
        utterance->utterance = NULL;
        Py_DECREF(utterance);
        return raise(Py_TYPE(self), status, &error);
    }
    utterance->owner = Py_NewRef((PyObject *)self);
    return (PyObject *)utterance;
}

static PyObject *engine_submit(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"text", "voice", "early", "priority", "deadline", "notify", "open", NULL};
    engine_object *self = (engine_object *)object;
    ishow_request request = ishow_request_default();
    ishow_error error = {0};
    text_argument text = {.field = "text"}, voice = {.field = "voice_id"};
    int notify = -1;
    PyObject *given_text, *given_voice = Py_None, *times = Py_None, *noise = Py_None; /* borrowed */
    PyObject *sampler = NULL, *result = NULL; /* (times, noise, trajectory), borrowed */
    Py_buffer of_times = {0}, of_noise = {0};
    ishow_sampler_input input = {0};
    PyObject *rest = split_options(Py_TYPE(self), kwargs, &ishow_request_fields, 0, &request);
    const int fed = rest ? pyext_take_fields(&ishow_feed_fields, rest, 0, &request, &error) : 0;
    sampler = rest ? PyDict_GetItemString(rest, "sampler") : NULL;
    const int taken = !sampler || (PyArg_ParseTuple(sampler, "OOp", &times, &noise, &input.trajectory) &&
                                   PyDict_DelItemString(rest, "sampler") == 0);
    const int good =
        rest && !fed && taken &&
        PyArg_ParseTupleAndKeywords(args, rest, "O|O$pidip:submit", names, &given_text, &given_voice, &request.early,
                                    &request.priority, &request.deadline, &notify, &request.open) &&
        pyext_take_text(given_text, &text) && pyext_take_text_or_none(given_voice, &voice);
    Py_XDECREF(rest); /* the strings belong to their objects, which the caller holds */
    if (fed && !PyErr_Occurred()) return raise(Py_TYPE(self), error.status, &error);
    if (!good) return refuse_overflow();
    request.text = text.utf8;
    request.voice = voice.utf8;
    if ((times != Py_None && take_floats(times, "times", &of_times) != 0) ||
        (noise != Py_None && take_floats(noise, "noise", &of_noise) != 0))
        goto done;
    input.times = of_times.buf;
    input.n_times = (size_t)of_times.len / sizeof(float);
    input.noise = of_noise.buf;
    input.n_noise = (size_t)of_noise.len / sizeof(float);
    if (input.times || input.noise || input.trajectory) request.sampler = &input;
    result = submit(self, &request, notify);
done:
    if (of_times.obj) PyBuffer_Release(&of_times);
    if (of_noise.obj) PyBuffer_Release(&of_noise);
    return result;
}

static PyObject *engine_info(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_model_info info;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS ishow_engine_info(self->engine, &info);
    Py_END_ALLOW_THREADS leave(self);
    return pyext_model_info(&info);
}

static PyObject *engine_stats(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_engine_stats s;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS ishow_engine_stats_get(self->engine, &s);
    Py_END_ALLOW_THREADS leave(self);
    return pyext_engine_stats(&s);
}

static PyObject *engine_compile_start(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_error error = {0};
    ishow_status status;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_bridge_compile_start(self->bridge, self->engine, self->model, self->precision, self->threads, &error);
    Py_END_ALLOW_THREADS return leave_with(self, status, &error);
}

static PyObject *engine_compile_state(PyObject *object, PyObject *unused) {
    (void)unused;
    static const char *const names[] = {"none", "running", "swapped", "failed"};
    engine_object *self = (engine_object *)object;
    char why[480] = "";
    if (enter(self) != 0) return NULL;
    const int code = ishow_bridge_compile_state(self->bridge, why, sizeof why);
    leave(self);
    return Py_BuildValue("(ss)", names[code], why);
}

static PyObject *engine_pending(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((engine_object *)object)->pending);
}

static PyObject *engine_closed(PyObject *object, void *unused) {
    (void)unused;
    return PyBool_FromLong(((engine_object *)object)->closing);
}

/* The engine for another extension module: a capsule that keeps it open, also when it is closed meanwhile. */
static void handle_release(PyObject *capsule) {
    PyObject *owner = PyCapsule_GetContext(capsule);
    leave((engine_object *)owner);
    Py_DECREF(owner);
}

static PyObject *engine_handle(PyObject *object, PyObject *unused) {
    engine_object *self = (engine_object *)object;
    (void)unused;
    if (enter(self) < 0) return NULL;
    PyObject *capsule = PyCapsule_New(self->engine, "ishow_engine", handle_release);
    if (!capsule) {
        leave(self);
        return NULL;
    }
    PyCapsule_SetContext(capsule, Py_NewRef(object)); /* cannot fail: the capsule is valid */
    return capsule;
}

static PyMethodDef engine_methods[] = {
    {"submit", WITH_KEYWORDS(engine_submit), "Queue a text; returns its Utterance."},
    {"set_voice", WITH_KEYWORDS(engine_set_voice),
     "Add or replace a voice: mono float32 samples and their exact text."},
    {"configure", WITH_KEYWORDS(engine_configure),
     "Other sizes for the utterances to come; cache_bytes and max_rows must stay what they were."},
    {"remove_voice", engine_remove_voice, METH_O, "Forget a voice."},
    {"voices", engine_voices, METH_NOARGS, "All voices, in order of arrival."},
    {"info", engine_info, METH_NOARGS, "What the active backend is."},
    {"stats", engine_stats, METH_NOARGS, "Counters since the engine was opened."},
    {"compile_start", engine_compile_start, METH_NOARGS,
     "Compile a package in a process of its own and swap it in when it is done."},
    {"compile_state", engine_compile_state, METH_NOARGS, "(\"none\" | \"running\" | \"swapped\" | \"failed\", why)."},
    {"handle", engine_handle, METH_NOARGS, "A capsule for other modules, which keeps the engine open."},
    {"close", engine_close, METH_NOARGS, "Cancel what is in flight and free the model."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef engine_properties[] = {
    {"pending", engine_pending, NULL, "A package could be compiled; the Python model speaks until then.", NULL},
    {"closed", engine_closed, NULL, "close() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)engine_new},
    {Py_tp_dealloc, (void *)(uintptr_t)engine_dealloc},
    {Py_tp_methods, engine_methods},
    {Py_tp_getset, engine_properties},
    {Py_tp_doc, "A loaded model, its voices, and the utterances in flight."},
    {0, NULL},
};

static PyType_Spec engine_spec = {.name = "ishowtts._engine.Engine",
                                  .basicsize = sizeof(engine_object),
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                  .slots = engine_slots};

/* ---- Module ---- */

static PyObject *check_reference(PyObject *module, PyObject *args) {
    PyObject *samples = NULL; /* borrowed from args */
    Py_buffer buffer = {0};
    ishow_pcm pcm = {0};
    ishow_error error = {0};
    ishow_status status;
    text_argument text = {.field = "text"};
    if (!PyArg_ParseTuple(args, "OiO&:check_reference", &samples, &pcm.sample_rate, pyext_take_text, &text) ||
        take_floats(samples, "samples", &buffer) != 0)
        return NULL;
    pcm.samples = buffer.buf;
    pcm.length = (size_t)buffer.len / sizeof(float);
    Py_BEGIN_ALLOW_THREADS status = ishow_check_reference(&pcm, text.utf8, &error);
    Py_END_ALLOW_THREADS PyBuffer_Release(&buffer);
    if (status) return raise_status(((const module_state *)PyModule_GetState(module))->from_status, status, &error);
    Py_RETURN_NONE;
}

static int add(PyObject *module, const char *name, PyObject *value) {
    int failed = PyModule_AddObjectRef(module, name, value); /* with value NULL: the exception stays */
    Py_XDECREF(value);
    return failed;
}

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    if (!(state->from_status = import_from_status()) || !(state->engine_type = add_type(module, &engine_spec)) ||
        !(state->utterance_type = add_type(module, &pyext_utterance_spec)))
        return -1;
    return add(module, "DEFAULTS", pyext_defaults()) ||
                   add(module, "REQUEST_FIELDS", pyext_fields(&ishow_request_fields)) ||
                   add(module, "FEED_FIELDS", pyext_fields(&ishow_feed_fields)) ||
                   add(module, "ENGINE_FIELDS", pyext_fields(&ishow_engine_fields)) ||
                   add(module, "CHAT_WORDS", pyext_chat_words()) ||
                   add(module, "VERSION", PyUnicode_FromString(ishow_version())) ||
                   add(module, "BUILD", PyUnicode_FromString(ishow_build_id()))
               ? -1
               : 0;
}

static PyObject *live_handles(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromLong(ishow_live_handles());
}

static PyObject *log_to_stderr(PyObject *module, PyObject *args) {
    const char *level_name = NULL, *format_name = "text";
    ishow_log_level level;
    ishow_log_format format;
    (void)module;
    if (!PyArg_ParseTuple(args, "s|s:log_to_stderr", &level_name, &format_name)) return NULL;
    if (!ishow_log_level_find(level_name, &level))
        return PyErr_Format(PyExc_ValueError, "the log level must be debug, info, warn or error, not %s", level_name);
    if (!ishow_log_format_find(format_name, &format))
        return PyErr_Format(PyExc_ValueError, "the log's format must be text or json, not %s", format_name);
    ishow_log_set_format(format);
    Py_BEGIN_ALLOW_THREADS ishow_log_set_sink(ishow_log_to_stderr, NULL, level);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"check_reference", check_reference, METH_VARARGS,
     "check_reference(samples, sample_rate, text)\n--\n\nRefuse a clip that cannot be a reference (VoiceError or "
     "TextError): length, level, clipping, no speech, a text that does not fit."},
    {"live_handles", live_handles, METH_NOARGS,
     "Opaque handles of the C library that are alive in this process: 0 when all is closed."},
    {"log_to_stderr", log_to_stderr, METH_VARARGS,
     "log_to_stderr(level, format='text', /)\n--\n\nWrite the library's log to standard error: from this level on, as "
     "text or json."},
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_engine, "The C engine.", functions, module_state, 3, NULL)
