/* Packets: u32 total length, u16 header length, u16 version, u32 operation, u32 sequence, big-endian, then the body. A
 * compressed body (zlib, brotli) contains packets that are not compressed again. A small frame could otherwise take
 * long to decode, so nesting is refused, and both the decompressed size of all packets and the time are limited. */
#include "platforms/bilibili.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/base.h"
#include "base/buffer.h"

enum { VERSION_ZLIB = 2, VERSION_BROTLI = 3, INFLATE_STEP = 16 * 1024 };

static uint32_t be32(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void ishow_bilibili_pack(unsigned char *out, uint32_t operation, const void *body, uint32_t n) {
    uint32_t head[4] = {__builtin_bswap32(BILIBILI_HEADER + n), __builtin_bswap32((uint32_t)BILIBILI_HEADER << 16 | 1),
                        __builtin_bswap32(operation), __builtin_bswap32(1)};
    memcpy(out, head, sizeof head);
    if (n) memcpy(out + sizeof head, body, n);
}

const char ishow_bilibili_too_slow[] = "it takes too long to decode";

/* State while a frame is unpacked. */
typedef struct unpacking {
    size_t left;  /* remaining limit of decompressed bytes */
    double until; /* by ishow_now() */
    int (*take)(void *self, const bilibili_packet *packet);
    void *self;
    int goes_on;
} unpacking;

/* Makes space for decompressed bytes at *end, at most the remaining limit. NULL, or why there is none. */
static const char *make_room(const unpacking *u, ishow_buffer *out, unsigned char **end, size_t *room) {
    if (out->n >= u->left) return "decompresses to more than the limit";
    if (ishow_now() > u->until) return ishow_bilibili_too_slow;
    *end = ishow_buffer_reserve(out, INFLATE_STEP);
    if (!*end) return "out of memory";
    *room = (out->capacity < u->left ? out->capacity : u->left) - out->n;
    return NULL;
}

static const char *inflate_zlib(const unpacking *u, const unsigned char *in, size_t n, ishow_buffer *out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n};
    const char *fault = NULL;
    if (inflateInit(&z) != Z_OK) return "out of memory";
    for (int end = Z_OK; end != Z_STREAM_END;) {
        size_t room;
        if ((fault = make_room(u, out, &z.next_out, &room))) break;
        z.avail_out = (uInt)room;
        end = inflate(&z, Z_NO_FLUSH);
        out->n += room - z.avail_out;
        if (end != Z_OK && end != Z_STREAM_END) {
            fault = "its zlib data is damaged or cut short";
            break;
        }
    }
    inflateEnd(&z);
    return fault;
}

static const char *inflate_brotli(const unpacking *u, const unsigned char *in, size_t n, ishow_buffer *out) {
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const char *fault = NULL;
    if (!state) return "out of memory";
    for (;;) {
        size_t room;
        unsigned char *end;
        if ((fault = make_room(u, out, &end, &room))) break;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(state, &n, &in, &room, &end, NULL);
        out->n = (size_t)(end - out->data);
        if (result == BROTLI_DECODER_RESULT_SUCCESS) break;
        if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) continue;
        fault = "its brotli data is damaged or cut short";
        break;
    }
    BrotliDecoderDestroyInstance(state);
    return fault;
}

static const char *unpack(unpacking *u, const unsigned char *p, size_t n, int nested) {
    while (n && u->goes_on) {
        if (n < BILIBILI_HEADER) return "a packet is cut short";
        size_t total = be32(p), header = be32(p + 4) >> 16;
        unsigned version = be32(p + 4) & 0xFFFF;
        if (header < BILIBILI_HEADER || total < header || total > n) return "a packet states a wrong length";
        if (ishow_now() > u->until) return ishow_bilibili_too_slow;
        const unsigned char *body = p + header;
        size_t size = total - header;
        if (version == VERSION_ZLIB || version == VERSION_BROTLI) {
            if (nested) return "a packet is compressed twice";
            ishow_buffer plain = {0};
            const char *fault = (version == VERSION_ZLIB ? inflate_zlib : inflate_brotli)(u, body, size, &plain);
            u->left -= plain.n;
            if (!fault) fault = unpack(u, plain.data, plain.n, 1);
            ishow_buffer_free(&plain);
            if (fault) return fault;
        } else if (!u->take(u->self, &(bilibili_packet){be32(p + 8), (const char *)body, size}))
            u->goes_on = 0;
        else if (be32(p + 8) == BILIBILI_HEARTBEAT_REPLY)
            return NULL; /* followed by an echo of our data, which no length field covers */
        p += total;
        n -= total;
    }
    return NULL;
}

const char *ishow_bilibili_unpack(const void *frame, size_t n, size_t inflate_max, double seconds,
                                  int (*take)(void *self, const bilibili_packet *packet), void *self) {
    unpacking u = {.left = inflate_max, .until = ishow_now() + seconds, .take = take, .self = self, .goes_on = 1};
    return n ? unpack(&u, frame, n, 0) : "it is empty";
}
