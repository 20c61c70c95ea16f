/* The fields of an upload, independent of the form parser: each field is known, sent once and within its limit, texts
 * are valid UTF-8. */
#ifndef ISHOW_SERVICE_MULTIPART_FORM_H
#define ISHOW_SERVICE_MULTIPART_FORM_H

#include "service/error_response.h"

enum { FORM_ID = 1, FORM_TEXT = 2, FORM_LANGUAGE = 4, FORM_AUDIO = 8 };
enum { FORM_NEW_VOICE = FORM_ID | FORM_TEXT | FORM_LANGUAGE | FORM_AUDIO, FORM_REFERENCE = FORM_TEXT | FORM_AUDIO };

typedef struct form {
    unsigned allowed, given;         /* bit sets of fields */
    ishow_buffer id, text, language; /* NUL-terminated once checked, when given */
    ishow_buffer audio;
    fault fault;
} form;

/* Adds n bytes of a field at `offset`. key, encoding (Content-Transfer-Encoding): NULL where there is none. 0: the
 * fault is set, or out of memory. */
ISHOW_API int ishow_form_add(form *f, const char *key, const char *encoding, const void *data, uint64_t offset,
                             size_t n);

/* Ends the form. whole: the end of the body was found and nothing was malformed. 0: the fault is set. */
ISHOW_API int ishow_form_end(form *f, int whole);

/* Checks that all fields in `needed` are given and valid. Once, after ishow_form_end. 0: the fault is set. */
int ishow_form_check(form *f, unsigned needed);

/* A checked text field, NULL when it was not given. */
const char *ishow_form_text(const form *f, unsigned field, const ishow_buffer *value);

ISHOW_API void ishow_form_close(form *f); /* also after a fault, or of a zeroed form */

#endif
