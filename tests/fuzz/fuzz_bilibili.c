/* A WebSocket message of Bilibili: packets, compressed or not, and the commands in them. */
#include "fuzz_events.h"
#include "platforms/bilibili.h"

enum { INFLATE_MAX = 1 << 20 };

static bilibili_room room = {.number = "5050", .owner = "7"};
static double now; /* a second passes with every command */

static int take(void *self, const bilibili_packet *packet) {
    ishow_bilibili_command(self, &room, now++, packet->body, packet->n);
    ishow_bilibili_flush(self, &room, now);
    return 1;
}

int fuzz_one(const uint8_t *data, size_t n) {
    static feed f = {.platform = {"bilibili", 8}, .channel = {"6", 1}, .event = fuzz_check_event};
    ishow_bilibili_unpack(data, n, INFLATE_MAX, 10, take, &f);
    ishow_bilibili_command(&f, &room, now++, (const char *)data, n); /* JSON is found sooner without a header */
    return 0;
}
