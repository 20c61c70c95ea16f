/* Bilibili's packets and the meaning of their commands. */
#ifndef ISHOW_PLATFORMS_BILIBILI_H
#define ISHOW_PLATFORMS_BILIBILI_H

#include "platforms/event_sink.h"

enum { BILIBILI_HEADER = 16 };
enum {
    BILIBILI_HEARTBEAT = 2,
    BILIBILI_HEARTBEAT_REPLY = 3,
    BILIBILI_COMMAND = 5,
    BILIBILI_AUTH = 7,
    BILIBILI_AUTH_REPLY = 8
};

/* Writes header and body: BILIBILI_HEADER + n bytes. */
void ishow_bilibili_pack(unsigned char *out, uint32_t operation, const void *body, uint32_t n);

/* One packet, never compressed. Borrowed. */
typedef struct bilibili_packet {
    uint32_t operation;
    const char *body;
    size_t n;
} bilibili_packet;

/* Limit of the time to decode a frame. Frames of the platform take well below a millisecond and have some kilobytes;
 * larger commands are skipped. */
#define BILIBILI_FRAME_SECONDS 0.1
enum { BILIBILI_COMMAND_BYTES_MAX = 256 * 1024 };
extern const char ishow_bilibili_too_slow[]; /* then returned by ishow_bilibili_unpack */

/* Calls take for each packet of a frame, including those in compressed ones; stops when take returns 0. inflate_max:
 * most decompressed bytes of all packets; seconds: time limit, checked before each packet and each piece of
 * decompressed data. Returns NULL, or what is wrong with the frame (static storage), after the packets before it. */
ISHOW_API const char *ishow_bilibili_unpack(const void *frame, size_t n, size_t inflate_max, double seconds,
                                            int (*take)(void *self, const bilibili_packet *packet), void *self);

/* One command (the body of BILIBILI_COMMAND). room: the real room number, owner: the streamer's uid, "" when unknown.
 */
ISHOW_API void ishow_bilibili_command(feed *f, ishow_span room, ishow_span owner, const char *json, size_t n);

#endif
