/* Bilibili's packets and the meaning of their commands. */
#ifndef ISHOW_PLATFORMS_BILIBILI_H
#define ISHOW_PLATFORMS_BILIBILI_H

#include <jansson.h>

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
extern const char ishow_bilibili_too_slow[]; /* the result of ishow_bilibili_unpack when the time limit is reached */

/* Calls take for each packet of a frame, including those in compressed ones; stops when take returns 0. inflate_max:
 * most decompressed bytes of all packets; seconds: time limit, checked before each packet and each piece of
 * decompressed data. Returns NULL, or what is wrong with the frame (static storage), after the packets before it. */
ISHOW_API const char *ishow_bilibili_unpack(const void *frame, size_t n, size_t inflate_max, double seconds,
                                            int (*take)(void *self, const bilibili_packet *packet), void *self);

/* ---- the state of a room between commands ---- */

enum { BILIBILI_COMBOS_MAX = 32, BILIBILI_GUARDS_MAX = 16 };

/* Clicks of one viewer on one gift, which are read as one sentence. */
typedef struct bilibili_combo {
    char id[128];                                       /* the platform's, "" where it gives none */
    char first[128], user_id[32], name[128], gift[128]; /* first: id of the first click */
    unsigned roles, masked;
    int guard_level;
    uint64_t count;
    int64_t amount_micros, timestamp_ms;
    double began, due;
} bilibili_combo;

typedef struct bilibili_room {
    char number[24], owner[64]; /* the real room number, the streamer's uid or open id; "" when unknown */
    bilibili_combo combos[BILIBILI_COMBOS_MAX];
    size_t n_combos;
    struct {
        uint64_t who;
        int64_t at;                /* seconds since 1970 */
    } guards[BILIBILI_GUARDS_MAX]; /* recent purchases: up to three commands report each */
    unsigned next_guard;
    int over; /* the open platform has ended our project */
} bilibili_room;

/* One command (the body of BILIBILI_COMMAND). now: ishow_now(). */
ISHOW_API void ishow_bilibili_command(feed *f, bilibili_room *room, double now, const char *json, size_t n);
/* Passes on gifts whose clicks have stopped. Returns the time at which the next one is due; INFINITY: none waits. now
 * INFINITY: passes on all. */
ISHOW_API double ishow_bilibili_flush(feed *f, bilibili_room *room, double now);

/* ---- for the files that decode: bilibili_fields.c ---- */
int64_t bilibili_seconds_as_ms(const json_t *value);
int bilibili_small(const json_t *value, int most);                         /* 0 to most */
void bilibili_money(ishow_chat_message *m, int64_t units, int64_t micros); /* units of so many millionths of a CNY */
void bilibili_guard_level(ishow_chat_message *m, int64_t level);
/* Sets the viewer. With uid 0 the name is masked, such as "a***". */
void bilibili_user(feed *f, ishow_chat_message *m, const bilibili_room *room, ishow_span id, ishow_span name);
/* {"anchor_roomid": ..} of gifts and super chats: whose medal is worn. */
void bilibili_medal(feed *f, ishow_chat_message *m, const bilibili_room *room, const json_t *medal);
ishow_span bilibili_id(const json_t *uid, feed *f);        /* {NULL, 0} for 0 */
ishow_span bilibili_protobuf(feed *f, const json_t *data); /* data.pb, decoded from base64; {NULL, 0}: there is none */

/* bilibili_gift.c; each 1 when it knows the command. */
int bilibili_gift_command(feed *f, bilibili_room *room, double now, ishow_span cmd, const json_t *data);
/* Takes a gift, which may be one of many clicks: held back for `stay` seconds; 0: passed on at once. */
void bilibili_gift(feed *f, bilibili_room *room, double now, const ishow_chat_message *m, ishow_span combo,
                   double stay);
/* Takes the purchase of a guard, once for all commands that report it. */
void bilibili_guard(feed *f, bilibili_room *room, ishow_chat_message *m);
/* bilibili_open.c: commands of the open platform. */
int bilibili_open_command(feed *f, bilibili_room *room, double now, ishow_span cmd, const json_t *data);

#endif
