/* See config_diff.h. */
#include "service/config_diff.h"

#include <stdio.h>
#include <string.h>

/* Settings that can be exchanged while requests run, [chat] but for what needs connections of its own; voices and default_voice are as well. */
static const char *const live[] = {"server.api_key", "server.api_key_file", "server.allowed_hosts", "server.cors_origins", "server.body_bytes_max", "server.request_seconds", "server.drain_seconds", "server.connections_per_client", "server.log_level",
                                   "sampling.nfe", "sampling.solver", "sampling.cfg_strength", "sampling.guidance_from", "sampling.guidance_to", "sampling.short_guidance", "sampling.embedded_guidance",
                                   "sampling.sway_sampling_coef", "sampling.speed", "sampling.target_rms", "sampling.cross_fade_duration",
                                   "engine.queue_capacity", "engine.chunk_seconds", "engine.retries"};

static int is_live(const char *name) {
    if (!strncmp(name, "chat.", 5)) return strcmp(name, "chat.sources") != 0;
    for (size_t i = 0; i < sizeof live / sizeof *live; i++)
        if (!strcmp(live[i], name)) return 1;
    return 0;
}

/* Without a key a server that others can reach would be open to all of them. */
static int unlocks(const char *name, json_t *value, json_t *now, int loopback) {
    return !strcmp(name, "server.api_key") && !json_is_string(value) && !loopback && !json_is_true(json_object_get(json_object_get(now, "server"), "insecure"));
}

/* Names of voices mean those of the model that is loaded. */
static int names_voices(const char *name) { return !strcmp(name, "chat.voices") || !strcmp(name, "chat.role_voices"); }

static void compare_section(difference *d, const char *section, json_t *old, json_t *new, json_t *new_shown, json_t *now, int loopback) {
    const char *key;
    json_t *value;
    json_object_foreach(new, key, value) {
        char name[128];
        if (json_equal(value, json_object_get(old, key))) continue;
        snprintf(name, sizeof name, "%s.%s", section, key);
        int at_once = is_live(name) && !unlocks(name, value, now, loopback) && !(d->model && names_voices(name));
        json_array_append_new(at_once ? d->changed : d->restart, json_string(name));
        if (!at_once) continue;
        json_object_set(json_object_get(d->now, section), key, value);
        json_object_set(json_object_get(d->shown, section), key, json_object_get(new_shown, key));
    }
}

void difference_make(difference *d, json_t *now, json_t *shown, json_t *new, json_t *new_shown, int loopback) {
    const char *section;
    json_t *value;
    d->changed = json_array();
    d->restart = json_array();
    d->now = json_deep_copy(now);
    d->shown = json_deep_copy(shown);
    d->model = !json_equal(json_object_get(json_object_get(new, "model"), "name"), json_object_get(json_object_get(now, "model"), "name"));
    json_object_foreach(new, section, value)
        if (json_is_object(value)) compare_section(d, section, json_object_get(now, section), value, json_object_get(new_shown, section), now, loopback);
    static const char *const voices[] = {"voices", "default_voice"};
    for (size_t i = 0; i < 2; i++) {
        json_t *wanted = json_object_get(new, voices[i]);
        int same = json_equal(wanted, json_object_get(now, voices[i]));
        if (d->model) {
            if (!same) json_array_append_new(d->restart, json_string(voices[i]));
            continue;
        }
        if (!same && i) json_array_append_new(d->changed, json_string(voices[i]));
        json_object_set(d->now, voices[i], wanted);
        json_object_set(d->shown, voices[i], json_object_get(new_shown, voices[i]));
    }
}

void difference_free(difference *d) {
    json_decref(d->changed);
    json_decref(d->restart);
    json_decref(d->now);
    json_decref(d->shown);
}
