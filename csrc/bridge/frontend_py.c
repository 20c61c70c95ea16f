/* The text front end: an object of ishowtts with `speakable` and `tokenize`, called from the engine's text thread,
 * and `ask`, which any thread calls. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/utf8.h"
#include "bridge/internal.h"

static ishow_status normalize(void *self, const char *text, const char *language, int markup, ishow_reading *out,
                              ishow_error *error) {
    ishow_status status = ISHOW_OK;
    const char *utf8 = NULL, *first = NULL, *places = NULL; /* borrowed from result */
    Py_ssize_t count = 0, n_bytes = 0;
    *out = (ishow_reading){0};
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = PyObject_CallMethod(self, "speakable", "szi", text, language, markup);
    if (!result || !PyArg_ParseTuple(result, "snsy#", &utf8, &count, &first, &places, &n_bytes)) {
        status = ishow_py_fail(error, "Reading the text");
        goto done;
    }
    out->text = ishow_strdup(utf8);
    out->places = malloc(n_bytes ? (size_t)n_bytes : 1);
    if (!out->text || !out->places) {
        free(out->text);
        free(out->places);
        *out = (ishow_reading){0};
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the text.");
        goto done;
    }
    memcpy(out->places, places, (size_t)n_bytes); /* laid out like ishow_place, which consists of u32 */
    out->n_places = (size_t)n_bytes / sizeof *out->places;
    out->unspoken.count = (size_t)count;
    utf8_copy(out->unspoken.first, sizeof out->unspoken.first, first, strlen(first));
done:
    Py_XDECREF(result);
    PyGILState_Release(lock);
    return status;
}

/* Fills *part from (text, start, pause, speed, voice); -1 with an exception. */
static int take_part(PyObject *item, ishow_part *part) {
    const char *text, *voice; /* borrowed from item */
    Py_ssize_t start;
    if (!PyArg_ParseTuple(item, "sndds", &text, &start, &part->pause, &part->speed, &voice)) return -1;
    part->start = (size_t)start;
    utf8_copy(part->voice, sizeof part->voice, voice, strlen(voice));
    part->text = ishow_strdup(text);
    return part->text ? 0 : (PyErr_NoMemory(), -1);
}

static ishow_status cut(void *self, const char *text, ishow_part **out, size_t *n, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    size_t made = 0, count = 0;
    ishow_part *parts = NULL;
    *out = NULL;
    *n = 0;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *list = PyObject_CallMethod(self, "cut", "s", text);
    if (list && PyList_Check(list)) {
        count = (size_t)PyList_GET_SIZE(list);
        if ((parts = calloc(count ? count : 1, sizeof *parts)))
            while (made < count && take_part(PyList_GET_ITEM(list, (Py_ssize_t)made), &parts[made]) == 0) made++;
    }
    if (PyErr_Occurred())
        status = ishow_py_fail(error, "Reading the markup");
    else if (!parts)
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the parts of the text.");
    Py_XDECREF(list);
    PyGILState_Release(lock);
    if (status) {
        ishow_parts_free(parts, made);
        return status;
    }
    *out = parts;
    *n = count;
    return ISHOW_OK;
}

/* Whole numbers from a list, free() them; NULL with an exception. least: of them. */
static int32_t *take_numbers(PyObject *list, long least) {
    const Py_ssize_t n = PyList_GET_SIZE(list);
    int32_t *numbers = malloc((size_t)(n ? n : 1) * sizeof *numbers);
    if (!numbers) PyErr_NoMemory();
    for (Py_ssize_t i = 0; numbers && i < n; i++) {
        const long number = PyLong_AsLong(PyList_GET_ITEM(list, i));
        if (number >= least && number <= INT32_MAX - 1 && !PyErr_Occurred()) {
            numbers[i] = (int32_t)number;
            continue;
        }
        if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "token %ld is out of range", number);
        free(numbers);
        numbers = NULL;
    }
    return numbers;
}

/* Fills *out from (list of int, int, list of int, list of int); -1 with an exception. */
static int take_tokens(PyObject *tuple, ishow_tokens *out) {
    PyObject *ids = NULL, *words = NULL, *lengths = NULL; /* borrowed from tuple */
    Py_ssize_t n_ref = 0;
    if (!PyArg_ParseTuple(tuple, "O!nO!O!", &PyList_Type, &ids, &n_ref, &PyList_Type, &words, &PyList_Type, &lengths))
        return -1;
    const Py_ssize_t n = PyList_GET_SIZE(ids), n_words = PyList_GET_SIZE(words), n_lengths = PyList_GET_SIZE(lengths);
    if (n_ref < 0 || n_ref > n || (n_words && n_words != n - n_ref) || (n_lengths && n_lengths != n - n_ref)) {
        PyErr_Format(PyExc_ValueError, "%zd of %zd tokens belong to the reference, %zd to words, and %zd have lengths",
                     n_ref, n, n_words, n_lengths);
        return -1;
    }
    *out = (ishow_tokens){.ids = take_numbers(ids, 0), .n = (size_t)n, .n_ref = (size_t)n_ref};
    if (out->ids && n_words) out->words = take_numbers(words, -1);
    if (out->ids && n_lengths && (out->words || !n_words)) out->lengths = take_numbers(lengths, 1);
    if (out->ids && (!n_words || out->words) && (!n_lengths || out->lengths)) return 0;
    free(out->ids);
    free(out->words);
    *out = (ishow_tokens){0};
    return -1;
}

static ishow_status tokenize(void *self, const char *ref_text, const char *text, const char *language,
                             const char *voice, ishow_tokens *out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    *out = (ishow_tokens){0};
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *pair = PyObject_CallMethod(self, "tokenize", "zszz", ref_text, text, language, voice);
    if (!pair || take_tokens(pair, out) != 0) status = ishow_py_fail(error, "Tokenising the text");
    Py_XDECREF(pair);
    PyGILState_Release(lock);
    return status;
}

static ishow_status ask(void *self, const char *verb, const char *json, char **out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    *out = NULL;
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *result = PyObject_CallMethod(self, "ask", "ss", verb, json);
    const char *utf8 = result ? PyUnicode_AsUTF8(result) : NULL; /* borrowed from result */
    if (!utf8)
        status = ishow_py_fail(error, "Asking the text front end");
    else if (!(*out = ishow_strdup(utf8)))
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for an answer.");
    Py_XDECREF(result);
    PyGILState_Release(lock);
    return status;
}

static void close_frontend(void *self) {
    PyGILState_STATE lock = PyGILState_Ensure();
    Py_DECREF((PyObject *)self);
    PyGILState_Release(lock);
    ishow_handle_freed();
}

ishow_status ishow_bridge_frontend(ishow_bridge *bridge, const char *model, ishow_text_frontend *out,
                                   ishow_error *error) {
    *out = (ishow_text_frontend){0};
    ishow_error own = {0};
    PyGILState_STATE lock = PyGILState_Ensure();
    PyObject *frontend = ishow_py_call(bridge, &own, "Loading the text front end", "frontend", "(s)", model);
    PyGILState_Release(lock);
    if (error) *error = own;
    if (!frontend) return own.status;
    ishow_handle_made();
    *out = (ishow_text_frontend){.self = frontend,
                                 .normalize = normalize,
                                 .cut = cut,
                                 .tokenize = tokenize,
                                 .ask = ask,
                                 .close = close_frontend};
    return ISHOW_OK;
}
