/* Messages in the shapes that other programs send: POST /api/danmaku/ingest/KIND. */
#ifndef ISHOW_SERVICE_INGEST_H
#define ISHOW_SERVICE_INGEST_H

#include <jansson.h>

#include "base/buffer.h"
#include "chat/message.h"
#include "service/error_response.h"

typedef struct ingested {
    ishow_chat_message message; /* of strings of the JSON and of the following */
    ishow_buffer text;
    char id[80], platform[40], gift[80];
} ingested;

/* kind: "streamerbot", "socialstream". 1: a message; -1: well-formed, but nothing to read; 0: the fault is set. Free
 * with ishow_ingested_free in any case. */
ISHOW_API int ishow_ingest_read(const char *kind, const json_t *root, ingested *out, fault *f);
ISHOW_API void ishow_ingested_free(ingested *i);

#endif
