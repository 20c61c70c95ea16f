/* See error_response.h. */
#include "service/error_response.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int ishow_fault_set(fault *f, int status, const char *code, const char *field, const char *format, ...) {
    char message[sizeof f->error.message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    f->status = status;
    f->code = code;
    ishow_fail(&f->error, ISHOW_EINVAL, field, "%s", message);
    return 0;
}

int ishow_fault_memory(fault *f) { return ishow_fault_set(f, 500, "internal", "", "Out of memory."); }
int ishow_fault_no_voice(fault *f, const char *id) {
    return ishow_fault_set(f, 404, "not_found", "voice_id", "There is no voice '%s'.", id);
}

int ishow_fault_no_model(fault *f, const char *asked, const char *loaded) {
    return ishow_fault_set(f, 404, "model_not_found", "model", "The model \"%.64s\" does not exist; %s is loaded.",
                           asked, loaded);
}

void ishow_fault_from_error(fault *f, const ishow_error *error) {
    static const struct {
        ishow_status from;
        int status;
        const char *code;
    } map[] = {
        {ISHOW_EINVAL, 400, "invalid_request"},
        {ISHOW_ELIMIT, 400, "invalid_request"},
        {ISHOW_EFORMAT, 400, "invalid_request"},
        {ISHOW_ENOTFOUND, 404, "not_found"},
        {ISHOW_EBUSY, 429, "busy"},
        {ISHOW_EAGAIN, 429, "busy"},
        {ISHOW_ECANCELLED, 409, "cancelled"},
        {ISHOW_ETIMEOUT, 504, "deadline"},
        {ISHOW_EMODEL, 502, "model_failed"},
        {ISHOW_EPYTHON, 502, "model_failed"},
        {ISHOW_ESTATE, 503, "unavailable"},
        {ISHOW_EIO, 503, "unavailable"},
    };
    f->status = 500;
    f->code = "internal";
    f->error = *error;
    for (size_t i = 0; i < sizeof map / sizeof *map; i++)
        if (map[i].from == error->status) f->status = map[i].status, f->code = map[i].code;
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a whole number";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    default: return "null";
    }
}

int ishow_fault_type(fault *f, const char *field, const char *wanted, const json_t *value) {
    return ishow_fault_set(f, 400, "invalid_type", field, "%s must be %s, not %s.", *field ? field : "The body", wanted,
                           type_name(value));
}

int take_whole(const json_t *value, const char *field, json_int_t *out, fault *f) {
    const double real = json_real_value(value); /* 0 for other types */
    if (json_is_real(value) && real == floor(real) && fabs(real) <= 9007199254740992.0)
        *out = (json_int_t)real;
    else if (json_is_integer(value))
        *out = json_integer_value(value);
    else
        return ishow_fault_type(f, field, "a whole number", value);
    return 1;
}

void ishow_fault_write_member(ishow_buffer *out, const fault *f) {
    ishow_buffer_text(out, "\"error\":{\"code\":");
    ishow_buffer_json_text(out, f->code);
    ishow_buffer_text(out, ",\"message\":");
    ishow_buffer_json_text(out, f->error.message);
    if (f->error.field[0]) {
        ishow_buffer_text(out, ",\"field\":");
        ishow_buffer_json_text(out, f->error.field);
    }
    ishow_buffer_text(out, "}");
}

void ishow_fault_write(ishow_buffer *out, const fault *f) {
    ishow_buffer_text(out, "{");
    ishow_fault_write_member(out, f);
    ishow_buffer_text(out, "}");
}
