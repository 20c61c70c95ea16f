/* The endpoints of voices. Requests that decode audio or access the disk are tasks; the others are answered at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "service/voices.h"

static enum MHD_Result answer_json(exchange *x, int good, ishow_buffer *body) {
    if (good) return respond(x, 200, "application/json", body);
    ishow_buffer_free(body);
    return respond_fault(x);
}

enum MHD_Result answer_voices(exchange *x) {
    ishow_buffer body = {0};
    return answer_json(
        x, ishow_voices_list(x->server->voice_registry, atomic_load(&x->server->engine), &body, &x->fault), &body);
}

enum MHD_Result answer_reference(exchange *x) {
    ishow_buffer body = {0};
    return answer_json(x,
                       ishow_voices_reference(x->server->voice_registry, atomic_load(&x->server->engine), x->segment,
                                              &body, &x->fault),
                       &body);
}

/* ---- changes ---- */

typedef struct change {
    task task;
    voice_registry *voice_registry; /* borrowed from the server, which outlives its tasks */
    ishow_engine *engine;           /* borrowed until the server is drained */
    char id[ID_MAX + 1];
    form form;
    ishow_buffer body; /* of the response */
    int status;        /* of the response */
} change;

static void change_dispose(task *t) {
    change *c = (change *)(void *)t;
    ishow_form_close(&c->form);
    ishow_buffer_free(&c->body);
    free(c);
}

static enum MHD_Result on_field(void *self, enum MHD_ValueKind kind, const char *key, const char *filename,
                                const char *type, const char *encoding, const char *data, uint64_t offset, size_t n) {
    (void)kind, (void)filename, (void)type;
    return ishow_form_add(self, key, encoding, data, offset, n) ? MHD_YES : MHD_NO;
}

/* Parses on the loop: the parser uses the connection's memory, which is freed when the client hangs up. Most of the
 * time goes into copying the clip, some milliseconds for one of 10 MiB. */
static int parse_form(form *f, exchange *x) {
    enum { BUFFER = 64 * 1024 };
    struct MHD_PostProcessor *parser = MHD_create_post_processor(x->connection, BUFFER, on_field, f);
    if (!parser)
        return ishow_fault_set(&f->fault, 400, "malformed_form", "Content-Type",
                               "The Content-Type must be multipart/form-data with a boundary.");
    int whole = MHD_post_process(parser, (const char *)x->body.data, x->body.n) == MHD_YES;
    whole = MHD_destroy_post_processor(parser) == MHD_YES && whole;
    ishow_buffer_free(&x->body);
    return ishow_form_end(f, whole);
}

static enum MHD_Result change_begin(exchange *x, void (*work)(task *t), int status,
                                    enum MHD_Result (*answer)(exchange *x, task *t), unsigned fields) {
    if (atomic_load(&x->server->draining)) {
        ishow_fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
        return respond_fault(x);
    }
    change *c = calloc(1, sizeof *c);
    if (!c) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    c->task = (task){.work = work, .answer = answer, .dispose = change_dispose};
    c->voice_registry = x->server->voice_registry;
    c->engine = atomic_load(&x->server->engine);
    c->form.allowed = fields;
    c->status = status;
    strcpy(c->id, x->segment);
    if (fields && !parse_form(&c->form, x)) {
        x->fault = c->form.fault;
        change_dispose(&c->task);
        return respond_fault(x);
    }
    return task_begin(x, &c->task);
}

static void work_create(task *t) {
    change *c = (change *)(void *)t;
    ishow_voices_create(c->voice_registry, c->engine, &c->form, &c->body, &t->fault);
}

static void work_override(task *t) {
    change *c = (change *)(void *)t;
    ishow_voices_override(c->voice_registry, c->engine, c->id, &c->form, &c->body, &t->fault);
}

static void work_restore(task *t) {
    change *c = (change *)(void *)t;
    ishow_voice_registry_restore(c->voice_registry, c->engine, c->id, &t->fault);
}

static void work_remove(task *t) {
    change *c = (change *)(void *)t;
    ishow_voice_registry_remove(c->voice_registry, c->engine, c->id, &t->fault);
}

static enum MHD_Result answer_changed(exchange *x, task *t) {
    change *c = (change *)(void *)t;
    ishow_buffer body = c->body;
    c->body = (ishow_buffer){0};
    return respond(x, c->status, body.n ? "application/json" : NULL, &body);
}

static enum MHD_Result answer_created(exchange *x, task *t) {
    change *c = (change *)(void *)t;
    char location[ID_MAX + 32];
    struct MHD_Response *response =
        c->body.failed ? NULL : MHD_create_response_from_buffer(c->body.n, c->body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) return MHD_NO;
    c->body = (ishow_buffer){0};
    snprintf(location, sizeof location, "/api/voices/%s/reference", (const char *)c->form.id.data);
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Location", location);
    return respond_with(x, c->status, response);
}

enum MHD_Result answer_voice_create(exchange *x) {
    return change_begin(x, work_create, 201, answer_created, FORM_NEW_VOICE);
}
enum MHD_Result answer_voice_delete(exchange *x) { return change_begin(x, work_remove, 204, answer_changed, 0); }
enum MHD_Result answer_override(exchange *x) {
    return change_begin(x, work_override, 200, answer_changed, FORM_REFERENCE);
}
enum MHD_Result answer_restore(exchange *x) { return change_begin(x, work_restore, 204, answer_changed, 0); }

/* ---- the clip ---- */

typedef struct sample {
    task task;
    clip clip;
} sample;

static void sample_dispose(task *t) {
    ishow_clip_close(&((sample *)(void *)t)->clip);
    free(t);
}

static void work_sample(task *t) { ishow_clip_open(&((sample *)(void *)t)->clip, &t->fault); }

static enum MHD_Result answer_file(exchange *x, task *t) {
    clip *c = &((sample *)(void *)t)->clip;
    clip_part part;
    struct MHD_Response *response;
    if (!ishow_clip_choose(c, header_get(x, "If-None-Match"), header_get(x, "If-Range"), header_get(x, "Range"), &part,
                           &x->fault)) {
        strcpy(x->content_range, part.content_range);
        return respond_fault(x);
    }
    if (part.status == 304)
        response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    else if ((response = MHD_create_response_from_fd_at_offset64(part.n, c->fd, part.from)))
        c->fd = -1; /* the response closes it */
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "ETag", c->etag);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    if (part.status != 304) {
        MHD_add_response_header(response, "Accept-Ranges", "bytes");
        MHD_add_response_header(response, "Content-Type", c->type);
    }
    if (part.content_range[0]) MHD_add_response_header(response, "Content-Range", part.content_range);
    return respond_with(x, part.status, response);
}

enum MHD_Result answer_reference_audio(exchange *x) {
    sample *s = calloc(1, sizeof *s);
    if (!s) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    if (!ishow_clip_find(&s->clip, x->server->voice_registry, x->segment,
                         MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "source"), &x->fault)) {
        free(s);
        return respond_fault(x);
    }
    s->task = (task){.work = work_sample, .answer = answer_file, .dispose = sample_dispose};
    return task_begin(x, &s->task);
}
