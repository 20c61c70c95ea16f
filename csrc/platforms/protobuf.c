#include "platforms/protobuf.h"

/* 0: cut short, or longer than 64 bits. */
static int take_varint(ishow_span *from, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; from->size && shift < 64; shift += 7) {
        const unsigned char byte = (unsigned char)*from->data;
        from->data++;
        from->size--;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) return 1;
    }
    return 0;
}

static int take_fixed(ishow_span *from, size_t n, uint64_t *out) {
    if (from->size < n) return 0;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out |= (uint64_t)(unsigned char)from->data[i] << (8 * i);
    from->data += n;
    from->size -= n;
    return 1;
}

int protobuf_next(ishow_span *message, protobuf_field *out) {
    enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
    uint64_t head, size;
    if (!message->size) return 0;
    *out = (protobuf_field){0};
    if (!take_varint(message, &head) || head >> 3 == 0 || head >> 3 > UINT32_MAX) return -1;
    out->number = (uint32_t)(head >> 3);
    switch (head & 7) {
    case VARINT: return take_varint(message, &out->whole) ? 1 : -1;
    case FIXED64: return take_fixed(message, 8, &out->whole) ? 1 : -1;
    case FIXED32: return take_fixed(message, 4, &out->whole) ? 1 : -1;
    case BYTES:
        if (!take_varint(message, &size) || size > message->size) return -1;
        out->bytes = (ishow_span){message->data, (size_t)size};
        message->data += size;
        message->size -= (size_t)size;
        return 1;
    default: return -1;
    }
}
