/* Notifies other programs when a clip begins and ends: POSTs the event's JSON to each address, on a separate thread, so
 * that a slow address does not delay the chat. */
#ifndef ISHOW_SERVICE_WEBHOOKS_H
#define ISHOW_SERVICE_WEBHOOKS_H

#include "chat/chat.h"

enum { WEBHOOKS_MAX = 8, WEBHOOK_EVENTS_MAX = 64, WEBHOOK_URL_MAX = 500 };

typedef struct webhooks webhooks;

/* Runs until it is freed, idle while there is no address. NULL: no memory or thread. */
webhooks *webhooks_create(void);
void webhooks_free(webhooks *w); /* events not yet sent are lost. NULL allowed */
/* Sets the addresses; those beyond the limits of number and length are left out. Any thread. */
void webhooks_set(webhooks *w, const ishow_chat_words *urls);
/* For ishow_chat_on_event: copies `start` and `end`. When WEBHOOK_EVENTS_MAX wait, the oldest is dropped. */
void webhooks_event(void *w, const char *event, const char *json);

#endif
