/* The AOTInductor backend: graphs compiled to shared libraries, called through torch's C ABI without Python.
 *
 * A step adds about ten microseconds to the model's time. Inputs are wrapped in place; one buffer is used where a graph
 * needs inputs joined (both branches of h) or padded (lists below a graph's minimum length). Graphs do not check
 * shapes, so every shape is compared with the manifest here. OpenMP's thread count is set for each thread, and a
 * backend may be opened on one thread and used on another, so it is set again whenever the calling thread changes. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/defaults.h"
#include "model/model.h"
#include "model/manifest.h"
#include "model/torch_abi.h"

enum { TIMES_MAX = ISHOW_NFE_MAX + 1 }; /* the number that packages are compiled for */

typedef struct aoti {
    ishow_torch torch;
    ishow_manifest manifest;
    ishow_graph graphs[ISHOW_GRAPHS];
    int threads;
    pthread_t user; /* the thread whose OpenMP thread count is set */
    int has_user;
    void *workspace;
    size_t workspace_bytes;
} aoti;

static void *workspace(aoti *model, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    if (bytes > model->workspace_bytes) {
        free(model->workspace);
        model->workspace = ishow_alloc(bytes, 1);
        model->workspace_bytes = model->workspace ? bytes : 0;
    }
    return model->workspace;
}

static ishow_status enter(aoti *model, size_t frames, ishow_error *error) {
    if (frames < model->manifest.min_frames || frames > model->manifest.info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "A row of %zu frames was given; this model takes %zu to %zu.",
                          frames, model->manifest.min_frames, model->manifest.info.max_frames);
    if (!model->has_user || !pthread_equal(model->user, pthread_self())) {
        model->torch.set_threads(model->threads);
        model->torch.grad_mode(false);
        model->user = pthread_self();
        model->has_user = 1;
    }
    return ISHOW_OK;
}

static ishow_status run(aoti *model, int graph, const ishow_tensor *inputs, size_t n_inputs, const int64_t *out_sizes,
                        int out_ndim, float *const *out, size_t parts, ishow_error *error) {
    return ishow_graph_run(&model->torch, &model->graphs[graph], inputs, n_inputs, out_sizes, out_ndim, out, parts,
                           error);
}

/* Checks token ids, since a graph would read beyond its embedding. */
static ishow_status check_tokens(const aoti *model, const int64_t *tokens, size_t n, ishow_error *error) {
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || tokens[i] >= model->manifest.n_tokens)
            return ishow_fail(error, ISHOW_EINVAL, "", "Token %lld is not one of this model's %lld.",
                              (long long)tokens[i], (long long)model->manifest.n_tokens);
    return ISHOW_OK;
}

static ishow_status encode(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond, ishow_error *error) {
    aoti *model = self;
    const ishow_model_info *info = &model->manifest.info;
    const int aligned = info->text_layout == ISHOW_TEXT_ALIGNED, indexed = info->text_layout != ISHOW_TEXT_PADDED;
    const int64_t frames = (int64_t)in->frames, ref_frames = (int64_t)in->ref_frames;
    ishow_status status = enter(model, in->frames, error);
    if (status || (status = check_tokens(model, in->tokens, in->n_tokens, error))) return status;
    if (in->ref_frames > in->frames || in->n_tokens == 0 || (!aligned && in->n_tokens != in->frames) ||
        (indexed && !in->index) || (aligned && !in->phase))
        return ishow_fail(error, ISHOW_EINVAL, "",
                          "%zu tokens with %zu of %zu frames of reference do not fit this model's text layout.",
                          in->n_tokens, in->ref_frames, in->frames);
    for (size_t i = 0; indexed && i < in->frames; i++)
        if (in->index[i] < 0 || (size_t)in->index[i] >= in->n_tokens)
            return ishow_fail(error, ISHOW_EINVAL, "", "Frame %zu belongs to token %lld of %zu.", i,
                              (long long)in->index[i], in->n_tokens);
    const int64_t *tokens = in->tokens;
    size_t n_tokens = in->n_tokens;
    if (aligned && n_tokens < model->manifest.min_tokens) { /* filler tokens are masked in the text blocks */
        int64_t *padded = workspace(model, model->manifest.min_tokens, sizeof *padded);
        if (!padded) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the text.");
        memset(padded, 0, model->manifest.min_tokens * sizeof *padded);
        memcpy(padded, tokens, n_tokens * sizeof *padded);
        tokens = padded;
        n_tokens = model->manifest.min_tokens;
    }
    ishow_tensor inputs[5];
    size_t n = 0;
    inputs[n++] = (ishow_tensor){tokens, 1, 2, {1, (int64_t)n_tokens}};
    inputs[n++] = (ishow_tensor){in->cond, 0, 3, {1, frames, info->n_mels}};
    if (indexed) inputs[n++] = (ishow_tensor){in->index, 1, 2, {1, frames}};
    if (aligned) inputs[n++] = (ishow_tensor){in->phase, 0, 2, {1, frames}};
    inputs[n++] = (ishow_tensor){&ref_frames, 1, 1, {1}};
    return run(model, ISHOW_GRAPH_ENCODE, inputs, n, (int64_t[]){2, frames, info->dim}, 3,
               (float *const[]){h_cond, h_uncond}, 2, error);
}

/* Number of inputs of modulate: times and, for guidance-conditioned networks, strengths of guidance. */
static size_t modulate_inputs(const aoti *model) { return model->manifest.info.guidance_max > 0 ? 2 : 1; }

/* Up to TIMES_MAX times in one call. */
static ishow_status modulate_some(aoti *model, const float *t, const float *guidance, size_t n, float *mod,
                                  ishow_error *error) {
    const size_t inputs = modulate_inputs(model);
    const size_t least = model->manifest.min_times, width = (size_t)model->manifest.info.mod_width;
    ishow_status status;
    if (n >= least) {
        const ishow_tensor input[] = {{t, 0, 1, {(int64_t)n}}, {guidance, 0, 1, {(int64_t)n}}};
        return run(model, ISHOW_GRAPH_MODULATE, input, inputs, (int64_t[]){(int64_t)n, (int64_t)width}, 2, &mod, 1,
                   error);
    }
    float *all = workspace(model, least * (width + 2), sizeof *all);
    if (!all) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the modulation.");
    float *times = all + least * width, *strengths = times + least;
    for (size_t i = 0; i < least; i++) {
        times[i] = t[i < n ? i : n - 1];
        strengths[i] = inputs > 1 ? guidance[i < n ? i : n - 1] : 0;
    }
    const ishow_tensor input[] = {{times, 0, 1, {(int64_t)least}}, {strengths, 0, 1, {(int64_t)least}}};
    status =
        run(model, ISHOW_GRAPH_MODULATE, input, inputs, (int64_t[]){(int64_t)least, (int64_t)width}, 2, &all, 1, error);
    if (!status) memcpy(mod, all, n * width * sizeof *mod);
    return status;
}

static ishow_status modulate(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error) {
    aoti *model = self;
    const size_t width = (size_t)model->manifest.info.mod_width;
    ishow_status status = enter(model, model->manifest.min_frames, error);
    if (!status && n == 0) status = ishow_fail(error, ISHOW_EINVAL, "", "No times were given.");
    for (size_t done = 0; !status && done < n; done += TIMES_MAX)
        status = modulate_some(model, t + done, guidance ? guidance + done : NULL,
                               n - done < TIMES_MAX ? n - done : TIMES_MAX, mod + done * width, error);
    return status;
}

static ishow_status step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    aoti *model = self;
    const ishow_model_info *info = &model->manifest.info;
    for (size_t i = 0; i < n_rows; i++) {
        const ishow_step_row *row = &rows[i];
        const int64_t frames = (int64_t)row->frames;
        const size_t branch = row->frames * (size_t)info->dim;
        const float *h = row->h_cond;
        ishow_status status = enter(model, row->frames, error);
        if (status) return status;
        if (row->h_uncond != row->h_cond + branch) {
            float *joined = workspace(model, 2 * branch, sizeof *joined);
            if (!joined) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a step.");
            memcpy(joined, row->h_cond, branch * sizeof *joined);
            memcpy(joined + branch, row->h_uncond ? row->h_uncond : row->h_cond,
                   branch * sizeof *joined); /* the graph needs both branches; with cfg 0 the second has no effect */
            h = joined;
        }
        const ishow_tensor inputs[] = {
            {row->x, 0, 3, {1, frames, info->n_mels}},
            {h, 0, 3, {2, frames, info->dim}},
            {row->mod, 0, 2, {1, info->mod_width}},
            {&row->dt, 0, 1, {1}},
            {&row->cfg, 0, 1, {1}},
        };
        status = run(model, ISHOW_GRAPH_STEP, inputs, 5, (int64_t[]){1, frames, info->n_mels}, 3, &row->x, 1, error);
        if (status) return status;
    }
    return ISHOW_OK;
}

static ishow_status vocode(void *self, const float *mel, size_t frames, float *real, float *imag, ishow_error *error) {
    aoti *model = self;
    const ishow_model_info *info = &model->manifest.info;
    ishow_status status = enter(model, frames, error);
    if (status) return status;
    const int64_t T = (int64_t)ishow_spectrum_frames(info, frames), bins = (int64_t)ishow_spectrum_bins(info);
    ishow_tensor input = {mel, 0, 3, {1, (int64_t)frames, info->n_mels}};
    return run(model, ISHOW_GRAPH_VOCODE, &input, 1, (int64_t[]){1, 2, T, bins}, 4, (float *const[]){real, imag}, 2,
               error);
}

static ishow_status durations(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error) {
    aoti *model = self;
    const size_t least = model->manifest.min_tokens;
    ishow_status status = enter(model, model->manifest.min_frames, error);
    if (status || (status = check_tokens(model, tokens, n, error))) return status;
    if (n == 0 || n > model->manifest.info.max_frames)
        return ishow_fail(error, ISHOW_EINVAL, "", "%zu phones were given; this model takes 1 to %zu.", n,
                          model->manifest.info.max_frames);
    if (n >= least) {
        ishow_tensor input = {tokens, 1, 2, {1, (int64_t)n}};
        return run(model, ISHOW_GRAPH_DURATIONS, &input, 1, (int64_t[]){1, (int64_t)n}, 2, &frames_out, 1, error);
    }
    int64_t *padded = workspace(model, 2 * least, sizeof *padded);
    if (!padded) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the durations.");
    memset(padded, 0, least * sizeof *padded);
    memcpy(padded, tokens, n * sizeof *padded);
    float *all = (float *)(void *)(padded + least);
    ishow_tensor input = {padded, 1, 2, {1, (int64_t)least}};
    status = run(model, ISHOW_GRAPH_DURATIONS, &input, 1, (int64_t[]){1, (int64_t)least}, 2, &all, 1, error);
    if (!status) memcpy(frames_out, all, n * sizeof *frames_out);
    return status;
}

static void close_model(void *self) {
    aoti *model = self;
    if (!model) return;
    for (int i = 0; i < ISHOW_GRAPHS; i++) ishow_graph_free(&model->graphs[i]);
    free(model->workspace);
    free(model);
    ishow_handle_freed();
}

ishow_status ishow_aoti_open(ishow_backend *out, const ishow_aoti_options *options, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    char dir[PATH_MAX];
    aoti *model = NULL;
    memset(out, 0, sizeof *out);
    if (options->threads < 0)
        return ishow_fail(error, ISHOW_EINVAL, "threads", "threads is %d; it must be 0 (all cores) or more.",
                          options->threads);
    if (!realpath(options->package_dir, dir))
        return ishow_fail(error, ISHOW_ENOTFOUND, "", "There is no compiled package in %s.", options->package_dir);
    model = calloc(1, sizeof *model);
    if (!model) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a model.");
    ishow_handle_made();
    model->threads = options->threads ? options->threads : ishow_cores();
    if ((status = ishow_manifest_read(&model->manifest, dir, error)) ||
        (status = ishow_manifest_check_torch(&model->manifest, options->torch_lib_dir, error)) ||
        (status = ishow_torch_load(&model->torch, options->torch_lib_dir, error)))
        goto done;
    const size_t encode_inputs = 3 + (size_t)model->manifest.info.text_layout;
    const size_t n_inputs[ISHOW_GRAPHS] = {encode_inputs, modulate_inputs(model), 5, 1, 1};
    for (int i = 0; i < ISHOW_GRAPHS; i++) {
        if (!*model->manifest.library[i]) continue;
        status = ishow_graph_load(&model->graphs[i], ishow_graph_names[i], model->manifest.library[i],
                                  model->manifest.weights[i], n_inputs[i], error);
        if (status) goto done;
    }
    *out = (ishow_backend){.self = model,
                           .info = model->manifest.info,
                           .encode = encode,
                           .modulate = modulate,
                           .step = step,
                           .vocode = vocode,
                           .close = close_model};
    if (model->manifest.info.predicts_durations) out->durations = durations;
done:
    if (status) close_model(model);
    return status;
}
