/* An event of Twitch's EventSub, as JSON. The first byte chooses its type. */
#include "fuzz_events.h"
#include "platforms/jsonspan.h"
#include "platforms/twitch.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static feed f = {.platform = {"twitch", 6}, .channel = {"chan", 4}, .event = fuzz_check_event};
    static const char *const types[] = {
        "channel.chat.message",        "channel.chat.notification",
        "channel.chat.message_delete", "channel.chat.clear_user_messages",
        "channel.chat.clear",          "channel.chat.other",
    };
    if (!n) return 0;
    json_t *event = ishow_json_load((const char *)data + 1, n - 1);
    ishow_arena_reset(&f.arena);
    ishow_twitch_event(&f, span_of(types[data[0] % (sizeof types / sizeof *types)]), event);
    json_decref(event);
    return 0;
}
