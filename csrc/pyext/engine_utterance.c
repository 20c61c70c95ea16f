/* ishowtts._engine.Utterance: a text on its way to audio. Waiting is done in slices so that signals are seen. */
#include "pyext/engine.h"

#include <unistd.h>

#include "base/base.h"
#include "pyext/dict.h"
#include "pyext/text.h"

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

/* None, or the exception. */
static PyObject *done(PyObject *self, ishow_status status, const ishow_error *error) {
    if (status) return raise_status(state_of(Py_TYPE(self))->from_status, status, error);
    Py_RETURN_NONE;
}

/* Waits in slices like wait_next. */
static PyObject *utterance_feed(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"text", "timeout", NULL};
    utterance_object *self = (utterance_object *)object;
    text_argument text = {.field = "text"};
    ishow_error error = {0};
    ishow_status status;
    double timeout = -1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|d:feed", names, pyext_take_text, &text, &timeout)) return NULL;
    const double end = ishow_now() + timeout;
    for (;;) {
        double left = timeout < 0 ? WAIT_SLICE : end - ishow_now();
        left = left < 0 ? 0 : left > WAIT_SLICE ? WAIT_SLICE : left;
        Py_BEGIN_ALLOW_THREADS status = ishow_speak_feed(self->utterance, text.utf8, left, &error);
        Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return NULL;
        if (status != ISHOW_EAGAIN || (timeout >= 0 && ishow_now() >= end)) return done(object, status, &error);
    }
}

static PyObject *utterance_set_text(PyObject *object, PyObject *arg) {
    text_argument text = {.field = "text"};
    ishow_error error = {0};
    ishow_status status;
    size_t kept = 0;
    if (!pyext_take_text(arg, &text)) return NULL;
    Py_BEGIN_ALLOW_THREADS status =
        ishow_speak_set_text(((utterance_object *)object)->utterance, text.utf8, &kept, &error);
    Py_END_ALLOW_THREADS if (status) return done(object, status, &error);
    return PyLong_FromSize_t(kept);
}

static PyObject *utterance_flush(PyObject *object, PyObject *unused) {
    (void)unused;
    ishow_error error = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_speak_flush(((utterance_object *)object)->utterance, &error);
    Py_END_ALLOW_THREADS return done(object, status, &error);
}

static PyObject *utterance_end(PyObject *object, PyObject *unused) {
    (void)unused;
    ishow_error error = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_speak_end(((utterance_object *)object)->utterance, &error);
    Py_END_ALLOW_THREADS return done(object, status, &error);
}

static PyObject *utterance_words(PyObject *object, PyObject *unused) {
    (void)unused;
    const ishow_word *words; /* borrowed until the next call of next */
    size_t n;
    ishow_utterance_words(((utterance_object *)object)->utterance, &words, &n);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *word = Py_BuildValue("(ddnn)", words[i].start, words[i].end, (Py_ssize_t)words[i].offset,
                                       (Py_ssize_t)words[i].length);
        if (word)
            PyList_SET_ITEM(list, (Py_ssize_t)i, word);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *utterance_trajectory(PyObject *object, PyObject *args) {
    utterance_object *self = (utterance_object *)object;
    ishow_trajectory t = {0}; /* its arrays live as long as the utterance */
    ishow_error error = {0};
    Py_ssize_t part = 0;
    if (!PyArg_ParseTuple(args, "n:trajectory", &part)) return NULL;
    const ishow_status status = ishow_utterance_trajectory(self->utterance, (size_t)part, &t, &error);
    if (status) return raise_status(state_of(Py_TYPE(self))->from_status, status, &error);
    const size_t size = sizeof *t.states, made = (t.frames - t.ref_frames) * t.mels;
    return Py_BuildValue(
        "(nnnNNN)", (Py_ssize_t)t.frames, (Py_ssize_t)t.ref_frames, (Py_ssize_t)t.mels,
        PyByteArray_FromStringAndSize((const char *)t.times, (Py_ssize_t)(t.n_states * size)),
        PyByteArray_FromStringAndSize((const char *)t.states, (Py_ssize_t)(t.n_states * t.frames * t.mels * size)),
        PyByteArray_FromStringAndSize((const char *)t.mel, (Py_ssize_t)(made * size)));
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
    {"feed", WITH_KEYWORDS(utterance_feed),
     "feed(text, timeout=-1)\n--\n\nAdd a piece to an open text. Waits for room up to `timeout` seconds, then EAGAIN."},
    {"set_text", utterance_set_text, METH_O,
     "set_text(text, /)\n--\n\nReplace what has not begun; the characters that are kept before it."},
    {"flush", utterance_flush, METH_NOARGS, "Speak what has come as it is."},
    {"end", utterance_end, METH_NOARGS, "The text is complete."},
    {"words", utterance_words, METH_NOARGS,
     "[(start, end, offset, length), ...]: words that begin in the last piece, seconds and characters."},
    {"trajectory", utterance_trajectory, METH_VARARGS,
     "trajectory(part, /)\n--\n\n(frames, ref_frames, mels, times, states, mel) of a finished part; arrays as float32 "
     "bytes."},
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
