/* ishowtts._engine: the C engine inside `python`, over the same bridge that the server embeds (see ishow/engine.h, ishow/bridge.h).
 *
 * Every call into the core is made without the interpreter lock: the core's threads need it for the text front end and for the Python
 * backend. Waiting is done in slices so that signals are seen. The lock also guards the small counters here: an engine that is closed
 * while another thread is inside a call is freed by the last one to leave. Each engine attaches a bridge of its own. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <unistd.h>

#include "base/base.h"
#include "ishow/bridge.h"
#include "ishow/defaults.h"
#include "ishow/engine.h"

#define WAIT_SLICE 0.1 /* seconds between two looks at pending signals */

typedef struct module_state {
    PyTypeObject *engine_type, *utterance_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

typedef struct engine_object {
    PyObject_HEAD
    ishow_bridge *bridge;
    ishow_engine *engine;
    char *model, *precision;
    int threads, pending;
    int closing, users; /* guarded by the interpreter lock */
} engine_object;

typedef struct utterance_object {
    PyObject_HEAD
    PyObject *owner; /* keeps the engine open while it is listened to */
    ishow_utterance *utterance;
    int reading;
} utterance_object;

static struct PyModuleDef definition;

static module_state *state_of(PyTypeObject *type) {
    PyObject *module = PyType_GetModuleByDef(type, &definition); /* borrowed */
    return module ? PyModule_GetState(module) : NULL;
}

static PyObject *raise_by(const module_state *state, ishow_status status, const ishow_error *error) {
    if (!state) return NULL;
    if (status == ISHOW_ENOMEM) return PyErr_SetString(PyExc_MemoryError, error->message), NULL;
    PyObject *exception = PyObject_CallFunction(state->from_status, "sss", ishow_status_name(status), error->field, error->message);
    if (exception) PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) { return raise_by(state_of(type), status, error); }

/* 0, or -1 with an exception. */
static int take_samples(PyObject *samples, Py_buffer *buffer) {
    if (PyObject_GetBuffer(samples, buffer, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) return -1;
    if (buffer->ndim == 1 && buffer->format && strcmp(buffer->format, "f") == 0) return 0;
    PyBuffer_Release(buffer);
    PyErr_SetString(PyExc_TypeError, "samples must be a one-dimensional, contiguous float32 buffer");
    return -1;
}

/* ---- Engine ---- */

static void engine_release(engine_object *self) {
    ishow_bridge *bridge = self->bridge;
    ishow_engine *engine = self->engine;
    self->bridge = NULL;
    self->engine = NULL;
    if (!bridge && !engine) return;
    Py_BEGIN_ALLOW_THREADS
    if (bridge) ishow_bridge_compile_stop(bridge);
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

static ishow_status engine_open(engine_object *self, const char *chosen, const ishow_engine_options *options, ishow_error *error) {
    ishow_text_frontend frontend = {0};
    ishow_backend backend = {0};
    ishow_status status = ishow_bridge_frontend(self->bridge, self->model, &frontend, error);
    if (status) return status;
    status = ishow_bridge_open(self->bridge, self->model, self->precision, chosen, self->threads, &backend, &self->pending, error);
    if (status) {
        frontend.close(frontend.self);
        return status;
    }
    return ishow_engine_create(&self->engine, &backend, &frontend, options, error);
}

static PyObject *engine_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"model", "precision", "threads", "backend", "queue_capacity", "cache_bytes", "max_rows", "chunk_seconds", "retries", NULL};
    ishow_engine_options options = ishow_engine_options_default();
    Py_ssize_t queue = (Py_ssize_t)options.queue_capacity, cache = (Py_ssize_t)options.cache_bytes, rows = (Py_ssize_t)options.max_rows;
    const char *model = NULL, *precision = NULL, *backend = "auto";
    int threads = 0;
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|zi$snnndi:Engine", names, &model, &precision, &threads, &backend, &queue, &cache, &rows,
                                     &options.chunk_seconds, &options.retries))
        return NULL;
    if (queue < 1 || cache < 0 || rows < 1) return PyErr_SetString(PyExc_ValueError, "queue_capacity and max_rows must be positive, cache_bytes not negative"), NULL;
    options.queue_capacity = (size_t)queue;
    options.cache_bytes = (size_t)cache;
    options.max_rows = (size_t)rows;
    engine_object *self = (engine_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->model = ishow_strdup(model);
    self->precision = ishow_strdup(precision);
    self->threads = threads;
    if (!self->model || (precision && !self->precision)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    ishow_status status = ishow_bridge_attach(&self->bridge, &error);
    if (!status) {
        Py_BEGIN_ALLOW_THREADS
        status = engine_open(self, backend, &options, &error);
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
    PyTypeObject *type = Py_TYPE(object);
    engine_release(self);
    free(self->model);
    free(self->precision);
    type->tp_free(object);
    Py_DECREF(type);
}

static PyObject *engine_set_voice(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"id", "text", "samples", "sample_rate", "language", NULL};
    engine_object *self = (engine_object *)object;
    PyObject *samples = NULL;
    Py_buffer buffer = {0};
    ishow_voice voice = {0};
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ssO|iz:set_voice", names, &voice.id, &voice.text, &samples, &voice.sample_rate, &voice.language)) return NULL;
    if (samples != Py_None) {
        if (take_samples(samples, &buffer) != 0) return NULL;
        voice.samples = buffer.buf;
        voice.length = (size_t)buffer.len / sizeof(float);
    }
    PyObject *result = NULL;
    if (enter(self) == 0) {
        Py_BEGIN_ALLOW_THREADS
        status = ishow_engine_set_voice(self->engine, &voice, &error);
        Py_END_ALLOW_THREADS
        result = leave_with(self, status, &error);
    }
    if (buffer.obj) PyBuffer_Release(&buffer);
    return result;
}

static PyObject *engine_remove_voice(PyObject *object, PyObject *arg) {
    engine_object *self = (engine_object *)object;
    const char *id = PyUnicode_AsUTF8(arg); /* borrowed from arg */
    ishow_error error = {0};
    ishow_status status;
    if (!id || enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_engine_remove_voice(self->engine, id, &error);
    Py_END_ALLOW_THREADS
    return leave_with(self, status, &error);
}

static PyObject *engine_voices(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_voice_entry *entries = NULL;
    ishow_error error = {0};
    ishow_status status;
    size_t n = 0;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_engine_list_voices(self->engine, &entries, &n, &error);
    Py_END_ALLOW_THREADS
    leave(self);
    if (status) return raise(Py_TYPE(self), status, &error);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = Py_BuildValue("{ss,ss,ss,sd}", "id", entries[i].id, "language", entries[i].language, "text", entries[i].text, "seconds", entries[i].seconds);
        if (item) PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else Py_CLEAR(list);
    }
    free(entries);
    return list;
}

/* A whole number in 0..2^64-1; -1 with an exception. */
static int take_seed(PyObject *value, ishow_request *request) {
    if (value == Py_None) return 0;
    request->seed = PyLong_AsUnsignedLongLong(value);
    request->has_seed = 1;
    return PyErr_Occurred() ? -1 : 0;
}

/* Called on an engine's thread, which must not take the interpreter lock: an eventfd tells an event loop of Python's. */
static void notify_fd(void *user) {
    const uint64_t one = 1;
    const ssize_t ignored = write((int)(intptr_t)user, &one, sizeof one); /* fails only when the count is full, and then it is readable */
    (void)ignored;
}

static PyObject *engine_submit(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"text", "voice", "nfe", "cfg", "sway", "uniform_grid", "speed", "target_rms", "cross_fade", "fix_duration", "remove_silence", "early", "seed", "priority", "deadline", "notify", NULL};
    engine_object *self = (engine_object *)object;
    ishow_request request = ishow_request_default();
    PyObject *seed = Py_None;
    ishow_error error = {0};
    ishow_status status;
    int uniform = request.grid == ISHOW_GRID_UNIFORM, notify = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s|z$iddpddddppOidi:submit", names, &request.text, &request.voice, &request.nfe, &request.cfg, &request.sway, &uniform,
                                     &request.speed, &request.target_rms, &request.cross_fade, &request.fix_duration, &request.remove_silence, &request.early, &seed, &request.priority,
                                     &request.deadline, &notify) ||
        take_seed(seed, &request) != 0)
        return NULL;
    request.grid = uniform ? ISHOW_GRID_UNIFORM : ISHOW_GRID_EPSS;
    const module_state *state = state_of(Py_TYPE(self));
    utterance_object *utterance = state ? (utterance_object *)state->utterance_type->tp_alloc(state->utterance_type, 0) : NULL;
    if (!utterance || enter(self) != 0) {
        Py_XDECREF(utterance);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ishow_engine_submit(self->engine, &request, notify < 0 ? NULL : notify_fd, (void *)(intptr_t)notify, &utterance->utterance, &error);
    Py_END_ALLOW_THREADS
    leave(self);
    if (status) {
        utterance->utterance = NULL;
        Py_DECREF(utterance);
        return raise(Py_TYPE(self), status, &error);
    }
    utterance->owner = Py_NewRef(object);
    return (PyObject *)utterance;
}

static PyObject *engine_info(PyObject *object, PyObject *unused) {
    (void)unused;
    static const char *const layouts[] = {"padded", "average", "aligned"};
    engine_object *self = (engine_object *)object;
    ishow_model_info info;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    ishow_engine_info(self->engine, &info);
    Py_END_ALLOW_THREADS
    leave(self);
    return Py_BuildValue("{ss,ss,ss,ss,si,si,si,si,si,si,ss,sO,sO,sn,sn,sn}", "name", info.name, "backend", info.backend, "precision", info.precision, "content_hash",
                         info.content_hash, "sample_rate", info.sample_rate, "n_fft", info.n_fft, "hop", info.hop, "n_mels", info.n_mels, "dim", info.dim, "mod_width",
                         info.mod_width, "text_layout", layouts[info.text_layout], "predicts_durations", info.predicts_durations ? Py_True : Py_False, "uses_prompt",
                         info.uses_prompt ? Py_True : Py_False, "max_frames", (Py_ssize_t)info.max_frames, "chunk_frames", (Py_ssize_t)info.chunk_frames, "max_rows", (Py_ssize_t)info.max_rows);
}

static PyObject *engine_stats(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_engine_stats s;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    ishow_engine_stats_get(self->engine, &s);
    Py_END_ALLOW_THREADS
    leave(self);
    return Py_BuildValue("{sK,sK,sK,sK,sK,sK,sK,sK,sK,sd,sd,sd,sn,sn,sK,sK,sK,sn,sn}", "submitted", s.submitted, "completed", s.completed, "failed", s.failed, "cancelled", s.cancelled,
                         "refused", s.refused, "steps", s.steps, "rows", s.rows, "retries", s.retries, "swaps", s.swaps, "audio_seconds", s.audio_seconds, "model_seconds", s.model_seconds,
                         "busy_seconds", s.busy_seconds, "waiting", (Py_ssize_t)s.waiting, "in_flight", (Py_ssize_t)s.in_flight, "cache_hits", s.cache.hits, "cache_misses",
                         s.cache.misses, "cache_evictions", s.cache.evictions, "cache_bytes", (Py_ssize_t)s.cache.bytes, "cache_entries", (Py_ssize_t)s.cache.entries);
}

static PyObject *engine_compile_start(PyObject *object, PyObject *unused) {
    (void)unused;
    engine_object *self = (engine_object *)object;
    ishow_error error = {0};
    ishow_status status;
    if (enter(self) != 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_bridge_compile_start(self->bridge, self->engine, self->model, self->precision, self->threads, &error);
    Py_END_ALLOW_THREADS
    return leave_with(self, status, &error);
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
    {"submit", (PyCFunction)(void (*)(void))engine_submit, METH_VARARGS | METH_KEYWORDS, "Queue a text; returns its Utterance."},
    {"set_voice", (PyCFunction)(void (*)(void))engine_set_voice, METH_VARARGS | METH_KEYWORDS, "Add or replace a voice: mono float32 samples and their exact text."},
    {"remove_voice", engine_remove_voice, METH_O, "Forget a voice."},
    {"voices", engine_voices, METH_NOARGS, "All voices, in order of arrival."},
    {"info", engine_info, METH_NOARGS, "What the active backend is."},
    {"stats", engine_stats, METH_NOARGS, "Counters since the engine was opened."},
    {"compile_start", engine_compile_start, METH_NOARGS, "Compile a package in a process of its own and swap it in when it is done."},
    {"compile_state", engine_compile_state, METH_NOARGS, "(\"none\" | \"running\" | \"swapped\" | \"failed\", why)."},
    {"handle", engine_handle, METH_NOARGS, "A capsule for ishowtts._chatqueue, which keeps the engine open."},
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

static PyType_Spec engine_spec = {.name = "ishowtts._engine.Engine", .basicsize = sizeof(engine_object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, .slots = engine_slots};

/* ---- Utterance ---- */

static void utterance_dealloc(PyObject *object) {
    utterance_object *self = (utterance_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_BEGIN_ALLOW_THREADS
    ishow_utterance_free(self->utterance);
    Py_END_ALLOW_THREADS
    Py_XDECREF(self->owner);
    type->tp_free(object);
    Py_DECREF(type);
}

/* Waits in slices; 0 when `next` has an answer in *status, -1 with an exception when a signal's handler raised. */
static int wait_next(utterance_object *self, double timeout, ishow_status *status, const float **samples, size_t *n, ishow_error *error) {
    const double end = ishow_now() + timeout;
    for (;;) {
        double left = timeout < 0 ? WAIT_SLICE : end - ishow_now();
        left = left < 0 ? 0 : left > WAIT_SLICE ? WAIT_SLICE : left;
        ishow_error_clear(error);
        Py_BEGIN_ALLOW_THREADS
        *status = ishow_utterance_next(self->utterance, left, samples, n, error);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() != 0) return -1;
        const int nothing_yet = *status == ISHOW_ETIMEOUT && strcmp(error->field, "deadline") != 0;
        if (!nothing_yet || (timeout >= 0 && ishow_now() >= end)) return 0;
    }
}

static PyObject *utterance_next(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"timeout", NULL};
    utterance_object *self = (utterance_object *)object;
    const float *samples = NULL; /* borrowed until the next call */
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    double timeout = -1;
    size_t n = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|d:next", names, &timeout)) return NULL;
    if (self->reading) {
        error = (ishow_error){.message = "Another thread is reading this utterance."};
        return raise(Py_TYPE(self), ISHOW_ESTATE, &error);
    }
    self->reading = 1;
    int failed = wait_next(self, timeout, &status, &samples, &n, &error);
    self->reading = 0;
    if (failed) return NULL;
    if (status) return raise(Py_TYPE(self), status, &error);
    if (n == 0) Py_RETURN_NONE;
    return PyByteArray_FromStringAndSize((const char *)samples, (Py_ssize_t)(n * sizeof *samples));
}

static PyObject *utterance_cancel(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    Py_BEGIN_ALLOW_THREADS
    ishow_utterance_cancel(self->utterance);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *utterance_timings(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    ishow_timings t;
    Py_BEGIN_ALLOW_THREADS
    ishow_utterance_timings(self->utterance, &t);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("{sd,sd,sd,sd,sd,sd,si,si,sK,si,ss}", "queue", t.queue, "text", t.text, "first_audio", t.first_audio, "total", t.total, "model", t.model, "audio", t.audio,
                         "chunks", t.chunks, "retries", t.retries, "seed", (unsigned long long)t.seed, "sample_rate", t.sample_rate, "voice", t.voice);
}

static PyObject *utterance_progress(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    double progress;
    Py_BEGIN_ALLOW_THREADS
    progress = ishow_utterance_progress(self->utterance);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(progress);
}

static PyMethodDef utterance_methods[] = {
    {"next", (PyCFunction)(void (*)(void))utterance_next, METH_VARARGS | METH_KEYWORDS,
     "next(timeout=-1)\n--\n\nThe next piece of audio as float32 bytes, None at the end. Waits up to `timeout` seconds (below 0: for ever)."},
    {"cancel", utterance_cancel, METH_NOARGS, "Stop at the next step; next() then raises ECANCELLED."},
    {"timings", utterance_timings, METH_NOARGS, "Seconds spent where, seed, sample rate."},
    {"progress", utterance_progress, METH_NOARGS, "0 to 1, by steps taken."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot utterance_slots[] = {
    {Py_tp_dealloc, (void *)(uintptr_t)utterance_dealloc},
    {Py_tp_methods, utterance_methods},
    {Py_tp_doc, "One text on its way to audio; freed and cancelled with its last reference."},
    {0, NULL},
};

static PyType_Spec utterance_spec = {.name = "ishowtts._engine.Utterance", .basicsize = sizeof(utterance_object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, .slots = utterance_slots};

/* ---- Module ---- */

/* One line a default, in the order of defaults.h. */
#define WHOLE(NAME) {#NAME, NULL, (double)(NAME), 1}
#define REAL(NAME) {#NAME, NULL, (double)(NAME), 0}
#define TEXT(NAME) {#NAME, NAME, 0, 0}
static const struct {
    const char *name, *text;
    double number;
    int whole;
} default_values[] = {
    WHOLE(ISHOW_NFE),
    WHOLE(ISHOW_NFE_MIN),
    WHOLE(ISHOW_NFE_MAX),
    REAL(ISHOW_CFG_STRENGTH),
    REAL(ISHOW_CFG_STRENGTH_MAX),
    REAL(ISHOW_SWAY),
    REAL(ISHOW_SWAY_MIN),
    REAL(ISHOW_SWAY_MAX),
    REAL(ISHOW_SPEED),
    REAL(ISHOW_SPEED_MIN),
    REAL(ISHOW_SPEED_MAX),
    REAL(ISHOW_TARGET_RMS),
    REAL(ISHOW_CROSS_FADE),
    REAL(ISHOW_CROSS_FADE_MAX),
    REAL(ISHOW_FIX_DURATION_MAX),
    WHOLE(ISHOW_MAX_TEXT_CHARS),
    REAL(ISHOW_REFERENCE_SECONDS_MIN),
    REAL(ISHOW_REFERENCE_SECONDS_MAX),
    REAL(ISHOW_REFERENCE_RMS_MIN),
    REAL(ISHOW_REFERENCE_RMS_MAX),
    REAL(ISHOW_REFERENCE_CLIPPED_MAX),
    WHOLE(ISHOW_UPLOAD_BYTES_MAX),
    WHOLE(ISHOW_QUEUE_CAPACITY),
    WHOLE(ISHOW_CACHE_BYTES),
    WHOLE(ISHOW_MAX_ROWS),
    REAL(ISHOW_CHUNK_SECONDS),
    REAL(ISHOW_EARLY_SECONDS),
    WHOLE(ISHOW_RETRIES),
    TEXT(ISHOW_HOST),
    WHOLE(ISHOW_PORT),
    WHOLE(ISHOW_BODY_BYTES_MAX),
    WHOLE(ISHOW_REQUEST_SECONDS),
    WHOLE(ISHOW_DRAIN_SECONDS), WHOLE(ISHOW_CONNECTIONS_MAX), WHOLE(ISHOW_CONNECTIONS_PER_CLIENT),
    TEXT(ISHOW_CHAT_TWITCH_URL),
    TEXT(ISHOW_CHAT_BILIBILI_URL),
    TEXT(ISHOW_CHAT_BILIBILI_ACCOUNT_URL),
    TEXT(ISHOW_CHAT_YOUTUBE_URL),
    REAL(ISHOW_CHAT_CONNECT_SECONDS),
    REAL(ISHOW_CHAT_HEARTBEAT_SECONDS),
    REAL(ISHOW_CHAT_BILIBILI_HEARTBEAT_SECONDS),
    REAL(ISHOW_CHAT_REPLY_SECONDS),
    REAL(ISHOW_CHAT_BACKOFF_SECONDS),
    REAL(ISHOW_CHAT_BACKOFF_MAX_SECONDS),
    REAL(ISHOW_CHAT_SECONDS_MAX),
    REAL(ISHOW_CHAT_POLL_SECONDS_MIN),
    WHOLE(ISHOW_CHAT_QUOTA_UNITS),
    WHOLE(ISHOW_CHAT_LINE_BYTES_MAX),
    WHOLE(ISHOW_CHAT_FRAME_BYTES_MAX),
    WHOLE(ISHOW_CHAT_INFLATE_BYTES_MAX),
    WHOLE(ISHOW_CHAT_LOGINS),
    REAL(ISHOW_CHAT_LOGIN_SECONDS),
    WHOLE(ISHOW_CHAT_WORDS_MAX),
    WHOLE(ISHOW_CHAT_GRAPHEMES_MAX),
    WHOLE(ISHOW_CHAT_QUEUE_MAX),
    REAL(ISHOW_CHAT_RATE),
    REAL(ISHOW_CHAT_COOLDOWN_SECONDS),
    REAL(ISHOW_CHAT_REPEAT_SECONDS),
    WHOLE(ISHOW_CHAT_FLOOD_MESSAGES),
    REAL(ISHOW_CHAT_FLOOD_SECONDS),
    REAL(ISHOW_CHAT_AGEING_SECONDS),
    REAL(ISHOW_CHAT_EXPIRE_SECONDS),
    REAL(ISHOW_CHAT_NAME_AGAIN_SECONDS),
    REAL(ISHOW_CHAT_GAP_SECONDS),
    WHOLE(ISHOW_CHAT_PREFETCH),
    TEXT(ISHOW_CHAT_COMMAND_PREFIX),
    TEXT(ISHOW_CHAT_LANGUAGE),
    TEXT(ISHOW_CHAT_TEMPLATE),
    TEXT(ISHOW_CHAT_TEMPLATE_PAID),
    TEXT(ISHOW_CHAT_TEMPLATE_GIFT),
    TEXT(ISHOW_CHAT_TEMPLATE_EVENT),
    WHOLE(ISHOW_CHAT_READER_BYTES),
};
#undef WHOLE
#undef REAL
#undef TEXT

static PyObject *make_defaults(void) {
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < sizeof default_values / sizeof *default_values; i++) {
        char name[64];
        const char *from = default_values[i].name + strlen("ISHOW_");
        size_t n = 0;
        for (; from[n] && n < sizeof name - 1; n++) name[n] = (char)Py_TOLOWER(from[n]);
        name[n] = '\0';
        PyObject *value = default_values[i].text    ? PyUnicode_FromString(default_values[i].text)
                          : default_values[i].whole ? PyLong_FromDouble(default_values[i].number)
                                                    : PyFloat_FromDouble(default_values[i].number);
        if (!value || PyDict_SetItemString(all, name, value) < 0) Py_CLEAR(all);
        Py_XDECREF(value);
    }
    return all;
}

static PyObject *live_handles(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromLong(ishow_live_handles());
}

static PyObject *check_reference(PyObject *module, PyObject *args) {
    PyObject *samples = NULL; /* borrowed from args */
    Py_buffer buffer = {0};
    ishow_pcm pcm = {0};
    ishow_error error = {0};
    ishow_status status;
    const char *text = NULL;
    if (!PyArg_ParseTuple(args, "Ois:check_reference", &samples, &pcm.sample_rate, &text) || take_samples(samples, &buffer) != 0) return NULL;
    pcm.samples = buffer.buf;
    pcm.length = (size_t)buffer.len / sizeof(float);
    Py_BEGIN_ALLOW_THREADS
    status = ishow_check_reference(&pcm, text, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&buffer);
    if (status) return raise_by(PyModule_GetState(module), status, &error);
    Py_RETURN_NONE;
}

static int add(PyObject *module, const char *name, PyObject *value) {
    int failed = PyModule_AddObjectRef(module, name, value); /* with value NULL: the exception stays */
    Py_XDECREF(value);
    return failed;
}

static int exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    PyObject *errors = PyImport_ImportModule("ishowtts.errors");
    if (errors) state->from_status = PyObject_GetAttrString(errors, "from_status");
    Py_XDECREF(errors);
    if (!state->from_status) return -1;
    state->engine_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &engine_spec, NULL);
    state->utterance_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &utterance_spec, NULL);
    if (!state->engine_type || !state->utterance_type || PyModule_AddType(module, state->engine_type) || PyModule_AddType(module, state->utterance_type)) return -1;
    return add(module, "DEFAULTS", make_defaults()) || add(module, "VERSION", PyUnicode_FromString(ishow_version())) ? -1 : 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    module_state *state = PyModule_GetState(module);
    Py_VISIT(state->engine_type);
    Py_VISIT(state->utterance_type);
    Py_VISIT(state->from_status);
    return 0;
}

static int clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->engine_type);
    Py_CLEAR(state->utterance_type);
    Py_CLEAR(state->from_status);
    return 0;
}

static PyMethodDef functions[] = {
    {"check_reference", check_reference, METH_VARARGS,
     "check_reference(samples, sample_rate, text)\n--\n\nRefuse a clip that cannot be a reference (VoiceError or TextError): length, level, clipping, no speech, a text that does not fit."},
    {"live_handles", live_handles, METH_NOARGS, "Opaque handles of the C core that are alive in this module: 0 when all is closed."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)(uintptr_t)exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ishowtts._engine",
    .m_doc = "The C engine.",
    .m_size = sizeof(module_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__engine(void) {
    return PyModuleDef_Init(&definition);
}
