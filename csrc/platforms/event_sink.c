/* Memory, text validation and counters for the decoders of all platforms. */
#include "platforms/event_sink.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"
#include "base/utf8.h"

/* ---- arena ---- */

enum { CLOCKS_DIFFER_MS = 24 * 3600 * 1000 /* a timestamp further in the future is ignored */ };
enum { BLOCK_BYTES = 4096, BLOCK_KEPT_MAX = 256 * 1024 };

struct arena_block {
    struct arena_block *previous;
    size_t size, used;
    _Alignas(16) unsigned char data[];
};

void *ishow_arena_take(arena *a, size_t n) {
    if (n > SIZE_MAX / 4) return NULL;
    n = (n + 15) & ~(size_t)15;
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < n) {
        size_t size = b ? 2 * b->size : BLOCK_BYTES;
        if (size < n) size = n;
        b = malloc(sizeof *b + size);
        if (!b) return NULL;
        *b = (struct arena_block){.previous = a->block, .size = size};
        a->block = b;
    }
    void *taken = b->data + b->used;
    b->used += n;
    return taken;
}

void ishow_arena_reset(arena *a) {
    struct arena_block *b = a->block;
    if (!b) return;
    while (b->previous) { /* the newest block is the largest: keep only that one */
        struct arena_block *older = b->previous;
        b->previous = older->previous;
        free(older);
    }
    b->used = 0;
    if (b->size > BLOCK_KEPT_MAX) ishow_arena_free(a);
}

void ishow_arena_free(arena *a) {
    while (a->block) {
        struct arena_block *previous = a->block->previous;
        free(a->block);
        a->block = previous;
    }
}

/* ---- ids seen ---- */

struct seen {
    size_t mask, limit, used; /* used: entries of the newer generation */
    uint64_t *newer, *older;  /* open addressing, 0: free */
};

seen *seen_create(size_t n) {
    seen *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    size_t slots = 64;
    while (slots < 2 * n) slots *= 2;
    s->mask = slots - 1;
    s->limit = n;
    s->newer = calloc(slots, sizeof *s->newer);
    s->older = calloc(slots, sizeof *s->older);
    if (s->newer && s->older) return s;
    seen_free(s);
    return NULL;
}

void seen_free(seen *s) {
    if (!s) return;
    free(s->newer);
    free(s->older);
    free(s);
}

static uint64_t *slot_of(uint64_t *table, size_t mask, uint64_t hash) {
    size_t i = hash & mask;
    while (table[i] && table[i] != hash) i = (i + 1) & mask;
    return &table[i];
}

int seen_add(seen *s, ishow_span platform, ishow_span id) {
    uint64_t hash = XXH3_64bits_withSeed(id.data, id.size, XXH3_64bits(platform.data, platform.size));
    if (!hash) hash = 1;
    if (*slot_of(s->older, s->mask, hash)) return 0;
    uint64_t *slot = slot_of(s->newer, s->mask, hash);
    if (*slot) return 0;
    *slot = hash;
    if (++s->used < s->limit) return 1;
    uint64_t *oldest = s->older;
    s->older = s->newer;
    s->newer = oldest;
    memset(oldest, 0, (s->mask + 1) * sizeof *oldest);
    s->used = 0;
    return 1;
}

/* ---- text ---- */

/* Length of the valid UTF-8 sequence at s; 0: invalid, or NUL. */
static size_t sequence_length(const unsigned char *s, const unsigned char *end) {
    unsigned char c = *s;
    if (c < 0x80) return c != 0;
    size_t n = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (!n || (size_t)(end - s) < n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if ((c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] > 0x9F)) return 0; /* overlong, surrogate */
    if ((c == 0xF0 && s[1] < 0x90) || (c == 0xF4 && s[1] > 0x8F)) return 0; /* overlong, beyond U+10FFFF */
    return n;
}

/* End of the valid bytes from s on. */
static const unsigned char *clean_until(const unsigned char *s, const unsigned char *end) {
    for (;;) {
        /* eight bytes at a time while all are ASCII and none is NUL */
        while (end - s >= 8) {
            uint64_t word;
            memcpy(&word, s, sizeof word);
            if ((word | (word - 0x0101010101010101u)) & 0x8080808080808080u) break;
            s += 8;
        }
        if (s == end) return s;
        size_t n = sequence_length(s, end);
        if (!n) return s;
        s += n;
    }
}

ishow_span feed_text(feed *f, ishow_span text) {
    if (!text.size) return text; /* the data of an empty text may be NULL */
    const unsigned char *s = (const unsigned char *)text.data, *end = s + text.size;
    if (clean_until(s, end) == end) return text;
    char *copy = ishow_arena_take(&f->arena, 3 * text.size), *to = copy;
    if (!copy) return (ishow_span){NULL, 0};
    while (s < end) {
        const unsigned char *bad = clean_until(s, end);
        memcpy(to, s, (size_t)(bad - s));
        to += bad - s;
        s = bad;
        if (s == end) break;
        memcpy(to, "\xEF\xBF\xBD", 3);
        to += 3;
        s++;
    }
    return (ishow_span){copy, (size_t)(to - copy)};
}

ishow_span feed_one_line(feed *f, ishow_span text) {
    text = feed_text(f, text);
    char *copy = ishow_arena_take(&f->arena, text.size);
    if (!copy || !text.size) return (ishow_span){NULL, 0};
    for (size_t i = 0; i < text.size; i++)
        copy[i] = (unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7F ? ' ' : text.data[i];
    return (ishow_span){copy, text.size};
}

ishow_span feed_format(feed *f, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : ishow_arena_take(&f->arena, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return (ishow_span){text, text ? (size_t)n : 0};
}

uint64_t span_u64(ishow_span s) {
    uint64_t value = 0;
    for (size_t i = 0; i < s.size && s.data[i] >= '0' && s.data[i] <= '9'; i++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.data[i] - '0'), &value))
            return UINT64_MAX;
    return value;
}

static int by_start(const void *a, const void *b) {
    const ishow_chat_emote *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

void feed_emotes(ishow_chat_message *message, ishow_chat_emote *emotes, size_t n) {
    const uint32_t length = (uint32_t)utf8_count(message->text.data, message->text.size);
    if (n > 1) qsort(emotes, n, sizeof *emotes, by_start);
    size_t kept = 0;
    uint32_t free_from = 0;
    for (size_t i = 0; i < n; i++) {
        ishow_chat_emote e = emotes[i];
        if (e.end > length) e.end = length;
        if (e.start < free_from || e.start >= e.end) continue;
        free_from = e.end;
        emotes[kept++] = e;
    }
    message->emotes = kept ? emotes : NULL;
    message->n_emotes = kept;
}

void feed_cut(feed *f, ishow_chat_message *m, const ishow_chat_emote *cuts, size_t n) {
    char *text = n ? ishow_arena_take(&f->arena, m->text.size) : NULL;
    ishow_chat_emote *emotes = text && m->n_emotes ? ishow_arena_take(&f->arena, m->n_emotes * sizeof *emotes) : NULL;
    if (!text || (m->n_emotes && !emotes)) return;
    size_t size = 0, cut = 0, kept = 0, e = 0;
    uint32_t point = 0, gone = 0; /* code points read, and how many of them were removed */
    for (size_t i = 0; i < m->text.size;) {
        while (e < m->n_emotes && m->emotes[e].start < point) e++; /* the emote begins inside a cut */
        if (e < m->n_emotes && m->emotes[e].start == point && !(cut < n && cuts[cut].start <= point)) {
            emotes[kept++] = (ishow_chat_emote){point - gone, m->emotes[e].end - gone, m->emotes[e].id};
            e++;
        }
        const int inside = cut < n && point >= cuts[cut].start;
        const int space = inside && point >= cuts[cut].end;
        size_t width = 1;
        while (i + width < m->text.size && utf8_continues(m->text.data[i + width])) width++;
        if (space) cut++;
        if ((inside && !space) || (space && m->text.data[i] == ' '))
            gone++;
        else {
            memcpy(text + size, m->text.data + i, width);
            size += width;
        }
        i += width;
        point++;
    }
    while (size && text[size - 1] == ' ') size--;
    m->text = (ishow_span){text, size};
    feed_emotes(m, emotes, kept); /* an emote that reaches into a cut ends at the end of the text */
}

/* ---- events ---- */

int64_t feed_clock_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static ishow_chat_priority priority_of(const feed *f, const ishow_chat_message *m) {
    switch (m->kind) {
    case ISHOW_CHAT_KIND_GIFT: return ISHOW_CHAT_PRIORITY_GIFT;
    case ISHOW_CHAT_KIND_PAID:
    case ISHOW_CHAT_KIND_SUBSCRIPTION: return ISHOW_CHAT_PRIORITY_PAID;
    case ISHOW_CHAT_KIND_RAID:
    case ISHOW_CHAT_KIND_ANNOUNCEMENT: return ISHOW_CHAT_PRIORITY_MODERATOR;
    case ISHOW_CHAT_KIND_TEXT:
    case ISHOW_CHAT_KIND_EVENT: break;
    }
    if (m->roles & (ISHOW_CHAT_ROLE_BROADCASTER | ISHOW_CHAT_ROLE_MODERATOR)) return ISHOW_CHAT_PRIORITY_MODERATOR;
    if (m->reply_login.size && span_same(m->reply_login, f->channel)) return ISHOW_CHAT_PRIORITY_MENTION;
    return ISHOW_CHAT_PRIORITY_NORMAL;
}

static void emit(feed *f, ishow_chat_event *event) {
    event->platform = f->platform;
    event->channel = f->channel;
    if (f->event) f->event(f->self, event);
}

int feed_first(feed *f, ishow_span id) {
    if (!f->seen || seen_add(f->seen, f->platform, id)) return 1;
    f->duplicates++;
    return 0;
}

void feed_message(feed *f, ishow_chat_message *m) {
    m->platform = f->platform;
    m->channel = f->channel;
    m->priority = priority_of(f, m);
    const int64_t now = feed_clock_ms();
    if (m->timestamp_ms <= 0 || m->timestamp_ms > now + CLOCKS_DIFFER_MS) m->timestamp_ms = now;
    /* The platform gave no id: one that is unique in this process and across restarts. */
    if (!m->id.size) {
        ishow_span who = m->user_id.size ? m->user_id : m->login;
        m->id = feed_format(f, "%.*s-%lld-%llu", (int)who.size, who.size ? who.data : "", (long long)feed_clock_ms(),
                            (unsigned long long)++f->sequence);
    }
    if (!m->id.size) { /* out of memory */
        f->malformed++;
        return;
    }
    if (!feed_first(f, m->source_id.size ? m->source_id : m->id)) return;
    f->messages++;
    emit(f, &(ishow_chat_event){.type = ISHOW_CHAT_ON_MESSAGE, .message = m});
}

void feed_delete(feed *f, ishow_span message_id, ishow_span login) {
    f->deletions++;
    emit(f, &(ishow_chat_event){.type = ISHOW_CHAT_ON_DELETE, .message_id = message_id, .login = login});
}

void feed_delete_user(feed *f, ishow_span user_id, ishow_span login, uint64_t seconds) {
    f->deletions++;
    emit(f, &(ishow_chat_event){
                .type = ISHOW_CHAT_ON_DELETE_USER, .user_id = user_id, .login = login, .seconds = seconds});
}

void feed_clear(feed *f) {
    f->deletions++;
    emit(f, &(ishow_chat_event){.type = ISHOW_CHAT_ON_CLEAR});
}

void feed_notice(feed *f, ishow_span text) {
    f->notices++;
    emit(f, &(ishow_chat_event){.type = ISHOW_CHAT_ON_NOTICE, .text = text});
}
