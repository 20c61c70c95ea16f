/* Handles of the C core in Python: capsules of those that modules share, and how many are alive. */
#ifndef ISHOW_PYEXT_HANDLES_H
#define ISHOW_PYEXT_HANDLES_H

#include "ishow/engine.h"
#include "ishow/store.h"
#include "pyext/module.h"

/* What `Engine.handle()` holds, borrowed from it; NULL with an exception. */
static inline ishow_engine *engine_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, "ishow_engine"); }

/* What `Store.handle()` holds, likewise; NULL of None. */
static inline ishow_store *store_of(PyObject *capsule) { return capsule == Py_None ? NULL : PyCapsule_GetPointer(capsule, "ishow_store"); }

static PyObject *live_handles(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return PyLong_FromLong(ishow_live_handles());
}

#define LIVE_HANDLES {"live_handles", live_handles, METH_NOARGS, "Opaque handles of the C core that are alive in this module: 0 when all is closed."}

#endif
