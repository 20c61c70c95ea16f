/* Handles of the C core in Python: capsules of those that modules share, how many are alive, and the log of their core. */
#ifndef ISHOW_PYEXT_HANDLES_H
#define ISHOW_PYEXT_HANDLES_H

#include "base/base.h"
#include "engine/engine.h"
#include "store/store.h"
#include "pyext/module.h"

/* What `Engine.handle()` holds, borrowed from it; NULL with an exception. */
static inline ishow_engine *engine_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, "ishow_engine"); }

/* What `Store.handle()` holds, likewise; NULL of None. */
static inline ishow_store *store_of(PyObject *capsule) { return capsule == Py_None ? NULL : PyCapsule_GetPointer(capsule, "ishow_store"); }

static PyObject *live_handles(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromLong(ishow_live_handles());
}

static PyObject *set_log_level(PyObject *module, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);
    ishow_log_level level;
    (void)module;
    if (!text) return NULL;
    if (!ishow_log_level_find(text, &level)) return PyErr_Format(PyExc_ValueError, "the log level must be debug, info, warn or error, not %s", text);
    ishow_log_set_level(level);
    Py_RETURN_NONE;
}

static PyObject *set_log_format(PyObject *module, PyObject *name) {
    const char *text = PyUnicode_AsUTF8(name);
    ishow_log_format format;
    (void)module;
    if (!text) return NULL;
    if (!ishow_log_format_find(text, &format)) return PyErr_Format(PyExc_ValueError, "the log's format must be text or json, not %s", text);
    ishow_log_set_format(format);
    Py_RETURN_NONE;
}

/* Every module has the core, and so these, to itself. */
#define CORE_FUNCTIONS                                                                                                                   \
    {"live_handles", live_handles, METH_NOARGS, "Opaque handles of the C core that are alive in this module: 0 when all is closed."},    \
    {"set_log_level", set_log_level, METH_O, "set_log_level(level, /)\n--\n\nLeast weight of what this module's core writes to the log: debug, info, warn, error."}, \
    {"set_log_format", set_log_format, METH_O, "set_log_format(format, /)\n--\n\nHow this module's core writes a line of the log: text or json."}

#endif
