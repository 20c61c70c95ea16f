/* What machines share, on a real nats-server with JetStream and the fake model: voices, of which a worker keeps those
 * that were used last, and the journal of a chat. */
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
#include "cluster/chat_journal.h"
#include "cluster/wire.h"
#include "cluster_rig.h"
#include "nats_rig.h"

enum { KEPT = 64 }; /* csrc/cluster/loading.c: VOICES_KEPT */

static ishow_engine *ready_gateway(const char *url, const char *name) {
    ishow_engine *g = gateway_make(url, name, NULL);
    for (int i = 0; !ishow_gateway_ready(g); i++) {
        assert_true(i < 1000);
        usleep(20000);
    }
    return g;
}

/* Samples of a short text in this voice; the sum of them goes to *sum. */
static ishow_status speak(ishow_engine *e, const char *voice, double *sum, ishow_error *error) {
    ishow_request request = ishow_request_default();
    ishow_utterance *u;
    const float *samples;
    size_t n, at = 0;
    request.text = "Hello there.";
    request.voice = voice;
    request.has_seed = 1;
    *sum = 0;
    ishow_status status = ishow_engine_submit(e, &request, NULL, NULL, &u, error);
    if (status) return status;
    while (!(status = ishow_utterance_next(u, 60, &samples, &n, error)) && n)
        for (size_t i = 0; i < n; i++) *sum += samples[i] * (double)(at++ % 7);
    ishow_utterance_free(u);
    return status;
}

static double said(ishow_engine *e, const char *voice) {
    double sum;
    ishow_error error = {0};
    if (speak(e, voice, &sum, &error)) fail_msg("%s: %s", voice, error.message);
    return sum;
}

static size_t voices_of(ishow_engine *e) {
    ishow_voice_entry *all;
    size_t n;
    assert_int_equal(ishow_engine_list_voices(e, &all, &n, NULL), ISHOW_OK);
    free(all);
    return n;
}

static void a_worker_keeps_the_voices_that_were_used_last(void **state) {
    (void)state;
    nats_rig nats = {.jetstream = 1};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one"});
    ishow_engine *east = ready_gateway(nats.url, "east"), *west = ready_gateway(nats.url, "west");
    double first = 0, sum;
    char id[16];
    ishow_error error = {0};
    for (int i = 0; i < KEPT + 3; i++) {
        snprintf(id, sizeof id, "v%d", i);
        fake_voice(east, id, "This is the text of a voice that came over HTTP.", 0.04f + 0.002f * (float)i);
        sum = said(east, id);
        if (!i) first = sum;
    }
    assert_int_equal(voices_of(east), KEPT + 4);
    assert_int_equal(voices_of(s.engine), KEPT + 1); /* its own too */
    assert_true(said(east, "v0") == first);          /* it was dropped, and is loaded again */
    for (int i = 0; voices_of(west) != KEPT + 4; i++) {
        assert_true(i < 1000);
        usleep(20000);
    }
    assert_true(said(west, "v0") == first);

    /* A gateway changes and removes its own alone, and no voice of the workers. */
    const ishow_voice taken = {.id = "v0", .text = "Another text."},
                      configured = {.id = "anna", .text = "Another text."};
    assert_int_equal(ishow_engine_set_voice(west, &taken, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "created at the gateway east"));
    assert_int_equal(ishow_engine_set_voice(east, &configured, &error), ISHOW_EINVAL);
    assert_int_equal(ishow_engine_remove_voice(west, "v0", &error), ISHOW_ENOTFOUND);
    fake_voice(east, "v0", "Few words.", 0.2f); /* each of them is longer: so is the speech */
    assert_false(said(east, "v0") == first);
    assert_int_equal(ishow_engine_remove_voice(east, "v0", &error), ISHOW_OK);
    assert_int_equal(speak(east, "v0", &sum, &error), ISHOW_ENOTFOUND);

    ishow_engine_free(west);
    ishow_engine_free(east);
    speaker_end(&s);
    nats_remove(&nats);
}

/* The list of all voices is one value of JetStream, which has a limit. */
static void voices_beyond_the_list_are_refused(void **state) {
    (void)state;
    enum { LONG = 150000, FIT = 6 };
    nats_rig nats = {.jetstream = 1};
    nats_start(&nats);
    speaker s;
    speaker_make(&s, nats.url, (speaker_kind){.name = "one"});
    ishow_engine *east = ready_gateway(nats.url, "east");
    static char text[LONG + 1];
    memset(text, 'a', LONG);
    const float tone[8000] = {0.1f};
    const ishow_voice more = {.id = "more", .text = text, .samples = tone, .length = 8000, .sample_rate = 8000};
    char id[16];
    ishow_error error = {0};
    for (int i = 0; i < FIT; i++) {
        snprintf(id, sizeof id, "v%d", i);
        fake_voice(east, id, text, 0.04f);
    }
    assert_int_equal(ishow_engine_set_voice(east, &more, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "too many voices"));
    assert_int_equal(voices_of(east), FIT + 1);
    assert_int_equal(ishow_engine_remove_voice(east, "v0", &error), ISHOW_OK);
    fake_voice(east, "more", text, 0.04f);

    /* The same of pronunciations, and what is told later is not held up. */
    char *told = malloc(10 * LONG), *answer = NULL;
    assert_non_null(told);
    strcpy(told, "[\"");
    for (int i = 0; i < 8; i++) strcat(told, text);
    strcat(told, "\"]");
    assert_int_equal(ishow_engine_ask_frontend(east, "tell", told, &answer, &error), ISHOW_EINVAL);
    assert_non_null(strstr(error.message, "lexicon"));
    assert_int_equal(ishow_engine_ask_frontend(east, "tell", "[\"short\"]", &answer, &error), ISHOW_OK);
    free(answer);
    free(told);
    ishow_engine_free(east);
    speaker_end(&s);
    nats_remove(&nats);
}

/* ---- the journal ---- */

typedef struct loaded {
    char all[256]; /* NUMBER, "!" where it is marked, and RECORD of each, with spaces between */
    int leads;     /* atomic */
    int answered;  /* atomic: 1 + the status of the last sync */
} loaded;

static void on_message(void *user, uint64_t number, int marked, const char *record) {
    loaded *l = user;
    const size_t n = strlen(l->all);
    snprintf(l->all + n, sizeof l->all - n, "%d%s%s ", (int)number, marked ? "!" : "", record);
}

static void on_viewer(void *user, const char *viewer, const char *voice) {
    loaded *l = user;
    const size_t n = strlen(l->all);
    snprintf(l->all + n, sizeof l->all - n, "%s=%s ", viewer, voice);
}

static void on_muted(void *user, const char *viewer) { on_viewer(user, viewer, "muted"); }

static int leads(void *self) { return __atomic_load_n(&((loaded *)self)->leads, __ATOMIC_ACQUIRE); }

static int leads_once(void *self) { return __atomic_exchange_n(&((loaded *)self)->leads, 0, __ATOMIC_ACQ_REL); }

static void on_synced(void *user, uint64_t ticket, ishow_status status) {
    assert_int_equal(ticket, 7);
    __atomic_store_n(&((loaded *)user)->answered, 1 + (int)status, __ATOMIC_RELEASE);
}

static int synced(loaded *l, const ishow_chat_journal *j) {
    __atomic_store_n(&l->answered, 0, __ATOMIC_RELEASE);
    j->sync(j->self, on_synced, l, 7);
    for (int i = 0; !__atomic_load_n(&l->answered, __ATOMIC_ACQUIRE); i++) {
        assert_true(i < 1000);
        usleep(20000);
    }
    return __atomic_load_n(&l->answered, __ATOMIC_ACQUIRE) - 1;
}

static void a_chat_finds_what_another_one_has_written(void **state) {
    (void)state;
    nats_rig nats = {.jetstream = 1};
    nats_start(&nats);
    const ishow_cluster_options options = {.url = nats.url};
    ishow_error error = {0};
    bus *b;
    chat_journal *one, *two;
    loaded l = {.leads = 1};
    if (bus_open(&b, &options, "one", &error) || chat_journal_open(&one, b, WIRE_CHAT_MAIN, leads, &l, &error))
        fail_msg("%s", error.message);
    ishow_chat_journal j = chat_journal_table(one);
    assert_int_equal(j.load_muted(j.self, on_muted, &l, &error), ISHOW_OK);
    assert_int_equal(j.load(j.self, on_message, on_viewer, &l, &error), ISHOW_OK);
    assert_string_equal(l.all, "");
    for (uint64_t i = 1; i <= 12; i++) j.put(j.self, i, i == 3 ? "three" : "x");
    for (uint64_t i = 5; i <= 12; i++) j.drop(j.self, i);
    j.mark(j.self, 1);
    j.drop(j.self, 2);
    j.mark(j.self, 2); /* it has ended: nothing comes back */
    j.voice(j.self, "test:ann", "bob");
    j.mute(j.self, "test:troll", 1);
    j.mute(j.self, "test:other", 1);
    j.mute(j.self, "test:other", 0);
    assert_int_equal(synced(&l, &j), ISHOW_OK);

    /* Without NATS it waits, and goes on. */
    nats_kill(&nats);
    j.put(j.self, 13, "thirteen");
    nats_start(&nats);
    assert_int_equal(synced(&l, &j), ISHOW_OK);

    /* One that has ceased to lead writes nothing. */
    __atomic_store_n(&l.leads, 0, __ATOMIC_RELEASE);
    j.put(j.self, 14, "never");
    chat_journal_give_up(one);
    assert_int_equal(synced(&l, &j), ISHOW_ECANCELLED);
    chat_journal_free(one);

    /* One that may have ceased to lead while it wrote does not say that it has written. */
    if (chat_journal_open(&one, b, WIRE_CHAT_MAIN, leads_once, &l, &error)) fail_msg("%s", error.message);
    j = chat_journal_table(one);
    __atomic_store_n(&l.answered, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&l.leads, 1, __ATOMIC_RELEASE);
    j.sync(j.self, on_synced, &l, 7);
    while (__atomic_load_n(&l.leads, __ATOMIC_ACQUIRE)) usleep(1000);
    usleep(100000);
    assert_int_equal(__atomic_load_n(&l.answered, __ATOMIC_ACQUIRE), 0);
    chat_journal_give_up(one);
    chat_journal_free(one);
    assert_int_equal(l.answered, 1 + ISHOW_ECANCELLED);

    if (chat_journal_open(&two, b, WIRE_CHAT_MAIN, leads, &l, &error)) fail_msg("%s", error.message);
    j = chat_journal_table(two);
    assert_int_equal(j.load_muted(j.self, on_muted, &l, &error), ISHOW_OK);
    assert_int_equal(j.load(j.self, on_message, on_viewer, &l, &error), ISHOW_OK);
    assert_string_equal(l.all, "test:troll=muted test:ann=bob 1!x 3three 4x 13thirteen ");
    chat_journal_free(two);
    bus_close(b);
    nats_remove(&nats);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_keeps_the_voices_that_were_used_last),
        cmocka_unit_test(voices_beyond_the_list_are_refused),
        cmocka_unit_test(a_chat_finds_what_another_one_has_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
