/* Commands of Bilibili's live rooms. Only what is read aloud, deletes or warns is decoded; the other kinds, over a
 * hundred, are counted. */
#include "platforms/bilibili.h"

#include "platforms/jsonspan.h"
#include "platforms/protobuf.h"
#include "base/utf8.h"

enum { STORM = 2 };          /* a gift by which everybody in the room may send the same text */
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
        if (utf8_continues(*p)) continue;
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
                const uint32_t width = (uint32_t)utf8_count(key, size);
                found[n++] =
                    (ishow_chat_emote){point, point + width, unique ? json_span(f, unique) : feed_format(f, "%s", key)};
            }
        }
        point++;
    }
    feed_emotes(m, found, n);
}

/* The CRC32 of the uid in hexadecimal, which is sent even when the uid is hidden; not that of "0". */
static ishow_span hidden_id(feed *f, const json_t *crc) {
    const ishow_span text = json_span(f, crc);
    if (text.size < 4 || text.size > 8 || span_is(text, "f4dbdf21") || !text.data[strspn(text.data, "0")])
        return (ishow_span){NULL, 0};
    return feed_format(f, "crc-%.*s", (int)text.size, text.data);
}

static void take_danmaku(feed *f, const bilibili_room *room, const json_t *info) {
    ishow_chat_message m = {0};
    const json_t *head = json_array_get(info, 0), *user = json_array_get(info, 2), *medal = json_array_get(info, 3);
    m.text = json_span(f, json_array_get(info, 1));
    if (!json_is_array(head) || !json_is_array(user) || !json_is_string(json_array_get(info, 1))) {
        f->malformed++;
        return;
    }
    if (json_whole(json_array_get(head, 9)) == STORM) {
        f->ignored++;
        return;
    }
    ishow_span uid = bilibili_id(json_array_get(user, 0), f);
    if (!uid.size) uid = hidden_id(f, json_array_get(head, 7));
    bilibili_user(f, &m, room, uid, json_span(f, json_array_get(user, 1)));
    if (json_set(json_array_get(user, 2))) m.roles |= ISHOW_CHAT_ROLE_MODERATOR;
    m.timestamp_ms = json_whole(json_array_get(head, 4));
    if (room->number[0] && json_whole(json_array_get(medal, 0)) > 0 &&
        span_is(json_span(f, json_array_get(medal, 3)), room->number))
        m.roles |= ISHOW_CHAT_ROLE_MEMBER;
    m.level = bilibili_small(json_array_get(json_array_get(info, 4), 0), 1000);
    bilibili_guard_level(&m, json_whole(json_array_get(info, 7)));
    /* `extra` is JSON in a string within the JSON. */
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

static void take_super_chat(feed *f, const bilibili_room *room, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_PAID};
    const json_t *user = json_object_get(data, "user_info");
    ishow_span id = json_span(f, json_object_get(data, "id"));
    if (!id.size || !json_is_object(user)) {
        f->malformed++;
        return;
    }
    m.id = feed_format(f, "sc-%.*s", (int)id.size, id.data);
    m.text = json_span(f, json_object_get(data, "message"));
    bilibili_user(f, &m, room, bilibili_id(json_object_get(data, "uid"), f),
                  json_span(f, json_object_get(user, "uname")));
    if (json_set(json_object_get(user, "manager"))) m.roles |= ISHOW_CHAT_ROLE_MODERATOR;
    bilibili_guard_level(&m, json_whole(json_object_get(user, "guard_level")));
    bilibili_medal(f, &m, room, json_object_get(data, "medal_info"));
    m.level = bilibili_small(json_object_get(user, "user_level"), 1000);
    bilibili_money(&m, json_whole(json_object_get(data, "price")), 1000000);
    m.timestamp_ms = bilibili_seconds_as_ms(json_object_get(data, "start_time"));
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

/* A viewer follows the streamer; viewers who enter, share or like are only counted. */
static void take_interaction(feed *f, const bilibili_room *room, int64_t kind, ishow_span uid, ishow_span name,
                             int64_t timestamp_ms) {
    enum { FOLLOWED = 2, FOLLOWED_SPECIALLY = 4, FOLLOW_EACH_OTHER = 5 };
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_EVENT, .timestamp_ms = timestamp_ms};
    if (!name.size) {
        f->malformed++;
        return;
    }
    if (kind != FOLLOWED && kind != FOLLOWED_SPECIALLY && kind != FOLLOW_EACH_OTHER) {
        f->ignored++;
        return;
    }
    bilibili_user(f, &m, room, uid, name);
    if (uid.size)
        m.id = feed_format(f, "follow-%.*s", (int)uid.size,
                           uid.data); /* a viewer who follows repeatedly is reported once */
    m.system_text = feed_format(f, "%.*s关注了主播", (int)name.size, name.data);
    feed_message(f, &m);
}

/* Field numbers as in blivedm's InteractWordV2. */
static void take_interaction_v2(feed *f, const bilibili_room *room, const json_t *data) {
    enum { UID = 1, NAME = 2, KIND = 5, TIMESTAMP = 7 };
    ishow_span rest = bilibili_protobuf(f, data), name = {NULL, 0};
    uint64_t uid = 0, kind = 0, timestamp = 0;
    protobuf_field field;
    int left;
    while ((left = protobuf_next(&rest, &field)) > 0) {
        if (field.number == UID) uid = field.whole;
        if (field.number == NAME) name = feed_text(f, field.bytes);
        if (field.number == KIND) kind = field.whole;
        if (field.number == TIMESTAMP) timestamp = field.whole;
    }
    if (left < 0)
        f->malformed++;
    else
        take_interaction(f, room, kind > INT32_MAX ? 0 : (int64_t)kind,
                         uid ? feed_format(f, "%llu", (unsigned long long)uid) : (ishow_span){NULL, 0}, name,
                         timestamp < INT32_MAX ? (int64_t)timestamp * 1000 : 0);
}

static void tell(feed *f, const char *what, const json_t *text) {
    const ishow_span words = feed_one_line(f, json_span(f, text));
    if (words.size)
        feed_notice(f, feed_format(f, "%s: \"%.*s\"", what, (int)words.size, words.data));
    else
        feed_notice(f, feed_format(f, "%s.", what));
}

/* 1: known. */
static int take_notice(feed *f, ishow_span cmd, const json_t *json, const json_t *data) {
    if (span_is(cmd, "PREPARING"))
        feed_notice(f, span_of("The broadcast has stopped."));
    else if (span_is(cmd, "LIVE"))
        feed_notice(f, span_of("The broadcast has started."));
    else if (span_is(cmd, "WARNING"))
        tell(f, "Bilibili warns the streamer", json_object_get(json, "msg"));
    else if (span_is(cmd, "CUT_OFF") || span_is(cmd, "CUT_OFF_V2"))
        tell(f, "Bilibili has cut the broadcast off", json_object_get(json, "msg"));
    else if (span_is(cmd, "ROOM_LOCK"))
        tell(f, "Bilibili has locked the room", json_object_get(json, "expire"));
    else if (span_is(cmd, "LOG_IN_NOTICE"))
        tell(f, "Names are masked, since no account is signed in", json_object_get(data, "notice_msg"));
    else
        return 0;
    return 1;
}

void ishow_bilibili_command(feed *f, bilibili_room *room, double now, const char *bytes, size_t n) {
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
    if (span_is(cmd, "DANMU_MSG") || span_is(cmd, "DANMU_MSG_MIRROR"))
        take_danmaku(f, room, json_object_get(json, "info"));
    else if (span_is(cmd, "SUPER_CHAT_MESSAGE"))
        take_super_chat(f, room, data);
    else if (span_is(cmd, "SUPER_CHAT_MESSAGE_DELETE"))
        take_deleted_super_chats(f, data);
    else if (span_is(cmd, "INTERACT_WORD"))
        take_interaction(f, room, json_whole(json_object_get(data, "msg_type")),
                         bilibili_id(json_object_get(data, "uid"), f), json_span(f, json_object_get(data, "uname")),
                         bilibili_seconds_as_ms(json_object_get(data, "timestamp")));
    else if (span_is(cmd, "INTERACT_WORD_V2"))
        take_interaction_v2(f, room, data);
    else if (span_is(cmd, "RECALL_DANMU_MSG") && json_span(f, json_object_get(data, "target_id")).size)
        feed_delete(f, json_span(f, json_object_get(data, "target_id")), (ishow_span){NULL, 0});
    else if (span_is(cmd, "ROOM_BLOCK_MSG") && json_whole(json_object_get(data, "uid")))
        feed_delete_user(f, json_span(f, json_object_get(data, "uid")), json_span(f, json_object_get(data, "uname")),
                         0);
    else if (!bilibili_gift_command(f, room, now, cmd, data) && !bilibili_open_command(f, room, now, cmd, data) &&
             !take_notice(f, cmd, json, data))
        f->ignored++;
    json_decref(json);
}
