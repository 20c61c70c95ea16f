/* Endpoints of live chat except its stream. service/chat.c does the work. */
#include <stdlib.h>

#include "server/internal.h"

/* An answer that waits until the journal has written the message to disk; 503 when it could not. */
typedef struct ticket {
    atomic_int refs, settled; /* one reference for the exchange, one for the journal */
    atomic_int status;        /* ishow_status, once settled */
    ishow_server *server;
    ishow_buffer answer;
} ticket;

static void ticket_release(ticket *t) {
    if (atomic_fetch_sub(&t->refs, 1) > 1) return;
    ishow_buffer_free(&t->answer);
    free(t);
}

static void on_durable(void *user, ishow_status status) {
    ticket *t = user;
    atomic_store(&t->status, status);
    atomic_store(&t->settled, 1);
    server_wake(t->server);
    ticket_release(t);
}

static int ticket_news(exchange *x) { return atomic_load(&((ticket *)x->waited)->settled); }
static void ticket_hang_up(exchange *x) { (void)x; }
static void ticket_done(exchange *x) { ticket_release(x->waited); }

static enum MHD_Result ticket_resume(exchange *x) {
    ticket *t = x->waited;
    if (atomic_load(&t->status)) {
        ishow_chat_service_not_kept(&x->fault);
        return respond_fault(x);
    }
    ishow_buffer answer = t->answer;
    t->answer = (ishow_buffer){0};
    return respond(x, 202, "application/json", &answer);
}

static const wait_kind until_durable = {
    .news = ticket_news, .resume = ticket_resume, .hang_up = ticket_hang_up, .release = ticket_done};

/* The verb is the end of the route's name: "skip" of danmaku_skip, "ingest/PROGRAM" of danmaku_ingest. */
static const char *verb_of(const exchange *x) { return x->route->name + sizeof "danmaku_" - 1; }

static void write_verb(const exchange *x, char *out, size_t n) {
    snprintf(out, n, "%s%s%s", verb_of(x), x->segment[0] ? "/" : "", x->segment);
}

enum MHD_Result answer_danmaku_enqueue(exchange *x) {
    int waits = 0;
    char verb[ID_MAX + 32];
    if (ishow_chat_service_follows(x->chat)) return answer_danmaku_on_worker(x);
    write_verb(x, verb, sizeof verb);
    ticket *t = calloc(1, sizeof *t);
    if (!t) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    atomic_init(&t->refs, 2);
    t->server = x->server;
    int status = ishow_chat_service_ask(x->chat, verb, (const char *)x->body.data, x->body.n, on_durable, t, &waits,
                                        &t->answer, &x->fault);
    if (!waits) {
        ishow_buffer answer = t->answer;
        free(t);
        if (!status && ishow_chat_service_follows(x->chat)) { /* another gateway has just become the leader */
            x->fault = (fault){0};
            return answer_danmaku_on_worker(x);
        }
        return status ? respond(x, status, "application/json", &answer) : respond_fault(x);
    }
    x->phase = PHASE_WAIT;
    exchange_wait_for(x, &until_durable, t);
    server_wake(x->server); /* the journal may have called back before this line */
    return MHD_YES;
}

/* A request that may wait, so a worker runs it: start and stop wait for the platforms' thread, and every request waits
 * for the gateway that leads the chat when this one does not. */
typedef struct chat_task {
    task task;
    chat_service *chat_service;
    char verb[ID_MAX + 32];
    ishow_buffer body, answer;
    int status;
} chat_task;

static void chat_task_dispose(task *t) {
    chat_task *p = (chat_task *)(void *)t;
    ishow_buffer_free(&p->body);
    ishow_buffer_free(&p->answer);
    free(p);
}

static void chat_task_work(task *t) {
    chat_task *p = (chat_task *)(void *)t;
    int waits;
    p->status = ishow_chat_service_ask(p->chat_service, p->verb, (const char *)p->body.data, p->body.n, NULL, NULL,
                                       &waits, &p->answer, &t->fault);
}

static enum MHD_Result chat_task_answer(exchange *x, task *t) {
    chat_task *p = (chat_task *)(void *)t;
    ishow_buffer answer = p->answer;
    p->answer = (ishow_buffer){0};
    return respond(x, p->status, answer.n ? "application/json" : NULL, &answer);
}

enum MHD_Result answer_danmaku_on_worker(exchange *x) {
    chat_task *p = calloc(1, sizeof *p);
    if (!p) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    *p = (chat_task){.task = {.work = chat_task_work, .answer = chat_task_answer, .dispose = chat_task_dispose},
                     .chat_service = x->chat,
                     .body = x->body};
    write_verb(x, p->verb, sizeof p->verb);
    x->body = (ishow_buffer){0};
    return task_begin(x, &p->task);
}

/* All other verbs are answered at once. */
enum MHD_Result answer_danmaku(exchange *x) {
    if (ishow_chat_service_follows(x->chat)) return answer_danmaku_on_worker(x);
    ishow_buffer body = {0};
    int waits;
    int status = ishow_chat_service_ask(x->chat, verb_of(x), (const char *)x->body.data, x->body.n, NULL, NULL, &waits,
                                        &body, &x->fault);
    if (status) return respond(x, status, "application/json", &body);
    ishow_buffer_free(&body);
    return respond_fault(x);
}

enum MHD_Result answer_danmaku_delete(exchange *x) {
    if (ishow_chat_service_follows(x->chat)) return answer_danmaku_on_worker(x);
    ishow_buffer none = {0};
    return ishow_chat_service_delete(x->chat, x->segment, &x->fault) ? respond(x, 204, NULL, &none) : respond_fault(x);
}
