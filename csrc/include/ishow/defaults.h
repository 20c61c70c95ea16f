/* Every default value and limit of the project, written once. C includes this file; Python reads the same
 * numbers as `ishowtts._engine.DEFAULTS` (name in lower case without the ISHOW_ prefix). */
#ifndef ISHOW_DEFAULTS_H
#define ISHOW_DEFAULTS_H

/* Sampling (F5-TTS; EPSS: arXiv 2505.19931). */
#define ISHOW_NFE 7
#define ISHOW_NFE_MIN 1
#define ISHOW_NFE_MAX 64
#define ISHOW_CFG_STRENGTH 2.0
#define ISHOW_CFG_STRENGTH_MAX 10.0
#define ISHOW_SWAY (-1.0)
#define ISHOW_SWAY_MIN (-1.0)
#define ISHOW_SWAY_MAX 0.5707963267948966 /* pi/2 - 1: keeps the grid monotonic */
#define ISHOW_SPEED 1.0
#define ISHOW_SPEED_MIN 0.3
#define ISHOW_SPEED_MAX 3.0
#define ISHOW_TARGET_RMS 0.1
#define ISHOW_CROSS_FADE 0.15     /* seconds */
#define ISHOW_CROSS_FADE_MAX 1.0
#define ISHOW_FIX_DURATION_MAX 60.0 /* seconds, of the whole clip including the reference */
#define ISHOW_MAX_TEXT_CHARS 5000

/* Voices. */
#define ISHOW_REFERENCE_SECONDS_MIN 1.0
#define ISHOW_REFERENCE_SECONDS_MAX 30.0
#define ISHOW_UPLOAD_BYTES_MAX (10 * 1024 * 1024)

/* Engine. */
#define ISHOW_QUEUE_CAPACITY 64          /* utterances waiting or in flight */
#define ISHOW_CACHE_BYTES (256u * 1024 * 1024)
#define ISHOW_MAX_ROWS 4                 /* rows that share the scheduler at once */
#define ISHOW_CHUNK_SECONDS 22.0         /* reference + generated audio of one chunk at most, about */
#define ISHOW_RETRIES 2                  /* new noise after a silent or non-finite clip */

/* Server. */
#define ISHOW_HOST "127.0.0.1"
#define ISHOW_PORT 27121
#define ISHOW_BODY_BYTES_MAX (64 * 1024)  /* of a JSON request */
#define ISHOW_REQUEST_SECONDS 120         /* deadline of one synthesis */
#define ISHOW_DRAIN_SECONDS 20            /* after SIGTERM */

#endif
