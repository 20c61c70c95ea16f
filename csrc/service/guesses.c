/* See guesses.h. */
#include "service/guesses.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>

/* Of IPv6 the network, since a client has all addresses of its own. */
static void key_of(const struct sockaddr *from, unsigned char key[8]) {
    memset(key, 0, 8);
    if (!from) return;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    if (from->sa_family == AF_INET)
        memcpy(key, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else if (from->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six))
        memcpy(key, six->s6_addr + 12, 4);
    else if (from->sa_family == AF_INET6)
        memcpy(key, six->s6_addr, 8);
}

double ishow_guesses_wait(const guesses *g, const struct sockaddr *from, double now) {
    unsigned char key[8];
    key_of(from, key);
    for (const guesser *o = g->from; o < g->from + GUESSERS; o++)
        if (o->busy_until > 0 && !memcmp(o->key, key, sizeof key)) return o->busy_until - now - GUESSES * GUESS_SECONDS;
    return 0;
}

void ishow_guesses_add(guesses *g, const struct sockaddr *from, double now) {
    unsigned char key[8];
    guesser *place = g->from; /* that is free first */
    key_of(from, key);
    for (guesser *o = g->from; o < g->from + GUESSERS; o++) {
        if (o->busy_until > 0 && !memcmp(o->key, key, sizeof key)) {
            o->busy_until = fmax(now, o->busy_until) + GUESS_SECONDS;
            return;
        }
        if (o->busy_until < place->busy_until) place = o;
    }
    memcpy(place->key, key, sizeof key);
    place->busy_until = now + GUESS_SECONDS;
}
