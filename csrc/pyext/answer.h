/* An answer over HTTP for Python: (status, JSON), whether it is a fault or not. */
#ifndef ISHOW_PYEXT_ANSWER_H
#define ISHOW_PYEXT_ANSWER_H

#include "service/error_response.h"

/* status 0: the fault. Takes the body. */
static inline PyObject *answer_of(int status, bytes *body, const fault *f) {
    if (!status) {
        bytes_free(body);
        fault_write(body, f);
        status = f->status;
    }
    PyObject *made = body->failed || !status ? PyErr_NoMemory() : Py_BuildValue("(iN)", status, PyUnicode_DecodeUTF8((const char *)body->data, (Py_ssize_t)body->n, NULL));
    bytes_free(body);
    return made;
}

#endif
