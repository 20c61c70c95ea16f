/* Commands of moderators and events of platforms: delete, skip, pause, clear, replay. Muting and approval are in
 * moderation.c. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

typedef struct target {
    const char *platform, *channel, *id, *user;
} target;

static int same_channel(const char *a, const char *b) { return !strcmp(a + (*a == '#'), b + (*b == '#')); }

static int is_meant(const item *it, const target *t) {
    if (t->platform && strcmp(it->platform, t->platform)) return 0;
    if (t->channel && !same_channel(it->channel, t->channel)) return 0;
    if (t->user) return !strcmp(it->user_id, t->user) || !strcmp(it->login, t->user);
    if (!t->id || !strcmp(it->id, t->id)) return 1;
    for (size_t i = 0; i < it->n_others;
         i++) /* merged with it: deleting any of them deletes the text that they share */
        if (!strcmp(it->others[i].id, t->id)) return 1;
    return 0;
}

static size_t delete_meant(ishow_chat *c, const target *t) {
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    chat_gather_deleted(c);
    for (int p = 0; p < QUEUE_LISTS; p++)
        for (item *it = c->queue.first[p], *next; it; it = next) {
            next = it->next;
            if (!is_meant(it, t)) continue;
            n += (size_t)item_weight(it);
            chat_settle(c, it, &c->counts.deleted, "deleted", 0);
        }
    if (c->playing && is_meant(c->playing, t)) {
        if (!c->replaying) n += (size_t)item_weight(c->playing);
        play_cut_off(c, &c->counts.deleted, "deleted");
        if (c->gathered) json_array_append_new(c->gathered, json_string(c->last->id));
    }
    chat_publish_gathered(c, "deleted");
    if (c->last && is_meant(c->last, t)) play_forget_last(c);
    chat_unlock(c);
    ishow_chat_wake(c);
    return n;
}

size_t ishow_chat_delete(ishow_chat *c, const char *platform, const char *channel, const char *id) {
    return delete_meant(c, &(target){platform, channel, id, NULL});
}
size_t ishow_chat_delete_user(ishow_chat *c, const char *platform, const char *channel, const char *user) {
    return delete_meant(c, &(target){platform, channel, NULL, user});
}
size_t ishow_chat_delete_all(ishow_chat *c, const char *platform, const char *channel) {
    return delete_meant(c, &(target){platform, channel, NULL, NULL});
}

int ishow_chat_skip(ishow_chat *c, const char *id) {
    int found = 0;
    const target t = {.id = id};
    pthread_mutex_lock(&c->lock);
    if (c->playing && (!id || is_meant(c->playing, &t))) {
        play_cut_off(c, &c->counts.skipped, "skipped");
        found = 1;
    }
    for (int p = 0; id && !found && p < QUEUE_LISTS; p++)
        for (item *it = c->queue.first[p]; it && !found; it = it->next)
            if (is_meant(it, &t)) {
                chat_settle(c, it, &c->counts.skipped, "skipped", 0);
                found = 1;
                break;
            }
    chat_unlock(c);
    ishow_chat_wake(c);
    return found;
}

void ishow_chat_pause(ishow_chat *c, int paused) {
    pthread_mutex_lock(&c->lock);
    play_position(c, chat_now(c)); /* the position up to now is that of the old state */
    c->paused = paused != 0;
    c->changed = 1;
    c->state_at = 0;
    chat_unlock(c);
    ishow_chat_wake(c);
}

size_t ishow_chat_clear(ishow_chat *c) {
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    chat_gather_deleted(c);
    for (int p = 0; p < QUEUE_LISTS; p++)
        while (c->queue.first[p]) {
            n += (size_t)item_weight(c->queue.first[p]);
            chat_settle(c, c->queue.first[p], &c->counts.dropped[ISHOW_CHAT_BY_CLEAR],
                        ishow_chat_reason_name(ISHOW_CHAT_BY_CLEAR), 0);
        }
    chat_publish_gathered(c, ishow_chat_reason_name(ISHOW_CHAT_BY_CLEAR));
    chat_unlock(c);
    ishow_chat_wake(c);
    return n;
}

int ishow_chat_finish(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    c->finishing = 1;
    const int plays = c->playing && !c->paused;
    chat_unlock(c);
    return plays;
}

int ishow_chat_replay(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    int found = c->playing || (c->last && c->last->complete);
    if (found) c->again = 1;
    chat_unlock(c);
    ishow_chat_wake(c);
    return found;
}

/* ---- the sink ---- */

static void on_event(void *self, ishow_chat_source *source, const ishow_chat_event *e) {
    ishow_chat *c = self;
    ishow_chat_verdict verdict;
    ishow_error error = {0};
    (void)source;
    if (e->type == ISHOW_CHAT_ON_MESSAGE) {
        if (ishow_chat_receive(c, e->message, &verdict, NULL, NULL, &error) != ISHOW_OK)
            ishow_log(ISHOW_LOG_WARN, "chat", "a message cannot be taken: %s", error.message);
        return;
    }
    char *platform = span_copy(e->platform), *channel = span_copy(e->channel), *text = span_copy(e->text);
    char *id = span_copy(e->message_id), *user = span_copy(e->user_id.size ? e->user_id : e->login);
    if (!platform || !channel || !text || !id || !user) goto done;
    switch (e->type) {
    case ISHOW_CHAT_ON_DELETE: ishow_chat_delete(c, platform, channel, id); break;
    case ISHOW_CHAT_ON_DELETE_USER: ishow_chat_delete_user(c, platform, channel, user); break;
    case ISHOW_CHAT_ON_CLEAR: ishow_chat_delete_all(c, platform, channel); break;
    default:
        pthread_mutex_lock(&c->lock);
        json_t *source =
            json_pack("{ss,ss,ss,ss}", "platform", platform, "channel", channel, "state",
                      e->type == ISHOW_CHAT_ON_STATE ? ishow_chat_state_name(e->state) : "notice", "text", text);
        chat_publish(c, "state", json_pack("{so}", "source", source));
        chat_unlock(c);
    }
done:
    free(platform);
    free(channel);
    free(text);
    free(id);
    free(user);
}

ishow_chat_sink ishow_chat_sink_of(ishow_chat *c) { return (ishow_chat_sink){.self = c, .event = on_event}; }
