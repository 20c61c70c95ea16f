/* The Wyoming protocol: speech for Home Assistant. Owned by the server. */
#ifndef ISHOW_SERVER_WYOMING_H
#define ISHOW_SERVER_WYOMING_H

#include "server/internal.h"

/* Listens on a port of the host. *out is to be freed also on failure. EINVAL, field "wyoming_port": other machines
 * could connect, and not `insecure`. */
ishow_status wyoming_start(wyoming **out, ishow_server *s, const char *host, int port, int insecure,
                           ishow_error *error);
void wyoming_stop(wyoming *w); /* ends all speech; before the engine is freed. NULL allowed */
void wyoming_free(wyoming *w); /* NULL allowed */

#endif
