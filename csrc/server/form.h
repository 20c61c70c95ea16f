/* A form of multipart/form-data. */
#ifndef ISHOW_SERVER_FORM_H
#define ISHOW_SERVER_FORM_H

#include "server/server.h"

enum { FORM_ID = 1, FORM_TEXT = 2, FORM_LANGUAGE = 4, FORM_AUDIO = 8 };

typedef struct form {
    unsigned allowed, given; /* fields */
    bytes id, text, language; /* NUL-terminated once read, when given */
    bytes audio;
    fault *fault;            /* borrowed */
    bytes body;
    struct MHD_PostProcessor *parser;
} form;

/* On the loop: takes the exchange's body. The form must not move until it is closed. 0: *fault is set. */
int form_open(form *f, exchange *x, unsigned allowed, fault *fault);

/* On any thread, once. 0: the fault is set. */
int form_read(form *f, unsigned needed);

void form_close(form *f); /* also one that was zeroed or refused */

#endif
