/* Connections to platforms: begun by the configuration or on request, with the chat as their sink. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "service/danmaku.h"
#include "service/prometheus.h"

enum { CONNECTIONS_MAX = 64 };

struct connection {
    connection *next;
    ishow_chat_source *source;
};

/* The configured entry for a channel: its own, or the platform's for any channel; NULL: none. */
static const ishow_chat_source_options *entry_for(const danmaku *d, ishow_chat_platform platform, const char *channel) {
    const ishow_chat_source_options *any = NULL;
    for (size_t i = 0; i < d->n_entries; i++) {
        const ishow_chat_source_options *e = &d->entries[i];
        if (e->platform != platform) continue;
        if (e->channel && !strcasecmp(e->channel, channel)) return e;
        if (!e->channel) any = e;
    }
    return any;
}

static ishow_status connect_source(danmaku *d, ishow_chat_platform platform, const char *channel, const char *token, const char *login, connection **out, ishow_error *error) {
    const ishow_chat_source_options *e = entry_for(d, platform, channel);
    const ishow_chat_sink sink = ishow_chat_sink_of(d->chat);
    ishow_chat_source_options o = e ? *e : ishow_chat_source_options_default(platform);
    o.channel = channel;
    if (token) {
        o.token = token;
        o.login = login;
    }
    connection *c = calloc(1, sizeof *c);
    if (!c) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a connection could not be had.");
    ishow_status status = ishow_chat_source_open(&c->source, d->loop, &o, &sink, error);
    if (status != ISHOW_OK) {
        free(c);
        return status;
    }
    c->next = d->connections;
    d->connections = c;
    d->n_connections++;
    *out = c;
    return ISHOW_OK;
}

static void disconnect(danmaku *d, connection *c) {
    connection **at = &d->connections;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    ishow_chat_source_free(c->source);
    free(c);
    d->n_connections--;
}

static const char *bare(const char *channel) { return channel + (*channel == '#'); }

static connection *find(const danmaku *d, ishow_chat_platform platform, const char *channel) {
    ishow_chat_source_stats s;
    for (connection *c = d->connections; c; c = c->next) {
        ishow_chat_source_stats_get(c->source, &s);
        if (s.platform == platform && !strcasecmp(bare(s.channel), bare(channel))) return c;
    }
    return NULL;
}

void sources_open(danmaku *d) {
    ishow_error error = {0};
    const ishow_chat_loop_options options = ishow_chat_loop_options_default();
    if (ishow_chat_loop_create(&d->loop, &options, &error) != ISHOW_OK) {
        ishow_log(ISHOW_LOG_ERROR, "chat", "no platform can be joined: %s", error.message);
        return;
    }
    for (size_t i = 0; i < d->n_entries; i++) {
        const ishow_chat_source_options *e = &d->entries[i];
        connection *c;
        if (e->channel && connect_source(d, e->platform, e->channel, NULL, NULL, &c, &error) != ISHOW_OK)
            ishow_log(ISHOW_LOG_ERROR, "chat", "%s %s is not joined: %s", ishow_chat_platform_name(e->platform), e->channel, error.message);
    }
}

int danmaku_fd(const danmaku *d) { return d->loop ? ishow_chat_loop_fd(d->loop) : -1; }

int danmaku_turn(danmaku *d) {
    if (!d->loop) return -1;
    ishow_chat_loop_process(d->loop);
    return ishow_chat_loop_timeout(d->loop);
}

void danmaku_disconnect(danmaku *d) {
    while (d->connections) disconnect(d, d->connections);
    ishow_chat_loop_free(d->loop);
    d->loop = NULL;
}

/* ---- requests ---- */

static void write_connection(bytes *out, const ishow_chat_source_stats *s) {
    bytes_format(out, "{\"platform\":\"%s\",\"channel\":", ishow_chat_platform_name(s->platform));
    bytes_json(out, s->channel);
    bytes_format(out, ",\"state\":\"%s\",\"text\":", ishow_chat_state_name(s->state));
    bytes_json(out, s->text);
    bytes_format(out, ",\"seconds\":%.1f,\"silent_seconds\":%.1f,\"retry_seconds\":%.1f,\"connects\":%llu,\"losses\":%llu,\"messages\":%llu,\"deletions\":%llu,\"malformed\":%llu,\"quota_used\":%llu}",
                 s->state_seconds, s->silent_seconds, s->retry_seconds, (unsigned long long)s->connects, (unsigned long long)s->losses, (unsigned long long)s->messages,
                 (unsigned long long)s->deletions, (unsigned long long)s->malformed, (unsigned long long)s->quota_used);
}

void sources_write(const danmaku *d, bytes *out) {
    ishow_chat_source_stats s;
    bytes_text(out, "[");
    for (const connection *c = d->connections; c; c = c->next) {
        ishow_chat_source_stats_get(c->source, &s);
        if (c != d->connections) bytes_text(out, ",");
        write_connection(out, &s);
    }
    bytes_text(out, "]");
}

void sources_metrics(const danmaku *d, bytes *out) {
    static const struct { const char *name, *help; } families[] = {
        {"chat_source_messages_total", "Messages of a connection to a platform."}, {"chat_source_deletions_total", "Deletions of a connection to a platform."},
        {"chat_source_connects_total", "Times that a connection to a platform became live."}, {"chat_source_losses_total", "Live connections to a platform that were lost."},
        {"chat_source_malformed_total", "Lines or packets of a platform that were not what its protocol says."}, {"chat_source_live", "1 while a connection to a platform is live."}};
    if (!d->connections) return;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        prometheus_head(out, families[f].name, strstr(families[f].name, "_total") ? "counter" : "gauge", families[f].help);
        for (const connection *c = d->connections; c; c = c->next) {
            ishow_chat_source_stats s;
            ishow_chat_source_stats_get(c->source, &s);
            const uint64_t values[] = {s.messages, s.deletions, s.connects, s.losses, s.malformed, s.state == ISHOW_CHAT_STATE_LIVE};
            bytes_format(out, "ishowtts_%s{platform=\"%s\",channel=", families[f].name, ishow_chat_platform_name(s.platform));
            bytes_json(out, s.channel);
            bytes_format(out, "} %llu\n", (unsigned long long)values[f]);
        }
    }
}

/* platform and channel of a body; 0: fault set. */
static int take_place(json_t *root, ishow_chat_platform *platform, const char **channel, fault *f) {
    static const char *const needed[] = {"platform", "channel"};
    for (size_t i = 0; i < 2; i++)
        if (!json_string_value(json_object_get(root, needed[i]))) return fault_set(f, 400, "missing_field", needed[i], "The field %s is needed.", needed[i]);
    const char *name = json_string_value(json_object_get(root, "platform"));
    *channel = json_string_value(json_object_get(root, "channel"));
    if (!ishow_chat_platform_find(name, platform))
        return fault_set(f, 400, "unsupported", "platform", "platform must be one of: twitch, bilibili, youtube; not \"%.64s\". Others send their messages to /api/danmaku/enqueue.", name);
    return 1;
}

int sources_start(danmaku *d, json_t *root, bytes *out, fault *f) {
    static const char *const known[] = {"platform", "channel", "token", "login"};
    ishow_chat_platform platform;
    ishow_chat_source_stats s;
    const char *channel;
    ishow_error error = {0};
    if (!only_strings(root, known, 4, f) || !take_place(root, &platform, &channel, f)) return 0;
    if (!d->loop) return fault_set(f, 503, "unavailable", "", "No platform can be joined at the moment.");
    connection *c = find(d, platform, channel);
    if (c) {
        ishow_chat_source_stats_get(c->source, &s);
        if (s.state == ISHOW_CHAT_STATE_ENDED || s.state == ISHOW_CHAT_STATE_FAILED) { /* it would not try again by itself */
            disconnect(d, c);
            c = NULL;
        }
    }
    if (!c && d->n_connections >= CONNECTIONS_MAX) return fault_set(f, 400, "out_of_range", "channel", "There may be %d connections at a time.", CONNECTIONS_MAX);
    if (!c && connect_source(d, platform, channel, json_string_value(json_object_get(root, "token")), json_string_value(json_object_get(root, "login")), &c, &error) != ISHOW_OK) {
        fault_from_error(f, &error);
        return 0;
    }
    ishow_chat_source_stats_get(c->source, &s);
    write_connection(out, &s);
    return 202;
}

int sources_stop(danmaku *d, json_t *root, bytes *out, fault *f) {
    static const char *const known[] = {"platform", "channel"};
    ishow_chat_platform platform;
    const char *channel;
    if (!only_strings(root, known, 2, f) || !take_place(root, &platform, &channel, f)) return 0;
    connection *c = find(d, platform, channel);
    if (!c) return fault_set(f, 404, "not_found", "channel", "There is no connection to %s %.64s.", ishow_chat_platform_name(platform), channel);
    disconnect(d, c);
    bytes_text(out, "{\"stopped\":true}");
    return 202;
}
