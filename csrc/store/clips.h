/* Files of clips, private to store/. */
#ifndef ISHOW_STORE_CLIPS_H
#define ISHOW_STORE_CLIPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

/* Writes bytes under the name of their content in the folder, whole or not at all, durable on return. */
ishow_status ishow_clip_write(int folder, const void *bytes, size_t n, char name[48], ishow_error *error);

/* Bytes of all clips in the folder. */
ishow_status clips_size(int folder, uint64_t *out, ishow_error *error);

/* Removes clips, finished and unfinished, for which named() says 0. Files of other names are left alone. */
ishow_status clips_sweep(int folder, int (*named)(void *self, const char *name), void *self, ishow_error *error);

#endif
