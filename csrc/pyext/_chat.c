/* ishowtts._chat: live chat for Python as the server has it (service/chat.h), spoken by an engine of ishowtts._engine
 * and kept in a store of ishowtts._service.
 *
 * The chat has its own thread, which never takes the interpreter lock; news are written to an eventfd, for event loops.
 * What may wait (durability) waits without the lock. */
#include "pyext/module.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "pyext/answer.h"
#include "pyext/handles.h"
#include "service/chat.h"
#include "service/settings.h"

typedef struct module_state {
    PyObject *chat_type, *reader_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

typedef struct chat_object {
    PyObject_HEAD PyObject *engine, *store; /* capsules, which keep them open; store: NULL without one */
    settings settings;                      /* of the start: the sources are borrowed from it */
    chat_service *chat;                     /* NULL: closed */
    size_t users;                           /* readers, and calls that run; guarded by the interpreter lock */
    int closing, notify;
} chat_object;

typedef struct reader_object {
    PyObject_HEAD chat_object *owner; /* keeps the chat open */
    ishow_chat_reader *reader;
    int busy;
} reader_object;

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    const module_state *state = PyType_GetModuleState(type);
    return raise_status(state->from_status, status, error);
}

/* ---- Chat ---- */

/* With the interpreter lock; frees without it. */
static void chat_release(chat_object *self) {
    chat_service *chat = self->chat;
    self->chat = NULL;
    if (chat) {
        Py_BEGIN_ALLOW_THREADS ishow_chat_service_close(chat);
        Py_END_ALLOW_THREADS
    }
    ishow_settings_free(&self->settings);
    Py_CLEAR(self->engine);
    Py_CLEAR(self->store);
}

static int enter(chat_object *self) {
    if (self->chat && !self->closing) return self->users++, 0;
    const ishow_error error = {.message = "The chat is closed."};
    raise(Py_TYPE(self), ISHOW_ESTATE, &error);
    return -1;
}

static void leave(chat_object *self) {
    if (--self->users == 0 && self->closing) chat_release(self);
}

static void on_news(void *user) {
    const chat_object *self = user;
    const uint64_t one = 1;
    const ssize_t ignored =
        write(self->notify, &one, sizeof one); /* fails only when the count is full, and then it is readable */
    (void)ignored;
}

static ishow_status chat_open(chat_object *self, const char *json, ishow_engine *engine, ishow_store *store,
                              ishow_error *error) {
    settings *s = &self->settings;
    ishow_status status = ishow_settings_read(s, json, error);
    if (!status)
        status = ishow_chat_service_open(&self->chat, store, engine, &s->server.sampling, s->default_voice,
                                         ishow_chat_settings_options(s->chat), s->sources, s->n_sources, NULL, error);
    if (!status && self->notify >= 0) ishow_chat_on_news(ishow_chat_service_chat(self->chat), on_news, self);
    return status;
}

static PyObject *chat_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"config", "engine", "store", "notify", NULL};
    const char *config;
    PyObject *engine_handle, *store_handle = Py_None; /* borrowed */
    int notify = -1;
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O$i:Chat", names, &config, &engine_handle, &store_handle,
                                     &notify))
        return NULL;
    ishow_engine *engine = engine_of(engine_handle);
    ishow_store *store = engine ? store_of(store_handle) : NULL;
    if (PyErr_Occurred()) return NULL;
    chat_object *self = (chat_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->engine = Py_NewRef(engine_handle);
    self->store = store ? Py_NewRef(store_handle) : NULL;
    self->notify = notify;
    Py_BEGIN_ALLOW_THREADS status = chat_open(self, config, engine, store, &error);
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) return (PyObject *)self;
    raise(type, status, &error);
    Py_DECREF(self);
    return NULL;
}

static void chat_dealloc(PyObject *object) {
    chat_object *self = (chat_object *)object;
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    chat_release(self);
    PyErr_Restore(kind, value, trace);
    free_object(object);
}

static PyObject *configure(PyObject *object, PyObject *arg) {
    chat_object *self = (chat_object *)object;
    const char *config = PyUnicode_AsUTF8(arg);
    chat_change *change = NULL;
    ishow_error error = {0};
    ishow_status status;
    if (!config || enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS settings s;
    status = ishow_settings_read(&s, config, &error);
    if (!status) {
        status = ishow_chat_service_prepare(&change, &s.server.sampling, s.default_voice,
                                            ishow_chat_settings_options(s.chat), &error);
        if (!status) ishow_chat_service_install(self->chat, change);
        ishow_settings_free(&s);
    }
    Py_END_ALLOW_THREADS leave(self);
    if (status) return raise(Py_TYPE(object), status, &error);
    Py_RETURN_NONE;
}

/* A caller that waits for durability, without the interpreter lock. */
typedef struct durable_wait {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int settled;
    ishow_status status;
} durable_wait;

static void on_durable(void *user, ishow_status status) {
    durable_wait *p = user;
    pthread_mutex_lock(&p->lock);
    p->settled = 1;
    p->status = status;
    pthread_cond_signal(&p->answered);
    pthread_mutex_unlock(&p->lock);
}

static PyObject *ask(PyObject *object, PyObject *args) {
    static const char *const verbs[] = {"enqueue", "skip",    "pause",  "resume", "clear", "replay", "mute",
                                        "unmute",  "approve", "reject", "start",  "stop",  "queue",  "status"};
    chat_object *self = (chat_object *)object;
    const char *verb, *body = "";
    Py_ssize_t n = 0;
    size_t i = 0;
    if (!PyArg_ParseTuple(args, "s|y#:ask", &verb, &body, &n)) return NULL;
    while (i < sizeof verbs / sizeof *verbs && strcmp(verb, verbs[i])) i++;
    if (i == sizeof verbs / sizeof *verbs && strncmp(verb, "ingest/", 7))
        return PyErr_Format(PyExc_ValueError, "there is no verb %s", verb);
    if (enter(self) < 0) return NULL;
    durable_wait p = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, ISHOW_OK};
    ishow_buffer out = {0};
    fault f = {0};
    int status, waits;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_chat_service_ask(self->chat, verb, body, (size_t)n, on_durable, &p, &waits, &out, &f);
    pthread_mutex_lock(&p.lock);
    while (waits && !p.settled) pthread_cond_wait(&p.answered, &p.lock);
    pthread_mutex_unlock(&p.lock);
    if (waits && p.status) {
        ishow_chat_service_not_kept(&f);
        ishow_buffer_free(&out);
        status = 0;
    }
    Py_END_ALLOW_THREADS pthread_cond_destroy(&p.answered);
    pthread_mutex_destroy(&p.lock);
    leave(self);
    return answer_of(status, &out, &f);
}

static PyObject *delete_message(PyObject *object, PyObject *arg) {
    chat_object *self = (chat_object *)object;
    const char *id = PyUnicode_AsUTF8(arg);
    ishow_buffer none = {0};
    fault f = {0};
    int status;
    if (!id || enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS status = ishow_chat_service_delete(self->chat, id, &f) ? 204 : 0;
    Py_END_ALLOW_THREADS leave(self);
    return answer_of(status, &none, &f);
}

static PyObject *metrics(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    ishow_buffer out = {0};
    (void)unused;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS ishow_chat_service_metrics(&self->chat, 1, &out);
    Py_END_ALLOW_THREADS leave(self);
    PyObject *text =
        out.failed ? PyErr_NoMemory() : PyBytes_FromStringAndSize((const char *)out.data, (Py_ssize_t)out.n);
    ishow_buffer_free(&out);
    return text;
}

static PyObject *listen_chat(PyObject *object, PyObject *args) {
    chat_object *self = (chat_object *)object;
    const char *last = NULL;
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTuple(args, "|z:listen", &last) || enter(self) < 0) return NULL;
    const module_state *state = PyType_GetModuleState(Py_TYPE(object));
    PyTypeObject *type = (PyTypeObject *)state->reader_type; /* borrowed */
    reader_object *reader = (reader_object *)type->tp_alloc(type, 0);
    if (!reader) {
        leave(self);
        return NULL;
    }
    reader->owner = (chat_object *)Py_NewRef(object); /* and the use that enter counted */
    Py_BEGIN_ALLOW_THREADS status =
        ishow_chat_reader_open(&reader->reader, ishow_chat_service_chat(self->chat), last, &error);
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) return (PyObject *)reader;
    raise(Py_TYPE(object), status, &error);
    Py_DECREF(reader);
    return NULL;
}

static PyObject *finish(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    int plays;
    (void)unused;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS plays = ishow_chat_finish(ishow_chat_service_chat(self->chat));
    Py_END_ALLOW_THREADS leave(self);
    return PyBool_FromLong(plays);
}

static PyObject *close_chat(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    (void)unused;
    self->closing = 1;
    if (!self->users) chat_release(self);
    Py_RETURN_NONE;
}

static PyMethodDef chat_methods[] = {
    {"configure", configure, METH_O,
     "configure(config, /)\n--\n\nAnother [chat], sampling and default voice from now on; sources stay as they are. "
     "What waits stays."},
    {"ask", ask, METH_VARARGS,
     "ask(verb, body=b'', /)\n--\n\nA request to /api/danmaku/VERB: (status, JSON). Any thread; enqueue waits until an "
     "accepted message would survive a crash, start and "
     "stop until the platforms' thread is free."},
    {"delete", delete_message, METH_O, "delete(id, /)\n--\n\nA message that will not be heard: (204, ''), or a fault."},
    {"metrics", metrics, METH_NOARGS, "metrics()\n--\n\nPrometheus text."},
    {"listen", listen_chat, METH_VARARGS, "listen(last_event_id=None, /)\n--\n\nA Reader."},
    {"finish", finish, METH_NOARGS, "finish()\n--\n\nNo further clip begins; whether one plays still."},
    {"close", close_chat, METH_NOARGS, "End it, as soon as its readers are gone. What waits stays in the journal."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot chat_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)chat_new},
    {Py_tp_dealloc, (void *)(uintptr_t)chat_dealloc},
    {Py_tp_methods, chat_methods},
    {Py_tp_doc, "Chat(config, engine, store=None, *, notify=-1)\n--\n\nLive chat read aloud. config: "
                "`Config.to_json()`; engine: `Engine.handle()`; store: `Store.handle()`, where what "
                "waits survives a crash; notify: an eventfd that is written to when readers may have something."},
    {0, NULL},
};

static PyType_Spec chat_spec = {.name = "ishowtts._chat.Chat",
                                .basicsize = sizeof(chat_object),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                .slots = chat_slots};

/* ---- Reader ---- */

static void reader_dealloc(PyObject *object) {
    reader_object *self = (reader_object *)object;
    ishow_chat_reader_close(self->reader);
    if (self->owner) leave(self->owner);
    Py_CLEAR(self->owner);
    free_object(object);
}

static int reader_enter(reader_object *self) {
    if (!self->busy) return self->busy = 1, 0;
    PyErr_SetString(PyExc_RuntimeError, "another thread reads from this reader");
    return -1;
}

static PyObject *reader_text(PyObject *object, PyObject *args) {
    reader_object *self = (reader_object *)object;
    Py_ssize_t most = 65536;
    size_t n;
    if (!PyArg_ParseTuple(args, "|n:text", &most)) return NULL;
    if (most < 1) return PyErr_Format(PyExc_ValueError, "most must be positive, not %zd", most);
    if (reader_enter(self) < 0) return NULL;
    char *out = PyMem_Malloc((size_t)most);
    if (!out) {
        self->busy = 0;
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS n = ishow_chat_reader_text(self->reader, out, (size_t)most);
    Py_END_ALLOW_THREADS self->busy = 0;
    PyObject *text = PyBytes_FromStringAndSize(out, (Py_ssize_t)n);
    PyMem_Free(out);
    return text;
}

static PyObject *reader_frame(PyObject *object, PyObject *unused) {
    reader_object *self = (reader_object *)object;
    const unsigned char *data = NULL;
    size_t n = 0;
    int binary = 0, found;
    (void)unused;
    if (reader_enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS found = ishow_chat_reader_frame(self->reader, &data, &n, &binary);
    Py_END_ALLOW_THREADS self->busy = 0;
    if (!found) Py_RETURN_NONE;
    return binary ? PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)n)
                  : PyUnicode_DecodeUTF8((const char *)data, (Py_ssize_t)n, NULL);
}

static PyMethodDef reader_methods[] = {
    {"text", reader_text, METH_VARARGS,
     "text(most=65536, /)\n--\n\nServer-sent events, at most `most` bytes. b'': nothing came."},
    {"frame", reader_frame, METH_NOARGS,
     "frame()\n--\n\nOne event for WebSocket: str (JSON) or bytes (length, JSON, WAV). None: nothing came. Do not mix "
     "with text."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_dealloc, (void *)(uintptr_t)reader_dealloc},
    {Py_tp_methods, reader_methods},
    {Py_tp_doc, "One listener of a Chat; gone with its last reference."},
    {0, NULL},
};

static PyType_Spec reader_spec = {.name = "ishowtts._chat.Reader",
                                  .basicsize = sizeof(reader_object),
                                  .flags =
                                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                  .slots = reader_slots};

/* ---- module ---- */

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const int good = (state->from_status = import_from_status()) && (state->chat_type = add_type(module, &chat_spec)) &&
                     (state->reader_type = add_type(module, &reader_spec));
    return good ? 0 : -1;
}

static PyMethodDef functions[] = {
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_chat, "Live chat.", functions, module_state, 3, NULL)
