#include "engine_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int rigs;
static long handles; /* live ones before the first of the rigs that are there */

engine_rig *engine_rig_make(ishow_text_layout layout, int uses_prompt, const ishow_engine_options *options,
                            size_t max_rows, size_t max_frames, float guidance_max) {
    engine_rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->handles = ishow_live_handles();
    if (!rigs++) handles = r->handles;
    fake_model_init(&r->model);
    r->model.guidance_max = guidance_max;
    fake_text_init(&r->text);
    const ishow_backend backend = fake_backend(&r->model, layout, uses_prompt, max_rows, max_frames);
    const ishow_text_frontend frontend = fake_frontend(&r->text);
    ishow_error error = {0};
    if (ishow_engine_create(&r->engine, &backend, &frontend, options, &error) != ISHOW_OK)
        fail_msg("create: %s", error.message);
    fake_voice(r->engine, "anna", ENGINE_REF, 0.05f);
    return r;
}

engine_rig *engine_rig_plain(ishow_text_layout layout, int uses_prompt) {
    const ishow_engine_options options = ishow_engine_options_default();
    return engine_rig_make(layout, uses_prompt, &options, 1, 4000, 0);
}

void engine_rig_free(engine_rig *r) {
    ishow_engine_free(r->engine);
    assert_int_equal(r->model.closed, 1);
    assert_int_equal(r->text.closed, 1);
    assert_int_equal(r->model.wrong_thread, 0);
    assert_int_equal(r->text.wrong_thread, 0);
    assert_int_equal(r->model.malformed, 0);
    if (!--rigs) assert_int_equal(ishow_live_handles(), handles);
    free(r);
}

ishow_request engine_request(const char *text) {
    ishow_request request = ishow_request_default();
    request.text = text;
    request.has_seed = 1;
    request.seed = 7;
    return request;
}

void engine_ring(void *user) { __atomic_add_fetch(&((bell *)user)->rings, 1, __ATOMIC_RELEASE); }

ishow_utterance *engine_submit(engine_rig *r, const ishow_request *request, bell *b) {
    ishow_utterance *u;
    ishow_error error = {0};
    if (ishow_engine_submit(r->engine, request, b ? engine_ring : NULL, b, &u, &error) != ISHOW_OK)
        fail_msg("submit: %s", error.message);
    return u;
}

void engine_wait_for_steps(engine_rig *r, int steps) {
    for (int i = 0; i < 10000 && fake_get(&r->model, &r->model.row_steps) < steps; i++) usleep(1000);
    assert_true(fake_get(&r->model, &r->model.row_steps) >= steps);
}

static void append(float **all, size_t *n_all, const float *samples, size_t n) {
    if (!n) return;
    *all = realloc(*all, (*n_all + n) * sizeof **all);
    assert_non_null(*all);
    memcpy(*all + *n_all, samples, n * sizeof *samples);
    *n_all += n;
}

size_t engine_read_piece(ishow_utterance *u, float **all, size_t *n_all) {
    const float *samples;
    size_t n;
    ishow_error error = {0};
    if (ishow_utterance_next(u, 60, &samples, &n, &error) != ISHOW_OK) fail_msg("next: %s", error.message);
    append(all, n_all, samples, n);
    return n;
}

ishow_status engine_drain(ishow_utterance *u, float **out, size_t *n_out, ishow_error *error) {
    for (;;) {
        const float *samples;
        size_t n;
        ishow_status status = ishow_utterance_next(u, 60, &samples, &n, error);
        if (status != ISHOW_OK || n == 0) return status;
        if (out)
            append(out, n_out, samples, n);
        else
            *n_out += n;
    }
}

heard engine_speak(engine_rig *r, const ishow_request *request, ishow_timings *timings) {
    ishow_utterance *u = engine_submit(r, request, NULL);
    heard h = {0};
    for (;;) {
        const float *samples;
        size_t n;
        h.status = ishow_utterance_next(u, 30, &samples, &n, &h.error);
        if (h.status != ISHOW_OK || n == 0) break;
        append(&h.samples, &h.n, samples, n);
        h.pieces++;
    }
    if (timings) ishow_utterance_timings(u, timings);
    if (h.status == ISHOW_OK) assert_true(ishow_utterance_progress(u) == 1);
    ishow_utterance_free(u);
    return h;
}

const char *const ENGINE_LONG_TEXT =
    "The first sentence of this text says something. The second one says something else, and takes a bit longer. "
    "Then there is a third. A fourth sentence follows it at once, without any pause for thought. The fifth comes in "
    "the middle of it all, "
    "where nobody expects it. The sixth is short. The seventh is there only so that there is enough text for several "
    "parts. The eighth ends it all.";
