/* The server's voices, from the configuration or created over HTTP, and the clip and text that each uses.
 *
 * `change` serialises changes, which decode, write and wait; `lock` guards the entries for readers and is held briefly.
 * A change is checked by the engine, then written to disk, then used, so nothing stored can be refused later. */
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
    int created;                          /* created over HTTP, not configured */
    int speaker;                          /* the model knows the voice by its id: only an override is spoken from */
    char *audio, *text;                   /* the baseline; audio: a path, NULL: there is none */
    char *override_audio, *override_text; /* NULL: the baseline's is used */
    char override_clip[48];               /* name of override_audio in the store */
    int64_t override_at;                  /* 0: no override */
    uint64_t stamp;                       /* ishow_file_stamp of the clip in use, when it was read */
} registry_entry;

typedef struct voice_registry {
    pthread_mutex_t change, lock;
    ishow_voice_store *store; /* NULL: voices cannot be stored */
    registry_entry *entries;
} voice_registry;

ISHOW_API ishow_status ishow_voice_registry_create(voice_registry **out, ishow_store *store,
                                                   ishow_error *error); /* store NULL: none */
ISHOW_API void ishow_voice_registry_free(voice_registry *r);

/* Makes `voices` and the stored ones the engine's voices. Stored voices that cannot be used are left out with a line in
 * the log; an error in a configured one changes nothing. "voices.ID" of each voice whose audio or text differs is added
 * to the array `changed` (may be NULL). May wait. */
ISHOW_API ishow_status ishow_voice_registry_load(voice_registry *r, ishow_engine *engine,
                                                 const ishow_voice_setting *voices, size_t n, json_t *changed,
                                                 ishow_error *error);

/* A copy of one entry; free with entry_free. NULL: no such voice (or no memory). Any thread. */
registry_entry *ishow_voice_registry_get(voice_registry *r, const char *id);
void entry_free(registry_entry *e);

/* Changes; they may wait. 0: *f is set. clip: encoded audio. */
int ishow_voice_registry_add(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                             const char *language, const ishow_buffer *clip, fault *f);
int ishow_voice_registry_override(voice_registry *r, ishow_engine *engine, const char *id, const char *text,
                                  const ishow_buffer *clip, fault *f); /* either may be NULL */
ISHOW_API int ishow_voice_registry_restore(voice_registry *r, ishow_engine *engine, const char *id,
                                           fault *f); /* removes the override */
ISHOW_API int ishow_voice_registry_remove(voice_registry *r, ishow_engine *engine, const char *id, fault *f);

#endif
