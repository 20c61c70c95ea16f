/* The configuration in force, and its exchange for another while requests run. */
#ifndef ISHOW_SERVER_CONFIG_H
#define ISHOW_SERVER_CONFIG_H

#include "server/internal.h"

/* NULL options->config_json: a server without a configuration that could be shown or reloaded; *out is NULL then. */
ishow_status config_create(config **out, ishow_server *s, const ishow_server_options *options, ishow_error *error);
void config_stop(config *c); /* no reload comes by itself any more */
void config_free(config *c); /* NULL allowed, like above */

/* Reads the configuration again and puts what may change at once into force; all or nothing. Appends
 * {"changed":[...],"restart_needed":[...]} to answer (may be NULL). ESTATE while the model loads. On a thread that may
 * wait and take the interpreter, not on the loop. */
ishow_status config_reload(config *c, ishow_buffer *answer, ishow_error *error);

#endif
