/* Packets: u32 total length, u16 header length, u16 version, u32 operation, u32 sequence, big-endian, then the body. A
 * compressed body (zlib, brotli) contains packets that are not compressed again. A small frame could otherwise take
 * long to decode, so nesting is refused, and both the decompressed size of all packets and the time are limited. */
#include "platforms/bilibili.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/base.h"

enum { VERSION_ZLIB = 2, VERSION_BROTLI = 3, INFLATE_START = 16 * 1024 };

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

/* Grows *out [*size], doubling up to the remaining limit. */
static const char *grow(const unpacking *u, unsigned char **out, size_t *size) {
    if (*size >= u->left) return "decompresses to more than the limit";
    if (ishow_now() > u->until) return ishow_bilibili_too_slow;
    size_t larger = *size ? 2 * *size : INFLATE_START;
    if (larger > u->left) larger = u->left;
    unsigned char *moved = realloc(*out, larger);
    if (!moved) return "memory could not be had";
    *out = moved;
    *size = larger;
    return NULL;
}

static const char *inflate_zlib(const unpacking *u, const unsigned char *in, size_t n, unsigned char **out,
                                size_t *made) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n};
    size_t size = 0;
    const char *fault = NULL;
    if (inflateInit(&z) != Z_OK) return "memory could not be had";
    for (int end = Z_OK; end != Z_STREAM_END;) {
        if (*made == size && (fault = grow(u, out, &size))) break;
        z.next_out = *out + *made;
        z.avail_out = (uInt)(size - *made);
        end = inflate(&z, Z_NO_FLUSH);
        *made = size - z.avail_out;
        if (end != Z_OK && end != Z_STREAM_END) {
            fault = "its zlib data is damaged or cut short";
            break;
        }
    }
    inflateEnd(&z);
    return fault;
}

static const char *inflate_brotli(const unpacking *u, const unsigned char *in, size_t n, unsigned char **out,
                                  size_t *made) {
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    size_t size = 0;
    const char *fault = NULL;
    if (!state) return "memory could not be had";
    for (;;) {
        if (*made == size && (fault = grow(u, out, &size))) break;
        uint8_t *next = *out + *made;
        size_t room = size - *made;
        BrotliDecoderResult result = BrotliDecoderDecompressStream(state, &n, &in, &room, &next, NULL);
        *made = size - room;
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
            unsigned char *plain = NULL;
            size_t made = 0;
            const char *fault = (version == VERSION_ZLIB ? inflate_zlib : inflate_brotli)(u, body, size, &plain, &made);
            u->left -= made;
            if (!fault) fault = unpack(u, plain, made, 1);
            free(plain);
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
