/* States of a source, the same for every platform:
 *
 *     CONNECTING ─ live ─ LIVE ─ lost ─ WAITING ─ begin_at ─ CONNECTING …
 *          └─ lost, connect_by ─ WAITING          any ─ end ─ ENDED or FAILED */
#include "platforms/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/defaults.h"
#include "base/utf8.h"

/* ---- what sources share of their loop ---- */

double loop_random(ishow_chat_loop *loop) {
    loop->random ^= loop->random << 13;
    loop->random ^= loop->random >> 7;
    loop->random ^= loop->random << 17;
    return (double)(loop->random >> 11) * 0x1p-53;
}

double loop_login_turn(ishow_chat_loop *loop, double now) {
    double free_at = loop->login_times[loop->login_next] + loop->login_seconds; /* the oldest of the last n log-ins */
    if (free_at > now) return free_at;
    loop->login_times[loop->login_next] = now;
    loop->login_next = (loop->login_next + 1) % loop->logins;
    return now;
}

/* ---- states ---- */

/* Overwrites every occurrence of a secret in text. */
static void redact(char *text, const char *secret) {
    size_t n = secret ? strlen(secret) : 0;
    for (char *at = text; n && (at = strstr(at, secret)); at += n) memset(at, '*', n);
}

static void set_state(ishow_chat_source *s, ishow_chat_state state, const char *text) {
    int changed = state != s->state;
    utf8_copy(s->text, sizeof s->text, text, strlen(text));
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
    /* A lost connection that was live for a long time does not count as a failure, so the next pause is the shortest
     * one. */
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
        source_lost(s, "no data for %.0f s", now - s->heard_at);
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
