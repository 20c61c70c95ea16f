/* See bridge_helpers.h. */
#include "bridge_helpers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"

int tiny_models(const char *root, const char *faults) {
    const char *python = getenv("ISHOWTTS_PYTHON");
    char command[512];
    snprintf(command, sizeof command, "PYTHONPATH=. %s tests/tiny.py %s %s", python ? python : ".venv/bin/python", root,
             faults);
    return system(command);
}

void source_tree(void) {
    char folder[4096];
    assert_non_null(getcwd(folder, sizeof folder));
    setenv("ISHOWTTS_PATH", folder, 1);
}

int start_bridge(ishow_bridge **out) {
    ishow_error error = {0};
    source_tree();
    if (!ishow_bridge_start(out, NULL, &error)) return 0;
    print_error("%s\n", error.message);
    return -1;
}

int stop_bridge(ishow_bridge *bridge, const char *root) {
    char command[128];
    ishow_bridge_stop(bridge);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command) || ishow_live_handles() != 0;
}

void add_voice(ishow_engine *engine) {
    static float tone[48000];
    ishow_error error = {0};
    for (size_t i = 0; i < 48000; i++) tone[i] = 0.2f * sinf(0.03f * (float)i);
    const ishow_voice voice = {.id = "tone",
                               .language = "en",
                               .text = "A steady tone.",
                               .samples = tone,
                               .length = 48000,
                               .sample_rate = 24000};
    if (ishow_engine_set_voice(engine, &voice, &error)) fail_msg("%s", error.message);
}

ishow_status speak(ishow_engine *engine, const char *text, unsigned long long seed, spoken *out, ishow_error *error) {
    ishow_request request = ishow_request_default();
    ishow_utterance *utterance = NULL;
    const float *samples = NULL;
    double power = 0;
    size_t n = 0;
    memset(out, 0, sizeof *out);
    request.text = text;
    request.seed = seed;
    request.has_seed = 1;
    ishow_status status = ishow_engine_submit(engine, &request, NULL, NULL, &utterance, error);
    while (!status) {
        status = ishow_utterance_next(utterance, 120, &samples, &n, error);
        if (status || n == 0) break;
        float *more = realloc(out->samples, (out->n + n) * sizeof *more);
        assert_non_null(more);
        memcpy(more + out->n, samples, n * sizeof *more);
        out->samples = more;
        out->n += n;
    }
    for (size_t i = 0; i < out->n; i++) power += (double)out->samples[i] * (double)out->samples[i];
    out->rms = out->n ? sqrt(power / (double)out->n) : 0;
    if (utterance) ishow_utterance_timings(utterance, &out->timings);
    ishow_utterance_free(utterance);
    if (status) {
        free(out->samples);
        out->samples = NULL;
    }
    return status;
}

long resident_kib(void) {
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}
