/* Lifecycle of an engine: creation, description, exchange of the backend, end. The work is done in prepare.c and
 * inference.c. */
#include <stdlib.h>
#include <string.h>

#include "engine/field.h"
#include "engine/internal.h"

ishow_engine_options ishow_engine_options_default(void) {
    ishow_engine_options options = {0};
    ishow_fields_default(&ishow_engine_fields, &options);
    return options;
}

static ishow_status check_model(const ishow_backend *backend, ishow_error *error) {
    const ishow_model_info *info = &backend->info;
    if (!backend->encode || !backend->modulate || !backend->step || !backend->vocode ||
        (info->predicts_durations && !backend->durations))
        return ishow_fail(error, ISHOW_EINVAL, "", "the backend lacks a function");
    if (info->sample_rate < 4000 || info->hop < 1 || info->n_fft < 2 || info->n_fft % 2 || info->n_mels < 1 ||
        info->spectrum_fft < 2 || info->spectrum_hop < 1 || info->dim < 1 || info->mod_width < 1)
        return ishow_fail(error, ISHOW_EINVAL, "",
                          "the backend's shapes are malformed (%d Hz, n_fft %d, hop %d, %d mels, spectrum of n_fft %d "
                          "and hop %d, dim %d, modulation %d)",
                          info->sample_rate, info->n_fft, info->hop, info->n_mels, info->spectrum_fft,
                          info->spectrum_hop, info->dim, info->mod_width);
    if (info->text_layout == ISHOW_TEXT_ALIGNED && !info->predicts_durations)
        return ishow_fail(error, ISHOW_EINVAL, "", "a model with aligned text must predict durations");
    if (info->max_frames < 32)
        return ishow_fail(error, ISHOW_EINVAL, "", "the backend takes %zu frames: at least 32 are needed",
                          info->max_frames);
    return ISHOW_OK;
}

/* Frees what only the threads use; they are joined or were never started. */
static void dismantle(ishow_engine *engine) {
    while (engine->voices) {
        voice *next = engine->voices->next;
        voice_release(engine->voices);
        engine->voices = next;
    }
    for (size_t i = 0; engine->jobs && i < engine->n_slots; i++) {
        ishow_workspace_free(&engine->jobs[i].x_space);
        ishow_workspace_free(&engine->jobs[i].h_space);
        ishow_workspace_free(&engine->jobs[i].live);
    }
    ishow_workspace *const all[] = {&engine->tokens,  &engine->index,        &engine->phase,         &engine->cond,
                                    &engine->frames,  &engine->ends,         &engine->real,          &engine->imag,
                                    &engine->pcm,     &engine->mod,          &engine->calls,         &engine->split,
                                    &engine->prompts, &engine->prompt_noise, &engine->prompted_rows, &engine->prompt_h,
                                    &engine->kept};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ishow_workspace_free(all[i]);
    free(engine->jobs);
    free(engine->results);
    ishow_scheduler_free(engine->scheduler);
    ishow_cache_free(engine->cache);
    ishow_mel_free(engine->mel);
    ishow_istft_free(engine->istft);
}

static const ishow_engine_kind local_kind; /* at the end of this file */

ishow_status ishow_engine_create(ishow_engine **out, const ishow_backend *backend, const ishow_text_frontend *frontend,
                                 const ishow_engine_options *options, ishow_error *error) {
    *out = NULL;
    int text_runs = 0, inference_runs = 0;
    ishow_status status = ISHOW_OK;
    ishow_engine *engine = calloc(1, sizeof *engine);
    if (!engine) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for an engine");
        goto done;
    }
    engine->head.kind = &local_kind;
    engine->references = 1;
    engine->backend = *backend;
    engine->frontend = *frontend;
    engine->info = backend->info;
    engine->share = 1;
    pthread_mutex_init(&engine->lock, NULL);
    ishow_condition_init(&engine->text_work);
    ishow_condition_init(&engine->model_work);

    if ((status = ishow_fields_check(&ishow_engine_fields, options, error)) != ISHOW_OK) goto done;
    engine->options = *options;
    if ((status = check_model(backend, error)) != ISHOW_OK) goto done;
    if (!frontend->normalize || !frontend->tokenize) {
        status = ishow_fail(error, ISHOW_EINVAL, "", "the text front end lacks a function");
        goto done;
    }
    const ishow_mel_options mel = {.sample_rate = backend->info.sample_rate,
                                   .n_fft = backend->info.n_fft,
                                   .hop = backend->info.hop,
                                   .n_mels = backend->info.n_mels};
    engine->n_slots = options->max_rows + 1;
    engine->jobs = calloc(engine->n_slots, sizeof *engine->jobs);
    engine->results = calloc(engine->n_slots, sizeof *engine->results);
    if (!engine->jobs || !engine->results) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu rows", options->max_rows);
        goto done;
    }
    if ((status = inference_scheduler(engine, &backend->info, &engine->scheduler, error)) != ISHOW_OK) goto done;
    if ((status = ishow_cache_create(&engine->cache, options->cache_bytes, error)) != ISHOW_OK) goto done;
    if ((status = ishow_istft_create(&engine->istft, backend->info.spectrum_fft, backend->info.spectrum_hop, error)) !=
        ISHOW_OK)
        goto done;
    if (backend->info.uses_prompt && (status = ishow_mel_create(&engine->mel, &mel, error)) != ISHOW_OK) goto done;

    int failure = pthread_create(&engine->text_thread, NULL, text_main, engine);
    text_runs = !failure;
    if (!failure) {
        failure = pthread_create(&engine->inference_thread, NULL, inference_main, engine);
        inference_runs = !failure;
    }
    if (failure) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "a thread could not be started: %s", strerror(failure));
        goto done;
    }
    pthread_setname_np(engine->text_thread, "ishow-text");
    pthread_setname_np(engine->inference_thread, "ishow-model");
    ishow_handle_made();
    *out = engine;
    engine = NULL;
done:
    if (status != ISHOW_OK) {
        if (text_runs) { /* it closes the front end when it ends */
            pthread_mutex_lock(&engine->lock);
            engine->stopping = 1;
            pthread_cond_broadcast(&engine->text_work);
            pthread_mutex_unlock(&engine->lock);
            pthread_join(engine->text_thread, NULL);
        } else if (frontend->close) {
            frontend->close(frontend->self);
        }
        if (!inference_runs && backend->close) backend->close(backend->self);
    }
    if (engine) {
        dismantle(engine);
        engine_release(engine);
    }
    return status;
}

static void local_free(ishow_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->stopping = 1;
    pthread_cond_broadcast(&engine->text_work);
    pthread_cond_broadcast(&engine->model_work);
    pthread_mutex_unlock(&engine->lock);
    pthread_join(engine->text_thread, NULL);
    pthread_join(engine->inference_thread, NULL);
    dismantle(engine);
    engine_release(engine);
    ishow_handle_freed();
}

static int same_shapes(const ishow_model_info *a, const ishow_model_info *b) {
    return a->sample_rate == b->sample_rate && a->n_fft == b->n_fft && a->hop == b->hop && a->n_mels == b->n_mels &&
           a->spectrum_fft == b->spectrum_fft && a->spectrum_hop == b->spectrum_hop && a->dim == b->dim &&
           a->mod_width == b->mod_width && a->text_layout == b->text_layout &&
           a->predicts_durations == b->predicts_durations && a->uses_prompt == b->uses_prompt &&
           strcmp(a->content_hash, b->content_hash) == 0;
}

ishow_status ishow_engine_swap_backend(ishow_engine *engine, const ishow_backend *backend, ishow_error *error) {
    ishow_backend refused = *backend;
    ishow_status status = check_model(backend, error);
    pthread_mutex_lock(&engine->lock);
    if (status != ISHOW_OK) {
        /* *error is set */
    } else if (engine->stopping) {
        status = ishow_fail(error, ISHOW_ESTATE, "", "the engine is closing");
    } else if (!same_shapes(&engine->info, &backend->info)) {
        status = ishow_fail(
            error, ISHOW_EINVAL, "",
            "the new backend is another model: its shapes or the hash of its weights differ from those of '%s'",
            engine->info.name);
    } else if (backend->info.max_frames < engine->info.max_frames) {
        status = ishow_fail(error, ISHOW_EINVAL, "", "the new backend takes %zu frames, the old one %zu",
                            backend->info.max_frames, engine->info.max_frames);
    } else {
        refused = engine->has_incoming ? engine->incoming
                                       : (ishow_backend){0}; /* a backend that had not been swapped in yet */
        engine->incoming = *backend;
        engine->has_incoming = 1;
        pthread_cond_signal(&engine->model_work);
    }
    pthread_mutex_unlock(&engine->lock);
    if (refused.close) refused.close(refused.self);
    return status;
}

static ishow_status local_configure(ishow_engine *engine, const ishow_engine_options *options, ishow_error *error) {
    ishow_status status = ishow_fields_check(&ishow_engine_fields, options, error);
    if (status != ISHOW_OK) return status;
    if (options->max_rows != engine->options.max_rows || options->cache_bytes != engine->options.cache_bytes)
        return ishow_fail(error, ISHOW_EINVAL, "", "max_rows and cache_bytes cannot be changed while the engine runs");
    double chunk_seconds = options->chunk_seconds;
    pthread_mutex_lock(&engine->lock);
    engine->options.queue_capacity = options->queue_capacity;
    __atomic_store(&engine->options.chunk_seconds, &chunk_seconds, __ATOMIC_RELAXED);
    __atomic_store_n(&engine->options.retries, options->retries, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&engine->lock);
    return ISHOW_OK;
}

void local_info(ishow_engine *engine, ishow_model_info *out) {
    pthread_mutex_lock(&engine->lock);
    *out = engine->info;
    pthread_mutex_unlock(&engine->lock);
}

static double local_busy_for(ishow_engine *engine) {
    const double since = atomic_load(&engine->busy_since);
    return since > 0 ? ishow_now() - since : 0;
}

static void local_stats(ishow_engine *engine, ishow_engine_stats *out) {
    pthread_mutex_lock(&engine->lock);
    *out = engine->stats;
    for (const ishow_utterance *u = engine->living; u; u = u->next)
        ++*(u->before + u->admitted ? &out->in_flight : &out->waiting);
    pthread_mutex_unlock(&engine->lock);
    ishow_cache_stats_get(engine->cache, &out->cache);
}

static const ishow_engine_kind local_kind = {.configure = local_configure,
                                             .free = local_free,
                                             .info = local_info,
                                             .prepare_voice = local_prepare_voice,
                                             .install_voice = local_install_voice,
                                             .discard_voice = local_discard_voice,
                                             .remove_voice = local_remove_voice,
                                             .list_voices = local_list_voices,
                                             .submit = local_submit,
                                             .ask_frontend = local_ask_frontend,
                                             .reading = local_reading,
                                             .stats = local_stats,
                                             .busy_for = local_busy_for,
                                             .next = local_next,
                                             .cancel = local_cancel,
                                             .timings = local_timings,
                                             .progress = local_progress,
                                             .feed = local_feed,
                                             .set_text = local_set_text,
                                             .flush = local_flush,
                                             .end = local_end,
                                             .words = local_words,
                                             .trajectory = local_trajectory,
                                             .free_utterance = local_free_utterance};
