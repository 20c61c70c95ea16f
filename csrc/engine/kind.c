/* Calls of engine.h, each handed to the kind of its engine or utterance. */
#include "engine/kind.h"

#include "base/base.h"

static const ishow_engine_kind *kind_of(const void *handle) { return ((const ishow_engine_head *)handle)->kind; }

ishow_status ishow_engine_configure(ishow_engine *engine, const ishow_engine_options *options, ishow_error *error) {
    return kind_of(engine)->configure(engine, options, error);
}

void ishow_engine_free(ishow_engine *engine) {
    if (engine) kind_of(engine)->free(engine);
}

void ishow_engine_info(ishow_engine *engine, ishow_model_info *out) { kind_of(engine)->info(engine, out); }

ishow_status ishow_engine_prepare_voice(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                                        ishow_error *error) {
    return kind_of(engine)->prepare_voice(engine, voice, out, error);
}

void ishow_engine_install_voice(ishow_engine *engine, ishow_prepared_voice *prepared) {
    kind_of(engine)->install_voice(engine, prepared);
}

void ishow_prepared_voice_discard(ishow_prepared_voice *prepared) {
    if (prepared) kind_of(prepared)->discard_voice(prepared);
}

ishow_status ishow_engine_set_voice(ishow_engine *engine, const ishow_voice *given, ishow_error *error) {
    ishow_prepared_voice *prepared = NULL;
    ishow_status status = ishow_engine_prepare_voice(engine, given, &prepared, error);
    if (status == ISHOW_OK) ishow_engine_install_voice(engine, prepared);
    return status;
}

ishow_status ishow_engine_remove_voice(ishow_engine *engine, const char *id, ishow_error *error) {
    return kind_of(engine)->remove_voice(engine, id, error);
}

ishow_status ishow_engine_list_voices(ishow_engine *engine, ishow_voice_entry **out, size_t *n, ishow_error *error) {
    return kind_of(engine)->list_voices(engine, out, n, error);
}

ishow_status ishow_engine_submit(ishow_engine *engine, const ishow_request *request, void (*notify)(void *user),
                                 void *user, ishow_utterance **out, ishow_error *error) {
    if (request->open && !kind_of(engine)->feed)
        return ishow_fail(error, ISHOW_ESTATE, "text", "this engine takes whole texts only");
    if (request->sampler && !kind_of(engine)->trajectory)
        return ishow_fail(error, ISHOW_ESTATE, "", "times, noise and trajectory need an engine of this process");
    return kind_of(engine)->submit(engine, request, notify, user, out, error);
}

static ishow_status no_frontend(ishow_error *error) {
    return ishow_fail(error, ISHOW_ESTATE, "", "this engine has no text front end of its own to be asked");
}

ishow_status ishow_engine_ask_frontend(ishow_engine *engine, const char *verb, const char *json, char **out,
                                       ishow_error *error) {
    *out = NULL;
    if (!kind_of(engine)->ask_frontend) return no_frontend(error);
    return kind_of(engine)->ask_frontend(engine, verb, json, out, error);
}

ishow_status ishow_engine_reading(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error) {
    *out = NULL;
    return kind_of(engine)->reading ? kind_of(engine)->reading(engine, request, out, error) : no_frontend(error);
}

void ishow_engine_stats_get(ishow_engine *engine, ishow_engine_stats *out) { kind_of(engine)->stats(engine, out); }
double ishow_engine_busy_for(ishow_engine *engine) { return kind_of(engine)->busy_for(engine); }

ishow_status ishow_utterance_next(ishow_utterance *utterance, double timeout, const float **samples, size_t *n,
                                  ishow_error *error) {
    return kind_of(utterance)->next(utterance, timeout, samples, n, error);
}

void ishow_utterance_cancel(ishow_utterance *utterance) { kind_of(utterance)->cancel(utterance); }
void ishow_utterance_timings(ishow_utterance *utterance, ishow_timings *out) {
    kind_of(utterance)->timings(utterance, out);
}
double ishow_utterance_progress(ishow_utterance *utterance) { return kind_of(utterance)->progress(utterance); }

void ishow_utterance_free(ishow_utterance *utterance) {
    if (utterance) kind_of(utterance)->free_utterance(utterance);
}

static ishow_status only_whole(ishow_error *error) {
    return ishow_fail(error, ISHOW_ESTATE, "", "this text was whole from the beginning");
}

ishow_status ishow_speak_feed(ishow_utterance *utterance, const char *text, double timeout, ishow_error *error) {
    const ishow_engine_kind *kind = kind_of(utterance);
    return kind->feed ? kind->feed(utterance, text, timeout, error) : only_whole(error);
}

ishow_status ishow_speak_set_text(ishow_utterance *utterance, const char *text, size_t *kept, ishow_error *error) {
    const ishow_engine_kind *kind = kind_of(utterance);
    return kind->set_text ? kind->set_text(utterance, text, kept, error) : only_whole(error);
}

ishow_status ishow_speak_flush(ishow_utterance *utterance, ishow_error *error) {
    const ishow_engine_kind *kind = kind_of(utterance);
    return kind->flush ? kind->flush(utterance, error) : only_whole(error);
}

ishow_status ishow_speak_end(ishow_utterance *utterance, ishow_error *error) {
    const ishow_engine_kind *kind = kind_of(utterance);
    return kind->end ? kind->end(utterance, error) : only_whole(error);
}

void ishow_utterance_words(ishow_utterance *utterance, const ishow_word **words, size_t *n) {
    *words = NULL;
    *n = 0;
    if (kind_of(utterance)->words) kind_of(utterance)->words(utterance, words, n);
}

ishow_status ishow_utterance_trajectory(ishow_utterance *utterance, size_t part, ishow_trajectory *out,
                                        ishow_error *error) {
    const ishow_engine_kind *kind = kind_of(utterance);
    return kind->trajectory ? kind->trajectory(utterance, part, out, error)
                            : ishow_fail(error, ISHOW_ESTATE, "", "no trajectory of this utterance was asked for");
}
