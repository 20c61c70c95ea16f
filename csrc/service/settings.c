/* Python has checked the values and filled in defaults, so every key must be present with the right type. No default is
 * repeated here. */
#include "service/settings.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/field.h"
#include "base/defaults.h"

static json_t *list(json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return json_is_array(value) ? value : NULL;
}

static const char **read_names(json_t *from, const char **storage, size_t *n) {
    *n = json_array_size(from);
    for (size_t i = 0; i < *n; i++) storage[i] = json_string_value(json_array_get(from, i));
    return storage;
}

static ishow_status read_sources(settings *out, json_t *sources, ishow_error *error) {
    out->n_sources = json_array_size(sources);
    out->sources = calloc(out->n_sources + 1, sizeof *out->sources);
    out->source_chats = calloc(out->n_sources + 1, sizeof *out->source_chats);
    if (!out->sources || !out->source_chats)
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
    for (size_t i = 0; i < out->n_sources; i++) {
        json_t *from = json_array_get(sources, i);
        const char *name = json_string_value(json_object_get(from, "platform"));
        ishow_chat_platform platform;
        if (!name || !ishow_chat_platform_find(name, &platform))
            return ishow_fail(error, ISHOW_EINTERNAL, "",
                              "The checked configuration cannot be read: source %zu has no platform.", i);
        ishow_chat_source_options *o = &out->sources[i];
        *o = ishow_chat_source_options_default(platform);
        out->source_chats[i] = json_string_value(json_object_get(from, "chat"));
        /* null keeps the platform's default. */
        const struct {
            const char *key, **to;
        } texts[] = {{"channel", &o->channel},   {"token", &o->token},    {"login", &o->login},
                     {"app_id", &o->app_id},     {"code", &o->code},      {"emotes_endpoint", &o->emotes_endpoint},
                     {"endpoint", &o->endpoint}, {"ca_file", &o->ca_file}};
        const struct {
            const char *key;
            double *to;
        } seconds[] = {{"connect_seconds", &o->connect_seconds},
                       {"heartbeat_seconds", &o->heartbeat_seconds},
                       {"reply_seconds", &o->reply_seconds},
                       {"backoff_seconds", &o->backoff_seconds},
                       {"backoff_max_seconds", &o->backoff_max_seconds},
                       {"poll_seconds_min", &o->poll_seconds_min}};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
            json_t *value = json_object_get(from, texts[k].key);
            if (json_is_string(value)) *texts[k].to = json_string_value(value);
        }
        for (size_t k = 0; k < sizeof seconds / sizeof *seconds; k++) {
            json_t *value = json_object_get(from, seconds[k].key);
            if (json_is_number(value)) *seconds[k].to = json_number_value(value);
        }
        const struct {
            const char *key;
            int *to;
        } switches[] = {{"third_party_emotes", &o->third_party_emotes}, {"reply_mentions", &o->keeps_mentions}};
        for (size_t k = 0; k < sizeof switches / sizeof *switches; k++) {
            const json_t *value = json_object_get(from, switches[k].key);
            if (json_is_boolean(value)) *switches[k].to = json_is_true(value);
        }
        json_t *units = json_object_get(from, "quota_units");
        if (json_is_integer(units)) o->quota_units = (uint64_t)json_integer_value(units);
    }
    return ISHOW_OK;
}

/* Reads one section into the struct that its table of fields describes. */
static ishow_status read_section(json_t *from, const ishow_fields *fields, void *to, ishow_error *error) {
    for (size_t i = 0; i < fields->n; i++) {
        const ishow_field *field = &fields->rows[i];
        if (!field->setting) continue;
        json_t *value = json_object_get(from, field->setting);
        const int choice = field->kind == ISHOW_FIELD_CHOICE && json_is_string(value)
                               ? ishow_field_find_choice(field, json_string_value(value))
                               : -1;
        if (choice >= 0)
            ishow_field_set(field, to, choice);
        else if (field->kind == ISHOW_FIELD_BOOLEAN && json_is_boolean(value))
            ishow_field_set(field, to, json_is_true(value));
        else if (field->kind <= ISHOW_FIELD_SIZE && json_is_number(value))
            ishow_field_set(field, to, json_number_value(value));
        else
            return ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read: %s is missing.",
                              field->setting);
    }
    return ISHOW_OK;
}

/* The keys of [server] and [model] that are required and not null. */
typedef enum kind { TEXT, WHOLE, BYTES, FLAG, REAL } kind; /* const char *, int, size_t, int 0 or 1, double */
#define KEY(section, key, kind, member) \
    { section, key, kind, offsetof(settings, member) }
static const struct {
    const char *section, *key;
    kind kind;
    size_t at;
} keys[] = {
    KEY("model", "name", TEXT, model),
    KEY("model", "precision", TEXT, precision),
    KEY("model", "backend", TEXT, backend),
    KEY("model", "compile", TEXT, compile),
    KEY("model", "threads", WHOLE, threads),
    KEY("server", "host", TEXT, server.host),
    KEY("server", "port", WHOLE, server.port),
    KEY("server", "state_dir", TEXT, server.state_dir),
    KEY("server", "body_bytes_max", BYTES, server.body_bytes_max),
    KEY("server", "insecure", FLAG, server.insecure),
    KEY("server", "request_seconds", REAL, server.request_seconds),
    KEY("server", "drain_seconds", REAL, server.drain_seconds),
    KEY("server", "connections_max", WHOLE, server.connections_max),
    KEY("server", "connections_per_client", WHOLE, server.connections_per_client),
};

static ishow_status read_keys(const json_t *root, settings *out, ishow_error *error) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(json_object_get(root, keys[i].section), keys[i].key);
        void *const at = (char *)out + keys[i].at;
        int good = 0;
        switch (keys[i].kind) {
        case TEXT: good = (*(const char **)at = json_string_value(value)) != NULL; break;
        case WHOLE: good = json_is_integer(value), *(int *)at = (int)json_integer_value(value); break;
        case BYTES: good = json_is_integer(value), *(size_t *)at = (size_t)json_integer_value(value); break;
        case FLAG: good = json_is_boolean(value), *(int *)at = json_is_true(value); break;
        case REAL: good = json_is_number(value), *(double *)at = json_number_value(value); break;
        }
        if (!good)
            return ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read: %s.%s.",
                              keys[i].section, keys[i].key);
    }
    return ISHOW_OK;
}

ishow_server_options ishow_server_options_default(void) {
    return (ishow_server_options){.host = ISHOW_HOST,
                                  .port = ISHOW_PORT,
                                  .body_bytes_max = ISHOW_BODY_BYTES_MAX,
                                  .sampling = ishow_request_default(),
                                  .request_seconds = ISHOW_REQUEST_SECONDS,
                                  .drain_seconds = ISHOW_DRAIN_SECONDS,
                                  .idle_seconds = ISHOW_IDLE_SECONDS,
                                  .connections_max = ISHOW_CONNECTIONS_MAX,
                                  .connections_per_client = ISHOW_CONNECTIONS_PER_CLIENT};
}

ishow_status ishow_settings_read(settings *out, const char *json, ishow_error *error) {
    json_error_t why = {0};
    ishow_status status = ISHOW_OK;
    memset(out, 0, sizeof *out);
    out->server = ishow_server_options_default();
    out->engine = ishow_engine_options_default();
    ishow_server_options *s = &out->server;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    out->json = root;
    json_t *server = json_object_get(root, "server"), *voices = json_object_get(root, "voices"),
           *chat = json_object_get(root, "chat");
    char *chat_json = NULL;
    if (!root || !voices || !chat) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The checked configuration cannot be read: %s.",
                            root ? "voices or chat" : why.text);
        goto done;
    }
    if ((status = read_keys(root, out, error)) != ISHOW_OK) goto done;
    if ((status = read_section(json_object_get(root, "sampling"), &ishow_request_fields, &s->sampling, error)) !=
        ISHOW_OK)
        goto done;
    if ((status = read_section(json_object_get(root, "engine"), &ishow_engine_fields, &out->engine, error)) != ISHOW_OK)
        goto done;
    s->api_key = json_string_value(json_object_get(server, "api_key")); /* null: none; likewise the next */
    out->default_voice = json_string_value(json_object_get(root, "default_voice"));
    const char *level = json_string_value(json_object_get(server, "log_level")),
               *format = json_string_value(json_object_get(server, "log_format"));
    if (!level || !format || !ishow_log_level_find(level, &out->log_level) ||
        !ishow_log_format_find(format, &out->log_format)) {
        status =
            ishow_fail(error, ISHOW_EINTERNAL, "",
                       "The checked configuration cannot be read: there is no log level %.16s, or no format %.16s.",
                       level ? level : "", format ? format : "");
        goto done;
    }
    s->wyoming_port = (int)json_integer_value(json_object_get(server, "wyoming_port")); /* null: 0 */

    if (!(chat_json = json_dumps(chat, JSON_COMPACT))) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
        goto done;
    }
    if ((status = ishow_chat_settings_read(&out->chat, chat_json, error)) != ISHOW_OK) goto done;
    if ((status = read_sources(out, list(chat, "sources"), error)) != ISHOW_OK) goto done;
    json_t *hosts = list(server, "allowed_hosts"), *origins = list(server, "cors_origins"),
           *names = json_object_get(json_object_get(root, "openai"), "voices");
    out->n_voices = json_array_size(voices);
    out->lists =
        calloc(json_array_size(hosts) + json_array_size(origins) + 2 * json_object_size(names) + 1, sizeof *out->lists);
    out->voices = calloc(out->n_voices + 1, sizeof *out->voices);
    if (!out->lists || !out->voices) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the configuration.");
        goto done;
    }
    s->allowed_hosts = read_names(hosts, out->lists, &s->n_allowed_hosts);
    s->cors_origins = read_names(origins, out->lists + s->n_allowed_hosts, &s->n_cors_origins);
    const char **map = out->lists + s->n_allowed_hosts + s->n_cors_origins, *name;
    json_t *id;
    s->openai_voices = map;
    json_object_foreach(names, name, id) {
        map[s->n_openai_voices++] = name;
        map[s->n_openai_voices++] = json_string_value(id);
    }
    for (size_t i = 0; i < out->n_voices; i++) {
        json_t *voice = json_array_get(voices, i);
        ishow_voice_setting *v = &out->voices[i];
        v->id = json_string_value(json_object_get(voice, "id"));
        v->audio = json_string_value(json_object_get(voice, "audio"));
        v->text = json_string_value(json_object_get(voice, "text"));
        v->language = json_string_value(json_object_get(voice, "language"));
        v->speaker = json_is_true(json_object_get(voice, "speaker"));
        if (!v->id || !v->text) {
            status = ishow_fail(error, ISHOW_EINTERNAL, "",
                                "The checked configuration cannot be read: voice %zu has no id or text.", i);
            goto done;
        }
    }
done:
    free(chat_json);
    if (status != ISHOW_OK) ishow_settings_free(out);
    return status;
}

void ishow_settings_free(settings *s) {
    json_decref(s->json);
    ishow_chat_settings_free(s->chat);
    free(s->sources);
    free(s->source_chats);
    free(s->voices);
    free(s->lists);
    memset(s, 0, sizeof *s);
}
