/* Changes of voices: prepared before use, replaced and removed while utterances use them. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "engine_rig.h"
#include "resident.h"

static engine_rig *make(size_t queue) {
    ishow_engine_options options = ishow_engine_options_default();
    options.queue_capacity = queue;
    return engine_rig_make(ISHOW_TEXT_PADDED, 1, &options, 1, 4000, 0);
}

static float tone[32000];
static ishow_voice voice_of(const char *id, const char *text) {
    for (size_t i = 0; i < 32000; i++) tone[i] = 0.2f * sinf(0.05f * (float)i);
    return (ishow_voice){.id = id, .text = text, .samples = tone, .length = 32000, .sample_rate = 16000};
}

/* NULL when it is refused. */
static ishow_utterance *submit(engine_rig *r, const char *text, const char *voice) {
    ishow_request request = engine_request(text);
    ishow_utterance *u = NULL;
    request.voice = voice;
    return ishow_engine_submit(r->engine, &request, NULL, NULL, &u, NULL) == ISHOW_OK ? u : NULL;
}

/* Reads to the end; *energy: the sum of the squares of all samples. */
static size_t hear(ishow_utterance *u, double *energy) {
    const float *samples = NULL;
    size_t all = 0, n = 0;
    assert_non_null(u);
    *energy = 0;
    for (;;) {
        assert_int_equal(ishow_utterance_next(u, 60, &samples, &n, NULL), ISHOW_OK);
        if (!n) break;
        all += n;
        for (size_t i = 0; i < n; i++) *energy += (double)samples[i] * (double)samples[i];
    }
    ishow_utterance_free(u);
    return all;
}

static size_t voices_of(const engine_rig *r) {
    ishow_voice_entry *entries = NULL;
    size_t n = 0;
    assert_int_equal(ishow_engine_list_voices(r->engine, &entries, &n, NULL), ISHOW_OK);
    free(entries);
    return n;
}

static void a_prepared_voice_is_not_heard_before_it_is_installed(void **state) {
    (void)state;
    engine_rig *r = make(8);
    ishow_prepared_voice *prepared = NULL, *other = NULL;
    ishow_voice voice = voice_of("bob", "Some words."), bad = voice_of("bad", "");
    ishow_error error = {0};
    assert_int_equal(ishow_engine_prepare_voice(r->engine, &voice, &prepared, &error), ISHOW_OK);
    assert_int_equal(ishow_engine_prepare_voice(r->engine, &bad, &other, &error), ISHOW_EINVAL);
    assert_null(other);
    assert_int_equal(voices_of(r), 1);
    assert_null(submit(r, "Hello.", "bob"));
    ishow_engine_install_voice(r->engine, prepared);
    assert_int_equal(voices_of(r), 2);
    assert_int_equal(ishow_engine_prepare_voice(r->engine, &voice, &prepared, &error), ISHOW_OK);
    ishow_prepared_voice_discard(prepared);
    ishow_prepared_voice_discard(NULL);
    assert_int_equal(voices_of(r), 2);
    double energy;
    assert_true(hear(submit(r, "Hello.", "bob"), &energy) > 0);
    engine_rig_free(r);
}

static void an_utterance_keeps_the_voice_it_began_with(void **state) {
    (void)state;
    engine_rig *r = make(8);
    static const char text[] =
        "One sentence is spoken here. Another one comes after it, and then a third, so that there are several chunks. "
        "It goes on for a while, sentence after sentence, until even a patient listener has enough. And on it goes. "
        "And on.";
    double undisturbed, disturbed, replaced;
    size_t n = hear(submit(r, text, "anna"), &undisturbed);
    assert_string_equal(r->text.voice, "anna"); /* the front end gets the speaker */
    fake_set(&r->model, &r->model.slow_us, 2000);
    ishow_utterance *u = submit(r, text, "anna"), *second;
    const float *samples = NULL;
    size_t first = 0, rest;
    assert_int_equal(ishow_utterance_next(u, 60, &samples, &first, NULL), ISHOW_OK);
    double begun = 0;
    for (size_t i = 0; i < first; i++) begun += (double)samples[i] * (double)samples[i];
    ishow_voice voice = voice_of("anna", "Quite other words, and much faster ones, are said in this clip.");
    assert_int_equal(ishow_engine_set_voice(r->engine, &voice, NULL), ISHOW_OK);
    second = submit(r, text, "anna");
    assert_int_equal(ishow_engine_remove_voice(r->engine, "anna", NULL), ISHOW_OK);
    assert_null(submit(r, text, "anna"));
    rest = hear(u, &disturbed);
    assert_int_equal(first + rest, n);
    assert_true(fabs(begun + disturbed - undisturbed) < 1e-6 * undisturbed);
    assert_true(hear(second, &replaced) != n); /* the other clip has another speaking rate */
    engine_rig_free(r);
}

static void limits_change_while_it_runs(void **state) {
    (void)state;
    engine_rig *r = make(2);
    ishow_error error = {0};
    ishow_engine_options options = ishow_engine_options_default();
    fake_set(&r->model, &r->model.slow_us, 20000);
    ishow_utterance *a = submit(r, "One.", NULL), *b = submit(r, "Two.", NULL), *c = NULL;
    assert_null(submit(r, "Three.", NULL));
    options.queue_capacity = 3;
    assert_int_equal(ishow_engine_configure(r->engine, &options, &error), ISHOW_OK);
    assert_non_null(c = submit(r, "Three.", NULL));
    assert_null(submit(r, "Four.", NULL));
    options.queue_capacity = 1;
    assert_int_equal(ishow_engine_configure(r->engine, &options, &error), ISHOW_OK);
    fake_set(&r->model, &r->model.slow_us, 0);
    double energy;
    assert_true(hear(a, &energy) && hear(b, &energy) &&
                hear(c, &energy)); /* utterances that were submitted before are served */
    options.max_rows++;
    assert_int_equal(ishow_engine_configure(r->engine, &options, &error), ISHOW_EINVAL);
    options = ishow_engine_options_default();
    options.retries = 0;
    assert_int_equal(ishow_engine_configure(r->engine, &options, &error), ISHOW_OK);
    fake_set(&r->model, &r->model.silent_clips, 1);
    ishow_utterance *d = submit(r, "Silence.", NULL);
    const float *samples = NULL;
    size_t n = 0;
    assert_int_equal(ishow_utterance_next(d, 60, &samples, &n, &error), ISHOW_EMODEL); /* no second try */
    ishow_utterance_free(d);
    engine_rig_free(r);
}

/* Samples of 100 voices of 15 s are 48 MB here; they are read when they are needed. */
static void voices_that_are_not_used_take_no_memory(void **state) {
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    skip(); /* their allocators keep what was freed */
#endif
    enum { RATE = FAKE_RATE, N = RATE * 15, VOICES = 100 };
    engine_rig *r = engine_rig_plain(ISHOW_TEXT_PADDED, 1);
    float *samples = malloc(N * sizeof *samples);
    assert_non_null(samples);
    size_t before = 0;
    char id[16];
    for (int i = 0; i < VOICES; i++) {
        for (size_t k = 0; k < N; k++) samples[k] = 0.1f * (float)sin(0.1 * (double)k + i);
        snprintf(id, sizeof id, "v%d", i);
        const ishow_voice voice = {
            .id = id, .text = ENGINE_LONG_TEXT, .samples = samples, .length = N, .sample_rate = RATE};
        ishow_error error = {0};
        if (ishow_engine_set_voice(r->engine, &voice, &error)) fail_msg("%s", error.message);
        if (i == 4) before = resident();
    }
    assert_true(resident() < before + (15 << 20));
    ishow_request request = engine_request("A word or two.");
    request.nfe = 1;
    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "v%d", 8 * i);
        request.voice = id;
        heard h = engine_speak(r, &request, NULL);
        assert_int_equal(h.status, ISHOW_OK);
        free(h.samples);
    }
    assert_true(resident() < before + (25 << 20));
    free(samples);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prepared_voice_is_not_heard_before_it_is_installed),
        cmocka_unit_test(an_utterance_keeps_the_voice_it_began_with),
        cmocka_unit_test(limits_change_while_it_runs),
        cmocka_unit_test(voices_that_are_not_used_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
