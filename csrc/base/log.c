/* The log. The library prints nothing itself: the program that uses it sets a sink. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

enum { LINE_MAX = 2048, JSON_MAX = 6 * LINE_MAX + 256 /* a byte may become an escape of six characters */ };

static atomic_int minimum = ISHOW_LOG_INFO, wanted_format = ISHOW_LOG_TEXT;

static const char *const names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "json"};

static int find(const char *const *all, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, all[i])) return (int)i;
    return -1;
}

int ishow_log_level_find(const char *name, ishow_log_level *out) {
    const int at = find(names, sizeof names / sizeof *names, name);
    if (at >= 0) *out = (ishow_log_level)at;
    return at >= 0;
}

int ishow_log_format_find(const char *name, ishow_log_format *out) {
    const int at = find(format_names, sizeof format_names / sizeof *format_names, name);
    if (at >= 0) *out = (ishow_log_format)at;
    return at >= 0;
}

void ishow_log_set_level(ishow_log_level level) { atomic_store(&minimum, (int)level); }
void ishow_log_set_format(ishow_log_format format) { atomic_store(&wanted_format, (int)format); }

static size_t write_time(char *out, size_t size) {
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return n + (size_t)snprintf(out + n, size - n, ".%03ldZ", now.tv_nsec / 1000000);
}

/* Writes a JSON string of text, without a NUL, at most 6 * strlen(text) + 2 bytes; invalid UTF-8 becomes U+FFFD. */
static size_t write_string(char *out, const char *text) {
    size_t n = 0;
    out[n++] = '"';
    while (*text) {
        const char *from = text;
        const uint32_t c = ishow_utf8_next(&text);
        if (c == UINT32_MAX) {
            memcpy(out + n, "\\ufffd", 6);
            n += 6;
            text = from + 1;
        } else if (c < ' ' || c == '"' || c == '\\' || c == 0x7f) {
            n += (size_t)sprintf(out + n, "\\u%04x", (unsigned)c);
        } else {
            memcpy(out + n, from, (size_t)(text - from));
            n += (size_t)(text - from);
        }
    }
    out[n++] = '"';
    return n;
}

static size_t append(char *out, size_t n, const char *text) {
    const size_t length = strlen(text);
    memcpy(out + n, text, length);
    return n + length;
}

static void write_json(ishow_log_level level, const char *module, const char *id, const char *message) {
    char line[JSON_MAX];
    size_t n = append(line, 0, "{\"time\":\"");
    n += write_time(line + n, 64);
    n = append(line, n, "\",\"level\":\"");
    n = append(line, n, names[level]);
    n = append(line, n, "\",\"module\":\"");
    n = append(line, n, module);
    n = append(line, n, "\"");
    if (id) {
        n = append(line, n, ",\"request_id\":");
        n += write_string(line + n, id);
    }
    n = append(line, n, ",\"message\":");
    n += write_string(line + n, message);
    n = append(line, n, "}\n");
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

/* 1 for code points that would break the line, control a terminal, or reorder the text that follows. */
static int is_unsafe(uint32_t c) {
    return c < ' ' || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

/* Writes text; such code points and bytes that are not UTF-8 become escapes, at most 6 * strlen(text) bytes. Messages
 * contain names and texts of untrusted users. */
static size_t write_visibly(char *out, const char *text) {
    size_t n = 0;
    while (*text) {
        const char *from = text;
        const uint32_t c = ishow_utf8_next(&text);
        if (c == UINT32_MAX) {
            n += (size_t)sprintf(out + n, "\\x%02x", (unsigned)(unsigned char)*from);
            text = from + 1;
        } else if (is_unsafe(c)) {
            n += (size_t)sprintf(out + n, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
        } else {
            memcpy(out + n, from, (size_t)(text - from));
            n += (size_t)(text - from);
        }
    }
    return n;
}

static void write_text(ishow_log_level level, const char *module, const char *id, const char *message) {
    char line[JSON_MAX];
    size_t n = write_time(line, 64);
    n += (size_t)sprintf(line + n, " %s %s: ", names[level], module);
    if (id) {
        n += write_visibly(line + n, id);
        line[n++] = ' ';
    }
    n += write_visibly(line + n, message);
    line[n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

void ishow_log_to_stderr(void *unused, ishow_log_level level, const char *module, const char *id, const char *text) {
    char shown[72];
    (void)unused;
    if (id) snprintf(shown, sizeof shown, "%s", id);
    (atomic_load(&wanted_format) == ISHOW_LOG_JSON ? write_json : write_text)(level, module, id ? shown : NULL, text);
}

static pthread_rwlock_t sink_lock = PTHREAD_RWLOCK_INITIALIZER; /* held for reading while the sink is called */
static ishow_log_sink sink;
static void *sink_self;

void ishow_log_set_sink(ishow_log_sink function, void *self, ishow_log_level least) {
    pthread_rwlock_wrlock(&sink_lock);
    sink = function;
    sink_self = self;
    ishow_log_set_level(least);
    pthread_rwlock_unlock(&sink_lock);
}

static void hand_over(ishow_log_level level, const char *module, const char *id, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static void hand_over(ishow_log_level level, const char *module, const char *id, const char *format, va_list args) {
    char text[LINE_MAX - 128];
    if ((int)level < atomic_load(&minimum) || vsnprintf(text, sizeof text, format, args) < 0) return;
    pthread_rwlock_rdlock(&sink_lock);
    if (sink) sink(sink_self, level, module, id, text);
    pthread_rwlock_unlock(&sink_lock);
}

void ishow_log(ishow_log_level level, const char *module, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hand_over(level, module, NULL, format, args);
    va_end(args);
}

void ishow_log_request(ishow_log_level level, const char *module, const char *id, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hand_over(level, module, id, format, args);
    va_end(args);
}
