/* Messages that survive the end of a process, with a journal in memory. */
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

static void crash(rig *r) {
    /* Simulates a killed process: its rows stay, and nothing is answered. The chat is freed without a call of its
     * journal. */
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

/* Counts durable messages in steps of 1, and those that could not be kept in steps of 100. */
static void note(void *user, ishow_status status) { *(int *)user += status == ISHOW_OK ? 1 : 100; }

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
    run(r, 3); /* a has audio, but does not play before its mark is durable */
    assert_string_equal(heard(r), "");
    assert_true(r->journal->n_held >= 1);
    assert_true(r->journal->rows[0].marked);

    crash(r); /* killed between the mark and the first audio: the message is reported and not repeated */
    open_chat(r);
    ishow_chat_counts n = counts(r);
    assert_true(n.received == 4 && n.recovered == 4 && n.waiting == 3 && n.dropped[ISHOW_CHAT_BY_INTERRUPTION] == 1);
    fake_check_counts(r->chat);
    assert_int_equal(r->journal->n, 2);
    v = say(r, "b", "the same id", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(!v.accepted && v.reason == ISHOW_CHAT_BY_DUPLICATE);
    v = say(r, "e", "a new one", ISHOW_CHAT_PRIORITY_NORMAL);
    assert_true(v.number > 3); /* numbers continue */
    run(r, 3);                 /* b plays */
    assert_string_equal(heard(r), "b");
    assert_string_equal(field(nth(r, "start", 0), "voice"), "bass");

    crash(r); /* killed in the middle of b */
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

    /* However a message ends, its row is deleted. */
    say(r, "h", "skipped words", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "i", "deleted words", ISHOW_CHAT_PRIORITY_NORMAL);
    say(r, "j", "cleared words", ISHOW_CHAT_PRIORITY_NORMAL);
    ishow_chat_skip(r->chat, "h");
    ishow_chat_delete(r->chat, "test", NULL, "i");
    ishow_chat_clear(r->chat);
    assert_int_equal(r->journal->n, 0);
    /* A row of another program is reported and not read. */
    r->journal->rows[0] = (fake_row){77, 0, strdup("{}")};
    r->journal->n = 1;
    crash(r);
    open_chat(r);
    assert_int_equal(r->journal->n, 0);
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_FAILURE], 1);
    unmake(r);
}

/* After an orderly end the clip that was playing has ended, and the message that was next waits again. */
static void test_an_orderly_end(void **state) {
    (void)state;
    for (int heard = 0; heard < 2; heard++) {
        rig *r = make();
        r->journal = calloc(1, sizeof *r->journal);
        open_chat(r);
        say_as(r, "a", "anna", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
        say_as(r, "b", "bob", "Other words.", ISHOW_CHAT_PRIORITY_NORMAL);
        r->journal->holds = !heard;
        run(r, 2);
        assert_true(r->journal->rows[0].marked);
        fake_journal_answer(r->journal);
        close_chat(r);
        assert_int_equal(r->journal->n, heard ? 1 : 2);
        r->journal->holds = 0;
        open_chat(r);
        const ishow_chat_counts n = counts(r);
        assert_int_equal(n.waiting, heard ? 1 : 2);
        assert_int_equal(n.dropped[ISHOW_CHAT_BY_INTERRUPTION], 0);
        unmake(r);
    }
}

/* A mark that the disk refuses does not stop the chat; one that another process could have taken over does. */
static void test_a_mark_that_cannot_be_written(void **state) {
    (void)state;
    rig *r = make();
    r->journal = calloc(1, sizeof *r->journal);
    open_chat(r);
    r->journal->fails = ISHOW_EIO;
    say_as(r, "a", "anna", "Short.", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 5);
    assert_string_equal(heard(r), "a");
    r->journal->fails = ISHOW_ECANCELLED;
    say_as(r, "b", "bob", "Other words.", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 5);
    assert_string_equal(heard(r), "a");
    ishow_error error = {0};
    assert_int_equal(ishow_chat_follow(r->chat, &error), ISHOW_OK);
    r->journal->fails = ISHOW_OK;
    unmake(r);
}

static ishow_chat_verdict send_durably(rig *r, const char *id, const char *user, const char *text, int *answers) {
    ishow_chat_verdict v;
    ishow_error error = {0};
    const ishow_chat_message m = fake_message(id, user, text);
    assert_int_equal(ishow_chat_receive(r->chat, &m, &v, note, answers, &error), ISHOW_OK);
    return v;
}

/* A message that must be durable and cannot be written is not queued, is counted, and may be sent again. */
static void test_what_cannot_be_kept_is_withdrawn(void **state) {
    (void)state;
    rig *r = make();
    r->o.repeat_seconds = 600;
    r->synth.busy = 1000; /* so that nothing is synthesised, and equal texts are still merged */
    r->o.flood_messages = 2;
    r->o.flood_seconds = 600;
    r->journal = calloc(1, sizeof *r->journal);
    open_chat(r);
    ishow_chat_pause(r->chat, 1);
    int answers = 0;
    for (int fails = 1; fails >= 0; fails--) {
        for (int i = 0; i < 3; i++) { /* more than the flood rule allows one viewer */
            r->journal->fails = fails ? ISHOW_EIO : ISHOW_OK;
            answers = 0;
            const ishow_chat_verdict v = send_durably(r, "a", "anna", "These words are hers.", &answers);
            assert_int_equal(v.accepted, fails || i == 0); /* after that the same id is a duplicate */
            ishow_chat_step(r->chat);
            assert_int_equal(answers, fails ? 100 : i == 0);
            assert_int_equal(counts(r).waiting, !fails);
            assert_int_equal(r->journal->n, !fails);
            fake_check_counts(r->chat);
        }
    }
    assert_int_equal(counts(r).dropped[ISHOW_CHAT_BY_STORAGE], 3);

    /* One of several merged messages. */
    answers = 0;
    r->journal->fails = ISHOW_EIO;
    assert_int_equal(send_durably(r, "b", "bob", "These words are hers.", &answers).merged, 1);
    assert_int_equal(counts(r).waiting, 2);
    ishow_chat_step(r->chat);
    assert_int_equal(answers, 100);
    assert_int_equal(counts(r).waiting, 1);
    assert_null(strstr(r->journal->rows[0].record, "bob"));
    r->journal->fails = ISHOW_OK;
    answers = 0;
    assert_int_equal(send_durably(r, "b", "bob", "These words are hers.", &answers).merged, 1);
    assert_int_equal(answers, 1);

    /* A message that plays need not be kept any more. */
    answers = 0;
    r->journal->holds = 1;
    send_durably(r, "c", "carl", LONG, &answers);
    ishow_chat_clear(r->chat);
    ishow_chat_step(r->chat);
    fake_journal_answer(r->journal);
    ishow_chat_step(r->chat);
    assert_int_equal(answers, 1);

    /* The chat ends before its thread could take the message out. */
    answers = 0;
    r->journal->fails = ISHOW_EIO;
    send_durably(r, "d", "dora", LONG, &answers);
    r->journal->holds = 0;
    fake_journal_answer(r->journal);
    assert_int_equal(answers, 0);
    fake_check_counts(r->chat);
    close_chat(r);
    assert_int_equal(answers, 100);
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_an_orderly_end),
        cmocka_unit_test(test_a_mark_that_cannot_be_written),
        cmocka_unit_test(test_what_cannot_be_kept_is_withdrawn),
    };
    return cmocka_run_group_tests_name("chat restart", tests, NULL, NULL);
}
