/* Twitch on top of IRC, as in https://dev.twitch.tv/docs/chat/irc. Plain IRC servers, which have no tags, work too: ids
 * and times are then generated, and nobody has a role. */
#include "platforms/twitch.h"

/* Tags that are used; found in one pass over a line. */
// clang-format off
#define TAGS(X) \
    X(BADGES, "badges") X(BADGE_INFO, "badge-info") X(BAN_DURATION, "ban-duration") X(BITS, "bits") \
    X(DISPLAY_NAME, "display-name") X(EMOTE_ONLY, "emote-only") X(EMOTES, "emotes") X(FIRST_MSG, "first-msg") \
    X(ID, "id") X(LOGIN, "login") X(MOD, "mod") X(MSG_ID, "msg-id") X(COMMUNITY_GIFT, "msg-param-community-gift-id") \
    X(CUMULATIVE, "msg-param-cumulative-months") X(MASS_GIFT, "msg-param-mass-gift-count") \
    X(PLAN_NAME, "msg-param-sub-plan-name") X(VIEWERS, "msg-param-viewerCount") \
    X(CHARITY, "msg-param-donation-amount") X(CHARITY_EXPONENT, "msg-param-exponent") \
    X(CHARITY_CURRENCY, "msg-param-donation-currency") X(THRESHOLD, "msg-param-threshold") \
    X(HYPE, "pinned-chat-paid-amount") X(HYPE_EXPONENT, "pinned-chat-paid-exponent") \
    X(HYPE_CURRENCY, "pinned-chat-paid-currency") X(REWARD, "custom-reward-id") X(REPLY_ID, "reply-parent-msg-id") \
    X(REPLY_USER_ID, "reply-parent-user-id") X(REPLY_LOGIN, "reply-parent-user-login") \
    X(REPLY_TEXT, "reply-parent-msg-body") X(ROOM_ID, "room-id") X(SOURCE_ID, "source-id") \
    X(SOURCE_MSG_ID, "source-msg-id") X(SOURCE_ROOM_ID, "source-room-id") X(SUBSCRIBER, "subscriber") \
    X(SYSTEM_MSG, "system-msg") X(TARGET_MSG_ID, "target-msg-id") X(TARGET_USER_ID, "target-user-id") \
    X(SENT_TS, "tmi-sent-ts") X(USER_ID, "user-id") X(USER_TYPE, "user-type") X(VIP, "vip")
// clang-format on

#define NAME(id, text) TAG_##id,
enum { TAGS(NAME) N_TAGS };
#undef NAME
#define ENTRY(id, text) {text, sizeof text - 1},
static const struct {
    const char *text;
    size_t size;
} tag_names[N_TAGS] = {TAGS(ENTRY)};
#undef ENTRY

typedef struct tag_values {
    ishow_span of[N_TAGS];
} tag_values;

static void find_tags(const irc_line *line, tag_values *out) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < line->n_tags; i++) {
        ishow_span key = line->tags[i].key;
        for (size_t k = 0; k < N_TAGS; k++)
            if (tag_names[k].size == key.size && !memcmp(tag_names[k].text, key.data, key.size)) {
                out->of[k] = line->tags[i].value;
                break;
            }
    }
}

/* "name/value,name/value": sets the value of `name` and returns 1; 0: it is not in the list. */
static int badge(ishow_span badges, const char *name, ishow_span *value) {
    if (!badges.size) return 0;
    size_t n = strlen(name);
    const char *p = badges.data, *end = p + badges.size;
    while (p < end) {
        const char *to = memchr(p, ',', (size_t)(end - p));
        if (!to) to = end;
        if ((size_t)(to - p) > n && p[n] == '/' && !memcmp(p, name, n)) {
            *value = (ishow_span){p + n + 1, (size_t)(to - p) - n - 1};
            return 1;
        }
        p = to + (to < end);
    }
    return 0;
}

unsigned twitch_badge_role(ishow_span name) {
    static const struct {
        const char *badge;
        unsigned role;
    } known[] = {
        {"broadcaster", ISHOW_CHAT_ROLE_BROADCASTER},
        {"moderator", ISHOW_CHAT_ROLE_MODERATOR},
        {"lead_moderator", ISHOW_CHAT_ROLE_MODERATOR},
        {"vip", ISHOW_CHAT_ROLE_VIP},
        {"subscriber", ISHOW_CHAT_ROLE_SUBSCRIBER},
        {"founder", ISHOW_CHAT_ROLE_SUBSCRIBER},
        {"staff", ISHOW_CHAT_ROLE_STAFF},
        {"admin", ISHOW_CHAT_ROLE_STAFF},
        {"global_mod", ISHOW_CHAT_ROLE_STAFF},
        {"bot-badge", ISHOW_CHAT_ROLE_BOT},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (span_is(name, known[i].badge)) return known[i].role;
    return 0;
}

static unsigned roles_of(const tag_values *t) {
    unsigned roles = 0;
    const ishow_span badges = t->of[TAG_BADGES];
    for (size_t from = 0; from < badges.size;) {
        const char *p = badges.data + from, *to = memchr(p, ',', badges.size - from);
        const size_t n = to ? (size_t)(to - p) : badges.size - from;
        const char *slash = memchr(p, '/', n);
        if (slash) roles |= twitch_badge_role((ishow_span){p, (size_t)(slash - p)});
        from += n + 1;
    }
    if (span_is(t->of[TAG_MOD], "1")) roles |= ISHOW_CHAT_ROLE_MODERATOR;
    if (span_is(t->of[TAG_SUBSCRIBER], "1")) roles |= ISHOW_CHAT_ROLE_SUBSCRIBER;
    if (span_is(t->of[TAG_VIP], "1")) roles |= ISHOW_CHAT_ROLE_VIP;
    if (t->of[TAG_USER_TYPE].size && !span_is(t->of[TAG_USER_TYPE], "mod")) roles |= ISHOW_CHAT_ROLE_STAFF;
    return roles;
}

static uint32_t clamped(ishow_span s) {
    uint64_t value = span_u64(s);
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* "25:0-4,12-16/1902:6-10": inclusive ranges of code points, which may be outside the text. */
static void take_emotes(feed *f, ishow_chat_message *m, ishow_span list) {
    size_t most = 1, n = 0;
    for (size_t i = 0; i < list.size; i++) most += list.data[i] == ',' || list.data[i] == '/';
    ishow_chat_emote *emotes = list.size ? ishow_arena_take(&f->arena, most * sizeof *emotes) : NULL;
    if (!emotes) return;
    const char *p = list.data, *end = p + list.size;
    while (p < end) {
        const char *to = memchr(p, '/', (size_t)(end - p));
        if (!to) to = end;
        const char *colon = memchr(p, ':', (size_t)(to - p));
        ishow_span id = {p, colon ? (size_t)(colon - p) : 0};
        for (const char *range = colon ? colon + 1 : to; range < to;) {
            const char *stop = memchr(range, ',', (size_t)(to - range));
            if (!stop) stop = to;
            const char *dash = memchr(range, '-', (size_t)(stop - range));
            if (dash && dash > range && dash + 1 < stop) {
                uint32_t last = clamped((ishow_span){dash + 1, (size_t)(stop - dash - 1)});
                emotes[n++] = (ishow_chat_emote){clamped((ishow_span){range, (size_t)(dash - range)}),
                                                 last == UINT32_MAX ? last : last + 1, id};
            }
            range = stop + 1;
        }
        p = to + 1;
    }
    feed_emotes(m, emotes, n);
}

/* The fields common to PRIVMSG and USERNOTICE. */
static void take_common(feed *f, const irc_line *line, const tag_values *t, ishow_chat_message *m) {
    m->id = t->of[TAG_ID];
    m->user_id = t->of[TAG_USER_ID];
    m->login = t->of[TAG_LOGIN].size ? t->of[TAG_LOGIN] : line->nick;
    m->display_name = t->of[TAG_DISPLAY_NAME].size ? t->of[TAG_DISPLAY_NAME] : m->login;
    m->roles = roles_of(t);
    ishow_span months;
    if (badge(t->of[TAG_BADGE_INFO], "subscriber", &months) || badge(t->of[TAG_BADGE_INFO], "founder", &months))
        m->months = (int)(clamped(months) & 0xFFFF);
    m->timestamp_ms = (int64_t)(span_u64(t->of[TAG_SENT_TS]) & INT64_MAX);
    m->first = span_is(t->of[TAG_FIRST_MSG], "1");
    m->emote_only = span_is(t->of[TAG_EMOTE_ONLY], "1");
    m->reply_id = t->of[TAG_REPLY_ID];
    m->reply_user_id = t->of[TAG_REPLY_USER_ID];
    m->reply_login = t->of[TAG_REPLY_LOGIN];
    m->reply_text = t->of[TAG_REPLY_TEXT];
    m->room_id = t->of[TAG_ROOM_ID];
    m->source_room_id = t->of[TAG_SOURCE_ROOM_ID];
    m->source_id = t->of[TAG_SOURCE_ID];
    m->text = line->n_params > 1 ? line->params[line->n_params - 1] : (ishow_span){NULL, 0};
    static const char action[] = "\x01"
                                 "ACTION ";
    if (m->text.size >= sizeof action - 1 && !memcmp(m->text.data, action, sizeof action - 1)) {
        m->action = 1;
        m->text.data += sizeof action - 1;
        m->text.size -= sizeof action - 1;
        if (m->text.size && m->text.data[m->text.size - 1] == '\x01') m->text.size--;
    }
    take_emotes(f, m, t->of[TAG_EMOTES]);
}

/* "500", "2" and "USD" are 5 dollars. */
static void take_money(ishow_span digits, ishow_span decimals, ishow_span currency, ishow_chat_message *m) {
    uint64_t amount = span_u64(digits), exponent = span_u64(decimals);
    if (!amount || exponent > 6 || currency.size != 3) return;
    for (uint64_t i = exponent; i < 6; i++)
        if (__builtin_mul_overflow(amount, 10u, &amount)) return;
    if (amount > INT64_MAX) return;
    m->kind = ISHOW_CHAT_KIND_PAID;
    m->amount_micros = (int64_t)amount;
    memcpy(m->currency, currency.data, 3);
}

static void take_privmsg(feed *f, const irc_line *line, const tag_values *t) {
    ishow_chat_message m = {0};
    if (line->n_params < 2 || !line->nick.size) {
        f->malformed++;
        return;
    }
    take_common(f, line, t, &m);
    m.bits = span_u64(t->of[TAG_BITS]);
    if (m.bits) m.kind = ISHOW_CHAT_KIND_PAID;
    take_money(t->of[TAG_HYPE], t->of[TAG_HYPE_EXPONENT], t->of[TAG_HYPE_CURRENCY], &m); /* hype chat */
    m.reward = span_is(t->of[TAG_MSG_ID], "highlighted-message") ? span_of("highlighted") : t->of[TAG_REWARD];
    twitch_text(f, &m);
    if (!m.text.size && m.kind == ISHOW_CHAT_KIND_TEXT)
        f->ignored++; /* there is nothing to read */
    else
        feed_message(f, &m);
}

static void take_usernotice(feed *f, const irc_line *line, const tag_values *t) {
    ishow_chat_message m = {0};
    take_common(f, line, t, &m);
    m.system_text = t->of[TAG_SYSTEM_MSG];
    m.kind = ISHOW_CHAT_KIND_EVENT;
    ishow_span what = t->of[TAG_MSG_ID];
    if (span_is(what, "sharedchatnotice")) what = t->of[TAG_SOURCE_MSG_ID];
    if (span_is(what, "sub") || span_is(what, "resub") || span_is(what, "giftpaidupgrade") ||
        span_is(what, "anongiftpaidupgrade") || span_is(what, "primepaidupgrade") || span_is(what, "extendsub") ||
        span_is(what, "standardpayforward") || span_is(what, "communitypayforward")) {
        m.kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
        m.gift_name = t->of[TAG_PLAN_NAME];
        if (t->of[TAG_CUMULATIVE].size) m.months = (int)(clamped(t->of[TAG_CUMULATIVE]) & 0xFFFF);
    } else if (span_is(what, "subgift") || span_is(what, "anonsubgift")) {
        /* One of the gifts of a submysterygift, which has been reported already. */
        if (t->of[TAG_COMMUNITY_GIFT].size) {
            f->ignored++;
            return;
        }
        m.kind = ISHOW_CHAT_KIND_GIFT;
        m.gift_name = t->of[TAG_PLAN_NAME];
        m.count = 1;
    } else if (span_is(what, "submysterygift") || span_is(what, "anonsubmysterygift")) {
        m.kind = ISHOW_CHAT_KIND_GIFT;
        m.gift_name = t->of[TAG_PLAN_NAME];
        m.count = span_u64(t->of[TAG_MASS_GIFT]);
    } else if (span_is(what, "raid")) {
        m.kind = ISHOW_CHAT_KIND_RAID;
        m.count = span_u64(t->of[TAG_VIEWERS]);
    } else if (span_is(what, "announcement"))
        m.kind = ISHOW_CHAT_KIND_ANNOUNCEMENT;
    else if (span_is(what, "charitydonation"))
        take_money(t->of[TAG_CHARITY], t->of[TAG_CHARITY_EXPONENT], t->of[TAG_CHARITY_CURRENCY], &m);
    else if (span_is(what, "bitsbadgetier") && t->of[TAG_THRESHOLD].size) /* its own text is "... notification" */
        m.system_text = feed_format(f, "%.*s earned the badge for %.*s bits.", (int)m.display_name.size,
                                    m.display_name.data, (int)t->of[TAG_THRESHOLD].size, t->of[TAG_THRESHOLD].data);
    twitch_text(f, &m);
    if (!m.text.size && !m.system_text.size)
        f->ignored++;
    else
        feed_message(f, &m);
}

static int is_refusal(const tag_values *t, ishow_span text) {
    static const char *const texts[] = {"Login authentication failed", "Improperly formatted auth",
                                        "Login unsuccessful", "Invalid NICK"};
    static const char *const ids[] = {"msg_channel_suspended", "msg_room_not_found", "tos_ban"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (span_is(text, texts[i])) return 1;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (span_is(t->of[TAG_MSG_ID], ids[i])) return 1;
    return 0;
}

static int is_channel(const feed *f, ishow_span param) {
    return param.size == f->channel.size + 1 && param.data[0] == '#' &&
           !memcmp(param.data + 1, f->channel.data, f->channel.size);
}

/* Numeric replies. */
static twitch_verdict numeric(const feed *f, const irc_line *line) {
    /* bad nickname, wrong password, banned from the server, no such channel, too many channels, channel full,
     * invitation only, banned, key needed, bad name, account needed */
    static const char *const final[] = {"432", "464", "465", "403", "405", "471", "473", "474", "475", "476", "477"};
    if (span_is(line->command, "001")) return TWITCH_WELCOME;
    if (span_is(line->command, "366") && line->n_params > 1 && is_channel(f, line->params[1]))
        return TWITCH_JOINED;                              /* end of names */
    if (span_is(line->command, "433")) return TWITCH_LOST; /* the nickname is in use: the next attempt has another */
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        if (span_is(line->command, final[i])) return TWITCH_REFUSED;
    return TWITCH_NOTHING;
}

twitch_verdict ishow_twitch_line(feed *f, ishow_span nick, char *bytes, size_t n, irc_line *line) {
    ishow_arena_reset(&f->arena);
    f->lines++;
    ishow_span whole = feed_text(f, (ishow_span){bytes, n});
    /* A copy made by feed_text may be changed too. */
    if (!ishow_irc_parse(whole.data == bytes ? bytes : (char *)(uintptr_t)whole.data, whole.size, line)) {
        f->malformed++;
        return TWITCH_NOTHING;
    }
    ishow_span what = line->command, last = line->n_params ? line->params[line->n_params - 1] : (ishow_span){NULL, 0};
    if (span_is(what, "PING")) return TWITCH_PING;
    if (span_is(what, "PONG")) return TWITCH_PONG;
    int here = line->n_params > 0 && is_channel(f, line->params[0]);
    tag_values tags;
    if (span_is(what, "PRIVMSG")) {
        if (!here)
            f->ignored++; /* a private message to this client */
        else {
            find_tags(line, &tags);
            take_privmsg(f, line, &tags);
        }
        return TWITCH_NOTHING;
    }
    if (what.size == 3 && what.data[0] >= '0' && what.data[0] <= '9') return numeric(f, line);
    find_tags(line, &tags);
    if (span_is(what, "USERNOTICE") && here)
        take_usernotice(f, line, &tags);
    else if (span_is(what, "CLEARMSG") && here) {
        if (tags.of[TAG_TARGET_MSG_ID].size)
            feed_delete(f, tags.of[TAG_TARGET_MSG_ID], tags.of[TAG_LOGIN]);
        else
            f->malformed++;
    } else if (span_is(what, "CLEARCHAT") && here) {
        if (line->n_params > 1 || tags.of[TAG_TARGET_USER_ID].size)
            feed_delete_user(f, tags.of[TAG_TARGET_USER_ID], line->n_params > 1 ? last : (ishow_span){NULL, 0},
                             span_u64(tags.of[TAG_BAN_DURATION]));
        else
            feed_clear(f);
    } else if (span_is(what, "NOTICE")) {
        if (is_refusal(&tags, last)) return TWITCH_REFUSED;
        if (here && last.size)
            feed_notice(f, feed_one_line(f, last));
        else
            f->ignored++;
    } else if (span_is(what, "RECONNECT"))
        return TWITCH_RECONNECT;
    else if (span_is(what, "ERROR"))
        return TWITCH_LOST;
    else if (span_is(what, "CAP"))
        return TWITCH_CAPABILITIES;
    else if (span_is(what, "JOIN") && here && span_same(line->nick, nick))
        return TWITCH_JOINED;
    else if (span_is(what, "ROOMSTATE") && here)
        return TWITCH_JOINED;
    else
        f->ignored++;
    return TWITCH_NOTHING;
}
