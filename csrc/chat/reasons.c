/* Names of priorities, platforms, roles, reasons and states, as used over HTTP, in the configuration and in Python. */
#include <string.h>

#include "chat/chat.h"

static const char *const priorities[ISHOW_CHAT_PRIORITIES] = {"Normal", "Mention", "Moderator", "Paid", "Gift"};
static const char *const platforms[ISHOW_CHAT_PLATFORMS] = {"twitch", "bilibili", "youtube"};
static const char *const roles[ISHOW_CHAT_ROLES] = {"broadcaster", "moderator", "vip",   "subscriber",
                                                    "member",      "guard",     "staff", "bot"};

static int find(const char *const *names, int n, const char *name) {
    int i = 0;
    while (i < n && strcmp(names[i], name)) i++;
    return i;
}

const char *ishow_chat_priority_name(ishow_chat_priority p) {
    return (unsigned)p < ISHOW_CHAT_PRIORITIES ? priorities[p] : "Unknown";
}
const char *ishow_chat_platform_name(ishow_chat_platform p) {
    return (unsigned)p < ISHOW_CHAT_PLATFORMS ? platforms[p] : "unknown";
}
const char *ishow_chat_role_name(int bit) { return bit >= 0 && bit < ISHOW_CHAT_ROLES ? roles[bit] : "unknown"; }

int ishow_chat_priority_find(const char *name, ishow_chat_priority *out) {
    const int i = find(priorities, ISHOW_CHAT_PRIORITIES, name);
    if (i == ISHOW_CHAT_PRIORITIES) return 0;
    *out = (ishow_chat_priority)i;
    return 1;
}

int ishow_chat_platform_find(const char *name, ishow_chat_platform *out) {
    const int i = find(platforms, ISHOW_CHAT_PLATFORMS, name);
    if (i == ISHOW_CHAT_PLATFORMS) return 0;
    *out = (ishow_chat_platform)i;
    return 1;
}

unsigned ishow_chat_role_find(const char *name) {
    const int i = find(roles, ISHOW_CHAT_ROLES, name);
    return i == ISHOW_CHAT_ROLES ? 0 : 1u << i;
}

const char *ishow_chat_reason_name(ishow_chat_reason reason) {
    static const char *const names[ISHOW_CHAT_REASONS] = {
        "platform", "channel",  "duplicate",   "blocklist", "muted",        "bot",    "role",
        "kind",     "command",  "banned_word", "link",      "emote",        "empty",  "language",
        "length",   "flood",    "cooldown",    "repeat",    "rate",         "full",   "expired",
        "clear",    "rejected", "unspeakable", "failure",   "interruption", "storage"};
    return (unsigned)reason < ISHOW_CHAT_REASONS ? names[reason] : "unknown";
}

const char *ishow_chat_state_name(ishow_chat_state state) {
    static const char *const names[ISHOW_CHAT_STATES] = {"connecting", "live", "waiting", "ended", "failed"};
    return (unsigned)state < ISHOW_CHAT_STATES ? names[state] : "unknown";
}
