/* From the Python backend to a compiled package: which backend is opened first, compilation in the background and the
 * swap after it, equal results of both backends, packages that do not fit, cancelling. Compiles one tiny model, which
 * takes about a minute. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "bridge_helpers.h"
#include "bridge/bridge.h"
#include "engine/engine.h"

#define COMPILE_SECONDS 600
#define TEXT            "The package and the model agree."

static char root[] = "/tmp/ishow-package-XXXXXX", model[128], cache[1024];
static ishow_bridge *bridge;

static int start(void **state) {
    (void)state;
    if (!mkdtemp(root) || tiny_models(root, "")) return -1;
    snprintf(model, sizeof model, "%s/tiny", root);
    if (!getcwd(cache, sizeof cache - 20) || system("rm -rf build/test-cache")) return -1;
    strcat(cache, "/build/test-cache"); /* where tests/tiny.py expects it */
    setenv("ISHOWTTS_CACHE_DIR", cache, 1);
    unsetenv("ISHOWTTS_COMPILE");
    return start_bridge(&bridge);
}

static int stop(void **state) {
    (void)state;
    return stop_bridge(bridge, root);
}

static ishow_engine *open_engine(int *pending, ishow_model_info *info) {
    ishow_text_frontend frontend;
    ishow_backend backend;
    ishow_error error = {0};
    ishow_engine *engine = NULL;
    const ishow_engine_options options = ishow_engine_options_default();
    if (ishow_bridge_open(bridge, model, "fp32", "package", 1, &backend, pending, &error) ||
        ishow_bridge_frontend(bridge, model, &frontend, &error) ||
        ishow_engine_create(&engine, &backend, &frontend, &options, &error))
        fail_msg("%s", error.message);
    ishow_engine_info(engine, info);
    add_voice(engine);
    return engine;
}

static double largest_difference(const spoken *a, const spoken *b) {
    double largest = 0;
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) largest = fmax(largest, fabs((double)a->samples[i] - (double)b->samples[i]));
    return largest;
}

static void compilation_can_be_stopped(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    spoken speech;
    int pending = 0;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    assert_string_equal(info.backend, "eager");
    assert_int_equal(pending, 1);
    assert_int_equal(ishow_bridge_compile_start(bridge, engine, model, "fp32", 1, &error), ISHOW_OK);
    assert_int_equal(ishow_bridge_compile_start(bridge, engine, model, "fp32", 1, &error), ISHOW_EBUSY);
    assert_int_equal(speak(engine, TEXT, 5, &speech, &error), ISHOW_OK); /* nothing waits for the compiler */
    free(speech.samples);
    assert_int_equal(ishow_bridge_compile_state(bridge, NULL, 0), 1);
    ishow_bridge_compile_stop(bridge);
    assert_int_equal(ishow_bridge_compile_state(bridge, NULL, 0), 0);
    ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
}

typedef struct starter {
    pthread_t thread;
    pthread_barrier_t *together;
    ishow_engine *engine;
    ishow_status status;
} starter;

static void *start_compiling(void *self) {
    starter *s = self;
    pthread_barrier_wait(s->together);
    s->status = ishow_bridge_compile_start(bridge, s->engine, "/nonexistent-model", "fp32", 1, NULL);
    return NULL;
}

static void only_one_of_several_compilations_runs(void **state) {
    enum { N = 4 };
    starter starters[N];
    pthread_barrier_t together;
    ishow_model_info info;
    int pending = 0, started = 0;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    pthread_barrier_init(&together, NULL, N);
    for (int i = 0; i < N; i++) {
        starters[i] = (starter){.together = &together, .engine = engine};
        assert_int_equal(pthread_create(&starters[i].thread, NULL, start_compiling, &starters[i]), 0);
    }
    for (int i = 0; i < N; i++) {
        pthread_join(starters[i].thread, NULL);
        if (starters[i].status != ISHOW_EBUSY) assert_int_equal(starters[i].status, ISHOW_OK);
        started += starters[i].status == ISHOW_OK;
    }
    pthread_barrier_destroy(&together);
    ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
    assert_int_equal(started, 1);
}

static void a_failed_compilation_says_why(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    char why[480] = "";
    int pending = 0;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    assert_int_equal(ishow_bridge_compile_start(bridge, engine, "/nonexistent-model", "fp32", 1, &error), ISHOW_OK);
    while (ishow_bridge_compile_state(bridge, NULL, 0) == 1) usleep(50000);
    assert_int_equal(ishow_bridge_compile_state(bridge, why, sizeof why), 3);
    assert_non_null(strstr(why, "nonexistent-model"));
    ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
}

static void the_package_takes_over_and_agrees(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    ishow_engine_stats stats;
    spoken eager, mixed = {0}, package;
    char why[480] = "";
    int pending = 0;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    assert_int_equal(speak(engine, TEXT, 5, &eager, &error), ISHOW_OK);
    assert_int_equal(ishow_bridge_compile_start(bridge, engine, model, "fp32", 1, &error), ISHOW_OK);
    const double limit = ishow_now() + COMPILE_SECONDS;
    while (ishow_bridge_compile_state(bridge, why, sizeof why) == 1 && ishow_now() < limit) {
        assert_int_equal(speak(engine, TEXT, 5, &mixed, &error), ISHOW_OK);
        free(mixed.samples);
        usleep(500000);
    }
    if (ishow_bridge_compile_state(bridge, why, sizeof why) != 2) fail_msg("%s", why);
    assert_int_equal(speak(engine, TEXT, 5, &package, &error), ISHOW_OK);
    ishow_engine_info(engine, &info);
    ishow_engine_stats_get(engine, &stats);
    assert_string_equal(info.backend, "aotinductor");
    assert_int_equal(stats.swaps, 1);
    print_message("largest difference between eager and package: %.2e\n", largest_difference(&eager, &package));
    assert_true(largest_difference(&eager, &package) <= 1e-4);
    free(eager.samples);
    free(package.samples);
    ishow_bridge_compile_stop(bridge);
    ishow_engine_free(engine);
}

static void the_package_is_opened_at_the_next_start(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    spoken speech;
    int pending = 1;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    assert_string_equal(info.backend, "aotinductor");
    assert_int_equal(pending, 0);
    /* The shortest texts use the smallest shapes of the package. */
    const char *const texts[] = {"A.", "No.", TEXT};
    for (size_t i = 0; i < 3; i++) {
        if (speak(engine, texts[i], i, &speech, &error)) fail_msg("%s: %s", texts[i], error.message);
        free(speech.samples);
    }
    ishow_request request = ishow_request_default();
    ishow_utterance *utterance = NULL;
    const float *samples = NULL;
    size_t n = 1;
    request.text = TEXT;
    request.nfe = 1;
    assert_int_equal(ishow_engine_submit(engine, &request, NULL, NULL, &utterance, &error), ISHOW_OK);
    while (n) assert_int_equal(ishow_utterance_next(utterance, 60, &samples, &n, &error), ISHOW_OK);
    ishow_utterance_free(utterance);
    ishow_engine_free(engine);
}

static void packages_in_use_do_not_leak(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    long before = 0;
    int pending = 1;
    (void)state;
    ishow_engine *engine = open_engine(&pending, &info);
    for (int i = 0; i < 200; i++) {
        spoken speech;
        if (i == 40) before = resident_kib();
        assert_int_equal(speak(engine, i % 3 ? "Short one." : TEXT, (uint64_t)i, &speech, &error), ISHOW_OK);
        free(speech.samples);
    }
    const long grown = resident_kib() - before;
    print_message("RSS grew by %ld KiB over 160 utterances\n", grown);
    assert_true(grown < 4096);
    ishow_engine_free(engine);
}

/* Runs the shell command `command` on "$f", the manifest of the package. */
static void with_manifest(const char *command) {
    char line[2048];
    snprintf(line, sizeof line, "f=$(find '%s' -name manifest.json) && test -f \"$f\" && %s", cache, command);
    assert_int_equal(system(line), 0);
}

static void a_package_that_does_not_fit_is_left_alone(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    spoken speech;
    int pending = 0;
    (void)state;
    with_manifest("sed -i.kept 's/\"torch\": \"[^\"]*\"/\"torch\": \"1.0.0\"/' \"$f\"");
    ishow_engine *engine = open_engine(&pending, &info);
    assert_string_equal(info.backend, "eager");
    assert_int_equal(pending, 1);
    assert_int_equal(speak(engine, TEXT, 5, &speech, &error), ISHOW_OK);
    free(speech.samples);
    ishow_engine_free(engine);
    with_manifest("mv \"$f.kept\" \"$f\"");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compilation_can_be_stopped),
        cmocka_unit_test(only_one_of_several_compilations_runs),
        cmocka_unit_test(a_failed_compilation_says_why),
        cmocka_unit_test(the_package_takes_over_and_agrees),
        cmocka_unit_test(the_package_is_opened_at_the_next_start),
        cmocka_unit_test(packages_in_use_do_not_leak),
        cmocka_unit_test(a_package_that_does_not_fit_is_left_alone),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
