/* POST /v1/audio/speech with a body of lines of JSON: the text is spoken while it arrives, and its audio is sent before
 * the body has ended.
 *
 * libmicrohttpd answers whole requests only. So it reads the body, and the answer is written to the socket here;
 * libmicrohttpd writes nothing, and closes the connection when both are at their end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/internal.h"
#include "service/openai.h"

enum { OUT_MAX = 64 * 1024 }; /* bytes that wait for the socket */

typedef struct written {
    job *job;         /* NULL until the first line has come */
    ishow_buffer out; /* for the socket */
    size_t sent;      /* of out */
    int ended;        /* the body has ended */
    int held;         /* the engine has no room for the next line yet */
    int headed, over; /* the answer has begun; the answer is complete */
} written;

static int is_finished(const written *w) { return w->over && w->sent == w->out.n; }

static void finish(exchange *x, written *w) {
    w->over = 1;
    x->patient = 0;
    x->peer->since = ishow_now(); /* the rest of the body must arrive in time */
    if (w->job) speech_cancel(x->server, w->job);
}

static void add_chunk(written *w, const unsigned char *data, size_t n) {
    if (!n) return; /* an empty chunk would mark the end of the answer */
    ishow_buffer_format(&w->out, "%zx\r\n", n);
    ishow_buffer_add(&w->out, data, n);
    ishow_buffer_text(&w->out, "\r\n");
}

static void add_end(exchange *x, written *w) {
    ishow_buffer_text(&w->out, "0\r\n\r\n");
    x->taken_over = 1; /* libmicrohttpd reports a closed connection, which is no failure here */
    finish(x, w);
}

static void add_head(exchange *x, written *w, int status, struct MHD_Response *response) {
    if (!response) {
        w->out.failed = 1;
        return;
    }
    respond_head(x, status, response, "Transfer-Encoding: chunked\r\n", &w->out);
    MHD_destroy_response(response);
    w->headed = 1;
}

static void add_fault(exchange *x, written *w) {
    ishow_buffer body = {0};
    struct MHD_Response *response = fault_response(x);
    ishow_fault_write(&body, &x->fault);
    add_head(x, w, x->fault.status, response);
    add_chunk(w, body.data, body.n);
    w->out.failed |= body.failed;
    ishow_buffer_free(&body);
    add_end(x, w);
}

/* Moves what the encoder thread has made to `out`. */
static void take_audio(exchange *x, written *w) {
    job *j = w->job;
    pthread_mutex_lock(&j->lock);
    const int finished = j->finished, failed = finished && j->failure.status;
    const int ready = j->response->streams ? j->out.n > j->taken : finished;
    if (failed && !j->started) x->fault = j->failure;
    pthread_mutex_unlock(&j->lock);
    if (failed && !j->started) {
        add_fault(x, w);
        return;
    }
    if (ready && !w->headed) {
        struct MHD_Response *response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
        if (response && j->response->type) MHD_add_response_header(response, "Content-Type", j->response->type);
        if (response && !j->response->type) tts_audio_headers(response, j);
        add_head(x, w, 200, response);
    }
    if (!ready && !finished) return;
    pthread_mutex_lock(&j->lock);
    const size_t left = j->out.n - j->taken, n = left < OUT_MAX ? left : OUT_MAX;
    add_chunk(w, j->out.data + j->taken, n);
    j->taken += n;
    job_count(j);
    if (n) job_took(j);
    const int whole = finished && j->taken == j->out.n;
    pthread_mutex_unlock(&j->lock);
    if (whole && failed && !j->response->fail)
        finish(x, w); /* without the last chunk, by which the client sees that the answer is incomplete */
    else if (whole)
        add_end(x, w);
}

/* Sends what there is, as much as the socket takes. */
static void send_audio(exchange *x, written *w) {
    for (;;) {
        if (!w->over && w->sent == w->out.n) {
            w->out.n = w->sent = 0;
            if (x->fault.status && !w->headed)
                add_fault(x, w);
            else if (x->fault.status)
                finish(x, w);
            else if (w->job)
                take_audio(x, w);
        }
        if (w->out.failed) {
            w->out.n = w->sent = 0;
            finish(x, w);
        }
        if (w->sent == w->out.n) return;
        const ssize_t n = send(x->peer->fd, w->out.data + w->sent, w->out.n - w->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return; /* called again when it takes more */
        if (n < 0) {
            w->sent = w->out.n;
            finish(x, w);
            return;
        }
        w->sent += (size_t)n;
    }
}

/* Begins or continues the speech. 0: x->fault is set, or w->held. */
static int take_line(exchange *x, written *w, const char *line, size_t n) {
    ishow_server *s = x->server;
    ishow_engine *engine = atomic_load(&s->engine);
    speech said;
    ishow_model_info info;
    char voice[65];
    size_t kept;
    ishow_engine_info(engine, &info);
    int good = ishow_speech_parse_openai_line(line, n, !w->job, &s->sampling, info.name, &said, &x->fault);
    if (good && w->job) {
        good = speech_continue(w->job, &said, &kept, &x->fault);
        w->held = !good && x->fault.status == 429;
        if (w->held) x->fault = (fault){0};
    } else if (good) {
        said.request.voice = ishow_openai_voice(engine, (const char *const *)s->openai_voices.item, s->openai_voices.n,
                                                said.request.voice, voice);
        w->job = speech_submit_checked(x, &said, openai_response_of(&said), ISHOW_FORMAT_MP3);
        good = w->job != NULL;
        if (good && said.flush) ishow_speak_flush(w->job->utterance, NULL);
        x->patient = good;
    }
    ishow_speech_free(&said);
    return good;
}

/* Takes whole lines of the body, as long as there is room for them. */
static void take_lines(exchange *x, written *w) {
    size_t at = 0;
    while (!w->held && !w->over && !x->fault.status) {
        const char *line = (const char *)x->body.data + at;
        const char *end = at < x->body.n ? memchr(line, '\n', x->body.n - at) : NULL;
        if (!end) break;
        const size_t n = (size_t)(end - line);
        if (n > x->server->body_bytes_max) break;
        const int blank = strspn(line, " \t\r") >= n;
        if (!blank && !take_line(x, w, line, n)) break;
        at += n + 1;
    }
    if (at) memmove(x->body.data, x->body.data + at, x->body.n - at);
    x->body.n -= at;
    if (!w->held && !x->fault.status && x->body.n > x->server->body_bytes_max)
        ishow_fault_set(&x->fault, 413, "too_large", "", "A line may have %zu bytes.", x->server->body_bytes_max);
    if (w->over || w->held || x->fault.status || !w->ended) return;
    if (w->job)
        ishow_speak_end(w->job->utterance, NULL); /* it may have ended by a failure */
    else
        ishow_fault_set(&x->fault, 400, "malformed_json", "", "The body has no line of JSON.");
}

static int written_news(exchange *x) {
    written *w = x->waited;
    if (w->held) {
        w->held = 0;
        take_lines(x, w);
    }
    send_audio(x, w);
    return is_finished(w) || (x->phase == PHASE_BODY && !w->held);
}

static enum MHD_Result written_resume(exchange *x) {
    if (is_finished(x->waited)) return MHD_NO; /* libmicrohttpd closes the connection */
    exchange_wait(x);
    return MHD_YES;
}

static void written_hang_up(exchange *x) { finish(x, x->waited); }

static void written_release(exchange *x) {
    written *w = x->waited;
    if (w->job) speech_cancel(x->server, w->job);
    job_release(w->job);
    ishow_buffer_free(&w->out);
    free(w);
}

static job *written_job(const exchange *x) { return ((const written *)x->waited)->job; }

static const wait_kind written_wait = {.attends = 1,
                                       .news = written_news,
                                       .resume = written_resume,
                                       .hang_up = written_hang_up,
                                       .release = written_release,
                                       .job_of = written_job};

static written *begin(exchange *x) {
    written *w = x->peer ? calloc(1, sizeof *w) : NULL;
    if (!w) return NULL;
    MHD_set_connection_option(x->connection, MHD_CONNECTION_OPTION_TIMEOUT,
                              0u); /* the client may pause between lines */
    exchange_attend(x, &written_wait, w);
    return w;
}

enum MHD_Result written_take(exchange *x, const char *data, size_t n) {
    written *w = x->wait ? x->waited : begin(x);
    if (!w) return MHD_NO;
    if (!w->over) {
        ishow_buffer_add(&x->body, data, n);
        if (x->body.failed) return MHD_NO;
        take_lines(x, w);
        send_audio(x, w);
    }
    if (w->held) exchange_wait(x);
    return MHD_YES;
}

enum MHD_Result written_end(exchange *x) {
    written *w = x->wait ? x->waited : begin(x);
    if (!w) return MHD_NO;
    w->ended = 1;
    ishow_buffer_text(&x->body, "\n");
    if (x->body.failed) return MHD_NO;
    take_lines(x, w);
    send_audio(x, w);
    x->phase = PHASE_WAIT;
    return written_resume(x);
}
