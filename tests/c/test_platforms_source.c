/* States of a source with a platform that only counts what it is asked to do. Times are given, so nothing waits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "platforms/source.h"

static struct { int starts, stops, beats, ticks; } asked;

static void on_start(ishow_chat_source *s) { (void)s, asked.starts++; }
static void on_stop(ishow_chat_source *s) { (void)s, asked.stops++; }
static void on_beat(ishow_chat_source *s) { (void)s, asked.beats++; }
static void on_tick(ishow_chat_source *s) { (void)s, asked.ticks++; }

static const source_kind at_intervals = {.start = on_start, .stop = on_stop, .beat = on_beat, .tick = on_tick};
static const source_kind after_silence = {
    .beats_when_silent = 1, .start = on_start, .stop = on_stop, .beat = on_beat, .tick = on_tick};
static ishow_chat_loop loop;

/* A source that has never tried; a heartbeat is due every 10 s, and data within 25 s after one. */
static ishow_chat_source fresh(const source_kind *kind) {
    memset(&asked, 0, sizeof asked);
    loop = (ishow_chat_loop){.random = 1};
    ishow_chat_source s = {.loop = &loop, .kind = kind, .state = ISHOW_CHAT_STATE_WAITING};
    s.options = ishow_chat_source_options_default(ISHOW_CHAT_TWITCH);
    s.options.channel = "channel";
    s.options.connect_seconds = 5;
    s.options.heartbeat_seconds = 10;
    s.options.reply_seconds = 25;
    s.options.backoff_seconds = 1;
    s.options.backoff_max_seconds = 60;
    s.begin_at = ishow_now();
    s.connect_by = s.beat_at = s.answer_by = s.session_due = s.heard_at = NEVER;
    return s;
}

static ishow_chat_source live(const source_kind *kind) {
    ishow_chat_source s = fresh(kind);
    source_tick(&s, s.begin_at);
    assert_int_equal(s.state, ISHOW_CHAT_STATE_CONNECTING);
    source_live(&s, "Reading.");
    return s;
}

static void an_attempt_that_does_not_become_live_ends(void **state) {
    (void)state;
    ishow_chat_source s = fresh(&at_intervals);
    const double now = s.begin_at;
    assert_true(source_due(&s) == now);
    source_tick(&s, now);
    assert_true(s.state == ISHOW_CHAT_STATE_CONNECTING && asked.starts == 1 && s.attempts == 1);
    assert_true(source_due(&s) == now + 5);
    source_tick(&s, now + 4.9);
    assert_int_equal(s.state, ISHOW_CHAT_STATE_CONNECTING);
    source_tick(&s, now + 5);
    assert_true(s.state == ISHOW_CHAT_STATE_WAITING && asked.stops == 1 && s.losses == 0);
    assert_non_null(strstr(s.text, "no answer within 5 s"));
    assert_true(isinf(s.connect_by) && source_due(&s) == s.begin_at && isfinite(s.begin_at));
}

static void data_is_awaited_from_the_first_heartbeat_on(void **state) {
    (void)state;
    ishow_chat_source s = live(&at_intervals);
    const double since = s.live_since;
    assert_true(isinf(s.connect_by) && isinf(s.answer_by) && source_due(&s) == since + 10);
    source_tick(&s, since + 10);
    assert_true(asked.beats == 1 && s.answer_by == since + 35);
    source_tick(&s, since + 20); /* later heartbeats do not move the deadline */
    source_tick(&s, since + 30);
    assert_true(asked.beats == 3 && s.heartbeats == 3 && s.answer_by == since + 35);
    source_tick(&s, since + 35);
    assert_true(s.state == ISHOW_CHAT_STATE_WAITING && s.losses == 1 && asked.stops == 1);
    assert_non_null(strstr(s.text, "Lost: no data for"));
    assert_true(isinf(s.answer_by) && isinf(s.beat_at) && source_due(&s) == s.begin_at); /* nothing else is due */
}

static void data_ends_the_wait(void **state) {
    (void)state;
    ishow_chat_source s = live(&at_intervals);
    const double since = s.live_since;
    source_tick(&s, since + 10);
    source_heard(&s, 7);
    assert_true(isinf(s.answer_by) && s.bytes == 7 && s.beat_at == since + 20);
    source_tick(&s, since + 36);
    assert_true(s.state == ISHOW_CHAT_STATE_LIVE && s.answer_by == since + 61);

    s = live(&after_silence);
    s.beat_at = s.live_since - 5; /* overdue, but data arrives first */
    source_heard(&s, 1);
    assert_true(s.beat_at == s.heard_at + 10);
}

static void every_end_of_an_attempt_leaves_only_the_next_one_due(void **state) {
    (void)state;
    for (int how = 0; how < 4; how++) {
        ishow_chat_source s = live(&at_intervals);
        source_tick(&s, s.live_since + 10);
        s.session_due = s.live_since + 11;
        assert_true(isfinite(s.answer_by) && isfinite(s.beat_at));
        if (how == 0) source_lost(&s, "gone");
        if (how == 1) source_again(&s, "moved");
        if (how == 2) source_pause(&s, 100, "Resting.");
        if (how == 3) source_end(&s, ISHOW_CHAT_STATE_ENDED, "over");
        assert_true(isinf(s.answer_by) && isinf(s.beat_at) && isinf(s.session_due) && isinf(s.connect_by));
        assert_int_equal(asked.stops, 1);
        assert_true(source_due(&s) == s.begin_at && isinf(s.begin_at) == (how == 3));
        assert_int_equal(s.failures, how == 0 || how == 1); /* counted from 0 for "again" */
    }
}

static void pauses_double_up_to_a_limit(void **state) {
    (void)state;
    ishow_chat_source s = fresh(&at_intervals);
    for (int failures = 0; failures < 10; failures++) {
        const double longest = fmin(60, exp2(failures)), now = ishow_now();
        source_lost(&s, "refused");
        const double pause = s.begin_at - now;
        assert_true(pause >= longest / 2 && pause <= longest + 1);
    }
    s.state = ISHOW_CHAT_STATE_LIVE;
    s.live_since = ishow_now() - 61; /* was live for longer than the longest pause */
    source_lost(&s, "closed");
    assert_true(s.failures == 1 && s.begin_at - ishow_now() <= 1);
    s.state = ISHOW_CHAT_STATE_LIVE;
    s.live_since = ishow_now() - 30;
    source_lost(&s, "closed");
    assert_int_equal(s.failures, 2);
}

static void a_platform_is_called_when_it_asked_for_it(void **state) {
    (void)state;
    ishow_chat_source s = live(&at_intervals);
    s.session_due = s.live_since + 1;
    assert_true(source_due(&s) == s.live_since + 1);
    source_tick(&s, s.live_since + 1);
    source_tick(&s, s.live_since + 2);
    assert_true(asked.ticks == 1 && asked.beats == 0 && isinf(s.session_due));
}

int main(void) {
    ishow_log_set_level(ISHOW_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attempt_that_does_not_become_live_ends),
        cmocka_unit_test(data_is_awaited_from_the_first_heartbeat_on),
        cmocka_unit_test(data_ends_the_wait),
        cmocka_unit_test(every_end_of_an_attempt_leaves_only_the_next_one_due),
        cmocka_unit_test(pauses_double_up_to_a_limit),
        cmocka_unit_test(a_platform_is_called_when_it_asked_for_it),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
