/* The store: committed changes stay, a failing change undoes only itself, and a damaged file is kept. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "bad_disk.h"
#include "base/base.h"
#include "store/store.h"

static const char *const steps[] = {"CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL)",
                                    "ALTER TABLE words ADD COLUMN count INTEGER NOT NULL DEFAULT 1"};
static const ishow_store_schema first_words = {"words", steps, 1}, words = {"words", steps, 2};

typedef struct place {
    char root[64], dir[80], file[120];
} place;

static place make_place(void) {
    place p;
    strcpy(p.root, "/tmp/ishow-store-XXXXXX");
    assert_non_null(mkdtemp(p.root));
    snprintf(p.dir, sizeof p.dir, "%s/a/b", p.root);
    snprintf(p.file, sizeof p.file, "%s/ishowtts.db", p.dir);
    return p;
}

static void remove_place(const place *p) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", p->root);
    assert_int_equal(system(command), 0);
}

static ishow_store *open_store(const place *p) {
    ishow_store *s = NULL;
    ishow_error error = {0};
    if (ishow_store_open(&s, p->dir, &error)) fail_msg("%s", error.message);
    if (ishow_store_migrate(s, &words, &error)) fail_msg("%s", error.message);
    return s;
}

static ishow_status insert(void *self, sqlite3 *db, ishow_error *error) {
    char sql[120];
    snprintf(sql, sizeof sql, "INSERT INTO words (word) VALUES ('%s')", (const char *)self);
    return sqlite3_exec(db, sql, NULL, NULL, NULL) ? ishow_store_fault(db, "Inserting", error) : ISHOW_OK;
}

static ishow_status insert_and_fail(void *self, sqlite3 *db, ishow_error *error) {
    insert(self, db, error);
    return ishow_fail(error, ISHOW_EINVAL, "word", "This word is not wanted.");
}

static ishow_status count(void *self, sqlite3 *db, ishow_error *error) {
    sqlite3_stmt *all = NULL;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM words", -1, &all, NULL))
        return ishow_store_fault(db, "Counting", error);
    sqlite3_step(all);
    *(int *)self = sqlite3_column_int(all, 0);
    sqlite3_finalize(all);
    return ISHOW_OK;
}

static int words_in(ishow_store *s) {
    int n = -1;
    assert_int_equal(ishow_store_run(s, count, &n, NULL), ISHOW_OK);
    return n;
}

static void what_is_written_stays(void **state) {
    (void)state;
    const long handles = ishow_live_handles();
    place p = make_place();
    struct stat info;
    ishow_error error = {0};
    ishow_store *s = open_store(&p);
    assert_int_equal(stat(p.dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(p.file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_string_equal(ishow_store_dir(s), p.dir);
    assert_string_equal(ishow_store_rescued(s), "");
    assert_int_equal(ishow_store_run(s, insert, "one", &error), ISHOW_OK);
    assert_int_equal(ishow_store_run(s, insert_and_fail, "two", &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "word");
    ishow_store_close(s);
    s = open_store(&p);
    assert_int_equal(words_in(s), 1);
    ishow_store_close(s);
    remove_place(&p);
    assert_int_equal(ishow_live_handles(), handles);
}

static void tables_are_brought_up_to_date_once(void **state) {
    (void)state;
    place p = make_place();
    ishow_store *s = NULL;
    ishow_error error = {0};
    assert_int_equal(ishow_store_open(&s, p.dir, &error), ISHOW_OK);
    assert_int_equal(ishow_store_migrate(s, &first_words, &error), ISHOW_OK);
    assert_int_equal(ishow_store_run(s, insert, "kept", &error), ISHOW_OK);
    assert_int_equal(ishow_store_migrate(s, &words, &error), ISHOW_OK);
    assert_int_equal(ishow_store_migrate(s, &words, &error), ISHOW_OK);
    assert_int_equal(words_in(s), 1);
    assert_int_equal(ishow_store_migrate(s, &first_words, &error), ISHOW_ESTATE);
    assert_non_null(strstr(error.message, "newer version"));
    static const char *const bad[] = {"CREATE TABLE half (id)", "CREATE NONSENSE"};
    const ishow_store_schema broken = {"half", bad, 2};
    assert_int_equal(ishow_store_migrate(s, &broken, &error), ISHOW_EINTERNAL);
    const ishow_store_schema repaired = {"half", bad, 1};
    assert_int_equal(ishow_store_migrate(s, &repaired, &error), ISHOW_OK); /* nothing of the failed change was left */
    ishow_store_close(s);
    remove_place(&p);
}

static void a_directory_has_one_owner(void **state) {
    (void)state;
    place p = make_place();
    char expected[40];
    ishow_store *s = open_store(&p), *second = NULL;
    ishow_error error = {0};
    assert_int_equal(ishow_store_open(&second, p.dir, &error), ISHOW_EBUSY);
    assert_null(second);
    assert_string_equal(error.field, "state_dir");
    snprintf(expected, sizeof expected, "process %ld", (long)getpid());
    assert_non_null(strstr(error.message, expected));
    ishow_store_close(s);
    s = open_store(&p);
    ishow_store_close(s);
    assert_int_equal(ishow_store_open(&s, "relative/path", &error), ISHOW_EINVAL);
    assert_int_equal(ishow_store_open(&s, "/dev/null/x", &error), ISHOW_EIO);
    remove_place(&p);
}

static void spoil(const char *path, long at, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    char noise[4096];
    memset(noise, 'x', sizeof noise);
    assert_true(fd >= 0 && n <= sizeof noise);
    assert_int_equal(pwrite(fd, noise, n, at), (ssize_t)n);
    close(fd);
}

static void a_broken_database_is_put_aside(void **state) {
    (void)state;
    place p = make_place();
    char aside[200], word[60];
    struct stat info;
    for (int round = 0; round < 3; round++) {
        ishow_store *s = open_store(&p);
        for (int i = 0; i < 200; i++) {
            snprintf(word, sizeof word, "a word of some length, number %d", i);
            assert_int_equal(ishow_store_run(s, insert, word, NULL), ISHOW_OK);
        }
        ishow_store_close(s);
        if (round == 0) spoil(p.file, 0, 100);     /* not a database */
        if (round == 1) spoil(p.file, 4096, 2000); /* its tables */
        if (round == 2) {                          /* cut off */
            assert_int_equal(stat(p.file, &info), 0);
            assert_int_equal(truncate(p.file, info.st_size / 2), 0);
        }
        s = open_store(&p);
        assert_int_equal(strncmp(ishow_store_rescued(s), "broken-20", 9), 0);
        assert_int_equal(words_in(s), 0);
        snprintf(aside, sizeof aside, "%s.%s", p.file, ishow_store_rescued(s));
        assert_int_equal(stat(aside, &info), 0);
        assert_true(info.st_size > 4096);
        ishow_store_close(s);
        s = open_store(&p);
        assert_string_equal(ishow_store_rescued(s), "");
        ishow_store_close(s);
    }
    remove_place(&p);
}

static ishow_status count_others(void *self, sqlite3 *db, ishow_error *error) {
    sqlite3_stmt *all = NULL;
    if (sqlite3_prepare_v2(db, "SELECT count(*) FROM others", -1, &all, NULL))
        return ishow_store_fault(db, "Counting", error);
    sqlite3_step(all);
    *(int *)self = sqlite3_column_int(all, 0);
    sqlite3_finalize(all);
    return ISHOW_OK;
}

/* Files that SQLite accepts, but that the program did not write. */
static void a_damaged_part_begins_anew_and_the_others_stay(void **state) {
    static const char *const damages[] = {"UPDATE schemas SET version = -1 WHERE name = 'words'",
                                          "UPDATE schemas SET version = 'many' WHERE name = 'words'",
                                          "UPDATE schemas SET version = 1.5 WHERE name = 'words'",
                                          "UPDATE schemas SET version = -9223372036854775808 WHERE name = 'words'",
                                          "DELETE FROM schemas WHERE name = 'words'",
                                          "UPDATE schemas SET version = 1 WHERE name = 'words'",
                                          "DROP TABLE words",
                                          "ALTER TABLE words RENAME COLUMN word TO text",
                                          "ALTER TABLE words DROP COLUMN count",
                                          "DROP TABLE words; CREATE VIEW words AS SELECT 1 AS id, 'x' AS word"};
    static const char *const other_steps[] = {"CREATE TABLE others (id INTEGER PRIMARY KEY)"};
    static const ishow_store_schema others = {"others", other_steps, 1};
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        place p = make_place();
        char aside[200];
        struct stat info;
        int n = 0;
        sqlite3 *db = NULL;
        ishow_error error = {0};
        ishow_store *s = open_store(&p);
        assert_int_equal(ishow_store_migrate(s, &others, NULL), ISHOW_OK);
        assert_int_equal(ishow_store_run(s, insert, "a word", NULL), ISHOW_OK);
        ishow_store_close(s);
        assert_int_equal(sqlite3_open(p.file, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, "INSERT INTO others DEFAULT VALUES", NULL, NULL, NULL), SQLITE_OK);
        if (sqlite3_exec(db, damages[i], NULL, NULL, NULL)) fail_msg("%s: %s", damages[i], sqlite3_errmsg(db));
        sqlite3_close(db);
        assert_int_equal(ishow_store_open(&s, p.dir, &error), ISHOW_OK);
        if (ishow_store_migrate(s, &words, &error)) fail_msg("%s: %s", damages[i], error.message);
        if (strncmp(ishow_store_rescued(s), "broken-20", 9)) fail_msg("%s: nothing was kept", damages[i]);
        assert_int_equal(words_in(s), 0);
        assert_int_equal(ishow_store_run(s, insert, "a word", NULL), ISHOW_OK);
        assert_int_equal(ishow_store_migrate(s, &others, NULL), ISHOW_OK);
        assert_int_equal(ishow_store_run(s, count_others, &n, NULL), ISHOW_OK);
        assert_int_equal(n, 1);
        snprintf(aside, sizeof aside, "%s.%s", p.file, ishow_store_rescued(s));
        assert_int_equal(stat(aside, &info), 0);
        ishow_store_close(s);
        s = open_store(&p);
        assert_string_equal(ishow_store_rescued(s), "");
        assert_int_equal(words_in(s), 1);
        ishow_store_close(s);
        remove_place(&p);
    }
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static ishow_status hold_up(void *self, sqlite3 *db, ishow_error *error) {
    (void)db, (void)error;
    atomic_store((atomic_int *)self, 1);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return ISHOW_OK;
}

typedef struct tally {
    atomic_int good, bad;
} tally;
static ishow_status insert_any(void *self, sqlite3 *db, ishow_error *error) {
    (void)self;
    return insert("any", db, error);
}
static ishow_status insert_not(void *self, sqlite3 *db, ishow_error *error) {
    (void)self;
    return insert_and_fail("not", db, error);
}
static void count_done(void *self, ishow_status status, const ishow_error *error) {
    tally *t = self;
    atomic_fetch_add(status ? &t->bad : &t->good, 1);
    assert_true(!status || error->message[0]);
}

static void the_queue_is_bounded_and_finished(void **state) {
    (void)state;
    place p = make_place();
    ishow_store *s = open_store(&p);
    ishow_error error = {0};
    atomic_int started = 0;
    tally t = {0};
    int queued = 0;
    pthread_mutex_lock(&gate);
    assert_int_equal(ishow_store_submit(s, hold_up, NULL, &started, &error), ISHOW_OK);
    while (!atomic_load(&started)) usleep(100);
    /* Failing changes in a batch do not undo the others. */
    while (!ishow_store_submit(s, queued % 3 == 1 ? insert_not : insert_any, count_done, &t, &error)) queued++;
    assert_int_equal(error.status, ISHOW_EBUSY);
    assert_true(queued > 500);
    assert_int_equal(atomic_load(&t.good) + atomic_load(&t.bad), 0);
    pthread_mutex_unlock(&gate);
    ishow_store_close(s); /* waits until they are done */
    assert_int_equal(atomic_load(&t.bad), (queued + 1) / 3);
    assert_int_equal(atomic_load(&t.good), queued - (queued + 1) / 3);
    s = open_store(&p);
    assert_int_equal(words_in(s), atomic_load(&t.good));
    ishow_store_close(s);
    remove_place(&p);
}

static void *write_many(void *self) {
    for (int i = 0; i < 50; i++)
        if (ishow_store_run(self, insert, "many", NULL)) return self;
    return NULL;
}

static void many_threads_write(void **state) {
    (void)state;
    place p = make_place();
    ishow_store *s = open_store(&p);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, write_many, s);
    for (int i = 0; i < 8; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(words_in(s), 400);
    ishow_store_close(s);
    remove_place(&p);
}

/* Writes rows, and reports each commit, until it is killed. */
static void write_until_killed(const place *p, int tell) {
    ishow_store *s = NULL;
    if (ishow_store_open(&s, p->dir, NULL) || ishow_store_migrate(s, &words, NULL)) _exit(1);
    for (;;)
        if (ishow_store_run(s, insert, "reported", NULL) || write(tell, "x", 1) != 1) _exit(1);
}

static void what_was_acknowledged_survives_a_kill(void **state) {
    (void)state;
    place p = make_place();
    int reported = 0;
    for (int round = 0; round < 12; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) write_until_killed(&p, ends[1]);
        close(ends[1]);
        char byte;
        for (int i = 0; i <= round * 3 && read(ends[0], &byte, 1) == 1; i++) reported++;
        usleep((useconds_t)(round * 211));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(ends[0], &byte, 1) == 1) reported++; /* reported before it was killed */
        close(ends[0]);
        ishow_store *s = open_store(&p);
        assert_string_equal(ishow_store_rescued(s), "");
        int kept = words_in(s);
        assert_true(kept >= reported && kept <= reported + 1); /* one row may be committed and not reported */
        reported = kept;
        ishow_store_close(s);
    }
    assert_true(reported > 12 * 11 * 3 / 2);
    remove_place(&p);
}

static void count_recovery(void *self) { atomic_fetch_add((atomic_int *)self, 1); }

/* Sends the log to `file` until the returned descriptor is given back. */
static int divert_log(FILE *file) {
    fflush(stderr);
    ishow_log_set_sink(ishow_log_to_stderr, NULL, ISHOW_LOG_INFO);
    const int usual = dup(STDERR_FILENO);
    assert_true(usual >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    return usual;
}

static int restore_log(int usual, FILE *file) {
    int lines = 0;
    fflush(stderr);
    dup2(usual, STDERR_FILENO);
    close(usual);
    rewind(file);
    for (int c; (c = fgetc(file)) != EOF;) lines += c == '\n';
    return lines;
}

static void until_healthy(ishow_store *s) {
    for (int i = 0; i < 1000 && ishow_store_health(s, NULL); i++) usleep(10000);
    assert_int_equal(ishow_store_health(s, NULL), ISHOW_OK);
}

/* A disk that is full, read-only or fails to sync: writes are refused, nothing written before is lost, and the store
 * recovers by itself when the disk works again. */
static void a_failing_disk_is_reported_once_and_recovers(void **state) {
    static const bad_disk_fault faults[] = {BAD_DISK_FULL, BAD_DISK_READ_ONLY, BAD_DISK_SYNC_FAILS};
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        place p = make_place();
        bad_disk_set(BAD_DISK_NONE);
        ishow_store *s = open_store(&p);
        atomic_int recoveries = 0;
        ishow_error error = {0};
        int n = 0;
        ishow_store_on_recovery(s, count_recovery, &recoveries);
        FILE *log = tmpfile();
        assert_non_null(log);
        const int usual = divert_log(log);
        assert_int_equal(ishow_store_run(s, insert, "before", &error), ISHOW_OK);
        assert_int_equal(ishow_store_health(s, NULL), ISHOW_OK);
        bad_disk_set(faults[i]);
        for (int k = 0; k < 20; k++) assert_int_equal(ishow_store_run(s, insert, "lost", &error), ISHOW_EIO);
        assert_int_equal(ishow_store_health(s, &error), ISHOW_EIO);
        assert_true(strlen(error.message) > 10);
        assert_int_equal(ishow_store_run(s, count, &n, &error),
                         ISHOW_OK); /* reading still works, and changes nothing */
        assert_int_equal(n, 1);
        assert_int_equal(ishow_store_health(s, NULL), ISHOW_EIO);
        assert_int_equal(atomic_load(&recoveries), 0);
        bad_disk_set(BAD_DISK_NONE);
        until_healthy(s); /* no other thread writes meanwhile */
        assert_int_equal(atomic_load(&recoveries), 1);
        assert_int_equal(ishow_store_run(s, insert, "after", &error), ISHOW_OK);
        assert_int_equal(restore_log(usual, log), 2);
        fclose(log);
        ishow_store_on_recovery(s, NULL, NULL);
        ishow_store_close(s);
        s = open_store(&p);
        assert_string_equal(ishow_store_rescued(s), "");
        assert_int_equal(ishow_store_run(s, count, &n, &error), ISHOW_OK);
        assert_int_equal(n, 2);
        ishow_store_close(s);
        remove_place(&p);
    }
}

/* Whatever made the directory, others may not look into it. */
static void the_directory_is_private(void **state) {
    (void)state;
    const place p = make_place();
    struct stat info;
    ishow_store *s = open_store(&p);
    ishow_store_close(s);
    assert_int_equal(chmod(p.dir, 0755), 0);
    s = open_store(&p);
    assert_int_equal(stat(p.dir, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(p.file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    ishow_store_close(s);
    ishow_error error = {0};
    assert_int_equal(ishow_store_open(&s, "/tmp", &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "state_dir");
    remove_place(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_stays),
        cmocka_unit_test(tables_are_brought_up_to_date_once),
        cmocka_unit_test(a_directory_has_one_owner),
        cmocka_unit_test(a_broken_database_is_put_aside),
        cmocka_unit_test(a_damaged_part_begins_anew_and_the_others_stay),
        cmocka_unit_test(the_queue_is_bounded_and_finished),
        cmocka_unit_test(many_threads_write),
        cmocka_unit_test(a_failing_disk_is_reported_once_and_recovers),
        cmocka_unit_test(what_was_acknowledged_survives_a_kill),
        cmocka_unit_test(the_directory_is_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
