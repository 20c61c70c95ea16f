/* Files of clips, private to store/. */
#ifndef ISHOW_STORE_CLIPS_H
#define ISHOW_STORE_CLIPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Writes a file named by the hash of its content, whole or not at all; durable on return. */
ishow_status ishow_clip_write(int folder, const void *bytes, size_t n, char name[48], ishow_error *error);

/* Total bytes of all clips in the folder. */
ishow_status clips_size(int folder, uint64_t *out, ishow_error *error);

/* Removes clips, complete or not, for which named() returns 0. Files with other names are kept. */
ishow_status clips_sweep(int folder, int (*named)(void *self, const char *name), void *self, ishow_error *error);

#endif
