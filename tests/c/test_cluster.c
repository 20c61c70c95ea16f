/* A gateway and workers on a real nats-server, with the fake model. Workers that are to be killed are processes: this
 * program with the arguments "worker URL NAME MICROSECONDS". With "latency URL TIMES MICROSECONDS" it prints
 * milliseconds to the first audio, of an engine here, of the same engine again, and of a gateway with one worker, for
 * benchmarks/cluster.py. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "cluster_rig.h"
#include "nats_rig.h"

/* ---- workers that can be killed ---- */

static int worker_process(char **argv) {
    speaker s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    speaker_make(&s, argv[2], (speaker_kind){.name = argv[3], .slow_us = atoi(argv[4])});
    while (pause()) continue;
    return 0;
}

static pid_t worker_start(const char *url, const char *name, int slow_us) {
    char us[16];
    snprintf(us, sizeof us, "%d", slow_us);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        execl("/proc/self/exe", "test_cluster", "worker", url, name, us, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void worker_kill(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The speech of an engine in this process for the same text. */
static float *unbroken_speech(size_t *n) {
    speaker s;
    float *all = NULL;
    speaker_make(&s, NULL, (speaker_kind){0});
    ishow_utterance *u = cluster_submit(s.engine, CLUSTER_TEXT);
    *n = 0;
    while (engine_read_piece(u, &all, n)) continue;
    ishow_utterance_free(u);
    speaker_end(&s);
    return all;
}

static void expect_same(const float *all, size_t n) {
    size_t n_whole;
    float *whole = unbroken_speech(&n_whole);
    assert_int_equal(n, n_whole);
    assert_memory_equal(all, whole, n * sizeof *all);
    free(whole);
}

/* ---- tests ---- */

static void a_gateway_speaks_as_its_worker_does(void **state) {
    (void)state;
    const long handles = ishow_live_handles();
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one"});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\",\"state\":\"ready\"", 1);
    ishow_model_info here, there;
    ishow_engine_info(s.engine, &here);
    ishow_engine_info(g, &there);
    assert_string_equal(there.name, here.name);
    assert_int_equal(there.sample_rate, here.sample_rate);
    assert_string_equal(there.backend, "cluster");

    float *all = NULL;
    size_t n = 0;
    ishow_timings timings;
    ishow_utterance *u = cluster_submit(g, CLUSTER_TEXT);
    while (engine_read_piece(u, &all, &n)) continue;
    ishow_utterance_timings(u, &timings);
    assert_int_equal(timings.seed, 7);
    assert_string_equal(timings.voice, "anna");
    assert_true(timings.chunks >= 4);
    assert_true(timings.first_audio > 0 && timings.total >= timings.first_audio && timings.model > 0);
    assert_true(ishow_utterance_progress(u) == 1);
    ishow_utterance_free(u);
    expect_same(all, n);

    ishow_voice_entry *voices;
    ishow_error error = {0}, local = {0};
    assert_int_equal(ishow_engine_list_voices(g, &voices, &n, &error), ISHOW_OK);
    assert_int_equal(n, 1);
    assert_string_equal(voices[0].id, "anna");
    assert_string_equal(voices[0].text, "This is the text of the reference voice.");
    free(voices);

    /* Errors of a request are the same as those of an engine in this process. */
    ishow_request wrong[] = {cluster_request(""), cluster_request("Hello."), cluster_request("Hello."),
                             cluster_request("#")};
    ishow_utterance *mine;
    wrong[1].voice = "nobody";
    wrong[2].fix_duration = 1;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const ishow_status status = ishow_engine_submit(s.engine, &wrong[i], NULL, NULL, &mine, &local);
        assert_int_equal(ishow_engine_submit(g, &wrong[i], NULL, NULL, &u, &error), status);
        if (!status) { /* "#": the front end finds nothing speakable */
            assert_int_equal(cluster_read(u, &error), ISHOW_EINVAL);
            assert_string_equal(error.field, "text");
            ishow_utterance_free(u);
            ishow_utterance_free(mine);
            continue;
        }
        assert_string_equal(error.message, local.message);
        assert_string_equal(error.field, local.field);
    }
    free(all);
    ishow_engine_free(g);
    speaker_end(&s);
    nats_kill(&nats);
    assert_int_equal(ishow_live_handles(), handles);
}

static void another_worker_continues_for_a_killed_one_without_a_gap(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    pid_t first = worker_start(nats.url, "first", 150000);
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"first\"", 1);
    float *all = NULL;
    size_t n = 0;
    ishow_utterance *u = cluster_submit(g, CLUSTER_TEXT);
    engine_read_piece(u, &all, &n);
    pid_t second = worker_start(nats.url, "second", 0);
    cluster_shows(g, "\"name\":\"second\"", 1);
    worker_kill(first);
    while (engine_read_piece(u, &all, &n)) continue;
    ishow_utterance_free(u);
    expect_same(all, n);
    assert_true(gateway_metric(g, "cluster_moved_total") > 0);
    for (int i = 0; i < 500 && cluster_shows(g, "\"name\":\"first\"", 0); i++) usleep(20000);
    assert_false(cluster_shows(g, "\"name\":\"first\"", 0));
    free(all);
    ishow_engine_free(g);
    worker_kill(second);
    nats_kill(&nats);
}

static void a_restarted_broker_only_delays_speech(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one", .slow_us = 50000});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\",\"state\":\"ready\"", 1);
    float *all = NULL;
    size_t n = 0;
    ishow_utterance *u = cluster_submit(g, CLUSTER_TEXT);
    engine_read_piece(u, &all, &n);
    nats_kill(&nats);
    nats_start(&nats);
    while (engine_read_piece(u, &all, &n)) continue;
    ishow_utterance_free(u);
    expect_same(all, n);
    free(all);
    ishow_engine_free(g);
    speaker_end(&s);
    nats_kill(&nats);
}

static void a_worker_that_leaves_finishes_what_it_speaks(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s[2];
    speaker_make(&s[0], nats.url, (speaker_kind){.name = "one", .slow_us = 3000});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\"", 1);
    ishow_utterance *u = cluster_submit(g, CLUSTER_TEXT);
    float *all = NULL;
    size_t n = 0;
    ishow_error error = {0};
    engine_read_piece(u, &all, &n);
    speaker_make(&s[1], nats.url, (speaker_kind){.name = "two"});
    cluster_shows(g, "\"name\":\"two\"", 1);
    assert_int_equal(ishow_gateway_drain(g, "nobody", &error), ISHOW_ENOTFOUND);
    assert_int_equal(ishow_gateway_drain(g, "one", &error), ISHOW_OK);
    for (int i = 0; i < 1000 && !__atomic_load_n(&s[0].asked_to_leave, __ATOMIC_ACQUIRE); i++) usleep(10000);
    assert_int_equal(s[0].asked_to_leave, 1);
    ishow_utterance *other = cluster_submit(g, "Hello.");
    ishow_worker_drain(s[0].worker, 0);
    while (engine_read_piece(u, &all, &n)) continue;
    assert_int_equal(cluster_read(other, &error), ISHOW_OK);
    ishow_worker_drain(s[0].worker, 30);
    ishow_engine_stats stats;
    ishow_engine_stats_get(s[0].engine, &stats);
    assert_int_equal(stats.cancelled, 0);
    assert_true(stats.completed >= 1);
    ishow_utterance_free(u);
    ishow_utterance_free(other);
    expect_same(all, n);
    free(all);
    speaker_end(&s[0]);
    ishow_utterance *last = cluster_submit(g, "Hello again.");
    assert_int_equal(cluster_read(last, &error), ISHOW_OK);
    ishow_utterance_free(last);
    ishow_engine_free(g);
    speaker_end(&s[1]);
    nats_kill(&nats);
}

static void missing_workers_and_deadlines_are_errors(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one", .slow_us = 50000});
    ishow_engine *g = gateway_make(nats.url, "gate", NULL);
    cluster_shows(g, "\"name\":\"one\"", 1);
    ishow_request request = cluster_request(CLUSTER_TEXT);
    ishow_utterance *u;
    ishow_error error = {0};
    request.deadline = 0.3;
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u, &error), ISHOW_OK);
    assert_int_equal(cluster_read(u, &error), ISHOW_ETIMEOUT);
    assert_string_equal(error.field, "deadline");
    ishow_utterance_free(u);
    speaker_end(&s);
    cluster_shows(g, "\"workers\":[]", 1);
    request.deadline = 0.3;
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u, &error), ISHOW_OK);
    assert_int_equal(cluster_read(u, &error), ISHOW_ETIMEOUT);
    ishow_utterance_free(u);
    u = cluster_submit(g, CLUSTER_TEXT); /* still held when the engine is freed */
    ishow_engine_free(g);
    assert_int_equal(cluster_read(u, &error), ISHOW_ECANCELLED);
    ishow_utterance_free(u);
    nats_kill(&nats);
}

static double first_audio(ishow_engine *e) {
    const double start = ishow_now();
    const float *samples;
    size_t n;
    ishow_utterance *u = cluster_submit(e, "The first sentence is a long one, so that it fills a part.");
    if (ishow_utterance_next(u, 60, &samples, &n, NULL)) fail_msg("next");
    const double taken = ishow_now() - start;
    cluster_read(u, NULL);
    ishow_utterance_free(u);
    return 1000 * taken;
}

static int print_latency(char **argv) {
    speaker s;
    speaker_make(&s, NULL, (speaker_kind){.slow_us = atoi(argv[4])});
    pid_t pid = worker_start(argv[2], "far", atoi(argv[4]));
    ishow_engine *g = gateway_make(argv[2], "gate", NULL);
    cluster_shows(g, "\"name\":\"far\"", 1);
    for (int i = -3; i < atoi(argv[3]); i++) {
        const double here = first_audio(s.engine), again = first_audio(s.engine), there = first_audio(g);
        if (i >= 0) printf("%.3f %.3f %.3f\n", here, again, there);
    }
    ishow_engine_free(g);
    worker_kill(pid);
    speaker_end(&s);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "worker")) return worker_process(argv);
    if (argc == 5 && !strcmp(argv[1], "latency")) return print_latency(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_speaks_as_its_worker_does),
        cmocka_unit_test(another_worker_continues_for_a_killed_one_without_a_gap),
        cmocka_unit_test(a_restarted_broker_only_delays_speech),
        cmocka_unit_test(a_worker_that_leaves_finishes_what_it_speaks),
        cmocka_unit_test(missing_workers_and_deadlines_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
