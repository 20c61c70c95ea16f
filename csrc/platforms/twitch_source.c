/* A connection to Twitch, or to another IRC server. */
#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/twitch_session.h"

static ishow_status check(const ishow_chat_source_options *o, ishow_error *error) {
    const char *channel = o->channel + (o->channel[0] == '#');
    size_t n = strlen(channel);
    if (!n || n > 50 || strcspn(channel, ",:#&!@") != n)
        return ishow_fail(error, ISHOW_EINVAL, "channel", "channel must be a login of 1 to 50 characters, not %.100s.",
                          o->channel);
    if (o->token && !o->login)
        return ishow_fail(error, ISHOW_EINVAL, "login", "login must be the name of the account whose token it is.");
    if (o->login && strlen(o->login) > 50)
        return ishow_fail(error, ISHOW_EINVAL, "login", "login may have 50 characters, not %zu.", strlen(o->login));
    /* EventSub uses HTTP and always a token; plain text is allowed only to this machine, for test doubles. */
    if (o->endpoint && !strncmp(o->endpoint, "http", 4)) {
        ishow_chat_source_options tokenless = *o;
        tokenless.token = NULL;
        const ishow_status status = endpoint_check(&tokenless, "https", "http", error);
        if (status != ISHOW_OK || o->token) return status;
        return ishow_fail(error, ISHOW_EINVAL, "token", "EventSub needs a token with the scope user:read:chat.");
    }
    return endpoint_check(o, "ircs", "irc", error);
}

static void send_line(twitch_session *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void send_line(twitch_session *t, const char *format, ...) {
    char line[1200];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof line - 2)
        return; /* only the parameter of the server's PING is not limited by the options */
    memcpy(line + n, "\r\n", 2);
    connection_send(&t->connection, line, (size_t)n + 2);
}

static void on_opened(void *self) {
    ishow_chat_source *s = self;
    twitch_session *t = s->session;
    const char *token = s->options.token;
    send_line(t, "CAP REQ :twitch.tv/tags twitch.tv/commands");
    if (token) send_line(t, "PASS %s%s", strncmp(token, "oauth:", 6) ? "oauth:" : "", token);
    if (s->options.login)
        snprintf(t->nick, sizeof t->nick, "%s", s->options.login);
    else
        snprintf(t->nick, sizeof t->nick, "justinfan%d",
                 10000 + (int)(90000 * loop_random(s->loop))); /* anonymous: reads without an account */
    send_line(t, "NICK %s", t->nick);
    send_line(t, "USER %s 0 * :%s", t->nick, t->nick); /* needed by other servers, accepted by Twitch */
    source_say(s, "Logging in.");
}

/* Handles a line without CR LF; 0: the connection has been closed. */
static int take_line(ishow_chat_source *s, char *line, size_t n) {
    twitch_session *t = s->session;
    unsigned epoch = t->epoch;
    if (n && line[n - 1] == '\r') n--;
    if (!n) return 1;
    twitch_verdict verdict = ishow_twitch_line(&s->feed, span_of(t->nick), line, n, &t->line);
    ishow_span last = t->line.n_params && verdict ? t->line.params[t->line.n_params - 1] : (ishow_span){NULL, 0};
    ishow_span why =
        verdict == TWITCH_LOST || verdict == TWITCH_REFUSED ? feed_one_line(&s->feed, last) : (ishow_span){NULL, 0};
    int size = why.size > 160 ? 160 : (int)why.size;
    switch (verdict) {
    case TWITCH_NOTHING:
    case TWITCH_PONG: break;
    case TWITCH_PING:
        send_line(t, "PONG :%.*s", last.size > 1000 ? 1000 : (int)last.size, last.size ? last.data : "");
        break;
    case TWITCH_CAPABILITIES: send_line(t, "CAP END"); break;
    case TWITCH_WELCOME:
        if (t->line.n_params > 1) {
            const size_t given = t->line.params[0].size;
            snprintf(t->nick, sizeof t->nick, "%.*s", (int)(given < sizeof t->nick ? given : sizeof t->nick - 1),
                     t->line.params[0].data);
        }
        send_line(t, "JOIN #%s", s->options.channel);
        source_say(s, "Joining the channel.");
        break;
    case TWITCH_JOINED:
        if (s->state == ISHOW_CHAT_STATE_CONNECTING)
            source_live(s, s->options.token ? "Live, logged in as %s." : "Live, reading anonymously as %s.", t->nick);
        for (size_t i = 0; i < t->line.n_tags; i++)
            if (span_is(t->line.tags[i].key, "room-id") && !t->room_id[0]) {
                const ishow_span id = t->line.tags[i].value;
                snprintf(t->room_id, sizeof t->room_id, "%.*s", (int)(id.size < 31 ? id.size : 31), id.data);
                twitch_emotes_start(s);
            }
        break;
    case TWITCH_RECONNECT: source_again(s, "the server asks to reconnect"); break;
    case TWITCH_LOST: source_lost(s, "the server says \"%.*s\"", size, size ? why.data : ""); break;
    case TWITCH_REFUSED:
        source_end(s, ISHOW_CHAT_STATE_FAILED, "Refused: the server says \"%.*s\".", size, size ? why.data : "");
        break;
    }
    return t->epoch == epoch;
}

static void on_data(void *self, char *data, size_t n) {
    ishow_chat_source *s = self;
    twitch_session *t = s->session;
    char *end = data + n;
    source_heard(s, n);
    while (data < end) {
        char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t size = (size_t)((stop ? stop : end) - data);
        if (!t->skips && t->part.n + size > s->options.frame_bytes_max) {
            s->feed.malformed++;
            t->skips = 1;
            ishow_buffer_free(&t->part);
        }
        if (t->skips) {
            if (stop) t->skips = 0;
        } else if (stop && !t->part.n) { /* the usual case: the received bytes contain a whole line */
            if (!take_line(s, data, size)) return;
        } else {
            ishow_buffer_add(&t->part, data, size);
            if (t->part.failed) {
                source_lost(s, "out of memory");
                return;
            }
            if (stop) {
                ishow_buffer whole = t->part;
                t->part = (ishow_buffer){0};
                int goes_on = take_line(s, (char *)whole.data, whole.n);
                ishow_buffer_free(&whole);
                if (!goes_on) return;
            }
        }
        if (!stop) return;
        data = stop + 1;
    }
}

static void on_closed(void *self, const char *why) { source_lost(self, "%s", why); }

static void start_irc(ishow_chat_source *s) {
    twitch_session *t = s->session;
    char url[600];
    /* libcurl opens the connection, so the URL has a scheme that it knows, with or without TLS. */
    int tls = !strncmp(s->options.endpoint, "ircs:", 5);
    const char *rest = strstr(s->options.endpoint, "://");
    const char *colon = strrchr(rest + 3, ':'), *bracket = strrchr(rest + 3, ']');
    int has_port = colon && (!bracket || colon > bracket);
    snprintf(url, sizeof url, "%s%.*s%s", tls ? "https" : "http", (int)strcspn(rest + 3, "/") + 3, rest,
             has_port ? ""
             : tls    ? ":6697"
                      : ":6667");
    t->connection.self = s;
    t->connection.opened = on_opened;
    t->connection.data = on_data;
    t->connection.closed = on_closed;
    if (!connection_open(&t->connection, &s->loop->net, url, s->options.ca_file, s->options.connect_seconds))
        source_lost(s, "out of memory");
}

static void start(ishow_chat_source *s) {
    twitch_session *t = s->session;
    s->feed.keeps_mentions = s->options.keeps_mentions;
    t->room_id[0] = '\0';
    if (twitch_uses_eventsub(s))
        twitch_eventsub_start(s);
    else
        start_irc(s);
}

static void stop(ishow_chat_source *s) {
    twitch_session *t = s->session;
    t->epoch++;
    t->skips = 0;
    t->moves = 0;
    connection_close(&t->connection);
    ishow_buffer_free(&t->part);
    http_end(&t->call);
    http_end(&t->emotes);
    for (int i = 0; i < 2; i++) websocket_close(&t->sockets[i]);
}

/* EventSub sends keep-alives about every ten seconds, so no heartbeat is sent there. */
static void beat(ishow_chat_source *s) {
    twitch_session *t = s->session;
    if (t->connection.connected) send_line(t, "PING :ishowtts-%u", ++t->pings);
}

static void destroy(ishow_chat_source *s) {
    twitch_session *t = s->session;
    ishow_emote_words_free(t->words);
    ishow_emote_words_free(t->new_words);
}

/* Users write logins as they are displayed, in any case. */
static void name(const char *channel, char *out, size_t size) {
    snprintf(out, size, "%s", channel + (channel[0] == '#'));
    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
}

const source_kind twitch_kind = {.logs_in = 1,
                                 .beats_when_silent = 1,
                                 .check = check,
                                 .name = name,
                                 .session_size = sizeof(twitch_session),
                                 .start = start,
                                 .stop = stop,
                                 .beat = beat,
                                 .destroy = destroy};
