/* Polls a YouTube live chat. Every request costs units of the key's daily quota, so nothing is requested twice: the
 * page token is kept across failures, which also means that no message is missed. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "platforms/jsonspan.h"
#include "platforms/source.h"
#include "platforms/youtube.h"

/* Quota units of a call: https://developers.google.com/youtube/v3/determine_quota_cost */
enum { COST_VIDEO = 1, COST_PAGE = 5, NOTICE_PERCENT = 90, PAGE_ITEMS = 2000 };

typedef struct youtube_session {
    http_call call;
    int asks_video, warned;
    int has_history; /* the first page has been received */
    double poll_seconds;
    char *chat, *page; /* escaped for a URL; NULL: not known */
} youtube_session;

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    size_t n = strspn(o->channel, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    if (o->channel[n] || n > 64)
        return ishow_fail(error, ISHOW_EINVAL, "channel",
                          "channel must be the id of a video (as in watch?v=...), not %.100s.", o->channel);
    if (!o->token)
        return ishow_fail(error, ISHOW_EINVAL, "token", "token must be an API key: YouTube answers nobody without.");
    /* endpoint_check refuses a token in plain text, but on this machine tests have their double of the platform. */
    ishow_chat_source_options keyless = *o;
    keyless.token = NULL;
    return endpoint_check(&keyless, "https", "http", error);
}

static void ask(ishow_chat_source *s) {
    youtube_session *y = s->session;
    char url[4096], header[600];
    unsigned cost = y->chat ? COST_PAGE : COST_VIDEO;
    uint64_t bound = s->options.quota_units;
    if (bound && s->quota_used + cost > bound) {
        source_end(s, ISHOW_CHAT_STATE_FAILED,
                   "The quota set for this source is used up: %llu of %llu units. Open it again, with more, to go on.",
                   (unsigned long long)s->quota_used, (unsigned long long)bound);
        return;
    }
    s->quota_used += cost;
    if (!y->chat)
        snprintf(url, sizeof url, "%s/videos?part=liveStreamingDetails&id=%s", s->options.endpoint, s->options.channel);
    else
        snprintf(url, sizeof url,
                 "%s/liveChat/messages?liveChatId=%s&part=id&part=snippet&part=authorDetails&maxResults=%d%s%s",
                 s->options.endpoint, y->chat, PAGE_ITEMS, y->page ? "&pageToken=" : "", y->page ? y->page : "");
    snprintf(header, sizeof header, "X-Goog-Api-Key: %s", s->options.token); /* not in the URL, which proxies may log */
    const char *headers[] = {header, NULL};
    y->asks_video = !y->chat;
    if (!http_get(&y->call, &s->loop->net, url, headers, s->options.ca_file, s->options.reply_seconds,
                  s->options.frame_bytes_max))
        source_lost(s, "memory could not be had");
}

/* ---- answers ---- */

static int keep(char **field, const json_t *text) {
    curl_free(*field);
    *field = json_string_length(text) && json_string_length(text) < 1000
                 ? curl_easy_escape(NULL, json_string_value(text), (int)json_string_length(text))
                 : NULL;
    return *field != NULL;
}

static void take_video(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    const json_t *items = json_object_get(json, "items"),
                 *details = json_object_get(json_array_get(items, 0), "liveStreamingDetails");
    if (!json_array_size(items))
        source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no video %s.", s->options.channel);
    else if (!details)
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Video %s is no live broadcast.", s->options.channel);
    else if (keep(&y->chat, json_object_get(details, "activeLiveChatId"))) {
        source_say(s, "Reading the first page.");
        ask(s);
    } else if (json_object_get(details, "actualEndTime"))
        source_end(s, ISHOW_CHAT_STATE_ENDED, "The broadcast is over.");
    else
        source_lost(s, "the video has no live chat now");
}

static void warn_of_quota(ishow_chat_source *s) {
    youtube_session *y = s->session;
    uint64_t bound = s->options.quota_units;
    if (!bound || y->warned || s->quota_used * 100 < bound * NOTICE_PERCENT) return;
    y->warned = 1;
    double left = (double)(bound - s->quota_used) / COST_PAGE * y->poll_seconds;
    feed_notice(&s->feed,
                feed_format(&s->feed,
                            "YouTube's quota ends soon: %llu of %llu units are used, enough for %.0f more minutes.",
                            (unsigned long long)s->quota_used, (unsigned long long)bound, left / 60));
}

static void take_page(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    int ended = ishow_youtube_page(&s->feed, json, !y->has_history);
    y->has_history = 1;
    keep(&y->page, json_object_get(json, "nextPageToken"));
    if (ended || json_string_length(json_object_get(json, "offlineAt"))) {
        source_end(s, ISHOW_CHAT_STATE_ENDED, "The broadcast is over.");
        return;
    }
    double asked = 1e-3 * (double)json_whole(json_object_get(json, "pollingIntervalMillis"));
    y->poll_seconds = asked > s->options.poll_seconds_min ? asked : s->options.poll_seconds_min;
    if (s->state == ISHOW_CHAT_STATE_CONNECTING)
        source_live(s, "Live, asking every %g s at %d units.", y->poll_seconds, COST_PAGE);
    s->session_due = ishow_now() + y->poll_seconds;
    warn_of_quota(s);
}

/* {"error": {"code", "message", "errors": [{"reason"}]}} */
static void take_refusal(ishow_chat_source *s, long status, const json_t *json) {
    static const char *const quota[] = {"quotaExceeded", "dailyLimitExceeded"};
    static const char *const passing[] = {"rateLimitExceeded", "userRateLimitExceeded", "backendError",
                                          "internalError"};
    youtube_session *y = s->session;
    const json_t *error = json_object_get(json, "error");
    const char *reason =
        json_string_value(json_object_get(json_array_get(json_object_get(error, "errors"), 0), "reason"));
    const char *message = json_string_value(json_object_get(error, "message"));
    if (!reason) reason = "";
    if (!message) message = "";
    for (size_t i = 0; i < 2; i++)
        if (!strcmp(reason, quota[i])) {
            source_end(s, ISHOW_CHAT_STATE_FAILED,
                       "YouTube's quota of this key is used up for today; it begins anew at midnight, Pacific time. "
                       "%llu units were used here.",
                       (unsigned long long)s->quota_used);
            return;
        }
    int passes = status >= 500 || status == 429 || status == 408;
    for (size_t i = 0; i < 4; i++) passes |= !strcmp(reason, passing[i]);
    if (!strcmp(reason, "liveChatEnded"))
        source_end(s, ISHOW_CHAT_STATE_ENDED, "The broadcast is over.");
    else if (passes)
        source_lost(s, "HTTP %ld %s", status, reason);
    else if (!strcmp(reason, "pageTokenInvalid") || !strcmp(reason, "invalidPageToken")) {
        /* Begins again at the latest messages; those received before are known by their ids. */
        keep(&y->page, NULL);
        source_lost(s, "YouTube does not know its page token any more");
    } else
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused by YouTube: HTTP %ld %.40s \"%.120s\".", status, reason,
                   message);
}

static void on_answered(void *self, long status, const char *fault) {
    ishow_chat_source *s = self;
    youtube_session *y = s->session;
    ishow_arena_reset(&s->feed.arena);
    if (!status) {
        source_lost(s, "%s", fault);
        return;
    }
    source_heard(s, y->call.body.n);
    json_t *json = ishow_json_load((const char *)y->call.body.data, y->call.body.n);
    if (status != 200)
        take_refusal(s, status, json);
    else if (!json_is_object(json)) {
        s->feed.malformed++;
        source_lost(s, "the answer is no JSON");
    } else if (y->asks_video)
        take_video(s, json);
    else
        take_page(s, json);
    json_decref(json);
}

/* ---- the kind ---- */

static void start(ishow_chat_source *s) {
    youtube_session *y = s->session;
    y->call.self = s;
    y->call.answered = on_answered;
    ask(s);
}

static void stop(ishow_chat_source *s) { http_end(&((youtube_session *)s->session)->call); }

static void destroy(ishow_chat_source *s) {
    youtube_session *y = s->session;
    curl_free(y->chat);
    curl_free(y->page);
}

const source_kind youtube_kind = {.check = check,
                                  .session_size = sizeof(youtube_session),
                                  .start = start,
                                  .stop = stop,
                                  .tick = ask,
                                  .destroy = destroy};
