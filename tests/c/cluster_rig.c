/* See cluster_rig.h. */
#include "cluster_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const char *const CLUSTER_TEXT =
    "The first sentence is a long one, so that it fills a part. The second sentence is as long, and fills another. "
    "The third sentence goes on and on, as sentences do. The fourth sentence is not the last of them, by far. "
    "The fifth sentence says that the end is near, as it is. The sixth sentence ends the text, and so the speech.";

static void on_leave(void *self) { __atomic_store_n(&((speaker *)self)->asked_to_leave, 1, __ATOMIC_RELEASE); }

void speaker_make(speaker *s, const char *url, speaker_kind kind) {
    ishow_engine_options options = ishow_engine_options_default();
    ishow_error error = {0};
    options.chunk_seconds = 5;
    options.queue_capacity = kind.queue ? kind.queue : 64;
    memset(s, 0, sizeof *s);
    fake_model_init(&s->model);
    fake_text_init(&s->text);
    s->model.slow_us = kind.slow_us;
    ishow_backend backend = fake_backend(&s->model, ISHOW_TEXT_PADDED, 1, 1, 4000);
    if (kind.hash) snprintf(backend.info.content_hash, sizeof backend.info.content_hash, "%s", kind.hash);
    const ishow_text_frontend frontend = fake_frontend(&s->text);
    if (ishow_engine_create(&s->engine, &backend, &frontend, &options, &error)) fail_msg("%s", error.message);
    fake_voice(s->engine, "anna", ENGINE_REF, 0.05f);
    const char *labels[] = {"site", kind.site};
    const ishow_cluster_options cluster = {
        .role = ISHOW_ROLE_WORKER, .url = url, .name = kind.name, .labels = labels, .n_labels = kind.site ? 2 : 0};
    if (url && ishow_worker_open(&s->worker, s->engine, &cluster, on_leave, s, &error)) fail_msg("%s", error.message);
}

void speaker_end(speaker *s) {
    ishow_worker_free(s->worker);
    ishow_engine_free(s->engine);
}

ishow_engine *gateway_make(const char *url, const char *name, const char *site) {
    const char *labels[] = {"site", site};
    const ishow_cluster_options options = {
        .role = ISHOW_ROLE_GATEWAY, .url = url, .name = name, .labels = labels, .n_labels = site ? 2 : 0};
    ishow_engine *g;
    ishow_error error = {0};
    if (ishow_gateway_open(&g, &options, &error)) fail_msg("%s", error.message);
    return g;
}

int cluster_shows(ishow_engine *gateway, const char *words, int wait) {
    for (int i = 0;; i++) {
        ishow_buffer out = {0};
        ishow_gateway_status(gateway, "[]", &out);
        ishow_buffer_add(&out, "", 1);
        const int found = strstr((const char *)out.data, words) != NULL;
        if (!found && wait && i == 1000) fail_msg("%s is not in %s", words, (const char *)out.data);
        ishow_buffer_free(&out);
        if (found || !wait) return found;
        usleep(20000);
    }
}

/* Frees the text. */
static double number_behind(ishow_buffer *text, const char *name) {
    char line[128];
    snprintf(line, sizeof line, "\nishowtts_%s ", name);
    ishow_buffer_add(text, "", 1);
    const char *at = strstr((const char *)text->data, line);
    if (!at) fail_msg("%s is not in %s", name, (const char *)text->data);
    const double value = strtod(at + strlen(line), NULL);
    ishow_buffer_free(text);
    return value;
}

double gateway_metric(ishow_engine *gateway, const char *name) {
    ishow_buffer text = {0};
    ishow_gateway_metrics(gateway, &text);
    return number_behind(&text, name);
}

double worker_metric(ishow_worker *worker, const char *name) {
    ishow_buffer text = {0};
    ishow_worker_metrics(worker, &text);
    return number_behind(&text, name);
}

ishow_request cluster_request(const char *text) {
    ishow_request request = engine_request(text);
    request.early = 1;
    return request;
}

ishow_utterance *cluster_submit(ishow_engine *e, const char *text) {
    const ishow_request request = cluster_request(text);
    ishow_utterance *u;
    ishow_error error = {0};
    if (ishow_engine_submit(e, &request, NULL, NULL, &u, &error)) fail_msg("submit: %s", error.message);
    return u;
}

ishow_status cluster_read(ishow_utterance *u, ishow_error *error) {
    size_t n = 0;
    return engine_drain(u, NULL, &n, error);
}
