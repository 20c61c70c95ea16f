/* GET /api/danmaku/ingest/KIND as a WebSocket: another program sends its messages one after another. Each text message
 * is the body of a POST to the same address and is answered by one, with the JSON of that answer, in their order. */
#include <stdlib.h>

#include "server/internal.h"

enum { WAITING_MAX = 1024 }; /* messages of one connection that the journal has not written yet */

/* A message that is being written. One reference is the connection's, one the journal's. */
typedef struct pending {
    atomic_int refs, settled;
    atomic_int status; /* ishow_status, once settled */
    ishow_server *server;
    ishow_buffer answer;
    struct pending *next;
} pending;

typedef struct intake {
    chat_service *chat;
    ishow_server *server;
    char verb[sizeof "ingest/" + sizeof((exchange *)0)->segment];
    pending *first, **last; /* oldest first */
    size_t n;
} intake;

static void pending_release(pending *p) {
    if (atomic_fetch_sub(&p->refs, 1) > 1) return;
    ishow_buffer_free(&p->answer);
    free(p);
}

static void on_durable(void *user, ishow_status status) {
    pending *p = user;
    atomic_store(&p->status, status);
    atomic_store(&p->settled, 1);
    server_wake(p->server);
    pending_release(p);
}

static void set_fault(pending *p, const fault *f) {
    ishow_buffer_free(&p->answer);
    p->answer = (ishow_buffer){0};
    ishow_fault_write(&p->answer, f);
}

/* Sends the answers that are known, up to the first one that is not. */
static void on_news(ws *w) {
    intake *in = ws_self(w);
    while (in->first && atomic_load(&in->first->settled) && ws_capacity(w)) {
        pending *p = in->first;
        if (atomic_load(&p->status)) {
            fault f = {0};
            ishow_chat_service_not_kept(&f);
            set_fault(p, &f);
        }
        if (p->answer.failed)
            ws_close(w, 1011, "There is not enough memory.");
        else
            ws_send(w, 0, p->answer.data, p->answer.n);
        in->first = p->next;
        if (!in->first) in->last = &in->first;
        in->n--;
        pending_release(p);
    }
}

static void on_message(ws *w, const unsigned char *data, size_t n, int binary) {
    intake *in = ws_self(w);
    fault f = {0};
    int waits = 0;
    if (binary) {
        ws_close(w, 1003, "Messages are text.");
        return;
    }
    pending *p = calloc(1, sizeof *p);
    if (!p) {
        ws_close(w, 1011, "There is not enough memory.");
        return;
    }
    atomic_init(&p->refs, 2);
    p->server = in->server;
    *in->last = p;
    in->last = &p->next;
    const int taken = in->n++ < WAITING_MAX && ishow_chat_service_ask(in->chat, in->verb, (const char *)data, n,
                                                                      on_durable, p, &waits, &p->answer, &f);
    if (waits) return;
    if (!taken) {
        if (!f.status)
            ishow_fault_set(&f, 429, "busy", "",
                            "%d messages of this connection wait to be written, which is the most.", WAITING_MAX);
        set_fault(p, &f);
    }
    atomic_store(&p->settled, 1);
    pending_release(p); /* the journal has no part in it */
    on_news(w);
}

static int is_busy(const ws *w) { return ((intake *)ws_self(w))->first != NULL; }

static void on_release(ws *w) {
    intake *in = ws_self(w);
    for (pending *p = in->first, *next; p; p = next) {
        next = p->next;
        pending_release(p);
    }
    free(in);
}

enum MHD_Result answer_danmaku_ingest_ws(exchange *x) {
    static const ws_kind kind = {.message = on_message, .news = on_news, .busy = is_busy, .release = on_release};
    intake *in = calloc(1, sizeof *in);
    if (!in) return MHD_NO;
    in->server = x->server;
    in->chat = x->chat;
    in->last = &in->first;
    snprintf(in->verb, sizeof in->verb, "ingest/%s", x->segment);
    return ws_accept(x, &kind, in, x->server->body_bytes_max);
}
