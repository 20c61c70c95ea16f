/* Packed weights kept in a file: a model that was opened before is mapped instead of packed again. Private to model/.
 *
 * The file holds the matrices in the order in which the loader asks for them. It is written beside its name and renamed
 * when it is whole, so processes that start together may all write; readers share its pages. Used by one thread. */
#ifndef ISHOW_MODEL_PACKED_H
#define ISHOW_MODEL_PACKED_H

#include "kernels/kernels.h"

typedef struct packed packed;

/* Opens the file `folder`/`name` where it is whole and was written for `name`; otherwise begins to write it. folder is
 * made where it is missing. NULL: neither can be done (no folder, no memory, a disk that is full), which costs time
 * only. */
packed *packed_open(const char *folder, const char *name);

/* 1: *out is the next matrix of the file, in memory that belongs to p. 0: there is none; pack it and give it. */
int packed_take(packed *p, matrix *out, word_type type, size_t n, size_t k, int has_bias);

/* Appends a matrix to a file that is being written; what cannot be written gives the file up. p: NULL allowed. */
void packed_give(packed *p, const matrix *m);

/* Ends the loading: a file that was written is renamed where `whole`, else removed. A file that was read stays mapped.
 */
void packed_end(packed *p, int whole);

void packed_close(packed *p); /* unmaps; NULL allowed */

#endif
