/* The chat's side of its journal: records of messages, tickets for marks, and the callback that tells the sender of a
 * message whether it was written. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

void chat_record(ishow_chat *c, const item *it) {
    char *record = c->has_journal ? item_record(it) : NULL;
    if (record) c->journal.put(c->journal.self, it->number, record);
    free(record);
}

/* ---- tickets ---- */

/* A mark that could not be written counts as answered, so that the chat continues to read messages when the disk
 * fails; but not when another process may write the journal, and so read the same message. */
static void on_mark(void *self, uint64_t ticket, ishow_status status) {
    ishow_chat *c = self;
    pthread_mutex_lock(&c->wake_lock);
    c->lost |= status == ISHOW_ECANCELLED;
    if (ticket > c->answered) c->answered = ticket;
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

uint64_t chat_sync(ishow_chat *c) {
    uint64_t ticket = ++c->tickets;
    c->journal.sync(c->journal.self, on_mark, c, ticket);
    return ticket;
}

int chat_answered(ishow_chat *c, uint64_t ticket) {
    pthread_mutex_lock(&c->wake_lock);
    int answered = c->answered >= ticket && !c->lost;
    pthread_mutex_unlock(&c->wake_lock);
    return answered;
}

/* ---- durable messages ---- */

struct durable_call {
    durable_call *next;
    ishow_chat *chat;
    void (*done)(void *user, ishow_status status);
    void *user;
    uint64_t number; /* of the item that the message became or was merged with */
    char *id, *viewer;
    ishow_status status;
};

durable_call *durable_create(ishow_chat *c, ishow_span id, void (*done)(void *user, ishow_status status), void *user) {
    durable_call *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    *d = (durable_call){.chat = c, .done = done, .user = user, .id = span_copy(id)};
    if (d->id) return d;
    free(d);
    return NULL;
}

int durable_set_viewer(durable_call *d, const char *viewer_key) {
    return (d->viewer = ishow_strdup(viewer_key)) != NULL;
}

void durable_free(durable_call *d) {
    if (!d) return;
    free(d->id);
    free(d->viewer);
    free(d);
}

static void finish(durable_call *d, ishow_status status) {
    ishow_chat *c = d->chat;
    d->done(d->user, status);
    durable_free(d);
    pthread_mutex_lock(&c->wake_lock);
    c->durable_calls--;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

/* The journal may call this while the chat's lock is held, so the chat's thread takes an unwritten message out of the
 * queue later. */
static void on_written(void *self, uint64_t ticket, ishow_status status) {
    durable_call *d = self;
    ishow_chat *c = d->chat;
    (void)ticket;
    if (status == ISHOW_OK) {
        finish(d, ISHOW_OK);
        return;
    }
    d->status = status;
    pthread_mutex_lock(&c->wake_lock);
    d->next = c->unwritten;
    c->unwritten = d;
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

void durable_begin(durable_call *d, uint64_t number) {
    ishow_chat *c = d->chat;
    pthread_mutex_lock(&c->wake_lock);
    c->durable_calls++;
    pthread_mutex_unlock(&c->wake_lock);
    d->number = number;
    c->journal.sync(c->journal.self, on_written, d, 0);
}

/* Takes the message out of the queue; 0: it is playing or has ended, so there is nothing to take out. Chat's lock held.
 * Where others repeat the first message, its text is still read, and its sender may send it again. */
static int withdraw(ishow_chat *c, const durable_call *d) {
    const char *why = ishow_chat_reason_name(ISHOW_CHAT_BY_STORAGE);
    item *it = queue_find_number(&c->queue, d->number);
    if (!it) return 0;
    filter_forget(c->filter, it, d->id, d->viewer);
    if (item_remove_other(it, d->id)) {
        c->counts.waiting--;
        c->counts.dropped[ISHOW_CHAT_BY_STORAGE]++;
        chat_record(c, it);
        chat_publish_deleted(c, json_pack("[s]", d->id), why);
    } else if (!it->n_others)
        chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_STORAGE], why, 0);
    return 1;
}

void chat_withdraw_unwritten(ishow_chat *c) {
    pthread_mutex_lock(&c->wake_lock);
    durable_call *unwritten = c->unwritten, *next;
    c->unwritten = NULL;
    pthread_mutex_unlock(&c->wake_lock);
    for (durable_call *d = unwritten; d; d = next) {
        next = d->next;
        pthread_mutex_lock(&c->lock);
        const int withdrawn = withdraw(c, d);
        chat_unlock(c);
        finish(d, withdrawn ? d->status : ISHOW_OK);
    }
}
