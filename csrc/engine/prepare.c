/* The text thread: turns a text into chunks of tokens, each with its length. Only this thread calls the front end, so a
 * front end in Python costs the model nothing but the interpreter lock. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

static void reading_free(ishow_reading *reading) {
    free(reading->text);
    free(reading->places);
}

/* Checks that the essential part of a text can be pronounced. */
static ishow_status check_essential(ishow_engine *engine, const ishow_utterance *u, ishow_error *error) {
    ishow_reading reading = {0};
    if (!u->essential) return ISHOW_OK;
    ishow_status status =
        engine->frontend.normalize(engine->frontend.self, u->essential,
                                   u->voice && u->voice->language[0] ? u->voice->language : NULL, 0, &reading, error);
    reading_free(&reading);
    return status;
}

/* Normalises the voice's text, once; used by this thread only. */
static ishow_status speak_reference(ishow_engine *engine, voice *v, ishow_error *error) {
    ishow_reading reading = {0};
    if (v->spoken) return ISHOW_OK;
    ishow_error why = {0};
    ishow_status status = engine->frontend.normalize(engine->frontend.self, v->text,
                                                     v->language[0] ? v->language : NULL, 0, &reading, &why);
    if (status != ISHOW_OK) {
        ishow_fail(error, status, "voice_id", "the reference text of voice '%s' cannot be read: %s", v->id,
                   why.message);
        goto done;
    }
    v->spoken = voice_close_text(reading.text);
    if (!v->spoken) status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference text");
done:
    reading_free(&reading);
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
        status =
            ishow_fail(error, ISHOW_EINTERNAL, "",
                       "the front end reported that %zu of %zu tokens belong to the reference", tokens.n_ref, tokens.n);
        goto done;
    }
    if (ref_text && engine->info.text_layout == ISHOW_TEXT_ALIGNED && tokens.n_ref != 1) {
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "the front end gave a reference %zu tokens instead of one",
                            tokens.n_ref);
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
    c->token_words = tokens.words;
    c->token_lengths = tokens.lengths;
    tokens.words = tokens.lengths = NULL;
done:
    free(tokens.ids);
    free(tokens.words);
    free(tokens.lengths);
    return status;
}

/* The chunks of the parts of a text. */
typedef struct plan {
    chunk *chunks;
    double *units; /* of each chunk, by the pace of its voice */
    size_t n, capacity;
    double pause; /* seconds of silence before the next part */
    ishow_unspoken unspoken;
    const char *text; /* the text that is planned: the utterance's, or the part taken of it */
    size_t offset;    /* characters of the utterance's text before it */
    size_t start;     /* characters of `text` before the part of it that is planned */
    double early;     /* approximate seconds of the first chunk; 0: as long as allowed */
} plan;

static ishow_status reserve_chunks(plan *p, size_t more, ishow_error *error) {
    if (p->capacity - p->n >= more) return ISHOW_OK;
    const size_t capacity = p->n + more;
    chunk *chunks = realloc(p->chunks, capacity * sizeof *chunks);
    if (chunks) p->chunks = chunks;
    double *units = realloc(p->units, capacity * sizeof *units);
    if (units) p->units = units;
    if (!chunks || !units) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu chunks", capacity);
    p->capacity = capacity;
    return ISHOW_OK;
}

/* Frames of a chunk by the voice's pace, at most as many as fit; 0 when the model predicts durations. */
static size_t ruled_frames(const ishow_model_info *info, size_t ref_frames, size_t frames) {
    if (info->predicts_durations) frames = 0;
    return ref_frames + frames > info->max_frames ? info->max_frames - ref_frames : frames;
}

/* Divides fix_duration among the chunks by their units, as F5 does; cross-fades are added, so that the joined clip has
 * the requested length. */
static ishow_status fix_lengths(const ishow_engine *engine, const ishow_utterance *u, plan *p, ishow_error *error) {
    const ishow_model_info *info = &engine->info;
    const size_t ref_frames = info->uses_prompt && u->voice ? u->voice->frames : 0;
    const double frames_per_second = (double)info->sample_rate / info->hop;
    double sum = 0;
    for (size_t i = 0; i < p->n; i++) sum += p->units[i];
    for (size_t i = 0; i < p->n; i++) {
        const double total = u->fix_duration * frames_per_second - (double)ref_frames +
                             u->cross_fade * frames_per_second * (double)(p->n - 1);
        const size_t frames = (size_t)fmax(total * (sum > 0 ? p->units[i] / sum : 1.0 / (double)p->n), 2);
        if (ref_frames + frames > info->max_frames)
            return ishow_fail(error, ISHOW_EINVAL, "fix_duration",
                              "fix_duration asks for %zu frames at once, and this model takes %zu (%.1f s)",
                              ref_frames + frames, info->max_frames, (double)info->max_frames / frames_per_second);
        p->chunks[i].gen_frames = frames;
    }
    return ISHOW_OK;
}

/* Adds a chunk for text[0..bytes) in a voice. A chunk without anything speakable, such as a row of dots, is left out,
 * unless it is the only one of its part (`alone`). */
static ishow_status add_chunk(ishow_engine *engine, const ishow_utterance *u, voice *v, double speed,
                              const ishow_pace *pace, const char *ref_text, const ishow_reading *reading,
                              ishow_span span, char *text, int alone, plan *p, ishow_error *error) {
    const ishow_model_info *info = &engine->info;
    const size_t bytes = strlen(text), ref_frames = info->uses_prompt && v ? v->frames : 0;
    chunk c = {.speed = speed};
    ishow_status status =
        tokenize(engine, ref_text, text, v && v->language[0] ? v->language : NULL, v ? v->id : NULL, &c, error);
    if (status == ISHOW_EINVAL && !alone) return ISHOW_OK;
    if (status != ISHOW_OK) return status;
    const int empty = c.n_tokens == c.n_ref;
    const int placed = empty || words_take(&c, reading, span, p->offset + p->start);
    if (empty || !placed) {
        free(c.tokens);
        free(c.token_words);
        free(c.token_lengths);
        return placed ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the words of a text");
    }
    const size_t frames = ishow_pace_frames(pace, text, bytes, speed);
    c.gen_frames = ruled_frames(info, ref_frames, frames);
    c.work = ishow_path_work(&u->path, 0, ref_frames + frames, 0, 0);
    c.pause = (size_t)(p->pause * info->sample_rate + 0.5);
    c.apart = p->pause > 0 || (p->n && p->chunks[p->n - 1].voice != v);
    c.voice = v;
    if (v) __atomic_add_fetch(&v->references, 1, __ATOMIC_RELAXED);
    p->pause = 0;
    p->units[p->n] = ishow_pace_units(pace, text, bytes);
    p->chunks[p->n++] = c;
    return ISHOW_OK;
}

/* Adds the chunks of one part of the text. EINVAL, field "text": nothing in it can be pronounced. */
static ishow_status plan_part(ishow_engine *engine, const ishow_utterance *u, const char *text, voice *v, double speed,
                              plan *p, ishow_error *error) {
    const ishow_model_info *info = &engine->info; /* shapes are constant: no lock */
    ishow_reading reading = {0};
    char *piece = NULL;
    ishow_span *spans = NULL;
    size_t n_spans = 0, ref_frames = 0;
    const char *ref_text = NULL;

    ishow_status status = engine->frontend.normalize(
        engine->frontend.self, text, v && v->language[0] ? v->language : NULL, u->markup, &reading, error);
    if (status != ISHOW_OK) goto done;
    const char *normal = reading.text;
    if (v && v->frames) {
        if (ishow_clip_needs_text(info) && (status = speak_reference(engine, v, error)) != ISHOW_OK) goto done;
        ref_text = v->spoken ? v->spoken : "";
        ref_frames = v->frames;
    }
    if (!p->unspoken.count)
        p->unspoken = reading.unspoken;
    else
        p->unspoken.count += reading.unspoken.count;
    double frames_per_second = (double)info->sample_rate / info->hop;
    ishow_pace pace = ishow_pace_make(v && v->spoken ? v->spoken : "", ref_frames, normal, frames_per_second);
    double ref_seconds = (double)ref_frames / frames_per_second,
           seconds_left = 0.8 * (double)(info->max_frames - ref_frames) / frames_per_second;
    double limit;
    __atomic_load(&engine->options.chunk_seconds, &limit, __ATOMIC_RELAXED);
    if (info->chunk_frames) limit = fmin(limit, (double)info->chunk_frames / frames_per_second);
    double seconds = fmin(fmax(limit - ref_seconds, ISHOW_CHUNK_SECONDS_MIN), seconds_left);
    const double units_per_second = frames_per_second / pace.frames_per_unit * speed;
    status = ishow_chunk_split(normal, &pace, seconds * units_per_second, p->n ? 0 : p->early * units_per_second,
                               &spans, &n_spans, error);
    if (status != ISHOW_OK) goto done;
    status = reserve_chunks(p, n_spans, error);
    piece = malloc(strlen(normal) + 1);
    if (!status && !piece) status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a text of %zu chunks", n_spans);
    for (size_t i = 0; status == ISHOW_OK && i < n_spans; i++) {
        const size_t bytes = spans[i].end - spans[i].begin;
        memcpy(piece, normal + spans[i].begin, bytes);
        piece[bytes] = '\0';
        status = add_chunk(engine, u, v, speed, &pace, ref_text, &reading, spans[i], piece, n_spans == 1, p, error);
    }
done:
    free(piece);
    free(spans);
    reading_free(&reading);
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

/* Checks that a resumed utterance has the same plan as the one it continues. */
static ishow_status check_resumed(const ishow_utterance *u, size_t n, uint64_t plan, ishow_error *error) {
    if (!u->resumed || (plan == u->resumed_plan && u->resumed < n)) return ISHOW_OK;
    return ishow_fail(error, ISHOW_ESTATE, "",
                      "the text is divided or read differently here than where its first %zu parts were spoken",
                      u->resumed);
}

/* The voice that a markup command names; counted. */
static ishow_status part_voice(ishow_engine *engine, const ishow_part *part, voice *own, voice **out,
                               ishow_error *error) {
    ishow_status status = ISHOW_OK;
    pthread_mutex_lock(&engine->lock);
    *out = own;
    if (part->voice[0] && !(*out = voice_find(engine, part->voice)))
        status = voice_missing(engine, part->voice, error);
    else if (*out && !part->voice[0])
        __atomic_add_fetch(&own->references, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* Plans the parts of a text with markup; a part that cannot be pronounced lengthens the pause before the next. */
static ishow_status plan_parts(ishow_engine *engine, const ishow_utterance *u, plan *p, ishow_error *error) {
    ishow_part *parts = NULL;
    size_t n = 0;
    if (!engine->frontend.cut) return plan_part(engine, u, p->text, u->voice, u->speed, p, error);
    ishow_status status = engine->frontend.cut(engine->frontend.self, p->text, &parts, &n, error);
    for (size_t i = 0; status == ISHOW_OK && i < n; i++) {
        voice *v = NULL;
        p->pause += parts[i].pause;
        p->start = parts[i].start;
        if (!parts[i].text[0]) continue;
        status = part_voice(engine, &parts[i], u->voice, &v, error);
        if (status == ISHOW_OK)
            status = plan_part(engine, u, parts[i].text, v, parts[i].speed > 0 ? parts[i].speed : u->speed, p, error);
        if (status == ISHOW_EINVAL && !strcmp(error->field, "text") && (p->n || i + 1 < n)) status = ISHOW_OK;
        voice_release(v);
    }
    ishow_parts_free(parts, n);
    return status;
}

static ishow_status prepare(ishow_engine *engine, const ishow_utterance *u, plan *p, ishow_error *error) {
    ishow_status status = check_essential(engine, u, error);
    if (status == ISHOW_OK)
        status =
            u->markup ? plan_parts(engine, u, p, error) : plan_part(engine, u, p->text, u->voice, u->speed, p, error);
    if (status == ISHOW_OK && p->n == 0)
        status = ishow_fail(error, ISHOW_EINVAL, "text", "text holds nothing that this voice can speak");
    if (status == ISHOW_OK && u->fix_duration > 0) status = fix_lengths(engine, u, p, error);
    return status;
}

/* The waiting utterance of highest priority that has text to prepare, the oldest among equals. *n: bytes to take of a
 * text that arrives in pieces, 0: that text has ended. *wake: when to call again. */
static ishow_utterance *next_text(const ishow_engine *engine, size_t *n, double *wake) {
    ishow_utterance *best = NULL;
    const double now = ishow_now();
    for (ishow_utterance *u = engine->living; u; u = u->next) {
        if (u->state != UTTERANCE_WAITING || u->reader.cancelled || (best && u->priority <= best->priority)) continue;
        const size_t due = u->feed ? feed_due(u, now, wake) : 0;
        if (u->feed && !due && (u->feed->open || u->feed->text.n)) continue;
        best = u;
        *n = due;
    }
    return best;
}

static void wait_for_text(ishow_engine *engine, double wake) {
    struct timespec until;
    if (isinf(wake)) {
        pthread_cond_wait(&engine->text_work, &engine->lock);
        return;
    }
    ishow_deadline(wake - ishow_now(), &until);
    pthread_cond_timedwait(&engine->text_work, &engine->lock, &until);
}

/* Hands the chunks of p over to u; for a text that arrives in pieces they are those of its next part. The lock is
 * held. */
static void publish(ishow_engine *engine, ishow_utterance *u, plan *p, uint64_t plan_hash) {
    if (u->feed) {
        chunks_free(u->chunks, u->n_chunks);
        u->before += u->n_chunks;
        u->admitted = u->delivered = 0;
    }
    u->chunks = p->chunks;
    u->n_chunks = p->n;
    u->plan = plan_hash;
    u->pause = (size_t)(p->pause * engine->info.sample_rate + 0.5);
    p->chunks = NULL;
    p->n = 0;
    u->reader.timings.chunks += (int)u->n_chunks;
    u->since = engine->work;
    u->left = 0;
    u->share = engine->share;
    for (size_t i = u->admitted; i < u->n_chunks; i++) u->left += u->share * u->chunks[i].work;
    u->state = UTTERANCE_READY;
    if (u->feed) {
        u->feed->parts++;
        u->complete = !u->feed->open && !u->feed->text.n;
    }
    pthread_cond_signal(&engine->model_work);
}

/* Ends an utterance whose text arrived in pieces and has been spoken completely. The lock is held. */
static void conclude(ishow_engine *engine, ishow_utterance *u) {
    ishow_error error = {0};
    if (u->feed->parts) {
        u->complete = 1;
        u->state = UTTERANCE_READY;
        pthread_cond_signal(&engine->model_work);
        return;
    }
    ishow_fail(&error, ISHOW_EINVAL, "text", "the text ended and held nothing that this voice can speak");
    utterance_end(engine, u, ISHOW_EINVAL, &error);
}

/* Prepares the next part of u's text and hands its chunks over. The lock is held, and released meanwhile. */
static void read_text(ishow_engine *engine, ishow_utterance *u, size_t n_bytes) {
    plan p = {.offset = u->feed ? u->feed->taken : 0};
    ishow_error error = {0};
    ishow_status status = ISHOW_ENOMEM;
    u->state = UTTERANCE_PREPARING;
    char *part = u->feed ? feed_take(u, n_bytes) : NULL;
    p.text = part ? part : u->text;
    p.early = u->early && !u->feed ? ISHOW_EARLY_SECONDS
                                   : 0; /* a part of a text that arrives in pieces is one chunk if it fits */
    if (part && !u->feed->parts) u->reader.began = ishow_now();
    if (part) reader_tell(&u->reader); /* there is room for more text */
    pthread_mutex_unlock(&engine->lock);
    const double begin = ishow_now();
    if (u->feed && !part)
        ishow_fail(&error, ISHOW_ENOMEM, "", "no memory for a part of a text");
    else
        status = prepare(engine, u, &p, &error);
    const uint64_t plan_hash = plan_of(p.chunks, p.n);
    if (status == ISHOW_OK) status = check_resumed(u, p.n, plan_hash, &error);
    const double spent = ishow_now() - begin;
    free(part);
    pthread_mutex_lock(&engine->lock);
    u->reader.timings.text += spent;
    u->reader.timings.unspoken.count += p.unspoken.count;
    if (p.unspoken.count && !u->reader.timings.unspoken.first[0])
        memcpy(u->reader.timings.unspoken.first, p.unspoken.first, sizeof p.unspoken.first);
    if (u->reader.ended) {
        /* the utterance has ended meanwhile */
    } else if (status == ISHOW_OK) {
        publish(engine, u, &p, plan_hash);
    } else if (u->feed && status == ISHOW_EINVAL && !strcmp(error.field, "text")) {
        u->state = UTTERANCE_WAITING; /* a part without words, such as a row of dots */
    } else {
        utterance_end(engine, u, status, &error);
    }
    chunks_free(p.chunks, p.n);
    free(p.units);
}

void *text_main(void *argument) {
    ishow_engine *engine = argument;
    pthread_mutex_lock(&engine->lock);
    while (!engine->stopping) {
        size_t n = 0;
        double wake = INFINITY;
        ishow_utterance *u = next_text(engine, &n, &wake);
        if (!u) {
            wait_for_text(engine, wake);
            continue;
        }
        utterance_reference(u);
        if (u->feed && !n)
            conclude(engine, u);
        else
            read_text(engine, u, n);
        utterance_release(u);
    }
    pthread_mutex_unlock(&engine->lock);
    if (engine->frontend.close) engine->frontend.close(engine->frontend.self);
    return NULL;
}
