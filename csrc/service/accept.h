/* Content negotiation by the Accept header. accept NULL: none was sent. Parts that cannot be parsed are ignored. */
#ifndef ISHOW_SERVICE_ACCEPT_H
#define ISHOW_SERVICE_ACCEPT_H

#include "audio/audio.h"

/* Quality of the type, 0..1; a range of all types does not count. */
ISHOW_API double ishow_accept_quality(const char *accept, const char *type, const char *subtype);
ISHOW_API double ishow_accept_audio(const char *accept,
                                    ishow_format *out); /* quality of the best audio format, WAV among equals */

#endif
