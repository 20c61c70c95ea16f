/* The AOTInductor backend with stand-ins for torch and for the graphs (tests/c/fake), which this test compiles: the
 * calls of graphs, errors before such calls, and that nothing is left behind. Packages of the real compiler are run in
 * test_bridge_package.c. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/defaults.h"
#include "model/model.h"

#define DIM    6
#define MELS   4
#define WIDTH  5
#define BINS   9
#define FRAMES 12

static char root[] = "/tmp/ishow-aoti-XXXXXX";
static const char *const graphs[] = {"encode", "modulate", "step", "vocode", "durations"};

static void shell(const char *format, ...) {
    char command[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static double guidance_max; /* graphs of the package */

static void write_file(const char *name, const char *text) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_spec(const char *graph, int inputs, int width, const char *mode) {
    char name[64], text[64];
    snprintf(name, sizeof name, "package/%s/spec", graph);
    snprintf(text, sizeof text, "%s %d %d %s\n", graph, inputs, width, mode);
    write_file(name, text);
}

static void write_manifest(const char *torch, const char *flag, const char *layout) {
    char text[4096];
    snprintf(text, sizeof text,
             "{\"format\": 5, \"torch\": \"%s\", \"cpu_flags\": [%s], \"name\": \"tiny\", \"precision\": \"fp32\", "
             "\"content_hash\": \"ab\", \"sample_rate\": 24000,"
             " \"n_fft\": 16, \"hop\": 4, \"spectrum_fft\": 16, \"spectrum_hop\": 4, \"mel_mean\": 0.0, \"mel_std\": "
             "1.0, \"n_mels\": %d, \"dim\": %d, "
             "\"mod_width\": %d, \"text_layout\": \"%s\", "
             "\"predicts_durations\": true, \"uses_prompt\": true,"
             " \"max_frames\": 64, \"nfe\": 5, \"chunk_frames\": 32, \"guidance_max\": %g, \"min_frames\": 8, "
             "\"min_tokens\": 3, "
             "\"min_times\": 2, \"n_tokens\": 70, \"graphs\": {"
             "\"encode\": {\"library\": \"graph.so\", \"weights\": \"encode\"}, \"modulate\": {\"library\": "
             "\"graph.so\", \"weights\": \"modulate\"},"
             "\"step\": {\"library\": \"graph.so\", \"weights\": \"step\"}, \"vocode\": {\"library\": \"graph.so\", "
             "\"weights\": \"vocode\"},"
             "\"durations\": {\"library\": \"graph.so\", \"weights\": \"durations\"}}}",
             torch, flag, MELS, DIM, WIDTH, layout, guidance_max);
    write_file("package/manifest.json", text);
}

static void write_package(void) {
    write_spec("encode", 5, DIM, "ok");
    write_spec("modulate", guidance_max > 0 ? 2 : 1, WIDTH, "ok");
    write_spec("step", 5, DIM, "ok");
    write_spec("vocode", 1, BINS, "ok");
    write_spec("durations", 1, 0, "ok");
    write_manifest("9.9.0", "", "aligned");
}

static int make_package(void **state) {
    (void)state;
    if (!mkdtemp(root)) return -1;
    shell("mkdir -p %s/torch/lib %s/package", root, root);
    for (size_t i = 0; i < 5; i++) shell("mkdir %s/package/%s", root, graphs[i]);
    shell("cc -shared -fPIC -o %s/torch/lib/libtorch_cpu.so tests/c/fake/torch.c", root);
    shell("cc -shared -fPIC -o %s/package/graph.so tests/c/fake/graph.c", root);
    write_file("torch/version.py", "from typing import Optional\n__version__ = '9.9.0'\n");
    return 0;
}

static int remove_package(void **state) {
    (void)state;
    shell("rm -rf %s", root);
    return 0;
}

static ishow_status open_package(ishow_backend *out, ishow_error *error) {
    char package[128], torch[128];
    snprintf(package, sizeof package, "%s/package", root);
    snprintf(torch, sizeof torch, "%s/torch/lib", root);
    const ishow_aoti_options options = {.package_dir = package, .torch_lib_dir = torch, .threads = 3};
    return ishow_aoti_open(out, &options, error);
}

static ishow_backend opened(void) {
    ishow_backend backend;
    ishow_error error = {0};
    write_package();
    if (open_package(&backend, &error)) fail_msg("%s", error.message);
    return backend;
}

/* A counter of the stand-in for torch. */
static long ask_torch(const char *name) {
    char path[128];
    long (*function)(void);
    snprintf(path, sizeof path, "%s/torch/lib/libtorch_cpu.so", root);
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(library);
    void *symbol = dlsym(library, name);
    assert_non_null(symbol);
    memcpy(&function, &symbol, sizeof symbol);
    long value = function();
    dlclose(library);
    return value;
}

static void closed(ishow_backend *backend) {
    backend->close(backend->self);
    assert_int_equal(ask_torch("fake_live_tensors"), 0);
    assert_int_equal(ishow_live_handles(), 0);
}

static ishow_status encode(ishow_backend *backend, size_t n_tokens, size_t frames, int64_t last_index,
                           size_t ref_frames, float *h_cond, float *h_uncond, ishow_error *error) {
    static int64_t tokens[64], index[64];
    static float cond[64 * MELS], phase[64];
    for (size_t i = 0; i < 64; i++) {
        tokens[i] = (int64_t)i + 1;
        index[i] = (int64_t)(i % n_tokens);
        phase[i] = 0.25f;
        cond[i * MELS] = 100.0f;
    }
    index[frames - 1] = last_index;
    const ishow_encode_in in = {.tokens = tokens,
                                .n_tokens = n_tokens,
                                .cond = cond,
                                .ref_frames = ref_frames,
                                .index = index,
                                .phase = phase,
                                .frames = frames};
    return backend->encode(backend->self, &in, h_cond, h_uncond, error);
}

static void runs_every_graph(void **state) {
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float h[2 * FRAMES * DIM], x[FRAMES * MELS], real[FRAMES * BINS], imag[FRAMES * BINS], frames[4];
    assert_string_equal(backend.info.backend, "aotinductor");
    assert_int_equal(backend.info.mod_width, WIDTH);
    assert_int_equal(backend.info.max_rows, 1);
    assert_int_equal(backend.info.nfe, 5);
    assert_int_equal(backend.info.chunk_frames, 32);
    assert_int_equal(backend.info.text_layout, ISHOW_TEXT_ALIGNED);
    assert_int_equal(encode(&backend, 4, FRAMES, 3, 2, h, h + FRAMES * DIM, &error), ISHOW_OK);
    assert_float_equal(h[0], 1 + 0.25f + 100, 1e-6);
    assert_float_equal(h[3 * DIM + 1], 4 + 0.25f, 1e-6);
    assert_float_equal(h[FRAMES * DIM + 3 * DIM], -4.25f, 1e-6);
    for (size_t i = 0; i < FRAMES * MELS; i++) x[i] = (float)i;
    const float mod[WIDTH] = {0.5f};
    const ishow_step_row row = {
        .x = x, .h_cond = h, .h_uncond = h + FRAMES * DIM, .mod = mod, .dt = 0.1f, .cfg = 2, .frames = FRAMES};
    assert_int_equal(backend.step(backend.self, &row, 1, &error), ISHOW_OK);
    assert_float_equal(x[3 * MELS + 1], 13 + 0.1f * (4.75f + 2 * 8.5f), 1e-4);
    assert_int_equal(backend.vocode(backend.self, x, FRAMES, real, imag, &error), ISHOW_OK);
    assert_float_equal(real[2 * BINS], x[2 * MELS], 1e-6);
    assert_float_equal(imag[2 * BINS], x[2 * MELS] + 1, 1e-6);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){5, 6, 7, 8}, 4, frames, &error), ISHOW_OK);
    assert_float_equal(frames[3], 16, 0);
    assert_int_equal(ask_torch("fake_threads") & 0xFFFFFFFF, 3);
    closed(&backend);
}

static void joins_branches_that_are_not_adjacent(void **state) {
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float *cond = calloc(FRAMES * DIM, sizeof *cond), *uncond = calloc(FRAMES * DIM, sizeof *uncond),
          x[2][FRAMES * MELS] = {{0}};
    const float mod[WIDTH] = {0};
    for (size_t i = 0; i < FRAMES * DIM; i++) cond[i] = 3, uncond[i] = 1;
    const ishow_step_row rows[2] = {
        {.x = x[0], .h_cond = cond, .h_uncond = uncond, .mod = mod, .dt = 1, .cfg = 1, .frames = FRAMES},
        {.x = x[1], .h_cond = uncond, .h_uncond = cond, .mod = mod, .dt = 0.5f, .cfg = 1, .frames = 8}};
    assert_int_equal(backend.step(backend.self, rows, 2, &error), ISHOW_OK);
    assert_float_equal(x[0][FRAMES * MELS - 1], 5, 1e-6);
    assert_float_equal(x[1][8 * MELS - 1], -0.5f, 1e-6);
    assert_float_equal(x[1][8 * MELS], 0, 0); /* nothing behind its frames */
    free(cond);
    free(uncond);
    closed(&backend);
}

static void pads_lists_shorter_than_the_graphs_take(void **state) {
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float h[2 * FRAMES * DIM], mod[WIDTH + 1], frames[2] = {0, -1};
    mod[WIDTH] = 77;
    assert_int_equal(backend.modulate(backend.self, (float[]){0.5f}, NULL, 1, mod, &error), ISHOW_OK);
    assert_float_equal(mod[WIDTH - 1], 0.5f * WIDTH, 1e-6);
    assert_float_equal(mod[WIDTH], 77, 0);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){9}, 1, frames, &error), ISHOW_OK);
    assert_float_equal(frames[0], 18, 0);
    assert_float_equal(frames[1], -1, 0);
    assert_int_equal(encode(&backend, 1, FRAMES, 0, 0, h, h + FRAMES * DIM, &error), ISHOW_OK);
    assert_float_equal(h[DIM], 1.25f, 1e-6);
    closed(&backend);
}

/* More times than a graph takes in one call are split over several calls. */
static void long_lists_of_times_are_cut(void **state) {
    enum { TIMES = 2 * ISHOW_NFE_MAX };
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float t[TIMES], mod[TIMES * WIDTH + 1];
    mod[TIMES * WIDTH] = 77;
    for (int i = 0; i < TIMES; i++) t[i] = (float)i / TIMES;
    assert_int_equal(backend.modulate(backend.self, t, NULL, TIMES, mod, &error), ISHOW_OK);
    for (int i = 0; i < TIMES; i++) assert_float_equal(mod[i * WIDTH + WIDTH - 1], t[i] * WIDTH, 1e-6);
    assert_float_equal(mod[TIMES * WIDTH], 77, 0);
    closed(&backend);
}

/* A guidance-conditioned network gets a strength for each time, in every part of a long list and in one that is
 * padded. */
static void strengths_of_guidance_go_with_their_times(void **state) {
    enum { TIMES = 2 * ISHOW_NFE_MAX };
    (void)state;
    guidance_max = 4;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float t[TIMES] = {0}, guidance[TIMES], mod[TIMES * WIDTH];
    for (int i = 0; i < TIMES; i++) guidance[i] = (float)i;
    assert_float_equal(backend.info.guidance_max, 4, 0);
    for (size_t n = 1; n <= TIMES; n += TIMES - 1) {
        memset(mod, 0, sizeof mod);
        assert_int_equal(backend.modulate(backend.self, t, guidance, n, mod, &error), ISHOW_OK);
        for (size_t i = 0; i < n; i++) assert_float_equal(mod[i * WIDTH], guidance[i], 1e-6);
    }
    closed(&backend);
    guidance_max = 0;
    write_package();
}

static void a_row_without_guidance_follows_its_condition(void **state) {
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    float h[FRAMES * DIM], x[FRAMES * MELS] = {0}, mod[WIDTH] = {0.25f};
    for (int i = 0; i < FRAMES * DIM; i++) h[i] = 0.5f;
    const ishow_step_row row = {.x = x, .h_cond = h, .mod = mod, .dt = 0.5f, .frames = FRAMES};
    assert_int_equal(backend.step(backend.self, &row, 1, &error), ISHOW_OK);
    for (int i = 0; i < FRAMES * MELS; i++) assert_float_equal(x[i], 0.375f, 1e-6);
    closed(&backend);
}

static void refuses_shapes_the_graphs_would_not_check(void **state) {
    (void)state;
    ishow_backend backend = opened();
    ishow_error error = {0};
    static float h[2 * 128 * DIM], x[128 * MELS], mod[WIDTH];
    for (size_t frames = 0; frames < 128; frames += 7) {
        const ishow_step_row row = {.x = x, .h_cond = h, .h_uncond = h, .mod = mod, .frames = frames};
        const ishow_status wanted = frames >= 8 && frames <= 64 ? ISHOW_OK : ISHOW_EINVAL;
        assert_int_equal(backend.step(backend.self, &row, 1, &error), wanted);
        if (wanted) assert_non_null(strstr(error.message, "takes 8 to 64"));
    }
    assert_int_equal(encode(&backend, 4, FRAMES, 4, 0, h, h + FRAMES * DIM, &error), ISHOW_EINVAL);
    assert_int_equal(encode(&backend, 4, FRAMES, -1, 0, h, h + FRAMES * DIM, &error), ISHOW_EINVAL);
    assert_int_equal(encode(&backend, 4, FRAMES, 0, FRAMES + 1, h, h + FRAMES * DIM, &error), ISHOW_EINVAL);
    assert_int_equal(backend.modulate(backend.self, x, x, 0, mod, &error), ISHOW_EINVAL);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){1, -2, 3}, 3, h, &error), ISHOW_EINVAL);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){1, 70, 3}, 3, h, &error), ISHOW_EINVAL);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){1, 69, 3}, 3, h, &error), ISHOW_OK);
    assert_int_equal(backend.durations(backend.self, (int64_t[]){1}, 0, h, &error), ISHOW_EINVAL);
    closed(&backend);
}

static void reports_what_a_graph_says(void **state) {
    (void)state;
    float x[FRAMES * MELS] = {0}, h[2 * FRAMES * DIM] = {0}, mod[WIDTH] = {0};
    const ishow_step_row row = {.x = x, .h_cond = h, .h_uncond = h + FRAMES * DIM, .mod = mod, .frames = FRAMES};
    const struct {
        const char *mode, *says;
        ishow_status status;
    } cases[] = {
        {"fail", "a kernel gave up", ISHOW_EMODEL}, {"shape", "another shape", ISHOW_EMODEL}, {"nan", "", ISHOW_OK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ishow_backend backend;
        ishow_error error = {0};
        write_package();
        write_spec("step", 5, DIM, cases[i].mode);
        assert_int_equal(open_package(&backend, &error), ISHOW_OK);
        assert_int_equal(backend.step(backend.self, &row, 1, &error), cases[i].status);
        assert_non_null(strstr(error.message, cases[i].says));
        if (cases[i].status)
            assert_int_equal(error.status, cases[i].status);
        else
            assert_true(isnan(x[0])); /* passed on: the scheduler fails the row */
        closed(&backend);
    }
}

static void refused(ishow_status status, const char *says) {
    ishow_backend backend;
    ishow_error error = {0};
    assert_int_equal(open_package(&backend, &error), status);
    if (!strstr(error.message, says)) fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    assert_null(backend.close);
    assert_int_equal(ishow_live_handles(), 0);
}

static void refuses_packages_made_for_something_else(void **state) {
    (void)state;
    write_package();
    write_manifest("2.0.1", "", "aligned");
    refused(ISHOW_EFORMAT, "made with torch 2.0.1, but torch 9.9.0 is installed");
    write_manifest("9.9.0", "\"avx9000\"", "aligned");
    refused(ISHOW_EFORMAT, "another processor: this one has no avx9000");
    write_manifest("9.9.0", "", "circular");
    refused(ISHOW_EFORMAT, "text_layout");
    write_manifest("9.9.0", "", "padded"); /* a package whose encode has three inputs */
    refused(ISHOW_EFORMAT, "takes 5 inputs");
}

static void refuses_damaged_packages(void **state) {
    (void)state;
    write_package();
    write_file("package/manifest.json", "{\"format\": 5,");
    refused(ISHOW_EFORMAT, "manifest.json, line 1");
    write_file("package/manifest.json", "{\"format\": 2, \"cpu_flags\": []}");
    refused(ISHOW_EFORMAT, "another version of this program");
    write_file("package/manifest.json", "[]");
    refused(ISHOW_EFORMAT, "\"format\"");
    write_package();
    write_file("package/step/spec", "");
    refused(ISHOW_EMODEL, "step cannot be set up: the weights cannot be read");
    write_package();
    shell("mv %s/package/graph.so %s/package/hidden; echo noise > %s/package/graph.so", root, root, root);
    refused(ISHOW_EIO, "cannot be loaded");
    shell("mv %s/package/hidden %s/package/graph.so", root, root);
    shell("rm %s/package/manifest.json", root);
    refused(ISHOW_ENOTFOUND, "manifest.json");
    ishow_backend backend;
    ishow_error error = {0};
    const ishow_aoti_options nowhere = {.package_dir = "/nonexistent", .torch_lib_dir = "/nonexistent"};
    assert_int_equal(ishow_aoti_open(&backend, &nowhere, &error), ISHOW_ENOTFOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_every_graph),
        cmocka_unit_test(joins_branches_that_are_not_adjacent),
        cmocka_unit_test(pads_lists_shorter_than_the_graphs_take),
        cmocka_unit_test(long_lists_of_times_are_cut),
        cmocka_unit_test(strengths_of_guidance_go_with_their_times),
        cmocka_unit_test(a_row_without_guidance_follows_its_condition),
        cmocka_unit_test(refuses_shapes_the_graphs_would_not_check),
        cmocka_unit_test(reports_what_a_graph_says),
        cmocka_unit_test(refuses_packages_made_for_something_else),
        cmocka_unit_test(refuses_damaged_packages),
    };
    return cmocka_run_group_tests(tests, make_package, remove_package);
}
