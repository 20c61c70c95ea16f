/* A connection to a live room of Bilibili. Over HTTP come, one after another: an id for this browser (buvid), the key
 * that requests are signed with today, the real room number, and hosts with a token; then a WebSocket to one of the
 * hosts. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/bilibili.h"
#include "platforms/jsonspan.h"
#include "platforms/source.h"
#include "net/websocket.h"

typedef enum step { STEP_BUVID, STEP_KEY, STEP_ROOM, STEP_HOSTS, STEP_SOCKET } step;

enum { HOSTS_MAX = 8 };

typedef struct bilibili_session {
    http_call call;
    websocket socket;
    step step;
    unsigned epoch, next_host;
    char buvid[128], key[33], token[512], room[24], owner[24];
} bilibili_session;

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    size_t n = strspn(o->channel, "0123456789");
    if (o->channel[n] || n > 18)
        return ishow_fail(error, ISHOW_EINVAL, "channel", "channel must be a room number, not %.100s.", o->channel);
    if (o->token && strpbrk(o->token, ";,\""))
        return ishow_fail(error, ISHOW_EINVAL, "token", "token must be the value of the cookie SESSDATA alone.");
    if (o->token && (!o->login || o->login[strspn(o->login, "0123456789")] || strlen(o->login) > 18))
        return ishow_fail(error, ISHOW_EINVAL, "login",
                          "login must be the number (uid) of the account whose token it is.");
    return endpoint_check(o, "https", "http", error);
}

/* ---- over HTTP ---- */

/* The key mixed from the names of two pictures: https://socialsisterwan.github.io/bilibili-API-collect describes it. */
static int mix_key(char out[33], ishow_span a, ishow_span b) {
    static const unsigned char order[32] = {46, 47, 18, 2,  53, 8, 23, 32, 15, 50, 10, 31, 58, 3,  45, 35,
                                            27, 43, 5,  49, 33, 9, 42, 19, 29, 28, 14, 39, 12, 38, 41, 13};
    char joined[64];
    if (a.size != 32 || b.size != 32) return 0;
    memcpy(joined, a.data, 32);
    memcpy(joined + 32, b.data, 32);
    for (size_t i = 0; i < sizeof order; i++) out[i] = joined[order[i]];
    out[32] = '\0';
    return 1;
}

/* "https://host/path/NAME.png": NAME. */
static ishow_span base_name(ishow_span url) {
    const char *slash = url.size ? memrchr(url.data, '/', url.size) : NULL;
    if (!slash) return (ishow_span){NULL, 0};
    const char *from = slash + 1, *end = url.data + url.size, *dot = memchr(from, '.', (size_t)(end - from));
    return (ishow_span){from, (size_t)((dot ? dot : end) - from)};
}

static void sign(const bilibili_session *b, char *query, size_t size) {
    size_t n = strlen(query);
    n +=
        (size_t)snprintf(query + n, size - n, "&wts=%lld", (long long)time(NULL)); /* names are in alphabetical order */
    char text[256];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    int m = snprintf(text, sizeof text, "%s%s", query, b->key);
    if (m < 0 || m >= (int)sizeof text || !EVP_Digest(text, (size_t)m, digest, &length, EVP_md5(), NULL)) return;
    n += (size_t)snprintf(query + n, size - n, "&w_rid=");
    for (unsigned i = 0; i < length && n + 2 < size; i++) n += (size_t)snprintf(query + n, size - n, "%02x", digest[i]);
}

static void ask(ishow_chat_source *s, step what) {
    bilibili_session *b = s->session;
    const ishow_chat_source_options *o = &s->options;
    /* The platform keeps account matters on another host; a double serves both. */
    const char *accounts = strcmp(o->endpoint, ISHOW_CHAT_BILIBILI_URL) ? o->endpoint : ISHOW_CHAT_BILIBILI_ACCOUNT_URL;
    char url[1024], query[256], cookie[800], referer[128];
    snprintf(cookie, sizeof cookie, "Cookie: buvid3=%s%s%s", b->buvid, o->token ? "; SESSDATA=" : "",
             o->token ? o->token : "");
    snprintf(referer, sizeof referer, "Referer: https://live.bilibili.com/%s", o->channel);
    const char *headers[] = {referer, cookie, NULL};
    switch (what) {
    case STEP_BUVID: snprintf(url, sizeof url, "%s/x/frontend/finger/spi", accounts); break;
    case STEP_KEY: snprintf(url, sizeof url, "%s/x/web-interface/nav", accounts); break;
    case STEP_ROOM: snprintf(url, sizeof url, "%s/room/v1/Room/get_info?room_id=%s", o->endpoint, o->channel); break;
    case STEP_HOSTS:
    case STEP_SOCKET:
        snprintf(query, sizeof query, "id=%s&type=0", b->room);
        sign(b, query, sizeof query);
        snprintf(url, sizeof url, "%s/xlive/web-room/v1/index/getDanmuInfo?%s", o->endpoint, query);
        break;
    }
    b->step = what;
    if (!http_get(&b->call, &s->loop->net, url, headers, o->ca_file, o->reply_seconds, o->frame_bytes_max))
        source_lost(s, "memory could not be had");
}

static void keep(char *out, size_t size, ishow_span text) {
    snprintf(out, size, "%.*s", (int)text.size, text.size ? text.data : "");
}

static void connect_socket(ishow_chat_source *s, const json_t *data) {
    bilibili_session *b = s->session;
    const json_t *hosts = json_object_get(data, "host_list");
    size_t n = json_array_size(hosts);
    int tls = !strncmp(s->options.endpoint, "https:", 6);
    if (n > HOSTS_MAX) n = HOSTS_MAX;
    const json_t *host = n ? json_array_get(hosts, b->next_host++ % n) : NULL; /* another one after each failure */
    const char *name = json_string_value(json_object_get(host, "host"));
    int64_t port = json_whole(json_object_get(host, tls ? "wss_port" : "ws_port"));
    keep(b->token, sizeof b->token, json_span(&s->feed, json_object_get(data, "token")));
    if (!name || strlen(name) > 253 || name[strcspn(name, "/@#? ")] || port < 1 || port > 65535) {
        source_lost(s, "the platform names no host to connect to");
        return;
    }
    b->step = STEP_SOCKET;
    source_say(s, "Connecting to %.100s.", name);
    if (!websocket_open(&b->socket, &s->loop->net, tls, name, (int)port, "/sub", s->options.ca_file,
                        s->options.connect_seconds, s->options.frame_bytes_max))
        source_lost(s, "memory could not be had");
}

static void take_answer(ishow_chat_source *s, const json_t *json) {
    bilibili_session *b = s->session;
    const json_t *data = json_object_get(json, "data");
    int64_t code = json_whole(json_object_get(json, "code"));
    const char *message = json_string_value(json_object_get(json, "message"));
    if (code && b->step != STEP_KEY) { /* without a login the key comes with code -101 */
        if (b->step == STEP_ROOM)
            source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no room %s: the platform says \"%.100s\" (%lld).",
                       s->options.channel, message ? message : "", (long long)code);
        else
            source_lost(s, "the platform refuses with \"%.100s\" (%lld)", message ? message : "", (long long)code);
        return;
    }
    switch (b->step) {
    case STEP_BUVID:
        keep(b->buvid, sizeof b->buvid, json_span(&s->feed, json_object_get(data, "b_3")));
        if (b->buvid[strspn(b->buvid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")])
            b->buvid[0] = '\0'; /* goes into a header */
        ask(s, STEP_KEY);
        break;
    case STEP_KEY: {
        const json_t *images = json_object_get(data, "wbi_img");
        if (!mix_key(b->key, base_name(json_span(&s->feed, json_object_get(images, "img_url"))),
                     base_name(json_span(&s->feed, json_object_get(images, "sub_url")))))
            source_lost(s, "the platform gives no key to sign requests with");
        else if (s->options.token && !json_set(json_object_get(data, "isLogin")))
            source_end(s, ISHOW_CHAT_STATE_FAILED, "The platform does not accept the token (SESSDATA).");
        else
            ask(s, STEP_ROOM);
        break;
    }
    case STEP_ROOM:
        keep(b->room, sizeof b->room, json_span(&s->feed, json_object_get(data, "room_id")));
        keep(b->owner, sizeof b->owner, json_span(&s->feed, json_object_get(data, "uid")));
        if (!b->room[0])
            source_lost(s, "the platform does not say the room's number");
        else
            ask(s, STEP_HOSTS);
        break;
    case STEP_HOSTS:
    case STEP_SOCKET: connect_socket(s, data); break;
    }
}

static void on_answered(void *self, long status, const char *fault) {
    static const char *const what[] = {"an id", "the key", "the room", "the hosts", ""};
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    ishow_arena_reset(&s->feed.arena);
    if (!status) {
        source_lost(s, "asking for %s: %s", what[b->step], fault);
        return;
    }
    source_heard(s, b->call.body.n);
    json_t *json = status == 200 ? ishow_json_load((const char *)b->call.body.data, b->call.body.n) : NULL;
    if (json_is_object(json))
        take_answer(s, json);
    else
        source_lost(s, status == 200 ? "asking for %s: the answer is no JSON (HTTP %ld)" : "asking for %s: HTTP %ld",
                    what[b->step], status);
    json_decref(json);
}

/* ---- over the WebSocket ---- */

static void send_packet(bilibili_session *b, uint32_t operation, const void *body, size_t n) {
    unsigned char packet[BILIBILI_HEADER + 1200];
    if (n > sizeof packet - BILIBILI_HEADER) return;
    ishow_bilibili_pack(packet, operation, body, (uint32_t)n);
    websocket_send(&b->socket, packet, BILIBILI_HEADER + n);
}

static void on_opened(void *self) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    char body[1200];
    json_t *auth = json_pack("{s:I,s:I,s:i,s:s,s:i,s:s,s:s}", "uid",
                             (json_int_t)(s->options.token ? strtoll(s->options.login, NULL, 10) : 0), "roomid",
                             (json_int_t)strtoll(b->room, NULL, 10), "protover", 3, "platform", "web", "type", 2,
                             "buvid", b->buvid, "key", b->token);
    size_t n = auth ? json_dumpb(auth, body, sizeof body, JSON_COMPACT) : 0;
    json_decref(auth);
    source_say(s, "Authenticating.");
    send_packet(b, BILIBILI_AUTH, body, n <= sizeof body ? n : 0);
}

static int take_packet(void *self, const bilibili_packet *packet) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    unsigned epoch = b->epoch;
    if (packet->operation == BILIBILI_COMMAND)
        ishow_bilibili_command(&s->feed, span_of(b->room), span_of(b->owner), packet->body, packet->n);
    else if (packet->operation == BILIBILI_AUTH_REPLY) {
        json_t *json = ishow_json_load(packet->body, packet->n);
        int64_t code = json ? json_whole(json_object_get(json, "code")) : -1;
        json_decref(json);
        if (code)
            source_lost(s, "the platform refuses the connection's token (%lld)",
                        (long long)code); /* the next attempt gets another */
        else if (s->state == ISHOW_CHAT_STATE_CONNECTING) {
            source_live(s, s->options.token ? "Live in room %s, logged in." : "Live in room %s, reading anonymously.",
                        b->room);
            s->beat_at = ishow_now(); /* the first heartbeat comes at once */
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
        ishow_bilibili_too_slow) { /* not a frame of the platform: further ones would delay the other sources too */
        source_lost(s, "a frame of %zu bytes takes too long to decode", n);
        return;
    }
    ishow_log(ISHOW_LOG_WARN, "chat", "bilibili %s: a frame of %zu bytes is skipped: %s", s->options.channel, n, fault);
}

static void on_closed(void *self, const char *why) { source_lost(self, "%s", why); }
static void on_heard(void *self, size_t n) { source_heard(self, n); }

/* ---- the kind ---- */

static void start(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->call.self = b->socket.self = s;
    b->call.answered = on_answered;
    b->socket.opened = on_opened;
    b->socket.message = on_message;
    b->socket.closed = on_closed;
    b->socket.heard = on_heard;
    ask(s, b->buvid[0] ? STEP_KEY : STEP_BUVID);
}

static void stop(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->epoch++;
    http_end(&b->call);
    websocket_close(&b->socket);
}

static void beat(ishow_chat_source *s) { send_packet(s->session, BILIBILI_HEARTBEAT, "{}", 2); }

const source_kind bilibili_kind = {
    .check = check, .session_size = sizeof(bilibili_session), .start = start, .stop = stop, .beat = beat};
