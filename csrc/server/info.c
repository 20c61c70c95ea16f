/* Endpoints that describe the server: health, readiness, metrics. */
#include <stdlib.h>

#include "server/internal.h"
#include "service/prometheus.h"

static const char *state(const ishow_server *s) {
    if (atomic_load(&s->draining)) return "draining";
    if (!atomic_load(&s->engine)) return "loading";
    return s->store && ishow_store_health(s->store, NULL) ? "degraded" : "ready";
}

static void write_compile(const ishow_server *s, ishow_buffer *body) {
    static const char *const states[] = {"none", "running", "done", "failed"};
    char why[480] = "";
    int at = s->compile_state ? s->compile_state(s->compile_self, why, sizeof why) : 0;
    ishow_buffer_format(body, ",\"compile\":\"%s\"", states[at >= 0 && at < 4 ? at : 0]);
    if (!why[0]) return;
    ishow_buffer_text(body, ",\"compile_error\":");
    ishow_buffer_json_text(body, why);
}

static void write_flag(ishow_buffer *body, const char *name, const ishow_engine *engine, int value) {
    ishow_buffer_format(body, ",\"%s\":%s", name, !engine ? "null" : value ? "true" : "false");
}

enum MHD_Result answer_health(exchange *x) {
    ishow_server *s = x->server;
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_voice_entry *voices = NULL;
    ishow_model_info info = {0};
    size_t n = 0;
    ishow_buffer body = {0};
    if (engine) {
        ishow_engine_info(engine, &info);
        if (ishow_engine_list_voices(engine, &voices, &n, NULL) != ISHOW_OK) n = 0;
    }
    ishow_buffer_format(&body, "{\"status\":\"%s\",\"version\":\"%s\",\"voices\":[", state(s), ishow_version());
    for (size_t i = 0; i < n; i++) {
        if (i) ishow_buffer_text(&body, ",");
        ishow_buffer_json_text(&body, voices[i].id);
    }
    ishow_buffer_text(&body, "],\"default_voice\":");
    ishow_buffer_json_text(&body, engine && s->default_voice[0] ? s->default_voice : n ? voices[0].id : NULL);
    ishow_buffer_text(&body, ",\"backend\":");
    ishow_buffer_json_text(&body, engine ? info.backend : NULL);
    ishow_buffer_text(&body, ",\"model\":");
    ishow_buffer_json_text(&body, engine ? info.name : NULL);
    ishow_buffer_text(&body, ",\"precision\":");
    ishow_buffer_json_text(&body, engine ? info.precision : NULL);
    write_flag(&body, "cloning", engine, info.uses_prompt);
    write_flag(&body, "clip_needs_text", engine, ishow_clip_needs_text(&info));
    write_compile(s, &body);
    ishow_buffer_text(&body, "}");
    free(voices);
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_ready(exchange *x) {
    ishow_server *s = x->server;
    if (atomic_load(&s->draining))
        ishow_fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
    else if (!atomic_load(&s->engine))
        ishow_fault_set(&x->fault, 503, "loading", "", "The model is being loaded.");
    else
        return answer_health(x);
    return respond_fault(x);
}

enum MHD_Result answer_metrics(exchange *x) {
    ishow_server *s = x->server;
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_buffer body = {0};
    metrics_write(s->metrics, engine, engine && !atomic_load(&s->draining),
                  s->connections + subscribers_count(s->broadcast_workers), &body);
    if (s->store)
        prometheus_one(&body, "store_writable", "gauge", "1 while the state folder can be written.",
                       ishow_store_health(s->store, NULL) == ISHOW_OK);
    if (engine && s->gateway) ishow_gateway_metrics(s->gateway, &body);
    if (engine && s->worker) ishow_worker_metrics(s->worker, &body);
    if (engine) chats_metrics(s, &body);
    return respond(x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

enum MHD_Result answer_history(exchange *x) {
    ishow_buffer body = {0};
    ishow_load_history_write(&x->server->history, &body);
    return respond(x, 200, "application/json", &body);
}
