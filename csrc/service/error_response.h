/* Faults: the status, code and message of an HTTP error response. */
#ifndef ISHOW_SERVICE_ERROR_RESPONSE_H
#define ISHOW_SERVICE_ERROR_RESPONSE_H

#include <jansson.h>

#include "base/base.h"
#include "base/buffer.h"

typedef struct fault {
    int status; /* HTTP, 0: none */
    const char *code;
    ishow_error error;
} fault;

/* Sets *f and returns 0, so that a checking function can end with `return ishow_fault_set(...)`. */
ISHOW_API int ishow_fault_set(fault *f, int status, const char *code, const char *field, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
ISHOW_API void ishow_fault_from_error(fault *f, const ishow_error *error);
int ishow_fault_type(fault *f, const char *field, const char *wanted,
                     const json_t *value); /* sets "FIELD must be WANTED, not ..."; returns 0 */
ISHOW_API int ishow_fault_memory(fault *f);
int ishow_fault_no_voice(fault *f, const char *id);
ISHOW_API int ishow_fault_no_model(fault *f, const char *asked, const char *loaded);
ISHOW_API void ishow_fault_write(ishow_buffer *out, const fault *f);        /* {"error":{...}} */
ISHOW_API void ishow_fault_write_member(ishow_buffer *out, const fault *f); /* the same without the outer braces */

/* Reads an integer; 7.0 counts as 7, since JSON has one number type. 0: fault set. */
int take_whole(const json_t *value, const char *field, json_int_t *out, fault *f);

#endif
