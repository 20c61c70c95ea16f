/* Endpoints of live chat, but for its stream; service/danmaku.c says what they do. */
#include <stdlib.h>

#include "server/internal.h"

/* An answer that holds once the journal has the message, or 503 when the journal cannot have it. */
typedef struct ticket {
    atomic_int refs, settled; /* one reference is the exchange's, one the journal's */
    atomic_int status;        /* ishow_status, once settled */
    ishow_server *server;
    bytes answer;
} ticket;

static void ticket_release(ticket *t) {
    if (atomic_fetch_sub(&t->refs, 1) > 1) return;
    bytes_free(&t->answer);
    free(t);
}

static void on_durable(void *user, ishow_status status) {
    ticket *t = user;
    atomic_store(&t->status, status);
    atomic_store(&t->settled, 1);
    http_wake(t->server);
    ticket_release(t);
}

static int ticket_news(exchange *x) { return atomic_load(&((ticket *)x->waited)->settled); }
static void ticket_hang_up(exchange *x) { (void)x; }
static void ticket_done(exchange *x) { ticket_release(x->waited); }

static enum MHD_Result ticket_resume(exchange *x) {
    ticket *t = x->waited;
    if (atomic_load(&t->status)) {
        danmaku_not_kept(&x->fault);
        return respond_fault(x);
    }
    bytes answer = t->answer;
    t->answer = (bytes){0};
    return respond(x, 202, "application/json", &answer);
}

static const wait_kind until_durable = {.news = ticket_news, .resume = ticket_resume, .hang_up = ticket_hang_up, .release = ticket_done};

enum MHD_Result answer_danmaku_enqueue(exchange *x) {
    int waits = 0;
    ticket *t = calloc(1, sizeof *t);
    if (!t) {
        fault_memory(&x->fault);
        return respond_fault(x);
    }
    atomic_init(&t->refs, 2);
    t->server = x->server;
    int status = danmaku_ask(x->server->danmaku, "enqueue", (const char *)x->body.data, x->body.n, on_durable, t, &waits, &t->answer, &x->fault);
    if (!waits) {
        bytes answer = t->answer;
        free(t);
        return status ? respond(x, status, "application/json", &answer) : respond_fault(x);
    }
    x->phase = PHASE_WAIT;
    http_wait_for(x, &until_durable, t);
    http_wake(x->server); /* the journal may have been faster than this line */
    return MHD_YES;
}

/* The others are answered at once; their verb ends the route's name. */
enum MHD_Result answer_danmaku(exchange *x) {
    bytes body = {0};
    int waits;
    int status = danmaku_ask(x->server->danmaku, x->route->name + sizeof "danmaku_" - 1, (const char *)x->body.data, x->body.n, NULL, NULL, &waits, &body, &x->fault);
    if (status) return respond(x, status, "application/json", &body);
    bytes_free(&body);
    return respond_fault(x);
}

enum MHD_Result answer_danmaku_delete(exchange *x) {
    bytes none = {0};
    return danmaku_delete(x->server->danmaku, x->segment, &x->fault) ? respond(x, 204, NULL, &none) : respond_fault(x);
}
