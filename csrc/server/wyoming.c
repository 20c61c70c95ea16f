/* Home Assistant's Wyoming protocol on a port of its own. An event is a line of JSON, optionally more JSON, and bytes
 * (https://github.com/OHF-Voice/wyoming).
 *
 * Few clients connect and each waits for its speech, so each has a thread that blocks, apart from the HTTP event
 * loop. */
#include "server/wyoming.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

enum {
    CLIENTS = 8,
    LINE_BYTES = 64 * 1024,
    DATA_BYTES = 64 * 1024,
    PAYLOAD_BYTES = 16 * 1024 * 1024,
    CHUNK_SAMPLES = 4096
};

enum { CLIENT_NONE, CLIENT_RUNS, CLIENT_ENDED };

typedef struct client {
    struct wyoming *owner;
    pthread_t thread;
    atomic_int state;
    int fd;
    size_t at, n; /* received bytes that have not been read */
    char received[4096];
} client;

struct wyoming {
    ishow_server *server;
    int listener, stopped; /* stopped: an eventfd that becomes readable at shutdown */
    pthread_t thread;
    int thread_runs;
    client clients[CLIENTS];
};

/* ---- bytes ---- */

/* Waits until the socket is ready for `events`. 1: it is; 0: the server stops, or nothing happened within its idle
 * time. */
static int wait_for(client *c, short events) {
    struct pollfd fds[] = {{.fd = c->fd, .events = events}, {.fd = c->owner->stopped, .events = POLLIN}};
    int ready;
    do ready = poll(fds, 2, (int)(c->owner->server->idle_seconds * 1000));
    while (ready < 0 && errno == EINTR);
    return ready > 0 && !fds[1].revents;
}

static int receive(client *c) {
    if (!wait_for(c, POLLIN)) return 0;
    const ssize_t n = recv(c->fd, c->received, sizeof c->received, 0);
    c->at = 0;
    c->n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Reads n bytes into `out` (NULL: dropped). 0: the connection has ended. */
static int receive_bytes(client *c, size_t n, ishow_buffer *out) {
    while (n) {
        if (c->at == c->n && !receive(c)) return 0;
        const size_t part = n < c->n - c->at ? n : c->n - c->at;
        if (out) ishow_buffer_add(out, c->received + c->at, part);
        c->at += part;
        n -= part;
    }
    return !out || !out->failed;
}

static int receive_line(client *c, ishow_buffer *out) {
    for (;;) {
        if (c->at == c->n && !receive(c)) return 0;
        const char *begin = c->received + c->at, *end = memchr(begin, '\n', c->n - c->at);
        const size_t part = end ? (size_t)(end - begin) : c->n - c->at;
        ishow_buffer_add(out, begin, part);
        c->at += part + (end != NULL);
        if (end) return !out->failed;
        if (out->failed || out->n > LINE_BYTES) return 0;
    }
}

static int send_bytes(client *c, const void *data, size_t n) {
    for (const char *at = data; n;) {
        if (!wait_for(c, POLLOUT)) return 0;
        const ssize_t sent = send(c->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return 0;
        if (sent > 0) at += sent, n -= (size_t)sent;
    }
    return 1;
}

/* ---- events ---- */

/* Reads the next event as {"type", "data"}; its payload is dropped. NULL: the connection has ended or broken the
 * protocol. */
static json_t *read_event(client *c) {
    ishow_buffer line = {0}, more = {0};
    json_t *event =
        receive_line(c, &line) ? json_loadb((const char *)line.data, line.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_int_t length = json_integer_value(json_object_get(event, "data_length")),
                     payload = json_integer_value(json_object_get(event, "payload_length"));
    int good = json_is_string(json_object_get(event, "type")) && length >= 0 && length <= DATA_BYTES && payload >= 0 &&
               payload <= PAYLOAD_BYTES;
    if (good && !json_object_get(event, "data")) json_object_set_new(event, "data", json_object());
    if (good && length) {
        json_t *data = receive_bytes(c, (size_t)length, &more)
                           ? json_loadb((const char *)more.data, more.n, JSON_REJECT_DUPLICATES, NULL)
                           : NULL;
        good = json_is_object(data) && json_object_update(json_object_get(event, "data"), data) == 0;
        json_decref(data);
    }
    if (good && payload) good = receive_bytes(c, (size_t)payload, NULL);
    ishow_buffer_free(&line);
    ishow_buffer_free(&more);
    if (good) return event;
    json_decref(event);
    return NULL;
}

/* Writes an event; takes `data`. 0: the connection has ended. */
static int write_event(client *c, const char *type, json_t *data, const ishow_buffer *payload) {
    json_t *event = json_pack("{s:s, s:o, s:I}", "type", type, "data", data ? data : json_object(), "payload_length",
                              (json_int_t)(payload ? payload->n : 0));
    char *line = event ? json_dumps(event, JSON_COMPACT) : NULL;
    const int good = line && send_bytes(c, line, strlen(line)) && send_bytes(c, "\n", 1) &&
                     (!payload || send_bytes(c, payload->data, payload->n));
    free(line);
    json_decref(event);
    return good;
}

static int write_error(client *c, const ishow_error *error) {
    const char *code = ishow_status_name(error->status);
    return write_event(c, "error", json_pack("{s:s, s:s}", "code", code, "text", error->message), NULL);
}

/* ---- requests ---- */

static json_t *artifact(const char *name, const char *description, const char *version) {
    json_t *found = json_pack("{s:s, s:s, s:s?, s:b}", "name", name, "description", description, "version", version,
                              "installed", 1);
    json_object_set_new(found, "attribution", json_pack("{s:s, s:s}", "name", "iShowTTS", "url", ""));
    return found;
}

static int describe(client *c, ishow_engine *engine, const json_t *data) {
    (void)data;
    static const char *const others[] = {"asr", "handle", "intent", "wake", "mic", "snd"};
    ishow_voice_entry *entries = NULL;
    ishow_model_info info;
    size_t n = 0;
    ishow_engine_info(engine, &info);
    json_t *voices = json_array(), *program = artifact("ishowtts", info.name, ishow_version()), *all = json_object();
    if (ishow_engine_list_voices(engine, &entries, &n, NULL) != ISHOW_OK) n = 0;
    for (size_t i = 0; i < n; i++) {
        json_t *one = artifact(entries[i].id, entries[i].id, NULL);
        json_object_set_new(one, "languages", json_pack("[s]", entries[i].language[0] ? entries[i].language : "en"));
        json_array_append_new(voices, one);
    }
    free(entries);
    json_object_set_new(program, "voices", voices);
    json_object_set_new(program, "supports_synthesize_streaming", json_true());
    json_object_set_new(all, "tts", json_pack("[o]", program));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) json_object_set_new(all, others[i], json_array());
    return write_event(c, "info", all, NULL);
}

/* A copy of settings that the HTTP loop may replace. */
typedef struct defaults {
    ishow_server *server;
    ishow_request request;
    char voice[ID_MAX + 1];
} defaults;

static void copy_defaults(void *self) {
    defaults *d = self;
    d->request = d->server->sampling;
    d->request.deadline = d->server->request_seconds;
    strcpy(d->voice, d->server->default_voice);
}

/* The first voice of a language, "en" also for "en-US"; NULL: none. */
static const char *voice_of_language(ishow_engine *engine, const char *language, char out[65]) {
    ishow_voice_entry *entries = NULL;
    size_t n = 0, length = strcspn(language, "-_");
    const char *found = NULL;
    if (ishow_engine_list_voices(engine, &entries, &n, NULL) != ISHOW_OK) return NULL;
    for (size_t i = 0; i < n && !found; i++)
        if (!strncmp(entries[i].language, language, length) &&
            (!entries[i].language[length] || strchr("-_", entries[i].language[length])))
            found = entries[i].id;
    if (found) snprintf(out, 65, "%s", found);
    free(entries);
    return found ? out : NULL;
}

static int write_piece(client *c, const float *samples, size_t n, int rate) {
    for (size_t at = 0; at < n; at += CHUNK_SAMPLES) {
        ishow_buffer part = {0};
        ishow_buffer_s16(&part, samples + at, n - at < CHUNK_SAMPLES ? n - at : CHUNK_SAMPLES);
        const int good =
            !part.failed &&
            write_event(c, "audio-chunk", json_pack("{s:i, s:i, s:i}", "rate", rate, "width", 2, "channels", 1), &part);
        ishow_buffer_free(&part);
        if (!good) return 0;
    }
    return 1;
}

/* 1 while the client is connected; for checks at times when nothing is sent to it. */
static int is_there(client *c) {
    struct pollfd fds[] = {{.fd = c->fd, .events = POLLRDHUP}, {.fd = c->owner->stopped, .events = POLLIN}};
    return poll(fds, 2, 0) <= 0;
}

/* Sends the speech until its end or its failure, which is in `error`. 0: the connection has ended. */
static int write_speech(client *c, ishow_utterance *utterance, int rate, ishow_error *error) {
    const float *samples;
    size_t n;
    if (!write_event(c, "audio-start", json_pack("{s:i, s:i, s:i}", "rate", rate, "width", 2, "channels", 1), NULL))
        return 0;
    for (;;) {
        ishow_error_clear(error);
        const ishow_status status = ishow_utterance_next(utterance, 0.2, &samples, &n, error);
        if (status == ISHOW_EAGAIN) {
            if (!is_there(c)) return 0;
            continue;
        }
        if (status != ISHOW_OK) return 1;
        if (!n) return write_event(c, "audio-stop", NULL, NULL);
        if (!write_piece(c, samples, n, rate)) return 0;
    }
}

/* Submits the text of a request, or where it is open, a text that follows in pieces. */
static ishow_status begin(client *c, ishow_engine *engine, const json_t *data, int open, ishow_utterance **out,
                          int *rate, ishow_error *error) {
    const json_t *voice = json_object_get(data, "voice");
    const char *text = open ? "" : json_string_value(json_object_get(data, "text")),
               *name = json_string_value(json_object_get(voice, "name"));
    const char *language = json_string_value(json_object_get(voice, "language"));
    defaults d = {.server = c->owner->server};
    ishow_model_info info;
    char found[65];
    if (!text) return ishow_fail(error, ISHOW_EINVAL, "text", "The event synthesize needs a text.");
    server_call(d.server, copy_defaults, &d);
    d.request.text = text;
    d.request.open = open;
    if (open) d.request.deadline = 0;
    d.request.voice = name ? name : language ? voice_of_language(engine, language, found) : NULL;
    if (!d.request.voice && d.voice[0]) d.request.voice = d.voice;
    d.request.early = 1;
    ishow_engine_info(engine, &info);
    *rate = info.sample_rate;
    return ishow_engine_submit(engine, &d.request, NULL, NULL, out, error);
}

static int synthesize(client *c, ishow_engine *engine, const json_t *data) {
    ishow_utterance *utterance = NULL;
    ishow_error error = {0};
    int rate, good = 1;
    if (begin(c, engine, data, 0, &utterance, &rate, &error) == ISHOW_OK)
        good = write_speech(c, utterance, rate, &error);
    if (good && error.status) good = write_error(c, &error);
    ishow_utterance_free(utterance);
    return good;
}

/* ---- a text that is still being written ---- */

typedef struct written {
    client *client;
    ishow_utterance *utterance; /* NULL: it could not begin; pieces are dropped */
    ishow_error error;          /* why a piece was not taken */
    int stopped;                /* the event synthesize-stop has come */
} written;

/* Takes pieces until the text or the connection ends. The event synthesize, which repeats the whole text for servers
 * that know no pieces, is left out. */
static void *take_pieces(void *self) {
    written *w = self;
    json_t *event;
    while (!w->stopped && (event = read_event(w->client))) {
        const char *type = json_string_value(json_object_get(event, "type")),
                   *text = json_string_value(json_object_get(json_object_get(event, "data"), "text"));
        const int takes = !strcmp(type, "synthesize-chunk") && w->utterance && !w->error.status;
        w->stopped = !strcmp(type, "synthesize-stop");
        if (takes && !text)
            ishow_fail(&w->error, ISHOW_EINVAL, "text", "The event synthesize-chunk needs a text.");
        else if (takes)
            ishow_speak_feed(w->utterance, text, ISHOW_WAIT, &w->error);
        if (takes && w->error.status) ishow_utterance_cancel(w->utterance);
        json_decref(event);
    }
    if (!w->utterance) return NULL;
    if (w->stopped)
        ishow_speak_end(w->utterance, NULL); /* it may have ended by a failure */
    else
        ishow_utterance_cancel(w->utterance);
    return NULL;
}

static int synthesize_written(client *c, ishow_engine *engine, const json_t *data) {
    written w = {.client = c};
    ishow_error error = {0};
    pthread_t taker;
    int rate, good, takes = 0;
    if (begin(c, engine, data, 1, &w.utterance, &rate, &error) == ISHOW_OK)
        takes = !pthread_create(&taker, NULL, take_pieces, &w);
    if (takes) {
        good = write_speech(c, w.utterance, rate, &error);
        if (!good) { /* wake the thread that takes pieces */
            ishow_utterance_cancel(w.utterance);
            shutdown(c->fd, SHUT_RDWR);
        }
        pthread_join(taker, NULL);
        if (good && error.status) good = write_error(c, w.error.status ? &w.error : &error);
    } else {
        if (w.utterance) ishow_fail(&error, ISHOW_EIO, "", "A thread for the text could not be started.");
        ishow_utterance_free(w.utterance);
        w.utterance = NULL;
        good = write_error(c, &error);
        take_pieces(&w);
    }
    ishow_utterance_free(w.utterance);
    return good && w.stopped && write_event(c, "synthesize-stopped", NULL, NULL);
}

typedef int answer_fn(client *c, ishow_engine *engine, const json_t *data);

static int answer(client *c, const json_t *event) {
    static const struct {
        const char *type;
        answer_fn *answer;
    } known[] = {{"describe", describe}, {"synthesize", synthesize}, {"synthesize-start", synthesize_written}};
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *data = json_object_get(event, "data");
    ishow_server *s = c->owner->server;
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_error error = {0};
    if (!strcmp(type, "ping")) return write_event(c, "pong", json_deep_copy(data), NULL);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(type, known[i].type)) continue;
        if (atomic_load(&s->draining))
            ishow_fail(&error, ISHOW_ESTATE, "", "The server is closing down.");
        else if (!engine)
            ishow_fail(&error, ISHOW_ESTATE, "", "The model is being loaded.");
        return error.status ? write_error(c, &error) : known[i].answer(c, engine, data);
    }
    return 1; /* an event of another Wyoming service */
}

/* ---- threads ---- */

static void *serve(void *self) {
    client *c = self;
    json_t *event;
    int good = 1;
    while (good && (event = read_event(c))) {
        good = answer(c, event);
        json_decref(event);
    }
    close(c->fd);
    atomic_store(&c->state, CLIENT_ENDED);
    return NULL;
}

static client *free_client(wyoming *w) {
    for (size_t i = 0; i < CLIENTS; i++) {
        client *c = &w->clients[i];
        if (atomic_load(&c->state) == CLIENT_ENDED) {
            pthread_join(c->thread, NULL);
            atomic_store(&c->state, CLIENT_NONE);
        }
        if (atomic_load(&c->state) == CLIENT_NONE) return c;
    }
    return NULL;
}

static void *listen_for_clients(void *self) {
    wyoming *w = self;
    struct pollfd fds[] = {{.fd = w->listener, .events = POLLIN}, {.fd = w->stopped, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) return NULL;
        if (fds[1].revents) return NULL;
        const int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
        client *c = fd >= 0 ? free_client(w) : NULL;
        if (c) {
            c->owner = w;
            c->fd = fd;
            c->at = c->n = 0;
            atomic_store(&c->state, CLIENT_RUNS);
            if (!pthread_create(&c->thread, NULL, serve, c)) continue;
            atomic_store(&c->state, CLIENT_NONE);
        }
        if (fd >= 0) close(fd); /* too many clients */
    }
}

ishow_status wyoming_start(wyoming **out, ishow_server *s, const char *host, int port, int insecure,
                           ishow_error *error) {
    int loopback = 0;
    wyoming *w = calloc(1, sizeof *w);
    *out = w;
    if (!w) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the Wyoming protocol.");
    w->server = s;
    w->listener = -1;
    ishow_status status = ISHOW_OK;
    if ((w->stopped = eventfd(0, EFD_CLOEXEC)) < 0)
        status = ishow_fail(error, ISHOW_EIO, "", "The Wyoming protocol cannot be served: %s.", strerror(errno));
    if (!status) status = listen_socket(host, port, "wyoming", &w->listener, &loopback, error);
    if (!status && !loopback && !insecure)
        status = ishow_fail(
            error, ISHOW_EINVAL, "wyoming_port",
            "The Wyoming protocol has no keys: it needs a host that is loopback, or server.insecure = true.");
    if (!status && pthread_create(&w->thread, NULL, listen_for_clients, w))
        status = ishow_fail(error, ISHOW_EIO, "", "A thread for the Wyoming protocol could not be started.");
    w->thread_runs = !status;
    if (!status) ishow_log(ISHOW_LOG_INFO, "wyoming", "listens on port %d", port);
    return status;
}

void wyoming_stop(wyoming *w) {
    const uint64_t one = 1;
    if (!w || !w->thread_runs) return;
    if (write(w->stopped, &one, sizeof one) != sizeof one) return; /* cannot happen: the counter is far from full */
    pthread_join(w->thread, NULL);
    w->thread_runs = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        if (atomic_load(&w->clients[i].state) != CLIENT_NONE) pthread_join(w->clients[i].thread, NULL);
}

void wyoming_free(wyoming *w) {
    if (!w) return;
    wyoming_stop(w);
    if (w->listener >= 0) close(w->listener);
    if (w->stopped >= 0) close(w->stopped);
    free(w);
}
