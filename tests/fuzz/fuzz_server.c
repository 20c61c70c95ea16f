/* Bytes to a real server over a socket: heads, bodies, forms, WebSockets. An input that begins with W goes through the
 * handshake first; what follows are frames, masked here unless the second byte is odd. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "loop.h"

static const char upgrade[] =
    "GET /api/tts/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* Reads what comes within `ms`, and what is there with it, or all until `end`, where it is given. */
static size_t answer(int fd, char *out, size_t most, int ms, const char *end) {
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < most && !(end && memmem(out, n, end, strlen(end))) && poll(&p, 1, n && !end ? 0 : ms) > 0) {
        const ssize_t got = recv(fd, out + n, most - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
    }
    return n;
}

/* One byte of opcode and flags, one of length, the payload. */
static void send_frames(int fd, const uint8_t *data, size_t n) {
    for (size_t i = 0; i + 2 <= n;) {
        const size_t size = data[i + 1] % 126 < n - i - 2 ? data[i + 1] % 126 : n - i - 2;
        char frame[2 + 4 + 126] = {(char)data[i], (char)(0x80 | size), 0, 0, 0, 0};
        memcpy(frame + 6, data + i + 2, size);
        send_all(fd, frame, 6 + size);
        i += 2 + size;
    }
}

int fuzz_one(const uint8_t *data, size_t n) {
    static char out[1 << 16];
    const rig *r = loop_server();
    const int fd = dial(r), frames = n > 1 && data[0] == 'W';
    if (frames) {
        send_all(fd, upgrade, sizeof upgrade - 1);
        fuzz_must(answer(fd, out, sizeof out, 60000, "\r\n\r\n") > 12 && !strncmp(out, "HTTP/1.1 101", 12));
        if (data[1] & 1)
            send_all(fd, (const char *)data + 2, n - 2);
        else
            send_frames(fd, data + 2, n - 2);
    } else {
        send_all(fd, (const char *)data, n);
    }
    loop_settle();
    const size_t got = answer(fd, out, sizeof out, 2, NULL);
    fuzz_must(frames || !got || !strncmp(out, "HTTP/1.", got < 7 ? got : 7));
    close(fd);
    loop_check(n);
    return 0;
}
