/* Live chat behind HTTP: the chat with what it needs, and its endpoints. The loop is the only caller, but for open and close. */
#ifndef ISHOW_SERVER_DANMAKU_H
#define ISHOW_SERVER_DANMAKU_H

#include <jansson.h>

#include "ishow/chatqueue.h"
#include "ishow/journal.h"
#include "server/server.h"

struct danmaku {
    ishow_server *server;
    ishow_journal *journal;     /* NULL: nothing survives */
    ishow_chat_engine *voice;
    ishow_chat *chat;
};

ishow_status danmaku_open(ishow_server *s, ishow_engine *engine, const char *default_voice, const ishow_chat_options *options, danmaku **out, ishow_error *error);
void danmaku_close(danmaku *d); /* when no exchange is left, before the engine goes. NULL allowed */

/* A chat message out of a JSON body; strings belong to root. 0: fault set. */
int danmaku_parse(const json_t *root, ishow_chat_message *out, fault *f);

#endif
