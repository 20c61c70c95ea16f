/* Events of live chat as Python's dicts: a part of ishowtts._platforms. */
#ifndef ISHOW_PYEXT_PLATFORM_EVENTS_H
#define ISHOW_PYEXT_PLATFORM_EVENTS_H

#include <Python.h>

#include "chat/message.h"

PyObject *platform_text(ishow_span s); /* a str; invalid UTF-8 becomes surrogate escapes; NULL with an exception */
/* Appends the event to *list; a failure leaves *list NULL and an exception set. source < 0: it is not named. */
void platform_events_append(PyObject **list, const ishow_chat_event *event, Py_ssize_t source);

#endif
