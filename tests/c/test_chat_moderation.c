/* Moderation of a running chat: muted viewers, approval, commands of moderators, and repeating the last clip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat_rig.h"
#include "chat/chat_internal.h"

static ishow_chat_verdict say_with(rig *r, const char *id, const char *user, const char *text, unsigned roles) {
    ishow_chat_verdict v;
    ishow_chat_message m = fake_message(id, user, text);
    m.roles = roles;
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, NULL, NULL, NULL), ISHOW_OK);
    return v;
}

static json_t *queue_of(rig *r) {
    char *text = ishow_chat_queue_json(r->chat, 50);
    json_t *root = json_loads(text, 0, NULL);
    assert_non_null(root);
    free(text);
    return root;
}

static rig *make_with_journal(void) {
    rig *r = make();
    r->journal = calloc(1, sizeof *r->journal);
    assert_non_null(r->journal);
    open_chat(r);
    return r;
}

static void test_a_muted_viewer(void **state) {
    (void)state;
    rig *r = make_with_journal();
    ishow_error error = {0};
    size_t dropped = 0;
    int was_muted = 0;
    say_as(r, "a1", "Anna", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1); /* it plays */
    say_as(r, "a2", "Anna", "more", ISHOW_CHAT_PRIORITY_NORMAL);
    say_as(r, "b1", "bob", "hello", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_int_equal(ishow_chat_mute(r->chat, "test", "ANNA", &dropped, &error), ISHOW_OK);
    assert_int_equal(dropped, 2);
    const ishow_chat_verdict v = say_as(r, "a3", "anna", "again", ISHOW_CHAT_PRIORITY_GIFT);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_MUTED);
    run(r, 5);
    assert_string_equal(heard(r), "a1 b1");
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_MUTED], 3);
    assert_int_equal(ishow_chat_mute(r->chat, "test", "anna", &dropped, &error),
                     ISHOW_OK); /* a second time: the same result */
    assert_int_equal(dropped, 0);
    json_t *queue = queue_of(r), *muted = json_object_get(queue, "muted");
    assert_int_equal(json_array_size(muted), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(muted, 0), "platform")), "test");
    assert_string_equal(json_string_value(json_object_get(json_array_get(muted, 0), "user")), "anna");
    json_decref(queue);
    close_chat(r);
    open_chat(r); /* muted viewers stay muted over a restart */
    assert_int_equal(say_as(r, "a4", "anna", "again", ISHOW_CHAT_PRIORITY_NORMAL).reason, ISHOW_CHAT_BY_MUTED);
    assert_int_equal(ishow_chat_unmute(r->chat, "test", "Anna", &was_muted, &error), ISHOW_OK);
    assert_true(was_muted);
    assert_true(say_as(r, "a5", "anna", "again", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    assert_int_equal(ishow_chat_unmute(r->chat, "test", "Anna", &was_muted, &error), ISHOW_OK);
    assert_false(was_muted);
    close_chat(r);
    open_chat(r);
    assert_true(say_as(r, "a6", "anna", "once more", ISHOW_CHAT_PRIORITY_NORMAL).accepted);
    assert_int_equal(ishow_chat_mute(r->chat, "test", "", NULL, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "user");
    assert_int_equal(ishow_chat_mute(r->chat, "a:b", "c", NULL, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_chat_mute(r->chat, "test", "\xFF", NULL, &error), ISHOW_EINVAL);
    char user[16];
    for (int i = 0; i < MUTED_MAX; i++) {
        snprintf(user, sizeof user, "u%d", i);
        assert_int_equal(ishow_chat_mute(r->chat, "test", user, NULL, &error), ISHOW_OK);
    }
    assert_int_equal(ishow_chat_mute(r->chat, "test", "one too many", NULL, &error), ISHOW_EBUSY);
    unmake(r);
}

static void test_approval(void **state) {
    (void)state;
    rig *r = make();
    r->journal = calloc(1, sizeof *r->journal);
    assert_non_null(r->journal);
    r->o.approval = 1;
    r->o.queue_max = 4;
    open_chat(r);
    ishow_chat_verdict v = say(r, "h1", "held one", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.accepted && v.held && v.position == 0);
    v = say(r, "h2", "held two", ISHOW_CHAT_PRIORITY_PAID);
    assert_true(v.accepted && v.held);
    v = say_with(r, "m1", "mo", "moderators are heard", ISHOW_CHAT_ROLE_MODERATOR);
    assert_true(v.accepted && !v.held);
    run(r, 5);
    assert_string_equal(heard(r), "m1");
    assert_int_equal(count(r, "message"), 1); /* held messages are not published */
    json_t *queue = queue_of(r);
    assert_int_equal(json_array_size(json_object_get(queue, "held")), 2);
    assert_int_equal(json_integer_value(json_object_get(queue, "total")), 0);
    json_decref(queue);
    assert_int_equal(ishow_chat_approve(r->chat, "nobody"), 0);
    assert_int_equal(ishow_chat_approve(r->chat, "h1"), 1);
    run(r, 5);
    assert_string_equal(heard(r), "m1 h1");
    assert_int_equal(count(r, "message"), 2);
    close_chat(r);
    open_chat(r); /* held messages are still held after a restart */
    forget_log(r);
    run(r, 3);
    assert_string_equal(heard(r), "");
    assert_int_equal(ishow_chat_reject(r->chat, "h2"), 1);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_REJECTED], 1);
    queue = queue_of(r);
    json_t *refused = json_object_get(queue, "refused");
    assert_string_equal(json_string_value(json_object_get(json_array_get(refused, 0), "reason")), "rejected");
    json_decref(queue);
    /* held messages are limited like the queue, and can be deleted and expire */
    char id[16];
    for (int i = 0; i < 6; i++) {
        snprintf(id, sizeof id, "f%d", i);
        assert_true(say(r, id, id, ISHOW_CHAT_PRIORITY_NORMAL).held);
    }
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_FULL], 2);
    assert_int_equal(ishow_chat_delete(r->chat, "test", "room", "f3"), 1);
    assert_int_equal(ishow_chat_approve(r->chat, NULL), 3);
    run(r, 5);
    assert_string_equal(heard(r), "f2 f4 f5");
    say(r, "late", "nobody looks", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, r->o.expire_seconds + 2);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_EXPIRED], 1);
    say(r, "c", "cleared", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_int_equal(ishow_chat_clear(r->chat), 1);
    say(r, "left", "stays held", ISHOW_CHAT_PRIORITY_NORMAL);
    unmake(r);
}

static void test_commands(void **state) {
    (void)state;
    static const char *const prefixes[] = {"!", "?", "tts:"};
    rig *r = make();
    r->o.command_prefixes = (ishow_chat_words){prefixes, 3};
    open_chat(r);
    static const char *const commands[] = {"!play", "?what", "tts:help"};
    static const char *const others[] = {"!!! wow", "? really", "??", "tts is good"};
    char id[16];
    for (size_t i = 0; i < 3; i++) {
        snprintf(id, sizeof id, "c%zu", i);
        const ishow_chat_verdict v = say(r, id, commands[i], ISHOW_CHAT_PRIORITY_NORMAL);
        assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_COMMAND);
    }
    for (size_t i = 0; i < 4; i++) {
        snprintf(id, sizeof id, "o%zu", i);
        const ishow_chat_verdict v = say(r, id, others[i], ISHOW_CHAT_PRIORITY_NORMAL);
        assert_true(v.accepted || v.reason == ISHOW_CHAT_BY_EMPTY);
    }
    run(r, 20);
    say(r, "long", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    say_with(r, "s1", "eve", "!skip", ISHOW_CHAT_ROLE_SUBSCRIBER); /* she has no right to this command */
    run(r, 0.5);
    assert_int_equal(counts(r).skipped, 0);
    const ishow_chat_verdict v = say_with(r, "s2", "mo", "?SKIP", ISHOW_CHAT_ROLE_MODERATOR);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_COMMAND);
    assert_int_equal(counts(r).skipped, 1);
    assert_int_equal(counts(r).commands, 1);
    assert_int_equal(ishow_chat_finish(r->chat), 0);
    say_with(r, "s3", "mo", "!skip", ISHOW_CHAT_ROLE_MODERATOR); /* nothing plays */
    assert_int_equal(counts(r).skipped, 1);
    unmake(r);
}

/* A program that ends waits as long as ishow_chat_finish returns 1: the current clip ends, the others wait for the next
 * start. */
static void test_the_last_clip(void **state) {
    (void)state;
    rig *r = make_with_journal();
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "b", "another", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 2);
    assert_string_equal(heard(r), "a");
    int turns = 0;
    while (ishow_chat_finish(r->chat)) {
        run(r, 0.5);
        assert_true(++turns < 20);
    }
    run(r, 3);
    assert_string_equal(heard(r), "a"); /* no other clip starts */
    assert_int_equal(counts(r).spoken, 1);
    close_chat(r);
    forget_log(r);
    open_chat(r);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_INTERRUPTION], 0);
    run(r, 3);
    assert_string_equal(heard(r), "b");
    say(r, "c", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 1);
    ishow_chat_pause(r->chat, 1);
    assert_int_equal(ishow_chat_finish(r->chat), 0); /* nothing waits for a clip that is paused */
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_muted_viewer),
        cmocka_unit_test(test_approval),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_the_last_clip),
    };
    return cmocka_run_group_tests_name("chat_moderation", tests, NULL, NULL);
}
