/* ishowtts._engine.Utterance: a text on its way to audio. Waiting is done in slices so that signals are seen. */
#include "pyext/engine.h"

#include <unistd.h>

#include "base/base.h"
#include "pyext/dict.h"

#define WAIT_SLICE 0.1 /* seconds between two looks at pending signals */

static void utterance_dealloc(PyObject *object) {
    utterance_object *self = (utterance_object *)object;
    Py_BEGIN_ALLOW_THREADS ishow_utterance_free(self->utterance);
    Py_END_ALLOW_THREADS if (self->notify >= 0) close(self->notify); /* it is no longer written to */
    Py_XDECREF(self->owner);
    free_object(object);
}

/* Waits in slices; 0 when `next` has an answer in *status, -1 with an exception when a signal's handler raised. */
static int wait_next(utterance_object *self, double timeout, ishow_status *status, const float **samples, size_t *n,
                     ishow_error *error) {
    const double end = ishow_now() + timeout;
    for (;;) {
        double left = timeout < 0 ? WAIT_SLICE : end - ishow_now();
        left = left < 0 ? 0 : left > WAIT_SLICE ? WAIT_SLICE : left;
        ishow_error_clear(error);
        Py_BEGIN_ALLOW_THREADS *status = ishow_utterance_next(self->utterance, left, samples, n, error);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return -1;
        if (*status != ISHOW_EAGAIN || (timeout >= 0 && ishow_now() >= end)) return 0;
    }
}

static PyObject *utterance_next(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"timeout", NULL};
    utterance_object *self = (utterance_object *)object;
    const float *samples = NULL; /* borrowed until the next call */
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    double timeout = -1;
    size_t n = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|d:next", names, &timeout)) return NULL;
    if (self->reading) {
        error = (ishow_error){.message = "Another thread is reading this utterance."};
        return raise_status(state_of(Py_TYPE(self))->from_status, ISHOW_ESTATE, &error);
    }
    self->reading = 1;
    int failed = wait_next(self, timeout, &status, &samples, &n, &error);
    self->reading = 0;
    if (failed) return NULL;
    if (status) return raise_status(state_of(Py_TYPE(self))->from_status, status, &error);
    if (n == 0) Py_RETURN_NONE;
    return PyByteArray_FromStringAndSize((const char *)samples, (Py_ssize_t)(n * sizeof *samples));
}

static PyObject *utterance_cancel(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    Py_BEGIN_ALLOW_THREADS ishow_utterance_cancel(self->utterance);
    Py_END_ALLOW_THREADS Py_RETURN_NONE;
}

static PyObject *utterance_timings(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    ishow_timings t;
    Py_BEGIN_ALLOW_THREADS ishow_utterance_timings(self->utterance, &t);
    Py_END_ALLOW_THREADS static const member members[] = {
        MEMBER(ishow_timings, queue, MEMBER_DOUBLE),       MEMBER(ishow_timings, text, MEMBER_DOUBLE),
        MEMBER(ishow_timings, first_audio, MEMBER_DOUBLE), MEMBER(ishow_timings, total, MEMBER_DOUBLE),
        MEMBER(ishow_timings, model, MEMBER_DOUBLE),       MEMBER(ishow_timings, audio, MEMBER_DOUBLE),
        MEMBER(ishow_timings, chunks, MEMBER_INT),         MEMBER(ishow_timings, retries, MEMBER_INT),
        MEMBER(ishow_timings, seed, MEMBER_U64),           MEMBER(ishow_timings, sample_rate, MEMBER_INT),
        MEMBER(ishow_timings, voice, MEMBER_TEXT)};
    PyObject *dict = PYEXT_DICT(members, &t),
             *unspoken = Py_BuildValue("(ns)", (Py_ssize_t)t.unspoken.count, t.unspoken.first);
    if (!dict || !unspoken || PyDict_SetItemString(dict, "unspoken", unspoken) < 0) Py_CLEAR(dict);
    Py_XDECREF(unspoken);
    return dict;
}

static PyObject *utterance_progress(PyObject *object, PyObject *unused) {
    (void)unused;
    utterance_object *self = (utterance_object *)object;
    double progress;
    Py_BEGIN_ALLOW_THREADS progress = ishow_utterance_progress(self->utterance);
    Py_END_ALLOW_THREADS return PyFloat_FromDouble(progress);
}

static PyMethodDef utterance_methods[] = {
    {"next", WITH_KEYWORDS(utterance_next),
     "next(timeout=-1)\n--\n\nThe next piece of audio as float32 bytes, None at the end. Waits up to `timeout` seconds "
     "(below 0: for ever)."},
    {"cancel", utterance_cancel, METH_NOARGS, "Stop at the next step; next() then raises ECANCELLED."},
    {"timings", utterance_timings, METH_NOARGS, "Seconds spent where, seed, sample rate."},
    {"progress", utterance_progress, METH_NOARGS, "0 to 1, by steps taken."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot utterance_slots[] = {
    {Py_tp_dealloc, (void *)(uintptr_t)utterance_dealloc},
    {Py_tp_methods, utterance_methods},
    {Py_tp_doc, "One text on its way to audio; freed and cancelled with its last reference."},
    {0, NULL},
};

PyType_Spec pyext_utterance_spec = {.name = "ishowtts._engine.Utterance",
                                    .basicsize = sizeof(utterance_object),
                                    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                             Py_TPFLAGS_DISALLOW_INSTANTIATION,
                                    .slots = utterance_slots};
