/* The HTTP server: a listening socket, an event loop and an audio thread around an engine that may arrive later.
 *
 * A server answers health questions from the moment it is created; speech only after ishow_server_ready. Lifetimes:
 * engine and server are made separately; drain the server, free the engine, then free the server (the engine's threads
 * wake the server until the engine is gone). */
#ifndef ISHOW_SERVER_SERVER_H
#define ISHOW_SERVER_SERVER_H

#include <stddef.h>

#include "chat/chat.h"
#include "platforms/platforms.h"
#include "engine/engine.h"
#include "ishow.h"
#include "service/server_options.h"
#include "store/voice_store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_server ishow_server;

/* Binds, starts the threads and answers from then on. EINVAL with the field when options do not go together (no key for
 * a public address), EIO with field "port" or "host" when the address cannot be had, EBUSY or EIO with "state_dir"
 * likewise. */
ishow_status ishow_server_create(ishow_server **out, const ishow_server_options *options, ishow_error *error);

int ishow_server_port(const ishow_server *server);        /* the real one */
const char *ishow_server_url(const ishow_server *server); /* "http://127.0.0.1:27121", owned by the server */

/* Gives the engine these voices and those that came over HTTP and are kept; before ready. ENOTFOUND, EFORMAT, ... when
 * one of these cannot be used. */
ishow_status ishow_server_set_voices(ishow_server *server, ishow_engine *engine, const ishow_voice_setting *voices,
                                     size_t n, ishow_error *error);

/* Speech is served from now on. The engine is borrowed until ishow_server_drain returns; default_voice (copied, may be
 * NULL) is the voice of requests that name none. Any thread, once. */
void ishow_server_ready(ishow_server *server, ishow_engine *engine, const char *default_voice);

/* Live chat with this engine, borrowed until ishow_server_drain returns, in default_voice (copied, may be NULL) unless
 * a message has one; once, before ishow_server_ready. Sources (borrowed, too) that name a channel are joined; one
 * without is what any channel of its platform is joined with that is started over HTTP. With a state directory what
 * waits survives the process. Fails as ishow_chat_create does. */
ishow_status ishow_server_open_chat(ishow_server *server, ishow_engine *engine, const char *default_voice,
                                    const ishow_chat_options *options, const ishow_chat_source_options *sources,
                                    size_t n_sources, ishow_error *error);

/* Reads the configuration again, soon; what comes of it is logged. Any thread. */
void ishow_server_reload(ishow_server *server);

/* Readiness becomes false and the port is closed at once; requests that run are finished for up to `seconds` (below 0:
 * as configured), then cancelled. Returns when no request is left and the threads have ended. Call once. */
void ishow_server_drain(ishow_server *server, double seconds);

/* Frees it, draining without patience when that has not happened. NULL allowed. */
void ishow_server_free(ishow_server *server);

#ifdef __cplusplus
}
#endif
#endif
