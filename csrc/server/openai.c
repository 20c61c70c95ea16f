/* OpenAI's speech endpoints, as far as its clients need them: POST /v1/audio/speech, GET /v1/models, GET
 * /v1/audio/voices. */
#include <stdlib.h>

#include "server/internal.h"

enum MHD_Result answer_openai_speech(exchange *x) {
    speech said;
    ishow_model_info info;
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    int good = ishow_speech_parse_openai((const char *)x->body.data, x->body.n, &x->server->sampling, info.name, &said,
                                         &x->fault) &&
               tts_wait(x, &said, said.events ? &shape_openai : &shape_stream, ISHOW_FORMAT_MP3);
    ishow_speech_free(&said);
    ishow_buffer_free(&x->body);
    return good ? MHD_YES : respond_fault(x);
}

enum MHD_Result answer_openai_models(exchange *x) {
    ishow_model_info info;
    ishow_buffer body = {0};
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    ishow_buffer_text(&body, "{\"object\":\"list\",\"data\":[{\"id\":");
    ishow_buffer_json_text(&body, info.name);
    ishow_buffer_format(&body, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"ishowtts\"}]}",
                        (long long)x->server->created);
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_openai_voices(exchange *x) {
    ishow_voice_entry *voices = NULL;
    ishow_error error = {0};
    size_t n = 0;
    ishow_buffer body = {0};
    if (ishow_engine_list_voices(atomic_load(&x->server->engine), &voices, &n, &error) != ISHOW_OK) {
        ishow_fault_from_error(&x->fault, &error);
        return respond_fault(x);
    }
    ishow_buffer_text(&body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        ishow_buffer_text(&body, i ? ",{\"id\":" : "{\"id\":");
        ishow_buffer_json_text(&body, voices[i].id);
        ishow_buffer_text(&body, ",\"object\":\"audio.voice\",\"name\":");
        ishow_buffer_json_text(&body, voices[i].id);
        ishow_buffer_text(&body, "}");
    }
    ishow_buffer_text(&body, "]}");
    free(voices);
    return respond(x, 200, "application/json", &body);
}
