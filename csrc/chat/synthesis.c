/* Synthesises clips by the engine. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

struct ishow_chat_voicing {
    ishow_request sampling;
    char *default_voice;
};

struct ishow_chat_engine {
    ishow_engine *engine; /* borrowed */
    pthread_mutex_t lock; /* guards voicing */
    ishow_chat_voicing *voicing;
    int sample_rate;
    ishow_chat *chat; /* borrowed; woken by new samples */
};

ishow_status ishow_chat_voicing_prepare(ishow_chat_voicing **out, const ishow_request *sampling,
                                        const char *default_voice, ishow_error *error) {
    ishow_chat_voicing *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v || (default_voice && !(v->default_voice = ishow_strdup(default_voice)))) {
        free(v);
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
    }
    v->sampling = *sampling;
    v->sampling.text = v->sampling.voice = NULL;
    *out = v;
    return ISHOW_OK;
}

void ishow_chat_voicing_discard(ishow_chat_voicing *v) {
    if (!v) return;
    free(v->default_voice);
    free(v);
}

void ishow_chat_voicing_install(ishow_chat_engine *e, ishow_chat_voicing *v) {
    pthread_mutex_lock(&e->lock);
    ishow_chat_voicing *before = e->voicing;
    e->voicing = v;
    pthread_mutex_unlock(&e->lock);
    ishow_chat_voicing_discard(before);
}

static void news(void *self) {
    ishow_chat_engine *e = self;
    if (e->chat) ishow_chat_wake(e->chat);
}

static ishow_status start(void *self, const char *text, const char *own, const char *voice, int urgent, int soon,
                          void **clip, ishow_error *error) {
    ishow_chat_engine *e = self;
    ishow_utterance *u = NULL;
    pthread_mutex_lock(&e->lock);
    ishow_request request = e->voicing->sampling;
    request.text = text;
    request.essential = own;
    request.voice = voice ? voice : e->voicing->default_voice;
    request.priority = urgent;
    request.early = soon;
    ishow_status status = ishow_engine_submit(e->engine, &request, news, e, &u, error);
    pthread_mutex_unlock(&e->lock);
    *clip = u;
    return status;
}

static ishow_status next(void *self, void *clip, const float **samples, size_t *n, ishow_error *error) {
    (void)self;
    return ishow_utterance_next(clip, 0, samples, n, error);
}

static void words(void *self, void *clip, const ishow_word **out, size_t *n) {
    (void)self;
    ishow_utterance_words(clip, out, n);
}

static void release(void *self, void *clip) {
    (void)self;
    ishow_utterance_free(clip);
}

ishow_status ishow_chat_engine_create(ishow_chat_engine **out, ishow_engine *engine, const ishow_request *sampling,
                                      const char *default_voice, ishow_error *error) {
    ishow_chat_engine *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
    ishow_status status = ishow_chat_voicing_prepare(&e->voicing, sampling, default_voice, error);
    if (status) {
        free(e);
        return status;
    }
    ishow_model_info info;
    ishow_engine_info(engine, &info);
    pthread_mutex_init(&e->lock, NULL);
    e->engine = engine;
    e->sample_rate = info.sample_rate;
    ishow_handle_made();
    *out = e;
    return ISHOW_OK;
}

ishow_chat_synth ishow_chat_engine_synth(ishow_chat_engine *e) {
    ishow_chat_synth synth = {
        .self = e, .start = start, .next = next, .words = words, .free = release, .sample_rate = e->sample_rate};
    char *scripts = NULL; /* a JSON string */
    ishow_error ignored;
    if (ishow_engine_ask_frontend(e->engine, "scripts", "null", &scripts, &ignored) == ISHOW_OK)
        snprintf(synth.scripts, sizeof synth.scripts, "%.*s", (int)strspn(scripts + 1, "ahkx"), scripts + 1);
    free(scripts);
    return synth;
}

void ishow_chat_engine_notify(ishow_chat_engine *e, ishow_chat *chat) { e->chat = chat; }

void ishow_chat_engine_free(ishow_chat_engine *e) {
    if (!e) return;
    ishow_chat_voicing_discard(e->voicing);
    pthread_mutex_destroy(&e->lock);
    free(e);
    ishow_handle_freed();
}
