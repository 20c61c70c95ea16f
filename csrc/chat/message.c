/* An accepted message: own copies of its fields, and its record for the journal. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/chat_internal.h"

char *span_copy(ishow_span s) {
    char *out = malloc(s.size + 1);
    if (!out) return NULL;
    if (s.size) memcpy(out, s.data, s.size);
    out[s.size] = '\0';
    return out;
}

item *item_create(const ishow_chat_message *m, const char *text, const char *viewer_key) {
    item *it = calloc(1, sizeof *it);
    if (!it) return NULL;
    it->state = ITEM_WAITING;
    it->kind = m->kind;
    it->roles = m->roles;
    it->timestamp_ms = m->timestamp_ms;
    it->amount_micros = m->amount_micros;
    it->bits = m->bits;
    it->count = m->count;
    memcpy(it->currency, m->currency, sizeof it->currency);
    it->currency[3] = '\0';
    it->platform = span_copy(m->platform);
    it->channel = span_copy(m->channel);
    it->id = span_copy(m->id);
    it->user_id = span_copy(m->user_id);
    it->login = span_copy(m->login);
    it->name = span_copy(m->display_name.size ? m->display_name : m->login);
    it->event = span_copy(m->system_text);
    it->gift = span_copy(m->gift_name);
    it->text = ishow_strdup(text);
    it->viewer = ishow_strdup(viewer_key);
    if (it->platform && it->channel && it->id && it->user_id && it->login && it->name && it->event && it->gift &&
        it->text && it->viewer)
        return it;
    item_free(it);
    return NULL;
}

void item_free(item *it) {
    if (!it) return;
    for (size_t i = 0; i < it->n_others; i++) {
        free(it->others[i].id);
        free(it->others[i].user);
    }
    free(it->others);
    free(it->platform);
    free(it->channel);
    free(it->id);
    free(it->user_id);
    free(it->login);
    free(it->name);
    free(it->text);
    free(it->event);
    free(it->gift);
    free(it->viewer);
    free(it->said);
    free(it->pcm);
    free(it->words);
    free(it);
}

int64_t item_weight(const item *it) { return 1 + (int64_t)it->n_others; }

int item_add_other(item *it, ishow_span id, const char *user) {
    if (it->n_others >= OTHERS_MAX) return 0;
    if (!it->others && !(it->others = calloc(OTHERS_MAX, sizeof *it->others))) return 0;
    other o = {span_copy(id), ishow_strdup(user)};
    if (!o.id || !o.user) {
        free(o.id);
        free(o.user);
        return 0;
    }
    it->others[it->n_others++] = o;
    return 1;
}

int item_remove_other(item *it, const char *id) {
    for (size_t i = 0; i < it->n_others; i++) {
        if (strcmp(it->others[i].id, id)) continue;
        free(it->others[i].id);
        free(it->others[i].user);
        memmove(&it->others[i], &it->others[i + 1], (it->n_others - i - 1) * sizeof *it->others);
        it->n_others--;
        return 1;
    }
    return 0;
}

static json_t *others_json(const item *it, int users) {
    json_t *list = json_array();
    for (size_t i = 0; i < it->n_others; i++)
        json_array_append_new(list, users ? json_pack("[ss]", it->others[i].id, it->others[i].user)
                                          : json_string(it->others[i].id));
    return list;
}

static json_t *amount_json(const item *it) {
    if (it->bits) return json_pack("{sIss}", "value", (json_int_t)it->bits, "currency", "bits");
    if (it->amount_micros)
        return json_pack("{sfss}", "value", 1e-6 * (double)it->amount_micros, "currency", it->currency);
    return json_null();
}

json_t *item_json(const item *it) {
    json_t *list = json_array();
    for (int i = 0; i < ISHOW_CHAT_ROLES; i++)
        if (it->roles >> i & 1) json_array_append_new(list, json_string(ishow_chat_role_name(i)));
    const struct {
        const char *key, *text;
    } texts[] = {{"id", it->id},
                 {"platform", it->platform},
                 {"channel", it->channel},
                 {"user_id", it->user_id},
                 {"user", it->name},
                 {"text", it->text},
                 {"priority", ishow_chat_priority_name(it->priority)}};
    json_t *object = json_object();
    int good = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        good &= !json_object_set_new(object, texts[i].key, json_string(texts[i].text));
    good &= !json_object_set_new(object, "roles", list);
    good &= !json_object_set_new(object, "voice", it->voice[0] ? json_string(it->voice) : json_null());
    good &= !json_object_set_new(object, "language", json_string(it->language));
    good &= !json_object_set_new(object, "timestamp", json_integer((json_int_t)it->timestamp_ms));
    good &= !json_object_set_new(object, "amount", amount_json(it));
    good &= !json_object_set_new(object, "merged", others_json(it, 0));
    if (good) return object;
    json_decref(object);
    return NULL;
}

/* ---- records ---- */

/* The fields of a record besides `held` and `others`, each required. */
typedef enum record_kind { ENUM, WHOLE, TEXT, CHARACTERS } record_kind; /* of 4 bytes, of 8, char *, char[size] */
#define FIELD(key, kind, member) \
    { key, kind, offsetof(item, member), sizeof((item *)0)->member }
static const struct {
    const char *key;
    record_kind kind;
    size_t at, size;
} record_fields[] = {
    FIELD("priority", ENUM, priority),
    FIELD("kind", ENUM, kind),
    FIELD("roles", ENUM, roles),
    FIELD("timestamp", WHOLE, timestamp_ms),
    FIELD("amount", WHOLE, amount_micros),
    FIELD("bits", WHOLE, bits),
    FIELD("count", WHOLE, count),
    FIELD("currency", CHARACTERS, currency),
    FIELD("platform", TEXT, platform),
    FIELD("channel", TEXT, channel),
    FIELD("id", TEXT, id),
    FIELD("user_id", TEXT, user_id),
    FIELD("login", TEXT, login),
    FIELD("name", TEXT, name),
    FIELD("text", TEXT, text),
    FIELD("event", TEXT, event),
    FIELD("gift", TEXT, gift),
    FIELD("voice", CHARACTERS, voice),
    FIELD("language", CHARACTERS, language),
    FIELD("viewer", TEXT, viewer),
};
enum { RECORD_FIELDS = sizeof record_fields / sizeof *record_fields };

char *item_record(const item *it) {
    json_t *record = json_object();
    for (size_t i = 0; i < RECORD_FIELDS; i++) {
        const void *const at = (const char *)it + record_fields[i].at;
        json_t *value = NULL;
        switch (record_fields[i].kind) {
        case ENUM: value = json_integer(*(const int *)at); break;
        case WHOLE: value = json_integer(*(const int64_t *)at); break;
        case TEXT: value = json_string(*(char *const *)at); break;
        case CHARACTERS: value = json_string(at); break;
        }
        json_object_set_new(record, record_fields[i].key, value);
    }
    json_object_set_new(record, "held", json_boolean(it->state == ITEM_HELD));
    json_object_set_new(record, "others", others_json(it, 1));
    char *text = json_object_size(record) == RECORD_FIELDS + 2 ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return text;
}

/* 0: the value is missing or of another type, or out of memory. */
static int read_field(size_t i, const json_t *value, item *it) {
    void *const at = (char *)it + record_fields[i].at;
    const char *text = json_string_value(value);
    switch (record_fields[i].kind) {
    case ENUM: *(int *)at = (int)json_integer_value(value); return json_is_integer(value);
    case WHOLE: *(int64_t *)at = json_integer_value(value); return json_is_integer(value);
    case TEXT: return text && (*(char **)at = ishow_strdup(text));
    case CHARACTERS: utf8_copy(at, record_fields[i].size, text, text ? strlen(text) : 0); return text != NULL;
    }
    return 0;
}

item *item_from_record(const char *record, uint64_t number) {
    json_t *root = json_loads(record, 0, NULL), *others = json_object_get(root, "others"), *pair;
    item *it = calloc(1, sizeof *it);
    int good = it && json_is_array(others);
    for (size_t i = 0; good && i < RECORD_FIELDS; i++)
        good = read_field(i, json_object_get(root, record_fields[i].key), it);
    good = good && (int)it->priority >= 0 && (int)it->priority < ISHOW_CHAT_PRIORITIES;
    char *folded = good ? fold_text(it->text, strlen(it->text)) : NULL;
    if (!folded) {
        item_free(it);
        json_decref(root);
        return NULL;
    }
    it->text_hash = fold_hash(folded);
    it->number = number;
    it->state = json_is_true(json_object_get(root, "held")) ? ITEM_HELD : ITEM_WAITING;
    free(folded);
    size_t i;
    json_array_foreach(others, i, pair) {
        const char *id = NULL, *user = NULL;
        if (!json_unpack(pair, "[ss]", &id, &user)) item_add_other(it, (ishow_span){id, strlen(id)}, user);
    }
    json_decref(root);
    return it;
}
