/* See openai.h. */
#include "service/openai.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int index_of(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

int ishow_openai_model_known(const char *asked, const char *loaded) {
    static const char *const models[] = {"tts-1", "tts-1-hd", "gpt-4o-mini-tts", NULL};
    return !strcmp(asked, loaded) || index_of(models, asked) >= 0;
}

const char *ishow_openai_voice(ishow_engine *engine, const char *const *map, size_t n, const char *asked,
                               char out[65]) {
    static const char *const names[] = {"alloy", "ash",  "ballad",  "coral", "echo",  "fable", "nova",
                                        "onyx",  "sage", "shimmer", "verse", "marin", "cedar", NULL};
    ishow_voice_entry *voices = NULL;
    size_t n_voices = 0;
    const char *found = NULL;
    if (ishow_engine_list_voices(engine, &voices, &n_voices, NULL) != ISHOW_OK) return asked;
    for (size_t i = 0; i < n_voices && !found; i++)
        if (!strcmp(voices[i].id, asked)) found = asked;
    for (size_t i = 0; i + 1 < n && !found; i += 2)
        if (!strcmp(map[i], asked)) found = map[i + 1];
    const int number = index_of(names, asked);
    if (!found && number >= 0 && n_voices) found = voices[(size_t)number % n_voices].id;
    if (found) snprintf(out, 65, "%s", found);
    free(voices);
    return found ? out : asked;
}
