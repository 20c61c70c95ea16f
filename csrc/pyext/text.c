/* See text.h. */
#include "pyext/text.h"

#include <string.h>

#include "base/base.h"

/* Sets the package's error, for a field. */
static void refuse(const char *field, const char *why) {
    PyObject *from_status = import_from_status();
    ishow_error error = {0};
    if (!from_status) return;
    ishow_fail(&error, ISHOW_EINVAL, field, "%s%s%s", field, *field ? " " : "", why);
    raise_status(from_status, ISHOW_EINVAL, &error);
    Py_DECREF(from_status);
}

int pyext_take_text(PyObject *value, void *argument) {
    text_argument *text = argument;
    Py_ssize_t n = 0;
    if (!PyUnicode_Check(value))
        return PyErr_Format(PyExc_TypeError, "%s must be a str, not %.80s", text->field, Py_TYPE(value)->tp_name), 0;
    text->utf8 = PyUnicode_AsUTF8AndSize(value, &n);
    if (!text->utf8) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return 0;
        PyErr_Clear();
        return refuse(text->field, "holds half of a surrogate pair, which is no character"), 0;
    }
    return strlen(text->utf8) == (size_t)n || (refuse(text->field, "holds a NUL character"), 0);
}

int pyext_take_text_or_none(PyObject *value, void *argument) {
    if (value != Py_None) return pyext_take_text(value, argument);
    ((text_argument *)argument)->utf8 = NULL;
    return 1;
}

void pyext_refuse_overflow(void) {
    if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return;
    PyErr_Clear();
    refuse("", "A number is too big.");
}
