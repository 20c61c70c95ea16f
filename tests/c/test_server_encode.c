/* Parts of the HTTP layer that need no socket: encoders, base64, the JSON of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/internal.h"

static void json_strings_are_escaped(void **state) {
    (void)state;
    ishow_buffer b = {0};
    ishow_buffer_json_text(&b, "a\"b\\c\nd\x01 \xC3\xA9");
    ishow_buffer_add(&b, "", 1);
    assert_false(b.failed);
    assert_string_equal((char *)b.data, "\"a\\\"b\\\\c\\nd\\u0001 \xC3\xA9\"");
    ishow_buffer_free(&b);
}

static void base64_matches_the_standard(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}}; /* RFC 4648 */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ishow_buffer b = {0};
        ishow_buffer_base64(&b, cases[i][0], strlen(cases[i][0]));
        ishow_buffer_add(&b, "", 1);
        assert_string_equal((char *)b.data, cases[i][1]);
        ishow_buffer_free(&b);
    }
}

static int parse(const char *body, speech *out, fault *f) {
    const ishow_request defaults = ishow_request_default();
    memset(f, 0, sizeof *f);
    return ishow_speech_parse(&ishow_speech_own, body, strlen(body), &defaults, out, f);
}

static void a_full_request_is_read(void **state) {
    (void)state;
    speech s;
    fault f;
    assert_true(parse("{\"text\":\"h\xC3\xA9\",\"voice_id\":\"v\",\"engine\":\"f5\",\"speed\":2,\"target_rms\":0.2,"
                      "\"cross_fade_duration\":0.5,\"sway_sampling_coef\":0.25,"
                      "\"cfg_strength\":3,\"guidance_from\":0.25,\"guidance_to\":0.75,\"short_guidance\":true,"
                      "\"embedded_guidance\":false,\"solver\":\"midpoint\",\"nfe_step\":16,\"fix_duration\":4.5,"
                      "\"remove_silence\":true,\"seed\":18446744073709551615,\"format\":\"mp3\",\"sample_rate\":16000}",
                      &s, &f));
    assert_string_equal(s.request.text, "h\xC3\xA9");
    assert_string_equal(s.request.voice, "v");
    assert_true(s.request.speed == 2 && s.request.target_rms == 0.2 && s.request.cross_fade == 0.5 &&
                s.request.sway == 0.25 && s.request.cfg == 3);
    assert_true(s.request.guidance_from == 0.25 && s.request.guidance_to == 0.75 && s.request.short_guidance == 1 &&
                s.request.embedded_guidance == 0 && s.request.solver == ISHOW_SOLVER_MIDPOINT);
    assert_true(s.request.nfe == 16 && s.request.fix_duration == 4.5 && s.request.remove_silence &&
                s.request.has_seed && s.request.seed == UINT64_MAX);
    assert_int_equal(s.sample_rate, 16000);
    assert_true(s.format == ISHOW_FORMAT_MP3);
    ishow_speech_free(&s);
    assert_true(parse(
        "{\"text\":\"a\",\"voice_id\":null,\"seed\":null,\"format\":null,\"speed\":null,\"nfe_step\":null}", &s, &f));
    assert_true(s.request.nfe == ishow_request_default().nfe && s.format < 0 && !s.request.has_seed &&
                !s.request.voice && s.request.speed == ishow_request_default().speed);
    ishow_speech_free(&s);
}

/* Every wrong value is refused with the name of its field; "": the whole body is wrong. */
static void wrong_requests_name_their_field(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"[]", ""},
        {"{\"text\":\"a\"", ""},
        {"{\"text\":\"a\"} x", ""},
        {"{\"text\":\"a\",\"text\":\"b\"}", ""},
        {"{\"text\":\"a\\u0000b\"}", ""},
        {"{\"text\":\"\xFF\"}", ""},
        {"{\"text\":\"\\ud800\"}", ""},
        {"{\"text\":1e999}", ""},
        {"{\"text\":\"a\",\"seed\":18446744073709551616}", "seed"},
        {"{\"text\":\"a\",\"nfe_step\":99999999999999999999}", "nfe_step"},
        {"{\"text\":\"a\",\"nfe_step\":999999999999999999999999}", ""},
        {"{}", "text"},
        {"{\"text\":\"\"}", "text"},
        {"{\"text\":null}", "text"},
        {"{\"text\":5}", "text"},
        {"{\"text\":\"a\",\"volume\":1}", "volume"},
        {"{\"text\":\"a\",\"voice_id\":\"\"}", "voice_id"},
        {"{\"text\":\"a\",\"voice_id\":7}", "voice_id"},
        {"{\"text\":\"a\",\"engine\":\"x\"}", "engine"},
        {"{\"text\":\"a\",\"speed\":0.24}", "speed"},
        {"{\"text\":\"a\",\"speed\":4.01}", "speed"},
        {"{\"text\":\"a\",\"speed\":\"1\"}", "speed"},
        {"{\"text\":\"a\",\"speed\":true}", "speed"},
        {"{\"text\":\"a\",\"target_rms\":1.1}", "target_rms"},
        {"{\"text\":\"a\",\"target_rms\":-0.1}", "target_rms"},
        {"{\"text\":\"a\",\"cross_fade_duration\":1.5}", "cross_fade_duration"},
        {"{\"text\":\"a\",\"sway_sampling_coef\":0.6}", "sway_sampling_coef"},
        {"{\"text\":\"a\",\"sway_sampling_coef\":-1.1}", "sway_sampling_coef"},
        {"{\"text\":\"a\",\"cfg_strength\":11}", "cfg_strength"},
        {"{\"text\":\"a\",\"guidance_from\":-0.1}", "guidance_from"},
        {"{\"text\":\"a\",\"guidance_to\":1.1}", "guidance_to"},
        {"{\"text\":\"a\",\"nfe_step\":-1}", "nfe_step"},
        {"{\"text\":\"a\",\"nfe_step\":65}", "nfe_step"},
        {"{\"text\":\"a\",\"nfe_step\":7.5}", "nfe_step"},
        {"{\"text\":\"a\",\"fix_duration\":61}", "fix_duration"},
        {"{\"text\":\"a\",\"remove_silence\":1}", "remove_silence"},
        {"{\"text\":\"a\",\"seed\":-1}", "seed"},
        {"{\"text\":\"a\",\"seed\":1.5}", "seed"},
        {"{\"text\":\"a\",\"seed\":\"x\"}", "seed"},
        {"{\"text\":\"a\",\"format\":\"aac\"}", "format"},
        {"{\"text\":\"a\",\"format\":1}", "format"},
        {"{\"text\":\"a\",\"sample_rate\":1}", "sample_rate"},
        {"{\"text\":\"a\",\"sample_rate\":24000.5}", "sample_rate"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        speech s;
        fault f;
        if (parse(cases[i][0], &s, &f)) fail_msg("taken: %s", cases[i][0]);
        assert_int_equal(f.status, 400);
        if (strcmp(f.error.field, cases[i][1]))
            fail_msg("%s: field \"%s\", message %s", cases[i][0], f.error.field, f.error.message);
        assert_true(strlen(f.error.message) > 10);
        ishow_speech_free(&s);
    }
}

static void text_is_counted_in_characters(void **state) {
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        ishow_buffer b = {0};
        speech s;
        fault f;
        ishow_buffer_text(&b, "{\"text\":\"");
        for (int i = 0; i < ISHOW_MAX_TEXT_CHARS + extra; i++) ishow_buffer_text(&b, "\xE4\xB8\xAD");
        ishow_buffer_add(&b, "\"}", 3);
        assert_int_equal(parse((char *)b.data, &s, &f), !extra);
        if (extra) assert_non_null(strstr(f.error.message, "5001"));
        ishow_speech_free(&s);
        ishow_buffer_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_are_escaped),      cmocka_unit_test(base64_matches_the_standard),
        cmocka_unit_test(a_full_request_is_read),        cmocka_unit_test(wrong_requests_name_their_field),
        cmocka_unit_test(text_is_counted_in_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
