/* See voice_registry.h. */
#include "service/voice_registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

ishow_status ishow_voice_registry_create(voice_registry **out, ishow_store *store, ishow_error *error) {
    voice_registry *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
    pthread_mutex_init(&r->change, NULL);
    pthread_mutex_init(&r->lock, NULL);
    ishow_status status = store ? ishow_voice_store_open(&r->store, store, error) : ISHOW_OK;
    if (status)
        ishow_voice_registry_free(r);
    else
        *out = r;
    return status;
}

static void entries_free(registry_entry *e) {
    while (e) {
        registry_entry *next = e->next;
        entry_free(e);
        e = next;
    }
}

void ishow_voice_registry_free(voice_registry *r) {
    if (!r) return;
    entries_free(r->entries);
    ishow_voice_store_close(r->store);
    pthread_mutex_destroy(&r->change);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void entry_free(registry_entry *e) {
    if (!e) return;
    free(e->audio);
    free(e->text);
    free(e->override_audio);
    free(e->override_text);
    free(e);
}

static registry_entry *find(registry_entry *e, const char *id) {
    while (e && strcmp(e->id, id)) e = e->next;
    return e;
}

static registry_entry *copy_of(const registry_entry *e) {
    registry_entry *c = malloc(sizeof *c);
    if (!c) return NULL;
    *c = *e;
    c->next = NULL;
    c->audio = ishow_strdup(e->audio);
    c->text = ishow_strdup(e->text);
    c->override_audio = ishow_strdup(e->override_audio);
    c->override_text = ishow_strdup(e->override_text);
    if ((e->audio && !c->audio) || (e->text && !c->text) || (e->override_audio && !c->override_audio) ||
        (e->override_text && !c->override_text)) {
        entry_free(c);
        return NULL;
    }
    return c;
}

registry_entry *ishow_voice_registry_get(voice_registry *r, const char *id) {
    pthread_mutex_lock(&r->lock);
    const registry_entry *e = find(r->entries, id);
    registry_entry *copy = e ? copy_of(e) : NULL;
    pthread_mutex_unlock(&r->lock);
    return copy;
}

/* ---- sound ---- */

static const char *audio_of(const registry_entry *e) { return e->override_audio ? e->override_audio : e->audio; }
static const char *prompt_of(const registry_entry *e) { return e->override_audio || !e->speaker ? audio_of(e) : NULL; }
static const char *text_of(const registry_entry *e) { return e->override_text ? e->override_text : e->text; }

static ishow_status decode(const char *path, ishow_pcm *out, ishow_error *error) {
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    return ishow_audio_decode_file(path, &limits, out, error);
}

static ishow_status prepare_pcm(ishow_engine *engine, const registry_entry *e, const ishow_pcm *pcm,
                                ishow_prepared_voice **out, ishow_error *error) {
    const ishow_voice voice = {.id = e->id,
                               .language = e->language,
                               .text = text_of(e),
                               .samples = pcm->samples,
                               .length = pcm->length,
                               .sample_rate = pcm->sample_rate};
    return ishow_engine_prepare_voice(engine, &voice, out, error);
}

/* Prepares the voice from its file. */
static ishow_status prepare(ishow_engine *engine, registry_entry *e, ishow_prepared_voice **out, ishow_error *error) {
    ishow_pcm pcm = {0};
    *out = NULL;
    e->stamp = ishow_file_stamp(audio_of(e));
    ishow_status status = prompt_of(e) ? decode(prompt_of(e), &pcm, error) : ISHOW_OK;
    if (!status) status = prepare_pcm(engine, e, &pcm, out, error);
    ishow_pcm_free(&pcm);
    return status;
}

static int needs_text(ishow_engine *engine) {
    ishow_model_info info;
    ishow_engine_info(engine, &info);
    return ishow_clip_needs_text(&info);
}

static ishow_status check(ishow_engine *engine, const ishow_pcm *pcm, const char *text, ishow_error *error) {
    return ishow_check_reference(pcm, needs_text(engine) ? text : NULL, error);
}

/* ---- all at once ---- */

static int same(const char *a, const char *b) { return a == b || (a && b && !strcmp(a, b)); }

static int unchanged(const registry_entry *old, const registry_entry *e) {
    return old && same(audio_of(old), audio_of(e)) && same(text_of(old), text_of(e)) &&
           !strcmp(old->language, e->language) && old->speaker == e->speaker &&
           old->stamp == ishow_file_stamp(audio_of(e));
}

static registry_entry *append(registry_entry ***end, const char *id, const char *language, const char *audio,
                              const char *text) {
    registry_entry *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    snprintf(e->id, sizeof e->id, "%s", id);
    snprintf(e->language, sizeof e->language, "%s", language ? language : "");
    e->audio = ishow_strdup(audio);
    e->text = ishow_strdup(text);
    if ((audio && !e->audio) || !e->text) {
        entry_free(e);
        return NULL;
    }
    **end = e;
    *end = &e->next;
    return e;
}

static char *path_of(const voice_registry *r, const char *clip) {
    char path[4400];
    return clip[0] && ishow_voice_store_path(r->store, clip, path, sizeof path) ? ishow_strdup(path) : NULL;
}

static void set_override(const voice_registry *r, registry_entry *e, const ishow_voice_row *row) {
    free(e->override_audio);
    free(e->override_text);
    e->override_audio = path_of(r, row->clip);
    e->override_text = ishow_strdup(row->text);
    e->override_at = row->updated_at;
    snprintf(e->override_clip, sizeof e->override_clip, "%s", row->clip);
}

static void clear_override(registry_entry *e) {
    free(e->override_audio);
    free(e->override_text);
    e->override_audio = e->override_text = NULL;
    e->override_clip[0] = '\0';
    e->override_at = 0;
}

/* Builds the new list of entries, which is not in use yet. */
static ishow_status plan(voice_registry *r, const ishow_voice_setting *voices, size_t n, int clones,
                         registry_entry **out, ishow_error *error) {
    ishow_voice_row *rows = NULL;
    size_t n_rows = 0;
    registry_entry **end = out, *e;
    ishow_status status = r->store ? ishow_voice_store_list(r->store, &rows, &n_rows, error) : ISHOW_OK;
    *out = NULL;
    for (size_t i = 0; !status && i < n; i++)
        if ((e = append(&end, voices[i].id, voices[i].language, voices[i].audio, voices[i].text)))
            e->speaker = voices[i].speaker;
        else
            status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
    if (!status && n_rows && !clones)
        ishow_log(ISHOW_LOG_WARN, "voices",
                  "%zu clips uploaded over HTTP are stored but not used: this model speaks in its own voices only",
                  n_rows);
    for (size_t i = 0; !status && clones && i < n_rows;
         i++) { /* ordered by id and kind: a voice precedes its override */
        e = find(*out, rows[i].id);
        if (rows[i].kind == ISHOW_VOICE_OVERRIDE) {
            if (e) set_override(r, e, &rows[i]);
        } else if (e) {
            ishow_log(ISHOW_LOG_WARN, "voices",
                      "the voice %s created over HTTP is hidden by the configured one of the same id", rows[i].id);
        } else {
            char *path = path_of(r, rows[i].clip);
            e = append(&end, rows[i].id, rows[i].language, path, rows[i].text ? rows[i].text : "");
            free(path);
            if (!e)
                status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
            else
                e->created = 1;
        }
    }
    ishow_voice_rows_free(rows, n_rows);
    return status;
}

/* Prepares the voices that changed; prepared[i] is for the i-th entry, NULL where it did not change. An entry made over
 * HTTP that cannot be used is removed from *entries. */
static ishow_status prepare_all(voice_registry *r, ishow_engine *engine, registry_entry **entries,
                                ishow_prepared_voice **prepared, ishow_error *error) {
    size_t i = 0;
    for (registry_entry **at = entries; *at;) {
        registry_entry *e = *at;
        const registry_entry *old = find(r->entries, e->id);
        ishow_error why = {0};
        if (unchanged(old, e)) {
            e->stamp = old->stamp;
            prepared[i++] = NULL;
            at = &e->next;
            continue;
        }
        ishow_status status = prepare(engine, e, &prepared[i], &why);
        if (status && e->override_at) {
            ishow_log(ISHOW_LOG_ERROR, "voices", "the uploaded clip for voice %s is not used: %s", e->id, why.message);
            clear_override(e);
            status = prepare(engine, e, &prepared[i], &why);
        }
        if (status && !e->created) return ishow_fail(error, status, why.field, "Voice %s: %s", e->id, why.message);
        if (status) {
            ishow_log(ISHOW_LOG_ERROR, "voices", "the voice %s, created over HTTP, is not used: %s", e->id,
                      why.message);
            *at = e->next;
            entry_free(e);
            continue;
        }
        i++;
        at = &e->next;
    }
    return ISHOW_OK;
}

static void tell(json_t *changed, const char *id) {
    if (changed) json_array_append_new(changed, json_sprintf("voices.%s", id));
}

ishow_status ishow_voice_registry_load(voice_registry *r, ishow_engine *engine, const ishow_voice_setting *voices,
                                       size_t n, json_t *changed, ishow_error *error) {
    registry_entry *entries = NULL;
    ishow_prepared_voice **prepared = NULL;
    ishow_model_info info;
    size_t count = 0;
    ishow_engine_info(engine, &info);
    pthread_mutex_lock(&r->change);
    ishow_status status = plan(r, voices, n, info.uses_prompt, &entries, error);
    if (status) goto done;
    for (const registry_entry *e = entries; e; e = e->next) count++;
    if (!(prepared = calloc(count + 1, sizeof *prepared))) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the voices.");
        goto done;
    }
    if ((status = prepare_all(r, engine, &entries, prepared, error))) goto done;
    size_t i = 0;
    for (const registry_entry *e = entries; e; e = e->next, i++) {
        if (!prepared[i]) continue;
        ishow_engine_install_voice(engine, prepared[i]);
        prepared[i] = NULL;
        tell(changed, e->id);
    }
    for (const registry_entry *old = r->entries; old; old = old->next) {
        if (find(entries, old->id)) continue;
        ishow_engine_remove_voice(engine, old->id, NULL);
        tell(changed, old->id);
    }
    pthread_mutex_lock(&r->lock);
    registry_entry *before = r->entries;
    r->entries = entries;
    entries = before;
    pthread_mutex_unlock(&r->lock);
done:
    for (size_t k = 0; prepared && k < count; k++) ishow_prepared_voice_discard(prepared[k]);
    free(prepared);
    entries_free(entries);
    pthread_mutex_unlock(&r->change);
    return status;
}

/* ---- one change ---- */

static int refuse(fault *f, const ishow_error *error) {
    ishow_fault_from_error(f, error);
    return 0;
}

static int can_keep(const voice_registry *r, ishow_engine *engine, fault *f) {
    ishow_model_info info;
    ishow_engine_info(engine, &info);
    if (!info.uses_prompt)
        return ishow_fault_set(f, 409, "unsupported", "audio",
                               "The model %s speaks in its own voices only. A published F5-TTS checkpoint speaks in "
                               "that of a clip: see model.name in the configuration.",
                               info.name);
    if (!r->store)
        return ishow_fault_set(f, 503, "unavailable", "",
                               "This server has no state directory: no voice can be stored.");
    return 1;
}

/* Writes `row` to the store, installs the voice in the engine, and replaces the entry of its id by `e`. Takes e and
 * prepared. The change lock is held. */
static int commit(voice_registry *r, ishow_engine *engine, registry_entry *e, ishow_prepared_voice *prepared,
                  ishow_voice_row *row, const ishow_buffer *clip, fault *f) {
    ishow_error error = {0};
    row->updated_at = (int64_t)time(NULL);
    if (ishow_voice_store_has_space(r->store, row->kind == ISHOW_VOICE_CREATED || !e->override_at, clip ? clip->n : 0,
                                    &error) ||
        ishow_voice_store_put(r->store, row, clip ? clip->data : NULL, clip ? clip->n : 0, &error)) {
        ishow_prepared_voice_discard(prepared);
        entry_free(e);
        return refuse(f, &error);
    }
    if (row->kind == ISHOW_VOICE_OVERRIDE)
        set_override(r, e, row);
    else
        e->audio = path_of(r, row->clip);
    e->stamp = ishow_file_stamp(audio_of(e));
    ishow_engine_install_voice(engine, prepared);
    pthread_mutex_lock(&r->lock);
    registry_entry **at = &r->entries, *old = NULL;
    while (*at && strcmp((*at)->id, e->id)) at = &(*at)->next;
    if ((old = *at)) e->next = old->next;
    *at = e;
    pthread_mutex_unlock(&r->lock);
    entry_free(old);
    return 1;
}

/* Decodes an upload and checks it, against its text where the model needs that. */
static int hear(ishow_engine *engine, const ishow_buffer *clip, const char *text, ishow_pcm *pcm, fault *f) {
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    ishow_error error = {0};
    ishow_status status = ishow_audio_decode_isolated(clip->data, clip->n, &limits, pcm, &error);
    if (!status) status = check(engine, pcm, text, &error);
    return status ? refuse(f, &error) : 1;
}

int ishow_voice_registry_add(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                             const char *language, const ishow_buffer *clip, fault *f) {
    ishow_pcm pcm = {0};
    ishow_error error = {0};
    ishow_prepared_voice *prepared = NULL;
    registry_entry *e = NULL, **end = &e;
    ishow_voice_row row = {.kind = ISHOW_VOICE_CREATED};
    int good = 0;
    if (!can_keep(r, engine, f) || !hear(engine, clip, text, &pcm, f)) goto unlocked;
    pthread_mutex_lock(&r->change);
    if (find(r->entries, id)) {
        ishow_fault_set(f, 409, "voice_exists", "id",
                        "There is a voice %s already: delete it first, or send a reference to replace its clip.", id);
        goto done;
    }
    if (!append(&end, id, language, NULL, text) || !(row.text = ishow_strdup(text))) {
        ishow_fault_memory(f);
        entry_free(e);
        goto done;
    }
    e->created = 1;
    if (prepare_pcm(engine, e, &pcm, &prepared, &error)) {
        refuse(f, &error);
        entry_free(e);
        goto done;
    }
    snprintf(row.id, sizeof row.id, "%s", id);
    snprintf(row.language, sizeof row.language, "%s", e->language);
    good = commit(r, engine, e, prepared, &row, clip, f);
done:
    pthread_mutex_unlock(&r->change);
unlocked:
    free(row.text);
    ishow_pcm_free(&pcm);
    return good;
}

int ishow_voice_registry_override(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                                  const ishow_buffer *clip, fault *f) {
    ishow_pcm pcm = {0};
    ishow_error error = {0};
    ishow_prepared_voice *prepared = NULL;
    registry_entry *e = NULL;
    ishow_voice_row row = {.kind = ISHOW_VOICE_OVERRIDE};
    int good = 0;
    pthread_mutex_lock(&r->change);
    const registry_entry *old = find(r->entries, id);
    if (!old) {
        ishow_fault_no_voice(f, id);
        goto done;
    }
    if (!can_keep(r, engine, f)) goto done;
    const char *spoken = text ? text : text_of(old);
    if (clip && !hear(engine, clip, spoken, &pcm, f)) goto done;
    if (!clip && ((!prompt_of(old) ? ishow_fail(&error, ISHOW_EINVAL, "audio",
                                                "This voice has no clip yet: send one with the text.")
                                   : decode(prompt_of(old), &pcm, &error)) ||
                  check(engine, &pcm, spoken, &error))) {
        refuse(f, &error);
        goto done;
    }
    /* A text alone is used with the present clip, a clip alone with the present text where it needs one. */
    const char *kept = clip && !needs_text(engine) ? "" : old->override_text;
    snprintf(row.id, sizeof row.id, "%s", id);
    snprintf(row.clip, sizeof row.clip, "%s", clip ? "" : old->override_clip);
    row.text = ishow_strdup(text ? text : kept);
    if (!(e = copy_of(old)) || ((text || kept) && !row.text)) {
        ishow_fault_memory(f);
        goto done;
    }
    free(e->override_text);
    e->override_text = ishow_strdup(row.text);
    if (prepare_pcm(engine, e, &pcm, &prepared, &error)) {
        refuse(f, &error);
        goto done;
    }
    good = commit(r, engine, e, prepared, &row, clip, f);
    e = NULL;
done:
    pthread_mutex_unlock(&r->change);
    entry_free(e);
    free(row.text);
    ishow_pcm_free(&pcm);
    return good;
}

int ishow_voice_registry_restore(voice_registry *r, ishow_engine *engine, const char *id, fault *f) {
    ishow_error error = {0};
    ishow_prepared_voice *prepared = NULL;
    registry_entry *trial = NULL;
    int good = 0;
    pthread_mutex_lock(&r->change);
    registry_entry *e = find(r->entries, id);
    if (!e) {
        ishow_fault_no_voice(f, id);
        goto done;
    }
    if (!e->override_at) {
        good = 1;
        goto done;
    }
    if (!(trial = copy_of(e))) {
        ishow_fault_memory(f);
        goto done;
    }
    clear_override(trial);
    if (prepare(engine, trial, &prepared, &error) ||
        ishow_voice_store_remove(r->store, id, ISHOW_VOICE_OVERRIDE, &error)) {
        ishow_prepared_voice_discard(prepared);
        refuse(f, &error);
        goto done;
    }
    ishow_engine_install_voice(engine, prepared);
    pthread_mutex_lock(&r->lock);
    clear_override(e);
    e->stamp = trial->stamp;
    pthread_mutex_unlock(&r->lock);
    good = 1;
done:
    pthread_mutex_unlock(&r->change);
    entry_free(trial);
    return good;
}

int ishow_voice_registry_remove(voice_registry *r, ishow_engine *engine, const char *id, fault *f) {
    ishow_error error = {0};
    int good = 0;
    pthread_mutex_lock(&r->change);
    registry_entry **at = &r->entries;
    while (*at && strcmp((*at)->id, id)) at = &(*at)->next;
    registry_entry *e = *at;
    if (!e)
        ishow_fault_no_voice(f, id);
    else if (!e->created)
        ishow_fault_set(f, 409, "configured_voice", "voice_id",
                        "The voice %s belongs to the configuration or the model: it can be removed there only.", id);
    else if (ishow_voice_store_remove(r->store, id, ISHOW_VOICE_CREATED, &error))
        refuse(f, &error);
    else
        good = 1;
    if (good) {
        ishow_engine_remove_voice(engine, id, NULL);
        pthread_mutex_lock(&r->lock);
        *at = e->next;
        pthread_mutex_unlock(&r->lock);
        entry_free(e);
    }
    pthread_mutex_unlock(&r->change);
    return good;
}
