/* A server on the fake model and a client that sends raw bytes, for the tests of the HTTP layer. Any error fails the
 * test. */
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
rig *rig_without_voice(void); /* with a model that needs no voice */
void rig_free(rig *r);        /* checks that no handle is left */

int dial(const rig *r); /* close() it */
void send_all(int fd, const char *data, size_t n);

typedef struct reply {
    int status;
    char *head, *body;
    size_t n_body;
    char *all;
} reply;               /* free(all) */
reply receive(int fd); /* reads until the connection ends or a body of known length is complete */
reply ask(const rig *r, const char *text);
reply post(const rig *r, const char *path, const char *fields, const char *body); /* JSON; fields end in \r\n */
void expect(const rig *r, const char *text, int status,
            const char *holds); /* checks the status, and that an error has the documented fields */

#define GET(path, more) "GET " path " HTTP/1.1\r\nHost: 127.0.0.1\r\n" more "\r\n"
#define POST_TTS(more)  "POST /api/tts HTTP/1.1\r\nHost: localhost\r\n" more

void slow_down(rig *r, int us);                       /* duration of each step of the model */
void wait_in_flight(rig *r, size_t n);                /* waits until the engine has n utterances */
void start(int fd, const char *path, const char *id); /* sends a request of 64 steps */

#endif
