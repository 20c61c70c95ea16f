/* Stored voices: whenever the process is killed, each row has its clip, acknowledged changes are there, and no other
 * file is left. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/defaults.h"
#include "store/voice_store.h"

typedef struct fixture {
    char root[64];
    ishow_store *store;
    ishow_voice_store *voices;
} fixture;

static void open_fixture(fixture *k) {
    ishow_error error = {0};
    if (ishow_store_open(&k->store, k->root, &error)) fail_msg("%s", error.message);
    if (ishow_voice_store_open(&k->voices, k->store, &error)) fail_msg("%s", error.message);
}

static void close_fixture(fixture *k) {
    ishow_voice_store_close(k->voices);
    ishow_store_close(k->store);
}

static fixture make_fixture(void) {
    fixture k;
    strcpy(k.root, "/tmp/ishow-voices-XXXXXX");
    assert_non_null(mkdtemp(k.root));
    open_fixture(&k);
    return k;
}

static void remove_fixture(fixture *k) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", k->root);
    assert_int_equal(system(command), 0);
}

static ishow_status put(ishow_voice_store *voices, const char *id, ishow_voice_kind kind, const char *clip,
                        const char *text) {
    ishow_voice_row row = {.kind = kind, .text = text ? strdup(text) : NULL, .language = "en", .updated_at = 5};
    snprintf(row.id, sizeof row.id, "%s", id);
    ishow_status status = ishow_voice_store_put(voices, &row, clip, clip ? strlen(clip) : 0, NULL);
    free(row.text);
    return status;
}

static int files_in(const fixture *k) {
    char path[100];
    int n = 0;
    snprintf(path, sizeof path, "%s/voices", k->root);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(dir);
    return n;
}

static void expect_clip(const fixture *k, const ishow_voice_row *row, const char *content) {
    char path[200], read_back[300] = "";
    assert_true(ishow_voice_store_path(k->voices, row->clip, path, sizeof path));
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, read_back, sizeof read_back - 1) > 0);
    close(fd);
    assert_string_equal(read_back, content);
}

static void rows_and_clips_come_back(void **state) {
    (void)state;
    const long handles = ishow_live_handles();
    fixture k = make_fixture();
    ishow_voice_row *rows = NULL;
    size_t n = 0;
    assert_int_equal(put(k.voices, "bob", ISHOW_VOICE_CREATED, "fLaC and some bytes", "Hello."), ISHOW_OK);
    assert_int_equal(put(k.voices, "bob", ISHOW_VOICE_OVERRIDE, "RIFF1234WAVE bytes", NULL), ISHOW_OK);
    assert_int_equal(put(k.voices, "anna", ISHOW_VOICE_OVERRIDE, NULL, "Only a text."), ISHOW_OK);
    assert_int_equal(put(k.voices, "same", ISHOW_VOICE_CREATED, "fLaC and some bytes", "Hello."), ISHOW_OK);
    assert_int_equal(files_in(&k), 2);
    close_fixture(&k);
    open_fixture(&k);
    assert_int_equal(ishow_voice_store_list(k.voices, &rows, &n, NULL), ISHOW_OK);
    assert_int_equal(n, 4);
    assert_string_equal(rows[0].id, "anna");
    assert_string_equal(rows[0].text, "Only a text.");
    assert_string_equal(rows[0].clip, "");
    assert_int_equal(rows[1].kind, ISHOW_VOICE_CREATED);
    assert_non_null(strstr(rows[1].clip, ".flac"));
    expect_clip(&k, &rows[1], "fLaC and some bytes");
    assert_int_equal(rows[2].kind, ISHOW_VOICE_OVERRIDE);
    assert_null(rows[2].text);
    assert_non_null(strstr(rows[2].clip, ".wav"));
    assert_string_equal(rows[2].language, "en");
    assert_int_equal(rows[2].updated_at, 5);
    ishow_voice_rows_free(rows, n);
    /* A clip that two voices share stays for the other. */
    assert_int_equal(ishow_voice_store_remove(k.voices, "bob", ISHOW_VOICE_OVERRIDE, NULL), ISHOW_OK);
    assert_int_equal(files_in(&k), 1);
    assert_int_equal(ishow_voice_store_remove(k.voices, "bob", ISHOW_VOICE_CREATED, NULL), ISHOW_OK);
    assert_int_equal(files_in(&k), 1);
    assert_int_equal(ishow_voice_store_remove(k.voices, "same", ISHOW_VOICE_CREATED, NULL), ISHOW_OK);
    assert_int_equal(files_in(&k), 0);
    close_fixture(&k);
    remove_fixture(&k);
    assert_int_equal(ishow_live_handles(), handles);
}

static void unused_clips_are_removed_and_other_files_stay(void **state) {
    (void)state;
    fixture k = make_fixture();
    char path[200];
    static const char *const names[] = {"0123456789abcdef0123456789abcdef.wav",
                                        ".new-0123456789abcdef0123456789abcdef.wav", "notes.txt"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/voices/%s", k.root, names[i]);
        close(open(path, O_WRONLY | O_CREAT, 0600));
    }
    close_fixture(&k);
    open_fixture(&k);
    assert_int_equal(files_in(&k), 1);
    assert_int_equal(access(path, F_OK), 0);
    close_fixture(&k);
    remove_fixture(&k);
}

static void clips_of_a_broken_database_are_kept(void **state) {
    (void)state;
    fixture k = make_fixture();
    char path[200];
    assert_int_equal(put(k.voices, "bob", ISHOW_VOICE_CREATED, "fLaC and some bytes", "Hello."), ISHOW_OK);
    close_fixture(&k);
    snprintf(path, sizeof path, "%s/ishowtts.db", k.root);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "garbage that is no database", 27, 0), 27);
    close(fd);
    open_fixture(&k);
    assert_int_equal(files_in(&k), 0);
    snprintf(path, sizeof path, "ls %s/voices.%s/*.flac >/dev/null", k.root, ishow_store_rescued(k.store));
    assert_int_equal(system(path), 0);
    close_fixture(&k);
    remove_fixture(&k);
}

static void a_folder_that_cannot_be_written_changes_nothing(void **state) {
    (void)state;
    fixture k = make_fixture();
    char path[200];
    ishow_voice_row *rows = NULL;
    size_t n = 0;
    assert_int_equal(put(k.voices, "bob", ISHOW_VOICE_CREATED, "fLaC the first clip", "Hello."), ISHOW_OK);
    snprintf(path, sizeof path, "rm -rf %s/voices",
             k.root); /* root may write anywhere: only a missing folder stops it */
    assert_int_equal(system(path), 0);
    assert_int_equal(put(k.voices, "bob", ISHOW_VOICE_CREATED, "fLaC another clip", "Bye."), ISHOW_EIO);
    assert_int_equal(ishow_voice_store_list(k.voices, &rows, &n, NULL), ISHOW_OK);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].text, "Hello.");
    ishow_voice_rows_free(rows, n);
    close_fixture(&k);
    remove_fixture(&k);
}

/* Replaces, overrides and removes "bob" until it is killed; reports the number of each finished step. */
static void change_until_killed(const char *root, int from, int tell) {
    fixture k;
    char clip[100], text[40];
    strcpy(k.root, root);
    if (ishow_store_open(&k.store, k.root, NULL) || ishow_voice_store_open(&k.voices, k.store, NULL)) _exit(1);
    for (int i = from;; i++) {
        snprintf(clip, sizeof clip, "fLaC clip of step %d", i);
        snprintf(text, sizeof text, "%d", i);
        if (i % 5 == 4 ? ishow_voice_store_remove(k.voices, "bob", ISHOW_VOICE_OVERRIDE, NULL)
                       : put(k.voices, "bob", i % 5 == 3 ? ISHOW_VOICE_OVERRIDE : ISHOW_VOICE_CREATED, clip, text))
            _exit(1);
        if (write(tell, &i, sizeof i) != sizeof i) _exit(1);
    }
}

/* 1: these are the rows after step i of change_until_killed. */
static int is_state_of(const ishow_voice_row *rows, size_t n, int i) {
    int created = i % 5 < 3 ? i : i - i % 5 + 2, overridden = i % 5 == 3;
    if (n != (overridden ? 2u : 1u) || rows[0].kind != ISHOW_VOICE_CREATED || atoi(rows[0].text) != created) return 0;
    return !overridden || (rows[1].kind == ISHOW_VOICE_OVERRIDE && atoi(rows[1].text) == i);
}

static void every_row_has_its_clip_after_a_kill(void **state) {
    (void)state;
    fixture k = make_fixture();
    close_fixture(&k);
    int last = -1, from = 0;
    for (int round = 0; round < 40; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) change_until_killed(k.root, from, ends[1]);
        close(ends[1]);
        for (int i = 0; i < 1 + round % 4; i++) assert_int_equal(read(ends[0], &last, sizeof last), sizeof last);
        usleep((useconds_t)(round * 137)); /* killed in the middle of the following step */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &last, sizeof last) == sizeof last) {}
        close(ends[0]);

        open_fixture(&k);
        assert_string_equal(ishow_store_rescued(k.store), "");
        ishow_voice_row *rows = NULL;
        size_t n = 0;
        assert_int_equal(ishow_voice_store_list(k.voices, &rows, &n, NULL), ISHOW_OK);
        for (size_t i = 0; i < n; i++) {
            char content[100];
            snprintf(content, sizeof content, "fLaC clip of step %d", atoi(rows[i].text));
            expect_clip(&k, &rows[i], content);
        }
        assert_int_equal(files_in(&k), n); /* no clip without a row, complete or not */
        assert_true(is_state_of(rows, n, last) ||
                    is_state_of(rows, n, last + 1)); /* one step may be done and not reported */
        ishow_voice_rows_free(rows, n);
        close_fixture(&k);
        from = last + 1;
    }
    assert_true(last >= 40);
    remove_fixture(&k);
}

static void what_is_kept_is_bounded(void **state) {
    (void)state;
    fixture k = make_fixture();
    ishow_voice_store *voices = k.voices;
    ishow_error error = {0};
    assert_int_equal(ishow_voice_store_has_space(voices, 1, 1000, &error), ISHOW_OK);
    assert_int_equal(ishow_voice_store_has_space(voices, 1, (size_t)ISHOW_STORED_BYTES_MAX + 1, &error), ISHOW_ELIMIT);
    char text[] = "text";
    for (int i = 0; i < ISHOW_STORED_VOICES_MAX; i++) {
        ishow_voice_row row = {.kind = ISHOW_VOICE_CREATED, .text = text};
        snprintf(row.id, sizeof row.id, "v%d", i);
        assert_int_equal(ishow_voice_store_has_space(voices, 1, 4, &error), ISHOW_OK);
        assert_int_equal(ishow_voice_store_put(voices, &row, &i, sizeof i, &error), ISHOW_OK);
    }
    assert_int_equal(ishow_voice_store_has_space(voices, 1, 4, &error), ISHOW_ELIMIT);
    assert_non_null(strstr(error.message, "delete one first"));
    assert_int_equal(ishow_voice_store_remove(voices, "v7", ISHOW_VOICE_CREATED, &error), ISHOW_OK);
    assert_int_equal(ishow_voice_store_has_space(voices, 1, 4, &error), ISHOW_OK);
    assert_int_equal(ishow_voice_store_has_space(
                         voices, 1, (size_t)ISHOW_STORED_BYTES_MAX - 4 * (ISHOW_STORED_VOICES_MAX - 1) + 1, &error),
                     ISHOW_ELIMIT);
    close_fixture(&k);
    remove_fixture(&k);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_clips_come_back),
        cmocka_unit_test(unused_clips_are_removed_and_other_files_stay),
        cmocka_unit_test(clips_of_a_broken_database_are_kept),
        cmocka_unit_test(a_folder_that_cannot_be_written_changes_nothing),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(every_row_has_its_clip_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
