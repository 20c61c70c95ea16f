/* Packed weights stored in a file: a model that was opened before is mapped instead of packed again. Private to model/.
 *
 * The file has the matrices in the order in which the loader asks for them. It is written under a temporary name and
 * renamed when complete; of processes that start together one writes it. What a killed process left under that name is
 * overwritten by the next one. Readers share the file's pages. Used by one thread. */
#ifndef ISHOW_MODEL_PACKED_H
#define ISHOW_MODEL_PACKED_H

#include "kernels/kernels.h"

typedef struct packed packed;

/* Opens the file `folder`/`name` if it is complete and was written for `name`; otherwise begins to write it. folder is
 * created when missing. NULL: neither is possible (no folder, out of memory, disk full, another process writes it),
 * which costs only time. */
packed *packed_open(const char *folder, const char *name);

/* 1: *out is the next matrix of the file, in memory owned by p. 0: there is none; pack it and call packed_give. */
int packed_take(packed *p, matrix *out, word_type type, size_t n, size_t k, int has_bias);

/* Appends a matrix to a file that is being written; a failure abandons the file. p: NULL allowed. */
void packed_give(packed *p, const matrix *m);

/* Ends loading: a written file is renamed if `whole`, else removed. A file that was read stays mapped. */
void packed_end(packed *p, int whole);

void packed_close(packed *p); /* unmaps; NULL allowed */

#endif
