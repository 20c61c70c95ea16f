/* Muted viewers, and messages that wait for a moderator's approval. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

/* ---- muting ---- */

static ishow_status key_of(const char *platform, const char *user, char **key, ishow_error *error) {
    enum { CHARACTERS_MAX = 256 };
    const char *const fields[] = {"platform", "user"}, *const values[] = {platform, user};
    for (size_t i = 0; i < 2; i++)
        if (!*values[i] || ishow_utf8_length(values[i]) > CHARACTERS_MAX) /* SIZE_MAX: it is no UTF-8 */
            return ishow_fail(error, ISHOW_EINVAL, fields[i], "%s must be UTF-8 of 1 to %d characters.", fields[i],
                              CHARACTERS_MAX);
    if (strchr(platform, ':')) return ishow_fail(error, ISHOW_EINVAL, "platform", "platform must not have a colon.");
    *key = muted_key(platform, user);
    return *key ? ISHOW_OK : ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a muted viewer.");
}

static int is_muted(const ishow_chat *c, const item *it) {
    char *folded[] = {fold_text(it->platform, strlen(it->platform)), fold_text(it->user_id, strlen(it->user_id)),
                      fold_text(it->login, strlen(it->login)), fold_text(it->name, strlen(it->name))};
    const int whole = folded[0] && folded[1] && folded[2] && folded[3];
    const int found = whole && muted_has(filter_muted(c->filter), folded[0], (const char *const *)folded + 1, 3);
    for (size_t i = 0; i < 4; i++) free(folded[i]);
    return found;
}

/* Drops messages of muted viewers that wait or play; returns their number. */
static size_t drop_muted(ishow_chat *c) {
    uint64_t *counter = &c->counts.dropped[ISHOW_CHAT_BY_MUTED];
    const char *why = ishow_chat_reason_name(ISHOW_CHAT_BY_MUTED);
    size_t n = 0;
    chat_gather_deleted(c);
    for (int p = 0; p < QUEUE_LISTS; p++)
        for (item *it = c->queue.first[p], *next; it; it = next) {
            next = it->next;
            if (!is_muted(c, it)) continue;
            n += (size_t)item_weight(it);
            chat_settle(c, it, counter, why, 0);
        }
    if (c->playing && is_muted(c, c->playing)) {
        if (!c->replaying) n += (size_t)item_weight(c->playing);
        play_cut_off(c, counter, why);
        if (c->gathered) json_array_append_new(c->gathered, json_string(c->last->id));
    }
    chat_publish_gathered(c, why);
    if (c->last && is_muted(c, c->last)) play_forget_last(c);
    return n;
}

ishow_status ishow_chat_mute(ishow_chat *c, const char *platform, const char *user, size_t *dropped,
                             ishow_error *error) {
    char *key = NULL;
    ishow_status status = key_of(platform, user, &key, error);
    if (status != ISHOW_OK) return status;
    pthread_mutex_lock(&c->lock);
    size_t n = 0;
    if (!muted_add(filter_muted(c->filter), key))
        status = ishow_fail(error, ISHOW_EBUSY, "user", "%d viewers are muted, which is the most.", MUTED_MAX);
    else {
        if (c->has_journal) c->journal.mute(c->journal.self, key, 1);
        n = drop_muted(c);
        c->changed = 1;
    }
    chat_unlock(c);
    ishow_chat_wake(c);
    if (dropped) *dropped = n;
    free(key);
    return status;
}

ishow_status ishow_chat_unmute(ishow_chat *c, const char *platform, const char *user, int *was_muted,
                               ishow_error *error) {
    char *key = NULL;
    const ishow_status status = key_of(platform, user, &key, error);
    if (status != ISHOW_OK) return status;
    pthread_mutex_lock(&c->lock);
    *was_muted = muted_remove(filter_muted(c->filter), key);
    if (*was_muted && c->has_journal) c->journal.mute(c->journal.self, key, 0);
    c->changed = 1;
    chat_unlock(c);
    ishow_chat_wake(c);
    free(key);
    return ISHOW_OK;
}

/* ---- approval ---- */

static void let_in(ishow_chat *c, item *it, double now) {
    queue_remove(&c->queue, it);
    it->state = ITEM_WAITING;
    if (!chat_make_room(c, it->priority, 0)) {
        queue_add(&c->queue, it); /* added first, so that it is removed like any other */
        chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_FULL], ishow_chat_reason_name(ISHOW_CHAT_BY_FULL), 0);
        return;
    }
    it->arrived = now;
    queue_lift(&c->queue, it);
    queue_add(&c->queue, it);
    chat_record(c, it);
    chat_announce(c, it, now);
}

static size_t decide(ishow_chat *c, const char *id, int approved) {
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    for (item *it = c->queue.first[QUEUE_HELD], *next; it; it = next) {
        next = it->next;
        if (id && strcmp(it->id, id)) continue;
        n++;
        if (approved)
            let_in(c, it, now);
        else
            chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_REJECTED], NULL, 0); /* it was never published */
    }
    c->changed = 1;
    chat_unlock(c);
    ishow_chat_wake(c);
    return n;
}

size_t ishow_chat_approve(ishow_chat *c, const char *id) { return decide(c, id, 1); }
size_t ishow_chat_reject(ishow_chat *c, const char *id) { return decide(c, id, 0); }
