/* A message for POST /api/danmaku/enqueue. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service/chat.h"

static int take_string(const json_t *value, const char *field, ishow_span *out, fault *f) {
    if (!json_is_string(value)) return ishow_fault_type(f, field, "a string", value);
    *out = (ishow_span){json_string_value(value), json_string_length(value)};
    return 1;
}

static int take_priority(const json_t *value, ishow_chat_priority *out, fault *f) {
    if (!json_is_string(value)) return ishow_fault_type(f, "priority", "a string", value);
    if (ishow_chat_priority_find(json_string_value(value), out)) return 1;
    return ishow_fault_set(f, 400, "out_of_range", "priority",
                           "priority must be one of Gift, Paid, Moderator, Mention, Normal, not \"%.64s\".",
                           json_string_value(value));
}

static const double TIMESTAMP_MS_MAX = 253402300799999; /* the end of the year 9999 */

/* Milliseconds since 1970, or "2026-01-31T12:00:00.000Z". */
static int take_timestamp(const json_t *value, int64_t *out, fault *f) {
    struct tm utc = {0};
    double seconds = 0;
    int zone_hours = 0, zone_minutes = 0, used = 0;
    char sign = 'Z';
    if (json_is_number(value)) {
        double v = json_number_value(value);
        if (!(v >= 0 && v <= TIMESTAMP_MS_MAX))
            return ishow_fault_set(f, 400, "out_of_range", "timestamp",
                                   "timestamp must be between 0 and %.0f milliseconds, not %g.", TIMESTAMP_MS_MAX, v);
        *out = (int64_t)v;
        return 1;
    }
    if (!json_is_string(value)) return ishow_fault_type(f, "timestamp", "a number or a string", value);
    const char *text = json_string_value(value);
    int n = sscanf(text, "%4d-%2d-%2dT%2d:%2d:%lf%n", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                   &utc.tm_min, &seconds, &used);
    const char *rest = text + used;
    int zoned = n == 6 && (!strcmp(rest, "Z") || !*rest);
    if (n == 6 && !zoned) {
        int end = 0;
        zoned = sscanf(rest, "%c%2d:%2d%n", &sign, &zone_hours, &zone_minutes, &end) == 3 &&
                (sign == '+' || sign == '-') && !rest[end];
    }
    utc.tm_year -= 1900;
    utc.tm_mon--;
    const struct tm given = utc;
    const int64_t day = zoned ? (int64_t)timegm(&utc) : -1; /* carries over what is too many, such as a 30th February */
    const int64_t offset = (zone_hours * 60 + zone_minutes) * 60;
    const int counted = zoned && seconds >= 0 && seconds < 61;
    *out = (day - (sign == '-' ? -offset : sign == '+' ? offset : 0)) * 1000;
    if (counted) *out += (int64_t)(seconds * 1000);
    if (counted && given.tm_mon == utc.tm_mon && given.tm_mday == utc.tm_mday && given.tm_hour == utc.tm_hour &&
        given.tm_min == utc.tm_min && zone_hours <= 23 && zone_minutes <= 59 && *out >= 0)
        return 1;
    return ishow_fault_set(f, 400, "out_of_range", "timestamp",
                           "timestamp must be milliseconds since 1970 or like 2026-01-31T12:00:00Z, not \"%.64s\".",
                           text);
}

static int take_roles(const json_t *value, unsigned *out, fault *f) {
    size_t i;
    json_t *role;
    if (!json_is_array(value)) return ishow_fault_type(f, "metadata.roles", "an array", value);
    json_array_foreach(value, i, role) {
        unsigned bit = json_is_string(role) ? ishow_chat_role_find(json_string_value(role)) : 0;
        if (!bit)
            return ishow_fault_set(f, 400, "out_of_range", "metadata.roles",
                                   "metadata.roles knows broadcaster, moderator, vip, subscriber, member, guard, staff "
                                   "and bot, not \"%.32s\".",
                                   json_is_string(role) ? json_string_value(role) : "something else");
        *out |= bit;
    }
    return 1;
}

/* Reads the known keys of `metadata`; unknown keys are allowed and ignored. */
static int take_metadata(const json_t *value, ishow_chat_message *m, fault *f) {
    if (json_is_null(value)) return 1;
    if (!json_is_object(value)) return ishow_fault_type(f, "metadata", "an object", value);
    const json_t *roles = json_object_get(value, "roles"), *amount = json_object_get(value, "amount"),
                 *currency = json_object_get(value, "currency");
    const json_t *gift = json_object_get(value, "gift"), *count = json_object_get(value, "count"),
                 *language = json_object_get(value, "language");
    if (roles && !take_roles(roles, &m->roles, f)) return 0;
    if (gift && !take_string(gift, "metadata.gift", &m->gift_name, f)) return 0;
    if (language && !take_string(language, "metadata.language", &m->language, f)) return 0;
    if (currency) {
        ishow_span code = {0};
        if (!take_string(currency, "metadata.currency", &code, f)) return 0;
        if (code.size != 3)
            return ishow_fault_set(f, 400, "out_of_range", "metadata.currency",
                                   "metadata.currency must have 3 letters, not %zu.", code.size);
        memcpy(m->currency, code.data, 3);
    }
    if (amount) {
        if (!json_is_number(amount)) return ishow_fault_type(f, "metadata.amount", "a number", amount);
        double v = json_number_value(amount);
        if (!(v >= 0 && v <= 1e9))
            return ishow_fault_set(f, 400, "out_of_range", "metadata.amount",
                                   "metadata.amount must be between 0 and 1e9, not %g.", v);
        m->amount_micros = (int64_t)llround(v * 1e6);
    }
    if (count) {
        json_int_t v;
        if (!take_whole(count, "metadata.count", &v, f)) return 0;
        if (v < 0)
            return ishow_fault_set(f, 400, "out_of_range", "metadata.count",
                                   "metadata.count must be 0 or more, not %lld.", (long long)v);
        m->count = (uint64_t)v;
    }
    return 1;
}

static int take_field(const char *field, const json_t *value, ishow_chat_message *m, fault *f) {
    const struct {
        const char *name;
        ishow_span *out;
        int optional;
    } strings[] = {{"id", &m->id, 0},           {"platform", &m->platform, 0},     {"channel", &m->channel, 0},
                   {"user_id", &m->user_id, 1}, {"username", &m->display_name, 0}, {"content", &m->text, 0}};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        if (!strcmp(field, strings[i].name))
            return (strings[i].optional && json_is_null(value)) || take_string(value, field, strings[i].out, f);
    if (!strcmp(field, "priority")) return json_is_null(value) || take_priority(value, &m->priority, f);
    if (!strcmp(field, "metadata")) return take_metadata(value, m, f);
    if (!strcmp(field, "timestamp")) return json_is_null(value) || take_timestamp(value, &m->timestamp_ms, f);
    return ishow_fault_set(f, 400, "unknown_field", field,
                           "There is no field of this name; fields are id, platform, channel, user_id, username, "
                           "priority, content, metadata, timestamp.");
}

int ishow_chat_service_parse(const json_t *root, ishow_chat_message *out, fault *f) {
    const char *field;
    json_t *value;
    struct timespec now;
    memset(out, 0, sizeof *out);
    clock_gettime(CLOCK_REALTIME, &now);
    out->timestamp_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    json_object_foreach((json_t *)(uintptr_t)root, field, value) if (!take_field(field, value, out, f)) return 0;
    static const char *const needed[] = {"id", "platform", "channel", "username", "content"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!json_object_get(root, needed[i]))
            return ishow_fault_set(f, 400, "missing_field", needed[i], "The field %s is needed.", needed[i]);
    if (!out->display_name.size)
        return ishow_fault_set(f, 400, "out_of_range", "username", "username must have at least one character.");
    if (out->priority == ISHOW_CHAT_PRIORITY_GIFT && out->gift_name.size)
        out->kind = ISHOW_CHAT_KIND_GIFT;
    else if (out->priority >= ISHOW_CHAT_PRIORITY_PAID && out->amount_micros)
        out->kind = ISHOW_CHAT_KIND_PAID;
    return 1;
}
