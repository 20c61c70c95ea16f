/* Plays clips, and synthesises the next ones meanwhile.
 *
 * The server cannot know what listeners hear, so it is the clock: a clip plays for its duration from its start event,
 * and its audio is published in small pieces slightly ahead of the position. All listeners hear the same at the same
 * time, a new one joins at the current position, and a clip that is skipped or deleted stops within that lead. When
 * synthesis is slower than speech, the clock waits for it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/grow.h"
#include "chat/chat_internal.h"

static const double PIECE = 0.25, LEAD = 0.75, THIN = 0.1, RETRY = 0.25; /* seconds */
static const double PACE_LEAST = 0.5, PACE_MOST = 2;                     /* of an ordinary voice */
static const double PACE_FROM = 1; /* seconds; a shorter clip is too short for a measurement */
enum { PLAN_MAX = 16 };

double play_position(ishow_chat *c, double now) {
    const item *it = c->playing;
    if (it && it->state == ITEM_PLAYING && !c->paused) {
        const double made = (double)it->n / c->synth.sample_rate;
        c->position += now - c->position_at;
        if (c->position > made) c->position = made;
    }
    c->position_at = now;
    return c->position;
}

static double seconds_max(const ishow_chat *c, const item *it) {
    return it->priority >= ISHOW_CHAT_PRIORITY_PAID ? c->o.seconds_max_paid : c->o.seconds_max;
}

/* Duration of a clip in seconds, estimated until it is complete. */
static double clip_seconds(const ishow_chat *c, const item *it) {
    const double made = (double)it->n / c->synth.sample_rate;
    if (it->complete) return made;
    const double guess = it->said ? c->pace * count_seconds(it->said, 0, NULL) : 0, most = seconds_max(c, it);
    return guess > most ? most : guess > made ? guess : made;
}

double play_rest(const ishow_chat *c) {
    if (!c->playing) return 0;
    const double rest = clip_seconds(c, c->playing) - c->position;
    return rest > 0 ? rest : 0;
}

/* Where the caption that begins at *p ends: before a space, and in scripts without spaces where the next spoken word
 * begins. `at` is the character at p; *next becomes the character at the end. */
static const char *caption_end(const item *it, const char *p, size_t at, size_t *next) {
    size_t k = 0;
    const char *end = p;
    while (k < it->n_words && it->words[k].offset <= at) k++;
    for (uint32_t code = 0; *end && *end != ' ';) {
        const char *before = end;
        if (end > p && code > 0x7F && k < it->n_words && it->words[k].offset == at) break;
        code = ishow_utf8_next(&end);
        if (code == UINT32_MAX) end = before + 1;
        at++;
        while (k < it->n_words && it->words[k].offset < at) k++;
    }
    *next = at;
    return end;
}

/* [[from, to, "word"], ...]. Words that are made have the engine's times; the others divide the rest of the clip by
 * their lengths. *timed: words up to the last one that has the engine's times. */
static json_t *captions(const item *it, double seconds, size_t *timed) {
    json_t *list = json_array();
    double from = 0, to = 0;
    *timed = 0;
    size_t at = 0, k = 0, next = 0, left = ishow_utf8_length(it->said) + 1;
    for (const char *p = it->said, *end; *p; p = end, at = next) {
        if (*p == ' ') {
            end = p + 1;
            next = at + 1;
            continue;
        }
        end = caption_end(it, p, at, &next);
        while (k < it->n_words && it->words[k].offset + it->words[k].length <= at) k++;
        if (k < it->n_words && it->words[k].offset < next) {
            from = it->words[k].start;
            for (; k < it->n_words && it->words[k].offset < next; k++) to = it->words[k].end;
            *timed = json_array_size(list) + 1;
        } else {
            from = to;
            if (k == it->n_words && left > at && seconds > from)
                to = from + (seconds - from) * (double)(next - at + 1) / (double)(left - at);
        }
        char *word = span_copy((ishow_span){p, (size_t)(end - p)});
        if (!word) break;
        json_array_append_new(list, json_pack("[ffs]", round(from * 1e3) / 1e3, round(to * 1e3) / 1e3, word));
        free(word);
    }
    return list;
}

json_t *play_start(ishow_chat *c) {
    const item *it = c->playing;
    if (!it || it->state != ITEM_PLAYING) return NULL;
    const double seconds = clip_seconds(c, it);
    json_t *object = item_json(it);
    if (!object) return NULL;
    json_object_set_new(object, "said", json_string(it->said));
    json_object_set_new(object, "sample_rate", json_integer(c->synth.sample_rate));
    json_object_set_new(object, "at", json_real(round(c->position * 1e3) / 1e3));
    json_object_set_new(object, "duration", json_real(round(seconds * 1e3) / 1e3));
    json_object_set_new(object, "exact", json_boolean(it->complete));
    size_t timed;
    json_object_set_new(object, "captions", captions(it, seconds, &timed));
    json_object_set_new(object, "timed", json_integer((json_int_t)timed));
    json_object_set_new(object, "replay", json_boolean(c->replaying));
    return object;
}

/* ---- synthesis ---- */

static ishow_chat_reason reason_of(ishow_status status) {
    return status == ISHOW_EINVAL ? ISHOW_CHAT_BY_UNSPEAKABLE : ISHOW_CHAT_BY_FAILURE;
}

/* 1 when the message can be tried again: the engine is full or shuts down. */
static int is_refusal(ishow_status status) {
    return status == ISHOW_EBUSY || status == ISHOW_ESTATE || status == ISHOW_ECANCELLED;
}

static void drop(ishow_chat *c, item *it, ishow_status status) {
    chat_settle(c, it, &c->counts.dropped[reason_of(status)], ishow_chat_reason_name(reason_of(status)), 0);
}

/* Begins the item's clip. 1: begun; 0: try again later; -1: the item was dropped. before: the viewer whose message
 * plays before it. */
static int make(ishow_chat *c, item *it, const char *before, double before_at, double now) {
    if (it->said) return 1;
    if (now < it->retry_at) return 0;
    ishow_error error = {0};
    int names = !(before && !strcmp(before, it->viewer) && c->o.name_again_seconds > 0 &&
                  now - before_at <= c->o.name_again_seconds);
    char *said = say_item(it, &c->o, c->synth.scripts, names);
    if (!said) return 0;
    const char *own = it->kind == ISHOW_CHAT_KIND_TEXT && *it->text
                          ? it->text
                          : NULL; /* a payment's own sentence is read even if the text cannot be */
    ishow_status status = c->synth.start(c->synth.self, said, own, it->voice[0] ? it->voice : NULL,
                                         it->priority >= ISHOW_CHAT_PRIORITY_PAID, !c->playing, &it->clip, &error);
    if (status == ISHOW_OK) {
        it->said = said;
        it->names = names;
        return 1;
    }
    free(said);
    it->clip = NULL;
    if (is_refusal(status)) {
        it->retry_at = now + RETRY;
        return 0;
    }
    if (status == ISHOW_ENOTFOUND && it->voice[0]) { /* the voice has been removed */
        it->voice[0] = '\0';
        return make(c, it, before, before_at, now);
    }
    ishow_log_request(ISHOW_LOG_WARN, "chat", it->id, "cannot be read: %s", error.message);
    drop(c, it, status);
    return -1;
}

static int append(item *it, const float *samples, size_t n) {
    float *more = ishow_grow(it->pcm, &it->capacity, it->n + n, sizeof *more);
    if (!more) return 0;
    it->pcm = more;
    memcpy(it->pcm + it->n, samples, n * sizeof *samples);
    it->n += n;
    return 1;
}

/* Updates the pace of the voice from a finished clip. */
static void learn_pace(ishow_chat *c, double pace) {
    if (pace < PACE_LEAST) pace = PACE_LEAST;
    if (pace > PACE_MOST) pace = PACE_MOST;
    c->pace += 0.1 * (pace - c->pace);
    filter_set_pace(c->filter, c->pace);
}

/* Ends a clip at its maximum duration; the rest is not synthesised. */
static void end_early(ishow_chat *c, item *it, size_t most) {
    const size_t heard = it == c->playing && it->state == ITEM_PLAYING ? c->sent : 0;
    it->n = heard >= most ? heard : fade_end(it->pcm, heard, most, c->synth.sample_rate);
    c->counts.cut += !it->cut;
    it->cut = 1;
    ishow_log_request(ISHOW_LOG_INFO, "chat", it->id, "ends after %.1f s", (double)it->n / c->synth.sample_rate);
}

/* Keeps the words of the samples received last; without memory their times are estimated. */
static void keep_words(ishow_chat *c, item *it) {
    const ishow_word *words;
    size_t n;
    if (!c->synth.words) return;
    c->synth.words(c->synth.self, it->clip, &words, &n);
    ishow_word *more = n ? realloc(it->words, (it->n_words + n) * sizeof *more) : NULL;
    if (!more) return;
    memcpy(more + it->n_words, words, n * sizeof *words);
    it->words = more;
    it->n_words += n;
}

/* Collects the samples that are ready. The status is the clip's failure. */
static ishow_status collect(ishow_chat *c, item *it) {
    ishow_error error = {0};
    const size_t most = (size_t)(seconds_max(c, it) * c->synth.sample_rate);
    int early = 0;
    while (it->clip) {
        const float *samples = NULL;
        size_t n = 0;
        ishow_status status = c->synth.next(c->synth.self, it->clip, &samples, &n, &error);
        if (status == ISHOW_EAGAIN) return ISHOW_OK;
        if (status == ISHOW_OK && n) {
            if (!append(it, samples, n))
                status = ISHOW_ENOMEM;
            else if (it->n <= most) {
                keep_words(c, it);
                continue;
            } else {
                end_early(c, it, most);
                early = 1;
            }
        }
        c->synth.free(c->synth.self, it->clip);
        it->clip = NULL;
        it->complete = 1;
        if (status == ISHOW_OK && !it->n) status = ISHOW_EINVAL;
        if (status != ISHOW_OK) {
            ishow_log_request(status == ISHOW_EINVAL ? ISHOW_LOG_INFO : ISHOW_LOG_WARN, "chat", it->id,
                              "could not be read: %s", error.message);
            return status;
        }
        c->counts.clips_made++;
        const double seconds = (double)it->n / c->synth.sample_rate, guess = count_seconds(it->said, 0, NULL);
        c->clip_seconds += 0.1 * (seconds - c->clip_seconds);
        if (guess > PACE_FROM && !early) learn_pace(c, seconds / guess);
    }
    return ISHOW_OK;
}

static void collect_all(ishow_chat *c, double now) {
    for (int p = 0; p < ISHOW_CHAT_PRIORITIES; p++)
        for (item *it = c->queue.first[p], *next; it; it = next) {
            next = it->next;
            ishow_status status = collect(c, it);
            if (is_refusal(status)) {
                clip_free(c, it);
                it->retry_at = now + RETRY;
            } else if (status != ISHOW_OK)
                drop(c, it, status);
        }
}

/* Frees clips that were made ahead but are no longer next, beyond a limit. */
static void bound_clips(ishow_chat *c, item *const *plan, size_t n_plan) {
    size_t held = 0;
    for (int p = ISHOW_CHAT_PRIORITY_GIFT; p >= 0; p--)
        for (item *it = c->queue.first[p]; it; it = it->next) {
            size_t i = 0;
            if (!it->said) continue;
            while (i < n_plan && plan[i] != it) i++;
            if (i == n_plan && ++held > c->o.prefetch + 1) clip_free(c, it);
        }
}

/* Begins the clips of the items that play next. */
static void make_ahead(ishow_chat *c, double now) {
    item *plan[PLAN_MAX];
    for (int again = 1; again;) {
        again = 0;
        size_t n = queue_plan(&c->queue, now, plan, c->o.prefetch + !c->playing);
        const char *before = c->heard;
        double before_at = c->heard_at;
        for (size_t i = 0; i < n; i++) {
            int made = make(c, plan[i], before, before_at, now);
            if (made < 0) {
                again = 1; /* the item was freed: plan again */
                break;
            }
            if (!made) break;
            before = plan[i]->viewer;
            before_at = now;
        }
        if (!again) bound_clips(c, plan, n);
    }
}

/* ---- playing ---- */

static void begin(ishow_chat *c, double now) {
    item *it = c->playing;
    it->state = ITEM_PLAYING;
    c->position = 0;
    c->position_at = now;
    c->sent = 0;
    c->seq = 0;
    char *heard = ishow_strdup(it->viewer);
    if (heard) {
        free(c->heard);
        c->heard = heard;
        c->heard_at = now;
    }
    broadcast_clip(c->broadcast, 1);
    chat_publish(c, "start", play_start(c));
    c->changed = 1;
}

void play_end(ishow_chat *c, const char *why) {
    item *it = c->playing;
    chat_publish(c, "end",
                 json_pack("{ss,ss,sf,sb}", "id", it->id, "reason", why, "at", round(c->position * 1e3) / 1e3, "replay",
                           c->replaying));
    broadcast_clip(c->broadcast, 0);
    if (!c->replaying && c->last) {
        clip_free(c, c->last);
        item_free(c->last);
    }
    if (it->clip) { /* cut off before it was complete: not worth a replay */
        c->synth.free(c->synth.self, it->clip);
        it->clip = NULL;
    }
    c->last = it;
    c->playing = NULL;
    c->replaying = 0;
    c->gap_until = chat_now(c) + c->o.gap_seconds;
    c->changed = 1;
}

void play_cut_off(ishow_chat *c, uint64_t *counter, const char *why) {
    play_position(c, chat_now(c));
    if (!c->replaying) {
        c->counts.clips_wasted++;
        chat_settle(c, c->playing, counter, NULL, 1);
    }
    play_end(c, why);
}

void play_forget_last(ishow_chat *c) {
    if (!c->last || c->last == c->playing) return;
    clip_free(c, c->last);
    item_free(c->last);
    c->last = NULL;
    c->again = 0;
}

static void settle_playing(ishow_chat *c, uint64_t *counter) {
    if (!c->replaying) chat_settle(c, c->playing, counter, NULL, 1);
}

/* Publishes the pieces that are due; returns seconds until the next one. */
static double send(ishow_chat *c, double now) {
    item *it = c->playing;
    const double rate = c->synth.sample_rate;
    const size_t piece = (size_t)(PIECE * rate);
    const double position = play_position(c, now);
    if (c->paused) return 1;
    /* Samples where a clip that is too long may be ended are not published before its end is known. */
    const size_t open_end = (size_t)((seconds_max(c, it) - CLIP_END_SECONDS) * rate);
    const size_t made = it->complete || it->n < open_end ? it->n : open_end;
    while (c->sent < made && (double)c->sent / rate < position + LEAD) {
        size_t n = made - c->sent < piece ? made - c->sent : piece;
        if (n < piece && !it->complete && (double)c->sent / rate > position + THIN)
            break; /* the rest of this piece may still arrive */
        const double from = (double)c->sent / rate, to = (double)(c->sent + n) / rate;
        json_t *object = json_pack("{ss,sI}", "id", it->id, "seq", (json_int_t)c->seq++);
        json_add(&object, "t0", json_real(round(from * 1e4) / 1e4));
        json_add(&object, "t1", json_real(round(to * 1e4) / 1e4));
        json_add(&object, "sample_rate", json_integer(c->synth.sample_rate));
        json_add(&object, "duration", it->complete ? json_real(round((double)it->n / rate * 1e3) / 1e3) : json_null());
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        if (text) broadcast_audio(c->broadcast, text, it->pcm + c->sent, n, c->synth.sample_rate, to);
        free(text);
        json_decref(object);
        c->sent += n;
    }
    if (c->sent < made) {
        const double due = (double)c->sent / rate - LEAD - position;
        return due > 0.005 ? due : 0.005;
    }
    if (!it->complete) return 1; /* new samples wake the thread */
    const double rest = (double)it->n / rate - position;
    if (rest > 1e-6) return rest;
    settle_playing(c, &c->counts.spoken);
    if (c->replaying) c->counts.replayed++;
    play_end(c, "spoken");
    return 0;
}

/* Begins the next item once it has audio. Returns seconds until the next try, 0 when one was begun. */
static double take(ishow_chat *c, double now) {
    item *it = NULL;
    const int again = c->again && c->last && c->last->complete;
    c->again = 0;
    if (again) {
        c->replaying = 1;
        c->playing = c->last;
        begin(c, now);
        return 0;
    }
    if (!queue_plan(&c->queue, now, &it, 1)) return 1;
    if (it->said && !it->names && (!c->heard || strcmp(c->heard, it->viewer)))
        clip_free(c, it); /* another viewer's message was read in between: the name must be read */
    if (!it->said && make(c, it, c->heard, c->heard_at, now) <= 0) return RETRY;
    if (!it->n) return 1;
    queue_remove(&c->queue, it);
    queue_taken(&c->queue, it);
    c->playing = it;
    if (!c->has_journal) {
        begin(c, now);
        return 0;
    }
    /* Marked before it plays: after a crash a message has either been heard or is reported as interrupted, never lost
     * or repeated. */
    it->state = ITEM_MARKED;
    c->journal.mark(c->journal.self, it->number);
    c->mark = chat_sync(c);
    c->ask_at = now + 1;
    return 0;
}

static void expire(ishow_chat *c, double now) {
    const int lists[] = {ISHOW_CHAT_PRIORITY_NORMAL, QUEUE_HELD};
    for (int k = 0; k < 2 && c->o.expire_seconds > 0; k++)
        for (item *it = c->queue.first[lists[k]], *next; it; it = next) {
            next = it->next;
            if (it->priority == ISHOW_CHAT_PRIORITY_NORMAL && now - it->arrived > c->o.expire_seconds)
                chat_settle(c, it, &c->counts.dropped[ISHOW_CHAT_BY_EXPIRED],
                            ishow_chat_reason_name(ISHOW_CHAT_BY_EXPIRED), 0);
        }
}

double play_step(ishow_chat *c, double now) {
    double wait = 1;
    expire(c, now);
    collect_all(c, now);
    for (int turns = 0; turns < 4; turns++) { /* the end of a clip is followed by the next one */
        if (c->playing) {
            ishow_status status = collect(c, c->playing);
            if (status != ISHOW_OK) {
                settle_playing(c, &c->counts.dropped[reason_of(status)]);
                play_end(c, "failed");
                continue;
            }
            if (c->playing->state == ITEM_MARKED) {
                if (!chat_answered(c, c->mark)) {
                    if (now >= c->ask_at) { /* the store's queue may have been full */
                        chat_sync(c);
                        c->ask_at = now + 1;
                    }
                    break;
                }
                begin(c, now);
            }
            wait = send(c, now);
        } else if (c->paused || c->finishing)
            break;
        else if (now < c->gap_until) {
            wait = c->gap_until - now;
            break;
        } else
            wait = take(c, now);
        if (wait > 0) break;
    }
    if (!c->finishing) make_ahead(c, now);
    return wait;
}
