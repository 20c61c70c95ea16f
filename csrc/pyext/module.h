/* Shared by the extension modules: exceptions for statuses, and the definition of a module with state. */
#ifndef ISHOW_PYEXT_MODULE_H
#define ISHOW_PYEXT_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ishow.h"

/* ValueError, or MemoryError; NULL. */
static inline PyObject *raise_value(const ishow_error *error) {
    PyErr_SetString(error->status == ISHOW_ENOMEM ? PyExc_MemoryError : PyExc_ValueError, error->message);
    return NULL;
}

/* ishowtts.errors.from_status, or NULL with an exception. */
static inline PyObject *import_from_status(void) {
    PyObject *errors = PyImport_ImportModule("ishowtts.errors");
    PyObject *function = errors ? PyObject_GetAttrString(errors, "from_status") : NULL;
    Py_XDECREF(errors);
    return function;
}

/* Raises the exception that from_status returns, or MemoryError; NULL. */
static inline PyObject *raise_status(PyObject *from_status, ishow_status status, const ishow_error *error) {
    if (status == ISHOW_ENOMEM) return PyErr_SetString(PyExc_MemoryError, error->message), NULL;
    PyObject *exception = PyObject_CallFunction(from_status, "sssd", ishow_status_name(status), error->field,
                                                error->message, error->retry_after);
    if (exception) PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_XDECREF(exception);
    return NULL;
}

/* A type that the module shows under its name; NULL with an exception. */
static inline PyObject *add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, (PyTypeObject *)type) < 0) Py_CLEAR(type);
    return type;
}

/* The end of a heap type's tp_dealloc. */
static inline void free_object(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    type->tp_free(object);
    Py_DECREF(type);
}

/* In a table of methods. */
#define WITH_KEYWORDS(FUNCTION) (PyCFunction)(void (*)(void))(FUNCTION), METH_VARARGS | METH_KEYWORDS

/* Defines the module ishowtts.NAME, which `module_exec` fills. Its state, a STATE, begins with REFERENCES owned
 * PyObject *; RELEASE frees what follows them, NULL: nothing. */
#define PYEXT_MODULE(NAME, DOC, METHODS, STATE, REFERENCES, RELEASE)                                     \
    static int module_traverse(PyObject *module, visitproc visit, void *arg) {                           \
        PyObject **references = PyModule_GetState(module);                                               \
        for (int i = 0; i < (REFERENCES); i++) Py_VISIT(references[i]);                                  \
        return 0;                                                                                        \
    }                                                                                                    \
    static int module_clear(PyObject *module) {                                                          \
        PyObject **references = PyModule_GetState(module);                                               \
        for (int i = 0; i < (REFERENCES); i++) Py_CLEAR(references[i]);                                  \
        return 0;                                                                                        \
    }                                                                                                    \
    static void module_free(void *module) {                                                              \
        void (*const free_rest)(STATE *) = RELEASE;                                                      \
        module_clear(module);                                                                            \
        if (free_rest) free_rest(PyModule_GetState(module));                                             \
    }                                                                                                    \
    static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)(uintptr_t)module_exec}, {0, NULL}}; \
    static struct PyModuleDef module_definition = {                                                      \
        PyModuleDef_HEAD_INIT,         .m_name = "ishowtts." #NAME, .m_doc = DOC,                        \
        .m_size = sizeof(STATE),       .m_methods = METHODS,        .m_slots = module_slots,             \
        .m_traverse = module_traverse, .m_clear = module_clear,     .m_free = module_free};              \
    PyMODINIT_FUNC PyInit_##NAME(void) { return PyModuleDef_Init(&module_definition); }

#endif
