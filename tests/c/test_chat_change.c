/* New options for a running chat: rules are replaced; remembered viewers and waiting messages stay. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat_rig.h"

static void change(rig *r, const ishow_chat_options *o) {
    ishow_chat_change *made = NULL;
    ishow_error error = {0};
    if (ishow_chat_prepare(&made, o, &error) != ISHOW_OK) fail_msg("%s", error.message);
    ishow_chat_install(r->chat, made);
}

static void rules_are_exchanged_and_nothing_is_forgotten(void **state) {
    (void)state;
    static const char *const banned[] = {"spam"};
    rig *r = make();
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    assert_true(say_as(r, "a", "ann", "Hello.", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    assert_true(say_as(r, "b", "bob", "Eat spam.", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    ishow_chat_options o = r->o;
    o.banned_words = (ishow_chat_words){banned, 1};
    o.cooldown_seconds = 100;
    o.template_text = "{text} ({user})";
    o.name_again_seconds = 0;
    change(r, &o);
    assert_int_equal(say_as(r, "c", "cem", "More spam.", ISHOW_CHAT_PRIORITY_NORMAL).reason, ISHOW_CHAT_BY_BANNED_WORD);
    assert_int_equal(say_as(r, "d", "ann", "And again.", ISHOW_CHAT_PRIORITY_NORMAL).reason,
                     ISHOW_CHAT_BY_COOLDOWN); /* her message was counted under the old rules */
    assert_int_equal(say_as(r, "a", "dee", "Other words.", ISHOW_CHAT_PRIORITY_NORMAL).reason, ISHOW_CHAT_BY_DUPLICATE);
    assert_int_equal(counts(r).waiting, 2);
    change(r, &r->o);
    assert_true(say_as(r, "e", "ann", "Spam is fine now.", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    ishow_chat_pause(r->chat, 0);
    run(r, 60);
    assert_string_equal(heard(r), "a b e");
    fake_check_counts(r->chat);
    unmake(r);
}

static void another_ageing_counts_each_waiting_message_once(void **state) {
    (void)state;
    rig *r = make();
    r->o.queue_max = 3;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    assert_true(say_as(r, "a", "ann", "One.", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    assert_true(say_as(r, "b", "bob", "Two.", ISHOW_CHAT_PRIORITY_MENTION).accepted);
    ishow_chat_options o = r->o;
    o.ageing_seconds = 2 * o.ageing_seconds;
    change(r, &o);
    assert_true(say_as(r, "c", "cem", "Three.", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    assert_int_equal(counts(r).waiting, 3);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_FULL], 0);
    unmake(r);
}

static void a_prepared_change_may_be_refused_or_given_up(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_chat_options o = r->o;
    ishow_chat_change *made = NULL;
    ishow_error error = {0};
    o.gap_seconds = 61;
    assert_int_equal(ishow_chat_prepare(&made, &o, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "gap_seconds");
    assert_null(made);
    assert_int_equal(ishow_chat_prepare(&made, &r->o, &error), ISHOW_OK);
    ishow_chat_discard(made);
    ishow_chat_discard(NULL);
    unmake(r);
}

typedef struct speaker {
    rig *r;
    atomic_int over;
    int accepted;
} speaker;

static void *speak_on(void *self) {
    speaker *s = self;
    for (int i = 0; i < 400; i++) {
        char id[32];
        ishow_chat_verdict v;
        snprintf(id, sizeof id, "s%d", i);
        const ishow_chat_message m = fake_message(id, id, "Words about a pineapple.");
        assert_int_equal(ishow_chat_receive(s->r->chat, &m, &v, NULL, NULL, NULL), ISHOW_OK);
        s->accepted += v.accepted;
    }
    atomic_store(&s->over, 1);
    return NULL;
}

static void changes_under_messages_lose_none(void **state) {
    (void)state;
    static const char *const banned[] = {"pineapple", "mango"};
    rig *r = make();
    r->o.repeat_seconds = 0;
    r->o.queue_max = 1000;
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    speaker s = {.r = r};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, speak_on, &s), 0);
    for (int i = 0; !atomic_load(&s.over); i++) {
        ishow_chat_options o = r->o;
        o.banned_words = (ishow_chat_words){banned, (size_t)(i % 3)};
        change(r, &o);
        ishow_chat_step(r->chat);
    }
    pthread_join(thread, NULL);
    const ishow_chat_counts n = counts(r);
    assert_int_equal(n.waiting, s.accepted);
    assert_int_equal(n.received, 400);
    assert_int_equal(n.dropped[ISHOW_CHAT_BY_BANNED_WORD], 400 - s.accepted);
    fake_check_counts(r->chat);
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules_are_exchanged_and_nothing_is_forgotten),
                                       cmocka_unit_test(another_ageing_counts_each_waiting_message_once),
                                       cmocka_unit_test(a_prepared_change_may_be_refused_or_given_up),
                                       cmocka_unit_test(changes_under_messages_lose_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
