/* Two configurations compared: what can be exchanged under requests that run, and what needs a restart.
 *
 * Each has two documents of the same shape: what is in force, secrets included, and the same to be shown. */
#ifndef ISHOW_SERVICE_CONFIG_DIFF_H
#define ISHOW_SERVICE_CONFIG_DIFF_H

#include <jansson.h>

#include "ishow.h"

typedef struct config_diff {
    json_t *changed, *restart; /* names; voices are the caller's to add, who alone sees their clips */
    json_t *now, *shown;       /* the documents as they will be */
    int model;                 /* another model is wanted: voices wait for it */
} config_diff;

/* loopback: only this machine reaches the server. */
ISHOW_API void ishow_config_diff_make(config_diff *d, json_t *now, json_t *shown, json_t *new, json_t *new_shown,
                                      int loopback);
ISHOW_API void ishow_config_diff_free(config_diff *d);

#endif
