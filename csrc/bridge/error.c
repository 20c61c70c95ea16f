/* Converts exceptions to errors: no call of the bridge leaves an exception pending. The caller gets one sentence. The
 * traceback goes to the log line by line, and only for exceptions that are not meant for a user. */
#include <stdarg.h>
#include <string.h>

#include "base/base.h"
#include "bridge/internal.h"

static void log_lines(const char *text) {
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n) ishow_log(ISHOW_LOG_ERROR, "python", "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void log_traceback(PyObject *exception) {
    PyObject *module = PyImport_ImportModule("traceback"), *lines = NULL, *empty = NULL, *text = NULL;
    if (module) lines = PyObject_CallMethod(module, "format_exception", "O", exception);
    if (lines) empty = PyUnicode_FromString("");
    if (empty) text = PyUnicode_Join(empty, lines);
    if (text) {
        const char *utf8 = PyUnicode_AsUTF8(text); /* borrowed from text */
        if (utf8) log_lines(utf8);
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(empty);
    Py_XDECREF(lines);
    Py_XDECREF(module);
}

/* Copies a text attribute of the exception; "" when it has none. */
static void attribute(PyObject *exception, const char *name, char *out, size_t size) {
    PyObject *value = PyObject_GetAttrString(exception, name);
    const char *text = value && PyUnicode_Check(value) ? PyUnicode_AsUTF8(value) : NULL;
    snprintf(out, size, "%s", text ? text : "");
    PyErr_Clear();
    Py_XDECREF(value);
}

static ishow_status status_of(PyObject *exception) {
    char name[32];
    attribute(exception, "status", name, sizeof name);
    for (int i = ISHOW_EINVAL; i <= ISHOW_EINTERNAL; i++)
        if (strcmp(name, ishow_status_name((ishow_status)i)) == 0) return (ishow_status)i;
    return PyErr_GivenExceptionMatches(exception, PyExc_MemoryError) ? ISHOW_ENOMEM : ISHOW_EPYTHON;
}

ishow_status ishow_py_fail(ishow_error *error, const char *doing) {
    PyObject *type = NULL, *exception = NULL, *traceback = NULL, *text = NULL;
    char field[32];
    PyErr_Fetch(&type, &exception, &traceback);
    if (!type) return ishow_fail(error, ISHOW_EINTERNAL, "", "%s failed without a reason.", doing);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback) PyException_SetTraceback(exception, traceback);
    ishow_status status = status_of(exception);
    attribute(exception, "field", field, sizeof field);
    text = PyObject_Str(exception);
    const char *message = text ? PyUnicode_AsUTF8(text) : NULL; /* borrowed from text */
    PyErr_Clear();
    if (!message) message = "no text";
    if (status == ISHOW_EPYTHON || status == ISHOW_ENOMEM) {
        log_traceback(exception);
        ishow_fail(error, status, field, "%s failed: %s: %.*s", doing, Py_TYPE(exception)->tp_name,
                   (int)strcspn(message, "\n"), message);
    } else {
        ishow_fail(error, status, field, "%s", message);
    }
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(exception);
    Py_XDECREF(traceback);
    return status;
}

PyObject *ishow_py_call(ishow_bridge *bridge, ishow_error *error, const char *doing, const char *function,
                        const char *format, ...) {
    PyObject *callable = PyObject_GetAttrString(bridge->runtime, function), *arguments = NULL, *result = NULL;
    va_list values;
    va_start(values, format);
    if (callable) arguments = Py_VaBuildValue(format, values);
    va_end(values);
    if (arguments) result = PyObject_CallObject(callable, arguments);
    if (!result) ishow_py_fail(error, doing);
    Py_XDECREF(arguments);
    Py_XDECREF(callable);
    return result;
}
