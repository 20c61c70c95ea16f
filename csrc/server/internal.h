/* What the files of server/ share.
 *
 * Two threads. The loop (http.c) owns every connection and every `exchange`, runs libmicrohttpd, and never blocks but
 * in its epoll wait. The encoder thread (encoder_thread.c) is the only reader of all utterances: it encodes samples
 * into the job's `out`. A job is the only structure that both use, under its lock.
 *
 * libmicrohttpd runs in external mode inside our own loop instead of on a thread of its own. So callbacks need no lock,
 * engine threads wake the loop by an eventfd, and the socket of a suspended connection can be watched: libmicrohttpd
 * does not, so a client that hung up would keep the model busy. */
#ifndef ISHOW_SERVER_INTERNAL_H
#define ISHOW_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "base/base.h"
#include "base/buffer.h"
#include "base/defaults.h"
#include "server/server.h"
#include "server/speech_job.h"
#include "store/store.h"
#include "service/error_response.h"
#include "service/guesses.h"
#include "service/lexicon.h"
#include "service/load_history.h"
#include "service/retry_after.h"
#include "service/speech.h"
#include "service/voices.h"
#include "service/chat.h"

enum {
    URI_MAX = 2048,                   /* longer: 414 */
    TRACE_LENGTH = 55,                /* characters of a traceparent of version 00 */
    HEADER_MAX = 16 * 1024,           /* all header fields: 431 */
    SWALLOW_MAX = 16 * 1024 * 1024,   /* body bytes read and dropped so that the client sees the answer */
    PARKED_MAX = 32 * 1024 * 1024,    /* unread bytes of one client before it is dropped */
    WRITTEN_PARKED_MAX = 1024 * 1024, /* unread bytes of a text that comes in pieces before no more speech is read */
    /* unread bytes of all clients; above it, the one of those that read nothing which has the most is dropped */
    PARKED_ALL_MAX = 64 * 1024 * 1024
};

typedef struct exchange exchange;

/* ---- metrics.c ---- */
/* route_name: the name of each index below ROUTES_MAX that is in use, NULL past the last. */
metrics *metrics_create(const char *(*route_name)(int index));
void metrics_free(metrics *m);
void metrics_request(metrics *m, int route, int status);
void metrics_speech(metrics *m, const ishow_timings *timings);
/* Prometheus text. engine may be NULL. */
void metrics_write(metrics *m, ishow_engine *engine, int ready, unsigned connections, ishow_buffer *out);

/* ---- tasks.c: what workers do for a request ---- */
typedef struct tasks tasks;
typedef struct task { /* the first member of a task's own struct */
    struct task *next;
    atomic_int refs, done;
    void (*work)(struct task *t);                           /* on a worker; may set `fault` */
    enum MHD_Result (*answer)(exchange *x, struct task *t); /* on the loop, after `work` that set no fault */
    void (*dispose)(struct task *t);
    fault fault;
} task;
/* wake(wake_self) is called by a worker when a task is done. */
ishow_status tasks_create(tasks **out, void (*wake)(void *self), void *wake_self, ishow_error *error);
void tasks_stop(tasks *p); /* finishes the tasks it has and joins the workers; NULL allowed */
void tasks_free(tasks *p);
enum MHD_Result task_begin(exchange *x, task *t); /* the last call of an `answer`; always takes the task */

/* ---- config.c ---- */
typedef struct config config;
void config_poke(config *c,
                 int reload); /* reload: read again soon; 0: retry a postponed reload now. Any thread. NULL allowed */

/* ---- assets.c ---- */
typedef struct asset {
    char *path; /* path of the URL */
    const char *type;
    char etag[24];
    ishow_buffer content;
} asset;
typedef struct assets assets;
typedef struct wyoming wyoming;
ishow_status assets_load(assets **out, const char *dir, ishow_error *error);
const asset *assets_find(const assets *a, const char *path); /* NULL allowed */
void assets_free(assets *a);

/* ---- auth.c: who may ask ---- */
typedef struct names {
    char **item;
    size_t n;
} names;
int names_add(names *out, const char *item);                    /* 0: out of memory */
int names_copy(names *out, const char *const *items, size_t n); /* 0: out of memory */
void names_free(names *n);
typedef struct access_rules {
    char *host, *api_key;
    int loopback, key_needed;
    names hosts, origins;
} access_rules;

enum { KEY_CHARACTERS_ADVISED = 16 };

/* ---- http.c ---- */
typedef enum phase { PHASE_HEAD, PHASE_BODY, PHASE_SWALLOW, PHASE_WAIT, PHASE_STREAM, PHASE_ANSWERED } phase;

typedef struct peer { /* one connection */
    struct peer *prev, *next;
    int fd;
    struct sockaddr_storage address;
    double since;       /* when the current wait for a request began */
    int ended;          /* ticks since the client shut down its side */
    int dropped;        /* closed in favour of another connection */
    exchange *exchange; /* NULL between requests */
} peer;

/* An entry of the loop's epoll set, embedded in its owner. The owner removes it before it is freed, and is never freed
 * within the `ready` of another one. */
typedef struct watch {
    void (*ready)(struct watch *w, uint32_t events); /* on the loop */
} watch;

/* What a suspended exchange waits for: a speech job, a worker's task, the chat's stream. All functions are called on
 * the loop. */
typedef struct wait_kind {
    int endless;                            /* never ends by itself: ended as soon as the server shuts down */
    int attends;                            /* `news` is called while the request is read, too */
    int (*news)(exchange *x);               /* 1: there is something to answer or send */
    enum MHD_Result (*resume)(exchange *x); /* called in PHASE_WAIT; answers, or calls exchange_wait again */
    void (*hang_up)(exchange *x);           /* x->gone is set: stop the work behind it */
    void (*release)(exchange *x);           /* the exchange ends; frees x->waited */
    job *(*job_of)(const exchange *x);      /* the job whose speech it sends, borrowed; NULL: it has none yet */
} wait_kind;

typedef struct served_chat served_chat;
typedef struct loop_call loop_call; /* a call that another thread wants made on the loop */
typedef struct route route;
struct exchange { /* one request and its answer */
    watch watch;  /* of its socket, while suspended */
    ishow_server *server;
    struct MHD_Connection *connection;
    exchange *prev, *next; /* in the list of suspended exchanges */
    peer *peer;
    const route *route;
    const asset *asset; /* for the routes of pages; NULL: no such file */
    char *origin;       /* another origin that may call (CORS) */
    phase phase;
    int suspended, watched, gone, uploads, only_head, taken_over;
    int lines;       /* the body is lines of JSON, which are spoken while they come */
    int patient;     /* the body may take as long as it wants */
    const char *uri; /* as it came, in libmicrohttpd's buffer */
    int bad_uri;     /* holds a space, a control character, or %00, which would end the path early once unescaped */
    int absolute;    /* it names its host itself, which counts instead of the Host header */
    char authority[256];
    int status; /* answered */
    double began;
    size_t uri_length, received;
    ishow_buffer body;
    fault fault;
    const wait_kind *wait; /* NULL until it waits for something */
    void *waited;          /* of that kind */
    struct ws *socket;     /* NULL unless it became a WebSocket */
    chat_service *chat;    /* of a request of live chat */
    size_t chat_number;
    char id[ID_MAX + 1];
    char segment[ID_MAX + 1];         /* the part of the path that matched {} */
    char allow[48];                   /* methods of the path, for 405 */
    char content_range[80];           /* for 416 */
    char trace[1 + TRACE_LENGTH + 1]; /* behind a space: the caller's span (W3C traceparent); "": none */
};

struct ishow_server {
    access_rules rules;
    guesses guesses;     /* loop only */
    names openai_voices; /* pairs of name and id; used by the loop only */
    double request_seconds, idle_seconds;
    size_t body_bytes_max;
    ishow_request sampling;
    int port, only_health;
    char url[96];
    int listen_fd, epoll, waker;
    watch on_daemon, on_waker;
    struct MHD_Daemon *daemon;
    int (*compile_state)(void *self, char *why, size_t n_why); /* may be NULL */
    void *compile_self;
    unsigned connections, connections_max, connections_per_client;
    peer *peers; /* this and the next: loop only */
    exchange *waiting;
    size_t exchanges;
    struct ws *sockets;                          /* open WebSockets */
    struct broadcast_workers *broadcast_workers; /* threads that send the chat's events */
    assets *assets;
    metrics *metrics;
    encoder_thread *encoder_thread;
    tasks *tasks;
    size_t uploads;        /* being received; loop only */
    ishow_store *store;    /* NULL: nothing outlives the process */
    ishow_engine *gateway; /* of a cluster; NULL: none. Written before `engine` is published, like the next */
    ishow_worker *worker;
    served_chat *chats; /* [n_chats], 0: no live chat; written before `engine` is published, like the next two */
    size_t n_chats;
    chat_group *chat_group; /* NULL: the chats are not shared with other gateways */
    struct voice_registry *voice_registry;
    lexicon *lexicon;      /* of pronunciations */
    struct config *config; /* NULL: no configuration to show */
    wyoming *wyoming;      /* NULL: not served */
    _Atomic double drain_seconds;
    pthread_mutex_t call_lock;
    loop_call *calls; /* this and the next: under call_lock */
    int loop_ended;
    pthread_t thread;
    int thread_runs;
    time_t created;
    retry_estimate load;
    load_history history;                  /* loop only */
    double watchdog_seconds, watchdog_due; /* of the service manager; 0: none */
    char default_voice[ID_MAX + 1];        /* written before `engine` is published */
    _Atomic(ishow_engine *) engine;
    atomic_int draining;
    double drain_until; /* written before `draining` */
};

/* The event loop. */
ishow_status http_start(ishow_server *s, unsigned connections_max, ishow_error *error);

/* ---- exchange.c: suspended exchanges, and calls from other threads ---- */
/* Runs fn(self) on the loop and waits for it; on the calling thread once the loop has ended. Must not be called on the
 * loop. */
void server_call(ishow_server *s, void (*fn)(void *self), void *self);
void server_run_calls(ishow_server *s, int last); /* by the loop; last: later calls run on their own thread */
void server_wake(void *server);                   /* any thread */
/* 0: failed, errno. epoll_ctl(s->epoll, EPOLL_CTL_DEL, ...) ends it. */
int server_watch(ishow_server *s, int fd, uint32_t events, watch *w);
/* Suspends the exchange, watches its client, and resumes it when kind->news returns 1. Takes `waited`. */
void exchange_wait_for(exchange *x, const wait_kind *kind, void *waited);
void exchange_wait(exchange *x); /* suspends it again, for the same thing */
/* The same without suspending it: for a kind that attends, which writes to the socket itself. */
void exchange_attend(exchange *x, const wait_kind *kind, void *waited);
void exchange_leave(exchange *x); /* takes it off the list of those that wait */
/* Takes a resumed exchange's socket and x->waited over from libmicrohttpd; the callback must then return MHD_NO. -1:
 * failed, nothing has changed. */
int exchange_take_over(exchange *x, void **waited);
void exchanges_resume(ishow_server *s); /* those that have something to answer or send */
void exchanges_hang_up(ishow_server *s, int endless_only);

/* ---- address.c ---- */
int same_address(const struct sockaddr_storage *a, const struct sockaddr *b); /* ignores the port */

/* ---- peers.c: connections ---- */
/* Callbacks of libmicrohttpd; self: the server. The first limits the connections of one client. */
enum MHD_Result peer_may_connect(void *self, const struct sockaddr *address, socklen_t length);
void peer_changed(void *self, struct MHD_Connection *connection, void **context,
                  enum MHD_ConnectionNotificationCode what);
/* Closes connections that have not sent a whole request in time. */
void peers_reap(ishow_server *s);

/* ---- ws.c: WebSocket connections; everything on the loop ---- */
typedef struct ws ws;
typedef struct ws_kind {
    void (*message)(ws *w, const unsigned char *data, size_t n, int binary); /* a whole message; text is valid UTF-8 */
    void (*news)(
        ws *w); /* after server_wake, and when the queue has space again: sends what there is, up to ws_capacity */
    int (*busy)(const ws *w); /* 1: a server that shuts down should wait for it */
    void (*release)(ws *w);   /* the connection has ended: frees ws_self */
} ws_kind;
int ws_wanted(exchange *x); /* 1: the request asks for a WebSocket */
/* Answers a GET: 101 and a connection of this kind, or a fault. Always takes `self` (not NULL). message_max: bytes of
 * one message of the client; a longer one closes the connection (1009). */
enum MHD_Result ws_accept(exchange *x, const ws_kind *kind, void *self, size_t message_max);
void *ws_self(const ws *w);
const exchange *ws_exchange(const ws *w);                    /* the exchange that was upgraded */
size_t ws_capacity(const ws *w);                             /* bytes that may be queued now; 0: wait for news */
void ws_send(ws *w, int binary, const void *data, size_t n); /* one message, copied; nothing after ws_close */
void ws_close(ws *w, int code, const char *why);             /* begins the closing handshake; why: at most 123 bytes */
/* Called by http.c. */
void ws_wake_all(ishow_server *s);
void ws_tick(ishow_server *s, double now);
void ws_drain(ishow_server *s, int patient); /* patient: only those that are not busy */
void ws_end_all(ishow_server *s);
void ws_free(ws *w);

/* ---- subscriber.c: an endless event stream to many clients, sent by threads of its own ---- */
typedef struct subscriber_kind {                        /* called on these threads, for a subscriber on one at a time */
    int (*ready)(void *self);                           /* there is something to read */
    size_t (*read)(void *self, char *out, size_t most); /* at most 16 KiB at once; 0: nothing now */
    void (*release)(void *self);
} subscriber_kind;
/* In a wait_kind's resume: answers 200 and makes the client a subscriber, which takes over x->waited. The result is to
 * be returned to libmicrohttpd. */
enum MHD_Result subscriber_begin(exchange *x, const subscriber_kind *kind, const char *type);

typedef struct broadcast_workers broadcast_workers;
ishow_status broadcast_workers_create(broadcast_workers **out, double idle_seconds, ishow_error *error);
/* There may be a new event. Any thread. */
void broadcast_workers_wake(broadcast_workers *all);
/* Asks the workers to drop all subscribers and to end. Any thread. */
void broadcast_workers_end(broadcast_workers *all);
/* The same, and joins them; after the loop has ended. NULL allowed. */
void broadcast_workers_stop(broadcast_workers *all);
void broadcast_workers_free(broadcast_workers *all); /* NULL allowed */
unsigned subscribers_count(const broadcast_workers *all);
unsigned subscribers_from(broadcast_workers *all, const struct sockaddr *address); /* those at an address, any port */

/* ---- chats.c ---- */
void chats_close(ishow_server *s);
/* name NULL: the first. NULL: fault set. */
chat_service *chats_find(ishow_server *s, const char *name, size_t *number, fault *f);
int chats_finish(ishow_server *s);                    /* begins no further clip; 1: one still plays */
void chats_write(ishow_server *s, ishow_buffer *out); /* JSON: each chat and who leads it */
void chats_metrics(ishow_server *s, ishow_buffer *out);
/* As the functions of service/chat.h, for all. *out is to be discarded in any case. */
ishow_status chats_prepare(ishow_server *s, chat_change ***out, const ishow_request *sampling,
                           const char *default_voice, const ishow_chat_options *options, ishow_error *error);
void chats_install(ishow_server *s, chat_change **all);
void chats_discard(ishow_server *s, chat_change **all); /* NULL allowed */

/* ---- listen_socket.c ---- */
/* Opens a socket that listens on a port of the host. *loopback: 1 when only this machine can reach it. option: name of
 * the setting in errors. *fd is owned by the caller, -1: none. */
ishow_status listen_socket(const char *host, int port, const char *option, int *fd, int *loopback, ishow_error *error);
ishow_status listen_open(ishow_server *s, const char *host, int port, int insecure, ishow_error *error);

/* ---- route.c ---- */
enum { ROUTES_MAX = 64 };
enum {
    ROUTE_JSON = 1,
    ROUTE_OPEN = 2,
    ROUTE_SPEECH = 4,
    ROUTE_UPLOAD = 8,
    ROUTE_BARE = 16,
    ROUTE_CHAT = 32,
    ROUTE_OPENAI = 64,
    ROUTE_WORKER = 128,
    ROUTE_LINES = 256
};
struct route {
    const char *method, *path, *name; /* {} in a path matches any one segment, which x->segment then holds */
    int flags; /* JSON, UPLOAD (multipart): accepts such a body; OPEN: no key needed; SPEECH: needs a ready engine;
                  BARE: may have no body; CHAT: needs live chat; OPENAI: errors name fields as OpenAI does; WORKER: a
                  worker of a cluster answers it; LINES: takes a body of lines of JSON, too */
    enum MHD_Result (*answer)(exchange *x);
};
const route *route_find(const char *method, const char *path, int *known_path);
void route_allowed(const char *path, char *out, size_t n); /* methods of a path, for the Allow header */
int route_index(const route *r);                           /* below ROUTES_MAX; NULL: the index of "other", the last */
const char *route_name(int index);                         /* NULL past the last */
size_t route_body_max(const exchange *x);                  /* bytes of x->route's body */
/* All checks that need no body. 0: x->fault is set. */
int route_admit(exchange *x, const char *url, const char *method, const char *version);

/* ---- head.c: a request's head ---- */
typedef struct head_scanned {
    size_t lengths, encodings, hosts, bytes;
    const char *length, *encoding;
    const char *next; /* where the next field must begin; NULL: not known */
    int broken;
} head_scanned;
void head_begin(exchange *x, const char *uri);                       /* before libmicrohttpd takes it apart */
int head_scan(exchange *x, head_scanned *scan, const char *version); /* 0: fault set */
const char *head_path(exchange *x, const char *url);                 /* of an absolute address too */

/* ---- auth.c, continued ---- */
int auth_host(exchange *x);        /* Host and Origin; 0: fault set */
int auth_key(exchange *x);         /* 0: fault set */
void auth_advise(const char *key); /* logs a warning about a key that is easily guessed; NULL: none */

/* ---- respond.c ---- */
enum MHD_Result respond(exchange *x, int status, const char *type, ishow_buffer *body); /* takes the body */
enum MHD_Result respond_with(exchange *x, int status, struct MHD_Response *response);   /* takes the response */
enum MHD_Result respond_fault(exchange *x);
struct MHD_Response *fault_response(exchange *x); /* what respond_fault sends; NULL: no memory */
/* The head as text, for a response that ends with its connection; more: further fields, each with its line's end. */
void respond_head(exchange *x, int status, struct MHD_Response *response, const char *more, ishow_buffer *out);
const char *header_get(exchange *x, const char *name); /* borrowed, NULL when absent */

/* ---- handlers ---- */
enum MHD_Result answer_tts(exchange *x); /* speech_request.c */
enum MHD_Result answer_tts_stream(exchange *x);
enum MHD_Result answer_tts_ws(exchange *x); /* speech_ws.c */
enum MHD_Result answer_tts_cancel(exchange *x);
enum MHD_Result answer_openai_speech(exchange *x); /* openai.c */
const response_format *openai_response_of(const speech *said);
/* speech_written.c: a part of a body of lines, and its end; what they return is for libmicrohttpd. */
enum MHD_Result written_take(exchange *x, const char *data, size_t n);
enum MHD_Result written_end(exchange *x);
enum MHD_Result answer_openai_models(exchange *x);
enum MHD_Result answer_openai_model(exchange *x);
enum MHD_Result answer_openai_audio_models(exchange *x);
enum MHD_Result answer_openai_voices(exchange *x);
/* Hands a checked request to the engine and the encoder thread. format: unless the request names one. One reference;
 * NULL: fault set. */
job *speech_submit(ishow_server *s, speech *said, const response_format *response, ishow_format format, const char *id,
                   fault *f);
job *speech_submit_checked(exchange *x, speech *said, const response_format *response,
                           ishow_format format); /* the same with the exchange's id, which no other one may have */
void speech_cancel(ishow_server *s, job *j);
int tts_wait(exchange *x, speech *said, const response_format *response,
             ishow_format format); /* submits, and answers when there is output; 0: fault set */
int tts_begin(exchange *x, const response_format *response,
              ishow_format format); /* the same for a request body of /api/tts */
/* Continues a job whose text comes in pieces; *kept: as of ishow_speak_set_text. 0: fault set. */
int speech_continue(job *j, const speech *said, size_t *kept, fault *f);
void tts_audio_headers(struct MHD_Response *response, job *j); /* takes j->lock */
enum MHD_Result answer_health(exchange *x);                    /* info.c */
enum MHD_Result answer_ready(exchange *x);
enum MHD_Result answer_voices(exchange *x);
enum MHD_Result answer_voice_create(exchange *x); /* voices.c, like the list */
enum MHD_Result answer_voice_delete(exchange *x);
enum MHD_Result answer_reference(exchange *x);
enum MHD_Result answer_reference_audio(exchange *x);
enum MHD_Result answer_override(exchange *x);
enum MHD_Result answer_restore(exchange *x);
enum MHD_Result answer_lexicon(exchange *x); /* lexicon.c: list, entry, removal */
enum MHD_Result answer_reading(exchange *x);
enum MHD_Result answer_config(exchange *x); /* config.c */
enum MHD_Result answer_config_reload(exchange *x);
enum MHD_Result answer_cluster(exchange *x); /* cluster.c */
enum MHD_Result answer_cluster_drain(exchange *x);
enum MHD_Result answer_metrics(exchange *x);
enum MHD_Result answer_history(exchange *x);
enum MHD_Result answer_asset(exchange *x);
enum MHD_Result answer_danmaku_enqueue(exchange *x);   /* chat.c */
enum MHD_Result answer_danmaku_ingest_ws(exchange *x); /* ingest_ws.c */
enum MHD_Result answer_danmaku(exchange *x);
enum MHD_Result answer_danmaku_on_worker(exchange *x);
enum MHD_Result answer_danmaku_delete(exchange *x);
enum MHD_Result answer_danmaku_stream(exchange *x); /* chat_stream.c */

#endif
