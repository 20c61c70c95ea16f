/* Gifts and guards of Bilibili. A viewer who clicks thirty times sends thirty commands; they are held back until the
 * clicks stop and become one message. */
#include "platforms/bilibili.h"

#include <math.h>
#include <stdio.h>

#include "platforms/jsonspan.h"
#include "platforms/protobuf.h"
#include "base/hash.h"
#include "base/utf8.h"

enum { MICROS_OF_A_GOLD = 1000 }; /* 1000 gold are 1 CNY */
enum {
    STAY_SECONDS = 3, /* seconds within which the next click follows, when the platform does not tell */
    STAY_MAX = 10,
    GRACE_SECONDS = 1,  /* seconds within which COMBO_SEND follows */
    COMBO_SECONDS = 60, /* longer combos become several messages */
    GUARD_SECONDS = 10  /* seconds within which all commands of one purchase come */
};

/* ---- combos ---- */

static void keep(char *out, size_t size, ishow_span text) { utf8_copy(out, size, text.data, text.size); }

static void hand_on(feed *f, bilibili_room *room, size_t i) {
    const bilibili_combo c = room->combos[i];
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_GIFT,
                            .user_id = span_of(c.user_id),
                            .display_name = span_of(c.name),
                            .gift_name = span_of(c.gift),
                            .roles = c.roles,
                            .masked = c.masked != 0,
                            .guard_level = c.guard_level,
                            .count = c.count,
                            .timestamp_ms = c.timestamp_ms};
    bilibili_money(&m, c.amount_micros, 1);
    if (c.first[0]) m.id = feed_format(f, "combo-%s", c.first);
    room->combos[i] = room->combos[--room->n_combos];
    feed_message(f, &m);
}

double ishow_bilibili_flush(feed *f, bilibili_room *room, double now) {
    double next = (double)INFINITY;
    for (size_t i = 0; i < room->n_combos;)
        if (room->combos[i].due <= now)
            hand_on(f, room, i);
        else
            next = fmin(next, room->combos[i++].due);
    return next;
}

static int is(ishow_span text, const char *kept) { return text.size ? span_is(text, kept) : !*kept; }

/* Compares the platform's ids when both have one, else viewer and gift. */
static bilibili_combo *find(bilibili_room *room, ishow_span id, ishow_span user_id, ishow_span name, ishow_span gift) {
    for (size_t i = 0; i < room->n_combos; i++) {
        bilibili_combo *c = &room->combos[i];
        const int same = id.size && c->id[0] ? is(id, c->id) : is(user_id, c->user_id) && is(name, c->name);
        if (same && is(gift, c->gift)) return c;
    }
    return NULL;
}

static uint64_t sum_of(uint64_t a, uint64_t b) { return a > UINT64_MAX - b ? UINT64_MAX : a + b; }

void bilibili_gift(feed *f, bilibili_room *room, double now, const ishow_chat_message *m, ishow_span combo,
                   double stay) {
    ishow_chat_message copy = *m;
    if (!(stay > 0)) {
        feed_message(f, &copy);
        return;
    }
    if (m->id.size && !feed_first(f, m->id)) return;
    bilibili_combo *c = find(room, combo, m->user_id, m->display_name, m->gift_name);
    if (!c) {
        if (room->n_combos == BILIBILI_COMBOS_MAX) { /* the one that has waited longest is sent first */
            size_t oldest = 0;
            for (size_t i = 1; i < room->n_combos; i++)
                if (room->combos[i].began < room->combos[oldest].began) oldest = i;
            hand_on(f, room, oldest);
        }
        c = &room->combos[room->n_combos++];
        *c = (bilibili_combo){.roles = m->roles,
                              .masked = m->masked,
                              .guard_level = m->guard_level,
                              .timestamp_ms = m->timestamp_ms,
                              .began = now};
        keep(c->id, sizeof c->id, combo);
        keep(c->first, sizeof c->first, m->id);
        keep(c->user_id, sizeof c->user_id, m->user_id);
        keep(c->name, sizeof c->name, m->display_name);
        keep(c->gift, sizeof c->gift, m->gift_name);
    }
    c->count = sum_of(c->count, m->count);
    if (__builtin_add_overflow(c->amount_micros, m->amount_micros, &c->amount_micros)) c->amount_micros = INT64_MAX;
    c->due = fmin(now + fmin(stay, STAY_MAX) + GRACE_SECONDS, c->began + COMBO_SECONDS);
}

/* COMBO_SEND: the clicks have stopped, with their sum. Clicks before our connection are in its sum but not in ours,
 * since they were not received. */
static void take_combo(feed *f, bilibili_room *room, const json_t *data) {
    const json_t *id = json_object_get(data, "batch_combo_id");
    bilibili_combo *c =
        find(room, json_span(f, id), bilibili_id(json_object_get(data, "uid"), f),
             json_span(f, json_object_get(data, "uname")), json_span(f, json_object_get(data, "gift_name")));
    if (!c) {
        f->ignored++;
        return;
    }
    const uint64_t total = (uint64_t)bilibili_small(json_object_get(data, "total_num"), INT32_MAX);
    int64_t coins = json_whole(json_object_get(data, "combo_total_coin")), micros;
    if (total > c->count) c->count = total;
    if (c->amount_micros && !__builtin_mul_overflow(coins, (int64_t)MICROS_OF_A_GOLD, &micros) &&
        micros > c->amount_micros)
        c->amount_micros = micros;
    hand_on(f, room, (size_t)(c - room->combos));
}

/* ---- gifts ---- */

static void take_gift(feed *f, bilibili_room *room, double now, const json_t *data) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_GIFT};
    m.gift_name = json_span(f, json_object_get(data, "giftName"));
    m.count = (uint64_t)bilibili_small(json_object_get(data, "num"), INT32_MAX);
    if (!m.gift_name.size || !m.count) {
        f->malformed++;
        return;
    }
    ishow_span id = json_span(f, json_object_get(data, "tid"));
    if (!id.size) id = json_span(f, json_object_get(data, "rnd"));
    if (id.size) m.id = feed_format(f, "gift-%.*s", (int)id.size, id.data);
    bilibili_user(f, &m, room, bilibili_id(json_object_get(data, "uid"), f),
                  json_span(f, json_object_get(data, "uname")));
    bilibili_guard_level(&m, json_whole(json_object_get(data, "guard_level")));
    bilibili_medal(f, &m, room, json_object_get(data, "medal_info"));
    if (span_is(json_span(f, json_object_get(data, "coin_type")), "gold"))
        bilibili_money(&m, json_whole(json_object_get(data, "total_coin")), MICROS_OF_A_GOLD);
    m.timestamp_ms = bilibili_seconds_as_ms(json_object_get(data, "timestamp"));
    const ishow_span combo = json_span(f, json_object_get(data, "batch_combo_id"));
    const int stay = bilibili_small(json_object_get(data, "combo_stay_time"), STAY_MAX);
    bilibili_gift(f, room, now, &m, combo, !combo.size ? 0 : stay ? stay : STAY_SECONDS);
}

/* Field numbers as in blivedm's SendGiftBroadcast. 0: damaged. */
static int take_gift_item(feed *f, bilibili_room *room, double now, const ishow_chat_message *from, ishow_span item) {
    enum { GIFT_NAME = 2, NUM = 3, TOTAL_COIN = 7, COIN_TYPE = 8, TID = 9, TIMESTAMP = 10, RND = 12 };
    ishow_chat_message m = *from;
    ishow_span tid = {NULL, 0}, rnd = {NULL, 0}, coin = {NULL, 0};
    uint64_t coins = 0;
    protobuf_field field;
    int left;
    while ((left = protobuf_next(&item, &field)) > 0) {
        if (field.number == GIFT_NAME) m.gift_name = feed_text(f, field.bytes);
        if (field.number == NUM) m.count = field.whole > INT32_MAX ? INT32_MAX : field.whole;
        if (field.number == TOTAL_COIN) coins = field.whole;
        if (field.number == COIN_TYPE) coin = field.bytes;
        if (field.number == TID) tid = feed_text(f, field.bytes);
        if (field.number == TIMESTAMP && field.whole < INT32_MAX) m.timestamp_ms = (int64_t)field.whole * 1000;
        if (field.number == RND) rnd = feed_text(f, field.bytes);
    }
    if (left < 0 || !m.gift_name.size || !m.count) return 0;
    if (!tid.size) tid = rnd;
    if (tid.size) m.id = feed_format(f, "gift-%.*s", (int)tid.size, tid.data);
    if (span_is(coin, "gold") && coins <= INT64_MAX) bilibili_money(&m, (int64_t)coins, MICROS_OF_A_GOLD);
    bilibili_gift(f, room, now, &m, (ishow_span){NULL, 0}, STAY_SECONDS);
    return 1;
}

static void take_gift_v2(feed *f, bilibili_room *room, double now, const json_t *data) {
    enum { UID = 1, NAME = 2, GUARD = 5, GIFT = 10 };
    const ishow_span whole = bilibili_protobuf(f, data);
    ishow_chat_message from = {.kind = ISHOW_CHAT_KIND_GIFT};
    ishow_span rest = whole, name = {NULL, 0};
    uint64_t uid = 0;
    protobuf_field field;
    int left, gifts = 0;
    while ((left = protobuf_next(&rest, &field)) > 0) {
        if (field.number == UID) uid = field.whole;
        if (field.number == NAME) name = feed_text(f, field.bytes);
        if (field.number == GUARD) bilibili_guard_level(&from, field.whole > 3 ? 0 : (int64_t)field.whole);
    }
    bilibili_user(f, &from, room, uid ? feed_format(f, "%llu", (unsigned long long)uid) : (ishow_span){NULL, 0}, name);
    int good = left == 0;
    rest = whole;
    while (good && protobuf_next(&rest, &field) > 0)
        if (field.number == GIFT) {
            gifts++;
            good = take_gift_item(f, room, now, &from, field.bytes);
        }
    if (!good || !gifts) f->malformed++;
}

/* ---- guards ---- */

void bilibili_guard(feed *f, bilibili_room *room, ishow_chat_message *m) {
    const ishow_span user = m->user_id.size ? m->user_id : m->display_name;
    const uint64_t who = hash_more(HASH_START ^ (uint64_t)m->guard_level, user.data, user.size);
    const int64_t at = m->timestamp_ms / 1000;
    m->kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
    for (size_t i = 0; i < BILIBILI_GUARDS_MAX; i++)
        if (room->guards[i].who == who && at - room->guards[i].at <= GUARD_SECONDS &&
            room->guards[i].at - at <= GUARD_SECONDS) {
            f->duplicates++;
            return;
        }
    room->guards[room->next_guard].who = who;
    room->guards[room->next_guard].at = at;
    room->next_guard = (room->next_guard + 1) % BILIBILI_GUARDS_MAX;
    if (at) m->id = feed_format(f, "guard-%016llx-%lld", (unsigned long long)who, (long long)at);
    feed_message(f, m);
}

static void take_guard(feed *f, bilibili_room *room, ishow_chat_message *m, const json_t *level, const json_t *count,
                       const json_t *price) {
    bilibili_guard_level(m, json_whole(level));
    m->count = (uint64_t)bilibili_small(count, INT32_MAX);
    if (!m->guard_level || !m->count) {
        f->malformed++;
        return;
    }
    int64_t gold;
    if (!__builtin_mul_overflow(json_whole(price), (int64_t)m->count, &gold)) bilibili_money(m, gold, MICROS_OF_A_GOLD);
    bilibili_guard(f, room, m);
}

/* "<%name%> 开通了舰长" without the marks. */
static ishow_span toast_text(feed *f, const json_t *value) {
    const ishow_span text = feed_one_line(f, json_span(f, value));
    char *to = text.size ? ishow_arena_take(&f->arena, text.size) : NULL;
    size_t n = 0;
    for (size_t i = 0; to && i < text.size; i++) {
        const int mark = i + 1 < text.size && (!memcmp(text.data + i, "<%", 2) || !memcmp(text.data + i, "%>", 2));
        if (mark)
            i++;
        else
            to[n++] = text.data[i];
    }
    return (ishow_span){to, n};
}

static void take_guard_buy(feed *f, bilibili_room *room, const json_t *data) {
    ishow_chat_message m = {.timestamp_ms = bilibili_seconds_as_ms(json_object_get(data, "start_time"))};
    bilibili_user(f, &m, room, bilibili_id(json_object_get(data, "uid"), f),
                  json_span(f, json_object_get(data, "username")));
    m.gift_name = json_span(f, json_object_get(data, "gift_name"));
    take_guard(f, room, &m, json_object_get(data, "guard_level"), json_object_get(data, "num"),
               json_object_get(data, "price"));
}

/* The same purchase in two commands. A purchase is followed by one of source 2, which the platform's page does not
 * show. */
static void take_toast(feed *f, bilibili_room *room, const json_t *data, int second) {
    const json_t *user = second ? json_object_get(data, "sender_uinfo") : data,
                 *guard = second ? json_object_get(data, "guard_info") : data,
                 *pay = second ? json_object_get(data, "pay_info") : data,
                 *option = second ? json_object_get(data, "option") : data;
    ishow_chat_message m = {.timestamp_ms = bilibili_seconds_as_ms(json_object_get(guard, "start_time"))};
    if (json_whole(json_object_get(option, "source"))) {
        f->ignored++;
        return;
    }
    bilibili_user(f, &m, room, bilibili_id(json_object_get(user, "uid"), f),
                  json_span(f, second ? json_object_get(json_object_get(user, "base"), "name")
                                      : json_object_get(user, "username")));
    m.gift_name = json_span(f, json_object_get(guard, "role_name"));
    m.system_text = toast_text(f, json_object_get(data, "toast_msg"));
    take_guard(f, room, &m, json_object_get(guard, "guard_level"), json_object_get(pay, "num"),
               json_object_get(pay, "price"));
}

int bilibili_gift_command(feed *f, bilibili_room *room, double now, ishow_span cmd, const json_t *data) {
    if (span_is(cmd, "SEND_GIFT"))
        take_gift(f, room, now, data);
    else if (span_is(cmd, "SEND_GIFT_V2"))
        take_gift_v2(f, room, now, data);
    else if (span_is(cmd, "COMBO_SEND"))
        take_combo(f, room, data);
    else if (span_is(cmd, "GUARD_BUY"))
        take_guard_buy(f, room, data);
    else if (span_is(cmd, "USER_TOAST_MSG"))
        take_toast(f, room, data, 0);
    else if (span_is(cmd, "USER_TOAST_MSG_V2"))
        take_toast(f, room, data, 1);
    else
        return 0;
    return 1;
}
