#include "chat_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"

void open_chat(rig *r) {
    ishow_error error = {0};
    const ishow_chat_synth synth = fake_synth_table(&r->synth);
    ishow_chat_journal journal;
    if (r->journal) journal = fake_journal_table(r->journal);
    if (ishow_chat_create(&r->chat, &r->o, &synth, r->journal ? &journal : NULL, &error) != ISHOW_OK)
        fail_msg("create: %s", error.message);
    if (ishow_chat_reader_open(&r->reader, r->chat, NULL, &error) != ISHOW_OK) fail_msg("reader: %s", error.message);
}

rig *make(void) {
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->handles = ishow_live_handles();
    r->clock.now = 1000;
    fake_synth_init(&r->synth, &r->clock);
    r->o = ishow_chat_options_default();
    r->o.now = fake_clock_now;
    r->o.now_self = &r->clock;
    r->o.rate = 0;
    r->o.repeat_seconds = 0;
    r->o.flood_messages = 0;
    r->o.seconds_max = r->o.seconds_max_paid = 600;
    r->o.template_text = "{text}";
    return r;
}

void forget_log(rig *r) {
    for (size_t i = 0; i < r->n_log; i++) json_decref(r->log[i].data);
    r->n_log = 0;
}

void close_chat(rig *r) {
    fake_check_counts(r->chat);
    ishow_chat_reader_close(r->reader);
    ishow_chat_free(r->chat);
    r->chat = NULL;
    assert_int_equal(r->synth.alive, 0);
}

void unmake(rig *r) {
    if (r->chat) close_chat(r);
    forget_log(r);
    free(r->text);
    if (r->journal) fake_journal_free(r->journal);
    free(r->journal);
    assert_int_equal(ishow_live_handles(), r->handles);
    free(r);
}

size_t hear(ishow_chat_reader *reader, heard_event *log, size_t n_log, char **rest, size_t *n_rest) {
    char part[700]; /* no interval is a multiple of it */
    size_t n;
    while ((n = ishow_chat_reader_text(reader, part, sizeof part))) {
        *rest = realloc(*rest, *n_rest + n + 1);
        assert_non_null(*rest);
        memcpy(*rest + *n_rest, part, n);
        (*rest)[ *n_rest += n] = '\0';
    }
    char *p = *rest, *end;
    while (p && (end = strstr(p, "\n\n"))) {
        *end = '\0';
        if (*p != ':') {
            assert_true(n_log < LOG_MAX);
            heard_event *t = &log[n_log++];
            memset(t, 0, sizeof *t);
            char *data = strstr(p, "\ndata: "), *name = strstr(p, "event: ");
            assert_non_null(data);
            assert_non_null(name);
            sscanf(name, "event: %15s", t->name);
            sscanf(p, "id: %63s", t->id);
            t->data = json_loads(data + 7, JSON_REJECT_DUPLICATES, NULL);
            if (!t->data) fail_msg("this is not JSON: %s", data);
        }
        p = end + 2;
    }
    if (p) {
        *n_rest = strlen(p);
        memmove(*rest, p, *n_rest + 1);
    }
    return n_log;
}

void listen_now(rig *r) { r->n_log = hear(r->reader, r->log, r->n_log, &r->text, &r->n_text); }

void run(rig *r, double seconds) {
    const double end = r->clock.now + seconds;
    while (r->clock.now < end - 1e-9) {
        fake_run(r->chat, &r->clock, end - r->clock.now < 0.2 ? end - r->clock.now : 0.2);
        listen_now(r);
    }
}

const char *field(const heard_event *t, const char *name) {
    const char *value = json_string_value(json_object_get(t->data, name));
    return value ? value : "";
}

double number(const heard_event *t, const char *name) { return json_number_value(json_object_get(t->data, name)); }

size_t count(const rig *r, const char *name) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_log; i++) n += !strcmp(r->log[i].name, name);
    return n;
}

const heard_event *nth(const rig *r, const char *name, size_t n) {
    for (size_t i = 0; i < r->n_log; i++)
        if (!strcmp(r->log[i].name, name) && !n--) return &r->log[i];
    return NULL;
}

const char *heard(const rig *r) {
    static char out[4096];
    out[0] = '\0';
    for (size_t i = 0; i < r->n_log; i++)
        if (!strcmp(r->log[i].name, "start"))
            snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", *out ? " " : "", field(&r->log[i], "id"));
    return out;
}

ishow_chat_verdict say_as(rig *r, const char *id, const char *user, const char *text, ishow_chat_priority priority) {
    ishow_chat_verdict v;
    ishow_error error = {0};
    ishow_chat_message m = fake_message(id, user, text);
    m.priority = priority;
    if (ishow_chat_receive(r->chat, &m, &v, NULL, NULL, &error) != ISHOW_OK) fail_msg("receive: %s", error.message);
    return v;
}

ishow_chat_verdict say(rig *r, const char *id, const char *text, ishow_chat_priority priority) {
    return say_as(r, id, id, text, priority);
}

ishow_chat_counts counts(rig *r) {
    ishow_chat_counts n;
    ishow_chat_counts_get(r->chat, &n);
    return n;
}
