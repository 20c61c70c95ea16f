/* A gateway's side of shared.h: it writes voices and pronunciations that it received for all machines, and reads those
 * of other gateways every second. One thread does both. Questions for a front end go to a worker. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "cluster/gateway.h"

enum { TRIES = 8 };
static const double LOOK_SECONDS = 1;
static const double WRITE_SECONDS = 10;    /* seconds that a change waits to be written */
static const double ANSWER_SECONDS = 10;   /* seconds that a question waits for its answer */
static const double OBSOLETE_SECONDS = 60; /* seconds after which the audio of a replaced voice is removed; until then
                                              an utterance may still move to another worker */

static gateway *of(ishow_engine *engine) { return (gateway *)(void *)engine; }

static bucket *open_bucket(gateway *g, ishow_error *error) {
    pthread_mutex_lock(&g->bucket_lock);
    if (!g->bucket) bucket_open(&g->bucket, g->bus, SHARED_BUCKET, error);
    bucket *k = g->bucket;
    pthread_mutex_unlock(&g->bucket_lock);
    return k;
}

/* ---- the thread ---- */

/* Reads an object. If there is a `change`, applies it and writes the object; starts again when another gateway has
 * written it meanwhile. */
static json_t *exchange(bucket *k, const char *key, json_t *change, uint64_t *revision, ishow_error *error) {
    for (int i = 0; i < TRIES; i++) {
        json_t *all = shared_read(k, key, revision, error), *value, *before = json_deep_copy(all);
        const char *name;
        if (!all) return NULL;
        json_object_foreach(change, name, value) {
            if (json_is_null(value))
                json_object_del(all, name);
            else
                json_object_set(all, name, value);
        }
        const int same = json_equal(all, before);
        json_decref(before);
        if (same) return all;
        char *text = json_dumps(all, JSON_COMPACT);
        const ishow_status status =
            !text ? ishow_fail(error, ISHOW_ENOMEM, "", "no memory for shared voices and pronunciations")
            : strlen(text) > SHARED_LIST_MAX
                ? ishow_fail(error, ISHOW_EINVAL, "", "The %s of all gateways would take more than %d bytes.", key,
                             SHARED_LIST_MAX)
                : bucket_update(k, key, text, strlen(text), revision, error);
        free(text);
        if (!status) return all;
        json_decref(all);
        if (status != ISHOW_EBUSY) return NULL;
    }
    return NULL;
}

/* Records replaced versions, and removes the audio of those that were replaced OBSOLETE_SECONDS ago. */
static void sweep(gateway *g, bucket *k, const json_t *before, const json_t *after, double now) {
    const char *id, *version;
    json_t *entry, *gone;
    void *next;
    json_object_foreach((json_t *)before, id, entry) {
        const char *old = wire_text(entry, "version");
        if (!strcmp(wire_text(entry, "by"), g->name) && strcmp(old, wire_text(json_object_get(after, id), "version")))
            json_object_set_new(g->obsolete, old,
                                json_pack("{s:f, s:I}", "at", now, "samples", wire_whole(entry, "samples")));
    }
    json_object_foreach((json_t *)after, id, entry) json_object_del(g->obsolete, wire_text(entry, "version"));
    json_object_foreach_safe(g->obsolete, next, version, gone) {
        if (now - wire_number(gone, "at") < OBSOLETE_SECONDS) continue;
        for (size_t i = 0; i * SHARED_PART < wire_whole(gone, "samples"); i++) {
            char key[64];
            shared_part_key(key, version, i);
            bucket_drop(k, key, NULL);
        }
        json_object_del(g->obsolete, version);
    }
}

/* Called without the lock; takes it to store the result. */
static void synchronise(gateway *g, json_t *voices, json_t *lexicon, uint64_t ticket) {
    ishow_error error = {0};
    uint64_t revision = 0, of_lexicon = 0;
    bucket *k = open_bucket(g, &error);
    json_t *all = k ? exchange(k, SHARED_VOICES, voices, &revision, &error) : NULL;
    json_t *words = all ? exchange(k, SHARED_LEXICON, lexicon, &of_lexicon, &error) : NULL;
    if (words) sweep(g, k, g->shared, all, ishow_now()); /* only this thread replaces g->shared */
    pthread_mutex_lock(&g->lock);
    if (words) {
        json_decref(g->shared);
        g->shared = all;
        all = NULL;
        g->lexicon = of_lexicon;
    } else {
        if (error.status != ISHOW_EINVAL) { /* tried again next time; changes that have arrived meanwhile are newer */
            json_object_update_missing(g->new_voices, voices);
            json_object_update_missing(g->new_lexicon, lexicon);
        }
        if (!g->share_error.status && (json_object_size(voices) || json_object_size(lexicon)))
            ishow_log(ISHOW_LOG_WARN, "cluster", "a change has not reached other machines yet: %s", error.message);
    }
    g->share_error = error;
    if (words) g->share_error = (ishow_error){0};
    g->written = ticket;
    pthread_cond_broadcast(&g->shared_changed);
    pthread_mutex_unlock(&g->lock);
    json_decref(all);
    json_decref(words);
}

static void *sharing_main(void *self) {
    gateway *g = self;
    pthread_mutex_lock(&g->lock);
    while (!g->stopping) {
        if (bus_connected(g->bus)) {
            json_t *voices = g->new_voices, *lexicon = g->new_lexicon;
            const uint64_t ticket = g->asked;
            g->new_voices = json_object();
            g->new_lexicon = json_object();
            pthread_mutex_unlock(&g->lock);
            synchronise(g, voices, lexicon, ticket);
            json_decref(voices);
            json_decref(lexicon);
            pthread_mutex_lock(&g->lock);
        }
        struct timespec until;
        ishow_deadline(LOOK_SECONDS, &until);
        while (!g->stopping && g->asked == g->written && !pthread_cond_timedwait(&g->shared_changed, &g->lock, &until))
            continue;
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

/* Queues a change and waits until it is written. The lock is held. */
static ishow_status wait_written(gateway *g, ishow_error *error) {
    const uint64_t ticket = ++g->asked;
    struct timespec until;
    ishow_deadline(WRITE_SECONDS, &until);
    pthread_cond_broadcast(&g->shared_changed);
    while (g->written < ticket && !pthread_cond_timedwait(&g->shared_changed, &g->lock, &until)) continue;
    if (g->written < ticket) return ishow_fail(error, ISHOW_EIO, "cluster", "NATS does not answer.");
    if (g->share_error.status && error) *error = g->share_error;
    return g->share_error.status;
}

ishow_status sharing_open(gateway *g, ishow_error *error) {
    pthread_mutex_init(&g->bucket_lock, NULL);
    ishow_condition_init(&g->shared_changed);
    g->shared = json_object();
    g->new_voices = json_object();
    g->new_lexicon = json_object();
    g->obsolete = json_object();
    if (!g->shared || !g->new_voices || !g->new_lexicon || !g->obsolete)
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a gateway.");
    if (pthread_create(&g->sharer, NULL, sharing_main, g))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The gateway's thread could not be started.");
    g->shares = 1;
    return ISHOW_OK;
}

void sharing_close(gateway *g) {
    if (g->shares) {
        pthread_mutex_lock(&g->lock);
        g->stopping = 1;
        pthread_cond_broadcast(&g->shared_changed);
        pthread_mutex_unlock(&g->lock);
        pthread_join(g->sharer, NULL);
    }
    bucket_close(g->bucket);
    json_decref(g->shared);
    json_decref(g->new_voices);
    json_decref(g->new_lexicon);
    json_decref(g->obsolete);
    if (g->new_lexicon) {
        pthread_cond_destroy(&g->shared_changed);
        pthread_mutex_destroy(&g->bucket_lock);
    }
}

json_t *sharing_voices(const gateway *g) {
    json_t *all = directory_voices(&g->directory), *entry;
    const char *id;
    json_object_foreach(g->shared, id, entry) if (!directory_voice(&g->directory, id)) json_array_append(all, entry);
    return all;
}

/* ---- voices ---- */

typedef struct new_voice { /* an ishow_prepared_voice of a gateway */
    ishow_engine_head head;
    gateway *gateway;
    json_t *entry;
} new_voice;

static void hash_voice(const ishow_voice *v, char out[SHARED_VERSION + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    const char *texts[] = {v->language ? v->language : "", v->text ? v->text : ""};
    for (int i = 0; i < 2; i++) EVP_DigestUpdate(context, texts[i], strlen(texts[i]) + 1);
    EVP_DigestUpdate(context, &v->sample_rate, sizeof v->sample_rate);
    if (v->length) EVP_DigestUpdate(context, v->samples, v->length * sizeof *v->samples);
    EVP_DigestFinal_ex(context, digest, &n);
    EVP_MD_CTX_free(context);
    for (int i = 0; i < SHARED_VERSION / 2; i++) snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static size_t length_of(const json_t *value) { return json_dumpb(value, NULL, 0, JSON_COMPACT); }

/* Checks that a voice with this id and entry may be created at this gateway. The lock is held. */
static ishow_status may_come(const gateway *g, const char *id, const json_t *entry, ishow_error *error) {
    const json_t *other = json_object_get(g->shared, id);
    if (directory_voice(&g->directory, id))
        return ishow_fail(error, ISHOW_EINVAL, "id", "The configuration of the workers has a voice %s already.", id);
    if (length_of(g->shared) + length_of(entry) + strlen(id) + sizeof "\"\":," > SHARED_LIST_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "", "There are too many voices: the list of all gateways is full.");
    if (other && strcmp(wire_text(other, "by"), g->name))
        return ishow_fail(error, ISHOW_EINVAL, "id", "There is a voice %s already, created at the gateway %s.", id,
                          wire_text(other, "by"));
    return ISHOW_OK;
}

/* NULL: no memory. */
static json_t *entry_of(const gateway *g, const ishow_voice *voice, const char *version) {
    json_t *entry = json_object();
    json_add(&entry, "id", json_string(voice->id));
    json_add(&entry, "version", json_string(version));
    json_add(&entry, "language", json_string(voice->language ? voice->language : ""));
    json_add(&entry, "text", json_string(voice->text ? voice->text : ""));
    json_add(&entry, "seconds", json_real(voice->sample_rate ? (double)voice->length / voice->sample_rate : 0));
    json_add(&entry, "rate", json_integer(voice->sample_rate));
    json_add(&entry, "samples", wire_u64(voice->length));
    json_add(&entry, "by", json_string(g->name));
    return entry;
}

ishow_status sharing_prepare(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                             ishow_error *error) {
    gateway *g = of(engine);
    char version[SHARED_VERSION + 1], key[64];
    *out = NULL;
    hash_voice(voice, version);
    json_t *entry = entry_of(g, voice, version);
    if (!entry) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a voice");
    pthread_mutex_lock(&g->lock);
    ishow_status status = may_come(g, voice->id, entry, error);
    pthread_mutex_unlock(&g->lock);
    bucket *k = status ? NULL : open_bucket(g, error);
    if (!k) {
        json_decref(entry);
        return error ? error->status : ISHOW_EIO;
    }
    for (size_t i = 0, at; !status && (at = i * SHARED_PART) < voice->length; i++) {
        const size_t n = voice->length - at < SHARED_PART ? voice->length - at : SHARED_PART;
        shared_part_key(key, version, i);
        status = bucket_put(k, key, voice->samples + at, n * sizeof *voice->samples, error);
    }
    new_voice *v = status ? NULL : calloc(1, sizeof *v);
    if (!v) {
        json_decref(entry);
        return status ? status : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for a voice");
    }
    *v = (new_voice){.head = g->head, .gateway = g, .entry = entry};
    *out = (ishow_prepared_voice *)(void *)v;
    return ISHOW_OK;
}

void sharing_discard(ishow_prepared_voice *prepared) {
    new_voice *v = (new_voice *)(void *)prepared;
    json_decref(v->entry);
    free(v);
}

void sharing_install(ishow_engine *engine, ishow_prepared_voice *prepared) {
    gateway *g = of(engine);
    new_voice *v = (new_voice *)(void *)prepared;
    pthread_mutex_lock(&g->lock);
    json_object_set(g->new_voices, wire_text(v->entry, "id"), v->entry);
    wait_written(g, NULL); /* a failure is logged, and the write is repeated */
    pthread_mutex_unlock(&g->lock);
    sharing_discard(prepared);
}

ishow_status sharing_remove(ishow_engine *engine, const char *id, ishow_error *error) {
    gateway *g = of(engine);
    pthread_mutex_lock(&g->lock);
    const json_t *entry = json_object_get(g->shared, id);
    const int own = entry && !strcmp(wire_text(entry, "by"), g->name);
    if (own) {
        json_object_set_new(g->new_voices, id, json_null());
        wait_written(g, NULL);
    }
    pthread_mutex_unlock(&g->lock);
    return own ? ISHOW_OK
               : ishow_fail(error, ISHOW_ENOTFOUND, "voice_id", "no voice '%.64s' was created at this gateway", id);
}

/* ---- questions ---- */

/* Sends a question to a worker and waits for its answer. Takes head. */
static ishow_status ask(gateway *g, json_t *head, char **out, ishow_error *error) {
    struct timespec until;
    question q = {0};
    ishow_deadline(ANSWER_SECONDS, &until);
    pthread_mutex_lock(&g->lock);
    const peer *p = directory_choose(&g->directory, NULL, NULL, WIRE_SHARES, 0, NULL, 0);
    if (!p) {
        pthread_mutex_unlock(&g->lock);
        json_decref(head);
        return ishow_fail(error, ISHOW_ESTATE, "", "There is no worker that could answer this.");
    }
    q.number = ++g->n_questions;
    q.next = g->questions;
    g->questions = &q;
    json_object_set_new(head, "gateway", json_string(g->id));
    json_object_set_new(head, "number", wire_u64(q.number));
    gateway_post(g, p->id, head, NULL, 0);
    g->dirty = 1;
    pthread_cond_signal(&g->changed);
    while (!q.done && !g->stopping && !pthread_cond_timedwait(&g->shared_changed, &g->lock, &until)) continue;
    question **at = &g->questions;
    while (*at != &q) at = &(*at)->next;
    *at = q.next;
    pthread_mutex_unlock(&g->lock);
    if (!q.done) return ishow_fail(error, ISHOW_ETIMEOUT, "", "The worker does not answer.");
    *out = q.json;
    if (q.error.status && error) *error = q.error;
    return q.error.status;
}

void sharing_answer(gateway *g, const json_t *head) {
    question *q = g->questions;
    while (q && q->number != wire_whole(head, "number")) q = q->next;
    if (!q || q->done) return;
    wire_read_error(json_object_get(head, "error"), &q->error);
    q->json = ishow_strdup(json_string_value(json_object_get(head, "json")));
    if (!q->error.status && !q->json) ishow_fail(&q->error, ISHOW_ENOMEM, "", "no memory for an answer");
    q->done = 1;
    pthread_cond_broadcast(&g->shared_changed);
}

/* Changes of pronunciations go to the front ends of all workers. */
static ishow_status tell(gateway *g, const char *json, char **out, ishow_error *error) {
    json_t *entries = json_loads(json, 0, NULL);
    ishow_error why = {0};
    const size_t n = json_array_size(entries);
    pthread_mutex_lock(&g->lock);
    json_object_set_new(g->new_lexicon, g->name, n ? entries : json_null());
    if (!n) json_decref(entries);
    ishow_status status = wait_written(g, &why);
    pthread_mutex_unlock(&g->lock);
    if (status && !n) status = ISHOW_OK; /* without JetStream there is nothing to forget either */
    if (status && error) *error = why;
    if (!status && !(*out = ishow_strdup("{}"))) status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory");
    return status;
}

ishow_status sharing_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                  ishow_error *error) {
    if (!strcmp(verb, "tell")) return tell(of(engine), json, out, error);
    return ask(of(engine), json_pack("{s:s, s:s, s:s}", "type", "ask", "verb", verb, "json", json), out, error);
}

ishow_status sharing_reading(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error) {
    gateway *g = of(engine);
    json_t *head = json_pack("{s:s, s:o}", "type", "ask", "request", wire_request(request));
    pthread_mutex_lock(&g->lock);
    json_t *shared = request->voice && !directory_voice(&g->directory, request->voice)
                         ? json_object_get(g->shared, request->voice)
                         : NULL;
    if (shared) json_object_set(head, "shared", shared);
    json_object_set_new(head, "lexicon", wire_u64(g->lexicon));
    pthread_mutex_unlock(&g->lock);
    return ask(g, head, out, error);
}
