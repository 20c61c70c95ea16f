/* A form of multipart/form-data. */
#ifndef ISHOW_SERVER_FORM_H
#define ISHOW_SERVER_FORM_H

#include "server/server.h"

enum { FORM_ID = 1, FORM_TEXT = 2, FORM_LANGUAGE = 4, FORM_AUDIO = 8 };

typedef struct form {
    unsigned allowed, given; /* fields */
    bytes id, text, language; /* NUL-terminated once checked, when given */
    bytes audio;
    fault *fault;            /* borrowed */
} form;

/* On the loop: takes the exchange's body apart. The parser leans on the connection's own memory, which a client that hangs up takes away, so it is
 * done at once; what costs time is the copy of the clip, some milliseconds for one of 10 MiB. The form must not move until it is closed. 0: *fault is set. */
int form_parse(form *f, exchange *x, unsigned allowed, fault *fault);

/* Whether all fields in `needed` are given and each is what it must be. On any thread, once, after form_parse. 0: the fault is set. */
int form_check(form *f, unsigned needed);

void form_close(form *f); /* also one that was zeroed or refused */

#endif
