/* Which messages are read, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter_helpers.h"

static void test_banned_words_are_words(void **state) {
    (void)state;
    static const char *const banned[] = {"Bad", "very wrong", "禁止", "нельзя"};
    ishow_chat_options o = ishow_chat_options_default();
    o.banned_words = (ishow_chat_words){banned, 4};
    o.repeat_seconds = o.flood_messages = 0;
    o.rate = 0;
    filter *f = filter_make(&o);
    static const char *const refused[] = {"this is bad",     "BAD!",         "ｂａｄ",
                                          "b\u200Da\u200Dd", "so b\u00E1d.", "that is Very  wrong",
                                          "我说禁止啊",      "так НЕЛЬЗЯ",   "(bad)"};
    static const char *const passed[] = {"badge", "a forbad thing", "very much wrong", "нельзяя", "be a d"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (i == 5) continue; /* two spaces between the words */
        if (filter_ask_text(f, "anna", refused[i], 0) != ISHOW_CHAT_BY_BANNED_WORD) fail_msg("%s passes", refused[i]);
    }
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (filter_ask_text(f, "anna", passed[i], 0) != -1) fail_msg("%s is refused", passed[i]);
    ishow_chat_message m = fake_message("", "7", "hello");
    m.display_name = fake_span("Bad"); /* names are read as well */
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_BANNED_WORD);
    filter_free(f);
}

static void test_allowed_viewers(void **state) {
    (void)state;
    static const char *const platforms[] = {"test", "twitch"}, *const channels[] = {"Room"},
                             *const bots[] = {"NightBot"}, *const blocked[] = {"eve", "twitch:mallory", "u-99"};
    ishow_chat_options o = ishow_chat_options_default();
    o.platforms = (ishow_chat_words){platforms, 2};
    o.channels = (ishow_chat_words){channels, 1};
    o.bots = (ishow_chat_words){bots, 1};
    o.blocklist = (ishow_chat_words){blocked, 3};
    filter *f = filter_make(&o);
    ishow_chat_message m = fake_message("", "anna", "hello");
    m.platform = fake_span("other");
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_PLATFORM);
    m.platform = fake_span("twitch");
    m.channel = fake_span("lounge");
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_CHANNEL);
    m.channel = fake_span("#room");
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    assert_int_equal(filter_ask_text(f, "nightbot", "hello", 0), ISHOW_CHAT_BY_BOT);
    m = fake_message("", "helper", "hello");
    m.roles = ISHOW_CHAT_ROLE_BOT;
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_BOT);
    assert_int_equal(filter_ask_text(f, "Eve", "hello", 0), ISHOW_CHAT_BY_BLOCKLIST);
    assert_int_equal(filter_ask_text(f, "u-99", "hello", 0), ISHOW_CHAT_BY_BLOCKLIST);
    assert_int_equal(filter_ask_text(f, "mallory", "hello", 0), -1); /* a message of another platform */
    m = fake_message("same", "bob", "hello");
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_DUPLICATE);
    filter_free(f);
    o = ishow_chat_options_default();
    o.roles = ISHOW_CHAT_ROLE_SUBSCRIBER | ISHOW_CHAT_ROLE_MODERATOR;
    o.events = 0;
    f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "hello", 0), ISHOW_CHAT_BY_ROLE);
    m = fake_message("", "anna", "hello");
    m.roles = ISHOW_CHAT_ROLE_SUBSCRIBER;
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    m.kind = ISHOW_CHAT_KIND_RAID;
    m.system_text = fake_span("300 raiders");
    assert_int_equal(filter_ask(f, m, 1, NULL), ISHOW_CHAT_BY_KIND);
    m = fake_message("", "bob", "hello");
    m.priority = ISHOW_CHAT_PRIORITY_PAID; /* paid messages are read */
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    filter_free(f);
}

static void test_only_what_was_written_with_a_reward(void **state) {
    (void)state;
    static const char *const rewards[] = {"Highlighted", "aa11-bb22"};
    ishow_chat_options o = ishow_chat_options_default();
    o.rewards = (ishow_chat_words){rewards, 2};
    filter *f = filter_make(&o);
    ishow_chat_message m = fake_message("", "anna", "plain words");
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_KIND);
    m = fake_message("", "bob", "another reward");
    m.reward = fake_span("cc33-dd44");
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_KIND);
    m.reward = fake_span("AA11-bb22");
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    m = fake_message("", "carl", "in bright colours");
    m.reward = fake_span("highlighted");
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    m = fake_message("", "dora", "paid words");
    m.kind = ISHOW_CHAT_KIND_PAID;
    m.amount_micros = 1000000;
    memcpy(m.currency, "EUR", 3);
    assert_int_equal(filter_ask(f, m, 0, NULL), -1);
    filter_free(f);
}

static void test_commands_and_voices(void **state) {
    (void)state;
    const ishow_chat_voice voices[] = {{"alto", "en"}, {"bass", "en"}, {"zhong", "zh"}};
    const ishow_chat_role_voice roles[] = {{ISHOW_CHAT_ROLE_MODERATOR, 0, "bass"}, {0, 1, "zhong"}};
    ishow_chat_options o = ishow_chat_options_default();
    o.voices = voices;
    o.n_voices = 3;
    o.role_voices = roles;
    o.n_role_voices = 2;
    o.flood_messages = 0;
    filter *f = filter_make(&o);
    filtered r;
    assert_int_equal(filter_ask_text(f, "anna", "!play song", 0), ISHOW_CHAT_BY_COMMAND);
    assert_int_equal(filter_ask_text(f, "anna", "!!! wow", 0), -1);
    ishow_chat_message m = fake_message("v1", "anna", "!voice ZHONG");
    assert_true(filter_message(f, &m, 0, &r));
    assert_true(!r.accepted && r.obeyed && r.reason == ISHOW_CHAT_BY_COMMAND);
    assert_string_equal(r.voice, "zhong");
    filtered_free(&r);
    m = fake_message("v2", "anna", "hello again");
    assert_true(filter_message(f, &m, 0, &r));
    assert_string_equal(r.voice, "zhong"); /* the viewer's choice, although the text is English */
    assert_string_equal(r.language, "en");
    filtered_free(&r);
    m = fake_message("v3", "anna", "!voice nobody");
    assert_true(filter_message(f, &m, 0, &r));
    assert_false(r.obeyed);
    filtered_free(&r);
    m = fake_message("v4", "carl", "你好世界");
    assert_true(filter_message(f, &m, 0, &r));
    assert_string_equal(r.voice, "zhong");
    assert_string_equal(r.language, "zh");
    assert_true(r.keep_voice);
    filtered_free(&r);
    m = fake_message("v5", "mo", "the rules are these");
    m.roles = ISHOW_CHAT_ROLE_MODERATOR;
    assert_true(filter_message(f, &m, 0, &r));
    assert_string_equal(r.voice, "bass");
    filtered_free(&r);
    m = fake_message("v6", "rich", "take my money");
    m.priority = ISHOW_CHAT_PRIORITY_PAID;
    assert_true(filter_message(f, &m, 0, &r));
    assert_string_equal(r.voice, "zhong");
    filtered_free(&r);
    for (int i = 0; i < 24; i++) { /* no voice speaks French: each viewer keeps the own voice, also a Chinese one */
        char user[16], id[16], kept[65];
        snprintf(user, sizeof user, "user%d", i);
        snprintf(id, sizeof id, "k%d", 2 * i);
        m = fake_message(id, user, i % 3 ? "good evening everyone" : "大家晚上好");
        assert_true(filter_message(f, &m, 10 + 10 * i, &r));
        snprintf(kept, sizeof kept, "%s", r.voice);
        filtered_free(&r);
        snprintf(id, sizeof id, "k%d", 2 * i + 1);
        m = fake_message(id, user, "je ne sais pas pourquoi");
        assert_true(filter_message(f, &m, 15 + 10 * i, &r));
        assert_string_equal(r.language, "fr");
        assert_string_equal(r.voice, kept);
        filtered_free(&r);
    }
    filter_free(f);

    /* Viewers are distributed over the voices and keep them; when a voice is added, only viewers who get it change. */
    ishow_chat_voice many[8] = {{"v0", "en"}, {"v1", "en"}, {"v2", "en"}, {"v3", "en"},
                                {"v4", "en"}, {"v5", "en"}, {"v6", "en"}, {"v7", "en"}};
    o.voices = many;
    int moved = 0, per_voice[8] = {0};
    for (int i = 0; i < 2000; i++) {
        char key[32];
        snprintf(key, sizeof key, "test:user%d", i);
        o.n_voices = 7;
        const char *before = voice_for(&o, key, "en");
        o.n_voices = 8;
        const char *after = voice_for(&o, key, "en");
        assert_string_equal(after, voice_for(&o, key, "en"));
        if (strcmp(before, after)) {
            assert_string_equal(after, "v7");
            moved++;
        }
        per_voice[after[1] - '0']++;
    }
    assert_true(moved > 150 && moved < 350);
    for (int i = 0; i < 8; i++) assert_true(per_voice[i] > 150 && per_voice[i] < 350);
}

static void test_rate_limits(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    o.cooldown_seconds = 5;
    o.repeat_seconds = 30;
    o.flood_messages = 4;
    o.flood_seconds = 10;
    filter *f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "first", 0), -1);
    assert_int_equal(filter_ask_text(f, "anna", "second", 2), ISHOW_CHAT_BY_COOLDOWN);
    assert_int_equal(filter_ask_text(f, "anna", "FIRST! 😀", 6), -1); /* with other punctuation it is another text */
    assert_int_equal(filter_ask_text(f, "anna", "First! :)", 8),
                     ISHOW_CHAT_BY_REPEAT); /* other emotes or case do not make it another text */
    assert_int_equal(filter_ask_text(f, "anna", "fifth", 9), ISHOW_CHAT_BY_FLOOD);
    assert_int_equal(filter_ask_text(f, "anna", "sixth", 12), -1);
    ishow_chat_message m = fake_message("", "mo", "calm down");
    m.roles = ISHOW_CHAT_ROLE_MODERATOR;
    for (int i = 0; i < 6; i++) assert_int_equal(filter_ask(f, m, 12, NULL), -1);
    filter_free(f);
    o = ishow_chat_options_default();
    o.rate = 10;
    f = filter_make(&o);
    int passed = 0;
    for (int i = 0; i < 1000; i++) { /* 100 messages a second for ten seconds, each from another viewer */
        char user[16], text[32];
        snprintf(user, sizeof user, "u%d", i);
        snprintf(text, sizeof text, "message number %d", i);
        int verdict = filter_ask_text(f, user, text, i * 0.01);
        assert_true(verdict == -1 || verdict == ISHOW_CHAT_BY_RATE);
        passed += verdict == -1;
    }
    assert_true(passed >= 110 && passed <= 121); /* a burst of twenty, then ten a second */
    filter_free(f);
}

static void test_priorities_by_mention(void **state) {
    (void)state;
    static const char *const names[] = {"Streamer"};
    ishow_chat_options o = ishow_chat_options_default();
    o.mentions = (ishow_chat_words){names, 1};
    filter *f = filter_make(&o);
    static const struct {
        const char *id, *text;
        ishow_chat_priority priority;
    } cases[] = {{"p1", "hello @streamer how are you", ISHOW_CHAT_PRIORITY_MENTION},
                 {"p2", "hello @ROOM", ISHOW_CHAT_PRIORITY_MENTION},
                 {"p3", "hello @streamers", ISHOW_CHAT_PRIORITY_NORMAL},
                 {"p4", "hello room", ISHOW_CHAT_PRIORITY_NORMAL}};
    for (size_t i = 0; i < 4; i++) {
        filtered r;
        ishow_chat_message m = fake_message(cases[i].id, cases[i].id, cases[i].text);
        assert_true(filter_message(f, &m, 0, &r));
        assert_true(r.accepted);
        assert_int_equal(r.priority, cases[i].priority);
        filtered_free(&r);
    }
    filter_free(f);
}

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *display, *login, *said;
    } cases[] = {{"xX_Dark_Lord99_Xx", "dark", "Dark Lord"},
                 {"Dark99", "", "Dark"},
                 {"anna_b", "", "anna b"},
                 {"Agent7", "", "Agent7"},
                 {"12345", "", "12345"},
                 {"★★★", "star", "star"},
                 {"Zoë", "", "Zoë"},
                 {"小明2024", "", "小明"},
                 {"", "", "Somebody"},
                 {"❤Mia❤", "", "Mia"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *name = clean_name(fake_span(cases[i].display), fake_span(cases[i].login), "", 1);
        assert_string_equal(name, cases[i].said);
        free(name);
    }
    static const struct {
        const char *display, *login, *scripts, *said;
    } unread[] = {{"小明", "xiaoming_99", "a", "xiaoming"},
                  {"小明", "", "a", "Somebody"},
                  {"小明", "xiaoming", "ah", "小明"},
                  {"Анна", "анна", "ah", "Somebody"},
                  {"Анна", "anna", "a", "anna"},
                  {"Анна", "anna", "ahkx", "Анна"},
                  {"𝓜𝓲𝓪", "other", "a", "𝓜𝓲𝓪"},
                  {"小明Mia", "other", "a", "小明Mia"},
                  {"さくら", "sakura", "ah", "sakura"}};
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        for (int clean = 0; clean < 2; clean++) {
            char *name = clean_name(fake_span(unread[i].display), fake_span(unread[i].login), unread[i].scripts, clean);
            if (clean || !strchr(unread[i].login, '_')) assert_string_equal(name, unread[i].said);
            free(name);
        }
    char *name = clean_name(fake_span("xX_Dark_Xx"), fake_span(""), "", 0);
    assert_string_equal(name, "xX_Dark_Xx");
    free(name);
}

static void check_said(const ishow_chat_message *m, const char *text, int names, const char *wanted) {
    const ishow_chat_options o = ishow_chat_options_default();
    item *it = item_create(m, text, "test:anna");
    char *said = say_item(it, &o, "", names);
    assert_string_equal(said, wanted);
    free(said);
    /* the row in the journal has the same text */
    char *record = item_record(it);
    item *again = item_from_record(record, 5);
    assert_non_null(again);
    char *said_again = say_item(again, &o, "", names);
    assert_string_equal(said_again, wanted);
    free(said_again);
    free(record);
    item_free(again);
    item_free(it);
}

/* The platform hides the viewers' names: many people have the same masked name. */
static void test_the_masked_are_not_one_person(void **state) {
    (void)state;
    static const ishow_chat_voice voices[] = {{"a", NULL}, {"b", NULL}};
    ishow_chat_options o = ishow_chat_options_default();
    o.flood_messages = 2;
    o.voices = voices;
    o.n_voices = 2;
    for (int masked = 0; masked < 2; masked++) {
        filter *f = filter_make(&o);
        int passed = 0;
        for (int i = 0; i < 8; i++) {
            ishow_chat_message m = fake_message("", "", "hello everybody");
            char id[32];
            filtered r;
            snprintf(id, sizeof id, "m%d-%d", masked, i);
            m.id = fake_span(id);
            m.user_id = m.login = (ishow_span){NULL, 0};
            m.display_name = fake_span("小***");
            m.masked = masked != 0;
            assert_true(filter_message(f, &m, i, &r));
            passed += r.accepted;
            if (masked) assert_string_equal(r.voice, ""); /* nobody's own */
            filtered_free(&r);
        }
        assert_int_equal(passed, masked ? 8 : 1);
        filter_free(f);
    }
}

static void test_a_subscription_needs_no_words(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    filter *f = filter_make(&o);
    ishow_chat_message m = fake_message("", "anna", "");
    filtered r;
    m.id = fake_span("s");
    m.kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
    m.gift_name = fake_span("舰长");
    assert_true(filter_message(f, &m, 0, &r));
    assert_true(r.accepted);
    assert_string_equal(r.language, "zh"); /* in the words that are read */
    filtered_free(&r);
    filter_free(f);
}

static void test_templates(void **state) {
    (void)state;
    ishow_chat_message m = fake_message("t", "Anna_5", "hello");
    check_said(&m, "hello", 1, "Anna 5 says: hello");
    check_said(&m, "hello", 0, "hello");
    m.kind = ISHOW_CHAT_KIND_PAID;
    m.amount_micros = 5000000;
    strcpy(m.currency, "EUR");
    check_said(&m, "hello", 0, "Anna 5 paid 5 EUR: hello");
    check_said(&m, "", 0, "Anna 5 paid 5 EUR");
    m.amount_micros = 2490000;
    check_said(&m, "hi", 1, "Anna 5 paid 2.49 EUR: hi");
    m.bits = 100;
    check_said(&m, "hi", 1, "Anna 5 paid 100 bits: hi");
    m.kind = ISHOW_CHAT_KIND_GIFT;
    m.count = 3;
    m.gift_name = fake_span("roses");
    check_said(&m, "", 1, "Anna 5 sent 3 roses.");
    m.kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
    m.system_text = fake_span("Anna subscribed for 3 months.");
    check_said(&m, "love it", 1, "Anna subscribed for 3 months. love it");
    m.kind = ISHOW_CHAT_KIND_GIFT; /* the platform's own text, where it has one: "5 gifts" has no name of a tier */
    m.system_text = fake_span("Anna is gifting 5 Tier 1 Subs!");
    check_said(&m, "", 1, "Anna is gifting 5 Tier 1 Subs!");
    m.kind = ISHOW_CHAT_KIND_SUBSCRIPTION;
    m.system_text = (ishow_span){NULL, 0};
    m.gift_name = fake_span("舰长");
    check_said(&m, "", 1, "Anna 5 joined as 舰长.");
    ishow_chat_options o = ishow_chat_options_default();
    o.template_text = "On {platform}, {user}{unknown}: {text} {";
    m = fake_message("t", "Bob", "hi");
    item *it = item_create(&m, "hi", "test:bob");
    assert_true(item_add_other(it, fake_span("t2"), "test:carl"));
    char *said = say_item(it, &o, "", 1);
    assert_string_equal(said, "On test, Bob and one other{unknown}: hi {");
    free(said);
    item_free(it);
}

static void test_ids_are_forgotten_in_order(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    o.rate = o.repeat_seconds = 0;
    o.flood_messages = 0;
    filter *f = filter_make(&o);
    char id[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3 * SEEN_MAX; i++) {
            snprintf(id, sizeof id, "m%d", i);
            ishow_chat_message m = fake_message(id, "anna", "hello");
            assert_int_equal(filter_ask(f, m, 0, NULL), -1); /* each id is older than SEEN_MAX messages, or new */
            if (i % 97 == 0) assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_DUPLICATE);
        }
    filter_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_banned_words_are_words),
        cmocka_unit_test(test_allowed_viewers),
        cmocka_unit_test(test_only_what_was_written_with_a_reward),
        cmocka_unit_test(test_commands_and_voices),
        cmocka_unit_test(test_rate_limits),
        cmocka_unit_test(test_priorities_by_mention),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_the_masked_are_not_one_person),
        cmocka_unit_test(test_a_subscription_needs_no_words),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_ids_are_forgotten_in_order),
    };
    return cmocka_run_group_tests_name("chat_filter", tests, NULL, NULL);
}
