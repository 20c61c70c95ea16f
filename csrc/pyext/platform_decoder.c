/* Decoding without a connection: a part of ishowtts._platforms. */
#include "pyext/module.h"

#include "pyext/dict.h"
#include "pyext/platform_decoder.h"
#include "pyext/platform_events.h"

#include "base/base.h"
#include "base/defaults.h"
#include "chat/chat.h"
#include "platforms/bilibili.h"
#include "platforms/irc.h"
#include "platforms/jsonspan.h"
#include "platforms/twitch.h"
#include "platforms/youtube.h"

/* ---- ishow_irc_parse ---- */

const char platform_irc_parse_doc[] =
    "irc_parse(line, /)\n--\n\n"
    "Splits an IRC line (bytes, without CR LF): tags, source, nick, user, host, command, "
    "params as text with surrogateescape.\n"
    "None when it is no IRC line.";

PyObject *platform_irc_parse(PyObject *module, PyObject *arg) {
    (void)module;
    if (!PyBytes_Check(arg)) return PyErr_Format(PyExc_TypeError, "line must be bytes, not %s", Py_TYPE(arg)->tp_name);
    size_t n = (size_t)PyBytes_GET_SIZE(arg);
    char *copy = PyMem_Malloc(n + 1);
    irc_line line;
    PyObject *result = NULL, *tags = NULL, *params = NULL, *parts = NULL;
    if (!copy) return PyErr_NoMemory();
    memcpy(copy, PyBytes_AS_STRING(arg), n);
    if (!ishow_irc_parse(copy, n, &line)) {
        result = Py_NewRef(Py_None);
        goto done;
    }
    tags = PyDict_New();
    params = PyList_New((Py_ssize_t)line.n_params);
    if (!tags || !params) goto done;
    for (size_t i = 0; i < line.n_tags; i++) {
        PyObject *key = platform_text(line.tags[i].key), *value = platform_text(line.tags[i].value);
        int ok = key && value && PyDict_SetItem(tags, key, value) == 0;
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (!ok) goto done;
    }
    for (size_t i = 0; i < line.n_params; i++) {
        PyObject *param = platform_text(line.params[i]);
        if (!param) goto done;
        PyList_SET_ITEM(params, (Py_ssize_t)i, param);
    }
    const struct {
        const char *name;
        ishow_span text;
    } texts[] = {{"source", line.source},
                 {"nick", line.nick},
                 {"user", line.user},
                 {"host", line.host},
                 {"command", line.command}};
    parts = Py_BuildValue("{sOsO}", "tags", tags, "params", params);
    for (size_t i = 0; parts && i < sizeof texts / sizeof *texts; i++) {
        PyObject *text = platform_text(texts[i].text);
        if (!text || PyDict_SetItemString(parts, texts[i].name, text) < 0) Py_CLEAR(parts);
        Py_XDECREF(text);
    }
    result = Py_XNewRef(parts);
done:
    Py_XDECREF(parts);
    Py_XDECREF(tags);
    Py_XDECREF(params);
    PyMem_Free(copy);
    return result;
}

/* ---- Decoder ---- */

typedef struct decoder_object {
    PyObject_HEAD ishow_chat_platform platform;
    feed feed;
    char *channel, *nick;
    bilibili_room room;
    size_t inflate_max;
    PyObject *events; /* while feeding */
    int quiet;        /* events are only counted */
    emote_words *words;
} decoder_object;

static void on_decoded(void *self, const ishow_chat_event *event) {
    decoder_object *d = self;
    if (!d->quiet) platform_events_append(&d->events, event, -1);
}

static PyObject *decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"platform", "channel", "nick", "room", "owner", "inflate_bytes_max", NULL};
    const char *platform, *channel, *nick = "", *room = "", *owner = "";
    Py_ssize_t inflate_max = ISHOW_CHAT_INFLATE_BYTES_MAX;
    ishow_chat_platform found;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ss|sssn:Decoder", names, &platform, &channel, &nick, &room, &owner,
                                     &inflate_max))
        return NULL;
    if (!ishow_chat_platform_find(platform, &found))
        return PyErr_Format(PyExc_ValueError, "platform must be twitch, bilibili or youtube, not %s", platform);
    decoder_object *self = (decoder_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->platform = found;
    self->channel = ishow_strdup(channel);
    self->nick = ishow_strdup(nick);
    snprintf(self->room.number, sizeof self->room.number, "%s", room);
    snprintf(self->room.owner, sizeof self->room.owner, "%s", owner);
    self->inflate_max = (size_t)inflate_max;
    if (!self->channel || !self->nick) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->feed.platform = span_of(ishow_chat_platform_name(found));
    self->feed.channel = span_of(self->channel);
    self->feed.event = on_decoded;
    self->feed.self = self;
    return (PyObject *)self;
}

static void decoder_free(PyObject *object) {
    decoder_object *self = (decoder_object *)object;
    ishow_arena_free(&self->feed.arena);
    ishow_emote_words_free(self->words);
    free(self->channel);
    free(self->nick);
    free_object(object);
}

static int on_packet(void *self, const bilibili_packet *packet) {
    decoder_object *d = self;
    if (packet->operation == BILIBILI_COMMAND)
        ishow_bilibili_command(&d->feed, &d->room, ishow_now(), packet->body, packet->n);
    return 1;
}

/* Decodes all of data [n], whose bytes may change. Returns a description of an error, or NULL. */
static const char *decode(decoder_object *self, char *data, size_t n, int history) {
    irc_line line;
    if (self->platform == ISHOW_CHAT_BILIBILI)
        return ishow_bilibili_unpack(data, n, self->inflate_max, BILIBILI_FRAME_SECONDS, on_packet, self);
    if (self->platform == ISHOW_CHAT_YOUTUBE) {
        json_t *page = ishow_json_load(data, n);
        if (!json_is_object(page)) {
            json_decref(page);
            return "the page is no JSON object";
        }
        ishow_youtube_page(&self->feed, page, history);
        json_decref(page);
        return NULL;
    }
    for (char *end = data + n; data < end;) {
        char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t size = (size_t)((stop ? stop : end) - data);
        if (size && data[size - 1] == '\r') size--;
        if (size) ishow_twitch_line(&self->feed, span_of(self->nick), data, size, &line);
        data = stop ? stop + 1 : end;
    }
    return NULL;
}

PyDoc_STRVAR(
    feed_doc,
    "feed(data, history=False)\n--\n\n"
    "Decodes IRC lines, a WebSocket message of Bilibili, or a page of YouTube (bytes): a list of events as dicts.");

static PyObject *decoder_feed(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "history", NULL};
    decoder_object *self = (decoder_object *)object;
    const char *data;
    Py_ssize_t n;
    int history = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#|p:feed", names, &data, &n, &history)) return NULL;
    char *copy = PyMem_Malloc((size_t)n + 1);
    if (!copy || !(self->events = PyList_New(0))) {
        PyMem_Free(copy);
        return PyErr_NoMemory();
    }
    memcpy(copy, data, (size_t)n);
    const char *fault = decode(self, copy, (size_t)n, history);
    PyMem_Free(copy);
    PyObject *events = self->events;
    self->events = NULL;
    if (!events || !fault) return events;
    Py_DECREF(events);
    return PyErr_Format(PyExc_ValueError, "%s", fault);
}

PyDoc_STRVAR(event_doc, "event(type, data)\n--\n\n"
                        "Decodes an event of Twitch's EventSub (its JSON as bytes): a list of events as dicts.");

static PyObject *decoder_event(PyObject *object, PyObject *args) {
    decoder_object *self = (decoder_object *)object;
    const char *type, *data;
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "sy#:event", &type, &data, &n)) return NULL;
    json_t *json = ishow_json_load(data, (size_t)n);
    if (!json) return PyErr_Format(PyExc_ValueError, "the event is no JSON");
    if (!(self->events = PyList_New(0))) {
        json_decref(json);
        return NULL;
    }
    ishow_arena_reset(&self->feed.arena);
    ishow_twitch_event(&self->feed, span_of(type), json);
    json_decref(json);
    PyObject *events = self->events;
    self->events = NULL;
    return events;
}

PyDoc_STRVAR(emotes_doc, "emotes(data, /)\n--\n\nReads an answer of 7TV, BetterTTV or FrankerFaceZ (bytes): how many "
                         "names were new. They are emotes from now on.");

static PyObject *decoder_emotes(PyObject *object, PyObject *arg) {
    decoder_object *self = (decoder_object *)object;
    if (!PyBytes_Check(arg)) return PyErr_Format(PyExc_TypeError, "data must be bytes, not %s", Py_TYPE(arg)->tp_name);
    if (!self->words && !(self->words = ishow_emote_words_create())) return PyErr_NoMemory();
    json_t *json = ishow_json_load(PyBytes_AS_STRING(arg), (size_t)PyBytes_GET_SIZE(arg));
    if (!json) return PyErr_Format(PyExc_ValueError, "the response is not JSON");
    const size_t n = ishow_emote_words_read(self->words, json);
    json_decref(json);
    self->feed.emote_words = self->words;
    return PyLong_FromSize_t(n);
}

PyDoc_STRVAR(flush_doc, "flush()\n--\n\nWhat waits for more to come: gifts that may be clicked on (Bilibili).");

static PyObject *decoder_flush(PyObject *object, PyObject *unused) {
    decoder_object *self = (decoder_object *)object;
    (void)unused;
    if (!(self->events = PyList_New(0))) return NULL;
    ishow_arena_reset(&self->feed.arena);
    ishow_bilibili_flush(&self->feed, &self->room, (double)INFINITY);
    PyObject *events = self->events;
    self->events = NULL;
    return events;
}

PyDoc_STRVAR(
    count_doc,
    "count(data)\n--\n\n"
    "Decodes like feed, but makes no Python objects: the number of messages. The interpreter lock is released.");

static PyObject *decoder_count(PyObject *object, PyObject *arg) {
    decoder_object *self = (decoder_object *)object;
    if (!PyBytes_Check(arg)) return PyErr_Format(PyExc_TypeError, "data must be bytes, not %s", Py_TYPE(arg)->tp_name);
    size_t n = (size_t)PyBytes_GET_SIZE(arg);
    char *copy = PyMem_RawMalloc(n + 1);
    const char *fault;
    uint64_t before = self->feed.messages;
    if (!copy) return PyErr_NoMemory();
    self->quiet = 1;
    Py_BEGIN_ALLOW_THREADS memcpy(copy, PyBytes_AS_STRING(arg), n);
    fault = decode(self, copy, n, 0);
    Py_END_ALLOW_THREADS self->quiet = 0;
    PyMem_RawFree(copy);
    return fault ? PyErr_Format(PyExc_ValueError, "%s", fault)
                 : PyLong_FromUnsignedLongLong(self->feed.messages - before);
}

PyDoc_STRVAR(decoder_stats_doc, "stats()\n--\n\nlines, messages, deletions, notices, duplicates, ignored, malformed.");

static PyObject *decoder_stats(PyObject *object, PyObject *unused) {
    const feed *f = &((decoder_object *)object)->feed;
    (void)unused;
    static const member members[] = {MEMBER(feed, lines, MEMBER_U64),      MEMBER(feed, messages, MEMBER_U64),
                                     MEMBER(feed, deletions, MEMBER_U64),  MEMBER(feed, notices, MEMBER_U64),
                                     MEMBER(feed, duplicates, MEMBER_U64), MEMBER(feed, ignored, MEMBER_U64),
                                     MEMBER(feed, malformed, MEMBER_U64)};
    return PYEXT_DICT(members, f);
}

static PyMethodDef decoder_methods[] = {
    {"feed", WITH_KEYWORDS(decoder_feed), feed_doc},
    {"event", decoder_event, METH_VARARGS, event_doc},
    {"emotes", decoder_emotes, METH_O, emotes_doc},
    {"flush", decoder_flush, METH_NOARGS, flush_doc},
    {"count", decoder_count, METH_O, count_doc},
    {"stats", decoder_stats, METH_NOARGS, decoder_stats_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot decoder_slots[] = {
    {Py_tp_doc, "Decoder(platform, channel, nick=\"\", room=\"\", owner=\"\", inflate_bytes_max=1 << 24)\n--\n\n"
                "What a platform's bytes mean, without a connection. nick: our own (Twitch); room, owner: numbers of "
                "the room and its streamer (Bilibili)."},
    {Py_tp_new, (void *)decoder_new},
    {Py_tp_dealloc, (void *)decoder_free},
    {Py_tp_methods, decoder_methods},
    {0, NULL},
};

PyType_Spec platform_decoder_spec = {.name = "ishowtts._platforms.Decoder",
                                     .basicsize = sizeof(decoder_object),
                                     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
                                     .slots = decoder_slots};
