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
#include "cluster/cluster.h"
#include "engine_rig.h"
#include "nats_rig.h"

static const char *const TEXT =
    "The first sentence is a long one, so that it fills a part. The second sentence is as long, and fills another. "
    "The third sentence goes on and on, as sentences do. The fourth sentence is not the last of them, by far. "
    "The fifth sentence says that the end is near, as it is. The sixth sentence ends the text, and so the speech.";

typedef struct speaker { /* the engine of a worker in this process */
    fake_model model;
    fake_text text;
    ishow_engine *engine;
    ishow_worker *worker;
    int asked_to_leave; /* atomic: the worker is to leave */
} speaker;

static void on_leave(void *self) { __atomic_store_n(&((speaker *)self)->asked_to_leave, 1, __ATOMIC_RELEASE); }

static void speaker_make(speaker *s, const char *url, const char *name, int slow_us, size_t queue) {
    ishow_engine_options options = ishow_engine_options_default();
    ishow_error error = {0};
    options.chunk_seconds = 5;
    options.queue_capacity = queue;
    memset(s, 0, sizeof *s);
    fake_model_init(&s->model);
    fake_text_init(&s->text);
    s->model.slow_us = slow_us;
    const ishow_backend backend = fake_backend(&s->model, ISHOW_TEXT_PADDED, 1, 1, 4000);
    const ishow_text_frontend frontend = fake_frontend(&s->text);
    if (ishow_engine_create(&s->engine, &backend, &frontend, &options, &error)) fail_msg("%s", error.message);
    fake_voice(s->engine, "anna", "This is the text of the reference voice.", 0.05f);
    const ishow_cluster_options cluster = {.role = ISHOW_ROLE_WORKER, .url = url, .name = name};
    if (url && ishow_worker_open(&s->worker, s->engine, &cluster, on_leave, s, &error)) fail_msg("%s", error.message);
}

static void speaker_end(speaker *s) {
    ishow_worker_free(s->worker);
    ishow_engine_free(s->engine);
}

/* ---- workers that can be killed ---- */

static int worker_process(char **argv) {
    speaker s;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    speaker_make(&s, argv[2], argv[3], atoi(argv[4]), 64);
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

/* ---- the gateway ---- */

static ishow_engine *gateway_make(const char *url) {
    const ishow_cluster_options options = {.role = ISHOW_ROLE_GATEWAY, .url = url, .name = "gate"};
    ishow_engine *g;
    ishow_error error = {0};
    if (ishow_gateway_open(&g, &options, &error)) fail_msg("%s", error.message);
    return g;
}

/* Waits until the status of the cluster contains these words. */
static int shows(ishow_engine *g, const char *words, int wait) {
    for (int i = 0;; i++) {
        ishow_buffer out = {0};
        ishow_gateway_status(g, "[]", &out);
        ishow_buffer_add(&out, "", 1);
        const int found = strstr((const char *)out.data, words) != NULL;
        if (!found && wait && i == 1000) fail_msg("%s is not in %s", words, (const char *)out.data);
        ishow_buffer_free(&out);
        if (found || !wait) return found;
        usleep(20000);
    }
}

static ishow_request request_of(const char *text) {
    ishow_request request = engine_request(text);
    request.early = 1;
    return request;
}

static ishow_utterance *submit(ishow_engine *e, const char *text) {
    const ishow_request request = request_of(text);
    ishow_utterance *u;
    ishow_error error = {0};
    if (ishow_engine_submit(e, &request, NULL, NULL, &u, &error)) fail_msg("submit: %s", error.message);
    return u;
}

static ishow_status read_to_end(ishow_utterance *u, ishow_error *error) {
    size_t n = 0;
    return engine_drain(u, NULL, &n, error);
}

/* The speech of an engine in this process for the same text. */
static float *unbroken_speech(size_t *n) {
    speaker s;
    float *all = NULL;
    speaker_make(&s, NULL, NULL, 0, 64);
    ishow_utterance *u = submit(s.engine, TEXT);
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
    speaker_make(&s, nats.url, "one", 0, 64);
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"state\":\"ready\"", 1);
    ishow_model_info here, there;
    ishow_engine_info(s.engine, &here);
    ishow_engine_info(g, &there);
    assert_string_equal(there.name, here.name);
    assert_int_equal(there.sample_rate, here.sample_rate);
    assert_string_equal(there.backend, "cluster");

    float *all = NULL;
    size_t n = 0;
    ishow_timings timings;
    ishow_utterance *u = submit(g, TEXT);
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
    ishow_request wrong[] = {request_of(""), request_of("Hello."), request_of("Hello."), request_of("#")};
    ishow_utterance *mine;
    wrong[1].voice = "nobody";
    wrong[2].fix_duration = 1;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const ishow_status status = ishow_engine_submit(s.engine, &wrong[i], NULL, NULL, &mine, &local);
        assert_int_equal(ishow_engine_submit(g, &wrong[i], NULL, NULL, &u, &error), status);
        if (!status) { /* "#": the front end finds nothing speakable */
            assert_int_equal(read_to_end(u, &error), ISHOW_EINVAL);
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
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"name\":\"first\"", 1);
    float *all = NULL;
    size_t n = 0;
    ishow_utterance *u = submit(g, TEXT);
    engine_read_piece(u, &all, &n);
    pid_t second = worker_start(nats.url, "second", 0);
    shows(g, "\"name\":\"second\"", 1);
    worker_kill(first);
    while (engine_read_piece(u, &all, &n)) continue;
    ishow_utterance_free(u);
    expect_same(all, n);
    ishow_buffer metrics = {0};
    ishow_gateway_metrics(g, &metrics);
    ishow_buffer_add(&metrics, "", 1);
    assert_non_null(strstr((const char *)metrics.data, "ishowtts_cluster_moved_total "));
    assert_null(strstr((const char *)metrics.data, "ishowtts_cluster_moved_total 0\n"));
    ishow_buffer_free(&metrics);
    for (int i = 0; i < 500 && shows(g, "\"name\":\"first\"", 0); i++) usleep(20000);
    assert_false(shows(g, "\"name\":\"first\"", 0));
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
    speaker_make(&s, nats.url, "one", 50000, 64);
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"state\":\"ready\"", 1);
    float *all = NULL;
    size_t n = 0;
    ishow_utterance *u = submit(g, TEXT);
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

static void the_least_loaded_worker_is_asked_and_full_ones_are_skipped(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s[2];
    speaker_make(&s[0], nats.url, "one", 30000, 2);
    speaker_make(&s[1], nats.url, "two", 30000, 2);
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"name\":\"one\"", 1);
    shows(g, "\"name\":\"two\"", 1);
    ishow_utterance *u[5];
    ishow_error error = {0};
    ishow_engine_stats stats[2];
    ishow_request request = request_of(TEXT);
    request.nfe = 64; /* is not finished within this test */
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u[0], &error), ISHOW_OK);
    for (int i = 1; i < 3; i++) u[i] = submit(g, "Hello."); /* both on the worker that does not have the long one */
    for (int i = 1; i < 3; i++) {
        assert_int_equal(read_to_end(u[i], &error), ISHOW_OK);
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

static void a_worker_that_leaves_finishes_what_it_speaks(void **state) {
    (void)state;
    nats_rig nats = {0};
    nats_start(&nats);
    speaker s[2];
    speaker_make(&s[0], nats.url, "one", 3000, 64);
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"name\":\"one\"", 1);
    ishow_utterance *u = submit(g, TEXT);
    float *all = NULL;
    size_t n = 0;
    ishow_error error = {0};
    engine_read_piece(u, &all, &n);
    speaker_make(&s[1], nats.url, "two", 0, 64);
    shows(g, "\"name\":\"two\"", 1);
    assert_int_equal(ishow_gateway_drain(g, "nobody", &error), ISHOW_ENOTFOUND);
    assert_int_equal(ishow_gateway_drain(g, "one", &error), ISHOW_OK);
    for (int i = 0; i < 1000 && !__atomic_load_n(&s[0].asked_to_leave, __ATOMIC_ACQUIRE); i++) usleep(10000);
    assert_int_equal(s[0].asked_to_leave, 1);
    ishow_utterance *other = submit(g, "Hello.");
    ishow_worker_drain(s[0].worker, 0);
    while (engine_read_piece(u, &all, &n)) continue;
    assert_int_equal(read_to_end(other, &error), ISHOW_OK);
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
    ishow_utterance *last = submit(g, "Hello again.");
    assert_int_equal(read_to_end(last, &error), ISHOW_OK);
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
    speaker_make(&s, nats.url, "one", 50000, 64);
    ishow_engine *g = gateway_make(nats.url);
    shows(g, "\"name\":\"one\"", 1);
    ishow_request request = request_of(TEXT);
    ishow_utterance *u;
    ishow_error error = {0};
    request.deadline = 0.3;
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u, &error), ISHOW_OK);
    assert_int_equal(read_to_end(u, &error), ISHOW_ETIMEOUT);
    assert_string_equal(error.field, "deadline");
    ishow_utterance_free(u);
    speaker_end(&s);
    shows(g, "\"workers\":[]", 1);
    request.deadline = 0.3;
    assert_int_equal(ishow_engine_submit(g, &request, NULL, NULL, &u, &error), ISHOW_OK);
    assert_int_equal(read_to_end(u, &error), ISHOW_ETIMEOUT);
    ishow_utterance_free(u);
    u = submit(g, TEXT); /* still held when the engine is freed */
    ishow_engine_free(g);
    assert_int_equal(read_to_end(u, &error), ISHOW_ECANCELLED);
    ishow_utterance_free(u);
    nats_kill(&nats);
}

static double first_audio(ishow_engine *e) {
    const double start = ishow_now();
    const float *samples;
    size_t n;
    ishow_utterance *u = submit(e, "The first sentence is a long one, so that it fills a part.");
    if (ishow_utterance_next(u, 60, &samples, &n, NULL)) fail_msg("next");
    const double taken = ishow_now() - start;
    read_to_end(u, NULL);
    ishow_utterance_free(u);
    return 1000 * taken;
}

static int print_latency(char **argv) {
    speaker s;
    speaker_make(&s, NULL, NULL, atoi(argv[4]), 64);
    pid_t pid = worker_start(argv[2], "far", atoi(argv[4]));
    ishow_engine *g = gateway_make(argv[2]);
    shows(g, "\"name\":\"far\"", 1);
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
        cmocka_unit_test(the_least_loaded_worker_is_asked_and_full_ones_are_skipped),
        cmocka_unit_test(a_worker_that_leaves_finishes_what_it_speaks),
        cmocka_unit_test(missing_workers_and_deadlines_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
