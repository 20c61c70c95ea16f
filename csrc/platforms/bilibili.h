/* Bilibili's packets and what their commands mean. */
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

/* A frame that takes longer to decode is given up; larger commands are skipped. What the platform sends takes well
 * below a millisecond, and some kilobytes. */
#define BILIBILI_FRAME_SECONDS 0.1
enum { BILIBILI_COMMAND_BYTES_MAX = 256 * 1024 };
extern const char ishow_bilibili_too_slow[]; /* what ishow_bilibili_unpack then answers */

/* Calls take for each packet of a frame, those inside compressed ones included. Stops early when take answers 0.
 * inflate_max: bytes that all packets together may decompress to; seconds: that it may take, looked at before each
 * packet and each piece of decompressed data. NULL, or in words what is wrong with the frame (static storage); packets
 * before the fault were taken. */
ISHOW_API const char *ishow_bilibili_unpack(const void *frame, size_t n, size_t inflate_max, double seconds,
                                            int (*take)(void *self, const bilibili_packet *packet), void *self);

/* One command (the body of BILIBILI_COMMAND). room: the real room number, owner: the streamer's uid, "" when unknown.
 */
ISHOW_API void ishow_bilibili_command(feed *f, ishow_span room, ishow_span owner, const char *json, size_t n);

#endif
