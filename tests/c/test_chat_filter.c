/* What is read and what is not, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_chat.h"
#include "chat/chat_internal.h"

static filter *make(const ishow_chat_options *o) {
    filter *f = filter_create();
    filter_rules *rules = NULL;
    ishow_error error = {0};
    assert_non_null(f);
    if (filter_rules_create(&rules, o, &error) != ISHOW_OK) fail_msg("create: %s", error.message);
    assert_null(filter_exchange(f, rules));
    return f;
}

static int ids;

/* The reason, or -1 when it passes; the text that is read in *text (free()) when text is not NULL. */
static int ask(filter *f, ishow_chat_message m, double now, char **text) {
    filtered r;
    char id[32];
    if (!m.id.size) {
        snprintf(id, sizeof id, "id%d", ids++);
        m.id = fake_span(id);
    }
    assert_true(filter_message(f, &m, now, &r));
    int verdict = r.accepted ? -1 : (int)r.reason;
    if (text) {
        *text = r.accepted ? strdup(r.text) : NULL;
    }
    filtered_free(&r);
    return verdict;
}

static int ask_text(filter *f, const char *user, const char *text, double now) {
    return ask(f, fake_message("", user, text), now, NULL);
}

static void check_read(const ishow_chat_options *o, const char *text, const char *wanted) {
    filter *f = make(o);
    char *read = NULL;
    ask(f, fake_message("", "anna", text), 0, &read);
    if (!read || strcmp(read, wanted))
        fail_msg("\"%s\" is read \"%s\", not \"%s\"", text, read ? read : "(refused)", wanted);
    free(read);
    filter_free(f);
}

static void test_fold(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"Straße", "STRASSE"}, {"ＢＡＤ", "bad"},          {"Ⓑⓐⓓ", "bad"},  {"b\u200Bad", "bad"},
        {"bád", "bad"},        {"b\u0301a\u0336d", "bad"}, {"ﬁne", "FINE"}, {"Éclair", "eclair"},
        {"ПРИВЕТ", "привет"},  {"ёлка", "елка"},           {"ｶﾞ", "ガ"},    {"\u212B", "å"},
        {"각", "각"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *a = fold_text(same[i][0], strlen(same[i][0])), *b = fold_text(same[i][1], strlen(same[i][1]));
        assert_non_null(a);
        assert_string_equal(a, b);
        free(a);
        free(b);
    }
    char *ga = fold_text("が", 3), *ka = fold_text("か", 3), *gag = fold_text("각", 3), *g = fold_text("가", 3);
    assert_string_not_equal(ga, ka);     /* dakuten makes another letter */
    assert_false(fold_contains(gag, g)); /* and a syllable is not half of another */
    free(ga), free(ka), free(gag), free(g);
    assert_null(fold_text("\xFF\xFE", 2));
}

static void test_banned_words_are_words(void **state) {
    (void)state;
    static const char *const banned[] = {"Bad", "very wrong", "禁止", "нельзя"};
    ishow_chat_options o = ishow_chat_options_default();
    o.banned_words = (ishow_chat_words){banned, 4};
    o.repeat_seconds = o.flood_messages = 0;
    o.rate = 0;
    filter *f = make(&o);
    static const char *const refused[] = {"this is bad",     "BAD!",         "ｂａｄ",
                                          "b\u200Da\u200Dd", "so b\u00E1d.", "that is Very  wrong",
                                          "我说禁止啊",      "так НЕЛЬЗЯ",   "(bad)"};
    static const char *const passed[] = {"badge", "a forbad thing", "very much wrong", "нельзяя", "be a d"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (i == 5) continue; /* two spaces between the words: the next loop */
        if (ask_text(f, "anna", refused[i], 0) != ISHOW_CHAT_BY_BANNED_WORD) fail_msg("%s passes", refused[i]);
    }
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
        if (ask_text(f, "anna", passed[i], 0) != -1) fail_msg("%s is refused", passed[i]);
    ishow_chat_message m = fake_message("", "7", "hello");
    m.display_name = fake_span("Bad"); /* names are read too */
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_BANNED_WORD);
    filter_free(f);
}

static void test_links(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    check_read(&o, "look at https://example.org/x?y=1 now", "look at now");
    check_read(&o, "look (www.example.org), it is good", "look it is good");
    check_read(&o, "ｅｘａｍｐｌｅ．ｃｏｍ is the place", "is the place");
    check_read(&o, "go to youtu.be/abc please", "go to please");
    check_read(&o, "mail me@example.com ok", "mail ok");
    check_read(&o, "\u770b\u8fd9\u4e2ahttps://b23.tv/abc\u5f88\u597d\u7b11",
               "\u770b\u8fd9\u4e2a \u5f88\u597d\u7b11"); /* the link alone goes */
    check_read(&o, "I love this.it is great", "I love this.it is great");
    check_read(&o, "asp.net core", "asp.net core");
    check_read(&o, "see about.me/anna now", "see now");
    check_read(&o, "I said no.Then yes", "I said no.Then yes");
    check_read(&o, "version 1.5 is out at 10.30", "version 1.5 is out at 10.30");
    check_read(&o, "hi @anna.com", "hi @anna.com"); /* a mention */
    filter *f = make(&o);
    assert_int_equal(ask_text(f, "anna", "https://example.org", 0), ISHOW_CHAT_BY_LINK);
    filter_free(f);
    o.links = ISHOW_CHAT_REFUSE;
    f = make(&o);
    assert_int_equal(ask_text(f, "anna", "look at example.org", 0), ISHOW_CHAT_BY_LINK);
    filter_free(f);
    o.links = ISHOW_CHAT_READ;
    check_read(&o, "look at example.org", "look at example.org");
}

static void test_emotes_and_faces(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    check_read(&o, "nice one 😀👍🏽", "nice one");
    check_read(&o, "flag 🇩🇪 and family 👨‍👩‍👧 end", "flag and family end");
    check_read(&o, "hello :wave: there", "hello there");
    check_read(&o, "好的[doge]哈哈", "好的 哈哈");
    check_read(&o, "at 10:30:45 ok", "at 10:30:45 ok");
    check_read(&o, "fine (´・ω・`) then", "fine then");
    check_read(&o, "so be it ¯\\_(ツ)_/¯", "so be it");
    check_read(&o, "(╯°□°)╯︵ ┻━┻ enough", "enough");
    check_read(&o, "good :) very good :D <3 ^_^ T_T", "good very good");
    check_read(&o, "what (I mean it) is this?", "what (I mean it) is this?");
    check_read(&o, "is it 5 % or 6 ?", "is it 5 % or 6 ?");
    /* a platform's own, by code points: 'Kappa' behind a letter outside ASCII */
    const ishow_chat_emote emotes[] = {{3, 8, {"25", 2}}, {90, 95, {"1", 1}}};
    ishow_chat_message m = fake_message("", "anna", "é, Kappa hello");
    m.emotes = emotes;
    m.n_emotes = 2;
    filter *f = make(&o);
    char *read = NULL;
    assert_int_equal(ask(f, m, 0, &read), -1);
    assert_string_equal(read, "é, hello");
    free(read);
    m.text = fake_span("😀");
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_EMOTE);
    assert_int_equal(ask_text(f, "anna", ":) :)", 0), ISHOW_CHAT_BY_EMOTE);
    assert_int_equal(ask_text(f, "anna", "...!?", 0), ISHOW_CHAT_BY_EMPTY);
    assert_int_equal(ask_text(f, "anna", "", 0), ISHOW_CHAT_BY_EMPTY);
    filter_free(f);
    o.emotes = ISHOW_CHAT_READ;
    o.kaomoji = ISHOW_CHAT_READ;
    check_read(&o, "hello :big_wave: there", "hello big wave there");
    check_read(&o, "fine (´・ω・`) then", "fine (´・ω・`) then");
    check_read(&o, "nice 😀", "nice 😀");
}

static void test_squeezing_and_length(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    check_read(&o, "nooooooooo!!!!!!!!", "nooo!!!");
    check_read(&o, "1000000 is a number", "1000000 is a number");
    check_read(&o, "lol lol lol lol lol what", "lol lol lol what");
    check_read(&o, "  a \t\n b\x01\u202E c  ", "a b c");
    o.words_max = 4;
    check_read(&o, "one two three four five six", "one two three four");
    check_read(&o, "一二三四五六七八九十", "一二三四五六七八"); /* two characters are a word */
    o.words_max = 77;
    o.graphemes_max = 10;
    check_read(&o, "hello wonderful world", "hello");
    check_read(&o, "incomprehensible", "incompreh"); /* one word that is too long is cut inside */
    /* ten graphemes that are thirty code points stay whole */
    check_read(&o,
               "e\u0301\u0302e\u0301\u0302e\u0301\u0302o\u0301\u0302o\u0301\u0302o\u0301\u0302u\u0301\u0302u\u0301"
               "\u0302u\u0301\u0302a\u0301\u0302",
               "e\u0301\u0302e\u0301\u0302e\u0301\u0302o\u0301\u0302o\u0301\u0302o\u0301\u0302u\u0301\u0302u\u0301"
               "\u0302u\u0301\u0302a\u0301\u0302");
    o.long_texts = ISHOW_CHAT_REFUSE;
    filter *f = make(&o);
    assert_int_equal(ask_text(f, "anna", "hello wonderful world", 0), ISHOW_CHAT_BY_LENGTH);
    filter_free(f);
    assert_int_equal(count_graphemes("👨‍👩‍👧é"), 2);
    assert_int_equal(count_words("two words 四个字符"), 4);
}

static void test_who(void **state) {
    (void)state;
    static const char *const platforms[] = {"test", "twitch"}, *const channels[] = {"Room"},
                             *const bots[] = {"NightBot"}, *const blocked[] = {"eve", "twitch:mallory", "u-99"};
    ishow_chat_options o = ishow_chat_options_default();
    o.platforms = (ishow_chat_words){platforms, 2};
    o.channels = (ishow_chat_words){channels, 1};
    o.bots = (ishow_chat_words){bots, 1};
    o.blocklist = (ishow_chat_words){blocked, 3};
    filter *f = make(&o);
    ishow_chat_message m = fake_message("", "anna", "hello");
    m.platform = fake_span("other");
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_PLATFORM);
    m.platform = fake_span("twitch");
    m.channel = fake_span("lounge");
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_CHANNEL);
    m.channel = fake_span("#room");
    assert_int_equal(ask(f, m, 0, NULL), -1);
    assert_int_equal(ask_text(f, "nightbot", "hello", 0), ISHOW_CHAT_BY_BOT);
    m = fake_message("", "helper", "hello");
    m.roles = ISHOW_CHAT_ROLE_BOT;
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_BOT);
    assert_int_equal(ask_text(f, "Eve", "hello", 0), ISHOW_CHAT_BY_BLOCKLIST);
    assert_int_equal(ask_text(f, "u-99", "hello", 0), ISHOW_CHAT_BY_BLOCKLIST);
    assert_int_equal(ask_text(f, "mallory", "hello", 0), -1); /* another platform's */
    m = fake_message("same", "bob", "hello");
    assert_int_equal(ask(f, m, 0, NULL), -1);
    assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_DUPLICATE);
    filter_free(f);
    o = ishow_chat_options_default();
    o.roles = ISHOW_CHAT_ROLE_SUBSCRIBER | ISHOW_CHAT_ROLE_MODERATOR;
    o.events = 0;
    f = make(&o);
    assert_int_equal(ask_text(f, "anna", "hello", 0), ISHOW_CHAT_BY_ROLE);
    m = fake_message("", "anna", "hello");
    m.roles = ISHOW_CHAT_ROLE_SUBSCRIBER;
    assert_int_equal(ask(f, m, 0, NULL), -1);
    m.kind = ISHOW_CHAT_KIND_RAID;
    m.system_text = fake_span("300 raiders");
    assert_int_equal(ask(f, m, 1, NULL), ISHOW_CHAT_BY_KIND);
    m = fake_message("", "bob", "hello");
    m.priority = ISHOW_CHAT_PRIORITY_PAID; /* who pays is read */
    assert_int_equal(ask(f, m, 0, NULL), -1);
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
    filter *f = make(&o);
    filtered r;
    assert_int_equal(ask_text(f, "anna", "!play song", 0), ISHOW_CHAT_BY_COMMAND);
    assert_int_equal(ask_text(f, "anna", "!!! wow", 0), -1);
    ishow_chat_message m = fake_message("v1", "anna", "!voice ZHONG");
    assert_true(filter_message(f, &m, 0, &r));
    assert_true(!r.accepted && r.obeyed && r.reason == ISHOW_CHAT_BY_COMMAND);
    assert_string_equal(r.voice, "zhong");
    filtered_free(&r);
    m = fake_message("v2", "anna", "hello again");
    assert_true(filter_message(f, &m, 0, &r));
    assert_string_equal(r.voice, "zhong"); /* chosen, although the text is English */
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
    filter_free(f);

    /* Viewers are spread over the voices, keep theirs, and when a voice is added only those who get it change. */
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

static void test_tempo(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    o.cooldown_seconds = 5;
    o.repeat_seconds = 30;
    o.flood_messages = 4;
    o.flood_seconds = 10;
    filter *f = make(&o);
    assert_int_equal(ask_text(f, "anna", "first", 0), -1);
    assert_int_equal(ask_text(f, "anna", "second", 2), ISHOW_CHAT_BY_COOLDOWN);
    assert_int_equal(ask_text(f, "anna", "FIRST! 😀", 6), -1);                    /* punctuation makes it other words */
    assert_int_equal(ask_text(f, "anna", "First! :)", 8), ISHOW_CHAT_BY_REPEAT); /* emotes and case do not */
    assert_int_equal(ask_text(f, "anna", "fifth", 9), ISHOW_CHAT_BY_FLOOD);
    assert_int_equal(ask_text(f, "anna", "sixth", 12), -1);
    ishow_chat_message m = fake_message("", "mo", "calm down");
    m.roles = ISHOW_CHAT_ROLE_MODERATOR;
    for (int i = 0; i < 6; i++) assert_int_equal(ask(f, m, 12, NULL), -1);
    filter_free(f);
    o = ishow_chat_options_default();
    o.rate = 10;
    f = make(&o);
    int passed = 0;
    for (int i = 0; i < 1000; i++) { /* 100 a second for ten seconds, each from another viewer */
        char user[16], text[32];
        snprintf(user, sizeof user, "u%d", i);
        snprintf(text, sizeof text, "message number %d", i);
        int verdict = ask_text(f, user, text, i * 0.01);
        assert_true(verdict == -1 || verdict == ISHOW_CHAT_BY_RATE);
        passed += verdict == -1;
    }
    assert_true(passed >= 110 && passed <= 121); /* a burst of twenty and ten a second */
    filter_free(f);
}

static void test_priorities_by_mention(void **state) {
    (void)state;
    static const char *const names[] = {"Streamer"};
    ishow_chat_options o = ishow_chat_options_default();
    o.mentions = (ishow_chat_words){names, 1};
    filter *f = make(&o);
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

static void test_languages(void **state) {
    (void)state;
    static const struct {
        const char *text, *language;
    } cases[] = {{"what is this and why do you have it", "en"},
                 {"das ist nicht der Weg", "de"},
                 {"je ne sais pas pourquoi c'est la", "fr"},
                 {"hola, como esta el juego", "es"},
                 {"今天天气很好", "zh"},
                 {"今日はいい天気ですね", "ja"},
                 {"안녕하세요 여러분", "ko"},
                 {"привет всем", "ru"},
                 {"hello 你好", "en"},
                 {"मैं ठीक हूँ", "hi"},
                 {"gg", "en"},
                 {"", "en"}};
    static const char *const german[] = {"no", "gg", "was", "danke", "die", "Boss"}; /* where German is expected */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(text_language(cases[i].text, "en"), cases[i].language))
            fail_msg("%s is said to be %s", cases[i].text, text_language(cases[i].text, "en"));
    for (size_t i = 0; i < sizeof german / sizeof *german; i++)
        assert_string_equal(text_language(german[i], "de"), "de");
    assert_string_equal(text_language("come on guys, hurry up", "de-AT"), "en");
    assert_true(language_matches("en-GB", "en") && !language_matches("en", "eng"));
    static const char *const spoken[] = {"en"};
    ishow_chat_options o = ishow_chat_options_default();
    o.languages = (ishow_chat_words){spoken, 1};
    filter *f = make(&o);
    assert_int_equal(ask_text(f, "anna", "今天天气很好", 0), ISHOW_CHAT_BY_LANGUAGE);
    assert_int_equal(ask_text(f, "anna", "good weather today", 0), -1);
    filter_free(f);
}

/* Lines of six languages in a channel that expects English: at least 97 of 100 are told. */
static void test_lines_of_six_languages(void **state) {
    (void)state;
    FILE *f = fopen("tests/text/languages.tsv", "r");
    char line[512];
    int lines = 0, right = 0;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *text = strchr(line, '\t');
        line[strcspn(line, "\n")] = '\0';
        if (*line == '#' || !text) continue;
        *text++ = '\0';
        const char *guess = text_language(text, "en");
        lines++;
        if (!strcmp(guess, line))
            right++;
        else
            print_message("%s is %s, not %s\n", text, line, guess);
    }
    fclose(f);
    assert_true(lines >= 190);
    assert_true(right * 100 >= lines * 97);
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
                 {"", "", "Someone"},
                 {"❤Mia❤", "", "Mia"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *name = clean_name(fake_span(cases[i].display), fake_span(cases[i].login), 1);
        assert_string_equal(name, cases[i].said);
        free(name);
    }
    char *name = clean_name(fake_span("xX_Dark_Xx"), fake_span(""), 0);
    assert_string_equal(name, "xX_Dark_Xx");
    free(name);
}

static void check_said(const ishow_chat_message *m, const char *text, int names, const char *wanted) {
    const ishow_chat_options o = ishow_chat_options_default();
    item *it = item_create(m, text, "test:anna");
    char *said = say_item(it, &o, names);
    assert_string_equal(said, wanted);
    free(said);
    /* what the journal keeps says the same */
    char *record = item_record(it);
    item *again = item_from_record(record, 5);
    assert_non_null(again);
    char *said_again = say_item(again, &o, names);
    assert_string_equal(said_again, wanted);
    free(said_again);
    free(record);
    item_free(again);
    item_free(it);
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
    ishow_chat_options o = ishow_chat_options_default();
    o.template_text = "On {platform}, {user}{unknown}: {text} {";
    m = fake_message("t", "Bob", "hi");
    item *it = item_create(&m, "hi", "test:bob");
    assert_true(item_add_other(it, fake_span("t2"), "test:carl"));
    char *said = say_item(it, &o, 1);
    assert_string_equal(said, "On test, Bob and one other{unknown}: hi {");
    free(said);
    item_free(it);
}

static void test_ids_are_forgotten_in_order(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    o.rate = o.repeat_seconds = 0;
    o.flood_messages = 0;
    filter *f = make(&o);
    char id[32];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3 * SEEN_MAX; i++) {
            snprintf(id, sizeof id, "m%d", i);
            ishow_chat_message m = fake_message(id, "anna", "hello");
            assert_int_equal(ask(f, m, 0, NULL), -1); /* each came more than SEEN_MAX messages ago, or never */
            if (i % 97 == 0) assert_int_equal(ask(f, m, 0, NULL), ISHOW_CHAT_BY_DUPLICATE);
        }
    filter_free(f);
}

static uint64_t dice = 88172645463325252u;
static uint32_t roll(uint32_t n) {
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 33) % n;
}

/* Random Unicode, and random bytes of UTF-8 that sources would never give: never a crash, always valid UTF-8 within the
 * bounds. */
static void test_random_unicode(void **state) {
    (void)state;
    static const uint32_t blocks[][2] = {
        {0x20, 0x7F},     {0xA0, 0x250},      {0x300, 0x370},     {0x400, 0x530},
        {0x600, 0x700},   {0x900, 0x980},     {0x2000, 0x2070},   {0x2190, 0x2700},
        {0x3040, 0x3100}, {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3},   {0xFE00, 0xFE10},
        {0xFF00, 0xFFF0}, {0x1F000, 0x1FAFF}, {0xE0000, 0xE0100}, {0x10FF00, 0x10FFFF}};
    static const char *const seeds[] = {"https://", ".com",   ":wave:", "(", ")",   "¯\\_(ツ)_/¯",
                                        "!voice ",  "@room ", "[doge]", " ", "^_^", "{user}"};
    ishow_chat_options o = ishow_chat_options_default();
    o.rate = o.repeat_seconds = 0;
    o.flood_messages = 0;
    static const char *const banned[] = {"x", "ß", "禁"};
    o.banned_words = (ishow_chat_words){banned, 3};
    for (int round = 0; round < 4000; round++) {
        char text[2048];
        size_t n = 0;
        for (uint32_t i = roll(120); i; i--) {
            if (roll(12) == 0) n += (size_t)sprintf(text + n, "%s", seeds[roll(sizeof seeds / sizeof *seeds)]);
            const uint32_t *block = blocks[roll(sizeof blocks / sizeof *blocks)];
            uint32_t c = block[0] + roll(block[1] - block[0]);
            if (c < 0x80)
                text[n++] = (char)c;
            else if (c < 0x800)
                n += (size_t)sprintf(text + n, "%c%c", (int)(0xC0 | c >> 6), (int)(0x80 | (c & 63)));
            else if (c < 0x10000)
                n += (size_t)sprintf(text + n, "%c%c%c", (int)(0xE0 | c >> 12), (int)(0x80 | (c >> 6 & 63)),
                                     (int)(0x80 | (c & 63)));
            else
                n += (size_t)sprintf(text + n, "%c%c%c%c", (int)(0xF0 | c >> 18), (int)(0x80 | (c >> 12 & 63)),
                                     (int)(0x80 | (c >> 6 & 63)), (int)(0x80 | (c & 63)));
        }
        text[n] = '\0';
        o.emotes = roll(2) ? ISHOW_CHAT_STRIP : ISHOW_CHAT_READ;
        o.kaomoji = roll(2) ? ISHOW_CHAT_STRIP : ISHOW_CHAT_READ;
        o.links = (ishow_chat_rule)roll(3);
        o.words_max = 1 + (int)roll(30);
        o.graphemes_max = 1 + (int)roll(60);
        filter *f = make(&o);
        char *read = NULL;
        const ishow_chat_emote emote = {roll(50), roll(100), {"1", 1}};
        ishow_chat_message m = fake_message("", "anna", text);
        m.display_name = fake_span(text);
        if (m.display_name.size > 200) m.display_name.size = 0;
        m.emotes = &emote;
        m.n_emotes = 1;
        if (ask(f, m, 0, &read) == -1) {
            assert_true(*read);
            assert_true(ishow_utf8_length(read) != SIZE_MAX);
            assert_true(count_graphemes(read) <= (size_t)o.graphemes_max);
            assert_true(count_words(read) <= (size_t)o.words_max);
            ishow_chat_message twice = fake_message("", "bob", read); /* what is clean stays as it is */
            char *again = NULL;
            if (ask(f, twice, 0, &again) == -1) assert_true(count_graphemes(again) <= count_graphemes(read));
            free(again);
        }
        free(read);
        filter_free(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_banned_words_are_words),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_emotes_and_faces),
        cmocka_unit_test(test_squeezing_and_length),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_commands_and_voices),
        cmocka_unit_test(test_tempo),
        cmocka_unit_test(test_priorities_by_mention),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_lines_of_six_languages),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_templates),
        cmocka_unit_test(test_ids_are_forgotten_in_order),
        cmocka_unit_test(test_random_unicode),
    };
    return cmocka_run_group_tests_name("chat_filter", tests, NULL, NULL);
}
