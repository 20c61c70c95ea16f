/* A busy chat in simulated time: 50 messages a second with raids, floods, abuse, deletions, purges by moderators,
 * reconnections that deliver messages again, and a process that is killed and restarted; a fake model speaks by the
 * same clock. ISHOW_STORM_SECONDS (300): its duration; ISHOW_STORM_CSV: a file for the measurements. */
#include <jansson.h>
#include <malloc.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "fake_chat.h"

enum { VIEWERS = 5000, LAST = 256, RATE = 50, TEXT = 400, SENT = 65536, USERS = 4096 };
static const double TURN = 0.02; /* seconds between two checks of the chat */

typedef struct sent {
    char id[24], user[32], text[TEXT];
    ishow_chat_priority priority;
    unsigned roles;
    int amount; /* 0: none */
    char currency[4];
} sent;

/* What is recorded when a message is accepted, at its number % SENT. */
typedef struct accepted {
    double at, bound; /* bound: the sum of the seconds that all clips so far may have taken */
    uint32_t user;    /* a hash */
    int alone;        /* no other message of its viewer waited: its place is that of its number */
    int waits;
} accepted;

typedef struct paid {
    char id[24];
    double at, running;
    int ended; /* the clip that played when it came */
    struct paid *next;
} paid; /* waits, and none of its priority before it */

typedef struct storm {
    fake_clock clock;
    fake_synth synth;
    fake_journal *journal;
    ishow_chat_options o;
    ishow_chat *chat;
    ishow_chat_reader *reader;
    uint64_t dice, number;
    sent last[LAST]; /* the latest messages, at number % LAST */
    double raid_until, flood_until, silent_until, paused_until;
    char flooder[32], raid_text[TEXT];
    /* the clip that plays, according to the events */
    double started, duration;
    int plays;
    paid *waiting_paid;
    uint64_t newest[ISHOW_CHAT_PRIORITIES]; /* number of the last clip of each priority */
    /* of all lives */
    ishow_chat_counts sum;
    uint64_t events, audio, starts, ends, paid_measured, lives;
    double worst_paid, audio_seconds;
    int breaches_of_order;
    accepted *accepted;
    unsigned waiting_of[USERS]; /* number of messages of the viewers with this hash */
    double bound, bound_now;    /* of all clips that started, and of the one that plays */
    double paused_seconds, paused_since, longest_clip, longest_paid_clip, worst_wait, worst_wait_of_bound;
    uint64_t abuse;
} storm;

static uint32_t roll(storm *s, uint32_t n) {
    s->dice ^= s->dice << 13;
    s->dice ^= s->dice >> 7;
    s->dice ^= s->dice << 17;
    return (uint32_t)(s->dice >> 33) % n;
}

static int chance(storm *s, double p) { return roll(s, 1000000) < p * 1e6; }

static void open_chat(storm *s) {
    ishow_error error = {0};
    const ishow_chat_synth synth = fake_synth_table(&s->synth);
    const ishow_chat_journal journal = fake_journal_table(s->journal);
    if (ishow_chat_create(&s->chat, &s->o, &synth, &journal, &error) != ISHOW_OK) fail_msg("%s", error.message);
    if (ishow_chat_reader_open(&s->reader, s->chat, NULL, &error) != ISHOW_OK) fail_msg("%s", error.message);
    s->lives++;
}

static void add_counts(storm *s) {
    ishow_chat_counts n;
    fake_check_counts(s->chat);
    ishow_chat_counts_get(s->chat, &n);
    s->sum.received += n.received - n.recovered;
    s->sum.spoken += n.spoken;
    s->sum.deleted += n.deleted;
    s->sum.skipped += n.skipped;
    s->sum.merged += n.merged;
    s->sum.cut += n.cut;
    s->sum.clips_made += n.clips_made;
    s->sum.clips_wasted += n.clips_wasted;
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++) s->sum.dropped[i] += n.dropped[i];
    s->sum.waiting = n.waiting;
}

/* ---- what people write ---- */

static void write_abuse(storm *s, char *out) {
    static const struct {
        const char *part;
        int times;
    } kinds[] = {{"9", 280},        {"xD", 140},          {"buy now ", 35},      {"1234567890", 20},
                 {"a", 390},        {"b0ss ", 1},         {"b o s s ", 1},       {"bo\uE000ss ", 1},
                 {"boooooss ", 1},  {"b\u043Ess ", 1},    {"look at this ", 30}, {"$ % & ", 60},
                 {"WWWWMMMM ", 40}, {"\u00E9\u0301", 90}, {"999 ", 90}};
    const size_t k = roll(s, sizeof kinds / sizeof *kinds);
    size_t n = 0;
    for (int i = 0; i < kinds[k].times && n + strlen(kinds[k].part) < TEXT - 24; i++)
        n += (size_t)sprintf(out + n, "%s", kinds[k].part);
    if (roll(s, 2)) sprintf(out + n, " %u", roll(s, 1000)); /* not the same text again */
    s->abuse++;
}

static void write_text(storm *s, char *out) {
    static const char *const words[] = {
        "that",  "was",   "a",      "great",  "play", "the",  "stream", "looks", "good", "today", "how",      "do",
        "you",   "feel",  "about",  "this",   "game", "boss", "never",  "gives", "up",   "hello", "from",     "sweden",
        "again", "music", "please", "louder", "chat", "is",   "fast",   "nice",  "one",  "what",  "happened", "there"};
    static const char *const extras[] = {"😀",         ":wave:",      "https://example.org/clip",
                                         "KEKW",      "¯\\_(ツ)_/¯", "你好",
                                         "LOOOOOOOL", "<3",          "@room",
                                         "(´・ω・`)", "привет",      "!!!!!!"};
    size_t n = 0, many = 1 + roll(s, roll(s, 8) ? 9 : 60);
    out[0] = '\0';
    for (size_t i = 0; i < many && n < TEXT - 40; i++)
        n += (size_t)sprintf(out + n, "%s%s", i ? " " : "",
                             roll(s, 12) ? words[roll(s, sizeof words / sizeof *words)]
                                         : extras[roll(s, sizeof extras / sizeof *extras)]);
}

/* NULL: all. */
static void forget_paid(storm *s, const char *id) {
    for (paid **at = &s->waiting_paid; *at;) {
        paid *p = *at;
        if (id && strcmp(p->id, id)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p);
    }
}

static uint32_t user_hash(const char *user) {
    uint32_t h = 2166136261u;
    for (; *user; user++) h = (h ^ (unsigned char)*user) * 16777619u;
    return h % USERS;
}

static void send_one(storm *s, const sent *m) {
    ishow_chat_status before;
    ishow_chat_verdict v;
    ishow_error error = {0};
    ishow_chat_message out = fake_message(m->id, m->user, m->text);
    out.priority = m->priority;
    out.roles = m->roles;
    if (m->priority >= ISHOW_CHAT_PRIORITY_PAID && m->amount > 0) {
        out.kind = ISHOW_CHAT_KIND_PAID;
        out.amount_micros = (int64_t)m->amount * 1000000;
        strcpy(out.currency, m->currency);
    }
    ishow_chat_status_get(s->chat, &before);
    if (ishow_chat_receive(s->chat, &out, &v, NULL, NULL, &error) != ISHOW_OK) fail_msg("%s", error.message);
    if (v.accepted && !v.merged) {
        accepted *a = &s->accepted[strtoull(m->id + 1, NULL, 10) % SENT];
        *a = (accepted){s->clock.now - s->paused_seconds, s->bound - (s->plays ? s->bound_now : 0), user_hash(m->user),
                        0, 1};
        a->alone = !s->waiting_of[a->user]++ && !m->amount;
    }
    if (v.accepted && m->priority >= ISHOW_CHAT_PRIORITY_PAID) forget_paid(s, NULL); /* may be placed before them */
    const int first = before.by_priority[ISHOW_CHAT_PRIORITY_PAID] + before.by_priority[ISHOW_CHAT_PRIORITY_GIFT] == 0;
    if (v.accepted && m->priority == ISHOW_CHAT_PRIORITY_PAID && first && before.playing && !before.paused &&
        s->plays) {
        paid *p = calloc(1, sizeof *p);
        assert_non_null(p);
        strcpy(p->id, m->id);
        p->at = s->clock.now;
        p->running = s->duration;
        p->next = s->waiting_paid;
        s->waiting_paid = p;
    }
}

static void write_one(storm *s) {
    sent *m = &s->last[++s->number % LAST];
    const int raid = s->clock.now < s->raid_until, flood = s->clock.now < s->flood_until && roll(s, 3) == 0;
    snprintf(m->id, sizeof m->id, "s%llu", (unsigned long long)s->number);
    const uint32_t who = roll(s, 1 + roll(s, VIEWERS)); /* some viewers write much, most little */
    if (flood)
        strcpy(m->user, s->flooder);
    else
        snprintf(m->user, sizeof m->user, "user%u", raid ? VIEWERS + roll(s, 20000) : who);
    if (raid && roll(s, 3))
        strcpy(m->text, s->raid_text);
    else if (chance(s, 0.1))
        write_abuse(s, m->text);
    else
        write_text(s, m->text);
    m->priority = chance(s, 0.002)    ? ISHOW_CHAT_PRIORITY_PAID
                  : chance(s, 0.0005) ? ISHOW_CHAT_PRIORITY_GIFT
                                      : ISHOW_CHAT_PRIORITY_NORMAL;
    static const char *const currencies[] = {"USD", "CNY", "JPY", "EUR"};
    m->amount = m->priority >= ISHOW_CHAT_PRIORITY_PAID && roll(s, 2) ? 1 + (int)roll(s, 2000) : 0;
    strcpy(m->currency, currencies[roll(s, 4)]);
    m->roles = chance(s, 0.003) ? ISHOW_CHAT_ROLE_MODERATOR : 0;
    if (m->roles && m->priority == ISHOW_CHAT_PRIORITY_NORMAL) m->priority = ISHOW_CHAT_PRIORITY_MODERATOR;
    if (s->clock.now >= s->silent_until) send_one(s, m);
}

/* ---- what is heard ---- */

static void leave(storm *s, uint64_t number) {
    accepted *a = &s->accepted[number % SENT];
    if (a->waits && s->waiting_of[a->user]) s->waiting_of[a->user]--;
    a->waits = 0;
}

static void check_start(storm *s, json_t *event) {
    const char *id = json_string_value(json_object_get(event, "id"));
    ishow_chat_priority priority;
    assert_true(ishow_chat_priority_find(json_string_value(json_object_get(event, "priority")), &priority));
    s->starts++;
    s->plays = 1;
    s->started = s->clock.now;
    s->duration = json_number_value(json_object_get(event, "duration"));
    for (const paid *p = s->waiting_paid; p; p = p->next)
        if (!strcmp(p->id, id)) {
            /* for the clip that played, and for the synthesis of its own */
            const double due = (p->running > 1 ? p->running : 1) + s->synth.make_ratio * s->duration;
            const double wait = (s->clock.now - p->at) / due;
            if (wait > s->worst_paid) s->worst_paid = wait;
            s->paid_measured++;
        }
    forget_paid(s, id);
    const double most = priority >= ISHOW_CHAT_PRIORITY_PAID ? s->o.seconds_max_paid : s->o.seconds_max;
    if (json_is_true(json_object_get(event, "replay"))) {
        s->bound_now = most;
        s->bound += most + s->o.gap_seconds;
        return;
    }
    const uint64_t number = strtoull(id + 1, NULL, 10);
    const accepted a = s->accepted[number % SENT];
    /* No message waits longer than all clips before it and its own synthesis may take. */
    const double wait = s->clock.now - s->paused_seconds - a.at, bound = s->bound - a.bound + most;
    s->bound_now = most;
    s->bound += most + s->o.gap_seconds;
    if (a.waits && wait > s->worst_wait) s->worst_wait = wait;
    if (a.waits && wait / bound > s->worst_wait_of_bound) s->worst_wait_of_bound = wait / bound;
    leave(s, number);
    /* Repeats raise the message with which they are merged; payments are ordered by their worth; a viewer's second
     * message is placed later. */
    if (!a.alone || json_array_size(json_object_get(event, "merged"))) return;
    if (number < s->newest[priority])
        s->breaches_of_order++;
    else
        s->newest[priority] = number;
}

static void listen_now(storm *s) {
    const unsigned char *data;
    size_t n;
    int binary;
    while (ishow_chat_reader_frame(s->reader, &data, &n, &binary)) {
        s->events++;
        if (binary) {
            s->audio++;
            continue;
        }
        json_t *event = json_loadb((const char *)data, n, 0, NULL);
        const char *name = json_string_value(json_object_get(event, "event"));
        assert_null(json_object_get(event, "missed"));
        if (!strcmp(name, "start")) check_start(s, event);
        if (!strcmp(name, "end")) {
            s->ends++;
            s->plays = 0;
            const double at = json_number_value(json_object_get(event, "at"));
            double *longest = s->bound_now > s->o.seconds_max ? &s->longest_paid_clip : &s->longest_clip;
            s->audio_seconds += at;
            if (at > *longest) *longest = at;
            for (paid *p = s->waiting_paid; p;
                 p = p->next) { /* the duration of a clip was an estimate when it started */
                if (!p->ended && p->running < at) p->running = at;
                p->ended = 1;
            }
        }
        json_t *ids = json_object_get(event, "ids"), *id;
        size_t i;
        json_array_foreach(ids, i, id) {
            forget_paid(s, json_string_value(id));
            leave(s, strtoull(json_string_value(id) + 1, NULL, 10));
        }
        json_decref(event);
    }
}

/* ---- what else happens, once a second ---- */

static void crash(storm *s) {
    /* A killed process leaves the rows as they are now; what happens while the chat is freed does not count. */
    fake_journal *kept = calloc(1, sizeof *kept);
    assert_non_null(kept);
    for (size_t i = 0; i < s->journal->n; i++) {
        kept->rows[kept->n] = s->journal->rows[i];
        kept->rows[kept->n++].record = strdup(s->journal->rows[i].record);
    }
    add_counts(s);
    ishow_chat_reader_close(s->reader);
    ishow_chat_free(s->chat);
    fake_journal_free(s->journal);
    free(s->journal);
    s->journal = kept;
    s->plays = 0;
    forget_paid(s, NULL);
    open_chat(s);
}

static void happen(storm *s, long second) {
    const double now = s->clock.now;
    if (second % 240 == 100) {
        s->raid_until = now + 30;
        snprintf(s->raid_text, sizeof s->raid_text, "the raid of number %ld is here", second);
    }
    if (second % 60 == 20) {
        s->flood_until = now + 8;
        snprintf(s->flooder, sizeof s->flooder, "flooder%ld", second);
    }
    if (second % 90 == 45) s->silent_until = now + 5;
    if (now >= s->silent_until &&
        now - 1 < s->silent_until) /* the connection is back, and delivers some messages a second time */
        for (uint64_t k = s->number > LAST ? s->number - LAST + 1 : 1; k <= s->number; k++)
            send_one(s, &s->last[k % LAST]);
    for (int i = 0; i < 2; i++)
        if (s->number > LAST && chance(s, 0.5)) ishow_chat_delete(s->chat, "test", "room", s->last[roll(s, LAST)].id);
    if (s->number > LAST && chance(s, 0.05))
        ishow_chat_delete_user(s->chat, "test", "room", s->last[roll(s, LAST)].user);
    if (chance(s, 0.02)) ishow_chat_skip(s->chat, NULL);
    if (chance(s, 0.005)) {
        ishow_chat_replay(s->chat);
        forget_paid(s, NULL); /* is placed before them as well */
    }
    if (chance(s, 0.003)) {
        ishow_chat_pause(s->chat, 1);
        s->paused_until = now + 5;
        s->paused_since = now;
        forget_paid(s, NULL);
    }
    if (s->paused_until > 0 && now >= s->paused_until) {
        ishow_chat_pause(s->chat, 0);
        s->paused_until = 0;
        s->paused_seconds += now - s->paused_since;
    }
    if (second % 600 == 590) ishow_chat_delete_all(s->chat, "test", "room");
    if (second % 420 == 210) crash(s);
    fake_check_counts(s->chat);
}

static void write_csv(const storm *s, double seconds, double before, double after) {
    const char *path = getenv("ISHOW_STORM_CSV");
    FILE *out = path && *path ? fopen(path, "w") : NULL;
    if (!out) return;
    uint64_t dropped = 0;
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++) dropped += s->sum.dropped[i];
    const struct {
        const char *name;
        double value;
        int decimals;
    } measures[] = {{"seconds", seconds, 0},
                    {"received", (double)s->sum.received, 0},
                    {"spoken", (double)s->sum.spoken, 0},
                    {"deleted", (double)s->sum.deleted, 0},
                    {"skipped", (double)s->sum.skipped, 0},
                    {"waiting", (double)s->sum.waiting, 0},
                    {"dropped", (double)dropped, 0},
                    {"merged", (double)s->sum.merged, 0},
                    {"clips_made", (double)s->sum.clips_made, 0},
                    {"clips_wasted", (double)s->sum.clips_wasted, 0},
                    {"audio_seconds", s->audio_seconds, 0},
                    {"starts", (double)s->starts, 0},
                    {"lives", (double)s->lives, 0},
                    {"paid_measured", (double)s->paid_measured, 0},
                    {"worst_paid_in_running_clips", s->worst_paid, 2},
                    {"breaches_of_order", s->breaches_of_order, 0},
                    {"abuse", (double)s->abuse, 0},
                    {"longest_clip_seconds", s->longest_clip, 2},
                    {"longest_paid_clip_seconds", s->longest_paid_clip, 2},
                    {"worst_wait_seconds", s->worst_wait, 1},
                    {"worst_wait_of_its_bound", s->worst_wait_of_bound, 3},
                    {"heap_after_a_quarter_bytes", before, 0},
                    {"heap_at_the_end_bytes", after, 0}};
    fprintf(out, "measure,value\n");
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        fprintf(out, "%s,%.*f\n", measures[i].name, measures[i].decimals, measures[i].value);
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++)
        fprintf(out, "dropped_%s,%llu\n", ishow_chat_reason_name((ishow_chat_reason)i),
                (unsigned long long)s->sum.dropped[i]);
    fclose(out);
}

/* Bytes in use; 0 when the allocator does not tell (sanitizers). */
static double heap(void) {
    const struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

static void test_storm(void **state) {
    (void)state;
    const char *asked = getenv("ISHOW_STORM_SECONDS");
    const long seconds = asked && atol(asked) > 0 ? atol(asked) : 300;
    const long handles = ishow_live_handles();
    static const char *const bots[] = {"nightbot"}, *const banned[] = {"boss"};
    storm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->dice = 88172645463325252u;
    s->clock.now = 1e6;
    fake_synth_init(&s->synth, &s->clock);
    s->journal = calloc(1, sizeof *s->journal);
    s->accepted = calloc(SENT, sizeof *s->accepted);
    assert_true(s->journal && s->accepted);
    s->o = ishow_chat_options_default();
    s->o.now = fake_clock_now;
    s->o.now_self = &s->clock;
    s->o.bots = (ishow_chat_words){bots, 1};
    s->o.banned_words = (ishow_chat_words){banned, 1};
    open_chat(s);
    double quarter = 0, due = 0;
    for (long turn = 0; turn < (long)(seconds / TURN); turn++) {
        const double rate = s->clock.now < s->raid_until ? 6 * RATE : s->clock.now < s->flood_until ? 1.5 * RATE : RATE;
        for (due += rate * TURN; due >= 1; due--) write_one(s);
        if (turn % 50 == 0) happen(s, turn / 50);
        if (turn == (long)(seconds / TURN / 4)) quarter = heap();
        ishow_chat_step(s->chat);
        listen_now(s);
        s->clock.now += TURN;
    }
    const double end = heap();
    add_counts(s);
    write_csv(s, (double)seconds, quarter, end);

    /* Every received message ended in exactly one way, over all restarts. */
    uint64_t sum = s->sum.spoken + s->sum.deleted + s->sum.skipped + s->sum.waiting;
    for (int i = 0; i < ISHOW_CHAT_REASONS; i++) sum += s->sum.dropped[i];
    assert_int_equal(s->sum.received, sum);
    assert_true(s->sum.received > (uint64_t)(seconds * RATE));
    assert_true(s->lives == (uint64_t)(seconds > 210 ? 1 + (seconds - 211) / 420 + 1 : 1));
    assert_true(s->audio_seconds > 0.85 * (double)seconds * (1 - 0.02)); /* it was silent for very little of the time */
    assert_int_equal(s->breaches_of_order, 0);
    assert_true(s->abuse > 0 && s->longest_clip > 0 && s->longest_paid_clip > 0);
    assert_true(s->longest_clip <= s->o.seconds_max + 1e-3 && s->longest_paid_clip <= s->o.seconds_max_paid + 1e-3);
    if (s->worst_wait_of_bound > 1)
        fail_msg("a message waited %.2f times as long as all clips before it may take", s->worst_wait_of_bound);
    assert_true(s->paid_measured > 0);
    if (s->worst_paid > 2) fail_msg("a paid message waited for %.2f times the running clip", s->worst_paid);
    assert_true(s->sum.dropped[ISHOW_CHAT_BY_RATE] > 0 && s->sum.dropped[ISHOW_CHAT_BY_FULL] > 0 &&
                s->sum.dropped[ISHOW_CHAT_BY_FLOOD] > 0);
    assert_true(s->sum.dropped[ISHOW_CHAT_BY_DUPLICATE] > 0 && s->sum.dropped[ISHOW_CHAT_BY_BANNED_WORD] > 0 &&
                s->sum.deleted > 0 && s->sum.merged > 0);
    if (end > quarter + 4e6) fail_msg("memory grew from %.0f to %.0f bytes", quarter, end);

    ishow_chat_reader_close(s->reader);
    ishow_chat_free(s->chat);
    forget_paid(s, NULL);
    fake_journal_free(s->journal);
    free(s->journal);
    free(s->accepted);
    free(s);
    assert_int_equal(ishow_live_handles(), handles);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return cmocka_run_group_tests_name("chat_storm", tests, NULL, NULL);
}
