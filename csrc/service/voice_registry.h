/* The voices of the server: what the configuration names, what came over HTTP, and which clip and text of each is
 * spoken.
 *
 * One change at a time (`change`), which decodes, writes and waits; `lock` guards the entries for readers and is held
 * for moments only. A change is checked by the engine, then made durable, then heard: nothing is refused after it was
 * stored. */
#ifndef ISHOW_SERVICE_VOICE_REGISTRY_H
#define ISHOW_SERVICE_VOICE_REGISTRY_H

#include <pthread.h>
#include <stdint.h>

#include "engine/engine.h"
#include "store/voice_store.h"
#include "service/error_response.h"

typedef struct registry_entry {
    struct registry_entry *next;
    char id[65], language[16];
    int created;                          /* over HTTP, not by the configuration */
    char *audio, *text;                   /* the baseline; audio: path, NULL where there is none */
    char *override_audio, *override_text; /* NULL: the baseline's */
    char override_clip[48];               /* name of override_audio in the store */
    int64_t override_at;                  /* 0: no override */
    uint64_t stamp;                       /* of the file that is spoken, when it was read */
} registry_entry;

typedef struct voice_registry {
    pthread_mutex_t change, lock;
    ishow_voice_store *store; /* NULL: nothing can be kept */
    registry_entry *entries;
} voice_registry;

ISHOW_API ishow_status ishow_voice_registry_create(voice_registry **out, ishow_store *store,
                                                   ishow_error *error); /* store NULL: none */
ISHOW_API void ishow_voice_registry_free(voice_registry *r);

/* Makes the engine's voices those of `voices` and those that are kept. What cannot be used of the kept ones is left out
 * with a line in the log; a fault of the configured ones changes nothing. "voices.ID" of those whose sound or text is
 * another now are added to the array `changed` (may be NULL). May wait. */
ISHOW_API ishow_status ishow_voice_registry_load(voice_registry *r, ishow_engine *engine,
                                                 const ishow_voice_setting *voices, size_t n, json_t *changed,
                                                 ishow_error *error);

/* A copy of one entry; free with entry_free. NULL: no such voice (or no memory). Any thread. */
registry_entry *ishow_voice_registry_get(voice_registry *r, const char *id);
void entry_free(registry_entry *e);

/* The changes; they may wait. 0: *f is set. clip: encoded audio. */
int ishow_voice_registry_add(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                             const char *language, const ishow_buffer *clip, fault *f);
int ishow_voice_registry_override(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                                  const ishow_buffer *clip, fault *f); /* either may be NULL */
ISHOW_API int ishow_voice_registry_restore(voice_registry *r, ishow_engine *engine, const char *id,
                                           fault *f); /* the baseline again */
ISHOW_API int ishow_voice_registry_remove(voice_registry *r, ishow_engine *engine, const char *id, fault *f);

#endif
