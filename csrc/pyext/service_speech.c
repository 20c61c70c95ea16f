/* Requests for speech, checked by csrc/service/speech.h: the client's fields as a dict with the names of /api/tts, and
 * the format that its Accept header prefers. */
#include "pyext/service.h"

#include "pyext/answer.h"
#include "pyext/handles.h"
#include "service/accept.h"
#include "service/openai.h"
#include "service/speech.h"

static PyObject *value_of(const ishow_field *field, const speech *s) {
    const void *at = (const char *)s + field->at;
    switch (field->kind) {
    case ISHOW_FIELD_STRING:
    case ISHOW_FIELD_ID: return PyUnicode_FromString(*(const char *const *)at);
    case ISHOW_FIELD_NUMBER: return PyFloat_FromDouble(*(const double *)at);
    case ISHOW_FIELD_BOOLEAN: return PyBool_FromLong(*(const int *)at);
    case ISHOW_FIELD_SEED: return PyLong_FromUnsignedLongLong(s->request.seed);
    case ISHOW_FIELD_CHOICE: return PyUnicode_FromString(field->choice(*(const int *)at));
    default: return PyLong_FromDouble(ishow_field_get(field, s));
    }
}

/* The fields that were given and are not null, by their names in /api/tts. */
static PyObject *given(const speech_form *form, const speech *s) {
    PyObject *all = PyDict_New();
    const ishow_field *row;
    for (size_t i = 0; all && (row = ishow_speech_field_at(form, i)); i++) {
        const json_t *json = json_object_get(s->json, row->name);
        if (!json || json_is_null(json)) continue;
        PyObject *value = value_of(ishow_speech_meaning(row), s);
        const int renamed = form != &ishow_speech_own && form != &ishow_speech_written && row->option;
        const char *own = renamed ? row->option : row->name;
        if (!value || PyDict_SetItemString(all, own, value) < 0) Py_CLEAR(all);
        Py_XDECREF(value);
    }
    return all;
}

/* Takes s. */
static PyObject *answer(int good, const speech_form *form, speech *s, const fault *f) {
    ishow_buffer body = {0};
    PyObject *result = good ? given(form, s) : answer_of(0, &body, f);
    ishow_speech_free(s);
    return result;
}

const char read_speech_doc[] = "read_speech(body, /)\n--\n\nThe fields of /api/tts that a JSON body gives, or the "
                               "(status, JSON) of what is wrong with it.";
PyObject *read_speech(PyObject *module, PyObject *body) {
    const ishow_request defaults = ishow_request_default(); /* never shown, since only given fields are returned */
    Py_buffer data;
    speech s;
    fault f = {0};
    (void)module;
    if (PyObject_GetBuffer(body, &data, PyBUF_SIMPLE) < 0) return NULL;
    const int good = ishow_speech_parse(&ishow_speech_own, data.buf, (size_t)data.len, &defaults, &s, &f);
    PyBuffer_Release(&data);
    return answer(good, &ishow_speech_own, &s, &f);
}

const char read_openai_doc[] = "read_openai(body, model, /)\n--\n\nThe same of a body in OpenAI's words: its own names "
                               "of fields become those of /api/tts. model: the loaded one's name.";
PyObject *read_openai(PyObject *module, PyObject *args) {
    const ishow_request defaults = ishow_request_default();
    Py_buffer data;
    const char *model;
    speech s;
    fault f = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "y*s:read_openai", &data, &model)) return NULL;
    const int good = ishow_speech_parse_openai(data.buf, (size_t)data.len, &defaults, model, &s, &f);
    PyBuffer_Release(&data);
    return answer(good, &ishow_speech_openai, &s, &f);
}

const char read_openai_line_doc[] =
    "read_openai_line(line, first, model, /)\n--\n\nThe same of a line of a body whose text comes in pieces. first: it "
    "begins the speech; the others have input and flush alone.";
PyObject *read_openai_line(PyObject *module, PyObject *args) {
    const ishow_request defaults = ishow_request_default();
    Py_buffer data;
    const char *model;
    speech s;
    fault f = {0};
    int first;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*ps:read_openai_line", &data, &first, &model)) return NULL;
    const int good = ishow_speech_parse_openai_line(data.buf, (size_t)data.len, first, &defaults, model, &s, &f);
    PyBuffer_Release(&data);
    return answer(good, first ? &ishow_speech_openai_begun : &ishow_speech_openai_piece, &s, &f);
}

const char read_message_doc[] =
    "read_message(body, start, /)\n--\n\nA message of /api/tts/ws: its id, \"\" where it could not be read, and None "
    "when "
    "it cancels, the fields that it gives, or (status, JSON). start: it must be one that begins a speech.";
PyObject *read_message(PyObject *module, PyObject *args) {
    const ishow_request defaults = ishow_request_default();
    Py_buffer data;
    speech_message m;
    fault f = {0};
    int start;
    (void)module;
    if (!PyArg_ParseTuple(args, "y*p:read_message", &data, &start)) return NULL;
    const int good = ishow_speech_parse_message(data.buf, (size_t)data.len, &defaults, &m, &f) &&
                     (!start || m.cancels || ishow_speech_check_start(&m, &f));
    PyBuffer_Release(&data);
    if (!good || !m.cancels) return Py_BuildValue("(sN)", m.id, answer(good, &ishow_speech_written, &m.said, &f));
    ishow_speech_free(&m.said);
    return Py_BuildValue("(sO)", m.id, Py_None);
}

const char openai_field_doc[] = "openai_field(name, /)\n--\n\nWhat OpenAI calls a field of /api/tts.";
PyObject *openai_field(PyObject *module, PyObject *name) {
    const char *own = PyUnicode_AsUTF8(name);
    fault f = {0};
    (void)module;
    if (!own) return NULL;
    ishow_fail(&f.error, ISHOW_EINVAL, own, "%s", "");
    ishow_speech_rename(&f);
    return PyUnicode_FromString(f.error.field);
}

const char openai_model_doc[] = "openai_model(asked, loaded, /)\n--\n\nNone when a name means the loaded model, or the "
                                "(status, JSON) of what is wrong.";
PyObject *openai_model(PyObject *module, PyObject *args) {
    const char *asked, *loaded;
    fault f = {0};
    ishow_buffer body = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "ss:openai_model", &asked, &loaded)) return NULL;
    if (ishow_openai_model_known(asked, loaded)) Py_RETURN_NONE;
    ishow_fault_no_model(&f, asked, loaded);
    return answer_of(0, &body, &f);
}

const char openai_voice_doc[] = "openai_voice(engine, names, asked, /)\n--\n\nThe id that a name means; asked itself "
                                "where it is unknown. engine: Engine.handle(); names: {name: id}.";
PyObject *openai_voice_of(PyObject *module, PyObject *args) {
    PyObject *handle, *names, *name, *id, *found = NULL;
    const char *asked;
    char out[65];
    Py_ssize_t at = 0;
    size_t n = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!s:openai_voice", &handle, &PyDict_Type, &names, &asked)) return NULL;
    ishow_engine *engine = engine_of(handle);
    const char **map = engine ? calloc(2 * (size_t)PyDict_Size(names) + 1, sizeof *map) : NULL;
    if (engine && !map) PyErr_NoMemory();
    while (map && PyDict_Next(names, &at, &name, &id))
        if (!(map[n++] = PyUnicode_AsUTF8(name)) || !(map[n++] = PyUnicode_AsUTF8(id))) goto done;
    if (map) found = PyUnicode_FromString(ishow_openai_voice(engine, map, n, asked, out));
done:
    free(map);
    return found;
}

const char accept_quality_doc[] = "accept_quality(accept, type, subtype, /)\n--\n\nHow much an Accept field wants a "
                                  "media type, 0 to 1; accept None: there is no such field.";
PyObject *quality_of(PyObject *module, PyObject *args) {
    const char *accept, *type, *subtype;
    (void)module;
    if (!PyArg_ParseTuple(args, "zss:accept_quality", &accept, &type, &subtype)) return NULL;
    return PyFloat_FromDouble(ishow_accept_quality(accept, type, subtype));
}

const char accept_audio_doc[] =
    "accept_audio(accept, /)\n--\n\nHow much an Accept field (or None) wants audio, and the format that it likes best.";
PyObject *audio_of(PyObject *module, PyObject *args) {
    const char *accept;
    ishow_format format;
    (void)module;
    if (!PyArg_ParseTuple(args, "z:accept_audio", &accept)) return NULL;
    const double quality = ishow_accept_audio(accept, &format);
    return Py_BuildValue("(ds)", quality, ishow_format_name(format));
}

int add_schemas(PyObject *module) {
    const struct {
        const char *name;
        const speech_form *form;
    } all[] = {{"SPEECH_SCHEMA", &ishow_speech_own}, {"OPENAI_SCHEMA", &ishow_speech_openai}};
    int status = 0;
    for (size_t i = 0; !status && i < sizeof all / sizeof *all; i++) {
        ishow_buffer text = {0};
        ishow_speech_schema(all[i].form, &text);
        ishow_buffer_add(&text, "", 1);
        if (text.failed) PyErr_NoMemory();
        status = text.failed ? -1 : PyModule_AddStringConstant(module, all[i].name, (const char *)text.data);
        ishow_buffer_free(&text);
    }
    return status;
}
