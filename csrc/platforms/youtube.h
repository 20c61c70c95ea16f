/* The meaning of YouTube's liveChatMessages. */
#ifndef ISHOW_PLATFORMS_YOUTUBE_H
#define ISHOW_PLATFORMS_YOUTUBE_H

#include <jansson.h>

#include "platforms/event_sink.h"

/* Passes on the items of one page (liveChatMessageListResponse). history: they are counted as duplicates instead,
 * except deletions. 1: an item says that the chat has ended. */
ISHOW_API int ishow_youtube_page(feed *f, const json_t *page, int history);

#endif
