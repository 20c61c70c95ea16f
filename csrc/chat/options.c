/* Options: their defaults, a copy that owns its strings, and the [chat] section of the configuration. Values of that
 * section were checked and completed in Python, so each must be there with its type; nothing has a second default here.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

struct ishow_chat_settings {
    ishow_chat_options o;
    void **owned;
    size_t n_owned, capacity;
    int failed;
};

ishow_chat_options ishow_chat_options_default(void) {
    return (ishow_chat_options){.links = ISHOW_CHAT_STRIP,
                                .emotes = ISHOW_CHAT_STRIP,
                                .kaomoji = ISHOW_CHAT_STRIP,
                                .long_texts = ISHOW_CHAT_STRIP,
                                .events = 1,
                                .words_max = ISHOW_CHAT_WORDS_MAX,
                                .graphemes_max = ISHOW_CHAT_GRAPHEMES_MAX,
                                .command_prefix = ISHOW_CHAT_COMMAND_PREFIX,
                                .voice_command = 1,
                                .cooldown_seconds = ISHOW_CHAT_COOLDOWN_SECONDS,
                                .repeat_seconds = ISHOW_CHAT_REPEAT_SECONDS,
                                .flood_messages = ISHOW_CHAT_FLOOD_MESSAGES,
                                .flood_seconds = ISHOW_CHAT_FLOOD_SECONDS,
                                .rate = ISHOW_CHAT_RATE,
                                .voice_per_viewer = 1,
                                .language = ISHOW_CHAT_LANGUAGE,
                                .template_text = ISHOW_CHAT_TEMPLATE,
                                .template_paid = ISHOW_CHAT_TEMPLATE_PAID,
                                .template_gift = ISHOW_CHAT_TEMPLATE_GIFT,
                                .template_event = ISHOW_CHAT_TEMPLATE_EVENT,
                                .clean_names = 1,
                                .name_again_seconds = ISHOW_CHAT_NAME_AGAIN_SECONDS,
                                .queue_max = ISHOW_CHAT_QUEUE_MAX,
                                .ageing_seconds = ISHOW_CHAT_AGEING_SECONDS,
                                .expire_seconds = ISHOW_CHAT_EXPIRE_SECONDS,
                                .prefetch = ISHOW_CHAT_PREFETCH,
                                .gap_seconds = ISHOW_CHAT_GAP_SECONDS};
}

static void *own(ishow_chat_settings *s, void *block) {
    if (s->n_owned == s->capacity) {
        size_t capacity = 2 * s->capacity + 16;
        void **more = realloc(s->owned, capacity * sizeof *more);
        if (!more) {
            free(block);
            block = NULL;
        } else {
            s->owned = more;
            s->capacity = capacity;
        }
    }
    if (block)
        s->owned[s->n_owned++] = block;
    else
        s->failed = 1;
    return block;
}

static const char *own_text(ishow_chat_settings *s, const char *text) {
    return text ? own(s, ishow_strdup(text)) : NULL;
}

static void own_words(ishow_chat_settings *s, ishow_chat_words *words) {
    const char **copy = own(s, calloc(words->n + 1, sizeof *copy));
    for (size_t i = 0; copy && i < words->n; i++) copy[i] = own_text(s, words->item[i]);
    words->item = copy;
}

ishow_chat_settings *ishow_settings_copy(const ishow_chat_options *from) {
    ishow_chat_settings *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    ishow_handle_made();
    ishow_chat_options *o = &s->o;
    *o = *from;
    own_words(s, &o->platforms);
    own_words(s, &o->channels);
    own_words(s, &o->banned_words);
    own_words(s, &o->bots);
    own_words(s, &o->blocklist);
    own_words(s, &o->mentions);
    own_words(s, &o->languages);
    const char **texts[] = {&o->command_prefix, &o->language,      &o->template_text,
                            &o->template_paid,  &o->template_gift, &o->template_event};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) *texts[i] = own_text(s, *texts[i]);
    ishow_chat_voice *voices = own(s, calloc(o->n_voices + 1, sizeof *voices));
    for (size_t i = 0; voices && i < o->n_voices; i++)
        voices[i] = (ishow_chat_voice){own_text(s, from->voices[i].id), own_text(s, from->voices[i].language)};
    ishow_chat_role_voice *roles = own(s, calloc(o->n_role_voices + 1, sizeof *roles));
    for (size_t i = 0; roles && i < o->n_role_voices; i++) {
        roles[i] = from->role_voices[i];
        roles[i].voice = own_text(s, roles[i].voice);
    }
    o->voices = voices;
    o->role_voices = roles;
    if (!s->failed) return s;
    ishow_chat_settings_free(s);
    return NULL;
}

void ishow_chat_settings_free(ishow_chat_settings *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_owned; i++) free(s->owned[i]);
    free(s->owned);
    free(s);
    ishow_handle_freed();
}

const ishow_chat_options *ishow_chat_settings_options(const ishow_chat_settings *s) { return &s->o; }

/* ---- from JSON; strings belong to the tree until ishow_settings_copy ---- */

typedef struct lists {
    const char **items[7];
    ishow_chat_voice *voices;
    ishow_chat_role_voice *roles;
} lists;

static const char **read_words(json_t *root, const char *key, ishow_chat_words *out) {
    json_t *list = json_object_get(root, key);
    size_t n = json_array_size(list);
    const char **items = calloc(n + 1, sizeof *items);
    for (size_t i = 0; items && i < n; i++) items[i] = json_string_value(json_array_get(list, i));
    *out = (ishow_chat_words){items, items ? n : 0};
    return items;
}

static int read_rule(json_t *root, const char *key, ishow_chat_rule *out) {
    const char *word = json_string_value(json_object_get(root, key));
    if (!word) return 0;
    *out = !strcmp(word, "read") ? ISHOW_CHAT_READ : !strcmp(word, "refuse") ? ISHOW_CHAT_REFUSE : ISHOW_CHAT_STRIP;
    return 1;
}

static void read_voices(json_t *root, ishow_chat_options *o, lists *l) {
    json_t *voices = json_object_get(root, "voices"), *roles = json_object_get(root, "role_voices"), *value;
    const char *key;
    o->n_voices = json_array_size(voices);
    o->n_role_voices = 0;
    l->voices = calloc(o->n_voices + 1, sizeof *l->voices);
    l->roles = calloc(json_object_size(roles) + 1, sizeof *l->roles);
    for (size_t i = 0; l->voices && i < o->n_voices; i++) {
        json_t *voice = json_array_get(voices, i);
        l->voices[i] = (ishow_chat_voice){json_string_value(json_object_get(voice, "id")),
                                          json_string_value(json_object_get(voice, "language"))};
    }
    if (l->roles)
        json_object_foreach(roles, key, value) l->roles[o->n_role_voices++] =
            (ishow_chat_role_voice){ishow_chat_role_find(key), !strcmp(key, "paid"), json_string_value(value)};
    o->voices = l->voices;
    o->role_voices = l->roles;
}

ishow_status ishow_chat_settings_read(ishow_chat_settings **out, const char *json, ishow_error *error) {
    json_error_t why = {0};
    ishow_status status = ISHOW_OK;
    ishow_chat_options o = ishow_chat_options_default();
    lists l = {0};
    json_int_t queue_max = 0, prefetch = 0;
    *out = NULL;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why), *roles = NULL;
    if (!root ||
        json_unpack_ex(
            root, &why, 0,
            "{s:b,s:i,s:i,s:s,s:b,s:F,s:F,s:i,s:F,s:F,s:b,s:s,s:s,s:s,s:s,s:s,s:b,s:F,s:I,s:F,s:F,s:I,s:F,s:o}",
            "events", &o.events, "words_max", &o.words_max, "characters_max", &o.graphemes_max, "command_prefix",
            &o.command_prefix, "voice_command", &o.voice_command, "cooldown_seconds", &o.cooldown_seconds,
            "repeat_seconds", &o.repeat_seconds, "flood_messages", &o.flood_messages, "flood_seconds", &o.flood_seconds,
            "rate", &o.rate, "voice_per_viewer", &o.voice_per_viewer, "language", &o.language, "template",
            &o.template_text, "template_paid", &o.template_paid, "template_gift", &o.template_gift, "template_event",
            &o.template_event, "clean_names", &o.clean_names, "name_again_seconds", &o.name_again_seconds, "queue_max",
            &queue_max, "ageing_seconds", &o.ageing_seconds, "expire_seconds", &o.expire_seconds, "prefetch", &prefetch,
            "gap_seconds", &o.gap_seconds, "roles", &roles) ||
        !read_rule(root, "links", &o.links) || !read_rule(root, "emotes", &o.emotes) ||
        !read_rule(root, "kaomoji", &o.kaomoji) || !read_rule(root, "long_texts", &o.long_texts)) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The checked chat configuration cannot be read: %s.", why.text);
        goto done;
    }
    const struct {
        const char *key;
        ishow_chat_words *words;
    } words[] = {{"platforms", &o.platforms}, {"channels", &o.channels},   {"banned_words", &o.banned_words},
                 {"bots", &o.bots},           {"blocklist", &o.blocklist}, {"mentions", &o.mentions},
                 {"languages", &o.languages}};
    int whole = 1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        whole &= (l.items[i] = read_words(root, words[i].key, words[i].words)) != NULL;
    read_voices(root, &o, &l);
    for (size_t i = 0; i < json_array_size(roles); i++)
        o.roles |= ishow_chat_role_find(json_string_value(json_array_get(roles, i)));
    o.queue_max = (size_t)queue_max;
    o.prefetch = (size_t)prefetch;
    if (!whole || !l.voices || !l.roles || !(*out = ishow_settings_copy(&o)))
        status = ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the chat configuration could not be had.");
done:
    for (size_t i = 0; i < sizeof l.items / sizeof *l.items; i++) free(l.items[i]);
    free(l.voices);
    free(l.roles);
    json_decref(root);
    return status;
}
