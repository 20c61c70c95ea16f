/* Shared by the parts of ishowtts._audio. */
#ifndef ISHOW_PYEXT_AUDIO_H
#define ISHOW_PYEXT_AUDIO_H

#include "pyext/module.h"

#include "audio/audio.h"

typedef struct module_state {
    PyObject *error_type, *array_type, *encoder_type;
    ishow_mel *mel;     /* of F5's options */
    ishow_istft *istft; /* of F5's options */
} module_state;

/* AudioError with the error's status and field, or MemoryError; NULL. */
PyObject *pyext_raise_audio(PyObject *module, const ishow_error *error);

/* float32 memory made by C */
extern PyType_Spec pyext_array_spec;

/* Takes over `data` (freed on failure). rows < 0: one dimension. */
PyObject *pyext_array(PyObject *module, float *data, Py_ssize_t rows, Py_ssize_t columns);

/* A contiguous float32 buffer of `dimensions`; 0 with TypeError or ValueError otherwise. Release view on success. */
int pyext_floats(PyObject *object, const char *name, int dimensions, Py_buffer *view);

static inline size_t length_of(const Py_buffer *view) { return (size_t)view->len / sizeof(float); }

extern PyType_Spec pyext_encoder_spec;

/* encode(samples, sample_rate, format="wav", *, out_rate=0) */
PyObject *pyext_encode(PyObject *module, PyObject *args, PyObject *kwargs);
extern const char pyext_encode_doc[];

/* {"wav": "audio/wav", ...} */
PyObject *pyext_formats(void);

#endif
