/* Status codes and the caller's error buffer.
 *
 * No function of this library keeps a global error, prints, or exits: every call that can fail takes an
 * `ishow_error *` (NULL is allowed) and writes one sentence a person can act on. */
#ifndef ISHOW_BASE_STATUS_H
#define ISHOW_BASE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ishow_status {
    ISHOW_OK = 0,
    ISHOW_EINVAL,     /* an argument or a user's input is malformed or out of range */
    ISHOW_ENOMEM,     /* memory could not be had */
    ISHOW_EIO,        /* a file or socket failed */
    ISHOW_EFORMAT,    /* bytes are not what they claim to be (audio, package, checkpoint) */
    ISHOW_ELIMIT,     /* a stated limit is exceeded (size, length, channels) */
    ISHOW_ENOTFOUND,  /* no such voice, file, model */
    ISHOW_EBUSY,      /* a bounded queue is full: try again later */
    ISHOW_ECANCELLED, /* the caller cancelled */
    ISHOW_ETIMEOUT,   /* a deadline passed */
    ISHOW_EMODEL,     /* the model failed (NaN, wrong shape, runtime error) */
    ISHOW_EPYTHON,    /* a Python exception; its traceback is in the log */
    ISHOW_ESTATE,     /* called at the wrong time: closing, not ready */
    ISHOW_EINTERNAL   /* a defect in this program */
} ishow_status;

typedef struct ishow_error {
    ishow_status status;
    char field[32];    /* the request field at fault, or "" */
    char message[480]; /* one sentence, UTF-8, NUL-terminated */
} ishow_error;

/* Name of a status in upper case without prefix, e.g. "EINVAL". Static storage. */
const char *ishow_status_name(ishow_status status);

/* Clears *error (NULL allowed). */
void ishow_error_clear(ishow_error *error);

/* Number of live opaque handles of every kind in this process: 0 after all are freed. Any thread. */
long ishow_live_handles(void);

/* Version of the library, e.g. "0.1.0". Static storage. */
const char *ishow_version(void);

/* The linker's build id of the library in hexadecimal digits: another for every other code. "" where the linker makes none. Static storage, any thread. */
const char *ishow_build_id(void);

#ifdef __cplusplus
}
#endif
#endif
