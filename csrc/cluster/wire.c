/* See wire.h. */
#include "cluster/wire.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/base.h"
#include "base/json.h"
#include "engine/field.h"

void wire_draw_id(char id[WIRE_ID + 1]) {
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) bits = (uint64_t)(ishow_now() * 1e9);
    snprintf(id, WIRE_ID + 1, "%016llx", (unsigned long long)bits);
}

void wire_subject(char out[WIRE_SUBJECT], const char *id) { snprintf(out, WIRE_SUBJECT, WIRE_TO "%.*s", WIRE_ID, id); }

void wire_write(ishow_buffer *out, json_t *head, const void *bytes, size_t n) {
    char *text = head ? json_dumps(head, JSON_COMPACT) : NULL;
    json_decref(head);
    if (!text) {
        out->failed = 1;
        return;
    }
    const uint32_t length = htole32((uint32_t)strlen(text));
    ishow_buffer_add(out, &length, sizeof length);
    ishow_buffer_text(out, text);
    if (n) ishow_buffer_add(out, bytes, n);
    free(text);
}

json_t *wire_read(const void *data, size_t n, const unsigned char **bytes, size_t *n_bytes) {
    uint32_t length;
    if (n < sizeof length) return NULL;
    memcpy(&length, data, sizeof length);
    length = le32toh(length);
    if (length > n - sizeof length) return NULL;
    const unsigned char *at = (const unsigned char *)data + sizeof length;
    json_t *head = json_loadb((const char *)at, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(head)) {
        json_decref(head);
        return NULL;
    }
    *bytes = at + length;
    *n_bytes = n - sizeof length - length;
    return head;
}

const char *wire_text(const json_t *head, const char *key) {
    const char *text = json_string_value(json_object_get(head, key));
    return text ? text : "";
}
double wire_number(const json_t *head, const char *key) { return json_number_value(json_object_get(head, key)); }
uint64_t wire_whole(const json_t *head, const char *key) {
    return (uint64_t)json_integer_value(json_object_get(head, key));
}
json_t *wire_u64(uint64_t value) { return json_integer((json_int_t)value); }

/* ---- requests ---- */

json_t *wire_request(const ishow_request *r) {
    json_t *all = json_pack("{s:s, s:s?, s:s?}", "text", r->text, "essential", r->essential, "voice", r->voice);
    json_add(&all, "early", json_integer(r->early));
    json_add(&all, "has_seed", json_integer(r->has_seed));
    json_add(&all, "priority", json_integer(r->priority));
    json_add(&all, "deadline", json_real(r->deadline));
    json_add(&all, "ahead", json_real(r->ahead));
    for (size_t i = 0; i < ishow_request_fields.n; i++) {
        const ishow_field *field = &ishow_request_fields.rows[i];
        json_add(&all, field->name,
                 field->kind == ISHOW_FIELD_SEED ? wire_u64(r->seed) : json_real(ishow_field_get(field, r)));
    }
    return all;
}

void wire_read_request(const json_t *from, ishow_request *out) {
    *out = ishow_request_default();
    for (size_t i = 0; i < ishow_request_fields.n; i++) {
        const ishow_field *field = &ishow_request_fields.rows[i];
        const json_t *value = json_object_get(from, field->name);
        if (field->kind == ISHOW_FIELD_SEED)
            out->seed = (uint64_t)json_integer_value(value);
        else if (json_is_number(value)) /* a field that this build does not know keeps its default */
            ishow_field_set(field, out, json_number_value(value));
    }
    out->text = json_string_value(json_object_get(from, "text"));
    out->essential = json_string_value(json_object_get(from, "essential"));
    out->voice = json_string_value(json_object_get(from, "voice"));
    out->early = (int)wire_whole(from, "early");
    out->has_seed = (int)wire_whole(from, "has_seed");
    out->priority = (int)wire_whole(from, "priority");
    out->deadline = wire_number(from, "deadline");
    out->ahead = wire_number(from, "ahead");
}

/* ---- the rest ---- */

json_t *wire_error(const ishow_error *e) {
    return json_pack("{s:i, s:s, s:s, s:f}", "status", (int)e->status, "field", e->field, "message", e->message,
                     "retry_after", e->retry_after);
}

void wire_read_error(const json_t *from, ishow_error *out) {
    const int status = (int)wire_whole(from, "status");
    ishow_fail(out, status >= ISHOW_OK && status <= ISHOW_EINTERNAL ? (ishow_status)status : ISHOW_EINTERNAL,
               wire_text(from, "field"), "%s", wire_text(from, "message"));
    out->retry_after = wire_number(from, "retry_after");
}

json_t *wire_timings(const ishow_timings *t) {
    json_t *all = json_pack("{s:f, s:f, s:f}", "queue", t->queue, "text", t->text, "model", t->model);
    json_add(&all, "chunks", json_integer(t->chunks));
    json_add(&all, "retries", json_integer(t->retries));
    json_add(&all, "unspoken", wire_u64(t->unspoken.count));
    json_add(&all, "first", json_string(t->unspoken.first));
    return all;
}

void wire_read_timings(const json_t *from, ishow_timings *out) {
    out->queue = wire_number(from, "queue");
    out->text = wire_number(from, "text");
    out->model = wire_number(from, "model");
    out->chunks = (int)wire_whole(from, "chunks");
    out->retries = (int)wire_whole(from, "retries");
    out->unspoken.count = (size_t)wire_whole(from, "unspoken");
    snprintf(out->unspoken.first, sizeof out->unspoken.first, "%s", wire_text(from, "first"));
}

static const struct {
    const char *name;
    size_t at, size;
} model_texts[] = {
    {"name", offsetof(ishow_model_info, name), sizeof((ishow_model_info *)0)->name},
    {"backend", offsetof(ishow_model_info, backend), sizeof((ishow_model_info *)0)->backend},
    {"precision", offsetof(ishow_model_info, precision), sizeof((ishow_model_info *)0)->precision},
    {"content_hash", offsetof(ishow_model_info, content_hash), sizeof((ishow_model_info *)0)->content_hash},
};
static const struct {
    const char *name;
    size_t at;
} model_numbers[] = {
    {"sample_rate", offsetof(ishow_model_info, sample_rate)},
    {"n_fft", offsetof(ishow_model_info, n_fft)},
    {"hop", offsetof(ishow_model_info, hop)},
    {"spectrum_fft", offsetof(ishow_model_info, spectrum_fft)},
    {"spectrum_hop", offsetof(ishow_model_info, spectrum_hop)},
    {"n_mels", offsetof(ishow_model_info, n_mels)},
    {"uses_prompt", offsetof(ishow_model_info, uses_prompt)},
    {"text_layout", offsetof(ishow_model_info, text_layout)},
    {"nfe", offsetof(ishow_model_info, nfe)},
};

json_t *wire_model(const ishow_model_info *info) {
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof model_texts / sizeof *model_texts; i++)
        json_object_set_new(all, model_texts[i].name, json_string((const char *)info + model_texts[i].at));
    for (size_t i = 0; i < sizeof model_numbers / sizeof *model_numbers; i++) {
        int value;
        memcpy(&value, (const char *)info + model_numbers[i].at, sizeof value);
        json_object_set_new(all, model_numbers[i].name, json_integer(value));
    }
    return all;
}

void wire_read_model(const json_t *from, ishow_model_info *out) {
    *out = (ishow_model_info){0};
    for (size_t i = 0; i < sizeof model_texts / sizeof *model_texts; i++)
        snprintf((char *)out + model_texts[i].at, model_texts[i].size, "%s", wire_text(from, model_texts[i].name));
    for (size_t i = 0; i < sizeof model_numbers / sizeof *model_numbers; i++) {
        const int value = (int)wire_whole(from, model_numbers[i].name);
        memcpy((char *)out + model_numbers[i].at, &value, sizeof value);
    }
}

json_t *wire_words(const ishow_word *words, size_t n, double before) {
    json_t *all = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(all, json_real(words[i].start - before));
        json_array_append_new(all, json_real(words[i].end - before));
        json_array_append_new(all, json_integer((json_int_t)words[i].offset));
        json_array_append_new(all, json_integer((json_int_t)words[i].length));
    }
    return all;
}

size_t wire_count_words(const json_t *from) { return json_array_size(from) / WIRE_WORD; }

void wire_read_words(const json_t *from, double before, ishow_word *out) {
    for (size_t i = 0; i < wire_count_words(from); i++) {
        const json_t *part[WIRE_WORD];
        for (size_t k = 0; k < WIRE_WORD; k++) part[k] = json_array_get(from, WIRE_WORD * i + k);
        out[i] = (ishow_word){.start = before + json_number_value(part[0]),
                              .end = before + json_number_value(part[1]),
                              .offset = (size_t)json_integer_value(part[2]),
                              .length = (size_t)json_integer_value(part[3])};
    }
}

/* Copies; dropped without memory. */
static void push(wire_events *events, const void *data, size_t n) {
    wire_event *e = malloc(sizeof *e + n);
    if (!e) return;
    e->next = NULL;
    e->n = n;
    if (n) memcpy(e->data, data, n);
    if (!events->first) events->last = &events->first;
    *events->last = e;
    events->last = &e->next;
}

void wire_deliver(wire_inbox to, const void *data, size_t n) {
    pthread_mutex_lock(to.lock);
    push(to.events, data, n);
    pthread_cond_signal(to.changed);
    pthread_mutex_unlock(to.lock);
}

void wire_post(wire_events *outbox, const char *subject, json_t *head, const void *bytes, size_t n) {
    ishow_buffer message = {0};
    ishow_buffer_add(&message, subject, strlen(subject) + 1);
    wire_write(&message, head, bytes, n);
    if (!message.failed) push(outbox, message.data, message.n);
    ishow_buffer_free(&message);
}

wire_event *wire_take(wire_events *events) {
    wire_event *all = events->first;
    events->first = NULL;
    return all;
}

void wire_drop(wire_events *events) {
    for (wire_event *e = wire_take(events), *next; e; e = next) {
        next = e->next;
        free(e);
    }
}
