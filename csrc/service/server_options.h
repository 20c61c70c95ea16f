/* Options of the HTTP server. */
#ifndef ISHOW_SERVICE_SERVER_OPTIONS_H
#define ISHOW_SERVICE_SERVER_OPTIONS_H

#include <stddef.h>

#include "engine/engine.h"

/* Strings are copied by ishow_server_create. */
typedef struct ishow_server_options {
    const char *host;                 /* name or address to bind */
    int port;                         /* 0: any free port */
    const char *api_key;              /* NULL: none; needed for a host that is not loopback unless `insecure` */
    int insecure;                     /* serve other machines without a key */
    int wyoming_port;                 /* of the Wyoming protocol, which has no keys; 0: not served */
    int only_health;                  /* answers health and metrics alone: a worker of a cluster */
    const char *web_dir;              /* folder of the page, read once; NULL: no page */
    const char *const *allowed_hosts; /* further host names that are accepted in a Host header */
    size_t n_allowed_hosts;
    const char *const *cors_origins;  /* origins of other sites that may call, e.g. "https://example.org" */
    size_t n_cors_origins;            /* "*": all of them */
    const char *const *openai_voices; /* pairs: OpenAI's name of a voice, id of ours (service/openai.h) */
    size_t n_openai_voices;           /* strings, twice the voices */
    const char *state_dir;  /* absolute folder of the state, created when missing; NULL: nothing survives a restart */
    size_t body_bytes_max;  /* of a JSON request */
    ishow_request sampling; /* defaults of a request; its strings are ignored */
    double request_seconds; /* deadline of one synthesis */
    double drain_seconds;   /* default of ishow_server_drain */
    double idle_seconds; /* a connection is closed that has sent no whole request, or whose client has read nothing, for
                            this long */
    unsigned connections_max;
    unsigned connections_per_client; /* of one address; more are closed at once. Not limited while only this machine can
                                        connect */
    /* State of the compilation of the model, as by ishow_bridge_compile_state; any thread, must not block. NULL:
     * none. */
    int (*compile_state)(void *self, char *why, size_t n_why);
    void *compile_self; /* borrowed until ishow_server_drain returns, like read_config_self */
    /* The configuration in use, as from ishow_bridge_config, to be shown; NULL: none. Its file is watched; NULL: none.
     * read_config reads it again, on a thread that may wait; NULL: it cannot be reloaded. */
    const char *config_json, *config_file;
    ishow_status (*read_config)(void *self, char **json, ishow_error *error);
    void *read_config_self;
} ishow_server_options;

/* Loopback, the project's port, no page. */
ishow_server_options ishow_server_options_default(void);

#endif
