/* The interface behind engine.h, so that an engine whose models run on other machines can stand in the place of the
 * engine of this process (engine/). An engine and an utterance of either kind begin with a head that points to their
 * functions; engine.h states the contracts. */
#ifndef ISHOW_ENGINE_KIND_H
#define ISHOW_ENGINE_KIND_H

#include "engine/engine.h"

typedef struct ishow_engine_kind {
    ishow_status (*configure)(ishow_engine *engine, const ishow_engine_options *options, ishow_error *error);
    void (*free)(ishow_engine *engine);
    void (*info)(ishow_engine *engine, ishow_model_info *out);
    ishow_status (*prepare_voice)(ishow_engine *engine, const ishow_voice *voice, ishow_prepared_voice **out,
                                  ishow_error *error);
    void (*install_voice)(ishow_engine *engine, ishow_prepared_voice *prepared); /* of its own prepare_voice */
    void (*discard_voice)(ishow_prepared_voice *prepared);
    ishow_status (*remove_voice)(ishow_engine *engine, const char *id, ishow_error *error);
    ishow_status (*list_voices)(ishow_engine *engine, ishow_voice_entry **out, size_t *n, ishow_error *error);
    ishow_status (*submit)(ishow_engine *engine, const ishow_request *request, void (*notify)(void *user), void *user,
                           ishow_utterance **out, ishow_error *error);
    ishow_status (*ask_frontend)(ishow_engine *engine, const char *verb, const char *json, char **out,
                                 ishow_error *error); /* NULL, and so is reading, where there is no front end */
    ishow_status (*reading)(ishow_engine *engine, const ishow_request *request, char **out, ishow_error *error);
    void (*stats)(ishow_engine *engine, ishow_engine_stats *out);
    double (*busy_for)(ishow_engine *engine);

    ishow_status (*next)(ishow_utterance *utterance, double timeout, const float **samples, size_t *n,
                         ishow_error *error);
    void (*cancel)(ishow_utterance *utterance);
    void (*timings)(ishow_utterance *utterance, ishow_timings *out);
    double (*progress)(ishow_utterance *utterance);
    /* ishow_speak_feed and the like; NULL: only whole texts */
    ishow_status (*feed)(ishow_utterance *utterance, const char *text, double timeout, ishow_error *error);
    ishow_status (*set_text)(ishow_utterance *utterance, const char *text, size_t *kept, ishow_error *error);
    ishow_status (*flush)(ishow_utterance *utterance, ishow_error *error);
    ishow_status (*end)(ishow_utterance *utterance, ishow_error *error);
    void (*words)(ishow_utterance *utterance, const ishow_word **words, size_t *n); /* NULL: no times of words */
    ishow_status (*trajectory)(ishow_utterance *utterance, size_t part, ishow_trajectory *out,
                               ishow_error *error);     /* NULL: it takes no ishow_sampler_input */
    void (*free_utterance)(ishow_utterance *utterance); /* not NULL */
} ishow_engine_kind;

/* The first member of an engine, of an utterance and of a prepared voice of any kind. */
typedef struct ishow_engine_head {
    const ishow_engine_kind *kind;
} ishow_engine_head;

/* Steps of a request: its own; where it has 0, those that the model states; else ISHOW_NFE_DEFAULT. */
ISHOW_API int ishow_request_steps(const ishow_request *request, const ishow_model_info *info);

/* Checks a request whose `nfe` is that of ishow_request_steps, as every kind does first: EINVAL with the field. t: the
 * times of its steps, [ISHOW_NFE_MAX + 1] out. */
ISHOW_API ishow_status ishow_request_check(const ishow_request *request, float *t, ishow_error *error);

/* Then checks its voice. found: the voice exists; needs_voice: the model speaks in none without one; seconds: of the
 * voice's reference; known: ids of all voices with ", " between them. ENOTFOUND; EINVAL with the field.
 */
ISHOW_API ishow_status ishow_request_check_voice(const ishow_request *request, int found, double seconds,
                                                 int needs_voice, const char *known, ishow_error *error);
ISHOW_API void ishow_voice_names_add(char *known, size_t n, const char *id); /* as far as there is room */

/* A seed for a request without one: of 53 bits, so that a client that keeps numbers as doubles can give it back. */
ISHOW_API uint64_t ishow_request_seed(void);

/* Estimated work of such a request, in frames times calls of the model, for an ordinary speaker. The text is valid
 * UTF-8. */
ISHOW_API double ishow_request_work(const ishow_request *request, double frames_per_second);

/* The position of an utterance of an engine of this process behind the last piece that ishow_utterance_next gave;
 * `tail` is borrowed like *samples. 0 parts: no piece was given. */
ISHOW_API void ishow_utterance_position(ishow_utterance *utterance, ishow_position *out);

#endif
