/* Handles of the C core that extension modules share, in capsules. */
#ifndef ISHOW_PYEXT_HANDLES_H
#define ISHOW_PYEXT_HANDLES_H

#include "engine/engine.h"
#include "store/store.h"
#include "pyext/module.h"

/* The engine in a capsule of `Engine.handle()`, borrowed from it; NULL with an exception. */
static inline ishow_engine *engine_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, "ishow_engine"); }

/* The store in a capsule of `Store.handle()`, borrowed from it; NULL for None. */
static inline ishow_store *store_of(PyObject *capsule) {
    return capsule == Py_None ? NULL : PyCapsule_GetPointer(capsule, "ishow_store");
}

#endif
