/* The HTTP server: a listening socket, an event loop and an audio thread around an engine that may arrive later.
 *
 * A server answers health questions from the moment it is created; speech only after ishow_server_ready. Lifetimes: engine
 * and server are made separately; drain the server, free the engine, then free the server (the engine's threads
 * wake the server until the engine is gone). */
#ifndef ISHOW_SERVER_H
#define ISHOW_SERVER_H

#include <stddef.h>

#include "ishow/chatqueue.h"
#include "ishow/engine.h"
#include "ishow/status.h"
#include "ishow/voice_store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_server ishow_server;

/* Strings are copied by create. */
typedef struct ishow_server_options {
    const char *host;              /* name or address to bind */
    int port;                      /* 0: any free port */
    const char *api_key;           /* NULL: none; needed for a host that is not loopback unless `insecure` */
    int insecure;                  /* serve other machines without a key */
    const char *web_dir;           /* folder of the page, read once; NULL: no page */
    const char *const *allowed_hosts; /* further names that a Host header may carry */
    size_t n_allowed_hosts;
    const char *const *cors_origins;  /* origins of other sites that may call, e.g. "https://example.org" */
    size_t n_cors_origins;
    const char *state_dir;         /* absolute folder for what outlives the process, made when missing; NULL: nothing does */
    size_t body_bytes_max;         /* of a JSON request */
    ishow_request sampling;        /* what a request gets that does not choose; its strings are ignored */
    double request_seconds;        /* deadline of one synthesis */
    double drain_seconds;          /* of ishow_server_drain, unless it says */
    double idle_seconds;           /* a connection without a whole request, or a client that takes nothing, is closed after this */
    unsigned connections_max;
    unsigned connections_per_client; /* of one address; more are closed at once. Not counted while only this machine can connect */
    /* Where the compilation of the model stands, as ishow_bridge_compile_state says it; any thread, must not block. NULL: none. */
    int (*compile_state)(void *self, char *why, size_t n_why);
    void *compile_self;            /* borrowed until ishow_server_drain returns, like read_config_self */
    /* The configuration in force, as ishow_bridge_config makes it, to be shown; NULL: none. Its file is watched, NULL: none. read_config reads it again, on a thread that may
     * wait; NULL: it cannot be reloaded. */
    const char *config_json, *config_file;
    ishow_status (*read_config)(void *self, char **json, ishow_error *error);
    void *read_config_self;
} ishow_server_options;

/* Loopback, the project's port, no page. */
ishow_server_options ishow_server_options_default(void);

/* Binds, starts the threads and answers from then on. EINVAL with the field when options do not go together (no key for a public
 * address), EIO with field "port" or "host" when the address cannot be had, EBUSY or EIO with "state_dir" likewise. */
ishow_status ishow_server_create(ishow_server **out, const ishow_server_options *options, ishow_error *error);

int ishow_server_port(const ishow_server *server);          /* the real one */
const char *ishow_server_url(const ishow_server *server);   /* "http://127.0.0.1:27121", owned by the server */

/* Gives the engine these voices and those that came over HTTP and are kept; before ready. ENOTFOUND, EFORMAT, ... when one of these cannot be used. */
ishow_status ishow_server_set_voices(ishow_server *server, ishow_engine *engine, const ishow_voice_setting *voices, size_t n, ishow_error *error);

/* Speech is served from now on. The engine is borrowed until ishow_server_drain returns; default_voice (copied, may be NULL) is the
 * voice of requests that name none. Any thread, once. */
void ishow_server_ready(ishow_server *server, ishow_engine *engine, const char *default_voice);

/* Live chat with this engine, borrowed until ishow_server_drain returns, in default_voice (copied, may be NULL) unless a message has one; once, before ishow_server_ready. Sources (borrowed, too) that
 * name a channel are joined; one without is what any channel of its platform is joined with that is started over HTTP. With a state directory what waits survives the
 * process. Fails as ishow_chat_create does. */
ishow_status ishow_server_open_chat(ishow_server *server, ishow_engine *engine, const char *default_voice, const ishow_chat_options *options, const ishow_chat_source_options *sources,
                                     size_t n_sources, ishow_error *error);

/* Reads the configuration again, soon; what comes of it is logged. Any thread. */
void ishow_server_reload(ishow_server *server);

/* Readiness becomes false and the port is closed at once; requests that run are finished for up to `seconds` (below 0: as configured), then cancelled. Returns
 * when no request is left and the threads have ended. Call once. */
void ishow_server_drain(ishow_server *server, double seconds);

/* Frees it, draining without patience when that has not happened. NULL allowed. */
void ishow_server_free(ishow_server *server);

#ifdef __cplusplus
}
#endif
#endif
