/* Concurrent use of the engine: many callers, cancelling, deadlines, swaps and shutdown while rows are in flight. */
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

enum { CALLERS = 6, EACH = 12 };

typedef struct caller {
    engine_rig *r;
    int number, failures;
    size_t lengths[EACH];
} caller;

static void *call(void *argument) {
    caller *c = argument;
    for (int i = 0; i < EACH; i++) {
        char text[80];
        snprintf(text, sizeof text, "Caller %d says sentence %d%s", c->number, i,
                 (i + c->number) % 3 ? "." : ", which is a longer one than the others are.");
        ishow_request request = engine_request(text);
        request.nfe = 3 + (i + c->number) % 4;
        request.priority = i % 2;
        ishow_error error = {0};
        ishow_utterance *u;
        if (ishow_engine_submit(c->r->engine, &request, NULL, NULL, &u, &error) != ISHOW_OK) {
            c->failures++;
            continue;
        }
        size_t n = 0;
        if (engine_drain(u, NULL, &n, &error) != ISHOW_OK) c->failures++;
        c->lengths[i] = n;
        ishow_utterance_free(u);
    }
    return NULL;
}

static void many_callers_get_what_they_asked_for(void **state) {
    (void)state;
    size_t alone[CALLERS][EACH];
    for (size_t rows = 1; rows <= 4; rows += 3) {
        engine_rig *r = make(ishow_engine_options_default(), rows);
        caller callers[CALLERS] = {0};
        pthread_t threads[CALLERS];
        for (int together = 0; together <= 1; together++) {
            for (int i = 0; i < CALLERS; i++) {
                callers[i] = (caller){.r = r, .number = i};
                if (together)
                    assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
                else
                    call(&callers[i]);
            }
            for (int i = 0; i < CALLERS; i++) {
                if (together) pthread_join(threads[i], NULL);
                assert_int_equal(callers[i].failures, 0);
                if (together)
                    assert_memory_equal(callers[i].lengths, alone[i], sizeof alone[i]);
                else
                    memcpy(alone[i], callers[i].lengths, sizeof alone[i]);
            }
        }
        ishow_engine_stats stats;
        ishow_engine_stats_get(r->engine, &stats);
        assert_int_equal(stats.completed, 2 * CALLERS * EACH);
        assert_int_equal(stats.waiting + stats.in_flight, 0);
        if (rows > 1) assert_true(fake_get(&r->model, &r->model.most_rows) > 1); /* rows were batched */
        engine_rig_free(r);
    }
}

static void cancelling_stops_the_work(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    fake_set(&r->model, &r->model.slow_us, 2000);
    ishow_request request = engine_request("Hello there.");
    request.nfe = 64;
    bell b = {0};
    ishow_utterance *running = engine_submit(r, &request, &b), *freed = engine_submit(r, &request, NULL);
    engine_wait_for_steps(r, 4);
    ishow_utterance_cancel(running);
    ishow_error error;
    size_t n = 0;
    assert_int_equal(engine_drain(running, NULL, &n, &error), ISHOW_ECANCELLED);
    assert_int_equal(engine_drain(running, NULL, &n, &error), ISHOW_ECANCELLED); /* and again */
    ishow_utterance_free(freed);                                                 /* freed while it is spoken */
    ishow_engine_stats stats;
    for (int i = 0; i < 1000; i++) {
        ishow_engine_stats_get(r->engine, &stats);
        if (stats.cancelled == 2) break;
        usleep(1000);
    }
    assert_int_equal(stats.cancelled, 2);
    int taken = fake_get(&r->model, &r->model.row_steps);
    usleep(50000);
    assert_true(fake_get(&r->model, &r->model.row_steps) <=
                taken + 1); /* no rows are left, except in a step that runs */
    assert_true(taken < 64);
    for (int i = 0; i < 1000 && !__atomic_load_n(&b.rings, __ATOMIC_ACQUIRE); i++) usleep(1000);
    assert_true(__atomic_load_n(&b.rings, __ATOMIC_ACQUIRE) >= 1); /* notify was called for its end */
    ishow_utterance_free(running);
    assert_int_equal(fake_get(&r->model, &r->model.vocodes), 0);

    /* a finished utterance that was not read can be cancelled as well */
    fake_set(&r->model, &r->model.slow_us, 0);
    request.nfe = 3;
    ishow_utterance *done = engine_submit(r, &request, NULL);
    for (int i = 0; i < 1000 && ishow_utterance_progress(done) < 1; i++) usleep(1000);
    ishow_utterance_cancel(done);
    assert_int_equal(engine_drain(done, NULL, &n, &error), ISHOW_ECANCELLED);
    ishow_utterance_free(done);
    engine_rig_free(r);
}

static void deadlines_pass_wherever_the_utterance_is(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    ishow_request request = engine_request("Hello there.");
    size_t n = 0;
    ishow_error error;
    request.deadline = 0.05;
    for (int where = 0; where < 2; where++) { /* one is in the model, one in the front end */
        if (where == 0) {
            fake_set(&r->model, &r->model.slow_us, 20000);
            request.nfe = 64;
        } else {
            fake_set(&r->model, &r->model.slow_us, 0);
            pthread_mutex_lock(&r->text.lock);
            r->text.slow_us = 200000;
            pthread_mutex_unlock(&r->text.lock);
        }
        ishow_utterance *u = engine_submit(r, &request, NULL);
        assert_int_equal(engine_drain(u, NULL, &n, &error), ISHOW_ETIMEOUT);
        assert_string_equal(error.field, "deadline");
        ishow_utterance_free(u);
    }
    ishow_utterance *u = engine_submit(r, &request, NULL);
    const float *samples;
    assert_int_equal(ishow_utterance_next(u, 0, &samples, &n, &error), ISHOW_EAGAIN);
    assert_string_equal(error.field, "");
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void a_voice_may_be_replaced_under_its_users(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    fake_set(&r->model, &r->model.slow_us, 500);
    ishow_request request = engine_request("Hello there, this is spoken while voices come and go.");
    request.nfe = 16;
    ishow_utterance *u[8];
    size_t n = 0;
    for (int i = 0; i < 8; i++) {
        u[i] = engine_submit(r, &request, NULL);
        fake_voice(r->engine, "anna", i % 2 ? ENGINE_REF : "Quite another text, which is longer than the first was.",
                   0.05f + 0.01f * (float)i);
        if (i == 5) assert_int_equal(ishow_engine_remove_voice(r->engine, "anna", NULL), ISHOW_OK);
        if (i == 5) fake_voice(r->engine, "berta", ENGINE_REF, 0.2f);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(engine_drain(u[i], NULL, &n, NULL), ISHOW_OK);
        ishow_utterance_free(u[i]);
    }
    engine_rig_free(r);
}

static void a_backend_is_swapped_between_rows(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    fake_model better, finer, wrong;
    fake_model_init(&better);
    fake_model_init(&finer);
    fake_model_init(&wrong);
    fake_set(&r->model, &r->model.slow_us, 1000);
    ishow_request request = engine_request("Hello there.");
    request.nfe = 16;
    bell bells[2] = {{0}};
    ishow_utterance *before = engine_submit(r, &request, &bells[0]);
    engine_wait_for_steps(r, 3);

    ishow_error error;
    ishow_backend backend = fake_backend(&wrong, ISHOW_TEXT_ALIGNED, 1, 1, 4000);
    assert_int_equal(ishow_engine_swap_backend(r->engine, &backend, &error), ISHOW_EINVAL);
    assert_int_equal(wrong.closed, 1);
    backend = fake_backend(&wrong, ISHOW_TEXT_PADDED, 1, 1, 4000);
    strcpy(backend.info.content_hash, "other");
    assert_int_equal(ishow_engine_swap_backend(r->engine, &backend, &error), ISHOW_EINVAL);
    assert_int_equal(wrong.closed, 2);

    backend = fake_backend(&better, ISHOW_TEXT_PADDED, 1, 4, 4000);
    strcpy(backend.info.backend, "better");
    assert_int_equal(ishow_engine_swap_backend(r->engine, &backend, &error), ISHOW_OK);
    ishow_utterance *after = engine_submit(r, &request, &bells[1]);
    size_t n = 0, m = 0;
    assert_int_equal(engine_drain(before, NULL, &n, NULL), ISHOW_OK);
    assert_int_equal(engine_drain(after, NULL, &m, NULL), ISHOW_OK);
    assert_int_equal(n, m);
    assert_int_equal(fake_get(&r->model, &r->model.row_steps),
                     16); /* each row stays on one backend from its first to its last step */
    assert_int_equal(fake_get(&better, &better.row_steps), 16);
    assert_int_equal(fake_get(&r->model, &r->model.closed), 1);
    ishow_model_info info;
    ishow_engine_info(r->engine, &info);
    assert_string_equal(info.backend, "better");
    ishow_utterance_free(before);
    ishow_utterance_free(after);

    backend = fake_backend(&finer, ISHOW_TEXT_PADDED, 1, 4, 4000); /* the same one in another precision */
    strcpy(backend.info.backend, "better");
    strcpy(backend.info.precision, "finer");
    assert_int_equal(ishow_engine_swap_backend(r->engine, &backend, &error), ISHOW_OK);
    after = engine_submit(r, &request, NULL);
    assert_int_equal(engine_drain(after, NULL, &n, NULL), ISHOW_OK);
    assert_true(fake_get(&better, &better.modulates) == 1 && fake_get(&finer, &finer.modulates) == 1);
    ishow_utterance_free(after);
    ishow_engine_stats stats;
    ishow_engine_stats_get(r->engine, &stats);
    assert_int_equal(stats.swaps, 2);
    for (int i = 0; i < 2; i++) assert_true(__atomic_load_n(&bells[i].rings, __ATOMIC_ACQUIRE) >= 1);
    engine_rig_free(r);
    assert_true(better.closed == 1 && finer.closed == 1);
    assert_int_equal(better.wrong_thread, 0);
}

static void the_engine_may_be_freed_before_its_utterances(void **state) {
    (void)state;
    engine_rig *r = make(ishow_engine_options_default(), 1);
    fake_set(&r->model, &r->model.slow_us, 1000);
    ishow_request request = engine_request("Hello there.");
    ishow_utterance *done = engine_submit(r, &request, NULL);
    for (int i = 0; i < 10000 && ishow_utterance_progress(done) < 1; i++) usleep(1000);
    request.nfe = 64;
    bell bells[5] = {{0}};
    ishow_utterance *u[5];
    for (int i = 0; i < 5; i++) u[i] = engine_submit(r, &request, &bells[i]);
    engine_wait_for_steps(r, ISHOW_NFE_DEFAULT + 2);
    ishow_engine *engine = r->engine;
    ishow_engine_free(engine);
    assert_int_equal(r->model.closed, 1);
    assert_int_equal(ishow_live_handles() - r->handles, 6); /* handles of the utterances */
    ishow_error error;
    size_t n = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(engine_drain(u[i], NULL, &n, &error), ISHOW_ECANCELLED);
        assert_true(bells[i].rings >= 1);
        ishow_timings timings;
        ishow_utterance_timings(u[i], &timings);
        ishow_utterance_cancel(u[i]);
        ishow_utterance_free(u[i]);
    }
    assert_int_equal(n, 0);
    assert_int_equal(engine_drain(done, NULL, &n, &error), ISHOW_OK); /* finished audio can still be read */
    assert_true(n > 0);
    ishow_utterance_free(done);
    assert_int_equal(ishow_live_handles(), r->handles);
    free(r);
}

/* Callers that cancel, free early, exceed their deadline or use a failing model, all at the same time: every utterance
 * ends and is notified. */
typedef struct vandal {
    engine_rig *r;
    unsigned random;
    int unexpected;
} vandal;

static void *vandalise(void *argument) {
    vandal *v = argument;
    for (int i = 0; i < 40; i++) {
        v->random = v->random * 1664525u + 1013904223u;
        unsigned what = v->random >> 16 & 7;
        ishow_request request =
            engine_request(what == 6 ? "this %N breaks"
                                     : "Some words. And a second sentence, which is of another length than the first.");
        request.nfe = 2 + (int)(v->random >> 20 & 7);
        request.has_seed = 0;
        if (what == 5) request.deadline = 0.002;
        bell b = {0};
        ishow_utterance *u;
        ishow_error error;
        ishow_status status = ishow_engine_submit(v->r->engine, &request, engine_ring, &b, &u, &error);
        if (status != ISHOW_OK) {
            v->unexpected += status != ISHOW_EBUSY;
            continue;
        }
        size_t n = 0;
        if (what == 0) usleep(500);
        if (what <= 1) ishow_utterance_cancel(u);
        if (what != 2) {
            status = engine_drain(u, NULL, &n, &error);
            int expected = status == ISHOW_OK || status == ISHOW_EMODEL || (what <= 1 && status == ISHOW_ECANCELLED) ||
                           (what == 5 && status == ISHOW_ETIMEOUT) || (what == 6 && status == ISHOW_EPYTHON);
            v->unexpected += !expected;
        }
        ishow_utterance_free(u); /* b may be freed now: no notify follows */
    }
    return NULL;
}

static void every_utterance_ends_when_callers_misbehave(void **state) {
    (void)state;
    for (size_t rows = 1; rows <= 3; rows += 2) {
        ishow_engine_options options = ishow_engine_options_default();
        options.queue_capacity = 5;
        options.chunk_seconds = 5;
        engine_rig *r = make(options, rows);
        fake_set(&r->model, &r->model.slow_us, 100);
        fake_set(&r->model, &r->model.nan_at, 2);
        fake_set(&r->model, &r->model.nan_rows, 40);
        fake_set(&r->model, &r->model.error_at, 2);
        fake_set(&r->model, &r->model.error_rows, 8);
        vandal vandals[6];
        pthread_t threads[6];
        for (int i = 0; i < 6; i++) {
            vandals[i] = (vandal){.r = r, .random = (unsigned)i * 77 + (unsigned)rows};
            assert_int_equal(pthread_create(&threads[i], NULL, vandalise, &vandals[i]), 0);
        }
        for (int i = 0; i < 6; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(vandals[i].unexpected, 0);
        }
        ishow_engine_stats stats;
        for (int i = 0; i < 1000; i++) {
            ishow_engine_stats_get(r->engine, &stats);
            if (stats.waiting + stats.in_flight == 0) break;
            usleep(1000);
        }
        assert_int_equal(stats.waiting + stats.in_flight, 0);
        assert_int_equal(stats.submitted, stats.completed + stats.failed + stats.cancelled);
        engine_rig_free(r);
    }
}

int main(void) {
    ishow_log_set_level(ISHOW_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_callers_get_what_they_asked_for),
        cmocka_unit_test(cancelling_stops_the_work),
        cmocka_unit_test(deadlines_pass_wherever_the_utterance_is),
        cmocka_unit_test(a_voice_may_be_replaced_under_its_users),
        cmocka_unit_test(a_backend_is_swapped_between_rows),
        cmocka_unit_test(the_engine_may_be_freed_before_its_utterances),
        cmocka_unit_test(every_utterance_ends_when_callers_misbehave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
