/* Opens a source: checks and copies its options, and chooses the functions of its platform. */
#include "platforms/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/defaults.h"

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

/* Tokens and names become part of protocol lines and headers, so only printable ASCII without spaces is allowed: they
 * cannot add lines. */
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

/* ---- opening ---- */

static void on_event(void *self, const ishow_chat_event *event) {
    ishow_chat_source *s = self;
    if (s->sink.event) s->sink.event(s->sink.self, s, event);
}

enum { CHANNEL_BYTES = 520 }; /* as `check` of the platform allows */

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
    if (!s) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a chat source.");
    ishow_handle_made();
    s->loop = loop;
    s->kind = kinds[options->platform];
    s->options = *options;
    s->sink = *sink;
    /* Every string is copied before anything can fail, so that free never frees a string of the caller. */
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
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a chat source.");
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
