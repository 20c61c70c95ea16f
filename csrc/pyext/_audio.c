/* ishowtts._audio: audio/ for Python; see audio/audio.h for what each function means. Samples come in through the
 * buffer protocol (contiguous float32) and go out as an `Array` that owns the memory the C function filled:
 * numpy.asarray(array) wraps it without a copy. The interpreter lock is released around pure C only. */
#include "pyext/audio.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "pyext/dict.h"

/* ---- arguments ---- */

static int positive_rate(int sample_rate) {
    if (sample_rate > 0) return 1;
    PyErr_Format(PyExc_ValueError, "sample_rate must be positive, not %d", sample_rate);
    return 0;
}

/* Checks that a number of seconds is finite and not negative. */
static int duration(double seconds, const char *name) {
    if (seconds >= 0 && seconds <= 1e9) return 1;
    PyErr_Format(PyExc_ValueError, "%s must be a number of seconds of 0 or more", name);
    return 0;
}

/* ---- functions ---- */

PyDoc_STRVAR(decode_doc, "decode(data, *, max_seconds=..., min_seconds=..., max_bytes=..., max_channels=...)\n--\n\n"
                         "Bytes of a WAV, FLAC, Ogg Vorbis, Opus or MP3 file to (mono samples [n], sample rate in Hz). "
                         "Left out, the limits are\n"
                         "those of an uploaded reference.");

static PyObject *decode(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", "max_seconds", "min_seconds", "max_bytes", "max_channels", NULL};
    ishow_decode_limits limits = ishow_decode_limits_reference();
    Py_ssize_t max_bytes = (Py_ssize_t)limits.max_bytes;
    Py_buffer data;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*|$ddni:decode", names, &data, &limits.max_seconds,
                                     &limits.min_seconds, &max_bytes, &limits.max_channels))
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
    Py_BEGIN_ALLOW_THREADS status = ishow_audio_decode(data.buf, (size_t)data.len, &limits, &pcm, &error);
    Py_END_ALLOW_THREADS if (status != ISHOW_OK) {
        pyext_raise_audio(module, &error);
        goto done;
    }
    array = pyext_array(module, pcm.samples, -1, (Py_ssize_t)pcm.length);
    if (array) result = Py_BuildValue("(Oi)", array, pcm.sample_rate);
done:
    Py_XDECREF(array);
    PyBuffer_Release(&data);
    return result;
}

PyDoc_STRVAR(resample_doc,
             "resample(samples, from_rate, to_rate)\n--\n\n"
             "Samples [n] at from_rate Hz to samples [round(n * to_rate / from_rate)] at to_rate Hz, by soxr at HQ.");

static PyObject *resample(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "from_rate", "to_rate", NULL};
    PyObject *object; /* borrowed */
    Py_buffer view;
    int from, to;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oii:resample", names, &object, &from, &to) ||
        !pyext_floats(object, "samples", 1, &view))
        return NULL;
    ishow_error error = {0};
    ishow_pcm pcm = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_audio_resample(view.buf, length_of(&view), from, to, &pcm, &error);
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    return status == ISHOW_OK ? pyext_array(module, pcm.samples, -1, (Py_ssize_t)pcm.length)
                              : pyext_raise_audio(module, &error);
}

PyDoc_STRVAR(
    mel_doc,
    "mel(samples, sample_rate=..., n_fft=..., hop=..., n_mels=...)\n--\n\n"
    "Log-mel spectrogram [n // hop + 1, n_mels] of samples [n]: magnitude, HTK scale, natural log, floor 1e-5.\n"
    "Options left out are those of F5-TTS.");

static PyObject *mel(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "n_fft", "hop", "n_mels", NULL};
    const ishow_mel_options f5 = ishow_mel_options_f5();
    ishow_mel_options options = f5;
    PyObject *object; /* borrowed */
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|iiii:mel", names, &object, &options.sample_rate, &options.n_fft,
                                     &options.hop, &options.n_mels) ||
        !pyext_floats(object, "samples", 1, &view))
        return NULL;
    const module_state *state = PyModule_GetState(module);
    ishow_error error = {0};
    ishow_status status = ISHOW_OK;
    ishow_mel *own = NULL;
    float *out = NULL;
    size_t frames = 0;
    Py_BEGIN_ALLOW_THREADS const ishow_mel *plan = state->mel;
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
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    if (status == ISHOW_OK) return pyext_array(module, out, (Py_ssize_t)frames, options.n_mels);
    free(out);
    return pyext_raise_audio(module, &error);
}

PyDoc_STRVAR(
    istft_doc,
    "istft(real, imag, n_fft=..., hop=...)\n--\n\n"
    "Samples [(frames - 1) * hop] of a spectrum in two arrays [frames, n_fft // 2 + 1]; as torch.istft(center=True)\n"
    "with a periodic Hann window.");

static PyObject *istft(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"real", "imag", "n_fft", "hop", NULL};
    const ishow_mel_options f5 = ishow_mel_options_f5();
    int n_fft = f5.n_fft, hop = f5.hop;
    PyObject *real_object, *imag_object; /* borrowed */
    Py_buffer real, imag;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|ii:istft", names, &real_object, &imag_object, &n_fft, &hop))
        return NULL;
    if (!pyext_floats(real_object, "real", 2, &real)) return NULL;
    if (!pyext_floats(imag_object, "imag", 2, &imag)) {
        PyBuffer_Release(&real);
        return NULL;
    }
    PyObject *result = NULL;
    if (real.shape[0] != imag.shape[0] || real.shape[1] != imag.shape[1] ||
        real.shape[1] != (Py_ssize_t)n_fft / 2 + 1) {
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
    Py_BEGIN_ALLOW_THREADS const ishow_istft *plan = state->istft;
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
    Py_END_ALLOW_THREADS if (status == ISHOW_OK) { result = pyext_array(module, out, -1, (Py_ssize_t)length); }
    else {
        free(out);
        pyext_raise_audio(module, &error);
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
    if (!pyext_floats(object, "samples", 1, &view)) return NULL;
    float value;
    Py_BEGIN_ALLOW_THREADS value = ishow_audio_rms(view.buf, length_of(&view));
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    return PyFloat_FromDouble((double)value);
}

PyDoc_STRVAR(cross_fade_doc,
             "cross_fade(a, b, overlap)\n--\n\n"
             "a [na] followed by b [nb], `overlap` samples of both mixed at equal power: [na + nb - overlap].");

static PyObject *cross_fade(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"a", "b", "overlap", NULL};
    PyObject *a_object, *b_object; /* borrowed */
    Py_ssize_t overlap;
    Py_buffer a, b;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOn:cross_fade", names, &a_object, &b_object, &overlap))
        return NULL;
    if (overlap < 0) {
        PyErr_Format(PyExc_ValueError, "overlap must be 0 samples or more, not %zd", overlap);
        return NULL;
    }
    if (!pyext_floats(a_object, "a", 1, &a)) return NULL;
    if (!pyext_floats(b_object, "b", 1, &b)) {
        PyBuffer_Release(&a);
        return NULL;
    }
    PyObject *result = NULL;
    size_t length = 0;
    float *out = ishow_alloc(length_of(&a) + length_of(&b), sizeof(float));
    if (out) {
        Py_BEGIN_ALLOW_THREADS length =
            ishow_audio_cross_fade(a.buf, length_of(&a), b.buf, length_of(&b), (size_t)overlap, out);
        Py_END_ALLOW_THREADS result = pyext_array(module, out, -1, (Py_ssize_t)length);
    } else {
        PyErr_NoMemory();
    }
    PyBuffer_Release(&a);
    PyBuffer_Release(&b);
    return result;
}

PyDoc_STRVAR(
    remove_silence_doc,
    "remove_silence(samples, sample_rate, max_silence, margin)\n--\n\n"
    "A copy of samples [n] in which no silence is longer than max_silence seconds and margin seconds are left\n"
    "at both ends; empty when nothing is above the floor.");

static PyObject *remove_silence(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", "max_silence", "margin", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    double max_silence, margin;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oidd:remove_silence", names, &object, &sample_rate, &max_silence,
                                     &margin))
        return NULL;
    if (!positive_rate(sample_rate) || !duration(max_silence, "max_silence") || !duration(margin, "margin"))
        return NULL;
    if (!pyext_floats(object, "samples", 1, &view)) return NULL;
    size_t length = length_of(&view);
    float *out = ishow_alloc(length, sizeof(float));
    if (out) {
        Py_BEGIN_ALLOW_THREADS memcpy(out, view.buf, length * sizeof(float));
        length = ishow_audio_remove_silence(out, length, sample_rate, max_silence, margin);
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&view);
    return out ? pyext_array(module, out, -1, (Py_ssize_t)length) : PyErr_NoMemory();
}

PyDoc_STRVAR(speech_span_doc,
             "speech_span(samples, sample_rate, floor_rms, margin)\n--\n\n"
             "(begin, end) of the speech in samples, widened by margin seconds; begin == end when there is none.");

static PyObject *speech_span(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"samples", "sample_rate", "floor_rms", "margin", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    float floor_rms;
    double margin;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oifd:speech_span", names, &object, &sample_rate, &floor_rms,
                                     &margin))
        return NULL;
    if (!positive_rate(sample_rate) || !duration(margin, "margin")) return NULL;
    if (!pyext_floats(object, "samples", 1, &view)) return NULL;
    size_t begin, end;
    Py_BEGIN_ALLOW_THREADS ishow_audio_speech_span(view.buf, length_of(&view), sample_rate, floor_rms, margin, &begin,
                                                   &end);
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    return Py_BuildValue("(nn)", (Py_ssize_t)begin, (Py_ssize_t)end);
}

PyDoc_STRVAR(
    check_doc,
    "check(samples, sample_rate)\n--\n\n"
    "Faults of a finished clip: non_finite and clipped samples, dc, rms, peak, longest_silence (seconds), silent.");

static PyObject *check(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    static char *names[] = {"samples", "sample_rate", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi:check", names, &object, &sample_rate)) return NULL;
    if (!positive_rate(sample_rate) || !pyext_floats(object, "samples", 1, &view)) return NULL;
    ishow_audio_faults faults;
    Py_BEGIN_ALLOW_THREADS ishow_audio_check(view.buf, length_of(&view), sample_rate, &faults);
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    static const member members[] = {
        MEMBER(ishow_audio_faults, non_finite, MEMBER_SIZE), MEMBER(ishow_audio_faults, clipped, MEMBER_SIZE),
        MEMBER(ishow_audio_faults, dc, MEMBER_FLOAT),        MEMBER(ishow_audio_faults, rms, MEMBER_FLOAT),
        MEMBER(ishow_audio_faults, peak, MEMBER_FLOAT),      MEMBER(ishow_audio_faults, longest_silence, MEMBER_DOUBLE),
        MEMBER(ishow_audio_faults, silent, MEMBER_BOOL)};
    return PYEXT_DICT(members, &faults);
}

PyDoc_STRVAR(
    artifacts_doc,
    "artifacts(samples, sample_rate)\n--\n\n"
    "What faulty synthesis leaves in a clip: clicks, dropouts and gaps (counts), first_click and first_repeat (seconds "
    "or\n"
    "None), dropout_seconds, longest_gap, hole_seconds, repeat_seconds, bandwidth (Hz), end_level (dB), early_end.");

static PyObject *artifacts(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"samples", "sample_rate", NULL};
    PyObject *object; /* borrowed */
    int sample_rate;
    Py_buffer view;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi:artifacts", names, &object, &sample_rate) ||
        !pyext_floats(object, "samples", 1, &view))
        return NULL;
    ishow_audio_artifacts found;
    ishow_error error = {0};
    ishow_status status;
    Py_BEGIN_ALLOW_THREADS status = ishow_audio_find_artifacts(view.buf, length_of(&view), sample_rate, &found, &error);
    Py_END_ALLOW_THREADS PyBuffer_Release(&view);
    if (status != ISHOW_OK) return pyext_raise_audio(module, &error);
    static const member members[] = {MEMBER(ishow_audio_artifacts, clicks, MEMBER_SIZE),
                                     MEMBER(ishow_audio_artifacts, dropouts, MEMBER_SIZE),
                                     MEMBER(ishow_audio_artifacts, gaps, MEMBER_SIZE),
                                     MEMBER(ishow_audio_artifacts, first_click, MEMBER_SECONDS),
                                     MEMBER(ishow_audio_artifacts, dropout_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, longest_gap, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, hole_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, bandwidth, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, repeat_seconds, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, first_repeat, MEMBER_SECONDS),
                                     MEMBER(ishow_audio_artifacts, end_level, MEMBER_DOUBLE),
                                     MEMBER(ishow_audio_artifacts, early_end, MEMBER_BOOL)};
    return PYEXT_DICT(members, &found);
}

/* ---- module ---- */

#define METHOD(name) \
    { #name, WITH_KEYWORDS(name), name##_doc }
static PyMethodDef methods[] = {
    METHOD(decode),
    METHOD(resample),
    METHOD(mel),
    METHOD(istft),
    {"rms", rms, METH_O, rms_doc},
    METHOD(cross_fade),
    METHOD(remove_silence),
    METHOD(speech_span),
    METHOD(check),
    METHOD(artifacts),
    {"encode", WITH_KEYWORDS(pyext_encode), pyext_encode_doc},
    {NULL, NULL, 0, NULL},
};
#undef METHOD

static int module_exec(PyObject *module) {
    module_state *state = PyModule_GetState(module);
    const ishow_mel_options f5 = ishow_mel_options_f5();
    ishow_error error = {0};
    if (!(state->array_type = add_type(module, &pyext_array_spec)) ||
        !(state->encoder_type = add_type(module, &pyext_encoder_spec)))
        return -1;
    PyObject *formats = pyext_formats();
    const int failed =
        PyModule_AddObjectRef(module, "FORMATS", formats); /* with NULL it fails and keeps the exception */
    Py_XDECREF(formats);
    PyObject *defaults = failed ? NULL : Py_BuildValue("{s:s,s:s}", "status", "EINVAL", "field", "");
    if (!defaults) return -1;
    state->error_type = PyErr_NewExceptionWithDoc(
        "ishowtts._audio.AudioError",
        "Audio that cannot be used: `status` names the kind of failure (\"EFORMAT\", \"ELIMIT\", ...), "
        "`field` the request field at fault or \"\".",
        PyExc_ValueError, defaults);
    Py_DECREF(defaults);
    if (!state->error_type || PyModule_AddObjectRef(module, "AudioError", state->error_type) < 0) return -1;
    if (ishow_mel_create(&state->mel, &f5, &error) != ISHOW_OK ||
        ishow_istft_create(&state->istft, f5.n_fft, f5.hop, &error) != ISHOW_OK) {
        pyext_raise_audio(module, &error);
        return -1;
    }
    return 0;
}

static void release(module_state *state) {
    ishow_mel_free(state->mel);
    ishow_istft_free(state->istft);
}

PYEXT_MODULE(_audio, "Audio: decode, resample, mel, inverse STFT, level, trim, cross-fade, check, encode.", methods,
             module_state, 3, release)
