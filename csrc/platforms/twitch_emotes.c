/* Requests the names of a channel's emotes of 7TV, BetterTTV and FrankerFaceZ when the chat becomes live, and again at
 * a reconnect after an hour. A list that is not available is left out. */
#include <stdio.h>

#include "base/base.h"
#include "base/defaults.h"
#include "platforms/jsonspan.h"
#include "platforms/twitch_session.h"

enum { YOUNG_SECONDS = 3600 };

static const struct {
    const char *host, *path; /* %s: the channel's number */
} lists[] = {
    {"https://7tv.io", "/v3/emote-sets/global"},
    {"https://7tv.io", "/v3/users/twitch/%s"},
    {"https://api.betterttv.net", "/3/cached/emotes/global"},
    {"https://api.betterttv.net", "/3/cached/users/twitch/%s"},
    {"https://api.frankerfacez.com", "/v1/set/global"},
    {"https://api.frankerfacez.com", "/v1/room/id/%s"},
};
enum { LISTS = sizeof lists / sizeof *lists };

static void on_answered(void *self, long status, const char *fault);

static void ask(ishow_chat_source *s) {
    twitch_session *t = s->session;
    char url[700];
    if (t->list == LISTS) {
        ishow_emote_words_free(t->words);
        t->words = t->new_words;
        t->new_words = NULL;
        s->feed.emote_words = t->words;
        t->words_at = ishow_now();
        return;
    }
    int n =
        snprintf(url, sizeof url, "%s", s->options.emotes_endpoint ? s->options.emotes_endpoint : lists[t->list].host);
    snprintf(url + n, sizeof url - (size_t)n, lists[t->list].path, t->room_id); /* a literal of the table above */
    t->emotes.self = s;
    t->emotes.answered = on_answered;
    http_send(&t->emotes, &s->loop->net,
              &(http_request){.url = url,
                              .ca_file = s->options.ca_file,
                              .seconds = s->options.reply_seconds,
                              .most = ISHOW_CHAT_FRAME_BYTES_MAX});
}

static void on_answered(void *self, long status, const char *fault) {
    ishow_chat_source *s = self;
    twitch_session *t = s->session;
    json_t *json = status == 200 ? json_loadb((const char *)t->emotes.body.data, t->emotes.body.n, 0, NULL) : NULL;
    if (json)
        ishow_emote_words_read(t->new_words, json);
    else if (status != 404) /* 404: the channel has no emotes there */
        ishow_log(ISHOW_LOG_WARN, "chat", "twitch %s: no emotes of %s: %s (HTTP %ld)", s->options.channel,
                  lists[t->list].host, fault, status);
    json_decref(json);
    t->list++;
    ask(s);
}

void twitch_emotes_start(ishow_chat_source *s) {
    twitch_session *t = s->session;
    const int elsewhere = strcmp(s->options.endpoint, ISHOW_CHAT_TWITCH_URL) && !s->options.emotes_endpoint;
    if (!s->options.third_party_emotes || elsewhere || !t->room_id[0] || t->room_id[strspn(t->room_id, "0123456789")] ||
        (t->words && ishow_now() - t->words_at < YOUNG_SECONDS))
        return;
    ishow_emote_words_free(t->new_words);
    t->new_words = ishow_emote_words_create();
    t->list = 0;
    if (t->new_words) ask(s);
}
