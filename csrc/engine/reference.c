/* Checks of an uploaded reference, with messages for the person who recorded it: each names the limit, the value and
 * what to do. */
#include <string.h>

#include "base/base.h"
#include "engine/plan.h"
#include "base/defaults.h"
#include "engine/engine.h"

static const double VOICED_SECONDS_MIN = 0.3, VOICED_SHARE_MIN = 0.15;
static const float LEVEL_SPREAD_MIN = 2;              /* dB; speech has 6 and more, hum and steady noise under 1 */
static const double PACE_MIN = 1.0 / 3, PACE_MAX = 3; /* of ordinary speech */

static ishow_status check_audio(const ishow_speech_measure *m, ishow_error *error) {
    if (m->begin == m->end)
        return ishow_fail(error, ISHOW_EINVAL, "audio",
                          "The clip is silent: nothing in it is above -60 dBFS. Is the right microphone recorded?");
    if (m->rms < (float)ISHOW_REFERENCE_RMS_MIN)
        return ishow_fail(
            error, ISHOW_EINVAL, "audio",
            "The clip is too quiet: its level is %.4f RMS, at least %g is needed. Speak closer to the microphone.",
            (double)m->rms, ISHOW_REFERENCE_RMS_MIN);
    if (m->clipped > ISHOW_REFERENCE_CLIPPED_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "audio",
                          "The clip is overdriven: %.2f %% of its samples are cut off at full scale, at most %g %% may "
                          "be. Lower the recording level.",
                          100 * m->clipped, 100 * ISHOW_REFERENCE_CLIPPED_MAX);
    if (m->rms > (float)ISHOW_REFERENCE_RMS_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "audio",
                          "The clip is too loud: its level is %.2f RMS, at most %g may be. Lower the recording level.",
                          (double)m->rms, ISHOW_REFERENCE_RMS_MAX);
    if (m->voiced_seconds < VOICED_SECONDS_MIN || m->voiced_seconds < VOICED_SHARE_MIN * m->active_seconds ||
        m->level_spread < LEVEL_SPREAD_MIN)
        return ishow_fail(error, ISHOW_EINVAL, "audio",
                          "No speech was found in the clip: %.1f of %.1f s that are not silent sound like a voice. "
                          "Record a person who speaks, without music or noise.",
                          m->level_spread < LEVEL_SPREAD_MIN ? 0.0 : m->voiced_seconds, m->active_seconds);
    return ISHOW_OK;
}

ishow_status ishow_check_reference(const ishow_pcm *pcm, const char *text, ishow_error *error) {
    ishow_speech_measure m;
    double seconds = pcm->sample_rate > 0 ? (double)pcm->length / pcm->sample_rate : 0;
    if (seconds < ISHOW_REFERENCE_SECONDS_MIN || seconds > ISHOW_REFERENCE_SECONDS_MAX)
        return ishow_fail(error, ISHOW_ELIMIT, "audio", "The clip lasts %.2f s; it must last %g to %g s.", seconds,
                          ISHOW_REFERENCE_SECONDS_MIN, ISHOW_REFERENCE_SECONDS_MAX);
    ishow_status status = ishow_audio_speech_measure(pcm->samples, pcm->length, pcm->sample_rate, &m, error);
    if (status || (status = check_audio(&m, error)) || !text) return status;
    if (!ishow_text_scripts(text, strlen(text)) && !strpbrk(text, "0123456789"))
        return ishow_fail(error, ISHOW_EINVAL, "text", "The text must hold the words that are spoken in the clip.");
    double spoken = (double)(m.end - m.begin) / pcm->sample_rate, wanted = ishow_speech_seconds(text, strlen(text)),
           pace = wanted / spoken;
    if (pace < PACE_MIN || pace > PACE_MAX)
        return ishow_fail(error, ISHOW_EINVAL, "text",
                          "The text does not fit the clip: it takes about %.1f s to say, and %.1f s are spoken (%.2g "
                          "times as fast as usual; %.2g to %g may be). Give exactly the words of the clip.",
                          wanted, spoken, pace, PACE_MIN, PACE_MAX);
    return ISHOW_OK;
}
