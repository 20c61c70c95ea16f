/* Implements the functions of engine.h for an utterance of a gateway. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/defaults.h"
#include "cluster/gateway.h"
#include "flow/flow.h"

void call_reference(call *u) { __atomic_add_fetch(&u->references, 1, __ATOMIC_RELAXED); }

void call_release(call *u) {
    if (__atomic_sub_fetch(&u->references, 1, __ATOMIC_ACQ_REL)) return;
    reader_destroy(&u->reader);
    free(u->tail);
    ishow_buffer_free(&u->piece);
    json_decref(u->request);
    json_decref(u->shared);
    free(u->voice);
    gateway_release(u->gateway);
    free(u);
}

void call_push(call *u, piece *p) {
    if (u->reader.cancelled || !p->n)
        piece_free(p);
    else
        reader_push(&u->reader, p);
}

void call_end(gateway *g, call *u, ishow_status status, const ishow_error *why) {
    if (u->reader.ended) return;
    reader_end(&u->reader, status, why);
    if (u->previous)
        u->previous->next = u->next;
    else
        g->living = u->next;
    if (u->next)
        u->next->previous = u->previous;
    else
        g->newest = u->previous;
    g->n_living--;
    g->stats.model_seconds += u->reader.timings.model;
    reader_tell(&u->reader);
    call_release(u);
}

static call *make(gateway *g, const ishow_request *request, void (*notify)(void *user), void *user) {
    call *u = calloc(1, sizeof *u);
    if (!u) return NULL;
    ishow_request own = *request;
    if (!own.has_seed) own.seed = ishow_request_seed();
    own.has_seed = 1; /* the same for every worker and attempt */
    u->voice = ishow_strdup(request->voice);
    u->request = wire_request(&own);
    if (!u->request || (request->voice && !u->voice)) {
        free(u->voice);
        json_decref(u->request);
        free(u);
        return NULL;
    }
    reader_init(&u->reader, &g->lock, &g->stats, notify, user);
    u->head.kind = g->head.kind;
    u->references = 2; /* one of the caller, one of the list */
    u->gateway = g;
    __atomic_add_fetch(&g->references, 1, __ATOMIC_RELAXED);
    u->deadline = request->deadline > 0 ? u->reader.submitted + request->deadline : 0;
    u->reader.timings.seed = own.seed;
    return u;
}

/* Finds the voice of a request: one of the workers', or one created over HTTP (*shared). The lock is held. */
static ishow_status find_voice(gateway *g, const ishow_request *request, char id[65], json_t **shared,
                               ishow_error *error) {
    char known[320] = "";
    const json_t *voice = directory_voice(&g->directory, request->voice);
    if (!voice && request->voice && (*shared = json_incref(json_object_get(g->shared, request->voice))))
        voice = *shared;
    snprintf(id, 65, "%s", voice ? wire_text(voice, "id") : request->voice ? request->voice : "");
    if (!g->directory.peers) return ISHOW_OK; /* no worker is known yet */
    if (!voice) {
        json_t *all = sharing_voices(g), *one;
        size_t i;
        json_array_foreach(all, i, one) ishow_voice_names_add(known, sizeof known, wire_text(one, "id"));
        json_decref(all);
    }
    return ishow_request_check_voice(request, voice != NULL, voice ? wire_number(voice, "seconds") : 0,
                                     ishow_clip_needs_text(&g->directory.model), known, error);
}

ishow_status call_submit(ishow_engine *engine, const ishow_request *given, void (*notify)(void *user), void *user,
                         ishow_utterance **out, ishow_error *error) {
    gateway *g = (gateway *)(void *)engine;
    float t[ISHOW_NFE_MAX + 1];
    char voice[65];
    json_t *shared = NULL;
    *out = NULL;
    pthread_mutex_lock(&g->lock);
    const ishow_model_info info = g->directory.model;
    pthread_mutex_unlock(&g->lock);
    ishow_request request = *given, resolved = *given; /* the worker's model decides about the steps that it computes */
    resolved.nfe = ishow_request_steps(given, &info);
    ishow_status status = ishow_request_check(&resolved, t, error);
    if (status) return status;
    pthread_mutex_lock(&g->lock);
    if (g->stopping)
        status = ishow_fail(error, ISHOW_ESTATE, "", "the engine is closing");
    else
        status = find_voice(g, given, voice, &shared, error);
    const uint64_t lexicon = g->lexicon;
    pthread_mutex_unlock(&g->lock);
    if (voice[0]) request.voice = voice;
    call *u = status ? NULL : make(g, &request, notify, user);
    if (!u) {
        json_decref(shared);
        return status ? status : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for an utterance");
    }
    u->shared = shared;
    u->lexicon = lexicon;
    if (shared) {
        free(u->voice);
        u->voice = NULL;
    }
    u->work = ishow_request_work(&resolved, info.hop > 0 ? (double)info.sample_rate / info.hop : 1);
    u->reader.timings.sample_rate = info.sample_rate;
    snprintf(u->reader.timings.voice, sizeof u->reader.timings.voice, "%s", voice);
    pthread_mutex_lock(&g->lock);
    u->number = ++g->numbers;
    u->since = u->reader.submitted;
    u->previous = g->newest;
    if (g->newest)
        g->newest->next = u;
    else
        g->living = u;
    g->newest = u;
    g->n_living++;
    g->stats.submitted++;
    g->dirty = 1;
    pthread_cond_signal(&g->changed);
    pthread_mutex_unlock(&g->lock);
    ishow_handle_made();
    *out = (ishow_utterance *)(void *)u;
    return ISHOW_OK;
}

ishow_status call_next(ishow_utterance *utterance, double timeout, const float **samples, size_t *n,
                       ishow_error *error) {
    call *u = (call *)(void *)utterance;
    gateway *g = u->gateway;
    pthread_mutex_lock(&g->lock);
    const ishow_status status = reader_next(&u->reader, timeout, samples, n, error);
    if (u->reader.unread <= UNREAD_MAX && u->reader.unread + *n > UNREAD_MAX) { /* the worker may send more */
        u->ack_due = g->dirty = 1;
        pthread_cond_signal(&g->changed);
    }
    pthread_mutex_unlock(&g->lock);
    return status;
}

/* With the lock. */
static void cancel(gateway *g, call *u) {
    reader_cancel(&u->reader);
    g->dirty = 1;
    pthread_cond_signal(&g->changed);
}

void call_cancel(ishow_utterance *utterance) {
    call *u = (call *)(void *)utterance;
    pthread_mutex_lock(&u->gateway->lock);
    cancel(u->gateway, u);
    pthread_mutex_unlock(&u->gateway->lock);
}

void call_timings(ishow_utterance *utterance, ishow_timings *out) {
    reader_timings(&((call *)(void *)utterance)->reader, out);
}

void call_words(ishow_utterance *utterance, const ishow_word **words, size_t *n) {
    reader_words(&((const call *)(const void *)utterance)->reader, words, n);
}

double call_progress(ishow_utterance *utterance) {
    call *u = (call *)(void *)utterance;
    const reader *r = &u->reader;
    pthread_mutex_lock(&u->gateway->lock);
    const double before = r->timings.chunks > 0 ? (double)u->part / r->timings.chunks : 0;
    const double progress = r->ended && r->status == ISHOW_OK ? 1 : fmax(before, u->progress);
    pthread_mutex_unlock(&u->gateway->lock);
    return progress;
}

void call_free(ishow_utterance *utterance) {
    call *u = (call *)(void *)utterance;
    gateway *g = u->gateway;
    pthread_mutex_lock(&g->lock);
    if (!u->reader.ended) cancel(g, u);
    reader_detach(&u->reader);
    pthread_mutex_unlock(&g->lock);
    call_release(u);
    ishow_handle_freed();
}
