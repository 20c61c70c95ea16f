/* Requests to the text front end outside of utterances. Any thread. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "engine/internal.h"

void ishow_parts_free(ishow_part *parts, size_t n) {
    for (size_t i = 0; i < n; i++) free(parts[i].text);
    free(parts);
}

ishow_status local_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                ishow_error *error) {
    *out = NULL;
    if (!engine->frontend.ask) return ishow_fail(error, ISHOW_ESTATE, "", "the text front end answers no questions");
    return engine->frontend.ask(engine->frontend.self, verb, json, out, error);
}

/* Writes the languages of all voices, and that of the request's voice. The lock is held. */
static void write_voices(ishow_engine *engine, const voice *speaks, ishow_buffer *out) {
    const char *comma = "";
    ishow_buffer_text(out, ",\"language\":");
    ishow_buffer_json_text(out, speaks && speaks->language[0] ? speaks->language : NULL);
    ishow_buffer_text(out, ",\"voices\":{");
    for (const voice *v = engine->voices; v; v = v->next, comma = ",") {
        ishow_buffer_text(out, comma);
        ishow_buffer_json_text(out, v->id);
        ishow_buffer_text(out, ":");
        ishow_buffer_json_text(out, v->language[0] ? v->language : NULL);
    }
    ishow_buffer_text(out, "}");
}

ishow_status local_reading(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error) {
    ishow_buffer json = {0};
    ishow_status status = ISHOW_OK;
    *out = NULL;
    pthread_mutex_lock(&engine->lock);
    voice *v = voice_find(engine, request->voice);
    if (!v && request->voice) status = voice_missing(engine, request->voice, error);
    ishow_buffer_text(&json, "{\"text\":");
    ishow_buffer_json_text(&json, request->text);
    write_voices(engine, v, &json);
    ishow_buffer_format(&json, ",\"markup\":%s}", request->markup ? "true" : "false");
    ishow_buffer_add(&json, "", 1);
    pthread_mutex_unlock(&engine->lock);
    voice_release(v);
    if (!status && json.failed) status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reading");
    if (!status) status = local_ask_frontend(engine, "reading", (const char *)json.data, out, error);
    ishow_buffer_free(&json);
    return status;
}
