/* The endpoints of pronunciations and of readings. They wait for the disk or the interpreter, so workers do them. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

typedef struct question {
    task task;
    ishow_server *server; /* outlives its tasks, and so does its engine */
    const char *method;   /* static storage */
    char id[ID_MAX + 1];
    ishow_buffer body, answer;
    int status;
} question;

static void question_dispose(task *t) {
    question *q = (question *)(void *)t;
    ishow_buffer_free(&q->body);
    ishow_buffer_free(&q->answer);
    free(q);
}

static void work_lexicon(task *t) {
    question *q = (question *)(void *)t;
    lexicon *l = q->server->lexicon;
    ishow_engine *engine = atomic_load(&q->server->engine);
    if (!strcmp(q->method, "POST"))
        q->status = ishow_lexicon_put(l, engine, (const char *)q->body.data, q->body.n, &q->answer, &t->fault);
    else if (!strcmp(q->method, "DELETE"))
        q->status = ishow_lexicon_remove(l, engine, q->id, &t->fault);
    else
        q->status = ishow_lexicon_list(l, &q->answer, &t->fault) ? 200 : 0;
}

static void work_reading(task *t) {
    question *q = (question *)(void *)t;
    const ishow_server *s = q->server;
    q->status = ishow_reading_answer(atomic_load(&s->engine), s->default_voice, &s->sampling,
                                     (const char *)q->body.data, q->body.n, &q->answer, &t->fault)
                    ? 200
                    : 0;
}

static enum MHD_Result answer_question(exchange *x, task *t) {
    question *q = (question *)(void *)t;
    ishow_buffer answer = q->answer;
    q->answer = (ishow_buffer){0};
    return respond(x, q->status, answer.n ? "application/json" : NULL, &answer);
}

static enum MHD_Result question_begin(exchange *x, void (*work)(task *t)) {
    question *q = calloc(1, sizeof *q);
    if (!q) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    *q = (question){.task = {.work = work, .answer = answer_question, .dispose = question_dispose},
                    .server = x->server,
                    .method = x->route->method,
                    .body = x->body};
    x->body = (ishow_buffer){0};
    strcpy(q->id, x->segment);
    return task_begin(x, &q->task);
}

enum MHD_Result answer_lexicon(exchange *x) { return question_begin(x, work_lexicon); }
enum MHD_Result answer_reading(exchange *x) { return question_begin(x, work_reading); }
