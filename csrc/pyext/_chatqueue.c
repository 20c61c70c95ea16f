/* ishowtts._chatqueue: filter, queue and feed of live chat for Python, spoken by an engine of ishowtts._engine; see ishow/chatqueue.h.
 *
 * The chat has its own thread, which never takes the interpreter lock. What may wait (durability, a listener's next event) waits without the lock. */
#include "pyext/module.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "ishow/chatqueue.h"
#include "ishow/journal.h"

typedef struct module_state {
    PyObject *chat_type, *reader_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

/* Counts what happened, for those who wait. */
typedef struct bell { pthread_mutex_t lock; pthread_cond_t rung; uint64_t rings; } bell;

typedef struct chat_object {
    PyObject_HEAD
    PyObject *handle;           /* keeps the engine open */
    ishow_store *store;
    ishow_journal *journal;
    ishow_chat_engine *voice;
    ishow_chat *chat;           /* NULL: closed */
    size_t users;               /* readers, and calls that run; guarded by the interpreter lock */
    int closing;
    bell bell;
} chat_object;

typedef struct reader_object {
    PyObject_HEAD
    chat_object *owner;         /* keeps the chat open */
    ishow_chat_reader *reader;
    int busy;
} reader_object;

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    const module_state *state = PyType_GetModuleState(type);
    return raise_status(state->from_status, status, error);
}

/* ---- the bell ---- */

static void bell_make(bell *b) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->rung, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&b->lock, NULL);
}

static void bell_ring(void *self) {
    bell *b = self;
    pthread_mutex_lock(&b->lock);
    b->rings++;
    pthread_cond_broadcast(&b->rung);
    pthread_mutex_unlock(&b->lock);
}

static uint64_t bell_rings(bell *b) {
    pthread_mutex_lock(&b->lock);
    const uint64_t rings = b->rings;
    pthread_mutex_unlock(&b->lock);
    return rings;
}

/* Until it has rung since `heard`, or `seconds` have passed. */
static void bell_wait(bell *b, uint64_t heard, double seconds) {
    struct timespec until;
    ishow_deadline(seconds, &until);
    pthread_mutex_lock(&b->lock);
    while (b->rings == heard)
        if (pthread_cond_timedwait(&b->rung, &b->lock, &until)) break;
    pthread_mutex_unlock(&b->lock);
}

/* ---- Chat ---- */

/* With the interpreter lock; frees without it. */
static void chat_release(chat_object *self) {
    ishow_chat *chat = self->chat;
    if (!self->voice && !chat && !self->store) return;
    self->chat = NULL;
    Py_BEGIN_ALLOW_THREADS
    ishow_chat_free(chat);
    ishow_chat_engine_free(self->voice);
    ishow_journal_free(self->journal);
    ishow_store_close(self->store);
    Py_END_ALLOW_THREADS
    self->voice = NULL;
    self->journal = NULL;
    self->store = NULL;
    Py_CLEAR(self->handle);
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

static ishow_status chat_open(chat_object *self, ishow_engine *engine, const char *settings_json, const char *default_voice, const char *state_dir, ishow_error *error) {
    ishow_chat_settings *settings = NULL;
    ishow_chat_journal journal;
    const ishow_request sampling = ishow_request_default();
    ishow_status status = ishow_chat_settings_read(&settings, settings_json, error);
    if (status == ISHOW_OK && state_dir) status = ishow_store_open(&self->store, state_dir, error);
    if (status == ISHOW_OK && state_dir) status = ishow_journal_create(&self->journal, self->store, error);
    if (status == ISHOW_OK) status = ishow_chat_engine_create(&self->voice, engine, &sampling, default_voice, error);
    if (status != ISHOW_OK) goto done;
    const ishow_chat_synth synth = ishow_chat_engine_synth(self->voice);
    if (self->journal) journal = ishow_journal_table(self->journal);
    status = ishow_chat_create(&self->chat, ishow_chat_settings_options(settings), &synth, self->journal ? &journal : NULL, error);
    if (status != ISHOW_OK) goto done;
    ishow_chat_engine_notify(self->voice, self->chat);
    ishow_chat_on_news(self->chat, bell_ring, &self->bell);
    status = ishow_chat_run(self->chat, error);
done:
    ishow_chat_settings_free(settings);
    return status;
}

static PyObject *chat_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"settings", "handle", "default_voice", "state_dir", NULL};
    const char *settings, *default_voice = NULL, *state_dir = NULL;
    PyObject *handle; /* borrowed */
    ishow_error error = {0};
    ishow_status status;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|$zz:Chat", names, &settings, &handle, &default_voice, &state_dir)) return NULL;
    ishow_engine *engine = PyCapsule_GetPointer(handle, "ishow_engine");
    if (!engine) return NULL;
    chat_object *self = (chat_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    bell_make(&self->bell);
    self->handle = Py_NewRef(handle);
    Py_BEGIN_ALLOW_THREADS
    status = chat_open(self, engine, settings, default_voice, state_dir, &error);
    Py_END_ALLOW_THREADS
    if (status == ISHOW_OK) return (PyObject *)self;
    raise(type, status, &error);
    Py_DECREF(self);
    return NULL;
}

static void chat_dealloc(PyObject *object) {
    chat_object *self = (chat_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject *kind, *value, *trace;
    PyErr_Fetch(&kind, &value, &trace);
    chat_release(self);
    PyErr_Restore(kind, value, trace);
    Py_CLEAR(self->handle);
    pthread_cond_destroy(&self->bell.rung);
    pthread_mutex_destroy(&self->bell.lock);
    type->tp_free(object);
    Py_DECREF(type);
}

static ishow_span span(const char *text) { return (ishow_span){text, strlen(text)}; }

PyDoc_STRVAR(receive_doc, "receive(id, platform, channel, username, content, *, user_id='', login='', priority='Normal', roles=(), event='', amount=0.0, currency='', gift='', "
                          "count=0, language='', timestamp=0)\n--\n\nTake a message; waits until an accepted one would survive a crash. {'accepted', 'reason', 'merged', 'position', 'eta'}.");

static PyObject *receive(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"id", "platform", "channel", "username", "content", "user_id", "login", "priority", "roles", "event", "amount", "currency", "gift", "count", "language",
                            "timestamp", NULL};
    chat_object *self = (chat_object *)object;
    const char *id, *platform, *channel, *username, *content, *user_id = "", *login = "", *priority = "Normal", *event = "", *currency = "", *gift = "", *language = "";
    PyObject *roles = NULL; /* borrowed */
    double amount = 0;
    unsigned long long count = 0;
    long long timestamp = 0;
    ishow_chat_message m = {0};
    ishow_chat_verdict v;
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sssss|$sssOsdssKsL:receive", names, &id, &platform, &channel, &username, &content, &user_id, &login, &priority, &roles, &event,
                                     &amount, &currency, &gift, &count, &language, &timestamp))
        return NULL;
    if (!ishow_chat_priority_find(priority, &m.priority)) return PyErr_Format(PyExc_ValueError, "priority must be Gift, Paid, Moderator, Mention or Normal, not %s", priority);
    if (!(amount >= 0 && amount <= 1e9)) return PyErr_Format(PyExc_ValueError, "amount must be 0 to 1e9");
    if (strlen(currency) != 3 && *currency) return PyErr_Format(PyExc_ValueError, "currency must have 3 letters, not %s", currency);
    if (roles) {
        PyObject *list = PySequence_Fast(roles, "roles must be a sequence of names");
        for (Py_ssize_t i = 0; list && i < PySequence_Fast_GET_SIZE(list); i++) {
            const char *name = PyUnicode_AsUTF8(PySequence_Fast_GET_ITEM(list, i));
            unsigned role = name ? ishow_chat_role_find(name) : 0;
            if (!role) {
                if (name) PyErr_Format(PyExc_ValueError, "there is no role %s", name);
                Py_CLEAR(list);
            }
            m.roles |= role;
        }
        if (!list) return NULL;
        Py_DECREF(list);
    }
    m.id = span(id), m.platform = span(platform), m.channel = span(channel), m.display_name = span(username), m.text = span(content), m.user_id = span(user_id), m.login = span(login);
    m.system_text = span(event), m.gift_name = span(gift), m.language = span(language);
    memcpy(m.currency, currency, strlen(currency));
    m.amount_micros = (int64_t)(amount * 1e6 + 0.5);
    m.count = count;
    m.timestamp_ms = timestamp;
    m.kind = *gift ? ISHOW_CHAT_KIND_GIFT : amount > 0 ? ISHOW_CHAT_KIND_PAID : *event ? ISHOW_CHAT_KIND_EVENT : ISHOW_CHAT_KIND_TEXT;
    if (enter(self) < 0) return NULL;
    bell durable;
    ishow_status status;
    bell_make(&durable);
    Py_BEGIN_ALLOW_THREADS
    status = ishow_chat_receive(self->chat, &m, &v, bell_ring, &durable, &error);
    while (status == ISHOW_OK && v.accepted && !bell_rings(&durable)) bell_wait(&durable, 0, 1);
    Py_END_ALLOW_THREADS
    pthread_cond_destroy(&durable.rung);
    pthread_mutex_destroy(&durable.lock);
    leave(self);
    if (status != ISHOW_OK) return raise(Py_TYPE(object), status, &error);
    return Py_BuildValue("{s:O,s:z,s:O,s:n,s:d}", "accepted", v.accepted ? Py_True : Py_False, "reason", v.accepted ? NULL : ishow_chat_reason_name(v.reason), "merged",
                         v.merged ? Py_True : Py_False, "position", (Py_ssize_t)v.position, "eta", v.eta);
}

/* delete, delete_user, delete_all: n strings, of which the last names what goes. */
static PyObject *delete_some(PyObject *object, PyObject *args, PyObject *kwargs, int kind) {
    static char *ids[] = {"id", "platform", "channel", NULL}, *users[] = {"user", "platform", "channel", NULL}, *all[] = {"platform", "channel", NULL};
    chat_object *self = (chat_object *)object;
    const char *what = NULL, *platform = NULL, *channel = NULL;
    size_t n;
    if (kind == 2 ? !PyArg_ParseTupleAndKeywords(args, kwargs, "ss:delete_all", all, &platform, &channel)
                  : !PyArg_ParseTupleAndKeywords(args, kwargs, "s|zz", kind ? users : ids, &what, &platform, &channel))
        return NULL;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    n = kind == 0 ? ishow_chat_delete(self->chat, platform, channel, what) : kind == 1 ? ishow_chat_delete_user(self->chat, platform, channel, what)
                                                                                       : ishow_chat_delete_all(self->chat, platform, channel);
    Py_END_ALLOW_THREADS
    leave(self);
    return PyLong_FromSize_t(n);
}

static PyObject *delete_id(PyObject *o, PyObject *args, PyObject *kwargs) { return delete_some(o, args, kwargs, 0); }
static PyObject *delete_user(PyObject *o, PyObject *args, PyObject *kwargs) { return delete_some(o, args, kwargs, 1); }
static PyObject *delete_all(PyObject *o, PyObject *args, PyObject *kwargs) { return delete_some(o, args, kwargs, 2); }

static PyObject *skip(PyObject *object, PyObject *args) {
    chat_object *self = (chat_object *)object;
    const char *id = NULL;
    int found;
    if (!PyArg_ParseTuple(args, "|z:skip", &id) || enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = ishow_chat_skip(self->chat, id);
    Py_END_ALLOW_THREADS
    leave(self);
    return PyBool_FromLong(found);
}

static PyObject *pause_chat(PyObject *object, PyObject *args) {
    chat_object *self = (chat_object *)object;
    int paused = 1;
    if (!PyArg_ParseTuple(args, "|p:pause", &paused) || enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    ishow_chat_pause(self->chat, paused);
    Py_END_ALLOW_THREADS
    leave(self);
    Py_RETURN_NONE;
}

static PyObject *clear_chat(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    size_t n;
    (void)unused;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    n = ishow_chat_clear(self->chat);
    Py_END_ALLOW_THREADS
    leave(self);
    return PyLong_FromSize_t(n);
}

static PyObject *replay(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    int found;
    (void)unused;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = ishow_chat_replay(self->chat);
    Py_END_ALLOW_THREADS
    leave(self);
    return PyBool_FromLong(found);
}

/* JSON that C made, as str. */
static PyObject *json_text(char *json) {
    PyObject *text = json ? PyUnicode_FromString(json) : PyErr_NoMemory();
    free(json);
    return text;
}

static PyObject *status_json(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    char *json;
    (void)unused;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    json = ishow_chat_status_json(self->chat);
    Py_END_ALLOW_THREADS
    leave(self);
    return json_text(json);
}

static PyObject *queue_json(PyObject *object, PyObject *args) {
    chat_object *self = (chat_object *)object;
    Py_ssize_t most = 200;
    char *json;
    if (!PyArg_ParseTuple(args, "|n:queue", &most)) return NULL;
    if (most < 0) return PyErr_Format(PyExc_ValueError, "most must be 0 or more, not %zd", most);
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    json = ishow_chat_queue_json(self->chat, (size_t)most);
    Py_END_ALLOW_THREADS
    leave(self);
    return json_text(json);
}

static PyObject *publish(PyObject *object, PyObject *args) {
    chat_object *self = (chat_object *)object;
    const char *event, *json;
    if (!PyArg_ParseTuple(args, "ss:publish", &event, &json)) return NULL;
    if (*json != '{') return PyErr_SetString(PyExc_ValueError, "json must be an object"), NULL;
    if (enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    ishow_chat_publish(self->chat, event, json);
    Py_END_ALLOW_THREADS
    leave(self);
    Py_RETURN_NONE;
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
    Py_BEGIN_ALLOW_THREADS
    status = ishow_chat_reader_open(&reader->reader, self->chat, last, &error);
    Py_END_ALLOW_THREADS
    if (status == ISHOW_OK) return (PyObject *)reader;
    raise(Py_TYPE(object), status, &error);
    Py_DECREF(reader);
    return NULL;
}

static PyObject *close_chat(PyObject *object, PyObject *unused) {
    chat_object *self = (chat_object *)object;
    (void)unused;
    self->closing = 1;
    if (!self->users) chat_release(self);
    else bell_ring(&self->bell);
    Py_RETURN_NONE;
}

static PyMethodDef chat_methods[] = {
    {"receive", WITH_KEYWORDS(receive), receive_doc},
    {"delete", WITH_KEYWORDS(delete_id), "delete(id, platform=None, channel=None)\n--\n\nMessages that will not be heard."},
    {"delete_user", WITH_KEYWORDS(delete_user), "delete_user(user, platform=None, channel=None)\n--\n\nBy user id or login."},
    {"delete_all", WITH_KEYWORDS(delete_all), "delete_all(platform, channel)\n--\n\nEverything of a channel."},
    {"skip", skip, METH_VARARGS, "skip(id=None, /)\n--\n\nThe clip that plays, or one message. False: there was none."},
    {"pause", pause_chat, METH_VARARGS, "pause(paused=True, /)\n--\n\nStop or go on reading."},
    {"clear", clear_chat, METH_NOARGS, "Drop what waits; how many."},
    {"replay", replay, METH_NOARGS, "The last clip again. False: there was none."},
    {"status", status_json, METH_NOARGS, "State and counts as JSON."},
    {"queue", queue_json, METH_VARARGS, "queue(most=200, /)\n--\n\nWhat plays and what waits, as JSON."},
    {"publish", publish, METH_VARARGS, "publish(event, json, /)\n--\n\nAn event of the caller's own, for all listeners."},
    {"listen", listen_chat, METH_VARARGS, "listen(last_event_id=None, /)\n--\n\nA Reader."},
    {"close", close_chat, METH_NOARGS, "End it, as soon as its readers are gone. What waits stays in the journal."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot chat_slots[] = {
    {Py_tp_new, (void *)(uintptr_t)chat_new},
    {Py_tp_dealloc, (void *)(uintptr_t)chat_dealloc},
    {Py_tp_methods, chat_methods},
    {Py_tp_doc, "Chat(settings, handle, *, default_voice=None, state_dir=None)\n--\n\nLive chat read aloud. settings: the [chat] section of `Config.to_dict()` as JSON; "
                "handle: `Engine.handle()`; state_dir: where what waits survives a crash."},
    {0, NULL},
};

static PyType_Spec chat_spec = {.name = "ishowtts._chatqueue.Chat", .basicsize = sizeof(chat_object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, .slots = chat_slots};

/* ---- Reader ---- */

static void reader_dealloc(PyObject *object) {
    reader_object *self = (reader_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    ishow_chat_reader_close(self->reader);
    if (self->owner) leave(self->owner);
    Py_CLEAR(self->owner);
    type->tp_free(object);
    Py_DECREF(type);
}

static int reader_enter(reader_object *self) {
    if (!self->busy) return self->busy = 1, 0;
    PyErr_SetString(PyExc_RuntimeError, "another thread reads from this reader");
    return -1;
}

/* Waits, without the interpreter lock, until the reader may have something. */
static void reader_wait(reader_object *self, double timeout) {
    bell *b = &self->owner->bell;
    const double end = ishow_now() + timeout;
    for (;;) {
        const uint64_t heard = bell_rings(b);
        const double left = end - ishow_now();
        if (ishow_chat_reader_ready(self->reader) || left <= 0 || self->owner->closing) return;
        bell_wait(b, heard, left < 1 ? left : 1);
    }
}

static PyObject *reader_text(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"most", "timeout", NULL};
    reader_object *self = (reader_object *)object;
    Py_ssize_t most = 65536;
    double timeout = 0;
    size_t n;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|nd:text", names, &most, &timeout)) return NULL;
    if (most < 1) return PyErr_Format(PyExc_ValueError, "most must be positive, not %zd", most);
    if (reader_enter(self) < 0) return NULL;
    char *out = PyMem_Malloc((size_t)most);
    if (!out) {
        self->busy = 0;
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    reader_wait(self, timeout);
    n = ishow_chat_reader_text(self->reader, out, (size_t)most);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    PyObject *text = PyBytes_FromStringAndSize(out, (Py_ssize_t)n);
    PyMem_Free(out);
    return text;
}

static PyObject *reader_frame(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"timeout", NULL};
    reader_object *self = (reader_object *)object;
    double timeout = 0;
    const unsigned char *data = NULL;
    size_t n = 0;
    int binary = 0, found;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|d:frame", names, &timeout) || reader_enter(self) < 0) return NULL;
    Py_BEGIN_ALLOW_THREADS
    reader_wait(self, timeout);
    found = ishow_chat_reader_frame(self->reader, &data, &n, &binary);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (!found) Py_RETURN_NONE;
    return binary ? PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)n) : PyUnicode_DecodeUTF8((const char *)data, (Py_ssize_t)n, NULL);
}

static PyMethodDef reader_methods[] = {
    {"text", WITH_KEYWORDS(reader_text),
     "text(most=65536, timeout=0)\n--\n\nServer-sent events, at most `most` bytes; waits up to `timeout` seconds. b'': nothing came."},
    {"frame", WITH_KEYWORDS(reader_frame),
     "frame(timeout=0)\n--\n\nOne event for WebSocket: str (JSON) or bytes (length, JSON, WAV). None: nothing came. Do not mix with text."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot reader_slots[] = {
    {Py_tp_dealloc, (void *)(uintptr_t)reader_dealloc},
    {Py_tp_methods, reader_methods},
    {Py_tp_doc, "One listener of a Chat; gone with its last reference."},
    {0, NULL},
};

static PyType_Spec reader_spec = {.name = "ishowtts._chatqueue.Reader", .basicsize = sizeof(reader_object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, .slots = reader_slots};

/* ---- module ---- */

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const int good = (state->from_status = import_from_status()) && (state->chat_type = add_type(module, &chat_spec)) && (state->reader_type = add_type(module, &reader_spec));
    return good ? 0 : -1;
}

static PyObject *live_handles(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromLong(ishow_live_handles());
}

static PyMethodDef functions[] = {
    {"live_handles", live_handles, METH_NOARGS, "Opaque handles of the C core that are alive in this module: 0 when all is closed."},
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_chatqueue, "Filter, queue and feed of live chat.", functions, module_state, 3, NULL)
