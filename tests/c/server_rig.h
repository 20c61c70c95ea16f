/* A server over the fake model and a client of raw bytes, for the tests of the HTTP layer. Whatever goes wrong fails
 * the test. */
#ifndef SERVER_RIG_H
#define SERVER_RIG_H

#include "fake_backend.h"
#include "server/server.h"

typedef struct rig {
    fake_model model;
    fake_text text;
    ishow_engine *engine;
    ishow_server *server;
    long handles;
} rig;

ishow_server_options rig_options(void);                                      /* a free port */
rig *rig_make(const ishow_server_options *options, int ready, size_t queue); /* one voice, "anna" */
rig *rig_ready(void);
rig *rig_without_voice(void); /* its model needs none */
void rig_free(rig *r);        /* nothing may be left */

int dial(const rig *r); /* close() it */
void send_all(int fd, const char *data, size_t n);

typedef struct reply {
    int status;
    char *head, *body;
    size_t n_body;
    char *all;
} reply;               /* free(all) */
reply receive(int fd); /* to the end of the connection, or of a body of known length */
reply ask(const rig *r, const char *text);
reply post(const rig *r, const char *path, const char *fields, const char *body); /* JSON; fields end in \r\n */
void expect(const rig *r, const char *text, int status, const char *holds); /* the answer, and the shape of an error */

#define GET(path, more) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n" more "\r\n"
#define POST_TTS(more)  "POST /api/tts HTTP/1.1\r\nHost: localhost\r\n" more

void slow_down(rig *r, int us);                       /* each step of the model */
void wait_in_flight(rig *r, size_t n);                /* until n utterances are known to the engine */
void start(int fd, const char *path, const char *id); /* sends a request of 64 steps */

#endif
