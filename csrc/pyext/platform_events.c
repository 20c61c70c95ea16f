#include "pyext/module.h"

#include "chat/chat.h"
#include "pyext/platform_events.h"

PyObject *platform_text(ishow_span s) {
    return PyUnicode_DecodeUTF8(s.size ? s.data : "", (Py_ssize_t)s.size, "surrogateescape");
}

/* Takes over value; 0: failed. */
static int set(PyObject *dict, const char *key, PyObject *value) {
    int ok = dict && value && PyDict_SetItemString(dict, key, value) == 0;
    Py_XDECREF(value);
    return ok;
}

static PyObject *emotes_of(const ishow_chat_message *m) {
    PyObject *list = PyList_New((Py_ssize_t)m->n_emotes);
    for (size_t i = 0; list && i < m->n_emotes; i++) {
        PyObject *item = Py_BuildValue("(IIN)", m->emotes[i].start, m->emotes[i].end, platform_text(m->emotes[i].id));
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
}

static int add_message(PyObject *dict, const ishow_chat_message *m) {
    static const char *const kinds[] = {"text", "paid", "gift", "subscription", "raid", "announcement", "event"};
    static const char *const priorities[] = {"normal", "mention", "moderator", "paid", "gift"};
    const struct {
        const char *key;
        ishow_span value;
    } spans[] = {{"id", m->id},
                 {"user_id", m->user_id},
                 {"login", m->login},
                 {"display_name", m->display_name},
                 {"text", m->text},
                 {"system_text", m->system_text},
                 {"language", m->language},
                 {"gift_name", m->gift_name},
                 {"reply_id", m->reply_id},
                 {"reply_user_id", m->reply_user_id},
                 {"reply_login", m->reply_login},
                 {"reply_text", m->reply_text},
                 {"reward", m->reward},
                 {"room_id", m->room_id},
                 {"source_room_id", m->source_room_id},
                 {"source_id", m->source_id}};
    const struct {
        const char *key;
        long long value;
    } numbers[] = {{"guard_level", m->guard_level},
                   {"level", m->level},
                   {"months", m->months},
                   {"bits", (long long)m->bits},
                   {"amount_micros", m->amount_micros},
                   {"count", (long long)m->count},
                   {"timestamp_ms", m->timestamp_ms}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        if (!set(dict, spans[i].key, platform_text(spans[i].value))) return 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!set(dict, numbers[i].key, PyLong_FromLongLong(numbers[i].value))) return 0;
    PyObject *names = PyList_New(0);
    for (int i = 0; names && i < ISHOW_CHAT_ROLES; i++) {
        PyObject *name = m->roles & (1u << i) ? PyUnicode_FromString(ishow_chat_role_name(i)) : NULL;
        if (name && PyList_Append(names, name) < 0) Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return set(dict, "roles", names) && set(dict, "kind", PyUnicode_FromString(kinds[m->kind])) &&
           set(dict, "priority", PyUnicode_FromString(priorities[m->priority])) &&
           set(dict, "currency", PyUnicode_FromString(m->currency)) && set(dict, "emotes", emotes_of(m)) &&
           set(dict, "action", PyBool_FromLong(m->action)) && set(dict, "first", PyBool_FromLong(m->first)) &&
           set(dict, "emote_only", PyBool_FromLong(m->emote_only)) && set(dict, "masked", PyBool_FromLong(m->masked));
}

static PyObject *dict_of(const ishow_chat_event *e) {
    static const char *const types[] = {"message", "delete", "delete_user", "clear", "state", "notice"};
    PyObject *dict = PyDict_New();
    int ok = set(dict, "type", PyUnicode_FromString(types[e->type])) &&
             set(dict, "platform", platform_text(e->platform)) && set(dict, "channel", platform_text(e->channel));
    if (ok && e->type == ISHOW_CHAT_ON_MESSAGE) ok = add_message(dict, e->message);
    if (ok && e->type == ISHOW_CHAT_ON_DELETE)
        ok = set(dict, "message_id", platform_text(e->message_id)) && set(dict, "login", platform_text(e->login));
    if (ok && e->type == ISHOW_CHAT_ON_DELETE_USER)
        ok = set(dict, "user_id", platform_text(e->user_id)) && set(dict, "login", platform_text(e->login)) &&
             set(dict, "seconds", PyLong_FromUnsignedLongLong(e->seconds));
    if (ok && e->type == ISHOW_CHAT_ON_STATE)
        ok = set(dict, "state", PyUnicode_FromString(ishow_chat_state_name(e->state))) &&
             set(dict, "text", platform_text(e->text));
    if (ok && e->type == ISHOW_CHAT_ON_NOTICE) ok = set(dict, "text", platform_text(e->text));
    if (!ok) Py_CLEAR(dict);
    return dict;
}

/* Appends the event to *list; a failure leaves *list NULL and an exception set. */
void platform_events_append(PyObject **list, const ishow_chat_event *event, Py_ssize_t source) {
    PyObject *dict = *list ? dict_of(event) : NULL;
    int ok = dict && (source < 0 || set(dict, "source", PyLong_FromSsize_t(source))) && PyList_Append(*list, dict) == 0;
    Py_XDECREF(dict);
    if (!ok) Py_CLEAR(*list);
}
