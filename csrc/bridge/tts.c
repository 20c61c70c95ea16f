/* The public interface, ishow.h: configuration, backend, text front end, engine and voices put together.
 *
 * The interpreter is shared by all models of a process and lives until its end: packages with C code, numpy among them,
 * do not survive a second start of an interpreter. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "bridge/internal.h"
#include "service/settings.h"
#include "service/speech.h"

struct ishow_tts {
    ishow_engine *engine;
    ishow_request sampling; /* defaults for texts without settings of their own */
    char *default_voice;    /* NULL: the first */
    int sample_rate;
};

static ishow_status shared_bridge(ishow_bridge **out, ishow_error *error) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static ishow_bridge *bridge;
    ishow_status status = ISHOW_OK;
    pthread_mutex_lock(&lock);
    if (!bridge && Py_IsInitialized()) {
        PyGILState_STATE interpreter = PyGILState_Ensure();
        status = ishow_bridge_attach(&bridge, error);
        PyGILState_Release(interpreter);
    } else if (!bridge) {
        status = ishow_bridge_start(&bridge, NULL, error);
    } else {
        ishow_handle_made();
    }
    if (status == ISHOW_OK) ishow_handle_freed(); /* it is never freed */
    *out = bridge;
    pthread_mutex_unlock(&lock);
    return status;
}

/* The settings with the model's name before them, NULL-terminated, in one block; free() it. */
static const char **with_model(const char *model, const char *const *settings, size_t *n) {
    static const char key[] = "model.name=";
    size_t n_settings = 0, n_model = 0;
    while (settings && settings[n_settings]) n_settings++;
    const char **all = calloc(1, (n_settings + 2) * sizeof *all + sizeof key + (model ? strlen(model) : 0));
    if (!all) return NULL;
    if (model) {
        char *text = (char *)(all + n_settings + 2);
        strcat(strcpy(text, key), model);
        all[n_model++] = text;
    }
    for (size_t i = 0; i < n_settings; i++) all[n_model + i] = settings[i];
    *n = n_model + n_settings;
    return all;
}

static ishow_status open_settings(ishow_tts *tts, ishow_bridge *bridge, const settings *s, ishow_error *error) {
    int pending = 0;
    ishow_model_info info;
    ishow_status status = ishow_bridge_engine(bridge, s->model, s->precision, s->backend, s->threads, &s->engine,
                                              &tts->engine, &pending, error);
    if (status != ISHOW_OK) return status;
    ishow_engine_info(tts->engine, &info);
    tts->sample_rate = info.sample_rate;
    tts->sampling = s->server.sampling;
    if (s->default_voice && !(tts->default_voice = ishow_strdup(s->default_voice)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "Out of memory.");
    for (size_t i = 0; i < s->n_voices; i++) {
        const ishow_voice_setting *v = &s->voices[i];
        status = v->audio && !v->speaker ? ishow_tts_load_voice(tts, v->id, v->text, v->language, v->audio, error)
                                         : ishow_tts_set_voice(tts, v->id, v->text, v->language, NULL, 0, 0, error);
        if (status != ISHOW_OK) return status;
    }
    return ISHOW_OK;
}

ishow_status ishow_tts_open(ishow_tts **out, const char *model, const char *const *settings_, ishow_error *error) {
    ishow_bridge *bridge = NULL; /* borrowed */
    ishow_tts *tts = NULL;
    const char **overrides = NULL;
    char *json = NULL;
    settings s = {0};
    size_t n = 0;
    *out = NULL;
    ishow_status status = shared_bridge(&bridge, error);
    if (status != ISHOW_OK) return status;
    if (!(tts = calloc(1, sizeof *tts)) || !(overrides = with_model(model, settings_, &n))) {
        status = ishow_fail(error, ISHOW_ENOMEM, "", "Out of memory.");
        goto done;
    }
    if ((status = ishow_bridge_config(bridge, NULL, overrides, n, &json, error)) != ISHOW_OK) goto done;
    if ((status = ishow_settings_read(&s, json, error)) != ISHOW_OK) goto done;
    if ((status = open_settings(tts, bridge, &s, error)) != ISHOW_OK) goto done;
    ishow_handle_made();
    *out = tts;
    tts = NULL;
done:
    if (tts) {
        ishow_engine_free(tts->engine);
        free(tts->default_voice);
        free(tts);
    }
    ishow_settings_free(&s);
    free(overrides);
    free(json);
    return status;
}

void ishow_tts_free(ishow_tts *tts) {
    if (!tts) return;
    ishow_engine_free(tts->engine);
    free(tts->default_voice);
    free(tts);
    ishow_handle_freed();
}

int ishow_tts_sample_rate(const ishow_tts *tts) { return tts->sample_rate; }

ishow_status ishow_tts_set_voice(ishow_tts *tts, const char *id, const char *text, const char *language,
                                 const float *samples, size_t length, int sample_rate, ishow_error *error) {
    const ishow_voice voice = {
        .id = id, .language = language, .text = text, .samples = samples, .length = length, .sample_rate = sample_rate};
    return ishow_engine_set_voice(tts->engine, &voice, error);
}

ishow_status ishow_tts_load_voice(ishow_tts *tts, const char *id, const char *text, const char *language,
                                  const char *path, ishow_error *error) {
    const ishow_decode_limits limits = ishow_decode_limits_reference();
    ishow_pcm pcm = {0};
    ishow_status status = ishow_audio_decode_file(path, &limits, &pcm, error);
    if (status == ISHOW_OK)
        status = ishow_tts_set_voice(tts, id, text, language, pcm.samples, pcm.length, pcm.sample_rate, error);
    ishow_pcm_free(&pcm);
    return status;
}

ishow_status ishow_tts_remove_voice(ishow_tts *tts, const char *id, ishow_error *error) {
    return ishow_engine_remove_voice(tts->engine, id, error);
}

ishow_status ishow_tts_voice_id(ishow_tts *tts, size_t index, char id[65], ishow_error *error) {
    ishow_voice_entry *all = NULL;
    size_t n = 0;
    ishow_status status = ishow_engine_list_voices(tts->engine, &all, &n, error);
    if (status == ISHOW_OK && index >= n)
        status = ishow_fail(error, ISHOW_ENOTFOUND, "", "There are %zu voices.", n);
    else if (status == ISHOW_OK)
        memcpy(id, all[index].id, sizeof all[index].id);
    free(all);
    return status;
}

/* open: the text goes on after `text`. */
static ishow_status begin(ishow_tts *tts, const char *text, int open, const char *const *settings_,
                          const ishow_sampler_input *input, ishow_utterance **out, ishow_error *error) {
    speech s;
    *out = NULL;
    ishow_status status = ishow_speech_from_settings(text, open, settings_, &tts->sampling, &s, error);
    if (status == ISHOW_OK) {
        if (!s.request.voice) s.request.voice = tts->default_voice;
        s.request.sampler = input;
        s.request.early = 1; /* pieces are pulled while later ones are synthesised */
        status = ishow_engine_submit(tts->engine, &s.request, NULL, NULL, out, error);
    }
    ishow_speech_free(&s);
    return status;
}

ishow_status ishow_tts_speak(ishow_tts *tts, const char *text, const char *const *settings_, ishow_utterance **out,
                             ishow_error *error) {
    return begin(tts, text, 0, settings_, NULL, out, error);
}

ishow_status ishow_tts_speak_with(ishow_tts *tts, const char *text, const char *const *settings_,
                                  const ishow_sampler_input *input, ishow_utterance **out, ishow_error *error) {
    return begin(tts, text, 0, settings_, input, out, error);
}

ishow_status ishow_speak_begin(ishow_tts *tts, const char *const *settings_, ishow_utterance **out,
                               ishow_error *error) {
    return begin(tts, "", 1, settings_, NULL, out, error);
}
