/* What the fuzzers of live chat check about everything that a decoder hands on. */
#ifndef ISHOW_FUZZ_EVENTS_H
#define ISHOW_FUZZ_EVENTS_H

#include "fuzz.h"
#include "platforms/event_sink.h"

void fuzz_check_event(void *self,
                      const ishow_chat_event *event); /* aborts when a promise of platforms/platforms.h is broken */
void fuzz_inside(ishow_span span, const char *bytes, size_t n); /* aborts when it is not within them */

#endif
