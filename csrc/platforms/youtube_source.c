/* A YouTube live chat. Every call costs units of the key's daily quota, so nothing is requested twice: results are kept
 * over failures, and so is the page token, so that no message is missed.
 *
 *     handle ─ channel ─ its latest uploads ─ videos: which is live ─ chat: stream, or page after page
 *
 * A stream (liveChatMessages.streamList) is one long call; where the endpoint does not have it, pages are polled. */
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "platforms/jsonspan.h"
#include "platforms/source.h"
#include "platforms/youtube.h"

/* Units of a call: https://developers.google.com/youtube/v3/determine_quota_cost */
enum { COST_LOOK = 1, COST_PAGE = 5, NOTICE_PERCENT = 90, PAGE_ITEMS = 2000, UPLOADS = 10 };
enum { STREAM_SILENT_SECONDS = 300, OFFLINE_POLLS_A_PAUSE = 4, OFFLINE_PAUSES = 5 };

typedef enum youtube_step { STEP_HANDLE, STEP_UPLOADS, STEP_VIDEOS, STEP_STREAM, STEP_PAGE } youtube_step;

typedef struct youtube_session {
    http_call call;
    youtube_step step;
    youtube_place place;
    int asks, warned;
    int no_stream;   /* the endpoint has no streams */
    int has_history; /* the first page has been seen */
    double poll_seconds, offline_since;
    char channel[64]; /* id; "": not known */
    char videos[16 * UPLOADS];
    char *chat, *page; /* escaped for a URL; NULL: not known */
    /* objects of a stream */
    ishow_buffer part, pages; /* pages: whole ones, each with a NUL behind it */
    int depth, in_string, escaped, overflows;
    uint64_t objects;
    double reset_at; /* ishow_now() at which the quota is reset */
} youtube_session;

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    youtube_place place;
    char name[64];
    if (!youtube_place_of(o->channel, &place, name, sizeof name))
        return ishow_fail(error, ISHOW_EINVAL, "channel",
                          "channel must be a video's id or address, a channel's id or a @handle, not %.100s.",
                          o->channel);
    if (!o->token) return ishow_fail(error, ISHOW_EINVAL, "token", "token must be an API key, which YouTube requires.");
    /* endpoint_check refuses a key in plain text, except to this machine, for test doubles. */
    ishow_chat_source_options keyless = *o;
    keyless.token = NULL;
    return endpoint_check(&keyless, "https", "http", error);
}

static void name(const char *channel, char *out, size_t size) {
    youtube_place place;
    if (!youtube_place_of(channel, &place, out, size)) snprintf(out, size, "%s", channel);
}

/* ---- requests ---- */

static int take_piece(void *self, const char *data, size_t n);
static void on_answered(void *self, long status, const char *fault);

static double reset_seconds(void) { return ishow_youtube_reset_seconds((int64_t)time(NULL)); }

/* 0: not enough units are left, and the source waits until the quota is reset. */
static int pay(ishow_chat_source *s, unsigned cost) {
    youtube_session *y = s->session;
    const uint64_t bound = s->options.quota_units;
    const double now = ishow_now();
    if (now >= y->reset_at) {
        s->quota_used = 0;
        y->warned = 0;
        y->reset_at = now + reset_seconds();
    }
    if (bound && s->quota_used + cost > bound) {
        source_pause(
            s, y->reset_at - now,
            "The quota set for this source is used up: %llu of %llu units. Reading continues in %.1f hours, at "
            "midnight Pacific time.",
            (unsigned long long)s->quota_used, (unsigned long long)bound, (y->reset_at - now) / 3600);
        return 0;
    }
    s->quota_used += cost;
    return 1;
}

static void ask(ishow_chat_source *s) {
    youtube_session *y = s->session;
    const char *base = s->options.endpoint;
    char url[4096], header[600];
    y->step = y->chat                                        ? (y->no_stream ? STEP_PAGE : STEP_STREAM)
              : y->place == YOUTUBE_HANDLE && !y->channel[0] ? STEP_HANDLE
              : y->place != YOUTUBE_VIDEO && !y->videos[0]   ? STEP_UPLOADS
                                                             : STEP_VIDEOS;
    if (!pay(s, y->chat ? COST_PAGE : COST_LOOK)) return;
    switch (y->step) {
    case STEP_HANDLE: snprintf(url, sizeof url, "%s/channels?part=id&forHandle=%s", base, s->options.channel); break;
    case STEP_UPLOADS: /* the list that every channel has under its own id */
        snprintf(url, sizeof url, "%s/playlistItems?part=contentDetails&playlistId=UU%s&maxResults=%d", base,
                 y->channel + 2, UPLOADS);
        break;
    case STEP_VIDEOS:
        snprintf(url, sizeof url, "%s/videos?part=liveStreamingDetails&id=%s", base,
                 y->place == YOUTUBE_VIDEO ? s->options.channel : y->videos);
        break;
    case STEP_STREAM:
    case STEP_PAGE:
        snprintf(url, sizeof url,
                 "%s/liveChat/messages%s?liveChatId=%s&part=id&part=snippet&part=authorDetails&maxResults=%d%s%s", base,
                 y->step == STEP_STREAM ? "/stream" : "", y->chat, PAGE_ITEMS, y->page ? "&pageToken=" : "",
                 y->page ? y->page : "");
        break;
    }
    snprintf(header, sizeof header, "X-Goog-Api-Key: %s", s->options.token); /* not in the URL, which others may log */
    const char *headers[] = {header, NULL};
    y->depth = y->in_string = y->escaped = y->overflows = 0;
    y->objects = 0;
    ishow_buffer_free(&y->part);
    ishow_buffer_free(&y->pages);
    y->asks = 1;
    const int streams = y->step == STEP_STREAM;
    if (!http_send(&y->call, &s->loop->net,
                   &(http_request){.url = url,
                                   .headers = headers,
                                   .ca_file = s->options.ca_file,
                                   .seconds = streams ? STREAM_SILENT_SECONDS : s->options.reply_seconds,
                                   .most = s->options.frame_bytes_max,
                                   .piece = streams ? take_piece : NULL}))
        source_lost(s, "out of memory");
}

/* ---- responses ---- */

static int keep(char **field, const json_t *text) {
    curl_free(*field);
    *field = json_string_length(text) && json_string_length(text) < 1000
                 ? curl_easy_escape(NULL, json_string_value(text), (int)json_string_length(text))
                 : NULL;
    return *field != NULL;
}

/* 1 when a text is a valid id, which becomes part of a URL. */
static int is_id(const char *text, size_t most) {
    return text && *text && strlen(text) <= most &&
           !text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")];
}

/* A broadcast is over: ends the source, or looks for the next broadcast of its channel. */
static void broadcast_ended(ishow_chat_source *s) {
    youtube_session *y = s->session;
    if (y->place == YOUTUBE_VIDEO) {
        source_end(s, ISHOW_CHAT_STATE_ENDED, "The broadcast is over.");
        return;
    }
    keep(&y->chat, NULL);
    keep(&y->page, NULL);
    y->videos[0] = '\0';
    y->has_history = 0;
    source_pause(s, s->options.backoff_max_seconds, "The broadcast is over; the channel's next one is looked for.");
}

static void take_handle(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    const char *id = json_string_value(json_object_get(json_array_get(json_object_get(json, "items"), 0), "id"));
    if (!is_id(id, sizeof y->channel - 1) || strlen(id) < 3) {
        source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no channel %s.", s->options.channel);
        return;
    }
    snprintf(y->channel, sizeof y->channel, "%s", id);
    ask(s);
}

static void take_uploads(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    const json_t *items = json_object_get(json, "items");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(items) && i < UPLOADS; i++) {
        const char *id =
            json_string_value(json_object_get(json_object_get(json_array_get(items, i), "contentDetails"), "videoId"));
        if (is_id(id, 15)) n += (size_t)snprintf(y->videos + n, sizeof y->videos - n, "%s%s", n ? "," : "", id);
    }
    if (n)
        ask(s);
    else
        source_lost(s, "the channel has no videos");
}

/* The video that is live, else one that is scheduled. */
static const json_t *live_of(const json_t *items) {
    const json_t *later = NULL;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *details = json_object_get(json_array_get(items, i), "liveStreamingDetails");
        if (!json_object_get(details, "activeLiveChatId") || json_object_get(details, "actualEndTime")) continue;
        if (json_object_get(details, "actualStartTime")) return details;
        if (!later) later = details;
    }
    return later;
}

static void take_videos(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    const json_t *items = json_object_get(json, "items");
    const int one = y->place == YOUTUBE_VIDEO;
    const json_t *details = one ? json_object_get(json_array_get(items, 0), "liveStreamingDetails") : live_of(items);
    y->videos[0] = '\0'; /* requested again next time */
    if (one && !json_array_size(items))
        source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no video %s.", s->options.channel);
    else if (one && !details)
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Video %s is not a live broadcast.", s->options.channel);
    else if (keep(&y->chat, json_object_get(details, "activeLiveChatId"))) {
        source_say(s, "Reading the first page.");
        ask(s);
    } else if (one && json_object_get(details, "actualEndTime"))
        source_end(s, ISHOW_CHAT_STATE_ENDED, "The broadcast is over.");
    else
        source_lost(s, one ? "the video has no live chat now" : "the channel is not live now");
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

/* A broadcast that is offline may come back, so it is checked again for a while, less and less often. 0: it is over. */
static int waits_offline(ishow_chat_source *s, int offline) {
    youtube_session *y = s->session;
    const double now = ishow_now();
    if (!offline) {
        if (y->offline_since > 0) source_say(s, "Live again.");
        y->offline_since = 0;
        return 1;
    }
    if (!(y->offline_since > 0)) {
        y->offline_since = now;
        if (s->state == ISHOW_CHAT_STATE_LIVE) source_say(s, "The stream is offline; it may come back.");
    }
    if (now - y->offline_since >= OFFLINE_PAUSES * s->options.backoff_max_seconds) return 0;
    y->poll_seconds = fmax(y->poll_seconds, s->options.backoff_max_seconds / OFFLINE_POLLS_A_PAUSE);
    return 1;
}

/* 0: the attempt is over. */
static int take_page(ishow_chat_source *s, const json_t *json) {
    youtube_session *y = s->session;
    int ended = ishow_youtube_page(&s->feed, json, !y->has_history);
    y->has_history = 1;
    if (json_string_length(json_object_get(json, "nextPageToken")))
        keep(&y->page, json_object_get(json, "nextPageToken"));
    const double asked = 1e-3 * (double)json_whole(json_object_get(json, "pollingIntervalMillis"));
    y->poll_seconds = ishow_youtube_pace(fmax(asked, s->options.poll_seconds_min), s->quota_used,
                                         s->options.quota_units, COST_PAGE, y->reset_at - ishow_now());
    if (ended || !waits_offline(s, json_string_length(json_object_get(json, "offlineAt")) > 0)) {
        broadcast_ended(s);
        return 0;
    }
    if (s->state == ISHOW_CHAT_STATE_CONNECTING) {
        if (y->step == STEP_STREAM)
            source_live(s, "Live, as a stream.");
        else
            source_live(s, "Live, asking every %g s at %d units.", y->poll_seconds, COST_PAGE);
    }
    warn_of_quota(s);
    return 1;
}

/* ---- a stream ---- */

/* Splits the endless array into objects. Called inside libcurl, so the objects are only stored here. */
static int take_piece(void *self, const char *data, size_t n) {
    ishow_chat_source *s = self;
    youtube_session *y = s->session;
    source_heard(s, n);
    for (size_t i = 0; i < n; i++) {
        const char c = data[i];
        if (!y->depth && c != '{') continue; /* [ , ] and spaces between objects */
        if (y->part.n >= s->options.frame_bytes_max || y->pages.n >= 2 * s->options.frame_bytes_max) {
            y->overflows = 1;
            return 0;
        }
        ishow_buffer_add(&y->part, &c, 1);
        if (y->in_string) {
            if (y->escaped)
                y->escaped = 0;
            else if (c == '\\')
                y->escaped = 1;
            else if (c == '"')
                y->in_string = 0;
        } else if (c == '"')
            y->in_string = 1;
        else if (c == '{' || c == '[')
            y->depth++;
        else if ((c == '}' || c == ']') && --y->depth == 0) {
            ishow_buffer_add(&y->pages, y->part.data, y->part.n);
            ishow_buffer_add(&y->pages, "", 1);
            ishow_buffer_free(&y->part);
            y->objects++;
            s->session_due = ishow_now();
        }
    }
    return !y->part.failed && !y->pages.failed;
}

/* 0: the attempt is over. */
static int take_pages(ishow_chat_source *s) {
    youtube_session *y = s->session;
    ishow_buffer pages = y->pages;
    int goes_on = 1;
    y->pages = (ishow_buffer){0};
    for (size_t at = 0; goes_on && at < pages.n;) {
        const char *text = (const char *)pages.data + at;
        const size_t n = strlen(text);
        json_t *json = ishow_json_load(text, n);
        ishow_arena_reset(&s->feed.arena);
        if (json_is_object(json))
            goes_on = take_page(s, json);
        else
            s->feed.malformed++;
        json_decref(json);
        at += n + 1;
    }
    ishow_buffer_free(&pages);
    return goes_on;
}

/* The call has ended. */
static void take_stream_end(ishow_chat_source *s, long status, const char *fault) {
    youtube_session *y = s->session;
    const uint64_t objects = y->objects;
    if (objects && !take_pages(s)) return;
    if (y->overflows) {
        source_lost(s, "a page is larger than %zu bytes", s->options.frame_bytes_max);
        return;
    }
    if (!status && !objects) {
        source_lost(s, "%s", fault);
        return;
    }
    if (!objects) y->no_stream = 1; /* a response without a stream */
    s->session_due = ishow_now() + y->poll_seconds;
}

static int lacks_stream(const youtube_session *y, long status) {
    return y->step == STEP_STREAM && (status == 404 || status == 405 || status == 501) && !y->no_stream;
}

/* {"error": {"code", "message", "errors": [{"reason"}]}} */
static void take_refusal(ishow_chat_source *s, long status, const json_t *json) {
    static const char *const quota[] = {"quotaExceeded", "dailyLimitExceeded"};
    static const char *const passing[] = {"rateLimitExceeded", "userRateLimitExceeded", "backendError",
                                          "internalError"};
    youtube_session *y = s->session;
    if (json_is_array(json)) json = json_array_get(json, 0); /* an error in a stream is in an array */
    const json_t *error = json_object_get(json, "error");
    const char *reason =
        json_string_value(json_object_get(json_array_get(json_object_get(error, "errors"), 0), "reason"));
    const char *message = json_string_value(json_object_get(error, "message"));
    if (!reason) reason = "";
    if (!message) message = "";
    for (size_t i = 0; i < 2; i++)
        if (!strcmp(reason, quota[i])) {
            const double seconds = reset_seconds();
            source_pause(
                s, seconds,
                "YouTube's quota of this key is used up for today: %llu units were used here. Reading continues in "
                "%.1f hours, at midnight Pacific time.",
                (unsigned long long)s->quota_used, seconds / 3600);
            return;
        }
    int passes = status >= 500 || status == 429 || status == 408;
    for (size_t i = 0; i < 4; i++) passes |= !strcmp(reason, passing[i]);
    if (!strcmp(reason, "liveChatEnded"))
        broadcast_ended(s);
    else if (passes)
        source_lost(s, "HTTP %ld %s", status, reason);
    else if (!strcmp(reason, "pageTokenInvalid") || !strcmp(reason, "invalidPageToken")) {
        /* Starts again from the latest messages; those seen before are recognised by their ids. */
        keep(&y->page, NULL);
        source_lost(s, "YouTube no longer knows its page token");
    } else
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused by YouTube: HTTP %ld %.40s \"%.120s\".", status, reason,
                   message);
}

static void on_answered(void *self, long status, const char *fault) {
    ishow_chat_source *s = self;
    youtube_session *y = s->session;
    y->asks = 0;
    ishow_arena_reset(&s->feed.arena);
    if (y->step == STEP_STREAM && (status == 200 || !status)) {
        take_stream_end(s, status, fault);
        return;
    }
    if (!status) {
        source_lost(s, "%s", fault);
        return;
    }
    source_heard(s, y->call.body.n);
    json_t *json = ishow_json_load((const char *)y->call.body.data, y->call.body.n);
    const json_t *reasons = json_object_get(json_object_get(json, "error"), "errors");
    if (lacks_stream(y, status) && !json_array_size(reasons)) {
        y->no_stream = 1;
        s->quota_used -= COST_PAGE - COST_LOOK; /* a refused call costs one unit */
        ask(s);
    } else if (status != 200)
        take_refusal(s, status, json);
    else if (!json_is_object(json)) {
        s->feed.malformed++;
        source_lost(s, "the response is not JSON");
    } else if (y->step == STEP_HANDLE)
        take_handle(s, json);
    else if (y->step == STEP_UPLOADS)
        take_uploads(s, json);
    else if (y->step == STEP_VIDEOS)
        take_videos(s, json);
    else if (take_page(s, json))
        s->session_due = ishow_now() + y->poll_seconds;
    json_decref(json);
}

/* ---- the kind ---- */

static void start(ishow_chat_source *s) {
    youtube_session *y = s->session;
    char id[64];
    youtube_place_of(s->options.channel, &y->place, id, sizeof id);
    if (y->place == YOUTUBE_CHANNEL) snprintf(y->channel, sizeof y->channel, "%s", id);
    y->call.self = s;
    y->call.answered = on_answered;
    ask(s);
}

static void stop(ishow_chat_source *s) {
    youtube_session *y = s->session;
    /* A stream without any data does not work. */
    if (y->asks && y->step == STEP_STREAM && s->state == ISHOW_CHAT_STATE_CONNECTING && !y->objects) y->no_stream = 1;
    y->asks = 0;
    http_end(&y->call);
    ishow_buffer_free(&y->part);
    ishow_buffer_free(&y->pages);
}

static void tick(ishow_chat_source *s) {
    youtube_session *y = s->session;
    if (y->asks)
        take_pages(s);
    else
        ask(s);
}

static void destroy(ishow_chat_source *s) {
    youtube_session *y = s->session;
    curl_free(y->chat);
    curl_free(y->page);
}

const source_kind youtube_kind = {.check = check,
                                  .name = name,
                                  .session_size = sizeof(youtube_session),
                                  .start = start,
                                  .stop = stop,
                                  .tick = tick,
                                  .destroy = destroy};
