/* Accept header fields, well-formed and malformed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "service/accept.h"

static void a_type_is_wanted_as_much_as_it_says(void **state) {
    (void)state;
    static const struct {
        const char *accept, *type, *subtype;
        double q;
    } cases[] = {
        {"audio/*", "audio", "wav", 1},
        {"AUDIO/WAV", "audio", "wav", 1},
        {"audio/wav;q=0.5, application/json", "audio", "wav", 0.5},
        {"audio/wav;q=0.5, application/json", "application", "json", 1},
        {"audio/wav ; level=1 ; Q=0.25", "audio", "wav", 0.25},
        {"audio/wav;\tq=0.25", "audio", "wav", 0.25},
        {"audio/wav;seq=0.25", "audio", "wav", 1},
        {"audio/wav;q=0", "audio", "wav", 0},
        {"audio/wav;q=0, audio/*;q=0.5", "audio", "wav", 0.5}, /* the best of what fits */
        {"audio/*;q=0.1, audio/wav;q=0.9, audio/*;q=0.3", "audio", "wav", 0.9},
        {"text/html, */*", "audio", "wav", 0}, /* a wildcard does not ask for sound */
        {"audio/wave", "audio", "wav", 0},
        {"audio/wa", "audio", "wav", 0},
        {"audiox/wav, xaudio/wav", "audio", "wav", 0},
        {NULL, "audio", "wav", 0},
        {"", "audio", "wav", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ishow_accept_quality(cases[i].accept, cases[i].type, cases[i].subtype) != cases[i].q)
            fail_msg("%s: %s/%s", cases[i].accept, cases[i].type, cases[i].subtype);
}

static void what_cannot_be_read_is_not_wanted(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        double q;
    } cases[] = {
        {"audio", 0},
        {"audio/", 0},
        {"/", 0},
        {"/wav", 0},
        {";", 0},
        {",,;q=,/", 0},
        {"audio;q=1/wav", 0},
        {"audio /wav", 0},
        {"audio/ wav", 0},
        {"audio,/wav", 0},
        {"*", 0},
        {"audio/**", 0},
        {"audio/wav/x", 0},
        {"q=1", 0},
        {"audio/wav;q=", 0},
        {"audio/wav;q=x", 0},
        {"audio/wav;q=nan", 0},
        {"audio/wav;q=-1", 0},
        {"audio/wav;q=-inf", 0},
        {"audio/wav;q=7", 1},
        {"audio/wav;q=inf", 1},
        {"audio/wav;q=1e999", 1},
        {"audio/wav;q", 1},
        {"audio/wav;", 1},
        {" \t,audio/wav", 1},
        {"audio/wav;q=0.5,", 0.5},
        {"\xFF\xFE, audio/wav;q=0.5;\xFF", 0.5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ishow_accept_quality(cases[i].accept, "audio", "wav") != cases[i].q) fail_msg("%s", cases[i].accept);
}

static void a_format_is_chosen(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        ishow_format format;
        double q;
    } cases[] = {
        {"audio/*", ISHOW_FORMAT_WAV, 1},
        {"audio/mpeg", ISHOW_FORMAT_MP3, 1},
        {"audio/mp3", ISHOW_FORMAT_MP3, 1},
        {"audio/ogg", ISHOW_FORMAT_OPUS, 1},
        {"audio/opus", ISHOW_FORMAT_OPUS, 1},
        {"audio/x-flac", ISHOW_FORMAT_FLAC, 1},
        {"audio/x-wav", ISHOW_FORMAT_WAV, 1},
        {"audio/pcm", ISHOW_FORMAT_PCM, 1},
        {"audio/*;q=0.5, audio/flac", ISHOW_FORMAT_FLAC, 1},
        {"audio/opus;q=0.4, audio/pcm;q=0.3", ISHOW_FORMAT_OPUS, 0.4},
        {"audio/flac, audio/mpeg, audio/wav", ISHOW_FORMAT_WAV, 1},
        {"audio/flac;q=0, audio/*;q=0.2", ISHOW_FORMAT_WAV, 0.2},
        {"audio/aac", ISHOW_FORMAT_WAV, 0},
        {"audio/mpeg;q=0", ISHOW_FORMAT_WAV, 0},
        {"*/*", ISHOW_FORMAT_WAV, 0},
        {NULL, ISHOW_FORMAT_WAV, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ishow_format format;
        if (ishow_accept_audio(cases[i].accept, &format) != cases[i].q || format != cases[i].format)
            fail_msg("%s: %s", cases[i].accept, ishow_format_name(format));
    }
}

/* As long as the head of a request may be. */
static void many_entries_are_read_to_the_end(void **state) {
    (void)state;
    ishow_buffer b = {0};
    for (int i = 0; i < 4000; i++) ishow_buffer_format(&b, "audio/type-%d;q=0.%d,,", i, i % 10);
    ishow_buffer_text(&b, "audio/flac;q=0.75");
    ishow_buffer_add(&b, "", 1);
    assert_false(b.failed);
    ishow_format format;
    assert_true(ishow_accept_audio((const char *)b.data, &format) == 0.75);
    assert_int_equal(format, ISHOW_FORMAT_FLAC);
    assert_true(ishow_accept_quality((const char *)b.data, "audio", "type-3999") == 0.9);
    ishow_buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_type_is_wanted_as_much_as_it_says),
        cmocka_unit_test(what_cannot_be_read_is_not_wanted),
        cmocka_unit_test(a_format_is_chosen),
        cmocka_unit_test(many_entries_are_read_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
