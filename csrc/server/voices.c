/* The endpoints of voices. What reads forms, decodes or touches disks is a task; the rest is answered at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/book.h"
#include "server/form.h"

/* ---- what is said of a voice ---- */

static void write_field(bytes *out, const char *name, const char *value) {
    if (!value || !value[0]) return;
    bytes_format(out, ",\"%s\":", name);
    bytes_json(out, value);
}

/* One element of the list. e: NULL when the book does not know the voice. */
static void write_voice(bytes *out, const book_entry *e, const char *id, const char *language, const char *text, const char *label) {
    bytes_text(out, "{\"id\":");
    bytes_json(out, id);
    bytes_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    bytes_json(out, label);
    write_field(out, "language", language);
    write_field(out, "reference_text", text);
    bytes_format(out, ",\"has_override\":%s,\"sample_url\":", e && e->override_at ? "true" : "false");
    if (e && (e->override_audio || e->audio)) bytes_format(out, "\"/api/voices/%s/reference/audio\"}", id);
    else bytes_text(out, "null}");
}

static void write_reference(bytes *out, const book_entry *e, const char *label) {
    bytes_text(out, "{\"voice_id\":");
    bytes_json(out, e->id);
    bytes_text(out, ",\"engine\":\"" ENGINE_ID "\",\"engine_label\":");
    bytes_json(out, label);
    write_field(out, "language", e->language);
    write_field(out, "active_reference_text", e->override_text ? e->override_text : e->text);
    write_field(out, "baseline_reference_text", e->text);
    write_field(out, "override_reference_text", e->override_text);
    bytes_format(out, ",\"baseline_audio_available\":%s,\"override_audio_available\":%s", e->audio ? "true" : "false", e->override_audio ? "true" : "false");
    if (e->override_at) {
        char when[32];
        struct tm utc;
        const time_t at = (time_t)e->override_at;
        gmtime_r(&at, &utc);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
        write_field(out, "override_updated_at", when);
    }
    bytes_text(out, "}");
}

static int no_voice(exchange *x) { return fault_set(&x->fault, 404, "not_found", "voice_id", "There is no voice '%s'.", x->segment); }

enum MHD_Result answer_voices(exchange *x) {
    ishow_server *s = x->server;
    ishow_engine *engine = atomic_load(&s->engine);
    ishow_voice_entry *voices = NULL;
    ishow_error error = {0};
    size_t n = 0;
    char label[128];
    bytes body = {0};
    if (ishow_engine_list_voices(engine, &voices, &n, &error) != ISHOW_OK) {
        fault_from_error(&x->fault, &error);
        return respond_fault(x);
    }
    engine_label(engine, label, sizeof label);
    bytes_text(&body, "[");
    for (size_t i = 0; i < n; i++) {
        book_entry *e = book_get(s->book, voices[i].id);
        if (i) bytes_text(&body, ",");
        write_voice(&body, e, voices[i].id, voices[i].language, voices[i].text, label);
        entry_free(e);
    }
    bytes_text(&body, "]");
    free(voices);
    return respond(x, 200, "application/json", &body);
}

enum MHD_Result answer_reference(exchange *x) {
    book_entry *e = book_get(x->server->book, x->segment);
    char label[128];
    bytes body = {0};
    if (!e) {
        no_voice(x);
        return respond_fault(x);
    }
    engine_label(atomic_load(&x->server->engine), label, sizeof label);
    write_reference(&body, e, label);
    entry_free(e);
    return respond(x, 200, "application/json", &body);
}

/* ---- changes ---- */

typedef struct change {
    task task;
    book *book;            /* borrowed: the server's, which outlives its tasks */
    ishow_engine *engine;  /* borrowed until the server is drained */
    char id[ID_MAX + 1];
    form form;
    int status;            /* of the answer */
} change;

static void change_dispose(task *t) {
    change *c = (change *)(void *)t;
    form_close(&c->form);
    free(c);
}

static change *change_make(exchange *x, void (*work)(task *t), int status, enum MHD_Result (*answer)(exchange *x, task *t)) {
    change *c = calloc(1, sizeof *c);
    if (!c) {
        fault_set(&x->fault, 500, "internal", "", "Memory could not be had.");
        return NULL;
    }
    c->task = (task){.work = work, .answer = answer, .dispose = change_dispose};
    c->book = x->server->book;
    c->engine = atomic_load(&x->server->engine);
    c->status = status;
    strcpy(c->id, x->segment);
    return c;
}

static enum MHD_Result change_begin(exchange *x, void (*work)(task *t), int status, enum MHD_Result (*answer)(exchange *x, task *t), unsigned fields) {
    if (atomic_load(&x->server->draining)) {
        fault_set(&x->fault, 503, "draining", "", "The server is closing down.");
        return respond_fault(x);
    }
    change *c = change_make(x, work, status, answer);
    if (!c || (fields && !form_parse(&c->form, x, fields, &c->task.fault))) {
        if (c) x->fault = c->task.fault, change_dispose(&c->task);
        return respond_fault(x);
    }
    return task_begin(x, &c->task);
}

static const char *text_of(const form *f, unsigned field, const bytes *value) { return f->given & field ? (const char *)value->data : NULL; }

static void work_create(task *t) {
    change *c = (change *)(void *)t;
    form *f = &c->form;
    if (!form_check(f, FORM_ID | FORM_TEXT | FORM_AUDIO)) return;
    strcpy(c->id, (const char *)f->id.data); /* within ID_MAX: form.c */
    book_add(c->book, c->engine, c->id, (const char *)f->text.data, text_of(f, FORM_LANGUAGE, &f->language), &f->audio, &t->fault);
}

static void work_override(task *t) {
    change *c = (change *)(void *)t;
    form *f = &c->form;
    if (!form_check(f, 0)) return;
    if (!(f->given & (FORM_TEXT | FORM_AUDIO))) fault_set(&t->fault, 400, "missing_field", "audio", "The form needs a field \"audio\" or \"text\", or both.");
    else book_override(c->book, c->engine, c->id, text_of(f, FORM_TEXT, &f->text), f->given & FORM_AUDIO ? &f->audio : NULL, &t->fault);
}

static void work_restore(task *t) {
    change *c = (change *)(void *)t;
    book_restore(c->book, c->engine, c->id, &t->fault);
}

static void work_remove(task *t) {
    change *c = (change *)(void *)t;
    book_remove(c->book, c->engine, c->id, &t->fault);
}

static enum MHD_Result answer_nothing(exchange *x, task *t) {
    bytes none = {0};
    return respond(x, ((change *)(void *)t)->status, NULL, &none);
}

/* The voice or its reference as it is now. */
static enum MHD_Result answer_changed(exchange *x, task *t) {
    const change *c = (change *)(void *)t;
    book_entry *e = book_get(c->book, c->id);
    char label[128], location[ID_MAX + 32];
    bytes body = {0};
    if (!e) { /* deleted again meanwhile */
        strcpy(x->segment, c->id);
        no_voice(x);
        return respond_fault(x);
    }
    engine_label(c->engine, label, sizeof label);
    if (c->status == 201) write_voice(&body, e, e->id, e->language, e->text, label);
    else write_reference(&body, e, label);
    entry_free(e);
    if (c->status != 201) return respond(x, c->status, "application/json", &body);
    struct MHD_Response *response = body.failed ? NULL : MHD_create_response_from_buffer(body.n, body.data, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        bytes_free(&body);
        return MHD_NO;
    }
    snprintf(location, sizeof location, "/api/voices/%s/reference", c->id);
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Location", location);
    return respond_with(x, 201, response);
}

enum MHD_Result answer_voice_create(exchange *x) { return change_begin(x, work_create, 201, answer_changed, FORM_ID | FORM_TEXT | FORM_LANGUAGE | FORM_AUDIO); }
enum MHD_Result answer_voice_delete(exchange *x) { return change_begin(x, work_remove, 204, answer_nothing, 0); }
enum MHD_Result answer_override(exchange *x) { return change_begin(x, work_override, 200, answer_changed, FORM_TEXT | FORM_AUDIO); }
enum MHD_Result answer_restore(exchange *x) { return change_begin(x, work_restore, 204, answer_nothing, 0); }

/* ---- the clip ---- */

typedef struct sample {
    task task;
    char *path;
    const char *type;
    int fd;
    uint64_t size;
    char etag[64];
} sample;

static void sample_dispose(task *t) {
    sample *f = (sample *)(void *)t;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f);
}

static void work_sample(task *t) {
    sample *f = (sample *)(void *)t;
    struct stat info;
    unsigned char start[64];
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = f->fd >= 0 ? pread(f->fd, start, sizeof start, 0) : -1;
    if (n < 0 || fstat(f->fd, &info) || !S_ISREG(info.st_mode)) {
        ishow_log(ISHOW_LOG_ERROR, "voices", "the clip %s cannot be read: %s", f->path, strerror(errno));
        fault_set(&t->fault, 404, "not_found", "source", "The clip cannot be read any more.");
        return;
    }
    f->size = (uint64_t)info.st_size;
    f->type = ishow_audio_type(start, (size_t)n);
    if (!f->etag[0])
        snprintf(f->etag, sizeof f->etag, "\"%llx-%llx-%llx%09lx\"", (unsigned long long)info.st_ino, (unsigned long long)info.st_size, (unsigned long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

/* 1: [*from, *from + *n) of size was asked for; 0: everything (no range, several, or not understood); -1: nothing of it is there. */
int file_range(const char *range, uint64_t size, uint64_t *from, uint64_t *n) {
    static const char unit[] = "bytes=";
    if (!range || strncmp(range, unit, sizeof unit - 1)) return 0;
    const char *p = range + sizeof unit - 1;
    size_t a = strspn(p, "0123456789"), b = p[a] == '-' ? strspn(p + a + 1, "0123456789") : 0;
    if (p[a] != '-' || p[a + 1 + b] || a > 18 || b > 18 || (!a && !b)) return 0;
    uint64_t first = strtoull(p, NULL, 10), last = b ? strtoull(p + a + 1, NULL, 10) : UINT64_MAX;
    if (!a) { /* the last so many */
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

static enum MHD_Result answer_file(exchange *x, task *t) {
    sample *f = (sample *)(void *)t;
    const char *known = header_get(x, "If-None-Match"), *when = header_get(x, "If-Range"), *range = header_get(x, "Range");
    struct MHD_Response *response;
    char text[80];
    uint64_t from = 0, n = f->size;
    int status = 200;
    if (known && (strstr(known, f->etag) || !strcmp(known, "*"))) {
        status = 304;
        response = MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    } else {
        int part = when && strcmp(when, f->etag) ? 0 : file_range(range, f->size, &from, &n);
        if (part < 0) {
            snprintf(x->content_range, sizeof x->content_range, "bytes */%llu", (unsigned long long)f->size);
            fault_set(&x->fault, 416, "range_not_satisfiable", "Range", "The clip has %llu bytes: nothing of %.60s is there.", (unsigned long long)f->size, range);
            return respond_fault(x);
        }
        if (part) status = 206;
        response = MHD_create_response_from_fd_at_offset64(n, f->fd, from);
        if (response) f->fd = -1; /* it closes it */
    }
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "ETag", f->etag);
    MHD_add_response_header(response, "Cache-Control", "no-cache");
    if (status != 304) {
        MHD_add_response_header(response, "Accept-Ranges", "bytes");
        MHD_add_response_header(response, "Content-Type", f->type ? f->type : "application/octet-stream");
    }
    if (status == 206) {
        snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)from, (unsigned long long)(from + n - 1), (unsigned long long)f->size);
        MHD_add_response_header(response, "Content-Range", text);
    }
    return respond_with(x, status, response);
}

enum MHD_Result answer_reference_audio(exchange *x) {
    const char *source = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "source");
    int override = source && !strcmp(source, "override"), baseline = source && !strcmp(source, "baseline");
    sample *f = NULL;
    book_entry *e = NULL;
    if (source && !override && !baseline) {
        fault_set(&x->fault, 400, "out_of_range", "source", "source must be baseline or override; left out: what is spoken.");
        goto refused;
    }
    if (!(e = book_get(x->server->book, x->segment))) {
        no_voice(x);
        goto refused;
    }
    if (!source) override = e->override_audio != NULL;
    const char *path = override ? e->override_audio : e->audio;
    if (!path) {
        fault_set(&x->fault, 404, "not_found", "source", "The voice %s has no %s clip.", e->id, override ? "override" : "baseline");
        goto refused;
    }
    if (!(f = calloc(1, sizeof *f)) || !(f->path = ishow_strdup(path))) {
        fault_set(&x->fault, 500, "internal", "", "Memory could not be had.");
        goto refused;
    }
    f->fd = -1;
    f->task = (task){.work = work_sample, .answer = answer_file, .dispose = sample_dispose};
    const char *name = strrchr(path, '/');
    if ((override || e->created) && name) snprintf(f->etag, sizeof f->etag, "\"%.32s\"", name + 1); /* named by its content */
    entry_free(e);
    return task_begin(x, &f->task);
refused:
    entry_free(e);
    free(f);
    return respond_fault(x);
}
