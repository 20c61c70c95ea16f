/* Functions used by all modules: errors, live-handle counting, log, clock, memory, UTF-8. Private to the C core. */
#ifndef ISHOW_BASE_BASE_H
#define ISHOW_BASE_BASE_H

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "ishow.h"

/* Writes status, field and a formatted sentence into *error (NULL allowed) and returns status, so that a failing
 * function can end with `return ishow_fail(...)` or `status = ishow_fail(...); goto done;`. */
ISHOW_API ishow_status ishow_fail(ishow_error *error, ishow_status status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Clears *error (NULL allowed). */
ISHOW_API void ishow_error_clear(ishow_error *error);

/* Count one more or one less live opaque handle (ishow_live_handles). Every _create and _free calls them. */
ISHOW_API void ishow_handle_made(void);
ISHOW_API void ishow_handle_freed(void);

/* One line to the sink of ishow_log_set_sink. Any thread. Never log a secret. */
ISHOW_API void ishow_log(ishow_log_level level, const char *module, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for one request or message of the chat, with its id. */
ISHOW_API void ishow_log_request(ishow_log_level level, const char *module, const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Drops lines below `level` from now on; the sink stays. */
ISHOW_API void ishow_log_set_level(ishow_log_level level);
ISHOW_API int ishow_log_level_find(const char *name, ishow_log_level *out); /* "debug", ..., "error"; 0: no such name */

/* A sink for programs: each line is one write, so that lines of several threads do not mix. TEXT, the default: "time
 * level module: id text". JSON: an object with time, level, module, request_id (of a request, up to 71 bytes) and
 * message. */
ISHOW_API void ishow_log_to_stderr(void *unused, ishow_log_level level, const char *module, const char *id,
                                   const char *text);
typedef enum ishow_log_format { ISHOW_LOG_TEXT, ISHOW_LOG_JSON } ishow_log_format;
ISHOW_API void ishow_log_set_format(ishow_log_format format);
ISHOW_API int ishow_log_format_find(const char *name, ishow_log_format *out); /* "text", "json"; 0: no such name */

/* The linker's build id of the library in hexadecimal, which differs for different code. "": the linker makes none.
 * Static storage, any thread. */
ISHOW_API const char *ishow_build_id(void);

/* Monotonic seconds. */
ISHOW_API double ishow_now(void);

/* Absolute CLOCK_MONOTONIC time `seconds` from now, for condition variables made with that clock. */
struct timespec;
ISHOW_API void ishow_deadline(double seconds, struct timespec *out);
ISHOW_API void ishow_condition_init(pthread_cond_t *out); /* one made with that clock */

/* Number of whole processors that this process may use, at least 1: those of its affinity mask, or fewer where a
 * control group (v1 or v2, its own or a parent) limits its processor time. A quota of 2.5 processors counts as 2, since
 * threads beyond a quota are stopped while others wait for them. */
ISHOW_API int ishow_cores(void);

/* The quota of control groups alone, in processors; infinity when there is none. `root` is prefixed to /proc and the
 * mount points: "" except in tests. */
double ishow_cpu_quota(const char *root);

/* A number that changes when the file at this path may have changed, from its inode, size and time. 0: there is no file
 * (path NULL allowed). */
uint64_t ishow_file_stamp(const char *path);

/* strdup and a checked malloc'd copy; NULL only when out of memory. strdup of NULL is NULL. */
ISHOW_API char *ishow_strdup(const char *text);

/* 1 when none of n values is NaN or infinite. Compares exponents as integers, which is fast. */
int ishow_all_finite(const float *values, size_t n);

/* 64-byte aligned, zeroed array; free() it. NULL when out of memory or when n * size overflows. */
ISHOW_API void *ishow_alloc(size_t n, size_t size);

/* Memory that is reused and never shrinks. Zeroed: empty. */
typedef struct ishow_workspace {
    void *data;
    size_t bytes;
} ishow_workspace;

/* Grows it to n elements of `size` bytes, 64-byte aligned; growing loses the contents. 0: out of memory. */
int ishow_workspace_grow(ishow_workspace *workspace, size_t n, size_t size);
void ishow_workspace_free(ishow_workspace *workspace);

/* Next code point of NUL-terminated UTF-8 at *p, advanced past it; 0 at the end, UINT32_MAX on malformed bytes
 * (overlong, surrogate, out of range, truncated), *p is then at the invalid byte. */
uint32_t ishow_utf8_next(const char **p);

/* Code points in text, or SIZE_MAX when it is not valid UTF-8. */
ISHOW_API size_t ishow_utf8_length(const char *text);

#endif
