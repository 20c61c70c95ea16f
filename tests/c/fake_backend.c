/* The fake model moves mel band 0 of every frame to a target that encode derives from the tokens, and leaves band 1 at
 * its noise, so a result shows both the text and the seed. Vocoded clips are a tone of constant amplitude. */
#include "fake_backend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double PI = 3.14159265358979323846;

void fake_model_init(fake_model *model) {
    memset(model, 0, sizeof *model);
    pthread_mutex_init(&model->lock, NULL);
}

void fake_text_init(fake_text *text) {
    memset(text, 0, sizeof *text);
    pthread_mutex_init(&text->lock, NULL);
}

void fake_set(fake_model *model, int *knob, int value) {
    pthread_mutex_lock(&model->lock);
    *knob = value;
    pthread_mutex_unlock(&model->lock);
}

int fake_get(fake_model *model, const int *counter) {
    pthread_mutex_lock(&model->lock);
    int value = *counter;
    pthread_mutex_unlock(&model->lock);
    return value;
}

/* Locks. */
static fake_model *enter(void *self) {
    fake_model *m = self;
    pthread_mutex_lock(&m->lock);
    if (!m->has_thread) m->thread = pthread_self(), m->has_thread = 1;
    m->wrong_thread += !pthread_equal(m->thread, pthread_self());
    return m;
}

static ishow_status leave(fake_model *m, ishow_status status, ishow_error *error, const char *message) {
    pthread_mutex_unlock(&m->lock);
    if (status != ISHOW_OK && error) {
        error->status = status;
        strcpy(error->message, message);
    }
    return status;
}

static int well_formed(const ishow_encode_in *in, ishow_text_layout layout) {
    for (size_t i = 0; i < in->n_tokens; i++)
        if (in->tokens[i] < 0 || in->tokens[i] > 256) return 0;
    for (size_t i = in->ref_frames * FAKE_MELS; i < in->frames * FAKE_MELS; i++)
        if (in->cond[i] != 0) return 0;
    if (layout == ISHOW_TEXT_PADDED) return in->n_tokens == in->frames && !in->index && !in->phase;
    if (!in->index) return 0;
    if (layout == ISHOW_TEXT_AVERAGE) return in->n_tokens == in->frames && !in->phase;
    for (size_t f = 0; f < in->frames; f++) {
        if (in->index[f] < 0 || (size_t)in->index[f] >= in->n_tokens || (f && in->index[f] < in->index[f - 1]))
            return 0;
        if (!(in->phase[f] > 0 && in->phase[f] < 1)) return 0;
    }
    return 1;
}

static ishow_status encode_as(void *self, const ishow_encode_in *in, float *h_cond, float *h_uncond,
                              ishow_text_layout layout, ishow_error *error) {
    fake_model *m = enter(self);
    m->encodes++;
    m->malformed += !well_formed(in, layout);
    m->last_frames = in->frames;
    m->last_ref_frames = in->ref_frames;
    m->last_tokens = in->n_tokens;
    for (size_t f = 0; f < in->frames; f++) {
        int64_t token = in->tokens[in->index ? (size_t)in->index[f] : f];
        h_cond[f * FAKE_DIM] = (float)token / 256 + 1;
        h_uncond[f * FAKE_DIM] = 1;
        for (size_t d = 1; d < FAKE_DIM; d++)
            h_cond[f * FAKE_DIM + d] = h_uncond[f * FAKE_DIM + d] = in->cond[f * FAKE_MELS + d];
    }
    return leave(m, ISHOW_OK, error, "");
}

static ishow_status encode_padded(void *self, const ishow_encode_in *in, float *hc, float *hu, ishow_error *error) {
    return encode_as(self, in, hc, hu, ISHOW_TEXT_PADDED, error);
}
static ishow_status encode_average(void *self, const ishow_encode_in *in, float *hc, float *hu, ishow_error *error) {
    return encode_as(self, in, hc, hu, ISHOW_TEXT_AVERAGE, error);
}
static ishow_status encode_aligned(void *self, const ishow_encode_in *in, float *hc, float *hu, ishow_error *error) {
    return encode_as(self, in, hc, hu, ISHOW_TEXT_ALIGNED, error);
}

static ishow_status modulate(void *self, const float *t, const float *guidance, size_t n, float *mod,
                             ishow_error *error) {
    fake_model *m = enter(self);
    m->modulates++;
    for (size_t i = 0; i < n; i++) {
        mod[i * FAKE_MOD] = m->broken_modulation ? NAN : t[i];
        if (m->guidance_max > 0) m->guidance = guidance[i];
        mod[i * FAKE_MOD + 1] = (float)(i + 1); /* number of the step */
        mod[i * FAKE_MOD + 2] = 0;
    }
    return leave(m, ISHOW_OK, error, "");
}

/* Moves mel 1 by what was kept, and checks the rest; the lock is held. */
static void follow_prompt(fake_model *m, const ishow_step_row *r) {
    m->malformed += r->h_uncond != NULL || r->prompt->frames != m->last_ref_frames || r->prompt->frames >= r->frames;
    m->prompted++;
    m->known = 0;
    for (size_t f = 0; f < r->prompt->frames; f++) m->known += !r->prompt->live[f];
    for (size_t f = r->prompt->frames; f < r->frames; f++)
        r->x[f * FAKE_MELS + 1] += r->dt * *(const float *)r->prompt->kept;
}

static ishow_status step(void *self, const ishow_step_row *rows, size_t n, ishow_error *error) {
    fake_model *m = enter(self);
    m->steps++;
    m->row_steps += (int)n;
    if ((int)n > m->most_rows) m->most_rows = (int)n;
    int fails = 0;
    size_t frames = 0;
    for (size_t i = 0; i < n; i++) {
        const ishow_step_row *r = &rows[i];
        int number = (int)r->mod[1];
        frames += r->frames;
        m->both += r->h_uncond != NULL;
        if (r->prompt) follow_prompt(m, r);
        for (size_t f = 0; f < r->frames; f++) {
            float *x = r->x + f * FAKE_MELS, left = 1 - r->mod[0];
            x[0] += r->dt * (r->h_cond[f * FAKE_DIM] - x[0]) / left;
        }
        if (m->nan_rows > 0 && number == m->nan_at) r->x[r->frames / 2 * FAKE_MELS] = NAN, m->nan_rows--;
        if (m->error_rows > 0 && number == m->error_at) fails = 1, m->error_rows--;
    }
    const int slow = m->slow_us + (int)((size_t)m->slow_frame_ns * frames / 1000);
    leave(m, fails ? ISHOW_EMODEL : ISHOW_OK, error, "the fake step fails as told");
    if (slow) usleep((useconds_t)slow);
    return fails ? ISHOW_EMODEL : ISHOW_OK;
}

enum { PROMPT_BYTES = 1024 }; /* of a frame */
static size_t prompt_bytes(void *self, size_t frames) { return (void)self, frames * PROMPT_BYTES; }

static ishow_status prompt(void *self, const ishow_prompt_in *in, void *kept, ishow_error *error) {
    fake_model *m = enter(self);
    float sum = in->t + in->mod[0];
    m->prompts++;
    for (size_t f = 0; f < in->frames; f++)
        sum += in->cond[f * FAKE_MELS] + in->noise[f * FAKE_MELS + 1] + in->h[f * FAKE_DIM];
    memset(kept, 0, in->frames * PROMPT_BYTES);
    *(float *)kept = sum / (float)in->frames;
    return leave(m, ISHOW_OK, error, "");
}

static ishow_status vocode(void *self, const float *mel, size_t frames, float *real, float *imag, ishow_error *error) {
    fake_model *m = enter(self);
    m->vocodes++;
    size_t bins = FAKE_N_FFT / 2 + 1, tone = 8;
    m->malformed += frames < 2;
    m->last_noise = mel[1];
    memset(real, 0, frames * bins * sizeof *real);
    memset(imag, 0, frames * bins * sizeof *imag);
    if (m->silent_clips > 0) {
        m->silent_clips--;
        return leave(m, ISHOW_OK, error, "");
    }
    for (size_t f = 0; f < frames; f++) {
        double phase = 2 * PI * (double)tone * ((double)(f * FAKE_HOP) - FAKE_N_FFT / 2) / FAKE_N_FFT,
               level = 0.1 * FAKE_N_FFT * 3 / 8;
        real[f * bins + tone] = (float)(level * cos(phase));
        imag[f * bins + tone] = (float)(level * sin(phase));
    }
    if (m->nan_clips > 0) m->nan_clips--, real[frames / 2 * bins + tone] = NAN;
    return leave(m, ISHOW_OK, error, "");
}

static ishow_status durations(void *self, const int64_t *tokens, size_t n, float *frames_out, ishow_error *error) {
    fake_model *m = enter(self);
    m->durations++;
    for (size_t i = 0; i < n; i++) frames_out[i] = m->wrong_durations ? NAN : 3 + (float)(tokens[i] % 3);
    return leave(m, ISHOW_OK, error, "");
}

static void close_model(void *self) {
    fake_model *m = self;
    pthread_mutex_lock(&m->lock);
    m->closed++;
    pthread_mutex_unlock(&m->lock);
}

ishow_backend fake_backend(fake_model *model, ishow_text_layout layout, int uses_prompt, size_t max_rows,
                           size_t max_frames) {
    ishow_backend backend = {.self = model,
                             .encode = layout == ISHOW_TEXT_PADDED    ? encode_padded
                                       : layout == ISHOW_TEXT_AVERAGE ? encode_average
                                                                      : encode_aligned,
                             .modulate = modulate,
                             .step = step,
                             .vocode = vocode,
                             .durations = layout == ISHOW_TEXT_ALIGNED ? durations : NULL,
                             .prompt = model->keeps_prompts ? prompt : NULL,
                             .prompt_bytes = model->keeps_prompts ? prompt_bytes : NULL,
                             .close = close_model};
    backend.info = (ishow_model_info){.name = "fake",
                                      .backend = "fake",
                                      .precision = "fp32",
                                      .content_hash = "fa4e",
                                      .sample_rate = FAKE_RATE,
                                      .n_fft = FAKE_N_FFT,
                                      .hop = FAKE_HOP,
                                      .spectrum_fft = FAKE_N_FFT,
                                      .spectrum_hop = FAKE_HOP,
                                      .n_mels = FAKE_MELS,
                                      .mel_mean = FAKE_MEL_MEAN,
                                      .mel_std = FAKE_MEL_STD,
                                      .dim = FAKE_DIM,
                                      .mod_width = FAKE_MOD,
                                      .text_layout = layout,
                                      .predicts_durations = layout == ISHOW_TEXT_ALIGNED,
                                      .uses_prompt = uses_prompt,
                                      .max_frames = max_frames,
                                      .max_rows = max_rows,
                                      .one_branch = model->keeps_prompts,
                                      .guidance_max = model->guidance_max};
    return backend;
}

static fake_text *enter_text(void *self) {
    fake_text *t = self;
    pthread_mutex_lock(&t->lock);
    if (!t->has_thread) t->thread = pthread_self(), t->has_thread = 1;
    t->wrong_thread += !pthread_equal(t->thread, pthread_self());
    int slow = t->slow_us;
    pthread_mutex_unlock(&t->lock);
    if (slow) usleep((useconds_t)slow);
    return t;
}

static ishow_status text_error(ishow_error *error, ishow_status status, const char *message) {
    error->status = status;
    strcpy(error->field, status == ISHOW_EINVAL ? "text" : "");
    strcpy(error->message, message);
    return status;
}

/* One entry for each word between spaces. */
static void fake_places(ishow_reading *r) {
    r->places = calloc(strlen(r->text) + 1, sizeof *r->places);
    for (const char *p = r->text; r->places && *p;) {
        const size_t n = strcspn(p, " "), at = (size_t)(p - r->text);
        if (n)
            r->places[r->n_places++] =
                (ishow_place){.at = (uint32_t)at, .said = 1, .begin = (uint32_t)at, .end = (uint32_t)(at + n)};
        p += n + (p[n] == ' ');
    }
}

static ishow_status normalize(void *self, const char *text, const char *language, int markup, ishow_reading *out,
                              ishow_error *error) {
    fake_text *t = enter_text(self);
    (void)language, (void)markup;
    *out = (ishow_reading){.unspoken.count = strchr(text, '~') != NULL};
    if (out->unspoken.count) snprintf(out->unspoken.first, sizeof out->unspoken.first, "~");
    pthread_mutex_lock(&t->lock);
    t->normalizes++;
    pthread_mutex_unlock(&t->lock);
    if (strstr(text, "%N")) return text_error(error, ISHOW_EPYTHON, "the fake normalize fails as told");
    if (strcmp(text, "#") == 0) return text_error(error, ISHOW_EINVAL, "nothing speakable is left");
    if (!(out->text = strdup(text))) return ISHOW_ENOMEM;
    fake_places(out);
    return ISHOW_OK;
}

static ishow_status tokenize(void *self, const char *ref_text, const char *text, const char *language,
                             const char *voice, ishow_tokens *out, ishow_error *error) {
    fake_text *t = enter_text(self);
    (void)language;
    pthread_mutex_lock(&t->lock);
    t->tokenizes++;
    snprintf(t->voice, sizeof t->voice, "%s", voice ? voice : "");
    const size_t used = strlen(t->parts);
    snprintf(t->parts + used, sizeof t->parts - used, "%s|", text);
    pthread_mutex_unlock(&t->lock);
    if (strstr(text, "%T")) return text_error(error, ISHOW_EPYTHON, "the fake tokenize fails as told");
    out->words = malloc((strlen(text) + 1) * sizeof *out->words);
    if (!out->words) return ISHOW_ENOMEM;
    for (size_t i = 0, word = 0; text[i]; i++) {
        out->words[i] = text[i] == ' ' ? -1 : (int32_t)word;
        word += text[i] == ' ' && text[i + 1] && text[i + 1] != ' ';
    }
    const char *given = ref_text && !*ref_text ? "@" : ref_text ? ref_text : "";
    out->n_ref = strlen(given);
    out->n = out->n_ref + strlen(text);
    out->ids = malloc(out->n * sizeof *out->ids);
    if (!out->ids) return ISHOW_ENOMEM;
    for (size_t i = 0; i < out->n; i++) out->ids[i] = (unsigned char)(i < out->n_ref ? given[i] : text[i - out->n_ref]);
    return ISHOW_OK;
}

static ishow_status cut(void *self, const char *text, ishow_part **out, size_t *n, ishow_error *error) {
    enter_text(self);
    *n = 0;
    if (strstr(text, "%C")) return text_error(error, ISHOW_EPYTHON, "the fake cut fails as told");
    *out = calloc(strlen(text) + 1, sizeof **out);
    if (!*out) return ISHOW_ENOMEM;
    for (const char *p = text;; p++) {
        ishow_part *part = &(*out)[(*n)++];
        int used = 0;
        if (sscanf(p, "p=%lf;%n", &part->pause, &used) == 1) p += used;
        if (used = 0, sscanf(p, "s=%lf;%n", &part->speed, &used) == 1) p += used;
        if (used = 0, sscanf(p, "v=%64[a-z];%n", part->voice, &used) == 1) p += used;
        const size_t size = strcspn(p, "|");
        part->text = strndup(p, size);
        part->start = (size_t)(p - text);
        p += size;
        if (!*p) return ISHOW_OK;
    }
}

static void close_text(void *self) {
    fake_text *t = self;
    pthread_mutex_lock(&t->lock);
    t->closed++;
    pthread_mutex_unlock(&t->lock);
}

ishow_text_frontend fake_frontend(fake_text *text) {
    return (ishow_text_frontend){
        .self = text, .normalize = normalize, .cut = cut, .tokenize = tokenize, .close = close_text};
}

void fake_voice(ishow_engine *engine, const char *id, const char *ref_text, float level) {
    enum { RATE = 16000, N = RATE * 26 / 10 };
    float *samples = calloc(N, sizeof *samples);
    assert_non_null(samples);
    for (size_t i = RATE * 3 / 10; i < RATE * 23 / 10; i++)
        samples[i] = level * (float)sin(2 * PI * 440 * (double)i / RATE);
    ishow_error error = {0};
    ishow_voice voice = {.id = id, .text = ref_text, .samples = samples, .length = N, .sample_rate = RATE};
    ishow_status status = ishow_engine_set_voice(engine, &voice, &error);
    free(samples);
    if (status != ISHOW_OK) fail_msg("set_voice: %s", error.message);
}
