/* ishowtts._engine.DEFAULTS, the constants of base/defaults.h, and CHAT_WORDS, the names used in live chat, for
 * Python. */
#include "pyext/engine.h"

#include "chat/chat.h"
#include "base/defaults.h"

/* One line a default, in the order of defaults.h. */
#define WHOLE(NAME) \
    { #NAME, NULL, (double)(NAME), 1 }
#define REAL(NAME) \
    { #NAME, NULL, (double)(NAME), 0 }
#define TEXT(NAME) \
    { #NAME, NAME, 0, 0 }
static const struct {
    const char *name, *text;
    double number;
    int whole;
} default_values[] = {
    WHOLE(ISHOW_NFE_MIN),
    WHOLE(ISHOW_NFE_MAX),
    WHOLE(ISHOW_NFE_DEFAULT),
    REAL(ISHOW_CFG_STRENGTH_MAX),
    REAL(ISHOW_SWAY_MIN),
    REAL(ISHOW_SWAY_MAX),
    REAL(ISHOW_TARGET_RMS),
    WHOLE(ISHOW_MAX_TEXT_CHARS),
    REAL(ISHOW_REFERENCE_SECONDS_MIN),
    REAL(ISHOW_REFERENCE_SECONDS_MAX),
    REAL(ISHOW_CLIP_SECONDS_USED),
    REAL(ISHOW_REFERENCE_RMS_MIN),
    REAL(ISHOW_REFERENCE_RMS_MAX),
    REAL(ISHOW_REFERENCE_CLIPPED_MAX),
    WHOLE(ISHOW_UPLOAD_BYTES_MAX),
    WHOLE(ISHOW_STORED_VOICES_MAX),
    WHOLE(ISHOW_STORED_BYTES_MAX),
    WHOLE(ISHOW_LEXICON_MAX),
    WHOLE(ISHOW_LEXICON_WORD_CHARS),
    WHOLE(ISHOW_LEXICON_SAID_CHARS),
    REAL(ISHOW_EARLY_SECONDS),
    TEXT(ISHOW_HOST),
    WHOLE(ISHOW_PORT),
    WHOLE(ISHOW_BODY_BYTES_MAX),
    WHOLE(ISHOW_REQUEST_SECONDS),
    WHOLE(ISHOW_DRAIN_SECONDS),
    WHOLE(ISHOW_IDLE_SECONDS),
    WHOLE(ISHOW_UPLOAD_SECONDS),
    WHOLE(ISHOW_UPLOAD_RATE_MIN),
    WHOLE(ISHOW_UPLOADS_MAX),
    WHOLE(ISHOW_FORM_BYTES_MAX),
    WHOLE(ISHOW_CONNECTIONS_MAX),
    WHOLE(ISHOW_CONNECTIONS_PER_CLIENT),
    TEXT(ISHOW_CHAT_TWITCH_URL),
    TEXT(ISHOW_CHAT_TWITCH_ID_URL),
    TEXT(ISHOW_CHAT_TWITCH_API_URL),
    TEXT(ISHOW_CHAT_TWITCH_EVENTS_URL),
    TEXT(ISHOW_CHAT_BILIBILI_URL),
    TEXT(ISHOW_CHAT_BILIBILI_ACCOUNT_URL),
    TEXT(ISHOW_CHAT_BILIBILI_HOST),
    TEXT(ISHOW_CHAT_BILIBILI_OPEN_URL),
    TEXT(ISHOW_CHAT_YOUTUBE_URL),
    REAL(ISHOW_CHAT_CONNECT_SECONDS),
    REAL(ISHOW_CHAT_LAST_SECONDS),
    REAL(ISHOW_CHAT_HEARTBEAT_SECONDS),
    REAL(ISHOW_CHAT_BILIBILI_HEARTBEAT_SECONDS),
    REAL(ISHOW_CHAT_BILIBILI_PROJECT_SECONDS),
    REAL(ISHOW_CHAT_LAST_SECONDS),
    REAL(ISHOW_CHAT_REPLY_SECONDS),
    REAL(ISHOW_CHAT_BACKOFF_SECONDS),
    REAL(ISHOW_CHAT_BACKOFF_MAX_SECONDS),
    REAL(ISHOW_CHAT_SECONDS_MAX),
    REAL(ISHOW_CHAT_POLL_SECONDS_MIN),
    WHOLE(ISHOW_CHAT_QUOTA_UNITS),
    WHOLE(ISHOW_CHAT_LINE_BYTES_MAX),
    WHOLE(ISHOW_CHAT_FRAME_BYTES_MAX),
    WHOLE(ISHOW_CHAT_INFLATE_BYTES_MAX),
    WHOLE(ISHOW_CHAT_LOGINS),
    REAL(ISHOW_CHAT_LOGIN_SECONDS),
    WHOLE(ISHOW_CHAT_WORDS_MAX),
    WHOLE(ISHOW_CHAT_GRAPHEMES_MAX),
    REAL(ISHOW_CHAT_CLIP_SECONDS),
    REAL(ISHOW_CHAT_CLIP_SECONDS_PAID),
    WHOLE(ISHOW_CHAT_QUEUE_MAX),
    REAL(ISHOW_CHAT_RATE),
    REAL(ISHOW_CHAT_COOLDOWN_SECONDS),
    REAL(ISHOW_CHAT_REPEAT_SECONDS),
    WHOLE(ISHOW_CHAT_FLOOD_MESSAGES),
    REAL(ISHOW_CHAT_FLOOD_SECONDS),
    REAL(ISHOW_CHAT_AGEING_SECONDS),
    REAL(ISHOW_CHAT_EXPIRE_SECONDS),
    REAL(ISHOW_CHAT_NAME_AGAIN_SECONDS),
    REAL(ISHOW_CHAT_GAP_SECONDS),
    WHOLE(ISHOW_CHAT_PREFETCH),
    TEXT(ISHOW_CHAT_COMMAND_PREFIX),
    TEXT(ISHOW_CHAT_LANGUAGE),
    TEXT(ISHOW_CHAT_TEMPLATE),
    TEXT(ISHOW_CHAT_TEMPLATE_PAID),
    TEXT(ISHOW_CHAT_TEMPLATE_GIFT),
    TEXT(ISHOW_CHAT_TEMPLATE_MEMBER),
    TEXT(ISHOW_CHAT_TEMPLATE_EVENT),
    WHOLE(ISHOW_CHAT_READER_BYTES),
};
#undef WHOLE
#undef REAL
#undef TEXT

PyObject *pyext_defaults(void) {
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < sizeof default_values / sizeof *default_values; i++) {
        char name[64];
        const char *from = default_values[i].name + strlen("ISHOW_");
        size_t n = 0;
        for (; from[n] && n < sizeof name - 1; n++) name[n] = (char)Py_TOLOWER(from[n]);
        name[n] = '\0';
        PyObject *value = default_values[i].text    ? PyUnicode_FromString(default_values[i].text)
                          : default_values[i].whole ? PyLong_FromDouble(default_values[i].number)
                                                    : PyFloat_FromDouble(default_values[i].number);
        if (!value || PyDict_SetItemString(all, name, value) < 0) Py_CLEAR(all);
        Py_XDECREF(value);
    }
    if (all && (pyext_add_field_defaults(&ishow_request_fields, all) < 0 ||
                pyext_add_field_defaults(&ishow_engine_fields, all) < 0))
        Py_CLEAR(all);
    return all;
}

/* Words 0 to n - 1. */
static PyObject *words(int n, const char *(*name)(int number)) {
    PyObject *all = PyTuple_New(n);
    for (int i = 0; all && i < n; i++) {
        PyObject *word = PyUnicode_FromString(name(i));
        if (word)
            PyTuple_SET_ITEM(all, i, word);
        else
            Py_CLEAR(all);
    }
    return all;
}

static const char *priority_at(int number) {
    return ishow_chat_priority_name((ishow_chat_priority)(ISHOW_CHAT_PRIORITIES - 1 - number));
}
static const char *platform_at(int number) { return ishow_chat_platform_name((ishow_chat_platform)number); }
static const char *reason_at(int number) { return ishow_chat_reason_name((ishow_chat_reason)number); }
static const char *state_at(int number) { return ishow_chat_state_name((ishow_chat_state)number); }

PyObject *pyext_chat_words(void) {
    static const struct {
        const char *name;
        int n;
        const char *(*word)(int number);
    } lists[] = {
        {"priorities", ISHOW_CHAT_PRIORITIES, priority_at},
        {"platforms", ISHOW_CHAT_PLATFORMS, platform_at},
        {"roles", ISHOW_CHAT_ROLES, ishow_chat_role_name},
        {"reasons", ISHOW_CHAT_REASONS, reason_at},
        {"states", ISHOW_CHAT_STATES, state_at},
    };
    PyObject *all = PyDict_New();
    for (size_t i = 0; all && i < sizeof lists / sizeof *lists; i++) {
        PyObject *list = words(lists[i].n, lists[i].word);
        if (!list || PyDict_SetItemString(all, lists[i].name, list) < 0) Py_CLEAR(all);
        Py_XDECREF(list);
    }
    return all;
}
