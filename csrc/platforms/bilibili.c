/* Packets: u32 total, u16 header, u16 version, u32 operation, u32 sequence, big-endian, then the body. A compressed body (zlib, brotli) is
 * itself a row of packets, and never compressed again: deeper nesting is refused, or a small frame could keep us busy for long. */
#include "platforms/bilibili.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <zlib.h>

enum { VERSION_ZLIB = 2, VERSION_BROTLI = 3, INFLATE_START = 16 * 1024 };

static uint32_t be32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

void bilibili_pack(unsigned char *out, uint32_t operation, const void *body, uint32_t n) {
    uint32_t head[4] = {__builtin_bswap32(BILIBILI_HEADER + n), __builtin_bswap32((uint32_t)BILIBILI_HEADER << 16 | 1), __builtin_bswap32(operation),
                        __builtin_bswap32(1)};
    memcpy(out, head, sizeof head);
    if (n) memcpy(out + sizeof head, body, n);
}

/* Room for more at *out [*size], doubling up to most. */
static const char *grow(unsigned char **out, size_t *size, size_t most) {
    if (*size >= most) return "decompresses to more than the limit";
    size_t larger = *size ? 2 * *size : INFLATE_START;
    if (larger > most) larger = most;
    unsigned char *moved = realloc(*out, larger);
    if (!moved) return "memory could not be had";
    *out = moved;
    *size = larger;
    return NULL;
}

static const char *inflate_zlib(const unsigned char *in, size_t n, size_t most, unsigned char **out, size_t *made) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n};
    size_t size = 0;
    const char *fault = NULL;
    if (inflateInit(&z) != Z_OK) return "memory could not be had";
    for (int end = Z_OK; end != Z_STREAM_END;) {
        if (*made == size && (fault = grow(out, &size, most))) break;
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

static const char *inflate_brotli(const unsigned char *in, size_t n, size_t most, unsigned char **out, size_t *made) {
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    size_t size = 0;
    const char *fault = NULL;
    if (!state) return "memory could not be had";
    for (;;) {
        if (*made == size && (fault = grow(out, &size, most))) break;
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

static const char *unpack(const unsigned char *p, size_t n, size_t inflate_max, int nested, int (*take)(void *self, const bilibili_packet *packet), void *self,
                          int *goes_on) {
    while (n && *goes_on) {
        if (n < BILIBILI_HEADER) return "a packet is cut short";
        size_t total = be32(p), header = be32(p + 4) >> 16;
        unsigned version = be32(p + 4) & 0xFFFF;
        if (header < BILIBILI_HEADER || total < header || total > n) return "a packet states a wrong length";
        const unsigned char *body = p + header;
        size_t size = total - header;
        if (version == VERSION_ZLIB || version == VERSION_BROTLI) {
            if (nested) return "a packet is compressed twice";
            unsigned char *plain = NULL;
            size_t made = 0;
            const char *fault = (version == VERSION_ZLIB ? inflate_zlib : inflate_brotli)(body, size, inflate_max, &plain, &made);
            if (!fault) fault = unpack(plain, made, inflate_max, 1, take, self, goes_on);
            free(plain);
            if (fault) return fault;
        } else if (!take(self, &(bilibili_packet){be32(p + 8), (const char *)body, size})) *goes_on = 0;
        else if (be32(p + 8) == BILIBILI_HEARTBEAT_REPLY) return NULL; /* what we sent follows as an echo that no length counts */
        p += total;
        n -= total;
    }
    return NULL;
}

const char *bilibili_unpack(const void *frame, size_t n, size_t inflate_max, int (*take)(void *self, const bilibili_packet *packet), void *self) {
    int goes_on = 1;
    return n ? unpack(frame, n, inflate_max, 0, take, self, &goes_on) : "it is empty";
}
