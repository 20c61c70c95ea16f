/* ishowtts._audio: the audio room for Python; see ishow/audio.h for what each function means.
 * Samples come in through the buffer protocol (contiguous float32) and go out as an `Array` that owns the memory the C
 * function filled: numpy.asarray(array) wraps it without a copy. The interpreter lock is released around pure C only. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "ishow/audio.h"

typedef struct module_state {
    PyObject *error_type, *array_type;
    ishow_mel *mel;     /* of F5's options */
    ishow_istft *istft; /* of F5's options */
} module_state;

static PyObject *raise(PyObject *module, const ishow_error *error) {
    const module_state *state = PyModule_GetState(module);
    if (error->status == ISHOW_ENOMEM) return PyErr_NoMemory();
    PyObject *value = PyObject_CallFunction(state->error_type, "s", error->message), *text = NULL;
    if (!value) return NULL;
    text = PyUnicode_FromString(ishow_status_name(error->status));
    if (!text || PyObject_SetAttrString(value, "status", text) < 0) goto done;
    Py_SETREF(text, PyUnicode_FromString(error->field));
    if (!text || PyObject_SetAttrString(value, "field", text) < 0) goto done;
    PyErr_SetObject(state->error_type, value);
done:
    Py_XDECREF(text);
    Py_DECREF(value);
    return NULL;
}

/* ---- Array: float32 memory made by C ---- */

typedef struct array_object {
    PyObject_HEAD
    float *data; /* free() */
    int dimensions;
    Py_ssize_t shape[2], strides[2];
} array_object;

/* Takes over `data` (freed on failure). rows < 0: one dimension. */
static PyObject *array_new(PyObject *module, float *data, Py_ssize_t rows, Py_ssize_t columns) {
    const module_state *state = PyModule_GetState(module);
    PyTypeObject *type = (PyTypeObject *)state->array_type; /* borrowed */
    array_object *array = (array_object *)type->tp_alloc(type, 0);
    if (!array) {
        free(data);
        return NULL;
    }
    array->data = data;
    array->dimensions = rows < 0 ? 1 : 2;
    array->shape[0] = rows < 0 ? columns : rows;
    array->shape[1] = columns;
    array->strides[0] = rows < 0 ? (Py_ssize_t)sizeof(float) : columns * (Py_ssize_t)sizeof(float);
    array->strides[1] = (Py_ssize_t)sizeof(float);
    return (PyObject *)array;
}

static void array_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    free(((array_object *)self)->data);
    type->tp_free(self);
    Py_DECREF(type);
}

static int array_buffer(PyObject *self, Py_buffer *view, int flags) {
    array_object *array = (array_object *)self;
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && array->dimensions > 1) {
        view->obj = NULL;
        PyErr_SetString(PyExc_BufferError, "the array is C-contiguous");
        return -1;
    }
    *view = (Py_buffer){.buf = array->data,
                        .obj = Py_NewRef(self),
                        .len = array->shape[0] * array->strides[0],
                        .itemsize = (Py_ssize_t)sizeof(float),
                        .ndim = array->dimensions,
                        .format = flags & PyBUF_FORMAT ? (char *)"f" : NULL,
                        .shape = flags & PyBUF_ND ? array->shape : NULL,
                        .strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? array->strides : NULL};
    return 0;
}

static Py_ssize_t array_length(PyObject *self) { return ((array_object *)self)->shape[0]; }

static PyType_Slot array_slots[] = {
    {Py_tp_doc, "float32 memory of one or two dimensions; numpy.asarray() wraps it without a copy."},
    {Py_tp_dealloc, (void *)array_free},
    {Py_sq_length, (void *)array_length},
    {Py_bf_getbuffer, (void *)array_buffer},
    {0, NULL},
};

static PyType_Spec array_spec = {
    .name = "ishowtts._audio.Array",
    .basicsize = sizeof(array_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = array_slots,
};

/* ---- arguments ---- */

/* A contiguous float32 buffer of `dimensions`; TypeError or ValueError otherwise. Release view on success. */
static int floats(PyObject *object, const char *name, int dimensions, Py_buffer *view) {
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a float32 array, not %s", name, Py_TYPE(object)->tp_name);
        return 0;
    }
    if (PyObject_GetBuffer(object, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
        if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_ValueError, "%s must be C-contiguous", name);
        }
        return 0;
    }
    const char *format = view->format ? view->format : "B";
    if (*format == '<' || *format == '=' || *format == '@') format++;
    if (strcmp(format, "f") != 0)
        PyErr_Format(PyExc_TypeError, "%s must be float32, not of format '%s'", name, view->format ? view->format : "B");
    else if (view->ndim != dimensions)
        PyErr_Format(PyExc_ValueError, "%s must have %d dimension%s, not %d", name, dimensions, dimensions > 1 ? "s" : "", view->ndim);
    else
        return 1;
    PyBuffer_Release(view);
    return 0;
}

static size_t length_of(const Py_buffer *view) { return (size_t)view->len / sizeof(float); }

static int positive_rate(int sample_rate) {
    if (sample_rate > 0) return 1;
    PyErr_Format(PyExc_ValueError, "sample_rate must be positive, not %d", sample_rate);
    return 0;
}

/* A number of seconds that can be meant: finite and not negative. */
static int duration(double seconds, const char *name) {
    if (seconds >= 0 && seconds <= 1e9) return 1;
    PyErr_Format(PyExc_ValueError, "%s must be a number of seconds of 0 or more", name);
    return 0;
}

/* ---- functions ---- */

PyDoc_STRVAR(decode_doc,
             "decode(data, *, max_seconds=..., min_seconds=..., max_bytes=..., max_channels=...)\n--\n\n"
             "Bytes of a WAV, FLAC, Ogg Vorbis, Opus or MP3 file to (mono samples [n], sample rate in Hz). Left out, the limits are\n"
             "those of an uploaded reference.");

static PyObject *decode(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "max_seconds", "min_seconds", "max_bytes", "max_channels", NULL};
    ishow_decode_limits limits = ishow_decode_limits_reference();
    Py_ssize_t max_bytes = (Py_ssize_t)limits.max_bytes;
    Py_buffer data;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|$ddni:decode", names, &data, &limits.max_seconds, &limits.min_seconds, &max_bytes,
                                     &limits.max_channels))
        return NULL;
    PyObject *result = NULL, *array = NULL;
    if (!duration(limits.max_seconds, "max_seconds") || !duration(limits.min_seconds, "min_seconds")) goto done;
    if (max_bytes < 0 || limits.max_channels < 1) {
        PyErr_SetString(PyExc_ValueError, "max_bytes and max_channels must be positive");
        goto done;
    }
    limits.max_bytes = (size_t)max_bytes;
    ishow_error error = {0};
    ishow_pcm pcm = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_audio_decode(data.buf, (size_t)data.len, &limits, &pcm, &error);
    Py_END_ALLOW_THREADS
    if (status != ISHOW_OK) {
        raise(module, &error);
        goto done;
    }
    array = array_new(module, pcm.samples, -1, (Py_ssize_t)pcm.length);
    if (array) result = Py_BuildValue("(Oi)", array, pcm.sample_rate);
done:
    Py_XDECREF(array);
    PyBuffer_Release(&data);
    return result;
}

PyDoc_STRVAR(resample_doc, "resample(samples, from_rate, to_rate)\n--\n\n"
                           "Samples [n] at from_rate Hz to samples [round(n * to_rate / from_rate)] at to_rate Hz, by soxr at HQ.");

static PyObject *resample(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "from_rate", "to_rate", NULL};
    PyObject *object; /* borrowed */
    Py_buffer view;
    int from, to;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oii:resample", names, &object, &from, &to) || !floats(object, "samples", 1, &view))
        return NULL;
    ishow_error error = {0};
    ishow_pcm pcm = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_audio_resample(view.buf, length_of(&view), from, to, &pcm, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return status == ISHOW_OK ? array_new(module, pcm.samples, -1, (Py_ssize_t)pcm.length) : raise(module, &error);
}

PyDoc_STRVAR(mel_doc, "mel(samples, sample_rate=..., n_fft=..., hop=..., n_mels=...)\n--\n\n"
                      "Log-mel spectrogram [n // hop + 1, n_mels] of samples [n]: magnitude, HTK scale, natural log, floor 1e-5.\n"
                      "Options left out are those of F5-TTS.");

static PyObject *mel(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "n_fft", "hop", "n_mels", NULL};
    const ishow_mel_options f5 = ishow_mel_options_f5();
    ishow_mel_options options = f5;
    PyObject *object; /* borrowed */
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|iiii:mel", names, &object, &options.sample_rate, &options.n_fft, &options.hop,
                                     &options.n_mels) ||
        !floats(object, "samples", 1, &view))
        return NULL;
    const module_state *state = PyModule_GetState(module);
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    ishow_mel *own = NULL;
    float *out = NULL;
    size_t frames = 0;
    Py_BEGIN_ALLOW_THREADS
    const ishow_mel *plan = state->mel;
    if (memcmp(&options, &f5, sizeof f5) != 0) {
        status = ishow_mel_create(&own, &options, &error);
        plan = own;
    }
    if (status == ISHOW_OK) {
        frames = ishow_mel_frames(plan, length_of(&view));
        out = ishow_alloc(frames, (size_t)options.n_mels * sizeof(float));
        status = out ? ishow_mel_compute(plan, view.buf, length_of(&view), out, &error)
                     : ishow_fail(&error, ISHOW_ENOMEM, "", "out of memory for a mel spectrogram");
    }
    ishow_mel_free(own);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (status == ISHOW_OK) return array_new(module, out, (Py_ssize_t)frames, options.n_mels);
    free(out);
    return raise(module, &error);
}

PyDoc_STRVAR(istft_doc, "istft(real, imag, n_fft=..., hop=...)\n--\n\n"
                        "Samples [(frames - 1) * hop] of a spectrum in two arrays [frames, n_fft // 2 + 1]; as torch.istft(center=True)\n"
                        "with a periodic Hann window.");

static PyObject *istft(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"real", "imag", "n_fft", "hop", NULL};
    const ishow_mel_options f5 = ishow_mel_options_f5();
    int n_fft = f5.n_fft, hop = f5.hop;
    PyObject *real_object, *imag_object; /* borrowed */
    Py_buffer real, imag;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|ii:istft", names, &real_object, &imag_object, &n_fft, &hop)) return NULL;
    if (!floats(real_object, "real", 2, &real)) return NULL;
    if (!floats(imag_object, "imag", 2, &imag)) {
        PyBuffer_Release(&real);
        return NULL;
    }
    PyObject *result = NULL;
    if (real.shape[0] != imag.shape[0] || real.shape[1] != imag.shape[1] || real.shape[1] != (Py_ssize_t)n_fft / 2 + 1) {
        PyErr_Format(PyExc_ValueError, "real and imag must both be [frames, %d]", n_fft / 2 + 1);
        goto done;
    }
    const module_state *state = PyModule_GetState(module);
    const size_t frames = (size_t)real.shape[0];
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    ishow_istft *own = NULL;
    float *out = NULL;
    size_t length = 0;
    Py_BEGIN_ALLOW_THREADS
    const ishow_istft *plan = state->istft;
    if (n_fft != f5.n_fft || hop != f5.hop) {
        status = ishow_istft_create(&own, n_fft, hop, &error);
        plan = own;
    }
    if (status == ISHOW_OK) {
        length = ishow_istft_samples(plan, frames);
        out = ishow_alloc(length, sizeof(float));
        status = out ? ishow_istft_compute(plan, real.buf, imag.buf, frames, out, &error)
                     : ishow_fail(&error, ISHOW_ENOMEM, "", "out of memory for %zu samples", length);
    }
    ishow_istft_free(own);
    Py_END_ALLOW_THREADS
    if (status == ISHOW_OK) {
        result = array_new(module, out, -1, (Py_ssize_t)length);
    } else {
        free(out);
        raise(module, &error);
    }
done:
    PyBuffer_Release(&real);
    PyBuffer_Release(&imag);
    return result;
}

PyDoc_STRVAR(rms_doc, "rms(samples, /)\n--\n\nRoot mean square; 0.0 for no samples.");

static PyObject *rms(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer view;
    if (!floats(object, "samples", 1, &view)) return NULL;
    float value;
    Py_BEGIN_ALLOW_THREADS
    value = ishow_audio_rms(view.buf, length_of(&view));
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return PyFloat_FromDouble((double)value);
}

PyDoc_STRVAR(cross_fade_doc, "cross_fade(a, b, overlap)\n--\n\n"
                             "a [na] followed by b [nb], `overlap` samples of both mixed at equal power: [na + nb - overlap].");

static PyObject *cross_fade(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"a", "b", "overlap", NULL};
    PyObject *a_object, *b_object; /* borrowed */
    Py_ssize_t overlap;
    Py_buffer a, b;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOn:cross_fade", names, &a_object, &b_object, &overlap)) return NULL;
    if (overlap < 0) {
        PyErr_Format(PyExc_ValueError, "overlap must be 0 samples or more, not %zd", overlap);
        return NULL;
    }
    if (!floats(a_object, "a", 1, &a)) return NULL;
    if (!floats(b_object, "b", 1, &b)) {
        PyBuffer_Release(&a);
        return NULL;
    }
    PyObject *result = NULL;
    size_t length = 0;
    float *out = ishow_alloc(length_of(&a) + length_of(&b), sizeof(float));
    if (out) {
        Py_BEGIN_ALLOW_THREADS
        length = ishow_audio_cross_fade(a.buf, length_of(&a), b.buf, length_of(&b), (size_t)overlap, out);
        Py_END_ALLOW_THREADS
        result = array_new(module, out, -1, (Py_ssize_t)length);
    } else {
        PyErr_NoMemory();
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return result;
}

PyDoc_STRVAR(remove_silence_doc, "remove_silence(samples, sample_rate, max_silence, margin)\n--\n\n"
                                 "A copy of samples [n] in which no silence is longer than max_silence seconds and margin seconds are left\n"
                                 "at both ends; empty when nothing is above the floor.");

static PyObject *remove_silence(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "max_silence", "margin", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    double max_silence, margin;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oidd:remove_silence", names, &object, &sample_rate, &max_silence, &margin)) return NULL;
    if (!positive_rate(sample_rate) || !duration(max_silence, "max_silence") || !duration(margin, "margin")) return NULL;
    if (!floats(object, "samples", 1, &view)) return NULL;
    size_t length = length_of(&view);
    float *out = ishow_alloc(length, sizeof(float));
    if (out) {
        Py_BEGIN_ALLOW_THREADS
        memcpy(out, view.buf, length * sizeof(float));
        length = ishow_audio_remove_silence(out, length, sample_rate, max_silence, margin);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return out ? array_new(module, out, -1, (Py_ssize_t)length) : PyErr_NoMemory();
}

PyDoc_STRVAR(speech_span_doc, "speech_span(samples, sample_rate, floor_rms, margin)\n--\n\n"
                              "(begin, end) of the speech in samples, widened by margin seconds; begin == end when there is none.");

static PyObject *speech_span(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"samples", "sample_rate", "floor_rms", "margin", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    float floor_rms;
    double margin;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oifd:speech_span", names, &object, &sample_rate, &floor_rms, &margin)) return NULL;
    if (!positive_rate(sample_rate) || !duration(margin, "margin")) return NULL;
    if (!floats(object, "samples", 1, &view)) return NULL;
    size_t begin, end;
    Py_BEGIN_ALLOW_THREADS
    ishow_audio_speech_span(view.buf, length_of(&view), sample_rate, floor_rms, margin, &begin, &end);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return Py_BuildValue("(nn)", (Py_ssize_t)begin, (Py_ssize_t)end);
}

PyDoc_STRVAR(check_doc, "check(samples, sample_rate)\n--\n\n"
                        "Faults of a finished clip: non_finite and clipped samples, dc, rms, peak, longest_silence (seconds), silent.");

static PyObject *check(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"samples", "sample_rate", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi:check", names, &object, &sample_rate)) return NULL;
    if (!positive_rate(sample_rate) || !floats(object, "samples", 1, &view)) return NULL;
    ishow_audio_faults faults;
    Py_BEGIN_ALLOW_THREADS
    ishow_audio_check(view.buf, length_of(&view), sample_rate, &faults);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    return Py_BuildValue("{s:n,s:n,s:d,s:d,s:d,s:d,s:O}", "non_finite", (Py_ssize_t)faults.non_finite, "clipped",
                         (Py_ssize_t)faults.clipped, "dc", (double)faults.dc, "rms", (double)faults.rms, "peak", (double)faults.peak,
                         "longest_silence", faults.longest_silence, "silent", faults.silent ? Py_True : Py_False);
}

PyDoc_STRVAR(artifacts_doc, "artifacts(samples, sample_rate)\n--\n\n"
                            "What faulty synthesis leaves in a clip: clicks, dropouts and gaps (counts), first_click and first_repeat (seconds or\n"
                            "None), dropout_seconds, longest_gap, hole_seconds, repeat_seconds, bandwidth (Hz), end_level (dB), early_end.");

static PyObject *seconds_or_none(double seconds) { return seconds < 0 ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds); }

static PyObject *artifacts(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi:artifacts", names, &object, &sample_rate) || !floats(object, "samples", 1, &view)) return NULL;
    ishow_audio_artifacts found;
    ishow_error error = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_audio_find_artifacts(view.buf, length_of(&view), sample_rate, &found, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (status != ISHOW_OK) return raise(module, &error);
    return Py_BuildValue("{s:n,s:n,s:n,s:N,s:d,s:d,s:d,s:d,s:d,s:N,s:d,s:O}", "clicks", (Py_ssize_t)found.clicks, "dropouts", (Py_ssize_t)found.dropouts,
                         "gaps", (Py_ssize_t)found.gaps, "first_click", seconds_or_none(found.first_click), "dropout_seconds", found.dropout_seconds,
                         "longest_gap", found.longest_gap, "hole_seconds", found.hole_seconds, "bandwidth", found.bandwidth, "repeat_seconds",
                         found.repeat_seconds, "first_repeat", seconds_or_none(found.first_repeat), "end_level", found.end_level, "early_end",
                         found.early_end ? Py_True : Py_False);
}

/* ---- encoding ---- */

/* The name of a format, or ValueError. */
static int format_of(const char *name, ishow_format *out) {
    if (ishow_format_find(name, out)) return 1;
    PyErr_Format(PyExc_ValueError, "format must be wav, pcm, flac, opus or mp3, not '%s'", name);
    return 0;
}

PyDoc_STRVAR(encode_doc, "encode(samples, sample_rate, format='wav', *, out_rate=0)\n--\n\n"
                         "Bytes of a mono file. out_rate 0: sample_rate, or the next rate that the format takes.");

static PyObject *encode(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "format", "out_rate", NULL};
    PyObject *object; /* borrowed */
    const char *name = "wav";
    int sample_rate, out_rate = 0;
    ishow_format format;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi|s$i:encode", names, &object, &sample_rate, &name, &out_rate) || !format_of(name, &format) ||
        !floats(object, "samples", 1, &view))
        return NULL;
    ishow_error error = {0};
    ishow_status status;
    unsigned char *file = NULL;
    size_t bytes = 0;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_audio_encode(view.buf, length_of(&view), sample_rate, format, out_rate, &file, &bytes, &error);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    if (status != ISHOW_OK) return raise(module, &error);
    PyObject *result = PyBytes_FromStringAndSize((const char *)file, (Py_ssize_t)bytes);
    free(file);
    return result;
}

typedef struct encoder_object {
    PyObject_HEAD
    ishow_encoder *encoder;
    int busy; /* a push runs without the interpreter lock */
} encoder_object;

static PyObject *encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"sample_rate", "format", "out_rate", NULL};
    const char *name;
    ishow_encoder_options options = {0};
    ishow_error error = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "is|$i:Encoder", names, &options.from_rate, &name, &options.sample_rate) ||
        !format_of(name, &options.format))
        return NULL;
    encoder_object *self = (encoder_object *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    if (ishow_encoder_create(&self->encoder, &options, &error) == ISHOW_OK) return (PyObject *)self;
    raise(PyType_GetModule(type), &error);
    Py_DECREF(self);
    return NULL;
}

static void encoder_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    ishow_encoder_free(((encoder_object *)self)->encoder);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(push_doc, "push(samples=None, *, last=False)\n--\n\nBytes that are ready after these samples [n]; `last` ends the stream.");

static PyObject *push(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "last", NULL};
    encoder_object *self = (encoder_object *)object;
    PyObject *samples = Py_None; /* borrowed */
    int last = 0;
    Py_buffer view = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O$p:push", names, &samples, &last)) return NULL;
    if (samples != Py_None && !floats(samples, "samples", 1, &view)) return NULL;
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    PyObject *result = NULL;
    const unsigned char *out; /* borrowed from the encoder */
    size_t n;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread pushes into this encoder");
        goto done;
    }
    self->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    status = ishow_encoder_push(self->encoder, view.buf, length_of(&view), last, &out, &n, &error);
    Py_END_ALLOW_THREADS
    self->busy = 0;
    if (status == ISHOW_OK) result = PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)n);
    else raise(PyType_GetModule(Py_TYPE(self)), &error);
done:
    if (view.obj) PyBuffer_Release(&view);
    return result;
}

static PyObject *encoder_rate(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(ishow_encoder_rate(((encoder_object *)self)->encoder));
}

static PyObject *encoder_length(PyObject *self, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLongLong(ishow_encoder_length(((encoder_object *)self)->encoder));
}

static PyMethodDef encoder_methods[] = {{"push", (PyCFunction)(void (*)(void))push, METH_VARARGS | METH_KEYWORDS, push_doc}, {NULL, NULL, 0, NULL}};
static PyGetSetDef encoder_fields[] = {{"sample_rate", encoder_rate, NULL, "Hz, of the result", NULL},
                                       {"length", encoder_length, NULL, "samples encoded so far, at sample_rate", NULL},
                                       {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot encoder_slots[] = {
    {Py_tp_doc, "Encoder(sample_rate, format, *, out_rate=0)\n--\n\nA stream of one format, byte by byte as it is made."},
    {Py_tp_new, (void *)encoder_new},
    {Py_tp_dealloc, (void *)encoder_free},
    {Py_tp_methods, encoder_methods},
    {Py_tp_getset, encoder_fields},
    {0, NULL},
};

static PyType_Spec encoder_spec = {
    .name = "ishowtts._audio.Encoder", .basicsize = sizeof(encoder_object), .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, .slots = encoder_slots};

/* {"wav": "audio/wav", ...} */
static PyObject *formats(void) {
    PyObject *all = PyDict_New();
    for (int i = 0; all && i < ISHOW_FORMATS; i++) {
        PyObject *mime = PyUnicode_FromString(ishow_format_mime((ishow_format)i));
        if (!mime || PyDict_SetItemString(all, ishow_format_name((ishow_format)i), mime) < 0) Py_CLEAR(all);
        Py_XDECREF(mime);
    }
    return all;
}

/* ---- module ---- */

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, name##_doc}
static PyMethodDef methods[] = {
    METHOD(decode),         METHOD(resample),    METHOD(mel),   METHOD(istft),      {"rms", rms, METH_O, rms_doc}, METHOD(cross_fade),
    METHOD(remove_silence), METHOD(speech_span), METHOD(check), METHOD(artifacts), METHOD(encode), {NULL, NULL, 0, NULL},
};

static int exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const ishow_mel_options f5 = ishow_mel_options_f5();
    ishow_error error = {0};
    state->array_type = PyType_FromModuleAndSpec(module, &array_spec, NULL);
    if (!state->array_type || PyModule_AddObjectRef(module, "Array", state->array_type) < 0) return -1;
    PyObject *encoder = PyType_FromModuleAndSpec(module, &encoder_spec, NULL), *all = formats();
    const int failed = !encoder || !all || PyModule_AddObjectRef(module, "Encoder", encoder) < 0 || PyModule_AddObjectRef(module, "FORMATS", all) < 0;
    Py_XDECREF(encoder);
    Py_XDECREF(all);
    if (failed) return -1;
    PyObject *defaults = Py_BuildValue("{s:s,s:s}", "status", "EINVAL", "field", "");
    if (!defaults) return -1;
    state->error_type = PyErr_NewExceptionWithDoc("ishowtts._audio.AudioError",
                                                  "Audio that cannot be used: `status` names the kind of failure (\"EFORMAT\", \"ELIMIT\", ...), "
                                                  "`field` the request field at fault or \"\".",
                                                  PyExc_ValueError, defaults);
    Py_DECREF(defaults);
    if (!state->error_type || PyModule_AddObjectRef(module, "AudioError", state->error_type) < 0) return -1;
    if (ishow_mel_create(&state->mel, &f5, &error) != ISHOW_OK || ishow_istft_create(&state->istft, f5.n_fft, f5.hop, &error) != ISHOW_OK) {
        raise(module, &error);
        return -1;
    }
    return 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    const module_state *state = PyModule_GetState(module);
    Py_VISIT(state->error_type);
    Py_VISIT(state->array_type);
    return 0;
}

static int clear(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    Py_CLEAR(state->error_type);
    Py_CLEAR(state->array_type);
    return 0;
}

static void destroy(void *module) {
    module_state *state = PyModule_GetState(module);
    clear(module);
    ishow_mel_free(state->mel);
    ishow_istft_free(state->istft);
    state->mel = NULL;
    state->istft = NULL;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)exec},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ishowtts._audio",
    .m_doc = "Audio: decode, resample, mel, inverse STFT, level, trim, cross-fade, check, encode.",
    .m_size = sizeof(module_state),
    .m_methods = methods,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = destroy,
};

PyMODINIT_FUNC PyInit__audio(void) { return PyModuleDef_Init(&definition); }
