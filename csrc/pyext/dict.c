/* See dict.h. */
#include "pyext/dict.h"

static PyObject *value_of(const member *m, const void *of) {
    const void *const at = (const char *)of + m->at;
    switch (m->kind) {
    case MEMBER_INT: return PyLong_FromLong(*(const int *)at);
    case MEMBER_BOOL: return PyBool_FromLong(*(const int *)at);
    case MEMBER_SIZE: return PyLong_FromSize_t(*(const size_t *)at);
    case MEMBER_U64: return PyLong_FromUnsignedLongLong(*(const uint64_t *)at);
    case MEMBER_FLOAT: return PyFloat_FromDouble((double)*(const float *)at);
    case MEMBER_DOUBLE: return PyFloat_FromDouble(*(const double *)at);
    case MEMBER_SECONDS: break;
    case MEMBER_TEXT: return PyUnicode_FromString(at);
    case MEMBER_STRING: return Py_BuildValue("z", *(const char *const *)at);
    }
    const double seconds = *(const double *)at;
    return seconds < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds);
}

PyObject *pyext_dict(const member *members, size_t n, const void *of) {
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < n; i++) {
        PyObject *value = value_of(&members[i], of);
        if (!value || PyDict_SetItemString(dict, members[i].name, value) < 0) Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

static int take_string(const member *m, PyObject *value, const char **out) {
    Py_ssize_t n;
    *out = NULL;
    if (value == Py_None) return 0;
    if (!PyUnicode_Check(value))
        return PyErr_Format(PyExc_TypeError, "%s must be a str or None, not %.80s", m->name, Py_TYPE(value)->tp_name),
               -1;
    const char *text = PyUnicode_AsUTF8AndSize(value, &n);
    if (!text) return -1;
    if (strlen(text) != (size_t)n) return PyErr_Format(PyExc_ValueError, "%s holds a NUL character", m->name), -1;
    *out = text;
    return 0;
}

static int take_value(const member *m, PyObject *value, void *of) {
    void *const at = (char *)of + m->at;
    switch (m->kind) {
    case MEMBER_BOOL: *(int *)at = PyObject_IsTrue(value); break;
    case MEMBER_SIZE: *(size_t *)at = PyLong_AsSize_t(value); break;
    case MEMBER_U64: *(uint64_t *)at = PyLong_AsUnsignedLongLong(value); break;
    case MEMBER_DOUBLE: *(double *)at = PyFloat_AsDouble(value); break;
    case MEMBER_STRING: return take_string(m, value, at);
    default: PyErr_Format(PyExc_TypeError, "%s cannot be set", m->name);
    }
    return PyErr_Occurred() ? -1 : 0;
}

int pyext_take_members(const member *members, size_t n, PyObject *options, void *of) {
    PyObject *key, *value; /* borrowed */
    Py_ssize_t at = 0;
    while (options && PyDict_Next(options, &at, &key, &value)) {
        size_t i = 0;
        while (i < n && PyUnicode_CompareWithASCIIString(key, members[i].name)) i++;
        if (i == n) return PyErr_Format(PyExc_TypeError, "unknown keyword argument %R", key), -1;
        if (take_value(&members[i], value, of) < 0) return -1;
    }
    return 0;
}
