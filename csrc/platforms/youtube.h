/* The meaning of YouTube's liveChatMessages. */
#ifndef ISHOW_PLATFORMS_YOUTUBE_H
#define ISHOW_PLATFORMS_YOUTUBE_H

#include <jansson.h>

#include "platforms/event_sink.h"

/* Passes on the items of one page (liveChatMessageListResponse). history: they are counted as duplicates instead,
 * except deletions. 1: an item says that the chat has ended. */
ISHOW_API int ishow_youtube_page(feed *f, const json_t *page, int history);

/* ---- youtube_place.c ---- */
typedef enum youtube_place { YOUTUBE_VIDEO, YOUTUBE_CHANNEL, YOUTUBE_HANDLE } youtube_place;
/* Parses a channel as a user gives it: the id of a video or channel, a @handle, or a URL of one. name: the id, or the
 * handle with its "@". 0: none of these. */
int youtube_place_of(const char *given, youtube_place *out, char *name, size_t size);

/* ---- youtube_quota.c ---- */
/* Seconds until the quota is reset, at midnight Pacific time. now: since 1970. */
ISHOW_API double ishow_youtube_reset_seconds(int64_t now);
/* Pause before the next call of `cost` units: `asked` while at least half of the day's units are left, then long enough
 * for the rest to last, at most a minute. bound 0: unlimited. */
ISHOW_API double ishow_youtube_pace(double asked, uint64_t used, uint64_t bound, unsigned cost, double reset_seconds);

#endif
