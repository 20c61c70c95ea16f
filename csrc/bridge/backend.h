/* What both backends that run a model in Python share. Private to bridge/. */
#ifndef ISHOW_BRIDGE_BACKEND_H
#define ISHOW_BRIDGE_BACKEND_H

#include "bridge/internal.h"
#include "model/cuda.h"

typedef struct py_backend {
    PyObject *object; /* ishowtts.model.backend.TorchBackend, or CudaBackend */
    ishow_model_info info;
    ishow_cuda_driver driver; /* of the CUDA backend, as what follows */
    ishow_cuda_steps *steps;
} py_backend;

/* Reads `info` of backend->object, which py_backend_make was given, and fills in the functions that answer through
 * Python; frees `backend` and leaves *out empty on an error. The interpreter lock is held. */
ishow_status py_backend_make(py_backend *backend, ishow_backend *out, ishow_error *error);

/* A view of n elements of `size` bytes for the length of one call, None for NULL. Always writable to Python, since
 * torch warns of tensors over read-only memory. The lock is held. */
PyObject *py_view(const void *memory, size_t n, size_t size);

/* Ends a call that was made with the lock held; `result`: returned by Python. */
ishow_status py_finish(PyObject *result, PyGILState_STATE lock, const char *doing, ishow_error *error);

/* encode and step of the table. */
ishow_status py_encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error);
ishow_status py_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error);

/* Calls a method with what is to be encoded and `more` (a tuple, stolen; NULL: an exception is pending): new reference
 * or NULL. The lock is held. */
PyObject *py_call_encode(const py_backend *model, const char *method, const ishow_encode_in *in, PyObject *more);

#endif
