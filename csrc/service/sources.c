/* Connections to platforms, opened by the configuration or on request. Their events go to the chat.
 *
 * One thread of its own serves all of them, because decoding untrusted data may take long; it holds `lock` while it
 * works. Requests that show connections never wait for it: they read a copy that it makes after each iteration. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "service/chat.h"
#include "service/keys.h"
#include "service/prometheus.h"

enum { CONNECTIONS_MAX = 64 };

struct connection {
    connection *next;
    ishow_chat_source *source;
};

struct platform_thread {
    pthread_mutex_t lock; /* guards the next five */
    ishow_chat_loop *loop;
    connection *connections;
    size_t n_connections;
    int ending;
    pthread_t thread;
    int runs;
    atomic_int wanted; /* threads that wait for the lock; the platform thread lets them in, since a mutex is not fair */
    int waker;         /* eventfd */
    pthread_mutex_t shown_lock; /* guards the copy, below */
    ishow_chat_source_stats shown[CONNECTIONS_MAX];
    size_t n_shown;
    double shown_at;
};

/* The configured entry of a channel, else that of its platform for any channel; NULL: none. */
static const ishow_chat_source_options *entry_for(const chat_service *d, ishow_chat_platform platform,
                                                  const char *channel) {
    const ishow_chat_source_options *any = NULL;
    for (size_t i = 0; i < d->n_entries; i++) {
        const ishow_chat_source_options *e = &d->entries[i];
        if (e->platform != platform) continue;
        if (e->channel && !strcasecmp(e->channel, channel)) return e;
        if (!e->channel) any = e;
    }
    return any;
}

/* Set once, by the first call of sources_open. */
static platform_thread *platforms_of(const chat_service *d) { return __atomic_load_n(&d->platforms, __ATOMIC_ACQUIRE); }

static const char KEY_OF[] = "youtube"; /* the only platform that needs a key */

static int keeps_key(const chat_service *d, ishow_chat_platform platform) {
    return d->store && platform == ISHOW_CHAT_YOUTUBE;
}

static ishow_status connect_source(chat_service *d, platform_thread *p, ishow_chat_platform platform,
                                   const char *channel, const char *token, const char *login, connection **out,
                                   ishow_error *error) {
    const ishow_chat_source_options *e = entry_for(d, platform, channel);
    const ishow_chat_sink sink = ishow_chat_sink_of(d->chat);
    ishow_chat_source_options o = e ? *e : ishow_chat_source_options_default(platform);
    o.channel = channel;
    if (token) {
        o.token = token;
        o.login = login;
    }
    connection *c = calloc(1, sizeof *c);
    if (!c) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a connection.");
    char *kept = keeps_key(d, platform) && !o.token ? key_read(ishow_store_dir(d->store), KEY_OF) : NULL;
    if (kept) o.token = kept;
    ishow_status status = ishow_chat_source_open(&c->source, p->loop, &o, &sink, error);
    free(kept);
    if (status != ISHOW_OK) {
        free(c);
        return status;
    }
    c->next = p->connections;
    p->connections = c;
    p->n_connections++;
    *out = c;
    return ISHOW_OK;
}

static void disconnect(platform_thread *p, connection *c) {
    connection **at = &p->connections;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    ishow_chat_source_free(c->source);
    free(c);
    p->n_connections--;
}

static connection *find(const platform_thread *p, ishow_chat_platform platform, const char *channel) {
    ishow_chat_source_stats s;
    char name[sizeof s.channel];
    ishow_chat_channel(platform, channel, name, sizeof name);
    for (connection *c = p->connections; c; c = c->next) {
        ishow_chat_source_stats_get(c->source, &s);
        if (s.platform == platform && !strcasecmp(s.channel, name)) return c;
    }
    return NULL;
}

/* ---- the thread ---- */

/* The caller holds the lock. */
static void show(platform_thread *p) {
    ishow_chat_source_stats shown[CONNECTIONS_MAX];
    size_t n = 0;
    for (const connection *c = p->connections; c && n < CONNECTIONS_MAX; c = c->next)
        ishow_chat_source_stats_get(c->source, &shown[n++]);
    pthread_mutex_lock(&p->shown_lock);
    memcpy(p->shown, shown, n * sizeof *shown);
    p->n_shown = n;
    p->shown_at = ishow_now();
    pthread_mutex_unlock(&p->shown_lock);
}

static void *platforms_main(void *self) {
    platform_thread *p = self;
    struct pollfd files[] = {{.fd = ishow_chat_loop_fd(p->loop), .events = POLLIN}, {.fd = p->waker, .events = POLLIN}};
    for (;;) {
        uint64_t count;
        pthread_mutex_lock(&p->lock);
        const int ending = p->ending;
        if (!ending) ishow_chat_loop_process(p->loop);
        const int timeout = ending ? 0 : ishow_chat_loop_timeout(p->loop);
        show(p);
        pthread_mutex_unlock(&p->lock);
        if (ending) return NULL;
        while (atomic_load(&p->wanted)) nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        poll(files, 2, timeout);
        const ssize_t ignored = read(p->waker, &count, sizeof count);
        (void)ignored;
    }
}

static void begin_change(platform_thread *p) {
    atomic_fetch_add(&p->wanted, 1);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_sub(&p->wanted, 1);
}

/* Wakes the thread to handle a change. */
static void end_change(platform_thread *p) {
    const uint64_t one = 1;
    show(p);
    pthread_mutex_unlock(&p->lock);
    const ssize_t ignored = write(p->waker, &one, sizeof one);
    (void)ignored;
}

static void platforms_free(platform_thread *p) {
    if (p->runs) {
        begin_change(p);
        p->ending = 1;
        end_change(p);
        pthread_join(p->thread, NULL);
    }
    while (p->connections) disconnect(p, p->connections);
    ishow_chat_loop_free(p->loop);
    if (p->waker >= 0) close(p->waker);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->shown_lock);
    free(p);
}

/* Joins the channels of the configuration. The caller holds the lock. */
static void join_configured(chat_service *d, platform_thread *p) {
    for (size_t i = 0; i < d->n_entries; i++) {
        const ishow_chat_source_options *e = &d->entries[i];
        ishow_error why = {0};
        connection *c;
        if (e->channel && connect_source(d, p, e->platform, e->channel, NULL, NULL, &c, &why) != ISHOW_OK)
            ishow_log(ISHOW_LOG_ERROR, "chat", "%s %s is not joined: %s", ishow_chat_platform_name(e->platform),
                      e->channel, why.message);
    }
}

void sources_open(chat_service *d) {
    ishow_error error = {0};
    platform_thread *p = platforms_of(d);
    if (p) { /* the thread runs already */
        begin_change(p);
        join_configured(d, p);
        end_change(p);
        return;
    }
    const ishow_chat_loop_options options = ishow_chat_loop_options_default();
    p = calloc(1, sizeof *p);
    if (!p) {
        ishow_log(ISHOW_LOG_ERROR, "chat", "no platform can be joined: there is not enough memory");
        return;
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->shown_lock, NULL);
    p->waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ishow_status status = p->waker < 0 ? ishow_fail(&error, ISHOW_EIO, "", "there are no descriptors left")
                                       : ishow_chat_loop_create(&p->loop, &options, &error);
    if (!status) join_configured(d, p);
    if (!status && pthread_create(&p->thread, NULL, platforms_main, p))
        status = ishow_fail(&error, ISHOW_EINTERNAL, "", "its thread could not be started");
    p->runs = status == ISHOW_OK;
    if (p->runs) {
        pthread_setname_np(p->thread, "ishow-platforms");
        __atomic_store_n(&d->platforms, p, __ATOMIC_RELEASE);
    } else {
        ishow_log(ISHOW_LOG_ERROR, "chat", "no platform can be joined: %s", error.message);
        platforms_free(p);
    }
}

void sources_leave(chat_service *d) {
    platform_thread *p = platforms_of(d);
    if (!p) return;
    begin_change(p);
    while (p->connections) disconnect(p, p->connections);
    end_change(p);
}

void sources_close(chat_service *d) {
    if (d->platforms) platforms_free(d->platforms);
    d->platforms = NULL;
}

/* ---- requests ---- */

static void write_connection(ishow_buffer *out, const ishow_chat_source_stats *s) {
    ishow_buffer_format(out, "{\"platform\":\"%s\",\"channel\":", ishow_chat_platform_name(s->platform));
    ishow_buffer_json_text(out, s->channel);
    ishow_buffer_format(out, ",\"state\":\"%s\",\"text\":", ishow_chat_state_name(s->state));
    ishow_buffer_json_text(out, s->text);
    const struct {
        const char *key;
        uint64_t n;
    } counts[] = {{"connects", s->connects},   {"losses", s->losses},       {"messages", s->messages},
                  {"deletions", s->deletions}, {"malformed", s->malformed}, {"quota_used", s->quota_used}};
    ishow_buffer_format(out, ",\"seconds\":%.1f,\"silent_seconds\":%.1f,\"retry_seconds\":%.1f", s->state_seconds,
                        s->silent_seconds, s->retry_seconds);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        ishow_buffer_format(out, ",\"%s\":%llu", counts[i].key, (unsigned long long)counts[i].n);
    ishow_buffer_text(out, "}");
}

/* Copies what is shown, its times brought up to now; returns the number of connections. */
static size_t take_shown(chat_service *d, ishow_chat_source_stats out[CONNECTIONS_MAX]) {
    platform_thread *p = platforms_of(d);
    if (!p) return 0;
    pthread_mutex_lock(&p->shown_lock);
    const size_t n = p->n_shown;
    const double passed = ishow_now() - p->shown_at;
    memcpy(out, p->shown, n * sizeof *out);
    pthread_mutex_unlock(&p->shown_lock);
    for (size_t i = 0; i < n; i++) {
        out[i].state_seconds += passed;
        if (out[i].silent_seconds >= 0) out[i].silent_seconds += passed;
        out[i].retry_seconds = out[i].retry_seconds > passed ? out[i].retry_seconds - passed : 0;
    }
    return n;
}

void sources_write(chat_service *d, ishow_buffer *out) {
    ishow_chat_source_stats shown[CONNECTIONS_MAX];
    const size_t n = take_shown(d, shown);
    ishow_buffer_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) ishow_buffer_text(out, ",");
        write_connection(out, &shown[i]);
    }
    ishow_buffer_text(out, "]");
}

void sources_metrics(chat_service *const *all, size_t n_all, ishow_buffer *out) {
    static const struct {
        const char *name, *help;
    } families[] = {{"chat_source_messages_total", "Messages of a connection to a platform."},
                    {"chat_source_deletions_total", "Deletions of a connection to a platform."},
                    {"chat_source_connects_total", "Times that a connection to a platform became live."},
                    {"chat_source_losses_total", "Live connections to a platform that were lost."},
                    {"chat_source_malformed_total", "Lines or packets that break the platform's protocol."},
                    {"chat_source_live", "1 while a connection to a platform is live."}};
    ishow_chat_source_stats shown[CONNECTIONS_MAX];
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        int has_head = 0;
        for (size_t k = 0; k < n_all; k++) {
            const size_t n = take_shown(all[k], shown);
            if (n && !has_head++)
                prometheus_head(out, families[f].name, strstr(families[f].name, "_total") ? "counter" : "gauge",
                                families[f].help);
            for (size_t i = 0; i < n; i++) {
                const ishow_chat_source_stats *s = &shown[i];
                const uint64_t values[] = {s->messages, s->deletions, s->connects,
                                           s->losses,   s->malformed, s->state == ISHOW_CHAT_STATE_LIVE};
                ishow_buffer_format(out, "ishowtts_%s{platform=\"%s\",channel=", families[f].name,
                                    ishow_chat_platform_name(s->platform));
                ishow_buffer_json_text(out, s->channel);
                ishow_buffer_format(out, "} %llu\n", (unsigned long long)values[f]);
            }
        }
    }
}

/* Reads platform and channel from a body; 0: fault set. */
static int read_channel(json_t *root, ishow_chat_platform *platform, const char **channel, fault *f) {
    static const char *const needed[] = {"platform", "channel"};
    for (size_t i = 0; i < 2; i++)
        if (!json_string_value(json_object_get(root, needed[i])))
            return ishow_fault_set(f, 400, "missing_field", needed[i], "The field %s is needed.", needed[i]);
    const char *name = json_string_value(json_object_get(root, "platform"));
    *channel = json_string_value(json_object_get(root, "channel"));
    if (!ishow_chat_platform_find(name, platform))
        return ishow_fault_set(f, 400, "unsupported", "platform",
                               "platform must be one of: twitch, bilibili, youtube; not \"%.64s\". Others send their "
                               "messages to /api/danmaku/enqueue.",
                               name);
    return 1;
}

/* The caller holds the lock. */
static int join_channel(chat_service *d, platform_thread *p, ishow_chat_platform platform, const char *channel,
                        const char *token, const char *login, ishow_buffer *out, fault *f) {
    ishow_chat_source_stats s;
    ishow_error error = {0};
    connection *c = find(p, platform, channel);
    if (c) {
        ishow_chat_source_stats_get(c->source, &s);
        if (s.state == ISHOW_CHAT_STATE_ENDED ||
            s.state == ISHOW_CHAT_STATE_FAILED) { /* a failed connection does not retry */
            disconnect(p, c);
            c = NULL;
        }
    }
    if (!c && p->n_connections >= CONNECTIONS_MAX)
        return ishow_fault_set(f, 400, "out_of_range", "channel", "There may be %d connections at a time.",
                               CONNECTIONS_MAX);
    if (!c && connect_source(d, p, platform, channel, token, login, &c, &error) != ISHOW_OK) {
        ishow_fault_from_error(f, &error);
        return 0;
    }
    if (token && keeps_key(d, platform) && !key_keep(ishow_store_dir(d->store), KEY_OF, token))
        ishow_log(ISHOW_LOG_WARN, "chat", "the key of %s could not be kept in the state directory", KEY_OF);
    ishow_chat_source_stats_get(c->source, &s);
    write_connection(out, &s);
    return 202;
}

int only_strings(json_t *root, const char *const *known, size_t n, fault *f) {
    const char *field;
    json_t *value;
    json_object_foreach(root, field, value) {
        size_t i = 0;
        while (i < n && strcmp(field, known[i])) i++;
        if (i == n) return ishow_fault_set(f, 400, "unknown_field", field, "There is no field of this name.");
        if (!json_is_null(value) && !json_is_string(value)) return ishow_fault_type(f, field, "a string", value);
    }
    return 1;
}

int sources_start(chat_service *d, json_t *root, ishow_buffer *out, fault *f) {
    static const char *const known[] = {"platform", "channel", "token", "login"};
    ishow_chat_platform platform;
    const char *channel;
    if (!only_strings(root, known, 4, f) || !read_channel(root, &platform, &channel, f)) return 0;
    platform_thread *p = platforms_of(d);
    if (!p) return ishow_fault_set(f, 503, "unavailable", "", "No platform can be joined at the moment.");
    begin_change(p);
    int status = 0;
    if (service_follows(d))
        ishow_fault_set(f, 503, "unavailable", "", "Another gateway leads the chat now.");
    else
        status = join_channel(d, p, platform, channel, json_string_value(json_object_get(root, "token")),
                              json_string_value(json_object_get(root, "login")), out, f);
    end_change(p);
    return status;
}

static int is_configured(const chat_service *d, const ishow_chat_source_stats *s) {
    char name[sizeof s->channel];
    for (size_t i = 0; i < d->n_entries; i++) {
        const ishow_chat_source_options *e = &d->entries[i];
        if (e->platform != s->platform || !e->channel) continue;
        ishow_chat_channel(e->platform, e->channel, name, sizeof name);
        if (!strcasecmp(name, s->channel)) return 1;
    }
    return 0;
}

char *ishow_chat_service_sources(chat_service *d) {
    ishow_chat_source_stats shown[CONNECTIONS_MAX];
    const size_t n = take_shown(d, shown);
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++)
        if (!is_configured(d, &shown[i]))
            json_array_append_new(all, json_pack("{s:s, s:s}", "platform", ishow_chat_platform_name(shown[i].platform),
                                                 "channel", shown[i].channel));
    char *text = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return text;
}

void ishow_chat_service_join(chat_service *d, const char *sources, size_t n) {
    json_t *all = json_loadb(sources, n, 0, NULL), *one;
    size_t i;
    json_array_foreach(all, i, one) {
        ishow_buffer out = {0};
        fault f = {0};
        if (!sources_start(d, one, &out, &f))
            ishow_log(ISHOW_LOG_ERROR, "chat", "a source is not joined: %s", f.error.message);
        ishow_buffer_free(&out);
    }
    json_decref(all);
}

int sources_stop(chat_service *d, json_t *root, ishow_buffer *out, fault *f) {
    static const char *const known[] = {"platform", "channel"};
    ishow_chat_platform platform;
    const char *channel;
    connection *c = NULL;
    if (!only_strings(root, known, 2, f) || !read_channel(root, &platform, &channel, f)) return 0;
    platform_thread *p = platforms_of(d);
    if (p) {
        begin_change(p);
        if ((c = find(p, platform, channel))) disconnect(p, c);
        end_change(p);
    }
    if (!c)
        return ishow_fault_set(f, 404, "not_found", "channel", "There is no connection to %s %.64s.",
                               ishow_chat_platform_name(platform), channel);
    ishow_buffer_text(out, "{\"stopped\":true}");
    return 202;
}
