/* The chat: what others call, the thread, and the one place where a message ends. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

static const double STATE_SECONDS = 0.25; /* between two state events */
enum { REFUSED_KEPT = 50, REFUSED_TEXT_MAX = 500 };

double chat_now(const ishow_chat *c) { return c->o.now ? c->o.now(c->o.now_self) : ishow_now(); }

void chat_unlock(ishow_chat *c) {
    pthread_mutex_unlock(&c->lock);
    hub_news(c->hub);
}

/* ---- telling ---- */

void chat_publish(ishow_chat *c, const char *event, json_t *object) {
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (text) hub_publish(c->hub, event, text);
    free(text);
    json_decref(object);
}

/* ---- the journal ---- */

/* A mark that could not be written is answered too: chat is read on when the disk fails. */
static void answer(void *self, uint64_t ticket, ishow_status status) {
    ishow_chat *c = self;
    (void)status;
    pthread_mutex_lock(&c->wake_lock);
    if (ticket > c->answered) c->answered = ticket;
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

uint64_t chat_sync(ishow_chat *c) {
    uint64_t ticket = ++c->tickets;
    c->journal.sync(c->journal.self, answer, c, ticket);
    return ticket;
}

int chat_answered(ishow_chat *c, uint64_t ticket) {
    pthread_mutex_lock(&c->wake_lock);
    int answered = c->answered >= ticket;
    pthread_mutex_unlock(&c->wake_lock);
    return answered;
}

/* That whoever sent a message is told when it is durable. */
typedef struct promise {
    struct promise *next;
    ishow_chat *chat;
    void (*durable)(void *user, ishow_status status);
    void *user;
    uint64_t number; /* of the message it waits or was merged with */
    char *id, *viewer;
    ishow_status status;
} promise;

static void promise_free(promise *p) {
    if (!p) return;
    free(p->id);
    free(p->viewer);
    free(p);
}

static void promise_end(promise *p, ishow_status status) {
    ishow_chat *c = p->chat;
    p->durable(p->user, status);
    promise_free(p);
    pthread_mutex_lock(&c->wake_lock);
    c->promises--;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

/* The journal may call this under the chat's lock, so a message that could not be kept is taken out of the queue later,
 * by the chat's own thread. */
static void on_kept(void *self, uint64_t ticket, ishow_status status) {
    promise *p = self;
    ishow_chat *c = p->chat;
    (void)ticket;
    if (status == ISHOW_OK) {
        promise_end(p, ISHOW_OK);
        return;
    }
    p->status = status;
    pthread_mutex_lock(&c->wake_lock);
    p->next = c->broken;
    c->broken = p;
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
}

static void keep(ishow_chat *c, const item *it) {
    char *record = c->has_journal ? item_record(it) : NULL;
    if (record) c->journal.put(c->journal.self, it->number, record);
    free(record);
}

/* ---- what was not read, for people to look at ---- */

static void set_text(json_t *object, const char *key, ishow_span text, size_t most) {
    size_t n = text.size;
    if (n > most)
        for (n = most; n && ((unsigned char)text.data[n] & 0xC0) == 0x80;) n--; /* whole characters of UTF-8 */
    json_object_set_new(object, key, json_stringn(n ? text.data : "", n));
}

static void keep_refused(ishow_chat *c, const ishow_chat_message *m, ishow_chat_reason reason) {
    json_t *object = json_object();
    if (!object || !c->refused) {
        json_decref(object);
        return;
    }
    set_text(object, "id", m->id, m->id.size);
    set_text(object, "platform", m->platform, m->platform.size);
    set_text(object, "channel", m->channel, m->channel.size);
    set_text(object, "user", m->display_name.size ? m->display_name : m->login, REFUSED_TEXT_MAX);
    set_text(object, "text", m->text, REFUSED_TEXT_MAX);
    json_object_set_new(object, "reason", json_string(ishow_chat_reason_name(reason)));
    json_object_set_new(object, "timestamp", json_integer((json_int_t)m->timestamp_ms));
    if (json_array_size(c->refused) >= REFUSED_KEPT) json_array_remove(c->refused, 0);
    json_array_append_new(c->refused, object);
}

/* A message that was accepted and dropped later; what a person cleared is no news to them. */
static void keep_dropped(ishow_chat *c, const item *it, const uint64_t *counter) {
    const ptrdiff_t reason = counter - c->counts.dropped;
    if (reason < 0 || reason >= ISHOW_CHAT_REASONS || reason == ISHOW_CHAT_BY_CLEAR) return;
    const ishow_chat_message m = {.id = span_of(it->id),
                                  .platform = span_of(it->platform),
                                  .channel = span_of(it->channel),
                                  .login = span_of(it->login),
                                  .display_name = span_of(it->name),
                                  .text = span_of(it->text),
                                  .timestamp_ms = it->timestamp_ms};
    keep_refused(c, &m, (ishow_chat_reason)reason);
}

/* ---- a message's ends ---- */

/* Takes the list. */
static void tell_gone(ishow_chat *c, json_t *ids, const char *why) {
    if (json_array_size(ids))
        chat_publish(c, "deleted", json_pack("{sO,sO,ss}", "id", json_array_get(ids, 0), "ids", ids, "reason", why));
    json_decref(ids);
}

/* Many at once are one event: a listener is bounded. */
static void gather_gone(ishow_chat *c) { c->gone = json_array(); }

static void tell_gathered(ishow_chat *c, const char *why) {
    json_t *ids = c->gone;
    c->gone = NULL;
    tell_gone(c, ids, why);
}

void chat_settle(ishow_chat *c, item *it, uint64_t *counter, const char *why, int keep_item) {
    const uint64_t weight = (uint64_t)item_weight(it);
    if (it->state == ITEM_WAITING) queue_remove(&c->queue, it);
    c->counts.waiting -= weight;
    *counter += weight;
    keep_dropped(c, it, counter);
    if (c->has_journal) c->journal.drop(c->journal.self, it->number);
    c->changed = 1;
    if (why && !c->gone)
        tell_gone(c, json_pack("[s]", it->id), why);
    else if (why)
        json_array_append_new(c->gone, json_string(it->id));
    if (keep_item) return;
    play_forget(c, it);
    item_free(it);
}

/* The clip that plays, cut off: counted, unless it is heard again. */
static void cut_off(ishow_chat *c, uint64_t *counter, const char *why) {
    play_position(c, chat_now(c));
    if (!c->replaying) {
        c->counts.clips_wasted++;
        chat_settle(c, c->playing, counter, NULL, 1);
    }
    play_end(c, why);
}

static void forget_last(ishow_chat *c) {
    if (!c->last || c->last == c->playing) return;
    play_forget(c, c->last);
    item_free(c->last);
    c->last = NULL;
    c->again = 0;
}

/* ---- messages that could not be kept ---- */

/* 0: it is being heard or over already, so that nothing is left to be kept. Under the lock. */
static int withdraw(ishow_chat *c, const promise *p) {
    const char *why = ishow_chat_reason_name(ISHOW_CHAT_BY_STORAGE);
    item *it = queue_find_number(&c->queue, p->number);
    if (!it) return 0;
    filter_forget(c->filter, it, p->id, p->viewer);
    if (item_remove_other(it, p->id)) {
        c->counts.waiting--;
        c->counts.dropped[ISHOW_CHAT_BY_STORAGE]++;
        keep(c, it);
        tell_gone(c, json_pack("[s]", p->id), why);
    } else if (!it->n_others)
        chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_STORAGE], why, 0);
    return 1; /* others said the same as the first: those words are read, and its sender may send them again */
}

static void withdraw_broken(ishow_chat *c) {
    pthread_mutex_lock(&c->wake_lock);
    promise *broken = c->broken, *next;
    c->broken = NULL;
    pthread_mutex_unlock(&c->wake_lock);
    for (promise *p = broken; p; p = next) {
        next = p->next;
        pthread_mutex_lock(&c->lock);
        const int withdrawn = withdraw(c, p);
        chat_unlock(c);
        promise_end(p, withdrawn ? p->status : ISHOW_OK);
    }
}

/* ---- making and freeing ---- */

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

ishow_status ishow_chat_create(ishow_chat **out, const ishow_chat_options *options, const ishow_chat_synth *synth,
                               const ishow_chat_journal *journal, ishow_error *error) {
    ishow_chat_change *own = NULL;
    *out = NULL;
    ishow_status status = ishow_chat_prepare(&own, options, error);
    if (status != ISHOW_OK) return status;
    ishow_chat *c = calloc(1, sizeof *c);
    if (!c) {
        ishow_chat_discard(own);
        return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the chat could not be had.");
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->woken, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->wake_lock, NULL);
    ishow_handle_made();
    c->synth = *synth;
    c->clip_seconds = 3;
    c->character_seconds = 0.065;
    c->hub = hub_create();
    c->filter = filter_create();
    c->refused = json_array();
    if (!c->filter || !c->hub || !c->refused) {
        ishow_chat_discard(own);
        status = ishow_fail(error, ISHOW_ENOMEM, "", "Memory for the chat could not be had.");
        goto done;
    }
    chat_adopt(c, own);
    if (!journal) goto done;
    c->journal = *journal;
    c->has_journal = 1;
    status = c->journal.load(c->journal.self, recover, recover_voice, c, error);
    if (c->counts.recovered)
        ishow_log(ISHOW_LOG_INFO, "chat", "%llu messages that waited before are taken over",
                  (unsigned long long)c->counts.recovered);
done:
    if (status != ISHOW_OK) {
        c->has_journal = 0; /* what it kept stays there */
        ishow_chat_free(c);
    } else
        *out = c;
    return status;
}

/* An orderly end leaves no message of which the next start must say that it was interrupted. The thread has ended. */
static void end_playing(ishow_chat *c) {
    pthread_mutex_lock(&c->lock);
    item *it = c->playing;
    if (it && c->has_journal && !c->replaying) {
        if (it->state == ITEM_MARKED)
            keep(c, it); /* nobody has heard it yet: it waits again */
        else {
            ishow_log(ISHOW_LOG_INFO, "chat", "%s was being read and ends with the program", it->id);
            cut_off(c, &c->counts.dropped[ISHOW_CHAT_BY_INTERRUPTION], "closing");
        }
    }
    chat_unlock(c);
}

void ishow_chat_free(ishow_chat *c) {
    if (!c) return;
    if (c->runs) {
        pthread_mutex_lock(&c->wake_lock);
        c->ending = 1;
        pthread_cond_broadcast(&c->woken);
        pthread_mutex_unlock(&c->wake_lock);
        pthread_join(c->thread, NULL);
    }
    end_playing(c);
    pthread_mutex_lock(&c->wake_lock); /* the journal still has our address */
    while (c->promises || c->answered < c->tickets) {
        struct timespec until;
        if (c->broken) {
            pthread_mutex_unlock(&c->wake_lock);
            withdraw_broken(c);
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
    if (c->counts.waiting && !c->has_journal)
        ishow_log(ISHOW_LOG_WARN, "chat", "%llu messages were waiting and are not read, as there is no journal",
                  (unsigned long long)c->counts.waiting);
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        while (c->queue.first[p]) {
            item *it = c->queue.first[p];
            queue_remove(&c->queue, it);
            play_forget(c, it);
            item_free(it);
        }
    if (c->playing && c->playing != c->last) {
        play_forget(c, c->playing);
        item_free(c->playing);
    }
    if (c->last) {
        play_forget(c, c->last);
        item_free(c->last);
    }
    json_decref(c->refused);
    filter_free(c->filter);
    hub_free(c->hub);
    ishow_chat_settings_free(c->settings);
    free(c->heard);
    pthread_cond_destroy(&c->woken);
    pthread_mutex_destroy(&c->wake_lock);
    pthread_mutex_destroy(&c->lock);
    free(c);
    ishow_handle_freed();
}

/* ---- time ---- */

double ishow_chat_step(ishow_chat *c) {
    withdraw_broken(c);
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

void ishow_chat_wake(void *self) {
    ishow_chat *c = self;
    pthread_mutex_lock(&c->wake_lock);
    c->awake = 1;
    pthread_cond_broadcast(&c->woken);
    pthread_mutex_unlock(&c->wake_lock);
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

/* ---- receiving ---- */

static int is_text(ishow_span s) {
    if (s.size && !s.data) return 0;
    if (memchr(s.data ? s.data : "", 0, s.size)) return 0;
    char *copy = span_copy(s);
    int good = copy && ishow_utf8_length(copy) != SIZE_MAX;
    free(copy);
    return good;
}

static ishow_status check_message(const ishow_chat_message *m, ishow_error *error) {
    const struct {
        const char *field;
        ishow_span value;
        int needed;
        size_t most;
    } spans[] = {
        {"platform", m->platform, 1, 64},
        {"channel", m->channel, 1, 256},
        {"id", m->id, 1, 256},
        {"user_id", m->user_id, 0, 256},
        {"username", m->display_name, 0, 256},
        {"login", m->login, 0, 256},
        {"content", m->text, 0, 16384},
        {"system_text", m->system_text, 0, 16384},
        {"gift_name", m->gift_name, 0, 256},
        {"language", m->language, 0, 35},
    };
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        if (spans[i].needed && !spans[i].value.size)
            return ishow_fail(error, ISHOW_EINVAL, spans[i].field, "%s must not be empty.", spans[i].field);
        if (spans[i].value.size > spans[i].most)
            return ishow_fail(error, ISHOW_EINVAL, spans[i].field, "%s may have %zu bytes, not %zu.", spans[i].field,
                              spans[i].most, spans[i].value.size);
        if (!is_text(spans[i].value))
            return ishow_fail(error, ISHOW_EINVAL, spans[i].field, "%s must be UTF-8 without NUL.", spans[i].field);
    }
    if (m->priority < ISHOW_CHAT_PRIORITY_NORMAL || m->priority > ISHOW_CHAT_PRIORITY_GIFT)
        return ishow_fail(error, ISHOW_EINVAL, "priority", "priority has no value %d.", (int)m->priority);
    return ISHOW_OK;
}

/* How many are before it, and how long they take. */
static void place_of(ishow_chat *c, const item *it, double now, ishow_chat_verdict *v) {
    size_t before = 0;
    const double key = it->arrived - (double)it->priority * c->queue.ageing;
    const int urgent = it->priority >= ISHOW_CHAT_PRIORITY_PAID;
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++) {
        const int other_urgent = p >= ISHOW_CHAT_PRIORITY_PAID;
        if (urgent && !other_urgent) continue;
        for (const item *o = c->queue.first[p]; o; o = o->next)
            if (o != it && (other_urgent > urgent || o->arrived - p * c->queue.ageing < key ||
                            (p == (int)it->priority && o->number < it->number)))
                before++;
    }
    play_position(c, now);
    v->position = before + (c->playing != NULL);
    v->eta = play_rest(c) + (double)before * (c->clip_seconds + c->o.gap_seconds);
}

static item *admit(ishow_chat *c, const ishow_chat_message *m, filtered *f, double now, ishow_chat_verdict *verdict) {
    item *same = f->priority < ISHOW_CHAT_PRIORITY_PAID && m->kind == ISHOW_CHAT_KIND_TEXT
                     ? queue_find_text(&c->queue, f->text_hash)
                     : NULL;
    if (same && same->kind == ISHOW_CHAT_KIND_TEXT && item_add_other(same, m->id, f->key)) {
        c->counts.merged++;
        verdict->merged = 1;
        if (f->priority > same->priority) { /* the group moves with its most important voice */
            queue_remove(&c->queue, same);
            same->priority = f->priority;
            queue_add(&c->queue, same);
        }
        return same;
    }
    if (c->queue.total >= c->o.queue_max) {
        item *oldest = queue_oldest_below(&c->queue, f->priority);
        if (!oldest) {
            verdict->reason = ISHOW_CHAT_BY_FULL;
            return NULL;
        }
        chat_settle(c, oldest, &c->counts.dropped[ISHOW_CHAT_BY_FULL], ishow_chat_reason_name(ISHOW_CHAT_BY_FULL), 0);
    }
    item *it = item_create(m, f->text, f->key);
    if (!it) return NULL;
    it->number = ++c->numbers;
    it->arrived = now;
    it->priority = f->priority;
    it->text_hash = f->text_hash;
    strcpy(it->voice, f->voice);
    strcpy(it->language, f->language);
    queue_add(&c->queue, it);
    return it;
}

static void announce(ishow_chat *c, const item *it, const ishow_chat_message *m, const ishow_chat_verdict *v) {
    json_t *object = item_json(it);
    if (!object) return;
    if (v->merged) {
        json_object_set_new(object, "merged_with", json_string(it->id));
        json_object_set_new(object, "id", json_stringn(m->id.data, m->id.size));
        json_object_set_new(object, "user",
                            json_stringn(m->display_name.data ? m->display_name.data : "", m->display_name.size));
        json_object_set_new(object, "user_id", json_stringn(m->user_id.data ? m->user_id.data : "", m->user_id.size));
    }
    json_object_set_new(object, "position", json_integer((json_int_t)v->position));
    json_object_set_new(object, "eta", json_real(round(v->eta * 10) / 10));
    chat_publish(c, "message", object);
}

ishow_status ishow_chat_receive(ishow_chat *c, const ishow_chat_message *m, ishow_chat_verdict *verdict,
                                void (*durable)(void *user, ishow_status status), void *user, ishow_error *error) {
    filtered f;
    promise *later = NULL;
    memset(verdict, 0, sizeof *verdict);
    ishow_status status = check_message(m, error);
    if (status != ISHOW_OK) return status;
    if (durable && c->has_journal) {
        if ((later = calloc(1, sizeof *later)))
            *later = (promise){.chat = c, .durable = durable, .user = user, .id = span_copy(m->id)};
        if (!later || !later->id) {
            promise_free(later);
            return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a message could not be had.");
        }
    }
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    if (!filter_message(c->filter, m, now, &f)) {
        chat_unlock(c);
        promise_free(later);
        return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a message could not be had.");
    }
    item *it = NULL;
    verdict->reason = f.reason;
    const int no_copy = later && f.accepted && !(later->viewer = ishow_strdup(f.key));
    if (no_copy || (f.accepted && !(it = admit(c, m, &f, now, verdict)) && verdict->reason != ISHOW_CHAT_BY_FULL)) {
        chat_unlock(c);
        filtered_free(&f);
        promise_free(later);
        return ishow_fail(error, ISHOW_ENOMEM, "", "Memory for a message could not be had.");
    }
    c->counts.received++;
    c->counts.cut += f.accepted && f.cut;
    c->counts.commands += f.obeyed;
    if (c->has_journal && (f.keep_voice || f.obeyed)) {
        char voice[VOICE_ID_MAX + 2];
        snprintf(voice, sizeof voice, "%s%s", f.obeyed && f.voice[0] ? "!" : "",
                 f.obeyed ? f.voice : filter_viewer(c->filter, f.key)->voice);
        c->journal.voice(c->journal.self, f.key, voice);
    }
    if (it) {
        c->counts.waiting++;
        verdict->accepted = 1;
        verdict->number = it->number;
        place_of(c, it, now, verdict);
        keep(c, it);
        announce(c, it, m, verdict);
        if (later) {
            pthread_mutex_lock(&c->wake_lock);
            c->promises++;
            pthread_mutex_unlock(&c->wake_lock);
            later->number = it->number;
            c->journal.sync(c->journal.self, on_kept, later, 0);
            later = NULL;
        }
    } else {
        c->counts.dropped[verdict->reason]++;
        keep_refused(c, m, verdict->reason);
    }
    c->changed = 1;
    chat_unlock(c);
    if (it) ishow_chat_wake(c);
    if (verdict->accepted && durable && !c->has_journal) durable(user, ISHOW_OK);
    filtered_free(&f);
    promise_free(later);
    return ISHOW_OK;
}

/* ---- deleting and controls ---- */

typedef struct target {
    const char *platform, *channel, *id, *user;
} target;

static int same_channel(const char *a, const char *b) { return !strcmp(a + (*a == '#'), b + (*b == '#')); }

static int is_meant(const item *it, const target *t) {
    if (t->platform && strcmp(it->platform, t->platform)) return 0;
    if (t->channel && !same_channel(it->channel, t->channel)) return 0;
    if (t->user) return !strcmp(it->user_id, t->user) || !strcmp(it->login, t->user);
    if (!t->id || !strcmp(it->id, t->id)) return 1;
    for (size_t i = 0; i < it->n_others; i++) /* the same words: who deletes one of them wants none of them heard */
        if (!strcmp(it->others[i].id, t->id)) return 1;
    return 0;
}

static size_t delete_meant(ishow_chat *c, const target *t) {
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    gather_gone(c);
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        for (item *it = c->queue.first[p], *next; it; it = next) {
            next = it->next;
            if (!is_meant(it, t)) continue;
            n += (size_t)item_weight(it);
            chat_settle(c, it, &c->counts.deleted, "deleted", 0);
        }
    if (c->playing && is_meant(c->playing, t)) {
        if (!c->replaying) n += (size_t)item_weight(c->playing);
        cut_off(c, &c->counts.deleted, "deleted");
        if (c->gone) json_array_append_new(c->gone, json_string(c->last->id));
    }
    tell_gathered(c, "deleted");
    if (c->last && is_meant(c->last, t)) forget_last(c);
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
        cut_off(c, &c->counts.skipped, "skipped");
        found = 1;
    }
    for (int p = 0; id && !found && p < ISHOW_CHAT_PRIORITIES; p++)
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
    play_position(c, chat_now(c)); /* up to here it ran, or stood */
    c->paused = paused != 0;
    c->changed = 1;
    c->state_at = 0;
    chat_unlock(c);
    ishow_chat_wake(c);
}

size_t ishow_chat_clear(ishow_chat *c) {
    size_t n = 0;
    pthread_mutex_lock(&c->lock);
    gather_gone(c);
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        while (c->queue.first[p]) {
            n += (size_t)item_weight(c->queue.first[p]);
            chat_settle(c, c->queue.first[p], &c->counts.dropped[ISHOW_CHAT_BY_CLEAR],
                        ishow_chat_reason_name(ISHOW_CHAT_BY_CLEAR), 0);
        }
    tell_gathered(c, ishow_chat_reason_name(ISHOW_CHAT_BY_CLEAR));
    chat_unlock(c);
    ishow_chat_wake(c);
    return n;
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
        chat_publish(c, "state",
                     json_pack("{s{ss,ss,ss,ss}}", "source", "platform", platform, "channel", channel, "state",
                               e->type == ISHOW_CHAT_ON_STATE ? ishow_chat_state_name(e->state) : "notice", "text",
                               text));
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
