/* The table of endpoints, and all checks that need no body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/internal.h"

static const route routes[] = {
    {"POST", "/api/tts", "tts", ROUTE_JSON | ROUTE_SPEECH, answer_tts},
    {"POST", "/api/tts/stream", "tts_stream", ROUTE_JSON | ROUTE_SPEECH, answer_tts_stream},
    {"GET", "/api/tts/ws", "tts_ws", ROUTE_SPEECH, answer_tts_ws},
    {"DELETE", "/api/tts/{}", "tts_cancel", 0, answer_tts_cancel},
    {"GET", "/api/voices", "voices", ROUTE_SPEECH, answer_voices},
    {"POST", "/api/danmaku/start", "danmaku_start", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_on_worker},
    {"POST", "/api/danmaku/stop", "danmaku_stop", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_on_worker},
    {"POST", "/api/danmaku/enqueue", "danmaku_enqueue", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_enqueue},
    {"POST", "/api/danmaku/ingest/{}", "danmaku_ingest", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku_enqueue},
    {"GET", "/api/danmaku/ingest/{}", "danmaku_ingest_ws", ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_ingest_ws},
    {"POST", "/api/danmaku/skip", "danmaku_skip", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku},
    {"POST", "/api/danmaku/pause", "danmaku_pause", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"POST", "/api/danmaku/resume", "danmaku_resume", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"POST", "/api/danmaku/clear", "danmaku_clear", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"POST", "/api/danmaku/replay", "danmaku_replay", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"POST", "/api/danmaku/mute", "danmaku_mute", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku},
    {"POST", "/api/danmaku/unmute", "danmaku_unmute", ROUTE_JSON | ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku},
    {"POST", "/api/danmaku/approve", "danmaku_approve", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"POST", "/api/danmaku/reject", "danmaku_reject", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH | ROUTE_CHAT,
     answer_danmaku},
    {"DELETE", "/api/danmaku/messages/{}", "danmaku_delete", ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_delete},
    {"GET", "/api/danmaku/queue", "danmaku_queue", ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku},
    {"GET", "/api/danmaku/status", "danmaku_status", ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku},
    {"GET", "/api/danmaku/stream", "danmaku_stream", ROUTE_SPEECH | ROUTE_CHAT, answer_danmaku_stream},
    {"POST", "/api/voices", "voice_create", ROUTE_UPLOAD | ROUTE_SPEECH, answer_voice_create},
    {"DELETE", "/api/voices/{}", "voice_delete", ROUTE_SPEECH, answer_voice_delete},
    {"GET", "/api/voices/{}/reference", "reference", ROUTE_SPEECH, answer_reference},
    {"POST", "/api/voices/{}/reference", "override", ROUTE_UPLOAD | ROUTE_SPEECH, answer_override},
    {"DELETE", "/api/voices/{}/reference", "restore", ROUTE_SPEECH, answer_restore},
    {"GET", "/api/voices/{}/reference/audio", "reference_audio", ROUTE_SPEECH, answer_reference_audio},
    {"GET", "/api/lexicon", "lexicon", ROUTE_SPEECH, answer_lexicon},
    {"POST", "/api/lexicon", "lexicon_put", ROUTE_JSON | ROUTE_SPEECH, answer_lexicon},
    {"DELETE", "/api/lexicon/{}", "lexicon_delete", ROUTE_SPEECH, answer_lexicon},
    {"POST", "/api/reading", "reading", ROUTE_JSON | ROUTE_SPEECH, answer_reading},
    {"POST", "/v1/audio/speech", "openai_speech", ROUTE_JSON | ROUTE_SPEECH | ROUTE_OPENAI | ROUTE_LINES,
     answer_openai_speech},
    {"GET", "/v1/audio/voices", "openai_voices", ROUTE_SPEECH, answer_openai_voices},
    {"GET", "/v1/audio/models", "openai_audio_models", ROUTE_SPEECH, answer_openai_audio_models},
    {"GET", "/v1/models", "openai_models", ROUTE_SPEECH, answer_openai_models},
    {"GET", "/v1/models/{}", "openai_model", ROUTE_SPEECH, answer_openai_model},
    {"GET", "/api/health", "health", ROUTE_OPEN | ROUTE_WORKER, answer_health},
    {"GET", "/healthz", "healthz", ROUTE_OPEN | ROUTE_WORKER, answer_health},
    {"GET", "/readyz", "readyz", ROUTE_OPEN | ROUTE_WORKER, answer_ready},
    {"GET", "/api/config", "config", 0, answer_config},
    {"POST", "/api/config/reload", "config_reload", ROUTE_JSON | ROUTE_BARE | ROUTE_SPEECH, answer_config_reload},
    {"GET", "/api/history", "history", ROUTE_SPEECH, answer_history},
    {"GET", "/api/cluster", "cluster", ROUTE_SPEECH, answer_cluster},
    {"DELETE", "/api/cluster/workers/{}", "cluster_drain", ROUTE_SPEECH, answer_cluster_drain},
    {"GET", "/metrics", "metrics", ROUTE_WORKER, answer_metrics},
    {"GET", "/", "page", ROUTE_OPEN, answer_asset},
    {"GET", "/overlay", "page_overlay", ROUTE_OPEN, answer_asset},
    {"GET", "/dashboard", "page_dashboard", ROUTE_OPEN, answer_asset},
    {"GET", "/voices", "page_voices", ROUTE_OPEN, answer_asset},
    {"GET", "/chat", "page_chat", ROUTE_OPEN, answer_asset},
    {"GET", "/docs", "page_docs", ROUTE_OPEN, answer_asset},
    {"GET", "/openapi.json", "openapi", ROUTE_OPEN, answer_asset},
    {"GET", "/web/{}", "web", ROUTE_OPEN, answer_asset},
    {"GET", "/favicon.ico", "favicon", ROUTE_OPEN, answer_asset},
};
enum { ROUTES = sizeof routes / sizeof *routes };
_Static_assert((int)ROUTES < (int)ROUTES_MAX, "the table of metrics is too small");

/* Returns where the segment that matches {} begins, its length in *n; NULL: the path does not match. A path without {}
 * gives an empty segment. */
static const char *path_match(const route *r, const char *path, size_t *n) {
    const char *hole = strstr(r->path, "{}");
    size_t before = hole ? (size_t)(hole - r->path) : strlen(r->path);
    *n = 0;
    if (strncmp(path, r->path, before)) return NULL;
    const char *segment = path + before;
    if (!hole) return *segment ? NULL : segment;
    *n = strcspn(segment, "/");
    return *n && !strcmp(segment + *n, hole + 2) ? segment : NULL;
}

static int method_matches(const route *r, const char *method) {
    return !strcmp(method, r->method) || (!strcmp(method, "HEAD") && !strcmp(r->method, "GET"));
}

const route *route_find(const char *method, const char *path, int *known_path) {
    size_t n;
    *known_path = 0;
    for (int i = 0; i < ROUTES; i++) {
        if (!path_match(&routes[i], path, &n)) continue;
        *known_path = 1;
        if (method_matches(&routes[i], method)) return &routes[i];
    }
    return NULL;
}

void route_allowed(const char *path, char *out, size_t n) {
    size_t length;
    out[0] = '\0';
    for (int i = 0; i < ROUTES; i++)
        if (path_match(&routes[i], path, &length)) {
            size_t used = strlen(out);
            snprintf(out + used, n - used, "%s%s", used ? ", " : "",
                     strcmp(routes[i].method, "GET") ? routes[i].method : "GET, HEAD");
        }
}

int route_index(const route *r) { return r ? (int)(r - routes) : ROUTES; }
const char *route_name(int index) { return index < ROUTES ? routes[index].name : index == ROUTES ? "other" : NULL; }

size_t route_body_max(const exchange *x) {
    return x->route->flags & ROUTE_UPLOAD ? (size_t)ISHOW_UPLOAD_BYTES_MAX + ISHOW_FORM_BYTES_MAX
                                          : x->server->body_bytes_max;
}

/* Request smuggling: two servers in a row that disagree about where a request ends can be made to mix up two clients.
 * So anything ambiguous is refused and the connection closed. */
static int check_framing(exchange *x, const head_scanned *scan) {
    if (scan->lengths + scan->encodings > 1)
        return ishow_fault_set(&x->fault, 400, "ambiguous_length",
                               scan->lengths > 1 ? "Content-Length" : "Transfer-Encoding",
                               "A request must have one Content-Length or one Transfer-Encoding, not several.");
    if (scan->lengths && (!scan->length || !*scan->length ||
                          strspn(scan->length, "0123456789") != strlen(scan->length) || strlen(scan->length) > 18))
        return ishow_fault_set(&x->fault, 400, "ambiguous_length", "Content-Length",
                               "Content-Length must be a whole number.");
    if (scan->encodings && (!scan->encoding || strcasecmp(scan->encoding, "chunked")))
        return ishow_fault_set(&x->fault, 400, "ambiguous_length", "Transfer-Encoding",
                               "The only Transfer-Encoding understood is chunked.");
    return 1;
}

static int is_type(const char *type, const char *wanted) {
    size_t n = strlen(wanted);
    return type && !strncasecmp(type, wanted, n) && (!type[n] || type[n] == ';' || type[n] == ' ');
}

static int check_body(exchange *x, const head_scanned *scan) {
    if (!scan->lengths && !scan->encodings)
        return ishow_fault_set(&x->fault, 411, "length_required", "Content-Length",
                               "A request with a body needs a Content-Length.");
    x->lines = x->route->flags & ROUTE_LINES && is_type(header_get(x, "Content-Type"), "application/x-ndjson");
    if (x->lines) return 1; /* the limit is that of a line */
    const char *wanted = x->route->flags & ROUTE_UPLOAD ? "multipart/form-data" : "application/json";
    if (!is_type(header_get(x, "Content-Type"), wanted))
        return ishow_fault_set(&x->fault, 415, "unsupported_media_type", "Content-Type", "The Content-Type must be %s.",
                               wanted);
    if (scan->lengths && strtoull(scan->length, NULL, 10) > route_body_max(x))
        return ishow_fault_set(&x->fault, 413, "too_large", "", "The body may have %zu bytes, not %s.",
                               route_body_max(x), scan->length);
    return 1;
}

int route_admit(exchange *x, const char *url, const char *method, const char *version) {
    head_scanned scan = {0};
    int known = 0;
    if (!head_scan(x, &scan, version) || !check_framing(x, &scan)) return 0;
    if (x->uri_length > URI_MAX)
        return ishow_fault_set(&x->fault, 414, "uri_too_long", "", "The address may have %d characters, not %zu.",
                               URI_MAX, x->uri_length);
    if (x->bad_uri)
        return ishow_fault_set(&x->fault, 400, "malformed_uri", "",
                               "The address holds a space or a control character.");
    url = head_path(x, url);
    if (scan.bytes > HEADER_MAX)
        return ishow_fault_set(&x->fault, 431, "headers_too_large", "", "The header fields may have %d bytes, not %zu.",
                               HEADER_MAX, scan.bytes);
    if (!auth_host(x)) return 0;
    if (x->origin && !strcmp(method, "OPTIONS")) return 1; /* a preflight: answered by the caller */
    x->route = route_find(method, url, &known);
    if (!x->route && !known)
        return ishow_fault_set(&x->fault, 404, "not_found", "", "There is nothing at this address.");
    if (!x->route) {
        route_allowed(url, x->allow, sizeof x->allow);
        return ishow_fault_set(&x->fault, 405, "method_not_allowed", "", "This address answers %s only.", x->allow);
    }
    if (!(x->route->flags & ROUTE_OPEN) && !auth_key(x)) return 0;
    if (x->server->only_health && !(x->route->flags & ROUTE_WORKER))
        return ishow_fault_set(&x->fault, 404, "not_found", "",
                               "This is a worker of a cluster: it answers health and metrics alone.");
    if (x->route->flags & ROUTE_SPEECH) {
        if (atomic_load(&x->server->draining))
            return ishow_fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
        if (!atomic_load(&x->server->engine))
            return ishow_fault_set(&x->fault, 503, "loading", "", "The model is being loaded.");
    }
    size_t n = 0;
    const char *segment = path_match(x->route, url, &n);
    snprintf(x->segment, sizeof x->segment, "%.*s", (int)(n < sizeof x->segment ? n : sizeof x->segment),
             segment ? segment : ""); /* longer than any id: cut, so that it matches none */
    if (x->route->flags & ROUTE_CHAT) {
        const char *name = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "chat");
        if (!(x->chat = chats_find(x->server, name, &x->chat_number, &x->fault))) return 0;
    }
    if (x->route->flags & ROUTE_BARE && !scan.encodings && (!scan.lengths || !strcmp(scan.length, "0"))) return 1;
    if (x->route->flags & (ROUTE_JSON | ROUTE_UPLOAD)) return check_body(x, &scan);
    if (x->route->answer == answer_asset)
        x->asset = assets_find(x->server->assets, strcmp(url, "/favicon.ico") ? url : "/web/icon.svg");
    return 1;
}
