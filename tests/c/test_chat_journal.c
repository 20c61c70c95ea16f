/* The journal on a real disk: a process is killed at any moment, and each message that it had accepted is played once
 * or reported as interrupted. */
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "bad_disk.h"
#include "fake_chat.h"
#include "store/journal.h"

enum { MESSAGES = 400, LIVES = 8 };

typedef struct world {
    char dir[64];
    fake_clock clock;
    fake_synth synth;
    ishow_store *store;
    ishow_journal *journal;
    ishow_chat *chat;
    ishow_chat_reader *reader;
    int out; /* where a child process writes what it did */
} world;

static void begin(world *w) {
    ishow_error error = {0};
    w->clock.now = 100;
    fake_synth_init(&w->synth, &w->clock);
    w->synth.character_seconds = 0.01;
    if (ishow_store_open(&w->store, w->dir, &error) || ishow_journal_create(&w->journal, w->store, &error))
        fail_msg("%s", error.message);
    ishow_chat_options o = ishow_chat_options_default();
    o.now = fake_clock_now;
    o.now_self = &w->clock;
    o.rate = o.repeat_seconds = o.gap_seconds = 0;
    o.flood_messages = 0;
    const ishow_chat_synth synth = fake_synth_table(&w->synth);
    const ishow_chat_journal journal = ishow_journal_table(w->journal);
    if (ishow_chat_create(&w->chat, &o, &synth, &journal, &error)) fail_msg("%s", error.message);
    if (ishow_chat_reader_open(&w->reader, w->chat, NULL, &error)) fail_msg("%s", error.message);
}

static void end(world *w) {
    fake_check_counts(w->chat);
    ishow_chat_reader_close(w->reader);
    ishow_chat_free(w->chat);
    ishow_journal_free(w->journal);
    ishow_store_close(w->store);
}

/* Writes the line "WORD ID\n" with one call, so that it is complete even when the process is killed at once. */
static void tell(int out, const char *word, const char *id) {
    char line[64];
    const int n = snprintf(line, sizeof line, "%s %s\n", word, id);
    if (write(out, line, (size_t)n) != n) _exit(3);
}

static void tell_events(world *w) {
    const unsigned char *data;
    size_t n;
    int binary;
    while (ishow_chat_reader_frame(w->reader, &data, &n, &binary)) {
        if (binary) continue;
        json_t *event = json_loadb((const char *)data, n, 0, NULL);
        const char *name = json_string_value(json_object_get(event, "event")),
                   *id = json_string_value(json_object_get(event, "id"));
        if (!strcmp(name, "start")) tell(w->out, "heard", id);
        if (!strcmp(name, "deleted")) tell(w->out, "gone", id);
        json_decref(event);
    }
}

typedef struct accepted {
    int out;
    char id[16];
} accepted;

static void durable(void *user, ishow_status status) {
    if (status != ISHOW_OK) _exit(5);
    accepted *a = user;
    tell(a->out, "kept", a->id);
    free(a);
}

/* Receives messages and plays them until it is killed; first writes what it recovered. */
static void live(world *w, int first) {
    begin(w);
    ishow_chat_counts n;
    ishow_chat_counts_get(w->chat, &n);
    char number[24];
    snprintf(number, sizeof number, "%llu", (unsigned long long)n.dropped[ISHOW_CHAT_BY_INTERRUPTION]);
    tell(w->out, "interrupted", number);
    for (int i = 0; i < MESSAGES; i++) {
        accepted *a = malloc(sizeof *a);
        if (!a) _exit(3);
        a->out = w->out;
        snprintf(a->id, sizeof a->id, "m%d", first + i);
        char text[48];
        snprintf(text, sizeof text, "words of message %d", first + i);
        ishow_chat_message m =
            fake_message(a->id, a->id, text); /* the row of a is deleted as soon as that is durable */
        m.priority = (ishow_chat_priority)(i % ISHOW_CHAT_PRIORITIES);
        ishow_chat_verdict v;
        ishow_error error = {0};
        if (ishow_chat_receive(w->chat, &m, &v, durable, a, &error) || !v.accepted) _exit(4);
        char id[16];
        snprintf(id, sizeof id, "m%d", first + i);
        if (i % 40 == 39) ishow_chat_skip(w->chat, id);
        for (int k = 0; k < 4; k++) {
            w->clock.now += 0.05;
            ishow_chat_step(w->chat);
            tell_events(w);
        }
        usleep(200);
    }
    for (;;) pause();
}

typedef struct fate {
    int kept, heard, gone; /* the last process that reported it; 0: none */
} fate;

/* Evaluates up to `most` lines of what process number `life` (1, 2, ...) wrote; returns how many messages it reported
 * as interrupted. When a process is killed before the disk has what it reported, the next one reports it again. */
static int read_story(FILE *in, fate *fates, int life, int most) {
    char word[16], id[24];
    int interrupted = 0;
    while (most-- && fscanf(in, "%15s %23s", word, id) == 2) {
        if (!strcmp(word, "interrupted")) {
            interrupted = atoi(id);
            continue;
        }
        const int i = atoi(id + 1);
        assert_true(id[0] == 'm' && i >= 0 && i < MESSAGES * (LIVES + 1));
        if (!strcmp(word, "kept")) fates[i].kept++;
        if (!strcmp(word, "heard")) fates[i].heard++;
        if (!strcmp(word, "gone")) {
            if (fates[i].gone == life) fail_msg("message %d was dropped twice by one process", i);
            fates[i].gone = life;
        }
    }
    return interrupted;
}

static void test_killed_at_any_moment(void **state) {
    (void)state;
    world w = {.dir = "/tmp/ishow-journal-XXXXXX"};
    assert_non_null(mkdtemp(w.dir));
    fate *fates = calloc(MESSAGES * (LIVES + 1), sizeof *fates);
    int interrupted = 0, kept = 0, lost = 0;
    for (int l = 0; l < LIVES; l++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            close(ends[0]);
            w.out = ends[1];
            live(&w, l * MESSAGES);
            for (;;) pause(); /* the parent may come to its kill late */
        }
        close(ends[1]);
        FILE *in = fdopen(ends[0], "r");
        interrupted += read_story(in, fates, l + 1, 40 + 17 * l);
        kill(child, SIGKILL); /* in whatever state it is now */
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));
        interrupted += read_story(in, fates, l + 1, -1);
        fclose(in);
    }
    /* The last process plays what is left. */
    begin(&w);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    w.out = ends[1];
    ishow_chat_counts n;
    ishow_chat_counts_get(w.chat, &n);
    interrupted += (int)n.dropped[ISHOW_CHAT_BY_INTERRUPTION];
    FILE *in = fdopen(ends[0], "r");
    const double patience = ishow_now() + 120;
    while (n.waiting && ishow_now() < patience) {
        w.clock.now += 0.05;
        ishow_chat_step(w.chat);
        tell_events(&w);
        ishow_chat_counts_get(w.chat, &n);
        usleep(20); /* answers of the database come in real time */
    }
    assert_int_equal(n.waiting, 0);
    close(ends[1]);
    read_story(in, fates, LIVES + 1, -1);
    fclose(in);
    end(&w);
    for (int i = 0; i < MESSAGES * (LIVES + 1); i++) {
        kept += fates[i].kept;
        if (fates[i].kept > 1 || fates[i].heard > 1)
            fail_msg("message %d was kept %d times and heard %d times", i, fates[i].kept, fates[i].heard);
        lost += fates[i].kept && !fates[i].heard && !fates[i].gone;
    }
    /* A message that was marked and not played before the kill is reported as interrupted, and so is one that was
     * played in part. */
    assert_true(kept > 50);
    assert_true(interrupted <= LIVES);
    if (lost > interrupted) fail_msg("%d messages of %d are lost, %d were reported", lost, kept, interrupted);
    free(fates);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", w.dir);
    assert_int_equal(system(command), 0);
}

static void nothing(void *self, uint64_t ticket, ishow_status status) {
    (void)status;
    (void)ticket;
    __atomic_add_fetch((int *)self, 1, __ATOMIC_RELAXED);
}

static void count_message(void *user, uint64_t number, int marked, const char *record) {
    int *seen = user;
    assert_true(number > (uint64_t)seen[2]); /* in order */
    seen[2] = (int)number;
    assert_string_equal(record, number == 7 ? "new" : "text");
    seen[0]++;
    seen[1] += marked;
}

static void count_any(void *user, uint64_t number, int marked, const char *record) {
    int *seen = user;
    (void)number, (void)record;
    seen[0]++;
    seen[1] += marked;
}

static char last_viewer[32];

static void count_viewer(void *user, const char *viewer, const char *voice) {
    int *seen = user;
    snprintf(last_viewer, sizeof last_viewer, "%s", viewer);
    seen[3]++;
    if (!strcmp(viewer, "test:anna")) assert_string_equal(voice, "!bass");
    seen[4] += !strcmp(viewer, "test:0");
}

static void test_what_is_kept(void **state) {
    (void)state;
    char dir[64] = "/tmp/ishow-journal-XXXXXX";
    assert_non_null(mkdtemp(dir));
    ishow_error error = {0};
    ishow_store *store;
    ishow_journal *journal;
    const long handles = ishow_live_handles();
    assert_int_equal(ishow_store_open(&store, dir, &error), ISHOW_OK);
    assert_int_equal(ishow_journal_create(&journal, store, &error), ISHOW_OK);
    ishow_chat_journal j = ishow_journal_table(journal);
    int answers = 0;
    for (uint64_t i = 1; i <= 3000; i++) { /* many more than the store's queue holds */
        j.put(j.self, i, "text");
        j.sync(j.self, nothing, &answers, i);
    }
    j.put(j.self, 7, "new");
    j.mark(j.self, 9);
    j.mark(j.self, 11);
    j.put(j.self, 11, "text"); /* it did not play and waits again */
    for (uint64_t i = 100; i <= 3000; i++) j.drop(j.self, i);
    j.voice(j.self, "test:anna", "alto");
    j.voice(j.self, "test:bob", "alto");
    j.voice(j.self, "test:anna", "!bass");
    ishow_journal_free(journal);
    assert_int_equal(__atomic_load_n(&answers, __ATOMIC_RELAXED), 3000);
    ishow_store_close(store);
    assert_int_equal(ishow_store_open(&store, dir, &error), ISHOW_OK);
    assert_int_equal(ishow_journal_create(&journal, store, &error), ISHOW_OK);
    j = ishow_journal_table(journal);
    int seen[5] = {0};
    assert_int_equal(j.load(j.self, count_message, count_viewer, seen, &error), ISHOW_OK);
    assert_int_equal(seen[0], 99);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[3], 2);
    assert_string_equal(last_viewer, "test:anna"); /* who chose again is the latest */
    ishow_journal_free(journal);
    ishow_store_close(store);
    assert_int_equal(ishow_live_handles(), handles);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

/* Waits until all requests are answered; failures are counted in steps of 100. */
static void count_answer(void *self, uint64_t ticket, ishow_status status) {
    (void)ticket;
    __atomic_fetch_add((int *)self, status == ISHOW_OK ? 1 : 100, __ATOMIC_RELAXED);
}

typedef struct repeat {
    ishow_chat_journal journal;
    int *answers;
} repeat;

/* Asks once more, while the batch that has failed is still being settled. */
static void answer_and_ask_again(void *self, uint64_t ticket, ishow_status status) {
    const repeat *r = self;
    r->journal.sync(r->journal.self, count_answer, r->answers, ticket + 1);
    count_answer(r->answers, ticket, status);
}

static void until_answers(const int *answers, int n) {
    for (int i = 0; i < 1000 && __atomic_load_n(answers, __ATOMIC_RELAXED) != n; i++) usleep(10000);
    assert_int_equal(__atomic_load_n(answers, __ATOMIC_RELAXED), n);
}

/* A sync while the disk fails returns an error; rows that were written then reach the disk once it works again, except
 * those of messages that have ended. */
static void test_a_disk_that_fails(void **state) {
    (void)state;
    for (int gives_up = 0; gives_up < 2; gives_up++) {
        char dir[64] = "/tmp/ishow-journal-XXXXXX";
        assert_non_null(mkdtemp(dir));
        ishow_error error = {0};
        ishow_store *store;
        ishow_journal *journal;
        int answers = 0;
        assert_int_equal(ishow_store_open(&store, dir, &error), ISHOW_OK);
        assert_int_equal(ishow_journal_create(&journal, store, &error), ISHOW_OK);
        ishow_chat_journal j = ishow_journal_table(journal);
        for (uint64_t i = 1; i <= 10; i++) j.put(j.self, i, "text");
        j.sync(j.self, count_answer, &answers, 1);
        until_answers(&answers, 1);
        bad_disk_set(BAD_DISK_SYNC_FAILS);
        j.put(j.self, 11, "text");
        j.sync(j.self, count_answer, &answers, 2);
        until_answers(&answers, 101);
        for (uint64_t i = 12; i <= 400; i++) { /* received and ended while the disk fails */
            j.put(j.self, i, "text");
            j.mark(j.self, i);
            j.drop(j.self, i);
        }
        j.drop(j.self, 3); /* these messages have a row */
        j.drop(j.self, 10);
        j.mark(j.self, 4);
        j.put(j.self, 500, "text");
        for (int i = 0; i < 1100; i++) {
            char viewer[24];
            snprintf(viewer, sizeof viewer, "test:%d", i);
            j.voice(j.self, viewer, "alto");
        }
        j.voice(j.self, "test:anna", "!bass");
        j.sync(j.self, count_answer, &answers, 3);
        until_answers(&answers, 201);
        for (uint64_t i = 501; i <= 700; i++) { /* requests that come while a batch fails are answered as well */
            j.put(j.self, i, "text");
            j.sync(j.self, count_answer, &answers, i);
            j.drop(j.self, i);
        }
        until_answers(&answers, 20201);
        repeat last = {j, &answers}; /* also the last one, after which nothing is written */
        j.sync(j.self, answer_and_ask_again, &last, 701);
        until_answers(&answers, 20401);
        if (!gives_up) {
            bad_disk_set(BAD_DISK_NONE);
            for (int i = 0; i < 1000 && ishow_store_health(store, NULL); i++) usleep(10000);
        }
        ishow_journal_free(journal);
        bad_disk_set(BAD_DISK_NONE);
        ishow_store_close(store);
        assert_int_equal(ishow_store_open(&store, dir, &error), ISHOW_OK);
        assert_int_equal(ishow_journal_create(&journal, store, &error), ISHOW_OK);
        j = ishow_journal_table(journal);
        int seen[5] = {0};
        assert_int_equal(j.load(j.self, count_any, count_viewer, seen, &error), ISHOW_OK);
        if (gives_up)
            assert_true(seen[0] >= 10); /* at least the rows that were durable before */
        else {
            assert_int_equal(seen[0], 10);
            assert_int_equal(seen[1], 1);
            assert_int_equal(seen[3], 1000); /* the latest choices */
            assert_int_equal(seen[4], 0);
        }
        ishow_journal_free(journal);
        ishow_store_close(store);
        char command[100];
        snprintf(command, sizeof command, "rm -rf %s", dir);
        assert_int_equal(system(command), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_a_disk_that_fails),
        cmocka_unit_test(test_killed_at_any_moment),
    };
    return cmocka_run_group_tests_name("chat_journal", tests, NULL, NULL);
}
