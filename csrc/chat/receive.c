/* Receives a message: checks, filters, merges or queues it, and publishes it. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"

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

/* Sets how many messages are before this one, and about how long until it is heard. */
static void place_of(ishow_chat *c, const item *it, double now, ishow_chat_verdict *v) {
    size_t before = 0;
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        for (const item *o = c->queue.first[p]; o; o = o->next) before += o != it && queue_precedes(&c->queue, o, it);
    play_position(c, now);
    v->position = before + (c->playing != NULL);
    v->eta = play_rest(c) + (double)before * (c->clip_seconds + c->o.gap_seconds);
}

int chat_make_room(ishow_chat *c, ishow_chat_priority priority, int held) {
    item *oldest = NULL;
    if (held) {
        if (c->queue.n[QUEUE_HELD] < c->o.queue_max) return 1;
        for (item *it = c->queue.first[QUEUE_HELD]; it; it = it->next)
            if (!oldest || it->number < oldest->number) oldest = it;
    } else {
        if (c->queue.total < c->o.queue_max) return 1;
        oldest = queue_oldest_below(&c->queue, priority);
    }
    if (!oldest) return 0;
    chat_settle(c, oldest, &c->counts.dropped[ISHOW_CHAT_BY_FULL], ishow_chat_reason_name(ISHOW_CHAT_BY_FULL), 0);
    return 1;
}

static item *admit(ishow_chat *c, const ishow_chat_message *m, filtered *f, double now, ishow_chat_verdict *verdict) {
    item *same = !f->held && f->priority < ISHOW_CHAT_PRIORITY_PAID && m->kind == ISHOW_CHAT_KIND_TEXT
                     ? queue_find_text(&c->queue, f->text_hash)
                     : NULL;
    if (same && same->kind == ISHOW_CHAT_KIND_TEXT && item_add_other(same, m->id, f->key)) {
        c->counts.merged++;
        verdict->merged = 1;
        if (f->priority > same->priority) { /* merged messages have the highest priority among them */
            queue_remove(&c->queue, same);
            same->lift += (double)f->priority - (double)same->priority;
            same->priority = f->priority;
            queue_add(&c->queue, same);
        }
        return same;
    }
    if (!chat_make_room(c, f->priority, f->held)) {
        verdict->reason = ISHOW_CHAT_BY_FULL;
        return NULL;
    }
    item *it = item_create(m, f->text, f->key);
    if (!it) return NULL;
    it->number = ++c->numbers;
    it->arrived = now;
    it->priority = f->priority;
    it->state = f->held ? ITEM_HELD : ITEM_WAITING;
    it->text_hash = f->text_hash;
    it->cut = f->cut;
    strcpy(it->voice, f->voice);
    strcpy(it->language, f->language);
    queue_lift(&c->queue, it);
    queue_add(&c->queue, it);
    return it;
}

/* m: the message that was merged with it, NULL: none. */
static void announce(ishow_chat *c, const item *it, const ishow_chat_message *m, const ishow_chat_verdict *v) {
    json_t *object = item_json(it);
    if (!object) return;
    if (m) {
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

void chat_announce(ishow_chat *c, const item *it, double now) {
    ishow_chat_verdict v = {0};
    place_of(c, it, now, &v);
    announce(c, it, NULL, &v);
}

ishow_status ishow_chat_receive(ishow_chat *c, const ishow_chat_message *m, ishow_chat_verdict *verdict,
                                void (*durable)(void *user, ishow_status status), void *user, ishow_error *error) {
    filtered f;
    durable_call *later = NULL;
    memset(verdict, 0, sizeof *verdict);
    ishow_status status = check_message(m, error);
    if (status != ISHOW_OK) return status;
    if (durable && c->has_journal && !(later = durable_create(c, m->id, durable, user)))
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a message.");
    pthread_mutex_lock(&c->lock);
    const double now = chat_now(c);
    if (c->follows) {
        chat_unlock(c);
        durable_free(later);
        return ishow_fail(error, ISHOW_ESTATE, "", "Another process leads the chat.");
    }
    if (!filter_message(c->filter, m, now, &f)) {
        chat_unlock(c);
        durable_free(later);
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a message.");
    }
    item *it = NULL;
    verdict->reason = f.reason;
    const int no_copy = later && f.accepted && !durable_set_viewer(later, f.key);
    if (no_copy || (f.accepted && !(it = admit(c, m, &f, now, verdict)) && verdict->reason != ISHOW_CHAT_BY_FULL)) {
        chat_unlock(c);
        filtered_free(&f);
        durable_free(later);
        return ishow_fail(error, ISHOW_ENOMEM, "", "There is not enough memory for a message.");
    }
    c->counts.received++;
    c->counts.cut += f.accepted && f.cut;
    c->counts.commands += f.obeyed != OBEYED_NONE;
    if (f.obeyed == OBEYED_SKIP && c->playing) play_cut_off(c, &c->counts.skipped, "skipped");
    const int chosen = f.obeyed == OBEYED_VOICE;
    if (c->has_journal && (f.keep_voice || chosen)) {
        char voice[VOICE_ID_MAX + 2];
        snprintf(voice, sizeof voice, "%s%s", chosen && f.voice[0] ? "!" : "",
                 chosen ? f.voice : filter_viewer(c->filter, f.key)->voice);
        c->journal.voice(c->journal.self, f.key, voice);
    }
    if (it) {
        c->counts.waiting++;
        verdict->accepted = 1;
        verdict->number = it->number;
        verdict->held = it->state == ITEM_HELD;
        chat_record(c, it);
        if (!verdict->held) {
            place_of(c, it, now, verdict);
            announce(c, it, verdict->merged ? m : NULL, verdict);
        }
        if (later) durable_begin(later, it->number);
        later = NULL;
    } else {
        c->counts.dropped[verdict->reason]++;
        chat_refused(c, m, verdict->reason);
    }
    c->changed = 1;
    chat_unlock(c);
    if (it || f.obeyed == OBEYED_SKIP) ishow_chat_wake(c);
    if (verdict->accepted && durable && !c->has_journal) durable(user, ISHOW_OK);
    filtered_free(&f);
    durable_free(later);
    return ISHOW_OK;
}
