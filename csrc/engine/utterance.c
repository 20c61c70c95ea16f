/* An utterance as its caller sees it: submitted, read piece by piece, cancelled, freed. What the engine's threads do
 * with it is in prepare.c and inference.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/field.h"
#include "engine/admission.h"

ishow_request ishow_request_default(void) {
    ishow_request request = {0};
    ishow_fields_default(&ishow_request_fields, &request);
    ishow_fields_default(&ishow_feed_fields, &request);
    return request;
}

void utterance_reference(ishow_utterance *u) { __atomic_add_fetch(&u->references, 1, __ATOMIC_RELAXED); }

void chunks_free(chunk *chunks, size_t n) {
    for (size_t i = 0; chunks && i < n; i++) {
        free(chunks[i].tokens);
        free(chunks[i].words);
        free(chunks[i].token_words);
        free(chunks[i].token_lengths);
        free(chunks[i].pcm);
        voice_release(chunks[i].voice);
    }
    free(chunks);
}

void utterance_release(ishow_utterance *u) {
    if (__atomic_sub_fetch(&u->references, 1, __ATOMIC_ACQ_REL)) return;
    reader_destroy(&u->reader);
    free(u->tail);
    free(u->noise);
    trajectories_free(u->trajectories);
    chunks_free(u->chunks, u->n_chunks);
    voice_release(u->voice);
    feed_free(u->feed);
    free(u->text);
    free(u->essential);
    engine_release(u->engine);
    free(u);
}

void utterance_push(ishow_utterance *u, piece *p) {
    if (u->feed)
        u->feed->plays_until = fmax(u->feed->plays_until, ishow_now()) + (double)p->n / u->reader.timings.sample_rate;
    reader_push(&u->reader, p);
}

void utterance_end(ishow_engine *engine, ishow_utterance *u, ishow_status status, const ishow_error *error) {
    if (u->reader.ended) return;
    reader_end(&u->reader, status, error);
    __atomic_store_n(&u->stop, 1, __ATOMIC_RELEASE);
    if (u->previous)
        u->previous->next = u->next;
    else
        engine->living = u->next;
    if (u->next)
        u->next->previous = u->previous;
    else
        engine->newest = u->previous;
    engine->n_living--;
    reader_tell(&u->reader);
    utterance_release(u); /* the list's reference; the engine's own is still there, so this never frees the lock */
}

int ishow_request_steps(const ishow_request *request, const ishow_model_info *info) {
    return request->nfe ? request->nfe : info->nfe ? info->nfe : ISHOW_NFE_DEFAULT;
}

ishow_status ishow_request_check(const ishow_request *request, float *t, ishow_error *error) {
    ishow_status status;
    size_t characters = request->text ? ishow_utf8_length(request->text) : 0;
    if (characters == SIZE_MAX) return ishow_fail(error, ISHOW_EINVAL, "text", "text is not valid UTF-8");
    if (characters < !request->open || characters > ISHOW_MAX_TEXT_CHARS)
        return ishow_fail(error, ISHOW_EINVAL, "text", "text must have 1 to %d characters, got %zu",
                          ISHOW_MAX_TEXT_CHARS, characters);
    if (request->open && request->fix_duration > 0)
        return ishow_fail(error, ISHOW_EINVAL, "fix_duration",
                          "fix_duration needs a whole text, not one that comes in pieces");
    ishow_span *spans = NULL;
    size_t n_spans = 0;
    const ishow_pace whole = {.by_bytes = 1};
    status = ishow_chunk_split(request->text, &whole, INFINITY, 0, &spans, &n_spans, error);
    free(spans);
    if (status != ISHOW_OK) return status;
    if (n_spans == 0 && !request->open) return ishow_fail(error, ISHOW_EINVAL, "text", "text holds only white space");
    if ((status = ishow_fields_check(&ishow_feed_fields, request, error)) != ISHOW_OK) return status;
    if ((status = ishow_fields_check(&ishow_request_fields, request, error)) != ISHOW_OK) return status;
    if (request->markup && request->fix_duration > 0)
        return ishow_fail(error, ISHOW_EINVAL, "fix_duration",
                          "fix_duration is for a text in one voice and without pauses: it does not go with markup");
    if (!(request->deadline >= 0 && request->deadline <= 1e6))
        return ishow_fail(error, ISHOW_EINVAL, "deadline", "deadline must be 0 to 1e6 s, got %g", request->deadline);
    if (!(request->ahead >= 0))
        return ishow_fail(error, ISHOW_EINVAL, "ahead", "ahead must be 0 s or more, got %g", request->ahead);
    status = request->sampler ? sampler_input_check(request->sampler, error) : ISHOW_OK;
    return status ? status : ishow_grid_make(request->grid, request->nfe, request->sway, t, error);
}

uint64_t ishow_request_seed(void) {
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) seed = (uint64_t)(ishow_now() * 1e9);
    return seed & ((UINT64_C(1) << 53) - 1);
}

static ishow_utterance *make(ishow_engine *engine, const ishow_request *request, void (*notify)(void *user),
                             void *user) {
    ishow_utterance *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    const int has_essential = request->essential && *request->essential;
    const ishow_position *from = request->from;
    u->text = ishow_strdup(request->text);
    u->essential = has_essential ? ishow_strdup(request->essential) : NULL;
    u->tail = from && from->n_tail ? ishow_alloc(from->n_tail, sizeof *u->tail) : NULL;
    u->feed = request->open ? feed_make(request) : NULL;
    u->complete = !request->open;
    if (!u->text || (has_essential && !u->essential) || (from && from->n_tail && !u->tail) ||
        (request->open && !u->feed)) {
        free(u->tail);
        feed_free(u->feed);
        free(u->text);
        free(u->essential);
        free(u);
        return NULL;
    }
    reader_init(&u->reader, &engine->lock, &engine->stats, notify, user);
    __atomic_add_fetch(&engine->references, 1, __ATOMIC_RELAXED);
    u->engine = engine;
    if (from) {
        if (from->n_tail) memcpy(u->tail, from->tail, from->n_tail * sizeof *u->tail);
        u->n_tail = from->n_tail;
        u->resumed = u->admitted = u->delivered = from->part;
        u->resumed_plan = from->plan;
    }
    u->head.kind = engine->head.kind;
    u->references = 2; /* the caller's and the list's */
    u->path = (ishow_path){.solver = request->solver,
                           .t = u->t,
                           .nfe = request->nfe,
                           .cfg = (float)request->cfg,
                           .guided_from = (float)request->guidance_from,
                           .guided_to = (float)request->guidance_to};
    u->short_guidance = request->short_guidance;
    u->prompt_cache = request->prompt_cache;
    u->priority = request->priority;
    u->ahead = request->ahead;
    u->remove_silence = request->remove_silence;
    u->early = request->early;
    u->markup = request->markup;
    u->speed = request->speed;
    u->target_rms = request->target_rms;
    u->cross_fade = request->cross_fade;
    u->fix_duration = request->fix_duration;
    u->seed = request->has_seed ? request->seed : ishow_request_seed();
    u->deadline = request->deadline > 0 ? u->reader.submitted + request->deadline : 0;
    u->reader.timings.seed = u->seed;
    return u;
}

ishow_status ishow_request_check_voice(const ishow_request *r, int found, double seconds, int needs_voice,
                                       const char *known, ishow_error *error) {
    if (!found && r->voice)
        return ishow_fail(error, ISHOW_ENOTFOUND, "voice_id", "there is no voice '%.64s'%s%s", r->voice,
                          *known ? "; there are " : "", known);
    if (!found && needs_voice)
        return ishow_fail(error, ISHOW_ENOTFOUND, "voice_id", "no voice is configured, and this model needs one");
    if (found && r->fix_duration > 0 && r->fix_duration < seconds + 0.2)
        return ishow_fail(error, ISHOW_EINVAL, "fix_duration",
                          "fix_duration counts the reference too: it must be at least %.2f s for this voice, got %g",
                          seconds + 0.2, r->fix_duration);
    return ISHOW_OK;
}

double ishow_request_work(const ishow_request *r, double frames_per_second) {
    const ishow_path path = {.solver = r->solver,
                             .t = NULL,
                             .nfe = r->nfe,
                             .cfg = (float)r->cfg,
                             .guided_from = (float)r->guidance_from,
                             .guided_to = (float)r->guidance_to};
    const double seconds = ishow_speech_seconds(r->text, strlen(r->text)) / r->speed;
    return seconds * frames_per_second * ishow_path_calls(&path);
}

ishow_status local_submit(ishow_engine *engine, const ishow_request *given, void (*notify)(void *user), void *user,
                          ishow_utterance **out, ishow_error *error) {
    float t[ISHOW_NFE_MAX + 1];
    char known[320] = "";
    ishow_request own = *given;
    const ishow_request *const request = &own;
    *out = NULL;
    own.nfe = ishow_request_steps(given, &engine->info);
    ishow_status status = ishow_request_check(request, t, error);
    if (status != ISHOW_OK) return status;
    ishow_utterance *u = make(engine, request, notify, user);
    if (!u) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for an utterance");
    memcpy(u->t, t, sizeof t);
    if (request->sampler) /* what is copied here does not change while the engine lives */
        status = sampler_input_take(u, request->sampler, (size_t)engine->info.n_mels, error);

    pthread_mutex_lock(&engine->lock);
    u->voice = voice_find(engine, request->voice);
    u->reader.timings.sample_rate = engine->info.sample_rate;
    u->path.embedded = request->embedded_guidance && u->path.cfg <= engine->info.guidance_max;
    for (const voice *v = engine->voices; v && !u->voice; v = v->next)
        ishow_voice_names_add(known, sizeof known, v->id);
    if (status != ISHOW_OK) {
        /* said already */
    } else if (engine->stopping) {
        status = ishow_fail(error, ISHOW_ESTATE, "", "the engine is closing");
    } else if ((status = ishow_request_check_voice(request, u->voice != NULL, u->voice ? u->voice->seconds : 0,
                                                   ishow_clip_needs_text(&engine->info), known, error)) != ISHOW_OK) {
        /* said already */
    } else {
        u->left = admission_estimate(engine, u);
        if ((status = admission_check(engine, u, error)) != ISHOW_OK) engine->stats.refused++;
    }
    if (status == ISHOW_OK) {
        if (u->voice) strcpy(u->reader.timings.voice, u->voice->id);
        admission_insert(engine, u);
        engine->stats.submitted++;
        pthread_cond_signal(&engine->text_work);
        if (u->deadline > 0) pthread_cond_signal(&engine->model_work); /* the inference thread waits for deadlines */
    }
    pthread_mutex_unlock(&engine->lock);
    if (status != ISHOW_OK) {
        u->references = 1;
        utterance_release(u);
        return status;
    }
    ishow_handle_made();
    *out = u;
    return ISHOW_OK;
}

ishow_status local_next(ishow_utterance *u, double timeout, const float **samples, size_t *n, ishow_error *error) {
    pthread_mutex_lock(&u->engine->lock);
    const ishow_status status = reader_next(&u->reader, timeout, samples, n, error);
    if (*n && u->ahead > 0) pthread_cond_signal(&u->engine->model_work); /* another part may begin */
    if (*n && u->feed) pthread_cond_signal(&u->engine->text_work);       /* it lets more be spoken */
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}

void ishow_utterance_position(ishow_utterance *u, ishow_position *out) {
    pthread_mutex_lock(&u->engine->lock);
    *out = (ishow_position){.plan = u->plan};
    if (u->reader.current) {
        out->part = u->reader.current->parts;
        out->tail = u->reader.current->samples + u->reader.current->n;
        out->n_tail = u->reader.current->n_tail;
    }
    pthread_mutex_unlock(&u->engine->lock);
}

void local_words(ishow_utterance *u, const ishow_word **words, size_t *n) { reader_words(&u->reader, words, n); }

/* With the lock. */
static void cancel(ishow_utterance *u) {
    reader_cancel(&u->reader);
    __atomic_store_n(&u->stop, 1, __ATOMIC_RELEASE);
    if (!u->reader.ended) pthread_cond_signal(&u->engine->model_work);
}

void local_cancel(ishow_utterance *u) {
    pthread_mutex_lock(&u->engine->lock);
    cancel(u);
    pthread_mutex_unlock(&u->engine->lock);
}

void local_timings(ishow_utterance *u, ishow_timings *out) { reader_timings(&u->reader, out); }

double local_progress(ishow_utterance *u) {
    double progress = 0;
    pthread_mutex_lock(&u->engine->lock);
    if (u->reader.ended && u->reader.status == ISHOW_OK)
        progress = 1;
    else if (u->reader.timings.chunks > 0)
        progress = (double)__atomic_load_n(&u->calls, __ATOMIC_RELAXED) /
                   ((double)u->reader.timings.chunks * ishow_path_calls(&u->path));
    pthread_mutex_unlock(&u->engine->lock);
    return progress < 1 ? progress : 1;
}

void local_free_utterance(ishow_utterance *u) {
    pthread_mutex_lock(&u->engine->lock);
    if (!u->reader.ended) cancel(u);
    reader_detach(&u->reader);
    pthread_mutex_unlock(&u->engine->lock);
    utterance_release(u);
    ishow_handle_freed();
}
