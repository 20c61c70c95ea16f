/* The sentence that is read for a message, and its voice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "chat/chat_internal.h"

static void amount_text(const item *it, char *out, size_t n) {
    if (it->bits)
        snprintf(out, n, "%llu bits", (unsigned long long)it->bits);
    else if (it->amount_micros % 1000000)
        snprintf(out, n, "%.2f%s%s", 1e-6 * (double)it->amount_micros, *it->currency ? " " : "", it->currency);
    else
        snprintf(out, n, "%lld%s%s", (long long)(it->amount_micros / 1000000), *it->currency ? " " : "", it->currency);
}

static int field(const char *name, size_t n, const char *wanted) {
    return strlen(wanted) == n && !memcmp(name, wanted, n);
}

static const char *template_of(const item *it, const ishow_chat_options *o, int names) {
    if (it->kind == ISHOW_CHAT_KIND_PAID) return o->template_paid;
    if (*it->event && it->kind != ISHOW_CHAT_KIND_TEXT)
        return o->template_event; /* the platform's own sentence has more details */
    if (it->kind == ISHOW_CHAT_KIND_GIFT) return o->template_gift;
    if (it->kind == ISHOW_CHAT_KIND_SUBSCRIPTION) return o->template_member;
    return names ? o->template_text : "{text}";
}

char *say_item(const item *it, const ishow_chat_options *o, const char *scripts, int names) {
    ishow_buffer s = {0};
    char amount[64], count[32], others[40] = "";
    char *name = clean_name((ishow_span){it->name, strlen(it->name)}, (ishow_span){it->login, strlen(it->login)},
                            scripts, o->clean_names);
    if (!name) return NULL;
    amount_text(it, amount, sizeof amount);
    snprintf(count, sizeof count, "%llu", (unsigned long long)(it->count ? it->count : 1));
    if (it->n_others)
        snprintf(others, sizeof others, it->n_others == 1 ? " and one other" : " and %zu others", it->n_others);
    for (const char *p = template_of(it, o, names || it->n_others); *p;) {
        size_t n = strcspn(p, "{"), m = p[n] ? strcspn(p + n, "}") : 0;
        ishow_buffer_add(&s, p, n);
        if (!p[n]) break;
        const char *key = p + n + 1;
        if (field(key, m - 1, "user")) {
            ishow_buffer_text(&s, name);
            ishow_buffer_text(&s, others);
        } else if (field(key, m - 1, "text"))
            ishow_buffer_text(&s, it->text);
        else if (field(key, m - 1, "amount"))
            ishow_buffer_text(&s, amount);
        else if (field(key, m - 1, "count"))
            ishow_buffer_text(&s, count);
        else if (field(key, m - 1, "gift"))
            ishow_buffer_text(&s, it->gift);
        else if (field(key, m - 1, "event"))
            ishow_buffer_text(&s, it->event);
        else if (field(key, m - 1, "platform"))
            ishow_buffer_text(&s, it->platform);
        else if (field(key, m - 1, "channel"))
            ishow_buffer_text(&s, it->channel);
        else
            ishow_buffer_add(&s, p + n, m + (p[n + m] != '\0'));
        p += n + m + (p[n + m] != '\0');
    }
    free(name);
    /* Without a text the colon before it would be read as a pause: "Anna paid 5 EUR:". */
    while (s.n && (s.data[s.n - 1] == ' ' || s.data[s.n - 1] == ':')) s.n--;
    ishow_buffer_add(&s, "", 1);
    if (s.failed) {
        ishow_buffer_free(&s);
        return NULL;
    }
    return (char *)s.data;
}

double say_seconds(const ishow_chat_message *m, const ishow_chat_options *o) {
    item *it = item_create(m, "", "");
    char *said = it ? say_item(it, o, "", 1) : NULL;
    const double seconds = said ? count_seconds(said, 0, NULL) : 0;
    free(said);
    item_free(it);
    return seconds;
}

/* Rendezvous hashing: the voice with the highest hash of (viewer, voice). When a voice is added or removed, only its
 * own viewers change. */
const char *voice_for(const ishow_chat_options *o, const char *key, const char *language) {
    const char *best = "";
    uint64_t most = 0;
    for (int wanted = 1; wanted >= 0 && !*best; wanted--)
        for (size_t i = 0; i < o->n_voices; i++) {
            const ishow_chat_voice *v = &o->voices[i];
            if (wanted && !(v->language && language_matches(v->language, language))) continue;
            uint64_t h = fold_hash(key) ^ (fold_hash(v->id) * UINT64_C(0x9E3779B97F4A7C15));
            h = (h ^ (h >> 32)) *
                UINT64_C(
                    0xD6E8FEB86659FD93); /* finalises the hash, so that those of different voices are independent */
            h = (h ^ (h >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
            h ^= h >> 32;
            if (!*best || h > most) best = v->id, most = h;
        }
    return best;
}
