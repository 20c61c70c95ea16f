/* Wrong API keys: who sent several must wait, whatever key comes next, or the right one could be found without a pause.
 * One thread. */
#ifndef ISHOW_SERVICE_GUESSES_H
#define ISHOW_SERVICE_GUESSES_H

#include <sys/socket.h>

#include "base/base.h"

/* Each wrong key keeps its address busy for GUESS_SECONDS; who is busy for more than GUESSES of them must wait. The
 * GUESSERS that are busy longest are remembered. */
enum { GUESSERS = 256, GUESSES = 10, GUESS_SECONDS = 6 };

typedef struct guesser {
    unsigned char key[8]; /* what tells addresses apart */
    double busy_until;    /* 0: free */
} guesser;

typedef struct guesses {
    guesser from[GUESSERS];
} guesses; /* begins as zeros */

/* Seconds until a key of this address is looked at; 0 or less: at once. from NULL: an unknown address. now: ishow_now()
 * or any other clock that only goes forward. */
ISHOW_API double ishow_guesses_wait(const guesses *g, const struct sockaddr *from, double now);
/* A key from there was wrong. */
ISHOW_API void ishow_guesses_add(guesses *g, const struct sockaddr *from, double now);

#endif
