/* Steps as launches of graphs, with a stand-in for NVIDIA's driver (tests/c/fake/cuda.c) and a toy network as the
 * graph. Where CUDA's headers are installed, the stand-in's functions are compared with those of cuda.h. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "flow/flow.h"
#include "model/cuda.h"

#if __has_include(<cuda.h>)
#include <cuda.h>
#define NAME(x)   #x
#define SYMBOL(x) NAME(x)
#define IS(function, ...) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(function), CUresult(__VA_ARGS__)), #function)
IS(cuInit, unsigned);
IS(cuDeviceGetCount, int *);
IS(cuDeviceGet, CUdevice *, int);
IS(cuDeviceGetName, char *, int, CUdevice);
IS(cuDevicePrimaryCtxRetain, CUcontext *, CUdevice);
IS(cuDevicePrimaryCtxRelease, CUdevice);
IS(cuCtxSetCurrent, CUcontext);
IS(cuStreamCreate, CUstream *, unsigned);
IS(cuStreamDestroy, CUstream);
IS(cuStreamSynchronize, CUstream);
IS(cuMemHostAlloc, void **, size_t, unsigned);
IS(cuMemFreeHost, void *);
IS(cuMemcpyHtoDAsync, CUdeviceptr, const void *, size_t, CUstream);
IS(cuMemcpyDtoHAsync, void *, CUdeviceptr, size_t, CUstream);
IS(cuMemcpyDtoDAsync, CUdeviceptr, CUdeviceptr, size_t, CUstream);
IS(cuMemsetD32Async, CUdeviceptr, unsigned, size_t, CUstream);
IS(cuGraphInstantiateWithFlags, CUgraphExec *, CUgraph, unsigned long long);
IS(cuGraphExecDestroy, CUgraphExec);
IS(cuGraphLaunch, CUgraphExec, CUstream);
IS(cuGetErrorString, CUresult, const char **);
_Static_assert(sizeof(CUdeviceptr) == sizeof(uint64_t) && sizeof(CUdevice) == sizeof(int) &&
                   sizeof(CUresult) == sizeof(int),
               "sizes");
_Static_assert(CU_STREAM_NON_BLOCKING == 1 && CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH == 1 &&
                   CUDA_ERROR_OUT_OF_MEMORY == 2,
               "values");
#endif

enum { MELS = 3, DIM = 2, WIDTH = 4, MAX_FRAMES = 3000, ROWS_MAX = 20 };

/* The toy network: its buffers, and the sizes of the last captured graph. */
static float inputs[ISHOW_CUDA_FRAMES * MELS + ISHOW_CUDA_ROWS * (WIDTH + 3)], h_buffer[2 * ISHOW_CUDA_FRAMES * DIM];

typedef struct shape {
    void (*run)(void *self); /* a graph of the stand-in begins with these members */
    void *self;
    size_t rows, frames;
    int guided;
} shape;

static shape shapes[200]; /* of graphs, in order of capture */
static size_t n_shapes;
static int owners, refuse_rows; /* refuse_rows: graphs with so many rows or more fail */

/* The velocity of a frame depends on the frame, its neighbours within the row's frames, h, and the modulation. */
static float velocity(const float *x, const float *h, const float *mod, size_t f, size_t m, size_t frames) {
    const float before = f ? x[(f - 1) * MELS + m] : 0, after = f + 1 < frames ? x[(f + 1) * MELS + m] : 0;
    return sinf(x[f * MELS + m] + mod[m % WIDTH]) + h[f * DIM + m % DIM] + 0.1f * (before + after);
}

static void one_row(float *x, const float *hc, const float *hu, const float *mod, float dt, float cfg, size_t frames) {
    float *v = calloc(frames * MELS, sizeof *v);
    assert_non_null(v);
    for (size_t f = 0; f < frames; f++)
        for (size_t m = 0; m < MELS; m++) {
            const float vc = velocity(x, hc, mod, f, m, frames);
            v[f * MELS + m] = hu ? vc + (vc - velocity(x, hu, mod, f, m, frames)) * cfg : vc;
        }
    for (size_t i = 0; i < frames * MELS; i++) x[i] += dt * v[i];
    free(v);
}

static void run_graph(void *self) {
    const shape *running = self;
    const size_t R = running->rows, T = running->frames, used = R * (T * MELS + WIDTH + 3);
    const float *mod = inputs + R * T * MELS, *dt = mod + R * WIDTH, *cfg = dt + R, *own = cfg + R;
    for (size_t i = 0; i < used; i++)
        assert_true(isfinite(inputs[i])); /* also where no row has frames, since a mask does not stop NaN */
    for (size_t i = 0; i < (running->guided ? 2u : 1u) * R * T * DIM; i++) assert_true(isfinite(h_buffer[i]));
    for (size_t r = 0; r < R; r++) {
        const size_t frames = (size_t)own[r];
        assert_true(frames >= 1 && frames <= T);
        one_row(inputs + r * T * MELS, h_buffer + r * T * DIM, running->guided ? h_buffer + (R + r) * T * DIM : NULL,
                mod + r * WIDTH, dt[r], cfg[r], frames);
    }
}

static ishow_status capture(void *self, size_t rows, size_t frames, int guided, ishow_cuda_graph *out,
                            ishow_error *error) {
    assert_ptr_equal(self, &owners);
    assert_true(rows * frames <= ISHOW_CUDA_FRAMES);
    if (refuse_rows && rows >= (size_t)refuse_rows) {
        error->status = ISHOW_ENOMEM;
        strcpy(error->message, "no room");
        return ISHOW_ENOMEM;
    }
    assert_true(n_shapes < sizeof shapes / sizeof *shapes);
    shape *made = &shapes[n_shapes++];
    *made = (shape){run_graph, made, rows, frames, guided};
    owners++;
    *out = (ishow_cuda_graph){.graph = made, .owner = malloc(1)};
    return ISHOW_OK;
}

static void drop(void *self, void *owner) {
    assert_ptr_equal(self, &owners);
    owners--;
    free(owner);
}

static ishow_cuda_driver driver;
static ishow_cuda_steps *steps;

static int *counter(const char *name) {
    int *found = dlsym(driver.library, name);
    assert_non_null(found);
    return found;
}

static int open_driver(void **state) {
    static char path[] = "/tmp/ishow-cuda-XXXXXX";
    char command[256];
    (void)state;
    int file = mkstemp(path);
    if (file < 0) return -1;
    close(file);
    snprintf(command, sizeof command, "${CC:-cc} -shared -fPIC -o %s tests/c/fake/cuda.c", path);
    if (system(command) != 0 || setenv("ISHOWTTS_CUDA_DRIVER", path, 1)) return -1;
    ishow_error error = {0};
    ishow_status status = ishow_cuda_driver_open(&driver, &error);
    if (status) fprintf(stderr, "%s\n", error.message);
    unlink(path);
    return status ? -1 : 0;
}

static int close_driver(void **state) {
    (void)state;
    ishow_cuda_driver_close(&driver);
    return unsetenv("ISHOWTTS_CUDA_DRIVER");
}

static int open_steps(void **state) {
    (void)state;
    const ishow_cuda_options options = {.n_mels = MELS,
                                        .dim = DIM,
                                        .mod_width = WIDTH,
                                        .max_frames = MAX_FRAMES,
                                        .inputs = (uint64_t)(uintptr_t)inputs,
                                        .h = (uint64_t)(uintptr_t)h_buffer,
                                        .capture = capture,
                                        .drop = drop,
                                        .self = &owners};
    n_shapes = 0;
    owners = refuse_rows = 0;
    *counter("fake_launches") = *counter("fake_out_of_memory") = 0;
    memset(inputs, 0xFF, sizeof inputs);
    memset(h_buffer, 0xFF, sizeof h_buffer);
    return ishow_cuda_open(&steps, &driver, &options, NULL);
}

static int close_steps(void **state) {
    (void)state;
    ishow_cuda_close(steps);
    assert_int_equal(owners, 0);
    assert_int_equal(*counter("fake_live"), 1); /* the context is the driver's primary one */
    assert_int_equal(ishow_live_handles(), 0);
    return 0;
}

/* A row and its buffers: h on the "device" is a copy of the h that C has. */
typedef struct toy {
    float *x, *expected, *h, *device, mod[WIDTH];
    ishow_step_row row;
} toy;

static void toy_make(toy *t, size_t seed, size_t frames, int guided) {
    float *device = malloc(2 * frames * DIM * sizeof *device);
    *t = (toy){.x = malloc(frames * MELS * sizeof(float)),
               .expected = malloc(frames * MELS * sizeof(float)),
               .h = malloc(2 * frames * DIM * sizeof(float)),
               .device = device};
    ishow_noise_fill(seed, t->x, frames * MELS);
    memcpy(t->expected, t->x, frames * MELS * sizeof(float));
    ishow_noise_fill(seed + 100, device, 2 * frames * DIM);
    ishow_noise_fill(seed + 200, t->mod, WIDTH);
    for (size_t i = 0; i < 2 * frames * DIM; i++) t->h[i] = NAN; /* must never be read */
    t->row = (ishow_step_row){.x = t->x,
                              .h_cond = t->h,
                              .h_uncond = guided ? t->h + frames * DIM : NULL,
                              .mod = t->mod,
                              .dt = 0.25f,
                              .cfg = guided ? 2 : 0,
                              .frames = frames};
    owners++;
    assert_int_equal(
        ishow_cuda_keep(steps, t->h, t->h + frames * DIM, frames, (uint64_t)(uintptr_t)device, malloc(1), NULL),
        ISHOW_OK);
}

static void toy_free(toy *t) {
    ishow_cuda_forget(steps, t->h);
    free(t->device);
    free(t->h);
    free(t->expected);
    free(t->x);
}

/* The result of the row alone. */
static void toy_expect(toy *t) {
    const float *hu = t->row.h_uncond ? t->device + t->row.frames * DIM : NULL;
    one_row(t->expected, t->device, hu, t->mod, t->row.dt, t->row.cfg, t->row.frames);
    for (size_t i = 0; i < t->row.frames * MELS; i++) assert_true(t->x[i] == t->expected[i]);
}

static void step_all(toy *toys, size_t n) {
    ishow_step_row rows[ROWS_MAX] = {0};
    ishow_error error = {0};
    for (size_t i = 0; i < n; i++) rows[i] = toys[i].row;
    assert_int_equal(ishow_cuda_step(steps, rows, n, &error), ISHOW_OK);
    for (size_t i = 0; i < n; i++) toy_expect(&toys[i]);
}

static void every_row_is_as_if_alone(void **state) {
    (void)state;
    const size_t lengths[] = {100, 3, 130, 128, 97, 60, 1100, 2999, 2000, 100, 101, 102, 103, 104, 105, 106};
    enum { N = sizeof lengths / sizeof *lengths };
    toy toys[N];
    for (size_t i = 0; i < N; i++) toy_make(&toys[i], i, lengths[i], i % 3 != 2);
    for (size_t n = 1; n <= N; n++) step_all(toys, n);
    for (size_t i = 0; i < N; i++) toy_free(&toys[i]);
}

static void like_rows_share_a_launch(void **state) {
    (void)state;
    toy toys[6];
    for (size_t i = 0; i < 5; i++) toy_make(&toys[i], i, 70 + 10 * i, 1);
    int *launches = counter("fake_launches");
    step_all(toys, 5);
    assert_int_equal(*launches, 1);
    assert_int_equal(n_shapes, 1);
    assert_int_equal(shapes[0].rows, 8);
    assert_int_equal(shapes[0].frames, 128);
    step_all(toys, 5); /* the same graph again */
    assert_int_equal(n_shapes, 1);
    assert_int_equal(*launches, 2);
    toy_make(&toys[5], 5, 1500, 1); /* a long row does not make the others larger by padding */
    step_all(toys, 6);
    assert_int_equal(*launches, 4);
    assert_int_equal(shapes[1].rows, 1);
    assert_int_equal(shapes[1].frames, 1536);
    toys[5].row.h_uncond = NULL;
    toys[5].row.cfg = 0;
    step_all(toys + 5, 1);
    assert_int_equal(shapes[2].guided, 0);
    for (size_t i = 0; i < 6; i++) toy_free(&toys[i]);
}

static void the_buffers_bound_a_launch(void **state) {
    (void)state;
    toy toys[6];
    for (size_t i = 0; i < 6; i++) toy_make(&toys[i], i, 2000, 1);
    step_all(toys, 6); /* four rows of 2,048 frames, then two */
    assert_int_equal(*counter("fake_launches"), 2);
    assert_int_equal(shapes[0].rows, 4);
    assert_int_equal(shapes[1].rows, 2);
    for (size_t i = 0; i < 6; i++) toy_free(&toys[i]);
}

static void memory_that_does_not_do_halves_the_rows(void **state) {
    (void)state;
    toy toys[8];
    for (size_t i = 0; i < 8; i++) toy_make(&toys[i], i, 50, 1);
    refuse_rows = 4;
    step_all(toys, 8);
    assert_int_equal(*counter("fake_launches"), 4);
    assert_int_equal(n_shapes, 1);
    assert_int_equal(shapes[0].rows, 2);
    refuse_rows = 0;
    step_all(toys, 8); /* it stays so */
    assert_int_equal(n_shapes, 1);
    refuse_rows = 1;
    toys[0].row.h_uncond =
        NULL; /* another graph, of which not even one row fits: the others are dropped for it without success */
    toys[0].row.cfg = 0;
    ishow_error error = {0};
    assert_int_equal(ishow_cuda_step(steps, &toys[0].row, 1, &error), ISHOW_ENOMEM);
    assert_string_equal(error.message, "no room");
    assert_int_equal(owners, 8);
    refuse_rows = 0;
    step_all(toys + 1, 1);
    *counter("fake_out_of_memory") = 1; /* the driver fails once: dropping graphs helps */
    step_all(toys, 1);
    assert_int_equal(owners, 8 + 1);
    for (size_t i = 0; i < 8; i++) toy_free(&toys[i]);
}

static void graphs_in_disuse_go(void **state) {
    (void)state;
    enum { LENGTHS = ISHOW_CUDA_GRAPHS / 4 };
    toy first, other, same[8];
    toy_make(&first, 1, 10, 1);
    step_all(&first, 1);
    for (size_t i = 1; i <= LENGTHS; i++) /* four sizes of each length; the first is reused all the time */
        for (size_t rows = 1; rows <= 8; rows *= 2) {
            for (size_t r = 0; r < rows; r++) toy_make(&same[r], r, i < LENGTHS ? 64 * i + 1 : 64 * i - 1, i < LENGTHS);
            step_all(same, rows);
            for (size_t r = 0; r < rows; r++) toy_free(&same[r]);
            step_all(&first, 1);
        }
    assert_true(n_shapes > ISHOW_CUDA_GRAPHS);
    toy_make(&other, 1, 65, 1); /* this one was dropped first */
    const size_t before = n_shapes;
    step_all(&other, 1);
    assert_int_equal(n_shapes, before + 1);
    assert_true(owners <= ISHOW_CUDA_GRAPHS + 2 + 8); /* and rows that end later */
    toy_free(&other);
    toy_free(&first);
}

static void a_part_of_h_is_found(void **state) {
    (void)state;
    toy t;
    toy_make(&t, 1, 100, 1);
    ishow_step_row part = t.row;
    part.h_cond = t.row.h_uncond + 30 * DIM; /* as in the branch without the prompt */
    part.h_uncond = NULL;
    part.x = t.x + 30 * MELS;
    part.frames = 70;
    part.cfg = 0;
    assert_int_equal(ishow_cuda_step(steps, &part, 1, NULL), ISHOW_OK);
    one_row(t.expected + 30 * MELS, t.device + 130 * DIM, NULL, t.mod, part.dt, 0, 70);
    assert_memory_equal(t.x, t.expected, 100 * MELS * sizeof *t.x);
    part.x = t.x;
    part.frames = 71; /* behind the end of h */
    ishow_error error = {0};
    assert_int_equal(ishow_cuda_step(steps, &part, 1, &error), ISHOW_EINTERNAL);
    assert_non_null(strstr(error.message, "was not encoded"));
    toy_free(&t);
}

static void rows_of_a_length_that_no_graph_has_are_refused(void **state) {
    (void)state;
    const size_t wrong[] = {0, MAX_FRAMES + 1, 2 * MAX_FRAMES};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        toy good, bad;
        ishow_error error = {0};
        toy_make(&good, 1, 20, 1);
        toy_make(&bad, 2, wrong[i] ? wrong[i] : 1, 1);
        bad.row.frames = wrong[i];
        const ishow_step_row rows[] = {good.row, bad.row};
        assert_int_equal(ishow_cuda_step(steps, rows, 2, &error), ISHOW_EINVAL);
        assert_non_null(strstr(error.message, "frames"));
        assert_int_equal(*counter("fake_launches"), 0);
        assert_memory_equal(good.x, good.expected, 20 * MELS * sizeof *good.x);
        toy_free(&bad);
        toy_free(&good);
    }
}

static void forgotten_rows_are_unknown_and_addresses_used_again(void **state) {
    (void)state;
    toy t;
    toy_make(&t, 1, 20, 1);
    ishow_cuda_forget(steps, t.h);
    assert_int_equal(ishow_cuda_step(steps, &t.row, 1, NULL), ISHOW_EINTERNAL);
    assert_int_equal(owners, 2); /* the graph, and what is freed later */
    float *fresh = malloc(2 * 20 * DIM * sizeof *fresh);
    ishow_noise_fill(77, fresh, 2 * 20 * DIM);
    owners++;
    assert_int_equal(ishow_cuda_keep(steps, t.h, t.h + 20 * DIM, 20, (uint64_t)(uintptr_t)fresh, malloc(1), NULL),
                     ISHOW_OK);
    assert_int_equal(owners, 2);
    free(t.device);
    t.device = fresh;
    step_all(&t, 1);
    owners++; /* a shorter row whose address is inside of the freed memory */
    assert_int_equal(ishow_cuda_keep(steps, t.h + DIM, t.h + 11 * DIM, 10, (uint64_t)(uintptr_t)fresh, malloc(1), NULL),
                     ISHOW_OK);
    assert_int_equal(owners, 2);
    assert_int_equal(ishow_cuda_step(steps, &t.row, 1, NULL), ISHOW_EINTERNAL);
    ishow_cuda_forget(steps, t.h + DIM);
    toy_free(&t);
}

static void names_are_those_of_the_headers(void **state) {
    (void)state;
#ifdef SYMBOL
    const char *const names[] = {SYMBOL(cuDevicePrimaryCtxRelease),
                                 SYMBOL(cuStreamDestroy),
                                 SYMBOL(cuMemcpyHtoDAsync),
                                 SYMBOL(cuMemcpyDtoHAsync),
                                 SYMBOL(cuMemcpyDtoDAsync),
                                 SYMBOL(cuMemsetD32Async),
                                 SYMBOL(cuMemHostAlloc),
                                 SYMBOL(cuMemFreeHost),
                                 SYMBOL(cuStreamCreate),
                                 SYMBOL(cuGraphInstantiateWithFlags),
                                 SYMBOL(cuGraphExecDestroy),
                                 SYMBOL(cuGraphLaunch),
                                 SYMBOL(cuDevicePrimaryCtxRetain)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!dlsym(driver.library, names[i])) fail_msg("the headers say %s", names[i]);
#else
    skip();
#endif
}

static void a_driver_that_is_none_is_refused(void **state) {
    (void)state;
    ishow_cuda_driver other;
    ishow_error error = {0};
    char kept[256];
    snprintf(kept, sizeof kept, "%s", getenv("ISHOWTTS_CUDA_DRIVER"));
    setenv("ISHOWTTS_CUDA_DRIVER", "/nowhere/libcuda.so", 1);
    assert_int_equal(ishow_cuda_driver_open(&other, &error), ISHOW_ENOTFOUND);
    assert_non_null(strstr(error.message, "There is no NVIDIA driver"));
    setenv("ISHOWTTS_CUDA_DRIVER", "libm.so.6", 1);
    assert_int_equal(ishow_cuda_driver_open(&other, &error), ISHOW_ENOTFOUND);
    assert_non_null(strstr(error.message, "has no function cuInit"));
    setenv("ISHOWTTS_CUDA_DRIVER", kept, 1);
}

int main(void) {
#define STEPS_TEST(name) cmocka_unit_test_setup_teardown(name, open_steps, close_steps)
    const struct CMUnitTest tests[] = {
        STEPS_TEST(every_row_is_as_if_alone),
        STEPS_TEST(like_rows_share_a_launch),
        STEPS_TEST(the_buffers_bound_a_launch),
        STEPS_TEST(memory_that_does_not_do_halves_the_rows),
        STEPS_TEST(graphs_in_disuse_go),
        STEPS_TEST(a_part_of_h_is_found),
        STEPS_TEST(rows_of_a_length_that_no_graph_has_are_refused),
        STEPS_TEST(forgotten_rows_are_unknown_and_addresses_used_again),
        cmocka_unit_test(names_are_those_of_the_headers),
        cmocka_unit_test(a_driver_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, open_driver, close_driver);
}
