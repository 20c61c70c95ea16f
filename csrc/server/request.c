/* JSON to a checked request. Everything a client can get wrong is told by field, limit and value. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/request.h"

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

int request_number(const json_t *value, const char *field, double least, double most, double *out, fault *f) {
    if (!json_is_number(value)) return fault_type(f, field, "a number", value);
    double v = json_number_value(value);
    if (!(v >= least && v <= most))
        return fault_set(f, 400, "out_of_range", field, "%s must be between %.10g and %.10g, not %.10g.", field, least, most, v);
    *out = v;
    return 1;
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

static int take_rate(const json_t *value, int *out, fault *f) {
    static const int rates[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    json_int_t rate;
    if (!take_whole(value, "sample_rate", &rate, f)) return 0;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (rate == rates[i]) {
            *out = rates[i];
            return 1;
        }
    return fault_set(f, 400, "out_of_range", "sample_rate",
                     "sample_rate must be one of 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, not %lld.", (long long)rate);
}

static int take_choice(const json_t *value, const char *field, const char *only, fault *f) {
    if (!json_is_string(value)) return fault_type(f, field, "a string", value);
    if (strcmp(json_string_value(value), only))
        return fault_set(f, 400, "unsupported", field, "%s must be one of: %s; not \"%.64s\".", field, only, json_string_value(value));
    return 1;
}

static int take_solver(const json_t *value, ishow_solver *out, fault *f) {
    if (!json_is_string(value)) return fault_type(f, "solver", "a string", value);
    if (ishow_solver_read(json_string_value(value), out, NULL) == ISHOW_OK) return 1;
    return fault_set(f, 400, "unsupported", "solver", "solver must be one of: euler, midpoint; not \"%.64s\".", json_string_value(value));
}

int request_format(const json_t *value, const char *field, ishow_format *out, fault *f) {
    if (!json_is_string(value)) return fault_type(f, field, "a string", value);
    if (ishow_format_find(json_string_value(value), out)) return 1;
    return fault_set(f, 400, "unsupported", field, "%s must be one of: wav, pcm, flac, opus, mp3; not \"%.64s\".", field, json_string_value(value));
}

int request_text(const json_t *value, const char *field, const char **out, fault *f) {
    if (!json_is_string(value)) return fault_type(f, field, "a string", value);
    *out = json_string_value(value);
    size_t n = ishow_utf8_length(*out);
    if (n < 1 || n > ISHOW_MAX_TEXT_CHARS)
        return fault_set(f, 400, "out_of_range", field, "%s must have 1 to %d characters, not %zu.", field, ISHOW_MAX_TEXT_CHARS, n);
    return 1;
}

int request_voice(const json_t *value, const char *field, const char **out, fault *f) {
    if (!json_is_string(value)) return fault_type(f, field, "a string", value);
    *out = json_string_value(value);
    size_t n = ishow_utf8_length(*out);
    if (n < 1 || n > ID_MAX) return fault_set(f, 400, "out_of_range", field, "%s must have 1 to %d characters, not %zu.", field, ID_MAX, n);
    return 1;
}

static int take_field(const char *field, const json_t *value, speech *s, fault *f) {
    ishow_request *r = &s->request;
    double number;
    json_int_t whole;
    if (!strcmp(field, "text")) return request_text(value, field, &r->text, f);
    if (!strcmp(field, "voice_id")) return json_is_null(value) || request_voice(value, field, &r->voice, f);
    if (!strcmp(field, "engine")) return json_is_null(value) || take_choice(value, field, ENGINE_ID, f);
    if (!strcmp(field, "format")) return json_is_null(value) || (s->has_format = request_format(value, field, &s->format, f));
    if (!strcmp(field, "speed")) return json_is_null(value) || request_number(value, field, ISHOW_SPEED_MIN, ISHOW_SPEED_MAX, &r->speed, f);
    if (!strcmp(field, "target_rms")) return json_is_null(value) || request_number(value, field, 0, 1, &r->target_rms, f);
    if (!strcmp(field, "cross_fade_duration")) return json_is_null(value) || request_number(value, field, 0, ISHOW_CROSS_FADE_MAX, &r->cross_fade, f);
    if (!strcmp(field, "sway_sampling_coef")) return json_is_null(value) || request_number(value, field, ISHOW_SWAY_MIN, ISHOW_SWAY_MAX, &r->sway, f);
    if (!strcmp(field, "cfg_strength")) return json_is_null(value) || request_number(value, field, 0, ISHOW_CFG_STRENGTH_MAX, &r->cfg, f);
    if (!strcmp(field, "fix_duration")) return json_is_null(value) || request_number(value, field, 0, ISHOW_FIX_DURATION_MAX, &r->fix_duration, f);
    if (!strcmp(field, "solver")) return json_is_null(value) || take_solver(value, &r->solver, f);
    if (!strcmp(field, "nfe_step")) {
        if (json_is_null(value)) return 1;
        if (!take_whole(value, field, &whole, f) || !request_number(value, field, ISHOW_NFE_MIN, ISHOW_NFE_MAX, &number, f)) return 0;
        r->nfe = (int)number;
        return 1;
    }
    if (!strcmp(field, "remove_silence")) {
        if (json_is_null(value)) return 1;
        if (!json_is_boolean(value)) return fault_type(f, field, "a boolean", value);
        r->remove_silence = json_is_true(value);
        return 1;
    }
    if (!strcmp(field, "seed")) return json_is_null(value) || take_seed(value, r, f);
    if (!strcmp(field, "sample_rate")) return json_is_null(value) || take_rate(value, &s->sample_rate, f);
    return fault_set(f, 400, "unknown_field", field, "There is no field of this name; fields are text, voice_id, engine, speed, target_rms, "
                     "cross_fade_duration, sway_sampling_coef, cfg_strength, nfe_step, solver, fix_duration, remove_silence, seed, format, sample_rate.");
}

json_t *request_object(const char *body, size_t n, fault *f) {
    json_error_t error = {0};
    json_t *root = load(body, n, &error);
    if (root && json_is_object(root)) return root;
    if (root) fault_type(f, "", "a JSON object", root);
    else if (json_error_code(&error) == json_error_out_of_memory) fault_memory(f);
    else fault_set(f, 400, "malformed_json", "", "The body is not JSON: line %d, column %d: %s.", error.line, error.column, error.text);
    json_decref(root);
    return NULL;
}

int speech_read(json_t *root, const ishow_request *defaults, speech *out, fault *f) {
    memset(out, 0, sizeof *out);
    out->request = *defaults;
    out->request.text = out->request.voice = NULL;
    out->json = root;
    const char *field;
    json_t *value;
    json_object_foreach(root, field, value)
        if (!take_field(field, value, out, f)) return 0;
    if (!out->request.text) return fault_set(f, 400, "missing_field", "text", "The field text is needed.");
    return 1;
}

int speech_parse(const char *body, size_t n, const ishow_request *defaults, speech *out, fault *f) {
    json_t *root = request_object(body, n, f);
    memset(out, 0, sizeof *out);
    return root && speech_read(root, defaults, out, f);
}

void speech_free(speech *s) {
    json_decref(s->json);
    s->json = NULL;
}
