/* Shared by the parts of ishowtts._engine. */
#ifndef ISHOW_PYEXT_ENGINE_H
#define ISHOW_PYEXT_ENGINE_H

#include "pyext/module.h"

#include "engine/field.h"

typedef struct module_state {
    PyObject *engine_type, *utterance_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

static inline const module_state *state_of(PyTypeObject *type) { return PyType_GetModuleState(type); }

typedef struct utterance_object {
    PyObject_HEAD PyObject *owner; /* the engine, kept open while the utterance is used */
    ishow_utterance *utterance;
    int reading;
    int notify; /* eventfd of its own, -1: none */
} utterance_object;

extern PyType_Spec pyext_utterance_spec;

/* ---- engine_dicts.c ---- */
PyObject *pyext_model_info(const ishow_model_info *info);
PyObject *pyext_engine_stats(const ishow_engine_stats *stats);

/* ({"name": "nfe_step", "option": "nfe", ...}, ...): the rows of a table. */
PyObject *pyext_fields(const ishow_fields *fields);

/* Adds {setting: default} of a table to a dict; -1 with an exception. */
int pyext_add_field_defaults(const ishow_fields *fields, PyObject *to);

/* Takes the options of a table out of the dict `options` (which loses them) into the struct `of`, checked. all: none
 * may be missing. 0, or -1 with an exception, or with *error set and no exception. */
int pyext_take_fields(const ishow_fields *fields, PyObject *options, int all, void *of, ishow_error *error);

/* {"nfe": 7, ...}: every default and limit of base/defaults.h, and the defaults of the tables. */
PyObject *pyext_defaults(void);

/* {"priorities": (...), "platforms", "roles", "reasons", "states"}: the words of live chat, the highest priority
 * first. */
PyObject *pyext_chat_words(void);

#endif
