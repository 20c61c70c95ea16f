/* OpenAI's speech endpoints, as far as its clients need them: POST /v1/audio/speech, GET /v1/models, GET /v1/audio/voices. */
#include <stdlib.h>

#include "server/internal.h"

enum MHD_Result answer_openai_speech(exchange *x) {
    speech said;
    ishow_model_info info;
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    int good = speech_parse_openai((const char *)x->body.data, x->body.n, &x->server->sampling, info.name, &said, &x->fault) &&
               tts_wait(x, &said, said.events ? &shape_openai : &shape_stream, ISHOW_FORMAT_MP3);
    speech_free(&said);
    bytes_free(&x->body);
    return good ? MHD_YES : respond_fault(x);
}

enum MHD_Result answer_openai_models(exchange *x) {
    ishow_model_info info;
    bytes body = {0};
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    bytes_text(&body, "{\"object\":\"list\",\"data\":[{\"id\":");
    bytes_json(&body, info.name);
    bytes_format(&body, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"ishowtts\"}]}", (long long)x->server->created);
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_openai_voices(exchange *x) {
    ishow_voice_entry *voices = NULL;
    ishow_error error = {0};
    size_t n = 0;
    bytes body = {0};
    if (ishow_engine_list_voices(atomic_load(&x->server->engine), &voices, &n, &error) != ISHOW_OK) {
        fault_from_error(&x->fault, &error);
        return respond_fault(x);
    }
    bytes_text(&body, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        bytes_text(&body, i ? ",{\"id\":" : "{\"id\":");
        bytes_json(&body, voices[i].id);
        bytes_text(&body, ",\"object\":\"audio.voice\",\"name\":");
        bytes_json(&body, voices[i].id);
        bytes_text(&body, "}");
    }
    bytes_text(&body, "]}");
    free(voices);
    return respond(x, 200, "application/json", &body);
}
