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
