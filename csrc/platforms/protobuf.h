/* Reads protocol buffers in place, field by field; the caller skips unknown fields. */
#ifndef ISHOW_PLATFORMS_PROTOBUF_H
#define ISHOW_PLATFORMS_PROTOBUF_H

#include <stdint.h>

#include "base/span.h"

typedef struct protobuf_field {
    uint32_t number;
    uint64_t whole;   /* of a number of any width; 0 of a field with a length */
    ishow_span bytes; /* of a string or an inner message, borrowed; {NULL, 0} of a number */
} protobuf_field;

/* Reads the next field of *message. 1: it is in *out; 0: none is left; -1: the bytes are damaged, or the field has an
 * obsolete type (groups). */
int protobuf_next(ishow_span *message, protobuf_field *out);

#endif
