/* What a research request gives the solver besides settings (times, noise), and the states that it keeps of its
 * rows. */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

ishow_status sampler_input_check(const ishow_sampler_input *in, ishow_error *error) {
    const float *t = in->times;
    if (t && (in->n_times < ISHOW_NFE_MIN + 1 || in->n_times > ISHOW_NFE_MAX + 1))
        return ishow_fail(error, ISHOW_EINVAL, "times", "times must have %d to %d values, got %zu", ISHOW_NFE_MIN + 1,
                          ISHOW_NFE_MAX + 1, in->n_times);
    if (t && (t[0] != 0 || t[in->n_times - 1] != 1))
        return ishow_fail(error, ISHOW_EINVAL, "times", "times must begin with 0 and end with 1, not %g and %g",
                          (double)t[0], (double)t[in->n_times - 1]);
    for (size_t i = 1; t && i < in->n_times; i++)
        if (!(t[i] > t[i - 1]))
            return ishow_fail(error, ISHOW_EINVAL, "times", "times must increase: number %zu is %g, after %g", i,
                              (double)t[i], (double)t[i - 1]);
    if (in->noise && !ishow_all_finite(in->noise, in->n_noise))
        return ishow_fail(error, ISHOW_EINVAL, "noise", "noise has values that are not finite");
    return ISHOW_OK;
}

ishow_status sampler_input_take(ishow_utterance *u, const ishow_sampler_input *in, size_t n_mels, ishow_error *error) {
    if (in->times) {
        memcpy(u->t, in->times, in->n_times * sizeof *u->t);
        u->path.nfe = (int)in->n_times - 1;
    }
    u->keeps_states = in->trajectory;
    if (!in->noise) return ISHOW_OK;
    if (!in->n_noise || in->n_noise % n_mels)
        return ishow_fail(error, ISHOW_EINVAL, "noise", "noise must have %zu values a frame, got %zu in all", n_mels,
                          in->n_noise);
    if (!(u->noise = ishow_alloc(in->n_noise, sizeof *u->noise)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for noise of %zu values", in->n_noise);
    memcpy(u->noise, in->noise, in->n_noise * sizeof *u->noise);
    u->noise_frames = in->n_noise / n_mels;
    return ISHOW_OK;
}

static ishow_status take_noise(job *j, size_t mels, ishow_error *error) {
    ishow_utterance *u = j->utterance;
    const size_t at = u->noise_taken;
    u->noise_taken += j->frames; /* once for each part: a row with given noise is not made again */
    if (u->noise_taken > u->noise_frames)
        return ishow_fail(error, ISHOW_EINVAL, "noise", "noise has %zu frames, and the text needs %zu up to part %zu",
                          u->noise_frames, u->noise_taken, u->before + j->index + 1);
    memcpy(j->x, u->noise + at * mels, j->frames * mels * sizeof *j->x);
    return ISHOW_OK;
}

ishow_status sampler_input_start(ishow_engine *engine, job *j, ishow_error *error) {
    ishow_utterance *u = j->utterance;
    const size_t mels = (size_t)engine->backend.info.n_mels, states = (size_t)u->path.nfe + 1,
                 part = u->before + j->index;
    if (u->noise) {
        ishow_status status = take_noise(j, mels, error);
        if (status != ISHOW_OK) return status;
    } else {
        ishow_noise_fill(ishow_noise_seed(u->seed, (uint32_t)part, (uint32_t)j->retry), j->x, j->frames * mels);
    }
    if (!u->keeps_states || j->trajectory) return ISHOW_OK;
    const size_t values = (states * j->frames + j->frames - j->ref_frames) * mels;
    j->trajectory = malloc(sizeof *j->trajectory + values * sizeof *j->trajectory->values);
    if (!j->trajectory)
        return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the %zu states of a row of %zu frames", states,
                          j->frames);
    *j->trajectory =
        (trajectory){.part = part, .n_states = states, .frames = j->frames, .ref_frames = j->ref_frames, .mels = mels};
    return ISHOW_OK;
}

void trajectory_state(const job *j) {
    const size_t a_step = j->utterance->path.solver == ISHOW_SOLVER_MIDPOINT ? 2 : 1, calls = (size_t)j->calls;
    trajectory *kept = j->trajectory;
    if (!kept || calls % a_step) return;
    const size_t values = kept->frames * kept->mels;
    memcpy(kept->values + calls / a_step * values, j->x, values * sizeof *j->x);
}

void trajectory_finish(ishow_engine *engine, job *j) {
    const ishow_model_info *info = &engine->backend.info;
    ishow_utterance *u = j->utterance;
    trajectory *kept = j->trajectory;
    if (!kept) return;
    trajectory_state(j);
    const float *last = kept->values + (kept->n_states - 1) * kept->frames * kept->mels + kept->ref_frames * kept->mels;
    float *mel = kept->values + kept->n_states * kept->frames * kept->mels;
    for (size_t i = 0; i < (kept->frames - kept->ref_frames) * kept->mels; i++)
        mel[i] = last[i] * info->mel_std + info->mel_mean;
    j->trajectory = NULL;
    pthread_mutex_lock(&engine->lock);
    kept->next = u->trajectories;
    u->trajectories = kept;
    pthread_mutex_unlock(&engine->lock);
}

void trajectories_free(trajectory *first) {
    while (first) {
        trajectory *next = first->next;
        free(first);
        first = next;
    }
}

ishow_status local_trajectory(ishow_utterance *u, size_t part, ishow_trajectory *out, ishow_error *error) {
    ishow_status status = ISHOW_OK;
    if (!u->keeps_states) return ishow_fail(error, ISHOW_ESTATE, "", "no trajectory of this utterance was asked for");
    pthread_mutex_lock(&u->engine->lock);
    const trajectory *found = u->trajectories;
    while (found && found->part != part) found = found->next;
    if (found) {
        const size_t values = found->frames * found->mels;
        *out = (ishow_trajectory){.n_states = found->n_states,
                                  .frames = found->frames,
                                  .ref_frames = found->ref_frames,
                                  .mels = found->mels,
                                  .times = u->t,
                                  .states = found->values,
                                  .mel = found->values + found->n_states * values};
    } else if ((status = reader_failed(&u->reader, error)) == ISHOW_OK) {
        status = u->reader.ended
                     ? ishow_fail(error, ISHOW_ENOTFOUND, "", "the text has no part number %zu", part)
                     : ishow_fail(error, ISHOW_EAGAIN, "", "part number %zu of the text is not finished", part);
    }
    pthread_mutex_unlock(&u->engine->lock);
    return status;
}
