/* The chat by a clock of its own: who is heard when, what is deleted, what survives a crash, what listeners get. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "fake_chat.h"
#include "ishow/defaults.h"

enum { LOG_MAX = 4096 };

typedef struct told { char name[16]; json_t *data; char id[64]; } told;

/* A chat with its fakes and one listener whose events are kept. */
typedef struct rig {
    fake_clock clock;
    fake_synth synth;
    fake_journal *journal;
    ishow_chat_options o;
    ishow_chat *chat;
    ishow_chat_reader *reader;
    told log[LOG_MAX];
    size_t n_log;
    char *text;
    size_t n_text;
    long handles;
} rig;

static void open_chat(rig *r) {
    ishow_error error = {0};
    const ishow_chat_synth synth = fake_synth_table(&r->synth);
    ishow_chat_journal journal;
    if (r->journal) journal = fake_journal_table(r->journal);
    if (ishow_chat_create(&r->chat, &r->o, &synth, r->journal ? &journal : NULL, &error) != ISHOW_OK) fail_msg("create: %s", error.message);
    if (ishow_chat_reader_open(&r->reader, r->chat, NULL, &error) != ISHOW_OK) fail_msg("reader: %s", error.message);
}

static rig *make(void) {
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->handles = ishow_live_handles();
    r->clock.now = 1000;
    fake_synth_init(&r->synth, &r->clock);
    r->o = ishow_chat_options_default();
    r->o.now = fake_clock_now;
    r->o.now_self = &r->clock;
    r->o.rate = 0;
    r->o.repeat_seconds = 0;
    r->o.flood_messages = 0;
    r->o.template_text = "{text}";
    return r;
}

static void forget_log(rig *r) {
    for (size_t i = 0; i < r->n_log; i++) json_decref(r->log[i].data);
    r->n_log = 0;
}

static void close_chat(rig *r) {
    fake_check_counts(r->chat);
    ishow_chat_reader_close(r->reader);
    ishow_chat_free(r->chat);
    r->chat = NULL;
    assert_int_equal(r->synth.alive, 0);
}

static void unmake(rig *r) {
    if (r->chat) close_chat(r);
    forget_log(r);
    free(r->text);
    if (r->journal) fake_journal_free(r->journal);
    free(r->journal);
    assert_int_equal(ishow_live_handles(), r->handles);
    free(r);
}

/* Splits what a reader has into events; every one has a name and an object. */
static size_t hear(ishow_chat_reader *reader, told *log, size_t n_log, char **rest, size_t *n_rest) {
    char part[700]; /* not a divisor of anything */
    size_t n;
    while ((n = ishow_chat_reader_text(reader, part, sizeof part))) {
        *rest = realloc(*rest, *n_rest + n + 1);
        assert_non_null(*rest);
        memcpy(*rest + *n_rest, part, n);
        (*rest)[*n_rest += n] = '\0';
    }
    char *p = *rest, *end;
    while (p && (end = strstr(p, "\n\n"))) {
        *end = '\0';
        if (*p != ':') {
            assert_true(n_log < LOG_MAX);
            told *t = &log[n_log++];
            memset(t, 0, sizeof *t);
            char *data = strstr(p, "\ndata: "), *name = strstr(p, "event: ");
            assert_non_null(data);
            assert_non_null(name);
            sscanf(name, "event: %15s", t->name);
            sscanf(p, "id: %63s", t->id);
            t->data = json_loads(data + 7, JSON_REJECT_DUPLICATES, NULL);
            if (!t->data) fail_msg("this is not JSON: %s", data);
        }
        p = end + 2;
    }
    if (p) {
        *n_rest = strlen(p);
        memmove(*rest, p, *n_rest + 1);
    }
    return n_log;
}

static void listen_now(rig *r) { r->n_log = hear(r->reader, r->log, r->n_log, &r->text, &r->n_text); }

static void run(rig *r, double seconds) {
    const double end = r->clock.now + seconds;
    while (r->clock.now < end - 1e-9) {
        fake_run(r->chat, &r->clock, end - r->clock.now < 0.2 ? end - r->clock.now : 0.2);
        listen_now(r);
    }
}

static const char *field(const told *t, const char *name) {
    const char *value = json_string_value(json_object_get(t->data, name));
    return value ? value : "";
}

static double number(const told *t, const char *name) { return json_number_value(json_object_get(t->data, name)); }

static size_t count(const rig *r, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_log; i++) n += !strcmp(r->log[i].name, name);
    return n;
}

/* The n-th event of a name, NULL: none. */
static const told *nth(const rig *r, const char *name, size_t n) {
    for (size_t i = 0; i < r->n_log; i++)
        if (!strcmp(r->log[i].name, name) && !n--) return &r->log[i];
    return NULL;
}

/* Ids of the clips that began, e.g. "a b c". */
static const char *heard(const rig *r) {
    static char out[4096];
    out[0] = '\0';
    for (size_t i = 0; i < r->n_log; i++)
        if (!strcmp(r->log[i].name, "start")) snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", *out ? " " : "", field(&r->log[i], "id"));
    return out;
}

static ishow_chat_verdict say_as(rig *r, const char *id, const char *user, const char *text, ishow_chat_priority priority) {
    ishow_chat_verdict v;
    ishow_error error = {0};
    ishow_chat_message m = fake_message(id, user, text);
    m.priority = priority;
    if (ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error) != ISHOW_OK) fail_msg("receive: %s", error.message);
    return v;
}

static ishow_chat_verdict say(rig *r, const char *id, const char *text, ishow_chat_priority priority) { return say_as(r, id, id, text, priority); }

static ishow_chat_counts counts(rig *r) {
    ishow_chat_counts n;
    ishow_chat_counts_get(r->chat, &n);
    return n;
}

/* 100 characters: 6 s to hear, 0.6 s to make. */
static const char *const LONG = "a012345678 b012345678 c012345678 d012345678 e012345678 f012345678 g012345678 h012345678 i012345678 j";

static void test_one_message(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_chat_verdict v = say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.accepted && v.position == 0 && v.number == 1);
    assert_int_equal(counts(r).waiting, 1);
    run(r, 8);
    assert_int_equal(count(r, "message"), 1);
    assert_int_equal(count(r, "start"), 1);
    assert_int_equal(count(r, "end"), 1);
    const told *start = nth(r, "start", 0), *end = nth(r, "end", 0);
    assert_string_equal(field(start, "said"), LONG);
    assert_true(fabs(number(start, "duration") - 6) < 0.01 && number(start, "at") == 0);
    json_t *captions = json_object_get(start->data, "captions"), *word;
    double from, to, before = 0;
    const char *text;
    size_t i;
    assert_int_equal(json_array_size(captions), 10);
    json_array_foreach(captions, i, word) {
        assert_int_equal(json_unpack(word, "[FFs]", &from, &to, &text), 0);
        assert_true(fabs(from - before) < 0.01 && to > from);
        before = to;
    }
    assert_true(fabs(before - 6) < 0.1);
    /* Audio: in order, without gaps, and never further ahead than the lead. */
    double at = 0;
    for (size_t n = 0; nth(r, "audio", n); n++) {
        const told *a = nth(r, "audio", n);
        assert_int_equal((int)number(a, "seq"), (int)n);
        assert_true(fabs(number(a, "t0") - at) < 1e-6);
        at = number(a, "t1");
        assert_true(*field(a, "audio_base64"));
    }
    assert_true(fabs(at - 6) < 1e-6);
    assert_string_equal(field(end, "reason"), "spoken");
    ishow_chat_counts n = counts(r);
    assert_true(n.received == 1 && n.spoken == 1 && n.waiting == 0 && n.clips_made == 1 && n.clips_wasted == 0);
    unmake(r);
}

static void test_order(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    say(r, "first", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1); /* it plays */
    say(r, "n1", "normal one", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "n2", "normal two", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1); /* both are made */
    ishow_chat_verdict v = say(r, "m1", "mention", ISHOW_CHAT_PRIORITY_MENTION);
    assert_int_equal(v.position, 1);
    say(r, "mod", "moderator", ISHOW_CHAT_PRIORITY_MODERATOR);
    say(r, "p1", "paid one", ISHOW_CHAT_PRIORITY_PAID);
    say(r, "g1", "gift", ISHOW_CHAT_PRIORITY_GIFT);
    v = say(r, "p2", "paid two", ISHOW_CHAT_PRIORITY_PAID);
    assert_int_equal(v.position, 3); /* what plays, the gift, the first that paid */
    assert_true(v.eta > 4 && v.eta < 20);
    say(r, "n3", "normal three", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 20);
    assert_string_equal(heard(r), "first g1 p1 p2 mod m1 n1 n2 n3");
    assert_int_equal(counts(r).clips_wasted, 0);
    unmake(r);
}

static void test_ageing(void **state) {
    (void)state;
    rig *r = make();
    r->o.ageing_seconds = 10;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say(r, "old", "an old normal message", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 11);
    say(r, "mention", "a new mention", ISHOW_CHAT_PRIORITY_MENTION); /* one priority more, ten seconds later */
    say(r, "mod", "a new moderator", ISHOW_CHAT_PRIORITY_MODERATOR);
    ishow_chat_pause(r->chat, 0);
    run(r, 8);
    assert_string_equal(heard(r), "mod old mention");
    forget_log(r);
    /* A stream of gifts leaves every fourth turn to the rest, when that has waited. */
    ishow_chat_pause(r->chat, 1);
    char id[16];
    for (int i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "n%d", i);
        say(r, id, id, ISHOW_CHAT_PRIORITY_NORMAL);
    }
    run(r, 11);
    for (int i = 0; i < 7; i++) {
        snprintf(id, sizeof id, "g%d", i);
        say(r, id, id, ISHOW_CHAT_PRIORITY_GIFT);
    }
    ishow_chat_pause(r->chat, 0);
    run(r, 12);
    assert_string_equal(heard(r), "g0 g1 g2 n0 g3 g4 g5 n1 g6 n2");
    unmake(r);
}

static void test_bounded(void **state) {
    (void)state;
    rig *r = make();
    r->o.queue_max = 4;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say(r, "n1", "one", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "m1", "mention", ISHOW_CHAT_PRIORITY_MENTION);
    say(r, "p1", "paid", ISHOW_CHAT_PRIORITY_PAID);
    say(r, "n2", "two", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "n3", "three", ISHOW_CHAT_PRIORITY_NORMAL); /* n1 goes */
    say(r, "p2", "paid two", ISHOW_CHAT_PRIORITY_PAID); /* n2 goes */
    say(r, "p3", "paid three", ISHOW_CHAT_PRIORITY_PAID); /* n3 */
    say(r, "p4", "paid four", ISHOW_CHAT_PRIORITY_PAID); /* the mention */
    ishow_chat_verdict v = say(r, "n4", "four", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_FULL);
    v = say(r, "p5", "paid five", ISHOW_CHAT_PRIORITY_PAID);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_FULL);
    ishow_chat_counts n = counts(r);
    assert_true(n.received == 10 && n.waiting == 4 && n.dropped[ISHOW_CHAT_BY_FULL] == 6);
    listen_now(r);
    static const char *const gone[] = {"n1", "n2", "n3", "m1"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(field(nth(r, "deleted", i), "id"), gone[i]);
        assert_string_equal(field(nth(r, "deleted", i), "reason"), "full");
    }
    ishow_chat_pause(r->chat, 0);
    run(r, 10);
    assert_string_equal(heard(r), "p1 p2 p3 p4");
    unmake(r);
}

static void test_repeats_are_read_once(void **state) {
    (void)state;
    rig *r = make();
    r->o.template_text = "{user} says: {text}";
    open_chat(r);
    ishow_chat_pause(r->chat, 1); /* two clips are made ahead, these words are not among them */
    say(r, "x1", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "x2", LONG + 11, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "x3", LONG + 22, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 2);
    say(r, "a", "Good game", ISHOW_CHAT_PRIORITY_NORMAL);
    ishow_chat_verdict v = say(r, "b", "GOOD GAME :)", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.accepted && v.merged);
    v = say(r, "c", "good game", ISHOW_CHAT_PRIORITY_MENTION);
    assert_true(v.merged);
    v = say(r, "d", "good game", ISHOW_CHAT_PRIORITY_PAID); /* money is always read on its own */
    assert_false(v.merged);
    ishow_chat_counts n = counts(r);
    assert_true(n.waiting == 7 && n.merged == 2);
    ishow_chat_pause(r->chat, 0);
    run(r, 60);
    assert_string_equal(heard(r), "d a x1 x2 x3"); /* the three moved up with the mention */
    assert_string_equal(field(nth(r, "start", 1), "said"), "a and 2 others says: Good game");
    assert_int_equal(json_array_size(json_object_get(nth(r, "start", 1)->data, "merged")), 2);
    assert_int_equal(counts(r).spoken, 7);
    unmake(r);
}

static void test_next_clips_are_made_while_one_plays(void **state) {
    (void)state;
    rig *r = make();
    r->synth.make_ratio = 0.5;
    open_chat(r);
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "b", LONG + 11, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "c", LONG + 22, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "d", LONG + 33, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "e", LONG + 44, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 3.5); /* a plays since 3 s */
    assert_string_equal(heard(r), "a");
    assert_int_equal(r->synth.begun, 3);
    const double at = r->clock.now;
    run(r, 25);
    assert_string_equal(heard(r), "a b c d e");
    /* No pause but the gap between them: all five are 24 s, of which half a second was over. */
    assert_true(r->clock.now - at >= 24);
    double spoken = 0;
    for (size_t i = 0; i < 5; i++) spoken += number(nth(r, "start", i), "duration");
    assert_true(spoken < 24.1);
    assert_int_equal(count(r, "end"), 5);
    unmake(r);
}

static void test_paid_goes_before_what_is_made(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    for (int i = 0; i < 6; i++) {
        char id[16], text[64];
        snprintf(id, sizeof id, "n%d", i);
        snprintf(text, sizeof text, "%d %s", i, LONG + 60);
        say(r, id, text, ISHOW_CHAT_PRIORITY_NORMAL);
    }
    run(r, 1);
    say(r, "p", "paid", ISHOW_CHAT_PRIORITY_PAID);
    run(r, 30);
    assert_string_equal(heard(r), "n0 p n1 n2 n3 n4 n5");
    assert_int_equal(counts(r).clips_wasted, 0); /* what was made already was kept */
    unmake(r);
}

static void test_deletion(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    say_as(r, "a", "anna", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "b", "bob", "made already", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "c", "bob", "and another of his", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "d", "carl", "one that stays", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "e", "carl", "one that goes", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 2.5); /* a plays, b is made */
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "e"), 1);
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "e"), 0);
    assert_int_equal(ishow_chat_delete(r->chat, "other", "room", "d"), 0);
    assert_int_equal(ishow_chat_delete_user(r->chat, "test", "#room", "bob"), 2);
    assert_int_equal(ishow_chat_delete(r->chat, "test", NULL, "a"), 1); /* while it is heard */
    listen_now(r);
    const told *end = nth(r, "end", 0);
    assert_string_equal(field(end, "id"), "a");
    assert_string_equal(field(end, "reason"), "deleted");
    assert_true(number(end, "at") > 1 && number(end, "at") < 3);
    assert_int_equal(count(r, "deleted"), 3); /* e, both of Bob's at once, a */
    assert_int_equal(json_array_size(json_object_get(nth(r, "deleted", 1)->data, "ids")), 2);
    size_t audio = count(r, "audio");
    double last = number(nth(r, "audio", audio - 1), "t1");
    assert_true(last < number(end, "at") + 1.01); /* no more than the lead was out */
    assert_int_equal(ishow_chat_replay(r->chat), 0); /* and it is not heard again */
    run(r, 5);
    assert_string_equal(heard(r), "a d");
    for (size_t i = audio; i < count(r, "audio"); i++) assert_string_equal(field(nth(r, "audio", i), "id"), "d");
    ishow_chat_counts n = counts(r);
    assert_true(n.deleted == 4 && n.spoken == 1 && n.waiting == 0);
    say_as(r, "f", "anna", "one", ISHOW_CHAT_PRIORITY_PAID);
    say_as(r, "g", "bob", "two", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_int_equal(ishow_chat_delete_all(r->chat, "test", "lounge"), 0);
    assert_int_equal(ishow_chat_delete_all(r->chat, "test", "room"), 2);
    /* The same words, one of them deleted: nobody's are read. */
    ishow_chat_pause(r->chat, 1);
    for (int i = 0; i < 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        say(r, id, i ? LONG + 11 * i : LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    }
    run(r, 1);
    say(r, "s1", "something rude", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(say(r, "s2", "Something rude", ISHOW_CHAT_PRIORITY_NORMAL).merged);
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "s2"), 2);
    unmake(r);
}

static void test_controls(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    assert_int_equal(ishow_chat_skip(r->chat, NULL), 0);
    assert_int_equal(ishow_chat_replay(r->chat), 0);
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "b", LONG + 11, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "c", LONG + 22, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 2);
    /* Pause: the clip stands, and goes on where it stood. */
    ishow_chat_status s;
    ishow_chat_pause(r->chat, 1);
    ishow_chat_status_get(r->chat, &s);
    const double stood = s.position;
    assert_true(s.paused && s.playing && stood > 1 && stood < 2 && fabs(s.duration - 6) < 0.01);
    size_t audio = count(r, "audio");
    run(r, 30);
    ishow_chat_status_get(r->chat, &s);
    assert_true(fabs(s.position - stood) < 1e-6);
    assert_int_equal(count(r, "audio"), audio);
    ishow_chat_pause(r->chat, 0);
    run(r, 1);
    ishow_chat_status_get(r->chat, &s);
    assert_true(fabs(s.position - stood - 1) < 0.1);
    /* Skip what plays, and one that waits. */
    assert_int_equal(ishow_chat_skip(r->chat, NULL), 1);
    assert_int_equal(ishow_chat_skip(r->chat, "c"), 1);
    assert_int_equal(ishow_chat_skip(r->chat, "nothing"), 0);
    run(r, 7);
    assert_string_equal(heard(r), "a b");
    assert_string_equal(field(nth(r, "end", 0), "reason"), "skipped");
    ishow_chat_counts n = counts(r);
    assert_true(n.skipped == 2 && n.spoken == 1);
    /* What plays once more, before what waits; it counts for nothing. */
    say(r, "d", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    assert_int_equal(ishow_chat_replay(r->chat), 1);
    say(r, "e", LONG + 33, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 20);
    assert_string_equal(heard(r), "a b d d e");
    assert_true(json_is_true(json_object_get(nth(r, "start", 3)->data, "replay")));
    n = counts(r);
    assert_true(n.replayed == 1 && n.spoken == 3 && n.received == 5);
    assert_int_equal(ishow_chat_replay(r->chat), 1); /* e, and then once more */
    run(r, 2);
    assert_int_equal(ishow_chat_skip(r->chat, NULL), 1);
    run(r, 1);
    assert_int_equal(ishow_chat_replay(r->chat), 1);
    run(r, 10);
    assert_string_equal(heard(r), "a b d d e e e");
    assert_int_equal(counts(r).skipped, 2);
    /* Clear: what plays plays on. */
    say(r, "f", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    say(r, "g", "one", ISHOW_CHAT_PRIORITY_GIFT);
    say(r, "h", "two", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_int_equal(ishow_chat_clear(r->chat), 2);
    run(r, 10);
    assert_string_equal(heard(r), "a b d d e e e f");
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_CLEAR], 2);
    unmake(r);
}

static void test_names_are_not_repeated(void **state) {
    (void)state;
    rig *r = make();
    r->o.template_text = "{user} says: {text}";
    open_chat(r);
    say_as(r, "a1", "anna", "one thing", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a2", "anna", "and another", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "b1", "bob", "hello", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a3", "anna", "a third", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a4", "anna", "a fourth", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1.1); /* a1 plays; a2 is made, without her name */
    say_as(r, "p", "rich", "money", ISHOW_CHAT_PRIORITY_PAID);
    run(r, 20);
    static const char *const said[] = {"anna says: one thing", "rich says: money", "anna says: and another", "bob says: hello", "anna says: a third", "a fourth"};
    for (size_t i = 0; i < 6; i++) assert_string_equal(field(nth(r, "start", i), "said"), said[i]);
    run(r, 100);
    say_as(r, "a5", "anna", "long after", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 5);
    assert_string_equal(field(nth(r, "start", 6), "said"), "anna says: long after");
    unmake(r);
}

static void test_model_in_trouble(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    r->synth.busy = 5; /* the engine's queue is full for a while */
    say(r, "a", "patience", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    assert_string_equal(heard(r), "a");
    say(r, "b", "no sound for %U", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "c", "fine", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    assert_string_equal(heard(r), "a c");
    r->synth.fail = 1;
    say(r, "d", "fails", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "e", "does not", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    assert_string_equal(heard(r), "a c e");
    ishow_chat_counts n = counts(r);
    assert_true(n.dropped[ISHOW_CHAT_BY_UNSPEAKABLE] == 1 && n.dropped[ISHOW_CHAT_BY_FAILURE] == 1 && n.spoken == 3);
    assert_int_equal(count(r, "deleted"), 2);
    unmake(r);
}

static void test_old_messages_expire(void **state) {
    (void)state;
    rig *r = make();
    r->o.expire_seconds = 20;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say(r, "n", "stale", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "p", "paid", ISHOW_CHAT_PRIORITY_PAID);
    run(r, 21);
    ishow_chat_pause(r->chat, 0);
    run(r, 5);
    assert_string_equal(heard(r), "p");
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_EXPIRED], 1);
    unmake(r);
}

/* ---- the journal ---- */

static void crash(rig *r) {
    /* What a killed process leaves: the rows, and nobody who answers. The chat is freed without its journal noticing. */
    fake_journal *kept = calloc(1, sizeof *kept);
    assert_non_null(kept);
    for (size_t i = 0; i < r->journal->n; i++) {
        kept->rows[kept->n] = r->journal->rows[i];
        kept->rows[kept->n++].record = strdup(r->journal->rows[i].record);
    }
    memcpy(kept->viewer, r->journal->viewer, sizeof kept->viewer);
    memcpy(kept->voice, r->journal->voice, sizeof kept->voice);
    kept->voices = r->journal->voices;
    fake_journal_answer(r->journal);
    close_chat(r);
    fake_journal_free(r->journal);
    free(r->journal);
    r->journal = kept;
    forget_log(r);
    free(r->text);
    r->text = NULL;
    r->n_text = 0;
}

static void note(void *user) { ++*(int *)user; }

static void test_journal(void **state) {
    (void)state;
    rig *r = make();
    const ishow_chat_voice voices[] = {{"alto", "en"}, {"bass", "en"}};
    r->o.voices = voices;
    r->o.n_voices = 2;
    r->journal = calloc(1, sizeof *r->journal);
    open_chat(r);
    r->journal->holds = 1;
    ishow_chat_verdict v;
    ishow_error error = {0};
    int durable = 0;
    ishow_chat_message m = fake_message("a", "anna", LONG);
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, note, &durable, &error), ISHOW_OK);
    assert_int_equal(durable, 0);
    fake_journal_answer(r->journal);
    assert_int_equal(durable, 1);
    assert_int_equal(r->journal->n, 1);
    say_as(r, "v", "bob", "!voice bass", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_string_equal(r->journal->viewer, "test:bob");
    assert_string_equal(r->journal->voice, "!bass");
    say_as(r, "b", "bob", LONG + 11, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "c", "merged words", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(say(r, "c2", "Merged words", ISHOW_CHAT_PRIORITY_NORMAL).merged);
    assert_int_equal(r->journal->n, 3);
    fake_journal_answer(r->journal);
    run(r, 3); /* a has audio, but is not heard before its mark is durable */
    assert_string_equal(heard(r), "");
    assert_true(r->journal->n_held >= 1);
    assert_true(r->journal->rows[0].marked);

    crash(r); /* between the mark and the first sound: reported, not repeated */
    open_chat(r);
    ishow_chat_counts n = counts(r);
    assert_true(n.received == 4 && n.recovered == 4 && n.waiting == 3 && n.dropped[ISHOW_CHAT_BY_INTERRUPTION] == 1);
    fake_check_counts(r->chat);
    assert_int_equal(r->journal->n, 2);
    v = say(r, "b", "the same id", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_DUPLICATE);
    v = say(r, "e", "a new one", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.number > 3); /* numbers go on */
    run(r, 3); /* b is being heard */
    assert_string_equal(heard(r), "b");
    assert_string_equal(field(nth(r, "start", 0), "voice"), "bass");

    crash(r); /* in the middle of b */
    open_chat(r);
    n = counts(r);
    assert_true(n.recovered == 4 && n.waiting == 3 && n.dropped[ISHOW_CHAT_BY_INTERRUPTION] == 1);
    run(r, 10);
    assert_string_equal(heard(r), "c e");
    assert_int_equal(json_array_size(json_object_get(nth(r, "start", 0)->data, "merged")), 1);
    assert_int_equal(counts(r).spoken, 3);
    say_as(r, "g", "bob", "which voice is mine", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 5);
    assert_string_equal(field(nth(r, "start", 2), "voice"), "bass"); /* still his */
    assert_int_equal(r->journal->n, 0);

    /* Whatever way a message ends, it leaves the journal. */
    say(r, "h", "skipped words", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "i", "deleted words", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "j", "cleared words", ISHOW_CHAT_PRIORITY_NORMAL);
    ishow_chat_skip(r->chat, "h");
    ishow_chat_delete(r->chat, "test", NULL, "i");
    ishow_chat_clear(r->chat);
    assert_int_equal(r->journal->n, 0);
    /* A record of another program's is reported and not taken. */
    r->journal->rows[0] = (fake_row){77, 0, strdup("{}")};
    r->journal->n = 1;
    crash(r);
    open_chat(r);
    assert_int_equal(r->journal->n, 0);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_FAILURE], 1);
    unmake(r);
}

/* ---- listeners ---- */

static void test_listeners_hear_the_same(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    told *late_log = calloc(LOG_MAX, sizeof *late_log);
    char *rest = NULL;
    size_t n_rest = 0, n_late = 0;
    ishow_error error = {0};
    ishow_chat_reader *late;
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 3);
    assert_int_equal(ishow_chat_reader_open(&late, r->chat, NULL, &error), ISHOW_OK);
    ishow_chat_status s;
    ishow_chat_status_get(r->chat, &s);
    assert_int_equal(s.listeners, 2);
    n_late = hear(late, late_log, 0, &rest, &n_rest);
    assert_string_equal(late_log[0].name, "state");
    assert_string_equal(late_log[1].name, "start");
    assert_string_equal(field(&late_log[1], "id"), "a");
    const double at = number(&late_log[1], "at");
    assert_true(fabs(at - s.position) < 0.01);
    assert_string_equal(late_log[2].name, "audio"); /* the piece that is heard now */
    assert_true(number(&late_log[2], "t0") <= at && number(&late_log[2], "t1") > at);
    run(r, 5);
    n_late = hear(late, late_log, n_late, &rest, &n_rest);
    /* From there on both have the same events. */
    size_t i = 0, same = 0;
    while (strcmp(r->log[i].id, late_log[2].id)) i++;
    for (size_t k = 2; k < n_late; k++, i++) {
        while (strcmp(r->log[i].id, late_log[k].id)) assert_true(!strcmp(r->log[i].name, "message") || !strcmp(r->log[i].name, "state")), i++;
        assert_true(json_equal(r->log[i].data, late_log[k].data));
        same++;
    }
    assert_int_equal(i, r->n_log);
    assert_true(same > 10);
    ishow_chat_reader_close(late);

    /* Last-Event-ID: all that was missed, once. */
    const size_t before = r->n_log;
    char last[64];
    strcpy(last, r->log[before - 1].id);
    for (size_t k = 0; k < n_late; k++) json_decref(late_log[k].data);
    n_late = 0;
    say(r, "b", "after the break", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 0.6);
    assert_int_equal(ishow_chat_reader_open(&late, r->chat, last, &error), ISHOW_OK);
    n_late = hear(late, late_log, 0, &rest, &n_rest);
    assert_int_equal(n_late, r->n_log - before);
    for (size_t k = 0; k < n_late; k++) assert_string_equal(late_log[k].id, r->log[before + k].id);
    ishow_chat_reader_close(late);
    /* An id of another run, or none at all: from the beginning. */
    static const char *const strange[] = {"00000000-5", "nonsense", "", "-", "12345678-99999999999999999999999"};
    for (size_t k = 0; k < 5; k++) {
        for (size_t j = 0; j < n_late; j++) json_decref(late_log[j].data);
        assert_int_equal(ishow_chat_reader_open(&late, r->chat, strange[k], &error), ISHOW_OK);
        n_late = hear(late, late_log, 0, &rest, &n_rest);
        assert_string_equal(late_log[0].name, "state");
        assert_non_null(json_object_get(late_log[0].data, "counts"));
        ishow_chat_reader_close(late);
    }
    for (size_t k = 0; k < n_late; k++) json_decref(late_log[k].data);
    free(late_log);
    free(rest);
    unmake(r);
}

static void test_slow_listeners_are_bounded(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_error error = {0};
    ishow_chat_reader *slow;
    assert_int_equal(ishow_chat_reader_open(&slow, r->chat, NULL, &error), ISHOW_OK);
    char part[1000];
    assert_true(ishow_chat_reader_text(slow, part, 10) == 10); /* in the middle of its first event */
    for (int i = 0; i < 40; i++) {
        char id[16], text[128];
        snprintf(id, sizeof id, "m%d", i);
        snprintf(text, sizeof text, "%d %s", i, LONG);
        say(r, id, text, ISHOW_CHAT_PRIORITY_NORMAL);
        run(r, 7);
    }
    size_t n = 0, total = 0;
    char *all = calloc(1, 200000);
    while ((n = ishow_chat_reader_text(slow, part, sizeof part))) {
        assert_true(total + n < 199000);
        memcpy(all + total, part, n);
        total += n;
    }
    /* The rest of the first event, what was missed, and at most the bound. */
    assert_true(total < ISHOW_CHAT_READER_BYTES + 4000);
    assert_non_null(strstr(all, "\"missed\":"));
    assert_non_null(strstr(all, "\"m39\""));
    assert_null(strstr(all, "\"m0\""));
    free(all);
    assert_int_equal(count(r, "start"), 40); /* nobody else lost anything */
    ishow_chat_reader_close(slow);
    unmake(r);
}

static void test_frames(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_error error = {0};
    ishow_chat_reader *ws;
    assert_int_equal(ishow_chat_reader_open(&ws, r->chat, NULL, &error), ISHOW_OK);
    say(r, "a", "a few words to hear", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    const unsigned char *data;
    size_t n, samples = 0, texts = 0;
    int binary;
    char first[16] = "";
    while (ishow_chat_reader_frame(ws, &data, &n, &binary)) {
        json_t *header = NULL;
        if (!binary) {
            header = json_loadb((const char *)data, n, 0, NULL);
            texts++;
        } else {
            const uint32_t length = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
            assert_true(length + 4 + 44 < n);
            header = json_loadb((const char *)data + 4, length, 0, NULL);
            assert_memory_equal(data + 4 + length, "RIFF", 4);
            samples += (n - 4 - length - 44) / 2;
            assert_string_equal(json_string_value(json_object_get(header, "event")), "audio");
        }
        assert_non_null(header);
        assert_non_null(json_object_get(header, "event"));
        if (!*first) snprintf(first, sizeof first, "%s", json_string_value(json_object_get(header, "event")));
        json_decref(header);
    }
    assert_string_equal(first, "state");
    assert_true(texts >= 4);
    assert_int_equal(samples, (size_t)(0.06 * 19 * FAKE_CHAT_RATE));
    ishow_chat_reader_close(ws);
    unmake(r);
}

static void test_a_slow_model_holds_the_clock(void **state) {
    (void)state;
    rig *r = make();
    r->synth.make_ratio = 3;
    open_chat(r);
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 17);
    assert_string_equal(heard(r), "");
    run(r, 8);
    assert_int_equal(count(r, "end"), 1);
    assert_true(fabs(number(nth(r, "end", 0), "at") - 6) < 0.01);
    unmake(r);
}

static void test_malformed_messages(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_chat_verdict v;
    ishow_error error = {0};
    ishow_chat_message m = fake_message("", "anna", "hello");
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "id");
    m = fake_message("a", "anna", "hel\xFFlo");
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "content");
    m = fake_message("a", "anna", "hello");
    m.text = (ishow_span){"hel\0lo", 6};
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error), ISHOW_EINVAL);
    m = fake_message("a", "anna", "hello");
    m.user_id.size = 300;
    m.user_id.data = LONG;
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error), ISHOW_EINVAL);
    assert_string_equal(error.message, "user_id may have 256 bytes, not 300.");
    m = fake_message("a", "anna", "hello");
    m.priority = (ishow_chat_priority)9;
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error), ISHOW_EINVAL);
    assert_int_equal(counts(r).received, 0);
    r->o.queue_max = 0;
    ishow_chat *none;
    const ishow_chat_synth synth = fake_synth_table(&r->synth);
    assert_int_equal(ishow_chat_create(&none, &r->o, &synth, NULL, &error), ISHOW_EINVAL);
    assert_string_equal(error.message, "chat.queue_max must be 1 to 65536, not 0.");
    unmake(r);
}

/* ---- threads ---- */

typedef struct crowd { ishow_chat *chat; int number; } crowd;

static void *shout(void *self) {
    crowd *c = self;
    for (int i = 0; i < 300; i++) {
        char id[32], text[64];
        snprintf(id, sizeof id, "t%d-%d", c->number, i);
        snprintf(text, sizeof text, "message %d of %d", i, c->number);
        ishow_chat_verdict v;
        ishow_error error = {0};
        ishow_chat_message m = fake_message(id, id, text);
        m.priority = (ishow_chat_priority)(i % ISHOW_CHAT_PRIORITIES);
        if (ishow_chat_receive(c->chat, &m, &v, NULL, NULL, &error) != ISHOW_OK) return self;
        if (i % 37 == 0) ishow_chat_skip(c->chat, NULL);
        if (i % 41 == 0) ishow_chat_delete(c->chat, "test", "room", id);
        if (i % 91 == 0) ishow_chat_replay(c->chat);
        if (i % 50 == 0) {
            ishow_chat_pause(c->chat, 1);
            ishow_chat_pause(c->chat, 0);
        }
    }
    return NULL;
}

static void *follow(void *self) {
    crowd *c = self;
    char part[4096];
    for (int i = 0; i < 40; i++) {
        ishow_chat_reader *reader;
        if (ishow_chat_reader_open(&reader, c->chat, NULL, NULL) != ISHOW_OK) return self;
        for (int k = 0; k < 20; k++) {
            ishow_chat_reader_text(reader, part, sizeof part);
            usleep(500);
        }
        ishow_chat_reader_close(reader);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    rig *r = make();
    fake_clock *clock = &r->clock;
    clock->now = 1e6;          /* the synth is ready at once: its clock stands */
    r->synth.make_ratio = 0;
    r->synth.character_seconds = 0.002;
    r->o.now = NULL;           /* the chat's is the real one */
    r->o.gap_seconds = 0;
    r->o.queue_max = 64;
    open_chat(r);
    ishow_error error = {0};
    assert_int_equal(ishow_chat_run(r->chat, &error), ISHOW_OK);
    assert_int_equal(ishow_chat_run(r->chat, &error), ISHOW_ESTATE);
    pthread_t threads[6];
    crowd crowds[6];
    for (int i = 0; i < 6; i++) {
        crowds[i] = (crowd){r->chat, i};
        assert_int_equal(pthread_create(&threads[i], NULL, i < 4 ? shout : follow, &crowds[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    ishow_chat_counts n;
    for (int i = 0; i < 2000; i++) { /* until all is heard */
        ishow_chat_counts_get(r->chat, &n);
        if (!n.waiting) break;
        usleep(10000);
    }
    assert_int_equal(n.waiting, 0);
    assert_int_equal(n.received, 1200);
    assert_true(n.spoken > 0);
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_message),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ageing),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_repeats_are_read_once),
        cmocka_unit_test(test_next_clips_are_made_while_one_plays),
        cmocka_unit_test(test_paid_goes_before_what_is_made),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_names_are_not_repeated),
        cmocka_unit_test(test_model_in_trouble),
        cmocka_unit_test(test_old_messages_expire),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_listeners_hear_the_same),
        cmocka_unit_test(test_slow_listeners_are_bounded),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_a_slow_model_holds_the_clock),
        cmocka_unit_test(test_malformed_messages),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
