/* The configuration in use, and its replacement while requests run. */
#ifndef ISHOW_SERVER_CONFIG_H
#define ISHOW_SERVER_CONFIG_H

#include "server/internal.h"

/* options->config_json NULL: the server has no configuration to show or reload, and *out is NULL. */
ishow_status config_create(config **out, ishow_server *s, const ishow_server_options *options, ishow_error *error);
void config_stop(config *c); /* stops reloads by signal and by file change */
void config_free(config *c); /* NULL allowed, like above */

/* Reads the configuration again and applies what can change at run time, all or nothing. Appends
 * {"changed":[...],"restart_needed":[...]} to answer (may be NULL). ESTATE while the model loads. Call on a thread that
 * may wait and take the interpreter lock, not on the loop. */
ishow_status config_reload(config *c, ishow_buffer *answer, ishow_error *error);

#endif
