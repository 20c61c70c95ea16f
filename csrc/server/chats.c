/* The chats of a server: one, or those that gateways share. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"
#include "service/prometheus.h"

struct served_chat {
    const char *name; /* borrowed from the configuration, as what follows */
    chat_service *service;
    ishow_chat_source_options *sources; /* [n_sources]; the array is owned */
    size_t n_sources;
};

static void on_chat_news(void *self) {
    ishow_server *s = self;
    broadcast_workers_wake(s->broadcast_workers);
    server_wake(s); /* WebSockets */
}

/* Those of its own, and those without a channel, which are for what is started over HTTP. */
static int choose_sources(served_chat *c, const ishow_server_chats *o, int is_first) {
    c->sources = calloc(o->n_sources + 1, sizeof *c->sources);
    for (size_t i = 0; c->sources && i < o->n_sources; i++) {
        const char *of = o->source_chats[i];
        if (!o->sources[i].channel || (of ? !strcmp(of, c->name) : is_first))
            c->sources[c->n_sources++] = o->sources[i];
    }
    return c->sources != NULL;
}

ishow_status ishow_server_open_chats(ishow_server *s, ishow_engine *engine, const char *default_voice,
                                     const ishow_server_chats *o, chat_group *group, ishow_error *error) {
    s->chats = calloc(o->n, sizeof *s->chats);
    if (!s->chats) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for live chat.");
    for (size_t i = 0; i < o->n; i++) {
        served_chat *c = &s->chats[i];
        c->name = o->names[i];
        s->n_chats = i + 1;
        if (!choose_sources(c, o, i == 0))
            return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for live chat.");
        const ishow_status status =
            ishow_chat_service_open(&c->service, s->store, engine, &s->sampling, default_voice, o->options, c->sources,
                                    c->n_sources, group ? ishow_chat_group_leader(group, i) : NULL, error);
        if (status != ISHOW_OK) return status;
        ishow_chat_on_news(ishow_chat_service_chat(c->service), on_chat_news, s);
        if (group) ishow_chat_group_join(group, i, c->service);
    }
    s->chat_group = group;
    return group ? ishow_chat_group_run(group, error) : ISHOW_OK;
}

void chats_close(ishow_server *s) {
    if (s->chat_group) ishow_chat_group_stop(s->chat_group);
    for (size_t i = 0; i < s->n_chats; i++) {
        ishow_chat_service_close(s->chats[i].service);
        free(s->chats[i].sources);
    }
    free(s->chats);
    s->chats = NULL;
    s->n_chats = 0;
}

chat_service *chats_find(ishow_server *s, const char *name, size_t *number, fault *f) {
    for (size_t i = 0; i < s->n_chats; i++)
        if (!name || !strcmp(s->chats[i].name, name)) {
            *number = i;
            return s->chats[i].service;
        }
    if (!s->n_chats)
        ishow_fault_set(f, 404, "not_found", "", "This server has no live chat.");
    else
        ishow_fault_set(f, 404, "not_found", "chat", "There is no chat \"%.64s\".", name);
    return NULL;
}

int chats_finish(ishow_server *s) {
    int plays = 0;
    for (size_t i = 0; i < s->n_chats; i++) plays |= ishow_chat_finish(ishow_chat_service_chat(s->chats[i].service));
    return plays;
}

void chats_write(ishow_server *s, ishow_buffer *out) {
    char leader[65] = "";
    ishow_buffer_text(out, "[");
    for (size_t i = 0; i < s->n_chats; i++) {
        if (s->chat_group) ishow_chat_group_leader_name(s->chat_group, i, leader);
        ishow_buffer_format(out, "%s{\"name\":", i ? "," : "");
        ishow_buffer_json_text(out, s->chats[i].name);
        ishow_buffer_text(out, ",\"leader\":");
        if (leader[0])
            ishow_buffer_json_text(out, leader);
        else
            ishow_buffer_text(out, "null");
        ishow_buffer_text(out, "}");
    }
    ishow_buffer_text(out, "]");
}

void chats_metrics(ishow_server *s, ishow_buffer *out) {
    chat_service **all = calloc(s->n_chats + 1, sizeof *all);
    if (!all || !s->n_chats) {
        free(all);
        return;
    }
    for (size_t i = 0; i < s->n_chats; i++) all[i] = s->chats[i].service;
    if (s->chat_group)
        prometheus_one(out, "cluster_chat_leads", "gauge", "Chats that gateways share and this one reads.",
                       (double)ishow_chat_group_leads(s->chat_group));
    ishow_chat_service_metrics(all, s->n_chats, out);
    free(all);
}

/* ---- other settings ---- */

ishow_status chats_prepare(ishow_server *s, chat_change ***out, const ishow_request *sampling,
                           const char *default_voice, const ishow_chat_options *options, ishow_error *error) {
    chat_change **all = *out = calloc(s->n_chats + 1, sizeof *all);
    if (!all) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat's settings.");
    ishow_status status = ISHOW_OK;
    for (size_t i = 0; !status && i < s->n_chats; i++)
        status = ishow_chat_service_prepare(&all[i], sampling, default_voice, options, error);
    return status;
}

void chats_install(ishow_server *s, chat_change **all) {
    for (size_t i = 0; i < s->n_chats; i++) {
        ishow_chat_service_install(s->chats[i].service, all[i]);
        all[i] = NULL;
    }
}

void chats_discard(ishow_server *s, chat_change **all) {
    for (size_t i = 0; all && i < s->n_chats; i++) ishow_chat_service_discard(all[i]);
    free(all);
}
