/* Requests against their deadlines: what is accepted is spoken in time, the rest is refused at once. The fake model
 * takes a fixed time for a step, so that results do not depend on the processor. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/defaults.h"
#include "base/base.h"
#include "engine_rig.h"

enum { STEP_US = 200, FRAME_NS = 2000, MOST = 4096 };

static const char SHORT[] = "Short, but with some words.";

/* A text of about `sentences` chunks. */
static char *long_text(int sentences) {
    static const char one[] = "This sentence is one of many that all say the same thing over and over again. ";
    char *text = calloc((size_t)sentences, sizeof one);
    assert_non_null(text);
    for (int i = 0; i < sentences; i++) strcat(text, one);
    return text;
}

/* An engine that has spoken long enough to know its rate. */
static engine_rig *make(int warm) {
    ishow_engine_options options = ishow_engine_options_default();
    options.queue_capacity = MOST;
    options.chunk_seconds = 5;
    engine_rig *r = engine_rig_make(ISHOW_TEXT_PADDED, 1, &options, 1, 4000, 0);
    fake_set(&r->model, &r->model.slow_us, STEP_US);
    fake_set(&r->model, &r->model.slow_frame_ns, FRAME_NS);
    char *text = long_text(20);
    const ishow_request request = engine_request(text);
    for (int i = 0; i < 3 && warm; i++) free(engine_speak(r, &request, NULL).samples);
    free(text);
    return r;
}

typedef struct load {
    ishow_utterance *held[MOST];
    int kept, refused;
} load;

static void offer(engine_rig *r, load *l, const ishow_request *request) {
    ishow_error error = {0};
    const ishow_status status = ishow_engine_submit(r->engine, request, NULL, NULL, &l->held[l->kept], &error);
    if (status == ISHOW_EBUSY) {
        assert_true(error.retry_after > 0);
        l->refused++;
    } else {
        assert_int_equal(status, ISHOW_OK);
        l->kept++;
    }
}

/* Seconds that a text takes on an engine that has nothing else to do. */
static double seconds_of(engine_rig *r, const char *text) {
    const ishow_request request = engine_request(text);
    ishow_timings timings;
    heard h = engine_speak(r, &request, &timings);
    assert_int_equal(h.status, ISHOW_OK);
    free(h.samples);
    return timings.total;
}

/* Without admission 0.65 of the steps of short texts are useful, none of those of long ones. The rate that the engine
 * goes by is that of a machine which may do other things at once; benchmarks/overload.py measures it undisturbed. */
static const double ENOUGH = 0.75;

/* Waits until the model has done so many steps, or none for 0.2 s: all that was accepted may have ended late. */
static void wait_for_steps(engine_rig *r, int wanted) {
    int before = -1;
    for (int idle = 0; idle < 400; idle++) {
        const int done = fake_get(&r->model, &r->model.row_steps);
        if (done >= wanted) return;
        if (done != before) idle = 0;
        before = done;
        usleep(500);
    }
}

/* Offers ten times what the model does in 600 steps. Returns the share of all steps that went into speech which
 * was ready in time. The deadline is that many times what the first text takes. */
static double goodput(const char *text, const char *other, double times) {
    engine_rig *r = make(1);
    const double deadline = times * seconds_of(r, text);
    load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    ishow_request requests[2] = {engine_request(text), engine_request(other)};
    const int first = fake_get(&r->model, &r->model.row_steps), goal = 600;
    int offered = 0, useful = 0, late = 0, done;
    for (int i = 0; (done = fake_get(&r->model, &r->model.row_steps) - first) < goal && l->kept < MOST; i++) {
        ishow_request *next = &requests[i % 2];
        next->deadline = deadline;
        offer(r, l, next);
        const double chunks = ceil((double)strlen(next->text) / 80);
        offered += (int)chunks * ISHOW_NFE_DEFAULT;
        wait_for_steps(r, first + (offered - 10 * 7 * 20) / 10);
    }
    for (int i = 0; i < l->kept; i++) {
        ishow_error error = {0};
        ishow_timings timings;
        size_t n = 0;
        const ishow_status status = engine_drain(l->held[i], NULL, &n, &error);
        ishow_utterance_timings(l->held[i], &timings);
        if (status == ISHOW_OK)
            useful += timings.chunks * ISHOW_NFE_DEFAULT;
        else
            late++;
        ishow_utterance_free(l->held[i]);
    }
    const int all = fake_get(&r->model, &r->model.row_steps) - first;
    print_message("offered %d, accepted %d, late %d, refused %d: %d of %d steps useful\n", l->kept + l->refused,
                  l->kept, late, l->refused, useful, all);
    assert_true(l->refused > 0);
    free(l);
    engine_rig_free(r);
    return (double)useful / all;
}

static void short_texts_at_ten_times_the_load(void **state) {
    (void)state;
    assert_true(goodput(SHORT, SHORT, 50) >= ENOUGH);
}

static void long_texts_at_ten_times_the_load(void **state) {
    (void)state;
    char *text = long_text(12);
    assert_true(goodput(text, text, 8) >= ENOUGH);
    free(text);
}

static void texts_of_both_kinds_at_ten_times_the_load(void **state) {
    (void)state;
    char *text = long_text(12);
    assert_true(goodput(text, SHORT, 8) >= ENOUGH);
    free(text);
}

static void a_refused_request_is_accepted_after_retry_after(void **state) {
    (void)state;
    engine_rig *r = make(1);
    char *text = long_text(12);
    ishow_request request = engine_request(text);
    load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    ishow_error error = {0};
    request.deadline = 8 * seconds_of(r, text);
    while (ishow_engine_submit(r->engine, &request, NULL, NULL, &l->held[l->kept], &error) == ISHOW_OK) l->kept++;
    assert_int_equal(error.status, ISHOW_EBUSY);
    assert_true(l->kept > 1);
    assert_true(error.retry_after > 0 && error.retry_after < request.deadline);
    ishow_status status = ISHOW_EBUSY;
    double promised = 0;
    while (status == ISHOW_EBUSY && promised < request.deadline) { /* what it goes by is measured again meanwhile */
        promised += error.retry_after;
        usleep((useconds_t)(1e6 * error.retry_after));
        status = ishow_engine_submit(r->engine, &request, NULL, NULL, &l->held[l->kept], &error);
    }
    assert_int_equal(status, ISHOW_OK);
    l->kept++;
    for (int i = 0; i < l->kept; i++) ishow_utterance_free(l->held[i]);
    free(l);
    free(text);
    engine_rig_free(r);
}

/* What becomes of a long text with a deadline while short ones are offered all the time. */
static ishow_status long_beside_short(void) {
    engine_rig *r = make(1);
    char *text = long_text(12);
    ishow_request lengthy = engine_request(text), brief = engine_request(SHORT);
    load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    lengthy.deadline = 6 * seconds_of(r, text);
    brief.deadline = 60;
    ishow_utterance *u = engine_submit(r, &lengthy, NULL);
    ishow_error error = {0};
    const float *samples;
    size_t n = 1;
    ishow_status status = ISHOW_OK;
    while (n || status == ISHOW_EAGAIN) {
        for (int i = 0; i < 8 && l->kept < MOST; i++) offer(r, l, &brief);
        status = ishow_utterance_next(u, 0.02, &samples, &n, &error);
        if (status != ISHOW_OK && status != ISHOW_EAGAIN) break;
    }
    assert_true(l->kept > 100);
    ishow_utterance_free(u);
    for (int i = 0; i < l->kept; i++) ishow_utterance_free(l->held[i]);
    free(l);
    free(text);
    engine_rig_free(r);
    return status;
}

/* Shorter texts go first only as long as the long one can still be spoken in time. A machine that becomes slower
 * meanwhile makes it late, so one of several tries counts; where shorter texts always go first, each is late. */
static void a_long_text_is_ready_by_its_deadline_beside_short_ones(void **state) {
    (void)state;
    ishow_status status = ISHOW_ETIMEOUT;
    for (int tries = 0; tries < 4 && status == ISHOW_ETIMEOUT; tries++) status = long_beside_short();
    assert_int_equal(status, ISHOW_OK);
}

/* Accepted before the rate was known: what cannot be ready in time is refused as soon as it is known. */
static void a_flood_on_a_new_engine_is_refused_soon(void **state) {
    (void)state;
    char *text = long_text(12);
    engine_rig *r = make(0);
    const double alone = seconds_of(r, text); /* of this machine, whatever else it does */
    engine_rig_free(r);
    r = make(0);
    ishow_request request = engine_request(text);
    load *l = calloc(1, sizeof *l);
    assert_non_null(l);
    int spoken = 0, refused = 0, late = 0;
    request.deadline = 12 * alone;
    for (int i = 0; i < 64; i++) offer(r, l, &request);
    refused += (int)l->refused; /* by an engine that knew its speed before all were offered */
    for (int i = 0; i < l->kept; i++) {
        ishow_error error = {0};
        size_t n = 0;
        const ishow_status status = engine_drain(l->held[i], NULL, &n, &error);
        spoken += status == ISHOW_OK;
        refused += status == ISHOW_EBUSY && error.retry_after > 0;
        late += status == ISHOW_ETIMEOUT;
        ishow_utterance_free(l->held[i]);
    }
    print_message("spoken %d, refused %d, late %d\n", spoken, refused, late);
    assert_int_equal(spoken + refused + late, 64);
    assert_true(spoken > 1);
    assert_true(refused > 32);
    assert_true(late <= 16); /* those whose first parts were spoken meanwhile */
    free(l);
    free(text);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_texts_at_ten_times_the_load),
        cmocka_unit_test(long_texts_at_ten_times_the_load),
        cmocka_unit_test(texts_of_both_kinds_at_ten_times_the_load),
        cmocka_unit_test(a_refused_request_is_accepted_after_retry_after),
        cmocka_unit_test(a_long_text_is_ready_by_its_deadline_beside_short_ones),
        cmocka_unit_test(a_flood_on_a_new_engine_is_refused_soon),
    };
    return cmocka_run_group_tests_name("engine admission", tests, NULL, NULL);
}
