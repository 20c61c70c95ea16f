/* Which utterance the engine serves next, and the limit of its queue. */
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
#include "engine_rig.h"
#include "base/defaults.h"

static engine_rig *make(ishow_engine_options options, size_t max_rows) {
    return engine_rig_make(ISHOW_TEXT_PADDED, 1, &options, max_rows, 4000, 0);
}

static void a_full_queue_refuses_and_recovers(void **state) {
    (void)state;
    ishow_engine_options options = ishow_engine_options_default();
    options.queue_capacity = 3;
    engine_rig *r = make(options, 1);
    fake_set(&r->model, &r->model.slow_us, 3000);
    ishow_utterance *held[3], *u;
    ishow_request request = engine_request("Hello there.");
    for (int i = 0; i < 3; i++) held[i] = engine_submit(r, &request, NULL);
    ishow_error error;
    assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, &error), ISHOW_EBUSY);
    ishow_engine_stats stats;
    ishow_engine_stats_get(r->engine, &stats);
    assert_int_equal(stats.refused, 1);
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(engine_drain(held[i], NULL, &n, &error), ISHOW_OK);
        ishow_utterance_free(held[i]);
    }
    u = engine_submit(r, &request, NULL);
    assert_int_equal(engine_drain(u, NULL, &n, &error), ISHOW_OK);
    ishow_utterance_free(u);
    engine_rig_free(r);
}

/* Measured in steps: when the short utterance ends, the long ones are far from their end. */
static void a_short_message_does_not_wait_for_long_ones(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    fake_set(&r->model, &r->model.slow_us, 1000);
    ishow_request
        lengthy = engine_request(
            "A long one, which takes sixty-four steps and more time than anybody has, and does not end soon."),
        brief = engine_request("Short.");
    lengthy.nfe = 64;
    brief.nfe = 5;
    ishow_utterance *slow[2] = {engine_submit(r, &lengthy, NULL), engine_submit(r, &lengthy, NULL)};
    engine_wait_for_steps(r, 8);
    int before = fake_get(&r->model, &r->model.row_steps);
    ishow_utterance *fast = engine_submit(r, &brief, NULL);
    size_t n = 0;
    assert_int_equal(engine_drain(fast, NULL, &n, NULL), ISHOW_OK);
    int taken = fake_get(&r->model, &r->model.row_steps) - before;
    assert_true(taken < 64); /* 15 steps by turns, and those before it was admitted and after it ended */
    double progress = ishow_utterance_progress(slow[0]);
    assert_true(progress > 0 && progress < 0.9);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(engine_drain(slow[i], NULL, &n, NULL), ISHOW_OK);
        ishow_utterance_free(slow[i]);
    }
    ishow_utterance_free(fast);
    engine_rig_free(r);
}

/* With a single row, a new utterance is admitted after the part that runs, not after all parts of the long text; a
 * higher priority goes first. */
static void parts_of_a_long_text_take_turns_with_others(void **state) {
    (void)state;
    ishow_engine_options options = ishow_engine_options_default();
    options.max_rows = 1;
    options.chunk_seconds = 5;
    engine_rig *r = make(options, 1);
    fake_set(&r->model, &r->model.slow_us, 2000);
    char text[2000] = "";
    for (int i = 0; i < 20; i++)
        strcat(text, "This sentence is one of many that all say the same thing over and over again. ");
    ishow_request lengthy = engine_request(text), brief = engine_request("Short.");
    ishow_utterance *slow = engine_submit(r, &lengthy, NULL);
    engine_wait_for_steps(r, 3);
    ishow_utterance *later = engine_submit(r, &brief, NULL);
    brief.priority = 1;
    ishow_utterance *urgent = engine_submit(r, &brief, NULL);
    size_t n = 0;
    assert_int_equal(engine_drain(urgent, NULL, &n, NULL), ISHOW_OK);
    assert_true(ishow_utterance_progress(later) < 1);
    assert_int_equal(engine_drain(later, NULL, &n, NULL), ISHOW_OK);
    ishow_timings timings;
    ishow_utterance_timings(slow, &timings);
    assert_true(timings.chunks > 8);
    assert_true(ishow_utterance_progress(slow) < 0.6);
    ishow_utterance_free(slow);
    ishow_utterance_free(later);
    ishow_utterance_free(urgent);
    engine_rig_free(r);
}

/* With a guidance-conditioned network a waiting text counts as half the work: it goes before one that is shorter but
 * needs both branches. */
static void waiting_work_counts_as_it_will_be_computed(void **state) {
    (void)state;
    ishow_engine_options options = ishow_engine_options_default();
    options.max_rows = 1;
    engine_rig *r = engine_rig_make(ISHOW_TEXT_PADDED, 1, &options, 1, 4000, 4);
    fake_set(&r->model, &r->model.slow_us, 2000);
    ishow_request lengthy = engine_request("This one is spoken while the others are prepared and wait for their turn."),
                  both = engine_request("These are words to be said once or twice.");
    ishow_request conditioned = engine_request("These are words to be said once or twice, and a few more.");
    lengthy.nfe = 64;
    both.embedded_guidance = 0;
    ishow_utterance *running = engine_submit(r, &lengthy, NULL);
    engine_wait_for_steps(r, 3);
    ishow_utterance *second = engine_submit(r, &both, NULL), *first = engine_submit(r, &conditioned, NULL);
    size_t n = 0;
    assert_int_equal(engine_drain(first, NULL, &n, NULL), ISHOW_OK);
    assert_true(ishow_utterance_progress(second) < 1);
    assert_int_equal(engine_drain(second, NULL, &n, NULL), ISHOW_OK);
    assert_int_equal(engine_drain(running, NULL, &n, NULL), ISHOW_OK);
    assert_int_equal(r->model.both, ISHOW_NFE_DEFAULT);
    ishow_utterance_free(running);
    ishow_utterance_free(second);
    ishow_utterance_free(first);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses_and_recovers),
        cmocka_unit_test(a_short_message_does_not_wait_for_long_ones),
        cmocka_unit_test(parts_of_a_long_text_take_turns_with_others),
        cmocka_unit_test(waiting_work_counts_as_it_will_be_computed),
    };
    return cmocka_run_group_tests_name("engine queue", tests, NULL, NULL);
}
