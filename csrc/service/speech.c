/* See speech.h. */
#include "service/speech.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/defaults.h"
#include "service/voices.h"

static const int rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0};

static const char *solver_at(int number) { return number >= ISHOW_SOLVER_EULER && number <= ISHOW_SOLVER_MIDPOINT ? ishow_solver_names[number] : NULL; }
static const char *format_at(int number) { return number < ISHOW_FORMATS ? ishow_format_name((ishow_format)number) : NULL; }
static const char *engine_at(int number) { return number ? NULL : ENGINE_ID; }

static const char *events_at(int number) {
    static const char *const names[] = {"audio", "sse", NULL};
    return names[number];
}

#define REQUEST(member) offsetof(speech, request.member)
#define TEXT .kind = SPEECH_STRING, .needed = 1, .at = REQUEST(text), .least = 1, .most = ISHOW_MAX_TEXT_CHARS
#define SPEED .kind = SPEECH_NUMBER, .at = REQUEST(speed), .least = ISHOW_SPEED_MIN, .most = ISHOW_SPEED_MAX
#define FORMAT .kind = SPEECH_CHOICE, .at = offsetof(speech, format), .choice = format_at
static const speech_field own_fields[] = {
    {"text", "text", TEXT},
    {"voice_id", "voice_id", .kind = SPEECH_STRING, .at = REQUEST(voice), .least = 1, .most = ID_MAX},
    {"engine", "engine", .kind = SPEECH_CHOICE, .at = offsetof(speech, engine), .choice = engine_at},
    {"speed", "speed", SPEED},
    {"target_rms", "target_rms", .kind = SPEECH_NUMBER, .at = REQUEST(target_rms), .most = 1},
    {"cross_fade_duration", "cross_fade_duration", .kind = SPEECH_NUMBER, .at = REQUEST(cross_fade), .most = ISHOW_CROSS_FADE_MAX},
    {"sway_sampling_coef", "sway_sampling_coef", .kind = SPEECH_NUMBER, .at = REQUEST(sway), .least = ISHOW_SWAY_MIN, .most = ISHOW_SWAY_MAX},
    {"cfg_strength", "cfg_strength", .kind = SPEECH_NUMBER, .at = REQUEST(cfg), .most = ISHOW_CFG_STRENGTH_MAX},
    {"guidance_from", "guidance_from", .kind = SPEECH_NUMBER, .at = REQUEST(guidance_from), .most = 1},
    {"guidance_to", "guidance_to", .kind = SPEECH_NUMBER, .at = REQUEST(guidance_to), .most = 1},
    {"short_guidance", "short_guidance", .kind = SPEECH_BOOLEAN, .at = REQUEST(short_guidance)},
    {"embedded_guidance", "embedded_guidance", .kind = SPEECH_BOOLEAN, .at = REQUEST(embedded_guidance)},
    {"nfe_step", "nfe_step", .kind = SPEECH_WHOLE, .at = REQUEST(nfe), .least = ISHOW_NFE_MIN, .most = ISHOW_NFE_MAX},
    {"solver", "solver", .kind = SPEECH_CHOICE, .at = offsetof(speech, solver), .choice = solver_at},
    {"fix_duration", "fix_duration", .kind = SPEECH_NUMBER, .at = REQUEST(fix_duration), .most = ISHOW_FIX_DURATION_MAX},
    {"remove_silence", "remove_silence", .kind = SPEECH_BOOLEAN, .at = REQUEST(remove_silence)},
    {"seed", "seed", .kind = SPEECH_SEED},
    {"format", "format", FORMAT},
    {"sample_rate", "sample_rate", .kind = SPEECH_RATE, .at = offsetof(speech, sample_rate), .rates = rates},
};
static const speech_field openai_fields[] = {
    {"model", "model", .kind = SPEECH_STRING, .needed = 1, .at = offsetof(speech, model), .least = 1, .most = ID_MAX},
    {"input", "text", TEXT},
    {"voice", "voice_id", .kind = SPEECH_ID, .needed = 1, .at = REQUEST(voice), .least = 1, .most = ID_MAX},
    {"instructions", "instructions", .kind = SPEECH_STRING, .at = offsetof(speech, instructions)},
    {"response_format", "format", FORMAT},
    {"speed", "speed", SPEED},
    {"stream_format", "stream_format", .kind = SPEECH_CHOICE, .at = offsetof(speech, events), .choice = events_at},
};
const speech_form speech_own = {own_fields, sizeof own_fields / sizeof *own_fields};
const speech_form speech_openai = {openai_fields, sizeof openai_fields / sizeof *openai_fields};

int good_id(const char *id) {
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= ID_MAX && !id[n];
}

/* ---- JSON ---- */

/* jansson's integers end at 2^63; a seed may be any u64. A number that is too big is put in quotes and read as a string, which the
 * seed accepts in its own right (JavaScript loses whole numbers above 2^53). */
static json_t *load(const char *body, size_t n, json_error_t *error) {
    json_t *root = json_loadb(body, n, JSON_REJECT_DUPLICATES, error);
    if (root || json_error_code(error) != json_error_numeric_overflow) return root;
    bytes quoted = {0};
    bytes_add(&quoted, body, n);
    for (int tries = 0; tries < 4 && !root && json_error_code(error) == json_error_numeric_overflow && !quoted.failed; tries++) {
        size_t end = (size_t)error->position;
        if (error->position <= 0 || end > quoted.n) break;
        size_t begin = end;
        while (begin && quoted.data[begin - 1] >= '0' && quoted.data[begin - 1] <= '9') begin--;
        if (end - begin < 19 || end - begin > 20 || (begin && quoted.data[begin - 1] != ':' && quoted.data[begin - 1] != ' ')) break;
        bytes next = {0};
        bytes_add(&next, quoted.data, begin);
        bytes_text(&next, "\"");
        bytes_add(&next, quoted.data + begin, end - begin);
        bytes_text(&next, "\"");
        bytes_add(&next, quoted.data + end, quoted.n - end);
        bytes_free(&quoted);
        quoted = next;
        if (!quoted.failed) root = json_loadb((const char *)quoted.data, quoted.n, JSON_REJECT_DUPLICATES, error);
    }
    bytes_free(&quoted);
    return root;
}

static json_t *object_of(const char *body, size_t n, fault *f) {
    json_error_t error = {0};
    json_t *root = load(n ? body : "", n, &error); /* an empty body may have no address */
    if (root && json_is_object(root)) return root;
    if (root) fault_type(f, "", "a JSON object", root);
    else if (json_error_code(&error) == json_error_out_of_memory) fault_memory(f);
    else fault_set(f, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", error.line, error.column, error.text);
    json_decref(root);
    return NULL;
}

/* ---- values ---- */

static int in_range(const char *field, double least, double most, double v, fault *f) {
    return (v >= least && v <= most) || fault_set(f, 400, "out_of_range", field, "%s must be between %.10g and %.10g, not %.10g.", field, least, most, v);
}

static int take_seed(const json_t *value, ishow_request *r, fault *f) {
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t n = strlen(text);
        uint64_t seed = 0;
        int good = n >= 1 && n <= 20;
        for (size_t i = 0; good && i < n; i++)
            good = text[i] >= '0' && text[i] <= '9' && !__builtin_mul_overflow(seed, 10u, &seed) && !__builtin_add_overflow(seed, (unsigned)(text[i] - '0'), &seed);
        if (!good) return fault_set(f, 400, "out_of_range", "seed", "seed must be a whole number between 0 and 18446744073709551615.");
        r->seed = seed;
    } else {
        json_int_t v;
        if (!take_whole(value, "seed", &v, f)) return 0;
        if (v < 0) return fault_set(f, 400, "out_of_range", "seed", "seed must be between 0 and 18446744073709551615, not %lld.", (long long)v);
        r->seed = (uint64_t)v;
    }
    r->has_seed = 1;
    return 1;
}

static int take_string(const speech_field *field, const json_t *value, const char **out, fault *f) {
    if (!json_is_string(value)) return fault_type(f, field->name, "a string", value);
    *out = json_string_value(value);
    size_t n = ishow_utf8_length(*out);
    if (field->most == 0 || (n >= field->least && n <= field->most)) return 1;
    return fault_set(f, 400, "out_of_range", field->name, "%s must have %.0f to %.0f characters, not %zu.", field->name, field->least, field->most, n);
}

static int take_choice(const speech_field *field, const json_t *value, int *out, fault *f) {
    char known[128] = "";
    if (!json_is_string(value)) return fault_type(f, field->name, "a string", value);
    const char *text = json_string_value(value), *name;
    for (int i = 0; (name = field->choice(i)); i++) {
        if (!strcmp(text, name)) {
            *out = i;
            return 1;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", name);
    }
    return fault_set(f, 400, "unsupported", field->name, "%s must be one of: %s; not \"%.64s\".", field->name, known, text);
}

static int take_rate(const speech_field *field, const json_t *value, int *out, fault *f) {
    char known[128] = "";
    json_int_t rate;
    if (!take_whole(value, field->name, &rate, f)) return 0;
    for (const int *r = field->rates; *r; r++) {
        if (rate == *r) {
            *out = *r;
            return 1;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%d", *known ? ", " : "", *r);
    }
    return fault_set(f, 400, "out_of_range", field->name, "%s must be one of %s, not %lld.", field->name, known, (long long)rate);
}

static int take_value(const speech_field *field, const json_t *value, speech *s, fault *f) {
    void *to = (char *)s + field->at;
    json_int_t whole;
    switch (field->kind) {
    case SPEECH_ID:
        if (json_is_object(value)) {
            if (json_object_size(value) != 1 || !json_object_get(value, "id"))
                return fault_set(f, 400, "invalid_type", field->name, "%s must be an id, or an object with the field id alone.", field->name);
            value = json_object_get(value, "id");
        }
        return take_string(field, value, to, f);
    case SPEECH_STRING: return take_string(field, value, to, f);
    case SPEECH_NUMBER:
        if (!json_is_number(value)) return fault_type(f, field->name, "a number", value);
        *(double *)to = json_number_value(value);
        return in_range(field->name, field->least, field->most, *(double *)to, f);
    case SPEECH_WHOLE:
        if (!take_whole(value, field->name, &whole, f) || !in_range(field->name, field->least, field->most, (double)whole, f)) return 0;
        *(int *)to = (int)whole;
        return 1;
    case SPEECH_BOOLEAN:
        *(int *)to = json_is_true(value);
        return json_is_boolean(value) || fault_type(f, field->name, "a boolean", value);
    case SPEECH_SEED: return take_seed(value, &s->request, f);
    case SPEECH_CHOICE: return take_choice(field, value, to, f);
    default: return take_rate(field, value, to, f);
    }
}

static int unknown(const speech_form *form, const char *name, fault *f) {
    char known[sizeof f->error.message] = "";
    for (size_t i = 0; i < form->n; i++) snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", form->fields[i].name);
    return fault_set(f, 400, "unknown_field", name, "There is no field of this name; fields are %s.", known);
}

/* Takes root over, also on failure. */
static int read_fields(json_t *root, const speech_form *form, const ishow_request *defaults, speech *s, fault *f) {
    const char *name;
    json_t *value;
    *s = (speech){.request = *defaults, .format = -1, .solver = (int)defaults->solver, .json = root};
    s->request.text = s->request.voice = NULL;
    if (!root) return 0;
    json_object_foreach(root, name, value) {
        const speech_field *field = form->fields, *end = form->fields + form->n;
        while (field < end && strcmp(field->name, name)) field++;
        if (field == end) return unknown(form, name, f);
        if (!(json_is_null(value) && !field->needed) && !take_value(field, value, s, f)) return 0;
    }
    s->request.solver = (ishow_solver)s->solver;
    for (size_t i = 0; i < form->n; i++)
        if (form->fields[i].needed && !json_object_get(root, form->fields[i].name))
            return fault_set(f, 400, "missing_field", form->fields[i].name, "The field %s is needed.", form->fields[i].name);
    return 1;
}

int speech_parse(const char *body, size_t n, const ishow_request *defaults, speech *out, fault *f) { return read_fields(object_of(body, n, f), &speech_own, defaults, out, f); }

void speech_free(speech *s) {
    json_decref(s->json);
    s->json = NULL;
}

/* ---- OpenAI ---- */

int speech_parse_openai(const char *body, size_t n, const ishow_request *defaults, const char *model, speech *out, fault *f) {
    /* Programs that were written for OpenAI have one of these built in; here they all mean the model that is loaded. */
    static const char *const aliases[] = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts"};
    if (!read_fields(object_of(body, n, f), &speech_openai, defaults, out, f)) return 0;
    int known = !strcmp(out->model, model);
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) known |= !strcmp(out->model, aliases[i]);
    return known || fault_set(f, 404, "model_not_found", "model", "The model \"%.64s\" does not exist; %s is loaded.", out->model, model);
}

void speech_rename(fault *f) {
    for (size_t i = 0; i < speech_openai.n; i++)
        if (!strcmp(f->error.field, openai_fields[i].own)) snprintf(f->error.field, sizeof f->error.field, "%s", openai_fields[i].name);
}

/* ---- WebSocket ---- */

static int take_id(json_t *root, const char *field, char *out, fault *f) {
    const json_t *value = json_object_get(root, field);
    if (!value) return fault_set(f, 400, "missing_field", field, "The field %s is needed, or cancel.", field);
    if (!json_is_string(value)) return fault_type(f, field, "a string", value);
    if (!good_id(json_string_value(value))) return fault_set(f, 400, "out_of_range", field, "%s must be 1 to %d of A-Z a-z 0-9 . _ -.", field, ID_MAX);
    strcpy(out, json_string_value(value));
    json_object_del(root, field);
    return 1;
}

int speech_parse_message(const char *body, size_t n, const ishow_request *defaults, speech_message *out, fault *f) {
    memset(out, 0, sizeof *out);
    json_t *root = out->said.json = object_of(body, n, f);
    if (!root) return 0;
    out->cancels = json_object_get(root, "cancel") != NULL;
    if (!take_id(root, out->cancels ? "cancel" : "request_id", out->id, f)) return 0;
    if (!out->cancels) return read_fields(root, &speech_own, defaults, &out->said, f);
    return !json_object_size(root) || fault_set(f, 400, "unknown_field", "cancel", "A message with cancel has no other fields.");
}

/* ---- description ---- */

static void limits(bytes *out, const char *least, const char *most, const speech_field *field) {
    bytes_format(out, ",\"%s\":%.16g,\"%s\":%.16g", least, field->least, most, field->most);
}

static void describe(const speech_field *field, bytes *out) {
    const char *name;
    switch (field->kind) {
    case SPEECH_STRING:
    case SPEECH_ID:
        bytes_text(out, "{\"type\":\"string\"");
        if (field->most > 0) limits(out, "minLength", "maxLength", field);
        break;
    case SPEECH_NUMBER:
    case SPEECH_WHOLE:
        bytes_text(out, field->kind == SPEECH_WHOLE ? "{\"type\":\"integer\"" : "{\"type\":\"number\"");
        limits(out, "minimum", "maximum", field);
        break;
    case SPEECH_BOOLEAN: bytes_text(out, "{\"type\":\"boolean\""); break;
    case SPEECH_SEED: bytes_text(out, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":18446744073709551615},{\"type\":\"string\",\"pattern\":\"^[0-9]{1,19}$\""); break;
    case SPEECH_CHOICE:
        bytes_text(out, "{\"type\":\"string\",\"enum\":[");
        for (int i = 0; (name = field->choice(i)); i++) bytes_format(out, "%s\"%s\"", i ? "," : "", name);
        bytes_text(out, "]");
        break;
    default:
        bytes_text(out, "{\"type\":\"integer\",\"enum\":[");
        for (const int *r = field->rates; *r; r++) bytes_format(out, "%s%d", r == field->rates ? "" : ",", *r);
        bytes_text(out, "]");
    }
    bytes_text(out, "}");
}

void speech_schema(const speech_form *form, bytes *out) {
    const char *comma = "";
    bytes_text(out, "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[");
    for (size_t i = 0; i < form->n; i++) {
        if (!form->fields[i].needed) continue;
        bytes_format(out, "%s\"%s\"", comma, form->fields[i].name);
        comma = ",";
    }
    bytes_text(out, "],\"properties\":{");
    for (size_t i = 0; i < form->n; i++) {
        const speech_field *field = &form->fields[i];
        bytes_format(out, "%s\"%s\":", i ? "," : "", field->name);
        if (field->needed && field->kind != SPEECH_ID) {
            describe(field, out);
            continue;
        }
        bytes_text(out, "{\"anyOf\":[");
        describe(field, out);
        if (field->kind == SPEECH_ID) {
            bytes_text(out, ",{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"id\"],\"properties\":{\"id\":");
            describe(field, out);
            bytes_text(out, "}}");
        }
        bytes_text(out, field->needed ? "]}" : ",{\"type\":\"null\"}],\"default\":null}");
    }
    bytes_text(out, "}}");
}
