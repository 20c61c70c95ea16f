/* See chat_journal.h. One thread writes the changes in order, each again and again until NATS has acknowledged it. */
#include "cluster/chat_journal.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "cluster/wire.h"

#define STREAM  "ishowtts-chat"
#define SUBJECT "ishow.chat."

enum { PLACE = 128 }; /* of a subject */

enum { VIEWERS_KEPT = 5000 };
static const double AGAIN_SECONDS = 0.1, CLOSING_SECONDS = 1;

typedef enum note_kind { NOTE_PUT, NOTE_MARK, NOTE_DROP, NOTE_VOICE, NOTE_MUTE, NOTE_UNMUTE, NOTE_SYNC } note_kind;

typedef struct note {
    struct note *next;
    note_kind kind;
    uint64_t number; /* of the message; for SYNC: the ticket */
    char *text, *key;
    void (*done)(void *user, uint64_t ticket, ishow_status status);
    void *user;
} note;

struct chat_journal {
    bus *bus;
    char place[PLACE]; /* the beginning of its subjects */
    int (*leads)(void *self);
    void *self;
    pthread_t thread;
    int runs;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    note *first, **last;  /* under the lock, like the next four */
    int loading;          /* nothing is written meanwhile */
    int gave_up;          /* nothing is written any more */
    int hurried, closing; /* the same from `until` on; closing: the thread ends after the last change */
    double until;
    /* used by the thread, and by load while the thread waits */
    json_t *records, *voices, *muted;
    int changed_voices, changed_muted;
};

/* ---- requests ---- */

static ishow_status request(chat_journal *j, const char *subject, const void *data, size_t n, ishow_buffer *answer,
                            ishow_error *error) {
    answer->n = 0;
    return bus_request(j->bus, subject, data, n, answer, error);
}

/* A request whose answer is JSON, perhaps an error. */
static ishow_status order(chat_journal *j, const char *subject, const void *data, size_t n, json_t **out,
                          ishow_error *error) {
    ishow_buffer answer = {0};
    ishow_status status = request(j, subject, data, n, &answer, error);
    json_t *all = status ? NULL : json_loadb((const char *)answer.data, answer.n, 0, NULL);
    const json_t *fault = json_object_get(all, "error");
    if (!status && (!all || fault))
        status = ishow_fail(error, ISHOW_EIO, "cluster", "The chat's journal: NATS answers %s.",
                            fault ? wire_text(fault, "description") : "something that is not JSON");
    ishow_buffer_free(&answer);
    if (out && !status)
        *out = all;
    else
        json_decref(all);
    return status;
}

static ishow_status make_stream(chat_journal *j, int copies, ishow_error *error) {
    char config[400];
    snprintf(config, sizeof config,
             "{\"name\":\"" STREAM "\",\"subjects\":[\"" SUBJECT ">\"],\"retention\":\"limits\",\"storage\":\"file\","
             "\"max_msgs_per_subject\":1,\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,\"max_msg_size\":-1,"
             "\"discard\":\"old\",\"num_replicas\":%d,\"allow_direct\":true}",
             copies);
    return order(j, "$JS.API.STREAM.CREATE." STREAM, config, strlen(config), NULL, error);
}

static ishow_status open_stream(chat_journal *j, ishow_error *error) {
    ishow_error why = {0};
    if (!order(j, "$JS.API.STREAM.INFO." STREAM, NULL, 0, NULL, &why)) return ISHOW_OK;
    if (!make_stream(j, 3, &why)) return ISHOW_OK; /* three replicas, if there are as many servers */
    return make_stream(j, 1, error);
}

/* ---- writing ---- */

static void note_free(note *n) {
    free(n->text);
    free(n->key);
    free(n);
}

static void remember(json_t *of, const char *viewer, json_t *value) {
    json_object_del(of, viewer); /* so that the newest is the last */
    json_object_set_new(of, viewer, value);
    if (json_object_size(of) > VIEWERS_KEPT) json_object_del(of, json_object_iter_key(json_object_iter(of)));
}

static ishow_status write_object(chat_journal *j, const char *name, const json_t *object, ishow_error *error) {
    char *text = json_dumps(object, JSON_COMPACT), subject[PLACE + 32];
    snprintf(subject, sizeof subject, "%s%s", j->place, name);
    const ishow_status status = text ? order(j, subject, text, strlen(text), NULL, error)
                                     : ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the chat's journal");
    free(text);
    return status;
}

static ishow_status write_record(chat_journal *j, uint64_t number, int marked, ishow_error *error) {
    char subject[PLACE + 32], key[24];
    ishow_buffer value = {0};
    snprintf(key, sizeof key, "%llu", (unsigned long long)number);
    const char *record = json_string_value(json_object_get(j->records, key));
    if (!record) return ISHOW_OK; /* the message has ended */
    snprintf(subject, sizeof subject, "%sm.%s", j->place, key);
    ishow_buffer_text(&value, marked ? "1" : "0");
    ishow_buffer_text(&value, record);
    const ishow_status status = value.failed ? ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the chat's journal")
                                             : order(j, subject, value.data, value.n, NULL, error);
    ishow_buffer_free(&value);
    return status;
}

static ishow_status drop_record(chat_journal *j, uint64_t number, ishow_error *error) {
    char text[PLACE + 64], key[24];
    snprintf(key, sizeof key, "%llu", (unsigned long long)number);
    snprintf(text, sizeof text, "{\"filter\":\"%sm.%s\"}", j->place, key);
    const ishow_status status = order(j, "$JS.API.STREAM.PURGE." STREAM, text, strlen(text), NULL, error);
    if (!status) json_object_del(j->records, key);
    return status;
}

/* Repeating it for the same note is harmless. */
static ishow_status write_note(chat_journal *j, const note *n, ishow_error *error) {
    char key[24];
    switch (n->kind) {
    case NOTE_PUT:
        snprintf(key, sizeof key, "%llu", (unsigned long long)n->number);
        json_object_set_new(j->records, key, json_string(n->text));
        return write_record(j, n->number, 0, error);
    case NOTE_MARK: return write_record(j, n->number, 1, error);
    case NOTE_DROP: return drop_record(j, n->number, error);
    case NOTE_VOICE:
        remember(j->voices, n->key, json_string(n->text));
        j->changed_voices = 1;
        return ISHOW_OK;
    case NOTE_MUTE:
    case NOTE_UNMUTE:
        if (n->kind == NOTE_MUTE)
            json_object_set_new(j->muted, n->key, json_true());
        else
            json_object_del(j->muted, n->key);
        j->changed_muted = 1;
        return ISHOW_OK;
    case NOTE_SYNC: break;
    }
    if (j->changed_voices && write_object(j, "voices", j->voices, error)) return error->status;
    j->changed_voices = 0;
    if (j->changed_muted && write_object(j, "muted", j->muted, error)) return error->status;
    j->changed_muted = 0;
    return ISHOW_OK;
}

/* With the lock. 1: nothing is written any more. */
static int is_over(const chat_journal *j) { return j->gave_up || (j->hurried && ishow_now() >= j->until); }

/* With the lock. 1, after a pause: a write that failed is to be repeated. */
static int wait_again(chat_journal *j) {
    struct timespec until;
    if (is_over(j)) return 0;
    ishow_deadline(AGAIN_SECONDS, &until);
    pthread_cond_timedwait(&j->changed, &j->lock, &until);
    return !is_over(j);
}

static void *journal_main(void *self) {
    chat_journal *j = self;
    int warned = 0;
    pthread_mutex_lock(&j->lock);
    while (!j->closing || j->first) {
        note *n = j->first;
        if (!n || j->loading) {
            pthread_cond_wait(&j->changed, &j->lock);
            continue;
        }
        const int over = is_over(j);
        pthread_mutex_unlock(&j->lock);
        ishow_error error = {0};
        ishow_status status = !over && j->leads(j->self) ? write_note(j, n, &error) : ISHOW_EBUSY;
        /* A write that took long may have come after the next leader has read the journal. */
        if (!status && n->kind == NOTE_SYNC && !j->leads(j->self)) status = ISHOW_EBUSY;
        if (status && !warned && error.message[0]) ishow_log(ISHOW_LOG_WARN, "cluster", "%s", error.message);
        warned = status != ISHOW_OK;
        pthread_mutex_lock(&j->lock);
        if (status && wait_again(j)) continue;
        j->first = n->next;
        if (!j->first) j->last = &j->first;
        pthread_mutex_unlock(&j->lock);
        if (n->done) n->done(n->user, n->number, status ? ISHOW_ECANCELLED : ISHOW_OK);
        note_free(n);
        pthread_mutex_lock(&j->lock);
    }
    pthread_mutex_unlock(&j->lock);
    return NULL;
}

/* ---- the table ---- */

static void add(chat_journal *j, note_kind kind, uint64_t number, const char *text, const char *key,
                void (*done)(void *user, uint64_t ticket, ishow_status status), void *user) {
    note *n = calloc(1, sizeof *n);
    if (n) {
        *n = (note){.kind = kind, .number = number, .done = done, .user = user};
        n->text = ishow_strdup(text);
        n->key = ishow_strdup(key);
    }
    if (!n || (text && !n->text) || (key && !n->key)) {
        ishow_log(ISHOW_LOG_ERROR, "cluster", "no memory for a change of the chat's queue");
        if (n) note_free(n);
        if (done) done(user, number, ISHOW_ENOMEM);
        return;
    }
    pthread_mutex_lock(&j->lock);
    *j->last = n;
    j->last = &n->next;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void put(void *self, uint64_t number, const char *record) {
    add(self, NOTE_PUT, number, record, NULL, NULL, NULL);
}
static void mark(void *self, uint64_t number) { add(self, NOTE_MARK, number, NULL, NULL, NULL, NULL); }
static void drop(void *self, uint64_t number) { add(self, NOTE_DROP, number, NULL, NULL, NULL, NULL); }
static void voice(void *self, const char *viewer, const char *id) { add(self, NOTE_VOICE, 0, id, viewer, NULL, NULL); }
static void mute(void *self, const char *viewer, int muted) {
    add(self, muted ? NOTE_MUTE : NOTE_UNMUTE, 0, NULL, viewer, NULL, NULL);
}
static void sync_all(void *self, void (*done)(void *user, uint64_t ticket, ishow_status status), void *user,
                     uint64_t ticket) {
    add(self, NOTE_SYNC, ticket, NULL, NULL, done, user);
}

/* The newest message of a subject; empty when there is none. */
static ishow_status read_subject(chat_journal *j, const char *name, ishow_buffer *out, ishow_error *error) {
    char direct[PLACE + 64];
    snprintf(direct, sizeof direct, "$JS.API.DIRECT.GET." STREAM ".%s%s", j->place, name);
    return request(j, direct, NULL, 0, out, error);
}

static ishow_status read_object(chat_journal *j, const char *name, json_t **at, ishow_error *error) {
    ishow_buffer text = {0};
    const ishow_status status = read_subject(j, name, &text, error);
    json_t *all = status ? NULL : json_loadb((const char *)text.data, text.n, 0, NULL);
    ishow_buffer_free(&text);
    if (json_is_object(all)) {
        json_decref(*at);
        *at = all;
    } else
        json_decref(all);
    return status;
}

static int by_number(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static ishow_status load_messages(chat_journal *j, const json_t *subjects,
                                  void (*message)(void *user, uint64_t number, int marked, const char *record),
                                  void *user, ishow_error *error) {
    const char *name;
    json_t *value;
    size_t n = 0;
    ishow_status status = ISHOW_OK;
    ishow_buffer text = {0};
    uint64_t *numbers = malloc((json_object_size(subjects) + 1) * sizeof *numbers);
    if (!numbers) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the chat's journal");
    json_object_foreach((json_t *)subjects, name, value) numbers[n++] = strtoull(strrchr(name, '.') + 1, NULL, 10);
    qsort(numbers, n, sizeof *numbers, by_number);
    for (size_t i = 0; i < n && !status; i++) {
        char name_of[32], *key = name_of + 2;
        snprintf(name_of, sizeof name_of, "m.%llu", (unsigned long long)numbers[i]);
        if ((status = read_subject(j, name_of, &text, error)) || !text.n) continue;
        ishow_buffer_add(&text, "", 1);
        if (text.failed) {
            status = ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the chat's journal");
            break;
        }
        const char *record = (const char *)text.data + 1;
        json_object_set_new(j->records, key, json_string(record));
        message(user, numbers[i], text.data[0] == '1', record);
    }
    ishow_buffer_free(&text);
    free(numbers);
    return status;
}

/* The journal's thread, which uses the same objects, waits during a load. */
static void set_loading(chat_journal *j, int loading) {
    pthread_mutex_lock(&j->lock);
    j->loading = loading;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static ishow_status load(void *self, void (*message)(void *user, uint64_t number, int marked, const char *record),
                         void (*viewer)(void *user, const char *viewer, const char *voice), void *user,
                         ishow_error *error) {
    chat_journal *j = self;
    char filter[PLACE + 32];
    json_t *info = NULL, *value;
    const char *name;
    snprintf(filter, sizeof filter, "{\"subjects_filter\":\"%sm.>\"}", j->place);
    set_loading(j, 1);
    ishow_status status = order(j, "$JS.API.STREAM.INFO." STREAM, filter, strlen(filter), &info, error);
    if (!status) status = read_object(j, "voices", &j->voices, error);
    if (status) goto done;
    json_object_foreach(j->voices, name, value) viewer(user, name, json_string_value(value));
    status = load_messages(j, json_object_get(json_object_get(info, "state"), "subjects"), message, user, error);
done:
    json_decref(info);
    set_loading(j, 0);
    return status;
}

static ishow_status load_muted(void *self, void (*viewer)(void *user, const char *viewer), void *user,
                               ishow_error *error) {
    chat_journal *j = self;
    const char *name;
    json_t *value;
    const ishow_status status = read_object(j, "muted", &j->muted, error);
    if (!status) json_object_foreach(j->muted, name, value) viewer(user, name);
    return status;
}

ishow_chat_journal chat_journal_table(chat_journal *j) {
    return (ishow_chat_journal){.self = j,
                                .put = put,
                                .mark = mark,
                                .drop = drop,
                                .voice = voice,
                                .mute = mute,
                                .sync = sync_all,
                                .load = load,
                                .load_muted = load_muted};
}

/* ---- open, free ---- */

ishow_status chat_journal_open(chat_journal **out, bus *b, const char *name, int (*leads)(void *self), void *self,
                               ishow_error *error) {
    *out = NULL;
    chat_journal *j = calloc(1, sizeof *j);
    if (!j) return ishow_fail(error, ISHOW_ENOMEM, "", "no memory for the chat's journal");
    j->bus = b;
    if (strcmp(name, WIRE_CHAT_MAIN))
        snprintf(j->place, sizeof j->place, SUBJECT "of.%.64s.", name);
    else
        strcpy(j->place, SUBJECT);
    j->leads = leads;
    j->self = self;
    j->last = &j->first;
    pthread_mutex_init(&j->lock, NULL);
    ishow_condition_init(&j->changed);
    j->records = json_object();
    j->voices = json_object();
    j->muted = json_object();
    ishow_status status = open_stream(j, error);
    if (!status && pthread_create(&j->thread, NULL, journal_main, j))
        status = ishow_fail(error, ISHOW_EINTERNAL, "", "The thread of the chat's journal could not be started.");
    j->runs = !status;
    if (status)
        chat_journal_free(j);
    else
        *out = j;
    return status;
}

void chat_journal_give_up(chat_journal *j) {
    pthread_mutex_lock(&j->lock);
    j->gave_up = 1;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

/* With the lock. */
static void hurry(chat_journal *j) {
    if (!j->hurried) j->until = ishow_now() + CLOSING_SECONDS;
    j->hurried = 1;
    pthread_cond_broadcast(&j->changed);
}

void chat_journal_hurry(chat_journal *j) {
    pthread_mutex_lock(&j->lock);
    hurry(j);
    pthread_mutex_unlock(&j->lock);
}

void chat_journal_free(chat_journal *j) {
    if (!j) return;
    if (j->runs) {
        pthread_mutex_lock(&j->lock);
        hurry(j);
        j->closing = 1;
        pthread_cond_broadcast(&j->changed);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->thread, NULL);
    }
    json_decref(j->records);
    json_decref(j->voices);
    json_decref(j->muted);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}
