/* Voices over HTTP: their JSON, uploads, and clips as files. Functions may wait for a disk or for another change unless
 * noted. */
#ifndef ISHOW_SERVICE_VOICES_H
#define ISHOW_SERVICE_VOICES_H

#include "service/voice_registry.h"
#include "service/multipart_form.h"

#define ENGINE_ID    "f5"
#define ENGINE_LABEL "F5-TTS"

ISHOW_API void ishow_engine_label(ishow_engine *engine, char *out, size_t n);

/* Writes JSON; does not wait. 0: the fault is set. */
ISHOW_API int ishow_voices_list(voice_registry *r, ishow_engine *engine, ishow_buffer *out, fault *f);
ISHOW_API int ishow_voices_reference(voice_registry *r, ishow_engine *engine, const char *id, ishow_buffer *out,
                                     fault *f);

/* Applies a form after ishow_form_end and writes the JSON of the new voice or of its reference. 0: the fault is set. */
ISHOW_API int ishow_voices_create(voice_registry *r, ishow_engine *engine, form *from, ishow_buffer *out, fault *f);
ISHOW_API int ishow_voices_override(voice_registry *r, ishow_engine *engine, const char *id, form *from,
                                    ishow_buffer *out, fault *f);

/* ---- the clip ---- */
typedef struct clip {
    char *path;
    const char *type; /* media type */
    int fd;
    uint64_t size;
    char etag[64];
} clip;

/* source: "baseline", "override", or NULL for the clip in use. Does not wait. 0: the fault is set. */
ISHOW_API int ishow_clip_find(clip *c, voice_registry *r, const char *id, const char *source, fault *f);
ISHOW_API int ishow_clip_open(clip *c, fault *f);
ISHOW_API void ishow_clip_close(clip *c); /* also after a fault */

typedef struct clip_part {
    int status; /* 200, 206 or 304 */
    uint64_t from, n;
    char content_range[80]; /* "": none; set for a 416 too */
} clip_part;

/* Chooses the part of an open clip that If-None-Match, If-Range and Range (each may be NULL) ask for. 0: the fault is
 * set. */
ISHOW_API int ishow_clip_choose(const clip *c, const char *known, const char *when, const char *range, clip_part *out,
                                fault *f);

/* 1: the range is [*from, *from + *n) of size; 0: send all (no range, several, or not understood); -1: not
 * satisfiable. */
int file_range(const char *range, uint64_t size, uint64_t *from, uint64_t *n);

#endif
