/* The native backend with weight files that are written here, without Python, so that its loaders run under the
 * sanitizers: a model, its calibration, and faults in both. tests/unit/test_native.py compares its results with
 * PyTorch's. */
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
#include "model/model.h"

enum {
    DIM = 16,
    FF = 32,
    MELS = 4,
    TEXT = 4,
    TOKENS = 3,
    VOCOS = 8,
    WIDE = 16,
    N_FFT = 16,
    MOD = 8 * DIM,
    FRAMES = 20,
    TEXT_BYTES = 64 * 1024
};
#define MODEL_HASH "abc"

static char root[] = "/tmp/ishow-native-XXXXXX";

/* A .safetensors file that is being written: its table and its values. */
typedef struct weights {
    char *table;
    float *values;
    size_t n;
} weights;

static weights begin(const char *model) {
    weights w = {.table = malloc(TEXT_BYTES), .values = malloc(TEXT_BYTES * sizeof(float))};
    assert_true(w.table && w.values);
    snprintf(w.table, TEXT_BYTES, "{\"__metadata__\": {\"model\": \"%s\"}", model);
    return w;
}

/* Adds a tensor of the shape "[a, b]" with n values: noise times `size`, plus `middle`. */
static void add(weights *w, const char *name, const char *shape, size_t n, float size, float middle) {
    const size_t used = strlen(w->table);
    assert_true(w->n + n <= TEXT_BYTES);
    snprintf(w->table + used, TEXT_BYTES - used,
             ", \"%s\": {\"dtype\": \"F32\", \"shape\": %s, \"data_offsets\": [%zu, %zu]}", name, shape, 4 * w->n,
             4 * (w->n + n));
    ishow_noise_fill(w->n + 1, w->values + w->n, n);
    for (size_t i = w->n; i < w->n + n; i++) w->values[i] = middle + size * w->values[i];
    w->n += n;
}

static void add_matrix(weights *w, const char *name, size_t rows, size_t columns) {
    char whole[128], shape[64];
    snprintf(whole, sizeof whole, "%s.weight", name);
    snprintf(shape, sizeof shape, "[%zu, %zu]", rows, columns);
    add(w, whole, shape, rows * columns, 0.3f, 0);
    snprintf(whole, sizeof whole, "%s.bias", name);
    snprintf(shape, sizeof shape, "[%zu]", rows);
    add(w, whole, shape, rows, 0.1f, 0);
}

static void add_convolution(weights *w, const char *name, size_t rows, size_t columns, size_t taps) {
    char whole[128], shape[64];
    snprintf(whole, sizeof whole, "%s.weight", name);
    snprintf(shape, sizeof shape, "[%zu, %zu, %zu]", rows, columns, taps);
    add(w, whole, shape, rows * columns * taps, 0.2f, 0);
    snprintf(whole, sizeof whole, "%s.bias", name);
    snprintf(shape, sizeof shape, "[%zu]", rows);
    add(w, whole, shape, rows, 0.1f, 0);
}

static void add_norm(weights *w, const char *name) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s.weight", name);
    add(w, whole, "[8]", VOCOS, 0.1f, 1);
    snprintf(whole, sizeof whole, "%s.bias", name);
    add(w, whole, "[8]", VOCOS, 0.1f, 0);
}

/* Writes the file without its last `cut` bytes, and frees it. */
static void end(weights *w, const char *name, size_t cut) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    strcat(w->table, "}");
    const uint64_t length = strlen(w->table);
    assert_true(fwrite(&length, sizeof length, 1, file) == 1 && fwrite(w->table, length, 1, file) == 1 &&
                fwrite(w->values, sizeof(float) * w->n - cut, 1, file) == 1);
    fclose(file);
    free(w->table);
    free(w->values);
}

static int write_model(void **state) {
    (void)state;
    assert_non_null(mkdtemp(root));
    weights w = begin("");
    add(&w, "text_embed.text_embed.weight", "[3, 4]", (size_t)TOKENS * TEXT, 0.5f, 0);
    add_matrix(&w, "input_embed.proj", DIM, 2 * MELS + TEXT);
    add_convolution(&w, "input_embed.conv_pos_embed.conv1d.0", DIM, 1, 31);
    add_convolution(&w, "input_embed.conv_pos_embed.conv1d.2", DIM, 1, 31);
    add_matrix(&w, "time_embed.time_mlp.0", DIM, 256);
    add_matrix(&w, "time_embed.time_mlp.2", DIM, DIM);
    static const char *const parts[] = {"to_q", "to_k", "to_v", "to_out.0"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "transformer_blocks.0.attn.%s", parts[i]);
        add_matrix(&w, name, DIM, DIM);
    }
    add_matrix(&w, "transformer_blocks.0.ff.ff.0.0", FF, DIM);
    add_matrix(&w, "transformer_blocks.0.ff.ff.2", DIM, FF);
    add_matrix(&w, "transformer_blocks.0.attn_norm.linear", (size_t)6 * DIM, DIM);
    add_matrix(&w, "norm_out.linear", (size_t)2 * DIM, DIM);
    add_matrix(&w, "proj_out", MELS, DIM);
    end(&w, "dit.safetensors", 0);
    w = begin("");
    add_convolution(&w, "backbone.embed", VOCOS, MELS, 7);
    add_norm(&w, "backbone.norm");
    add_convolution(&w, "backbone.convnext.0.dwconv", VOCOS, 1, 7);
    add_norm(&w, "backbone.convnext.0.norm");
    add_matrix(&w, "backbone.convnext.0.pwconv1", WIDE, VOCOS);
    add_matrix(&w, "backbone.convnext.0.pwconv2", VOCOS, WIDE);
    add(&w, "backbone.convnext.0.gamma", "[8]", VOCOS, 0.1f, 1);
    add_norm(&w, "backbone.final_layer_norm");
    add_matrix(&w, "head.out", N_FFT + 2, VOCOS);
    end(&w, "vocos.safetensors", 0);
    return 0;
}

static int remove_model(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

typedef enum fault { SOUND = 0, OTHER_MODEL, WITHOUT_SHIFT, SCALE_OF_ZERO, FEW_PEAKS, NOT_FINITE, CUT } fault;

/* Adds scales and shifts of the three calibrated inputs, with one fault in those of the feed-forward network. */
static void write_calibration(fault fault, float scale, float shift) {
    static const struct {
        const char *name;
        size_t width;
    } inputs[] = {{"attn.to_q", DIM}, {"ff.ff.0.0", DIM}, {"ff.ff.2", FF}};
    weights w = begin(fault == OTHER_MODEL ? "other" : MODEL_HASH);
    for (size_t i = 0; i < 3; i++) {
        char name[96], shape[16];
        const int faulty = i == 1;
        snprintf(name, sizeof name, "transformer_blocks.0.%s.input_scale", inputs[i].name);
        add(&w, name, "[1]", 1, 0, faulty && fault == SCALE_OF_ZERO ? 0 : faulty && fault == NOT_FINITE ? NAN : scale);
        snprintf(name, sizeof name, "transformer_blocks.0.%s.input_shift", inputs[i].name);
        if (!(faulty && fault == WITHOUT_SHIFT)) add(&w, name, "[1]", 1, 0, shift);
        const size_t width = faulty && fault == FEW_PEAKS ? 3 : inputs[i].width;
        snprintf(name, sizeof name, "transformer_blocks.0.%s.input_peaks", inputs[i].name);
        snprintf(shape, sizeof shape, "[%zu]", width);
        add(&w, name, shape, width, 0, 1);
    }
    end(&w, "calibration.safetensors", fault == CUT ? 8 : 0);
}

static ishow_status open_model(ishow_backend *out, const char *precision, ishow_error *error) {
    char json[4096], calibration[256] = "null", info[512], dit[512], vocos[256];
    if (!strcmp(precision, "int8-static"))
        snprintf(calibration, sizeof calibration,
                 "{\"file\": \"%s/calibration.safetensors\", \"model\": \"" MODEL_HASH "\"}", root);
    snprintf(
        info, sizeof info,
        "{\"name\": \"tiny\", \"precision\": \"%s\", \"content_hash\": \"ab\", \"sample_rate\": 24000, \"n_fft\": %d, "
        "\"hop\": 4, \"n_mels\": %d, \"text_layout\": \"padded\", \"uses_prompt\": true, \"max_frames\": 64, "
        "\"nfe\": 0, \"chunk_frames\": 0, \"guidance_max\": 0}",
        precision, N_FFT, MELS);
    snprintf(dit, sizeof dit,
             "{\"backbone\": \"dit\", \"dim\": %d, \"depth\": 1, \"heads\": 1, \"dim_head\": %d, \"ff_mult\": 2, "
             "\"text_dim\": %d, \"conv_layers\": 0, \"text_num_embeds\": %d, \"text_mask_padding\": true, "
             "\"rope_heads\": 1, "
             "\"speakers\": 0}",
             DIM, DIM, TEXT, TOKENS - 1);
    snprintf(vocos, sizeof vocos, "{\"dim\": %d, \"intermediate_dim\": %d, \"num_layers\": 1, \"head\": \"spectrum\"}",
             VOCOS, WIDE);
    snprintf(json, sizeof json,
             "{\"info\": %s, \"calibration\": %s, \"dit\": %s, \"mel\": {\"mean\": 0.0, \"std\": 1.0}, \"vocos\": %s, "
             "\"duration\": null, \"dit_file\": \"%s/dit.safetensors\", \"vocos_file\": \"%s/vocos.safetensors\"}",
             info, calibration, dit, vocos, root, root);
    const ishow_native_options options = {.model = json, .threads = 2};
    return ishow_native_open(out, &options, error);
}

/* The result of a model: the velocity of one guided step, [FRAMES][MELS]. */
static void velocity(const char *precision, float *v) {
    float x[FRAMES * MELS], cond[FRAMES * MELS], h[2][FRAMES * DIM], mod[MOD], real[FRAMES * (N_FFT / 2 + 1)],
        imag[FRAMES * (N_FFT / 2 + 1)];
    const float t = 0.3f;
    int64_t tokens[FRAMES];
    ishow_backend backend;
    ishow_error error = {0};
    if (open_model(&backend, precision, &error)) fail_msg("%s", error.message);
    assert_int_equal(ishow_live_handles(), 1);
    for (size_t f = 0; f < FRAMES; f++) tokens[f] = f < 12 ? (int64_t)(1 + f % 2) : 0;
    ishow_noise_fill(1, x, FRAMES * MELS);
    ishow_noise_fill(2, cond, FRAMES * MELS);
    const ishow_encode_in in = {.tokens = tokens, .n_tokens = FRAMES, .cond = cond, .ref_frames = 6, .frames = FRAMES};
    assert_int_equal(backend.encode(backend.self, &in, h[0], h[1], &error), ISHOW_OK);
    assert_int_equal(backend.modulate(backend.self, &t, &t, 1, mod, &error), ISHOW_OK);
    memcpy(v, x, sizeof x);
    const ishow_step_row row = {
        .x = v, .h_cond = h[0], .h_uncond = h[1], .mod = mod, .dt = 1, .cfg = 2, .frames = FRAMES};
    assert_int_equal(backend.step(backend.self, &row, 1, &error), ISHOW_OK);
    for (size_t i = 0; i < FRAMES * MELS; i++) v[i] -= x[i];
    assert_int_equal(backend.vocode(backend.self, x, FRAMES, real, imag, &error), ISHOW_OK);
    for (size_t i = 0; i < FRAMES * (N_FFT / 2 + 1); i++) assert_true(isfinite(real[i]) && isfinite(imag[i]));
    backend.close(backend.self);
    assert_int_equal(ishow_live_handles(), 0);
}

static double distance(const float *a, const float *b) {
    double away = 0, whole = 0;
    for (size_t i = 0; i < FRAMES * MELS; i++) {
        away += (double)(a[i] - b[i]) * (double)(a[i] - b[i]);
        whole += (double)b[i] * (double)b[i];
    }
    return sqrt(away / whole);
}

static void every_precision_gives_similar_results(void **state) {
    float exact[FRAMES * MELS], v[FRAMES * MELS];
    (void)state;
    write_calibration(SOUND, 0.08f, 0.5f);
    velocity("fp32", exact);
    static const struct {
        const char *precision;
        double most;
    } other[] = {{"bf16", 0.05}, {"int8-dynamic", 0.07}, {"int8-static", 0.1}};
    for (size_t i = 0; i < 3; i++) {
        velocity(other[i].precision, v);
        const double error = distance(v, exact);
        printf("%s: %.1e\n", other[i].precision, error);
        if (!(error > 0 && error < other[i].most)) fail_msg("%s: %g", other[i].precision, error);
    }
    write_calibration(SOUND, 0.001f, 0.5f); /* a quantiser that saturates almost all values is applied */
    velocity("int8-static", v);
    assert_true(distance(v, exact) > 0.3);
}

static void wrong_calibrations_are_named(void **state) {
    static const struct {
        fault fault;
        const char *says;
    } wrong[] = {{OTHER_MODEL, "made for another model"},
                 {WITHOUT_SHIFT, "ff.ff.0.0.input_shift is missing"},
                 {SCALE_OF_ZERO, "ff.ff.0.0 is not positive"},
                 {FEW_PEAKS, "ff.ff.0.0.input_peaks has another shape"},
                 {NOT_FINITE, "ff.ff.0.0.input_scale holds values that are not finite"},
                 {CUT, "ff.ff.2.input_peaks is outside the file"}};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ishow_backend backend;
        ishow_error error = {0};
        write_calibration(wrong[i].fault, 0.04f, 0.5f);
        assert_int_equal(open_model(&backend, "int8-static", &error), ISHOW_EFORMAT);
        if (!strstr(error.message, wrong[i].says)) fail_msg("%s", error.message);
        assert_int_equal(ishow_live_handles(), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_precision_gives_similar_results),
        cmocka_unit_test(wrong_calibrations_are_named),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
