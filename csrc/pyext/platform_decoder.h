/* Decoding without a connection: a part of ishowtts._platforms. */
#ifndef ISHOW_PYEXT_PLATFORM_DECODER_H
#define ISHOW_PYEXT_PLATFORM_DECODER_H

#include <Python.h>

extern PyType_Spec platform_decoder_spec; /* Decoder */

extern const char platform_irc_parse_doc[];
PyObject *platform_irc_parse(PyObject *module, PyObject *line);

#endif
