/* Refuses arguments that Python allows and C cannot represent, with the package's errors. */
#ifndef ISHOW_PYEXT_TEXT_H
#define ISHOW_PYEXT_TEXT_H

#include "pyext/module.h"

typedef struct text_argument {
    const char *field; /* named by the error */
    const char *utf8;  /* borrowed from the object; NULL: None */
} text_argument;

/* Converters for "O&": a str, or also None, into a text_argument. TypeError for other types; IshowError, status EINVAL,
 * for a NUL or half of a surrogate pair in it. */
int pyext_take_text(PyObject *value, void *argument);
int pyext_take_text_or_none(PyObject *value, void *argument);

/* Converts a pending OverflowError, of a number that is too big for C, to the package's error. */
void pyext_refuse_overflow(void);

#endif
