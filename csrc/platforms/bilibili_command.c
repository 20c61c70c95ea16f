/* Commands of Bilibili's live rooms. Only what is read aloud or deletes is decoded; the other kinds, over a hundred,
 * are counted. */
#include "platforms/bilibili.h"
#include "platforms/jsonspan.h"

enum { MICROS_OF_A_GOLD = 1000 }; /* 1000 gold are 1 CNY */

static int small(const json_t *value, int most) {
    int64_t whole = json_whole(value);
    return whole < 0 ? 0 : whole > most ? most : (int)whole;
}

static void take_guard(ishow_chat_message *m, const json_t *level) {
    int guard = small(level, 4);
    if (guard < 1 || guard > 3) return;
    m->guard_level = guard;
    m->roles |= ISHOW_CHAT_ROLE_GUARD;
}

/* {"anchor_roomid": ..} of gifts and super chats: whose medal is worn. */
static void take_medal(feed *f, ishow_chat_message *m, ishow_span room, const json_t *medal) {
    if (json_whole(json_object_get(medal, "medal_level")) > 0 &&
        span_same(json_span(f, json_object_get(medal, "anchor_roomid")), room))
        m->roles |= ISHOW_CHAT_ROLE_MEMBER;
}

/* The uid is 0 for everybody when read without a login. */
static void take_user(feed *f, ishow_chat_message *m, ishow_span owner, const json_t *uid, const json_t *name) {
    if (json_whole(uid)) m->user_id = json_span(f, uid);
    m->display_name = json_span(f, name);
    if (m->user_id.size && span_same(m->user_id, owner)) m->roles |= ISHOW_CHAT_ROLE_BROADCASTER;
}

static void take_money(ishow_chat_message *m, int64_t units, int64_t micros) {
    int64_t amount;
    if (units <= 0 || __builtin_mul_overflow(units, micros, &amount)) return;
    m->amount_micros = amount;
    memcpy(m->currency, "CNY", 4);
}

static int64_t seconds_as_ms(const json_t *value) {
    int64_t seconds = json_whole(value);
    return seconds > 0 && seconds < INT64_MAX / 1000 ? seconds * 1000 : 0;
}

enum { EMOTE_KEY_MAX = 64 }; /* bytes of "[dog]" */

/* Every "[...]" in the text that is a key of `emots`, such as "[dog]". Looked up by key, so that the time grows with
 * the text, not with the text times the number of keys. */
static void take_emotes(feed *f, ishow_chat_message *m, const json_t *emots) {
    const char *from = m->text.data, *end = from + m->text.size;
    size_t most = 0, n = 0;
    for (size_t i = 0; i < m->text.size; i++) most += from[i] == '[';
    ishow_chat_emote *found =
        most && json_object_size(emots) ? ishow_arena_take(&f->arena, most * sizeof *found) : NULL;
    if (!found) return;
    uint32_t point = 0;
    for (const char *p = from; p < end; p++) {
        if (((unsigned char)*p & 0xC0) == 0x80) continue;
        const size_t left = (size_t)(end - p), longest = left < EMOTE_KEY_MAX ? left : EMOTE_KEY_MAX;
        const char *close = *p == '[' ? memchr(p, ']', longest) : NULL;
        if (close) {
            char key[EMOTE_KEY_MAX + 1];
            const size_t size = (size_t)(close - p) + 1;
            memcpy(key, p, size);
            key[size] = '\0';
            const json_t *emote = strlen(key) == size ? json_object_get(emots, key) : NULL;
            if (emote) {
                const json_t *unique = json_object_get(emote, "emoticon_unique");
                uint32_t width = 0;
                for (size_t i = 0; i < size; i++) width += ((unsigned char)key[i] & 0xC0) != 0x80;
                found[n++] =
                    (ishow_chat_emote){point, point + width, unique ? json_span(f, unique) : feed_format(f, "%s", key)};
            }
        }
        point++;
    }
    feed_emotes(m, found, n);
}

static void take_danmaku(feed *f, ishow_span room, ishow_span owner, const json_t *info) {
    ishow_chat_message m = {0};
    const json_t *head = json_array_get(info, 0), *user = json_array_get(info, 2), *medal = json_array_get(info, 3);
    m.text = json_span(f, json_array_get(info, 1));
    if (!json_is_array(head) || !json_is_array(user) || !json_is_string(json_array_get(info, 1))) {
        f->malformed++;
        return;
    }
    take_user(f, &m, owner, json_array_get(user, 0), json_array_get(user, 1));
    if (json_set(json_array_get(user, 2))) m.roles |= ISHOW_CHAT_ROLE_MODERATOR;
    m.timestamp_ms = json_whole(json_array_get(head, 4));
    if (json_whole(json_array_get(medal, 0)) > 0 && span_same(json_span(f, json_array_get(medal, 3)), room))
        m.roles |= ISHOW_CHAT_ROLE_MEMBER;
    m.level = small(json_array_get(json_array_get(info, 4), 0), 1000);
    take_guard(&m, json_array_get(info, 7));
    /* More about it is JSON inside a string inside the JSON. */
    const json_t *extra_text = json_object_get(json_array_get(head, 15), "extra");
    json_t *extra = json_is_string(extra_text)
                        ? ishow_json_load(json_string_value(extra_text), json_string_length(extra_text))
                        : NULL;
    m.id = json_span(f, json_object_get(extra, "id_str"));
    if (!m.id.size) { /* older rooms: the id that their web page uses */
        ishow_span crc = json_span(f, json_array_get(head, 7)), rnd = json_span(f, json_array_get(head, 5));
        if (crc.size && rnd.size)
            m.id = feed_format(f, "%.*s-%.*s-%lld", (int)crc.size, crc.data, (int)rnd.size, rnd.data,
                               (long long)m.timestamp_ms);
    }
    if (json_whole(json_object_get(extra, "reply_mid"))) {
        m.reply_user_id = json_span(f, json_object_get(extra, "reply_mid"));
        m.reply_login = json_span(f, json_object_get(extra, "reply_uname"));
    }
    if (json_whole(json_array_get(head, 12)) == 1) { /* the message is a single emote */
        m.emote_only = 1;
        ishow_chat_emote *emote = ishow_arena_take(&f->arena, sizeof *emote);
        if (emote) {
            *emote = (ishow_chat_emote){0, UINT32_MAX,
                                        json_span(f, json_object_get(json_array_get(head, 13), "emoticon_unique"))};
            feed_emotes(&m, emote, 1);
        }
    } else
        take_emotes(f, &m, json_object_get(extra, "emots"));
    if (!m.text.size)
        f->ignored++;
    else
        feed_message(f, &m);
    json_decref(extra);
}

static void take_super_chat(feed *f, ishow_span room, ishow_span owner, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_PAID};
    const json_t *user = json_object_get(data, "user_info");
    ishow_span id = json_span(f, json_object_get(data, "id"));
    if (!id.size || !json_is_object(user)) {
        f->malformed++;
        return;
    }
    m.id = feed_format(f, "sc-%.*s", (int)id.size, id.data);
    m.text = json_span(f, json_object_get(data, "message"));
    take_user(f, &m, owner, json_object_get(data, "uid"), json_object_get(user, "uname"));
    if (json_set(json_object_get(user, "manager"))) m.roles |= ISHOW_CHAT_ROLE_MODERATOR;
    take_guard(&m, json_object_get(user, "guard_level"));
    take_medal(f, &m, room, json_object_get(data, "medal_info"));
    m.level = small(json_object_get(user, "user_level"), 1000);
    take_money(&m, json_whole(json_object_get(data, "price")), 1000000);
    m.timestamp_ms = seconds_as_ms(json_object_get(data, "start_time"));
    feed_message(f, &m);
}

static void take_gift(feed *f, ishow_span room, ishow_span owner, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_GIFT};
    m.gift_name = json_span(f, json_object_get(data, "giftName"));
    m.count = (uint64_t)small(json_object_get(data, "num"), INT32_MAX);
    if (!m.gift_name.size || !m.count) {
        f->malformed++;
        return;
    }
    ishow_span id = json_span(f, json_object_get(data, "tid"));
    if (!id.size) id = json_span(f, json_object_get(data, "rnd"));
    if (id.size) m.id = feed_format(f, "gift-%.*s", (int)id.size, id.data);
    take_user(f, &m, owner, json_object_get(data, "uid"), json_object_get(data, "uname"));
    take_guard(&m, json_object_get(data, "guard_level"));
    take_medal(f, &m, room, json_object_get(data, "medal_info"));
    if (span_is(json_span(f, json_object_get(data, "coin_type")), "gold"))
        take_money(&m, json_whole(json_object_get(data, "total_coin")), MICROS_OF_A_GOLD);
    m.timestamp_ms = seconds_as_ms(json_object_get(data, "timestamp"));
    feed_message(f, &m);
}

static void take_guard_buy(feed *f, ishow_span owner, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_SUBSCRIPTION};
    take_guard(&m, json_object_get(data, "guard_level"));
    m.count = (uint64_t)small(json_object_get(data, "num"), INT32_MAX);
    if (!m.guard_level || !m.count) {
        f->malformed++;
        return;
    }
    take_user(f, &m, owner, json_object_get(data, "uid"), json_object_get(data, "username"));
    m.gift_name = json_span(f, json_object_get(data, "gift_name"));
    int64_t gold;
    if (!__builtin_mul_overflow(json_whole(json_object_get(data, "price")), (int64_t)m.count, &gold))
        take_money(&m, gold, MICROS_OF_A_GOLD);
    m.timestamp_ms = seconds_as_ms(json_object_get(data, "start_time"));
    feed_message(f, &m);
}

static void take_deleted_super_chats(feed *f, const json_t *data) {
    const json_t *ids = json_object_get(data, "ids");
    if (!json_is_array(ids)) f->malformed++;
    for (size_t i = 0; i < json_array_size(ids); i++) {
        ishow_span id = json_span(f, json_array_get(ids, i));
        if (id.size) feed_delete(f, feed_format(f, "sc-%.*s", (int)id.size, id.data), (ishow_span){NULL, 0});
    }
}

void ishow_bilibili_command(feed *f, ishow_span room, ishow_span owner, const char *bytes, size_t n) {
    ishow_arena_reset(&f->arena);
    f->lines++;
    json_t *json = n <= BILIBILI_COMMAND_BYTES_MAX ? ishow_json_load(bytes, n) : NULL;
    const char *name = json_string_value(json_object_get(json, "cmd"));
    if (!name) {
        f->malformed++;
        json_decref(json);
        return;
    }
    ishow_span cmd = {name, strcspn(name, ":")}; /* "DANMU_MSG:4:0:2:2:2:0" */
    json_t *data = json_object_get(json, "data");
    if (span_is(cmd, "DANMU_MSG"))
        take_danmaku(f, room, owner, json_object_get(json, "info"));
    else if (span_is(cmd, "SUPER_CHAT_MESSAGE"))
        take_super_chat(f, room, owner, data);
    else if (span_is(cmd, "SUPER_CHAT_MESSAGE_DELETE"))
        take_deleted_super_chats(f, data);
    else if (span_is(cmd, "SEND_GIFT"))
        take_gift(f, room, owner, data);
    else if (span_is(cmd, "GUARD_BUY"))
        take_guard_buy(f, owner, data);
    else if (span_is(cmd, "RECALL_DANMU_MSG") && json_span(f, json_object_get(data, "target_id")).size)
        feed_delete(f, json_span(f, json_object_get(data, "target_id")), (ishow_span){NULL, 0});
    else if (span_is(cmd, "ROOM_BLOCK_MSG") && json_whole(json_object_get(data, "uid")))
        feed_delete_user(f, json_span(f, json_object_get(data, "uid")), json_span(f, json_object_get(data, "uname")),
                         0);
    else if (span_is(cmd, "PREPARING"))
        feed_notice(f, span_of("The broadcast has stopped."));
    else if (span_is(cmd, "LIVE"))
        feed_notice(f, span_of("The broadcast has started."));
    else
        f->ignored++;
    json_decref(json);
}
