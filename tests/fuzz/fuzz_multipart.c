/* Uploads to a real server: the input is the body of a form, whose parts are set apart by "--bb". The server keeps no
 * state, so it answers a complete form with 503. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "loop.h"

static const char head[] =
    "POST /api/voices HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=bb\r\n"
    "Content-Length: %zu\r\n\r\n";

int fuzz_one(const uint8_t *data, size_t n) {
    char text[sizeof head + 24];
    const rig *r = loop_server();
    const int fd = dial(r), length = snprintf(text, sizeof text, head, n);
    send_all(fd, text, (size_t)length);
    send_all(fd, (const char *)data, n);
    reply a = receive(fd);
    fuzz_must(a.status == 503 || (a.status >= 400 && a.status < 500));
    fuzz_must(strstr(a.body, "\"error\""));
    free(a.all);
    close(fd);
    loop_check(n);
    return 0;
}
