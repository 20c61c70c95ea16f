/* Responses: each has the request id and the same security headers, each error the same JSON object. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

const char *header_get(exchange *x, const char *name) {
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* Headers of every response. */
static void add_fields(const exchange *x, struct MHD_Response *response) {
    MHD_add_response_header(response, "X-Request-Id", x->id);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", x->origin ? "cross-origin" : "same-origin");
    if (!MHD_get_response_header(response, "Cache-Control"))
        MHD_add_response_header(response, "Cache-Control", "no-store");
    if (x->origin) {
        MHD_add_response_header(response, "Access-Control-Allow-Origin", x->origin);
        MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                "X-Request-Id, X-Seed, X-Sample-Rate, X-Unspoken, Server-Timing, Retry-After, ETag, "
                                "Content-Range, Location");
        MHD_add_response_header(response, "Vary", "Origin");
    }
}

static enum MHD_Result write_field(void *self, enum MHD_ValueKind kind, const char *key, const char *value) {
    (void)kind;
    ishow_buffer_format(self, "%s: %s\r\n", key, value);
    return MHD_YES;
}

void respond_head(exchange *x, int status, struct MHD_Response *response, const char *more, ishow_buffer *out) {
    add_fields(x, response);
    ishow_buffer_format(out, "HTTP/1.1 %d %s\r\n", status, MHD_get_reason_phrase_for((unsigned)status));
    MHD_get_response_headers(response, write_field, out);
    ishow_buffer_format(out, "%sConnection: close\r\n\r\n", more);
    x->status = status;
}

enum MHD_Result respond_with(exchange *x, int status, struct MHD_Response *response) {
    if (!response) return MHD_NO;
    add_fields(x, response);
    /* A server that shuts down must not invite another request on this connection. */
    if (atomic_load(&x->server->draining)) MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    x->status = status;
    if (x->phase != PHASE_STREAM) x->phase = PHASE_ANSWERED;
    return result;
}

enum MHD_Result respond(exchange *x, int status, const char *type, ishow_buffer *body) {
    if (body->failed) {
        ishow_buffer_free(body);
        return MHD_NO;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->n, body->n ? (void *)body->data : (void *)"", body->n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response || !body->n) ishow_buffer_free(body);
    *body = (ishow_buffer){0};
    if (response && type) MHD_add_response_header(response, "Content-Type", type);
    return respond_with(x, status, response);
}

struct MHD_Response *fault_response(exchange *x) {
    if (x->route && x->route->flags & ROUTE_OPENAI) ishow_speech_rename(&x->fault);
    const fault *f = &x->fault;
    ishow_buffer body = {0};
    ishow_fault_write(&body, f);
    if (body.failed) {
        ishow_buffer_free(&body);
        return NULL;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(body.n, body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        ishow_buffer_free(&body);
        return NULL;
    }
    MHD_add_response_header(response, "Content-Type", "application/json");
    char text[96];
    if (f->status == 429 || f->status == 503) {
        ishow_server *s = x->server;
        ishow_engine *engine =
            atomic_load(&s->draining) ? NULL : atomic_load(&s->engine); /* the Retry-After is then that of a restart */
        const double named = f->error.retry_after;
        snprintf(text, sizeof text, "%.0f",
                 named > 0 ? ceil(named) : ishow_retry_after(&s->load, engine, s->request_seconds));
        MHD_add_response_header(response, "Retry-After", text);
    }
    if (f->status == 426) {
        MHD_add_response_header(response, "Upgrade", "websocket");
        MHD_add_response_header(response, "Sec-WebSocket-Version", "13");
    }
    if (f->status == 401) MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (f->status == 416) MHD_add_response_header(response, "Content-Range", x->content_range);
    if (f->status == 405) MHD_add_response_header(response, "Allow", x->allow);
    /* After these faults it is not known where the next request begins. */
    if (!strcmp(f->code, "ambiguous_length") || !strncmp(f->code, "malformed_h", 11) || f->status == 408 ||
        f->status == 414 || f->status == 431)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

enum MHD_Result respond_fault(exchange *x) {
    struct MHD_Response *response = fault_response(x);
    return respond_with(x, x->fault.status, response);
}
