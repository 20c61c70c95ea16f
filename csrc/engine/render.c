/* Renders one chunk, from tokens to PCM. All of it runs on the inference thread, without the lock.
 *
 * A result is checked before it is delivered. A row that became non-finite or a clip that is silent is rendered again
 * with other noise (ishow_noise_seed), up to a limit; then the utterance fails with a message. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/admission.h"

static const double PAUSE_MAX = 0.5;      /* seconds, with remove_silence */
static const double PAUSE_MARGIN = 0.05;  /* seconds kept at the ends */
static const double EDGE_SECONDS = 0.005; /* of the fades beside a pause or another voice */
static const float PEAK_MAX = 0.99f;      /* a level is raised up to this peak */
static const float SILENCE_RMS = 0.001f;  /* -60 dBFS */

static ishow_status no_memory(ishow_error *error, size_t frames) {
    return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a row of %zu frames", frames);
}

/* Adds seconds in the backend to the statistics. */
static void account(ishow_engine *engine, ishow_utterance *u, double seconds) {
    pthread_mutex_lock(&engine->lock);
    u->reader.timings.model += seconds;
    engine->stats.model_seconds += seconds;
    pthread_mutex_unlock(&engine->lock);
}

ishow_status render_step(void *self, const ishow_step_row *rows, size_t n_rows, ishow_error *error) {
    ishow_engine *engine = self;
    const ishow_backend *backend = &engine->backend;
    const size_t mels = (size_t)backend->info.n_mels, values = ishow_step_split_floats(rows, n_rows, mels);
    double begin = ishow_now();
    const ishow_step_row *const given = rows;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < engine->n_slots; k++)
            if (engine->jobs[k].trajectory && engine->jobs[k].x == given[i].x) trajectory_state(&engine->jobs[k]);
    ishow_status status = prompt_attach(engine, given, n_rows, &rows, error);
    if (status) {
        /* said already */
    } else if (!values)
        status = backend->step(backend->self, rows, n_rows, error);
    else if (!ishow_workspace_grow(&engine->split, values, sizeof(float)) ||
             !ishow_workspace_grow(&engine->calls, n_rows, sizeof *rows))
        status = no_memory(error, rows->frames);
    else
        status = ishow_step_split(backend->step, backend->self, rows, n_rows, mels, (size_t)backend->info.dim,
                                  engine->calls.data, engine->split.data, error);
    prompt_release(engine, n_rows);
    double share = (ishow_now() - begin) / (double)n_rows;
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < engine->n_slots; k++) {
            job *j = &engine->jobs[k];
            if (!j->utterance || j->x != given[i].x) continue;
            j->utterance->reader.timings.model += share;
            engine->stats.model_seconds += share;
            if (status != ISHOW_OK) continue;
            j->calls++;
            engine->stats.steps++;
            const double work =
                ishow_call_work(given[i].h_uncond != NULL, given[i].frames, j->known, given[i].unguided);
            engine->work += work;
            j->utterance->left = fmax(j->utterance->left - work, 0);
            __atomic_add_fetch(&j->utterance->calls, 1, __ATOMIC_RELAXED);
        }
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* Modulation rows of this path's calls, from the cache or the model. *out is counted. */
static ishow_status modulation(ishow_engine *engine, ishow_utterance *u, ishow_cache_entry **out, ishow_error *error) {
    const ishow_model_info *info = &engine->backend.info;
    float times[2 * ISHOW_NFE_MAX], guidance[2 * ISHOW_NFE_MAX];
    size_t n = (size_t)ishow_path_calls(&u->path), values = n * (size_t)info->mod_width;
    for (size_t i = 0; i < n; i++) {
        const ishow_call call = ishow_path_call(&u->path, (int)i);
        times[i] = call.t;
        guidance[i] = call.guidance;
    }
    ishow_cache_key key = ishow_cache_key_add((ishow_cache_key){0, 0}, "modulation", 10);
    key = ishow_cache_key_add(key, info->content_hash, strlen(info->content_hash) + 1);
    key = ishow_cache_key_add(key, info->backend, strlen(info->backend) + 1);
    key = ishow_cache_key_add(key, info->precision, strlen(info->precision) + 1);
    key = ishow_cache_key_add(key, times, n * sizeof *times);
    key = ishow_cache_key_add(key, guidance, n * sizeof *guidance);
    *out = ishow_cache_get(engine->cache, key);
    if (*out) return ISHOW_OK;
    if (!ishow_workspace_grow(&engine->mod, values, sizeof(float)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a table of %zu times", n);
    double begin = ishow_now();
    ishow_status status = engine->backend.modulate(engine->backend.self, times, guidance, n, engine->mod.data, error);
    account(engine, u, ishow_now() - begin);
    if (status != ISHOW_OK) return status;
    if (!ishow_all_finite(engine->mod.data, values))
        return ishow_fail(error, ISHOW_EMODEL, "",
                          "the model's time modulation is not finite: its weights may be damaged");
    *out = ishow_cache_put(engine->cache, key, engine->mod.data, values * sizeof(float));
    return *out ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a table of %zu times", n);
}

/* Sets the length of the row and, for aligned tokens, where each ends (engine->ends). */
static ishow_status set_frames(ishow_engine *engine, ishow_utterance *u, job *j, const chunk *c, ishow_error *error) {
    const ishow_backend *backend = &engine->backend;
    const ishow_model_info *info = &backend->info;
    j->ref_frames = info->uses_prompt && c->voice ? c->voice->frames : 0;
    if (info->text_layout != ISHOW_TEXT_ALIGNED) {
        j->frames = j->ref_frames + c->gen_frames;
        if (j->frames < c->n_tokens + 1) j->frames = c->n_tokens + 1; /* F5: the tokens must fit */
    }
    if (info->predicts_durations) {
        double begin = ishow_now();
        ishow_status status = encode_durations(engine, c->tokens, c->n_tokens, error);
        account(engine, u, ishow_now() - begin);
        if (status != ISHOW_OK) return status;
        float *predicted = engine->frames.data;
        for (size_t i = c->n_ref; c->token_lengths && i < c->n_tokens; i++)
            predicted[i] *= (float)c->token_lengths[i - c->n_ref] / 100;
        size_t total = ishow_align_ends(engine->frames.data, c->n_tokens, j->ref_frames, c->speed, c->gen_frames,
                                        engine->ends.data);
        if (!total)
            return ishow_fail(error, ISHOW_EMODEL, "",
                              "the model predicted a duration that is not a positive number, in chunk %zu of %zu",
                              j->index + 1, u->n_chunks);
        if (total > info->max_frames &&
            info->max_frames - j->ref_frames >= c->n_tokens - c->n_ref) /* the speech is shortened to fit */
            total = ishow_align_ends(engine->frames.data, c->n_tokens, j->ref_frames, c->speed,
                                     info->max_frames - j->ref_frames, engine->ends.data);
        if (info->text_layout == ISHOW_TEXT_ALIGNED || total > j->frames) j->frames = total;
    }
    if (j->frames > info->max_frames)
        return ishow_fail(error, ISHOW_ELIMIT, "text",
                          "a part of the text needs %zu frames, and this model takes %zu at once", j->frames,
                          info->max_frames);
    return ISHOW_OK;
}

/* Encodes a row, and decides what its steps compute. */
static ishow_status encode(ishow_engine *engine, ishow_utterance *u, job *j, const chunk *c, ishow_error *error) {
    const ishow_model_info *info = &engine->backend.info;
    const size_t n = j->frames;
    const int grown = ishow_workspace_grow(&j->x_space, n * (size_t)info->n_mels, sizeof *j->x) &&
                      ishow_workspace_grow(&j->h_space, 2 * n * (size_t)info->dim, sizeof *j->h);
    j->x = j->x_space.data;
    j->h = j->h_space.data;
    if (!grown) return no_memory(error, n);
    double begin = ishow_now();
    ishow_status status = encode_frames(engine, c->voice, c->tokens, c->n_tokens, j->ref_frames, n, j->h, error);
    account(engine, u, ishow_now() - begin);
    return status || prompt_plan(engine, j) ? status : no_memory(error, n);
}

/* Fills x with noise and adds the row to the scheduler. */
static ishow_status enter(ishow_engine *engine, job *j, ishow_error *error) {
    const ishow_model_info *info = &engine->backend.info;
    ishow_utterance *u = j->utterance;
    const size_t number = u->before + j->index;
    ishow_status status = sampler_input_start(engine, j, error);
    if (status != ISHOW_OK) return status;
    j->calls = 0;
    const size_t reference = (u->short_guidance || j->prompted) && info->one_branch && j->frames - j->ref_frames >= 2
                                 ? j->ref_frames
                                 : 0; /* two frames are the least that a model takes */
    const ishow_row row = {.x = j->x,
                           .unguided = reference,
                           .known = j->known,
                           .h_cond = j->h,
                           .h_uncond = j->h + j->frames * (size_t)info->dim,
                           .mod = ishow_cache_entry_data(j->mod),
                           .mod_width = (size_t)info->mod_width,
                           .path = u->path,
                           .frames = j->frames,
                           .priority = u->priority,
                           .urgent_by = &u->urgent_by,
                           .later = number > u->resumed,
                           .cancelled = &u->stop,
                           .user = j};
    const double work = ishow_path_work(&u->path, 0, j->frames, j->known, reference);
    pthread_mutex_lock(&engine->lock);
    admission_row(engine, u, u->chunks[j->index].work, work, j->retry);
    pthread_mutex_unlock(&engine->lock);
    return ishow_scheduler_add(engine->scheduler, &row, error);
}

ishow_status render_start(ishow_engine *engine, job *j, ishow_error *error) {
    ishow_utterance *u = j->utterance;
    chunk *c = &u->chunks[j->index];
    pthread_mutex_lock(&engine->lock);
    if (u->before + j->index == u->resumed) u->reader.timings.queue = ishow_now() - u->reader.began;
    engine->stats.rows++;
    pthread_mutex_unlock(&engine->lock);
    ishow_status status = set_frames(engine, u, j, c, error);
    if (status == ISHOW_OK)
        words_place(c, engine->backend.info.predicts_durations ? engine->ends.data : NULL, j->ref_frames, j->frames);
    if (status == ISHOW_OK) status = modulation(engine, u, &j->mod, error);
    if (status == ISHOW_OK) status = encode(engine, u, j, c, error);
    if (status == ISHOW_OK) status = enter(engine, j, error);
    return status;
}

void render_drop(ishow_engine *engine, job *j) {
    if (engine->backend.release && j->h) engine->backend.release(engine->backend.self, j->h);
    ishow_cache_entry_release(j->mod);
    j->mod = NULL;
    trajectories_free(j->trajectory);
    j->trajectory = NULL;
    j->utterance->in_flight--;
    pthread_mutex_lock(&engine->lock); /* render_step and the statistics read the jobs */
    ishow_utterance *u = j->utterance;
    if (u->state == UTTERANCE_READY && !u->complete && u->delivered == u->n_chunks && !u->in_flight) {
        u->state = UTTERANCE_WAITING;
        pthread_cond_signal(&engine->text_work);
    }
    j->utterance = NULL;
    engine->n_jobs--;
    pthread_mutex_unlock(&engine->lock);
    utterance_release(u);
}

static void end(ishow_engine *engine, ishow_utterance *u, ishow_status status, const ishow_error *error) {
    pthread_mutex_lock(&engine->lock);
    utterance_end(engine, u, status, error);
    pthread_mutex_unlock(&engine->lock);
}

/* Silence behind n samples, which fade out; returns how many there are now. */
static size_t join_silence(float *samples, size_t n, size_t pause, size_t edge) {
    for (size_t i = 0; i < edge && i < n; i++) samples[n - 1 - i] *= ((float)i + 0.5f) / (float)edge;
    memset(samples + n, 0, pause * sizeof *samples);
    return n + pause;
}

/* Appends finished chunks in order, cross-faded or apart, and hands out what no later chunk can change. */
static void join(ishow_engine *engine, ishow_utterance *u) {
    const size_t rate = (size_t)engine->backend.info.sample_rate, edge = (size_t)(EDGE_SECONDS * (double)rate + 0.5);
    const size_t fade = (size_t)(u->cross_fade * (double)rate + 0.5), keeps = fade > edge ? fade : edge;
    while (u->delivered < u->n_chunks && u->chunks[u->delivered].finished) {
        chunk *c = &u->chunks[u->delivered++];
        pthread_mutex_lock(&engine->lock);
        const int no_more = u->delivered == u->n_chunks, is_last = no_more && u->complete;
        /* The end of a fed text that stops is not kept back until it goes on. */
        const int flows = no_more && u->feed && u->feed->text.n;
        pthread_mutex_unlock(&engine->lock);
        const size_t after = no_more ? u->pause : 0;
        size_t most = u->n_tail + c->pause + c->n_pcm + after;
        piece *p = piece_make(most);
        float *kept = malloc((keeps + 1) * sizeof *kept);
        if (!p || !kept) {
            ishow_error error;
            ishow_fail(&error, ISHOW_ENOMEM, "", "no memory for %zu samples", most);
            piece_free(p);
            free(kept);
            end(engine, u, ISHOW_ENOMEM, &error);
            return;
        }
        size_t n = c->apart ? ishow_audio_join_apart(u->tail, u->n_tail, c->pcm, c->n_pcm, c->pause, edge, p->samples)
                            : ishow_audio_cross_fade(u->tail, u->n_tail, c->pcm, c->n_pcm, fade, p->samples);
        words_of_piece(p, c, u->joined + n - c->n_pcm, c->n_pcm, (int)rate);
        if (after) n = join_silence(p->samples, n, after, edge);
        const size_t wanted = is_last ? 0 : no_more ? (flows ? fade : 0) : u->chunks[u->delivered].apart ? edge : fade;
        const size_t hold = wanted < n ? wanted : n;
        memcpy(kept, p->samples + (n - hold), hold * sizeof *kept);
        free(u->tail);
        u->tail = kept;
        u->n_tail = hold;
        p->n = n - hold;
        p->parts = u->delivered;
        p->n_tail = hold;
        u->joined += p->n;
        free(c->pcm);
        c->pcm = NULL;
        pthread_mutex_lock(&engine->lock);
        if (p->n && !u->reader.cancelled && !u->reader.ended)
            utterance_push(u, p);
        else
            piece_free(p);
        if (is_last) utterance_end(engine, u, ISHOW_OK, NULL);
        pthread_mutex_unlock(&engine->lock);
    }
}

void render_conclude(ishow_engine *engine, ishow_utterance *u) {
    piece *p = u->n_tail ? piece_make(u->n_tail) : NULL;
    ishow_error error;
    ishow_status status = ISHOW_OK;
    utterance_reference(u);
    if (p) {
        memcpy(p->samples, u->tail, u->n_tail * sizeof *u->tail);
        u->n_tail = 0;
        utterance_push(u, p);
    } else if (u->n_tail) {
        status = ishow_fail(&error, ISHOW_ENOMEM, "", "no memory for %zu samples", u->n_tail);
    }
    utterance_end(engine, u, status, status == ISHOW_OK ? NULL : &error);
    utterance_release(u);
}

/* target_rms > 0: the speech in the clip is brought to that RMS (less where its peak would clip). 0: F5's rule, the
 * reference's own level comes back. */
static void set_level(const ishow_engine *engine, const ishow_utterance *u, const voice *v, float *samples, size_t n,
                      float peak) {
    float factor = v && engine->backend.info.uses_prompt ? v->restore : 1.0f;
    if (u->target_rms > 0) {
        size_t begin, stop;
        ishow_audio_speech_span(samples, n, engine->backend.info.sample_rate, SILENCE_RMS, 0, &begin, &stop);
        float rms = ishow_audio_rms(samples + begin, stop - begin);
        factor = rms > 0 ? (float)u->target_rms / rms : 1.0f;
        if (factor * peak > PEAK_MAX) factor = PEAK_MAX / peak;
    }
    if (factor != 1.0f) ishow_audio_scale(samples, n, factor);
}

/* Converts mel to PCM in engine->pcm. *fault: why the clip must not be delivered, NULL: it may. */
static ishow_status vocode(ishow_engine *engine, job *j, size_t *n_out, const char **fault, ishow_error *error) {
    const ishow_backend *backend = &engine->backend;
    const ishow_model_info *info = &backend->info;
    ishow_utterance *u = j->utterance;
    const size_t frames = j->frames - j->ref_frames, T = ishow_spectrum_frames(info, frames),
                 bins = ishow_spectrum_bins(info);
    size_t n = (frames - 1) * (size_t)info->hop; /* those of the mel; the spectrum may reach a little further */
    *fault = NULL;
    if (!ishow_workspace_grow(&engine->real, T * bins, sizeof(float)) ||
        !ishow_workspace_grow(&engine->imag, T * bins, sizeof(float)) ||
        !ishow_workspace_grow(&engine->pcm, ishow_istft_samples(engine->istft, T), sizeof(float)))
        return no_memory(error, frames);
    double begin = ishow_now();
    ishow_status status = backend->vocode(backend->self, j->x + j->ref_frames * (size_t)info->n_mels, frames,
                                          engine->real.data, engine->imag.data, error);
    account(engine, u, ishow_now() - begin);
    if (status != ISHOW_OK) return status;
    float *samples = engine->pcm.data;
    status = ishow_istft_compute(engine->istft, engine->real.data, engine->imag.data, T, samples, error);
    if (status != ISHOW_OK) return status;

    ishow_audio_faults faults;
    ishow_audio_check(samples, n, info->sample_rate, &faults);
    if (faults.non_finite)
        *fault = "the vocoder made non-finite samples";
    else if (faults.silent)
        *fault = "the clip is silent";
    if (*fault) return ISHOW_OK;
    if (u->remove_silence) n = ishow_audio_remove_silence(samples, n, info->sample_rate, PAUSE_MAX, PAUSE_MARGIN);
    set_level(engine, u, u->chunks[j->index].voice, samples, n, faults.peak);
    *n_out = n;
    return ISHOW_OK;
}

/* Starts the row again with other noise if attempts are left. 0: the utterance has failed. */
static int again(ishow_engine *engine, job *j, const char *why) {
    ishow_utterance *u = j->utterance;
    ishow_error error = {0};
    if (u->noise || j->retry >= __atomic_load_n(&engine->options.retries, __ATOMIC_RELAXED)) {
        ishow_fail(&error, ISHOW_EMODEL, "", "no usable audio for part %zu of %zu after %d tries with seed %llu: %s",
                   j->index + 1, u->n_chunks, j->retry + 1, (unsigned long long)u->seed, why);
        ishow_log(ISHOW_LOG_WARN, "engine", "%s", error.message);
        end(engine, u, ISHOW_EMODEL, &error);
        return 0;
    }
    ishow_log(ISHOW_LOG_INFO, "engine", "part %zu of %zu is made again: %s", j->index + 1, u->n_chunks, why);
    pthread_mutex_lock(&engine->lock);
    u->reader.timings.retries++;
    engine->stats.retries++;
    pthread_mutex_unlock(&engine->lock);
    __atomic_sub_fetch(&u->calls, j->calls, __ATOMIC_RELAXED);
    j->retry++;
    ishow_status status = enter(engine, j, &error);
    if (status != ISHOW_OK) end(engine, u, status, &error);
    return status == ISHOW_OK;
}

void render_finish(ishow_engine *engine, job *j, const ishow_row_result *result) {
    ishow_utterance *u = j->utterance;
    chunk *c = &u->chunks[j->index];
    ishow_error error = {0};
    const char *fault = NULL;
    size_t n = 0;

    if (result->outcome == ISHOW_ROW_CANCELLED || __atomic_load_n(&u->stop, __ATOMIC_ACQUIRE)) goto done;
    if (result->outcome == ISHOW_ROW_FAILED) {
        if (!ishow_all_finite(j->x, j->frames * (size_t)engine->backend.info.n_mels)) {
            if (again(engine, j, result->error.message)) return;
            goto done;
        }
        ishow_log(ISHOW_LOG_ERROR, "engine", "a step failed: %s", result->error.message);
        end(engine, u, result->error.status, &result->error);
        goto done;
    }
    ishow_status status = vocode(engine, j, &n, &fault, &error);
    if (status != ISHOW_OK) {
        ishow_log(ISHOW_LOG_ERROR, "engine", "vocoding failed: %s", error.message);
        end(engine, u, status, &error);
        goto done;
    }
    if (fault) {
        if (again(engine, j, fault)) return;
        goto done;
    }
    c->pcm = malloc((n ? n : 1) * sizeof *c->pcm);
    if (!c->pcm) {
        no_memory(&error, j->frames);
        end(engine, u, ISHOW_ENOMEM, &error);
        goto done;
    }
    memcpy(c->pcm, engine->pcm.data, n * sizeof *c->pcm);
    c->n_pcm = n;
    c->finished = 1;
    trajectory_finish(engine, j);
    join(engine, u);
done:
    render_drop(engine, j);
}
