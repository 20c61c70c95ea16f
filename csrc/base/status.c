/* Errors are written to the caller's buffer; the only global state is a counter of live handles, for leak tests and the
 * /metrics page. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)
#define VERSION  TEXT(ISHOW_VERSION_MAJOR) "." TEXT(ISHOW_VERSION_MINOR) "." TEXT(ISHOW_VERSION_PATCH)

static atomic_long live_handles;

const char *ishow_status_name(ishow_status status) {
    switch (status) {
    case ISHOW_OK: return "OK";
    case ISHOW_EINVAL: return "EINVAL";
    case ISHOW_ENOMEM: return "ENOMEM";
    case ISHOW_EIO: return "EIO";
    case ISHOW_EFORMAT: return "EFORMAT";
    case ISHOW_ELIMIT: return "ELIMIT";
    case ISHOW_ENOTFOUND: return "ENOTFOUND";
    case ISHOW_EBUSY: return "EBUSY";
    case ISHOW_EAGAIN: return "EAGAIN";
    case ISHOW_ECANCELLED: return "ECANCELLED";
    case ISHOW_ETIMEOUT: return "ETIMEOUT";
    case ISHOW_EMODEL: return "EMODEL";
    case ISHOW_EPYTHON: return "EPYTHON";
    case ISHOW_ESTATE: return "ESTATE";
    case ISHOW_EINTERNAL: return "EINTERNAL";
    }
    return "UNKNOWN";
}

void ishow_error_clear(ishow_error *error) {
    if (error) memset(error, 0, sizeof *error);
}

ishow_status ishow_fail(ishow_error *error, ishow_status status, const char *field, const char *format, ...) {
    if (!error) return status;
    char message[sizeof error->message]; /* the arguments may point into *error itself */
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    error->status = status;
    error->retry_after = 0;
    snprintf(error->field, sizeof error->field, "%s", field ? field : "");
    /* A sentence cut in the middle of a UTF-8 sequence would not be JSON: end it before the cut. */
    size_t n = strlen(message);
    if (n == sizeof message - 1) {
        while (n > 0 && ((unsigned char)message[n - 1] & 0xC0) == 0x80) n--;
        if (n > 0 && ((unsigned char)message[n - 1] & 0x80)) n--;
        message[n] = '\0';
    }
    memcpy(error->message, message, n + 1);
    return status;
}

long ishow_live_handles(void) { return atomic_load(&live_handles); }
void ishow_handle_made(void) { atomic_fetch_add(&live_handles, 1); }
void ishow_handle_freed(void) { atomic_fetch_sub(&live_handles, 1); }

const char *ishow_version(void) { return VERSION; }
