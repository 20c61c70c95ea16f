/* Text that comes in pieces, with a fake model: where it is cut, what can still be replaced, and when a writer must
 * wait. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/defaults.h"
#include "engine/plan.h"
#include "engine_rig.h"

static engine_rig *make(void) {
    const ishow_engine_options options = ishow_engine_options_default();
    return engine_rig_make(ISHOW_TEXT_ALIGNED, 0, &options, 1, 20000, 0);
}

static ishow_utterance *begin(engine_rig *r, int idle_ms) {
    ishow_request request = engine_request("");
    request.open = 1;
    request.idle_ms = idle_ms;
    return engine_submit(r, &request, NULL);
}

enum { NEVER = 60000 };

static void feed(ishow_utterance *u, const char *text) {
    ishow_error error = {0};
    if (ishow_speak_feed(u, text, 30, &error) != ISHOW_OK) fail_msg("feed: %s", error.message);
}

/* Number of samples of the next piece; fails when none comes. */
static size_t next(ishow_utterance *u) {
    const float *samples;
    size_t n;
    ishow_error error = {0};
    if (ishow_utterance_next(u, 30, &samples, &n, &error) != ISHOW_OK) fail_msg("next: %s", error.message);
    return n;
}

static size_t rest(ishow_utterance *u) {
    size_t all = 0, n;
    while ((n = next(u))) all += n;
    return all;
}

static void parts_are(engine_rig *r, const char *wanted) {
    pthread_mutex_lock(&r->text.lock);
    assert_string_equal(r->text.parts, wanted);
    pthread_mutex_unlock(&r->text.lock);
}

static void wait_for_parts(engine_rig *r, int n) {
    for (int now = -1; now < n; usleep(1000)) {
        pthread_mutex_lock(&r->text.lock);
        now = r->text.tokenizes;
        pthread_mutex_unlock(&r->text.lock);
    }
}

static void a_text_is_cut_where_something_is_known_to_end(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int goes_on;
        double least, goal;
        const char *piece;
    } all[] = {
        {"Hello there my friend", 1, 0.6, 1.5, ""},
        {"Hello there my friend.", 1, 0.6, 1.5, ""},  /* "friend.com" */
        {"Hello there my friend. ", 1, 0.6, 1.5, ""}, /* an abbreviation, where a small letter follows */
        {"Hello there my friend. H", 1, 0.6, 1.5, "Hello there my friend. "},
        {"Hello there my friend. h", 1, 0.6, 1.5, ""},
        {"Hello there my friend,", 1, 0.6, 1.5, "Hello there my friend,"},
        {"Hello there my friend, ", 1, 0.6, 1.5, "Hello there my friend, "},
        {"Hello there my friend:", 1, 0.6, 1.5, ""}, /* "https://" */
        {"Hello there my friend: ", 1, 0.6, 1.5, "Hello there my friend: "},
        {"It costs fifteen or 1,", 1, 0.6, 1.5, ""},
        {"Hello there my friend, a", 1, 0.6, 1.5, "Hello there my friend, "},
        {"Hello there my friend!", 1, 0.6, 1.5, "Hello there my friend!"},
        {"It costs 1,000", 1, 0.6, 1.5, ""},
        {"\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82", 1, 0.6, 1.5,
         "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82"},
        {"Yes. I would like to go there. N", 1, 0.6, 1.5, "Yes. I would like to go there. "},
        {"Yes. I would like to go there. N", 1, 0.6, 9, "Yes. I would like to go there. "},
        {"Yes. I would like to go there. N", 1, 4, 9, ""}, /* shorter than wanted */
        {"One is here. Two is there. Three", 1, 0.6, 1, "One is here. "},
        {"One is here. Two is there. Three", 1, 0.6, 9, "One is here. Two is there. "},
        {"One is here. Two", 0, 0.6, 9, "One is here. Two"},
        {"Two", 0, 0.6, 9, "Two"},
        {"", 0, 0.6, 9, ""},
    };
    const ishow_pace pace = {.frames_per_unit = 1, .frames_per_second = 1};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        size_t n;
        assert_int_equal(ishow_feed_cut(all[i].text, strlen(all[i].text), all[i].goes_on, &pace, all[i].least,
                                        all[i].goal, 22, &n, NULL),
                         ISHOW_OK);
        if (n != strlen(all[i].piece) || memcmp(all[i].text, all[i].piece, n))
            fail_msg("%zu: \"%.*s\" is not \"%s\"", i, (int)n, all[i].text, all[i].piece);
    }
}

static void a_text_without_places_is_cut_between_words(void **state) {
    (void)state;
    const ishow_pace pace = {.frames_per_unit = 1, .frames_per_second = 1};
    char text[4001];
    for (int i = 0; i < 4000; i++) text[i] = i % 5 == 4 ? ' ' : 'a';
    text[4000] = '\0';
    size_t n;
    assert_int_equal(ishow_feed_cut(text, 4000, 1, &pace, 0.6, 1.5, 22, &n, NULL), ISHOW_OK);
    assert_true(n > 0 && n % 5 == 0 && n * 0.068 <= 22);
}

static void a_clause_is_heard_before_the_text_ends(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_utterance *u = begin(r, NEVER);
    feed(u, "Good evening every");
    feed(u, "body, I");
    assert_true(next(u) > 0);
    parts_are(r, "Good evening everybody,|");
    feed(u, " am your host. ");
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    rest(u);
    parts_are(r, "Good evening everybody,|I am your host.|");
    ishow_timings t;
    ishow_utterance_timings(u, &t);
    assert_int_equal(t.chunks, 2);
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void parts_use_the_noise_of_the_whole_text(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_request whole = ishow_request_default();
    whole.text = "This is the first sentence of all. Here comes the second one of them.";
    whole.early = whole.has_seed = 1;
    whole.seed = 7;
    ishow_utterance *u;
    assert_int_equal(ishow_engine_submit(r->engine, &whole, NULL, NULL, &u, NULL), ISHOW_OK);
    const size_t n = rest(u);
    const float last = r->model.last_noise;
    ishow_utterance_free(u);
    u = begin(r, NEVER);
    feed(u, whole.text);
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    assert_int_equal(rest(u), n); /* overlapping by the cross-fade */
    assert_true(r->model.last_noise == last);
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void what_has_not_begun_is_replaced(void **state) {
    (void)state;
    engine_rig *r = make();
    size_t kept = 0;
    fake_set(&r->model, &r->model.slow_us, 50000);
    ishow_utterance *u = begin(r, NEVER);
    feed(u, "The first sentence stays. The second one go");
    wait_for_parts(r, 1);
    assert_int_equal(ishow_speak_set_text(u, "Another one is said.", &kept, NULL), ISHOW_OK);
    assert_int_equal(kept, strlen("The first sentence stays. "));
    fake_set(&r->model, &r->model.slow_us, 0);
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    rest(u);
    parts_are(r, "The first sentence stays.|Another one is said.|");
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void a_flush_or_silence_speaks_what_is_there(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_utterance *u = begin(r, NEVER);
    feed(u, "Hm");
    assert_int_equal(ishow_speak_flush(u, NULL), ISHOW_OK);
    assert_true(next(u) > 0);
    feed(u, "well");
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    rest(u);
    parts_are(r, "Hm|well|");
    ishow_utterance_free(u);
    u = begin(r, 50);
    feed(u, "Er");
    assert_true(next(u) > 0); /* by itself */
    parts_are(r, "Hm|well|Er|");
    ishow_utterance_free(u); /* cancels the open utterance */
    engine_rig_free(r);
}

static void parts_without_words_are_left_out(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_utterance *u = begin(r, NEVER);
    feed(u, "#");
    assert_int_equal(ishow_speak_flush(u, NULL), ISHOW_OK);
    feed(u, "Words follow!");
    assert_true(next(u) > 0);
    feed(u, "#");
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    rest(u);
    ishow_utterance_free(u);
    u = begin(r, NEVER);
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    const float *samples;
    size_t n;
    ishow_error error = {0};
    assert_int_equal(ishow_utterance_next(u, 30, &samples, &n, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "text");
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void wrong_calls_are_refused(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_error error = {0};
    ishow_request request = ishow_request_default();
    ishow_utterance *u;
    request.text = "";
    request.open = 1;
    request.fix_duration = 3;
    assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "fix_duration");
    request.fix_duration = 0;
    request.idle_ms = 1;
    assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, &error), ISHOW_EINVAL);
    assert_string_equal(error.field, "idle_ms");
    request.open = 0;
    request.idle_ms = 1000;
    request.text = "Whole.";
    assert_int_equal(ishow_engine_submit(r->engine, &request, NULL, NULL, &u, &error), ISHOW_OK);
    assert_int_equal(ishow_speak_feed(u, "More.", 0, &error), ISHOW_ESTATE);
    ishow_utterance_free(u);
    u = begin(r, NEVER);
    assert_int_equal(ishow_speak_feed(u, "\xff", 0, &error), ISHOW_EINVAL);
    char *longer = calloc(1, ISHOW_MAX_TEXT_CHARS + 2);
    memset(longer, 'a', ISHOW_MAX_TEXT_CHARS + 1);
    assert_int_equal(ishow_speak_feed(u, longer, 0, &error), ISHOW_EINVAL);
    free(longer);
    assert_int_equal(ishow_speak_feed(u, "Words.", 0, &error), ISHOW_OK); /* an empty text would be an error */
    assert_int_equal(ishow_speak_end(u, &error), ISHOW_OK);
    assert_int_equal(ishow_speak_feed(u, "Late.", 0, &error), ISHOW_ESTATE);
    ishow_utterance_free(u);
    u = begin(r, NEVER);
    ishow_utterance_cancel(u);
    assert_int_equal(ishow_speak_feed(u, "Late.", 0, &error), ISHOW_ECANCELLED);
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static const char SENTENCE[] = "Some words that take about three seconds to be said. ";

typedef struct writer {
    ishow_utterance *u;
    int sentences;
    ishow_status status;
} writer;

static void *write_all(void *argument) {
    writer *w = argument;
    for (int i = 0; i < w->sentences && w->status == ISHOW_OK; i++)
        w->status = ishow_speak_feed(w->u, SENTENCE, ISHOW_WAIT, NULL);
    if (w->status == ISHOW_OK) w->status = ishow_speak_end(w->u, NULL);
    return NULL;
}

static void a_fast_writer_and_an_idle_reader_are_held_back(void **state) {
    (void)state;
    engine_rig *r = make();
    writer w = {.u = begin(r, NEVER), .sentences = 400};
    ishow_error error = {0};
    ishow_engine_stats before, after = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
    do { /* until nothing more is synthesised */
        before = after;
        usleep(200000);
        ishow_engine_stats_get(r->engine, &after);
    } while (after.audio_seconds == 0 || after.audio_seconds != before.audio_seconds);
    assert_true(after.audio_seconds < 60); /* of some 1200 */
    while (ishow_speak_feed(w.u, "a", 0, &error) == ISHOW_OK)
        ;
    assert_int_equal(error.status, ISHOW_EAGAIN);
    rest(w.u);
    pthread_join(thread, NULL);
    assert_int_equal(w.status, ISHOW_OK);
    ishow_engine_stats_get(r->engine, &after);
    assert_true(after.audio_seconds > 400);
    ishow_utterance_free(w.u);
    engine_rig_free(r);
}

static void a_cancel_wakes_a_writer(void **state) {
    (void)state;
    engine_rig *r = make();
    writer w = {.u = begin(r, NEVER), .sentences = 400};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_all, &w), 0);
    while (ishow_speak_feed(w.u, "a", 0, NULL) == ISHOW_OK)
        ;
    ishow_utterance_cancel(w.u);
    pthread_join(thread, NULL);
    assert_int_equal(w.status, ISHOW_ECANCELLED);
    ishow_utterance_free(w.u);
    engine_rig_free(r);
}

static void the_first_audio_counts_from_the_first_text(void **state) {
    (void)state;
    engine_rig *r = make();
    ishow_utterance *u = begin(r, NEVER);
    ishow_timings timings;
    usleep(50000);
    feed(u, "Good evening everybody.");
    assert_int_equal(ishow_speak_end(u, NULL), ISHOW_OK);
    assert_true(rest(u) > 0);
    ishow_utterance_timings(u, &timings);
    assert_true(timings.first_audio > 0 && timings.total - timings.first_audio >= 0.05); /* the wait is not counted */
    ishow_utterance_free(u);
    engine_rig_free(r);
}

static void several_texts_are_written_at_once(void **state) {
    (void)state;
    enum { WRITERS = 4 };
    engine_rig *r = make();
    writer all[WRITERS] = {0};
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        all[i] = (writer){.u = begin(r, NEVER), .sentences = 20};
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &all[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_true(rest(all[i].u) > 0);
        pthread_join(threads[i], NULL);
        assert_int_equal(all[i].status, ISHOW_OK);
        ishow_utterance_free(all[i].u);
    }
    ishow_utterance *u = begin(r, NEVER); /* still open when the engine is freed */
    feed(u, "Good evening everybody, I");
    ishow_engine_free(r->engine);
    r->engine = NULL;
    const float *samples;
    size_t n;
    ishow_status status;
    while ((status = ishow_utterance_next(u, 30, &samples, &n, NULL)) == ISHOW_OK && n)
        ;
    assert_int_equal(status, ISHOW_ECANCELLED);
    ishow_utterance_free(u);
    engine_rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_cut_where_something_is_known_to_end),
        cmocka_unit_test(a_text_without_places_is_cut_between_words),
        cmocka_unit_test(a_clause_is_heard_before_the_text_ends),
        cmocka_unit_test(parts_use_the_noise_of_the_whole_text),
        cmocka_unit_test(what_has_not_begun_is_replaced),
        cmocka_unit_test(a_flush_or_silence_speaks_what_is_there),
        cmocka_unit_test(parts_without_words_are_left_out),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(a_fast_writer_and_an_idle_reader_are_held_back),
        cmocka_unit_test(a_cancel_wakes_a_writer),
        cmocka_unit_test(the_first_audio_counts_from_the_first_text),
        cmocka_unit_test(several_texts_are_written_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
