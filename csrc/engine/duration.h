/* Estimates how long a text takes to say; plan.h applies a voice's own pace. */
#ifndef ISHOW_ENGINE_DURATION_H
#define ISHOW_ENGINE_DURATION_H

#include <stddef.h>

/* Seconds an ordinary speaker takes for text[0..bytes), pauses at marks included. An estimate from code points
 * alone. */
double ishow_speech_seconds(const char *text, size_t bytes);

#endif
