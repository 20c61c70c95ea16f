/* Fields that many of Bilibili's commands share. */
#include "platforms/bilibili.h"

#include <openssl/evp.h>

#include "platforms/jsonspan.h"

int bilibili_small(const json_t *value, int most) {
    int64_t whole = json_whole(value);
    return whole < 0 ? 0 : whole > most ? most : (int)whole;
}

void bilibili_guard_level(ishow_chat_message *m, int64_t level) {
    if (level < 1 || level > 3) return;
    m->guard_level = (int)level;
    m->roles |= ISHOW_CHAT_ROLE_GUARD;
}

void bilibili_medal(feed *f, ishow_chat_message *m, const bilibili_room *room, const json_t *medal) {
    if (room->number[0] && json_whole(json_object_get(medal, "medal_level")) > 0 &&
        span_is(json_span(f, json_object_get(medal, "anchor_roomid")), room->number))
        m->roles |= ISHOW_CHAT_ROLE_MEMBER;
}

ishow_span bilibili_id(const json_t *uid, feed *f) {
    return json_whole(uid) ? json_span(f, uid) : (ishow_span){NULL, 0};
}

void bilibili_user(feed *f, ishow_chat_message *m, const bilibili_room *room, ishow_span id, ishow_span name) {
    (void)f;
    m->user_id = id;
    m->display_name = name;
    m->masked = !id.size && name.size && memmem(name.data, name.size, "***", 3) != NULL;
    if (id.size && span_is(id, room->owner)) m->roles |= ISHOW_CHAT_ROLE_BROADCASTER;
}

void bilibili_money(ishow_chat_message *m, int64_t units, int64_t micros) {
    int64_t amount;
    if (units <= 0 || __builtin_mul_overflow(units, micros, &amount)) return;
    m->amount_micros = amount;
    memcpy(m->currency, "CNY", 4);
}

int64_t bilibili_seconds_as_ms(const json_t *value) {
    int64_t seconds = json_whole(value);
    return seconds > 0 && seconds < INT64_MAX / 1000 ? seconds * 1000 : 0;
}

ishow_span bilibili_protobuf(feed *f, const json_t *data) {
    const json_t *text = json_object_get(data, "pb");
    const size_t n = json_string_length(text);
    unsigned char *bytes = n && n % 4 == 0 ? ishow_arena_take(&f->arena, n / 4 * 3) : NULL;
    if (!bytes) return (ishow_span){NULL, 0};
    const char *base64 = json_string_value(text);
    const int size = EVP_DecodeBlock(bytes, (const unsigned char *)base64, (int)n);
    const int padding = (base64[n - 1] == '=') + (base64[n - 2] == '=');
    return size < padding ? (ishow_span){NULL, 0} : (ishow_span){(const char *)bytes, (size_t)(size - padding)};
}
