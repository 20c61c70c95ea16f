/* Errors, aligned memory, UTF-8, clock and log. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/base.h"
#include "base/grow.h"

static void test_fail_fills_the_callers_buffer(void **state) {
    (void)state;
    ishow_error error;
    memset(&error, 0xFF, sizeof error);
    assert_int_equal(ishow_fail(&error, ISHOW_ELIMIT, "speed", "speed is %g; the limit is %d", 4.5, 3), ISHOW_ELIMIT);
    assert_int_equal(error.status, ISHOW_ELIMIT);
    assert_string_equal(error.field, "speed");
    assert_string_equal(error.message, "speed is 4.5; the limit is 3");
    assert_int_equal(ishow_fail(NULL, ISHOW_EIO, "x", "no buffer"), ISHOW_EIO);
    ishow_fail(&error, ISHOW_EIO, NULL, "again: %s",
               error.message); /* an argument that is inside the buffer that is written */
    assert_string_equal(error.field, "");
    assert_string_equal(error.message, "again: speed is 4.5; the limit is 3");
    ishow_error_clear(&error);
    assert_int_equal(error.status, ISHOW_OK);
    assert_string_equal(error.message, "");
    ishow_error_clear(NULL);
}

static void test_long_messages_end_in_whole_characters(void **state) {
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) { /* the limit falls on every byte of a character */
        char text[2000];
        size_t n = 0;
        while (n < shift) text[n++] = 'a';
        while (n + 4 < sizeof text) n += (size_t)sprintf(text + n, "\xE4\xBD\xA0");
        text[n] = '\0';
        ishow_error error;
        ishow_fail(&error, ISHOW_EINVAL, "a field name that is much longer than the buffer has room for", "%s", text);
        assert_true(ishow_utf8_length(error.message) != SIZE_MAX);
        assert_true(strlen(error.message) > sizeof error.message - 5);
        assert_int_equal(strlen(error.field), sizeof error.field - 1);
    }
}

static void test_every_status_has_a_name(void **state) {
    (void)state;
    assert_string_equal(ishow_status_name(ISHOW_OK), "OK");
    assert_string_equal(ishow_status_name(ISHOW_EINTERNAL), "EINTERNAL");
    for (int i = ISHOW_OK; i <= ISHOW_EINTERNAL; i++) {
        assert_string_not_equal(ishow_status_name((ishow_status)i), "UNKNOWN");
        for (int k = ISHOW_OK; k < i; k++)
            assert_string_not_equal(ishow_status_name((ishow_status)i), ishow_status_name((ishow_status)k));
    }
    assert_string_equal(ishow_status_name((ishow_status)999), "UNKNOWN");
    assert_true(strlen(ishow_version()) >= 5);
    assert_true(strlen(ishow_build_id()) >= 16 &&
                strspn(ishow_build_id(), "0123456789abcdef") == strlen(ishow_build_id()));
}

static void test_handles_are_counted(void **state) {
    (void)state;
    const long before = ishow_live_handles();
    ishow_handle_made();
    ishow_handle_made();
    assert_int_equal(ishow_live_handles(), before + 2);
    ishow_handle_freed();
    ishow_handle_freed();
    assert_int_equal(ishow_live_handles(), before);
}

static void test_alloc(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 2, 15, 16, 17, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        unsigned char *block = ishow_alloc(counts[i], 4);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        for (size_t k = 0; k < counts[i] * 4; k++) assert_int_equal(block[k], 0);
        memset(block, 1, counts[i] * 4);
        free(block);
    }
    assert_null(ishow_alloc(SIZE_MAX / 2, 4));
    assert_null(ishow_alloc(SIZE_MAX - 10, 1));
    char *copy = ishow_strdup("copy");
    assert_string_equal(copy, "copy");
    free(copy);
    assert_null(ishow_strdup(NULL));
}

static void test_grow(void **state) {
    (void)state;
    size_t capacity = 0, moves = 0;
    int *items = NULL;
    for (int n = 0; n < 10000; n++) {
        const size_t before = capacity;
        int *more = ishow_grow(items, &capacity, (size_t)n + 1, sizeof *more);
        assert_non_null(more);
        assert_true(capacity > (size_t)n);
        moves += capacity != before;
        items = more;
        items[n] = n;
    }
    for (int n = 0; n < 10000; n++) assert_int_equal(items[n], n);
    assert_true(moves < 20); /* it grows by a share, not by a constant */
    const size_t before = capacity;
    assert_null(ishow_grow(items, &capacity, SIZE_MAX / 4, 8));
    assert_null(ishow_grow(items, &capacity, SIZE_MAX, 1));
    assert_int_equal(capacity, before);
    assert_int_equal(items[9999], 9999);
    free(items);
}

static void test_utf8(void **state) {
    (void)state;
    const char *p = "a\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80";
    assert_int_equal(ishow_utf8_length(p), 4);
    assert_int_equal(ishow_utf8_next(&p), 'a');
    assert_int_equal(ishow_utf8_next(&p), 0xE9);
    assert_int_equal(ishow_utf8_next(&p), 0x4F60);
    assert_int_equal(ishow_utf8_next(&p), 0x1F600);
    assert_int_equal(ishow_utf8_next(&p), 0);
    assert_int_equal(ishow_utf8_next(&p), 0); /* and stays there at the end */
    assert_int_equal(ishow_utf8_length(""), 0);
    static const char *const edges[] = {"\x7F",         "\xC2\x80",         "\xDF\xBF",
                                        "\xE0\xA0\x80", "\xED\x9F\xBF",     "\xEE\x80\x80",
                                        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) assert_int_equal(ishow_utf8_length(edges[i]), 1);
    /* a lone continuation byte, an overlong form, a surrogate, beyond U+10FFFF, truncated, invalid bytes */
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xE0\x9F\xBF",
                                      "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xC3",
                                      "\xE4\xBD",
                                      "\xF0\x9F\x98",
                                      "\xFE",
                                      "\xFF",
                                      "\xC3("};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[16];
        snprintf(text, sizeof text, "ok%s", bad[i]);
        assert_true(ishow_utf8_length(text) == SIZE_MAX);
        const char *at = text + 2;
        assert_true(ishow_utf8_next(&at) == UINT32_MAX);
        assert_ptr_equal(at, text + 2); /* is the position of the invalid byte */
    }
}

static double seconds_of(const struct timespec *t) { return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec; }

static void test_clock(void **state) {
    (void)state;
    const double a = ishow_now(), b = ishow_now();
    assert_true(b >= a);
    static const double waits[] = {0, 0.25, 1.999999999, 3, -5, 1e300};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        struct timespec t;
        const double before = ishow_now();
        ishow_deadline(waits[i], &t);
        const double after = ishow_now(), wait = waits[i] < 0 ? 0 : waits[i] > 1e8 ? 1e8 : waits[i];
        assert_true(t.tv_nsec >= 0 && t.tv_nsec < 1000000000L);
        assert_true(seconds_of(&t) >= before + wait - 1e-6 && seconds_of(&t) <= after + wait + 1e-6);
    }
}

/* The bytes that one call writes to standard error. */
static void capture(ishow_log_level level, const char *text, char *out, size_t size) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    ishow_log(level, "room", "%s", text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    const ssize_t n = read(ends[0], out, size - 1);
    close(ends[0]);
    out[n > 0 ? n : 0] = '\0';
}

typedef struct heard {
    int lines;
    char text[64];
} heard;

static void hear(void *self, ishow_log_level level, const char *room, const char *request, const char *text) {
    heard *h = self;
    h->lines++;
    snprintf(h->text, sizeof h->text, "%d %s %s %s", (int)level, room, request ? request : "-", text);
}

static void test_log(void **state) {
    (void)state;
    char line[8192], text[5000];
    heard h = {0};
    capture(ISHOW_LOG_ERROR, "nobody listens", line, sizeof line);
    assert_string_equal(line, "");
    ishow_log_set_sink(hear, &h, ISHOW_LOG_WARN);
    capture(ISHOW_LOG_ERROR, "for the sink", line, sizeof line);
    ishow_log(ISHOW_LOG_INFO, "room", "too little");
    assert_string_equal(line, "");
    assert_int_equal(h.lines, 1);
    assert_string_equal(h.text, "3 room - for the sink");
    ishow_log_request(ISHOW_LOG_WARN, "room", "r1", "%s", "of a request");
    assert_string_equal(h.text, "2 room r1 of a request");
    ishow_log_set_sink(ishow_log_to_stderr, NULL, ISHOW_LOG_INFO);
    capture(ISHOW_LOG_WARN, "something", line, sizeof line);
    assert_non_null(strstr(line, "Z warn room: something\n"));
    capture(ISHOW_LOG_DEBUG, "hidden", line, sizeof line);
    assert_string_equal(line, "");
    ishow_log_set_level(ISHOW_LOG_DEBUG);
    capture(ISHOW_LOG_DEBUG, "shown", line, sizeof line);
    assert_non_null(strstr(line, "debug room: shown\n"));
    ishow_log_set_level(ISHOW_LOG_INFO);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture(ISHOW_LOG_ERROR, text, line,
            sizeof line); /* a message beyond the limit of a line is cut and has one newline at the end */
    assert_true(strlen(line) > 1000 && strlen(line) < 2100);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

/* The files of /proc and /sys by path; "" ends the list. */
static void write_tree(const char *root, const char *const *files) {
    char command[400];
    snprintf(command, sizeof command, "rm -rf %s && mkdir -p %s/proc/self", root, root);
    assert_int_equal(system(command), 0);
    for (; **files; files += 2) {
        char path[300];
        snprintf(path, sizeof path, "%s%s", root, files[0]);
        snprintf(command, sizeof command, "mkdir -p $(dirname %s)", path);
        assert_int_equal(system(command), 0);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(files[1], file);
        fclose(file);
    }
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                                                    \
    "31 23 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - " \
    "cgroup cgroup rw,cpu,cpuacct\n"
#define V1_PART "32 23 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"

static void test_quotas_of_control_groups(void **state) {
    static const struct {
        double quota;
        const char *const files[14];
    } trees[] = {
        {INFINITY, {""}},
        {INFINITY,
         {"/proc/self/mountinfo", V2_MOUNT, "/proc/self/cgroup", "0::/\n", "/sys/fs/cgroup/cpu.max", "max 100000\n",
          ""}},
        {1.5,
         {"/proc/self/mountinfo", V2_MOUNT, "/proc/self/cgroup", "0::/\n", "/sys/fs/cgroup/cpu.max", "150000 100000\n",
          ""}},
        /* the group has no limit, but its parent has */
        {2,
         {"/proc/self/mountinfo", V2_MOUNT, "/proc/self/cgroup", "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max",
          "max 100000\n", "/sys/fs/cgroup/a/cpu.max", "100000 50000\n", ""}},
        {0.5,
         {"/proc/self/mountinfo", V2_MOUNT, "/proc/self/cgroup", "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max",
          "50000 100000\n", "/sys/fs/cgroup/a/cpu.max", "200000 100000\n", ""}},
        {3,
         {"/proc/self/mountinfo", V1_MOUNTS, "/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/y\n",
          "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_quota_us", "300000\n", "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_period_us",
          "100000\n", "/sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us", "100000\n", ""}},
        {INFINITY,
         {"/proc/self/mountinfo", V1_MOUNTS, "/proc/self/cgroup", "4:cpu,cpuacct:/y\n",
          "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_quota_us", "-1\n", "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_period_us",
          "100000\n", ""}},
        /* a container without a cgroup namespace has its own group at the mount point */
        {2,
         {"/proc/self/mountinfo", V1_PART, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n",
          "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n", "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us",
          "100000\n", ""}},
        {1,
         {"/proc/self/mountinfo", V1_PART, "/proc/self/cgroup", "4:cpu,cpuacct:/docker/abc/inner\n",
          "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n", "/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_quota_us",
          "100000\n", "/sys/fs/cgroup/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n", ""}},
        /* both hierarchies are mounted, and the cpu controller is in the first */
        {1,
         {"/proc/self/mountinfo", V1_MOUNTS V2_MOUNT, "/proc/self/cgroup", "4:cpu,cpuacct:/y\n0::/z\n",
          "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_quota_us", "100000\n", "/sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_period_us",
          "100000\n", ""}},
        {INFINITY, {"/proc/self/mountinfo", "nonsense\n - cgroup2\n", "/proc/self/cgroup", "0\n::\n", ""}},
    };
    (void)state;
    char root[] = "/tmp/ishow-cores-XXXXXX", command[64];
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        write_tree(root, trees[i].files);
        const double found = ishow_cpu_quota(root);
        if (found != trees[i].quota) fail_msg("tree %zu: %g, not %g", i, found, trees[i].quota);
    }
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
    assert_true(ishow_cores() >= 1);
}

/* What strangers wrote must not look like a line of the log, steer a terminal, or turn around what follows. */
static void test_log_as_text_is_one_visible_line(void **state) {
    (void)state;
    char line[16384], text[3000];
    capture(ISHOW_LOG_WARN,
            "Eve\n2026-01-01 error store: lost\r \x1b[2J \x7f \xc2\x9b \xe2\x80\xae \xe2\x80\xa8 \xff \xc3\xa9", line,
            sizeof line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(strstr(
        line, "Eve\\x0a2026-01-01 error store: lost\\x0d \\x1b[2J \\x7f \\x9b \\u202e \\u2028 \\xff \xc3\xa9\n"));
    memset(text, 1, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    capture(ISHOW_LOG_WARN, text, line, sizeof line);
    assert_true(strlen(line) > 4 * 1500);
}

static void test_log_as_json(void **state) {
    (void)state;
    char line[16384], text[5000];
    json_t *o;
    ishow_log_set_format(ISHOW_LOG_JSON);
    capture(ISHOW_LOG_WARN, "a \"quote\", a \\, a\nnewline, \x01, \xff\xfe and \xc3\xa9", line, sizeof line);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    assert_non_null(o = json_loads(line, 0, NULL));
    assert_string_equal(json_string_value(json_object_get(o, "message")),
                        "a \"quote\", a \\, a\nnewline, \x01, \xef\xbf\xbd\xef\xbf\xbd and \xc3\xa9");
    assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(o, "module")), "room");
    assert_int_equal(strlen(json_string_value(json_object_get(o, "time"))), 24);
    assert_null(json_object_get(o, "request_id"));
    json_decref(o);
    memset(text, 1, sizeof text - 1); /* every byte is escaped with six characters */
    text[sizeof text - 1] = '\0';
    capture(ISHOW_LOG_ERROR, text, line, sizeof line);
    assert_non_null(o = json_loads(line, 0, NULL));
    json_decref(o);
    ishow_log_set_format(ISHOW_LOG_TEXT);
    ishow_log_format format;
    assert_true(ishow_log_format_find("json", &format) && format == ISHOW_LOG_JSON &&
                !ishow_log_format_find("xml", &format));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fail_fills_the_callers_buffer),
        cmocka_unit_test(test_long_messages_end_in_whole_characters),
        cmocka_unit_test(test_every_status_has_a_name),
        cmocka_unit_test(test_handles_are_counted),
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_quotas_of_control_groups),
        cmocka_unit_test(test_log_as_text_is_one_visible_line),
        cmocka_unit_test(test_log_as_json),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
