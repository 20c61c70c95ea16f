/* An HTTP response for Python: (status, JSON), also for a fault. */
#ifndef ISHOW_PYEXT_ANSWER_H
#define ISHOW_PYEXT_ANSWER_H

#include "service/error_response.h"

/* status 0: the fault. Takes the body. */
static inline PyObject *answer_of(int status, ishow_buffer *body, const fault *f) {
    if (!status) {
        ishow_buffer_free(body);
        ishow_fault_write(body, f);
        status = f->status;
    }
    PyObject *result =
        body->failed || !status
            ? PyErr_NoMemory()
            : Py_BuildValue("(iN)", status, PyUnicode_DecodeUTF8((const char *)body->data, (Py_ssize_t)body->n, NULL));
    ishow_buffer_free(body);
    return result;
}

#endif
