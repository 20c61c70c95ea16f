/* Twitch's EventSub over a WebSocket. The token is validated, the channel's number is requested, the socket sends its
 * session id, and each kind of event is subscribed to for this session:
 * https://dev.twitch.tv/docs/eventsub/handling-websocket-events */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/defaults.h"
#include "base/json.h"
#include "platforms/jsonspan.h"
#include "platforms/twitch_session.h"

static const char *const types[] = {"channel.chat.message", "channel.chat.notification", "channel.chat.message_delete",
                                    "channel.chat.clear_user_messages", "channel.chat.clear"};
enum { TYPES = sizeof types / sizeof *types };

static int is_double(const ishow_chat_source *s) { return !strncmp(s->options.endpoint, "http", 4); }

/* 1 when the token may use EventSub. Another IRC server is always read by IRC. */
int twitch_uses_eventsub(const ishow_chat_source *s) {
    const twitch_session *t = s->session;
    return is_double(s) || (s->options.token && !t->no_scope && !strcmp(s->options.endpoint, ISHOW_CHAT_TWITCH_URL));
}

static void on_answered(void *self, long status, const char *fault);

static void ask(ishow_chat_source *s, twitch_step what, const char *path, const char *body) {
    twitch_session *t = s->session;
    char url[700], key[640], client[100];
    const char *base = is_double(s)               ? s->options.endpoint
                       : what == TWITCH_VALIDATES ? ISHOW_CHAT_TWITCH_ID_URL
                                                  : ISHOW_CHAT_TWITCH_API_URL;
    const char *token = s->options.token + (strncmp(s->options.token, "oauth:", 6) ? 0 : 6);
    snprintf(url, sizeof url, "%s%s", base, path);
    snprintf(key, sizeof key, "Authorization: %s %s", what == TWITCH_VALIDATES ? "OAuth" : "Bearer", token);
    snprintf(client, sizeof client, "Client-Id: %s", t->client_id);
    const char *headers[] = {key, "Content-Type: application/json", what == TWITCH_VALIDATES ? NULL : client, NULL};
    t->step = what;
    t->call.self = s;
    t->call.answered = on_answered;
    if (!http_send(&t->call, &s->loop->net,
                   &(http_request){.url = url,
                                   .headers = headers,
                                   .body = body,
                                   .ca_file = s->options.ca_file,
                                   .seconds = s->options.reply_seconds,
                                   .most = ISHOW_CHAT_FRAME_BYTES_MAX}))
        source_lost(s, "out of memory");
}

static void subscribe_next(ishow_chat_source *s) {
    twitch_session *t = s->session;
    if (t->subscribed == TYPES) {
        source_live(s, "Live by EventSub, signed in as %s.", t->nick);
        twitch_emotes_start(s);
        return;
    }
    json_t *body = json_pack("{s:s,s:s}", "type", types[t->subscribed], "version", "1");
    json_add(&body, "condition", json_pack("{s:s,s:s}", "broadcaster_user_id", t->room_id, "user_id", t->reader_id));
    json_add(&body, "transport", json_pack("{s:s,s:s}", "method", "websocket", "session_id", t->session_id));
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text)
        ask(s, TWITCH_SUBSCRIBES, "/helix/eventsub/subscriptions", text);
    else
        source_lost(s, "out of memory");
    free(text);
}

/* ---- the socket ---- */

static void connect_socket(ishow_chat_source *s, int which, const char *url);

static void keep(char *out, size_t size, ishow_span text) {
    snprintf(out, size, "%.*s", (int)(text.size < size ? text.size : size - 1), text.size ? text.data : "");
}

static void take_welcome(ishow_chat_source *s, int which, const json_t *session) {
    twitch_session *t = s->session;
    keep(t->session_id, sizeof t->session_id, json_span(&s->feed, json_object_get(session, "id")));
    if (t->moves) { /* the subscriptions have moved to this socket; the old one has sent everything */
        t->moves = 0;
        websocket_close(&t->sockets[t->current]);
        t->current = which;
        return;
    }
    t->subscribed = 0;
    source_say(s, "Subscribing to the chat.");
    subscribe_next(s);
}

/* Allows moving only to Twitch, or to the test double. */
static int may_move_to(const ishow_chat_source *s, const char *url) {
    static const char host[] = "wss://", domain[] = ".twitch.tv";
    if (!url) return 0;
    if (is_double(s)) return !strncmp(url, "ws", 2);
    const size_t n = strcspn(url + sizeof host - 1, "/:?#");
    return !strncmp(url, host, sizeof host - 1) && n >= sizeof domain &&
           !strncmp(url + sizeof host - 1 + n - (sizeof domain - 1), domain, sizeof domain - 1);
}

static void take_message(ishow_chat_source *s, int which, const json_t *json) {
    twitch_session *t = s->session;
    const json_t *about = json_object_get(json, "metadata"), *payload = json_object_get(json, "payload");
    const json_t *session = json_object_get(payload, "session"),
                 *subscription = json_object_get(payload, "subscription");
    const ishow_span what = json_span(&s->feed, json_object_get(about, "message_type"));
    if (span_is(what, "session_welcome"))
        take_welcome(s, which, session);
    else if (span_is(what, "notification")) {
        /* Twitch repeats a message that may have been lost. */
        const ishow_span id = json_span(&s->feed, json_object_get(about, "message_id"));
        if (!id.size || feed_first(&s->feed, feed_format(&s->feed, "event-%.*s", (int)id.size, id.data)))
            ishow_twitch_event(&s->feed, json_span(&s->feed, json_object_get(about, "subscription_type")),
                               json_object_get(payload, "event"));
    } else if (span_is(what, "session_reconnect")) {
        const char *url = json_string_value(json_object_get(session, "reconnect_url"));
        if (may_move_to(s, url)) {
            t->moves = 1;
            connect_socket(s, !t->current, url);
        } else
            source_again(s, "the server asks to reconnect");
    } else if (span_is(what, "revocation")) {
        const ishow_span why = feed_one_line(&s->feed, json_span(&s->feed, json_object_get(subscription, "status")));
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Twitch has ended the subscription: %.*s.", (int)why.size,
                   why.size ? why.data : "");
    } else if (!span_is(what, "session_keepalive"))
        s->feed.malformed++;
}

static void on_message(ishow_chat_source *s, int which, const unsigned char *data, size_t n) {
    ishow_arena_reset(&s->feed.arena);
    json_t *json = ishow_json_load((const char *)data, n);
    if (json_is_object(json))
        take_message(s, which, json);
    else
        s->feed.malformed++;
    json_decref(json);
}

static void on_message_0(void *self, const unsigned char *data, size_t n) { on_message(self, 0, data, n); }
static void on_message_1(void *self, const unsigned char *data, size_t n) { on_message(self, 1, data, n); }
static void on_opened(void *self) { source_heard(self, 0); }
static void on_heard(void *self, size_t n) { source_heard(self, n); }

/* The old socket may close while the new one connects. */
static void on_closed(ishow_chat_source *s, int which, const char *why) {
    const twitch_session *t = s->session;
    if (!t->moves || which != t->current) source_lost(s, "%s", why);
}

static void on_closed_0(void *self, const char *why) { on_closed(self, 0, why); }
static void on_closed_1(void *self, const char *why) { on_closed(self, 1, why); }

static void connect_socket(ishow_chat_source *s, int which, const char *url) {
    twitch_session *t = s->session;
    websocket *w = &t->sockets[which];
    w->self = s;
    w->opened = on_opened;
    w->message = which ? on_message_1 : on_message_0;
    w->closed = which ? on_closed_1 : on_closed_0;
    w->heard = on_heard;
    if (!websocket_open(w, &s->loop->net, url, s->options.ca_file, s->options.connect_seconds,
                        ISHOW_CHAT_FRAME_BYTES_MAX))
        source_lost(s, "out of memory");
}

/* ---- over HTTP ---- */

/* 0: the token may not read chat by EventSub. */
static int has_scope(const json_t *scopes) {
    for (size_t i = 0; i < json_array_size(scopes); i++) {
        const char *scope = json_string_value(json_array_get(scopes, i));
        if (scope && !strcmp(scope, "user:read:chat")) return 1;
    }
    return 0;
}

static void take_token(ishow_chat_source *s, long status, const json_t *json) {
    twitch_session *t = s->session;
    char path[100];
    if (status == 401) {
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused: Twitch does not accept the token.");
        return;
    }
    keep(t->client_id, sizeof t->client_id, json_span(&s->feed, json_object_get(json, "client_id")));
    keep(t->reader_id, sizeof t->reader_id, json_span(&s->feed, json_object_get(json, "user_id")));
    keep(t->nick, sizeof t->nick, json_span(&s->feed, json_object_get(json, "login")));
    if (t->client_id[strspn(t->client_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")])
        t->client_id[0] = '\0'; /* becomes part of a header */
    if (!has_scope(json_object_get(json, "scopes")) || !t->reader_id[0] || !t->client_id[0]) {
        t->no_scope = 1;
        if (is_double(s))
            source_end(s, ISHOW_CHAT_STATE_FAILED, "The token lacks the scope user:read:chat, which EventSub needs.");
        else
            s->kind->start(s); /* reads IRC now */
        return;
    }
    snprintf(path, sizeof path, "/helix/users?login=%s", s->options.channel);
    ask(s, TWITCH_ASKS_USER, path, NULL);
}

static void take_user(ishow_chat_source *s, const json_t *json) {
    twitch_session *t = s->session;
    const json_t *user = json_array_get(json_object_get(json, "data"), 0);
    keep(t->room_id, sizeof t->room_id, json_span(&s->feed, json_object_get(user, "id")));
    if (!t->room_id[0]) {
        source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no channel %s.", s->options.channel);
        return;
    }
    char url[600];
    const char *host = strstr(s->options.endpoint, "://");
    if (is_double(s))
        snprintf(url, sizeof url, "%s%s/ws", strncmp(s->options.endpoint, "https:", 6) ? "ws" : "wss", host);
    else
        snprintf(url, sizeof url, "%s", ISHOW_CHAT_TWITCH_EVENTS_URL);
    t->current = 0;
    source_say(s, "Connecting to EventSub.");
    connect_socket(s, 0, url);
}

static void on_answered(void *self, long status, const char *fault) {
    static const char *const what[] = {"the token", "the channel", "a subscription"};
    ishow_chat_source *s = self;
    twitch_session *t = s->session;
    ishow_arena_reset(&s->feed.arena);
    if (!status) {
        source_lost(s, "requesting %s: %s", what[t->step], fault);
        return;
    }
    source_heard(s, t->call.body.n);
    json_t *json = ishow_json_load((const char *)t->call.body.data, t->call.body.n);
    const char *message = json_string_value(json_object_get(json, "message"));
    if (!json_is_object(json) || status == 429 || status >= 500)
        source_lost(s, "requesting %s: HTTP %ld", what[t->step], status);
    else if (t->step == TWITCH_VALIDATES && (status == 200 || status == 401))
        take_token(s, status, json);
    else if (status == 200 && t->step == TWITCH_ASKS_USER)
        take_user(s, json);
    else if (t->step == TWITCH_SUBSCRIBES &&
             (status == 202 || status == 409)) { /* 409: the subscription exists already */
        t->subscribed++;
        subscribe_next(s);
    } else if (status == 401 || status == 403)
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused: Twitch says \"%.160s\".", message ? message : "");
    else
        source_lost(s, "requesting %s: HTTP %ld \"%.120s\"", what[t->step], status, message ? message : "");
    json_decref(json);
}

void twitch_eventsub_start(ishow_chat_source *s) { ask(s, TWITCH_VALIDATES, "/oauth2/validate", NULL); }
