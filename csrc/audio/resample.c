/* Sample rate conversion by libsoxr at its HQ recipe (20 bit, linear phase), on the calling thread. */
#include <math.h>
#include <soxr.h>
#include <string.h>
#include <sys/mman.h>

#include "audio/rate_stream.h"
#include "base/base.h"
#include "audio/audio.h"

enum { RATE_MIN = 4000, RATE_MAX = 384000, SOXR_BYTES = 16 * 1024 * 1024 };

ishow_status rates_check(int from, int to, ishow_error *error) {
    if (from >= RATE_MIN && from <= RATE_MAX && to >= RATE_MIN && to <= RATE_MAX) return ISHOW_OK;
    return ishow_fail(error, ISHOW_EINVAL, "sample_rate", "cannot resample from %d to %d Hz; rates are %d to %d Hz",
                      from, to, RATE_MIN, RATE_MAX);
}

ishow_status ishow_audio_resample(const float *samples, size_t n, int from, int to, ishow_pcm *out,
                                  ishow_error *error) {
    if (!out || (!samples && n)) return ishow_fail(error, ISHOW_EINVAL, "", "resample needs samples and a result");
    memset(out, 0, sizeof *out);
    ishow_status status = rates_check(from, to, error);
    if (status != ISHOW_OK) return status;
    if (n > (size_t)1 << 40) return ishow_fail(error, ISHOW_ELIMIT, "", "%zu samples are too many to resample", n);
    const size_t length = (size_t)llround((double)n * to / from);
    out->samples = ishow_alloc(length, sizeof(float)); /* zeroed: what the filter leaves unwritten is silence */
    if (!out->samples) return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory for %zu samples", length);
    out->length = length;
    out->sample_rate = to;
    if (n == 0 || length == 0) return ISHOW_OK;
    if (from == to) {
        memcpy(out->samples, samples, n * sizeof(float));
        return ISHOW_OK;
    }
    const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    size_t used = 0, made = 0;
    /* libsoxr does not check its allocations, tables of about a megabyte and some copies of the signal. So it is called
     * only when that much memory can be allocated. */
    const size_t bytes = SOXR_BYTES + 4 * (n + length) * sizeof(float);
    void *probe = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0); /* malloc would adapt its thresholds */
    if (probe == MAP_FAILED) {
        ishow_pcm_free(out);
        return ishow_fail(error, ISHOW_ENOMEM, "", "out of memory to resample %zu samples", n);
    }
    munmap(probe, bytes);
    soxr_error_t failure =
        soxr_oneshot(from, to, 1, samples, n, &used, out->samples, length, &made, &io, &quality, &runtime);
    if (failure) {
        ishow_pcm_free(out);
        return ishow_fail(error, ISHOW_EINTERNAL, "", "resampling from %d to %d Hz failed: %s", from, to, failure);
    }
    return ISHOW_OK;
}
