/* Creation and end of the native backend. */
#include "model/native.h"

#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static void close_model(void *self) {
    native *m = self;
    if (!m) return;
    native_unload(m);
    ishow_workspace *const shared[] = {&m->a, &m->b, &m->c, &m->d, &m->e};
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) ishow_workspace_free(shared[i]);
    for (int i = 0; m->workspaces && i < thread_pool_threads(m->pool); i++) ishow_workspace_free(&m->workspaces[i]);
    free(m->workspaces);
    thread_pool_free(m->pool);
    free(m);
    ishow_handle_freed();
}

ishow_status ishow_native_open(ishow_backend *out, const ishow_native_options *options, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    memset(out, 0, sizeof *out);
    if (options->threads < 0)
        return ishow_fail(error, ISHOW_EINVAL, "threads", "threads is %d; it must be 0 (all cores) or more.",
                          options->threads);
    const kernels *chosen = options->kernels ? ishow_kernels_named(options->kernels) : ishow_kernels_best();
    if (!chosen)
        return ishow_fail(error, ISHOW_EINVAL, "kernels", "This processor has no kernels named \"%s\".",
                          options->kernels);
    native *m = calloc(1, sizeof *m);
    if (!m) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a model");
    ishow_handle_made();
    m->k = chosen;
    m->pool = thread_pool_create(options->threads ? options->threads : ishow_cores());
    m->workspaces = m->pool ? calloc((size_t)thread_pool_threads(m->pool), sizeof *m->workspaces) : NULL;
    if (!m->workspaces) status = ishow_fail(error, ISHOW_ENOMEM, "", "The model's threads could not be started.");
    if (!status) status = native_load(m, options->model, error);
    if (status) {
        close_model(m);
        return status;
    }
    *out = (ishow_backend){.self = m,
                           .info = m->info,
                           .encode = native_encode,
                           .modulate = native_modulate,
                           .step = native_step,
                           .vocode = native_vocode,
                           .prompt = native_prompt,
                           .prompt_bytes = native_prompt_bytes,
                           .close = close_model};
    if (m->info.predicts_durations) out->durations = native_durations;
    return ISHOW_OK;
}

int ishow_native_multiplies_bf16(void) { return ishow_kernels_bf16_fast(ishow_kernels_best()); }

int ishow_native_fast(void) { return ishow_kernels_best() != ishow_kernels_named("generic"); }
