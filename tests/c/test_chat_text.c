/* Texts of messages: folding, links, emotes, length and language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter_helpers.h"

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
    assert_string_not_equal(ga, ka);     /* a dakuten makes another letter */
    assert_false(fold_contains(gag, g)); /* and a syllable does not match half of another */
    free(ga), free(ka), free(gag), free(g);
    assert_null(fold_text("\xFF\xFE", 2));
}

static void test_links(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    filter_check_read(&o, "look at https://example.org/x?y=1 now", "look at now");
    filter_check_read(&o, "look (www.example.org), it is good", "look it is good");
    filter_check_read(&o, "ｅｘａｍｐｌｅ．ｃｏｍ is the place", "is the place");
    filter_check_read(&o, "go to youtu.be/abc please", "go to please");
    filter_check_read(&o, "mail me@example.com ok", "mail ok");
    filter_check_read(&o, "\u770b\u8fd9\u4e2ahttps://b23.tv/abc\u5f88\u597d\u7b11",
                      "\u770b\u8fd9\u4e2a \u5f88\u597d\u7b11"); /* only the link is removed */
    filter_check_read(&o, "I love this.it is great", "I love this.it is great");
    filter_check_read(&o, "asp.net core", "asp.net core");
    filter_check_read(&o, "see about.me/anna now", "see now");
    filter_check_read(&o, "I said no.Then yes", "I said no.Then yes");
    filter_check_read(&o, "version 1.5 is out at 10.30", "version 1.5 is out at 10.30");
    filter_check_read(&o, "hi @anna.com", "hi @anna.com"); /* a mention */
    filter *f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "https://example.org", 0), ISHOW_CHAT_BY_LINK);
    filter_free(f);
    o.links = ISHOW_CHAT_REFUSE;
    f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "look at example.org", 0), ISHOW_CHAT_BY_LINK);
    filter_free(f);
    o.links = ISHOW_CHAT_READ;
    filter_check_read(&o, "look at example.org", "look at example.org");
}

static void test_emotes_and_faces(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    filter_check_read(&o, "nice one 😀👍🏽", "nice one");
    filter_check_read(&o, "flag 🇩🇪 and family 👨‍👩‍👧 end", "flag and family end");
    filter_check_read(&o, "hello :wave: there", "hello there");
    filter_check_read(&o, "好的[doge]哈哈", "好的 哈哈");
    filter_check_read(&o, "at 10:30:45 ok", "at 10:30:45 ok");
    filter_check_read(&o, "fine (´・ω・`) then", "fine then");
    filter_check_read(&o, "so be it ¯\\_(ツ)_/¯", "so be it");
    filter_check_read(&o, "(╯°□°)╯︵ ┻━┻ enough", "enough");
    filter_check_read(&o, "good :) very good :D <3 ^_^ T_T", "good very good");
    filter_check_read(&o, "what (I mean it) is this?", "what (I mean it) is this?");
    filter_check_read(&o, "is it 5 % or 6 ?", "is it 5 % or 6 ?");
    /* an emote that the platform gives by code points: 'Kappa' behind a letter outside of ASCII */
    const ishow_chat_emote emotes[] = {{3, 8, {"25", 2}}, {90, 95, {"1", 1}}};
    ishow_chat_message m = fake_message("", "anna", "é, Kappa hello");
    m.emotes = emotes;
    m.n_emotes = 2;
    filter *f = filter_make(&o);
    char *read = NULL;
    assert_int_equal(filter_ask(f, m, 0, &read), -1);
    assert_string_equal(read, "é, hello");
    free(read);
    m.text = fake_span("😀");
    assert_int_equal(filter_ask(f, m, 0, NULL), ISHOW_CHAT_BY_EMOTE);
    assert_int_equal(filter_ask_text(f, "anna", ":) :)", 0), ISHOW_CHAT_BY_EMOTE);
    assert_int_equal(filter_ask_text(f, "anna", "...!?", 0), ISHOW_CHAT_BY_EMPTY);
    assert_int_equal(filter_ask_text(f, "anna", "", 0), ISHOW_CHAT_BY_EMPTY);
    filter_free(f);
    o.emotes = ISHOW_CHAT_READ;
    o.kaomoji = ISHOW_CHAT_READ;
    filter_check_read(&o, "hello :big_wave: there", "hello big wave there");
    filter_check_read(&o, "fine (´・ω・`) then", "fine (´・ω・`) then");
    filter_check_read(&o, "nice 😀", "nice 😀");
}

static void test_squeezing_and_length(void **state) {
    (void)state;
    ishow_chat_options o = ishow_chat_options_default();
    filter_check_read(&o, "nooooooooo!!!!!!!!", "nooo!!!");
    filter_check_read(&o, "1000000 is a number", "1000000 is a number");
    filter_check_read(&o, "lol lol lol lol lol what", "lol lol lol what");
    filter_check_read(&o, "  a \t\n b\x01\u202E c  ", "a b c");
    o.words_max = 4;
    filter_check_read(&o, "one two three four five six", "one two three four");
    filter_check_read(&o, "一二三四五六七八九十", "一二三四五六七八"); /* two characters count as a word */
    o.words_max = 77;
    o.graphemes_max = 10;
    filter_check_read(&o, "hello wonderful world", "hello");
    filter_check_read(&o, "incomprehensible", "incompreh"); /* a single word that is too long is cut inside */
    /* ten graphemes of thirty code points are kept */
    filter_check_read(
        &o,
        "e\u0301\u0302e\u0301\u0302e\u0301\u0302o\u0301\u0302o\u0301\u0302o\u0301\u0302u\u0301\u0302u\u0301"
        "\u0302u\u0301\u0302a\u0301\u0302",
        "e\u0301\u0302e\u0301\u0302e\u0301\u0302o\u0301\u0302o\u0301\u0302o\u0301\u0302u\u0301\u0302u\u0301"
        "\u0302u\u0301\u0302a\u0301\u0302");
    o.long_texts = ISHOW_CHAT_REFUSE;
    filter *f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "hello wonderful world", 0), ISHOW_CHAT_BY_LENGTH);
    filter_free(f);
    assert_int_equal(count_graphemes("👨‍👩‍👧é"), 2);
    assert_int_equal(count_words("two words 四个字符"), 4);
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
    static const char *const german[] = {"no",    "gg",  "was",
                                         "danke", "die", "Boss"}; /* in a channel that expects German */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(text_language(cases[i].text, "en"), cases[i].language))
            fail_msg("%s is said to be %s", cases[i].text, text_language(cases[i].text, "en"));
    for (size_t i = 0; i < sizeof german / sizeof *german; i++)
        assert_string_equal(text_language(german[i], "de"), "de");
    assert_string_equal(text_language("come on guys, hurry up", "de-AT"), "en");
    assert_string_equal(text_language("weiss jemand wann es losgeht", "ja"),
                        "de"); /* in a channel that expects another script */
    assert_string_equal(text_language("lol gg", "zh"), "zh");
    assert_string_equal(text_language("Elden Ring", "en"), "en"); /* a name */
    assert_string_equal(text_language("dziękuję bardzo", "en"), "pl");
    assert_string_equal(text_language("teşekkürler kanka", "de"), "tr");
    assert_true(language_matches("en-GB", "en") && !language_matches("en", "eng"));
    static const char *const spoken[] = {"en"};
    ishow_chat_options o = ishow_chat_options_default();
    o.languages = (ishow_chat_words){spoken, 1};
    filter *f = filter_make(&o);
    assert_int_equal(filter_ask_text(f, "anna", "今天天气很好", 0), ISHOW_CHAT_BY_LANGUAGE);
    assert_int_equal(filter_ask_text(f, "anna", "good weather today", 0), -1);
    filter_free(f);
}

/* Lines of six languages in a channel that expects English: at least 97 of 100 are recognised. */
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

/* Random Unicode, and random bytes that sources never give: no crash, and always valid UTF-8 within the limits. */
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
        filter *f = filter_make(&o);
        char *read = NULL;
        const ishow_chat_emote emote = {roll(50), roll(100), {"1", 1}};
        ishow_chat_message m = fake_message("", "anna", text);
        m.display_name = fake_span(text);
        if (m.display_name.size > 200) m.display_name.size = 0;
        m.emotes = &emote;
        m.n_emotes = 1;
        if (filter_ask(f, m, 0, &read) == -1) {
            assert_true(*read);
            assert_true(ishow_utf8_length(read) != SIZE_MAX);
            assert_true(count_graphemes(read) <= (size_t)o.graphemes_max);
            assert_true(count_words(read) <= (size_t)o.words_max);
            ishow_chat_message twice = fake_message("", "bob", read); /* a clean text is unchanged */
            char *again = NULL;
            if (filter_ask(f, twice, 0, &again) == -1) assert_true(count_graphemes(again) <= count_graphemes(read));
            free(again);
        }
        free(read);
        filter_free(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_emotes_and_faces),
        cmocka_unit_test(test_squeezing_and_length),
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_lines_of_six_languages),
        cmocka_unit_test(test_random_unicode),
    };
    return cmocka_run_group_tests_name("chat text", tests, NULL, NULL);
}
