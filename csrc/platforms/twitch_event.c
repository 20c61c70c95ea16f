/* Decodes EventSub's chat events: https://dev.twitch.tv/docs/eventsub/eventsub-reference describes them. */
#include "platforms/jsonspan.h"
#include "platforms/twitch.h"
#include "base/utf8.h"

static uint32_t length_of(ishow_span text) { return (uint32_t)utf8_count(text.data, text.size); }

/* Text and emotes of {"text", "fragments": [{"type", "text", "emote": {"id"}}]}. */
static void take_words(feed *f, ishow_chat_message *m, const json_t *message) {
    const json_t *fragments = json_object_get(message, "fragments");
    const size_t n = json_array_size(fragments);
    m->text = json_span(f, json_object_get(message, "text"));
    ishow_chat_emote *emotes = n ? ishow_arena_take(&f->arena, n * sizeof *emotes) : NULL;
    size_t found = 0;
    uint32_t point = 0;
    int only = n > 0;
    for (size_t i = 0; emotes && i < n; i++) {
        const json_t *one = json_array_get(fragments, i), *emote = json_object_get(one, "emote");
        const ishow_span text = json_span(f, json_object_get(one, "text"));
        const uint32_t size = length_of(text);
        if (json_is_object(emote))
            emotes[found++] = (ishow_chat_emote){point, point + size, json_span(f, json_object_get(emote, "id"))};
        else
            for (size_t k = 0; k < text.size; k++) only &= text.data[k] == ' ';
        point += size;
    }
    m->emote_only = found && only;
    if (emotes) feed_emotes(m, emotes, found);
}

static void take_common(feed *f, ishow_chat_message *m, const json_t *event) {
    const json_t *badges = json_object_get(event, "badges"), *reply = json_object_get(event, "reply");
    m->id = json_span(f, json_object_get(event, "message_id"));
    m->user_id = json_span(f, json_object_get(event, "chatter_user_id"));
    m->login = json_span(f, json_object_get(event, "chatter_user_login"));
    m->display_name = json_span(f, json_object_get(event, "chatter_user_name"));
    if (!m->display_name.size) m->display_name = m->login;
    for (size_t i = 0; i < json_array_size(badges); i++) {
        const json_t *badge = json_array_get(badges, i);
        const unsigned role = twitch_badge_role(json_span(f, json_object_get(badge, "set_id")));
        m->roles |= role;
        if (role == ISHOW_CHAT_ROLE_SUBSCRIBER) m->months = (int)(json_whole(json_object_get(badge, "info")) & 0xFFFF);
    }
    m->room_id = json_span(f, json_object_get(event, "broadcaster_user_id"));
    m->source_room_id = json_span(f, json_object_get(event, "source_broadcaster_user_id"));
    m->source_id = json_span(f, json_object_get(event, "source_message_id"));
    m->reply_id = json_span(f, json_object_get(reply, "parent_message_id"));
    m->reply_user_id = json_span(f, json_object_get(reply, "parent_user_id"));
    m->reply_login = json_span(f, json_object_get(reply, "parent_user_login"));
    m->reply_text = json_span(f, json_object_get(reply, "parent_message_body"));
    take_words(f, m, json_object_get(event, "message"));
}

static void take_message(feed *f, const json_t *event) {
    ishow_chat_message m = {0};
    take_common(f, &m, event);
    if (!m.id.size || !m.display_name.size) {
        f->malformed++;
        return;
    }
    const int64_t bits = json_whole(json_object_get(json_object_get(event, "cheer"), "bits"));
    if (bits > 0) {
        m.bits = (uint64_t)bits;
        m.kind = ISHOW_CHAT_KIND_PAID;
    }
    const ishow_span what = json_span(f, json_object_get(event, "message_type"));
    m.reward = span_is(what, "channel_points_highlighted")
                   ? span_of("highlighted")
                   : json_span(f, json_object_get(event, "channel_points_custom_reward_id"));
    m.first = span_is(what, "user_intro");
    twitch_text(f, &m);
    if (!m.text.size && !m.bits)
        f->ignored++;
    else
        feed_message(f, &m);
}

/* {"value": 550, "decimal_place": 2, "currency": "USD"} */
static void take_amount(feed *f, ishow_chat_message *m, const json_t *amount) {
    int64_t value = json_whole(json_object_get(amount, "value")),
            places = json_whole(json_object_get(amount, "decimal_place"));
    const ishow_span currency = json_span(f, json_object_get(amount, "currency"));
    if (value <= 0 || places < 0 || places > 6 || currency.size != 3) return;
    for (; places < 6; places++)
        if (__builtin_mul_overflow(value, (int64_t)10, &value)) return;
    m->kind = ISHOW_CHAT_KIND_PAID;
    m->amount_micros = value;
    memcpy(m->currency, currency.data, 3);
}

static ishow_span tier_of(feed *f, const json_t *about) {
    if (json_is_true(json_object_get(about, "is_prime"))) return span_of("Prime");
    const ishow_span tier = json_span(f, json_object_get(about, "sub_tier")); /* "1000" */
    return tier.size ? feed_format(f, "Tier %c", tier.data[0]) : (ishow_span){NULL, 0};
}

static void take_notification(feed *f, const json_t *event) {
    ishow_chat_message m = {.kind = ISHOW_CHAT_KIND_EVENT};
    ishow_span what = json_span(f, json_object_get(event, "notice_type"));
    static const char shared[] = "shared_chat_";
    take_common(f, &m, event);
    m.system_text = json_span(f, json_object_get(event, "system_message"));
    if (!what.size || !m.id.size) {
        f->malformed++;
        return;
    }
    /* "shared_chat_sub" has its details under that name. */
    const json_t *about = json_object_get(event, feed_format(f, "%.*s", (int)what.size, what.data).data);
    if (what.size > sizeof shared && !memcmp(what.data, shared, sizeof shared - 1))
        what = (ishow_span){what.data + sizeof shared - 1, what.size - sizeof shared + 1};
    if (span_is(what, "sub") || span_is(what, "resub") || span_is(what, "gift_paid_upgrade") ||
        span_is(what, "prime_paid_upgrade") || span_is(what, "pay_it_forward")) {
        m.kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
        m.gift_name = tier_of(f, about);
        const int64_t months = json_whole(json_object_get(about, "cumulative_months"));
        if (months) m.months = (int)(months & 0xFFFF);
    } else if (span_is(what, "sub_gift")) {
        if (json_span(f, json_object_get(about, "community_gift_id")).size) { /* one gift of several, reported before */
            f->ignored++;
            return;
        }
        m.kind = ISHOW_CHAT_KIND_GIFT;
        m.gift_name = tier_of(f, about);
        m.count = 1;
    } else if (span_is(what, "community_sub_gift")) {
        const int64_t total = json_whole(json_object_get(about, "total"));
        m.kind = ISHOW_CHAT_KIND_GIFT;
        m.gift_name = tier_of(f, about);
        m.count = total > 0 ? (uint64_t)total : 1;
    } else if (span_is(what, "raid")) {
        const int64_t viewers = json_whole(json_object_get(about, "viewer_count"));
        m.kind = ISHOW_CHAT_KIND_RAID;
        m.count = viewers > 0 ? (uint64_t)viewers : 0;
    } else if (span_is(what, "announcement"))
        m.kind = ISHOW_CHAT_KIND_ANNOUNCEMENT;
    else if (span_is(what, "charity_donation"))
        take_amount(f, &m, json_object_get(about, "amount"));
    else if (span_is(what, "bits_badge_tier"))
        m.system_text = feed_format(f, "%.*s earned the badge for %lld bits.", (int)m.display_name.size,
                                    m.display_name.size ? m.display_name.data : "",
                                    (long long)json_whole(json_object_get(about, "tier")));
    twitch_text(f, &m);
    if (!m.text.size && !m.system_text.size)
        f->ignored++;
    else
        feed_message(f, &m);
}

void ishow_twitch_event(feed *f, ishow_span type, const json_t *event) {
    f->lines++;
    if (span_is(type, "channel.chat.message"))
        take_message(f, event);
    else if (span_is(type, "channel.chat.notification"))
        take_notification(f, event);
    else if (span_is(type, "channel.chat.message_delete")) {
        const ishow_span id = json_span(f, json_object_get(event, "message_id"));
        if (id.size)
            feed_delete(f, id, json_span(f, json_object_get(event, "target_user_login")));
        else
            f->malformed++;
    } else if (span_is(type, "channel.chat.clear_user_messages"))
        feed_delete_user(f, json_span(f, json_object_get(event, "target_user_id")),
                         json_span(f, json_object_get(event, "target_user_login")), 0);
    else if (span_is(type, "channel.chat.clear"))
        feed_clear(f);
    else
        f->ignored++;
}
