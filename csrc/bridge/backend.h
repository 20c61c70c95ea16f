/* Shared by the two backends that run a model in Python. Private to bridge/. */
#ifndef ISHOW_BRIDGE_BACKEND_H
#define ISHOW_BRIDGE_BACKEND_H

#include "bridge/internal.h"
#include "model/cuda.h"

typedef struct py_backend {
    PyObject *object; /* ishowtts.model.backend.TorchBackend, or CudaBackend */
    ishow_model_info info;
    ishow_cuda_driver driver; /* this and the following members: of the CUDA backend */
    ishow_cuda_steps *steps;
} py_backend;

/* Reads `info` of backend->object and fills *out with functions that call Python. On an error frees `backend` and
 * leaves *out empty. The interpreter lock is held. */
ishow_status py_backend_make(py_backend *backend, ishow_backend *out, ishow_error *error);

/* A memoryview of n elements of `size` bytes, valid for one call; None for NULL. Always writable to Python, since torch
 * warns of tensors over read-only memory. The lock is held. */
PyObject *py_view(const void *memory, size_t n, size_t size);

/* Ends a call to Python: takes `result`, releases the lock, and returns the status. */
ishow_status py_finish(PyObject *result, PyGILState_STATE lock, const char *doing, ishow_error *error);

/* encode and step of the backend. */
ishow_status py_encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error);
ishow_status py_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error);

/* Calls a method with the input of encode and `more` (a tuple, stolen; NULL: an exception is pending): new reference or
 * NULL. The lock is held. */
PyObject *py_call_encode(const py_backend *model, const char *method, const ishow_encode_in *in, PyObject *more);

#endif
