#ifndef ISHOW_AUDIO_RATE_STREAM_H
#define ISHOW_AUDIO_RATE_STREAM_H

#include "base/buffer.h"
#include "ishow.h"

/* EINVAL, field "sample_rate", when a rate is out of range. */
ishow_status rates_check(int from, int to, ishow_error *error);

typedef struct rate_stream rate_stream; /* of rates that were checked */
ishow_status rate_stream_create(rate_stream **out, int from, int to, ishow_error *error);
void rate_stream_free(rate_stream *r);
/* Appends to out (floats) what is final by now; `last` flushes. Together the pieces equal ishow_audio_resample of the
 * whole. */
ishow_status rate_stream_push(rate_stream *r, const float *samples, size_t n, int last, ishow_buffer *out,
                              ishow_error *error);

#endif
