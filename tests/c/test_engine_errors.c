/* Requests that are refused, and errors of the front end and the model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/defaults.h"
#include "engine_rig.h"
#include "engine/plan.h"

static void bad_requests_are_refused_by_field(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    char *endless = malloc(ISHOW_MAX_TEXT_CHARS + 2);
    assert_non_null(endless);
    memset(endless, 'a', ISHOW_MAX_TEXT_CHARS + 1);
    endless[ISHOW_MAX_TEXT_CHARS + 1] = '\0';
    ishow_request good = engine_request("Hello."), bad[18];
    for (size_t i = 0; i < 18; i++) bad[i] = good;
    static const char *const fields[] = {"text",          "text",
                                         "text",          "text",
                                         "text",          "voice_id",
                                         "nfe_step",      "nfe_step",
                                         "cfg_strength",  "sway_sampling_coef",
                                         "speed",         "speed",
                                         "target_rms",    "cross_fade_duration",
                                         "fix_duration",  "deadline",
                                         "guidance_from", "guidance_to"};
    bad[0].text = NULL, bad[1].text = "", bad[2].text = " \n\t　", bad[3].text = "bad \xc3\x28 bytes",
    bad[4].text = endless;
    bad[5].voice = "nobody", bad[6].nfe = -1, bad[7].nfe = 65, bad[8].cfg = -1, bad[9].sway = 2, bad[10].speed = NAN,
    bad[11].speed = 4.5, bad[12].target_rms = 2;
    bad[13].cross_fade = 1.5, bad[14].fix_duration = 61, bad[15].deadline = -1, bad[16].guidance_from = -0.1,
    bad[17].guidance_to = NAN;
    for (size_t i = 0; i < 18; i++) {
        ishow_utterance *u;
        ishow_error error = {0};
        ishow_status status = ishow_engine_submit(r->engine, &bad[i], NULL, NULL, &u, &error);
        assert_int_equal(status, i == 5 ? ISHOW_ENOTFOUND : ISHOW_EINVAL);
        assert_string_equal(error.field, fields[i]);
        assert_true(strlen(error.message) > 10);
        assert_null(u);
    }
    free(endless);
    heard h = engine_speak(r, &good, NULL); /* the next request is served */
    assert_int_equal(h.status, ISHOW_OK);
    free(h.samples);
    engine_rig_free(r);
}

static void front_end_errors_reach_the_caller(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    static const struct {
        const char *text;
        ishow_status status;
        const char *field, *words;
    } table[] = {{"this %N breaks", ISHOW_EPYTHON, "", "normalize fails as told"},
                 {"this %T breaks", ISHOW_EPYTHON, "", "tokenize fails as told"},
                 {"#", ISHOW_EINVAL, "text", "nothing speakable"}};
    for (size_t i = 0; i < 3; i++) {
        ishow_request request = engine_request(table[i].text);
        heard h = engine_speak(r, &request, NULL);
        assert_int_equal(h.status, table[i].status);
        assert_string_equal(h.error.field, table[i].field);
        assert_non_null(strstr(h.error.message, table[i].words));
    }
    fake_voice(r->engine, "odd", "a reference %N", 0.1f);
    ishow_request request = engine_request("Hello.");
    request.voice = "odd";
    heard h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_EPYTHON);
    assert_non_null(strstr(h.error.message, "odd"));
    engine_rig_free(r);
}

static void dropped_characters_are_reported_and_the_essential_part_must_be_speakable(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    ishow_request request = engine_request("Anna says: hello ~.");
    ishow_timings timings;
    request.essential = "hello ~";
    heard h = engine_speak(r, &request, &timings);
    assert_int_equal(h.status, ISHOW_OK);
    assert_int_equal(timings.unspoken.count, 1);
    assert_string_equal(timings.unspoken.first, "~");
    free(h.samples);
    request.essential = "#";
    h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_EINVAL);
    assert_string_equal(h.error.field, "text");
    request.essential = "";
    h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_OK);
    free(h.samples);
    engine_rig_free(r);
}

static void a_bad_clip_is_made_again_with_other_noise(void **state) {
    (void)state;
    static const char *const words[] = {"non-finite values at call 3", "silent", "vocoder made non-finite"};
    for (int fault = 0; fault < 3; fault++) {
        engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
        int *knob = fault == 0 ? &r->model.nan_rows : fault == 1 ? &r->model.silent_clips : &r->model.nan_clips;
        fake_set(&r->model, &r->model.nan_at, 3);
        fake_set(&r->model, knob, ishow_engine_options_default().retries);
        ishow_request request = engine_request("Hello there.");
        ishow_timings timings;
        heard h = engine_speak(r, &request, &timings);
        assert_int_equal(h.status, ISHOW_OK);
        assert_int_equal(timings.retries, ishow_engine_options_default().retries);
        assert_int_equal(r->model.encodes, 1); /* only the noise differs */
        float *noise = malloc(r->model.last_frames * FAKE_MELS * sizeof *noise),
              *first = malloc(r->model.last_frames * FAKE_MELS * sizeof *first);
        ishow_noise_fill(ishow_noise_seed(timings.seed, 0, (uint32_t)timings.retries), noise,
                         r->model.last_frames * FAKE_MELS);
        ishow_noise_fill(ishow_noise_seed(timings.seed, 0, 0), first, r->model.last_frames * FAKE_MELS);
        const size_t kept = r->model.last_ref_frames * FAKE_MELS + 1; /* the value that the vocoder got first */
        assert_true(r->model.last_noise == noise[kept] && r->model.last_noise != first[kept]);
        free(noise);
        free(first);
        assert_int_equal(r->model.row_steps, fault ? 3 * ISHOW_NFE_DEFAULT : 2 * 3 + ISHOW_NFE_DEFAULT);
        free(h.samples);

        fake_set(&r->model, knob, ishow_engine_options_default().retries + 1);
        h = engine_speak(r, &request, &timings);
        assert_int_equal(h.status, ISHOW_EMODEL);
        assert_non_null(strstr(h.error.message, words[fault]));
        assert_non_null(strstr(h.error.message, "3 tries"));
        h = engine_speak(r, &request, NULL); /* and the next request succeeds */
        assert_int_equal(h.status, ISHOW_OK);
        free(h.samples);
        engine_rig_free(r);
    }
}

static void model_errors_reach_the_caller(void **state) {
    (void)state;
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_ALIGNED, 1);
    ishow_request request = engine_request("Hello there.");
    fake_set(&r->model, &r->model.error_at, 2);
    fake_set(&r->model, &r->model.error_rows, 1);
    heard h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_EMODEL);
    assert_string_equal(h.error.message, "the fake step fails as told");
    fake_set(&r->model, &r->model.wrong_durations, 1);
    h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_EMODEL);
    assert_non_null(strstr(h.error.message, "duration"));
    fake_set(&r->model, &r->model.wrong_durations, 0);
    fake_set(&r->model, &r->model.broken_modulation, 1);
    request.nfe = 9; /* the reference is not in the cache */
    h = engine_speak(r, &request, NULL);
    assert_int_equal(h.status, ISHOW_EMODEL);
    fake_set(&r->model, &r->model.broken_modulation, 0);
    h = engine_speak(r, &request, NULL); /* the table with a NaN was not cached */
    assert_int_equal(h.status, ISHOW_OK);
    free(h.samples);
    ishow_engine_stats stats;
    ishow_engine_stats_get(r->engine, &stats);
    assert_int_equal(stats.failed, 3);
    engine_rig_free(r);
}

static void a_row_never_exceeds_the_model(void **state) {
    (void)state;
    ishow_engine_options options = ishow_engine_options_default();
    for (int layout = ISHOW_TEXT_PADDED; layout <= ISHOW_TEXT_ALIGNED; layout += 2) {
        engine_rig *r = engine_rig_make((ishow_text_layout)layout, 1, &options, 1, 800, 0);
        ishow_request request = engine_request(ENGINE_LONG_TEXT);
        request.speed = 0.3;
        ishow_timings timings;
        heard h = engine_speak(r, &request, &timings);
        assert_int_equal(h.status, ISHOW_OK);
        assert_true(timings.chunks > 1);
        assert_true(r->model.last_frames <= 800);
        free(h.samples);
        engine_rig_free(r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_requests_are_refused_by_field),
        cmocka_unit_test(front_end_errors_reach_the_caller),
        cmocka_unit_test(dropped_characters_are_reported_and_the_essential_part_must_be_speakable),
        cmocka_unit_test(a_bad_clip_is_made_again_with_other_noise),
        cmocka_unit_test(model_errors_reach_the_caller),
        cmocka_unit_test(a_row_never_exceeds_the_model),
    };
    return cmocka_run_group_tests_name("engine errors", tests, NULL, NULL);
}
