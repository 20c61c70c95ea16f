/* The chat with a simulated clock: the order of messages, deletion, and the controls. */
#include <jansson.h>
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
#include "chat_rig.h"

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
    const heard_event *start = nth(r, "start", 0), *end = nth(r, "end", 0);
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
    /* Checks that audio comes in order, without gaps, and never further ahead than the lead. */
    double at = 0;
    for (size_t n = 0; nth(r, "audio", n); n++) {
        const heard_event *a = nth(r, "audio", n);
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

/* Words that are synthesised have the times of the speech, also without a space between them; times of others are
 * estimated. */
static void test_captions_have_the_times_of_the_words(void **state) {
    static const ishow_word words[] = {{0.1, 0.5, 0, 2}, {0.5, 0.8, 3, 1}, {0.8, 1.2, 4, 1}};
    static const struct {
        double from, to;
        const char *word;
    } wanted[] = {{0.1, 0.5, "Hi"}, {0.5, 0.8, "\xe4\xbd\xa0"}, {0.8, 1.2, "\xe5\xa5\xbd,"}, {1.2, 0, "there"}};
    (void)state;
    rig *r = make();
    r->synth.words = words;
    r->synth.n_words = 3;
    open_chat(r);
    say(r, "a", "Hi \xe4\xbd\xa0\xe5\xa5\xbd, there", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    const heard_event *start = nth(r, "start", 0);
    json_t *captions = json_object_get(start->data, "captions"), *caption;
    assert_int_equal(json_array_size(captions), 4);
    assert_int_equal((int)number(start, "timed"), 3);
    size_t i;
    json_array_foreach(captions, i, caption) {
        double from, to;
        const char *text;
        assert_int_equal(json_unpack(caption, "[FFs]", &from, &to, &text), 0);
        assert_string_equal(text, wanted[i].word);
        assert_true(fabs(from - wanted[i].from) < 1e-6);
        assert_true(i < 3 ? fabs(to - wanted[i].to) < 1e-6 : to >= from);
    }
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
    run(r, 1); /* both clips are synthesised */
    ishow_chat_verdict v = say(r, "m1", "mention", ISHOW_CHAT_PRIORITY_MENTION);
    assert_int_equal(v.position, 1);
    say(r, "mod", "moderator", ISHOW_CHAT_PRIORITY_MODERATOR);
    say(r, "p1", "paid one", ISHOW_CHAT_PRIORITY_PAID);
    say(r, "g1", "gift", ISHOW_CHAT_PRIORITY_GIFT);
    v = say(r, "p2", "paid two", ISHOW_CHAT_PRIORITY_PAID);
    assert_int_equal(v.position, 3); /* what plays, the gift, the first paid message */
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
    say(r, "mention", "a new mention", ISHOW_CHAT_PRIORITY_MENTION); /* the next priority, ten seconds later */
    say(r, "mod", "a new moderator", ISHOW_CHAT_PRIORITY_MODERATOR);
    ishow_chat_pause(r->chat, 0);
    run(r, 8);
    assert_string_equal(heard(r), "mod old mention");
    forget_log(r);
    /* In a continuous stream of gifts every fourth turn goes to other messages that have waited. */
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
    say(r, "n3", "three", ISHOW_CHAT_PRIORITY_NORMAL);    /* n1 goes */
    say(r, "p2", "paid two", ISHOW_CHAT_PRIORITY_PAID);   /* n2 goes */
    say(r, "p3", "paid three", ISHOW_CHAT_PRIORITY_PAID); /* n3 */
    say(r, "p4", "paid four", ISHOW_CHAT_PRIORITY_PAID);  /* the mention */
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
    ishow_chat_pause(r->chat, 1); /* two clips are synthesised ahead, and these messages are not among them */
    say(r, "x1", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "x2", LONG + 11, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "x3", LONG + 22, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 2);
    say(r, "a", "Good game", ISHOW_CHAT_PRIORITY_NORMAL);
    ishow_chat_verdict v = say(r, "b", "GOOD GAME :)", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.accepted && v.merged);
    v = say(r, "c", "good game", ISHOW_CHAT_PRIORITY_MENTION);
    assert_true(v.merged);
    v = say(r, "d", "good game", ISHOW_CHAT_PRIORITY_PAID); /* paid messages are never merged */
    assert_false(v.merged);
    ishow_chat_counts n = counts(r);
    assert_true(n.waiting == 7 && n.merged == 2);
    ishow_chat_pause(r->chat, 0);
    run(r, 60);
    assert_string_equal(heard(r), "d a x1 x2 x3"); /* the three merged messages moved up with the mention */
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
    run(r, 3.5); /* a has played for 3 s */
    assert_string_equal(heard(r), "a");
    assert_int_equal(r->synth.begun, 3);
    const double at = r->clock.now;
    run(r, 25);
    assert_string_equal(heard(r), "a b c d e");
    /* The only pauses are the gaps between clips: all five last 24 s, of which half a second had passed. */
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
    assert_int_equal(counts(r).clips_wasted, 0); /* samples that were synthesised before were kept */
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
    run(r, 2.5); /* a plays, b is synthesised */
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "e"), 1);
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "e"), 0);
    assert_int_equal(ishow_chat_delete(r->chat, "other", "room", "d"), 0);
    assert_int_equal(ishow_chat_delete_user(r->chat, "test", "#room", "bob"), 2);
    assert_int_equal(ishow_chat_delete(r->chat, "test", NULL, "a"), 1); /* while it plays */
    listen_now(r);
    const heard_event *end = nth(r, "end", 0);
    assert_string_equal(field(end, "id"), "a");
    assert_string_equal(field(end, "reason"), "deleted");
    assert_true(number(end, "at") > 1 && number(end, "at") < 3);
    assert_int_equal(count(r, "deleted"), 3); /* e, both of Bob's at once, then a */
    assert_int_equal(json_array_size(json_object_get(nth(r, "deleted", 1)->data, "ids")), 2);
    size_t audio = count(r, "audio");
    double last = number(nth(r, "audio", audio - 1), "t1");
    assert_true(last < number(end, "at") + 1.01);    /* no more than the lead had been published */
    assert_int_equal(ishow_chat_replay(r->chat), 0); /* and it does not play again */
    run(r, 5);
    assert_string_equal(heard(r), "a d");
    for (size_t i = audio; i < count(r, "audio"); i++) assert_string_equal(field(nth(r, "audio", i), "id"), "d");
    ishow_chat_counts n = counts(r);
    assert_true(n.deleted == 4 && n.spoken == 1 && n.waiting == 0);
    say_as(r, "f", "anna", "one", ISHOW_CHAT_PRIORITY_PAID);
    say_as(r, "g", "bob", "two", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_int_equal(ishow_chat_delete_all(r->chat, "test", "lounge"), 0);
    assert_int_equal(ishow_chat_delete_all(r->chat, "test", "room"), 2);
    /* Merged messages of which one is deleted: none of them is read. */
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
    /* Pausing stops the clip; it continues at the same position. */
    ishow_chat_status s;
    ishow_chat_pause(r->chat, 1);
    ishow_chat_status_get(r->chat, &s);
    const double paused_at = s.position;
    assert_true(s.paused && s.playing && paused_at > 1 && paused_at < 2 && fabs(s.duration - 6) < 0.01);
    size_t audio = count(r, "audio");
    run(r, 30);
    ishow_chat_status_get(r->chat, &s);
    assert_true(fabs(s.position - paused_at) < 1e-6);
    assert_int_equal(count(r, "audio"), audio);
    ishow_chat_pause(r->chat, 0);
    run(r, 1);
    ishow_chat_status_get(r->chat, &s);
    assert_true(fabs(s.position - paused_at - 1) < 0.1);
    /* Skipping what plays, and a message that waits. */
    assert_int_equal(ishow_chat_skip(r->chat, NULL), 1);
    assert_int_equal(ishow_chat_skip(r->chat, "c"), 1);
    assert_int_equal(ishow_chat_skip(r->chat, "nothing"), 0);
    run(r, 7);
    assert_string_equal(heard(r), "a b");
    assert_string_equal(field(nth(r, "end", 0), "reason"), "skipped");
    ishow_chat_counts n = counts(r);
    assert_true(n.skipped == 2 && n.spoken == 1);
    /* The clip that plays is repeated before waiting messages, and does not count as spoken again. */
    say(r, "d", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    assert_int_equal(ishow_chat_replay(r->chat), 1);
    say(r, "e", LONG + 33, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 20);
    assert_string_equal(heard(r), "a b d d e");
    assert_true(json_is_true(json_object_get(nth(r, "start", 3)->data, "replay")));
    n = counts(r);
    assert_true(n.replayed == 1 && n.spoken == 3 && n.received == 5);
    assert_int_equal(ishow_chat_replay(r->chat), 1); /* e, and then e again */
    run(r, 2);
    assert_int_equal(ishow_chat_skip(r->chat, NULL), 1);
    run(r, 1);
    assert_int_equal(ishow_chat_replay(r->chat), 1);
    run(r, 10);
    assert_string_equal(heard(r), "a b d d e e e");
    assert_int_equal(counts(r).skipped, 2);
    /* Clearing the queue: what plays continues. */
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
    r->o.ageing_seconds = 1; /* her second message is placed that much later */
    open_chat(r);
    say_as(r, "a1", "anna", "one thing", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a2", "anna", "and another", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1.1); /* a1 plays; a2 is synthesised, without her name */
    say_as(r, "b1", "bob", "hello", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a3", "anna", "a third", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a4", "anna", "a fourth", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "p", "rich", "money", ISHOW_CHAT_PRIORITY_PAID);
    run(r, 20);
    static const char *const said[] = {"anna says: one thing", "rich says: money",   "anna says: and another",
                                       "bob says: hello",      "anna says: a third", "a fourth"};
    for (size_t i = 0; i < 6; i++) assert_string_equal(field(nth(r, "start", i), "said"), said[i]);
    run(r, 100);
    say_as(r, "a5", "anna", "long after", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 5);
    assert_string_equal(field(nth(r, "start", 6), "said"), "anna says: long after");
    unmake(r);
}

static void test_a_failing_model(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    r->synth.busy = 5; /* the engine's queue is full for some time */
    say(r, "a", "patience", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    assert_string_equal(heard(r), "a");
    say(r, "b", "no sound for %U", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "c", "fine", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    assert_string_equal(heard(r), "a c");
    assert_string_equal(r->synth.last_own, "fine"); /* "c says: fine" is read for its own sake */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_message),
        cmocka_unit_test(test_captions_have_the_times_of_the_words),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_ageing),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_repeats_are_read_once),
        cmocka_unit_test(test_next_clips_are_made_while_one_plays),
        cmocka_unit_test(test_paid_goes_before_what_is_made),
        cmocka_unit_test(test_deletion),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_names_are_not_repeated),
        cmocka_unit_test(test_a_failing_model),
        cmocka_unit_test(test_old_messages_expire),
        cmocka_unit_test(test_a_slow_model_holds_the_clock),
        cmocka_unit_test(test_malformed_messages),
    };
    return cmocka_run_group_tests_name("chat", tests, NULL, NULL);
}
