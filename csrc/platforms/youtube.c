/* Items of liveChatMessages.list. Types and fields:
 * https://developers.google.com/youtube/v3/live/docs/liveChatMessages */
#include "platforms/youtube.h"

#include "platforms/jsonspan.h"

static uint64_t count_of(const json_t *value) {
    int64_t whole = json_whole(value);
    return whole > 0 ? (uint64_t)whole : 0;
}

static void take_money(feed *f, ishow_chat_message *m, const json_t *details) {
    ishow_span currency = json_span(f, json_object_get(details, "currency"));
    m->amount_micros = (int64_t)count_of(json_object_get(details, "amountMicros")); /* a string of digits */
    if (currency.size == 3) memcpy(m->currency, currency.data, 3);
}

/* Sets kind and text by type; 0: nothing to read. */
static int take_details(feed *f, ishow_chat_message *m, ishow_span type, const json_t *snippet) {
    if (span_is(type, "textMessageEvent")) {
        m->text = json_span(f, json_object_get(json_object_get(snippet, "textMessageDetails"), "messageText"));
        if (!m->text.size) m->text = json_span(f, json_object_get(snippet, "displayMessage"));
        return m->text.size > 0;
    }
    if (span_is(type, "superChatEvent") || span_is(type, "fanFundingEvent")) {
        const json_t *details =
            json_object_get(snippet, span_is(type, "superChatEvent") ? "superChatDetails" : "fanFundingEventDetails");
        m->kind = ISHOW_CHAT_KIND_PAID;
        m->text = json_span(f, json_object_get(details, "userComment"));
        take_money(f, m, details);
        return 1;
    }
    if (span_is(type, "superStickerEvent")) {
        const json_t *details = json_object_get(snippet, "superStickerDetails");
        m->kind = ISHOW_CHAT_KIND_GIFT;
        m->gift_name = json_span(f, json_object_get(json_object_get(details, "superStickerMetadata"), "altText"));
        m->count = 1;
        take_money(f, m, details);
        return 1;
    }
    if (span_is(type, "giftEvent")) {
        const json_t *details = json_object_get(snippet, "giftDetails");
        m->kind = ISHOW_CHAT_KIND_GIFT;
        m->gift_name = json_span(f, json_object_get(details, "giftName"));
        m->language = json_span(f, json_object_get(details, "language"));
        m->count = count_of(json_object_get(details, "comboCount"));
        if (!m->count) m->count = 1;
        return 1;
    }
    if (span_is(type, "membershipGiftingEvent")) {
        const json_t *details = json_object_get(snippet, "membershipGiftingDetails");
        m->kind = ISHOW_CHAT_KIND_GIFT;
        m->gift_name = json_span(f, json_object_get(details, "giftMembershipsLevelName"));
        m->count = count_of(json_object_get(details, "giftMembershipsCount"));
        return 1;
    }
    if (span_is(type, "newSponsorEvent")) {
        m->kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
        m->gift_name = json_span(f, json_object_get(json_object_get(snippet, "newSponsorDetails"), "memberLevelName"));
        return 1;
    }
    if (span_is(type, "memberMilestoneChatEvent")) {
        const json_t *details = json_object_get(snippet, "memberMilestoneChatDetails");
        m->kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
        m->text = json_span(f, json_object_get(details, "userComment"));
        m->gift_name = json_span(f, json_object_get(details, "memberLevelName"));
        m->months = (int)(count_of(json_object_get(details, "memberMonth")) & 0xFFFF);
        return 1;
    }
    return 0; /* giftMembershipReceivedEvent repeats a membershipGiftingEvent; polls, modes, tombstones */
}

/* The platform's sentence about an event, without the viewer's comment, which is read after it. */
static ishow_span without(feed *f, ishow_span sentence, ishow_span comment) {
    const char *at = comment.size ? memmem(sentence.data, sentence.size, comment.data, comment.size) : NULL;
    if (!at) return sentence;
    size_t before = (size_t)(at - sentence.data);
    while (before && strchr(" \":", sentence.data[before - 1])) before--;
    return feed_text(f, (ishow_span){sentence.data, before});
}

static void take_sentence(feed *f, ishow_chat_message *m, ishow_span type, const json_t *snippet) {
    const ishow_span sentence = json_span(f, json_object_get(snippet, "displayMessage"));
    const int length = (int)m->display_name.size, level = (int)m->gift_name.size;
    const char *name = m->display_name.data, *of = level ? m->gift_name.data : "";
    if (m->kind == ISHOW_CHAT_KIND_TEXT || span_is(type, "superStickerEvent") || span_is(type, "giftEvent"))
        return; /* "Ann sent 3 Rose" */
    m->system_text = sentence.size ? without(f, sentence, m->text) : sentence;
    if (m->system_text.size) return;
    if (span_is(type, "membershipGiftingEvent"))
        m->system_text =
            feed_format(f, "%.*s gifted %llu %.*s%smembership%s.", length, name, (unsigned long long)m->count, level,
                        of, level ? " " : "", m->count == 1 ? "" : "s");
    else if (span_is(type, "memberMilestoneChatEvent"))
        m->system_text = feed_format(f, "%.*s has been a member for %d month%s.", length, name, m->months,
                                     m->months == 1 ? "" : "s");
}

static void take_message(feed *f, ishow_span type, const json_t *item, const json_t *snippet) {
    static const struct {
        const char *key;
        unsigned role;
    } flags[] = {{"isChatOwner", ISHOW_CHAT_ROLE_BROADCASTER},
                 {"isChatModerator", ISHOW_CHAT_ROLE_MODERATOR},
                 {"isChatSponsor", ISHOW_CHAT_ROLE_MEMBER},
                 {"isVerified", ISHOW_CHAT_ROLE_STAFF}};
    ishow_chat_message m = {0};
    const json_t *author = json_object_get(item, "authorDetails");
    if (!take_details(f, &m, type, snippet)) {
        f->ignored++;
        return;
    }
    m.id = json_span(f, json_object_get(item, "id"));
    m.user_id = json_span(f, json_object_get(author, "channelId"));
    m.display_name = json_span(f, json_object_get(author, "displayName"));
    if (m.display_name.size > 1 && m.display_name.data[0] == '@')
        m.login = (ishow_span){m.display_name.data + 1, m.display_name.size - 1};
    if (!m.id.size || !m.display_name.size) {
        f->malformed++;
        return;
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (json_is_true(json_object_get(author, flags[i].key))) m.roles |= flags[i].role;
    take_sentence(f, &m, type, snippet);
    m.timestamp_ms = rfc3339_ms(json_span(f, json_object_get(snippet, "publishedAt")));
    feed_message(f, &m);
}

/* Deletions in history count too: the deleted message may have been waiting since before a reconnect. */
static int take_deletion(feed *f, ishow_span type, const json_t *snippet) {
    ishow_span none = {NULL, 0}, id;
    if (span_is(type, "messageDeletedEvent"))
        id = json_span(f, json_object_get(json_object_get(snippet, "messageDeletedDetails"), "deletedMessageId"));
    else if (span_is(type, "messageRetractedEvent"))
        id = json_span(f, json_object_get(json_object_get(snippet, "messageRetractedDetails"), "retractedMessageId"));
    else if (span_is(type, "userBannedEvent")) {
        const json_t *details = json_object_get(snippet, "userBannedDetails");
        ishow_span user = json_span(f, json_object_get(json_object_get(details, "bannedUserDetails"), "channelId"));
        if (user.size)
            feed_delete_user(f, user, none, count_of(json_object_get(details, "banDurationSeconds")));
        else
            f->malformed++;
        return 1;
    } else
        return 0;
    if (id.size)
        feed_delete(f, id, none);
    else
        f->malformed++;
    return 1;
}

int ishow_youtube_page(feed *f, const json_t *page, int history) {
    const json_t *items = json_object_get(page, "items");
    int ended = 0;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i), *snippet = json_object_get(item, "snippet");
        ishow_arena_reset(&f->arena);
        f->lines++;
        ishow_span type = json_span(f, json_object_get(snippet, "type"));
        if (!type.size)
            f->malformed++;
        else if (take_deletion(f, type, snippet))
            continue;
        else if (span_is(type, "chatEndedEvent"))
            ended = 1;
        else if (history)
            f->duplicates++;
        else
            take_message(f, type, item, snippet);
    }
    return ended;
}
