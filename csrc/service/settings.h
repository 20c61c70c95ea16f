/* The checked configuration (ishow_bridge_config) as C structs. */
#ifndef ISHOW_SERVICE_SETTINGS_H
#define ISHOW_SERVICE_SETTINGS_H

#include "base/base.h"
#include "chat/chat.h"
#include "platforms/platforms.h"
#include "engine/engine.h"
#include "service/server_options.h"
#include "store/voice_store.h"

typedef struct settings {
    void *json; /* json_t *: owns every string below */
    ishow_server_options server;
    ishow_engine_options engine;
    ishow_log_level log_level;
    ishow_log_format log_format;
    const char *model, *precision, *backend, *compile;
    int threads;
    const char *default_voice;
    ishow_voice_setting *voices;
    size_t n_voices;
    const char **lists; /* storage of server's lists */
    ishow_chat_settings *chat;
    ishow_chat_source_options *sources;
    const char **source_chats; /* the chat of each; NULL: the first */
    size_t n_sources;
} settings;

/* EINTERNAL names what is missing; as the configuration was checked before, that is a bug. */
ISHOW_API ishow_status ishow_settings_read(settings *out, const char *json, ishow_error *error);
ISHOW_API void ishow_settings_free(settings *s);

#endif
