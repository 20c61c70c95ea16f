/* The endpoints of OpenAI's speech API that its clients use: POST /v1/audio/speech, and lists of models and voices. */
#include <stdlib.h>

#include "server/internal.h"
#include "service/openai.h"

/* FLAC is sent whole: clients read all of it before they decode, and decoders that seek need its length. */
const response_format *openai_response_of(const speech *said) {
    if (said->events) return &response_openai;
    return said->format == ISHOW_FORMAT_FLAC ? &response_file : &response_stream;
}

enum MHD_Result answer_openai_speech(exchange *x) {
    ishow_server *s = x->server;
    ishow_engine *engine = atomic_load(&s->engine);
    speech said;
    ishow_model_info info;
    char voice[65];
    ishow_engine_info(engine, &info);
    int good =
        ishow_speech_parse_openai((const char *)x->body.data, x->body.n, &s->sampling, info.name, &said, &x->fault);
    if (good) {
        said.request.voice = ishow_openai_voice(engine, (const char *const *)s->openai_voices.item, s->openai_voices.n,
                                                said.request.voice, voice);
        good = tts_wait(x, &said, openai_response_of(&said), ISHOW_FORMAT_MP3);
    }
    ishow_speech_free(&said);
    ishow_buffer_free(&x->body);
    return good ? MHD_YES : respond_fault(x);
}

static void write_model(const exchange *x, const char *id, ishow_buffer *out) {
    ishow_buffer_text(out, "{\"id\":");
    ishow_buffer_json_text(out, id);
    ishow_buffer_format(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"ishowtts\"}",
                        (long long)x->server->created);
}

enum MHD_Result answer_openai_models(exchange *x) {
    ishow_model_info info;
    ishow_buffer body = {0};
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    ishow_buffer_text(&body, "{\"object\":\"list\",\"data\":[");
    write_model(x, info.name, &body);
    ishow_buffer_text(&body, "]}");
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_openai_model(exchange *x) {
    ishow_model_info info;
    ishow_buffer body = {0};
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    if (!ishow_openai_model_known(x->segment, info.name)) {
        ishow_fault_no_model(&x->fault, x->segment, info.name);
        return respond_fault(x);
    }
    write_model(x, x->segment, &body);
    return respond(x, 200, "application/json", &body);
}

/* The same list as `models`, which Open WebUI reads, and as `data`, which OpenAI's clients read. */
enum MHD_Result answer_openai_audio_models(exchange *x) {
    ishow_model_info info;
    ishow_buffer body = {0};
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    ishow_buffer_text(&body, "{\"object\":\"list\",\"data\":[");
    write_model(x, info.name, &body);
    ishow_buffer_text(&body, "],\"models\":[{\"id\":");
    ishow_buffer_json_text(&body, info.name);
    ishow_buffer_text(&body, ",\"name\":");
    ishow_buffer_json_text(&body, info.name);
    ishow_buffer_text(&body, "}]}");
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
    ishow_buffer_text(&body, "],\"voices\":["); /* read by Open WebUI */
    for (size_t i = 0; i < n; i++) {
        ishow_buffer_text(&body, i ? ",{\"id\":" : "{\"id\":");
        ishow_buffer_json_text(&body, voices[i].id);
        ishow_buffer_text(&body, ",\"name\":");
        ishow_buffer_json_text(&body, voices[i].id);
        ishow_buffer_text(&body, "}");
    }
    ishow_buffer_text(&body, "]}");
    free(voices);
    return respond(x, 200, "application/json", &body);
}
