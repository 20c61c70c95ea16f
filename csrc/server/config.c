/* A reload applies the settings that can change while the server runs (service/config_diff.h) and lists those that
 * need a restart. Every step that can fail comes before the first change. */
#include "server/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "service/config_diff.h"
#include "service/settings.h"
#include "service/file_watch.h"

struct config {
    ishow_server *server;
    ishow_status (*read)(void *self, char **json, ishow_error *error);
    void *read_self;
    pthread_mutex_t change; /* one reload at a time */
    pthread_mutex_t lock;   /* guards the next four; held briefly */
    json_t *now, *shown, *sources, *restart;
    char *file;
    watcher *watcher;
};

/* Takes "shown" and "sources" out of a document, which then holds settings alone. */
static void split(json_t *root, json_t **shown, json_t **sources) {
    *shown = json_incref(json_object_get(root, "shown"));
    *sources = json_incref(json_object_get(root, "sources"));
    json_object_del(root, "shown");
    json_object_del(root, "sources");
}

static int on_change(void *self, const char *why) {
    ishow_error error = {0};
    ishow_buffer answer = {0};
    ishow_status status = config_reload(self, &answer, &error);
    if (status && status != ISHOW_ESTATE)
        ishow_log(ISHOW_LOG_ERROR, "config", "%s, but nothing was changed: %s", why, error.message);
    else if (!status)
        ishow_log(ISHOW_LOG_INFO, "config", "%s: %.*s", why, (int)answer.n,
                  answer.data ? (const char *)answer.data : "");
    ishow_buffer_free(&answer);
    return status != ISHOW_ESTATE; /* 0: to be tried again, once the model is loaded */
}

ishow_status config_create(config **out, ishow_server *s, const ishow_server_options *options, ishow_error *error) {
    *out = NULL;
    if (!options->config_json) return ISHOW_OK;
    config *c = calloc(1, sizeof *c);
    if (!c) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
    ishow_status status = ISHOW_OK;
    c->server = s;
    c->read = options->read_config;
    c->read_self = options->read_config_self;
    pthread_mutex_init(&c->change, NULL);
    pthread_mutex_init(&c->lock, NULL);
    c->now = json_loads(options->config_json, JSON_REJECT_DUPLICATES, NULL);
    c->restart = json_array();
    c->file = ishow_strdup(options->config_file);
    split(c->now, &c->shown, &c->sources);
    if (!json_is_object(c->now) || !json_is_object(c->shown) || !json_is_object(c->sources) || !c->restart ||
        (options->config_file && !c->file))
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read.");
    if (!status && c->read) status = ishow_file_watch_start(&c->watcher, c->file, on_change, c, error);
    if (status)
        config_free(c);
    else
        *out = c;
    return status;
}

void config_poke(config *c, int reload) {
    if (c) ishow_file_watch_poke(c->watcher, reload);
}

void config_stop(config *c) {
    if (c) ishow_file_watch_stop(c->watcher);
}

void config_free(config *c) {
    if (!c) return;
    ishow_file_watch_free(c->watcher);
    json_decref(c->now);
    json_decref(c->shown);
    json_decref(c->sources);
    json_decref(c->restart);
    pthread_mutex_destroy(&c->change);
    pthread_mutex_destroy(&c->lock);
    free(c->file);
    free(c);
}

/* ---- applying ---- */

typedef struct rules_change {
    ishow_server *server;
    const settings *settings;
    names hosts, origins, openai_voices;
    char *api_key;
} rules_change;

/* Runs on the loop, the only reader of these fields. */
static void apply_on_loop(void *self) {
    rules_change *r = self;
    ishow_server *s = r->server;
    const settings *wanted = r->settings;
    const names hosts = s->rules.hosts, origins = s->rules.origins, openai_voices = s->openai_voices;
    char *key = s->rules.api_key;
    s->rules.hosts = r->hosts;
    s->rules.origins = r->origins;
    s->openai_voices = r->openai_voices;
    s->rules.api_key = r->api_key;
    s->rules.key_needed = r->api_key != NULL;
    auth_advise(r->api_key);
    r->hosts = hosts; /* the caller frees the old ones */
    r->origins = origins;
    r->openai_voices = openai_voices;
    r->api_key = key;
    s->sampling = wanted->server.sampling;
    s->body_bytes_max = wanted->server.body_bytes_max;
    s->request_seconds = wanted->server.request_seconds;
    s->connections_per_client = wanted->server.connections_per_client;
    atomic_store(&s->drain_seconds, wanted->server.drain_seconds);
    snprintf(s->default_voice, sizeof s->default_voice, "%s", wanted->default_voice ? wanted->default_voice : "");
}

static int prepare_rules(rules_change *r, ishow_server *s, const settings *wanted) {
    const ishow_server_options *o = &wanted->server;
    const char *key = o->api_key && o->api_key[0] ? o->api_key : NULL;
    *r = (rules_change){.server = s, .settings = wanted, .api_key = ishow_strdup(key)};
    return (!key || r->api_key) && names_copy(&r->hosts, o->allowed_hosts, o->n_allowed_hosts) &&
           names_copy(&r->origins, o->cors_origins, o->n_cors_origins) &&
           names_copy(&r->openai_voices, o->openai_voices, o->n_openai_voices);
}

static void rules_change_free(rules_change *r) {
    names_free(&r->hosts);
    names_free(&r->origins);
    names_free(&r->openai_voices);
    free(r->api_key);
}

static ishow_status apply(config *c, config_diff *d, const settings *wanted, ishow_error *error) {
    ishow_server *s = c->server;
    ishow_engine *engine = atomic_load(&s->engine);
    rules_change rules;
    chat_change **chats = NULL;
    ishow_status status = ISHOW_OK;
    if (!prepare_rules(&rules, s, wanted)) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
        goto done;
    }
    if ((status = ishow_engine_configure(engine, &wanted->engine, error)))
        goto done; /* cannot fail: these settings were checked */
    if ((status = chats_prepare(s, &chats, &wanted->server.sampling, wanted->default_voice,
                                ishow_chat_settings_options(wanted->chat), error)))
        goto undo;
    if (!d->model && (status = ishow_voice_registry_load(s->voice_registry, engine, wanted->voices, wanted->n_voices,
                                                         d->changed, error)))
        goto undo;
    chats_install(s, chats);
    server_call(s, apply_on_loop, &rules);
    ishow_log_set_level(wanted->log_level);
    ishow_log_set_format(wanted->log_format);
    goto done;
undo : {
    settings before = {0};
    char *json = json_dumps(c->now, JSON_COMPACT);
    if (json && !ishow_settings_read(&before, json, NULL)) {
        ishow_engine_configure(engine, &before.engine, NULL);
        ishow_settings_free(&before);
    }
    free(json);
}
done:
    chats_discard(s, chats);
    rules_change_free(&rules);
    return status;
}

static ishow_status replace_documents(config *c, json_t *document, json_t *shown, json_t *sources, ishow_buffer *answer,
                                      ishow_error *error) {
    config_diff d = {0};
    settings wanted = {0};
    char *json = NULL, *said = NULL;
    ishow_config_diff_make(&d, c->now, c->shown, document, shown, c->server->rules.loopback);
    ishow_status status =
        (json = json_dumps(d.now, JSON_COMPACT))
            ? ishow_settings_read(&wanted, json, error)
            : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
    if (status || (status = apply(c, &d, &wanted, error))) goto done;
    pthread_mutex_lock(&c->lock);
    json_t *const before[] = {c->now, c->shown, c->sources, c->restart};
    c->now = json_incref(d.now);
    c->shown = json_incref(d.shown);
    c->sources = json_incref(sources);
    c->restart = json_incref(d.restart);
    pthread_mutex_unlock(&c->lock);
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) json_decref(before[i]);
    json_t *both = json_pack("{s:O, s:O}", "changed", d.changed, "restart_needed", d.restart);
    said = both ? json_dumps(both, JSON_COMPACT) : NULL;
    json_decref(both);
    if (answer && said) ishow_buffer_text(answer, said);
done:
    free(said);
    free(json);
    ishow_settings_free(&wanted);
    ishow_config_diff_free(&d);
    return status;
}

ishow_status config_reload(config *c, ishow_buffer *answer, ishow_error *error) {
    char *text = NULL;
    json_t *document = NULL, *shown = NULL, *sources = NULL;
    if (!atomic_load(&c->server->engine)) return ishow_fail(error, ISHOW_ESTATE, "", "The model is being loaded.");
    pthread_mutex_lock(&c->change);
    ishow_status status = c->read(c->read_self, &text, error);
    if (!status) {
        document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        split(document, &shown, &sources);
        status = document && shown && sources
                     ? replace_documents(c, document, shown, sources, answer, error)
                     : ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read.");
    }
    json_decref(document); /* parts of it are in use now; jansson's reference counts need one thread at a time */
    json_decref(shown);
    json_decref(sources);
    pthread_mutex_unlock(&c->change);
    free(text);
    return status;
}

/* ---- endpoints ---- */

static int has_config(exchange *x) {
    const config *c = x->server->config;
    return c && c->read
               ? 1
               : ishow_fault_set(&x->fault, 503, "unavailable", "", "This server was started without a configuration.");
}

enum MHD_Result answer_config(exchange *x) {
    config *c = x->server->config;
    ishow_buffer body = {0};
    if (!has_config(x)) return respond_fault(x);
    pthread_mutex_lock(&c->lock);
    json_t *all = json_pack("{s:s?, s:O, s:O, s:O}", "file", c->file, "settings", c->shown, "sources", c->sources,
                            "restart_needed", c->restart);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    pthread_mutex_unlock(&c->lock);
    if (text)
        ishow_buffer_text(&body, text);
    else
        body.failed = 1;
    free(text);
    return respond(x, 200, "application/json", &body);
}

typedef struct reload_task {
    task task;
    config *config;
    ishow_buffer answer;
} reload_task;

static void work_reload(task *t) {
    reload_task *r = (reload_task *)(void *)t;
    ishow_error error = {0};
    ishow_status status = config_reload(r->config, &r->answer, &error);
    if (!status) return;
    ishow_fault_from_error(&t->fault, &error);
    int defect = status == ISHOW_ENOMEM || status == ISHOW_EINTERNAL || status == ISHOW_EPYTHON;
    if (defect)
        t->fault.status = 500, t->fault.code = "internal";
    else if (status != ISHOW_ESTATE)
        t->fault.status = 409, t->fault.code = "invalid_config";
    ishow_log(ISHOW_LOG_ERROR, "config", "nothing was changed: %s", error.message);
}

static enum MHD_Result answer_reloaded(exchange *x, task *t) {
    return respond(x, 200, "application/json", &((reload_task *)(void *)t)->answer);
}

static void dispose_reload(task *t) {
    ishow_buffer_free(&((reload_task *)(void *)t)->answer);
    free(t);
}

enum MHD_Result answer_config_reload(exchange *x) {
    if (!has_config(x)) return respond_fault(x);
    reload_task *r = calloc(1, sizeof *r);
    if (!r) {
        ishow_fault_memory(&x->fault);
        return respond_fault(x);
    }
    r->task = (task){.work = work_reload, .answer = answer_reloaded, .dispose = dispose_reload};
    r->config = x->server->config;
    return task_begin(x, &r->task);
}
