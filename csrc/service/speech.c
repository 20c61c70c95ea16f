/* See speech.h. */
#include "service/speech.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/defaults.h"
#include "service/openai.h"
#include "service/voices.h"

static const int rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0};

static const char *format_at(int number) {
    return number < ISHOW_FORMATS ? ishow_format_name((ishow_format)number) : NULL;
}
static const char *engine_at(int number) { return number ? NULL : ENGINE_ID; }

static const char *events_at(int number) {
    static const char *const names[] = {"audio", "sse", NULL};
    return names[number];
}

_Static_assert(offsetof(speech, request) == 0, "offsets in ishow_request are offsets in speech");
#define ROWS(rows) \
    { rows, sizeof rows / sizeof *rows }
static const ishow_field text_rows[] = {
    {"text", .kind = ISHOW_FIELD_STRING, .needed = 1, .at = offsetof(speech, request.text), .least = 1,
     .most = ISHOW_MAX_TEXT_CHARS, .help = "the text to speak"},
};
static const ishow_field piece_rows[] = {
    {"text", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, request.text), .most = ISHOW_MAX_TEXT_CHARS,
     .help = "the text to speak, or its next piece"},
    {"set_text", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, set_text), .most = ISHOW_MAX_TEXT_CHARS,
     .help = "replaces the part of the text that has not begun to be spoken"},
    {"flush", .kind = ISHOW_FIELD_BOOLEAN, .at = offsetof(speech, flush),
     .help = "speak the text so far, without waiting for the end of a sentence"},
    {"more", .kind = ISHOW_FIELD_BOOLEAN, .at = offsetof(speech, more), .help = "more pieces of the text follow"},
};
static const ishow_field who_rows[] = {
    {"voice_id", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, request.voice), .least = 1, .most = ID_MAX,
     .help = "an id of `/api/voices`"},
    {"engine", .kind = ISHOW_FIELD_CHOICE, .at = offsetof(speech, engine), .choice = engine_at,
     .help = "the only value"},
};
static const ishow_field answer_rows[] = {
    {"format", .kind = ISHOW_FIELD_CHOICE, .at = offsetof(speech, format), .choice = format_at,
     .help = "left out: by `Accept`, else wav"},
    {"sample_rate", .kind = ISHOW_FIELD_RATE, .at = offsetof(speech, sample_rate), .rates = rates,
     .help = "Hz, if the format supports it; left out: the model's"},
};
static const ishow_fields text = ROWS(text_rows), piece = ROWS(piece_rows), who = ROWS(who_rows),
                          answer = ROWS(answer_rows);
static const ishow_field openai_model_rows[] = {
    {"model", .kind = ISHOW_FIELD_STRING, .needed = 1, .at = offsetof(speech, model), .least = 1, .most = ID_MAX,
     .help = "the loaded model's name, or one of OpenAI's"},
};
static const ishow_field openai_input_rows[] = {
    {"input", "text", .kind = ISHOW_FIELD_RENAMED, .needed = 1, .help = "the text to speak"},
};
static const ishow_field openai_piece_rows[] = {
    {"input", "text", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, request.text), .most = ISHOW_MAX_TEXT_CHARS,
     .help = "the text to speak, or its next piece"},
    {"flush", "flush", .kind = ISHOW_FIELD_BOOLEAN, .at = offsetof(speech, flush),
     .help = "speak the text so far, without waiting for the end of a sentence"},
};
static const ishow_field openai_rows[] = {
    {"voice", "voice_id", .kind = ISHOW_FIELD_ID, .needed = 1, .at = offsetof(speech, request.voice), .least = 1,
     .most = ID_MAX,
     .help = "an id of `/v1/audio/voices`, or one of OpenAI's names, which the configuration maps to voices"},
    {"instructions", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, ignored), .help = "accepted and not used"},
    {"response_format", "format", .kind = ISHOW_FIELD_RENAMED, .help = "left out: mp3"},
    {"speed", "speed", .kind = ISHOW_FIELD_RENAMED, .help = "speaking rate; 1 is the voice's own"},
    {"markup", "markup", .kind = ISHOW_FIELD_RENAMED,
     .help = "apply [pause 500ms], [speed 1.2], [voice:id] and [word](/ipa/) in the input"},
    {"seed", "seed", .kind = ISHOW_FIELD_RENAMED,
     .help = "the same seed and request give the same samples; left out: random"},
    {"stream_format", .kind = ISHOW_FIELD_CHOICE, .at = offsetof(speech, events), .choice = events_at,
     .help = "left out: audio"},
    {"stream", .kind = ISHOW_FIELD_BOOLEAN, .at = offsetof(speech, ignored_switch),
     .help = "accepted and not used: audio is streamed anyway"},
    {"user", .kind = ISHOW_FIELD_STRING, .at = offsetof(speech, ignored), .help = "accepted and not used"},
};
static const ishow_fields openai_model = ROWS(openai_model_rows), openai_input = ROWS(openai_input_rows),
                          openai_piece = ROWS(openai_piece_rows), openai = ROWS(openai_rows);
const speech_form ishow_speech_own = {{&text, &who, &ishow_request_fields, &answer}};
const speech_form ishow_speech_written = {{&piece, &who, &ishow_request_fields, &answer, &ishow_feed_fields}};
const speech_form ishow_speech_openai = {{&openai_model, &openai_input, &openai}};
const speech_form ishow_speech_openai_begun = {{&openai_model, &openai_piece, &openai}};
const speech_form ishow_speech_openai_piece = {{&openai_piece}};

const ishow_field *ishow_speech_field_at(const speech_form *form, size_t i) {
    for (int part = 0; part < SPEECH_PARTS && form->parts[part]; part++) {
        if (i < form->parts[part]->n) return &form->parts[part]->rows[i];
        i -= form->parts[part]->n;
    }
    return NULL;
}

static const ishow_field *find(const speech_form *form, const char *name) {
    const ishow_field *field;
    for (size_t i = 0; (field = ishow_speech_field_at(form, i)); i++)
        if (!strcmp(field->name, name)) return field;
    return NULL;
}

const ishow_field *ishow_speech_meaning(const ishow_field *row) {
    return row->kind == ISHOW_FIELD_RENAMED ? find(&ishow_speech_own, row->option) : row;
}

int ishow_id_is_valid(const char *id) {
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= ID_MAX && !id[n];
}

/* ---- JSON ---- */

/* jansson reads integers up to 2^63 - 1, but a seed may be any u64. A number that is too big is put in quotes and read
 * as a string, which the seed also accepts (JavaScript loses integers above 2^53). */
static json_t *load(const char *body, size_t n, json_error_t *error) {
    json_t *root = json_loadb(body, n, JSON_REJECT_DUPLICATES, error);
    if (root || json_error_code(error) != json_error_numeric_overflow) return root;
    ishow_buffer quoted = {0};
    ishow_buffer_add(&quoted, body, n);
    for (int tries = 0; tries < 4 && !root && json_error_code(error) == json_error_numeric_overflow && !quoted.failed;
         tries++) {
        size_t end = (size_t)error->position;
        if (error->position <= 0 || end > quoted.n) break;
        size_t begin = end;
        while (begin && quoted.data[begin - 1] >= '0' && quoted.data[begin - 1] <= '9') begin--;
        if (end - begin < 19 || end - begin > 20 ||
            (begin && quoted.data[begin - 1] != ':' && quoted.data[begin - 1] != ' '))
            break;
        ishow_buffer next = {0};
        ishow_buffer_add(&next, quoted.data, begin);
        ishow_buffer_text(&next, "\"");
        ishow_buffer_add(&next, quoted.data + begin, end - begin);
        ishow_buffer_text(&next, "\"");
        ishow_buffer_add(&next, quoted.data + end, quoted.n - end);
        ishow_buffer_free(&quoted);
        quoted = next;
        if (!quoted.failed) root = json_loadb((const char *)quoted.data, quoted.n, JSON_REJECT_DUPLICATES, error);
    }
    ishow_buffer_free(&quoted);
    return root;
}

json_t *ishow_speech_object(const char *body, size_t n, fault *f) {
    json_error_t error = {0};
    json_t *root = load(n ? body : "", n, &error); /* the pointer of an empty body may be NULL */
    if (root && json_is_object(root)) return root;
    if (root)
        ishow_fault_type(f, "", "a JSON object", root);
    else if (json_error_code(&error) == json_error_out_of_memory)
        ishow_fault_memory(f);
    else
        ishow_fault_set(f, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", error.line,
                        error.column, error.text);
    json_decref(root);
    return NULL;
}

/* ---- values ---- */

static int in_range(const char *field, double least, double most, double v, fault *f) {
    return (v >= least && v <= most) ||
           ishow_fault_set(f, 400, "out_of_range", field, "%s must be between %.10g and %.10g, not %.10g.", field,
                           least, most, v);
}

static int take_seed(const json_t *value, ishow_request *r, fault *f) {
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        size_t n = strlen(text);
        uint64_t seed = 0;
        int good = n >= 1 && n <= 20;
        for (size_t i = 0; good && i < n; i++)
            good = text[i] >= '0' && text[i] <= '9' && !__builtin_mul_overflow(seed, 10u, &seed) &&
                   !__builtin_add_overflow(seed, (unsigned)(text[i] - '0'), &seed);
        if (!good)
            return ishow_fault_set(f, 400, "out_of_range", "seed",
                                   "seed must be a whole number between 0 and 18446744073709551615.");
        r->seed = seed;
    } else {
        json_int_t v;
        if (!take_whole(value, "seed", &v, f)) return 0;
        if (v < 0)
            return ishow_fault_set(f, 400, "out_of_range", "seed",
                                   "seed must be between 0 and 18446744073709551615, not %lld.", (long long)v);
        r->seed = (uint64_t)v;
    }
    r->has_seed = 1;
    return 1;
}

static int take_string(const ishow_field *field, const char *name, const json_t *value, const char **out, fault *f) {
    if (!json_is_string(value)) return ishow_fault_type(f, name, "a string", value);
    *out = json_string_value(value);
    size_t n = ishow_utf8_length(*out);
    if (field->most == 0 || (n >= field->least && n <= field->most)) return 1;
    return ishow_fault_set(f, 400, "out_of_range", name, "%s must have %.0f to %.0f characters, not %zu.", name,
                           field->least, field->most, n);
}

static int take_choice(const ishow_field *field, const char *name, const json_t *value, int *out, fault *f) {
    char known[128] = "";
    const char *word;
    if (!json_is_string(value)) return ishow_fault_type(f, name, "a string", value);
    if ((*out = ishow_field_find_choice(field, json_string_value(value))) >= 0) return 1;
    for (int i = 0; (word = field->choice(i)); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", word);
    return ishow_fault_set(f, 400, "unsupported", name, "%s must be one of: %s; not \"%.64s\".", name, known,
                           json_string_value(value));
}

static int take_rate(const ishow_field *field, const char *name, const json_t *value, int *out, fault *f) {
    char known[128] = "";
    json_int_t rate;
    if (!take_whole(value, name, &rate, f)) return 0;
    for (const int *r = field->rates; *r; r++) {
        if (rate == *r) {
            *out = *r;
            return 1;
        }
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%d", *known ? ", " : "", *r);
    }
    return ishow_fault_set(f, 400, "out_of_range", name, "%s must be one of %s, not %lld.", name, known,
                           (long long)rate);
}

static int take_number(const ishow_field *field, const char *name, const json_t *value, speech *s, fault *f) {
    json_int_t whole = 0;
    double number = json_number_value(value);
    if (field->kind == ISHOW_FIELD_NUMBER) {
        if (!json_is_number(value)) return ishow_fault_type(f, name, "a number", value);
    } else if (!take_whole(value, name, &whole, f)) {
        return 0;
    } else {
        number = (double)whole;
    }
    if (!in_range(name, field->least, field->most, number, f)) return 0;
    ishow_field_set(field, s, number);
    return 1;
}

/* name: the field's name in the client's request. */
static int take_value(const ishow_field *field, const char *name, const json_t *value, speech *s, fault *f) {
    void *to = (char *)s + field->at;
    switch (field->kind) {
    case ISHOW_FIELD_ID:
        if (json_is_object(value)) {
            if (json_object_size(value) != 1 || !json_object_get(value, "id"))
                return ishow_fault_set(f, 400, "invalid_type", name,
                                       "%s must be an id, or an object with the field id alone.", name);
            value = json_object_get(value, "id");
        }
        return take_string(field, name, value, to, f);
    case ISHOW_FIELD_STRING: return take_string(field, name, value, to, f);
    case ISHOW_FIELD_NUMBER:
    case ISHOW_FIELD_WHOLE:
    case ISHOW_FIELD_SIZE: return take_number(field, name, value, s, f);
    case ISHOW_FIELD_BOOLEAN:
        *(int *)to = json_is_true(value);
        return json_is_boolean(value) || ishow_fault_type(f, name, "a boolean", value);
    case ISHOW_FIELD_SEED: return take_seed(value, &s->request, f);
    case ISHOW_FIELD_CHOICE: return take_choice(field, name, value, to, f);
    default: return take_rate(field, name, value, to, f);
    }
}

static int unknown(const speech_form *form, const char *name, fault *f) {
    char known[sizeof f->error.message] = "";
    const ishow_field *field;
    for (size_t i = 0; (field = ishow_speech_field_at(form, i)); i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", field->name);
    return ishow_fault_set(f, 400, "unknown_field", name, "There is no field of this name; fields are %s.", known);
}

int ishow_speech_read(json_t *root, const speech_form *form, const ishow_request *defaults, speech *s, fault *f) {
    const char *name;
    json_t *value;
    const ishow_field *field;
    *s = (speech){.request = *defaults, .format = -1, .json = root};
    s->request.text = s->request.voice = NULL;
    if (!root) return 0;
    json_object_foreach(root, name, value) {
        if (!(field = find(form, name))) return unknown(form, name, f);
        if (!(json_is_null(value) && !field->needed) && !take_value(ishow_speech_meaning(field), name, value, s, f))
            return 0;
    }
    for (size_t i = 0; (field = ishow_speech_field_at(form, i)); i++)
        if (field->needed && !json_object_get(root, field->name))
            return ishow_fault_set(f, 400, "missing_field", field->name, "The field %s is needed.", field->name);
    return 1;
}

int ishow_speech_parse(const speech_form *form, const char *body, size_t n, const ishow_request *defaults, speech *out,
                       fault *f) {
    return ishow_speech_read(ishow_speech_object(body, n, f), form, defaults, out, f);
}

void ishow_speech_free(speech *s) {
    json_decref(s->json);
    s->json = NULL;
}

/* ---- OpenAI ---- */

int ishow_speech_parse_openai(const char *body, size_t n, const ishow_request *defaults, const char *model, speech *out,
                              fault *f) {
    if (!ishow_speech_read(ishow_speech_object(body, n, f), &ishow_speech_openai, defaults, out, f)) return 0;
    return ishow_openai_model_known(out->model, model) || ishow_fault_no_model(f, out->model, model);
}

int ishow_speech_parse_openai_line(const char *line, size_t n, int first, const ishow_request *defaults,
                                   const char *model, speech *out, fault *f) {
    const speech_form *form = first ? &ishow_speech_openai_begun : &ishow_speech_openai_piece;
    if (!ishow_speech_read(ishow_speech_object(line, n, f), form, defaults, out, f)) return 0;
    if (!out->request.text) out->request.text = "";
    out->more = out->request.open = 1;
    return !first || ishow_openai_model_known(out->model, model) || ishow_fault_no_model(f, out->model, model);
}

void ishow_speech_rename(fault *f) {
    const ishow_field *row;
    for (size_t i = 0; (row = ishow_speech_field_at(&ishow_speech_openai, i)); i++)
        if (row->option && !strcmp(f->error.field, row->option))
            snprintf(f->error.field, sizeof f->error.field, "%s", row->name);
}

/* ---- description ---- */

static void limits(ishow_buffer *out, const char *least, const char *most, const ishow_field *field) {
    ishow_buffer_format(out, ",\"%s\":%.16g,\"%s\":%.16g", least, field->least, most, field->most);
}

/* Writes the members of a field's JSON Schema, without braces. */
static void describe(const ishow_field *field, ishow_buffer *out) {
    const char *name;
    switch (field->kind) {
    case ISHOW_FIELD_STRING:
    case ISHOW_FIELD_ID:
        ishow_buffer_text(out, "\"type\":\"string\"");
        if (field->most > 0) limits(out, "minLength", "maxLength", field);
        break;
    case ISHOW_FIELD_NUMBER:
    case ISHOW_FIELD_WHOLE:
    case ISHOW_FIELD_SIZE:
        ishow_buffer_text(out, field->kind == ISHOW_FIELD_NUMBER ? "\"type\":\"number\"" : "\"type\":\"integer\"");
        limits(out, "minimum", "maximum", field);
        break;
    case ISHOW_FIELD_BOOLEAN: ishow_buffer_text(out, "\"type\":\"boolean\""); break;
    case ISHOW_FIELD_SEED:
        ishow_buffer_text(out, "\"type\":\"integer\",\"minimum\":0,\"maximum\":18446744073709551615},{\"type\":"
                               "\"string\",\"pattern\":\"^[0-9]{1,19}$\"");
        break;
    case ISHOW_FIELD_CHOICE:
        ishow_buffer_text(out, "\"type\":\"string\",\"enum\":[");
        for (int i = 0; (name = field->choice(i)); i++) ishow_buffer_format(out, "%s\"%s\"", i ? "," : "", name);
        ishow_buffer_text(out, "]");
        break;
    default:
        ishow_buffer_text(out, "\"type\":\"integer\",\"enum\":[");
        for (const int *r = field->rates; *r; r++) ishow_buffer_format(out, "%s%d", r == field->rates ? "" : ",", *r);
        ishow_buffer_text(out, "]");
    }
}

static void describe_row(const ishow_field *row, ishow_buffer *out) {
    const ishow_field *field = ishow_speech_meaning(row);
    const int one = row->needed && field->kind != ISHOW_FIELD_ID;
    ishow_buffer_text(out, one ? "{" : "{\"anyOf\":[{");
    describe(field, out);
    if (field->kind == ISHOW_FIELD_ID) {
        ishow_buffer_text(
            out,
            "},{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"id\"],\"properties\":{\"id\":{");
        describe(field, out);
        ishow_buffer_text(out, "}}");
    }
    if (!row->needed)
        ishow_buffer_text(out, "},{\"type\":\"null\"}],\"default\":null");
    else if (!one)
        ishow_buffer_text(out, "}]");
    ishow_buffer_text(out, ",\"description\":");
    ishow_buffer_json_text(out, row->help);
    ishow_buffer_text(out, "}");
}

void ishow_speech_schema(const speech_form *form, ishow_buffer *out) {
    const char *comma = "";
    const ishow_field *row;
    ishow_buffer_text(out, "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[");
    for (size_t i = 0; (row = ishow_speech_field_at(form, i)); i++) {
        if (!row->needed) continue;
        ishow_buffer_format(out, "%s\"%s\"", comma, row->name);
        comma = ",";
    }
    ishow_buffer_text(out, "],\"properties\":{");
    for (size_t i = 0; (row = ishow_speech_field_at(form, i)); i++) {
        ishow_buffer_format(out, "%s\"%s\":", i ? "," : "", row->name);
        describe_row(row, out);
    }
    ishow_buffer_text(out, "}}");
}
