/* A page of liveChatMessages. */
#include "fuzz_events.h"
#include "platforms/jsonspan.h"
#include "platforms/youtube.h"

int fuzz_one(const uint8_t *data, size_t n) {
    static feed f = {.platform = {"youtube", 7}, .channel = {"v", 1}, .event = fuzz_check_event};
    json_t *page = ishow_json_load((const char *)data, n);
    ishow_youtube_page(&f, page, n & 1);
    json_decref(page);
    rfc3339_ms((ishow_span){(const char *)data, n});
    return 0;
}
