/* States of a source, the same for every platform:
 *
 *     CONNECTING ─ live ─ LIVE ─ lost ─ WAITING ─ begin_at ─ CONNECTING …
 *          └─ lost, connect_by ─ WAITING          any ─ end ─ ENDED or FAILED */
#include "platforms/source.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/defaults.h"

#define NEVER ((double)INFINITY)

static const source_kind *const kinds[] = {&twitch_kind, &bilibili_kind, &youtube_kind};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- options ---- */

ishow_chat_source_options ishow_chat_source_options_default(ishow_chat_platform platform) {
    static const char *const endpoints[] = {ISHOW_CHAT_TWITCH_URL, ISHOW_CHAT_BILIBILI_URL, ISHOW_CHAT_YOUTUBE_URL};
    return (ishow_chat_source_options){
        .platform = platform,
        .endpoint = (unsigned)platform < KINDS ? endpoints[platform] : NULL,
        .connect_seconds = ISHOW_CHAT_CONNECT_SECONDS,
        .heartbeat_seconds =
            platform == ISHOW_CHAT_BILIBILI ? ISHOW_CHAT_BILIBILI_HEARTBEAT_SECONDS : ISHOW_CHAT_HEARTBEAT_SECONDS,
        .reply_seconds = ISHOW_CHAT_REPLY_SECONDS,
        .backoff_seconds = ISHOW_CHAT_BACKOFF_SECONDS,
        .backoff_max_seconds = ISHOW_CHAT_BACKOFF_MAX_SECONDS,
        .poll_seconds_min = ISHOW_CHAT_POLL_SECONDS_MIN,
        .frame_bytes_max = platform == ISHOW_CHAT_TWITCH ? ISHOW_CHAT_LINE_BYTES_MAX : ISHOW_CHAT_FRAME_BYTES_MAX,
        .inflate_bytes_max = ISHOW_CHAT_INFLATE_BYTES_MAX,
        .quota_units = ISHOW_CHAT_QUOTA_UNITS,
        .third_party_emotes = 1,
    };
}

static ishow_status check_seconds(const char *field, double value, double least, ishow_error *error) {
    if (value >= least && value <= ISHOW_CHAT_SECONDS_MAX) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EINVAL, field, "%s must be from %g to %d, not %g.", field, least,
                      ISHOW_CHAT_SECONDS_MAX, value);
}

static ishow_status check_size(const char *field, size_t value, ishow_error *error) {
    if (value >= 512 && value <= (1u << 30)) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EINVAL, field, "%s must be from 512 to %u, not %zu.", field, 1u << 30, value);
}

/* Tokens and names are put into protocol lines and headers: only printable ASCII without spaces, so that they cannot
 * begin a line of their own. */
static ishow_status check_word(const char *field, const char *value, int secret, ishow_error *error) {
    for (const char *p = value; p && *p; p++)
        if (*p <= ' ' || *p > '~')
            return secret ? ishow_fail(error, ISHOW_EINVAL, field,
                                       "%s may only have printable ASCII characters without spaces.", field)
                          : ishow_fail(error, ISHOW_EINVAL, field,
                                       "%s may only have printable ASCII characters without spaces, not byte 0x%02x.",
                                       field, (unsigned char)*p);
    if (value && (!*value || strlen(value) > 512))
        return ishow_fail(error, ISHOW_EINVAL, field, "%s must have 1 to 512 characters, not %zu.", field,
                          strlen(value));
    return ISHOW_OK;
}

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    ishow_status status;
    if ((unsigned)o->platform >= KINDS)
        return ishow_fail(error, ISHOW_EINVAL, "platform", "platform must be 0 to %d, not %d.", KINDS - 1,
                          (int)o->platform);
    if (!o->channel) return ishow_fail(error, ISHOW_EINVAL, "channel", "channel must be given.");
    if ((status = check_word("channel", o->channel, 0, error)) || (status = check_word("login", o->login, 0, error)) ||
        (status = check_word("token", o->token, 1, error)) || (status = check_word("code", o->code, 1, error)) ||
        (status = check_word("app_id", o->app_id, 0, error)) ||
        (status = check_word("endpoint", o->endpoint, 0, error)) ||
        (status = check_word("emotes_endpoint", o->emotes_endpoint, 0, error)) ||
        (status = check_seconds("connect_seconds", o->connect_seconds, 0.01, error)) ||
        (status = check_seconds("heartbeat_seconds", o->heartbeat_seconds, 0.01, error)) ||
        (status = check_seconds("reply_seconds", o->reply_seconds, 0.01, error)) ||
        (status = check_seconds("backoff_seconds", o->backoff_seconds, 0.01, error)) ||
        (status = check_seconds("backoff_max_seconds", o->backoff_max_seconds, o->backoff_seconds, error)) ||
        (status = check_seconds("poll_seconds_min", o->poll_seconds_min, 0, error)) ||
        (status = check_size("frame_bytes_max", o->frame_bytes_max, error)) ||
        (status = check_size("inflate_bytes_max", o->inflate_bytes_max, error)))
        return status;
    return kinds[o->platform]->check(o, error);
}

/* ---- states ---- */

/* Overwrites every occurrence of a secret in text. */
static void redact(char *text, const char *secret) {
    size_t n = secret ? strlen(secret) : 0;
    for (char *at = text; n && (at = strstr(at, secret)); at += n) memset(at, '*', n);
}

static void set_state(ishow_chat_source *s, ishow_chat_state state, const char *text) {
    int changed = state != s->state;
    size_t n = strlen(text);
    if (n >= sizeof s->text) { /* cut at a character boundary */
        n = sizeof s->text - 1;
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    memcpy(s->text, text, n);
    s->text[n] = '\0';
    redact(s->text, s->options.token);
    redact(s->text, s->options.code);
    s->state = state;
    if (changed) s->state_since = ishow_now();
    ishow_log(state == ISHOW_CHAT_STATE_WAITING || state == ISHOW_CHAT_STATE_FAILED ? ISHOW_LOG_WARN : ISHOW_LOG_INFO,
              "chat", "%s %s: %s", ishow_chat_platform_name(s->options.platform), s->options.channel, s->text);
    ishow_chat_event event = {.type = ISHOW_CHAT_ON_STATE,
                              .platform = s->feed.platform,
                              .channel = s->feed.channel,
                              .state = state,
                              .text = span_of(s->text)};
    if (s->feed.event) s->feed.event(s->feed.self, &event);
}

static void halt(ishow_chat_source *s) {
    s->begin_at = s->connect_by = s->beat_at = s->answer_by = s->session_due = NEVER;
    s->kind->stop(s);
}

#define FORMAT_INTO(text, format)               \
    char text[400];                             \
    va_list args;                               \
    va_start(args, format);                     \
    vsnprintf(text, sizeof text, format, args); \
    va_end(args)

void source_say(ishow_chat_source *s, const char *format, ...) {
    FORMAT_INTO(text, format);
    set_state(s, s->state, text);
}

void source_live(ishow_chat_source *s, const char *format, ...) {
    FORMAT_INTO(text, format);
    s->connect_by = NEVER;
    s->live_since = ishow_now();
    s->beat_at = s->kind->beat ? s->live_since + s->options.heartbeat_seconds : NEVER;
    s->connects++;
    set_state(s, ISHOW_CHAT_STATE_LIVE, text);
}

static void pause_for(ishow_chat_source *s, const char *reason) {
    double now = ishow_now();
    int was_live = s->state == ISHOW_CHAT_STATE_LIVE;
    if (was_live) s->losses++;
    /* A connection that was live for long is not a failure: the next pause is the shortest again. */
    if (was_live && now - s->live_since >= s->options.backoff_max_seconds) s->failures = 0;
    double pause = fmin(s->options.backoff_max_seconds, s->options.backoff_seconds * exp2(fmin(s->failures, 40)));
    pause *= 0.5 + 0.5 * loop_random(s->loop);
    s->failures++;
    halt(s);
    s->begin_at = now + pause;
    char text[512];
    snprintf(text, sizeof text, "%s: %.300s. Next try in %.*f s.", was_live ? "Lost" : "Not connected", reason,
             pause < 10, pause);
    set_state(s, ISHOW_CHAT_STATE_WAITING, text);
}

void source_lost(ishow_chat_source *s, const char *format, ...) {
    FORMAT_INTO(text, format);
    pause_for(s, text);
}

void source_again(ishow_chat_source *s, const char *format, ...) {
    FORMAT_INTO(text, format);
    s->failures = 0;
    pause_for(s, text);
}

void source_pause(ishow_chat_source *s, double seconds, const char *format, ...) {
    FORMAT_INTO(text, format);
    halt(s);
    s->failures = 0;
    s->begin_at = ishow_now() + seconds;
    set_state(s, ISHOW_CHAT_STATE_WAITING, text);
}

void source_end(ishow_chat_source *s, ishow_chat_state state, const char *format, ...) {
    FORMAT_INTO(text, format);
    if (s->state == ISHOW_CHAT_STATE_LIVE) s->losses++;
    halt(s);
    size_t n = strlen(text);
    if (n && n < sizeof text - 1 && text[n - 1] != '.') strcpy(text + n, ".");
    set_state(s, state, text);
}

void source_heard(ishow_chat_source *s, size_t n) {
    s->heard_at = ishow_now();
    s->bytes += n;
    s->answer_by = NEVER;
    if (s->kind->beats_when_silent && s->state == ISHOW_CHAT_STATE_LIVE)
        s->beat_at = s->heard_at + s->options.heartbeat_seconds;
}

static void begin(ishow_chat_source *s, double now) {
    double turn = s->kind->logs_in ? loop_login_turn(s->loop, now) : now;
    if (turn > now) {
        s->begin_at = turn;
        return;
    }
    s->begin_at = NEVER;
    s->connect_by = now + s->options.connect_seconds;
    s->attempts++;
    set_state(s, ISHOW_CHAT_STATE_CONNECTING, "Connecting.");
    s->kind->start(s);
}

double source_due(const ishow_chat_source *s) {
    return fmin(fmin(fmin(s->begin_at, s->connect_by), fmin(s->beat_at, s->answer_by)), s->session_due);
}

void source_tick(ishow_chat_source *s, double now) {
    if (s->begin_at <= now)
        begin(s, now);
    else if (s->connect_by <= now)
        source_lost(s, "no answer within %g s (%s)", s->options.connect_seconds, s->text);
    else if (s->answer_by <= now)
        source_lost(s, "nothing was heard for %.0f s", now - s->heard_at);
    else if (s->beat_at <= now) {
        s->heartbeats++;
        s->beat_at = now + s->options.heartbeat_seconds;
        if (isinf(s->answer_by)) s->answer_by = now + s->options.reply_seconds;
        s->kind->beat(s);
    } else if (s->session_due <= now) {
        s->session_due = NEVER;
        s->kind->tick(s);
    }
}

/* ---- the public side ---- */

static void on_event(void *self, const ishow_chat_event *event) {
    ishow_chat_source *s = self;
    if (s->sink.event) s->sink.event(s->sink.self, s, event);
}

enum { CHANNEL_BYTES = 520 }; /* as check allows */

void ishow_chat_channel(ishow_chat_platform platform, const char *given, char *out, size_t size) {
    if (kinds[platform]->name)
        kinds[platform]->name(given, out, size);
    else
        snprintf(out, size, "%s", given);
}

static int copy(const char **field, const char *value) {
    *field = ishow_strdup(value);
    return !value || *field;
}

ishow_status ishow_chat_source_open(ishow_chat_source **out, ishow_chat_loop *loop,
                                    const ishow_chat_source_options *options, const ishow_chat_sink *sink,
                                    ishow_error *error) {
    *out = NULL;
    ishow_status status = check(options, error);
    if (status != ISHOW_OK) return status;
    ishow_chat_source *s = calloc(1, sizeof *s);
    if (!s) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a chat source could not be had.");
    ishow_handle_made();
    s->loop = loop;
    s->kind = kinds[options->platform];
    s->options = *options;
    s->sink = *sink;
    /* Every string is copied before any failure, so that free never frees one of the caller's. */
    char channel[CHANNEL_BYTES];
    ishow_chat_channel(options->platform, options->channel, channel, sizeof channel);
    int copied = copy(&s->options.channel, channel);
    copied &= copy(&s->options.token, options->token);
    copied &= copy(&s->options.login, options->login);
    copied &= copy(&s->options.app_id, options->app_id);
    copied &= copy(&s->options.code, options->code);
    copied &= copy(&s->options.emotes_endpoint, options->emotes_endpoint);
    copied &=
        copy(&s->options.endpoint,
             options->endpoint ? options->endpoint : ishow_chat_source_options_default(options->platform).endpoint);
    copied &= copy(&s->options.ca_file, options->ca_file);
    s->session = calloc(1, s->kind->session_size);
    s->prev = loop->last_source;
    if (s->prev)
        s->prev->next = s;
    else
        loop->sources = s;
    loop->last_source = s;
    if (!copied || !s->session) {
        ishow_chat_source_free(s);
        return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a chat source could not be had.");
    }
    s->feed.platform = span_of(ishow_chat_platform_name(options->platform));
    s->feed.channel = span_of(s->options.channel);
    s->feed.event = on_event;
    s->feed.self = s;
    s->feed.seen = loop->seen;
    s->state_since = ishow_now();
    s->heard_at = -NEVER;
    s->connect_by = s->beat_at = s->answer_by = s->session_due = NEVER;
    s->begin_at = s->state_since;
    strcpy(s->text, "Waits for its turn.");
    *out = s;
    return ISHOW_OK;
}

void ishow_chat_source_free(ishow_chat_source *s) {
    if (!s) return;
    if (s->session) {
        s->feed.event = NULL;
        s->kind->stop(s);
        if (s->kind->destroy) s->kind->destroy(s);
    }
    if (s->prev)
        s->prev->next = s->next;
    else
        s->loop->sources = s->next;
    if (s->next)
        s->next->prev = s->prev;
    else
        s->loop->last_source = s->prev;
    ishow_arena_free(&s->feed.arena);
    free(s->session);
    free((char *)(uintptr_t)s->options.channel);
    free((char *)(uintptr_t)s->options.token);
    free((char *)(uintptr_t)s->options.login);
    free((char *)(uintptr_t)s->options.app_id);
    free((char *)(uintptr_t)s->options.code);
    free((char *)(uintptr_t)s->options.emotes_endpoint);
    free((char *)(uintptr_t)s->options.endpoint);
    free((char *)(uintptr_t)s->options.ca_file);
    free(s);
    ishow_handle_freed();
}

void ishow_chat_source_stats_get(const ishow_chat_source *s, ishow_chat_source_stats *out) {
    double now = ishow_now();
    const feed *f = &s->feed;
    *out = (ishow_chat_source_stats){
        .platform = s->options.platform,
        .state = s->state,
        .state_seconds = now - s->state_since,
        .silent_seconds = isinf(s->heard_at) ? -1 : now - s->heard_at,
        .retry_seconds = s->state == ISHOW_CHAT_STATE_WAITING && s->begin_at > now ? s->begin_at - now : 0,
        .attempts = s->attempts,
        .connects = s->connects,
        .losses = s->losses,
        .bytes = s->bytes,
        .lines = f->lines,
        .messages = f->messages,
        .deletions = f->deletions,
        .notices = f->notices,
        .duplicates = f->duplicates,
        .ignored = f->ignored,
        .malformed = f->malformed,
        .heartbeats = s->heartbeats,
        .quota_used = s->quota_used,
    };
    snprintf(out->channel, sizeof out->channel, "%s", s->options.channel);
    memcpy(out->text, s->text, sizeof out->text);
}
