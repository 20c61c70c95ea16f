/* The lifecycle of a chat: creation, recovery from the journal, its thread, its end. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

static const double STATE_SECONDS = 0.25; /* between two state events */

static void recover(void *self, uint64_t number, int marked, const char *record) {
    ishow_chat *c = self;
    item *it = item_from_record(record, number);
    if (number > c->numbers) c->numbers = number;
    if (!it) {
        ishow_log(ISHOW_LOG_WARN, "chat", "message %llu of the journal cannot be read and is dropped",
                  (unsigned long long)number);
        c->journal.drop(c->journal.self, number);
        c->counts.received++;
        c->counts.recovered++;
        c->counts.dropped[ISHOW_CHAT_BY_FAILURE]++;
        return;
    }
    const uint64_t weight = (uint64_t)item_weight(it);
    it->arrived = chat_now(c);
    c->counts.received += weight;
    c->counts.recovered += weight;
    c->counts.waiting += weight;
    filter_remember(c->filter, it);
    queue_lift(&c->queue, it);
    queue_add(&c->queue, it);
    if (!marked) return;
    ishow_log_request(ISHOW_LOG_WARN, "chat", it->id, "was being read when the program ended, and is not read again");
    chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_INTERRUPTION],
                ishow_chat_reason_name(ISHOW_CHAT_BY_INTERRUPTION), 0);
}

static void recover_voice(void *self, const char *viewer_key, const char *voice) {
    ishow_chat *c = self;
    filter_remember_voice(c->filter, viewer_key, voice);
}

static void recover_muted(void *self, const char *viewer_key) {
    ishow_chat *c = self;
    muted_add(filter_muted(c->filter), viewer_key);
}

/* Uses a journal from now on, and takes over what waits in it. */
static ishow_status take_over(ishow_chat *c, const ishow_chat_journal *journal, ishow_error *error) {
    c->journal = *journal;
    c->has_journal = 1;
    pthread_mutex_lock(&c->wake_lock);
    c->lost = 0;
    pthread_mutex_unlock(&c->wake_lock);
    ishow_status status = c->journal.load_muted(c->journal.self, recover_muted, c, error);
    if (status == ISHOW_OK) status = c->journal.load(c->journal.self, recover, recover_voice, c, error);
    if (c->counts.recovered)
        ishow_log(ISHOW_LOG_INFO, "chat", "%llu messages that waited before are taken over",
                  (unsigned long long)c->counts.recovered);
    return status;
}

ishow_status ishow_chat_create(ishow_chat **out, const ishow_chat_options *options, const ishow_chat_synth *synth,
                               const ishow_chat_journal *journal, ishow_error *error) {
    ishow_chat_change *own = NULL;
    *out = NULL;
    ishow_status status = ishow_chat_prepare(&own, options, error);
    if (status != ISHOW_OK) return status;
    ishow_chat *c = calloc(1, sizeof *c);
    if (!c) {
        ishow_chat_discard(own);
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
    }
    ishow_condition_init(&c->woken);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->wake_lock, NULL);
    ishow_handle_made();
    c->synth = *synth;
    c->clip_seconds = 3;
    c->pace = 1;
    c->broadcast = broadcast_create();
    c->filter = filter_create();
    c->refused = json_array();
    if (!c->filter || !c->broadcast || !c->refused) {
        ishow_chat_discard(own);
        status = ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
        goto done;
    }
    chat_adopt(c, own);
    if (journal) status = take_over(c, journal, error);
done:
    if (status != ISHOW_OK) {
        c->has_journal = 0; /* records stay in the journal */
        ishow_chat_free(c);
    } else
        *out = c;
    return status;
}

/* Settles the message that plays, so that the next start does not report it as interrupted. The thread has ended. */
static void end_playing(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    item *it = c->playing;
    if (it && c->has_journal && !c->replaying) {
        if (it->state == ITEM_MARKED)
            chat_record(c, it); /* no audio was published: it waits again after the restart */
        else {
            ishow_log(ISHOW_LOG_INFO, "chat", "%s was being read and ends with the program", it->id);
            play_cut_off(c, &c->counts.dropped[ISHOW_CHAT_BY_INTERRUPTION], "closing");
        }
    }
    chat_unlock(c);
}

static void end_thread(ishow_chat *c) {
    if (!c->runs) return;
    pthread_mutex_lock(&c->wake_lock);
    c->ending = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
    pthread_join(c->thread, NULL);
    c->runs = c->ending = 0;
}

/* The journal may still call back. */
static void await_journal(ishow_chat *c) {
    pthread_mutex_lock(&c->wake_lock);
    while (c->durable_calls || c->answered < c->tickets) {
        struct timespec until;
        if (c->unwritten) {
            pthread_mutex_unlock(&c->wake_lock);
            chat_withdraw_unwritten(c);
            pthread_mutex_lock(&c->wake_lock);
            continue;
        }
        ishow_deadline(0.2, &until);
        if (!pthread_cond_timedwait(&c->woken, &c->wake_lock, &until)) continue;
        pthread_mutex_unlock(&c->wake_lock);
        chat_sync(c);
        pthread_mutex_lock(&c->wake_lock);
    }
    pthread_mutex_unlock(&c->wake_lock);
}

/* Messages that wait or were heard last; in a journal they stay. */
static void free_items(ishow_chat *c) {
    for (int p = 0; p < QUEUE_LISTS; p++)
        while (c->queue.first[p]) {
            item *it = c->queue.first[p];
            queue_remove(&c->queue, it);
            clip_free(c, it);
            item_free(it);
        }
    if (c->playing && c->playing != c->last) {
        clip_free(c, c->playing);
        item_free(c->playing);
    }
    if (c->last) {
        clip_free(c, c->last);
        item_free(c->last);
    }
    c->playing = c->last = NULL;
}

void ishow_chat_free(ishow_chat *c) {
    if (!c) return;
    end_thread(c);
    end_playing(c);
    await_journal(c);
    if (c->counts.waiting && !c->has_journal)
        ishow_log(ISHOW_LOG_WARN, "chat", "%llu messages were waiting and are not read, as there is no journal",
                  (unsigned long long)c->counts.waiting);
    free_items(c);
    json_decref(c->refused);
    follow_forget(c);
    filter_free(c->filter);
    broadcast_free(c->broadcast);
    ishow_chat_settings_free(c->settings);
    free(c->heard);
    pthread_cond_destroy(&c->woken);
    pthread_mutex_destroy(&c->wake_lock);
    pthread_mutex_destroy(&c->lock);
    free(c);
    ishow_handle_freed();
}

ishow_status ishow_chat_follow(ishow_chat *c, ishow_error *error) {
    filter *fresh = filter_create(); /* who is muted is read anew by the next one that leads */
    if (!fresh) return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for the chat.");
    pthread_mutex_lock(&c->lock);
    c->follows = 1; /* takes no message any more */
    pthread_mutex_unlock(&c->lock);
    end_thread(c);
    end_playing(c);
    await_journal(c);
    pthread_mutex_lock(&c->lock);
    c->has_journal = 0;
    free_items(c);
    filter_exchange(fresh, filter_exchange(c->filter, NULL));
    filter_free(c->filter);
    c->filter = fresh;
    json_array_clear(c->refused);
    c->counts = (ishow_chat_counts){0};
    c->paused = c->finishing = c->changed = c->again = c->replaying = 0;
    c->sent = 0;
    c->mark = 0;
    free(c->heard);
    c->heard = NULL;
    chat_unlock(c);
    return ISHOW_OK;
}

/* ---- the thread ---- */

double ishow_chat_step(ishow_chat *c) {
    chat_withdraw_unwritten(c);
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    double wait = play_step(c, now);
    if (c->changed && now >= c->state_at) {
        c->changed = 0;
        c->state_at = now + STATE_SECONDS;
        chat_publish(c, "state", chat_state(c));
    } else if (c->changed && c->state_at - now < wait)
        wait = c->state_at - now;
    chat_unlock(c);
    return wait > 1 ? 1 : wait;
}

static void *chat_main(void *self) {
    ishow_chat *c = self;
    pthread_mutex_lock(&c->wake_lock);
    while (!c->ending) {
        c->awake = 0;
        pthread_mutex_unlock(&c->wake_lock);
        const double wait = ishow_chat_step(c);
        struct timespec until;
        ishow_deadline(wait, &until);
        pthread_mutex_lock(&c->wake_lock);
        while (!c->awake && !c->ending)
            if (pthread_cond_timedwait(&c->woken, &c->wake_lock, &until)) break;
    }
    pthread_mutex_unlock(&c->wake_lock);
    return NULL;
}

ishow_status ishow_chat_run(ishow_chat *c, ishow_error *error) {
    if (c->runs) return ishow_fail(error, ISHOW_ESTATE, "", "The chat runs already.");
    if (pthread_create(&c->thread, NULL, chat_main, c))
        return ishow_fail(error, ISHOW_EINTERNAL, "", "The chat's thread could not be started.");
    c->runs = 1;
    return ISHOW_OK;
}

ishow_status ishow_chat_lead(ishow_chat *c, const ishow_chat_journal *journal, ishow_error *error) {
    pthread_mutex_lock(&c->lock);
    follow_end(c);
    c->follows = 0;
    const ishow_status status = take_over(c, journal, error);
    c->changed = 1;
    chat_unlock(c);
    return status ? status : ishow_chat_run(c, error);
}
