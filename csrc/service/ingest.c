/* Reads messages of other programs tolerantly: a field of another type counts as missing. Only a message without text,
 * money and name is ignored. */
#include "service/ingest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/utf8.h"

static ishow_span text_of(const json_t *value) {
    return json_is_string(value) ? (ishow_span){json_string_value(value), json_string_length(value)}
                                 : (ishow_span){NULL, 0};
}

/* The first of the named members that is a string. */
static ishow_span first_text(const json_t *object, const char *const *names) {
    for (; *names; names++) {
        const ishow_span text = text_of(json_object_get(object, *names));
        if (text.size) return text;
    }
    return (ishow_span){NULL, 0};
}

static ishow_span either(ishow_span a, ishow_span b) { return a.size ? a : b; }

static void copy(char *out, size_t size, ishow_span text) { utf8_copy(out, size, text.data, text.size); }

/* A string or a number as the id; else a new id. */
static void take_id(ingested *i, const json_t *value) {
    static _Atomic unsigned long long made;
    if (json_is_integer(value))
        snprintf(i->id, sizeof i->id, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_string_length(value))
        copy(i->id, sizeof i->id, text_of(value));
    else
        snprintf(i->id, sizeof i->id, "ingest-%lld-%llu", (long long)i->message.timestamp_ms, ++made);
    i->message.id = span_of(i->id);
}

static void take_platform(ingested *i, ishow_span name, const char *otherwise) {
    copy(i->platform, sizeof i->platform, name.size ? name : span_of(otherwise));
    for (char *p = i->platform; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
    i->message.platform = span_of(i->platform);
}

static void take_amount(ishow_chat_message *m, double amount, ishow_span currency) {
    if (!(amount > 0 && amount <= 1e9)) return;
    m->amount_micros = (int64_t)llround(amount * 1e6);
    for (size_t k = 0; k < 3 && currency.size == 3; k++)
        m->currency[k] = (char)(currency.data[k] >= 'a' && currency.data[k] <= 'z' ? currency.data[k] - 'a' + 'A'
                                                                                   : currency.data[k]);
}

/* "$5.00", "5,00 €", "EUR 5", "100 bits", "3 roses". */
static void take_donation(ingested *i, const char *text) {
    static const struct {
        const char *sign, *code;
    } signs[] = {{"CA$", "CAD"}, {"A$", "AUD"}, {"R$", "BRL"}, {"US$", "USD"}, {"$", "USD"}, {"€", "EUR"},
                 {"£", "GBP"},   {"¥", "JPY"},  {"￥", "CNY"}, {"₩", "KRW"},   {"₹", "INR"}, {"₽", "RUB"}};
    char digits[32];
    size_t n = 0;
    const char *from = text + strcspn(text, "0123456789"), *p = from;
    for (; *p && strchr("0123456789.,", *p) && n + 1 < sizeof digits; p++) {
        const int decimal = (*p == '.' || *p == ',') && strspn(p + 1, "0123456789") != 3; /* "1,000" is a thousand */
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
        else if (decimal)
            digits[n++] = '.';
    }
    digits[n] = '\0';
    const double amount = strtod(digits, NULL);
    const char *rest = p + strspn(p, " ");
    if (!(amount > 0)) return;
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
        if (strstr(text, signs[k].sign)) {
            take_amount(&i->message, amount, span_of(signs[k].code));
            return;
        }
    const char *code = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3   ? text
                       : strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 3 ? rest
                                                                         : NULL;
    if (code)
        take_amount(&i->message, amount, (ishow_span){code, 3});
    else if (!strncmp(rest, "bits", 4))
        i->message.bits = (uint64_t)fmin(amount, 1e9);
    else if (*rest) {
        copy(i->gift, sizeof i->gift, span_of(rest));
        i->message.gift_name = span_of(i->gift);
        i->message.count = (uint64_t)fmin(amount, 1e9);
    }
}

/* Text of HTML: tags and pictures are removed, and the five common entities are decoded. */
static void add_html(ishow_buffer *out, ishow_span html) {
    static const struct {
        const char *name, *text;
    } entities[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&nbsp;", " "}};
    for (size_t at = 0; at < html.size;) {
        const char *p = html.data + at;
        const size_t left = html.size - at;
        const char *end = *p == '<' ? memchr(p, '>', left) : NULL;
        if (end && left > 1 &&
            (p[1] == '/' || p[1] == '!' || strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", p[1]))) {
            ishow_buffer_text(out, " ");
            at += (size_t)(end - p) + 1;
            continue;
        }
        size_t skip = 0;
        for (size_t k = 0; *p == '&' && !skip && k < sizeof entities / sizeof *entities; k++)
            if (left >= strlen(entities[k].name) && !memcmp(p, entities[k].name, strlen(entities[k].name))) {
                ishow_buffer_text(out, entities[k].text);
                skip = strlen(entities[k].name);
            }
        if (!skip) ishow_buffer_add(out, p, skip = 1);
        at += skip;
    }
}

/* Sets the message's kind: paid, a gift, or text. */
static void settle(ishow_chat_message *m) {
    if (m->gift_name.size) {
        m->kind = ISHOW_CHAT_KIND_GIFT;
        m->priority = ISHOW_CHAT_PRIORITY_GIFT;
    } else if (m->amount_micros || m->bits) {
        m->kind = ISHOW_CHAT_KIND_PAID;
        m->priority = ISHOW_CHAT_PRIORITY_PAID;
    } else if (m->roles & (ISHOW_CHAT_ROLE_BROADCASTER | ISHOW_CHAT_ROLE_MODERATOR))
        m->priority = ISHOW_CHAT_PRIORITY_MODERATOR;
}

/* ---- Streamer.bot ---- */

static double number_of(const json_t *value) {
    return json_is_number(value)   ? json_number_value(value)
           : json_is_string(value) ? strtod(json_string_value(value), NULL)
                                   : 0;
}

/* {"event": {"source", "type"}, "data": {...}}: https://docs.streamer.bot/api/websocket/events. The words are in
 * data.text or data.message, the viewer in data.user or, in older versions, in data.message itself. */
static int read_streamerbot(const json_t *root, ingested *i, fault *f) {
    static const char *const spoken[] = {"ChatMessage", "Message", "Cheer", "SuperChat", "Tip", "Donation", NULL};
    static const char *const names[] = {"displayName", "display", "name", "username", "userName", "from", NULL};
    static const char *const logins[] = {"login", "username", "userName", NULL};
    static const char *const ids[] = {"id", "userId", "user_id", NULL};
    ishow_chat_message *m = &i->message;
    const json_t *event = json_object_get(root, "event"), *data = json_object_get(root, "data");
    const json_t *message = json_object_get(data, "message"), *user = json_object_get(data, "user");
    const char *type = json_string_value(json_object_get(event, "type"));
    if (!type || !json_is_object(data))
        return ishow_fault_set(f, 400, "missing_field", "event",
                               "A message of Streamer.bot has event.source, event.type and data.");
    int known = 0;
    for (size_t k = 0; spoken[k]; k++) known |= !strcmp(type, spoken[k]);
    if (!known) return -1;
    const json_t *who = json_is_object(user) ? user : json_is_object(message) ? message : data;
    m->display_name = either(first_text(who, names), either(text_of(user), first_text(data, names)));
    m->login = first_text(who, logins);
    m->user_id = first_text(who, ids);
    m->text = either(text_of(json_object_get(data, "text")),
                     either(text_of(message), first_text(message, (const char *const[]){"message", "text", NULL})));
    take_platform(i, text_of(json_object_get(event, "source")), "streamerbot");
    m->channel = either(text_of(json_object_get(message, "channel")), span_of("streamer.bot"));
    const char *const keys[] = {"messageId", "msgId", "eventId", "id"};
    const json_t *id = json_object_get(message, "msgId");
    for (size_t k = 0; !id && k < 4; k++) id = json_object_get(data, keys[k]);
    take_id(i, id);
    const double micros = number_of(json_object_get(data, "microAmount"));
    const ishow_span currency = first_text(data, (const char *const[]){"currencyCode", "currency", NULL});
    take_amount(m, micros > 0 ? 1e-6 * micros : number_of(json_object_get(data, "amount")), currency);
    const json_t *bits = json_object_get(message, "bits");
    const double many = number_of(bits ? bits : json_object_get(data, "bits"));
    if (many > 0 && many <= 1e9) m->bits = (uint64_t)many;
    static const struct {
        const char *key;
        unsigned role;
    } flags[] = {{"isOwner", ISHOW_CHAT_ROLE_BROADCASTER},
                 {"isModerator", ISHOW_CHAT_ROLE_MODERATOR},
                 {"isSponsor", ISHOW_CHAT_ROLE_MEMBER},
                 {"subscribed", ISHOW_CHAT_ROLE_SUBSCRIBER},
                 {"subscriber", ISHOW_CHAT_ROLE_SUBSCRIBER}};
    for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
        if (json_is_true(json_object_get(who, flags[k].key))) m->roles |= flags[k].role;
    const int role = (int)number_of(json_object_get(who, "role")); /* 1 viewer, 2 VIP, 3 moderator, 4 broadcaster */
    m->roles |= role == 4   ? ISHOW_CHAT_ROLE_BROADCASTER
                : role == 3 ? ISHOW_CHAT_ROLE_MODERATOR
                : role == 2 ? ISHOW_CHAT_ROLE_VIP
                            : 0;
    return 1;
}

/* ---- Social Stream Ninja ---- */

/* {"chatname", "chatmessage", "type", "hasDonation", ...}: https://socialstream.ninja/docs/event-reference.html */
static int read_socialstream(const json_t *root, ingested *i, fault *f) {
    ishow_chat_message *m = &i->message;
    const json_t *donation = json_object_get(root, "hasDonation"), *event = json_object_get(root, "event");
    const ishow_span html = text_of(json_object_get(root, "chatmessage"));
    if (!json_object_get(root, "chatname") && !json_object_get(root, "chatmessage"))
        return ishow_fault_set(f, 400, "missing_field", "chatname",
                               "A message of Social Stream Ninja has chatname and chatmessage.");
    if (json_is_true(json_object_get(root, "bot"))) m->roles |= ISHOW_CHAT_ROLE_BOT;
    m->display_name = text_of(json_object_get(root, "chatname"));
    m->user_id = text_of(json_object_get(root, "userid"));
    if (json_is_true(json_object_get(root, "textonly")))
        m->text = html;
    else {
        add_html(&i->text, html);
        if (i->text.failed) return ishow_fault_memory(f);
        m->text = (ishow_span){(const char *)i->text.data, i->text.n};
    }
    take_platform(i, text_of(json_object_get(root, "type")), "socialstream");
    m->channel = either(text_of(json_object_get(root, "sourceName")), span_of("social stream"));
    /* The program's ids start at 1 in every session, so they are not unique. */
    take_id(i, text_of(json_object_get(root, "id")).size ? json_object_get(root, "id") : NULL);
    if (json_string_length(donation)) take_donation(i, json_string_value(donation));
    if (json_is_true(json_object_get(root, "moderator"))) m->roles |= ISHOW_CHAT_ROLE_MODERATOR;
    if (json_is_true(json_object_get(root, "host"))) m->roles |= ISHOW_CHAT_ROLE_BROADCASTER;
    if (json_string_length(json_object_get(root, "membership"))) m->roles |= ISHOW_CHAT_ROLE_MEMBER;
    /* The text of an event is a complete sentence made by the program. */
    if (json_string_length(event) || json_is_true(event)) {
        m->system_text = m->text;
        m->text = (ishow_span){NULL, 0};
        m->kind = ISHOW_CHAT_KIND_EVENT;
    }
    return 1;
}

/* ---- both ---- */

int ishow_ingest_read(const char *kind, const json_t *root, ingested *out, fault *f) {
    static const struct {
        const char *kind;
        int (*read)(const json_t *root, ingested *i, fault *f);
    } kinds[] = {{"streamerbot", read_streamerbot}, {"socialstream", read_socialstream}};
    struct timespec now;
    memset(out, 0, sizeof *out);
    clock_gettime(CLOCK_REALTIME, &now);
    out->message.timestamp_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (strcmp(kind, kinds[k].kind)) continue;
        const int good = kinds[k].read(root, out, f);
        if (good <= 0) return good;
        ishow_chat_message *m = &out->message;
        settle(m);
        const int says = m->text.size || m->system_text.size || m->amount_micros || m->bits || m->gift_name.size;
        return m->display_name.size && says ? 1 : -1;
    }
    return ishow_fault_set(f, 404, "not_found", "kind",
                           "Messages are taken in the shapes of streamerbot and "
                           "socialstream, not %.32s.",
                           kind);
}

void ishow_ingested_free(ingested *i) { ishow_buffer_free(&i->text); }
