/* The end of a message: it is counted in exactly one way, deleted from the journal, and published. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "chat/chat_internal.h"
#include "base/utf8.h"

enum { REFUSED_KEPT = 50, REFUSED_TEXT_MAX = 500 };

/* ---- the last messages that were not read ---- */

static void set_text(json_t *object, const char *key, ishow_span text, size_t most) {
    const size_t n = utf8_cut(text.data, text.size, most);
    json_object_set_new(object, key, json_stringn(n ? text.data : "", n));
}

void chat_refused(ishow_chat *c, const ishow_chat_message *m, ishow_chat_reason reason) {
    json_t *object = json_object();
    if (!object || !c->refused) {
        json_decref(object);
        return;
    }
    set_text(object, "id", m->id, m->id.size);
    set_text(object, "platform", m->platform, m->platform.size);
    set_text(object, "channel", m->channel, m->channel.size);
    set_text(object, "user_id", m->user_id, m->user_id.size);
    set_text(object, "user", m->display_name.size ? m->display_name : m->login, REFUSED_TEXT_MAX);
    set_text(object, "text", m->text, REFUSED_TEXT_MAX);
    json_object_set_new(object, "reason", json_string(ishow_chat_reason_name(reason)));
    json_object_set_new(object, "timestamp", json_integer((json_int_t)m->timestamp_ms));
    if (json_array_size(c->refused) >= REFUSED_KEPT) json_array_remove(c->refused, 0);
    json_array_append_new(c->refused, object);
}

/* Lists a message that was accepted and dropped later, unless a person cleared the queue. */
static void list_dropped(ishow_chat *c, const item *it, const uint64_t *counter) {
    const ptrdiff_t reason = counter - c->counts.dropped;
    if (reason < 0 || reason >= ISHOW_CHAT_REASONS || reason == ISHOW_CHAT_BY_CLEAR) return;
    const ishow_chat_message m = {.id = span_of(it->id),
                                  .platform = span_of(it->platform),
                                  .channel = span_of(it->channel),
                                  .user_id = span_of(it->user_id),
                                  .login = span_of(it->login),
                                  .display_name = span_of(it->name),
                                  .text = span_of(it->text),
                                  .timestamp_ms = it->timestamp_ms};
    chat_refused(c, &m, (ishow_chat_reason)reason);
}

/* ---- the end of a message ---- */

void clip_free(ishow_chat *c, item *it) {
    if (it->clip) c->synth.free(c->synth.self, it->clip);
    if (it->said && it->state == ITEM_WAITING) c->counts.clips_wasted++;
    free(it->said);
    free(it->pcm);
    free(it->words);
    it->clip = it->said = NULL;
    it->pcm = NULL;
    it->words = NULL;
    it->n_words = 0;
    it->n = it->capacity = 0;
    it->complete = 0;
}

void chat_publish_deleted(ishow_chat *c, json_t *ids, const char *why) {
    if (json_array_size(ids))
        chat_publish(c, "deleted", json_pack("{sO,sO,ss}", "id", json_array_get(ids, 0), "ids", ids, "reason", why));
    json_decref(ids);
}

void chat_gather_deleted(ishow_chat *c) { c->gathered = json_array(); }

void chat_publish_gathered(ishow_chat *c, const char *why) {
    json_t *ids = c->gathered;
    c->gathered = NULL;
    chat_publish_deleted(c, ids, why);
}

void chat_settle(ishow_chat *c, item *it, uint64_t *counter, const char *why, int keep_item) {
    const uint64_t weight = (uint64_t)item_weight(it);
    if (it->state <= ITEM_WAITING) queue_remove(&c->queue, it);
    c->counts.waiting -= weight;
    *counter += weight;
    list_dropped(c, it, counter);
    if (c->has_journal) c->journal.drop(c->journal.self, it->number);
    c->changed = 1;
    if (why && !c->gathered)
        chat_publish_deleted(c, json_pack("[s]", it->id), why);
    else if (why)
        json_array_append_new(c->gathered, json_string(it->id));
    if (keep_item) return;
    clip_free(c, it);
    item_free(it);
}
