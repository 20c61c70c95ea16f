/* Live chat behind HTTP: the chat with what it needs, and its endpoints. The loop is the only caller, but for open and close. */
#ifndef ISHOW_SERVER_DANMAKU_H
#define ISHOW_SERVER_DANMAKU_H

#include <jansson.h>

#include "ishow/chatqueue.h"
#include "ishow/journal.h"
#include "server/server.h"

typedef struct connection connection;

struct danmaku {
    ishow_server *server;
    ishow_journal *journal;     /* NULL: nothing survives */
    ishow_chat_engine *voice;
    ishow_chat *chat;
    const ishow_chat_source_options *entries; /* borrowed */
    size_t n_entries;
    ishow_chat_loop *loop;      /* the loop's own, like the next */
    int loop_failed;
    watch on_loop;
    connection *connections;
    size_t n_connections;
};

ishow_status danmaku_open(ishow_server *s, ishow_engine *engine, const char *default_voice, const ishow_chat_options *options, const ishow_chat_source_options *sources, size_t n_sources,
                          danmaku **out, ishow_error *error);
void danmaku_close(danmaku *d); /* when the loop has ended, before the engine goes. NULL allowed */

/* ---- danmaku_sources.c ---- */
int danmaku_turn(danmaku *d);       /* does what is due; milliseconds until more is, -1: nothing is */
void danmaku_disconnect(danmaku *d);
void danmaku_connections(const danmaku *d, bytes *out); /* a JSON array */
void danmaku_metrics(const danmaku *d, bytes *out);

/* The body as an object, {} for none. NULL: fault set. */
json_t *danmaku_body(exchange *x);
/* Only these keys, all of them strings or null. */
int danmaku_only_strings(json_t *root, const char *const *known, size_t n, fault *f);

/* A chat message out of a JSON body; strings belong to root. 0: fault set. */
int danmaku_parse(const json_t *root, ishow_chat_message *out, fault *f);

#endif
