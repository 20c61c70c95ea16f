/* ishowtts._platforms: the decoders and sources of live chat, as the server uses them, for tests, benchmarks and tools.
 *
 * Decoder runs a platform's decoder on bytes without any connection. Loop owns real sources; its sink is called inside
 * `wait` only, with the interpreter lock held, and the lock is released while waiting for sockets. */
#include "pyext/module.h"
#include "pyext/dict.h"
#include "pyext/platform_decoder.h"
#include "pyext/platform_events.h"

#include <math.h>
#include <poll.h>

#include "base/base.h"
#include "base/defaults.h"
#include "chat/chat.h"
#include "platforms/youtube.h"

typedef struct module_state {
    PyObject *decoder_type, *loop_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

static PyObject *raise(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    const module_state *state = PyType_GetModuleState(type);
    return raise_status(state->from_status, status, error);
}

/* ---- Loop ---- */

typedef struct loop_object {
    PyObject_HEAD ishow_chat_loop *loop;
    ishow_chat_source **sources; /* a closed one is NULL */
    Py_ssize_t n;
    PyObject *events; /* while processing */
} loop_object;

static void on_event(void *self, ishow_chat_source *source, const ishow_chat_event *event) {
    loop_object *l = self;
    Py_ssize_t i = 0;
    while (i < l->n && l->sources[i] != source) i++;
    platform_events_append(&l->events, event, i);
}

static PyObject *loop_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"logins", "login_seconds", NULL};
    ishow_chat_loop_options options = ishow_chat_loop_options_default();
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|Id:Loop", names, &options.logins, &options.login_seconds))
        return NULL;
    loop_object *self = (loop_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    ishow_status status = ishow_chat_loop_create(&self->loop, &options, &error);
    if (status == ISHOW_OK) return (PyObject *)self;
    Py_DECREF(self);
    return raise(type, status, &error);
}

static void loop_free(PyObject *object) {
    loop_object *self = (loop_object *)object;
    for (Py_ssize_t i = 0; i < self->n; i++) ishow_chat_source_free(self->sources[i]);
    PyThreadState *const thread = PyEval_SaveThread(); /* closing may wait until a platform has been told */
    ishow_chat_loop_free(self->loop);
    PyEval_RestoreThread(thread);
    PyMem_Free(self->sources);
    free_object(object);
}

static ishow_chat_source *source_at(loop_object *self, Py_ssize_t i) {
    if (i >= 0 && i < self->n && self->sources[i]) return self->sources[i];
    PyErr_Format(PyExc_LookupError, "there is no source %zd", i);
    return NULL;
}

PyDoc_STRVAR(
    open_doc,
    "open(platform, channel, **options)\n--\n\n"
    "Opens a source; its number. Options: those of ishow_chat_source_options (platforms/platforms.h), as keywords. "
    "IshowError names the option at fault.");

#define OPTION(name, kind) MEMBER(ishow_chat_source_options, name, kind)
static const member source_options[] = {
    OPTION(token, MEMBER_STRING),
    OPTION(login, MEMBER_STRING),
    OPTION(app_id, MEMBER_STRING),
    OPTION(code, MEMBER_STRING),
    OPTION(emotes_endpoint, MEMBER_STRING),
    OPTION(endpoint, MEMBER_STRING),
    OPTION(ca_file, MEMBER_STRING),
    OPTION(connect_seconds, MEMBER_DOUBLE),
    OPTION(heartbeat_seconds, MEMBER_DOUBLE),
    OPTION(reply_seconds, MEMBER_DOUBLE),
    OPTION(backoff_seconds, MEMBER_DOUBLE),
    OPTION(backoff_max_seconds, MEMBER_DOUBLE),
    OPTION(poll_seconds_min, MEMBER_DOUBLE),
    OPTION(frame_bytes_max, MEMBER_SIZE),
    OPTION(inflate_bytes_max, MEMBER_SIZE),
    OPTION(quota_units, MEMBER_U64),
    OPTION(third_party_emotes, MEMBER_BOOL),
    {"reply_mentions", MEMBER_BOOL, offsetof(ishow_chat_source_options, keeps_mentions)},
};
#undef OPTION

static PyObject *loop_open(PyObject *object, PyObject *args, PyObject *kwargs) {
    loop_object *self = (loop_object *)object;
    ishow_chat_platform platform;
    ishow_error error = {0};
    const char *name, *channel;
    if (!PyArg_ParseTuple(args, "ss:open", &name, &channel)) return NULL;
    if (!ishow_chat_platform_find(name, &platform)) {
        PyErr_SetString(PyExc_ValueError, "platform must be twitch, bilibili or youtube");
        return NULL;
    }
    ishow_chat_source_options o = ishow_chat_source_options_default(platform);
    o.channel = channel;
    if (pyext_take_members(source_options, sizeof source_options / sizeof *source_options, kwargs, &o) < 0) return NULL;
    ishow_chat_source **longer = PyMem_Realloc(self->sources, (size_t)(self->n + 1) * sizeof *longer);
    if (!longer) return PyErr_NoMemory();
    self->sources = longer;
    ishow_chat_sink sink = {self, on_event};
    ishow_status status = ishow_chat_source_open(&longer[self->n], self->loop, &o, &sink, &error);
    if (status != ISHOW_OK) return raise(Py_TYPE(object), status, &error);
    return PyLong_FromSsize_t(self->n++);
}

PyDoc_STRVAR(wait_doc, "wait(seconds)\n--\n\nEvents of all sources within `seconds`, as dicts with the number of their "
                       "\"source\"; returns as soon as there are some.");

static PyObject *loop_wait(PyObject *object, PyObject *arg) {
    loop_object *self = (loop_object *)object;
    double seconds = PyFloat_AsDouble(arg);
    if (PyErr_Occurred()) return NULL;
    double until = ishow_now() + seconds;
    PyObject *events = self->events = PyList_New(0);
    while (events && PyList_GET_SIZE(events) == 0) {
        double left = until - ishow_now();
        int timer = ishow_chat_loop_timeout(self->loop), wait = left <= 0    ? 0
                                                                : left > 1e6 ? 1000000000
                                                                             : (int)(1e3 * left) + 1;
        if (timer >= 0 && timer < wait) wait = timer;
        struct pollfd one = {.fd = ishow_chat_loop_fd(self->loop), .events = POLLIN};
        Py_BEGIN_ALLOW_THREADS poll(&one, 1, wait);
        Py_END_ALLOW_THREADS ishow_chat_loop_process(self->loop);
        events = self->events; /* NULL after a failure */
        if (!events || PyErr_CheckSignals() < 0) {
            Py_CLEAR(self->events);
            return NULL;
        }
        if (left <= 0) break;
    }
    self->events = NULL;
    return events;
}

PyDoc_STRVAR(loop_stats_doc, "stats(source, /)\n--\n\nState and counters of a source, as in ishow_chat_source_stats.");

static PyObject *loop_stats(PyObject *object, PyObject *arg) {
    Py_ssize_t i = PyLong_AsSsize_t(arg);
    ishow_chat_source_stats s;
    if (i == -1 && PyErr_Occurred()) return NULL;
    ishow_chat_source *source = source_at((loop_object *)object, i);
    if (!source) return NULL;
    ishow_chat_source_stats_get(source, &s);
    static const member members[] = {MEMBER(ishow_chat_source_stats, channel, MEMBER_TEXT),
                                     MEMBER(ishow_chat_source_stats, text, MEMBER_TEXT),
                                     MEMBER(ishow_chat_source_stats, state_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_chat_source_stats, silent_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_chat_source_stats, retry_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_chat_source_stats, attempts, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, connects, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, losses, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, bytes, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, lines, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, messages, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, deletions, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, notices, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, duplicates, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, ignored, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, malformed, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, heartbeats, MEMBER_U64),
                                     MEMBER(ishow_chat_source_stats, quota_used, MEMBER_U64)};
    PyObject *stats = PYEXT_DICT(members, &s),
             *words = Py_BuildValue("{ssss}", "platform", ishow_chat_platform_name(s.platform), "state",
                                    ishow_chat_state_name(s.state));
    if (!stats || !words || PyDict_Update(stats, words) < 0) Py_CLEAR(stats);
    Py_XDECREF(words);
    return stats;
}

PyDoc_STRVAR(close_doc, "close(source, /)\n--\n\nCloses a source at once, without an event.");

static PyObject *loop_close(PyObject *object, PyObject *arg) {
    loop_object *self = (loop_object *)object;
    Py_ssize_t i = PyLong_AsSsize_t(arg);
    if (i == -1 && PyErr_Occurred()) return NULL;
    if (self->events) return PyErr_Format(PyExc_RuntimeError, "a source cannot be closed while another thread waits");
    ishow_chat_source *source = source_at(self, i);
    if (!source) return NULL;
    self->sources[i] = NULL;
    ishow_chat_source_free(source);
    Py_RETURN_NONE;
}

static PyMethodDef loop_methods[] = {
    {"open", WITH_KEYWORDS(loop_open), open_doc},
    {"wait", loop_wait, METH_O, wait_doc},
    {"stats", loop_stats, METH_O, loop_stats_doc},
    {"close", loop_close, METH_O, close_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, "Loop(logins=20, login_seconds=10)\n--\n\nSources of live chat on one descriptor; not for several "
                "threads at once."},
    {Py_tp_new, (void *)loop_new},
    {Py_tp_dealloc, (void *)loop_free},
    {Py_tp_methods, loop_methods},
    {0, NULL},
};

static PyType_Spec loop_spec = {.name = "ishowtts._platforms.Loop",
                                .basicsize = sizeof(loop_object),
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                .slots = loop_slots};

/* ---- module ---- */

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const int good = (state->from_status = import_from_status()) &&
                     (state->decoder_type = add_type(module, &platform_decoder_spec)) &&
                     (state->loop_type = add_type(module, &loop_spec));
    return good ? 0 : -1;
}

PyDoc_STRVAR(reset_doc, "youtube_reset_seconds(now, /)\n--\n\nSeconds from `now` (since 1970) until YouTube's quota "
                        "begins anew.");

static PyObject *youtube_reset(PyObject *module, PyObject *arg) {
    const long long now = PyLong_AsLongLong(arg);
    (void)module;
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(ishow_youtube_reset_seconds(now));
}

PyDoc_STRVAR(pace_doc, "youtube_pace(asked, used, bound, cost, reset_seconds, /)\n--\n\nSeconds before the next call, "
                       "so that the day's units last (platforms/youtube.h).");

static PyObject *youtube_pace(PyObject *module, PyObject *args) {
    double asked, reset;
    unsigned long long used, bound;
    unsigned cost;
    (void)module;
    if (!PyArg_ParseTuple(args, "dKKId:youtube_pace", &asked, &used, &bound, &cost, &reset)) return NULL;
    return PyFloat_FromDouble(ishow_youtube_pace(asked, used, bound, cost, reset));
}

static PyMethodDef methods[] = {
    {"youtube_reset_seconds", youtube_reset, METH_O, reset_doc},
    {"youtube_pace", youtube_pace, METH_VARARGS, pace_doc},
    {"irc_parse", platform_irc_parse, METH_O, platform_irc_parse_doc},
    {NULL, NULL, 0, NULL},
};

PYEXT_MODULE(_platforms, "Decoders and sources of live chat.", methods, module_state, 3, NULL)
