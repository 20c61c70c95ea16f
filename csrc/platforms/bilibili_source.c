/* The WebSocket of a live room of Bilibili, and the source that it makes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "platforms/bilibili_session.h"
#include "platforms/jsonspan.h"

static int all_digits(const char *text) { return text[0] && !text[strspn(text, "0123456789")] && strlen(text) <= 18; }

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    if (!all_digits(o->channel))
        return ishow_fail(error, ISHOW_EINVAL, "channel", "channel must be a room number, not %.100s.", o->channel);
    if (o->app_id) {
        if (!all_digits(o->app_id))
            return ishow_fail(error, ISHOW_EINVAL, "app_id", "app_id must be the number of a project, not %.100s.",
                              o->app_id);
        if (!o->code)
            return ishow_fail(error, ISHOW_EINVAL, "code", "code must be the streamer's identity code (身份码).");
        if (!o->token || !o->login)
            return ishow_fail(error, ISHOW_EINVAL, o->token ? "login" : "token",
                              "With app_id, login must be the id of the access key and token its secret.");
        return endpoint_check(o, "https", "http", error);
    }
    if (o->code) return ishow_fail(error, ISHOW_EINVAL, "app_id", "code needs app_id, the number of the project.");
    if (o->token && strpbrk(o->token, ";,\""))
        return ishow_fail(error, ISHOW_EINVAL, "token", "token must be the value of the cookie SESSDATA alone.");
    if (o->token && (!o->login || !all_digits(o->login)))
        return ishow_fail(error, ISHOW_EINVAL, "login",
                          "login must be the number (uid) of the account whose token it is.");
    return endpoint_check(o, "https", "http", error);
}

/* ---- the WebSocket ---- */

static void send_packet(bilibili_session *b, uint32_t operation, const void *body, size_t n) {
    unsigned char packet[BILIBILI_HEADER + sizeof b->auth];
    ishow_bilibili_pack(packet, operation, body, (uint32_t)n);
    websocket_send(&b->socket, packet, BILIBILI_HEADER + n);
}

static void on_opened(void *self) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    source_say(s, "Authenticating.");
    send_packet(b, BILIBILI_AUTH, b->auth, b->n_auth);
}

/* When the next gift or heartbeat is due. */
static void plan(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    double next = (double)INFINITY;
    for (size_t i = 0; i < b->room.n_combos; i++) next = fmin(next, b->room.combos[i].due);
    s->session_due = fmin(next, b->project[0] ? b->project_beat_at : (double)INFINITY);
}

static int take_packet(void *self, const bilibili_packet *packet) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    unsigned epoch = b->epoch;
    if (packet->operation == BILIBILI_COMMAND) {
        ishow_bilibili_command(&s->feed, &b->room, ishow_now(), packet->body, packet->n);
        if (b->room.over) {
            b->room.over = 0;
            bilibili_project_lost(s);
            source_again(s, "the open platform has ended the project");
        } else
            plan(s);
    } else if (packet->operation == BILIBILI_AUTH_REPLY) {
        json_t *json = ishow_json_load(packet->body, packet->n);
        int64_t code = json ? json_whole(json_object_get(json, "code")) : -1;
        json_decref(json);
        if (code)
            source_lost(s, "the platform refuses the connection's token (%lld)",
                        (long long)code); /* the next attempt requests a new token */
        else if (s->state == ISHOW_CHAT_STATE_CONNECTING) {
            source_live(s,
                        s->options.app_id  ? "Live in room %s, by the open platform."
                        : s->options.token ? "Live in room %s, logged in."
                                           : "Live in room %s, reading anonymously.",
                        b->room.number[0] ? b->room.number : s->options.channel);
            b->project_failures = 0;
            s->beat_at = ishow_now(); /* the first heartbeat is sent at once */
            plan(s);
        }
    }
    return b->epoch == epoch;
}

static void on_message(void *self, const unsigned char *data, size_t n) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    unsigned epoch = b->epoch;
    const char *fault =
        ishow_bilibili_unpack(data, n, s->options.inflate_bytes_max, BILIBILI_FRAME_SECONDS, take_packet, s);
    if (!fault || b->epoch != epoch) return;
    s->feed.malformed++;
    if (fault ==
        ishow_bilibili_too_slow) { /* the platform sends no such frame; more of them would delay the other sources */
        source_lost(s, "a frame of %zu bytes takes too long to decode", n);
        return;
    }
    ishow_log(ISHOW_LOG_WARN, "chat", "bilibili %s: a frame of %zu bytes is skipped: %s", s->options.channel, n, fault);
}

static void on_closed(void *self, const char *why) { source_lost(self, "%s", why); }
static void on_heard(void *self, size_t n) { source_heard(self, n); }

static void connect_socket(ishow_chat_source *s, const char *url) {
    bilibili_session *b = s->session;
    b->step = STEP_SOCKET;
    b->socket.self = s;
    b->socket.opened = on_opened;
    b->socket.message = on_message;
    b->socket.closed = on_closed;
    b->socket.heard = on_heard;
    if (!websocket_open(&b->socket, &s->loop->net, url, s->options.ca_file, s->options.connect_seconds,
                        s->options.frame_bytes_max))
        source_lost(s, "%.100s is not a valid address, or there is no memory", url);
}

/* ---- the kind ---- */

static void start(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->call.self = s;
    b->connect = connect_socket;
    if (s->options.app_id)
        bilibili_project_start(s);
    else
        bilibili_web_start(s);
}

static void stop(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->epoch++;
    http_end(&b->call);
    http_end(&b->heartbeat);
    websocket_close(&b->socket);
    ishow_arena_reset(&s->feed.arena);
    ishow_bilibili_flush(&s->feed, &b->room, (double)INFINITY); /* after the stop nothing would pass on waiting gifts */
}

static void tick(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    const double now = ishow_now();
    ishow_arena_reset(&s->feed.arena);
    ishow_bilibili_flush(&s->feed, &b->room, now);
    if (b->project[0] && b->project_beat_at <= now) bilibili_project_beat(s);
    plan(s);
}

static void beat(ishow_chat_source *s) { send_packet(s->session, BILIBILI_HEARTBEAT, "{}", 2); }

static void destroy(ishow_chat_source *s) {
    bilibili_project_end(s);
    bilibili_project_lost(s);
}

const source_kind bilibili_kind = {.check = check,
                                   .session_size = sizeof(bilibili_session),
                                   .start = start,
                                   .stop = stop,
                                   .beat = beat,
                                   .tick = tick,
                                   .destroy = destroy};
