/* Which workers a gateway asks, and how much a worker makes for it: on a real nats-server, with the fake model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cluster_rig.h"
#include "nats_rig.h"

static void the_least_loaded_worker_is_asked_and_full_ones_are_skipped(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s[2];
    speaker_make(&s[0], nats.url, (speaker_kind){.name = "one", .slow_us = 30000, .queue = 2});
    speaker_make(&s[1], nats.url, (speaker_kind){.name = "two", .slow_us = 30000, .queue = 2});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\"", 1);
    cluster_shows(g, "\"name\":\"two\"", 1);
    ishow_utterance *u[5];
    ishow_error error = {0};
    ishow_engine_stats stats[2];
    ishow_request request = cluster_request(CLUSTER_TEXT);
    request.nfe = 64; /* is not finished within this test */
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u[0], &error), ISHOW_OK);
    for (int i = 1; i < 3; i++)
        u[i] = cluster_submit(g, "Hello."); /* both on the worker that does not have the long one */
    for (int i = 1; i < 3; i++) {
        assert_int_equal(cluster_read(u[i], &error), ISHOW_OK);
        ishow_utterance_free(u[i]);
    }
    for (int i = 0; i < 2; i++) ishow_engine_stats_get(s[i].engine, &stats[i]);
    assert_int_equal(stats[0].submitted + stats[1].submitted, 3);
    assert_true(stats[0].submitted == 1 || stats[1].submitted == 1);

    /* One of four places is taken, so of four more requests one is refused, by both kinds of engine. */
    for (int i = 1; i < 5; i++) assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u[i], &error), ISHOW_OK);
    int refused = 0;
    for (int k = 0; k < 1000 && !refused; k++) {
        const float *samples;
        size_t n;
        usleep(10000);
        for (int i = 1; i < 5; i++) refused += ishow_utterance_next(u[i], 0, &samples, &n, &error) == ISHOW_EBUSY;
    }
    assert_int_equal(refused, 1);
    ishow_engine_stats counted;
    ishow_engine_stats_get(g, &counted);
    assert_true(counted.refused == 1 && counted.failed == 0);
    for (int i = 0; i < 5; i++) ishow_utterance_cancel(u[i]);
    for (int i = 0; i < 5; i++) ishow_utterance_free(u[i]);
    for (int i = 0; i < 2; i++) { /* its worker stops a cancelled utterance */
        ishow_engine_stats now = {.in_flight = 1};
        for (int k = 0; k < 1000 && now.in_flight + now.waiting; k++) {
            usleep(10000);
            ishow_engine_stats_get(s[i].engine, &now);
        }
        assert_int_equal(now.in_flight + now.waiting, 0);
    }
    ishow_engine_free(g);
    speaker_end(&s[0]);
    speaker_end(&s[1]);
    nats_kill(&nats);
}

static void only_workers_with_the_labels_and_the_model_are_asked(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker suits, booth, other;
    speaker_make(&suits, nats.url, (speaker_kind){.name = "suits", .site = "studio"});
    ishow_engine *g = gateway_make(nats.url, "gate", "studio");
    cluster_shows(g, "\"name\":\"suits\"", 1);
    speaker_make(&booth, nats.url, (speaker_kind){.name = "booth", .site = "booth"});
    speaker_make(&other, nats.url, (speaker_kind){.name = "other", .site = "studio", .hash = "07e4"});
    cluster_shows(g, "\"name\":\"booth\",\"state\":\"other labels\"", 1);
    cluster_shows(g, "\"name\":\"other\",\"state\":\"other model\"", 1);
    assert_true(gateway_metric(g, "cluster_workers{state=\"ready\"}") == 1);
    assert_true(gateway_metric(g, "cluster_workers{state=\"other labels\"}") == 1);
    assert_true(gateway_metric(g, "cluster_workers{state=\"other model\"}") == 1);
    ishow_utterance *u[6];
    ishow_error error = {0};
    for (int i = 0; i < 6; i++) u[i] = cluster_submit(g, "Hello."); /* at once, so that others would be less loaded */
    for (int i = 0; i < 6; i++) {
        assert_int_equal(cluster_read(u[i], &error), ISHOW_OK);
        ishow_utterance_free(u[i]);
    }
    assert_true(worker_metric(suits.worker, "cluster_taken_total") == 6);
    speaker_end(&suits); /* the model is now that of the next one that has the labels */
    cluster_shows(g, "\"name\":\"other\",\"state\":\"ready\"", 1);
    u[0] = cluster_submit(g, "Hello.");
    assert_int_equal(cluster_read(u[0], &error), ISHOW_OK);
    ishow_utterance_free(u[0]);
    ishow_engine_free(g);
    speaker_end(&booth);
    speaker_end(&other);
    nats_kill(&nats);
}

/* Of a text of minutes, only what a gateway and a worker may keep is made until somebody listens. */
static void a_reader_that_waits_bounds_what_is_made(void **state) {
    (void)state;
    enum { TIMES = 15, KEPT = (1 << 20) * sizeof(float) + (1 << 20) };
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one"});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\"", 1);
    char *text = calloc(TIMES, strlen(CLUSTER_TEXT) + 2);
    assert_non_null(text);
    for (int i = 0; i < TIMES; i++) strcat(strcat(text, CLUSTER_TEXT), " ");
    ishow_request request = cluster_request(text);
    ishow_utterance *u;
    ishow_error error = {0};
    request.speed = 0.5f;
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u, &error), ISHOW_OK);
    double sent = 0, before = -1;
    for (int i = 0; i < 200 && (sent < KEPT / 2 || sent != before); i++) { /* until nothing more comes */
        before = sent;
        usleep(300000);
        sent = worker_metric(s.worker, "cluster_sent_bytes_total");
    }
    const int made = fake_get(&s.model, &s.model.vocodes);
    assert_true(sent < 1.2 * KEPT); /* and one piece more on both sides */
    size_t n = 0;
    float *all = NULL;
    while (engine_read_piece(u, &all, &n)) continue;
    assert_true((double)(n * sizeof(float)) > 1.4 * KEPT);
    assert_true(fake_get(&s.model, &s.model.vocodes) > made);
    ishow_utterance_free(u);
    free(all);
    free(text);
    ishow_engine_free(g);
    speaker_end(&s);
    nats_kill(&nats);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_loaded_worker_is_asked_and_full_ones_are_skipped),
        cmocka_unit_test(only_workers_with_the_labels_and_the_model_are_asked),
        cmocka_unit_test(a_reader_that_waits_bounds_what_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
