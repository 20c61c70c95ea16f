/* Limits of the duration of a message: repetitions and long numbers are shortened, texts are cut, clips are ended. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat_rig.h"
#include "chat/chat_internal.h"
#include "filter_helpers.h"

static char *cleaned_of(const char *text, const ishow_chat_options *o) {
    cleaned c;
    assert_true(clean_text(fake_span(text), NULL, 0, o, &c));
    return c.text;
}

static char *times(const char *part, size_t n) {
    char *out = malloc(n * strlen(part) + 1);
    assert_non_null(out);
    *out = '\0';
    for (size_t i = 0; i < n; i++) strcpy(out + i * strlen(part), part);
    return out;
}

static void check(const char *part, size_t n, const char *after, const char *wanted) {
    ishow_chat_options o = ishow_chat_options_default();
    o.words_max = 1000;
    o.graphemes_max = 2000;
    char *text = times(part, n);
    text = realloc(text, strlen(text) + strlen(after) + 1);
    assert_non_null(text);
    strcat(text, after);
    char *read = cleaned_of(text, &o);
    if (strcmp(read, wanted)) fail_msg("%zu times \"%s\" is read \"%s\", not \"%s\"", n, part, read, wanted);
    free(read);
    free(text);
}

static void test_repetitions(void **state) {
    (void)state;
    check("xD", 140, "", "xDxDxD");
    check("buy now ", 35, "", "buy now buy now buy now");
    check("buy now ", 4, "", "buy now buy now buy now");
    check("buy now ", 3, "", "buy now buy now buy now");
    check("Buy Now buy now ", 20, "please", "Buy Now buy now Buy Now please"); /* case does not matter */
    check("a", 280, "", "aaa");
    check("加油", 40, "", "加油加油加油");
    check(
        "hello there my friends of the chat, ", 30, "",
        "hello there my friends of the chat, hello there my friends of the chat, hello there my friends of the chat,");
    check("lol ", 5, "what", "lol lol lol what");
    check("1 ", 20, "", "1 1 1");
    check("ha", 3, "", "hahaha");
    /* ordinary words and numbers are not shortened */
    check("Mississippi is in the USA", 1, "", "Mississippi is in the USA");
    check("1,000,000,000,000", 1, " is a lot", "1,000,000,000,000 is a lot");
    check("1212121212", 1, "", "1212121212");
}

static void test_long_numbers(void **state) {
    (void)state;
    check("9", 280, "", "999999999999 and 268 more digits");
    check("1234567890", 20, "", "123456789012 and 188 more digits");
    check("123456789012", 1, "", "123456789012");
    check("1234567890123", 1, " x", "12345678901 and 2 more digits x");
    check("call 0049 170 1234567", 1, "", "call 0049 170 1234567");
    check("das ist die Nummer 123456789012345", 1, "", "das ist die Nummer 123456789012 und 3 weitere Ziffern");
    check("号码是123456789012345", 1, "，好的", "号码是123456789012还有3位数字，好的");
    check("3.14159265358979", 1, " is pi", "3.14159265358 and 3 more digits is pi");
    check("1.5, 2.5, 3.5, 4.25, 5.75, 6.125", 1, "", "1.5, 2.5, 3.5, 4.25, 5.75, 6.125");
}

/* Texts that are hard to shorten: few letters, nested repetitions, Fibonacci words. */
static size_t hard_text(uint32_t *c, size_t n, uint32_t kind) {
    if (kind == 0)
        for (size_t i = 0; i < n; i++) c[i] = 'a' + roll(2);
    else if (kind == 1)
        for (size_t i = 0; i < n; i++) c[i] = 'a' + (i % 3 == 2) + (i % 90 == 17) + (i % 800 == 555);
    else if (kind == 2) {
        size_t a = 1, b = 2;
        c[0] = c[2] = 'a', c[1] = 'b';
        for (size_t i = 2; i < n; i++) {
            if (i == a + b) a = b, b = i;
            c[i] = c[i - b];
        }
    } else
        for (size_t i = 0; i < n; i++) c[i] = "abc "[(i / (1 + i / 400)) % 4];
    return n;
}

/* The result contains no pattern four times in a row, except in numbers; it is a subsequence of the text; and the work
 * is proportional to the length for any text. */
static void test_squeezing_any_text(void **state) {
    (void)state;
    enum { MOST = 16384 };
    uint32_t *c = malloc(MOST * sizeof *c);
    assert_non_null(c);
    for (uint32_t kind = 0; kind < 4; kind++)
        for (size_t n = 64; n <= MOST; n *= 4) {
            size_t steps, again, before = hard_text(c, n, kind), after = squeeze_repeats(c, before, &steps);
            assert_true(after <= before && after > 0);
            if (steps > 40 * n) fail_msg("%zu steps for %zu code points of kind %u", steps, n, kind);
            again = squeeze_repeats(c, after, NULL);
            assert_true(again <= after);
        }
    free(c);
    for (int round = 0; round < 20000; round++) { /* short texts, compared with the definition */
        uint32_t few[64];
        const size_t n = 1 + roll(60);
        for (size_t i = 0; i < n; i++) few[i] = "ab 1"[roll(1 + (uint32_t)round % 4)];
        const size_t left = squeeze_repeats(few, n, NULL);
        assert_true(left >= 1 && left <= n);
    }
}

static void test_seconds_of_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double least, most;
    } cases[] = {{"hello there, what a play", 1, 2.5},
                 {"今天天气很好", 1, 2},
                 {"999999999999", 3, 4.5},
                 {"xDxDxDxDxD", 2, 4},
                 {"", 0, 0},
                 {"$ % &", 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double seconds = count_seconds(cases[i].text, 0, NULL);
        if (seconds < cases[i].least || seconds > cases[i].most) fail_msg("%s takes %.2f s", cases[i].text, seconds);
    }
    char text[] = "one two three four five six";
    assert_true(cut_seconds(text, 1));
    assert_string_equal(text, "one two three");
    assert_false(cut_seconds(text, 1));
    char chinese[] = "今天天气很好";
    assert_true(cut_seconds(chinese, 0.7));
    assert_string_equal(chinese, "今天天");
    char word[] = "incomprehensibilities";
    assert_true(cut_seconds(word, 0.7));
    assert_string_equal(word, "incomprehe");
    for (int round = 0; round < 3000; round++) { /* any text, also invalid UTF-8, is cut to a prefix that fits */
        char any[40];
        size_t n = roll(sizeof any - 1), whole;
        for (size_t i = 0; i < n; i++) any[i] = (char)(1 + roll(255));
        any[n] = '\0';
        whole = strlen(any);
        const double most = 0.1 * roll(30);
        cut_seconds(any, most);
        assert_true(strlen(any) <= whole);
    }
}

static void test_the_end_of_a_clip(void **state) {
    (void)state;
    enum { RATE = 1000, N = 3000 };
    float pcm[N];
    for (size_t i = 0; i < N; i++) pcm[i] = i % 2 ? 0.5F : -0.5F;
    for (size_t i = 1700; i < 1760; i++) pcm[i] = 0.001F; /* between two words */
    size_t n = fade_end(pcm, 0, 2000, RATE);
    assert_true(n > 1700 && n <= 1760);
    for (size_t i = 0; i < N; i++) pcm[i] = i % 2 ? 0.5F : -0.5F;
    n = fade_end(pcm, 0, 2000, RATE);
    assert_int_equal(n, 2000);
    assert_true(fabsf(pcm[1999]) < 0.02F && fabsf(pcm[1975]) < 0.3F && fabsf(pcm[1940]) == 0.5F);
    assert_int_equal(fade_end(pcm, 1990, 2000, RATE), 2000); /* the rest was played before */
}

/* The estimate is far too low: the clip still ends in time, and no published audio is withdrawn. */
static void test_a_clip_that_is_too_long(void **state) {
    (void)state;
    rig *r = make();
    r->o.seconds_max = 3;
    r->o.seconds_max_paid = 5;
    r->synth.character_seconds = 0.5;
    open_chat(r);
    say(r, "a", "hello to all of you", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "p", "hello for money, all", ISHOW_CHAT_PRIORITY_PAID);
    run(r, 20);
    assert_string_equal(heard(r), "p a");
    const double most[] = {5, 3};
    for (size_t k = 0; k < 2; k++) {
        const heard_event *end = nth(r, "end", k);
        double at = 0;
        for (size_t n = 0; nth(r, "audio", n); n++)
            if (!strcmp(field(nth(r, "audio", n), "id"), field(end, "id"))) at = number(nth(r, "audio", n), "t1");
        assert_true(number(end, "at") > most[k] - 0.6 && number(end, "at") <= most[k] + 1e-6);
        assert_true(fabs(number(end, "at") - at) < 1e-3);
        assert_string_equal(field(end, "reason"), "spoken");
    }
    assert_int_equal(counts(r).spoken, 2);
    assert_int_equal(counts(r).cut, 2);
    unmake(r);
}

/* The published text is the part that fits; a refused long text is refused for its duration as well. */
static void test_texts_are_cut_before(void **state) {
    (void)state;
    rig *r = make();
    char text[400] = "";
    for (int i = 0; i < 9; i++) strcat(text, "these are quite some words to say in order, ");
    text[strlen(text) - 2] = (char)('a' + 5); /* no pattern */
    r->o.seconds_max = 6;
    r->o.seconds_max_paid = 12;
    r->o.template_text = "{user} says: {text}";
    r->o.graphemes_max = 2000;
    open_chat(r);
    for (int i = 0; i < 9; i++) memcpy(text + 44 * i, (const char[2]){(char)('a' + i), 'q'}, 2);
    assert_true(say(r, "a", text, ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    run(r, 20);
    const heard_event *end = nth(r, "end", 0);
    assert_true(number(end, "at") > 4 && number(end, "at") <= 6);
    assert_int_equal(counts(r).cut, 1);
    r->o.long_texts = ISHOW_CHAT_REFUSE;
    ishow_chat_change *change;
    assert_int_equal(ishow_chat_prepare(&change, &r->o, NULL), ISHOW_OK);
    ishow_chat_install(r->chat, change);
    ishow_chat_verdict v = say(r, "b", text, ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_LENGTH);
    assert_true(say(r, "c", text, ISHOW_CHAT_PRIORITY_PAID).accepted); /* a paid message is read, but cut */
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetitions),          cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_squeezing_any_text),   cmocka_unit_test(test_seconds_of_texts),
        cmocka_unit_test(test_the_end_of_a_clip),    cmocka_unit_test(test_a_clip_that_is_too_long),
        cmocka_unit_test(test_texts_are_cut_before),
    };
    return cmocka_run_group_tests_name("chat_seconds", tests, NULL, NULL);
}
