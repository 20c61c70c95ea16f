/* Splitting of texts and durations, by tables of examples. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine/internal.h"
#include "engine/plan.h"

static const ishow_pace bytes_pace = {.by_bytes = 1, .frames_per_unit = 6, .frames_per_second = 93.75};

/* Joins the pieces with "|". */
static void split(const char *text, double max_units, double early_units, char *out, size_t size) {
    ishow_span *spans;
    size_t n;
    assert_int_equal(ishow_chunk_split(text, &bytes_pace, max_units, early_units, &spans, &n, NULL), ISHOW_OK);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t at = strlen(out);
        snprintf(out + at, size - at, "%s%.*s", i ? "|" : "", (int)(spans[i].end - spans[i].begin),
                 text + spans[i].begin);
    }
    free(spans);
}

static void texts_are_cut_between_sentences_and_clauses(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double max;
        const char *pieces;
    } table[] = {
        {"", 10, ""},
        {"  \n ", 10, ""},
        {"  Hello there.  ", 100, "Hello there."},
        /* cuts between sentences first, at a clause or word only where a sentence does not fit */
        {"One two three. Four five six. Seven eight nine.", 20, "One two three.|Four five six.|Seven eight nine."},
        {"One two three. Four five six. Seven eight nine.", 30, "One two three. Four five six.|Seven eight nine."},
        {"I came, I saw, I conquered it all.", 17, "I came, I saw,|I conquered it all."},
        {"alpha beta gamma delta epsilon zeta", 14, "alpha beta|gamma delta|epsilon zeta"},
        {"First line\nSecond line\nThird line", 14, "First line|Second line|Third line"},
        /* a closing quote stays with its sentence; a dot in a number or after a title does not end one */
        {"\"Stop!\" he said. \"Why?\" she asked him.", 19, "\"Stop!\" he said.|\"Why?\" she asked him."},
        {"It is 3.14159 or so. Thanks to Mr. Smith here.", 28, "It is 3.14159 or so.|Thanks to Mr. Smith here."},
        /* a short rest is not a piece by itself */
        {"aaaa bbbb cccc dddd ee", 20, "aaaa bbbb cccc dddd ee"},
        /* full-width marks need no space behind them */
        {"你好。今天天气很好，我们去公园吧！真的吗？", 25, "你好。|今天天气很好，|我们去公园吧！|真的吗？"},
        {"「今日は。」私は言った。", 20, "「今日は。」|私は言った。"},
        {"今天天气很好我们去公园吧", 12, "今天天气|很好我们|去公园吧"},
        {"我用iPhone拍照片", 10, "我用|iPhone拍|照片"},
        /* without any such place: between graphemes, never inside one */
        {"abcdefghijklmnopqrstuvwxyz", 10, "abcdefghij|klmnopqrst|uvwxyz"},
        {"e\xcc\x81"
         "e\xcc\x81"
         "e\xcc\x81"
         "e\xcc\x81",
         4, "e\xcc\x81|e\xcc\x81|e\xcc\x81|e\xcc\x81"},
        {"👨‍👩‍👧👨‍👩‍👧", 18, "👨‍👩‍👧|👨‍👩‍👧"},
        {"👍🏽👍🏽👍🏽", 9, "👍🏽|👍🏽|👍🏽"},
        {"🇩🇪🇫🇷🇯🇵", 9, "🇩🇪|🇫🇷|🇯🇵"},
        /* a grapheme that is larger than a piece is not cut */
        {"👨‍👩‍👧👨‍👩‍👧", 5, "👨‍👩‍👧|👨‍👩‍👧"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char pieces[512];
        split(table[i].text, table[i].max, 0, pieces, sizeof pieces);
        assert_string_equal(pieces, table[i].pieces);
    }
}

/* For any text, pieces are in order, valid UTF-8, not empty, lose only spaces, and do not exceed the size. */
static void a_stream_begins_with_a_short_piece(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double early;
        const char *pieces;
    } table[] = {
        /* up to the last sentence that ends in time; every following piece may be longer */
        {"Hi all. Good evening. This is a much longer sentence than those before. And one more comes here. And one "
         "more.",
         25,
         "Hi all. Good evening.|This is a much longer sentence than those before.|And one more comes here. And one "
         "more."},
        /* up to a clause when the sentence ends too late */
        {"When the evening comes, we will all go home together and rest.", 25,
         "When the evening comes,|we will all go home together and rest."},
        /* never between words: up to the first end of a sentence or clause behind the goal */
        {"We will all go home together and rest, when the evening comes at last to us.", 15,
         "We will all go home together and rest,|when the evening comes at last to us."},
        {"We will all go home together and rest when the evening comes", 15,
         "We will all go home together and rest when the evening comes"},
        /* no tiny piece at the beginning or the end */
        {"Oh, this is what happens to a short beginning of a text.", 25,
         "Oh, this is what happens to a short beginning of a text."},
        {"This is what happens to a text with a short end, you.", 40,
         "This is what happens to a text with a short end, you."},
        {"今天天气很好，我们去公园吧，我想和你一起看花。", 24, "今天天气很好，|我们去公园吧，我想和你一起看花。"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char pieces[256];
        split(table[i].text, 100, table[i].early, pieces, sizeof pieces);
        assert_string_equal(pieces, table[i].pieces);
    }
}

static void any_text_is_cut_without_loss(void **state) {
    (void)state;
    static const char *const words[] = {"hello", " ",    "世界", "。",     ", ", ". ", "👍🏽", "\n",  "Straße",
                                        "… ",    "かな", "! ",   "한국어", "a",  "''", "🇩🇪",       "3.5", "—"};
    uint32_t random = 1;
    for (int round = 0; round < 300; round++) {
        char text[2000] = "";
        int n_words = 1 + round % 120;
        for (int i = 0; i < n_words; i++) {
            random = random * 1664525u + 1013904223u;
            strcat(text, words[(random >> 16) % (sizeof words / sizeof *words)]);
        }
        double max = 8 + round % 60;
        ishow_span *spans;
        size_t n, at = 0;
        assert_int_equal(ishow_chunk_split(text, &bytes_pace, max, 0, &spans, &n, NULL), ISHOW_OK);
        for (size_t i = 0; i <= n; i++) {
            size_t begin = i < n ? spans[i].begin : strlen(text);
            assert_true(begin >= at);
            for (size_t k = at; k < begin; k++) assert_true(text[k] == ' ' || text[k] == '\n');
            if (i == n) break;
            assert_true(spans[i].end > begin);
            char piece[2000];
            snprintf(piece, sizeof piece, "%.*s", (int)(spans[i].end - begin), text + begin);
            assert_true(ishow_utf8_length(piece) != SIZE_MAX);
            assert_true((double)(spans[i].end - begin) <= 1.15 * max || !strchr(piece, ' '));
            at = spans[i].end;
        }
        free(spans);
    }
    ishow_span *spans;
    size_t n;
    ishow_error error;
    assert_int_equal(ishow_chunk_split("bad \xff", &bytes_pace, 10, 0, &spans, &n, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "text");
}

static size_t frames_for(const char *ref, size_t ref_frames, const char *text, double speed) {
    ishow_pace pace = ishow_pace_make(ref, ref_frames, text, 93.75);
    return ishow_pace_frames(&pace, text, strlen(text), speed);
}

static void durations_follow_f5_within_one_script(void **state) {
    (void)state;
    const char *ref = "Some call me nature, others call me mother nature. ";                    /* 51 bytes */
    const char *text = "I don't really care what you call me, I have been a silent spectator."; /* 69 */
    size_t f5 = (size_t)(400.0 / 51 * 69);
    assert_int_equal(frames_for(ref, 400, text, 1), f5);
    assert_int_equal(frames_for(ref, 400, text, 2), (size_t)(400.0 / 51 * 69 / 2));
    const char *zh_ref = "对不起，我今天不能和你一起去。", *zh = "我们明天一起去看那个新的电影吧。";
    assert_int_equal(frames_for(zh_ref, 300, zh, 1), (size_t)(300.0 / (double)strlen(zh_ref) * (double)strlen(zh)));
}

static void short_texts_are_neither_swallowed_nor_stretched(void **state) {
    (void)state;
    const char *ref = "Some call me nature, others call me mother nature. ";
    double second = 93.75;
    /* F5's rule gives 9 bytes 3.3 times their share, and 10 bytes no such factor */
    double nine = (double)frames_for(ref, 340, "Thank you", 1), ten = (double)frames_for(ref, 340, "Thank you!", 1);
    assert_true(fabs(nine - ten) < 0.15 * ten);
    assert_true(frames_for(ref, 340, "Hi", 1) >= 0.5 * second && frames_for(ref, 340, "Hi", 1) <= 0.9 * second);
    assert_true(frames_for(ref, 340, "I", 1) >= 0.5 * second);
    assert_true(frames_for(ref, 340, "No, no, no!", 1) >= 0.8 * second);
    /* the requested speed holds for a short text as well */
    double fast = (double)frames_for(ref, 340, "Hi", 2), slow = (double)frames_for(ref, 340, "Hi", 0.5),
           plain = (double)frames_for(ref, 340, "Hi", 1);
    assert_true(fabs(fast - plain / 2) <= 1);
    assert_true(fabs(slow - plain * 2) <= 2);
    /* more text never has fewer frames */
    const char *longer = "one two three four five six seven eight nine ten";
    size_t before = 0;
    for (size_t n = 1; n <= strlen(longer); n++) {
        ishow_pace pace = ishow_pace_make(ref, 340, longer, second);
        size_t frames = ishow_pace_frames(&pace, longer, n, 1);
        assert_true(frames >= before);
        before = frames;
    }
}

static void scripts_are_compared_by_speech_time(void **state) {
    (void)state;
    const char *en = "The weather is nice today, let us go to the park. "; /* 50 bytes */
    size_t ref = (size_t)(93.75 * 3.4);
    static const struct {
        const char *text;
        double least, most; /* seconds */
    } table[] = {
        {"今天天气很好，我们一起去公园散步吧。", 2.8, 4.6},
        {"Сегодня хорошая погода, давайте пойдём в парк погулять.", 3.0,
         4.6}, /* two bytes per letter: F5's rule would give 7 s */
        {"きょうはてんきがいいのでこうえんへいきましょう。", 2.3,
         4.2}, /* three bytes per mora: F5's rule would give 4.9 s */
        {"오늘은 날씨가 좋으니 공원에 갑시다.", 2.2, 4.0},
        {"我 love 这个 game，真的 amazing！", 1.8, 3.4},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double seconds = (double)frames_for(en, ref, table[i].text, 1) / 93.75;
        if (seconds < table[i].least || seconds > table[i].most) fail_msg("%s: %.2f s", table[i].text, seconds);
    }
}

static void a_reference_that_does_not_fit_its_text_is_bounded(void **state) {
    (void)state;
    const char *text = "The weather is nice today, let us go to the park.";
    double ordinary = ishow_speech_seconds(text, strlen(text)) * 93.75;
    assert_true((double)frames_for("Yes. ", 1000, text, 1) <=
                2.6 * ordinary); /* a reference of ten seconds for one word */
    assert_true(
        (double)frames_for(
            "A very long text that nobody could ever have said within half a second of audio, not even an auctioneer. ",
            47, text, 1) >= 0.4 * ordinary);
    assert_true(fabs((double)frames_for("", 0, text, 1) - ordinary) <= 1); /* without a reference */
}

static void aligned_tokens_fill_every_frame(void **state) {
    (void)state;
    float predicted[40];
    size_t ends[40];
    for (size_t i = 0; i < 40; i++) predicted[i] = 2.3f + (float)(i * 7 % 11) * 0.61f;
    for (size_t ref_frames = 0; ref_frames <= 300; ref_frames += 37)
        for (double speed = 0.3; speed <= 3; speed += 0.9)
            for (size_t fixed = 0; fixed <= 200; fixed += 100) {
                size_t total = ishow_align_ends(predicted, 40, ref_frames, speed, fixed, ends), before = 0;
                assert_int_equal(total, ends[39]);
                if (ref_frames) assert_int_equal(ends[0], ref_frames);
                if (fixed) assert_int_equal(total, ref_frames + fixed);
                for (size_t i = 0; i < 40; i++) {
                    assert_true(ends[i] > before);
                    before = ends[i];
                }
                int64_t index[3000];
                float phase[3000];
                assert_true(total <= 3000);
                memset(index, -1, sizeof index);
                ishow_align_fill(ends, 40, index, phase);
                for (size_t f = 0; f < total; f++) {
                    assert_true(index[f] >= 0 && index[f] < 40);
                    assert_true(phase[f] > 0 && phase[f] < 1);
                    if (f) assert_true(index[f] > index[f - 1] || phase[f] > phase[f - 1]);
                }
            }
}

static void a_clip_changes_no_duration_of_the_text(void **state) {
    (void)state;
    float predicted[11];
    size_t ends[11];
    for (size_t i = 0; i < 11; i++) predicted[i] = 10;
    predicted[0] = NAN; /* what is predicted for the token of the clip has no meaning */
    assert_int_equal(ishow_align_ends(predicted, 11, 100, 1, 0, ends), 200);
    assert_int_equal(ishow_align_ends(predicted, 11, 500, 1, 0, ends), 600);
    assert_int_equal(ends[0], 500);
    assert_int_equal(ends[1], 510);
    assert_int_equal(ishow_align_ends(predicted, 11, 100, 2, 0, ends), 150);
    assert_int_equal(ishow_align_ends(predicted, 1, 100, 1, 0, ends), 0);
    assert_int_equal(ishow_align_ends(predicted, 11, 0, 1, 0, ends), 0);
    predicted[0] = 10;
    assert_int_equal(ishow_align_ends(predicted, 11, 0, 1, 0, ends), 110);
    predicted[3] = -1;
    assert_int_equal(ishow_align_ends(predicted, 11, 0, 1, 0, ends), 0);
    assert_int_equal(ishow_align_ends(predicted, 11, 100, 1, 0, ends), 0);
}

static void average_layout_gives_the_remainder_to_the_last(void **state) {
    (void)state;
    int64_t index[11];
    static const int64_t expected[11] = {0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3};
    ishow_spread_fill(4, 11, index);
    assert_memory_equal(index, expected, sizeof expected);
}

static void seeds_of_chunks_and_tries_differ(void **state) {
    (void)state;
    uint64_t seen[64];
    size_t n = 0;
    assert_true(ishow_noise_seed(1234, 0, 0) == 1234);
    for (uint32_t chunk = 0; chunk < 8; chunk++)
        for (uint32_t retry = 0; retry < 8; retry++) {
            uint64_t seed = ishow_noise_seed(1234, chunk, retry);
            for (size_t i = 0; i < n; i++) assert_true(seen[i] != seed);
            seen[n++] = seed;
        }
}

static void reference_texts_are_closed(void **state) {
    (void)state;
    static const char *const table[][2] = {{"Hello", "Hello. "},
                                           {"Hello.", "Hello. "},
                                           {"Hello. ", "Hello. "},
                                           {"Really? \n", "Really? "},
                                           {"你好", "你好. "},
                                           {"你好。", "你好。"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *closed = voice_close_text(table[i][0]);
        assert_string_equal(closed, table[i][1]);
        free(closed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_cut_between_sentences_and_clauses),
        cmocka_unit_test(a_stream_begins_with_a_short_piece),
        cmocka_unit_test(any_text_is_cut_without_loss),
        cmocka_unit_test(durations_follow_f5_within_one_script),
        cmocka_unit_test(short_texts_are_neither_swallowed_nor_stretched),
        cmocka_unit_test(scripts_are_compared_by_speech_time),
        cmocka_unit_test(a_reference_that_does_not_fit_its_text_is_bounded),
        cmocka_unit_test(aligned_tokens_fill_every_frame),
        cmocka_unit_test(a_clip_changes_no_duration_of_the_text),
        cmocka_unit_test(average_layout_gives_the_remainder_to_the_last),
        cmocka_unit_test(seeds_of_chunks_and_tries_differ),
        cmocka_unit_test(reference_texts_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
