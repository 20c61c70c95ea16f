/* A room through the open platform, without cookies; see https://open-live.bilibili.com/document. A developer's project
 * is opened for the streamer of an identity code. It stays open while heartbeats come, and gives the hosts of the
 * WebSocket and the authentication. Requests are signed with the access key. */
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/bilibili_session.h"
#include "platforms/jsonspan.h"

enum { PROJECT_GONE = 7003, FAILURES_MAX = 3, HEADERS = 9 };

static void hex(char *out, const unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* Takes body. call NULL: the response is ignored. 0: out of memory. */
static int post(ishow_chat_source *s, http_call *call, const char *path, json_t *body) {
    const ishow_chat_source_options *o = &s->options;
    const char *host = strcmp(o->endpoint, ISHOW_CHAT_BILIBILI_URL) ? o->endpoint : ISHOW_CHAT_BILIBILI_OPEN_URL;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    char url[700], lines[HEADERS][640], signed_text[2000] = "", number[2 * EVP_MAX_MD_SIZE + 1];
    unsigned char digest[EVP_MAX_MD_SIZE], nonce[16];
    unsigned length = 0;
    json_decref(body);
    int good = text && getrandom(nonce, sizeof nonce, GRND_NONBLOCK) == (ssize_t)sizeof nonce &&
               EVP_Digest(text, strlen(text), digest, &length, EVP_md5(), NULL);
    if (!good) goto done;
    /* In this order, as they are signed. */
    snprintf(lines[0], sizeof lines[0], "x-bili-accesskeyid:%s", o->login);
    hex(number, digest, length);
    snprintf(lines[1], sizeof lines[1], "x-bili-content-md5:%s", number);
    snprintf(lines[2], sizeof lines[2], "x-bili-signature-method:HMAC-SHA256");
    hex(number, nonce, sizeof nonce);
    snprintf(lines[3], sizeof lines[3], "x-bili-signature-nonce:%s", number);
    snprintf(lines[4], sizeof lines[4], "x-bili-signature-version:1.0");
    snprintf(lines[5], sizeof lines[5], "x-bili-timestamp:%lld", (long long)time(NULL));
    for (size_t i = 0, n = 0; i < 6; i++)
        n += (size_t)snprintf(signed_text + n, sizeof signed_text - n, "%s%s", i ? "\n" : "", lines[i]);
    good = HMAC(EVP_sha256(), o->token, (int)strlen(o->token), (const unsigned char *)signed_text, strlen(signed_text),
                digest, &length) != NULL;
    if (!good) goto done;
    hex(number, digest, length);
    snprintf(lines[6], sizeof lines[6], "Authorization: %s", number);
    snprintf(lines[7], sizeof lines[7], "Content-Type: application/json");
    snprintf(lines[8], sizeof lines[8], "Accept: application/json");
    const char *headers[HEADERS + 1] = {0};
    for (size_t i = 0; i < HEADERS; i++) headers[i] = lines[i];
    snprintf(url, sizeof url, "%s%s", host, path);
    const http_request request = {.url = url,
                                  .headers = headers,
                                  .body = text,
                                  .ca_file = o->ca_file,
                                  .seconds = o->reply_seconds,
                                  .most = o->frame_bytes_max};
    good = call ? http_send(call, &s->loop->net, &request) : http_send_last(&s->loop->net, &request);
done:
    free(text);
    return good;
}

void bilibili_project_lost(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    json_decref(b->links);
    b->links = NULL;
    b->project[0] = '\0';
    b->project_beat_at = (double)INFINITY;
    http_end(&b->heartbeat);
}

static json_int_t app_id_of(const ishow_chat_source *s) { return (json_int_t)strtoll(s->options.app_id, NULL, 10); }

void bilibili_project_end(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    if (b->project[0])
        post(s, NULL, "/v2/app/end", json_pack("{s:I,s:s}", "app_id", app_id_of(s), "game_id", b->project));
    b->project[0] = '\0';
}

static void connect_to_link(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    const size_t n = json_array_size(b->links);
    const char *url = n ? json_string_value(json_array_get(b->links, b->next_host++ % n)) : NULL;
    /* Names and messages of viewers are sent over TLS only, except to a test double. */
    const int plain = url && !strncmp(url, "ws://", 5) && !strncmp(s->options.endpoint, "http://", 7);
    if (!url || (strncmp(url, "wss://", 6) && !plain)) {
        bilibili_project_lost(s);
        source_lost(s, "the open platform names no host to connect to");
        return;
    }
    source_say(s, "Connecting to %.100s.", url);
    b->connect(s, url);
}

static void take_project(ishow_chat_source *s, const json_t *data) {
    bilibili_session *b = s->session;
    const json_t *about = json_object_get(data, "websocket_info"), *anchor = json_object_get(data, "anchor_info");
    const ishow_span room = json_span(&s->feed, json_object_get(anchor, "room_id")),
                     owner = json_span(&s->feed, json_object_get(anchor, "open_id")),
                     project = json_span(&s->feed, json_object_get(json_object_get(data, "game_info"), "game_id")),
                     auth = json_span(&s->feed, json_object_get(about, "auth_body"));
    if (!auth.size || auth.size > sizeof b->auth || !room.size) {
        source_lost(s, "the open platform's response has an unknown form");
        return;
    }
    memcpy(b->auth, auth.data, auth.size);
    b->n_auth = auth.size;
    snprintf(b->room.number, sizeof b->room.number, "%.*s", (int)room.size, room.data);
    snprintf(b->room.owner, sizeof b->room.owner, "%.*s", (int)owner.size, owner.size ? owner.data : "");
    snprintf(b->project, sizeof b->project, "%.*s", (int)project.size, project.size ? project.data : "");
    json_decref(b->links);
    b->links = json_incref(json_object_get(about, "wss_link"));
    b->project_failures = 0;
    b->project_beat_at = b->project[0] ? ishow_now() + ISHOW_CHAT_BILIBILI_PROJECT_SECONDS : (double)INFINITY;
    connect_to_link(s);
}

static void on_started(void *self, long status, const char *fault) {
    /* Errors of keys, project, code or permission; repeating the request does not help. */
    static const int final[] = {4000, 4001, 4002, 4005, 4006, 4007, 4008, 4010, 5004, 5005, 7007, 8002};
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    ishow_arena_reset(&s->feed.arena);
    if (!status) {
        source_lost(s, "opening the project: %s", fault);
        return;
    }
    source_heard(s, b->call.body.n);
    json_t *json = status == 200 ? ishow_json_load((const char *)b->call.body.data, b->call.body.n) : NULL;
    const int64_t code = json_whole(json_object_get(json, "code"));
    const char *message = json_string_value(json_object_get(json, "message"));
    int ends = 0;
    for (size_t i = 0; i < sizeof final / sizeof *final; i++) ends |= code == final[i];
    if (!json_is_object(json))
        source_lost(s, "opening the project: HTTP %ld", status);
    else if (!code)
        take_project(s, json_object_get(json, "data"));
    else if (ends)
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused by Bilibili's open platform: \"%.120s\" (%lld).",
                   message ? message : "", (long long)code);
    else /* busy, or the project of an earlier run is still open for a minute */
        source_lost(s, "the open platform says \"%.120s\" (%lld)", message ? message : "", (long long)code);
    json_decref(json);
}

void bilibili_project_start(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    if (b->links && ++b->project_failures < FAILURES_MAX) { /* the project is open, so its next host is tried */
        connect_to_link(s);
        return;
    }
    bilibili_project_end(s);
    bilibili_project_lost(s);
    b->step = STEP_PROJECT;
    b->call.answered = on_started;
    if (!post(s, &b->call, "/v2/app/start", json_pack("{s:s,s:I}", "code", s->options.code, "app_id", app_id_of(s))))
        source_lost(s, "out of memory");
}

static void on_beaten(void *self, long status, const char *fault) {
    ishow_chat_source *s = self;
    bilibili_session *b = s->session;
    (void)fault;
    json_t *json = status == 200 ? ishow_json_load((const char *)b->heartbeat.body.data, b->heartbeat.body.n) : NULL;
    const int64_t code = json_whole(json_object_get(json, "code"));
    json_decref(json);
    if (code != PROJECT_GONE) return; /* after a lost heartbeat the next one is sent as usual */
    bilibili_project_lost(s);
    if (s->state == ISHOW_CHAT_STATE_CONNECTING || s->state == ISHOW_CHAT_STATE_LIVE)
        source_again(s, "the open platform has closed the project");
}

void bilibili_project_beat(ishow_chat_source *s) {
    bilibili_session *b = s->session;
    b->project_beat_at = ishow_now() + ISHOW_CHAT_BILIBILI_PROJECT_SECONDS;
    b->heartbeat.self = s;
    b->heartbeat.answered = on_beaten;
    post(s, &b->heartbeat, "/v2/app/heartbeat", json_pack("{s:s}", "game_id", b->project));
}
