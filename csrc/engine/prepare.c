/* The text thread: turns a text into chunks of tokens, each with its length. Only this thread calls the front end, so a
 * front end in Python costs the model nothing but the interpreter lock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

static const double CHUNK_SECONDS_MIN = 5.0; /* of new speech in a chunk, however long the reference is */

/* Checks that the essential part of a text has a sound. */
static ishow_status check_essential(ishow_engine *engine, const ishow_utterance *u, const char *language,
                                    ishow_error *error) {
    char *normal = NULL;
    ishow_unspoken ignored = {0};
    if (!u->essential) return ISHOW_OK;
    ishow_status status =
        engine->frontend.normalize(engine->frontend.self, u->essential, language, &normal, &ignored, error);
    free(normal);
    return status;
}

/* Normalises the voice's text, once; used by this thread only. */
static ishow_status speak_reference(ishow_engine *engine, voice *v, ishow_error *error) {
    char *normal = NULL;
    if (v->spoken) return ISHOW_OK;
    ishow_error why = {0};
    ishow_unspoken ignored = {0};
    ishow_status status = engine->frontend.normalize(engine->frontend.self, v->text,
                                                     v->language[0] ? v->language : NULL, &normal, &ignored, &why);
    if (status != ISHOW_OK) {
        ishow_fail(error, status, "voice_id", "the reference text of voice '%s' cannot be read: %s", v->id,
                   why.message);
        goto done;
    }
    v->spoken = voice_close_text(normal);
    if (!v->spoken) status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference text");
done:
    free(normal);
    return status;
}

/* Tokens of one chunk, plus one, since 0 is the filler token. */
static ishow_status tokenize(ishow_engine *engine, const char *ref_text, const char *text, const char *language,
                             const char *voice, chunk *c, ishow_error *error) {
    ishow_tokens tokens = {0};
    ishow_status status =
        engine->frontend.tokenize(engine->frontend.self, ref_text, text, language, voice, &tokens, error);
    if (status != ISHOW_OK) goto done;
    if (tokens.n_ref > tokens.n) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "the front end says that %zu of %zu tokens are the reference's",
                            tokens.n_ref, tokens.n);
        goto done;
    }
    c->tokens = ishow_alloc(tokens.n, sizeof *c->tokens);
    if (!c->tokens) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for %zu tokens", tokens.n);
        goto done;
    }
    for (size_t i = 0; i < tokens.n; i++) c->tokens[i] = (int64_t)tokens.ids[i] + 1;
    c->n_tokens = tokens.n;
    c->n_ref = tokens.n_ref;
done:
    free(tokens.ids);
    return status;
}

/* Frames of every chunk: fix_duration divided by units as F5 does (cross-fades added, so that the joined clip has the
 * requested length), else the pace's rule, else 0 where the model predicts durations. weights: [n]. */
static ishow_status set_lengths(const ishow_engine *engine, const ishow_utterance *u, size_t ref_frames,
                                const ishow_pace *pace, chunk *chunks, const double *weights, const size_t *ruled,
                                size_t n, ishow_error *error) {
    const ishow_model_info *info = &engine->info;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += weights[i];
    for (size_t i = 0; i < n; i++) {
        size_t frames = info->predicts_durations ? 0 : ruled[i];
        if (u->fix_duration > 0) {
            double total = u->fix_duration * pace->frames_per_second - (double)ref_frames +
                           u->cross_fade * pace->frames_per_second * (double)(n - 1);
            frames = (size_t)fmax(total * (sum > 0 ? weights[i] / sum : 1.0 / (double)n), 2);
        }
        if (ref_frames + frames > info->max_frames) {
            if (u->fix_duration > 0)
                return ishow_fail(error, ISHOW_EINVAL, "fix_duration",
                                  "fix_duration asks for %zu frames at once, and this model takes %zu (%.1f s)",
                                  ref_frames + frames, info->max_frames,
                                  (double)info->max_frames / pace->frames_per_second);
            frames = info->max_frames - ref_frames;
        }
        chunks[i].gen_frames = frames;
    }
    return ISHOW_OK;
}

static ishow_status prepare(ishow_engine *engine, const ishow_utterance *u, chunk **out, size_t *n_out,
                            ishow_unspoken *unspoken, ishow_error *error) {
    const ishow_model_info *info = &engine->info; /* shapes are constant: no lock */
    const voice *v = u->voice;
    char *normal = NULL, *part = NULL;
    ishow_span *spans = NULL;
    chunk *chunks = NULL;
    double *weights = NULL;
    size_t *ruled = NULL, n_spans = 0, n = 0;
    const char *language = v && v->language[0] ? v->language : NULL, *ref_text = "";
    size_t ref_frames = 0;

    ishow_status status = check_essential(engine, u, language, error);
    if (status != ISHOW_OK) goto done;
    status = engine->frontend.normalize(engine->frontend.self, u->text, language, &normal, unspoken, error);
    if (status != ISHOW_OK) goto done;
    if (v && info->uses_prompt) {
        status = speak_reference(engine, u->voice, error);
        if (status != ISHOW_OK) goto done;
        ref_text = v->spoken;
        ref_frames = v->frames;
    }
    double frames_per_second = (double)info->sample_rate / info->hop;
    ishow_pace pace = ishow_pace_make(ref_text, ref_frames, normal, frames_per_second);
    double ref_seconds = (double)ref_frames / frames_per_second,
           seconds_left = 0.8 * (double)(info->max_frames - ref_frames) / frames_per_second;
    double limit;
    __atomic_load(&engine->options.chunk_seconds, &limit, __ATOMIC_RELAXED);
    if (info->chunk_frames) limit = fmin(limit, (double)info->chunk_frames / frames_per_second);
    double seconds = fmin(fmax(limit - ref_seconds, CHUNK_SECONDS_MIN), seconds_left);
    const double units_per_second = frames_per_second / pace.frames_per_unit * u->speed;
    status = ishow_chunk_split(normal, &pace, seconds * units_per_second,
                               u->early ? ISHOW_EARLY_SECONDS * units_per_second : 0, &spans, &n_spans, error);
    if (status != ISHOW_OK) goto done;

    chunks = calloc(n_spans ? n_spans : 1, sizeof *chunks);
    weights = calloc(n_spans ? n_spans : 1, sizeof *weights);
    ruled = calloc(n_spans ? n_spans : 1, sizeof *ruled);
    part = malloc(strlen(normal) + 1);
    if (!chunks || !weights || !ruled || !part) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu chunks", n_spans);
        goto done;
    }
    for (size_t i = 0; i < n_spans; i++) {
        size_t bytes = spans[i].end - spans[i].begin;
        memcpy(part, normal + spans[i].begin, bytes);
        part[bytes] = '\0';
        status = tokenize(engine, ref_text, part, language, v ? v->id : NULL, &chunks[n], error);
        if (status == ISHOW_EINVAL && n_spans > 1) { /* nothing can be pronounced in this part, such as a row of dots */
            status = ISHOW_OK;
            continue;
        }
        if (status != ISHOW_OK) goto done;
        if (chunks[n].n_tokens == chunks[n].n_ref) {
            free(chunks[n].tokens);
            chunks[n].tokens = NULL;
            continue;
        }
        ruled[n] = ishow_pace_frames(&pace, part, bytes, u->speed);
        chunks[n].work = ishow_path_work(&u->path, 0, ref_frames + ruled[n], 0);
        weights[n] = ishow_pace_units(&pace, part, bytes);
        n++;
    }
    if (n == 0) {
        status = ishow_fail(error, ISHOW_EINVAL, "text", "text holds nothing that this voice can speak");
        goto done;
    }
    status = set_lengths(engine, u, ref_frames, &pace, chunks, weights, ruled, n, error);
    if (status != ISHOW_OK) goto done;
    *out = chunks;
    *n_out = n;
    chunks = NULL;
done:
    chunks_free(chunks, n);
    free(weights);
    free(ruled);
    free(part);
    free(spans);
    free(normal);
    return status;
}

/* Hash of the tokens and lengths of all chunks. */
static uint64_t plan_of(const chunk *chunks, size_t n) {
    ishow_cache_key key = {0, 0};
    for (size_t i = 0; i < n; i++) {
        const uint64_t sizes[] = {chunks[i].n_tokens, chunks[i].n_ref, chunks[i].gen_frames};
        key = ishow_cache_key_add(key, sizes, sizeof sizes);
        key = ishow_cache_key_add(key, chunks[i].tokens, chunks[i].n_tokens * sizeof *chunks[i].tokens);
    }
    return key.lo;
}

/* Whether a resumed utterance has the plan of the one that it goes on with. */
static ishow_status check_resumed(const ishow_utterance *u, size_t n, uint64_t plan, ishow_error *error) {
    if (!u->resumed || (plan == u->resumed_plan && u->resumed < n)) return ISHOW_OK;
    return ishow_fail(error, ISHOW_ESTATE, "",
                      "the text is cut or read otherwise here than where its first %zu parts were spoken", u->resumed);
}

/* The waiting utterance of highest priority, among equals the oldest. */
static ishow_utterance *next_text(const ishow_engine *engine) {
    ishow_utterance *best = NULL;
    for (ishow_utterance *u = engine->living; u; u = u->next)
        if (u->state == UTTERANCE_WAITING && !u->cancelled && (!best || u->priority > best->priority)) best = u;
    return best;
}

void *text_main(void *argument) {
    ishow_engine *engine = argument;
    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping) {
        ishow_utterance *u = next_text(engine);
        if (!u) {
            pthread_cond_wait(&engine->text_work, &engine->lock);
            continue;
        }
        u->state = UTTERANCE_PREPARING;
        utterance_reference(u);
        pthread_mutex_unlock(&engine->lock);

        chunk *chunks = NULL;
        size_t n = 0;
        ishow_error error = {0};
        ishow_unspoken unspoken = {0};
        double begin = ishow_now();
        ishow_status status = prepare(engine, u, &chunks, &n, &unspoken, &error);
        const uint64_t plan = plan_of(chunks, n);
        if (status == ISHOW_OK) status = check_resumed(u, n, plan, &error);
        double spent = ishow_now() - begin;

        pthread_mutex_lock(&engine->lock);
        u->timings.text = spent;
        u->timings.unspoken = unspoken;
        if (u->state != UTTERANCE_PREPARING) { /* ended meanwhile */
            chunks_free(chunks, n);
        } else if (status != ISHOW_OK) {
            chunks_free(chunks, n);
            utterance_end(engine, u, status, &error);
        } else {
            u->chunks = chunks;
            u->n_chunks = n;
            u->plan = plan;
            u->timings.chunks = (int)n;
            u->since = engine->work;
            u->state = UTTERANCE_READY;
            pthread_cond_signal(&engine->model_work);
        }
        utterance_release(u);
    }
    pthread_mutex_unlock(&engine->lock);
    if (engine->frontend.close) engine->frontend.close(engine->frontend.self);
    return NULL;
}
