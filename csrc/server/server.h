/* The HTTP server: a listening socket, an event loop and an encoder thread around an engine that may be set later.
 *
 * Health is answered as soon as the server is created, speech only after ishow_server_ready. Lifetimes: engine and
 * server are created separately; drain the server, free the engine, then free the server (the engine's threads wake the
 * server until the engine is freed). */
#ifndef ISHOW_SERVER_SERVER_H
#define ISHOW_SERVER_SERVER_H

#include <stddef.h>

#include "chat/chat.h"
#include "cluster/chat_group.h"
#include "cluster/cluster.h"
#include "platforms/platforms.h"
#include "engine/engine.h"
#include "ishow.h"
#include "service/server_options.h"
#include "store/voice_store.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ishow_server ishow_server;

/* Binds the port, starts the threads and answers from then on. EINVAL with the field when options contradict each other
 * (no key for a public address), EIO with field "port" or "host" when the address cannot be bound, EBUSY or EIO with
 * "state_dir" likewise. */
ishow_status ishow_server_create(ishow_server **out, const ishow_server_options *options, ishow_error *error);

int ishow_server_port(const ishow_server *server);        /* the port that is bound, where the option was 0 */
const char *ishow_server_url(const ishow_server *server); /* "http://127.0.0.1:27121", owned by the server */

/* Installs these voices and the stored ones, made over HTTP, in the engine, and the stored pronunciations in its front
 * end; before ready. ENOTFOUND, EFORMAT, ... when one of `voices` cannot be used. */
ishow_status ishow_server_set_voices(ishow_server *server, ishow_engine *engine, const ishow_voice_setting *voices,
                                     size_t n, ishow_error *error);

/* Speech is served from now on. The engine is borrowed until ishow_server_drain returns; default_voice (copied, may be
 * NULL) is the voice of requests that name none. Any thread, once. */
void ishow_server_ready(ishow_server *server, ishow_engine *engine, const char *default_voice);

/* Live chats: their names, of which the first is the one that requests mean unless they name another; options of all;
 * sources, and the chat of each, NULL: the first. */
typedef struct ishow_server_chats {
    const char *const *names;
    size_t n;
    const ishow_chat_options *options;
    const ishow_chat_source_options *sources;
    const char *const *source_chats;
    size_t n_sources;
} ishow_server_chats;

/* Opens live chat with this engine, borrowed until ishow_server_drain returns, as all in `chats`; default_voice
 * (copied, may be NULL) speaks messages that have no voice. Once, before ishow_server_ready. Sources that name a
 * channel are joined; one without a channel holds the options for any channel of its platform that is started over
 * HTTP. With a state directory waiting messages survive the process. group: gateways with which the chats are shared,
 * borrowed likewise; NULL: none, and there is one chat. Fails as ishow_chat_create does. */
ishow_status ishow_server_open_chats(ishow_server *server, ishow_engine *engine, const char *default_voice,
                                     const ishow_server_chats *chats, chat_group *group, ishow_error *error);

/* The server is a part of a cluster and says so in its metrics: with a gateway's engine, or with a worker; the other is
 * NULL. Both are borrowed until ishow_server_drain returns; once, before ishow_server_ready. */
void ishow_server_join(ishow_server *server, ishow_engine *gateway, ishow_worker *worker);

/* Asks for a reload of the configuration; its result is logged. Any thread. */
void ishow_server_reload(ishow_server *server);

/* Readiness becomes false and the port is closed at once; running requests may take `seconds` more (below 0: as
 * configured), then they are cancelled. Returns when all have ended and the threads are joined. Call once. */
void ishow_server_drain(ishow_server *server, double seconds);

/* Frees it, after a drain of 0 seconds when it has not been drained. NULL allowed. */
void ishow_server_free(ishow_server *server);

#ifdef __cplusplus
}
#endif
#endif
