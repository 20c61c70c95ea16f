/* Calls the model's encoder and duration predictor, for a whole row (render.c) or for a reference alone (prompt.c). The
 * inference thread, without the lock. */
#include <string.h>

#include "engine/internal.h"

static ishow_status no_memory(ishow_error *error, size_t frames) {
    return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a row of %zu frames", frames);
}

ishow_status encode_reference(ishow_engine *engine, const voice *v, ishow_cache_entry **out, ishow_error *error) {
    *out = ishow_cache_get(engine->cache, v->key);
    if (*out) return ISHOW_OK;
    size_t bytes = v->frames * (size_t)engine->backend.info.n_mels * sizeof(float);
    if (!ishow_workspace_grow(&engine->frames, bytes, 1)) return no_memory(error, v->frames);
    ishow_status status = ishow_mel_compute(engine->mel, v->samples, v->length, engine->frames.data, error);
    voice_samples_used(v);
    if (status != ISHOW_OK) return status;
    *out = ishow_cache_put(engine->cache, v->key, engine->frames.data, bytes);
    return *out ? ISHOW_OK : no_memory(error, v->frames);
}

ishow_status encode_durations(ishow_engine *engine, const int64_t *tokens, size_t n, ishow_error *error) {
    const ishow_backend *backend = &engine->backend;
    if (!ishow_workspace_grow(&engine->frames, n, sizeof(float)) ||
        !ishow_workspace_grow(&engine->ends, n, sizeof(size_t)))
        return no_memory(error, n);
    return backend->durations(backend->self, tokens, n, engine->frames.data, error);
}

ishow_status encode_frames(ishow_engine *engine, const voice *v, const int64_t *tokens, size_t n_tokens,
                           size_t ref_frames, size_t n, float *h, ishow_error *error) {
    const ishow_backend *backend = &engine->backend;
    const ishow_model_info *info = &backend->info;
    size_t mels = (size_t)info->n_mels;
    ishow_cache_entry *mel = NULL;
    ishow_encode_in in = {.ref_frames = ref_frames, .frames = n, .tokens = tokens, .n_tokens = n_tokens};

    if (!ishow_workspace_grow(&engine->cond, n * mels, sizeof(float)) ||
        !ishow_workspace_grow(&engine->tokens, n, sizeof(int64_t)) ||
        !ishow_workspace_grow(&engine->index, n, sizeof(int64_t)) ||
        !ishow_workspace_grow(&engine->phase, n, sizeof(float)))
        return no_memory(error, n);
    float *cond = engine->cond.data;
    if (ref_frames) {
        ishow_status status = encode_reference(engine, v, &mel, error);
        if (status != ISHOW_OK) return status;
        memcpy(cond, ishow_cache_entry_data(mel), ref_frames * mels * sizeof *cond);
        ishow_cache_entry_release(mel);
    }
    memset(cond + ref_frames * mels, 0, (n - ref_frames) * mels * sizeof *cond);
    in.cond = cond;
    if (info->text_layout == ISHOW_TEXT_ALIGNED) {
        ishow_align_fill(engine->ends.data, n_tokens, engine->index.data, engine->phase.data);
        in.index = engine->index.data;
        in.phase = engine->phase.data;
    } else {
        int64_t *padded = engine->tokens.data;
        memcpy(padded, tokens, n_tokens * sizeof *padded);
        memset(padded + n_tokens, 0, (n - n_tokens) * sizeof *padded);
        in.tokens = padded;
        in.n_tokens = n;
        if (info->text_layout == ISHOW_TEXT_AVERAGE) {
            ishow_spread_fill(n_tokens, n, engine->index.data);
            in.index = engine->index.data;
        }
    }
    return backend->encode(backend->self, &in, h, h + n * (size_t)info->dim, error);
}
