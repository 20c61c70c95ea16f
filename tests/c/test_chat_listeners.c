/* The events that listeners of a chat get, and concurrent use by many threads. */
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "chat_rig.h"
#include "base/defaults.h"

static void test_listeners_hear_the_same(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    heard_event *late_log = calloc(LOG_MAX, sizeof *late_log);
    char *rest = NULL;
    size_t n_rest = 0, n_late = 0;
    ishow_error error = {0};
    ishow_chat_reader *late;
    say(r, "a", LONG, ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 3);
    assert_int_equal(ishow_chat_reader_open(&late, r->chat, NULL, &error), ISHOW_OK);
    ishow_chat_status s;
    ishow_chat_status_get(r->chat, &s);
    assert_int_equal(s.listeners, 2);
    n_late = hear(late, late_log, 0, &rest, &n_rest);
    assert_string_equal(late_log[0].name, "state");
    assert_string_equal(late_log[1].name, "start");
    assert_string_equal(field(&late_log[1], "id"), "a");
    const double at = number(&late_log[1], "at");
    assert_true(fabs(at - s.position) < 0.01);
    assert_string_equal(late_log[2].name, "audio"); /* the piece that plays now */
    assert_true(number(&late_log[2], "t0") <= at && number(&late_log[2], "t1") > at);
    run(r, 5);
    n_late = hear(late, late_log, n_late, &rest, &n_rest);
    /* From then on both get the same events. */
    size_t i = 0, same = 0;
    while (strcmp(r->log[i].id, late_log[2].id)) i++;
    for (size_t k = 2; k < n_late; k++, i++) {
        while (strcmp(r->log[i].id, late_log[k].id))
            assert_true(!strcmp(r->log[i].name, "message") || !strcmp(r->log[i].name, "state")), i++;
        assert_true(json_equal(r->log[i].data, late_log[k].data));
        same++;
    }
    assert_int_equal(i, r->n_log);
    assert_true(same > 10);
    ishow_chat_reader_close(late);

    /* With Last-Event-ID: every missed event, once. */
    const size_t before = r->n_log;
    char last[64];
    strcpy(last, r->log[before - 1].id);
    for (size_t k = 0; k < n_late; k++) json_decref(late_log[k].data);
    n_late = 0;
    say(r, "b", "after the break", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 0.6);
    assert_int_equal(ishow_chat_reader_open(&late, r->chat, last, &error), ISHOW_OK);
    n_late = hear(late, late_log, 0, &rest, &n_rest);
    assert_int_equal(n_late, r->n_log - before);
    for (size_t k = 0; k < n_late; k++) assert_string_equal(late_log[k].id, r->log[before + k].id);
    ishow_chat_reader_close(late);
    /* With an id of another process, or none: from the beginning. */
    static const char *const strange[] = {"00000000-5", "nonsense", "", "-", "12345678-99999999999999999999999"};
    for (size_t k = 0; k < 5; k++) {
        for (size_t j = 0; j < n_late; j++) json_decref(late_log[j].data);
        assert_int_equal(ishow_chat_reader_open(&late, r->chat, strange[k], &error), ISHOW_OK);
        n_late = hear(late, late_log, 0, &rest, &n_rest);
        assert_string_equal(late_log[0].name, "state");
        assert_non_null(json_object_get(late_log[0].data, "counts"));
        ishow_chat_reader_close(late);
    }
    for (size_t k = 0; k < n_late; k++) json_decref(late_log[k].data);
    free(late_log);
    free(rest);
    unmake(r);
}

static void test_slow_listeners_are_bounded(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_error error = {0};
    ishow_chat_reader *slow;
    assert_int_equal(ishow_chat_reader_open(&slow, r->chat, NULL, &error), ISHOW_OK);
    char part[1000];
    assert_true(ishow_chat_reader_text(slow, part, 10) == 10); /* in the middle of its first event */
    for (int i = 0; i < 40; i++) {
        char id[16], text[128];
        snprintf(id, sizeof id, "m%d", i);
        snprintf(text, sizeof text, "%d %s", i, LONG);
        say(r, id, text, ISHOW_CHAT_PRIORITY_NORMAL);
        run(r, 7);
    }
    size_t n = 0, total = 0;
    char *all = calloc(1, 200000);
    while ((n = ishow_chat_reader_text(slow, part, sizeof part))) {
        assert_true(total + n < 199000);
        memcpy(all + total, part, n);
        total += n;
    }
    /* The rest of the first event and the missed events, at most up to the limit. */
    assert_true(total < ISHOW_CHAT_READER_BYTES + 4000);
    assert_non_null(strstr(all, "\"missed\":"));
    assert_non_null(strstr(all, "\"m39\""));
    assert_null(strstr(all, "\"m0\""));
    free(all);
    assert_int_equal(count(r, "start"), 40); /* no other listener lost an event */
    ishow_chat_reader_close(slow);
    unmake(r);
}

static void test_frames(void **state) {
    (void)state;
    rig *r = make();
    open_chat(r);
    ishow_error error = {0};
    ishow_chat_reader *ws;
    assert_int_equal(ishow_chat_reader_open(&ws, r->chat, NULL, &error), ISHOW_OK);
    say(r, "a", "a few words to hear", ISHOW_CHAT_PRIORITY_NORMAL);
    run(r, 4);
    const unsigned char *data;
    size_t n, samples = 0, texts = 0;
    int binary;
    char first[16] = "";
    while (ishow_chat_reader_frame(ws, &data, &n, &binary)) {
        json_t *header = NULL;
        if (!binary) {
            header = json_loadb((const char *)data, n, 0, NULL);
            texts++;
        } else {
            const uint32_t length =
                (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
            assert_true(length + 4 + 44 < n);
            header = json_loadb((const char *)data + 4, length, 0, NULL);
            assert_memory_equal(data + 4 + length, "RIFF", 4);
            samples += (n - 4 - length - 44) / 2;
            assert_string_equal(json_string_value(json_object_get(header, "event")), "audio");
        }
        assert_non_null(header);
        assert_non_null(json_object_get(header, "event"));
        if (!*first) snprintf(first, sizeof first, "%s", json_string_value(json_object_get(header, "event")));
        json_decref(header);
    }
    assert_string_equal(first, "state");
    assert_true(texts >= 4);
    assert_int_equal(samples, (size_t)(0.06 * 19 * FAKE_CHAT_RATE));
    ishow_chat_reader_close(ws);
    unmake(r);
}

/* ---- threads ---- */

typedef struct crowd {
    ishow_chat *chat;
    int number;
} crowd;

static void *shout(void *self) {
    crowd *c = self;
    for (int i = 0; i < 300; i++) {
        char id[32], text[64];
        snprintf(id, sizeof id, "t%d-%d", c->number, i);
        snprintf(text, sizeof text, "message %d of %d", i, c->number);
        ishow_chat_verdict v;
        ishow_error error = {0};
        ishow_chat_message m = fake_message(id, id, text);
        m.priority = (ishow_chat_priority)(i % ISHOW_CHAT_PRIORITIES);
        if (ishow_chat_receive(c->chat, &m, &v, NULL, NULL, &error) != ISHOW_OK) return self;
        if (i % 37 == 0) ishow_chat_skip(c->chat, NULL);
        if (i % 41 == 0) ishow_chat_delete(c->chat, "test", "room", id);
        if (i % 91 == 0) ishow_chat_replay(c->chat);
        if (i % 50 == 0) {
            ishow_chat_pause(c->chat, 1);
            ishow_chat_pause(c->chat, 0);
        }
    }
    return NULL;
}

static void *follow(void *self) {
    crowd *c = self;
    char part[4096];
    for (int i = 0; i < 40; i++) {
        ishow_chat_reader *reader;
        if (ishow_chat_reader_open(&reader, c->chat, NULL, NULL) != ISHOW_OK) return self;
        for (int k = 0; k < 20; k++) {
            ishow_chat_reader_text(reader, part, sizeof part);
            usleep(500);
        }
        ishow_chat_reader_close(reader);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    rig *r = make();
    fake_clock *clock = &r->clock;
    clock->now = 1e6; /* clips are ready at once, since the synthesiser's clock stands still */
    r->synth.make_ratio = 0;
    r->synth.character_seconds = 0.002;
    r->o.now = NULL; /* the chat uses the real clock */
    r->o.gap_seconds = 0;
    r->o.queue_max = 64;
    open_chat(r);
    ishow_error error = {0};
    assert_int_equal(ishow_chat_run(r->chat, &error), ISHOW_OK);
    assert_int_equal(ishow_chat_run(r->chat, &error), ISHOW_ESTATE);
    pthread_t threads[6];
    crowd crowds[6];
    for (int i = 0; i < 6; i++) {
        crowds[i] = (crowd){r->chat, i};
        assert_int_equal(pthread_create(&threads[i], NULL, i < 4 ? shout : follow, &crowds[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    ishow_chat_counts n;
    for (int i = 0; i < 2000; i++) { /* until everything has been played */
        ishow_chat_counts_get(r->chat, &n);
        if (!n.waiting) break;
        usleep(10000);
    }
    assert_int_equal(n.waiting, 0);
    assert_int_equal(n.received, 1200);
    assert_true(n.spoken > 0);
    unmake(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listeners_hear_the_same),
        cmocka_unit_test(test_slow_listeners_are_bounded),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("chat listeners", tests, NULL, NULL);
}
