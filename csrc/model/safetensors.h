/* Weight files: tensors by name from a .safetensors file. Private to model/. */
#ifndef ISHOW_MODEL_SAFETENSORS_H
#define ISHOW_MODEL_SAFETENSORS_H

#include <stddef.h>

#include "ishow.h"

typedef struct tensor_file tensor_file;

/* Maps the file and checks its table: every tensor inside the file, F32, F16 or BF16. ENOTFOUND, EIO, or EFORMAT with
 * the file and the reason. */
ishow_status tensor_file_open(tensor_file **out, const char *path, ishow_error *error);
void tensor_file_close(tensor_file *file); /* NULL allowed */

/* Copies a tensor as fp32 into *out (free()). The name may carry the prefixes of published checkpoints in the file
 * ("ema_model.", "transformer."). Its shape must be `shape` [n_dims]. EFORMAT names file and tensor when it is missing,
 * has another shape, or holds values that are not finite. */
ishow_status tensor_read(tensor_file *file, const char *name, const size_t *shape, size_t n_dims, float **out,
                         ishow_error *error);

/* OK when every weight of the file was read. EFORMAT names one that was not, as it belongs to another architecture:
 * one with more blocks or other parts. Counters of training, and tables that this library computes itself, are not
 * weights. */
ishow_status tensor_file_all_read(const tensor_file *file, ishow_error *error);

/* Logs how far `work` on the file's tensors is, by those that were read, and how long the rest takes; at most once in
 * two seconds. */
void tensor_file_report(tensor_file *file, const char *work);

/* A string of the file's metadata, borrowed from it; NULL: there is none of this name. */
const char *tensor_metadata(const tensor_file *file, const char *name);

#endif
