/* Compares two configurations: which settings can change while requests run, and which need a restart.
 *
 * Each has two documents of the same structure: the one in use, with secrets, and the one to show, without. */
#ifndef ISHOW_SERVICE_CONFIG_DIFF_H
#define ISHOW_SERVICE_CONFIG_DIFF_H

#include <jansson.h>

#include "ishow.h"

typedef struct config_diff {
    json_t *changed, *restart; /* names of settings; the caller adds those of voices, since only it reads their clips */
    json_t *now, *shown;       /* the documents after the change */
    int model;                 /* the model changes, which needs a restart: voices stay until then */
} config_diff;

/* loopback: only this machine reaches the server. */
ISHOW_API void ishow_config_diff_make(config_diff *d, json_t *now, json_t *shown, json_t *new, json_t *new_shown,
                                      int loopback);
ISHOW_API void ishow_config_diff_free(config_diff *d);

#endif
