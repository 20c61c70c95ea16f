/* Live chat behind HTTP: the chat with its engine and journal, connections to platforms, and what each request does.
 *
 * A thread of its own serves the connections, so that a platform's data never delays HTTP. All functions may be called
 * from any thread. The verbs start and stop may wait until that thread has handled the data that it has just received;
 * the others do not wait. */
#ifndef ISHOW_SERVICE_CHAT_H
#define ISHOW_SERVICE_CHAT_H

#include "chat/chat.h"
#include "platforms/platforms.h"
#include "store/journal.h"
#include "service/error_response.h"

typedef struct chat_service chat_service;

/* How the process that leads the chat is asked, where several share one. Waits for its answer. */
typedef struct chat_leader {
    void *self;
    /* As ishow_chat_service_ask. */
    int (*ask)(void *self, const char *verb, const char *body, size_t n, ishow_buffer *out, fault *f);
} chat_leader;

/* leader NULL: this process leads, from the start. Else the chat only follows, without the store, until
 * ishow_chat_service_lead; *leader is copied. store NULL: nothing survives a restart. store, engine and sources are
 * borrowed until close. Sources that name a channel are joined; one without a channel holds the options for any channel
 * of its platform that is started on request. */
ISHOW_API ishow_status ishow_chat_service_open(chat_service **out, ishow_store *store, ishow_engine *engine,
                                               const ishow_request *sampling, const char *default_voice,
                                               const ishow_chat_options *options,
                                               const ishow_chat_source_options *sources, size_t n_sources,
                                               const chat_leader *leader, ishow_error *error);
/* A service that follows leads from now on, with the journal of all, borrowed until it follows again or is closed. */
ISHOW_API ishow_status ishow_chat_service_lead(chat_service *d, const ishow_chat_journal *journal, ishow_error *error);
/* A service that leads follows again, as ishow_chat_follow. Not at the same time as lead. */
ISHOW_API ishow_status ishow_chat_service_follow(chat_service *d, ishow_error *error);
/* The channels that were joined over HTTP, as a JSON array of platform and channel, without tokens; to free(). NULL: no
 * memory. */
ISHOW_API char *ishow_chat_service_sources(chat_service *d);
/* Joins such channels, with what the configuration says of them; failures are logged. */
ISHOW_API void ishow_chat_service_join(chat_service *d, const char *sources, size_t n);
/* Whether the functions below wait for another process. */
ISHOW_API int ishow_chat_service_follows(chat_service *d);
/* After the last reader is closed, before the engine is freed. NULL allowed. */
ISHOW_API void ishow_chat_service_close(chat_service *d);
ISHOW_API ishow_chat *ishow_chat_service_chat(chat_service *d);

/* Exchanges options, sampling and default voice; clips that are being made are not affected. Prepare on any thread,
 * then install or discard: install cannot fail. */
typedef struct chat_change chat_change;
ISHOW_API ishow_status ishow_chat_service_prepare(chat_change **out, const ishow_request *sampling,
                                                  const char *default_voice, const ishow_chat_options *options,
                                                  ishow_error *error);
ISHOW_API void ishow_chat_service_install(chat_service *d, chat_change *change);
ISHOW_API void ishow_chat_service_discard(chat_change *change); /* NULL allowed */

/* POST or GET /api/danmaku/VERB except stream. Returns the response's status and writes its JSON, or returns 0 and sets
 * *f. verb: enqueue, skip, pause, resume, clear, replay, mute, unmute, approve, reject, start, stop, queue, status,
 * delete/ID. Where *waits is set to 1, durable(user, status) is called once, on any thread, perhaps before this
 * returns: with ISHOW_OK the response is valid, else ishow_chat_service_not_kept gives the fault to answer instead. An
 * empty body is
 * {}. */
ISHOW_API int ishow_chat_service_ask(chat_service *d, const char *verb, const char *body, size_t n,
                                     void (*durable)(void *user, ishow_status status), void *user, int *waits,
                                     ishow_buffer *out, fault *f);
ISHOW_API void ishow_chat_service_not_kept(fault *f); /* 503: the message could not be written to the state folder */
ISHOW_API int ishow_chat_service_delete(chat_service *d, const char *id,
                                        fault *f); /* DELETE /api/danmaku/messages/ID; 0: the fault is set */

/* Prometheus text: sums over chats. */
ISHOW_API void ishow_chat_service_metrics(chat_service *const *all, size_t n, ishow_buffer *out);

/* ---- message.c ---- */
/* Reads a chat message from a JSON body; its strings are owned by root. 0: fault set. */
int ishow_chat_service_parse(const json_t *root, ishow_chat_message *out, fault *f);

/* ---- for the files of service/ ---- */
typedef struct connection connection;
typedef struct platform_thread platform_thread;
struct chat_service {
    ishow_store *store;     /* borrowed; NULL: nothing survives */
    ishow_journal *journal; /* NULL: the same */
    ishow_chat_engine *voice;
    ishow_chat *chat;
    const ishow_chat_source_options *entries; /* borrowed */
    size_t n_entries;
    chat_leader leader;         /* ask NULL: this process leads from the start */
    int follows;                /* atomic */
    struct webhooks *webhooks;  /* NULL: none are called */
    platform_thread *platforms; /* NULL: no platforms */
};
static inline int service_follows(const chat_service *d) { return __atomic_load_n(&d->follows, __ATOMIC_ACQUIRE); }

void sources_open(chat_service *d);
void sources_leave(chat_service *d); /* all channels */
void sources_close(chat_service *d);
int sources_start(chat_service *d, json_t *root, ishow_buffer *out, fault *f);
int sources_stop(chat_service *d, json_t *root, ishow_buffer *out, fault *f);
void sources_write(chat_service *d, ishow_buffer *out); /* a JSON array */
void sources_metrics(chat_service *const *all, size_t n, ishow_buffer *out);
/* Checks that root has only these keys, with strings or null. 0: fault set. */
int only_strings(json_t *root, const char *const *known, size_t n, fault *f);

#endif
