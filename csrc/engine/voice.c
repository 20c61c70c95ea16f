/* Voices: the preparation of a reference, done once for all requests.
 *
 * Reference behaviour: f5_tts.infer.utils_infer.preprocess_ref_audio_text and infer_batch_process: silence at the
 * ends is removed but for 50 ms; a level under 0.1 RMS is raised to it, and the result is lowered by the same factor;
 * the text ends with punctuation and a space. Unlike there, audio whose text is part of the row is not cut at 12 s,
 * since the text would no longer fit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

static const float SILENCE_RMS = 0.001f; /* -60 dBFS */
static const double EDGE_SECONDS = 0.05;
static const double CUT_SECONDS_MIN = 5; /* a clip that is too long is cut in a pause between here and the limit */

void voice_release(voice *v) {
    if (!v || __atomic_sub_fetch(&v->references, 1, __ATOMIC_ACQ_REL)) return;
    free(v->text);
    free(v->spoken);
    voice_samples_free(v);
    free(v);
}

voice *voice_find(ishow_engine *engine, const char *id) {
    voice *v = engine->voices;
    while (v && id && strcmp(v->id, id) != 0) v = v->next;
    if (v) __atomic_add_fetch(&v->references, 1, __ATOMIC_RELAXED);
    return v;
}

char *voice_close_text(const char *text) {
    size_t n = strlen(text);
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    char *closed = malloc(n + 3);
    if (!closed) return NULL;
    memcpy(closed, text, n);
    closed[n] = '\0';
    if (!n) return closed;
    static const char *const wide[] = {"。", "！", "？", "…", "；", "：", "，", "、"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        size_t m = strlen(wide[i]);
        if (n >= m && memcmp(text + n - m, wide[i], m) == 0) return closed;
    }
    strcpy(closed + n, strchr(".!?;:,", text[n - 1]) ? " " : ". ");
    return closed;
}

static int id_is_valid(const char *id) {
    size_t n = id ? strlen(id) : 0;
    return n >= 1 && n <= 64 && strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* Resamples, trims and levels the reference into v. */
static ishow_status condition(ishow_engine *engine, voice *v, const ishow_voice *given, ishow_error *error) {
    ishow_pcm pcm = {0};
    const ishow_model_info *info = &engine->info; /* shapes are constant: no lock */
    double given_seconds = given->sample_rate > 0 ? (double)given->length / given->sample_rate : 0;
    if (!given->samples || given_seconds < ISHOW_REFERENCE_SECONDS_MIN || given_seconds > ISHOW_REFERENCE_SECONDS_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "audio", "the reference must last %g to %g s, got %.2f s",
                          ISHOW_REFERENCE_SECONDS_MIN, ISHOW_REFERENCE_SECONDS_MAX, given_seconds);
    for (size_t i = 0; i < given->length; i++)
        if (!isfinite(given->samples[i]))
            return ishow_fail(error, ISHOW_EINVAL, "audio", "the reference holds a non-finite sample at %zu", i);

    ishow_status status =
        ishow_audio_resample(given->samples, given->length, given->sample_rate, info->sample_rate, &pcm, error);
    if (status != ISHOW_OK) return status;
    size_t begin, end;
    ishow_audio_speech_span(pcm.samples, pcm.length, info->sample_rate, SILENCE_RMS, EDGE_SECONDS, &begin, &end);
    if (!ishow_clip_needs_text(info) && end - begin > (size_t)(ISHOW_CLIP_SECONDS_USED * info->sample_rate)) {
        const size_t n = ishow_audio_quiet_cut(pcm.samples + begin, end - begin, info->sample_rate, CUT_SECONDS_MIN,
                                               ISHOW_CLIP_SECONDS_USED);
        size_t from, to;
        ishow_audio_speech_span(pcm.samples + begin, n, info->sample_rate, SILENCE_RMS, EDGE_SECONDS, &from, &to);
        end = begin + to;
        begin += from;
    }
    if (end - begin <= (size_t)info->n_fft) {
        status =
            ishow_fail(error, ISHOW_EINVAL, "audio", "the reference holds no speech: nothing in it is above -60 dBFS");
        goto done;
    }
    v->length = end - begin;
    v->frames = v->length / (size_t)info->hop + 1;
    v->seconds = (double)v->length / info->sample_rate;
    if (v->frames >= info->max_frames / 2) {
        status = ishow_fail(error, ISHOW_ELIMIT, "audio",
                            "the reference takes %zu of the %zu frames of this model: at most half may be reference",
                            v->frames, info->max_frames);
        goto done;
    }
    v->samples = ishow_alloc(v->length, sizeof *v->samples);
    if (!v->samples) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a reference of %.1f s", v->seconds);
        goto done;
    }
    memcpy(v->samples, pcm.samples + begin, v->length * sizeof *v->samples);
    float rms = ishow_audio_rms(v->samples, v->length);
    if (rms < (float)ISHOW_TARGET_RMS) {
        ishow_audio_scale(v->samples, v->length, (float)ISHOW_TARGET_RMS / rms);
        v->restore = rms / (float)ISHOW_TARGET_RMS;
    }
    const int shape[] = {info->sample_rate, info->n_fft, info->hop, info->n_mels};
    v->key = ishow_cache_key_add((ishow_cache_key){0, 0}, "mel", 3);
    v->key = ishow_cache_key_add(v->key, shape, sizeof shape);
    v->key = ishow_cache_key_add(v->key, v->samples, v->length * sizeof *v->samples);
    voice_samples_put_aside(v);
done:
    ishow_pcm_free(&pcm);
    return status;
}

ishow_status voice_missing(const ishow_engine *engine, const char *asked, ishow_error *error) {
    char known[320] = "";
    for (const voice *v = engine->voices; v; v = v->next) ishow_voice_names_add(known, sizeof known, v->id);
    return ishow_fail(error, ISHOW_ENOTFOUND, "voice_id", "there is no voice '%.64s'%s%s", asked,
                      *known ? "; there are " : "", known);
}

ishow_status local_prepare_voice(ishow_engine *engine, const ishow_voice *given, ishow_prepared_voice **out,
                                 ishow_error *error) {
    ishow_status status = ISHOW_OK;
    *out = NULL;
    if (!id_is_valid(given->id))
        return ishow_fail(error, ISHOW_EINVAL, "voice_id",
                          "a voice id has 1 to 64 characters out of A-Z a-z 0-9 . _ -");
    const char *language = given->language ? given->language : "", *text = given->text ? given->text : "";
    if (strlen(language) >= sizeof((voice *)0)->language)
        return ishow_fail(error, ISHOW_EINVAL, "language", "a language tag has at most 15 characters");
    size_t characters = ishow_utf8_length(text);
    if (characters == SIZE_MAX) return ishow_fail(error, ISHOW_EINVAL, "text", "the reference text is not valid UTF-8");
    if (characters > ISHOW_MAX_TEXT_CHARS)
        return ishow_fail(error, ISHOW_EINVAL, "text", "the reference text has at most %d characters, got %zu",
                          ISHOW_MAX_TEXT_CHARS, characters);

    voice *v = calloc(1, sizeof *v);
    if (!v) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a voice");
    v->head = engine->head;
    v->references = 1;
    v->restore = 1;
    strcpy(v->id, given->id);
    strcpy(v->language, language);
    v->text = ishow_strdup(text);
    if (!v->text) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a voice");
        goto done;
    }
    if (ishow_clip_needs_text(&engine->info) && !ishow_text_scripts(text, strlen(text)) &&
        !strpbrk(text, "0123456789")) {
        status = ishow_fail(error, ISHOW_EINVAL, "text", "this model needs the exact text of the reference");
        goto done;
    }
    const int clip = given->samples || ishow_clip_needs_text(&engine->info); /* others have voices of their own */
    if (engine->info.uses_prompt && clip && (status = condition(engine, v, given, error)) != ISHOW_OK) goto done;
    *out = v;
    v = NULL;
done:
    voice_release(v);
    return status;
}

void local_discard_voice(ishow_prepared_voice *prepared) { voice_release(prepared); }

void local_install_voice(ishow_engine *engine, ishow_prepared_voice *v) {
    pthread_mutex_lock(&engine->lock);
    voice **at = &engine->voices;
    while (*at && strcmp((*at)->id, v->id) != 0) at = &(*at)->next;
    voice *old = *at;
    v->next = old ? old->next : NULL;
    *at = v;
    pthread_mutex_unlock(&engine->lock);
    voice_release(old); /* the list's reference to it */
}

ishow_status local_remove_voice(ishow_engine *engine, const char *id, ishow_error *error) {
    pthread_mutex_lock(&engine->lock);
    voice **at = &engine->voices;
    while (*at && strcmp((*at)->id, id) != 0) at = &(*at)->next;
    voice *v = *at;
    if (v) *at = v->next;
    pthread_mutex_unlock(&engine->lock);
    if (!v) return ishow_fail(error, ISHOW_ENOTFOUND, "voice_id", "there is no voice '%.64s'", id);
    voice_release(v);
    return ISHOW_OK;
}

ishow_status local_list_voices(ishow_engine *engine, ishow_voice_entry **out, size_t *n_out, ishow_error *error) {
    size_t n = 0, bytes = 0;
    pthread_mutex_lock(&engine->lock);
    for (voice *v = engine->voices; v; v = v->next) n++, bytes += strlen(v->text) + 1;
    ishow_voice_entry *entries = ishow_alloc(n * sizeof *entries + bytes, 1);
    if (entries) {
        char *texts = (char *)(entries + n);
        size_t i = 0;
        for (voice *v = engine->voices; v; v = v->next, i++) {
            strcpy(entries[i].id, v->id);
            strcpy(entries[i].language, v->language);
            entries[i].seconds = v->seconds;
            entries[i].text = strcpy(texts, v->text);
            texts += strlen(v->text) + 1;
        }
    }
    pthread_mutex_unlock(&engine->lock);
    *out = entries;
    *n_out = entries ? n : 0;
    return entries ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a list of %zu voices", n);
}

void ishow_voice_names_add(char *known, size_t n, const char *id) {
    const size_t used = strlen(known);
    if (used < n - 1) snprintf(known + used, n - used, "%s%s", used ? ", " : "", id);
}
