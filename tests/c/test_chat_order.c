/* The order of messages: payments compared in one currency, and viewers who write more than their share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chat_rig.h"
#include "chat/chat_internal.h"

static ishow_chat_verdict pay(rig *r, const char *id, ishow_chat_kind kind, double amount, const char *currency,
                              uint64_t bits) {
    ishow_chat_verdict v;
    ishow_chat_message m = fake_message(id, id, kind == ISHOW_CHAT_KIND_GIFT ? "" : "some words");
    m.kind = kind;
    m.priority = kind == ISHOW_CHAT_KIND_GIFT ? ISHOW_CHAT_PRIORITY_GIFT : ISHOW_CHAT_PRIORITY_PAID;
    m.amount_micros = (int64_t)(amount * 1e6);
    m.bits = bits;
    strcpy(m.currency, currency);
    if (kind == ISHOW_CHAT_KIND_GIFT) m.gift_name = fake_span("rose");
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, NULL), ISHOW_OK);
    assert_true(v.accepted);
    return v;
}

static void test_worth(void **state) {
    (void)state;
    assert_true(money_worth(0, 0, "") == 0 && money_worth(0, -5, "EUR") == 0);
    assert_true(money_worth(100, 0, "") > 0.99 && money_worth(100, 0, "") < 1.01);
    assert_true(money_worth(0, 1000000000, "CNY") > money_worth(0, 100000000, "USD"));
    assert_true(money_worth(0, 100000000, "JPY") < money_worth(0, 1000000, "EUR"));
    assert_true(money_worth(0, 1000000000, "XYZ") < money_worth(0, 20000000, "USD")); /* an invented currency */
    assert_true(money_lift(0) == 0 && money_lift(0.01) > 1 && money_lift(1e12) == MONEY_LIFT_MAX);
    for (double worth = 0.01; worth < 1000; worth *= 2) assert_true(money_lift(2 * worth) > money_lift(worth));
}

static void test_money_goes_first(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    say(r, "first", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1); /* it plays */
    pay(r, "silver", ISHOW_CHAT_KIND_GIFT, 0, "", 0);
    pay(r, "yen", ISHOW_CHAT_KIND_PAID, 1000, "JPY", 0);
    pay(r, "gold", ISHOW_CHAT_KIND_GIFT, 10, "CNY", 0);
    pay(r, "bits", ISHOW_CHAT_KIND_PAID, 0, "", 5000);
    const ishow_chat_verdict v = pay(r, "yuan", ISHOW_CHAT_KIND_PAID, 1000, "CNY", 0);
    assert_int_equal(v.position, 1); /* behind the clip that plays */
    pay(r, "euro", ISHOW_CHAT_KIND_PAID, 5, "EUR", 0);
    say(r, "talk", "talk", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 40);
    /* every fourth turn goes to other messages, but only to those that have waited for ageing_seconds */
    assert_string_equal(heard(r), "first yuan bits yen euro gold silver talk");
    unmake(r);
}

/* A small payment waits for greater ones that come later, but not without end: every 30 s its worth doubles. */
static void test_small_money_is_heard(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    pay(r, "small", ISHOW_CHAT_KIND_PAID, 1, "USD", 0);
    ishow_chat_pause(r->chat, 1);
    run(r, 121);
    pay(r, "great", ISHOW_CHAT_KIND_PAID, 10, "USD", 0);
    pay(r, "greater", ISHOW_CHAT_KIND_PAID, 1000, "USD", 0);
    ishow_chat_pause(r->chat, 0);
    run(r, 20);
    assert_string_equal(heard(r), "greater small great");
    unmake(r);
}

static void test_a_viewer_with_ten_messages(void **state) {
    (void)state;
    rig *r = make();
    char id[16];
    open_chat(r);
    say(r, "first", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "a%d", i);
        say_as(r, id, "anna", i % 2 ? "one thing" : "or another", ISHOW_CHAT_PRIORITY_NORMAL);
        r->clock.now += 0.001;
    }
    for (int i = 0; i < 10; i++) { /* texts differ, so that they are not merged */
        snprintf(id, sizeof id, "m%d", i);
        char text[32];
        snprintf(text, sizeof text, "command number %d", i);
        ishow_chat_message m = fake_message(id, "mo", text);
        ishow_chat_verdict v;
        m.roles = ISHOW_CHAT_ROLE_MODERATOR;
        m.priority = ISHOW_CHAT_PRIORITY_NORMAL;
        if (i < 3) assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, NULL), ISHOW_OK);
    }
    run(r, 2);
    const ishow_chat_verdict b = say(r, "bob", "hello from bob", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(b.position <= 6);
    say(r, "carl", "hello from carl", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 60);
    /* two texts of anna were merged: she has two turns, the second of which waits */
    assert_string_equal(heard(r), "first a0 m0 m1 m2 bob carl a1");
    unmake(r);
}

/* Messages that wait in a full queue expire. */
static void test_talk_expires(void **state) {
    (void)state;
    rig *r = make();
    assert_true(r->o.expire_seconds > 0 && r->o.expire_seconds <= 300);
    r->o.queue_max = 64;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say_as(r, "a0", "anna", "one", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a1", "anna", "two", ISHOW_CHAT_PRIORITY_NORMAL); /* one turn later: it is not first when it expires */
    run(r, 1);
    say(r, "b", "three", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "p", "paid", ISHOW_CHAT_PRIORITY_PAID);
    run(r, r->o.expire_seconds - 0.5);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_EXPIRED], 2);
    run(r, 1);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_EXPIRED], 3);
    ishow_chat_pause(r->chat, 0);
    run(r, 5);
    assert_string_equal(heard(r), "p");
    unmake(r);
}

/* With another ageing_seconds, waiting messages are in the order that it gives. */
static void test_ageing_changes(void **state) {
    (void)state;
    rig *r = make();
    r->o.ageing_seconds = 10000;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say_as(r, "a0", "anna", "one", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "a1", "anna", "two", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 20);
    say(r, "b", "three", ISHOW_CHAT_PRIORITY_NORMAL);
    r->o.ageing_seconds = 1;
    ishow_chat_change *change;
    assert_int_equal(ishow_chat_prepare(&change, &r->o, NULL), ISHOW_OK);
    ishow_chat_install(r->chat, change);
    ishow_chat_pause(r->chat, 0);
    run(r, 5);
    assert_string_equal(heard(r), "a0 a1 b");
    unmake(r);
}

/* What has been synthesised says how many viewers wrote it, so it takes no further one. */
static void test_a_clip_that_is_made_takes_no_more_viewers(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    say(r, "a", "good game", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(say(r, "b", "good game", ISHOW_CHAT_PRIORITY_NORMAL).merged);
    assert_int_equal(r->synth.begun, 0);
    run(r, 2);
    assert_int_equal(r->synth.begun, 1);
    assert_false(say(r, "c", "good game", ISHOW_CHAT_PRIORITY_NORMAL).merged);
    ishow_chat_pause(r->chat, 0);
    run(r, 10);
    assert_string_equal(heard(r), "a c");
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_money_goes_first),
        cmocka_unit_test(test_small_money_is_heard),
        cmocka_unit_test(test_a_viewer_with_ten_messages),
        cmocka_unit_test(test_talk_expires),
        cmocka_unit_test(test_ageing_changes),
        cmocka_unit_test(test_a_clip_that_is_made_takes_no_more_viewers),
    };
    return cmocka_run_group_tests_name("chat_order", tests, NULL, NULL);
}
