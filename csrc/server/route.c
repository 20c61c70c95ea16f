/* The table of endpoints, and every check that can be made before a body is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/server.h"

static const route routes[ROUTES] = {
    {0, "POST", "/api/tts", "tts", ROUTE_BODY | ROUTE_SPEECH, answer_tts},
    {1, "POST", "/api/tts/stream", "tts_stream", ROUTE_BODY | ROUTE_SPEECH, answer_tts_stream},
    {2, "DELETE", "/api/tts/", "tts_cancel", 0, answer_tts_cancel},
    {3, "GET", "/api/voices", "voices", ROUTE_SPEECH, answer_voices},
    {4, "GET", "/api/health", "health", ROUTE_OPEN, answer_health},
    {5, "GET", "/healthz", "healthz", ROUTE_OPEN, answer_health},
    {6, "GET", "/readyz", "readyz", ROUTE_OPEN, answer_ready},
    {7, "GET", "/metrics", "metrics", 0, answer_metrics},
    {8, "GET", "/", "page", ROUTE_OPEN, answer_asset},
    {9, "GET", "/web/", "web", ROUTE_OPEN, answer_asset},
    {10, "GET", "/favicon.ico", "favicon", ROUTE_OPEN, answer_asset},
};

static int path_matches(const route *r, const char *path) {
    size_t n = strlen(r->path);
    if (n > 1 && r->path[n - 1] == '/') return !strncmp(path, r->path, n) && path[n] && !strchr(path + n, '/');
    return !strcmp(path, r->path);
}

static int method_matches(const route *r, const char *method) {
    return !strcmp(method, r->method) || (!strcmp(method, "HEAD") && !strcmp(r->method, "GET"));
}

const route *route_find(const char *method, const char *path, int *known_path) {
    *known_path = 0;
    for (int i = 0; i < ROUTES; i++) {
        if (!path_matches(&routes[i], path)) continue;
        *known_path = 1;
        if (method_matches(&routes[i], method)) return &routes[i];
    }
    return NULL;
}

void route_allowed(const char *path, char *out, size_t n) {
    out[0] = '\0';
    for (int i = 0; i < ROUTES; i++)
        if (path_matches(&routes[i], path)) {
            size_t used = strlen(out);
            snprintf(out + used, n - used, "%s%s", used ? ", " : "", strcmp(routes[i].method, "GET") ? routes[i].method : "GET, HEAD");
        }
}

const char *route_name(int index) { return index < ROUTES ? routes[index].name : "other"; }

typedef struct field_scan { size_t lengths, encodings, bytes; const char *length, *encoding; } field_scan;

static enum MHD_Result scan_field(void *self, enum MHD_ValueKind kind, const char *key, const char *value) {
    field_scan *scan = self;
    (void)kind;
    scan->bytes += strlen(key) + (value ? strlen(value) : 0) + 4;
    if (!strcasecmp(key, "Content-Length")) scan->lengths++, scan->length = value;
    if (!strcasecmp(key, "Transfer-Encoding")) scan->encodings++, scan->encoding = value;
    return MHD_YES;
}

/* Two servers in a row that disagree about where a request ends can be made to mix up two clients (request smuggling):
 * anything ambiguous is refused and the connection closed. */
static int check_framing(exchange *x, field_scan *scan) {
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, scan_field, scan);
    if (scan->lengths + scan->encodings > 1)
        return fault_set(&x->fault, 400, "ambiguous_length", scan->lengths > 1 ? "Content-Length" : "Transfer-Encoding",
                         "A request must have one Content-Length or one Transfer-Encoding, not several.");
    if (scan->lengths && (!scan->length || !*scan->length || strspn(scan->length, "0123456789") != strlen(scan->length) || strlen(scan->length) > 18))
        return fault_set(&x->fault, 400, "ambiguous_length", "Content-Length", "Content-Length must be a whole number.");
    if (scan->encodings && (!scan->encoding || strcasecmp(scan->encoding, "chunked")))
        return fault_set(&x->fault, 400, "ambiguous_length", "Transfer-Encoding", "The only Transfer-Encoding understood is chunked.");
    return 1;
}

static int is_json(const char *type) {
    static const char wanted[] = "application/json";
    size_t n = sizeof wanted - 1;
    return type && !strncasecmp(type, wanted, n) && (!type[n] || type[n] == ';' || type[n] == ' ');
}

static int check_body(exchange *x, const field_scan *scan) {
    if (!scan->lengths && !scan->encodings)
        return fault_set(&x->fault, 411, "length_required", "Content-Length", "A request with a body needs a Content-Length.");
    if (!is_json(header_get(x, "Content-Type")))
        return fault_set(&x->fault, 415, "unsupported_media_type", "Content-Type", "The Content-Type must be application/json.");
    if (scan->lengths && strtoull(scan->length, NULL, 10) > x->server->body_bytes_max)
        return fault_set(&x->fault, 413, "too_large", "", "The body may have %zu bytes, not %s.", x->server->body_bytes_max, scan->length);
    return 1;
}

int route_admit(exchange *x, const char *url, const char *method) {
    field_scan scan = {0};
    int known = 0;
    if (!check_framing(x, &scan)) return 0;
    if (x->uri_length > URI_MAX) return fault_set(&x->fault, 414, "uri_too_long", "", "The address may have %d characters, not %zu.", URI_MAX, x->uri_length);
    if (x->bad_uri) return fault_set(&x->fault, 400, "malformed_uri", "", "The address holds a NUL.");
    if (scan.bytes > HEADER_MAX) return fault_set(&x->fault, 431, "headers_too_large", "", "The header fields may have %d bytes, not %zu.", HEADER_MAX, scan.bytes);
    if (!auth_host(x)) return 0;
    if (x->origin && !strcmp(method, "OPTIONS")) return 1; /* a preflight: answered by the caller */
    x->route = route_find(method, url, &known);
    if (!x->route && !known) return fault_set(&x->fault, 404, "not_found", "", "There is nothing at this address.");
    if (!x->route) {
        route_allowed(url, x->allow, sizeof x->allow);
        return fault_set(&x->fault, 405, "method_not_allowed", "", "This address answers %s only.", x->allow);
    }
    if (!(x->route->flags & ROUTE_OPEN) && !auth_key(x)) return 0;
    if (x->route->flags & ROUTE_SPEECH) {
        if (atomic_load(&x->server->draining)) return fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
        if (!atomic_load(&x->server->engine)) return fault_set(&x->fault, 503, "loading", "", "The model is being loaded.");
    }
    if (x->route->flags & ROUTE_BODY) return check_body(x, &scan);
    if (x->route->answer == answer_asset) x->asset = assets_find(x->server->assets, strcmp(url, "/favicon.ico") ? url : "/web/icon.svg");
    if (x->route->answer == answer_tts_cancel) snprintf(x->target, sizeof x->target, "%s", url + strlen(x->route->path)); /* a longer one is nobody's id */
    return 1;
}
