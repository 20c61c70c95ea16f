/* What every room shares: errors, live-handle counting, log, clock, UTF-8. Private to the C core. */
#ifndef ISHOW_BASE_BASE_H
#define ISHOW_BASE_BASE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Writes status, field and a formatted sentence into *error (NULL allowed) and returns status, so that a failing
 * function can end with `return ishow_fail(...)` or `status = ishow_fail(...); goto done;`. */
ishow_status ishow_fail(ishow_error *error, ishow_status status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Count one more or one less live opaque handle. Every _create and _free of the public headers calls them. */
void ishow_handle_made(void);
void ishow_handle_freed(void);

typedef enum ishow_log_level { ISHOW_LOG_DEBUG, ISHOW_LOG_INFO, ISHOW_LOG_WARN, ISHOW_LOG_ERROR } ishow_log_level;

/* One line to standard error. Any thread. Never log a secret. */
void ishow_log(ishow_log_level level, const char *room, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same of one request (or message of the chat); its id, at most 64 bytes, is before the text, in JSON a field of its own. */
void ishow_log_request(ishow_log_level level, const char *room, const char *id, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* TEXT, at first: "time level room: text". JSON: an object with time, level, room, request_id (of a request) and message. */
typedef enum ishow_log_format { ISHOW_LOG_TEXT, ISHOW_LOG_JSON } ishow_log_format;
void ishow_log_set_format(ishow_log_format format);
int ishow_log_format_find(const char *name, ishow_log_format *out); /* of "text", "json"; 0: no such name */

/* Lines below `level` are dropped; INFO at first. */
void ishow_log_set_level(ishow_log_level level);
int ishow_log_level_find(const char *name, ishow_log_level *out); /* of "debug", "info", "warn", "error"; 0: no such name */

/* Monotonic seconds. */
double ishow_now(void);

/* Absolute CLOCK_MONOTONIC time `seconds` from now, for condition variables made with that clock. */
struct timespec;
void ishow_deadline(double seconds, struct timespec *out);

/* Whole processors that this process may use, at least 1: those of its affinity mask, or fewer where a control group (v1 or v2, its own or one
 * above it) limits its processor time. A limit of 2.5 processors counts as 2, since threads beyond a limit are stopped while others wait for them. */
int ishow_cores(void);

/* The limit of control groups alone, in processors; infinity when there is none. `root` stands before /proc and the mount points: "" but in tests. */
double ishow_cpu_quota(const char *root);

/* A number that is another when the file of this path may be another: by place, size and time. 0: there is none (path NULL allowed). */
uint64_t ishow_file_stamp(const char *path);

/* strdup and a checked malloc'd copy; NULL only when out of memory. strdup of NULL is NULL. */
char *ishow_strdup(const char *text);

/* 64-byte aligned, zeroed array; free() it. NULL when out of memory or when n * size overflows. */
void *ishow_alloc(size_t n, size_t size);

/* Next code point of NUL-terminated UTF-8 at *p, advanced past it; 0 at the end, UINT32_MAX on malformed bytes (overlong,
 * surrogate, out of range, truncated), *p then stands at the bad byte. */
uint32_t ishow_utf8_next(const char **p);

/* Code points in text, or SIZE_MAX when it is not valid UTF-8. */
size_t ishow_utf8_length(const char *text);

#endif
