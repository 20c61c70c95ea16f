/* An accepted message: own copies of its fields, and its record for the journal. */
#include <stdlib.h>
#include <string.h>

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
    return json_pack("{ss,ss,ss,ss,ss,ss,ss,so,ss?,ss,sI,so,so}", "id", it->id, "platform", it->platform, "channel",
                     it->channel, "user_id", it->user_id, "user", it->name, "text", it->text, "priority",
                     ishow_chat_priority_name(it->priority), "roles", list, "voice", it->voice[0] ? it->voice : NULL,
                     "language", it->language, "timestamp", (json_int_t)it->timestamp_ms, "amount", amount_json(it),
                     "merged", others_json(it, 0));
}

char *item_record(const item *it) {
    json_t *record = json_pack(
        "{si,si,si,sI,sI,sI,sI,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,so}", "priority", (int)it->priority, "kind",
        (int)it->kind, "roles", (int)it->roles, "timestamp", (json_int_t)it->timestamp_ms, "amount",
        (json_int_t)it->amount_micros, "bits", (json_int_t)it->bits, "count", (json_int_t)it->count, "currency",
        it->currency, "platform", it->platform, "channel", it->channel, "id", it->id, "user_id", it->user_id, "login",
        it->login, "name", it->name, "text", it->text, "event", it->event, "gift", it->gift, "voice", it->voice,
        "language", it->language, "viewer", it->viewer, "others", others_json(it, 1));
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    return text;
}

item *item_from_record(const char *record, uint64_t number) {
    int priority = 0, kind = 0, roles = 0;
    json_int_t timestamp = 0, amount = 0, bits = 0, count = 0;
    const char *currency, *s[12];
    json_t *others = NULL, *root = json_loads(record, 0, NULL);
    item *it = NULL;
    if (!root ||
        json_unpack(root, "{si,si,si,sI,sI,sI,sI,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,ss,so}", "priority", &priority,
                    "kind", &kind, "roles", &roles, "timestamp", &timestamp, "amount", &amount, "bits", &bits, "count",
                    &count, "currency", &currency, "platform", &s[0], "channel", &s[1], "id", &s[2], "user_id", &s[3],
                    "login", &s[4], "name", &s[5], "text", &s[6], "event", &s[7], "gift", &s[8], "voice", &s[9],
                    "language", &s[10], "viewer", &s[11], "others", &others) ||
        priority < 0 || priority >= ISHOW_CHAT_PRIORITIES)
        goto done;
#define SPAN(x) {x, strlen(x)}
    ishow_chat_message m = {.platform = SPAN(s[0]),
                            .channel = SPAN(s[1]),
                            .id = SPAN(s[2]),
                            .user_id = SPAN(s[3]),
                            .login = SPAN(s[4]),
                            .display_name = SPAN(s[5]),
                            .system_text = SPAN(s[7]),
                            .gift_name = SPAN(s[8]),
                            .kind = (ishow_chat_kind)kind,
                            .roles = (unsigned)roles,
                            .timestamp_ms = timestamp,
                            .amount_micros = amount,
                            .bits = (uint64_t)bits,
                            .count = (uint64_t)count};
#undef SPAN
    strncpy(m.currency, currency, 3);
    char *folded = fold_text(s[6], strlen(s[6]));
    if (!folded || !(it = item_create(&m, s[6], s[11]))) {
        free(folded);
        goto done;
    }
    it->text_hash = fold_hash(folded);
    free(folded);
    it->number = number;
    it->priority = (ishow_chat_priority)priority;
    strncpy(it->voice, s[9], sizeof it->voice - 1);
    strncpy(it->language, s[10], sizeof it->language - 1);
    size_t i;
    json_t *pair;
    json_array_foreach(others, i, pair) {
        const char *id = NULL, *user = NULL;
        if (!json_unpack(pair, "[ss]", &id, &user)) item_add_other(it, (ishow_span){id, strlen(id)}, user);
    }
done:
    json_decref(root);
    return it;
}
