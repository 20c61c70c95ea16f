/* Parts of ishowtts._service. */
#ifndef ISHOW_PYEXT_SERVICE_H
#define ISHOW_PYEXT_SERVICE_H

#include "pyext/module.h"

typedef struct service_state {
    PyObject *store_type, *form_type, *voices_type, *load_type, *watcher_type, *lexicon_type, *guesses_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} service_state;

/* Raises the exception that from_status returns for an error; NULL. type: a type of this module. */
static inline PyObject *raise_service(PyTypeObject *type, ishow_status status, const ishow_error *error) {
    const service_state *state = PyType_GetModuleState(type);
    return raise_status(state->from_status, status, error);
}

/* ---- service_voices.c ---- */
extern PyType_Spec form_spec, voices_spec;

/* ---- service_speech.c ---- */
extern const char read_speech_doc[], read_openai_doc[], read_openai_line_doc[], read_message_doc[], openai_field_doc[],
    openai_model_doc[], openai_voice_doc[], accept_quality_doc[], accept_audio_doc[];
PyObject *read_speech(PyObject *module, PyObject *body);
PyObject *read_openai(PyObject *module, PyObject *args);
PyObject *read_openai_line(PyObject *module, PyObject *args);
PyObject *read_message(PyObject *module, PyObject *args);
PyObject *openai_field(PyObject *module, PyObject *name);
PyObject *openai_model(PyObject *module, PyObject *args);
PyObject *openai_voice_of(PyObject *module, PyObject *args);
PyObject *quality_of(PyObject *module, PyObject *args);
PyObject *audio_of(PyObject *module, PyObject *args);
int add_schemas(PyObject *module); /* SPEECH_SCHEMA and OPENAI_SCHEMA; -1 with an exception */

/* ---- service_lexicon.c ---- */
extern PyType_Spec lexicon_spec;

/* ---- service_guesses.c ---- */
extern PyType_Spec guesses_spec;

#endif
