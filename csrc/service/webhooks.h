/* Tells other programs when a clip begins and ends: a POST of the event's JSON to each address, by a thread of its own,
 * so that nobody who is slow holds up the chat. */
#ifndef ISHOW_SERVICE_WEBHOOKS_H
#define ISHOW_SERVICE_WEBHOOKS_H

#include "chat/chat.h"

enum { WEBHOOKS_MAX = 8, WEBHOOK_EVENTS_MAX = 64, WEBHOOK_URL_MAX = 500 };

typedef struct webhooks webhooks;

/* Runs until it is freed, idle while there is no address. NULL: no memory or thread. */
webhooks *webhooks_create(void);
void webhooks_free(webhooks *w); /* events not yet sent are lost. NULL allowed */
/* From now on these; further and longer ones than allowed are left out. Any thread. */
void webhooks_set(webhooks *w, const ishow_chat_words *urls);
/* For ishow_chat_on_event: copies `start` and `end`. The oldest go when WEBHOOK_EVENTS_MAX wait. */
void webhooks_event(void *w, const char *event, const char *json);

#endif
