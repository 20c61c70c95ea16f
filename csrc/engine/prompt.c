/* The cache of references: for each voice, time and model, the keys and values that the steps read are computed once,
 * from the reference alone, and kept in the tensor cache.
 *
 * They depend on nothing else of a request: the noise has a fixed seed, and the reference moves on the straight line
 * from that noise to its mel. So the same request gives the same samples, whatever was spoken or evicted before. */
#include <string.h>

#include "engine/internal.h"

static const uint64_t NOISE_SEED = 0x70726f6d7074;
enum { TEXT_REACH = 12 }; /* frames that the four text blocks of a published model reach to either side */

/* 1 when the model, the request and the row's lengths allow that the reference is left out. */
static int possible(const ishow_engine *engine, const job *j) {
    const ishow_backend *backend = &engine->backend;
    return j->utterance->prompt_cache && backend->prompt && backend->info.one_branch && j->ref_frames >= 2 &&
           j->frames - j->ref_frames >= 2 && j->utterance->chunks[j->index].n_ref;
}

/* Whether the cache can hold the reference at all times of a row's path. */
static int fits(ishow_engine *engine, const job *j) {
    const size_t calls = (size_t)ishow_path_calls(&j->utterance->path),
                 bytes = engine->backend.prompt_bytes(engine->backend.self, j->ref_frames);
    if (calls * bytes <= engine->options.cache_bytes) return 1;
    if (!engine->prompt_warned)
        ishow_log(ISHOW_LOG_WARN, "engine",
                  "prompt_cache has no effect: the reference of voice '%s' needs %zu MiB at %zu times, and cache_bytes "
                  "is %zu MiB",
                  j->utterance->chunks[j->index].voice->id, calls * bytes >> 20, calls,
                  engine->options.cache_bytes >> 20);
    engine->prompt_warned = 1;
    return 0;
}

int prompt_plan(ishow_engine *engine, job *j) {
    const chunk *c = &j->utterance->chunks[j->index];
    const size_t n = j->ref_frames;
    j->known = 0;
    j->prompted = possible(engine, j) && fits(engine, j);
    if (!j->prompted) return 1;
    if (!ishow_workspace_grow(&j->live, n, 1)) return 0;
    unsigned char *live = memset(j->live.data, 0, n);
    const int64_t *index = engine->backend.info.text_layout == ISHOW_TEXT_PADDED ? NULL : engine->index.data;
    for (size_t f = 0; f < n + TEXT_REACH && f < j->frames; f++) {
        const size_t token = index ? (size_t)index[f] : f;
        if (f < n && (token < c->n_ref || token >= c->n_tokens)) continue;
        for (size_t g = f > TEXT_REACH ? f - TEXT_REACH : 0; g <= f + TEXT_REACH && g < n; g++) live[g] = 1;
    }
    for (size_t f = 0; f < n; f++) j->known += !live[f];
    return 1;
}

/* Cache key of data that depends only on the model, the voice and the reference's tokens. */
static ishow_cache_key reference_key(const ishow_engine *engine, const job *j) {
    const ishow_model_info *info = &engine->backend.info;
    const chunk *c = &j->utterance->chunks[j->index];
    ishow_cache_key key = ishow_cache_key_add((ishow_cache_key){0, 0}, "prompt", 6);
    key = ishow_cache_key_add(key, info->content_hash, strlen(info->content_hash) + 1);
    key = ishow_cache_key_add(key, info->backend, strlen(info->backend) + 1);
    key = ishow_cache_key_add(key, info->precision, strlen(info->precision) + 1);
    key = ishow_cache_key_add(key, &c->voice->key, sizeof c->voice->key);
    return ishow_cache_key_add(key, c->tokens, c->n_ref * sizeof *c->tokens);
}

/* Encodes the reference alone into engine->prompt_h, unless that holds it. */
static ishow_status encode(ishow_engine *engine, const job *j, ishow_cache_key key, ishow_error *error) {
    const ishow_model_info *info = &engine->backend.info;
    const chunk *c = &j->utterance->chunks[j->index];
    const size_t n = j->ref_frames;
    if (!memcmp(&key, &engine->prompt_of, sizeof key)) return ISHOW_OK;
    if (info->text_layout == ISHOW_TEXT_ALIGNED) {
        if (!ishow_workspace_grow(&engine->ends, 1, sizeof n)) /* one token, which lasts for all frames */
            return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference of %zu frames", n);
        *(size_t *)engine->ends.data = n;
    }
    if (!ishow_workspace_grow(&engine->prompt_h, 2 * n * (size_t)info->dim, sizeof(float)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference of %zu frames", n);
    engine->prompt_of = (ishow_cache_key){0, 0};
    ishow_status status = encode_frames(engine, c->voice, c->tokens, c->n_ref, n, n, engine->prompt_h.data, error);
    if (status == ISHOW_OK) engine->prompt_of = key;
    return status;
}

/* The keys and values of its reference that the next call of j needs, from the cache or the model. *out is counted. */
static ishow_status prompt(ishow_engine *engine, const job *j, const float *mod, ishow_cache_entry **out,
                           ishow_error *error) {
    const ishow_backend *backend = &engine->backend;
    const ishow_call call = ishow_path_call(&j->utterance->path, j->calls);
    const size_t n = j->ref_frames, bytes = backend->prompt_bytes(backend->self, n);
    const ishow_cache_key reference = reference_key(engine, j);
    const float time[] = {call.t, call.guidance};
    const ishow_cache_key key = ishow_cache_key_add(reference, time, sizeof time);
    ishow_cache_entry *mel = NULL;
    *out = ishow_cache_get(engine->cache, key);
    if (*out) return ISHOW_OK;
    ishow_status status = encode(engine, j, reference, error);
    if (status == ISHOW_OK) status = encode_reference(engine, j->utterance->chunks[j->index].voice, &mel, error);
    if (status != ISHOW_OK) return status;
    const size_t values = n * (size_t)backend->info.n_mels;
    if (ishow_workspace_grow(&engine->prompt_noise, values, sizeof(float)) &&
        ishow_workspace_grow(&engine->kept, bytes, 1)) {
        ishow_noise_fill(NOISE_SEED, engine->prompt_noise.data, values);
        const ishow_prompt_in in = {.cond = ishow_cache_entry_data(mel),
                                    .noise = engine->prompt_noise.data,
                                    .h = engine->prompt_h.data,
                                    .mod = mod,
                                    .t = call.t,
                                    .frames = n};
        status = backend->prompt(backend->self, &in, engine->kept.data, error);
        if (status == ISHOW_OK) *out = ishow_cache_put(engine->cache, key, engine->kept.data, bytes);
        ishow_workspace_free(&engine->kept); /* tens of megabytes, and rarely needed */
    }
    ishow_cache_entry_release(mel);
    return status || *out ? status : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference of %zu frames", n);
}

/* A row's prompt, during one call. */
typedef struct attached {
    ishow_prompt prompt;
    ishow_cache_entry *entry; /* counted; NULL: none */
} attached;

static const job *job_of(const ishow_engine *engine, const float *x) {
    for (size_t i = 0; i < engine->n_slots; i++)
        if (engine->jobs[i].utterance && engine->jobs[i].x == x) return &engine->jobs[i];
    return NULL;
}

ishow_status prompt_attach(ishow_engine *engine, const ishow_step_row *rows, size_t n, const ishow_step_row **out,
                           ishow_error *error) {
    *out = rows;
    if (!engine->backend.prompt) return ISHOW_OK;
    if (!ishow_workspace_grow(&engine->prompted_rows, n, sizeof *rows) ||
        !ishow_workspace_grow(&engine->prompts, n, sizeof(attached)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu rows", n);
    ishow_step_row *copies = memcpy(engine->prompted_rows.data, rows, n * sizeof *rows);
    attached *prompts = memset(engine->prompts.data, 0, n * sizeof *prompts);
    for (size_t i = 0; i < n; i++) {
        const job *j = job_of(engine, rows[i].x);
        if (!j || !j->prompted) continue;
        ishow_status status = prompt(engine, j, rows[i].mod, &prompts[i].entry, error);
        if (status != ISHOW_OK) return status;
        prompts[i].prompt = (ishow_prompt){
            .kept = ishow_cache_entry_data(prompts[i].entry), .frames = j->ref_frames, .live = j->live.data};
        copies[i].prompt = &prompts[i].prompt;
    }
    *out = copies;
    return ISHOW_OK;
}

void prompt_release(ishow_engine *engine, size_t n) {
    attached *prompts = engine->prompts.data; /* zeroed by prompt_attach */
    const size_t held = engine->prompts.bytes / sizeof *prompts;
    for (size_t i = 0; i < n && i < held; i++) {
        ishow_cache_entry_release(prompts[i].entry);
        prompts[i].entry = NULL;
    }
}
