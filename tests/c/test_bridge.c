/* The embedded interpreter: its start, the functions of Python that C calls, speech with the Python backend through the
 * whole engine, and errors that Python raises. tests/tiny.py writes a tiny random model, whose speech is noise. */
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

#define UTTERANCES 200
#define WARM_UP    40

static char root[] = "/tmp/ishow-bridge-XXXXXX";
static ishow_bridge *bridge;

static int start(void **state) {
    (void)state;
    return !mkdtemp(root) || tiny_models(root, "nan corrupt shape") || start_bridge(&bridge);
}

static int stop(void **state) {
    (void)state;
    return stop_bridge(bridge, root);
}

/* Starts that must fail come first: after each of them another can succeed in the same process. */
static void wrong_programs_are_refused(void **state) {
    char folder[] = "/tmp/ishow-python-XXXXXX", program[128], command[512];
    ishow_bridge *none = NULL;
    ishow_error error = {0};
    (void)state;
    assert_int_equal(ishow_bridge_start(&none, "/nonexistent/bin/python", &error), ISHOW_ENOTFOUND);
    assert_non_null(strstr(error.message, "/nonexistent/bin/python"));
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command, "mkdir %s/bin && cp /bin/true %s/bin/python", folder, folder);
    assert_int_equal(system(command), 0);
    snprintf(program, sizeof program, "%s/bin/python", folder);
    assert_int_equal(ishow_bridge_start(&none, program, &error), ISHOW_EPYTHON);
    assert_non_null(strstr(error.message, folder));
    setenv("ISHOWTTS_PATH", "/nonexistent", 1);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    assert_null(none);
    assert_int_equal(ishow_live_handles(), 0);
}

static void a_second_interpreter_is_refused(void **state) {
    ishow_bridge *second = NULL;
    ishow_error error = {0};
    (void)state;
    assert_int_equal(ishow_bridge_start(&second, NULL, &error), ISHOW_ESTATE);
    assert_null(second);
}

static void configuration_is_checked(void **state) {
    ishow_error error = {0};
    char *json = NULL;
    (void)state;
    assert_int_equal(ishow_bridge_config(bridge, NULL, NULL, 0, &json, &error), ISHOW_OK);
    assert_non_null(strstr(json, "27121"));
    free(json);
    const char *const port[] = {"server.port=27122"};
    assert_int_equal(ishow_bridge_config(bridge, NULL, port, 1, &json, &error), ISHOW_OK);
    assert_non_null(strstr(json, "27122"));
    free(json);
    const char *const wrong[] = {"server.port=99999999"};
    assert_int_equal(ishow_bridge_config(bridge, NULL, wrong, 1, &json, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "port"));
    assert_null(json);
    assert_int_equal(ishow_bridge_config(bridge, "/nonexistent.toml", NULL, 0, &json, &error), ISHOW_ENOTFOUND);
    assert_non_null(strstr(error.message, "/nonexistent.toml"));
}

static void text_becomes_tokens(void **state) {
    ishow_text_frontend frontend;
    ishow_tokens tokens, joined;
    ishow_reading reading;
    ishow_error error = {0};
    char model[128];
    (void)state;
    snprintf(model, sizeof model, "%s/tiny", root);
    assert_int_equal(ishow_bridge_frontend(bridge, model, &frontend, &error), ISHOW_OK);
    assert_int_equal(frontend.normalize(frontend.self, "I have 2 cats.", "en", 0, &reading, &error), ISHOW_OK);
    assert_int_equal(reading.n_places, 4);
    assert_int_equal(reading.places[2].begin, 7); /* "2", read as "two" */
    assert_int_equal(reading.places[2].end, 8);
    const char *text = reading.text;
    assert_int_equal(frontend.tokenize(frontend.self, NULL, text, NULL, NULL, &tokens, &error), ISHOW_OK);
    assert_true(tokens.n > 8);
    assert_int_equal(tokens.n_ref, 0);
    assert_int_equal(frontend.tokenize(frontend.self, "A reference.", text, "en", NULL, &joined, &error), ISHOW_OK);
    assert_true(joined.n_ref == 1 && joined.n == tokens.n); /* its one token names nobody, as that of no voice */
    assert_null(tokens.lengths);
    free(tokens.ids);
    free(tokens.words);
    assert_int_equal(frontend.tokenize(frontend.self, "A reference.", "sooo", "en", NULL, &tokens, &error), ISHOW_OK);
    assert_non_null(tokens.lengths);
    int longest = 0;
    for (size_t i = 0; i < tokens.n - tokens.n_ref; i++)
        if (tokens.lengths[i] > longest) longest = tokens.lengths[i];
    assert_int_equal(longest, 200); /* the vowel of "so" */
    free(tokens.ids);
    free(tokens.words);
    free(tokens.lengths);
    free(joined.ids);
    free(joined.words);
    free(reading.text);
    free(reading.places);
    assert_int_equal(frontend.normalize(frontend.self, "\xF0\x9F\x98\x80 \xE2\x80\xA6", NULL, 0, &reading, &error),
                     ISHOW_EINVAL);
    assert_string_equal(error.field, "text");
    assert_null(reading.text);
    frontend.close(frontend.self);
}

static ishow_status load(const char *name, ishow_backend *backend, ishow_error *error) {
    char model[128];
    snprintf(model, sizeof model, "%s/%s", root, name);
    int pending;
    return ishow_bridge_open(bridge, model, "fp32", "eager", 1, backend, &pending, error);
}

static ishow_engine *engine_of(const char *name) {
    ishow_text_frontend frontend;
    ishow_backend backend;
    ishow_error error = {0};
    ishow_engine *engine = NULL;
    char model[128];
    snprintf(model, sizeof model, "%s/%s", root, name);
    const ishow_engine_options options = ishow_engine_options_default();
    if (load(name, &backend, &error) || ishow_bridge_frontend(bridge, model, &frontend, &error) ||
        ishow_engine_create(&engine, &backend, &frontend, &options, &error))
        fail_msg("%s", error.message);
    add_voice(engine);
    return engine;
}

static void a_model_from_a_path_speaks(void **state) {
    ishow_error error = {0};
    ishow_model_info info;
    spoken first, again, other;
    (void)state;
    ishow_engine *engine = engine_of("tiny");
    ishow_engine_info(engine, &info);
    assert_string_equal(info.name, "tiny");
    assert_string_equal(info.backend, "eager");
    assert_int_equal(speak(engine, "Hello there, how are you?", 3, &first, &error), ISHOW_OK);
    assert_int_equal(speak(engine, "Hello there, how are you?", 3, &again, &error), ISHOW_OK);
    assert_int_equal(speak(engine, "Hello there, how are you?", 4, &other, &error), ISHOW_OK);
    assert_true(first.n > 24000 / 4);
    assert_true(first.rms > 1e-3);
    assert_int_equal(first.n, again.n);
    assert_memory_equal(first.samples, again.samples, first.n * sizeof(float));
    assert_memory_not_equal(first.samples, other.samples, 1000 * sizeof(float));
    free(first.samples);
    free(again.samples);
    free(other.samples);
    ishow_engine_free(engine);
}

static void checkpoints_that_cannot_be_used_are_named(void **state) {
    ishow_backend backend;
    ishow_error error = {0};
    (void)state;
    assert_int_equal(load("nowhere", &backend, &error), ISHOW_ENOTFOUND);
    assert_non_null(strstr(error.message, "nowhere"));
    assert_int_equal(load("corrupt", &backend, &error), ISHOW_EFORMAT);
    assert_non_null(strstr(error.message, "dit.safetensors"));
    assert_int_equal(load("shape", &backend, &error), ISHOW_EFORMAT);
    assert_null(backend.close);
}

static void an_exception_becomes_a_sentence(void **state) {
    ishow_error error = {0};
    spoken speech;
    (void)state;
    ishow_engine *engine = engine_of("tiny");
    assert_int_equal(speak(engine, "Fine.", 1, &speech, &error), ISHOW_OK);
    free(speech.samples);
    ishow_engine_free(engine);
    ishow_backend backend;
    assert_int_equal(load("tiny", &backend, &error), ISHOW_OK);
    /* A token outside of the model's vocabulary, given to the backend directly: torch raises IndexError. */
    static float cond[8 * 100], phase[8], h[2][8 * 64];
    const int64_t tokens[2] = {1, 100000}, index[8] = {0, 0, 0, 0, 1, 1, 1, 1};
    const ishow_encode_in in = {
        .tokens = tokens, .n_tokens = 2, .cond = cond, .ref_frames = 0, .index = index, .phase = phase, .frames = 8};
    assert_int_equal(backend.encode(backend.self, &in, h[0], h[1], &error), ISHOW_EPYTHON);
    assert_non_null(strstr(error.message, "IndexError"));
    assert_null(strchr(error.message, '\n'));
    const ishow_encode_in good = {.tokens = (int64_t[]){1, 2},
                                  .n_tokens = 2,
                                  .cond = cond,
                                  .ref_frames = 0,
                                  .index = index,
                                  .phase = phase,
                                  .frames = 8};
    assert_int_equal(backend.encode(backend.self, &good, h[0], h[1], &error), ISHOW_OK);
    backend.close(backend.self);
}

static void nan_from_a_model_fails_the_utterance(void **state) {
    ishow_error error = {0};
    spoken speech;
    (void)state;
    ishow_engine *engine = engine_of("nan");
    assert_int_equal(speak(engine, "Not a number.", 1, &speech, &error), ISHOW_EMODEL);
    assert_int_equal(speak(engine, "Again.", 1, &speech, &error), ISHOW_EMODEL); /* the engine continues to work */
    ishow_engine_free(engine);
}

static void *speak_some(void *engine) {
    ishow_error error = {0};
    for (int i = 0; i < 3; i++) {
        spoken speech;
        if (speak(engine, "One of several speakers.", 11, &speech, &error)) return "failed";
        const int silent = speech.rms < 1e-3;
        free(speech.samples);
        if (silent) return "silent";
    }
    return NULL;
}

static void threads_share_the_interpreter(void **state) {
    pthread_t threads[4];
    (void)state;
    ishow_engine *engine = engine_of("tiny");
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, speak_some, engine), 0);
    for (size_t i = 0; i < 4; i++) {
        void *fault = NULL;
        pthread_join(threads[i], &fault);
        if (fault) fail_msg("a speaker %s", (char *)fault);
    }
    ishow_engine_free(engine);
}

static void two_hundred_utterances_leave_nothing_behind(void **state) {
    ishow_error error = {0};
    const long handles = ishow_live_handles();
    long before = 0;
    (void)state;
    ishow_engine *engine = engine_of("tiny");
    for (int i = 0; i < UTTERANCES; i++) {
        spoken speech;
        if (i == WARM_UP) before = resident_kib();
        assert_int_equal(speak(engine, i % 3 ? "Short one." : "A sentence that is somewhat longer than the short one.",
                               (uint64_t)i, &speech, &error),
                         ISHOW_OK);
        free(speech.samples);
    }
    const long grown = resident_kib() - before;
    print_message("RSS grew by %ld KiB over %d utterances\n", grown, UTTERANCES - WARM_UP);
    assert_true(grown < 4096);
    ishow_engine_free(engine);
    assert_int_equal(ishow_live_handles(), handles);
}

int main(void) {
    const struct CMUnitTest before[] = {cmocka_unit_test(wrong_programs_are_refused)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_interpreter_is_refused),
        cmocka_unit_test(configuration_is_checked),
        cmocka_unit_test(text_becomes_tokens),
        cmocka_unit_test(a_model_from_a_path_speaks),
        cmocka_unit_test(checkpoints_that_cannot_be_used_are_named),
        cmocka_unit_test(an_exception_becomes_a_sentence),
        cmocka_unit_test(nan_from_a_model_fails_the_utterance),
        cmocka_unit_test(threads_share_the_interpreter),
        cmocka_unit_test(two_hundred_utterances_leave_nothing_behind),
    };
    int failed = cmocka_run_group_tests(before, NULL, NULL);
    return failed + cmocka_run_group_tests(tests, start, stop);
}
