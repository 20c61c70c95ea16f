/* Uploaded audio: whatever the bytes, the samples that come out are within the limits and finite. */
#include <math.h>

#include "audio/audio.h"
#include "fuzz.h"

/* libsndfile 1.2 forgets one block of libvorbis when the headers of an Ogg file are damaged. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:vorbis_info_init\n"; }

int fuzz_one(const uint8_t *data, size_t n) {
    ishow_decode_limits limits = ishow_decode_limits_reference();
    ishow_pcm pcm;
    ishow_error error;
    limits.min_seconds = 0;
    limits.max_seconds = 2;
    if (ishow_audio_decode(data, n, &limits, &pcm, &error) != ISHOW_OK) {
        fuzz_must(error.message[0] && !pcm.samples);
        return 0;
    }
    fuzz_must((double)pcm.length <= limits.max_seconds * pcm.sample_rate);
    for (size_t i = 0; i < pcm.length; i++) fuzz_must(fabsf(pcm.samples[i]) <= 1);
    ishow_pcm_free(&pcm);
    return 0;
}
