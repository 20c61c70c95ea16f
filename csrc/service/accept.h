/* What a client's Accept field wants. NULL: it sent none. Whatever else it holds, what cannot be read is not wanted. */
#ifndef ISHOW_SERVICE_ACCEPT_H
#define ISHOW_SERVICE_ACCEPT_H

#include "audio/audio.h"

ISHOW_API double ishow_accept_quality(
    const char *accept, const char *type,
    const char *subtype); /* how much the type is wanted, 0..1. A range of all types is nobody's wish for this one */
ISHOW_API double ishow_accept_audio(
    const char *accept, ishow_format *out); /* the audio format that is liked best, WAV among equals, and how much */

#endif
