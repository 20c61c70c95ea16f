/* What a worker sends besides speech: its beat (identity, model, voices and outstanding work), and answers of its text
 * front end. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cluster/worker.h"

/* Recent work in a second of the model's time. */
static double measure_rate(ishow_worker *w, const ishow_engine_stats *stats) {
    double done = w->finished;
    for (const task *t = w->tasks; t; t = t->next)
        if (t->utterance) done += t->work * ishow_utterance_progress(t->utterance);
    const double work = done - w->done_before, busy = stats->busy_seconds - w->busy_before;
    w->done_before = done;
    w->busy_before = stats->busy_seconds;
    if (busy > 0.01 && work > 0) {
        w->recent_work = 0.9 * w->recent_work + work;
        w->recent_busy = 0.9 * w->recent_busy + busy;
    }
    return w->recent_busy > 0 ? w->recent_work / w->recent_busy : 0;
}

static int is_loaded(const json_t *loaded, const char *id) {
    size_t i;
    json_t *version;
    json_array_foreach(loaded, i, version) if (!strcmp(json_string_value(version), id)) return 1;
    return 0;
}

/* The worker's own voices, without those that it has loaded for gateways. */
static json_t *voices_of(ishow_engine *engine, const json_t *loaded) {
    json_t *all = json_array();
    ishow_voice_entry *voices = NULL;
    size_t n = 0;
    if (ishow_engine_list_voices(engine, &voices, &n, NULL) != ISHOW_OK) n = 0;
    for (size_t i = 0; i < n; i++)
        if (!is_loaded(loaded, voices[i].id))
            json_array_append_new(all,
                                  json_pack("{s:s, s:s, s:s, s:f}", "id", voices[i].id, "language", voices[i].language,
                                            "text", voices[i].text, "seconds", voices[i].seconds));
    free(voices);
    return all;
}

void worker_beat(ishow_worker *w, const char *state) {
    ishow_engine_stats stats;
    ishow_model_info info;
    ishow_buffer message = {0};
    json_t *work = json_object(), *loaded = loader_voices(w->loader);
    ishow_engine_stats_get(w->engine, &stats);
    ishow_engine_info(w->engine, &info);
    w->beat_tasks = 0;
    for (const task *t = w->tasks; t; t = t->next) {
        w->beat_tasks++;
        const double left = t->utterance ? t->work * (1 - ishow_utterance_progress(t->utterance)) : 0;
        json_object_set_new(work, t->gateway, json_real(left + wire_number(work, t->gateway)));
    }
    json_t *beat = json_object();
    json_add(&beat, "type", json_string("beat"));
    json_add(&beat, "id", json_string(w->id));
    json_add(&beat, "name", json_string(w->name));
    json_add(&beat, "version", json_string(ishow_version()));
    json_add(&beat, "protocol", json_integer(WIRE_PROTOCOL));
    json_add(&beat, "oldest", json_integer(WIRE_OLDEST));
    json_add(&beat, "state", json_string(state));
    json_add(&beat, "model", wire_model(&info));
    json_add(&beat, "voices", voices_of(w->engine, loaded));
    json_add(&beat, "loaded", loaded);
    json_add(&beat, "labels", json_incref(w->labels));
    json_add(&beat, "work", work);
    json_add(&beat, "rate", json_real(measure_rate(w, &stats)));
    json_add(&beat, "busy", json_real(stats.busy_seconds));
    json_add(&beat, "living", wire_u64(stats.waiting + stats.in_flight));
    json_add(&beat, "spoken", wire_u64(stats.completed));
    json_add(&beat, "steps", wire_u64(stats.steps));
    wire_write(&message, beat, NULL, 0);
    if (!message.failed) bus_publish(w->bus, WIRE_WORKERS, message.data, message.n);
    ishow_buffer_free(&message);
    w->beat_at = ishow_now();
}

void worker_answer(ishow_worker *w, const json_t *head) {
    const json_t *asked = json_object_get(head, "request");
    char *json = NULL, subject[WIRE_SUBJECT];
    ishow_error error = {0};
    ishow_buffer message = {0};
    if (asked) {
        ishow_request request;
        wire_read_request(asked, &request);
        if (json_object_get(head, "shared")) request.voice = wire_text(json_object_get(head, "shared"), "version");
        ishow_engine_reading(w->engine, &request, &json, &error);
    } else
        ishow_engine_ask_frontend(w->engine, wire_text(head, "verb"), wire_text(head, "json"), &json, &error);
    wire_write(&message,
               json_pack("{s:s, s:I, s:s?, s:o}", "type", "answer", "number", (json_int_t)wire_whole(head, "number"),
                         "json", json, "error", wire_error(&error)),
               NULL, 0);
    wire_subject(subject, wire_text(head, "gateway"));
    if (!message.failed) bus_publish(w->bus, subject, message.data, message.n);
    ishow_buffer_free(&message);
    free(json);
}
