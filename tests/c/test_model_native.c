/* The native backend with weight files that are written here, without Python, so that its loaders and its steps run
 * under the sanitizers: a model with each kind of transformer, its calibration, and faults in both.
 * tests/unit/test_native.py compares its results with PyTorch's. */
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
    HOP = 4,
    FRAMES = 20,
    SPECTRUM_FFT = 24,
    SPECTRUM_HOP = 3,
    SPECTRUM = (((FRAMES - 1) * HOP + SPECTRUM_HOP - 1) / SPECTRUM_HOP + 1) * (SPECTRUM_FFT / 2 + 1), /* values */
    REFERENCE = 6,
    TEXT_BYTES = 64 * 1024,
    NAMES = 128,
    NAME_BYTES = 96
};
#define MODEL_HASH "abc"

static char root[] = "/tmp/ishow-native-XXXXXX";

/* A flow transformer, and the names of the parts of its blocks. */
typedef struct network {
    const char *backbone;
    int depth, mod; /* mod: width of the modulation */
    const char *attention, *feed_forward;
} network;
static const network DIT = {"dit", 1, 8 * DIM, "transformer_blocks.%d.attn", "transformer_blocks.%d.ff.ff"},
                     UNETT = {"unett", 4, DIM, "layers.%d.2", "layers.%d.4.ff"};
static const network *const networks[] = {&DIT, &UNETT};

/* Of the next files: the tensor that is left out, and the one that has one value too many; NULL: none. */
static const char *left_out, *misshapen;
/* Names of all tensors of the last files, whether left out or not. */
static char names[NAMES][NAME_BYTES];
static size_t n_names;

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
    char longer[32];
    assert_true(n_names < NAMES && strlen(name) < NAME_BYTES);
    strcpy(names[n_names++], name);
    if (left_out && !strcmp(name, left_out)) return;
    if (misshapen && !strcmp(name, misshapen)) {
        snprintf(longer, sizeof longer, "[%zu]", ++n);
        shape = longer;
    }
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

/* What a block has beside attention and feed-forward network: in a DiT the modulation of its norms, in a UNetT their
 * gains, and in the second half the projection of a skip. */
static void add_block(weights *w, const network *net, int i) {
    static const char *const linears[] = {"to_q", "to_k", "to_v", "to_out.0"};
    char base[64], name[NAME_BYTES];
    snprintf(base, sizeof base, net->attention, i);
    for (int k = 0; k < 4; k++) {
        snprintf(name, sizeof name, "%s.%s", base, linears[k]);
        add_matrix(w, name, DIM, DIM);
    }
    snprintf(base, sizeof base, net->feed_forward, i);
    snprintf(name, sizeof name, "%s.0.0", base);
    add_matrix(w, name, FF, DIM);
    snprintf(name, sizeof name, "%s.2", base);
    add_matrix(w, name, DIM, FF);
    if (net == &DIT) {
        snprintf(name, sizeof name, "transformer_blocks.%d.attn_norm.linear", i);
        add_matrix(w, name, (size_t)6 * DIM, DIM);
        return;
    }
    for (int k = 1; k < 4; k += 2) {
        snprintf(name, sizeof name, "layers.%d.%d.g", i, k);
        add(w, name, "[16]", DIM, 0.1f, 1);
    }
    snprintf(name, sizeof name, "layers.%d.0.weight", i);
    if (i >= net->depth / 2) add(w, name, "[16, 32]", (size_t)2 * DIM * DIM, 0.3f, 0);
}

/* Writes the files of a model, whose transformer has so many blocks. */
static void write_model(const network *net, int blocks) {
    weights w = begin("");
    n_names = 0;
    add(&w, "text_embed.text_embed.weight", "[3, 4]", (size_t)TOKENS * TEXT, 0.5f, 0);
    add_matrix(&w, "input_embed.proj", DIM, 2 * MELS + TEXT);
    add_convolution(&w, "input_embed.conv_pos_embed.conv1d.0", DIM, 1, 31);
    add_convolution(&w, "input_embed.conv_pos_embed.conv1d.2", DIM, 1, 31);
    add_matrix(&w, "time_embed.time_mlp.0", DIM, 256);
    add_matrix(&w, "time_embed.time_mlp.2", DIM, DIM);
    for (int i = 0; i < blocks; i++) add_block(&w, net, i);
    if (net == &DIT)
        add_matrix(&w, "norm_out.linear", (size_t)2 * DIM, DIM);
    else
        add(&w, "norm_out.g", "[16]", DIM, 0.1f, 1);
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
    add_matrix(&w, "head.out", SPECTRUM_FFT + 2, VOCOS);
    end(&w, "vocos.safetensors", 0);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(root) ? 0 : 1;
}

static int remove_model(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

typedef enum fault { SOUND = 0, OTHER_MODEL, WITHOUT_SHIFT, SCALE_OF_ZERO, FEW_PEAKS, NOT_FINITE, CUT } fault;

/* Writes scales and shifts of the three calibrated inputs of each block, with one fault in those of a feed-forward
 * network. */
static void write_calibration(const network *net, fault fault, float scale, float shift) {
    static const char *const linears[] = {"to_q", "0.0", "2"};
    weights w = begin(fault == OTHER_MODEL ? "other" : MODEL_HASH);
    n_names = 0;
    for (int i = 0; i < 3 * net->depth; i++) {
        char base[64], name[NAME_BYTES], shape[16];
        const int which = i % 3, faulty = i == 1;
        snprintf(base, sizeof base, which ? net->feed_forward : net->attention, i / 3);
        snprintf(name, sizeof name, "%s.%s.input_scale", base, linears[which]);
        add(&w, name, "[1]", 1, 0, faulty && fault == SCALE_OF_ZERO ? 0 : faulty && fault == NOT_FINITE ? NAN : scale);
        snprintf(name, sizeof name, "%s.%s.input_shift", base, linears[which]);
        if (!(faulty && fault == WITHOUT_SHIFT)) add(&w, name, "[1]", 1, 0, shift);
        const size_t width = faulty && fault == FEW_PEAKS ? 3 : which == 2 ? FF : DIM;
        snprintf(name, sizeof name, "%s.%s.input_peaks", base, linears[which]);
        snprintf(shape, sizeof shape, "[%zu]", width);
        add(&w, name, shape, width, 0, 1);
    }
    end(&w, "calibration.safetensors", fault == CUT ? 8 : 0);
}

/* Opens the model in the files; dit: instead of the transformer's description, NULL: that of `net`. */
static ishow_status open_described(ishow_backend *out, const network *net, const char *precision, const char *dit,
                                   ishow_error *error) {
    char json[4096], calibration[256] = "null", info[512], own[512], vocos[256];
    if (!strcmp(precision, "int8-static"))
        snprintf(calibration, sizeof calibration,
                 "{\"file\": \"%s/calibration.safetensors\", \"model\": \"" MODEL_HASH "\"}", root);
    snprintf(
        info, sizeof info,
        "{\"name\": \"tiny\", \"precision\": \"%s\", \"content_hash\": \"ab\", \"sample_rate\": 24000, \"n_fft\": %d, "
        "\"hop\": %d, \"spectrum_fft\": %d, \"spectrum_hop\": %d, \"n_mels\": %d, \"text_layout\": \"padded\", "
        "\"uses_prompt\": true, \"max_frames\": 64, "
        "\"nfe\": 0, \"chunk_frames\": 0, \"guidance_max\": 0}",
        precision, N_FFT, HOP, SPECTRUM_FFT, SPECTRUM_HOP, MELS);
    snprintf(own, sizeof own,
             "{\"backbone\": \"%s\", \"dim\": %d, \"depth\": %d, \"heads\": 1, \"dim_head\": %d, \"ff_mult\": 2, "
             "\"text_dim\": %d, \"conv_layers\": 0, \"text_num_embeds\": %d, \"text_mask_padding\": true, "
             "\"rope_heads\": 1, \"speakers\": 0}",
             net->backbone, DIM, net->depth, DIM, TEXT, TOKENS - 1);
    snprintf(vocos, sizeof vocos, "{\"dim\": %d, \"intermediate_dim\": %d, \"num_layers\": 1, \"head\": \"spectrum\"}",
             VOCOS, WIDE);
    snprintf(json, sizeof json,
             "{\"info\": %s, \"calibration\": %s, \"dit\": %s, \"mel\": {\"mean\": 0.0, \"std\": 1.0}, \"vocos\": %s, "
             "\"duration\": null, \"dit_file\": \"%s/dit.safetensors\", \"vocos_file\": \"%s/vocos.safetensors\"}",
             info, calibration, dit ? dit : own, vocos, root, root);
    const ishow_native_options options = {.model = json, .threads = 2};
    return ishow_native_open(out, &options, error);
}

static ishow_status open_model(ishow_backend *out, const network *net, const char *precision, ishow_error *error) {
    return open_described(out, net, precision, NULL, error);
}

/* Steps of an opened model: the velocity of a guided one, v [FRAMES][MELS]; one behind a known reference that is
 * computed all the same moves the frames after it exactly as one of the whole row. */
static void step(ishow_backend *backend, const network *net, float *v) {
    float x[FRAMES * MELS], cond[FRAMES * MELS], h[2][FRAMES * DIM], mod[8 * DIM], whole[FRAMES * MELS],
        part[FRAMES * MELS];
    const float t = 0.3f;
    unsigned char live[REFERENCE];
    int64_t tokens[FRAMES];
    ishow_error error = {0};
    for (size_t f = 0; f < FRAMES; f++) tokens[f] = f < 12 ? (int64_t)(1 + f % 2) : 0;
    ishow_noise_fill(1, x, FRAMES * MELS);
    ishow_noise_fill(2, cond, FRAMES * MELS);
    const ishow_encode_in in = {
        .tokens = tokens, .n_tokens = FRAMES, .cond = cond, .ref_frames = REFERENCE, .frames = FRAMES};
    assert_int_equal(backend->info.mod_width, net->mod);
    assert_int_equal(backend->encode(backend->self, &in, h[0], h[1], &error), ISHOW_OK);
    assert_int_equal(backend->modulate(backend->self, &t, &t, 1, mod, &error), ISHOW_OK);
    memcpy(v, x, sizeof x);
    const ishow_step_row row = {
        .x = v, .h_cond = h[0], .h_uncond = h[1], .mod = mod, .dt = 1, .cfg = 2, .frames = FRAMES};
    assert_int_equal(backend->step(backend->self, &row, 1, &error), ISHOW_OK);
    for (size_t i = 0; i < FRAMES * MELS; i++) v[i] -= x[i];

    void *kept = NULL;
    assert_int_equal(posix_memalign(&kept, 64, backend->prompt_bytes(backend->self, REFERENCE)), 0);
    const ishow_prompt_in reference = {.cond = cond, .noise = x, .h = h[0], .mod = mod, .t = t, .frames = REFERENCE};
    assert_int_equal(backend->prompt(backend->self, &reference, kept, &error), ISHOW_OK);
    memset(live, 1, sizeof live);
    const ishow_prompt prompt = {.kept = kept, .frames = REFERENCE, .live = live};
    memcpy(whole, x, sizeof x);
    memcpy(whole, kept, (size_t)REFERENCE * MELS * sizeof *whole);
    memcpy(part, whole, sizeof x);
    ishow_step_row one = {.x = whole, .h_cond = h[0], .mod = mod, .dt = 1, .frames = FRAMES};
    assert_int_equal(backend->step(backend->self, &one, 1, &error), ISHOW_OK);
    one.x = part;
    one.prompt = &prompt;
    assert_int_equal(backend->step(backend->self, &one, 1, &error), ISHOW_OK);
    assert_memory_equal(part + REFERENCE * MELS, whole + REFERENCE * MELS, (FRAMES - REFERENCE) * MELS * sizeof *x);
    live[1] = live[2] = 0;
    assert_int_equal(backend->step(backend->self, &one, 1, &error), ISHOW_OK);
    for (size_t i = 0; i < FRAMES * MELS; i++) assert_true(isfinite(part[i]));
    free(kept);
}

/* Opens, steps, vocodes and closes a model; v as in `step`. */
static void velocity(const network *net, const char *precision, float *v) {
    float real[SPECTRUM], imag[SPECTRUM];
    ishow_backend backend;
    ishow_error error = {0};
    if (open_model(&backend, net, precision, &error)) fail_msg("%s", error.message);
    assert_int_equal(ishow_live_handles(), 1);
    step(&backend, net, v);
    assert_int_equal(backend.vocode(backend.self, v, FRAMES, real, imag, &error), ISHOW_OK);
    for (size_t i = 0; i < SPECTRUM; i++) assert_true(isfinite(real[i]) && isfinite(imag[i]));
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
    static const struct {
        const char *precision;
        double most;
    } other[] = {{"bf16", 0.05}, {"int8-dynamic", 0.07}, {"int8-static", 0.15}};
    (void)state;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        const network *net = networks[k];
        float exact[FRAMES * MELS], v[FRAMES * MELS];
        write_model(net, net->depth);
        write_calibration(net, SOUND, 0.08f, 0.5f);
        velocity(net, "fp32", exact);
        for (size_t i = 0; i < 3; i++) {
            velocity(net, other[i].precision, v);
            const double error = distance(v, exact);
            printf("%s, %s: %.1e\n", net->backbone, other[i].precision, error);
            if (!(error > 0 && error < other[i].most)) fail_msg("%s %s: %g", net->backbone, other[i].precision, error);
        }
        write_calibration(net, SOUND, 0.001f, 0.5f); /* a quantiser that saturates almost all values is applied */
        velocity(net, "int8-static", v);
        assert_true(distance(v, exact) > 0.3);
    }
}

static void refused(const network *net, const char *precision, const char *dit, ishow_status status, const char *says) {
    ishow_backend backend;
    ishow_error error = {0};
    const ishow_status got = open_described(&backend, net, precision, dit, &error);
    if (got != status || !strstr(error.message, says))
        fail_msg("status %d and not %d, \"%s\" and not \"%s\"", got, status, error.message, says);
    assert_int_equal(ishow_live_handles(), 0);
}

static void wrong_calibrations_are_named(void **state) {
    static const struct {
        fault fault;
        const char *linear, *says;
    } wrong[] = {{OTHER_MODEL, "", "made for another model"},
                 {WITHOUT_SHIFT, "0.0", ".input_shift is missing"},
                 {SCALE_OF_ZERO, "0.0", " is not positive"},
                 {FEW_PEAKS, "0.0", ".input_peaks has another shape"},
                 {NOT_FINITE, "0.0", ".input_scale holds values that are not finite"},
                 {CUT, "2", ".input_peaks is outside the file"}};
    (void)state;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        const network *net = networks[k];
        write_model(net, net->depth);
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
            char base[64] = "", says[160];
            if (*wrong[i].linear)
                snprintf(base, sizeof base, net->feed_forward, wrong[i].fault == CUT ? net->depth - 1 : 0);
            snprintf(says, sizeof says, "%s%s%s%s", base, *base ? "." : "", wrong[i].linear, wrong[i].says);
            write_calibration(net, wrong[i].fault, 0.04f, 0.5f);
            refused(net, "int8-static", NULL, ISHOW_EFORMAT, says);
        }
    }
}

static void every_tensor_is_needed_in_its_shape(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof networks / sizeof *networks; k++) {
        const network *net = networks[k];
        write_model(net, net->depth);
        const size_t n = n_names;
        for (size_t i = 0; i < n; i++) {
            char faulty[NAME_BYTES], says[NAME_BYTES + 32];
            strcpy(faulty, names[i]);
            left_out = faulty;
            write_model(net, net->depth);
            snprintf(says, sizeof says, "%s is missing", faulty);
            refused(net, "fp32", NULL, ISHOW_EFORMAT, says);
            left_out = NULL;
            misshapen = faulty;
            write_model(net, net->depth);
            snprintf(says, sizeof says, "%s has another shape", faulty);
            refused(net, "fp32", NULL, ISHOW_EFORMAT, says);
            misshapen = NULL;
        }
        assert_true(n > 30);
    }
}

static void weights_of_another_architecture_are_refused(void **state) {
    (void)state;
    write_model(&UNETT, UNETT.depth + 1);
    refused(&UNETT, "fp32", NULL, ISHOW_EFORMAT, "layers.4.2.to_q.weight does not belong to this architecture");
    write_model(&UNETT, UNETT.depth - 1);
    refused(&UNETT, "fp32", NULL, ISHOW_EFORMAT, "layers.3.2.to_q.weight is missing");
    refused(&DIT, "fp32", NULL, ISHOW_EFORMAT, "transformer_blocks.0.attn.to_q.weight is missing");
    write_model(&DIT, DIT.depth + 1);
    refused(&DIT, "fp32", NULL, ISHOW_EFORMAT, "transformer_blocks.1.attn.to_q.weight does not belong");
}

static void descriptions_that_cannot_run_are_refused(void **state) {
    static const struct {
        const char *backbone, *dim, *depth;
        ishow_status status;
        const char *says;
    } wrong[] = {
        {"unett", "16", "3", ISHOW_EINVAL, "the depth of a U-Net must be even"},
        {"unett", "16", "0", ISHOW_EINVAL, "sizes must be positive"},
        {"unett", "8208", "4", ISHOW_EINVAL, "wider than the kernels take"},
        {"unet", "16", "4", ISHOW_EINTERNAL, "dit.backbone"},
        {"unett", "4611686018427387904", "4", ISHOW_EINTERNAL, "dit.dim"},
        {"unett", "16", "-4", ISHOW_EINTERNAL, "dit.depth"},
    };
    (void)state;
    write_model(&UNETT, UNETT.depth);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char dit[512];
        snprintf(dit, sizeof dit,
                 "{\"backbone\": \"%s\", \"dim\": %s, \"depth\": %s, \"heads\": 1, \"dim_head\": 16, \"ff_mult\": 2, "
                 "\"text_dim\": 4, \"conv_layers\": 0, \"text_num_embeds\": 2, \"text_mask_padding\": true, "
                 "\"rope_heads\": 1, \"speakers\": 0}",
                 wrong[i].backbone, wrong[i].dim, wrong[i].depth);
        refused(&UNETT, "fp32", dit, wrong[i].status, wrong[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_precision_gives_similar_results),
        cmocka_unit_test(wrong_calibrations_are_named),
        cmocka_unit_test(every_tensor_is_needed_in_its_shape),
        cmocka_unit_test(weights_of_another_architecture_are_refused),
        cmocka_unit_test(descriptions_that_cannot_run_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_model);
}
