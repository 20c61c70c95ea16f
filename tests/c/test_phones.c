/* Text to phones: what is read and what is dropped, invalid bytes, long texts, and several threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "text/phones.h"

static ishow_phones *made;

static int setup(void **state) {
    (void)state;
    ishow_error error = {0};
    return ishow_phones_create(&made, &error) == ISHOW_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    ishow_phones_free(made);
    made = NULL;
    return 0;
}

/* Names joined by spaces (free()); NULL when nothing could be read. */
static char *read_bytes(const char *text, size_t bytes) {
    ishow_error error = {0};
    ishow_phone *items = NULL;
    size_t count = 0;
    ishow_status status = ishow_phones_convert(made, text, bytes, &items, &count, &error);
    if (status != ISHOW_OK) {
        assert_int_equal(status, ISHOW_EINVAL);
        assert_int_equal(error.status, status);
        assert_string_equal(error.field, "text");
        assert_true(strlen(error.message) > 10);
        assert_null(items);
        return NULL;
    }
    char *line = calloc(count, 9);
    assert_non_null(line);
    for (size_t i = 0; i < count; i++) {
        if (i) strcat(line, " ");
        strcat(line, items[i].name);
    }
    free(items);
    return line;
}

static void expect(const char *text, const char *wanted) {
    char *got = read_bytes(text, strlen(text));
    assert_non_null(got);
    assert_string_equal(got, wanted);
    free(got);
}

static void expect_same(const char *a, const char *b) {
    char *wanted = read_bytes(b, strlen(b));
    assert_non_null(wanted);
    expect(a, wanted);
    free(wanted);
}

static void words_phones_and_marks(void **state) {
    (void)state;
    expect("Hello, world!", "pau hh ax0 l ow1 pau w er1 l d !");
    expect("Really? Yes.", "pau r ih1 l iy0 ? pau y eh1 s .");
    expect("good", "pau g uh1 d .");
}

static void word_numbers_follow_the_text(void **state) {
    (void)state;
    ishow_error error = {0};
    ishow_phone *items = NULL;
    size_t count = 0;
    const char *text = "Go on. Stay here.";
    assert_int_equal(ishow_phones_convert(made, text, strlen(text), &items, &count, &error), ISHOW_OK);
    int32_t last = -1;
    for (size_t i = 0; i < count; i++) {
        int mark = strcmp(items[i].name, "pau") == 0 || strcmp(items[i].name, ".") == 0;
        assert_int_equal(items[i].word < 0, mark);
        if (items[i].word >= 0) {
            assert_in_range(items[i].word, last < 0 ? 0 : last, last + 1);
            last = items[i].word;
        }
    }
    assert_int_equal(last, 3);
    free(items);
}

static void numbers_and_abbreviations_are_spoken(void **state) {
    (void)state;
    expect_same("23 viewers", "twenty three viewers");
    expect_same("Dr. Smith", "doctor Smith");
    expect_same("$12.50", "twelve dollars fifty cents");
}

static void other_writing_is_folded(void **state) {
    (void)state;
    expect_same("caf\xC3\xA9", "cafe");
    expect_same("it\xE2\x80\x99s", "it's");
    expect_same("\xE2\x80\x9Cgood\xE2\x80\x9D", "\"good\"");
    expect_same("\xEF\xBC\xA8\xEF\xBD\x89", "Hi");
    expect_same("salt & pepper", "salt and pepper");
    expect_same("well \xF0\x9F\x98\x80 done", "well done");
    expect_same("\xC5\x82\xC3\xB3"
                "d\xC5\xBA",
                "lodz");
}

static void nothing_readable_is_refused(void **state) {
    (void)state;
    const char *empty[] = {"", " ", "...", "!?", "\xE4\xBD\xA0\xE5\xA5\xBD", "\xF0\x9F\x98\x80", "\xFF\xFE\x80"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        assert_null(read_bytes(empty[i], strlen(empty[i])));
    }
}

static void any_bytes_are_safe(void **state) {
    (void)state;
    uint32_t seed = 1;
    char text[400];
    for (int round = 0; round < 300; round++) {
        size_t n = 1 + (size_t)round;
        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = round % 3 ? (char)(seed >> 24) : " abc019.,'-$%#@()\n"[(seed >> 24) % 18];
        }
        free(read_bytes(text, n));
    }
    expect_same("a\xC3", "a");
}

static void long_text_is_limited(void **state) {
    (void)state;
    static char text[ISHOW_PHONES_MAX_TEXT + 1];
    memset(text, 'x', sizeof text);
    free(read_bytes(text, 2000)); /* one very long word is cut, not refused */
    for (size_t i = 0; i < sizeof text; i++) text[i] = i % 5 == 4 ? ' ' : 'a';
    char *line = read_bytes(text, ISHOW_PHONES_MAX_TEXT);
    assert_non_null(line);
    free(line);
    assert_null(read_bytes(text, sizeof text));
}

static void *convert_many(void *wanted) {
    for (int i = 0; i < 20; i++) {
        char *line = read_bytes("One two three.", 14);
        int same = line && strcmp(line, wanted) == 0;
        free(line);
        if (!same) return (void *)1;
    }
    return NULL;
}

static void threads_may_share_a_converter(void **state) {
    (void)state;
    char *wanted = read_bytes("One two three.", 14);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, convert_many, wanted), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    free(wanted);
}

static void handles_are_counted(void **state) {
    (void)state;
    long before = ishow_live_handles();
    ishow_phones *other = NULL;
    ishow_error error = {0};
    assert_int_equal(ishow_phones_create(&other, &error), ISHOW_OK);
    assert_int_equal(ishow_live_handles(), before + 1);
    ishow_phones_free(other);
    ishow_phones_free(NULL);
    assert_int_equal(ishow_live_handles(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_phones_and_marks),
        cmocka_unit_test(word_numbers_follow_the_text),
        cmocka_unit_test(numbers_and_abbreviations_are_spoken),
        cmocka_unit_test(other_writing_is_folded),
        cmocka_unit_test(nothing_readable_is_refused),
        cmocka_unit_test(any_bytes_are_safe),
        cmocka_unit_test(long_text_is_limited),
        cmocka_unit_test(threads_may_share_a_converter),
        cmocka_unit_test(handles_are_counted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
