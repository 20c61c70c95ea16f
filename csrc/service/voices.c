/* See voices.h. */
#include "service/voices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void ishow_engine_label(ishow_engine *engine, char *out, size_t n) {
    ishow_model_info info;
    ishow_engine_info(engine, &info);
    snprintf(out, n, ENGINE_LABEL " %s", info.name);
}

static void write_field(ishow_buffer *out, const char *name, const char *value) {
    if (!value || !value[0]) return;
    ishow_buffer_format(out, ",\"%s\":", name);
    ishow_buffer_json_text(out, value);
}

/* One element of the list. e: NULL when the registry does not have the voice. */
static void write_voice(ishow_buffer *out, const registry_entry *e, const char *id, const char *language,
                        const char *text, const char *label) {
    ishow_buffer_text(out, "{\"id\":");
    ishow_buffer_json_text(out, id);
    ishow_buffer_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    ishow_buffer_json_text(out, label);
    write_field(out, "language", language);
    write_field(out, "reference_text", text);
    ishow_buffer_format(out,
                        ",\"configured\":%s,\"has_override\":%s,\"sample_url\":", e && e->created ? "false" : "true",
                        e && e->override_at ? "true" : "false");
    if (e && (e->override_audio || e->audio))
        ishow_buffer_format(out, "\"/api/voices/%s/reference/audio\"}", id);
    else
        ishow_buffer_text(out, "null}");
}

static void write_reference(ishow_buffer *out, const registry_entry *e, const char *label) {
    ishow_buffer_text(out, "{\"voice_id\":");
    ishow_buffer_json_text(out, e->id);
    ishow_buffer_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    ishow_buffer_json_text(out, label);
    write_field(out, "language", e->language);
    write_field(out, "active_reference_text", e->override_text ? e->override_text : e->text);
    write_field(out, "baseline_reference_text", e->text);
    write_field(out, "override_reference_text", e->override_text);
    ishow_buffer_format(out, ",\"baseline_audio_available\":%s,\"override_audio_available\":%s",
                        e->audio ? "true" : "false", e->override_audio ? "true" : "false");
    if (e->override_at) {
        char when[32];
        struct tm utc;
        const time_t at = (time_t)e->override_at;
        gmtime_r(&at, &utc);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
        write_field(out, "override_updated_at", when);
    }
    ishow_buffer_text(out, "}");
}

int ishow_voices_list(voice_registry *r, ishow_engine *engine, ishow_buffer *out, fault *f) {
    ishow_voice_entry *voices = NULL;
    ishow_error error = {0};
    size_t n = 0;
    char label[128];
    if (ishow_engine_list_voices(engine, &voices, &n, &error) != ISHOW_OK) {
        ishow_fault_from_error(f, &error);
        return 0;
    }
    ishow_engine_label(engine, label, sizeof label);
    ishow_buffer_text(out, "[");
    for (size_t i = 0; i < n; i++) {
        registry_entry *e = ishow_voice_registry_get(r, voices[i].id);
        if (i) ishow_buffer_text(out, ",");
        write_voice(out, e, voices[i].id, voices[i].language, voices[i].text, label);
        entry_free(e);
    }
    ishow_buffer_text(out, "]");
    free(voices);
    return 1;
}

int ishow_voices_reference(voice_registry *r, ishow_engine *engine, const char *id, ishow_buffer *out, fault *f) {
    char label[128];
    registry_entry *e = ishow_voice_registry_get(r, id);
    if (!e) return ishow_fault_no_voice(f, id);
    ishow_engine_label(engine, label, sizeof label);
    write_reference(out, e, label);
    entry_free(e);
    return 1;
}

/* ---- changes ---- */

int ishow_voices_create(voice_registry *r, ishow_engine *engine, form *from, ishow_buffer *out, fault *f) {
    char label[128];
    ishow_model_info info;
    ishow_engine_info(engine, &info);
    const unsigned needed = FORM_ID | FORM_AUDIO | (ishow_clip_needs_text(&info) ? (unsigned)FORM_TEXT : 0);
    if (!ishow_form_check(from, needed)) {
        *f = from->fault;
        return 0;
    }
    const char *id = (const char *)from->id.data, *text = ishow_form_text(from, FORM_TEXT, &from->text);
    if (!ishow_voice_registry_add(r, engine, id, text ? text : "",
                                  ishow_form_text(from, FORM_LANGUAGE, &from->language), &from->audio, f))
        return 0;
    registry_entry *e = ishow_voice_registry_get(r, id);
    if (!e) return ishow_fault_no_voice(f, id); /* deleted by another request meanwhile */
    ishow_engine_label(engine, label, sizeof label);
    write_voice(out, e, e->id, e->language, e->text, label);
    entry_free(e);
    return 1;
}

int ishow_voices_override(voice_registry *r, ishow_engine *engine, const char *id, form *from, ishow_buffer *out,
                          fault *f) {
    if (!ishow_form_check(from, 0)) {
        *f = from->fault;
        return 0;
    }
    if (!(from->given & FORM_REFERENCE))
        return ishow_fault_set(f, 400, "missing_field", "audio",
                               "The form needs a field \"audio\" or \"text\", or both.");
    if (!ishow_voice_registry_override(r, engine, id, ishow_form_text(from, FORM_TEXT, &from->text),
                                       from->given & FORM_AUDIO ? &from->audio : NULL, f))
        return 0;
    return ishow_voices_reference(r, engine, id, out, f);
}

/* ---- the clip ---- */

int ishow_clip_find(clip *c, voice_registry *r, const char *id, const char *source, fault *f) {
    int override = source && !strcmp(source, "override"), baseline = source && !strcmp(source, "baseline");
    *c = (clip){.fd = -1};
    if (source && !override && !baseline)
        return ishow_fault_set(f, 400, "out_of_range", "source",
                               "source must be baseline or override; when left out, the clip in use.");
    registry_entry *e = ishow_voice_registry_get(r, id);
    if (!e) return ishow_fault_no_voice(f, id);
    if (!source) override = e->override_audio != NULL;
    const char *path = override ? e->override_audio : e->audio, *name = path ? strrchr(path, '/') : NULL;
    if (!path)
        ishow_fault_set(f, 404, "not_found", "source", "The voice %s has no %s clip.", e->id,
                        override ? "override" : "baseline");
    else if (!(c->path = ishow_strdup(path)))
        ishow_fault_memory(f);
    else if ((override || e->created) && name)
        snprintf(c->etag, sizeof c->etag, "\"%.32s\"", name + 1); /* the name is a hash of the content */
    entry_free(e);
    return c->path != NULL;
}

int ishow_clip_open(clip *c, fault *f) {
    struct stat info;
    unsigned char start[64];
    c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = c->fd >= 0 ? pread(c->fd, start, sizeof start, 0) : -1;
    if (n < 0 || fstat(c->fd, &info) || !S_ISREG(info.st_mode)) {
        ishow_log(ISHOW_LOG_ERROR, "voices", "the clip %s cannot be read: %s", c->path, strerror(errno));
        return ishow_fault_set(f, 404, "not_found", "source", "The clip cannot be read any more.");
    }
    c->size = (uint64_t)info.st_size;
    c->type = ishow_audio_type(start, (size_t)n);
    if (!c->type) c->type = "application/octet-stream";
    if (!c->etag[0])
        snprintf(c->etag, sizeof c->etag, "\"%llx-%llx-%llx%09lx\"", (unsigned long long)info.st_ino,
                 (unsigned long long)info.st_size, (unsigned long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    return 1;
}

void ishow_clip_close(clip *c) {
    if (c->path && c->fd >= 0) close(c->fd);
    free(c->path);
    *c = (clip){.fd = -1};
}

int file_range(const char *range, uint64_t size, uint64_t *from, uint64_t *n) {
    static const char unit[] = "bytes=";
    if (!range || strncmp(range, unit, sizeof unit - 1)) return 0;
    const char *p = range + sizeof unit - 1;
    size_t a = strspn(p, "0123456789"), b = p[a] == '-' ? strspn(p + a + 1, "0123456789") : 0;
    if (p[a] != '-' || p[a + 1 + b] || a > 18 || b > 18 || (!a && !b)) return 0;
    uint64_t first = strtoull(p, NULL, 10), last = b ? strtoull(p + a + 1, NULL, 10) : UINT64_MAX;
    if (!a) { /* the last n bytes */
        *n = last < size ? last : size;
        *from = size - *n;
        return *n ? 1 : -1;
    }
    if (b && last < first) return 0;
    if (first >= size) return -1;
    *from = first;
    *n = (last < size ? last + 1 : size) - first;
    return 1;
}

int ishow_clip_choose(const clip *c, const char *known, const char *when, const char *range, clip_part *out, fault *f) {
    *out = (clip_part){.status = 200, .n = c->size};
    if (known && (strstr(known, c->etag) || !strcmp(known, "*"))) {
        out->status = 304;
        return 1;
    }
    int part = when && strcmp(when, c->etag) ? 0 : file_range(range, c->size, &out->from, &out->n);
    if (part < 0) {
        snprintf(out->content_range, sizeof out->content_range, "bytes */%llu", (unsigned long long)c->size);
        return ishow_fault_set(f, 416, "range_not_satisfiable", "Range",
                               "The clip has %llu bytes: nothing of %.60s is there.", (unsigned long long)c->size,
                               range);
    }
    if (!part) return 1;
    out->status = 206;
    snprintf(out->content_range, sizeof out->content_range, "bytes %llu-%llu/%llu", (unsigned long long)out->from,
             (unsigned long long)(out->from + out->n - 1), (unsigned long long)c->size);
    return 1;
}
