/* A request for speech from "name=value" strings: converted to the JSON of POST /api/tts, so that one parser checks
 * both. */
#include <stdio.h>
#include <string.h>

#include "service/speech.h"

/* 1 when values of this field are JSON strings. */
static int is_text(const char *name, size_t n) {
    const ishow_field *field;
    for (size_t i = 0; (field = ishow_speech_field_at(&ishow_speech_written, i)); i++)
        if (strlen(field->name) == n && !strncmp(field->name, name, n))
            return field->kind == ISHOW_FIELD_STRING || field->kind == ISHOW_FIELD_CHOICE ||
                   field->kind == ISHOW_FIELD_SEED;
    return 0;
}

static ishow_status add_setting(ishow_buffer *body, const char *setting, ishow_error *error) {
    static const char *const of_http[] = {"format", "sample_rate", "engine", "set_text", "flush", "more"};
    char name[32];
    const char *equals = strchr(setting, '=');
    const size_t n = equals ? (size_t)(equals - setting) : 0;
    if (!n || n >= sizeof name)
        return ishow_fail(error, ISHOW_EINVAL, "", "A setting must be like name=value, not %.64s.", setting);
    snprintf(name, sizeof name, "%.*s", (int)n, setting);
    for (size_t i = 0; i < sizeof of_http / sizeof *of_http; i++)
        if (!strcmp(name, of_http[i]))
            return ishow_fail(error, ISHOW_EINVAL, name, "%s is a field of HTTP: this interface gives samples.", name);
    ishow_buffer_text(body, ",");
    ishow_buffer_json_text(body, name);
    ishow_buffer_text(body, ":");
    json_t *value = is_text(name, n) ? NULL : json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (value && !json_is_object(value) && !json_is_array(value))
        ishow_buffer_text(body, equals + 1);
    else
        ishow_buffer_json_text(body, equals + 1);
    json_decref(value);
    return ISHOW_OK;
}

ishow_status ishow_speech_from_settings(const char *text, int open, const char *const *settings,
                                        const ishow_request *defaults, speech *out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    ishow_buffer body = {0};
    fault f = {0};
    memset(out, 0, sizeof *out);
    ishow_buffer_text(&body, "{\"text\":");
    ishow_buffer_json_text(&body, text ? text : "");
    for (size_t i = 0; settings && settings[i]; i++)
        if ((status = add_setting(&body, settings[i], error)) != ISHOW_OK) goto done;
    ishow_buffer_text(&body, "}");
    if (body.failed) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "Out of memory.");
        goto done;
    }
    if (!ishow_speech_parse(open ? &ishow_speech_written : &ishow_speech_own, (const char *)body.data, body.n, defaults,
                            out, &f)) {
        status = f.error.status;
        if (error) *error = f.error;
    }
    out->request.open = open;
done:
    ishow_buffer_free(&body);
    return status;
}
