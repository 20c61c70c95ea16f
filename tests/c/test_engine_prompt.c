/* The cache of references: what steps need of a voice is computed once for each time, found again, evicted within the
 * budget, and never changes a result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "fake_backend.h"

static const char REF[] = "This is the text of the reference voice.", TEXT[] = "Twenty letters here.";
enum { CALLS = 7, REACH = 12, FRAME_BYTES = 1024 };

typedef struct rig {
    fake_model model;
    fake_text text;
    ishow_engine *engine;
    long handles;
} rig;

static void make(rig *r, ishow_text_layout layout, size_t cache_bytes) {
    ishow_engine_options options = ishow_engine_options_default();
    if (cache_bytes) options.cache_bytes = cache_bytes;
    memset(r, 0, sizeof *r);
    r->handles = ishow_live_handles();
    fake_model_init(&r->model);
    fake_text_init(&r->text);
    r->model.keeps_prompts = 1;
    const ishow_backend backend = fake_backend(&r->model, layout, 1, 1, 4000);
    const ishow_text_frontend frontend = fake_frontend(&r->text);
    assert_int_equal(ishow_engine_create(&r->engine, &backend, &frontend, &options, NULL), ISHOW_OK);
    fake_voice(r->engine, "anna", REF, 0.05f);
    fake_voice(r->engine, "bert", REF, 0.07f);
}

static void unmake(rig *r) {
    ishow_engine_free(r->engine);
    assert_int_equal(r->model.malformed, 0);
    assert_int_equal(ishow_live_handles(), r->handles);
}

/* Speaks and returns a value of the mel that the reference moves. */
static float speak(rig *r, const char *voice, int prompt_cache, int nfe) {
    ishow_request request = ishow_request_default();
    const float *samples;
    size_t n = 1;
    request.text = TEXT;
    request.voice = voice;
    request.has_seed = 1;
    request.prompt_cache = prompt_cache;
    request.nfe = nfe;
    ishow_utterance *u = NULL;
    assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, NULL), ISHOW_OK);
    while (n) assert_int_equal(ishow_utterance_next(u, 60, &samples, &n, NULL), ISHOW_OK);
    ishow_utterance_free(u);
    return r->model.last_noise;
}

static void a_reference_is_computed_once_for_each_time(void **state) {
    rig r;
    (void)state;
    make(&r, ISHOW_TEXT_PADDED, 0);
    const float whole = speak(&r, "anna", 0, CALLS);
    assert_true(r.model.prompts == 0 && r.model.prompted == 0 && r.model.both == CALLS);
    const float cold = speak(&r, "anna", 1, CALLS), warm = speak(&r, "anna", 1, CALLS);
    assert_true(r.model.prompts == CALLS && r.model.prompted == 2 * CALLS && r.model.both == CALLS);
    assert_true(cold == warm && cold != whole);
    assert_true(speak(&r, "bert", 1, CALLS) != cold && r.model.prompts == 2 * CALLS);
    speak(&r, "anna", 1, 16); /* its grid has times of the other: 0 and more */
    assert_true(r.model.prompts > 2 * CALLS && r.model.prompts < 2 * CALLS + 16);
    unmake(&r);
}

static void only_frames_with_new_text_near_them_are_computed_again(void **state) {
    rig r;
    (void)state;
    make(&r, ISHOW_TEXT_PADDED, 0);
    speak(&r, "anna", 1, CALLS);
    /* in this layout the text lies in the first frames, one a token */
    assert_int_equal(r.model.known, r.model.last_ref_frames - (sizeof TEXT - 1 + 2 * REACH) - REACH);
    unmake(&r);
    for (int layout = ISHOW_TEXT_AVERAGE; layout <= ISHOW_TEXT_ALIGNED; layout++) {
        make(&r, (ishow_text_layout)layout, 0);
        speak(&r, "anna", 1, CALLS);
        assert_true(r.model.prompts == CALLS && r.model.known <= r.model.last_ref_frames - REACH &&
                    r.model.known > r.model.last_ref_frames / 2);
        unmake(&r);
    }
}

static void eviction_changes_no_sample(void **state) {
    rig r;
    (void)state;
    make(&r, ISHOW_TEXT_PADDED, 0);
    const float anna = speak(&r, "anna", 1, CALLS), bert = speak(&r, "bert", 1, CALLS);
    const size_t voice = CALLS * r.model.last_ref_frames * FRAME_BYTES;
    unmake(&r);

    make(&r, ISHOW_TEXT_PADDED, voice + voice / 2);
    ishow_engine_stats stats;
    for (int i = 0; i < 2; i++) assert_true(speak(&r, "anna", 1, CALLS) == anna && speak(&r, "bert", 1, CALLS) == bert);
    ishow_engine_stats_get(r.engine, &stats);
    assert_true(r.model.prompts > 2 * CALLS && stats.cache.evictions > 0);
    assert_true(stats.cache.bytes <= voice + voice / 2);
    unmake(&r);
}

static void a_cache_too_small_for_a_voice_computes_whole_rows(void **state) {
    rig r;
    (void)state;
    make(&r, ISHOW_TEXT_PADDED, 64 << 10);
    assert_true(speak(&r, "anna", 0, CALLS) == speak(&r, "anna", 1, CALLS));
    assert_true(r.model.prompts == 0 && r.model.prompted == 0);
    unmake(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reference_is_computed_once_for_each_time),
        cmocka_unit_test(only_frames_with_new_text_near_them_are_computed_again),
        cmocka_unit_test(eviction_changes_no_sample),
        cmocka_unit_test(a_cache_too_small_for_a_voice_computes_whole_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
