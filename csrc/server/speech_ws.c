/* GET /api/tts/ws: many requests on one connection. A message is the JSON of /api/tts/stream with a request_id, or
 * {"cancel": request_id}; the answers are the events of that stream as JSON, and its audio as binary messages: u32
 * little-endian length of a JSON head, the head, bytes. A request with "more": true continues with later messages. */
#include <stdlib.h>
#include <string.h>

#include "server/internal.h"

enum { SPEECHES_MAX = 16 }; /* concurrent jobs of one connection */

typedef struct talk {
    ishow_server *server;
    job *jobs[SPEECHES_MAX];               /* NULL: the place is free */
    char broken[SPEECHES_MAX][ID_MAX + 1]; /* ids of requests that failed before their text had ended; "": none. Pieces
                                              of them that arrive later must not begin new requests */
    int next_broken;
} talk;

static void send_text(ws *w, ishow_buffer *message) {
    if (message->failed)
        ws_close(w, 1011, "Out of memory.");
    else
        ws_send(w, 0, message->data, message->n);
    ishow_buffer_free(message);
}

/* id: NULL when the request has no valid id. */
static void send_error(ws *w, const char *id, const fault *f) {
    ishow_buffer m = {0};
    ishow_buffer_text(&m, "{\"event\":\"error\",");
    if (id) {
        ishow_buffer_text(&m, "\"request_id\":");
        ishow_buffer_json_text(&m, id);
        ishow_buffer_text(&m, ",");
    }
    ishow_fault_write_member(&m, f);
    ishow_buffer_text(&m, "}");
    send_text(w, &m);
}

static job **find_job(talk *t, const char *id) {
    for (int i = 0; i < SPEECHES_MAX; i++)
        if (id ? t->jobs[i] && !strcmp(t->jobs[i]->id, id) : !t->jobs[i]) return &t->jobs[i];
    return NULL;
}

/* ---- messages from the client ---- */

static char *find_broken(talk *t, const char *id) {
    for (int i = 0; i < SPEECHES_MAX; i++)
        if (!strcmp(t->broken[i], id)) return t->broken[i];
    return NULL;
}

static int cancel(talk *t, const char *id, fault *f) {
    job **j = find_job(t, id);
    if (!j) return ishow_fault_set(f, 404, "not_found", "cancel", "No request with the id %s is running here.", id);
    speech_cancel(t->server, *j);
    return 1;
}

static int start(talk *t, speech_message *m, fault *f) {
    job **place = find_job(t, NULL);
    if (!ishow_speech_check_start(m, f)) return 0;
    if (!place)
        return ishow_fault_set(f, 429, "busy", "", "%d requests are running on this connection, which is the most.",
                               SPEECHES_MAX);
    *place = speech_submit(t->server, &m->said, &response_frames, ISHOW_FORMAT_PCM, m->id, f);
    if (!*place) return 0;
    if (m->said.flush)
        ishow_speak_flush((*place)->utterance,
                          NULL); /* an utterance that has just begun; it is open when the request says so */
    return 1;
}

static int go_on(ws *w, job *j, const speech_message *m, fault *f) {
    size_t kept = 0;
    if (!j->patience || !m->piece)
        return ishow_fault_set(f, 409, "duplicate_id", "request_id", "A request with the id %s is running.", m->id);
    if (!speech_continue(j, &m->said, &kept, f)) return 0;
    if (m->said.set_text) {
        ishow_buffer message = {0};
        ishow_buffer_text(&message, "{\"event\":\"text\",\"request_id\":");
        ishow_buffer_json_text(&message, m->id);
        ishow_buffer_format(&message, ",\"kept\":%zu}", kept);
        send_text(w, &message);
    }
    return 1;
}

static int speak(ws *w, speech_message *m, fault *f) {
    talk *t = ws_self(w);
    job **running = find_job(t, m->id);
    char *broken = m->piece ? find_broken(t, m->id) : NULL;
    if (running) return go_on(w, *running, m, f);
    if (!broken) return start(t, m, f);
    if (!m->said.more) *broken = '\0';
    return ishow_fault_set(f, 409, "ended", "request_id", "The request with the id %s failed before its text ended.",
                           m->id);
}

static void on_message(ws *w, const unsigned char *data, size_t n, int binary) {
    talk *t = ws_self(w);
    fault f = {0};
    speech_message m;
    if (binary) {
        ws_close(w, 1003, "Requests are text.");
        return;
    }
    int good = ishow_speech_parse_message((const char *)data, n, &t->server->sampling, &m, &f) &&
               (m.cancels ? cancel(t, m.id, &f) : speak(w, &m, &f));
    if (!good) send_error(w, m.id[0] ? m.id : NULL, &f);
    ishow_speech_free(&m.said);
}

/* ---- messages to the client ---- */

/* Sends whole messages of the job as long as the queue has space. Returns 1 when there are no more and none will
 * come. */
static int send_job(ws *w, job *j) {
    const unsigned char *message; /* borrowed from j->out */
    size_t n, skip;
    int binary, ended = 0;
    fault failure = {0};
    pthread_mutex_lock(&j->lock);
    while (ws_capacity(w) && j->taken < j->out.n && /* there are no data before the first message */
           (skip = frame_next(j->out.data + j->taken, j->out.n - j->taken, &binary, &message, &n))) {
        ws_send(w, binary, message, n);
        j->taken += skip;
        job_took(j);
    }
    job_count(j);
    if (j->finished && j->taken == j->out.n) {
        ended = 1;
        failure = j->failure;
    }
    pthread_mutex_unlock(&j->lock);
    if (ended && failure.status) send_error(w, j->id, &failure);
    return ended;
}

static void on_news(ws *w) {
    talk *t = ws_self(w);
    for (int i = 0; i < SPEECHES_MAX; i++)
        if (t->jobs[i] && send_job(w, t->jobs[i])) {
            if (t->jobs[i]->open && !atomic_load(&t->jobs[i]->cancelled))
                strcpy(t->broken[t->next_broken++ % SPEECHES_MAX], t->jobs[i]->id);
            job_release(t->jobs[i]);
            t->jobs[i] = NULL;
        }
}

static int is_busy(const ws *w) {
    const talk *t = ws_self(w);
    for (int i = 0; i < SPEECHES_MAX; i++)
        if (t->jobs[i]) return 1;
    return 0;
}

static void on_release(ws *w) {
    talk *t = ws_self(w);
    for (int i = 0; i < SPEECHES_MAX; i++)
        if (t->jobs[i]) {
            speech_cancel(t->server, t->jobs[i]);
            job_release(t->jobs[i]);
        }
    free(t);
}

enum MHD_Result answer_tts_ws(exchange *x) {
    static const ws_kind kind = {.message = on_message, .news = on_news, .busy = is_busy, .release = on_release};
    talk *t = ishow_alloc(1, sizeof *t);
    if (!t) return MHD_NO;
    t->server = x->server;
    return ws_accept(x, &kind, t, x->server->body_bytes_max);
}
