/* OpenAI's speech endpoints, as far as its clients need them: POST /v1/audio/speech, GET /v1/models, GET /v1/audio/voices. */
#include <stdlib.h>
#include <string.h>

#include "server/request.h"

/* Programs that were written for OpenAI have one of these built in; here they all mean the model that is loaded. */
static const char *const aliases[] = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts"};

typedef struct spoken {
    speech said;
    int events, has_model, has_voice;
} spoken;

static int take_model(const json_t *value, const char *name, fault *f) {
    if (!json_is_string(value)) return fault_type(f, "model", "a string", value);
    const char *model = json_string_value(value);
    int known = !strcmp(model, name);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) known |= !strcmp(model, aliases[i]);
    return known || fault_set(f, 404, "model_not_found", "model", "The model \"%.64s\" does not exist; %s is loaded.", model, name);
}

/* An id, or an object with one. */
static int take_voice(const json_t *value, const char **out, fault *f) {
    if (!json_is_object(value)) return request_voice(value, "voice", out, f);
    if (json_object_size(value) != 1 || !json_object_get(value, "id"))
        return fault_set(f, 400, "invalid_type", "voice", "voice must be an id, or an object with the field id alone.");
    return request_voice(json_object_get(value, "id"), "voice", out, f);
}

static int take_choice(const json_t *value, const char *field, const char *one, const char *other, int *is_other, fault *f) {
    const char *text = json_string_value(value);
    if (!text) return fault_type(f, field, "a string", value);
    *is_other = !strcmp(text, other);
    return *is_other || !strcmp(text, one) || fault_set(f, 400, "unsupported", field, "%s must be %s or %s, not \"%.64s\".", field, one, other, text);
}

static int take_field(const char *field, const json_t *value, const char *model, spoken *s, fault *f) {
    ishow_request *r = &s->said.request;
    const int null = json_is_null(value);
    if (!strcmp(field, "model")) return (s->has_model = take_model(value, model, f));
    if (!strcmp(field, "input")) return request_text(value, field, &r->text, f);
    if (!strcmp(field, "voice")) return (s->has_voice = take_voice(value, &r->voice, f));
    if (!strcmp(field, "response_format")) return null || (s->said.has_format = request_format(value, field, &s->said.format, f));
    if (!strcmp(field, "speed")) return null || request_number(value, field, ISHOW_SPEED_MIN, ISHOW_SPEED_MAX, &r->speed, f);
    if (!strcmp(field, "stream_format")) return null || take_choice(value, field, "audio", "sse", &s->events, f);
    if (!strcmp(field, "instructions")) return null || json_is_string(value) || fault_type(f, field, "a string", value); /* no model here follows any */
    return fault_set(f, 400, "unknown_field", field, "There is no field of this name; fields are model, input, voice, response_format, speed, stream_format, instructions.");
}

static int read_request(exchange *x, spoken *s) {
    ishow_model_info info;
    const char *field;
    json_t *value;
    ishow_engine_info(atomic_load(&x->server->engine), &info);
    s->said.request = x->server->sampling;
    s->said.request.text = s->said.request.voice = NULL;
    s->said.json = request_object((const char *)x->body.data, x->body.n, &x->fault);
    if (!s->said.json) return 0;
    json_object_foreach((json_t *)s->said.json, field, value)
        if (!take_field(field, value, info.name, s, &x->fault)) return 0;
    const char *missing = !s->has_model ? "model" : !s->said.request.text ? "input" : !s->has_voice ? "voice" : NULL;
    return !missing || fault_set(&x->fault, 400, "missing_field", missing, "The field %s is needed.", missing);
}

enum MHD_Result answer_openai_speech(exchange *x) {
    spoken s = {0};
    int good = read_request(x, &s) && tts_wait(x, &s.said, s.events ? &shape_openai : &shape_stream, ISHOW_FORMAT_MP3);
    speech_free(&s.said);
    bytes_free(&x->body);
    return good ? MHD_YES : respond_fault(x);
}

void openai_rename(fault *f) {
    static const char *const names[][2] = {{"voice_id", "voice"}, {"text", "input"}, {"format", "response_format"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(f->error.field, names[i][0])) strcpy(f->error.field, names[i][1]);
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
