/* A room as the platform's web page reads it. These are requested over HTTP, in this order: an identity of this
 * browser (buvid3 and buvid4), the key that requests are signed with today, the real room number, and hosts with a
 * token.
 *
 * The platform answers -352 when it rejects an identity and -412 when there are too many requests. After -352 a new
 * identity is requested; when that does not help, and after -412, the room is joined on the host that needs no
 * token. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "base/defaults.h"
#include "base/json.h"
#include "platforms/bilibili_session.h"
#include "platforms/jsonspan.h"

enum { HOSTS_MAX = 8, WANTS_IDENTITY = -352, BLOCKED = -412, TOO_OFTEN = -799 };

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

static void on_answered(void *self, long status, const char *fault);

static void ask(ishow_chat_source *s, bilibili_step what) {
    bilibili_session *b = s->session;
    const ishow_chat_source_options *o = &s->options;
    /* The platform keeps account matters on another host; a double serves both. */
    const char *accounts = strcmp(o->endpoint, ISHOW_CHAT_BILIBILI_URL) ? o->endpoint : ISHOW_CHAT_BILIBILI_ACCOUNT_URL;
    char url[1024], query[256], cookie[1024], referer[128];
    snprintf(cookie, sizeof cookie, "Cookie: buvid3=%s%s%s%s%s", b->buvid3, b->buvid4[0] ? "; buvid4=" : "", b->buvid4,
             o->token ? "; SESSDATA=" : "", o->token ? o->token : "");
    snprintf(referer, sizeof referer, "Referer: https://live.bilibili.com/%s", o->channel);
    const char *headers[] = {referer, cookie, NULL};
    switch (what) {
    case STEP_BUVID: snprintf(url, sizeof url, "%s/x/frontend/finger/spi", accounts); break;
    case STEP_KEY: snprintf(url, sizeof url, "%s/x/web-interface/nav", accounts); break;
    case STEP_ROOM: snprintf(url, sizeof url, "%s/room/v1/Room/get_info?room_id=%s", o->endpoint, o->channel); break;
    default:
        snprintf(query, sizeof query, "id=%s&type=0&web_location=444.8", b->room.number);
        sign(b, query, sizeof query);
        snprintf(url, sizeof url, "%s/xlive/web-room/v1/index/getDanmuInfo?%s", o->endpoint, query);
        break;
    }
    b->step = what;
    b->call.answered = on_answered;
    if (!http_send(&b->call, &s->loop->net,
                   &(http_request){.url = url,
                                   .headers = headers,
                                   .ca_file = o->ca_file,
                                   .seconds = o->reply_seconds,
                                   .most = o->frame_bytes_max}))
        source_lost(s, "out of memory");
}

static void keep(char *out, size_t size, ishow_span text) {
    snprintf(out, size, "%.*s", (int)text.size, text.size ? text.data : "");
}

/* Keeps only characters that may be in a cookie. */
static void keep_identity(char *out, size_t size, ishow_span text) {
    keep(out, size, text);
    if (out[strspn(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=%")]) out[0] = '\0';
}

/* token NULL: none. */
static void join(ishow_chat_source *s, const char *host, long long port, const char *token) {
    bilibili_session *b = s->session;
    char url[400];
    const char *number = b->room.number[0] ? b->room.number : s->options.channel;
    const long long uid = s->options.token && token ? strtoll(s->options.login, NULL, 10) : 0;
    json_t *auth = json_pack("{s:i,s:s,s:i,s:s*}", "protover", 3, "platform", "web", "type", 2, "key", token);
    json_add(&auth, "uid", json_integer(uid));
    json_add(&auth, "roomid", json_integer(strtoll(number, NULL, 10)));
    json_add(&auth, "buvid", json_string(b->buvid3));
    b->n_auth = auth ? json_dumpb(auth, b->auth, sizeof b->auth, JSON_COMPACT) : 0;
    json_decref(auth);
    if (!b->n_auth || b->n_auth > sizeof b->auth) {
        source_lost(s, "the platform's token is too long");
        return;
    }
    snprintf(url, sizeof url, "%s://%s:%lld/sub", strncmp(s->options.endpoint, "https:", 6) ? "ws" : "wss", host, port);
    source_say(s, token ? "Connecting to %.100s." : "Connecting to %.100s without a token, since Bilibili issues none.",
               host);
    b->connect(s, url);
}

/* Joins on the host that needs no token, or on the test double. */
static void join_without_token(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    const char *endpoint = s->options.endpoint;
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL;
    if (!strcmp(endpoint, ISHOW_CHAT_BILIBILI_URL))
        join(s, ISHOW_CHAT_BILIBILI_HOST, 443, NULL);
    else if (url && !curl_url_set(url, CURLUPART_URL, endpoint, 0) && !curl_url_get(url, CURLUPART_HOST, &host, 0) &&
             !curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT))
        join(s, host, strtoll(port, NULL, 10), NULL);
    else
        source_lost(s, "the platform issues no token");
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    b->buvid3[0] = b->buvid4[0] = '\0'; /* the next attempt requests a new identity */
}

static void join_named(ishow_chat_source *s, const json_t *data) {
    bilibili_session *b = s->session;
    const json_t *hosts = json_object_get(data, "host_list");
    size_t n = json_array_size(hosts);
    const int tls = !strncmp(s->options.endpoint, "https:", 6);
    if (n > HOSTS_MAX) n = HOSTS_MAX;
    const json_t *host = n ? json_array_get(hosts, b->next_host++ % n) : NULL; /* a different one after each failure */
    const char *name = json_string_value(json_object_get(host, "host")),
               *token = json_string_value(json_object_get(data, "token"));
    const int64_t port = json_whole(json_object_get(host, tls ? "wss_port" : "ws_port"));
    if (!name || strlen(name) > 253 || name[strcspn(name, "/@#? ")] || port < 1 || port > 65535 || !token)
        join_without_token(s);
    else
        join(s, name, (long long)port, token);
}

static void refuse(ishow_chat_source *s, int64_t code, const char *message) {
    bilibili_session *b = s->session;
    if (code == WANTS_IDENTITY && !b->refused) {
        b->refused = 1;
        source_say(s, "Bilibili rejects this identity (%lld).", (long long)code);
        ask(s, STEP_BUVID);
    } else if (code == WANTS_IDENTITY || code == BLOCKED || code == TOO_OFTEN)
        join_without_token(s);
    else if (b->step == STEP_ROOM && code > 0)
        source_end(s, ISHOW_CHAT_STATE_FAILED, "There is no room %s: the platform says \"%.100s\" (%lld).",
                   s->options.channel, message ? message : "", (long long)code);
    else
        source_lost(s, "the platform refuses with \"%.100s\" (%lld)", message ? message : "", (long long)code);
}

static void take_answer(ishow_chat_source *s, const json_t *json) {
    bilibili_session *b = s->session;
    const json_t *data = json_object_get(json, "data");
    const int64_t code = json_whole(json_object_get(json, "code"));
    enum { NOT_SIGNED_IN = -101 }; /* the response contains the key in this case too */
    if (code && !(b->step == STEP_KEY && code == NOT_SIGNED_IN)) {
        refuse(s, code, json_string_value(json_object_get(json, "message")));
        return;
    }
    switch (b->step) {
    case STEP_BUVID:
        keep_identity(b->buvid3, sizeof b->buvid3, json_span(&s->feed, json_object_get(data, "b_3")));
        keep_identity(b->buvid4, sizeof b->buvid4, json_span(&s->feed, json_object_get(data, "b_4")));
        ask(s, STEP_KEY);
        break;
    case STEP_KEY: {
        const json_t *images = json_object_get(data, "wbi_img");
        if (!mix_key(b->key, base_name(json_span(&s->feed, json_object_get(images, "img_url"))),
                     base_name(json_span(&s->feed, json_object_get(images, "sub_url")))))
            source_lost(s, "the platform issues no key to sign requests");
        else if (s->options.token && !json_set(json_object_get(data, "isLogin")))
            source_end(s, ISHOW_CHAT_STATE_FAILED, "The platform does not accept the token (SESSDATA).");
        else
            ask(s, STEP_ROOM);
        break;
    }
    case STEP_ROOM:
        keep(b->room.number, sizeof b->room.number, json_span(&s->feed, json_object_get(data, "room_id")));
        keep(b->room.owner, sizeof b->room.owner, json_span(&s->feed, json_object_get(data, "uid")));
        if (!b->room.number[0])
            source_lost(s, "the platform does not say the room's number");
        else
            ask(s, STEP_HOSTS);
        break;
    default: join_named(s, data); break;
    }
}

static void on_answered(void *self, long status, const char *fault) {
    static const char *const what[] = {"an identity", "the key", "the room", "the hosts", "", ""};
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    ishow_arena_reset(&s->feed.arena);
    if (!status) {
        source_lost(s, "requesting %s: %s", what[b->step], fault);
        return;
    }
    source_heard(s, b->call.body.n);
    /* A refused request is answered with an HTML page, or with the HTTP status of its error code. */
    json_t *json = ishow_json_load((const char *)b->call.body.data, b->call.body.n);
    if (status == 412)
        refuse(s, BLOCKED, NULL);
    else if (status == 200 && json_is_object(json))
        take_answer(s, json);
    else
        source_lost(s, status == 200 ? "requesting %s: the response is not JSON (HTTP %ld)" : "requesting %s: HTTP %ld",
                    what[b->step], status);
    json_decref(json);
}

void bilibili_web_start(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->refused = 0;
    ask(s, b->buvid3[0] ? STEP_KEY : STEP_BUVID);
}
