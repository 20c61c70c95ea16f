/* Options: their defaults, a copy that owns its strings, and the [chat] section of the configuration. Values of that
 * section were checked and completed in Python, so each must be present with its type; nothing has a second default
 * here. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"
#include "base/grow.h"

struct ishow_chat_settings {
    ishow_chat_options o;
    void **owned;
    size_t n_owned, capacity;
    int failed;
};

/* A row for each key of the section but roles, voices and role_voices. */
typedef enum kind { FLAG, WHOLE, SIZE, REAL, TEXT, RULE, LEVEL, WORDS } kind;
#define OPTION(key, kind, field) \
    { key, kind, offsetof(ishow_chat_options, field) }
static const struct {
    const char *key;
    kind kind; /* of the field: int 0 or 1, int, size_t, double, string, ishow_chat_rule, ishow_chat_strictness,
                  ishow_chat_words */
    size_t offset;
} table[] = {
    OPTION("platforms", WORDS, platforms),
    OPTION("channels", WORDS, channels),
    OPTION("banned_words", WORDS, banned_words),
    OPTION("banned_level", LEVEL, banned_level),
    OPTION("bots", WORDS, bots),
    OPTION("blocklist", WORDS, blocklist),
    OPTION("rewards", WORDS, rewards),
    OPTION("webhooks", WORDS, webhooks),
    OPTION("mentions", WORDS, mentions),
    OPTION("languages", WORDS, languages),
    OPTION("links", RULE, links),
    OPTION("emotes", RULE, emotes),
    OPTION("kaomoji", RULE, kaomoji),
    OPTION("long_texts", RULE, long_texts),
    OPTION("events", FLAG, events),
    OPTION("words_max", WHOLE, words_max),
    OPTION("characters_max", WHOLE, graphemes_max),
    OPTION("seconds_max", REAL, seconds_max),
    OPTION("seconds_max_paid", REAL, seconds_max_paid),
    OPTION("command_prefixes", WORDS, command_prefixes),
    OPTION("approval", FLAG, approval),
    OPTION("voice_command", FLAG, voice_command),
    OPTION("cooldown_seconds", REAL, cooldown_seconds),
    OPTION("repeat_seconds", REAL, repeat_seconds),
    OPTION("flood_messages", WHOLE, flood_messages),
    OPTION("flood_seconds", REAL, flood_seconds),
    OPTION("rate", REAL, rate),
    OPTION("voice_per_viewer", FLAG, voice_per_viewer),
    OPTION("language", TEXT, language),
    OPTION("template", TEXT, template_text),
    OPTION("template_paid", TEXT, template_paid),
    OPTION("template_gift", TEXT, template_gift),
    OPTION("template_member", TEXT, template_member),
    OPTION("template_event", TEXT, template_event),
    OPTION("clean_names", FLAG, clean_names),
    OPTION("name_again_seconds", REAL, name_again_seconds),
    OPTION("queue_max", SIZE, queue_max),
    OPTION("ageing_seconds", REAL, ageing_seconds),
    OPTION("expire_seconds", REAL, expire_seconds),
    OPTION("prefetch", SIZE, prefetch),
    OPTION("gap_seconds", REAL, gap_seconds),
};
enum { N_OPTIONS = sizeof table / sizeof *table };

ishow_chat_options ishow_chat_options_default(void) {
    static const char *const prefixes[] = {ISHOW_CHAT_COMMAND_PREFIX};
    return (ishow_chat_options){.banned_level = ISHOW_CHAT_NORMAL,
                                .links = ISHOW_CHAT_STRIP,
                                .emotes = ISHOW_CHAT_STRIP,
                                .kaomoji = ISHOW_CHAT_STRIP,
                                .long_texts = ISHOW_CHAT_STRIP,
                                .events = 1,
                                .words_max = ISHOW_CHAT_WORDS_MAX,
                                .graphemes_max = ISHOW_CHAT_GRAPHEMES_MAX,
                                .seconds_max = ISHOW_CHAT_CLIP_SECONDS,
                                .seconds_max_paid = ISHOW_CHAT_CLIP_SECONDS_PAID,
                                .command_prefixes = {prefixes, 1},
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
                                .template_member = ISHOW_CHAT_TEMPLATE_MEMBER,
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
    void **more = ishow_grow(s->owned, &s->capacity, s->n_owned + 1, sizeof *more);
    if (more) s->owned = more;
    if (!more || !block) {
        free(block);
        s->failed = 1;
        return NULL;
    }
    return s->owned[s->n_owned++] = block;
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
    for (size_t i = 0; i < N_OPTIONS; i++) {
        void *const at = (char *)o + table[i].offset;
        const char **const text = at;
        if (table[i].kind == TEXT) *text = own_text(s, *text);
        if (table[i].kind == WORDS) own_words(s, at);
    }
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
    const char **items[N_OPTIONS];
    ishow_chat_voice *voices;
    ishow_chat_role_voice *roles;
} lists;

/* Returns the array in *out, free() it; NULL: no memory. */
static const char **read_words(const json_t *list, ishow_chat_words *out) {
    size_t n = json_array_size(list);
    const char **items = calloc(n + 1, sizeof *items);
    for (size_t i = 0; items && i < n; i++) items[i] = json_string_value(json_array_get(list, i));
    *out = (ishow_chat_words){items, items ? n : 0};
    return items;
}

/* Writes `value` to a field; 0: it has another type. */
static int read_value(const json_t *value, kind kind, void *field) {
    const char *word = json_string_value(value);
    switch (kind) {
    case FLAG: *(int *)field = json_is_true(value); return json_is_boolean(value);
    case WHOLE: *(int *)field = (int)json_integer_value(value); return json_is_integer(value);
    case SIZE: *(size_t *)field = (size_t)json_integer_value(value); return json_is_integer(value);
    case REAL: *(double *)field = json_number_value(value); return json_is_number(value);
    case TEXT: *(const char **)field = word; return word != NULL;
    case RULE:
        *(ishow_chat_rule *)field = !word                     ? ISHOW_CHAT_STRIP
                                    : !strcmp(word, "read")   ? ISHOW_CHAT_READ
                                    : !strcmp(word, "refuse") ? ISHOW_CHAT_REFUSE
                                                              : ISHOW_CHAT_STRIP;
        return word != NULL;
    case LEVEL:
        *(ishow_chat_strictness *)field = !word                     ? ISHOW_CHAT_NORMAL
                                          : !strcmp(word, "exact")  ? ISHOW_CHAT_EXACT
                                          : !strcmp(word, "strict") ? ISHOW_CHAT_STRICT
                                                                    : ISHOW_CHAT_NORMAL;
        return word != NULL;
    case WORDS: break;
    }
    return json_is_array(value);
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
    ishow_status status = ISHOW_OK;
    ishow_chat_options o = ishow_chat_options_default();
    lists l = {0};
    *out = NULL;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL), *roles = json_object_get(root, "roles");
    int complete = 1;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const json_t *value = json_object_get(root, table[i].key);
        void *const field = (char *)&o + table[i].offset;
        if (!read_value(value, table[i].kind, field)) {
            status = ishow_fail(error, ISHOW_EINTERNAL, "",
                                "The checked chat configuration has no chat.%s of the right type.", table[i].key);
            goto done;
        }
        if (table[i].kind == WORDS) complete &= (l.items[i] = read_words(value, field)) != NULL;
    }
    read_voices(root, &o, &l);
    for (size_t i = 0; i < json_array_size(roles); i++)
        o.roles |= ishow_chat_role_find(json_string_value(json_array_get(roles, i)));
    if (!complete || !l.voices || !l.roles || !(*out = ishow_settings_copy(&o)))
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat configuration.");
done:
    for (size_t i = 0; i < N_OPTIONS; i++) free(l.items[i]);
    free(l.voices);
    free(l.roles);
    json_decref(root);
    return status;
}
