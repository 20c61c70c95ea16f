/* Markup with a fake model: pauses of exact length, and changes of voice and speed inside a text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine_rig.h"

static engine_rig *make(void) {
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_AVERAGE, 1);
    fake_voice(r->engine, "bob", ENGINE_REF, 0.2f);
    return r;
}

static ishow_request request_of(const char *text) {
    ishow_request request = engine_request(text);
    request.markup = 1;
    return request;
}

/* All samples (free()); NULL with the error. */
static float *speak(engine_rig *r, const ishow_request *request, size_t *n, ishow_error *error) {
    ishow_utterance *u = NULL;
    float *all = NULL;
    *n = 0;
    ishow_status status = ishow_engine_submit(r->engine, request, NULL, NULL, &u, error);
    if (status == ISHOW_OK) status = engine_drain(u, &all, n, error);
    ishow_utterance_free(u);
    if (status == ISHOW_OK) return all;
    free(all);
    return NULL;
}

static size_t length_of(engine_rig *r, const char *text) {
    const ishow_request request = request_of(text);
    ishow_error error = {0};
    size_t n;
    float *samples = speak(r, &request, &n, &error);
    if (!samples) fail_msg("%s: %s", text, error.message);
    free(samples);
    return n;
}

static void a_pause_is_exactly_so_many_samples(void **state) {
    engine_rig *r = make();
    const ishow_request request = request_of("Hello there.|p=0.5;Good night.|p=0.25;");
    ishow_error error = {0};
    const size_t first = length_of(r, "Hello there."), second = length_of(r, "Good night.");
    size_t n;
    (void)state;
    float *samples = speak(r, &request, &n, &error);
    assert_non_null(samples);
    assert_int_equal(n, first + FAKE_RATE / 2 + second + FAKE_RATE / 4);
    for (size_t i = first; i < first + FAKE_RATE / 2; i++) assert_true(samples[i] == 0);
    for (size_t i = n - FAKE_RATE / 4; i < n; i++) assert_true(samples[i] == 0);
    assert_true(samples[first - 1] != 0 && samples[first + FAKE_RATE / 2] != 0);
    assert_true(fabsf(samples[first - 1]) < 0.02f && fabsf(samples[first + FAKE_RATE / 2]) < 0.02f); /* no click */
    free(samples);
    engine_rig_free(r);
}

static void pauses_add_up_over_what_has_no_sound(void **state) {
    engine_rig *r = make();
    (void)state;
    const size_t plain = length_of(r, "Hello there.|p=1;Good night.");
    assert_int_equal(length_of(r, "Hello there.|p=0.4;#|p=0.6;Good night."), plain);
    assert_int_equal(length_of(r, "p=0.5;Hello there."), length_of(r, "Hello there.") + FAKE_RATE / 2);
    engine_rig_free(r);
}

static void voices_and_speeds_change(void **state) {
    engine_rig *r = make();
    ishow_error error = {0};
    size_t n;
    (void)state;
    const size_t plain = length_of(r, "Hello there, this is a sentence.");
    const size_t fast = length_of(r, "s=2;Hello there, this is a sentence.");
    assert_true(fast * 10 < plain * 6 && fast * 10 > plain * 4);
    ishow_request request = request_of("Hello there.|v=bob;Good night.");
    request.voice = "anna";
    request.cross_fade = 0.1;
    const size_t first = length_of(r, "Hello there."), second = length_of(r, "v=bob;Good night.");
    float *samples = speak(r, &request, &n, &error);
    assert_non_null(samples);
    assert_string_equal(r->text.voice, "bob");
    assert_int_equal(n, first + second); /* one after the other, without overlap */
    assert_true(fabsf(samples[first - 1]) < 0.02f && fabsf(samples[first]) < 0.02f);
    free(samples);
    engine_rig_free(r);
}

static void invalid_markup_is_refused(void **state) {
    static const struct {
        const char *text;
        double fix_duration;
        ishow_status status;
        const char *field;
    } table[] = {{"Hello.|v=nobody;Good night.", 0, ISHOW_ENOTFOUND, "voice_id"},
                 {"#", 0, ISHOW_EINVAL, "text"},
                 {"#|p=1;#", 0, ISHOW_EINVAL, "text"},
                 {"%C", 0, ISHOW_EPYTHON, ""},
                 {"Hello.", 9, ISHOW_EINVAL, "fix_duration"}};
    engine_rig *r = make();
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ishow_request request = request_of(table[i].text);
        ishow_error error = {0};
        size_t n;
        request.fix_duration = table[i].fix_duration;
        assert_null(speak(r, &request, &n, &error));
        assert_int_equal(error.status, table[i].status);
        assert_string_equal(error.field, table[i].field);
    }
    engine_rig_free(r);
}

static void without_markup_the_text_is_one(void **state) {
    engine_rig *r = make();
    ishow_request request = request_of("Hello|p=1;there");
    ishow_error error = {0};
    size_t n;
    (void)state;
    request.markup = 0;
    float *samples = speak(r, &request, &n, &error);
    assert_non_null(samples);
    assert_true(n < length_of(r, "Hello|p=1;there"));
    free(samples);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_is_exactly_so_many_samples), cmocka_unit_test(pauses_add_up_over_what_has_no_sound),
        cmocka_unit_test(voices_and_speeds_change),           cmocka_unit_test(invalid_markup_is_refused),
        cmocka_unit_test(without_markup_the_text_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
