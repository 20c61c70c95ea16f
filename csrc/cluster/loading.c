/* A worker's side of shared.h. One thread does one job after the other: the pronunciations, then the voice. A voice
 * that was not used for longest is removed when there are more than VOICES_KEPT; utterances in flight keep theirs. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "cluster/shared.h"

enum { VOICES_KEPT = 64 };

typedef struct job {
    struct job *next;
    json_t *voice; /* its entry; NULL: none */
    uint64_t lexicon;
    size_t n;
    unsigned char message[];
} job;

struct loader {
    ishow_engine *engine;
    bus *bus;
    bucket *bucket; /* used by the thread only; opened when first needed */
    void (*loaded)(void *self, const void *message, size_t n);
    void *self;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    int stopping;
    job *first, **last;
    json_t *voices; /* versions, most recently used last */
    uint64_t lexicon;
};

json_t *shared_read(bucket *k, const char *key, uint64_t *revision, ishow_error *error) {
    ishow_buffer text = {0};
    ishow_error why = {0};
    const ishow_status status = bucket_get(k, key, &text, revision, &why);
    json_t *all = status ? NULL : json_loadb((const char *)text.data, text.n, JSON_REJECT_DUPLICATES, NULL);
    ishow_buffer_free(&text);
    if (status && status != ISHOW_ENOTFOUND) {
        if (error) *error = why;
        return NULL;
    }
    if (json_is_object(all)) return all;
    json_decref(all);
    return json_object();
}

/* The index of a version, or the number of versions when it is not there. The lock is held. */
static size_t place_of(const loader *l, const char *version) {
    size_t i = 0;
    while (i < json_array_size(l->voices) && strcmp(json_string_value(json_array_get(l->voices, i)), version)) i++;
    return i;
}

int loader_has(loader *l, const json_t *voice, uint64_t lexicon) {
    pthread_mutex_lock(&l->lock);
    int has = l->lexicon >= lexicon;
    if (voice) {
        const size_t i = place_of(l, wire_text(voice, "version"));
        if (i < json_array_size(l->voices)) { /* moved to the end, as it is used now */
            json_t *version = json_incref(json_array_get(l->voices, i));
            json_array_remove(l->voices, i);
            json_array_append_new(l->voices, version);
        } else
            has = 0;
    }
    pthread_mutex_unlock(&l->lock);
    return has;
}

static ishow_status load_lexicon(loader *l, ishow_error *error) {
    uint64_t revision;
    json_t *all = shared_read(l->bucket, SHARED_LEXICON, &revision, error), *merged = json_array(), *entries;
    const char *by;
    char *answer = NULL;
    if (!all) {
        json_decref(merged);
        return error->status;
    }
    json_object_foreach(all, by, entries) json_array_extend(merged, entries);
    char *text = json_dumps(merged, JSON_COMPACT);
    const ishow_status status = text ? ishow_engine_ask_frontend(l->engine, "tell", text, &answer, error)
                                     : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the pronunciations");
    free(answer);
    free(text);
    json_decref(merged);
    json_decref(all);
    if (status) return status;
    pthread_mutex_lock(&l->lock);
    l->lexicon = revision;
    pthread_mutex_unlock(&l->lock);
    return ISHOW_OK;
}

/* Loads the voice's samples, then installs the voice. */
static ishow_status load_voice(loader *l, const json_t *entry, ishow_error *error) {
    const char *version = wire_text(entry, "version");
    const size_t n = (size_t)wire_whole(entry, "samples");
    ishow_buffer samples = {0};
    char key[64], oldest[SHARED_VERSION + 1] = "";
    for (size_t i = 0; i * SHARED_PART < n; i++) {
        shared_part_key(key, version, i);
        if (bucket_get(l->bucket, key, &samples, NULL, error)) break;
    }
    if (!error->status && samples.n != n * sizeof(float))
        ishow_fail(error, ISHOW_EINTERNAL, "voice_id", "The voice %.64s has %zu bytes of audio, not %zu.",
                   wire_text(entry, "id"), samples.n, n * sizeof(float));
    if (!error->status) {
        const ishow_voice voice = {.id = version,
                                   .language = wire_text(entry, "language"),
                                   .text = wire_text(entry, "text"),
                                   .samples = (const float *)(const void *)samples.data,
                                   .length = n,
                                   .sample_rate = (int)wire_whole(entry, "rate")};
        ishow_engine_set_voice(l->engine, &voice, error);
    }
    ishow_buffer_free(&samples);
    if (error->status) return error->status;
    pthread_mutex_lock(&l->lock);
    json_array_append_new(l->voices, json_string(version));
    if (json_array_size(l->voices) > VOICES_KEPT) {
        snprintf(oldest, sizeof oldest, "%s", json_string_value(json_array_get(l->voices, 0)));
        json_array_remove(l->voices, 0);
    }
    pthread_mutex_unlock(&l->lock);
    if (*oldest) ishow_engine_remove_voice(l->engine, oldest, NULL);
    ishow_log(ISHOW_LOG_INFO, "cluster", "voice %s is loaded (%.8s)", wire_text(entry, "id"), version);
    return ISHOW_OK;
}

static void work_on(loader *l, const job *j) {
    ishow_error error = {0};
    pthread_mutex_lock(&l->lock);
    const int old = l->lexicon < j->lexicon;
    pthread_mutex_unlock(&l->lock);
    if (loader_has(l, j->voice, j->lexicon)) return;
    if (!l->bucket && bucket_open(&l->bucket, l->bus, SHARED_BUCKET, &error)) goto done;
    if (old && load_lexicon(l, &error)) goto done;
    if (!loader_has(l, j->voice, j->lexicon)) load_voice(l, j->voice, &error);
done:
    if (error.status)
        ishow_log(ISHOW_LOG_WARN, "cluster", "a voice or pronunciations of a request cannot be loaded: %s",
                  error.message);
}

static void *loader_main(void *self) {
    loader *l = self;
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        job *j = l->first;
        if (!j) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        l->first = j->next;
        if (!l->first) l->last = &l->first;
        pthread_mutex_unlock(&l->lock);
        work_on(l, j);
        l->loaded(l->self, j->message, j->n);
        json_decref(j->voice);
        free(j);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void loader_ask(loader *l, const json_t *voice, uint64_t lexicon, const void *message, size_t n) {
    job *j = malloc(sizeof *j + n);
    if (!j) return; /* the gateway sends its request again */
    *j = (job){.voice = json_deep_copy(voice), .lexicon = lexicon, .n = n};
    memcpy(j->message, message, n);
    pthread_mutex_lock(&l->lock);
    *l->last = j;
    l->last = &j->next;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

json_t *loader_voices(loader *l) {
    pthread_mutex_lock(&l->lock);
    json_t *all = json_deep_copy(l->voices);
    pthread_mutex_unlock(&l->lock);
    return all;
}

ishow_status loader_open(loader **out, ishow_engine *engine, bus *b,
                         void (*loaded)(void *self, const void *message, size_t n), void *self, ishow_error *error) {
    loader *l = calloc(1, sizeof *l);
    *out = NULL;
    if (!l || !(l->voices = json_array())) {
        free(l);
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a worker.");
    }
    l->engine = engine;
    l->bus = b;
    l->loaded = loaded;
    l->self = self;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    if (pthread_create(&l->thread, NULL, loader_main, l)) {
        loader_close(l);
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The worker's thread could not be started.");
    }
    l->runs = 1;
    *out = l;
    return ISHOW_OK;
}

void loader_close(loader *l) {
    if (!l) return;
    if (l->runs) {
        pthread_mutex_lock(&l->lock);
        l->stopping = 1;
        pthread_cond_signal(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (job *j = l->first, *next; j; j = next) {
        next = j->next;
        json_decref(j->voice);
        free(j);
    }
    bucket_close(l->bucket);
    json_decref(l->voices);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
