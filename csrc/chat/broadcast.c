/* One stream of events for any number of readers. Each event is serialised once, as text and as a WebSocket message,
 * and shared. A reader is a position in the stream, so it costs little, and a slow reader does not delay others. Events
 * that a reader leaves unread for too long are skipped, old audio first. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buffer.h"
#include "audio/audio.h"
#include "chat/chat_internal.h"

enum { EVENTS = 1024, AUDIO_KEPT = 64, KEEP_ALIVE = 15 };

typedef struct event {
    atomic_int refs;
    uint64_t id;
    int audio;
    double until;
    ishow_buffer text, frame; /* server-sent event; WebSocket message, binary when audio */
} event;

struct broadcast {
    pthread_mutex_t lock;
    event *ring[EVENTS];        /* event i is at i % EVENTS; NULL where audio has been freed */
    uint64_t next;              /* number of the next event */
    uint64_t audio[AUDIO_KEPT]; /* numbers of the last audio events */
    size_t n_audio;
    uint64_t clip; /* number of the first event of the clip that plays; 0: none plays */
    ishow_chat_reader *readers;
    size_t n_readers;
    int fresh;
    void (*news)(void *self);
    void *news_self;
    void (*published)(void *self, const ishow_chat_published *what);
    void *published_self;
    char run[9]; /* random for each process, to recognise event ids of an earlier process */
};

struct ishow_chat_reader {
    ishow_chat_reader *prev, *next;
    broadcast *broadcast;
    uint64_t cursor;       /* number of the next event to read */
    uint64_t audio_from;   /* audio events before this number are skipped */
    uint64_t control_from; /* other events before this number are skipped */
    uint64_t missed;
    char *first[2]; /* JSON of the first two events, state and start; NULL: sent, or none */
    event *current;
    size_t offset;    /* of current's text */
    ishow_buffer own; /* an event for this reader only */
    size_t own_offset;
    double spoke; /* when it last read something */
};

static void event_release(event *e) {
    if (!e || atomic_fetch_sub(&e->refs, 1) > 1) return;
    ishow_buffer_free(&e->text);
    ishow_buffer_free(&e->frame);
    free(e);
}

broadcast *broadcast_create(void) {
    broadcast *f = calloc(1, sizeof *f);
    uint32_t random = 0;
    if (!f || pthread_mutex_init(&f->lock, NULL)) {
        free(f);
        return NULL;
    }
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) random = (uint32_t)(ishow_now() * 1e6);
    snprintf(f->run, sizeof f->run, "%08x", random);
    f->next = 1;
    return f;
}

void broadcast_free(broadcast *f) {
    if (!f) return;
    for (size_t i = 0; i < EVENTS; i++) event_release(f->ring[i]);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* ---- writing ---- */

static void write_text(ishow_buffer *out, const char *run, uint64_t id, const char *name, const char *json,
                       const ishow_buffer *pcm) {
    if (id) ishow_buffer_format(out, "id: %s-%llu\n", run, (unsigned long long)id);
    ishow_buffer_format(out, "event: %s\ndata: ", name);
    if (pcm) {
        ishow_buffer_add(out, json, strlen(json) - 1);
        ishow_buffer_text(out, ",\"audio_base64\":\"");
        ishow_buffer_base64(out, pcm->data, pcm->n);
        ishow_buffer_text(out, "\"}");
    } else
        ishow_buffer_text(out, json);
    ishow_buffer_text(out, "\n\n");
}

/* The same as JSON that contains name and id. */
static void write_json(ishow_buffer *out, const char *run, uint64_t id, const char *name, const char *json) {
    ishow_buffer_format(out, "{\"event\":\"%s\"", name);
    if (id) ishow_buffer_format(out, ",\"event_id\":\"%s-%llu\"", run, (unsigned long long)id);
    if (json[1] != '}') ishow_buffer_text(out, ",");
    ishow_buffer_text(out, json + 1);
}

static void write_binary(ishow_buffer *out, const ishow_buffer *header, const float *pcm, size_t n, int rate) {
    unsigned char *wav = NULL;
    size_t n_wav = 0;
    const uint32_t length = (uint32_t)header->n;
    const unsigned char size[4] = {(unsigned char)length, (unsigned char)(length >> 8), (unsigned char)(length >> 16),
                                   (unsigned char)(length >> 24)};
    if (ishow_audio_encode(pcm, n, rate, ISHOW_FORMAT_WAV, 0, &wav, &n_wav, NULL) != ISHOW_OK) out->failed = 1;
    ishow_buffer_add(out, size, sizeof size);
    ishow_buffer_add(out, header->data, header->n);
    ishow_buffer_add(out, wav, n_wav);
    free(wav);
}

/* Adds the event to the ring. */
static void append(broadcast *f, event *e) {
    pthread_mutex_lock(&f->lock);
    if (e->audio) {
        uint64_t *oldest = &f->audio[f->n_audio++ % AUDIO_KEPT];
        event **slot = &f->ring[*oldest % EVENTS];
        if (*oldest && *slot && (*slot)->id == *oldest) {
            event_release(*slot);
            *slot = NULL;
        }
        *oldest = e->id;
    }
    event **slot = &f->ring[e->id % EVENTS];
    event_release(*slot);
    *slot = e;
    f->next = e->id + 1;
    f->fresh = 1;
    pthread_mutex_unlock(&f->lock);
}

static void publish(broadcast *f, const char *name, const char *json, const float *pcm, size_t n, int rate,
                    double until) {
    event *e = calloc(1, sizeof *e);
    if (!e) return;
    ishow_buffer s16 = {0}, header = {0};
    atomic_init(&e->refs, 1);
    e->id = f->next; /* the chat's lock serialises publishers */
    e->audio = pcm != NULL;
    e->until = until;
    if (pcm) {
        ishow_buffer_s16(&s16, pcm, n);
        write_json(&header, f->run, e->id, name, json);
        write_binary(&e->frame, &header, pcm, n, rate);
    } else
        write_json(&e->frame, f->run, e->id, name, json);
    write_text(&e->text, f->run, e->id, name, json, pcm ? &s16 : NULL);
    int failed = e->text.failed || e->frame.failed || s16.failed || header.failed;
    ishow_buffer_free(&s16);
    ishow_buffer_free(&header);
    if (failed)
        event_release(e);
    else
        append(f, e);
    if (f->published)
        f->published(
            f->published_self,
            &(ishow_chat_published){.event = name, .json = json, .pcm = pcm, .n = n, .rate = rate, .until = until});
}

void broadcast_on_publish(broadcast *f, void (*published)(void *self, const ishow_chat_published *what), void *self) {
    f->published = published;
    f->published_self = self;
}

void broadcast_publish(broadcast *f, const char *name, const char *json) { publish(f, name, json, NULL, 0, 0, 0); }
void broadcast_audio(broadcast *f, const char *json, const float *pcm, size_t n, int rate, double until) {
    publish(f, "audio", json, pcm, n, rate, until);
}

void broadcast_clip(broadcast *f, int plays) {
    pthread_mutex_lock(&f->lock);
    f->clip = plays ? f->next : 0;
    pthread_mutex_unlock(&f->lock);
}

void broadcast_on_news(broadcast *f, void (*news)(void *self), void *self) {
    pthread_mutex_lock(&f->lock);
    f->news = news;
    f->news_self = self;
    pthread_mutex_unlock(&f->lock);
}

void broadcast_news(broadcast *f) {
    pthread_mutex_lock(&f->lock);
    void (*news)(void *self) = f->fresh ? f->news : NULL;
    void *self = f->news_self;
    f->fresh = 0;
    pthread_mutex_unlock(&f->lock);
    if (news) news(self);
}

size_t broadcast_listeners(broadcast *f) {
    pthread_mutex_lock(&f->lock);
    size_t n = f->n_readers;
    pthread_mutex_unlock(&f->lock);
    return n;
}

/* ---- readers ---- */

/* The number in an id "run-number"; 0: an id of another process, or not a valid id. */
static uint64_t known_id(const broadcast *f, const char *last) {
    size_t n = strlen(f->run);
    char *end = NULL;
    if (!last || strncmp(last, f->run, n) || last[n] != '-' || last[n + 1] < '0' || last[n + 1] > '9') return 0;
    uint64_t id = strtoull(last + n + 1, &end, 10);
    return *end || id >= f->next ? 0 : id;
}

ishow_chat_reader *broadcast_reader(broadcast *f, const char *last, char *state, char *start, double position) {
    ishow_chat_reader *r = calloc(1, sizeof *r);
    if (!r || !state) {
        free(r);
        free(state);
        free(start);
        return NULL;
    }
    pthread_mutex_lock(&f->lock);
    uint64_t seen = known_id(f, last), oldest = f->next > EVENTS ? f->next - EVENTS : 1;
    int resumes = seen && seen + 1 >= oldest;
    r->broadcast = f;
    r->spoke = ishow_now();
    r->audio_from = r->cursor = r->control_from = f->next;
    /* Audio of earlier clips would be late. A reader that resumes continues without a gap; a new one joins at the
     * current position. */
    if (resumes)
        r->audio_from = f->clip ? f->clip : f->next;
    else
        for (uint64_t id = f->clip; id && id < f->next; id++) {
            const event *e = f->ring[id % EVENTS];
            if (e && e->id == id && e->audio && e->until > position) {
                r->audio_from = id;
                break;
            }
        }
    if (resumes)
        r->control_from = r->cursor = seen + 1;
    else {
        if (r->audio_from < r->cursor) r->cursor = r->audio_from;
        r->first[0] = state;
        r->first[1] = start;
        state = start = NULL;
    }
    r->next = f->readers;
    if (f->readers) f->readers->prev = r;
    f->readers = r;
    f->n_readers++;
    pthread_mutex_unlock(&f->lock);
    free(state);
    free(start);
    ishow_handle_made();
    return r;
}

void ishow_chat_reader_close(ishow_chat_reader *r) {
    if (!r) return;
    broadcast *f = r->broadcast;
    pthread_mutex_lock(&f->lock);
    if (r->prev)
        r->prev->next = r->next;
    else
        f->readers = r->next;
    if (r->next) r->next->prev = r->prev;
    f->n_readers--;
    pthread_mutex_unlock(&f->lock);
    event_release(r->current);
    ishow_buffer_free(&r->own);
    free(r->first[0]);
    free(r->first[1]);
    free(r);
    ishow_handle_freed();
}

int ishow_chat_reader_ready(ishow_chat_reader *r) {
    pthread_mutex_lock(&r->broadcast->lock);
    int ready = r->cursor < r->broadcast->next || r->current || r->own.n > r->own_offset || r->first[0] || r->first[1];
    pthread_mutex_unlock(&r->broadcast->lock);
    return ready || ishow_now() - r->spoke >= KEEP_ALIVE;
}

static int wanted(const ishow_chat_reader *r, const event *e) {
    return e && (e->audio ? e->id >= r->audio_from : e->id >= r->control_from);
}

/* Bytes that the reader has not read, and how many of these events are audio. */
static size_t unread(const ishow_chat_reader *r, size_t *n_audio) {
    size_t n = 0;
    *n_audio = 0;
    for (uint64_t id = r->cursor; id < r->broadcast->next; id++) {
        const event *e = r->broadcast->ring[id % EVENTS];
        if (!wanted(r, e)) continue;
        n += e->text.n;
        *n_audio += e->audio != 0;
    }
    return n;
}

/* Skips events that are too old for the reader; lock held. */
static void catch_up(ishow_chat_reader *r) {
    const broadcast *f = r->broadcast;
    size_t n_audio;
    if (f->next > EVENTS && r->cursor < f->next - EVENTS) {
        r->missed += f->next - EVENTS - r->cursor;
        r->cursor = f->next - EVENTS;
    }
    if (f->next - r->cursor < 2) return;
    size_t n = unread(r, &n_audio);
    if (n <= ISHOW_CHAT_READER_BYTES) return;
    r->missed += n_audio;
    r->audio_from = f->next;
    for (n = unread(r, &n_audio); n > ISHOW_CHAT_READER_BYTES; r->cursor++) {
        const event *e = f->ring[r->cursor % EVENTS];
        if (!wanted(r, e)) continue;
        n -= e->text.n;
        r->missed++;
    }
}

/* The next shared event, with a reference for the caller; NULL: none. */
static event *take_event(ishow_chat_reader *r) {
    broadcast *f = r->broadcast;
    event *found = NULL;
    pthread_mutex_lock(&f->lock);
    catch_up(r);
    while (!found && !r->missed && r->cursor < f->next) {
        event *e = f->ring[r->cursor++ % EVENTS];
        if (wanted(r, e)) found = e;
    }
    if (found) atomic_fetch_add(&found->refs, 1);
    pthread_mutex_unlock(&f->lock);
    return found;
}

/* The next event for this reader only: one of the first two, or a count of skipped events. 1: *name and *json (free())
 * are set. */
static int own_event(ishow_chat_reader *r, const char **name, char **json) {
    static const char *const names[] = {"state", "start"};
    for (int i = 0; i < 2; i++)
        if (r->first[i]) {
            *name = names[i];
            *json = r->first[i];
            r->first[i] = NULL;
            return 1;
        }
    if (!r->missed) return 0;
    char text[48];
    snprintf(text, sizeof text, "{\"missed\":%llu}", (unsigned long long)r->missed);
    r->missed = 0;
    *name = names[0];
    *json = ishow_strdup(text);
    return *json != NULL;
}

static size_t give(const ishow_buffer *from, size_t *offset, char *out, size_t most) {
    size_t n = from->n - *offset < most ? from->n - *offset : most;
    memcpy(out, from->data + *offset, n);
    *offset += n;
    return n;
}

size_t ishow_chat_reader_text(ishow_chat_reader *r, char *out, size_t most) {
    size_t n = 0;
    while (n < most) {
        if (r->own.n > r->own_offset)
            n += give(&r->own, &r->own_offset, out + n, most - n);
        else if (r->current) {
            n += give(&r->current->text, &r->offset, out + n, most - n);
            if (r->offset < r->current->text.n) break;
            event_release(r->current);
            r->current = NULL;
        } else {
            const char *name;
            char *json;
            ishow_buffer_free(&r->own);
            r->own_offset = r->offset = 0;
            if (own_event(r, &name, &json)) {
                write_text(&r->own, r->broadcast->run, 0, name, json, NULL);
                free(json);
            } else if (!(r->current = take_event(r)) && !r->missed)
                break;
        }
    }
    if (n)
        r->spoke = ishow_now();
    else if (most >= 3 && ishow_now() - r->spoke >= KEEP_ALIVE) { /* only a write detects that the client is gone */
        memcpy(out, ":\n\n", 3);
        r->spoke = ishow_now();
        return 3;
    }
    return n;
}

int ishow_chat_reader_frame(ishow_chat_reader *r, const unsigned char **data, size_t *n, int *binary) {
    const char *name;
    char *json;
    event_release(r->current);
    r->current = NULL;
    ishow_buffer_free(&r->own);
    for (;;) {
        if (own_event(r, &name, &json)) {
            write_json(&r->own, r->broadcast->run, 0, name, json);
            free(json);
            if (r->own.failed) return 0;
            *data = r->own.data;
            *n = r->own.n;
            *binary = 0;
            break;
        }
        if ((r->current = take_event(r))) {
            *data = r->current->frame.data;
            *n = r->current->frame.n;
            *binary = r->current->audio;
            break;
        }
        if (!r->missed) return 0;
    }
    r->spoke = ishow_now();
    return 1;
}
