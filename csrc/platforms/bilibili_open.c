/* Commands of Bilibili's open platform: the same events with names and ids whole. Fields:
 * https://open-live.bilibili.com/document/f9ce25be-312e-1f4a-85fd-fef21f1637f8 */
#include "platforms/bilibili.h"
#include "platforms/jsonspan.h"

enum { MICROS_OF_A_UNIT = 1000 }; /* prices: 1000 are 1 CNY */

static void take_viewer(feed *f, ishow_chat_message *m, const bilibili_room *room, const json_t *user,
                        const json_t *data) {
    bilibili_user(f, m, room, json_span(f, json_object_get(user, "open_id")),
                  json_span(f, json_object_get(user, "uname")));
    bilibili_guard_level(m, json_whole(json_object_get(data, "guard_level")));
    if (json_set(json_object_get(data, "fans_medal_wearing_status"))) m->roles |= ISHOW_CHAT_ROLE_MEMBER;
    if (json_set(json_object_get(data, "is_admin"))) m->roles |= ISHOW_CHAT_ROLE_MODERATOR;
    m->id = json_span(f, json_object_get(data, "msg_id"));
    m->timestamp_ms = bilibili_seconds_as_ms(json_object_get(data, "timestamp"));
}

static void take_danmaku(feed *f, const bilibili_room *room, const json_t *data) {
    ishow_chat_message m = {0};
    m.text = json_span(f, json_object_get(data, "msg"));
    if (!m.text.size) {
        f->malformed++;
        return;
    }
    take_viewer(f, &m, room, data, data);
    if (json_whole(json_object_get(data, "dm_type")) == 1) { /* the text names one picture */
        m.emote_only = 1;
        ishow_chat_emote *emote = ishow_arena_take(&f->arena, sizeof *emote);
        if (emote) {
            *emote = (ishow_chat_emote){0, UINT32_MAX, m.text};
            feed_emotes(&m, emote, 1);
        }
    }
    m.reply_user_id = json_span(f, json_object_get(data, "reply_open_id"));
    m.reply_login = json_span(f, json_object_get(data, "reply_uname"));
    feed_message(f, &m);
}

static void take_gift(feed *f, bilibili_room *room, double now, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_GIFT};
    const json_t *combo = json_object_get(data, "combo_info");
    int64_t price;
    m.gift_name = json_span(f, json_object_get(data, "gift_name"));
    m.count = (uint64_t)bilibili_small(json_object_get(data, "gift_num"), INT32_MAX);
    if (!m.gift_name.size || !m.count) {
        f->malformed++;
        return;
    }
    take_viewer(f, &m, room, data, data);
    if (json_set(json_object_get(data, "paid")) &&
        !__builtin_mul_overflow(json_whole(json_object_get(data, "r_price")), (int64_t)m.count, &price))
        bilibili_money(&m, price, MICROS_OF_A_UNIT);
    bilibili_gift(f, room, now, &m, json_span(f, json_object_get(combo, "combo_id")),
                  json_set(json_object_get(data, "combo_gift"))
                      ? 1 + bilibili_small(json_object_get(combo, "combo_timeout"), 9)
                      : 0);
}

static void take_guard(feed *f, bilibili_room *room, const json_t *data) {
    static const char *const names[] = {"", "总督", "提督", "舰长"};
    ishow_chat_message m = {0};
    take_viewer(f, &m, room, json_object_get(data, "user_info"), data);
    m.count = (uint64_t)bilibili_small(json_object_get(data, "guard_num"), INT32_MAX);
    if (!m.guard_level || !m.count) {
        f->malformed++;
        return;
    }
    m.gift_name = span_of(names[m.guard_level]);
    bilibili_money(&m, json_whole(json_object_get(data, "price")), MICROS_OF_A_UNIT);
    bilibili_guard(f, room, &m);
}

static void take_super_chat(feed *f, const bilibili_room *room, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_PAID};
    const ishow_span id = json_span(f, json_object_get(data, "message_id"));
    if (!id.size) {
        f->malformed++;
        return;
    }
    take_viewer(f, &m, room, data, data);
    m.id = feed_format(f, "sc-%.*s", (int)id.size, id.data);
    m.text = json_span(f, json_object_get(data, "message"));
    bilibili_money(&m, json_whole(json_object_get(data, "rmb")), 1000000);
    feed_message(f, &m);
}

static void take_deleted(feed *f, const json_t *data) {
    const json_t *ids = json_object_get(data, "message_ids");
    if (!json_is_array(ids)) f->malformed++;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const ishow_span id = json_span(f, json_array_get(ids, i));
        if (id.size) feed_delete(f, feed_format(f, "sc-%.*s", (int)id.size, id.data), (ishow_span){NULL, 0});
    }
}

int bilibili_open_command(feed *f, bilibili_room *room, double now, ishow_span cmd, const json_t *data) {
    static const char prefix[] = "LIVE_OPEN_PLATFORM_";
    if (cmd.size < sizeof prefix || memcmp(cmd.data, prefix, sizeof prefix - 1)) return 0;
    const ishow_span what = {cmd.data + sizeof prefix - 1, cmd.size - sizeof prefix + 1};
    if (span_is(what, "DM") || span_is(what, "DM_MIRROR"))
        take_danmaku(f, room, data);
    else if (span_is(what, "SEND_GIFT"))
        take_gift(f, room, now, data);
    else if (span_is(what, "GUARD"))
        take_guard(f, room, data);
    else if (span_is(what, "SUPER_CHAT"))
        take_super_chat(f, room, data);
    else if (span_is(what, "SUPER_CHAT_DEL"))
        take_deleted(f, data);
    else if (span_is(what, "INTERACTION_END"))
        room->over = 1;
    else if (span_is(what, "LIVE_START"))
        feed_notice(f, span_of("The broadcast has started."));
    else if (span_is(what, "LIVE_END"))
        feed_notice(f, span_of("The broadcast has stopped."));
    else
        return 0;
    return 1;
}
