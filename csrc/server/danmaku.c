/* Endpoints of live chat, but for its stream. An accepted message is answered when the journal has it on disk, so that 202 is a promise. */
#include <stdlib.h>
#include <string.h>

#include "server/danmaku.h"

enum { QUEUE_SHOWN = 200 };

ishow_status danmaku_open(ishow_server *s, ishow_engine *engine, const char *default_voice, const ishow_chat_options *options, const ishow_chat_source_options *sources, size_t n_sources,
                          danmaku **out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    danmaku *d = calloc(1, sizeof *d);
    *out = NULL;
    if (!d) return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for live chat could not be had.");
    d->server = s;
    d->entries = sources;
    d->n_entries = n_sources;
    if (s->store && (status = ishow_journal_create(&d->journal, s->store, error)) != ISHOW_OK) goto done;
    if ((status = ishow_chat_engine_create(&d->voice, engine, &s->sampling, default_voice, error)) != ISHOW_OK) goto done;
    const ishow_chat_synth synth = ishow_chat_engine_synth(d->voice);
    ishow_chat_journal journal;
    if (d->journal) journal = ishow_journal_table(d->journal);
    if ((status = ishow_chat_create(&d->chat, options, &synth, d->journal ? &journal : NULL, error)) != ISHOW_OK) goto done;
    ishow_chat_engine_notify(d->voice, d->chat);
    ishow_chat_on_news(d->chat, http_wake, s);
    status = ishow_chat_run(d->chat, error);
done:
    if (status != ISHOW_OK) danmaku_close(d);
    else *out = d;
    return status;
}

void danmaku_close(danmaku *d) {
    if (!d) return;
    danmaku_disconnect(d);
    ishow_chat_free(d->chat);
    ishow_chat_engine_free(d->voice);
    ishow_journal_free(d->journal);
    free(d);
}

/* ---- bodies ---- */

json_t *danmaku_body(exchange *x) {
    json_error_t error = {0};
    json_t *root = x->body.n ? json_loadb((const char *)x->body.data, x->body.n, JSON_REJECT_DUPLICATES, &error) : json_object();
    if (!root) fault_set(&x->fault, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", error.line, error.column, error.text);
    else if (!json_is_object(root)) {
        fault_type(&x->fault, "", "an object", root);
        json_decref(root);
        root = NULL;
    }
    return root;
}

int danmaku_only_strings(json_t *root, const char *const *known, size_t n, fault *f) {
    const char *field;
    json_t *value;
    json_object_foreach(root, field, value) {
        size_t i = 0;
        while (i < n && strcmp(field, known[i])) i++;
        if (i == n) return fault_set(f, 400, "unknown_field", field, "There is no field of this name.");
        if (!json_is_null(value) && !json_is_string(value)) return fault_type(f, field, "a string", value);
    }
    return 1;
}

static enum MHD_Result answer_text(exchange *x, int status, const char *json) {
    bytes body = {0};
    bytes_text(&body, json);
    return respond(x, status, "application/json", &body);
}

static enum MHD_Result answer_owned(exchange *x, char *json) {
    if (!json) {
        fault_set(&x->fault, 500, "internal", "", "Memory could not be had.");
        return respond_fault(x);
    }
    enum MHD_Result result = answer_text(x, 200, json);
    free(json);
    return result;
}

/* ---- enqueue ---- */

typedef struct ticket {
    atomic_int refs, durable; /* one reference is the exchange's, one the journal's */
    ishow_server *server;
    bytes answer;
} ticket;

static void ticket_release(ticket *t) {
    if (atomic_fetch_sub(&t->refs, 1) > 1) return;
    bytes_free(&t->answer);
    free(t);
}

static void on_durable(void *user) {
    ticket *t = user;
    atomic_store(&t->durable, 1);
    http_wake(t->server);
    ticket_release(t);
}

static int ticket_news(exchange *x) { return atomic_load(&((ticket *)x->waited)->durable); }
static void ticket_hang_up(exchange *x) { (void)x; }
static void ticket_done(exchange *x) { ticket_release(x->waited); }

static enum MHD_Result ticket_resume(exchange *x) {
    ticket *t = x->waited;
    bytes answer = t->answer;
    t->answer = (bytes){0};
    return respond(x, 202, "application/json", &answer);
}

static const wait_kind until_durable = {.news = ticket_news, .resume = ticket_resume, .hang_up = ticket_hang_up, .release = ticket_done};

static enum MHD_Result enqueue(exchange *x, json_t *root) {
    ishow_chat_message m;
    ishow_chat_verdict v;
    ishow_error error = {0};
    if (!danmaku_parse(root, &m, &x->fault)) return respond_fault(x);
    ticket *t = calloc(1, sizeof *t);
    if (!t) {
        fault_set(&x->fault, 500, "internal", "", "Memory could not be had.");
        return respond_fault(x);
    }
    atomic_init(&t->refs, 2);
    atomic_init(&t->durable, 0);
    t->server = x->server;
    ishow_status status = ishow_chat_receive(x->server->danmaku->chat, &m, &v, on_durable, t, &error);
    if (status != ISHOW_OK || !v.accepted) {
        free(t);
        bytes body = {0};
        if (status != ISHOW_OK) {
            fault_from_error(&x->fault, &error);
            return respond_fault(x);
        }
        bytes_format(&body, "{\"skipped\":true,\"reason\":\"%s\",\"id\":", ishow_chat_reason_name(v.reason));
        bytes_json(&body, m.id.data);
        bytes_text(&body, "}");
        return respond(x, 200, "application/json", &body);
    }
    bytes_text(&t->answer, "{\"id\":");
    bytes_json(&t->answer, m.id.data);
    bytes_format(&t->answer, ",\"position\":%zu,\"eta\":%.1f,\"merged\":%s}", v.position, v.eta, v.merged ? "true" : "false");
    x->phase = PHASE_WAIT;
    http_wait_for(x, &until_durable, t);
    http_wake(x->server); /* the journal may have been faster than this line */
    return MHD_YES;
}

enum MHD_Result answer_danmaku_enqueue(exchange *x) {
    json_t *root = danmaku_body(x);
    enum MHD_Result result = root ? enqueue(x, root) : respond_fault(x);
    json_decref(root);
    return result;
}

/* ---- controls ---- */

enum MHD_Result answer_danmaku_skip(exchange *x) {
    static const char *const known[] = {"id"};
    json_t *root = danmaku_body(x);
    if (!root || !danmaku_only_strings(root, known, 1, &x->fault)) {
        json_decref(root);
        return respond_fault(x);
    }
    const char *id = json_string_value(json_object_get(root, "id"));
    int found = ishow_chat_skip(x->server->danmaku->chat, id);
    if (!found && id) fault_set(&x->fault, 404, "not_found", "id", "No message with this id waits or plays.");
    json_decref(root);
    return x->fault.status ? respond_fault(x) : answer_text(x, 200, found ? "{\"skipped\":true}" : "{\"skipped\":false}");
}

static int takes_nothing(exchange *x) {
    json_t *root = danmaku_body(x);
    int good = root && danmaku_only_strings(root, NULL, 0, &x->fault);
    json_decref(root);
    return good;
}

static enum MHD_Result answer_pause(exchange *x, int paused) {
    if (!takes_nothing(x)) return respond_fault(x);
    ishow_chat_pause(x->server->danmaku->chat, paused);
    return answer_text(x, 200, paused ? "{\"paused\":true}" : "{\"paused\":false}");
}

enum MHD_Result answer_danmaku_pause(exchange *x) { return answer_pause(x, 1); }
enum MHD_Result answer_danmaku_resume(exchange *x) { return answer_pause(x, 0); }

enum MHD_Result answer_danmaku_clear(exchange *x) {
    if (!takes_nothing(x)) return respond_fault(x);
    bytes body = {0};
    bytes_format(&body, "{\"cleared\":%zu}", ishow_chat_clear(x->server->danmaku->chat));
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_danmaku_replay(exchange *x) {
    if (!takes_nothing(x)) return respond_fault(x);
    return answer_text(x, 200, ishow_chat_replay(x->server->danmaku->chat) ? "{\"replayed\":true}" : "{\"replayed\":false}");
}

enum MHD_Result answer_danmaku_delete(exchange *x) {
    bytes none = {0};
    if (ishow_chat_delete(x->server->danmaku->chat, NULL, NULL, x->segment)) return respond(x, 204, NULL, &none);
    fault_set(&x->fault, 404, "not_found", "id", "No message with this id waits or plays.");
    return respond_fault(x);
}

enum MHD_Result answer_danmaku_queue(exchange *x) { return answer_owned(x, ishow_chat_queue_json(x->server->danmaku->chat, QUEUE_SHOWN)); }

enum MHD_Result answer_danmaku_status(exchange *x) {
    const danmaku *d = x->server->danmaku;
    char *state = ishow_chat_status_json(d->chat);
    bytes body = {0};
    if (!state) return answer_owned(x, NULL);
    bytes_add(&body, state, strlen(state) - 1); /* one more field before its brace */
    bytes_text(&body, ",\"connections\":");
    danmaku_connections(d, &body);
    bytes_text(&body, "}");
    free(state);
    return respond(x, 200, "application/json", &body);
}
