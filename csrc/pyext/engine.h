/* Shared by the parts of ishowtts._engine. */
#ifndef ISHOW_PYEXT_ENGINE_H
#define ISHOW_PYEXT_ENGINE_H

#include "pyext/module.h"

#include "engine/engine.h"

typedef struct module_state {
    PyObject *engine_type, *utterance_type;
    PyObject *from_status; /* ishowtts.errors.from_status */
} module_state;

static inline const module_state *state_of(PyTypeObject *type) { return PyType_GetModuleState(type); }

typedef struct utterance_object {
    PyObject_HEAD
    PyObject *owner; /* keeps the engine open while it is listened to */
    ishow_utterance *utterance;
    int reading;
} utterance_object;

extern PyType_Spec pyext_utterance_spec;

/* {"nfe": 7, ...}: every default and limit of base/defaults.h. */
PyObject *pyext_defaults(void);

/* {"priorities": (...), "platforms", "roles", "reasons", "states"}: the words of live chat, the highest priority first. */
PyObject *pyext_chat_words(void);

#endif
